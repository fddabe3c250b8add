//! The objects of the cluster's book, over what a node has of them in its cache. Pure but for that:
//! it never asks the store. Where an answer would need a newer view than the cache's, it says so
//! ([`Page::wants`]) and gives an error; the caller brings the cache up to date and begins anew. What
//! was decided on older objects is guarded by their versions when it is committed. How they are the
//! book's rows is in `rows`.

mod rows;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wharfinger_cni::AttachmentId;

use super::keys;
use super::objects::{
    Block, Content, Domain, Held, Named, Remembered, Resting, Store, Told, Value,
};
use super::queue::Queued;
use super::remote::{Guard, Object, Put};
use crate::book::{Accept, Address, Book as _, Desk, Stored};
use crate::point::{Point, Span};
use crate::{Error, Owner};

/// An object as the page has it.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The version in the store; zero: it is not there.
    version: u64,
    content: Content,
    /// It was changed here.
    changed: bool,
    /// The commit is to fail where it is another by then.
    guarded: bool,
}

impl Slot {
    pub(super) fn block(&self) -> Option<&Block> {
        match &self.content {
            Content::Block(block) => Some(block),
            _ => None,
        }
    }

    /// As it is written.
    pub(super) fn text(&self) -> Option<String> {
        self.content.text()
    }

    pub(super) fn store(&self) -> Option<&Store> {
        match &self.content {
            Content::Store(store) => Some(store),
            _ => None,
        }
    }
}

/// The node's own book: to be read, or to be written.
pub(super) enum Own<'a> {
    Read(&'a dyn Desk),
    Write(&'a mut dyn Desk),
}

/// How a node takes part.
#[derive(Debug, Clone)]
pub struct Part {
    /// The node's name.
    pub node: String,
    /// Which machine it is: where another has the same name, one of the two gets nothing.
    pub machine: String,
    /// How a domain is cut that has no ranges yet.
    pub cut: Cut,
}

/// How a domain is cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// A block has two to the power of this many addresses, of either family.
    pub(super) bits: u32,
    /// Blocks are nobody's.
    pub(super) ordered: bool,
}

impl Cut {
    /// Blocks of so many addresses: a power of two, at most 256. With one, there is no block of
    /// one node: addresses are given strictly in order over the whole cluster. None for another
    /// number.
    pub fn of(addresses: u32) -> Option<Self> {
        match addresses {
            1 => Some(Self { bits: 6, ordered: true }),
            2..=256 if addresses.is_power_of_two() => {
                Some(Self { bits: addresses.ilog2(), ordered: false })
            }
            _ => None,
        }
    }
}

/// How new it is what the cache says.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// All of it was brought up to date for this.
    pub(super) fresh: bool,
    /// The store is asked for objects by their keys, and not for all that changed: a write of what
    /// is not as it was taken for is refused.
    pub(super) by_name: bool,
    /// The blocks were listed for this, or just before.
    pub(super) blocks: bool,
    /// These were asked for.
    pub(super) asked: BTreeSet<String>,
}

/// What an answer would have needed a newer view of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// Of everything.
    pub(super) all: bool,
    /// Of the blocks.
    pub(super) blocks: bool,
    /// Of these.
    pub(super) keys: BTreeSet<String>,
}

/// See the module.
pub(super) struct Page<'a> {
    own: Own<'a>,
    part: &'a Part,
    slots: RefCell<BTreeMap<String, Slot>>,
    /// The node's blocks by domain, once they were asked for.
    blocks: RefCell<Option<BTreeSet<(String, Point)>>>,
    view: View,
    wants: RefCell<Wants>,
    /// Seconds since the Unix epoch: what rests until then is free.
    now: u64,
    /// What is written beside the addresses that are taken.
    told: Told,
    /// What this node held and does not want any more.
    given_up: Vec<Queued>,
}

impl<'a> Page<'a> {
    pub(super) fn new(own: Own<'a>, part: &'a Part, now: u64, view: View) -> Self {
        Self {
            own,
            part,
            slots: RefCell::default(),
            blocks: RefCell::default(),
            view,
            wants: RefCell::default(),
            now,
            told: Told::default(),
            given_up: Vec::new(),
        }
    }

    /// What this node held and does not want any more: the cluster is told of it once the node's
    /// own book says so. In one commit with what it wants instead, it could be another's while
    /// nobody knows whether the commit stands.
    pub(super) fn given_up(&self) -> &[Queued] {
        &self.given_up
    }

    /// One that sees the objects as another page saw them first.
    pub(super) fn again(
        own: Own<'a>,
        part: &'a Part,
        now: u64,
        seen: &BTreeMap<String, Slot>,
    ) -> Self {
        let page = Self::new(own, part, now, View { fresh: true, ..View::default() });
        page.slots.replace(seen.clone());
        page
    }

