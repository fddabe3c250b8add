//! What is wrong with a cluster's book, and how full nodes are: for people. Changes nothing; each
//! finding says what to do. Pure but for the reading. Start reading at [`findings`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::beside::{self, Beside, Compared};
use super::keys;
use super::mend::Differences;
use super::nodes::NodeAt;
use super::survey::{Survey, surveyed};
use super::{ClusterLedger, Fault, OwnBook, Went, failed};
use crate::point::{Point, Span};
use crate::{Error, Identity, Range};

/// Something of a cluster's book that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A word for programs: `address-in-two-blocks`.
    pub kind: &'static str,
    /// What it is about.
    pub object: String,
    /// What is found.
    pub what: String,
    /// What to do about it.
    pub advice: String,
    /// Something is wrong; otherwise it is good to know.
    pub wrong: bool,
}

/// What a node has of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// The address space.
    pub domain: String,
    /// None: what is nobody's.
    pub node: Option<String>,
    /// Its blocks.
    pub blocks: usize,
    /// Addresses that its attachments hold, in whosever block, by network.
    pub held: BTreeMap<String, usize>,
    /// Addresses of its blocks that rest.
    pub resting: usize,
    /// Addresses of its blocks that are remembered, and not held.
    pub remembered: usize,
    /// Addresses of its blocks that are in some network's range, and free.
    pub free: u128,
}

/// All that [`findings`] looks at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) survey: Survey,
    pub(super) nodes: Vec<NodeAt>,
    pub(super) identities: Vec<Identity>,
    /// This node's name, and what its own book says.
    pub(super) node: String,
    pub(super) differences: Differences,
    pub(super) waiting: usize,
    /// What Kubernetes says, before the book was read and after.
    pub(super) beside: Option<[Beside; 2]>,
    /// Why that is not there, though it could be.
    pub(super) unknown: Option<String>,
}

/// Asks Kubernetes of its nodes and pods; none where the book is not there.
pub type Look<'l> = &'l dyn Fn() -> Result<Option<Beside>, Fault>;

impl<S: OwnBook> ClusterLedger<S> {
    /// All that can be found wrong with the cluster's book from this node. What is under way on
    /// it may be among it. Where the book is compared with Kubernetes, `look` says what that knows.
    /// `went` hears of what is read.
    pub fn check(&self, look: Look<'_>, went: Went<'_>) -> Result<Vec<Finding>, Error> {
        let went = |done| went(done, 4, "listings of the cluster");
        went(0);
        let before = asked(look)?;
        let horizon = self.own.horizon()?;
        went(1);
        let objects = self.objects()?;
        let identities = objects.iter().filter_map(|object| {
            let [domain, network, identity] = keys::of_identity(&object.key)?;
            let addresses = serde_json::from_str(&object.value).ok()?;
            Some(Identity { domain, network, identity, addresses })
        });
        went(2);
        let nodes = self.nodes()?;
        went(3);
        let (beside, unknown) = match before {
            Ok(Some(before)) => match asked(look)? {
                Ok(after) => (after.map(|after| [before, after]), None),
                Err(why) => (None, Some(why)),
            },
            Ok(None) => (None, None),
            Err(why) => (None, Some(why)),
        };
        Ok(findings(&Seen {
            survey: surveyed(&objects),
            nodes,
            identities: identities.collect(),
            node: self.part.node.clone(),
            differences: self.differences_of(&objects, horizon)?,
            waiting: self.waiting()?,
            beside,
            unknown,
        }))
    }
}

/// The second result: who asks may not know it.
fn asked(look: Look<'_>) -> Result<Result<Option<Beside>, String>, Error> {
    match look() {
        Ok(beside) => Ok(Ok(beside)),
        Err(Fault::Refused(why)) => Ok(Err(why)),
        Err(fault) => Err(failed(&fault)),
    }
}

