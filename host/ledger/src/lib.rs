//! The book of who holds which address and which port of the host: one trait, a model in memory, SQLite on the node.
//!
//! The book is optimistic: a session reads, holds its writes back, and commits them if what it
//! read still stands; otherwise the caller runs the call again. No lock and no write transaction
//! is held between a session's calls, so a plugin that loops delays nobody. The book never
//! looks at the kernel, the clock or the environment. Start reading at [`Ledger`].
//!
//! Two books implement it: [`MemLedger`], the model, and [`SqliteLedger`], the node's. Both follow
//! the same rules, written once over the rows that each keeps in its own way.
#![forbid(unsafe_code)]

mod book;
pub mod cluster;
mod mem;
mod owner;
mod point;
mod port;
pub mod reserved;
mod rules;
mod search;
mod session;
mod sqlite;

pub use book::Identity;
pub use mem::MemLedger;
pub use owner::Owner;
pub use port::{Holder, HostPort};
pub use session::Kept;
pub use sqlite::{Damaged, Fresh, Opened, Options, Rebuilt, SqliteLedger};

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharfinger_cni::AttachmentId;
use wharfinger_plan::Plan;

/// How far an attachment has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Journalled: the kernel may or may not have some of it.
    Pending,
    /// The reply to its ADD was written.
    Attached,
}

/// What is known of an attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Whose record it is.
    pub id: AttachmentId,
    /// How far it has come.
    pub state: State,
    /// Seconds since the Unix epoch.
    pub created: u64,
    /// The path of its namespace at ADD.
    pub netns: Option<String>,
    /// Its namespace's cookie.
    pub cookie: Option<u64>,
    /// The address space its addresses are of.
    pub domain: String,
    /// What it holds.
    pub addresses: Vec<IpAddr>,
    /// The host's ports that it holds: each has one owner on the node, whatever the domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<HostPort>,
    /// The resolved configuration of the ADD.
    pub conf: serde_json::Value,
    /// The plugin that chose the addresses, and its digest: "host-local@sha256:…".
    pub plugin: Option<String>,
    /// What was done to the kernel.
    pub plan: Plan,
    /// The CNI result, once there is one.
    pub result: Option<serde_json::Value>,
}

/// A record as it stands in the book.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// Given by the book at each write of the record, rising; a release must match it.
    pub seq: u64,
}

/// Addresses from `first` to `last`, both included, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
}

impl Range {
    /// None where the ends are of two families, or the first is above the last.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }
    /// The lowest address.
    pub fn first(&self) -> IpAddr {
        self.first
    }
    /// The highest address.
    pub fn last(&self) -> IpAddr {
        self.last
    }
}

/// Why an address cannot be taken by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another attachment holds it.
    Held(AttachmentId),
    /// The operator reserved it: the text says why.
    Reserved(String),
}

/// For whom and when a session is.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The attachment.
    pub id: AttachmentId,
    /// The address space: one owner per address in it.
    pub domain: String,
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// What a commit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// It stands; the record's sequence number.
    Done(u64),
    /// What the session read has changed: run the call again.
    Conflict,
}

/// What a release came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// Record and addresses are free.
    Done,
    /// There is no such record.
    Absent,
    /// The record is not the one that was decided on: nothing was done.
    Stale,
}

/// How full ranges are. Saturating: a /64 does not overflow it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Addresses in the ranges.
    pub total: u128,
    /// Held by attachments.
    pub held: u128,
    /// Resting after a release.
    pub cooling: u128,
    /// Kept for an identity that does not hold them now.
    pub remembered: u128,
}