    /// What an answer would have needed a newer view of.
    pub(super) fn wants(&self) -> Wants {
        self.wants.borrow().clone()
    }

    /// The objects as they were before this page changed them, for [`Page::again`].
    pub(super) fn seen(&self) -> Result<BTreeMap<String, Slot>, Error> {
        let keys: Vec<String> = self.slots.borrow().keys().cloned().collect();
        keys.into_iter().map(|key| Ok((key.clone(), self.load(&key)?))).collect()
    }

    /// What a commit is to check.
    pub(super) fn guards(&self) -> Vec<Guard> {
        let slots = self.slots.borrow();
        let guarded = slots.iter().filter(|(_, slot)| slot.guarded || slot.changed);
        guarded.map(|(key, slot)| Guard { key: key.clone(), version: slot.version }).collect()
    }

    /// What a commit is to write.
    pub(super) fn puts(&self) -> Vec<Put> {
        let slots = self.slots.borrow();
        let changed = slots.iter().filter(|(_, slot)| slot.changed);
        changed.map(|(key, slot)| Put { key: key.clone(), value: slot.content.text() }).collect()
    }

    fn desk(&self) -> &dyn Desk {
        match &self.own {
            Own::Read(desk) => *desk,
            Own::Write(desk) => &**desk,
        }
    }

    fn desk_mut(&mut self) -> Result<&mut dyn Desk, Error> {
        match &mut self.own {
            Own::Read(desk) => Err(desk.damaged("written while it is read".to_owned())),
            Own::Write(desk) => Ok(&mut **desk),
        }
    }

    /// The error that makes the caller begin anew, with a newer view.
    fn stale(&self, want: impl FnOnce(&mut Wants)) -> Error {
        want(&mut self.wants.borrow_mut());
        self.damaged("an older view than was asked for".to_owned())
    }

    /// An answer that is given for good is given from a view that is not older than the question.
    fn want_fresh(&self) -> Result<(), Error> {
        if self.view.fresh { Ok(()) } else { Err(self.stale(|wants| wants.all = true)) }
    }

    /// The same, of what the blocks say.
    fn want_blocks(&self) -> Result<(), Error> {
        match self.view.by_name {
            true if self.view.blocks => Ok(()),
            true if !self.view.fresh => Err(self.stale(|wants| wants.blocks = true)),
            _ => self.want_fresh(),
        }
    }

    /// The same, of what one object says.
    fn want_object(&self, key: &str) -> Result<(), Error> {
        if self.view.fresh || self.view.asked.contains(key) {
            return Ok(());
        }
        if self.view.by_name {
            return Err(self.stale(|wants| wants.keys.extend([key.to_owned()])));
        }
        self.want_fresh()
    }

    fn load(&self, key: &str) -> Result<Slot, Error> {
        let cached = self.desk().cached(key)?;
        let mut slot = slot(key, cached, self.part.cut).map_err(super::unavailable)?;
        // What has rested is free. It is taken out with the next write of the block.
        if let Content::Block(block) = &mut slot.content {
            block.rests.retain(|_, rest| rest.until > self.now);
        }
        Ok(slot)
    }

    /// Looks into an object.
    fn with<R>(&self, key: &str, f: impl FnOnce(&mut Slot) -> R) -> Result<R, Error> {
        let mut slots = self.slots.borrow_mut();
        if let Some(slot) = slots.get_mut(key) {
            return Ok(f(slot));
        }
        let slot = self.load(key)?;
        Ok(f(slots.entry(key.to_owned()).or_insert(slot)))
    }

    /// That there is no such object is no answer of an old cache.
    fn want_known(&self, key: &str) -> Result<(), Error> {
        if self.view.fresh || self.with(key, |slot| slot.version > 0 || slot.changed)? {
            return Ok(());
        }
        self.want_object(key)
    }

    /// The same, of what is made before anything else is written: that it was there is seen then.
    fn want_known_or_make(&self, key: &str) -> Result<(), Error> {
        if self.view.by_name { Ok(()) } else { self.want_known(key) }
    }

    fn domain(&self, domain: &str) -> Result<Domain, Error> {
        self.want_known_or_make(&keys::domain(domain))?;
        self.with(&keys::domain(domain), |slot| {
            slot.guarded = true;
            match &slot.content {
                Content::Domain(domain) => domain.clone(),
                _ => Domain::default(),
            }
        })
    }

    fn block<R>(
        &self,
        domain: &str,
        first: Point,
        f: impl FnOnce(&Block) -> R,
    ) -> Result<R, Error> {
        self.with(&keys::block(domain, first), |slot| match &slot.content {
            Content::Block(block) => f(block),
            _ => f(&Block::default()),
        })
    }

