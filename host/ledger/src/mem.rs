//! The model: a book in memory, as plain as can be, beside which the book on disk is measured.
//! For tests and for trying things out. It keeps no runs of taken addresses: it walks them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharfinger_cni::AttachmentId;

use crate::book::{
    Accept, Address, Book, Desk, Halt, Held, Identity, Lasting, Place, Reach, Scan, Shelf, Stand,
    Stored,
};
use crate::cluster::Object;
use crate::point::{Point, Span};
use crate::port::Spot;
use crate::rules;
use crate::session::{Sitting, done};
use crate::{
    Claim, Entry, Error, Ledger, Notice, Owner, Range, Record, Release, Scope, Session, Usage,
};

/// A book in memory. Shared between threads by reference; sessions of several threads commit
/// one after the other, and conflict as those of several processes do on disk.
#[derive(Debug, Default)]
pub struct MemLedger {
    rows: Mutex<Rows>,
    gate: Mutex<()>,
    turn: Mutex<()>,
    shared: bool,
}

impl MemLedger {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty book that passes for one of several nodes.
    pub fn of_cluster() -> Self {
        Self { shared: true, ..Self::default() }
    }

    /// A book with these records, as one that was lost is written anew from what was found on
    /// the node. Sequence numbers begin above those of any book that was written before `now`.
    /// Beside it the claims that could not be entered, since an earlier record has what they name.
    pub fn rebuilt(
        records: &[Record],
        now: u64,
    ) -> Result<(Self, Vec<(AttachmentId, Claim)>), Error> {
        let mut rows = Rows { seq: crate::first_seq(now), ..Rows::default() };
        let doubled = rules::restore(&mut rows, records)?;
        Ok((Self { rows: Mutex::new(rows), ..Self::default() }, doubled))
    }

    /// What is left of the book after a reboot: identities, permanent entries of stores, the
    /// outbox.
    pub fn rebooted(&self, now: u64) -> Result<Self, Error> {
        let mut rows = Rows { seq: crate::first_seq(now), ..Rows::default() };
        let before = self.rows();
        let lasting = before.lasting();
        (rows.outbox, rows.posted) = (before.outbox.clone(), before.posted);
        drop(before);
        rules::seed(&mut rows, &lasting)?;
        Ok(Self { rows: Mutex::new(rows), ..Self::default() })
    }

    /// All that is remembered, by domain, network and name.
    pub fn identities(&self) -> Result<Vec<Identity>, Error> {
        self.read(|book| book.identities())
    }

    /// Forgets an identity: false where nothing was remembered for it.
    pub fn forget(&self, network: &str, identity: &str) -> Result<bool, Error> {
        done(self.write(|book| rules::forget(book, network, identity)))
            .map(Option::unwrap_or_default)
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // A panic of another thread left the rows as they were: writes replace them at the end.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for MemLedger {
    fn read<R>(&self, f: impl Fn(&dyn Book) -> Result<R, Error>) -> Result<R, Error> {
        self.look(|rows| f(rows))
    }

    fn write<R>(&self, f: impl Fn(&mut dyn Book) -> Result<R, Halt>) -> Result<R, Halt> {
        self.change(|rows| f(rows))
    }
}

impl Ledger for MemLedger {
    fn shared(&self) -> bool {
        self.shared
    }

    fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        self.read(|book| book.attachment(id))
    }

    fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        self.read(|book| book.attachments(network))
    }

    fn horizon(&self) -> Result<u64, Error> {
        self.read(|book| book.seq())
    }

    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, Error> {
        Ok(Box::new(Sitting::open(self, scope)?))
    }

    fn attached(
        &self,
        id: &AttachmentId,
        seq: u64,
        result: &serde_json::Value,
    ) -> Result<Release, Error> {
        let write = self.write(|book| Ok(rules::attached(book, id, seq, result)?));
        Ok(done(write)?.unwrap_or(Release::Stale))
    }

    fn amend(&self, record: &Record, seq: u64) -> Result<Release, Error> {
        Ok(done(self.write(|book| Ok(rules::amend(book, record, seq)?)))?.unwrap_or(Release::Stale))
    }

    fn release(
        &self,
        id: &AttachmentId,
        seq: u64,
        now: u64,
        cool: Duration,
    ) -> Result<Release, Error> {
        let until = rules::rest_until(now, cool);
        let write = self.write(|book| Ok(rules::release(book, id, seq, until)?));
        Ok(done(write)?.unwrap_or(Release::Stale))
    }

    fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, Error> {
        self.read(|book| rules::usage(book, domain, ranges, now))
    }

    fn writable(&self) -> Result<(), Error> {
        Ok(())
    }

    fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, Error> {
        self.read(|book| rules::kept(book, owner))
    }

    fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), Error> {
        // A conflict means that the mirror was old; it is not by then.
        while done(self.write(|book| rules::keep(book, owner, key, value)))?.is_none() {}
        Ok(())
    }

    fn post(&self, notice: &Notice) -> Result<u64, Error> {
        let mut rows = self.rows();
        let same = rows.outbox.iter().find(|(_, posted)| *posted == notice);
        if let Some((number, _)) = same.filter(|(_, posted)| posted.lease.is_none()) {
            return Ok(*number);
        }
        rows.posted = rows.posted.saturating_add(1);
        let number = rows.posted;
        rows.outbox.insert(number, notice.clone());
        Ok(number)
    }

    fn post_lease(&self, number: u64, lease: &serde_json::Value) -> Result<(), Error> {
        if let Some(notice) = self.rows().outbox.get_mut(&number) {
            notice.lease = Some(lease.clone());
        }
        Ok(())
    }

    fn delivered(&self, number: u64) -> Result<(), Error> {
        self.rows().outbox.remove(&number);
        Ok(())
    }

    fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, Error> {
        let rows = self.rows();
        let here = rows.outbox.iter().filter(|(_, notice)| notice.id.network == network);
        Ok(here.map(|(number, notice)| (*number, notice.clone())).collect())
    }
}

/// Domain or network, and another name.
type Pair = (String, String);

#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    seq: u64,
    attachments: BTreeMap<AttachmentId, Entry>,
    addresses: BTreeMap<(String, Point), Address>,
    ports: BTreeMap<Spot, AttachmentId>,
    pools: BTreeMap<Pair, Vec<Span>>,
    cursors: BTreeMap<(Pair, Vec<Span>), Point>,
    identities: BTreeMap<(Pair, String), Vec<Point>>,
    store: BTreeMap<(Owner, String), Stored>,
    outbox: BTreeMap<u64, Notice>,
    /// The highest number given to a notice.
    posted: u64,
    /// Objects of the cluster's book, and whether each is the node's own.
    cache: BTreeMap<String, (Object, bool)>,
    synced: u64,
    queue: BTreeMap<u64, String>,
    /// The highest number given to what is queued.
    enqueued: u64,
}

fn pair(left: &str, right: &str) -> Pair {
    (left.to_owned(), right.to_owned())
}

impl Rows {
    fn lasting(&self) -> Vec<Lasting> {
        let identities = self.remembered().map(Lasting::Identity);
        let permanent = self.store.iter().filter(|(_, stored)| stored.holder.is_none());
        let entries = permanent.map(|((owner, key), stored)| Lasting::Entry {
            owner: owner.clone(),
            key: key.clone(),
            value: Some(stored.value.clone()),
        });
        identities.chain(entries).collect()
    }

    fn remembered(&self) -> impl Iterator<Item = Identity> {
        self.identities.iter().map(|(((domain, network), identity), points)| Identity {
            domain: domain.clone(),
            network: network.clone(),
            identity: identity.clone(),
            addresses: points.iter().map(|point| point.ip()).collect(),
        })
    }

