//! What is observed of links: what a plan is made from, and what applying it came to.

use ipnet::IpNet;

use crate::{LinkRef, Mac};

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
}
