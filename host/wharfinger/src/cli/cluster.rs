//! The cluster's book by hand: what is wrong with it, what is left of nodes that are gone, what each
//! node has of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use wharfinger_attach::Node as _;
use wharfinger_attach::{collect, recover};
use wharfinger_cni::AttachmentId;
use wharfinger_ledger::SqliteLedger;
use wharfinger_ledger::cluster::{ClusterLedger, Finding, Freed, Lost, Mended, NodeAt, Share};

use super::table::{plain, table};
use super::{Answer, told};
use crate::node::Machine;
use crate::program::Program;
use crate::remote::Store;

/// Works with the cluster's book.
pub(super) fn of<T>(
    program: &Program,
    work: impl FnOnce(&ClusterLedger<SqliteLedger>, &Machine) -> Result<T, wharfinger_attach::Error>,
) -> Result<T> {
    let done = program.cluster(work).map_err(|error| told(&error))?;
    done.context(
        "this node's book is its own: there is no cluster (`ledger = \"etcd\"` or `\"kubernetes\"` in \
         the node's file makes it one's)",
    )
}

/// `wharfinger check --cluster`: the status is 1 where something is wrong.
pub(super) fn check(program: &Program) -> Result<Answer> {
    let progress = program.heard.progress();
    let found = of(program, |ledger, machine| {
        let store = store(program)?;
        let look = || store.as_ref().map_or(Ok(None), |store| store.beside(machine.remaining()));
        Ok(ledger.check(&look, &|done, all, of| progress.at(done, all, of))?)
    })?;
    let text = if found.is_empty() {
        "nothing was found\n".to_owned()
    } else {
        found.iter().map(line).collect()
    };
    let value = found.iter().map(finding).collect();
    Ok(Answer::new(text, value).unless(found.iter().any(|finding| finding.wrong)))
}

fn finding(finding: &Finding) -> Value {
    json!({
        "finding": finding.kind,
        "object": finding.object,
        "what": finding.what,
        "do": finding.advice,
        "wrong": finding.wrong,
    })
}

fn line(finding: &Finding) -> String {
    let Finding { object, what, advice, wrong, .. } = finding;
    let mark = if *wrong { "" } else { "(not wrong) " };
    format!("{mark}{}: {}\n  {}\n", plain(object), plain(what), plain(advice))
}

/// What `wharfinger gc --cluster` is told.
#[derive(Debug)]
pub(super) struct Collect<'a> {
    /// All of this node, instead of what is left on ours.
    pub(super) node: Option<&'a str>,
    /// Though its agent lives, or it never had one.
    pub(super) force: bool,
}

/// `wharfinger gc --cluster`.
pub(super) fn gc(program: &Program, collect: &Collect<'_>) -> Result<Answer> {
    match collect.node {
        Some(node) => bury(program, node, collect),
        None => mend(program),
    }
}

fn bury(program: &Program, node: &str, collect: &Collect<'_>) -> Result<Answer> {
    let known = of(program, |ledger, machine| {
        let nodes = nodes(program, ledger, machine)?;
        let own = ledger.node() == node;
        Ok((own, nodes.into_iter().find(|known| known.name == node)))
    })?;
    let known = match known {
        (true, _) => bail!(
            "node {node} is this one: `wharfinger gc --cluster` frees what is left on it, and keeps \
             what lives"
        ),
        (_, Some(known)) if known.alive && !collect.force => bail!(
            "node {node} lives: its agent keeps its lease. What it runs would have addresses that \
             others are given; --force frees them all the same"
        ),
        (_, known) => known,
    };
    let freed = of(program, |ledger, _| {
        let unknown = NodeAt { name: node.to_owned(), facts: None, version: 0, alive: false };
        let known = known.unwrap_or(unknown);
        let freed = if collect.force { ledger.bury(node)? } else { ledger.bury_dead(&known)? };
        if !freed.lives && known.version > 0 {
            ledger.forget_node(&known)?;
        }
        Ok(freed)
    })?;
    let Freed { addresses, blocks, lives } = freed;
    let value =
        json!({ "node": node, "addresses": addresses, "blocks": blocks, "cameBack": lives });
    let shown = plain(node);
    let back = if lives {
        format!("node {shown} came back meanwhile: the rest of what it holds stays\n")
    } else {
        String::new()
    };
    let text = format!("node {shown}: {addresses} addresses and {blocks} blocks are free\n{back}");
    Ok(Answer::new(text, value).unless(lives))
}

