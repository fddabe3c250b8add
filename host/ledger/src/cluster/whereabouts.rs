//! Who is where on the segments across nodes, out of the blocks of a cluster's book: what a node is
//! to be told of others. Pure, and by the change: a block that changes is compared with what it
//! was, and nothing else is looked at. Start reading at [`Whereabouts::put`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wharfinger_plan::{Mac, PeerChange, Peers};

use super::objects::Block;

/// What other nodes have, by network. Memory is that of the addresses in use.
#[derive(Debug, Default)]
pub struct Whereabouts {
    /// Whose own addresses are not in it.
    node: String,
    /// What each block told.
    blocks: BTreeMap<String, BTreeMap<IpAddr, Told>>,
    /// Of each block with addresses of the node's own, the networks that have them.
    own: BTreeMap<String, BTreeSet<String>>,
    networks: BTreeMap<String, Known>,
}

/// What a block tells of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    network: String,
    mac: Mac,
    node: IpAddr,
}

/// One network. The same MAC address may be told by several addresses, of several blocks.
#[derive(Debug, Default)]
struct Known {
    addresses: BTreeMap<IpAddr, Mac>,
    stations: BTreeMap<Mac, BTreeMap<IpAddr, usize>>,
    nodes: BTreeMap<IpAddr, usize>,
}

impl Whereabouts {
    /// For the node of this name.
    pub fn new(node: &str) -> Self {
        Self { node: node.to_owned(), ..Self::default() }
    }

    /// A block says this now, or is gone: what that changes, by network. One that cannot be read
    /// changes nothing, and the error says why.
    pub fn put(
        &mut self,
        key: &str,
        value: Option<&str>,
    ) -> Result<BTreeMap<String, Vec<PeerChange>>, serde_json::Error> {
        let block = value.map(serde_json::from_str::<Block>).transpose()?;
        let own = block.as_ref().map(|block| self.own(block)).unwrap_or_default();
        if own.is_empty() {
            self.own.remove(key);
        } else {
            self.own.insert(key.to_owned(), own);
        }
        let now = block.map(|block| self.told(block)).unwrap_or_default();
        let before = if now.is_empty() {
            self.blocks.remove(key)
        } else {
            self.blocks.insert(key.to_owned(), now.clone())
        };
        let before = before.unwrap_or_default();
        let gone = before.iter().filter(|(address, told)| now.get(address) != Some(told));
        let new = now.iter().filter(|(address, told)| before.get(address) != Some(told));
        let mut differences: BTreeMap<&str, Difference<'_>> = BTreeMap::new();
        for (address, told) in gone {
            differences.entry(&told.network).or_default().gone.push((*address, told));
        }
        for (address, told) in new {
            differences.entry(&told.network).or_default().new.push((*address, told));
        }
        let mut changes = BTreeMap::new();
        for (network, difference) in differences {
            let known = self.networks.entry(network.to_owned()).or_default();
            changes.insert(network.to_owned(), known.change(&difference));
            if known.addresses.is_empty() {
                self.networks.remove(network);
            }
        }
        Ok(changes)
    }

    /// All that is known of a network.
    pub fn peers(&self, network: &str) -> Peers {
        let Some(known) = self.networks.get(network) else { return Peers::default() };
        let stations = known.stations.keys().filter_map(|mac| Some((*mac, known.station(*mac)?)));
        Peers {
            stations: stations.collect(),
            addresses: known.addresses.clone(),
            nodes: known.nodes.keys().copied().collect(),
        }
    }

    /// The networks of which the node itself has addresses that others must know.
    pub fn here(&self) -> BTreeSet<String> {
        self.own.values().flatten().cloned().collect()
    }

    /// Whose own addresses are not among what is told.
    pub fn node(&self) -> &str {
        &self.node
    }

    fn own(&self, block: &Block) -> BTreeSet<String> {
        let own = block.held.values().filter(|held| held.node == self.node && held.mac.is_some());
        own.map(|held| held.network.clone()).collect()
    }

    fn told(&self, block: Block) -> BTreeMap<IpAddr, Told> {
        let others = block.held.into_iter().filter(|(_, held)| held.node != self.node);
        let told = others.filter_map(|(address, held)| {
            let mac = held.mac?.parse().ok().filter(|mac| is_of_one_station(*mac))?;
            Some((address, Told { network: held.network, mac, node: held.at? }))
        });
        told.collect()
    }
}

/// Anybody may have written it: no group, and not the address of nobody.
fn is_of_one_station(mac: Mac) -> bool {
    let [first, ..] = mac.0;
    first & 1 == 0 && mac.0 != [0; 6]
}