    fn is_known(&self, domain: &str, point: Point) -> bool {
        self.addresses.contains_key(&(domain.to_owned(), point))
    }

    /// The last of the known points that follow each other without a gap from `from` on.
    fn follow(&self, domain: &str, from: Point, step: impl Fn(Point) -> Option<Point>) -> Point {
        let mut at = from;
        while let Some(next) = step(at).filter(|next| self.is_known(domain, *next)) {
            at = next;
        }
        at
    }

    fn lowest(
        &self,
        domain: &str,
        order: impl Fn(&Address) -> Option<u64>,
        accept: Accept<'_>,
    ) -> Option<Point> {
        let here = self.addresses.iter().filter(|((of, _), _)| of == domain);
        let mut ordered: Vec<(u64, Point)> =
            here.filter_map(|((_, point), known)| Some((order(known)?, *point))).collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, point)| point).find(|point| accept(*point))
    }
}

impl Book for Rows {
    fn attachment(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        Ok(self.attachments.get(id).cloned())
    }

    fn attachments(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        let all = self.attachments.values();
        let wanted = |entry: &&Entry| network.is_none_or(|name| entry.record.id.network == name);
        Ok(all.filter(wanted).cloned().collect())
    }

    fn put_attachment(&mut self, record: &Record, seq: u64) -> Result<(), Error> {
        self.attachments.insert(record.id.clone(), Entry { record: record.clone(), seq });
        Ok(())
    }

    fn remove_attachment(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.attachments.remove(id);
        self.remove_entries(id)
    }

    fn remove_entries(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.store.retain(|_, stored| stored.holder.as_ref() != Some(id));
        Ok(())
    }

    fn is_used(&self, domain: &str, network: &str) -> Result<bool, Error> {
        let mut all = self.attachments.values().map(|entry| &entry.record);
        Ok(all.any(|record| record.id.network == network && record.domain == domain))
    }

    fn seq(&self) -> Result<u64, Error> {
        Ok(self.seq)
    }

    fn next_seq(&mut self) -> Result<u64, Error> {
        self.seq = self.seq.saturating_add(1);
        Ok(self.seq)
    }

    fn address(&self, domain: &str, point: Point) -> Result<Option<Address>, Error> {
        Ok(self.addresses.get(&(domain.to_owned(), point)).cloned())
    }

    fn set_address(&mut self, domain: &str, point: Point, to: &Address) -> Result<(), Error> {
        let key = (domain.to_owned(), point);
        if to.is_free() {
            self.addresses.remove(&key);
        } else {
            self.addresses.insert(key, to.clone());
        }
        Ok(())
    }

    fn run(&self, domain: &str, point: Point, _: Reach) -> Result<Option<Span>, Error> {
        if !self.is_known(domain, point) {
            return Ok(None);
        }
        let first = self.follow(domain, point, Point::previous);
        Ok(Span::new(first, self.follow(domain, point, Point::next)))
    }

    fn oldest_rest(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        let order = |known: &Address| known.rest.filter(|_| known.kept.is_none());
        Ok(self.lowest(domain, |known| order(known).map(|rest| rest.order), accept))
    }

    fn oldest_kept(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        let order = |known: &Address| known.kept.filter(|_| known.holder.is_none());
        Ok(self.lowest(domain, order, accept))
    }

    fn rested(&self, now: u64, limit: usize) -> Result<Vec<(String, Point)>, Error> {
        let over = self.addresses.iter().filter_map(|((domain, point), known)| {
            let rest = known.rest.filter(|rest| rest.until <= now)?;
            Some((rest.until, domain.clone(), *point))
        });
        let mut over: Vec<_> = over.collect();
        over.sort_unstable();
        Ok(over.into_iter().take(limit).map(|(_, domain, point)| (domain, point)).collect())
    }