fn mend(program: &Program) -> Result<Answer> {
    // Before the books are compared: what is undone here is sent with the rest.
    let detached = program.verb(recover::sweep).map_err(|error| told(&error))?;
    let progress = program.heard.progress();
    progress.stage("comparing what this node has with the cluster's book");
    let (mended, dead, numbers) = of(program, |ledger, machine| {
        let mended =
            collect::mend(ledger, machine, true, &|done, all, of| progress.at(done, all, of))?;
        let dead = dead(program, ledger, machine);
        Ok((mended, dead.map_err(|error| error.to_string()), ledger.free_vnis(machine.now())?))
    })?;
    let of_number = |(network, vni): &(String, u32)| {
        plain(&format!("overlay {network} has no ranges any more: its number {vni} is free")) + "\n"
    };
    let numbered: String = numbers.iter().map(of_number).collect();
    let text = numbered + &lines(&mended, &dead, &detached);
    let mut value = object(&mended, dead.as_ref().ok(), &detached);
    value["overlays"] = json!(BTreeMap::from_iter(numbers));
    Ok(Answer::new(text, value).unless(!mended.doubled.is_empty()))
}

/// All nodes that the book knows of, and who of them lives.
fn nodes(
    program: &Program,
    ledger: &ClusterLedger<SqliteLedger>,
    machine: &Machine,
) -> Result<Vec<NodeAt>, wharfinger_attach::Error> {
    let known = ledger.nodes()?;
    let Some(store) = store(program)? else { return Ok(known) };
    let shares = ledger.survey()?.shares(machine.now());
    let holders = shares.into_iter().filter_map(|share| share.node).collect();
    let living = store.living(known, &holders, machine.remaining());
    living.map_err(|fault| unavailable(fault.to_string()))
}

/// The store of the cluster's book, to be asked beside the ledger.
fn store(program: &Program) -> Result<Option<Store>, wharfinger_attach::Error> {
    let cluster = program.configured().cluster.as_ref();
    cluster.map(|cluster| Store::new(&cluster.place).map_err(unavailable)).transpose()
}

fn unavailable(what: String) -> wharfinger_attach::Error {
    let path = "of the cluster".to_owned();
    wharfinger_attach::Error::from(wharfinger_ledger::Error::Unavailable { path, what })
}

/// Nodes that hold something, and whose agents do not live: how many addresses.
fn dead(
    program: &Program,
    ledger: &ClusterLedger<SqliteLedger>,
    machine: &Machine,
) -> Result<BTreeMap<String, usize>, wharfinger_attach::Error> {
    let dead = nodes(program, ledger, machine)?
        .into_iter()
        .filter(|node| !node.alive)
        .map(|node| node.name);
    let mut dead: BTreeMap<String, usize> = dead.map(|name| (name, 0)).collect();
    for share in ledger.survey()?.shares(machine.now()) {
        let held: usize = share.held.values().sum();
        if let Some(sum) = share.node.and_then(|node| dead.get_mut(&node)) {
            *sum = sum.saturating_add(held);
        }
    }
    dead.retain(|node, held| *held > 0 && node != ledger.node());
    Ok(dead)
}

fn of_lost(lost: &Lost) -> Value {
    json!({
        "attachment": lost.id.to_string(),
        "domain": lost.domain,
        "address": lost.address,
        "node": lost.holder.as_ref().map(|holder| &holder.node),
    })
}

/// For events and for programs.
pub(crate) fn of_mended(mended: &Mended) -> Value {
    let freed: Vec<String> = mended.freed.iter().map(ToString::to_string).collect();
    let all = |lost: &[Lost]| lost.iter().map(of_lost).collect::<Vec<_>>();
    json!({
        "freed": freed,
        "claimed": all(&mended.claimed),
        "heldTwice": all(&mended.doubled),
        "blocks": mended.blocks,
    })
}

