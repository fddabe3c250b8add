//! A session over any book: each read is one short transaction, noted; writes are held back
//! until the commit. Never keeps a transaction open between two calls.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::book::{Halt, Scan, Shelf};
use crate::point::{Point, spans};
use crate::rules::{self, Draft, Note, Search, Store, Written};
use crate::search::{Ask, Tier, find};
use crate::{
    Commit, Error, Holder, HostPort, Owner, Range, Record, Refusal, Scope, Session, Usage,
};

/// What a session had written to stores at some time: see [`Session::kept`].
#[derive(Debug, Clone)]
pub struct Kept(Store);

/// One call's view of the book on this shelf.
pub(crate) struct Sitting<S> {
    shelf: S,
    draft: Draft,
    /// Addresses whose rest is over were freed for this session.
    rests_ended: bool,
}

impl<S: Shelf> Sitting<S> {
    pub(crate) fn open(shelf: S, scope: Scope) -> Result<Self, Error> {
        let entry = shelf.read(|book| book.attachment(&scope.id))?;
        let seq = entry.as_ref().map(|entry| entry.seq);
        let own = entry.filter(|entry| entry.record.domain == scope.domain);
        let own = own.map_or_else(Vec::new, |entry| entry.record.addresses);
        let draft = Draft {
            seq,
            own: own.into_iter().map(Point::from).collect(),
            scope,
            notes: Vec::new(),
            taken: Vec::new(),
            claimed: Vec::new(),
            pools: None,
            cursors: BTreeMap::new(),
            identities: Vec::new(),
            store: BTreeMap::new(),
        };
        Ok(Self { shelf, draft, rests_ended: false })
    }

    /// Writes only where there is something to free: most calls do not.
    fn end_rests(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.rests_ended, true) {
            return Ok(());
        }
        let now = self.draft.scope.now;
        if self.shelf.read(|book| book.rested(now, 1))?.is_empty() {
            return Ok(());
        }
        done(self.shelf.write(|book| Ok(rules::end_rests(book, now)?)))?;
        Ok(())
    }

    fn found(&mut self, ask: &Ask, point: Point, tier: Tier) {
        self.draft.taken.push(point);
        if tier != Tier::Own {
            self.draft.cursors.insert(ask.ranges.clone(), point);
        }
    }

    /// What the book has under the key, noted.
    fn entry(&mut self, owner: &Owner, key: &str) -> Result<Option<String>, Error> {
        let stored = self.shelf.read(|book| book.entry(owner, key))?;
        let value = stored.as_ref().map(|stored| stored.value.clone());
        self.draft.notes.push(Note::Entry(owner.clone(), key.to_owned(), stored));
        Ok(value)
    }

    /// What the session has written to the store.
    fn own<'d>(&'d self, owner: &'d Owner) -> impl Iterator<Item = (&'d String, &'d Written)> {
        let all = self.draft.store.iter().filter(move |((of, _), _)| of == owner);
        all.map(|((_, key), to)| (key, to))
    }
}

/// A transaction that cannot conflict ends in its result or the book's error.
pub(crate) fn done<R>(result: Result<R, Halt>) -> Result<Option<R>, Error> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(Halt::Conflict) => Ok(None),
        Err(Halt::Error(error)) => Err(error),
    }
}

impl<S: Shelf> Session for Sitting<S> {
    fn pools(&mut self, ranges: &[Range]) -> Result<(), Error> {
        let spans = spans(ranges);
        self.shelf.read(|book| rules::check_pools(book, self.draft.place(), &spans))?;
        self.draft.notes.push(Note::Pools(spans.clone()));
        self.draft.pools = Some(spans);
        Ok(())
    }

    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, Error> {
        let point = Point::from(address);
        let granted = self.shelf.read(|book| rules::grant(book, &self.draft.scope, point))?;
        match &granted {
            Err(Refusal::Held(holder)) => {
                self.draft.notes.push(Note::Refused(point, holder.clone()));
            }
            Err(Refusal::Reserved(_)) => {}
            Ok(()) => {
                self.draft.notes.push(Note::Granted(point));
                if !self.draft.taken.contains(&point) {
                    self.draft.taken.push(point);
                }
            }
        }
        Ok(granted)
    }

    fn claim(&mut self, port: &HostPort) -> Result<Result<(), Holder>, Error> {
        let granted = self.shelf.read(|book| rules::claim(book, &self.draft.scope.id, port))?;
        let holder = granted.as_ref().err().map(|holder| holder.id.clone());
        self.draft.notes.push(Note::Claimed(*port, holder));
        if granted.is_ok() && !self.draft.claimed.contains(port) {
            self.draft.claimed.push(*port);
        }
        Ok(granted)
    }