    fn count(&self, domain: &str, span: Span, now: u64) -> Result<Usage, Error> {
        let mut usage = Usage::default();
        for ((of, point), known) in &self.addresses {
            let count = match known {
                _ if of != domain || !span.contains(*point) => continue,
                Address { holder: Some(_), .. } => &mut usage.held,
                Address { kept: Some(_), .. } => &mut usage.remembered,
                Address { rest: Some(rest), .. } if rest.until > now => &mut usage.cooling,
                _ => continue,
            };
            *count = count.saturating_add(1);
        }
        Ok(usage)
    }

    fn port_holder(&self, spot: Spot, but: &AttachmentId) -> Result<Option<AttachmentId>, Error> {
        let clashing = self.ports.iter().filter(|(other, _)| spot.clashes(**other));
        Ok(clashing.map(|(_, holder)| holder).find(|holder| *holder != but).cloned())
    }

    fn hold_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        self.ports.insert(spot, id.clone());
        Ok(())
    }

    fn free_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        self.ports.retain(|other, holder| *other != spot || holder != id);
        Ok(())
    }

    fn pool(&self, domain: &str, network: &str) -> Result<Vec<Span>, Error> {
        Ok(self.pools.get(&pair(domain, network)).cloned().unwrap_or_default())
    }

    fn put_pool(&mut self, domain: &str, network: &str, spans: &[Span]) -> Result<(), Error> {
        self.pools.insert(pair(domain, network), spans.to_vec());
        Ok(())
    }

    fn overlap(
        &self,
        domain: &str,
        network: &str,
        span: Span,
    ) -> Result<Option<(String, Span)>, Error> {
        let others = self.pools.iter().filter(|((of, who), _)| of == domain && who != network);
        let all = others.flat_map(|((_, who), spans)| spans.iter().map(move |other| (who, *other)));
        let first = all
            .filter(|(_, other)| other.overlaps(span))
            .min_by_key(|(who, other)| ((*who).clone(), *other));
        Ok(first.map(|(who, other)| (who.clone(), other)))
    }

    fn cursor(&self, place: Place<'_>, spans: &[Span]) -> Result<Option<Point>, Error> {
        let key = (pair(place.domain, place.network), spans.to_vec());
        Ok(self.cursors.get(&key).copied())
    }

    fn put_cursor(&mut self, place: Place<'_>, spans: &[Span], at: Point) -> Result<(), Error> {
        self.cursors.insert((pair(place.domain, place.network), spans.to_vec()), at);
        Ok(())
    }

    fn identity(&self, place: Place<'_>, identity: &str) -> Result<Vec<Point>, Error> {
        let key = (pair(place.domain, place.network), identity.to_owned());
        Ok(self.identities.get(&key).cloned().unwrap_or_default())
    }

    fn put_identity(
        &mut self,
        place: Place<'_>,
        identity: &str,
        points: &[Point],
    ) -> Result<(), Error> {
        let key = (pair(place.domain, place.network), identity.to_owned());
        if points.is_empty() {
            self.identities.remove(&key);
        } else {
            self.identities.insert(key, points.to_vec());
        }
        Ok(())
    }

    fn identities(&self) -> Result<Vec<Identity>, Error> {
        Ok(self.remembered().collect())
    }

    fn is_kept(&self, domain: &str, point: Point) -> Result<bool, Error> {
        let mut here = self.identities.iter().filter(|(((of, _), _), _)| of == domain);
        Ok(here.any(|(_, points)| points.contains(&point)))
    }

    fn entry(&self, owner: &Owner, key: &str) -> Result<Option<Stored>, Error> {
        Ok(self.store.get(&(owner.clone(), key.to_owned())).cloned())
    }

    fn put_entry(&mut self, owner: &Owner, key: &str, to: Option<&Stored>) -> Result<(), Error> {
        let place = (owner.clone(), key.to_owned());
        match to {
            Some(stored) => self.store.insert(place, stored.clone()),
            None => self.store.remove(&place),
        };
        Ok(())
    }

    fn tally(&self, owner: &Owner, prefix: &str) -> Result<u64, Error> {
        let here = self.store.keys().filter(|(of, key)| of == owner && key.starts_with(prefix));
        Ok(here.count() as u64)
    }

    fn size(&self, owner: &Owner) -> Result<u64, Error> {
        let here = self.store.iter().filter(|((of, _), _)| of == owner);
        Ok(here.map(|((_, key), stored)| (key.len() + stored.value.len()) as u64).sum())
    }

    fn scan(&self, owner: &Owner, scan: &Scan) -> Result<Vec<(String, String)>, Error> {
        let here = self.store.iter().filter(|((of, key), _)| of == owner && scan.wants(key));
        let pairs = here.map(|((_, key), stored)| (key.clone(), stored.value.clone()));
        Ok(pairs.take(scan.limit).collect())
    }

    fn persist(&mut self, _: &[Lasting]) -> Result<(), Halt> {
        Ok(())
    }

    fn damaged(&self, what: String) -> Error {
        Error::Damaged { path: "memory".to_owned(), what }
    }
}

