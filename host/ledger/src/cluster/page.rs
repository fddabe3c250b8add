//! The cluster's book as rows, over what a node has of it in its cache; what is the node's alone
//! (records, ports, cursors, what the host keeps) are rows of its own book. Pure but for that:
//! it never asks the store. Where an answer would need a newer view than the cache's, it says so
//! ([`Page::wants_fresh`]) and gives an error; the caller brings the cache up to date and begins
//! anew. What was decided on older objects is guarded by their versions when it is committed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wharfinger_cni::AttachmentId;

use super::keys;
use super::objects::{
    Block, Content, Domain, Held, Keeping, Named, Remembered, Resting, Store, Value,
};
use super::queue::Queued;
use super::remote::{Guard, Object, Put};
use crate::book::{
    Accept, Address, Book, Desk, Halt, Identity, Lasting, Place, Reach, Scan, Stored,
};
use crate::point::{Point, Span};
use crate::port::Spot;
use crate::{Entry, Error, Owner, Record, Usage};

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

/// See the module.
pub(super) struct Page<'a> {
    own: Own<'a>,
    part: &'a Part,
    slots: RefCell<BTreeMap<String, Slot>>,
    /// The node's blocks by domain, once they were asked for.
    blocks: RefCell<Option<BTreeSet<(String, Point)>>>,
    /// The cache was brought up to date for this.
    fresh: bool,
    wants_fresh: Cell<bool>,
    /// Seconds since the Unix epoch: what rests until then is free.
    now: u64,
    /// What is written beside the addresses that are taken.
    announced: Option<(String, IpAddr)>,
    /// What this node held and does not want any more.
    given_up: Vec<Queued>,
}

