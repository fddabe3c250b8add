//! Makes the cluster's book and the node's own one say the same again, after a crash, a reboot, a
//! lost book of either kind. Frees nothing of an attachment that somebody works on, and takes
//! nothing from anybody: an address that another holds by now is told of.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wharfinger_cni::AttachmentId;

use super::objects::{Content, Held};
use super::page::View;
use super::remote::{Changes, Object};
use super::survey::Stray;
use super::{ClusterLedger, OwnBook, Went, failed, keys};
use crate::book::{Address, Book, Desk, Halt, Shelf as _};
use crate::point::Point;
use crate::session::done;
use crate::{Entry, Error};

/// So many attachments are held at once.
const AT_ONCE: usize = 64;
/// What [`ClusterLedger::mend`] counts.
const ADDRESSES: &str = "addresses of which the books differ";

/// An address that a record of this node has, and the cluster's book does not have for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Whose it is here.
    pub id: AttachmentId,
    /// The address space.
    pub domain: String,
    /// The address.
    pub address: IpAddr,
    /// Who has it by the cluster's book: two may use it.
    pub holder: Option<Held>,
}

/// What the two books do not agree on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Held by the cluster's book, and not by this node's.
    pub strays: Vec<Stray>,
    /// The other way round.
    pub lost: Vec<Lost>,
}

/// What was done about them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mended {
    /// Attachments that held something without a record, and hold nothing now.
    pub freed: Vec<AttachmentId>,
    /// What is the node's again in the cluster's book.
    pub claimed: Vec<Lost>,
    /// What another has by now.
    pub doubled: Vec<Lost>,
    /// Empty blocks that were given back.
    pub blocks: usize,
}

impl<S: OwnBook> ClusterLedger<S> {
    /// What the cluster's book says that this node holds, without a record of the node's. An
    /// attachment that is being made looks the same: take its lock before one is dropped.
    pub fn strays(&self) -> Result<Vec<Stray>, Error> {
        self.check_name()?;
        self.strays_of(&self.objects()?)
    }

    /// What the two books do not agree on. As with [`ClusterLedger::strays`]: what is under way
    /// may be among it.
    pub fn differences(&self) -> Result<Differences, Error> {
        let horizon = self.own.horizon()?;
        self.differences_of(&self.objects()?, horizon)
    }

    pub(super) fn differences_of(
        &self,
        objects: &[Object],
        horizon: u64,
    ) -> Result<Differences, Error> {
        let strays = self.strays_of(objects)?;
        let mut lost = lost(&self.own.list(None)?, objects, horizon, &self.part.node);
        // What is being released is in no record any more.
        lost.retain(|lost| {
            self.own.get(&lost.id).is_ok_and(|entry| entry.is_some_and(|it| it.seq <= horizon))
        });
        Ok(Differences { strays, lost })
    }

    /// Sends what is queued, frees what is held without a record, claims anew what the cluster's
    /// book has lost, gives back empty blocks. `hold` locks an attachment; none: somebody works on
    /// it, or it lives though there is no record of it. With `anew`, or where the store is seen to
    /// be another than it was, all that this node knows of it is read anew. `now` is in seconds since
    /// the Unix epoch. `went` hears of addresses, those without a record before the others.
    pub fn mend<H>(
        &self,
        anew: bool,
        now: u64,
        hold: impl Fn(&AttachmentId) -> Option<H>,
        went: Went<'_>,
    ) -> Result<Mended, Error> {
        if self.remote.transactions() {
            self.check_name()?;
        }
        let horizon = self.own.horizon()?;
        let objects = self.view(anew)?;
        self.hand_on_all();
        if !self.remote.transactions() {
            // The listing had it.
            self.check_known_name()?;
        }
        self.flush()?;
        let found = self.differences_of(&objects, horizon)?;
        let all = found.strays.len().saturating_add(found.lost.len());
        let mut looked_at = 0_usize;
        let mut mended = Mended::default();
        for some in found.strays.chunks(AT_ONCE) {
            went(looked_at, all, ADDRESSES);
            looked_at = looked_at.saturating_add(some.len());
            let mut locked: BTreeMap<&AttachmentId, Option<H>> = BTreeMap::new();
            for stray in some {
                let lock = locked.entry(&stray.id).or_insert_with(|| hold(&stray.id));
                if lock.is_some() && self.queue_stray(stray)? && !mended.freed.contains(&stray.id) {
                    mended.freed.push(stray.id.clone());
                }
            }
            self.flush()?;
        }
        for lost in found.lost {
            went(looked_at, all, ADDRESSES);
            looked_at = looked_at.saturating_add(1);
            let Some(_hold) = hold(&lost.id) else { continue };
            if self.claim_again(&lost)? {
                mended.claimed.push(lost);
            } else if lost.holder.is_some() {
                mended.doubled.push(lost);
            }
        }
        mended.blocks = self.give_back_known(now)?;
        Ok(mended)
    }

    /// A node that had its own book alone until now tells the cluster's of what it holds, before it
    /// asks for more. Only then it knows the cluster's: an end in the middle begins it anew.
    pub(super) fn bring(&self) -> Result<(), Error> {
        let horizon = self.own.horizon()?;
        let listing = self.listing(0).map_err(|fault| failed(&fault))?;
        done(self.own.change(|desk| Ok(self.keep_listing(desk, &listing)?)))?;
        if self.remote.transactions() {
            self.refresh_name()?;
        }
        let objects: Vec<Object> = of_book(&listing).cloned().collect();
        for lost in self.differences_of(&objects, horizon)?.lost {
            self.claim_again(&lost)?;
        }
        done(self.own.change(|desk| Ok(desk.set_synced(listing.upto)?)))?;
        self.hand_on_all();
        Ok(())
    }