impl Desk for Rows {
    fn cached(&self, key: &str) -> Result<Option<Object>, Error> {
        Ok(self.cache.get(key).map(|(object, _)| object.clone()))
    }

    fn cached_below(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        let from = self.cache.range(prefix.to_owned()..);
        let below = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(below.map(|(_, (object, _))| object.clone()).collect())
    }

    fn cached_own(&self) -> Result<Vec<Object>, Error> {
        let own = self.cache.values().filter(|(_, own)| *own);
        Ok(own.map(|(object, _)| object.clone()).collect())
    }

    fn put_cached(&mut self, object: &Object, own: bool) -> Result<(), Error> {
        let there = self.cache.get(&object.key);
        if there.is_none_or(|(there, _)| there.version < object.version) {
            self.cache.insert(object.key.clone(), (object.clone(), own));
        }
        Ok(())
    }

    fn drop_cached(&mut self, key: &str) -> Result<(), Error> {
        self.cache.remove(key);
        Ok(())
    }

    fn forget_cached(&mut self) -> Result<(), Error> {
        self.cache.clear();
        self.synced = 0;
        Ok(())
    }

    fn synced(&self) -> Result<u64, Error> {
        Ok(self.synced)
    }

    fn set_synced(&mut self, upto: u64) -> Result<(), Error> {
        self.synced = self.synced.max(upto);
        Ok(())
    }

    fn queued(&self, limit: usize) -> Result<Vec<(u64, String)>, Error> {
        let all = self.queue.iter().take(limit);
        Ok(all.map(|(number, body)| (*number, body.clone())).collect())
    }

    fn enqueue(&mut self, body: &str) -> Result<(), Error> {
        self.enqueued = self.enqueued.saturating_add(1);
        self.queue.insert(self.enqueued, body.to_owned());
        Ok(())
    }

    fn dequeue(&mut self, number: u64) -> Result<(), Error> {
        self.queue.remove(&number);
        Ok(())
    }
}

impl Stand for MemLedger {
    fn look<R>(&self, mut f: impl FnMut(&dyn Desk) -> Result<R, Error>) -> Result<R, Error> {
        f(&*self.rows())
    }

    fn change<R>(&self, mut f: impl FnMut(&mut dyn Desk) -> Result<R, Halt>) -> Result<R, Halt> {
        let mut rows = self.rows();
        let mut next = rows.clone();
        let result = f(&mut next)?;
        *rows = next;
        Ok(result)
    }

    fn gate(&self, _: Duration) -> Result<Option<Box<dyn Held + '_>>, Error> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(Box::new(gate)))
    }

    /// Not waited for: one thread may have several calls under way.
    fn turn(&self, _: Duration) -> Result<Option<Box<dyn Held + '_>>, Error> {
        Ok(self.turn.try_lock().ok().map(|turn| Box::new(turn) as Box<dyn Held>))
    }
}