    fn change_block(
        &self,
        domain: &str,
        point: Point,
        f: impl FnOnce(&mut Block),
    ) -> Result<(), Error> {
        let bits = self.domain(domain)?.block;
        let span = keys::around(point, bits);
        // How it is cut must be written before the first block is.
        self.with(&keys::domain(domain), |slot| slot.changed |= slot.version == 0)?;
        self.with(&keys::block(domain, span.first), |slot| {
            if let Content::Block(block) = &mut slot.content {
                let size = 1_u32.checked_shl(bits).unwrap_or_default();
                block.change(size, Some(self.now).filter(|now| *now > 0), f);
                slot.changed = true;
            }
        })
    }

    /// What is held is held by this node: its name must be this machine's, and nobody's word that
    /// it is dead may come between.
    fn be_known(&self) -> Result<(), Error> {
        let key = keys::machine(&self.part.node);
        self.want_known_or_make(&key)?;
        let machine = self.with(&key, |slot| {
            slot.guarded = true;
            slot.changed |= slot.version == 0;
            let Content::Named(named) = &mut slot.content else { return String::new() };
            if named.machine.is_empty() {
                slot.changed = true;
                named.machine.clone_from(&self.part.machine);
            }
            named.machine.clone()
        })?;
        if machine == self.part.machine {
            return Ok(());
        }
        self.want_object(&key)?;
        Err(self.damaged(super::two_machines(&self.part.node, &machine)))
    }

