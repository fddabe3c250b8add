//! The book beside what Kubernetes says of its nodes and pods: each knows something that the other
//! should. Pure. What is under way on some node looks like a difference for a moment, so pods count
//! that were the same before and after the book was read. Start reading at [`findings`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::check::{Finding, finding};
use super::nodes::NodeAt;
use super::objects::Held;
use super::survey::{BlockAt, Survey};
use crate::Identity;
use crate::point::{Point, Span};

/// The interface whose addresses Kubernetes knows as a pod's.
const FIRST: &str = "eth0";

/// What Kubernetes says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// All nodes.
    pub nodes: Vec<NodeSeen>,
    /// All pods that have a node.
    pub pods: Vec<PodSeen>,
}

/// A Node, as Kubernetes has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// The boot that its kubelet told of.
    pub boot: Option<String>,
}

impl NodeSeen {
    /// Whether that is the boot which the node itself told the book of; where either does not say,
    /// it may be.
    pub fn is_in(&self, told: Option<&str>) -> bool {
        let boot = self.boot.as_deref();
        boot.is_none() || told.is_none() || boot == told
    }
}

/// A pod, as Kubernetes has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSeen {
    /// Its namespace and its name: `default/web-0`.
    pub name: String,
    /// Its uid; of a static pod its mirror's, and its own.
    pub uids: Vec<String>,
    /// Its node.
    pub node: String,
    /// Its addresses, once it has some.
    pub addresses: Vec<IpAddr>,
    /// It has a network of its own, and neither ended nor is it being deleted.
    pub attached: bool,
}

/// Both, put together.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    pub(super) survey: &'a Survey,
    pub(super) told: &'a [NodeAt],
    pub(super) identities: &'a [Identity],
    nodes: BTreeMap<&'a str, &'a NodeSeen>,
    /// Every uid that was seen.
    uids: BTreeSet<&'a str>,
    /// Pods that were the same both times.
    pods: Vec<&'a PodSeen>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(
        survey: &'a Survey,
        told: &'a [NodeAt],
        identities: &'a [Identity],
        looks: &'a [Beside; 2],
    ) -> Self {
        let [before, after] = looks;
        let same: BTreeMap<&str, &PodSeen> =
            before.pods.iter().map(|pod| (pod.name.as_str(), pod)).collect();
        let pods = after.pods.iter().filter(|pod| same.get(pod.name.as_str()) == Some(pod));
        let all = before.pods.iter().chain(&after.pods).flat_map(|pod| &pod.uids);
        let nodes = before.nodes.iter().chain(&after.nodes);
        Self {
            survey,
            told,
            identities,
            nodes: nodes.map(|node| (node.name.as_str(), node)).collect(),
            uids: all.map(String::as_str).collect(),
            pods: pods.collect(),
        }
    }

    /// What is held, and where.
    fn held(&self) -> impl Iterator<Item = (&'a BlockAt, IpAddr, &'a Held)> {
        let of = |at: &'a BlockAt| at.block.held.iter().map(move |(ip, held)| (at, *ip, held));
        self.survey.blocks.iter().flat_map(of)
    }

    fn boot_of(&self, node: &str) -> Option<&'a str> {
        let told = self.told.iter().find(|told| told.name == node)?;
        told.facts.as_ref().map(|facts| facts.boot.as_str()).filter(|boot| !boot.is_empty())
    }
}

/// All of them.
pub(super) fn findings(seen: &Compared<'_>, all: &mut Vec<Finding>) {
    holders(seen, all);
    addresses(seen, all);
    pods(seen, all);
    claims(seen, all);
}

