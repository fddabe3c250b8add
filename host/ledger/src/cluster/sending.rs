//! How a commit is brought to the store: in one piece where the store can, else object by object.
//! What keeps an address from being given twice is one object, its block, so that each write by
//! itself is safe; what is written before a conflict, or a crash, is taken back, or found as a
//! stray. Written first is what says how and by whom blocks are taken, then blocks, then what is
//! beside them.

use std::time::Duration;

use super::keys;
use super::page::Slot;
use super::remote::{Committed, Fault, Guard, Put};
use super::{Change, ClusterLedger, OwnBook, failed};
use crate::Error;
use crate::session::done;

/// What came of a commit.
pub(super) struct Sent {
    /// What stands, with its versions.
    pub(super) written: Vec<(Put, u64)>,
    pub(super) end: End,
}

/// How it ended.
pub(super) enum End {
    Done,
    /// These are others than they were taken for.
    Conflict(Vec<String>),
    Failed(Fault),
}

impl Sent {
    pub(super) fn nothing() -> Self {
        Self { written: Vec::new(), end: End::Done }
    }

    fn ended(written: Vec<(Put, u64)>, end: Result<End, Fault>) -> Self {
        Self { written, end: end.unwrap_or_else(End::Failed) }
    }
}

/// What is written earlier.
fn rank(key: &str) -> usize {
    let order = [keys::DOMAINS, keys::MACHINES, keys::VNIS, keys::BLOCKS, keys::IDENTITIES];
    order.iter().position(|prefix| key.starts_with(prefix)).unwrap_or(order.len())
}

/// Whether the cache has what is of this key.
fn is_cached(key: &str) -> bool {
    key.starts_with(keys::BOOK) || key.starts_with(keys::MACHINES)
}

impl<S: OwnBook> ClusterLedger<S> {
    /// Writes what is to be written, while there is time `left`.
    pub(super) fn send_commit(
        &self,
        guards: &[Guard],
        puts: &[Put],
        left: &dyn Fn() -> Duration,
    ) -> Sent {
        if !self.remote.transactions() {
            return self.one_by_one(guards, puts, left);
        }
        match self.remote.commit(guards, puts, left()) {
            Ok(Committed::Done(versions)) => {
                let written = puts.iter().cloned().zip(versions).collect();
                Sent { written, end: End::Done }
            }
            Ok(Committed::Conflict) => Sent::ended(Vec::new(), Ok(End::Conflict(keys_of(guards)))),
            Err(fault) => Sent::ended(Vec::new(), Err(fault)),
        }
    }

    fn one_by_one(&self, guards: &[Guard], puts: &[Put], left: &dyn Fn() -> Duration) -> Sent {
        let mut written = Vec::new();
        let mut puts = puts.to_vec();
        let end = self.beside(guards, &mut puts, left).and_then(|conflict| {
            if let Some(conflict) = conflict {
                return Ok(conflict);
            }
            puts.sort_by_key(|put| rank(&put.key));
            for put in puts {
                let guard = match guards.iter().find(|guard| guard.key == put.key) {
                    Some(guard) => guard.clone(),
                    None => self.as_it_is(&put.key, left())?,
                };
                match self.remote.commit(&[guard], std::slice::from_ref(&put), left())? {
                    Committed::Done(versions) => {
                        let version = versions.first().copied().unwrap_or_default();
                        written.push((put, version));
                    }
                    Committed::Conflict => return Ok(End::Conflict(vec![put.key])),
                }
            }
            Ok(End::Done)
        });
        Sent::ended(written, end)
    }

    /// What is guarded and not written: a block is, as it is, so that its version is looked at in
    /// one with nothing between; what is of the domain, of the node's name, of identities and
    /// plugins costs a retry at most, and is not looked at; of anything else it is seen before.
    fn beside(
        &self,
        guards: &[Guard],
        puts: &mut Vec<Put>,
        left: &dyn Fn() -> Duration,
    ) -> Result<Option<End>, Fault> {
        let written = |key: &str| puts.iter().any(|put| put.key == key);
        let others: Vec<&Guard> = guards.iter().filter(|guard| !written(&guard.key)).collect();
        let (blocks, others): (Vec<&Guard>, Vec<&Guard>) =
            others.into_iter().partition(|guard| guard.key.starts_with(keys::BLOCKS));
        for guard in blocks {
            let known = self.own.look(|desk| desk.cached(&guard.key)).ok().flatten();
            match known.filter(|object| object.version == guard.version) {
                Some(object) => puts.push(Put { key: object.key, value: Some(object.value) }),
                None if guard.version == 0 => {}
                None => return Ok(Some(End::Conflict(vec![guard.key.clone()]))),
            }
        }
        for guard in others.into_iter().filter(|guard| !is_cached(&guard.key)) {
            if self.as_it_is(&guard.key, left())?.version != guard.version {
                return Ok(Some(End::Conflict(vec![guard.key.clone()])));
            }
        }
        Ok(None)
    }

    fn as_it_is(&self, key: &str, wait: Duration) -> Result<Guard, Fault> {
        let found = self.remote.get(&[key], wait)?;
        let version = found.first().map_or(0, |object| object.version);
        Ok(Guard { key: key.to_owned(), version })
    }

    /// A commit ended between two of its writes: what was written of it is known here, and is
    /// taken back where that is still possible; what is not is queued to be released.
    pub(super) fn take_back(&self, change: &Change, written: &[(Put, u64)]) -> Result<(), Error> {
        self.keep_written(written)?;
        let mut left = Vec::new();
        for (put, version) in written.iter().rev() {
            if rank(&put.key) < rank(keys::BLOCKS) {
                continue;
            }
            let before = change.seen.get(&put.key).and_then(Slot::text);
            let back = Put { key: put.key.clone(), value: before };
            let guard = Guard { key: put.key.clone(), version: *version };
            let sent = self.send_commit(&[guard], &[back], &self.remaining);
            self.keep_written(&sent.written)?;
            if !matches!(sent.end, End::Done) {
                left.push(put.clone());
            }
        }
        self.revoke_puts(&left, change);
        Ok(())
    }

    /// What the store has now is known here, too.
    pub(super) fn keep_written(&self, written: &[(Put, u64)]) -> Result<(), Error> {
        if written.is_empty() {
            return Ok(());
        }
        done(self.own.change(|desk| Ok(self.save(desk, written)?))).map(drop)
    }

    /// A commit that only some objects are part of, each as good as the others: false where one
    /// was another than it was taken for, and is known as it is now.
    pub(super) fn send_all(
        &self,
        guards: &[Guard],
        puts: &[Put],
        left: &dyn Fn() -> Duration,
    ) -> Result<bool, Error> {
        let sent = self.send_commit(guards, puts, left);
        self.keep_written(&sent.written)?;
        match sent.end {
            End::Done => Ok(true),
            End::Conflict(mut keys) => {
                keys.retain(|key| is_cached(key));
                self.reload(&keys, left()).map(|()| false)
            }
            End::Failed(fault) => Err(failed(&fault)),
        }
    }
}

pub(super) fn keys_of(guards: &[Guard]) -> Vec<String> {
    guards.iter().map(|guard| guard.key.clone()).collect()
}
