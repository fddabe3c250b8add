//! What the host is about to do to the kernel, in order: what a policy reviews.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::Route;

/// Whose network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The node's.
    Host,
    /// The container's.
    Container,
}

/// As the container sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the container.
    Ingress,
    /// From the container.
    Egress,
}

/// A link by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where.
    pub place: Place,
    /// Its name.
    pub name: String,
}

/// One thing that the host will do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Make a link, or bring one in, and set it.
    Link(LinkStep),
    /// Give a link an address.
    Address {
        /// Which link.
        link: Link,
        /// With its prefix length.
        address: IpNet,
    },
    /// Add a route.
    Route {
        /// Through which link.
        link: Link,
        /// What.
        route: Route,
    },
    /// Set a sysctl.
    Sysctl {
        /// Where.
        place: Place,
        /// As below /proc/sys: "net/ipv4/ip_forward".
        key: String,
        /// What it is set to.
        value: String,
    },
    /// Add a rule to the firewall.
    Firewall {
        /// Where.
        place: Place,
        /// "inet".
        family: String,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// As `nft` prints it.
        rule: String,
    },
    /// Lead a port of the host to the container.
    Forward(ForwardStep),
    /// Limit a link's rate.
    Shaping {
        /// Which link.
        link: Link,
        /// Which way.
        direction: Direction,
        /// Bits a second.
        rate: u64,
        /// Bits.
        burst: u64,
    },
    /// A kind that this version of the contract has no arm for.
    Other {
        /// Where.
        place: Place,
        /// Its kind.
        kind: String,
        /// All about it.
        detail: Value,
    },
}

/// A link that is made or set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkStep {
    /// Which.
    pub link: Link,
    /// As the kernel names it: "bridge", "veth", "vlan"; "existing" for a device moved in.
    pub kind: String,
    /// The other end (veth), what it stands on (vlan, macvlan), or the device moved in.
    pub peer: Option<Link>,
    /// Of a VLAN or VXLAN; the table of a VRF.
    pub id: Option<u32>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// "02:00:00:00:00:01".
    pub mac: Option<String>,
    /// The bridge or VRF that it joins.
    pub master: Option<String>,
    /// All else, as `ip -d link` names it: "mode", "promisc", "hairpin".
    pub settings: Vec<(String, String)>,
}

/// A port of the host, at one of its addresses or at any, led to the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardStep {
    /// "tcp".
    pub protocol: String,
    /// At this address of the host alone.
    pub host_address: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The container's address.
    pub address: IpAddr,
    /// The container's port.
    pub port: u16,
}
