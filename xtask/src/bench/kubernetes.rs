//! A cluster's book on Kubernetes' API server, beside one on etcd and a node's own: addresses alone. The API
//! server, its etcd and the nodes share one machine, and its disk. Start reading at [`run`].

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use wharfinger_etcd_server::Cluster;
use wharfinger_kube_lab::Lab;

use super::Options;
use super::cluster::{Book, Node, ONE, SQLITE, lives, shown};
use super::machine::{Container, Machine};
use super::process::at_once;
use super::report::Figures;
use super::whereabouts;
use crate::command::{say, workspace};

/// The part's name.
pub(crate) const NAME: &str = "kubernetes";

const API: &str = "Kubernetes' API server";

/// ADDs whose requests are counted: a block and a half.
const ADDS: usize = 96;
/// Pods that come at once on one node.
const PODS: usize = 100;
/// So many blocks are on the books.
const BLOCKS: [usize; 3] = [1, 10, 1000];

/// Runs it.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    let (lab, etcd) = (Lab::api()?, Cluster::one()?);
    lab.deploy(&workspace().join("deploy/kubernetes"))?;
    let (own, of_etcd, of_api) = (Book::Own, Book::Etcd(&etcd), Book::Kubernetes(&lab));
    let books = [(SQLITE, own), (ONE, of_etcd), (API, of_api)];
    lives(machine, options, &books)?;
    requests(machine, &lab)?;
    crowds(machine, options, &books)?;
    growth(machine, options, &lab)?;
    whereabouts::run(machine, options, &lab, PODS)
}

/// How often the API server is asked for objects of the book, by its own count.
fn requests(machine: &Machine, lab: &Lab) -> Result<()> {
    let node = Node::new(machine, "requests", "asking", Book::Kubernetes(lab))?;
    let container = Container::new("c")?;
    say(&format!("\n### What a verb asks of the API server: {ADDS} of each, with blocks of 64\n"));
    say("| what | requests | each | of them |\n|---|---|---|---|");
    let first = asked(lab, || node.each("ADD", &container, 1))?;
    say(&format!("| a node's first ADD | {} |", shown(&first, 1)));
    node.each("DEL", &container, 1)?;
    for verb in ["ADD", "DEL"] {
        let counted = asked(lab, || node.each(verb, &container, ADDS))?;
        say(&format!("| {verb} | {} |", shown(&counted, ADDS)));
    }
    Ok(())
}

/// What some work asks, by verb.
fn asked(lab: &Lab, work: impl FnOnce() -> Result<()>) -> Result<BTreeMap<String, u64>> {
    let before = counted(lab)?;
    work()?;
    let mut after = counted(lab)?;
    for (verb, count) in &mut after {
        *count -= before.get(verb).copied().unwrap_or_default();
    }
    Ok(after)
}

fn counted(lab: &Lab) -> Result<BTreeMap<String, u64>> {
    let metrics = lab.kubectl(&["get", "--raw", "/metrics"])?;
    let ours = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{") && line.contains("group=\"wharfinger.dev\"")
    });
    let mut all = BTreeMap::new();
    for line in ours {
        let verb = line.split_once("verb=\"").and_then(|(_, rest)| Some(rest.split_once('"')?.0));
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        let verb = verb.context("a verb")?.to_owned();
        *all.entry(verb).or_default() += count.context("a count")?;
    }
    Ok(all)
}

/// Many pods at once on one node.
fn crowds(machine: &Machine, options: &Options, books: &[(&'static str, Book<'_>)]) -> Result<()> {
    let mut figures = Figures::default();
    let mut nodes = Vec::new();
    for (at, (whose, book)) in books.iter().enumerate() {
        nodes.push((*whose, Node::new(machine, "crowd", &format!("crowd-{at}"), *book)?));
    }
    let container = Container::new("c")?;
    // The first on a node writes down what the network is.
    for (_, node) in &nodes {
        node.each("ADD", &container, 1)?;
        node.each("DEL", &container, 1)?;
    }
    for _ in 0..options.crowds {
        for (whose, node) in &nodes {
            for verb in ["ADD", "DEL"] {
                let calls = (0..PODS).map(|id| node.call(verb, &container, id));
                let (_, took) = at_once(&calls.collect::<Result<Vec<_>>>()?).context(*whose)?;
                figures.add(&format!("{PODS} {verb}s"), whose, took);
            }
        }
    }
    figures.print("Pods at once on one node: addresses alone", API, &[]);
    Ok(())
}

/// With so many blocks on the books, all but a few of others.
fn growth(machine: &Machine, options: &Options, lab: &Lab) -> Result<()> {
    say("\n### Growth with the blocks on the books\n");
    say("| blocks | a node's first ADD, ms | of them | ADD, ms | DEL, ms |\n|---|---|---|---|---|");
    let container = Container::new("c")?;
    let mut there = 0;
    for blocks in BLOCKS {
        let name = format!("grows-{blocks}");
        let node = Node::new(machine, "grows", &name, Book::Kubernetes(lab))?;
        let mut figures = Figures::default();
        if blocks > BLOCKS[0] {
            fill(lab, &mut there, blocks - 1)?;
        }
        let mut once = |verb: &str, what: &str, id: usize| -> Result<()> {
            let (_, took) = node.call(verb, &container, id)?.time()?;
            figures.add(what, API, took);
            Ok(())
        };
        let first = asked(lab, || once("ADD", "first", 0))?;
        for id in 1..=options.rounds {
            once("ADD", "ADD", id)?;
            once("DEL", "DEL", id)?;
        }
        once("DEL", "last", 0)?;
        let median = |what: &str| figures.median(what, API).unwrap_or_default();
        let parts: Vec<String> =
            first.iter().filter(|(_, n)| **n > 0).map(|(verb, n)| format!("{n} {verb}")).collect();
        let (parts, first) = (parts.join(", "), median("first"));
        let (add, del) = (median("ADD"), median("DEL"));
        say(&format!("| {blocks} | {first:.2} | {parts} | {add:.2} | {del:.2} |"));
    }
    Ok(())
}

/// Makes blocks of another node, full, until there are so many of them.
fn fill(lab: &Lab, there: &mut usize, wanted: usize) -> Result<()> {
    let known = lab.get(&["blocks"])?;
    let domain = known.pointer("/items/0/spec/domain").and_then(Value::as_str);
    let (domain, mut items) = (domain.context("a block")?.to_owned(), Vec::new());
    for at in *there..wanted {
        // From the end of 10.30.0.0/16, where nodes seldom begin.
        let first = u32::from_be_bytes([10, 30, 255, 192]) - u32::try_from(at)? * 64;
        let address = |at: u32| std::net::Ipv4Addr::from_bits(first + at).to_string();
        let holder =
            json!({ "node": "other", "network": "grows", "container": "c", "ifname": "e" });
        let held: serde_json::Map<String, Value> =
            (0..64).map(|at| (address(at), holder.clone())).collect();
        items.push(json!({
            "apiVersion": "wharfinger.dev/v1alpha1", "kind": "Block",
            "metadata": { "name": format!("{domain}.4{first:08x}") },
            "spec": { "domain": domain, "first": address(0), "owner": "other", "held": held },
        }));
    }
    *there = wanted;
    for some in items.chunks(50) {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": some });
        // One that a node has there already stays its own.
        let _ = lab.kubectl_with(&["create", "-f", "-"], &list.to_string());
    }
    Ok(())
}
