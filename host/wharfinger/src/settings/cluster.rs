//! One book for several nodes: where it is, and how this node takes part.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use wharfinger_etcd::Etcd;
use wharfinger_ledger::cluster::Cut;

/// So many addresses a block has where the node's file says nothing.
const BLOCK: u32 = 64;
/// Seconds that one member of etcd may take.
const TIMEOUT: f64 = 2.0;
/// Seconds that the agent's lease is good without being kept.
const LEASE: u64 = 15;
/// What is below all keys.
const PREFIX: &str = "wharfinger";

/// Where the book is.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    #[default]
    Sqlite,
    Etcd,
}

/// `[etcd]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EtcdSection {
    endpoints: Vec<String>,
    prefix: Option<String>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    timeout: Option<f64>,
    block_size: Option<u32>,
    lease: Option<u64>,
    dead_after: Option<u64>,
}

/// How the node takes part in its cluster's book.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) etcd: wharfinger_etcd::Settings,
    /// How a domain is cut that has no ranges yet.
    pub(crate) cut: Cut,
    /// How long the agent's lease is good without being kept.
    pub(crate) lease: Duration,
    /// After which time without an agent a node counts as dead; none: by a person's word alone.
    pub(crate) dead_after: Option<Duration>,
    /// The store is not asked: what is released is queued.
    pub(crate) offline: bool,
}

impl Cluster {
    pub(super) fn read(place: Place, section: Option<EtcdSection>) -> Result<Option<Self>> {
        match (place, section) {
            (Place::Sqlite, None) => Ok(None),
            (Place::Sqlite, Some(_)) => {
                bail!("[etcd] is there, and ledger = \"etcd\" is not: write it, or take [etcd] out")
            }
            (Place::Etcd, None) => bail!("ledger = \"etcd\" needs [etcd] with its endpoints"),
            (Place::Etcd, Some(section)) => Ok(Some(section.cluster()?)),
        }
    }
}

impl EtcdSection {
    fn cluster(self) -> Result<Cluster> {
        let size = self.block_size.unwrap_or(BLOCK);
        let Some(cut) = Cut::of(size) else {
            bail!("etcd.block-size is {size}: 1, or a power of two up to 256");
        };
        let timeout = self.timeout.unwrap_or(TIMEOUT);
        ensure!((0.01..=60.0).contains(&timeout), "etcd.timeout is {timeout}: 0.01 to 60 seconds");
        let lease = self.lease.unwrap_or(LEASE);
        ensure!((2..=3600).contains(&lease), "etcd.lease is {lease}: 2 to 3600 seconds");
        if let Some(after) = self.dead_after {
            let shortest = lease.saturating_mul(4);
            ensure!(
                after >= shortest,
                "etcd.dead-after is {after}: at least four leases, {shortest}"
            );
        }
        let etcd = wharfinger_etcd::Settings {
            endpoints: self.endpoints,
            prefix: self.prefix.unwrap_or_else(|| PREFIX.to_owned()),
            ca: self.ca,
            cert: self.cert,
            key: self.key,
            user: self.user,
            password_file: self.password_file,
            timeout: Duration::from_secs_f64(timeout),
        };
        // What cannot be right is said now, and not at the first pod.
        Etcd::new(etcd.clone())?;
        Ok(Cluster {
            etcd,
            cut,
            lease: Duration::from_secs(lease),
            dead_after: self.dead_after.map(Duration::from_secs),
            offline: false,
        })
    }
}