impl<'a> Page<'a> {
    pub(super) fn new(own: Own<'a>, part: &'a Part, now: u64, fresh: bool) -> Self {
        Self {
            own,
            part,
            slots: RefCell::default(),
            blocks: RefCell::default(),
            fresh,
            wants_fresh: Cell::new(false),
            now,
            announced: None,
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
        let page = Self::new(own, part, now, true);
        page.slots.replace(seen.clone());
        page
    }

    /// Whether an answer would have needed a newer view.
    pub(super) fn wants_fresh(&self) -> bool {
        self.wants_fresh.get()
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
    fn stale(&self) -> Error {
        self.wants_fresh.set(true);
        self.damaged("an older view than was asked for".to_owned())
    }

    /// An answer that is given for good is given from a view that is not older than the question.
    fn want_fresh(&self) -> Result<(), Error> {
        if self.fresh { Ok(()) } else { Err(self.stale()) }
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
        if self.fresh || self.with(key, |slot| slot.version > 0 || slot.changed)? {
            return Ok(());
        }
        Err(self.stale())
    }

    fn domain(&self, domain: &str) -> Result<Domain, Error> {
        self.want_known(&keys::domain(domain))?;
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
        let span = keys::around(point, self.domain(domain)?.block);
        // How it is cut must be written before the first block is.
        self.with(&keys::domain(domain), |slot| slot.changed |= slot.version == 0)?;
        self.with(&keys::block(domain, span.first), |slot| {
            if let Content::Block(block) = &mut slot.content {
                f(block);
                slot.changed = true;
            }
        })
    }

    /// What is held is held by this node: its name must be this machine's, and nobody's word that
    /// it is dead may come between.
    fn be_known(&self) -> Result<(), Error> {
        let key = keys::machine(&self.part.node);
        self.want_known(&key)?;
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
        self.want_fresh()?;
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
        self.want_fresh()?;
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

impl Book for Page<'_> {
    fn attachment(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        self.desk().attachment(id)
    }

    fn attachments(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        self.desk().attachments(network)
    }

    fn put_attachment(&mut self, record: &Record, seq: u64) -> Result<(), Error> {
        self.announced = super::announced(record);
        self.desk_mut()?.put_attachment(record, seq)
    }

    fn remove_attachment(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.remove_attachment(id)
    }

    fn remove_entries(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.remove_entries(id)?;
        let node = self.part.node.clone();
        let stores = self.desk().cached_below(keys::STORES)?;
        for object in stores {
            // What is not its own is not guarded by having been looked into.
            let goes = |value: &Value| value.is_of(&node, id);
            self.with(&object.key, |slot| {
                if let Content::Store(Store(entries)) = &mut slot.content
                    && entries.values().any(goes)
                {
                    entries.retain(|_, value| !goes(value));
                    slot.changed = true;
                }
            })?;
        }
        Ok(())
    }

    /// Other nodes may use it: ranges go only when another network wants them.
    fn is_used(&self, _: &str, _: &str) -> Result<bool, Error> {
        Ok(true)
    }

    fn seq(&self) -> Result<u64, Error> {
        self.desk().seq()
    }

    fn next_seq(&mut self) -> Result<u64, Error> {
        self.desk_mut()?.next_seq()
    }

    fn reaches(&self, domain: &str) -> Result<&'static [Reach], Error> {
        if self.domain(domain)?.ordered {
            return Ok(&[Reach::All]);
        }
        Ok(&[Reach::Own, Reach::Unclaimed, Reach::All])
    }

    fn address(&self, domain: &str, point: Point) -> Result<Option<Address>, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        let node = &self.part.node;
        let held = |block: &Block| block.held.get(&point.ip()).map(|held| held.node == *node);
        match self.block(domain, span.first, held)? {
            Some(true) => {
                self.guard_block(domain, point)?;
                // Without a record, it may have been released, and be another's.
                if !self.is_recorded(domain, point)? {
                    self.want_fresh()?;
                }
            }
            Some(false) => self.want_fresh()?,
            None => {}
        }
        self.block(domain, span.first, |block| address_of(block, point, node))
    }

    fn set_address(&mut self, domain: &str, point: Point, to: &Address) -> Result<(), Error> {
        let (node, announced) = (self.part.node.clone(), self.announced.clone());
        let ordered = self.domain(domain)?.ordered;
        if to.holder.is_some() {
            self.be_known()?;
        } else if let Some(id) = self.held_here(domain, point)? {
            self.given_up.push(Queued::held(domain, point.ip(), &id, None));
            return Ok(());
        }
        self.change_block(domain, point, |block| {
            let before = block.held.get(&point.ip());
            let held = to.holder.as_ref().map(|id| match before {
                // Another's, or one that stays.
                Some(held) if held.seen_from(&node) == *id => held.clone(),
                _ => Held::new(&node, id, announced.clone()),
            });
            if held.is_some() && !ordered && block.owner.is_none() {
                block.owner = Some(node.clone());
            }
            write_address(block, point, to, held);
        })
    }

    fn run(&self, domain: &str, point: Point, reach: Reach) -> Result<Option<Span>, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        match reach {
            Reach::Own => match self.own_block(domain, span.first)? {
                Ok(()) => {
                    // In an old cache it may have been another's meanwhile.
                    self.run_in(domain, span, point)
                }
                Err(next) => {
                    let last = next
                        .and_then(Point::previous)
                        .filter(|last| Span::new(point, *last).is_some());
                    let end = keys::around(point, u128::BITS).last;
                    Ok(Span::new(point, last.unwrap_or(end)))
                }
            },
            Reach::Unclaimed => {
                self.want_fresh()?;
                if self.block(domain, span.first, |block| block.owner.is_some())? {
                    return Ok(Some(span));
                }
                self.run_in(domain, span, point)
            }
            Reach::All => {
                self.want_fresh()?;
                self.run_in(domain, span, point)
            }
        }
    }

    fn oldest_rest(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        let order = |known: &Address| known.rest.filter(|_| known.kept.is_none());
        self.lowest(domain, |known| order(known).map(|rest| rest.order), accept)
    }

    fn oldest_kept(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        self.lowest(domain, |known| known.kept.filter(|_| known.holder.is_none()), accept)
    }

    /// None: those whose rest is over are free already, see [`Page::load`].
    fn rested(&self, _: u64, _: usize) -> Result<Vec<(String, Point)>, Error> {
        Ok(Vec::new())
    }