/// `dead` is null where nobody may know it.
fn object(
    mended: &Mended,
    dead: Option<&BTreeMap<String, usize>>,
    detached: &[AttachmentId],
) -> Value {
    let mut value = of_mended(mended);
    value["detached"] = detached.iter().map(ToString::to_string).collect();
    value["dead"] = json!(dead);
    value
}

fn lines(
    mended: &Mended,
    dead: &Result<BTreeMap<String, usize>, String>,
    detached: &[AttachmentId],
) -> String {
    let mut lines = Vec::new();
    for id in detached {
        lines.push(format!("detached, its container is gone: {id}"));
    }
    for id in &mended.freed {
        lines.push(format!("freed, there is no record of it: {id}"));
    }
    for Lost { id, address, .. } in &mended.claimed {
        lines.push(format!("claimed again: {address} of {id}"));
    }
    for Lost { id, address, holder, .. } in &mended.doubled {
        let whose = holder.as_ref().map(|it| format!("{} of node {}", it.id(), it.node));
        lines.push(format!(
            "held twice: {address} of {id} is {}'s by the book; make the one on this node anew",
            whose.unwrap_or_default()
        ));
    }
    if mended.blocks > 0 {
        lines.push(format!("empty blocks given back: {}", mended.blocks));
    }
    for (node, held) in dead.iter().flatten() {
        lines.push(format!(
            "node {node} does not live, and holds {held} addresses: `wharfinger gc --cluster --node \
             {node}` frees them, once it is gone for good"
        ));
    }
    if lines.is_empty() {
        lines.push("nothing was left".to_owned());
    }
    if let Err(why) = dead {
        lines.push(format!("which other nodes are gone is not known: {why}"));
    }
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// What each node has: a table's rows and objects.
#[derive(Debug)]
pub(super) struct Nodes {
    shares: Vec<Share>,
    known: Vec<NodeAt>,
    now: u64,
    /// Why nobody knows which of them live; none: it is known.
    unseen: Option<String>,
}

const HEAD: [&str; 10] = [
    "NODE",
    "STATE",
    "SINCE",
    "DOMAIN",
    "BLOCKS",
    "HELD",
    "RESTING",
    "REMEMBERED",
    "FREE",
    "NETWORKS",
];

impl Nodes {
    /// None where the node's book is its own.
    pub(super) fn look(program: &Program) -> Result<Option<Self>> {
        let looked = program.cluster(|ledger, machine| {
            let (now, shares) = (machine.now(), ledger.survey()?.shares(machine.now()));
            // Who may read the book may not always read who is in the cluster, as a node.
            Ok(match nodes(program, ledger, machine) {
                Ok(known) => Self { shares, known, now, unseen: None },
                Err(error) => {
                    let unseen = Some(told(&error).to_string());
                    Self { shares, known: Vec::new(), now, unseen }
                }
            })
        });
        looked.map_err(|error| told(&error))
    }

    /// Only what is of this network's domains.
    pub(super) fn only(&mut self, domains: &[String]) {
        self.shares.retain(|share| domains.contains(&share.domain));
    }

    fn state(&self, name: &str) -> (&'static str, Option<u64>) {
        match self.known.iter().find(|node| node.name == name) {
            Some(node) => {
                let since = node.facts.as_ref().map(|facts| facts.since);
                (if node.alive { "alive" } else { "dead" }, since)
            }
            // It has no agent.
            None => ("-", None),
        }
    }

    /// Nodes that have nothing are there as well.
    fn all(&self) -> Vec<Share> {
        let mut all = self.shares.clone();
        for node in &self.known {
            if !all.iter().any(|share| share.node.as_ref() == Some(&node.name)) {
                all.push(Share { node: Some(node.name.clone()), ..Share::default() });
            }
        }
        all.sort_by(|a, b| (&a.node, &a.domain).cmp(&(&b.node, &b.domain)));
        all
    }

    pub(super) fn table(&self) -> String {
        let rows: Vec<_> = self.all().iter().map(|share| self.row(share)).collect();
        let why =
            |why: &String| format!("{}\n", plain(&format!("which nodes live is not known: {why}")));
        table(HEAD, &rows) + &self.unseen.as_ref().map(why).unwrap_or_default()
    }

    /// Why nobody knows which nodes live; none: it is known.
    pub(super) fn unseen(&self) -> Option<&str> {
        self.unseen.as_deref()
    }

    fn row(&self, share: &Share) -> [String; 10] {
        let (state, since) = share.node.as_deref().map_or(("-", None), |name| self.state(name));
        let since = since.map(|since| age(self.now.saturating_sub(since)));
        let networks: Vec<_> =
            share.held.iter().map(|(net, held)| format!("{net}:{held}")).collect();
        let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { plain(text) };
        [
            or_dash(share.node.as_deref().unwrap_or("(nobody's)")),
            state.to_owned(),
            since.unwrap_or_else(|| "-".to_owned()),
            or_dash(&share.domain),
            share.blocks.to_string(),
            share.held.values().sum::<usize>().to_string(),
            share.resting.to_string(),
            share.remembered.to_string(),
            share.free.to_string(),
            or_dash(&networks.join(",")),
        ]
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        let object = |share: &Share| {
            let (state, since) = share.node.as_deref().map_or(("-", None), |name| self.state(name));
            json!({
                "node": share.node,
                "alive": match state { "alive" => Some(true), "dead" => Some(false), _ => None },
                "since": since,
                "domain": share.domain,
                "blocks": share.blocks,
                "held": share.held,
                "resting": share.resting,
                "remembered": share.remembered,
                "free": super::pools::exact(share.free),
            })
        };
        self.all().iter().map(object).collect()
    }
}

/// How long ago, for people.
fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use wharfinger_ledger::cluster::NodeFacts;

    use super::*;

    fn nodes() -> Nodes {
        let share = Share {
            domain: "bridge:cni0".into(),
            node: Some("n1".into()),
            blocks: 2,
            held: BTreeMap::from([("pods".to_owned(), 3)]),
            free: 1 << 64,
            ..Share::default()
        };
        let facts = |since| Some(NodeFacts { since, ..NodeFacts::default() });
        let node = |name: &str, since, alive| NodeAt {
            name: name.into(),
            facts: facts(since),
            version: 1,
            alive,
        };
        let nodes = vec![node("n1", 40, false), node("n2", 100, true)];
        Nodes { shares: vec![share], known: nodes, now: 100, unseen: None }
    }

    #[test]
    fn nodes_are_rows_also_where_they_have_nothing() {
        let text = nodes().table();
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1][..6], ["n1", "dead", "60s", "bridge:cni0", "2", "3"], "{text}");
        assert_eq!(lines[1][9], "pods:3");
        assert_eq!(lines[2][..4], ["n2", "alive", "0s", "-"], "{text}");
        let all = nodes().objects();
        assert_eq!(all[0]["free"], 1_u64 << 53);
        assert_eq!((&all[0]["alive"], &all[1]["alive"]), (&json!(false), &json!(true)));
    }

    #[test]
    fn who_may_not_see_nodes_is_told_so_in_one_line() {
        let unseen = Some("nodes are\nforbidden".to_owned());
        let nodes = Nodes { known: Vec::new(), unseen, ..nodes() };
        let text = nodes.table();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].starts_with("n1 ") && lines[1].contains(" - "), "{text}");
        assert_eq!(lines[2], "which nodes live is not known: nodes are forbidden");
        assert_eq!(nodes.objects()[0]["alive"], json!(null));
    }

    #[test]
    fn what_was_done_is_said_in_lines() {
        assert_eq!(lines(&Mended::default(), &Ok(BTreeMap::new()), &[]), "nothing was left\n");
        let id = |container: &str| AttachmentId {
            network: "pods".into(),
            container: container.into(),
            ifname: "eth0".into(),
        };
        let mended = Mended { freed: vec![id("c\u{1b}1")], blocks: 2, ..Mended::default() };
        let dead = Ok(BTreeMap::from([("n3".to_owned(), 4)]));
        let text = lines(&mended, &dead, &[id("c2")]);
        assert!(text.starts_with("detached, its container is gone: pods/c2"), "{text}");
        assert!(text.contains("c 1") && text.contains("given back: 2"), "{text}");
        assert!(text.contains("gc --cluster --node n3"), "{text}");
    }
}
