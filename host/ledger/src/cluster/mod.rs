//! One book for all nodes of a cluster.
mod remote;

pub use remote::{Changes, Committed, Fault, Guard, MOST, Object, Put, Remote};