    fn count(&self, domain: &str, span: Span, now: u64) -> Result<Usage, Error> {
        let mut sum = Usage::default();
        for first in self.blocks_of(domain, span)? {
            self.block(domain, first, |block| {
                for point in known_points(block).into_iter().filter(|point| span.contains(*point)) {
                    tally(&mut sum, address_of(block, point, &self.part.node), now);
                }
            })?;
        }
        Ok(sum)
    }

    fn port_holder(&self, spot: Spot, but: &AttachmentId) -> Result<Option<AttachmentId>, Error> {
        self.desk().port_holder(spot, but)
    }

    fn hold_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.hold_port(spot, id)
    }

    fn free_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.free_port(spot, id)
    }

    fn pool(&self, domain: &str, network: &str) -> Result<Vec<Span>, Error> {
        let known = self.domain(domain)?;
        let ranges = known.networks.get(network).map(Vec::as_slice).unwrap_or_default();
        Ok(ranges.iter().filter_map(spanned).collect())
    }

    fn put_pool(&mut self, domain: &str, network: &str, spans: &[Span]) -> Result<(), Error> {
        self.domain(domain)?;
        self.with(&keys::domain(domain), |slot| {
            let Content::Domain(domain) = &mut slot.content else { return };
            // Whose ranges overlap with these has nothing in them: see `overlap`.
            domain.networks.retain(|_, ranges| {
                let mut theirs = ranges.iter().filter_map(spanned);
                !theirs.any(|other| spans.iter().any(|span| span.overlaps(other)))
            });
            let ranges = spans.iter().map(|span| (span.first.ip(), span.last.ip())).collect();
            if spans.is_empty() {
                domain.networks.remove(network);
            } else {
                domain.networks.insert(network.to_owned(), ranges);
            }
            slot.changed = true;
        })
    }

    /// Ranges of a network that has nothing in them any more are nobody's.
    fn overlap(
        &self,
        domain: &str,
        network: &str,
        span: Span,
    ) -> Result<Option<(String, Span)>, Error> {
        let known = self.domain(domain)?;
        for (other, ranges) in known.networks.iter().filter(|(name, _)| *name != network) {
            let theirs = ranges.iter().filter_map(spanned);
            let Some(clash) = theirs.clone().find(|theirs| theirs.overlaps(span)) else { continue };
            self.want_fresh()?;
            for all in theirs {
                if self.holds_in(domain, other, all)? {
                    return Ok(Some((other.clone(), clash)));
                }
            }
        }
        Ok(None)
    }

    fn cursor(&self, place: Place<'_>, spans: &[Span]) -> Result<Option<Point>, Error> {
        self.desk().cursor(place, spans)
    }

    fn put_cursor(&mut self, place: Place<'_>, spans: &[Span], at: Point) -> Result<(), Error> {
        self.desk_mut()?.put_cursor(place, spans, at)
    }

    fn identity(&self, place: Place<'_>, identity: &str) -> Result<Vec<Point>, Error> {
        self.want_known(&keys::identity(place, identity))?;
        self.with(&keys::identity(place, identity), |slot| {
            slot.guarded = true;
            match &slot.content {
                Content::Identity(Remembered(all)) => {
                    all.iter().copied().map(Point::from).collect()
                }
                _ => Vec::new(),
            }
        })
    }

    fn put_identity(
        &mut self,
        place: Place<'_>,
        identity: &str,
        points: &[Point],
    ) -> Result<(), Error> {
        let before = self.identity(place, identity)?;
        if before == points {
            return Ok(());
        }
        for point in before.iter().filter(|point| !points.contains(point)) {
            self.keep_less(place.domain, *point)?;
        }
        for point in points.iter().filter(|point| !before.contains(point)) {
            self.keep_more(place.domain, *point)?;
        }
        self.with(&keys::identity(place, identity), |slot| {
            slot.content =
                Content::Identity(Remembered(points.iter().map(|point| point.ip()).collect()));
            slot.changed = true;
        })
    }

    fn identities(&self) -> Result<Vec<Identity>, Error> {
        self.want_fresh()?;
        let mut all = Vec::new();
        for object in self.desk().cached_below(keys::IDENTITIES)? {
            let Some([domain, network, identity]) = keys::of_identity(&object.key) else {
                continue;
            };
            let points = self.identity(Place { domain: &domain, network: &network }, &identity)?;
            let addresses = points.into_iter().map(Point::ip).collect();
            all.push(Identity { domain, network, identity, addresses });
        }
        all.sort_unstable();
        Ok(all)
    }

    fn is_kept(&self, domain: &str, point: Point) -> Result<bool, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        self.block(domain, span.first, |block| {
            block.kept.get(&point.ip()).is_some_and(|keeping| keeping.by > 0)
        })
    }

    fn entry(&self, owner: &Owner, key: &str) -> Result<Option<Stored>, Error> {
        if is_of_host(owner) {
            return self.desk().entry(owner, key);
        }
        self.store(owner, |Store(entries), _| entries.get(key).map(|value| self.stored(value)))
    }

    fn put_entry(&mut self, owner: &Owner, key: &str, to: Option<&Stored>) -> Result<(), Error> {
        if is_of_host(owner) {
            return self.desk_mut()?.put_entry(owner, key, to);
        }
        let node = self.part.node.clone();
        self.store(owner, |Store(entries), changed| {
            *changed = true;
            match to {
                Some(Stored { value, holder }) => {
                    let holder = holder.as_ref().map(|id| Held::new(&node, id, None));
                    entries.insert(key.to_owned(), Value { value: value.clone(), holder });
                }
                None => drop(entries.remove(key)),
            }
        })
    }

    fn scan(&self, owner: &Owner, scan: &Scan) -> Result<Vec<(String, String)>, Error> {
        if is_of_host(owner) {
            return self.desk().scan(owner, scan);
        }
        self.store(owner, |Store(entries), _| {
            let wanted = entries.iter().filter(|(key, _)| scan.wants(key)).take(scan.limit);
            wanted.map(|(key, value)| (key.clone(), value.value.clone())).collect()
        })
    }

    fn tally(&self, owner: &Owner, prefix: &str) -> Result<u64, Error> {
        if is_of_host(owner) {
            return self.desk().tally(owner, prefix);
        }
        self.store(owner, |Store(entries), _| {
            entries.keys().filter(|key| key.starts_with(prefix)).count() as u64
        })
    }

    fn size(&self, owner: &Owner) -> Result<u64, Error> {
        if is_of_host(owner) {
            return self.desk().size(owner);
        }
        self.store(owner, |Store(entries), _| {
            entries.iter().map(|(key, value)| (key.len() + value.value.len()) as u64).sum()
        })
    }

    /// The store of a cluster lasts.
    fn persist(&mut self, changes: &[Lasting]) -> Result<(), Halt> {
        let of_host = |change: &&Lasting| match change {
            Lasting::Entry { owner, .. } => is_of_host(owner),
            Lasting::Identity(_) => false,
        };
        let own: Vec<Lasting> = changes.iter().filter(of_host).cloned().collect();
        if own.is_empty() { Ok(()) } else { self.desk_mut()?.persist(&own) }
    }

    fn damaged(&self, what: String) -> Error {
        super::unavailable(what)
    }
}

impl Page<'_> {
    fn keep_more(&self, domain: &str, point: Point) -> Result<(), Error> {
        self.change_block(domain, point, |block| {
            let keeping = block.kept.entry(point.ip()).or_default();
            keeping.by = keeping.by.saturating_add(1);
        })
    }

    fn keep_less(&self, domain: &str, point: Point) -> Result<(), Error> {
        self.change_block(domain, point, |block| {
            if let Some(Keeping { by, .. }) = block.kept.get_mut(&point.ip()) {
                *by = by.saturating_sub(1);
            }
        })
    }
}

fn spanned((first, last): &(IpAddr, IpAddr)) -> Option<Span> {
    Span::new((*first).into(), (*last).into())
}

/// Counts one address.
fn tally(sum: &mut Usage, known: Option<Address>, now: u64) {
    let Some(known) = known else { return };
    if known.holder.is_some() {
        sum.held = sum.held.saturating_add(1);
    } else if known.kept.is_some() {
        sum.remembered = sum.remembered.saturating_add(1);
    } else if known.rest.is_some_and(|rest| rest.until > now) {
        sum.cooling = sum.cooling.saturating_add(1);
    }
}
