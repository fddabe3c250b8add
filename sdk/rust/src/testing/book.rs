//! The ledger and the store in memory, as plain as can be.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::address::{after, number};
use crate::ledger::{Refusal, Usage};
use crate::{AttachmentId, Range};

#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    held: BTreeMap<IpAddr, AttachmentId>,
    resting: BTreeSet<IpAddr>,
    reserved: BTreeMap<IpAddr, String>,
    identities: BTreeMap<String, Vec<IpAddr>>,
    /// The last address taken of each list of ranges.
    cursors: BTreeMap<Vec<Range>, IpAddr>,
    /// Value, and whose it is where it goes with its attachment.
    store: BTreeMap<String, (String, Option<AttachmentId>)>,
}

impl Book {
    pub(super) fn reserve(&mut self, address: IpAddr, why: &str) {
        self.reserved.insert(address, why.to_owned());
    }

    pub(super) fn holds(&self, id: &AttachmentId) -> Vec<IpAddr> {
        self.held.iter().filter(|(_, owner)| *owner == id).map(|(address, _)| *address).collect()
    }

    pub(super) fn release(&mut self, id: &AttachmentId) {
        self.settle(id, &[]);
        self.store.retain(|_, (_, owner)| owner.as_ref() != Some(id));
    }

    pub(super) fn reboot(&mut self) {
        self.held.clear();
        self.resting.clear();
        self.cursors.clear();
        self.store.retain(|_, (_, owner)| owner.is_none());
    }

    /// The attachment holds these and no others.
    pub(super) fn settle(&mut self, id: &AttachmentId, leased: &[IpAddr]) {
        for address in self.holds(id).into_iter().filter(|address| !leased.contains(address)) {
            self.held.remove(&address);
            self.resting.insert(address);
        }
    }

    pub(super) fn take(&mut self, id: &AttachmentId, address: IpAddr) -> Result<(), Refusal> {
        if let Some(why) = self.reserved.get(&address) {
            return Err(Refusal::Reserved(why.clone()));
        }
        match self.held.get(&address) {
            Some(owner) if owner != id => Err(Refusal::Held(owner.clone())),
            _ => {
                self.resting.remove(&address);
                self.held.insert(address, id.clone());
                Ok(())
            }
        }
    }

    pub(super) fn take_free(
        &mut self,
        id: &AttachmentId,
        ranges: &[Range],
        excluded: &[Range],
        start: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let free = self.free(id, ranges, excluded, start)?;
        self.take(id, free).ok()?;
        self.cursors.insert(ranges.to_vec(), free);
        Some(free)
    }

    /// What `take-free` takes, in the contract's order.
    fn free(
        &self,
        id: &AttachmentId,
        ranges: &[Range],
        excluded: &[Range],
        start: Option<IpAddr>,
    ) -> Option<IpAddr> {
        let may = |address: &IpAddr| {
            ranges.iter().any(|range| range.contains(*address))
                && !excluded.iter().any(|range| range.contains(*address))
        };
        if let Some(own) = self.holds(id).into_iter().find(may) {
            return Some(own);
        }
        let start = start
            .filter(|start| ranges.iter().any(|range| range.contains(*start)))
            .or_else(|| self.cursors.get(ranges).copied().map(after));
        let kept: Vec<IpAddr> = self.identities.values().flatten().copied().collect();
        let nobodys = |address: &IpAddr| {
            !self.held.contains_key(address) && !self.reserved.contains_key(address)
        };
        let fresh = |address: &IpAddr| {
            nobodys(address) && !self.resting.contains(address) && !kept.contains(address)
        };
        let mut rounds = rounds(ranges, start);
        rounds
            .find_map(|range| first_in(range, excluded, fresh))
            .or_else(|| self.resting.iter().copied().find(|a| may(a) && !kept.contains(a)))
            .or_else(|| kept.iter().copied().find(|a| may(a) && nobodys(a)))
    }

    pub(super) fn remembered(&self, identity: &str) -> Vec<IpAddr> {
        self.identities.get(identity).cloned().unwrap_or_default()
    }

    pub(super) fn remember(&mut self, identity: &str, addresses: &[IpAddr]) {
        self.identities.insert(identity.to_owned(), addresses.to_vec());
    }

    pub(super) fn usage(&self, ranges: &[Range]) -> Usage {
        let inside = |address: &&IpAddr| ranges.iter().any(|range| range.contains(**address));
        let free = |address: &&IpAddr| !self.held.contains_key(*address);
        let kept: BTreeSet<&IpAddr> = self.identities.values().flatten().collect();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let size = |range: &Range| {
            (number(range.last()) - number(range.first())).saturating_add(1).min(1 << 53)
        };
        let total = ranges.iter().map(size).fold(0_u128, u128::saturating_add).min(1 << 53);
        Usage {
            total: u64::try_from(total).unwrap_or(1 << 53),
            held: count(self.held.keys().filter(inside).count()),
            resting: count(self.resting.iter().filter(inside).count()),
            remembered: count(kept.into_iter().filter(inside).filter(free).count()),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.store.get(key).map(|(value, _)| value.clone())
    }

    pub(super) fn put(&mut self, key: &str, value: &str, owner: Option<AttachmentId>) {
        self.store.insert(key.to_owned(), (value.to_owned(), owner));
    }

    pub(super) fn remove(&mut self, key: &str) -> bool {
        self.store.remove(key).is_some()
    }

    pub(super) fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Vec<(String, String)> {
        let above = |key: &str| after.is_none_or(|after| key > after);
        self.store
            .iter()
            .filter(|(key, _)| key.starts_with(prefix) && above(key))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|(key, (value, _))| (key.clone(), value.clone()))
            .collect()
    }

    pub(super) fn count(&self, prefix: &str) -> u64 {
        let count = self.store.keys().filter(|key| key.starts_with(prefix)).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// The ranges in the order of the search: from `start` on, all that follow, and round.
fn rounds(ranges: &[Range], start: Option<IpAddr>) -> impl Iterator<Item = Range> {
    let begun = start.and_then(|start| {
        let at = ranges.iter().position(|range| range.contains(start))?;
        let rest = ranges.get(at).and_then(|range| Range::new(start, range.last()))?;
        Some((at, rest))
    });
    let (at, rest) = begun.map_or((0, None), |(at, rest)| (at + 1, Some(rest)));
    let later = ranges.iter().skip(at).copied().collect::<Vec<_>>();
    rest.into_iter().chain(later).chain(ranges.to_vec())
}

/// The first address of a range that is good; what is excluded is jumped over.
fn first_in(range: Range, excluded: &[Range], good: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
    let mut address = range.first();
    loop {
        let jump = excluded.iter().find(|range| range.contains(address)).map(Range::last);
        if jump.is_none() && good(&address) {
            return Some(address);
        }
        let last = jump.unwrap_or(address);
        if last >= range.last() {
            return None;
        }
        address = after(last);
    }
}
