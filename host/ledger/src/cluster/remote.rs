//! What a cluster's store must be able to do: objects with versions, compare-and-set, no lock and
//! no lease. Holds no rule, and knows nothing of what the objects say. Implemented by crates of
//! their own (etcd), and by a model in memory for tests.

use std::time::Duration;

/// A store that all nodes of a cluster share. Every read is linearizable: one that may be stale
/// has no place here. Keys are paths without a leading slash; the store puts its own prefix
/// before them.
pub trait Remote: std::fmt::Debug + Send + Sync {
    /// The objects of these keys that are there, in no order. Within `wait`.
    fn get(&self, keys: &[&str], wait: Duration) -> Result<Vec<Object>, Fault>;

    /// The objects whose key begins with `prefix` and whose version is above `after`; zero: all.
    /// What was removed since is not among them. Within `wait`.
    fn changes(&self, prefix: &str, after: u64, wait: Duration) -> Result<Changes, Fault>;

    /// Whether a commit may have several guards and puts. Where it may not, it has one of each, of
    /// the same key, and what is not in it is asked for by its key rather than in a listing.
    fn transactions(&self) -> bool {
        true
    }

    /// Writes all or nothing: where each guard holds still, and nobody else writes between.
    /// Within `wait`; at most [`MOST`] guards, and as many puts.
    fn commit(&self, guards: &[Guard], puts: &[Put], wait: Duration) -> Result<Committed, Fault>;
}

/// How many guards or puts one commit may have: etcd's default (`--max-txn-ops`).
pub const MOST: usize = 128;

/// An object as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its version: higher at each write of it, never zero, and never one that another object of
    /// this key had, also one that was removed.
    pub version: u64,
    /// JSON text.
    pub value: String,
}

/// See [`Remote::changes`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// All that was written up to this version is among them, or was not asked for.
    pub upto: u64,
    /// In the order of their keys' bytes.
    pub objects: Vec<Object>,
}

/// An object must have this version still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Its key.
    pub key: String,
    /// Zero: it must not be there.
    pub version: u64,
}

/// A new value of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// Its key.
    pub key: String,
    /// None: it is removed.
    pub value: Option<String>,
}

/// What a commit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// It stands; the version of each put, in their order.
    Done(Vec<u64>),
    /// A guard did not hold: nothing was written.
    Conflict,
}

/// The store gave no answer, or none that helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It could not be asked: nothing was written. The text says what was tried and waited for.
    #[error("{0}")]
    Unavailable(String),
    /// It was asked, and the answer did not come: it may have been written, or may be yet.
    #[error("{0}")]
    Unknown(String),
    /// What it has is older than what was seen of it: it was restored from a backup, or is another.
    #[error("{0}")]
    Older(String),
    /// It answered, and refused: asking again will not help.
    #[error("{0}")]
    Refused(String),
}

/// Less time than this is none to ask a store in.
const LEAST: Duration = Duration::from_millis(50);

impl Fault {
    /// Of a store that was asked within so short a time that its silence says nothing of it. None:
    /// there was time.
    pub fn of_no_time(what: &str, store: &str, wait: Duration) -> Option<Self> {
        (wait < LEAST).then(|| {
            Self::Unavailable(format!(
                "{what}: no time was left to ask {store}: what came before took all that the call \
                 has, its turn among others of this node or what others changed meanwhile: {}",
                super::ADVICE
            ))
        })
    }
}