impl Survey {
    /// What each node has of each domain, by domain and node.
    pub fn shares(&self, now: u64) -> Vec<Share> {
        let mut all: BTreeMap<(&str, Option<&str>), Share> = BTreeMap::new();
        for at in &self.blocks {
            let owner = at.block.owner.as_deref();
            let share = all.entry((&at.domain, owner)).or_default();
            share.blocks = share.blocks.saturating_add(1);
            let rests = at.block.rests.values().filter(|rest| rest.until > now).count();
            share.resting = share.resting.saturating_add(rests);
            let kept = at.block.remembered().filter(|ip| !at.block.held.contains_key(ip)).count();
            share.remembered = share.remembered.saturating_add(kept);
            let taken = at.block.held.len().saturating_add(rests).saturating_add(kept);
            let inside = self.inside(&at.domain, at.range);
            share.free = share.free.saturating_add(inside.saturating_sub(taken as u128));
            for held in at.block.held.values() {
                let share = all.entry((&at.domain, Some(&held.node))).or_default();
                let count = share.held.entry(held.network.clone()).or_default();
                *count = count.saturating_add(1);
            }
        }
        let named = |((domain, node), share): ((&str, Option<&str>), Share)| Share {
            domain: domain.to_owned(),
            node: node.map(str::to_owned),
            ..share
        };
        all.into_iter().map(named).collect()
    }

    /// How many of these addresses are in a range of a network of the domain; of one that no
    /// network has, all.
    fn inside(&self, domain: &str, block: Range) -> u128 {
        let of_domain = self.ranges.iter().filter(|ranges| ranges.domain == domain);
        let all = of_domain.flat_map(|ranges| &ranges.ranges);
        all.map(|range| common(span(*range), span(block))).fold(0, u128::saturating_add)
    }
}

fn span(range: Range) -> Span {
    Span { first: range.first().into(), last: range.last().into() }
}

/// How many addresses both have.
fn common(a: Span, b: Span) -> u128 {
    let (first, last) = (a.first.max(b.first), a.last.min(b.last));
    if !a.overlaps(b) {
        return 0;
    }
    let number = |point: Point| match point.ip() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    number(last).saturating_sub(number(first)).saturating_add(1)
}

/// Everything, the worst first.
pub(super) fn findings(seen: &Seen) -> Vec<Finding> {
    let mut all = Vec::new();
    doubled(seen, &mut all);
    lost(seen, &mut all);
    misplaced(seen, &mut all);
    overlaps(seen, &mut all);
    unreadable(seen, &mut all);
    match (&seen.beside, &seen.unknown) {
        (Some(looks), _) => {
            let Seen { survey, nodes, identities, .. } = seen;
            beside::findings(&Compared::new(survey, nodes, identities, looks), &mut all);
        }
        (None, Some(why)) => all.push(not_compared(why)),
        (None, None) => holders(seen, &mut all),
    }
    identities(seen, &mut all);
    strays(seen, &mut all);
    waiting(seen, &mut all);
    all.sort_by_key(|finding| !finding.wrong);
    all
}

/// Something that is wrong.
pub(super) fn finding(kind: &'static str, object: String, what: String, advice: &str) -> Finding {
    Finding { kind, object, what, advice: advice.to_owned(), wrong: true }
}

fn not_compared(why: &str) -> Finding {
    let advice = "a node's own account may not list them: with the credentials of somebody who has the \
        ClusterRole wharfinger-checker, WHARFINGER_KUBECONFIG=PATH wharfinger check --cluster";
    let object = "nodes and pods of the cluster".to_owned();
    let what = format!("the book was not compared with them: {why}");
    Finding { wrong: false, ..finding("not-compared", object, what, advice) }
}

