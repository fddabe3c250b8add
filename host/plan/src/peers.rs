//! Who is where on a segment across nodes, as data: what the kernel is to know of other nodes, and
//! what brings it from one state to another.
//!
//! What is this node's own must not be in it: the bridge knows that by itself. Start reading at
//! [`Peers`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use crate::Mac;

/// The two links of a segment across nodes, in the namespace of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The bridge that containers are on.
    pub bridge: String,
    /// Its port that leads to other nodes.
    pub vxlan: String,
}

/// All that one node is to know of the others of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peers {
    /// Behind which node a link-layer address is.
    pub stations: BTreeMap<Mac, IpAddr>,
    /// Which link-layer address an address has.
    pub addresses: BTreeMap<IpAddr, Mac>,
    /// The nodes to which goes what is for all.
    pub nodes: BTreeSet<IpAddr>,
}

/// A change of what one node knows of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerChange {
    /// What is for all goes to this node too.
    Node(IpAddr),
    /// A link-layer address is behind this node, wherever it was.
    Station(Mac, IpAddr),
    /// An address has this link-layer address, whichever it had.
    Address(IpAddr, Mac),
    /// An address is nobody's any more.
    NoAddress(IpAddr),
    /// A link-layer address is nowhere any more.
    NoStation(Mac),
    /// What is for all does not go to this node any more.
    NoNode(IpAddr),
}

impl Peers {
    /// What makes `wanted` of this. First what is new: an address is known before anything that it
    /// may take the place of is forgotten.
    pub fn towards(&self, wanted: &Self) -> Vec<PeerChange> {
        let mut changes = Vec::new();
        changes.extend(wanted.nodes.difference(&self.nodes).copied().map(PeerChange::Node));
        let stations =
            wanted.stations.iter().filter(|(mac, node)| self.stations.get(mac) != Some(node));
        changes.extend(stations.map(|(mac, node)| PeerChange::Station(*mac, *node)));
        let addresses =
            wanted.addresses.iter().filter(|(ip, mac)| self.addresses.get(ip) != Some(mac));
        changes.extend(addresses.map(|(ip, mac)| PeerChange::Address(*ip, *mac)));
        let gone = self.addresses.keys().filter(|ip| !wanted.addresses.contains_key(ip));
        changes.extend(gone.copied().map(PeerChange::NoAddress));
        let gone = self.stations.keys().filter(|mac| !wanted.stations.contains_key(mac));
        changes.extend(gone.copied().map(PeerChange::NoStation));
        changes.extend(self.nodes.difference(&wanted.nodes).copied().map(PeerChange::NoNode));
        changes
    }

    /// With one change.
    pub fn apply(&mut self, change: PeerChange) {
        match change {
            PeerChange::Node(node) => {
                self.nodes.insert(node);
            }
            PeerChange::Station(mac, node) => {
                self.stations.insert(mac, node);
            }
            PeerChange::Address(address, mac) => {
                self.addresses.insert(address, mac);
            }
            PeerChange::NoAddress(address) => {
                self.addresses.remove(&address);
            }
            PeerChange::NoStation(mac) => {
                self.stations.remove(&mac);
            }
            PeerChange::NoNode(node) => {
                self.nodes.remove(&node);
            }
        }
    }
}

impl PeerChange {
    /// Whether it takes something away.
    pub fn removes(self) -> bool {
        matches!(self, Self::NoAddress(_) | Self::NoStation(_) | Self::NoNode(_))
    }
}

impl fmt::Display for PeerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "node {node}"),
            Self::Station(mac, node) => write!(f, "{mac} behind {node}"),
            Self::Address(address, mac) => write!(f, "{address} at {mac}"),
            Self::NoAddress(address) => write!(f, "no {address}"),
            Self::NoStation(mac) => write!(f, "no {mac}"),
            Self::NoNode(node) => write!(f, "no node {node}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(stations: &[(u8, &str)], nodes: &[&str]) -> Peers {
        let mut peers = Peers::default();
        for (number, node) in stations {
            let mac = Mac([2, 0, 0, 0, 0, *number]);
            peers.stations.insert(mac, node.parse().unwrap());
            peers.addresses.insert(IpAddr::from([10, 44, 0, *number]), mac);
        }
        peers.nodes.extend(nodes.iter().map(|node| node.parse::<IpAddr>().unwrap()));
        peers
    }

    #[test]
    fn the_difference_leads_from_any_state_to_any_other_and_is_small() {
        let states = [
            peers(&[], &[]),
            peers(&[(1, "10.0.0.1")], &["10.0.0.1"]),
            peers(&[(1, "10.0.0.2"), (2, "10.0.0.1")], &["10.0.0.1", "10.0.0.2"]),
            peers(&[(2, "fd10::1")], &["fd10::1"]),
        ];
        for from in &states {
            for to in &states {
                let mut now = from.clone();
                for change in from.towards(to) {
                    now.apply(change);
                }
                assert_eq!(now, *to);
                assert_eq!(now.towards(to), []);
            }
        }
        let said = |from: usize, to: usize| -> Vec<String> {
            states[from].towards(&states[to]).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            said(1, 2),
            [
                "node 10.0.0.2",
                "02:00:00:00:00:01 behind 10.0.0.2",
                "02:00:00:00:00:02 behind 10.0.0.1",
                "10.44.0.2 at 02:00:00:00:00:02",
            ]
        );
    }
}
