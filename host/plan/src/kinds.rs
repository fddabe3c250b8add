//! The kinds of link that stand on another, or come from elsewhere, as `ip(8)` names them.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::LinkRef;

/// A station of its own on the segment of its master, with its own MAC address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macvlan {
    /// What it stands on.
    pub master: LinkRef,
    /// Whom it reaches of those on the same master.
    pub mode: MacvlanMode,
    /// The length of the queue for broadcasts; the kernel's default where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bcqueuelen: Option<u32>,
}

/// Whom a macvlan reaches of those on the same master.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    /// The others, without the frames leaving the master.
    #[default]
    Bridge,
    /// None.
    Private,
    /// The others, where the switch outside sends the frames back.
    Vepa,
    /// There are no others.
    Passthru,
}

/// A link that shares the MAC address of its master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipvlan {
    /// What it stands on.
    pub master: LinkRef,
    /// Where it is told whose a packet is.
    pub mode: IpvlanMode,
}

/// Where it is told whose a packet is, among those on one master.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// By the address, on the segment of the master.
    #[default]
    L2,
    /// By routes of the master's namespace; no broadcast, no neighbours.
    L3,
    /// As `l3`, seen by the packet filter of the master's namespace.
    L3s,
}

/// The frames of a master that have this tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// What it stands on.
    pub master: LinkRef,
    /// 0 to 4094.
    pub id: u16,
}

/// A segment across nodes, carried in UDP between their addresses of the underlay (RFC 7348).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    /// The segment's number, 1 to 16777215.
    pub vni: u32,
    /// This node's address on the underlay, which tells the family of all.
    pub local: IpAddr,
    /// The UDP port of all nodes. A link has a `port` of its own, which is another thing.
    #[serde(rename = "dstport")]
    pub port: u16,
    /// Where nodes find each other by themselves, and learn who is where from frames. Without one
    /// somebody tells the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
}

/// A multicast group of the underlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its address.
    pub address: IpAddr,
    /// The link by which it is joined.
    pub dev: LinkRef,
}

/// A link whose other end is a program that opens it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// It may be opened several times, each a queue.
    #[serde(default)]
    pub multi_queue: bool,
    /// Who may open it beside root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Who may open it beside root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
    /// The SELinux context it is made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selinux_context: Option<String>,
}

/// A link of the host that is lent to the container, and given back. While it is lent its alias
/// is the name it had: whoever finds it gives it back under that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name on the host; `None` where only its alias tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether no record tells that it was lent: the configuration alone names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrecorded: bool,
}

/// The VLANs of a bridge's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortVlan {
    /// The first of a range, 1 to 4094.
    pub first: u16,
    /// The last of it.
    pub last: u16,
    /// Frames without a tag are of this one.
    #[serde(default)]
    pub pvid: bool,
    /// Frames leave without a tag.
    #[serde(default)]
    pub untagged: bool,
}

impl fmt::Display for PortVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        f.write_str(if self.pvid { " pvid" } else { "" })?;
        f.write_str(if self.untagged { " untagged" } else { "" })
    }
}

impl fmt::Display for MacvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Passthru => "passthru",
        })
    }
}

impl fmt::Display for IpvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        })
    }
}

impl fmt::Display for Vxlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " id {} local {} dstport {}", self.vni, self.local, self.port)?;
        match &self.group {
            Some(Group { address, dev }) => write!(f, " group {address} dev {dev}"),
            None => f.write_str(" nolearning"),
        }
    }
}

impl fmt::Display for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.multi_queue { " multi_queue" } else { "" })?;
        let mut set = |name: &str, number: Option<u32>| match number {
            Some(number) => write!(f, " {name} {number}"),
            None => Ok(()),
        };
        set("user", self.uid)?;
        set("group", self.gid)?;
        self.selinux_context.as_ref().map_or(Ok(()), |context| write!(f, " label {context}"))
    }
}
