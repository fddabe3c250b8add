//! What is observed of the kernel, as far as drivers look at it.

use ipnet::IpNet;
use wharfinger_plan::{LinkRef, Mac};

/// What the observed links are like. A link that is not here does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// In any order.
    pub links: Vec<LinkFacts>,
}

/// What a link is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFacts {
    /// Its name and place.
    pub link: LinkRef,
    /// As the kernel calls it: "veth", "bridge"; empty for a link with no kind, such as `lo`.
    pub kind: String,
    /// Absent for a link with no link-layer address.
    pub mac: Option<Mac>,
    /// Bytes.
    pub mtu: u32,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
}

impl Facts {
    /// The facts of one link.
    pub fn get(&self, link: &LinkRef) -> Option<&LinkFacts> {
        self.links.iter().find(|facts| facts.link == *link)
    }
}