/// The book.
pub trait Ledger {
    /// Whether it is the book of several nodes, none of which gives out what another holds.
    fn shared(&self) -> bool {
        false
    }
    /// The record of one attachment.
    fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, Error>;
    /// All records, or one network's, by their keys.
    fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, Error>;
    /// The highest sequence number given so far: what is written later is above it.
    fn horizon(&self) -> Result<u64, Error>;
    /// Opens a session.
    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, Error>;
    /// The reply was written: the record is `Attached` now, with this result.
    fn attached(
        &self,
        id: &AttachmentId,
        seq: u64,
        result: &serde_json::Value,
    ) -> Result<Release, Error>;
    /// Writes what has become of an attachment, if its record is still that of `seq`: addresses
    /// may be gone, none may be new. What plugins keep for the attachment stays.
    fn amend(&self, record: &Record, seq: u64) -> Result<Release, Error>;
    /// Removes the record if its sequence number is `seq`, with all it holds. Its addresses
    /// rest for `cool` from `now` on.
    fn release(
        &self,
        id: &AttachmentId,
        seq: u64,
        now: u64,
        cool: Duration,
    ) -> Result<Release, Error>;
    /// How full these ranges are at `now`.
    fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, Error>;
    /// Whether it can be written now: for STATUS.
    fn writable(&self) -> Result<(), Error>;
    /// What an owner keeps past reboots, in the order of the keys' bytes.
    fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, Error>;
    /// Keeps a value past crash and reboot, or keeps it no longer: so once this returns.
    fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), Error>;
    /// Puts a notice into the outbox: it is there past crash and reboot once this returns. Its
    /// number. The same notice without a lease is there once, however often it is put there.
    fn post(&self, notice: &Notice) -> Result<u64, Error>;
    /// The lease of a notice of the outbox.
    fn post_lease(&self, number: u64, lease: &serde_json::Value) -> Result<(), Error>;
    /// Takes a notice out of the outbox: the plugin knows.
    fn delivered(&self, number: u64) -> Result<(), Error>;
    /// The notices of a network, the oldest first.
    fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, Error>;
    /// The number of a network's segment across nodes; none where this book is of one node alone.
    /// Where there is none yet, one is chosen; or, unless it is to be `kept`, the one that would be.
    fn vni(&self, network: &str, now: u64, kept: bool) -> Result<Option<u32>, Error> {
        let _ = (network, now, kept);
        Ok(None)
    }
}

/// What a plugin that asks an outside system is to be told at the end of an attachment. Written
/// down before it can know of the attachment; outlives crash and reboot.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Whose end.
    pub id: AttachmentId,
    /// The plugin's name.
    pub plugin: String,
    /// The configuration that the plugin had, as JSON text.
    pub config: String,
    /// The attachment as the plugin knows it.
    pub attachment: serde_json::Value,
    /// What the plugin gave; none where the ADD did not come to it.
    pub lease: Option<serde_json::Value>,
}