/// Nodes that hold something, and are gone or in another boot.
fn holders(seen: &Compared<'_>, all: &mut Vec<Finding>) {
    let mut has: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for owner in seen.survey.blocks.iter().filter_map(|at| at.block.owner.as_deref()) {
        has.entry(owner).or_default().1 += 1;
    }
    seen.held().for_each(|(_, _, held)| has.entry(&held.node).or_default().0 += 1);
    for (node, (addresses, blocks)) in has {
        let object = format!("node {node}");
        let what = format!("it holds {addresses} addresses and {blocks} blocks, and");
        // An empty block is nobody's loss.
        let wrong = addresses > 0;
        let free = format!("`wharfinger gc --cluster --node {node}`");
        let found = match seen.nodes.get(node) {
            None => {
                let advice = format!("free them, once its machine is gone for good: {free}");
                finding("node-gone", object, format!("{what} there is no such Node"), &advice)
            }
            Some(known) if !known.is_in(seen.boot_of(node)) => {
                let advice = format!(
                    "its first attachment, or `wharfinger serve --agent` on it, frees what did not \
                     outlive the boot; where it is to stay without both: {free}"
                );
                let what = format!("{what} its Node is in another boot than it told of");
                finding("node-rebooted", object, what, &advice)
            }
            Some(_) => continue,
        };
        all.push(Finding { wrong, ..found });
    }
}

/// Addresses that are held, whose pod is gone, has others, or is on another node.
fn addresses(seen: &Compared<'_>, all: &mut Vec<Finding>) {
    let mut of_uid: BTreeMap<&str, &PodSeen> = BTreeMap::new();
    let mut of_address: BTreeMap<IpAddr, Vec<&PodSeen>> = BTreeMap::new();
    for pod in &seen.pods {
        of_uid.extend(pod.uids.iter().map(|uid| (uid.as_str(), *pod)));
        for address in pod.addresses.iter().filter(|_| pod.attached) {
            of_address.entry(*address).or_default().push(pod);
        }
    }
    for (at, address, held) in seen.held().filter(|held| seen.nodes.contains_key(&*held.2.node)) {
        let object = format!("address {address} of domain {}", at.domain);
        let whose = format!("{} of node {} holds it", held.id(), held.node);
        let others = of_address.get(&address).into_iter().flatten();
        for pod in others.filter(|pod| pod.node != held.node) {
            all.push(finding(
                "address-of-another-pod",
                object.clone(),
                format!("{whose}, and pod {} of node {} has it", pod.name, pod.node),
                "two may use it: delete that pod, so that it is made anew with an address of its \
                 own",
            ));
        }
        let Some(uid) = &held.pod else { continue };
        match of_uid.get(uid.as_str()) {
            None if seen.uids.contains(uid.as_str()) => {}
            None => all.push(finding(
                "address-without-its-pod",
                object,
                format!("{whose}, and its pod ({uid}) is gone"),
                &left(held),
            )),
            Some(pod) if pod.node != held.node => {
                let what = format!("{whose}, and its pod {} is on node {}", pod.name, pod.node);
                all.push(finding("address-without-its-pod", object, what, &left(held)));
            }
            Some(pod) if is_anothers(pod, address, held) => {
                let has: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
                let has = has.join(" and ");
                let what = format!("{whose}, and its pod {} has {has}", pod.name);
                all.push(finding("address-not-its-pods", object, what, &left(held)));
            }
            Some(_) => {}
        }
    }
}

fn is_anothers(pod: &PodSeen, address: IpAddr, held: &Held) -> bool {
    let known = held.ifname == FIRST && pod.attached && !pod.addresses.is_empty();
    known && !pod.addresses.contains(&address)
}

/// What to do about what is held for nothing.
fn left(held: &Held) -> String {
    format!(
        "while its runtime is at work it looks like this: look again in a minute. What stays is left \
         behind: on node {} `wharfinger gc --cluster`, and where a record of it is there (`wharfinger \
         ls`), `wharfinger del {} --container {} --ifname {}`",
        held.node, held.network, held.container, held.ifname
    )
}