/// What a block does not say any more of a network, and what it says newly.
#[derive(Default)]
struct Difference<'a> {
    gone: Vec<(IpAddr, &'a Told)>,
    new: Vec<(IpAddr, &'a Told)>,
}

impl Known {
    /// Behind which node a station is: the lowest, where they contradict each other.
    fn station(&self, mac: Mac) -> Option<IpAddr> {
        self.stations.get(&mac)?.keys().next().copied()
    }

    fn change(&mut self, difference: &Difference<'_>) -> Vec<PeerChange> {
        let touched = || difference.gone.iter().chain(&difference.new);
        let addresses: BTreeSet<IpAddr> = touched().map(|(address, _)| *address).collect();
        let macs: BTreeSet<Mac> = touched().map(|(_, told)| told.mac).collect();
        let nodes: BTreeSet<IpAddr> = touched().map(|(_, told)| told.node).collect();
        let before = self.some(&addresses, &macs, &nodes);
        for (address, told) in &difference.gone {
            self.forget(*address, told);
        }
        for (address, told) in &difference.new {
            self.learn(*address, told);
        }
        before.towards(&self.some(&addresses, &macs, &nodes))
    }

    /// What is known of these alone.
    fn some(
        &self,
        addresses: &BTreeSet<IpAddr>,
        macs: &BTreeSet<Mac>,
        nodes: &BTreeSet<IpAddr>,
    ) -> Peers {
        let stations = macs.iter().filter_map(|mac| Some((*mac, self.station(*mac)?)));
        let told = addresses.iter().filter_map(|ip| Some((*ip, *self.addresses.get(ip)?)));
        let nodes = nodes.iter().filter(|node| self.nodes.contains_key(node));
        Peers {
            stations: stations.collect(),
            addresses: told.collect(),
            nodes: nodes.copied().collect(),
        }
    }

    fn learn(&mut self, address: IpAddr, told: &Told) {
        self.addresses.insert(address, told.mac);
        *self.nodes.entry(told.node).or_default() += 1;
        *self.stations.entry(told.mac).or_default().entry(told.node).or_default() += 1;
    }

    fn forget(&mut self, address: IpAddr, told: &Told) {
        self.addresses.remove(&address);
        less(&mut self.nodes, told.node);
        if let Some(nodes) = self.stations.get_mut(&told.mac) {
            less(nodes, told.node);
            if nodes.is_empty() {
                self.stations.remove(&told.mac);
            }
        }
    }
}

fn less(counts: &mut BTreeMap<IpAddr, usize>, node: IpAddr) {
    if let Some(count) = counts.get_mut(&node) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// A block in which each of these holds an address: (address, node, network, mac).
    fn block(holders: &[(&str, u8, &str, u8)]) -> String {
        let held = holders.iter().map(|(address, node, network, mac)| {
            let held = json!({
                "node": format!("n{node}"), "network": network, "container": "c", "ifname": "eth0",
                "mac": Mac([2, 0, 0, 0, 0, *mac]).to_string(), "at": format!("10.0.0.{node}"),
            });
            ((*address).to_owned(), held)
        });
        let held: serde_json::Map<_, _> = held.collect();
        json!({ "owner": "n1", "held": held }).to_string()
    }

    fn said(changes: &BTreeMap<String, Vec<PeerChange>>, network: &str) -> Vec<String> {
        changes.get(network).into_iter().flatten().map(ToString::to_string).collect()
    }

    #[test]
    fn a_block_that_changes_tells_what_is_new_and_what_is_gone_and_no_more() {
        let mut all = Whereabouts::new("n1");
        let first = block(&[
            ("10.44.0.1", 1, "pods", 1),
            ("10.44.0.2", 2, "pods", 2),
            ("10.44.0.3", 3, "jobs", 3),
        ]);
        let changes = all.put("a", Some(&first)).unwrap();
        assert_eq!(
            said(&changes, "pods"),
            [
                "node 10.0.0.2",
                "02:00:00:00:00:02 behind 10.0.0.2",
                "10.44.0.2 at 02:00:00:00:00:02"
            ]
        );
        assert_eq!(said(&changes, "jobs").len(), 3);
        assert!(all.put("a", Some(&first)).unwrap().is_empty());
        // Of two addresses, in two blocks, with one MAC address.
        let second = block(&[("fd44::2", 2, "pods", 2)]);
        let changes = all.put("b", Some(&second)).unwrap();
        assert_eq!(said(&changes, "pods"), ["fd44::2 at 02:00:00:00:00:02"]);
        // It goes to another node.
        let moved = block(&[("10.44.0.2", 3, "pods", 2), ("10.44.0.3", 3, "jobs", 3)]);
        let changes = all.put("a", Some(&moved)).unwrap();
        assert_eq!(said(&changes, "pods"), ["node 10.0.0.3"], "as long as both say otherwise");
        let changes = all.put("b", None).unwrap();
        assert_eq!(
            said(&changes, "pods"),
            ["02:00:00:00:00:02 behind 10.0.0.3", "no fd44::2", "no node 10.0.0.2"]
        );
        all.put("a", None).unwrap();
        assert!(all.networks.is_empty() && all.blocks.is_empty());
    }

    #[test]
    fn what_nobody_can_have_written_is_passed_over() {
        let mut all = Whereabouts::new("n1");
        assert!(all.put("a", Some("{")).is_err());
        for mac in ["01:00:5e:00:00:01", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "x"] {
            let held = json!({ "held": { "10.44.0.2": {
                "node": "n2", "network": "pods", "container": "c", "ifname": "eth0",
                "mac": mac, "at": "10.0.0.2" } } });
            assert!(all.put("a", Some(&held.to_string())).unwrap().is_empty(), "{mac}");
        }
    }

    proptest! {
        /// The changes, one after the other, lead to what all blocks together say.
        #[test]
        fn changes_add_up(blocks in prop::collection::vec(
            (0..3_u8, prop::collection::vec((0..4_u8, 1..4_u8, 1..4_u8), 0..4)), 1..20
        )) {
            let mut all = Whereabouts::new("n1");
            let mut told: BTreeMap<String, Peers> = BTreeMap::new();
            for (key, holders) in blocks {
                // Each block has addresses of its own.
                let names: Vec<String> =
                    holders.iter().map(|(n, ..)| format!("10.44.{key}.{n}")).collect();
                let holders: Vec<_> = names.iter().zip(&holders).map(|(name, (n, node, mac))| {
                    (name.as_str(), *node, if n % 2 == 0 { "pods" } else { "jobs" }, *mac)
                }).collect();
                let changes = all.put(&key.to_string(), Some(&block(&holders))).unwrap();
                for (network, changes) in changes {
                    let peers = told.entry(network).or_default();
                    for change in changes {
                        peers.apply(change);
                    }
                }
                for (network, peers) in &told {
                    prop_assert_eq!(peers, &all.peers(network));
                }
            }
        }
    }
}
