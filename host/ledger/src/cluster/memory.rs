//! The store in memory: the model beside which real ones are measured, and a cluster for tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::remote::{Changes, Committed, Fault, Guard, Object, Put, Remote};

/// A store in memory. Its clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct MemRemote {
    state: Arc<Mutex<State>>,
    single: bool,
}

#[derive(Debug, Default)]
struct State {
    /// How many writes there were.
    version: u64,
    objects: BTreeMap<String, (u64, String)>,
    down: bool,
    /// How often it was asked.
    asked: u64,
}

impl State {
    /// The version of an empty store is one, as etcd's is.
    fn upto(&self) -> u64 {
        self.version.saturating_add(1)
    }
}

impl MemRemote {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store, seen as one without transactions.
    #[must_use]
    pub fn without_transactions(self) -> Self {
        Self { single: true, ..self }
    }

    /// Whether it answers from now on.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// How often it was asked so far.
    pub fn asked(&self) -> u64 {
        self.lock().asked
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, wait: Duration) -> Result<MutexGuard<'_, State>, Fault> {
        let mut state = self.lock();
        state.asked = state.asked.saturating_add(1);
        if state.down {
            return Err(Fault::Unavailable(format!("the store is down; waited {wait:?}")));
        }
        Ok(state)
    }
}

fn object((key, (version, value)): (&String, &(u64, String))) -> Object {
    Object { key: key.clone(), version: *version, value: value.clone() }
}

impl Remote for MemRemote {
    fn get(&self, keys: &[&str], wait: Duration) -> Result<Vec<Object>, Fault> {
        let state = self.enter(wait)?;
        let found = keys.iter().filter_map(|key| state.objects.get_key_value(*key));
        Ok(found.map(object).collect())
    }

    fn changes(&self, prefix: &str, after: u64, wait: Duration) -> Result<Changes, Fault> {
        let state = self.enter(wait)?;
        let below = state.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let newer = below.filter(|(_, (version, _))| *version > after);
        Ok(Changes { upto: state.upto(), objects: newer.map(object).collect() })
    }

    fn transactions(&self) -> bool {
        !self.single
    }

    fn commit(&self, guards: &[Guard], puts: &[Put], wait: Duration) -> Result<Committed, Fault> {
        let mut state = self.enter(wait)?;
        if self.single && !matches!((guards, puts), ([one], [put]) if one.key == put.key) {
            return Err(Fault::Refused(format!("no transactions: {guards:?}, {puts:?}")));
        }
        let version = |key: &str| state.objects.get(key).map_or(0, |(version, _)| *version);
        if guards.iter().any(|guard| version(&guard.key) != guard.version) {
            return Ok(Committed::Conflict);
        }
        if !puts.is_empty() {
            state.version = state.version.saturating_add(1);
        }
        let version = state.upto();
        for put in puts {
            match &put.value {
                Some(value) => state.objects.insert(put.key.clone(), (version, value.clone())),
                None => state.objects.remove(&put.key),
            };
        }
        Ok(Committed::Done(vec![version; puts.len()]))
    }
}
