//! What the objects of a cluster's book say: JSON, as it stands in the store. Pure; a stranger may
//! have written there, so what cannot be read is an error that names the object.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wharfinger_cni::{AttachmentId, args};

use crate::Record;
use crate::book::Rest;

/// How an address space is cut, and whose its ranges are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Domain {
    /// A block has two to the power of this many addresses.
    #[cfg_attr(test, schemars(range(max = 8)))]
    pub(super) block: u32,
    /// Blocks are nobody's: addresses are given strictly in order over the whole cluster.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ordered: bool,
    /// By network: the first and the last address of each range.
    #[serde(default)]
    #[cfg_attr(test, schemars(extend("maxProperties" = 4096)))]
    pub(super) networks: BTreeMap<String, Vec<(IpAddr, IpAddr)>>,
}

/// Who has what in some addresses that follow each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Block {
    /// The node that gives its addresses; others only when they have none left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(max = 253)))]
    pub owner: Option<String>,
    /// So many addresses it has, for those who read it without its domain; zero: nobody wrote it
    /// down yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) size: u32,
    /// When the last address of it was taken, or the first one given back after that; in seconds
    /// since the Unix epoch. Zero: nobody wrote it down yet.
    #[serde(default, skip_serializing_if = "is_never")]
    pub(super) turned: u64,
    /// By address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(test, schemars(extend("maxProperties" = 256)))]
    pub held: BTreeMap<IpAddr, Held>,
    /// Addresses that rest after their release.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(test, schemars(extend("maxProperties" = 256)))]
    pub rests: BTreeMap<IpAddr, Resting>,
    /// Addresses that are remembered for identities.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(test, schemars(extend("maxProperties" = 256)))]
    pub(crate) kept: BTreeMap<IpAddr, Keeping>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(size: &u32) -> bool {
    *size == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_never(seconds: &u64) -> bool {
    *seconds == 0
}

impl Block {
    /// Changes it at this time, if that is known.
    pub(super) fn change(&mut self, size: u32, now: Option<u64>, f: impl FnOnce(&mut Self)) {
        let is_full =
            |block: &Self| block.held.len() >= usize::try_from(size).unwrap_or(usize::MAX);
        let was_full = is_full(self);
        f(self);
        self.size = size;
        if self.turned == 0 || was_full != is_full(self) {
            self.turned = now.unwrap_or(self.turned);
        }
    }

    /// Nothing is known of any of its addresses.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.rests.is_empty() && self.kept.is_empty()
    }

    /// The addresses that are remembered for identities.
    pub fn remembered(&self) -> impl Iterator<Item = IpAddr> {
        self.kept.keys().copied()
    }
}

/// An address rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Resting {
    /// Until then, in seconds since the Unix epoch.
    pub until: u64,
    /// Lower: released earlier. Of two nodes whose clocks differ, or cool differently, that is
    /// nearly so.
    pub(crate) order: u64,
}

impl Resting {
    /// The seconds, and within one the order of the node that released.
    pub(super) fn of(rest: Rest) -> Self {
        let Rest { until, order } = rest;
        Self { until, order: until.saturating_mul(1 << 20).saturating_add(order % (1 << 20)) }
    }

    pub(super) fn rest(&self) -> Rest {
        Rest { until: self.until, order: self.order }
    }
}

/// Who holds an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Held {
    /// On which node.
    #[cfg_attr(test, schemars(length(max = 253)))]
    pub node: String,
    /// The attachment's network.
    #[cfg_attr(test, schemars(length(max = 253)))]
    pub network: String,
    /// Its container.
    #[cfg_attr(test, schemars(length(max = 253)))]
    pub container: String,
    /// Its interface.
    #[cfg_attr(test, schemars(length(max = 64)))]
    pub ifname: String,
    /// Its MAC address, where other nodes must know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(max = 17)))]
    pub mac: Option<String>,
    /// The node's address on the underlay, by which others reach that MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<IpAddr>,
    /// The uid of its pod, as the runtime says: not the name, which nodes need not know of pods of
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(max = 64)))]
    pub pod: Option<String>,
}

