//! What is observed of links: what a plan is made from, and what applying it came to.

use ipnet::IpNet;

use crate::{LinkRef, Mac, Place};

/// What a link is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// Its name and place.
    pub link: LinkRef,
    /// As the kernel calls it: "veth", "bridge"; empty for one with no kind, such as `lo`.
    pub kind: String,
    /// Absent for a link with no link-layer address.
    pub mac: Option<Mac>,
    /// Bytes.
    pub mtu: u32,
    /// Its alias.
    pub alias: Option<String>,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// IFF_UP.
    pub up: bool,
    /// As the kernel numbers it in its namespace.
    pub index: u32,
    /// The index of the other end of a veth, or of the link that this one stands on; it may be
    /// another namespace's.
    pub peer: Option<u32>,
    /// IFF_PROMISC.
    pub promisc: bool,
    /// IFF_ALLMULTI.
    pub allmulti: bool,
    /// Packets.
    pub txqlen: u32,
}

impl LinkFacts {
    /// A link with nothing on it: down, of an ordinary size, with no address of any kind.
    pub fn new(link: LinkRef, kind: &str) -> Self {
        Self {
            link,
            kind: kind.to_owned(),
            mac: None,
            mtu: 1500,
            alias: None,
            addresses: Vec::new(),
            up: false,
            index: 0,
            peer: None,
            promisc: false,
            allmulti: false,
            txqlen: 0,
        }
    }
}

/// A link that is not known by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// The one that the default route leaves by: of IPv4, else of IPv6, the lowest metric first.
    DefaultRoute(Place),
    /// The host's, with this address.
    Mac(Mac),
    /// The host's, with an address in this network: the lowest index first.
    Within(IpNet),
    /// The host's, of the device in this directory of /sys.
    SysPath(String),
    /// The host's, of the device with this PCI address.
    Pci(String),
    /// The host's, of the device with this PCI address or of this name on the auxiliary bus.
    DeviceId(String),
}

/// What was found for a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The link.
    Link(LinkFacts),
    /// The device has no link: a program drives it, by this driver of the kernel.
    Userspace(String),
}