/// An address that another attachment has by the cluster's book.
fn doubled(seen: &Seen, all: &mut Vec<Finding>) {
    for lost in &seen.differences.lost {
        let Some(holder) = &lost.holder else { continue };
        all.push(finding(
            "address-held-twice",
            format!("address {} of domain {}", lost.address, lost.domain),
            format!(
                "{} of this node has it, and so has {} of node {}: the book says it is the latter's",
                lost.id,
                holder.id(),
                holder.node
            ),
            "make the one on this node anew: end its container, or `wharfinger del` and \
             `wharfinger add`",
        ));
    }
}

fn lost(seen: &Seen, all: &mut Vec<Finding>) {
    for lost in seen.differences.lost.iter().filter(|lost| lost.holder.is_none()) {
        all.push(finding(
            "address-not-in-the-book",
            format!("address {} of domain {}", lost.address, lost.domain),
            format!("{} of this node has it, and the cluster's book does not say so", lost.id),
            "`wharfinger gc --cluster` on this node claims it again, if it is still free",
        ));
    }
}

fn misplaced(seen: &Seen, all: &mut Vec<Finding>) {
    let mut places: BTreeMap<(&str, IpAddr), &str> = BTreeMap::new();
    for at in &seen.survey.blocks {
        let known = at.block.held.keys().chain(at.block.rests.keys()).copied();
        for address in known.chain(at.block.remembered()).collect::<BTreeSet<_>>() {
            let object = || format!("address {address} of domain {}", at.domain);
            if !span(at.range).contains(Point::from(address)) {
                let what = format!("it is in the object {}, which is not its block", at.key);
                let advice = "somebody else wrote there: remove it from that object by hand, with \
                    `etcdctl` or `kubectl edit`, once nobody has it";
                all.push(finding("address-outside-its-block", object(), what, advice));
            } else if let Some(other) = places.insert((&at.domain, address), &at.key) {
                let what = format!("it is in {other} and in {}", at.key);
                let advice = "two blocks overlap, which only somebody else can have written: remove \
                    the one whose size is not the domain's";
                all.push(finding("address-in-two-blocks", object(), what, advice));
            }
        }
    }
}

fn overlaps(seen: &Seen, all: &mut Vec<Finding>) {
    let ranges = &seen.survey.ranges;
    for (at, one) in ranges.iter().enumerate() {
        for other in ranges.iter().skip(at.saturating_add(1)) {
            if other.domain != one.domain {
                continue;
            }
            for (a, b) in one.ranges.iter().flat_map(|a| other.ranges.iter().map(move |b| (*a, *b)))
            {
                if span(a).overlaps(span(b)) {
                    all.push(finding(
                        "ranges-overlap",
                        format!("network {} in domain {}", one.network, one.domain),
                        format!(
                            "its range {} overlaps with {} of network {}",
                            span(a).text(),
                            span(b).text(),
                            other.network
                        ),
                        "give one of them other ranges, on every node",
                    ));
                }
            }
        }
    }
}

fn unreadable(seen: &Seen, all: &mut Vec<Finding>) {
    for what in &seen.survey.unreadable {
        let advice = "is another version of wharfinger on some node? Otherwise somebody else wrote \
            it: restore it from a backup of etcd, or remove it with `etcdctl` or `kubectl` where \
            nobody has anything in it";
        all.push(finding("unreadable", "the cluster's book".to_owned(), what.clone(), advice));
    }
}