    /// All of it was listed just now.
    fn hand_on_all(&self) {
        let by_name = !self.remote.transactions();
        self.hand_on(View { fresh: true, by_name, ..View::default() });
    }

    /// All objects of the book, as they are now; the cache has nothing else after that.
    pub(super) fn view(&self, anew: bool) -> Result<Vec<Object>, Error> {
        let changes = self.listing(0).map_err(|fault| failed(&fault))?;
        let anew = anew || changes.upto < self.synced()?;
        self.take(&changes, anew)?;
        Ok(of_book(&changes).cloned().collect())
    }

    /// A listing of all that is in the store is all that this node knows of it.
    pub fn adopt(&self, listing: &Changes) -> Result<(), Error> {
        self.take(listing, true)
    }

    pub(super) fn take(&self, changes: &Changes, anew: bool) -> Result<(), Error> {
        let saved = self.own.change(|desk| {
            if anew {
                desk.forget_cached()?;
            }
            self.keep_listing(desk, changes)?;
            Ok(desk.set_synced(changes.upto)?)
        });
        done(saved).map(drop)
    }

    /// What a listing has of the book, and of whose the node's name is.
    fn keep_listing(&self, desk: &mut dyn Desk, listing: &Changes) -> Result<(), Error> {
        let name = keys::machine(&self.part.node);
        let named = listing.objects.iter().filter(|object| object.key == name);
        of_book(listing).chain(named).try_for_each(|object| self.keep_cached(desk, object))
    }

    /// Up to which version the cache has seen everything.
    pub fn synced(&self) -> Result<u64, Error> {
        self.own.look(|desk| desk.synced())
    }

    /// Takes into the cache what a watch tells: objects as they are now, and the versions at which
    /// some were removed; what is not of the book is passed over. Everything up to `upto` is among
    /// it, or was known.
    pub fn learn(
        &self,
        objects: &[Object],
        removed: &[(String, u64)],
        upto: u64,
    ) -> Result<(), Error> {
        let learnt = self.own.change(|desk| {
            let mut of_book = objects.iter().filter(|object| object.key.starts_with(keys::BOOK));
            of_book.try_for_each(|object| self.keep_cached(desk, object))?;
            for (key, version) in removed {
                if desk.cached(key)?.is_some_and(|object| object.version < *version) {
                    desk.drop_cached(key)?;
                }
            }
            Ok(desk.set_synced(upto)?)
        });
        done(learnt).map(drop)
    }

    /// The address is the attachment's again, if nobody has it. One that is released
    /// meanwhile is released after.
    fn claim_again(&self, lost: &Lost) -> Result<bool, Error> {
        let point = Point::from(lost.address);
        let visit = self.visit(0);
        visit.view.borrow_mut().fresh = true;
        let claim = |book: &mut dyn Book| -> Result<bool, Halt> {
            let Some(entry) = book.attachment(&lost.id)? else { return Ok(false) };
            if !has(&entry, &lost.domain, lost.address) {
                return Ok(false);
            }
            let known = book.address(&lost.domain, point)?.unwrap_or_default();
            if known.holder.is_some_and(|holder| holder != lost.id) {
                return Ok(false);
            }
            // So that it is noted what else is noted with an address.
            book.put_attachment(&entry.record, entry.seq)?;
            let holder = Some(lost.id.clone());
            book.set_address(&lost.domain, point, &Address { holder, rest: None, ..known })?;
            Ok(true)
        };
        loop {
            match done(visit.write(claim))? {
                Some(claimed) => return Ok(claimed),
                None if (self.remaining)().is_zero() => return Err(self.contended()),
                None => {}
            }
        }
    }
}

fn of_book(listing: &Changes) -> impl Iterator<Item = &Object> {
    listing.objects.iter().filter(|object| object.key.starts_with(keys::BOOK))
}

/// Whether the record has the address of this domain by this book: of what was put together from
/// the kernel's rules, or is in a directory of the reference's, nobody knows.
fn has(entry: &Entry, domain: &str, address: IpAddr) -> bool {
    let record = &entry.record;
    record.plugin.is_some()
        && record.conf.get("called").is_none()
        && record.domain == domain
        && record.addresses.contains(&address)
}

fn lost(entries: &[Entry], objects: &[Object], horizon: u64, node: &str) -> Vec<Lost> {
    let mut holders: BTreeMap<(String, IpAddr), Held> = BTreeMap::new();
    for object in objects {
        let Some((domain, _)) = keys::of_block(&object.key) else { continue };
        let Ok(Content::Block(block)) = Content::read(&object.key, &object.value) else { continue };
        for (address, held) in block.held {
            holders.insert((domain.clone(), address), held);
        }
    }
    let mut all = Vec::new();
    // What came while the objects were read may be newer than they are.
    for entry in entries.iter().filter(|entry| entry.seq <= horizon) {
        let (id, domain) = (&entry.record.id, &entry.record.domain);
        for address in &entry.record.addresses {
            let holder = holders.get(&(domain.clone(), *address));
            if has(entry, domain, *address) && holder.is_none_or(|held| !held.is(node, id)) {
                let (id, domain, holder) = (id.clone(), domain.clone(), holder.cloned());
                all.push(Lost { id, domain, address: *address, holder });
            }
        }
    }
    all
}
