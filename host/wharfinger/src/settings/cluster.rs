//! One book for several nodes: where it is, and how this node takes part.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use wharfinger_kube::Kube;
use wharfinger_ledger::cluster::Cut;

use crate::remote::Store;

/// So many addresses a block has where the node's file says nothing.
const BLOCK: u32 = 64;
/// Seconds that one member of etcd may take.
const TIMEOUT: f64 = 2.0;
/// Seconds that the agent's lease is good without being kept.
const LEASE: u64 = 15;
/// Seconds after which encrypted overlays get new keys.
const REKEY: u64 = 24 * 3600;
/// Objects of the API are read by many.
const NO_KEYS: &str = "false with ledger = \"kubernetes\", whose objects many may read: the keys are \
                       kept in etcd alone (ledger = \"etcd\"); or encrypt below, between the nodes";
/// What is below all keys.
const PREFIX: &str = "wharfinger";

/// What `ledger` may be.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    #[default]
    Sqlite,
    Etcd,
    Kubernetes,
}

/// Where the book is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Etcd(wharfinger_etcd::Settings),
    Kubernetes(Kube),
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
    rekey: Option<u64>,
}

/// How the node takes part in its cluster's book.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) place: Place,
    /// How a domain is cut that has no ranges yet.
    pub(crate) cut: Cut,
    /// How long the agent's lease is good without being kept.
    pub(crate) lease: Duration,
    /// After which time without an agent a node counts as dead; none: by a person's word alone.
    pub(crate) dead_after: Option<Duration>,
    /// After how many seconds encrypted overlays get new keys.
    pub(crate) rekey: u64,
    /// The store is not asked: what is released is queued.
    pub(crate) offline: bool,
}

impl Cluster {
    pub(super) fn read(
        kind: Kind,
        etcd: Option<EtcdSection>,
        kubernetes: Option<&Kube>,
        block_size: Option<u32>,
    ) -> Result<Option<Self>> {
        match (kind, etcd, kubernetes) {
            (Kind::Sqlite, None, _) => Ok(None),
            (Kind::Etcd, Some(section), _) => section.cluster().map(Some),
            (Kind::Etcd, None, _) => bail!("ledger = \"etcd\" needs [etcd] with its endpoints"),
            (Kind::Kubernetes, None, Some(kube)) => {
                let cut = cut("kubernetes", block_size)?;
                Self::at(Place::Kubernetes(kube.clone()), cut).map(Some)
            }
            (Kind::Kubernetes, None, None) => {
                bail!("ledger = \"kubernetes\" needs [kubernetes] with its credentials")
            }
            (_, Some(_), _) => {
                bail!("[etcd] is there, and ledger = \"etcd\" is not: write it, or take [etcd] out")
            }
        }
    }

    /// Why overlays cannot be encrypted, as what is allowed instead; none: they can.
    pub(super) fn no_keys(&self) -> Option<&'static str> {
        matches!(self.place, Place::Kubernetes(_)).then_some(NO_KEYS)
    }

    /// The store, to which nothing was said yet.
    fn at(place: Place, cut: Cut) -> Result<Self> {
        // What cannot be right is said now, and not at the first pod.
        Store::new(&place).map_err(anyhow::Error::msg)?;
        Ok(Self {
            place,
            cut,
            lease: Duration::from_secs(LEASE),
            dead_after: None,
            rekey: REKEY,
            offline: false,
        })
    }
}

/// The sections have this in common.
fn cut(section: &str, size: Option<u32>) -> Result<Cut> {
    let size = size.unwrap_or(BLOCK);
    match Cut::of(size) {
        Some(cut) => Ok(cut),
        None => bail!("{section}.block-size is {size}: 1, or a power of two up to 256"),
    }
}

impl EtcdSection {
    fn cluster(self) -> Result<Cluster> {
        let cut = cut("etcd", self.block_size)?;
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
        let rekey = self.rekey.unwrap_or(REKEY);
        ensure!(rekey >= 10, "etcd.rekey is {rekey}: at least 10 seconds, and better hours");
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
        Ok(Cluster {
            lease: Duration::from_secs(lease),
            dead_after: self.dead_after.map(Duration::from_secs),
            rekey,
            ..Cluster::at(Place::Etcd(etcd), cut)?
        })
    }
}