/// Nodes that hold something, and do not live as far as can be known.
fn holders(seen: &Seen, all: &mut Vec<Finding>) {
    let mut held: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for at in &seen.survey.blocks {
        if let Some(owner) = &at.block.owner {
            let (blocks, _) = held.entry(owner).or_default();
            *blocks = blocks.saturating_add(1);
        }
        for holder in at.block.held.values() {
            let (_, addresses) = held.entry(&holder.node).or_default();
            *addresses = addresses.saturating_add(1);
        }
    }
    for (node, (blocks, addresses)) in held {
        let known = seen.nodes.iter().find(|known| known.name == node);
        let has = format!("it holds {addresses} addresses and {blocks} blocks, and");
        let gone = if node == seen.node {
            "it is this one: start `wharfinger serve --agent`".to_owned()
        } else {
            format!(
                "if it is gone for good, free them: `wharfinger gc --cluster --node {node}`; \
                 otherwise start it, and `wharfinger serve --agent` on it"
            )
        };
        let object = format!("node {node}");
        match known {
            Some(known) if known.alive => {}
            Some(_) => {
                let what = format!("{has} its agent does not live");
                // An empty block is nobody's loss.
                let wrong = addresses > 0;
                all.push(Finding { wrong, ..finding("node-dead", object, what, &gone) });
            }
            // Where no node has an agent, nothing is wrong about it.
            None if seen.nodes.is_empty() => {}
            None => {
                let what = format!("{has} it never had an agent: nobody can tell whether it lives");
                all.push(Finding {
                    wrong: node != seen.node,
                    ..finding("node-unknown", object, what, &gone)
                });
            }
        }
    }
    for node in seen.nodes.iter().filter(|node| node.facts.is_none()) {
        let what = "what it says of itself is not there, or cannot be read".to_owned();
        let advice = "start `wharfinger serve --agent` on it anew";
        all.push(finding("node-unreadable", format!("node {}", node.name), what, advice));
    }
}

fn identities(seen: &Seen, all: &mut Vec<Finding>) {
    let blocks = &seen.survey.blocks;
    let marked: BTreeSet<(&str, IpAddr)> = blocks
        .iter()
        .flat_map(|at| at.block.remembered().map(|address| (at.domain.as_str(), address)))
        .collect();
    for identity in &seen.identities {
        for address in &identity.addresses {
            if !marked.contains(&(identity.domain.as_str(), *address)) {
                all.push(finding(
                    "identity-without-its-address",
                    format!("identity {} of network {}", identity.identity, identity.network),
                    format!(
                        "address {address} is remembered for it, and its block does not say so"
                    ),
                    "another may be given it; the identity's next attachment sets it right",
                ));
            }
        }
    }
}

fn strays(seen: &Seen, all: &mut Vec<Finding>) {
    for stray in &seen.differences.strays {
        let what = stray.address().map_or_else(
            || "a plugin keeps something for it, and this node has no record of it".to_owned(),
            |address| format!("it holds {address}, and this node has no record of it"),
        );
        let advice = "an attachment under way looks like this; what is left of one that is gone is \
            freed by `wharfinger gc --cluster` on this node";
        let object = format!("attachment {}", stray.id);
        all.push(Finding { wrong: false, ..finding("stray", object, what, advice) });
    }
}

fn waiting(seen: &Seen, all: &mut Vec<Finding>) {
    if seen.waiting > 0 {
        let what = format!("{} releases of this node wait to be sent", seen.waiting);
        let advice = "the next verb or the agent sends them; `wharfinger gc --cluster` does so now";
        let object = format!("node {}", seen.node);
        all.push(Finding { wrong: false, ..finding("queue", object, what, advice) });
    }
}

#[cfg(test)]
mod tests {
    use super::super::objects::{Block, Held};
    use super::super::survey::{BlockAt, Ranges};
    use super::super::{Lost, NodeFacts};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn range(first: &str, last: &str) -> Range {
        Range::new(ip(first), ip(last)).unwrap()
    }

    fn held(node: &str, container: &str) -> Held {
        Held {
            node: node.into(),
            network: "pods".into(),
            container: container.into(),
            ifname: "eth0".into(),
            mac: None,
            at: None,
            pod: None,
        }
    }

    fn block(first: &str, last: &str, owner: &str, held: &[(&str, Held)]) -> BlockAt {
        let held = held.iter().map(|(address, held)| (ip(address), held.clone())).collect();
        BlockAt {
            domain: "d".into(),
            range: range(first, last),
            block: Block { owner: Some(owner.into()), held, ..Block::default() },
            key: format!("book/block/d/{first}"),
            version: 1,
        }
    }

