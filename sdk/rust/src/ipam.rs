//! What an IPAM plugin implements.

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Attachment, Failure, Lease, Problem, Range};

/// An IPAM plugin: a type that its configuration, the `ipam` object, is read into. The keys that
/// the host itself reads (`type`, `plugin`, `coolDown`, ...) are not in it.
pub trait Ipam: DeserializeOwned {
    /// What is wrong with the configuration beyond its types; nothing if it is good. Called
    /// before every other function, and alone by `wharfinger plugin` and by STATUS.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// The pools that addresses come from: what STATUS and people see.
    fn pools(&self) -> Result<Vec<Pool>, Failure>;

    /// Which addresses the attachment gets: each is taken from the [ledger](crate::ledger)
    /// first. Asked twice for one attachment, it answers the same. All of
    /// [`wanted`](Request::wanted) is in the lease, or the call fails.
    fn allocate(&self, request: &Request) -> Result<Lease, Failure>;
}

/// Beside [`Ipam`], for a plugin that asks an outside system: told of what was given back.
pub trait Remote: Ipam {
    /// Called when the host's own book is closed, with the configuration of the ADD; again later
    /// where it fails or that is unknown, so what is gone already is no failure. Without a lease
    /// where the ADD did not come to one.
    fn released(&self, attachment: &Attachment, lease: Option<&Lease>) -> Result<(), Failure>;
}

/// What an IPAM plugin is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Whose.
    pub attachment: Attachment,
    /// The whole network configuration as the policies left it, `runtimeConfig` included.
    pub network: Value,
    /// Addresses asked for by name, each once.
    pub wanted: Vec<IpAddr>,
}

impl Request {
    /// Of this attachment, with nothing asked for by name, in an empty network: for tests.
    pub fn new(attachment: Attachment) -> Self {
        Self { attachment, network: Value::Object(serde_json::Map::new()), wanted: Vec::new() }
    }

    /// The same with these addresses asked for by name.
    pub fn wanting(self, wanted: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { wanted: wanted.into_iter().collect(), ..self }
    }
}

/// Ranges that addresses come from, under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// For people.
    pub name: String,
    /// What it consists of.
    pub ranges: Vec<Range>,
}

impl Pool {
    /// Of these ranges.
    pub fn new(name: impl Into<String>, ranges: impl IntoIterator<Item = Range>) -> Self {
        Self { name: name.into(), ranges: ranges.into_iter().collect() }
    }
}