    /// Which attachment of this node holds the address.
    fn held_here(&self, domain: &str, point: Point) -> Result<Option<AttachmentId>, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        self.block(domain, span.first, |block| {
            let held = block.held.get(&point.ip()).filter(|held| held.node == self.part.node);
            held.map(Held::id)
        })
    }

    /// Whether the node's own book says so too that its attachment holds the address.
    fn is_recorded(&self, domain: &str, point: Point) -> Result<bool, Error> {
        let Some(id) = self.held_here(domain, point)? else { return Ok(false) };
        let record = self.desk().attachment(&id)?.map(|entry| entry.record);
        Ok(record.is_some_and(|record| {
            record.domain == domain && record.addresses.contains(&point.ip())
        }))
    }

    /// The commit fails where the address's block is another by then.
    fn guard_block(&self, domain: &str, point: Point) -> Result<(), Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        self.with(&keys::block(domain, span.first), |slot| slot.guarded = true)
    }

    /// Whether this node's blocks of the domain have the block; else the first address of the next
    /// one of them, if there is one.
    fn own_block(&self, domain: &str, first: Point) -> Result<Result<(), Option<Point>>, Error> {
        if self.blocks.borrow().is_none() {
            let own = self.desk().cached_own()?;
            let own = own.iter().filter_map(|object| keys::of_block(&object.key)).collect();
            self.blocks.replace(Some(own));
        }
        let blocks = self.blocks.borrow();
        let from = (domain.to_owned(), first);
        let next = blocks.iter().flat_map(|own| own.range(from.clone()..)).next();
        Ok(match next {
            Some(own) if *own == from => Ok(()),
            Some((of, next)) if of == domain => Err(Some(*next)),
            _ => Err(None),
        })
    }

    /// Of the block with this span, the known addresses that follow each other from `point` on.
    fn run_in(&self, domain: &str, span: Span, point: Point) -> Result<Option<Span>, Error> {
        self.block(domain, span.first, |block| {
            let mut run = None;
            let mut at = Some(point);
            while let Some(known) = at.filter(|at| span.contains(*at) && is_known(block, *at)) {
                run = Span::new(point, known);
                at = known.next();
            }
            run
        })
    }

    /// Blocks of the domain that have an address of the span, in their order: all that the cache
    /// or this page knows of.
    fn blocks_of(&self, domain: &str, within: Span) -> Result<Vec<Point>, Error> {
        let bits = self.domain(domain)?.block;
        let prefix = keys::blocks(domain);
        let from = keys::around(within.first, bits).first;
        let mut all: BTreeSet<Point> = BTreeSet::new();
        let cached = self.desk().cached_below(&prefix)?;
        let here = self.slots.borrow();
        let known = cached.iter().map(|object| &object.key).chain(here.keys());
        for (_, first) in
            known.filter(|key| key.starts_with(&prefix)).filter_map(|key| keys::of_block(key))
        {
            if from <= first && first <= within.last {
                all.insert(first);
            }
        }
        Ok(all.into_iter().collect())
    }

    /// The address of the domain with the lowest order that is accepted.
    fn lowest(
        &self,
        domain: &str,
        order: impl Fn(&Address) -> Option<u64>,
        accept: Accept<'_>,
    ) -> Result<Option<Point>, Error> {
        self.want_blocks()?;
        let mut found = Vec::new();
        for first in self.blocks_of(domain, everything())? {
            self.block(domain, first, |block| {
                for point in known_points(block) {
                    let known = address_of(block, point, &self.part.node);
                    if let Some(order) = known.as_ref().and_then(&order) {
                        found.push((order, point));
                    }
                }
            })?;
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, point)| point).find(|point| accept(*point)))
    }

    /// The network has an address of the span, or an attachment on this node.
    fn holds_in(&self, domain: &str, network: &str, span: Span) -> Result<bool, Error> {
        if self.desk().is_used(domain, network)? {
            return Ok(true);
        }
        for first in self.blocks_of(domain, span)? {
            let holds = |block: &Block| {
                let mut held = block.held.iter().filter(|(_, held)| held.network == network);
                held.any(|(address, _)| span.contains(Point::from(*address)))
            };
            if self.block(domain, first, holds)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn store<R>(
        &self,
        owner: &Owner,
        f: impl FnOnce(&mut Store, &mut bool) -> R,
    ) -> Result<R, Error> {
        self.want_known(&keys::store(owner))?;
        let mut none = (Store::default(), false);
        self.with(&keys::store(owner), |slot| {
            slot.guarded = true;
            match &mut slot.content {
                Content::Store(store) => f(store, &mut slot.changed),
                _ => f(&mut none.0, &mut none.1),
            }
        })
    }

    fn stored(&self, value: &Value) -> Stored {
        let holder = value.holder.as_ref().map(|holder| holder.seen_from(&self.part.node));
        Stored { value: value.value.clone(), holder }
    }
}

/// What the host keeps is the node's own; what plugins keep is the cluster's.
pub(super) fn is_of_host(owner: &Owner) -> bool {
    owner.as_str().starts_with("//")
}

/// All that is to be below this key, as the cache has it.
fn slot(key: &str, cached: Option<Object>, cut: Cut) -> Result<Slot, String> {
    let (version, content) = match cached {
        Some(object) => (object.version, Content::read(key, &object.value)?),
        None => (0, empty(key, cut)),
    };
    Ok(Slot { version, content, changed: false, guarded: false })
}

/// An object that is not there yet.
fn empty(key: &str, cut: Cut) -> Content {
    if key.starts_with(keys::DOMAINS) {
        let (block, ordered) = (cut.bits, cut.ordered);
        return Content::Domain(Domain { block, ordered, ..Domain::default() });
    }
    if key.starts_with(keys::MACHINES) {
        return Content::Named(Named::default());
    }
    if key.starts_with(keys::BLOCKS) {
        return Content::Block(Block::default());
    }
    if key.starts_with(keys::IDENTITIES) {
        return Content::Identity(Remembered::default());
    }
    Content::Store(Store::default())
}

/// From the first address of IPv4 to the last one of IPv6, as blocks are ordered.
fn everything() -> Span {
    let first = Point::from(IpAddr::from([0, 0, 0, 0]));
    let last = Point::from(IpAddr::from([u8::MAX; 16]));
    Span { first, last }
}

fn is_known(block: &Block, point: Point) -> bool {
    let ip = point.ip();
    block.held.contains_key(&ip) || block.rests.contains_key(&ip) || block.kept.contains_key(&ip)
}

fn known_points(block: &Block) -> BTreeSet<Point> {
    let all = block.held.keys().chain(block.rests.keys()).chain(block.kept.keys());
    all.copied().map(Point::from).collect()
}

/// What is known of an address, as `node` sees it.
fn address_of(block: &Block, point: Point, node: &str) -> Option<Address> {
    let ip = point.ip();
    let holder = block.held.get(&ip).map(|held| held.seen_from(node));
    let rest = block.rests.get(&ip).map(Resting::rest);
    let kept = block.kept.get(&ip).map(|keeping| keeping.order);
    let address = Address { holder, rest, kept };
    (!address.is_free()).then_some(address)
}

/// One that rests is nobody's; who holds one, it does not rest.
fn write_address(block: &mut Block, point: Point, to: &Address, held: Option<Held>) {
    let ip = point.ip();
    match held {
        Some(held) => block.held.insert(ip, held),
        None => block.held.remove(&ip),
    };
    match to.rest {
        Some(rest) => block.rests.insert(ip, Resting::of(rest)),
        None => block.rests.remove(&ip),
    };
    match to.kept {
        Some(order) => block.kept.entry(ip).or_default().order = order,
        None => drop(block.kept.remove(&ip)),
    }
}