    fn ranges(network: &str, first: &str, last: &str) -> Ranges {
        let ranges = vec![range(first, last)];
        Ranges { domain: "d".into(), network: network.into(), ranges }
    }

    fn node(name: &str, alive: bool) -> NodeAt {
        NodeAt { name: name.into(), facts: Some(NodeFacts::default()), version: 1, alive }
    }

    fn sound() -> Seen {
        let blocks = vec![
            block("10.0.0.0", "10.0.0.3", "a", &[("10.0.0.1", held("a", "p"))]),
            block("10.0.0.4", "10.0.0.7", "b", &[("10.0.0.4", held("a", "q"))]),
        ];
        let ranges = vec![ranges("pods", "10.0.0.1", "10.0.0.6")];
        Seen {
            survey: Survey { blocks, ranges, unreadable: Vec::new() },
            nodes: vec![node("a", true), node("b", true)],
            node: "a".into(),
            ..Seen::default()
        }
    }

    fn kinds(seen: &Seen) -> Vec<&'static str> {
        findings(seen).iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_sound_book_has_no_findings_and_shares_add_up() {
        let seen = sound();
        assert_eq!(findings(&seen), []);
        let shares = seen.survey.shares(0);
        let told: Vec<_> = shares
            .iter()
            .map(|it| (it.node.as_deref().unwrap(), it.blocks, it.held.get("pods"), it.free))
            .collect();
        // One was borrowed.
        assert_eq!(told, [("a", 1, Some(&2), 2), ("b", 1, None, 2)]);
    }

    #[test]
    fn each_kind_of_damage_is_found() {
        let mut seen = sound();
        seen.survey.blocks[0].block.held.insert(ip("10.0.0.9"), held("a", "x"));
        assert_eq!(kinds(&seen), ["address-outside-its-block"]);
        seen = sound();
        let twice = block("10.0.0.4", "10.0.0.11", "b", &[("10.0.0.4", held("b", "y"))]);
        seen.survey.blocks.push(twice);
        assert_eq!(kinds(&seen), ["address-in-two-blocks"]);
        seen = sound();
        seen.survey.ranges.push(ranges("jobs", "10.0.0.6", "10.0.0.9"));
        seen.survey.unreadable.push("object x cannot be read".into());
        assert_eq!(kinds(&seen), ["ranges-overlap", "unreadable"]);
        seen = sound();
        seen.identities.push(Identity {
            domain: "d".into(),
            network: "pods".into(),
            identity: "web-0".into(),
            addresses: vec![ip("10.0.0.1")],
        });
        assert_eq!(kinds(&seen), ["identity-without-its-address"]);
    }

    #[test]
    fn what_this_node_has_alone_is_told_by_whether_another_has_it() {
        let mut seen = sound();
        let lost = |holder| Lost {
            id: held("a", "p").id(),
            domain: "d".into(),
            address: ip("10.0.0.1"),
            holder,
        };
        seen.differences.lost = vec![lost(None), lost(Some(held("b", "z")))];
        seen.waiting = 2;
        let all = findings(&seen);
        let kinds: Vec<_> = all.iter().map(|finding| (finding.kind, finding.wrong)).collect();
        let wanted =
            [("address-held-twice", true), ("address-not-in-the-book", true), ("queue", false)];
        assert_eq!(kinds, wanted);
        assert!(all[0].what.contains("node b"), "{}", all[0].what);
    }

    #[test]
    fn of_nodes_only_what_is_known_is_said() {
        let mut seen = sound();
        seen.nodes = vec![node("a", true), node("b", false)];
        let all = findings(&seen);
        assert_eq!((all[0].kind, all[0].object.as_str()), ("node-dead", "node b"));
        seen.nodes = vec![node("a", true)];
        assert_eq!(kinds(&seen), ["node-unknown"]);
        seen.nodes.clear();
        assert_eq!(findings(&seen), [], "a cluster without agents");
    }
}