/// Pods that run with an address of a network's range which nobody holds.
fn pods(seen: &Compared<'_>, all: &mut Vec<Finding>) {
    let held: BTreeSet<IpAddr> = seen.held().map(|(_, address, _)| address).collect();
    let ranges = || seen.survey.ranges.iter();
    let network = |address: IpAddr| {
        ranges().find(|of| {
            of.ranges.iter().any(|range| Span::from(range).contains(Point::from(address)))
        })
    };
    for pod in seen.pods.iter().filter(|pod| pod.attached) {
        for address in pod.addresses.iter().filter(|address| !held.contains(address)) {
            let Some(of) = network(*address) else { continue };
            let what = format!(
                "it has {address} of network {}, and the book does not say so: another may be given \
                 it",
                of.network
            );
            let advice = format!(
                "`wharfinger gc --cluster` on node {} claims it again, if the node has a record of \
                 it; otherwise delete the pod",
                pod.node
            );
            all.push(finding("pod-not-in-the-book", format!("pod {}", pod.name), what, &advice));
        }
    }
}

/// Claims of which nobody holds an address: good to know.
fn claims(seen: &Compared<'_>, all: &mut Vec<Finding>) {
    let held: BTreeSet<(&str, Point)> =
        seen.held().map(|(at, address, _)| (at.domain.as_str(), Point::from(address))).collect();
    for claim in seen.identities {
        let of = |address: &IpAddr| held.contains(&(claim.domain.as_str(), Point::from(*address)));
        if claim.addresses.iter().any(of) {
            continue;
        }
        let kept: Vec<String> = claim.addresses.iter().map(ToString::to_string).collect();
        let object = format!("identity {} of network {}", claim.identity, claim.network);
        let what = format!("it is nowhere attached, and {} is kept for it", kept.join(" and "));
        let advice = "nothing, where it is to come back; otherwise others get it once the range is \
            used up";
        all.push(Finding { wrong: false, ..finding("claim-without-holder", object, what, advice) });
    }
}

#[cfg(test)]
mod tests {
    use super::super::NodeFacts;
    use super::super::objects::Block;
    use super::super::survey::Ranges;
    use super::*;
    use crate::Range;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn pod(name: &str, node: &str, addresses: &[u8]) -> PodSeen {
        PodSeen {
            name: format!("default/{name}"),
            uids: vec![format!("uid-{name}")],
            node: node.into(),
            addresses: addresses.iter().map(|last| ip(*last)).collect(),
            attached: true,
        }
    }

    fn held(node: &str, pod: Option<&str>) -> Held {
        Held {
            node: node.into(),
            network: "pods".into(),
            container: "c".into(),
            ifname: FIRST.into(),
            mac: None,
            at: None,
            pod: pod.map(|pod| format!("uid-{pod}")),
        }
    }

    /// Two nodes, a pod on each, and a container that is no pod's.
    #[derive(Clone)]
    struct All {
        survey: Survey,
        told: Vec<NodeAt>,
        identities: Vec<Identity>,
        looks: [Beside; 2],
    }

    fn sound() -> All {
        let all = [(1, held("a", Some("p"))), (2, held("b", Some("q"))), (3, held("a", None))];
        let block = Block {
            owner: Some("a".into()),
            held: all.into_iter().map(|(last, held)| (ip(last), held)).collect(),
            ..Block::default()
        };
        let range = Range::new(ip(0), ip(7)).unwrap();
        let blocks = vec![BlockAt {
            domain: "d".into(),
            range,
            block,
            key: "book/block/d/x".into(),
            version: 1,
        }];
        let ranges =
            vec![Ranges { domain: "d".into(), network: "pods".into(), ranges: vec![range] }];
        let node = |name: &str| NodeSeen { name: name.into(), boot: Some("one".into()) };
        let told = NodeAt {
            name: "a".into(),
            facts: Some(NodeFacts { boot: "one".into(), ..NodeFacts::default() }),
            version: 1,
            alive: false,
        };
        let look = Beside {
            nodes: vec![node("a"), node("b")],
            pods: vec![pod("p", "a", &[1]), pod("q", "b", &[2])],
        };
        All {
            survey: Survey { blocks, ranges, unreadable: Vec::new() },
            told: vec![told],
            identities: Vec::new(),
            looks: [look.clone(), look],
        }
    }

