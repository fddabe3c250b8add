//! The cluster's book on etcd: requests, leases and watches, synchronous for the caller, with the
//! time that each may take. Nothing is done, no thread and no connection, before something is
//! asked. Never knows what the objects say, never reads what may be stale (etcd's
//! `serializable`), and never sends a commit again whose outcome is not known. Start reading at
//! [`Etcd`]; `members` has how one that is down is passed by, `verdict` what an error of etcd
//! means for what was asked.
#![forbid(unsafe_code)]

mod book;
mod etcd;
mod lease;
mod members;
mod settings;
mod tour;
mod verdict;
mod watch;

pub use etcd::Etcd;
pub use lease::Lease;
pub use settings::{Invalid, Settings};
pub use watch::{Event, Seen, Watch};