/// One call's view of the book: reads are noted, writes held back until the commit.
pub trait Session {
    /// This network allocates from these ranges. Ranges that overlap with those of another
    /// network of the domain which has attachments are refused.
    fn pools(&mut self, ranges: &[Range]) -> Result<(), Error>;
    /// Takes this address. One that the attachment holds already, or that rests, is granted.
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, Error>;
    /// Claims a port of the host. One that the attachment holds already is granted.
    fn claim(&mut self, port: &HostPort) -> Result<Result<(), Holder>, Error>;
    /// Takes a free address of the ranges, less the excluded ones: first what the attachment
    /// holds from an earlier ADD; then upwards from `start` (itself included; without one
    /// within the ranges, from above the last one taken from these ranges), range after range,
    /// round once; then those that rest, oldest release first; then those that are remembered
    /// for another identity.
    fn take_free(
        &mut self,
        ranges: &[Range],
        excluded: &[Range],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, Error>;
    /// What was last remembered for `identity`.
    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, Error>;
    /// Remember the addresses of the committed record for `identity`.
    fn remember(&mut self, identity: &str);
    /// A value of a plugin's store.
    fn store_get(&mut self, owner: &Owner, key: &str) -> Result<Option<String>, Error>;
    /// Writes a value of a plugin's store; with `attachment` it goes when the attachment goes.
    fn store_put(&mut self, owner: &Owner, key: &str, value: &str, attachment: bool);
    /// Removes a value of a plugin's store: true where it was there.
    fn store_remove(&mut self, owner: &Owner, key: &str) -> Result<bool, Error>;
    /// At most `limit` entries of a plugin's store, in the order of their keys' bytes.
    fn store_scan(
        &mut self,
        owner: &Owner,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, String)>, Error>;
    /// How many entries of a plugin's store have this prefix. Noted, as a scan is.
    fn store_count(&mut self, owner: &Owner, prefix: &str) -> Result<u64, Error>;
    /// Bytes of all keys and values of a plugin's store, as this session would leave it. Not
    /// noted: it may be otherwise when the session commits.
    fn store_size(&self, owner: &Owner) -> Result<u64, Error>;
    /// What the session has written to stores so far, to come back to.
    fn kept(&self) -> Kept;
    /// Forgets what was written to stores since then. What was read stays noted.
    fn restore(&mut self, kept: Kept);
    /// How full these ranges are, without what this session took. Not noted: it may be otherwise
    /// when the session commits.
    fn usage(&self, ranges: &[Range]) -> Result<Usage, Error>;
    /// Writes the record and what the session took, all or nothing. `record.addresses` are those
    /// that stay taken, `record.ports` those that stay claimed; each must have been taken or
    /// claimed in this session. What the attachment held before and does not hold now is free at
    /// once, and entries of stores that were to go with
    /// it and that this session did not write are gone.
    fn commit(self: Box<Self>, record: &Record) -> Result<Commit, Error>;
}

/// The sequence number below the first of a book that is begun at `now`: above all that earlier
/// books gave, unless one was written more than a million times a second. So a release that was
/// decided on with a book that is lost since never matches a record of its successor. Below
/// 2^53, so that JSON carries it.
fn first_seq(now: u64) -> u64 {
    now.min(1 << 32) << 20
}

/// A claim of a record that is put together from what was found on the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Claim {
    /// To an address.
    Address(IpAddr),
    /// To a port of the host.
    Port(HostPort),
}

impl Error {
    /// What the file system answered of a file of the book, or beside it: whether waiting helps.
    pub fn of_file(path: &Path, tried: &str, error: &io::Error) -> Self {
        let (path, what) = (path.display().to_string(), format!("{tried}: {error}"));
        match error.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory => Self::Denied { path, what },
            _ => Self::Unavailable { path, what },
        }
    }
}

/// The book cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Ranges of two networks overlap in one domain.
    #[error("range {range} overlaps with {other} of network {network} in domain {domain}")]
    Overlap {
        /// Ours.
        range: String,
        /// Theirs.
        other: String,
        /// Whose the other is.
        network: String,
        /// Of both.
        domain: String,
    },
    /// It is damaged or of a format that this version does not know: to be set aside.
    #[error("ledger {path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// It cannot be read or written now.
    #[error("ledger {path}: {what}")]
    Unavailable {
        /// The file.
        path: String,
        /// What was tried, and what was answered.
        what: String,
    },
    /// This process may not read or write it, or its path leads nowhere: no waiting helps.
    #[error("ledger {path}: {what}")]
    Denied {
        /// The file.
        path: String,
        /// What was tried, and what was answered.
        what: String,
    },
    /// A directory of the reference `host-local` cannot be read or written.
    #[error("reservations {path}: {what}")]
    Reservations {
        /// The file or directory.
        path: String,
        /// What was tried, and what was answered.
        what: String,
    },
    /// Somebody else has the lock of such a directory, for longer than the call may take.
    #[error("reservations {path}: another process holds its lock; try again")]
    Busy {
        /// The directory.
        path: String,
    },
    /// The caller broke the contract of [`Session::commit`]: a defect of ours.
    #[error("ledger: record of {id}: {what}")]
    Misuse {
        /// Whose record.
        id: AttachmentId,
        /// What is wrong with it.
        what: String,
    },
}