    impl All {
        fn both(&mut self, change: impl Fn(&mut Beside)) {
            self.looks.iter_mut().for_each(change);
        }

        fn found(&self) -> Vec<(&'static str, bool)> {
            let mut all = Vec::new();
            let Self { survey, told, identities, looks } = self;
            findings(&Compared::new(survey, told, identities, looks), &mut all);
            all.iter().map(|finding| (finding.kind, finding.wrong)).collect()
        }
    }

    #[test]
    fn what_agrees_is_not_told_of_and_neither_is_what_is_under_way() {
        let all = sound();
        assert_eq!(all.found(), []);
        // A pod that came, went, or got its addresses between the two looks.
        let mut coming = all.clone();
        coming.looks[0].pods.clear();
        assert_eq!(coming.found(), []);
        coming.looks.reverse();
        assert_eq!(coming.found(), []);
        let mut naked = all.clone();
        naked.both(|look| look.pods[0].addresses.clear());
        assert_eq!(naked.found(), []);
        // What another network gave.
        let mut foreign = all;
        foreign.both(|look| look.pods.push(pod("r", "b", &[99])));
        assert_eq!(foreign.found(), []);
    }

    #[test]
    fn an_address_is_told_of_whose_pod_is_gone_or_has_another_or_is_elsewhere() {
        let mut all = sound();
        all.both(|look| drop(look.pods.remove(0)));
        assert_eq!(all.found(), [("address-without-its-pod", true)]);
        let mut all = sound();
        all.both(|look| look.pods[0].addresses = vec![ip(3)]);
        assert_eq!(all.found(), [("address-not-its-pods", true)]);
        let mut all = sound();
        all.both(|look| look.pods[0].node = "b".into());
        let twice = [("address-of-another-pod", true), ("address-without-its-pod", true)];
        assert_eq!(all.found(), twice);
        let mut all = sound();
        all.both(|look| look.pods.push(pod("r", "b", &[3])));
        assert_eq!(all.found(), [("address-of-another-pod", true)]);
        // A second interface's address is none that Kubernetes knows.
        let mut all = sound();
        all.both(|look| look.pods[0].addresses = vec![ip(99)]);
        let block = &mut all.survey.blocks[0].block;
        block.held.values_mut().for_each(|held| held.ifname = "net1".into());
        assert_eq!(all.found(), []);
    }

    #[test]
    fn a_pod_is_told_of_whose_address_nobody_holds() {
        let mut all = sound();
        all.both(|look| look.pods.push(pod("r", "b", &[5])));
        assert_eq!(all.found(), [("pod-not-in-the-book", true)]);
        all.both(|look| look.pods[2].attached = false);
        assert_eq!(all.found(), []);
    }

    #[test]
    fn nodes_that_are_gone_or_in_another_boot_and_claims_that_nobody_holds() {
        let mut all = sound();
        all.both(|look| drop(look.nodes.remove(1)));
        all.both(|look| drop(look.pods.remove(1)));
        assert_eq!(all.found(), [("node-gone", true)]);
        let mut all = sound();
        all.both(|look| look.nodes[0].boot = Some("two".into()));
        assert_eq!(all.found(), [("node-rebooted", true)]);
        let mut all = sound();
        let claim = |last| Identity {
            domain: "d".into(),
            network: "pods".into(),
            identity: "web-0".into(),
            addresses: vec![ip(last)],
        };
        all.identities = vec![claim(1), claim(7)];
        assert_eq!(all.found(), [("claim-without-holder", false)]);
    }
}