    fn take_free(
        &mut self,
        ranges: &[Range],
        excluded: &[Range],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, Error> {
        self.end_rests()?;
        let ask = Ask::new(spans(ranges), spans(excluded), start.map(Point::from));
        let taken = self.draft.taken.len();
        let last = self.draft.cursors.get(&ask.ranges).copied();
        let seeker = self.draft.seeker(taken, last);
        let found = self.shelf.read(|book| find(book, seeker, &ask))?;
        if let Some((point, tier)) = found {
            self.found(&ask, point, tier);
        }
        self.draft.notes.push(Note::Found(Search { ask, found, taken, last }));
        Ok(found.map(|(point, _)| point.ip()))
    }

    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, Error> {
        let points = self.shelf.read(|book| book.identity(self.draft.place(), identity))?;
        let addresses = points.iter().map(|point| point.ip()).collect();
        self.draft.notes.push(Note::Remembered(identity.to_owned(), points));
        Ok(addresses)
    }

    fn remember(&mut self, identity: &str) {
        if !self.draft.identities.iter().any(|known| known == identity) {
            self.draft.identities.push(identity.to_owned());
        }
    }

    fn store_get(&mut self, owner: &Owner, key: &str) -> Result<Option<String>, Error> {
        match self.draft.store.get(&(owner.clone(), key.to_owned())) {
            Some(own) => Ok(own.as_ref().map(|(value, _)| value.clone())),
            None => self.entry(owner, key),
        }
    }

    fn store_put(&mut self, owner: &Owner, key: &str, value: &str, attachment: bool) {
        let to = Some((value.to_owned(), attachment));
        self.draft.store.insert((owner.clone(), key.to_owned()), to);
    }

    fn store_remove(&mut self, owner: &Owner, key: &str) -> Result<bool, Error> {
        let there = self.store_get(owner, key)?.is_some();
        self.draft.store.insert((owner.clone(), key.to_owned()), None);
        Ok(there)
    }

    fn store_scan(
        &mut self,
        owner: &Owner,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, String)>, Error> {
        // As many more as the session may have removed.
        let most = limit.saturating_add(self.own(owner).count());
        let after = after.map(str::to_owned);
        let scan = Scan { prefix: prefix.to_owned(), after, limit: most };
        let found = self.shelf.read(|book| book.scan(owner, &scan))?;
        let mut entries: BTreeMap<String, String> = found.iter().cloned().collect();
        for (key, own) in self.own(owner).filter(|(key, _)| scan.wants(key)) {
            match own {
                Some((value, _)) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        self.draft.notes.push(Note::Scanned(owner.clone(), scan, found));
        Ok(entries.into_iter().take(limit).collect())
    }

    fn store_count(&mut self, owner: &Owner, prefix: &str) -> Result<u64, Error> {
        let found = self.shelf.read(|book| book.tally(owner, prefix))?;
        self.draft.notes.push(Note::Counted(owner.clone(), prefix.to_owned(), found));
        let own = self.own(owner).filter(|(key, _)| key.starts_with(prefix));
        let own: Vec<(String, bool)> = own.map(|(key, to)| (key.clone(), to.is_some())).collect();
        let mut count = found;
        for (key, stays) in own {
            match (self.entry(owner, &key)?.is_some(), stays) {
                (false, true) => count = count.saturating_add(1),
                (true, false) => count = count.saturating_sub(1),
                _ => {}
            }
        }
        Ok(count)
    }

    fn store_size(&self, owner: &Owner) -> Result<u64, Error> {
        let bytes = |key: &str, value: &str| (key.len() as u64).saturating_add(value.len() as u64);
        self.shelf.read(|book| {
            let mut size = book.size(owner)?;
            for (key, to) in self.own(owner) {
                let before = book.entry(owner, key)?.map_or(0, |stored| bytes(key, &stored.value));
                let after = to.as_ref().map_or(0, |(value, _)| bytes(key, value));
                size = size.saturating_sub(before).saturating_add(after);
            }
            Ok(size)
        })
    }

    fn kept(&self) -> Kept {
        Kept(self.draft.store.clone())
    }

    fn restore(&mut self, kept: Kept) {
        self.draft.store = kept.0;
    }

    fn usage(&self, ranges: &[Range]) -> Result<Usage, Error> {
        let Scope { domain, now, .. } = &self.draft.scope;
        self.shelf.read(|book| rules::usage(book, domain, ranges, *now))
    }

    fn commit(self: Box<Self>, record: &Record) -> Result<Commit, Error> {
        let committed = done(self.shelf.write(|book| rules::commit(book, &self.draft, record)))?;
        Ok(committed.map_or(Commit::Conflict, Commit::Done))
    }
}