/// What is written beside an address that is taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    mac: Option<String>,
    at: Option<IpAddr>,
    pod: Option<String>,
}

impl Told {
    /// Of this record.
    pub(super) fn of(record: &Record) -> Self {
        let announced = record
            .plan
            .overlay()
            .and_then(|(_, vxlan)| Some((record.plan.announced_mac()?.to_string(), vxlan.local)));
        let (mac, at) = announced.unzip();
        let args = record.conf.get("args").and_then(serde_json::Value::as_str);
        let args = args.map(args::parse_args_leniently);
        let uid = args.and_then(|args| args::pod(&args)?.uid);
        Self { mac, at, pod: uid.filter(|uid| is_uid(uid)) }
    }
}

/// What the definition of a block takes as one.
fn is_uid(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(fine)
}

impl Held {
    pub(super) fn new(node: &str, id: &AttachmentId, told: Told) -> Self {
        let AttachmentId { network, container, ifname } = id.clone();
        let Told { mac, at, pod } = told;
        Self { node: node.to_owned(), network, container, ifname, mac, at, pod }
    }

    /// The attachment, as its own node knows it.
    pub fn id(&self) -> AttachmentId {
        let Self { network, container, ifname, .. } = self.clone();
        AttachmentId { network, container, ifname }
    }

    /// The attachment as `node` sees it: another's has that node's name before it, with a slash,
    /// which no container has in its own. So the same name on two nodes is two attachments.
    pub(super) fn seen_from(&self, node: &str) -> AttachmentId {
        let id = self.id();
        if self.node == node {
            return id;
        }
        AttachmentId { container: format!("{}/{}", self.node, id.container), ..id }
    }

    pub(super) fn is(&self, node: &str, id: &AttachmentId) -> bool {
        self.node == node && self.id() == *id
    }
}

/// An address is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Keeping {
    /// Lower: remembered earlier.
    pub(super) order: u64,
    /// For so many identities.
    pub(super) by: u64,
}

/// A plugin's store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Store(pub(super) BTreeMap<String, Value>);

/// An entry of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Value {
    pub(super) value: String,
    /// It goes with this attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) holder: Option<Held>,
}

impl Value {
    /// It goes with this attachment of the node.
    pub(super) fn is_of(&self, node: &str, id: &AttachmentId) -> bool {
        self.holder.as_ref().is_some_and(|of| of.is(node, id))
    }
}

/// What is remembered for an identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Remembered(#[cfg_attr(test, schemars(length(max = 16)))] pub(super) Vec<IpAddr>);

/// Which machine has a node's name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) machine: String,
}

/// Any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Domain(Domain),
    Block(Block),
    Identity(Remembered),
    Store(Store),
    Named(Named),
}

impl Content {
    /// Reads the object of this key.
    pub(super) fn read(key: &str, text: &str) -> Result<Self, String> {
        let read = if key.starts_with(super::keys::DOMAINS) {
            serde_json::from_str(text).map(Self::Domain)
        } else if key.starts_with(super::keys::BLOCKS) {
            serde_json::from_str(text).map(Self::Block)
        } else if key.starts_with(super::keys::IDENTITIES) {
            serde_json::from_str(text).map(Self::Identity)
        } else if key.starts_with(super::keys::MACHINES) {
            serde_json::from_str(text).map(Self::Named)
        } else {
            serde_json::from_str(text).map(Self::Store)
        };
        read.map_err(|error| format!("object {key} cannot be read: {error}"))
    }

    /// As it is written; none: it says nothing, and is removed. A block or a domain stays: who has
    /// it in a cache would not hear of its removal.
    pub(super) fn text(&self) -> Option<String> {
        let written = match self {
            Self::Domain(domain) => serde_json::to_string(domain),
            Self::Block(block) => serde_json::to_string(block),
            Self::Identity(Remembered(none)) if none.is_empty() => return None,
            Self::Identity(identity) => serde_json::to_string(identity),
            Self::Named(named) => serde_json::to_string(named),
            Self::Store(Store(none)) if none.is_empty() => return None,
            Self::Store(store) => serde_json::to_string(store),
        };
        // Text, numbers and maps of them can always be written.
        Some(written.unwrap_or_default())
    }
}
