//! A cluster's book on etcd, beside a node's own: addresses alone, since all else of an ADD is the
//! same. Nodes are directories and names of their own on one machine, the members of etcd run on
//! it too, and on its disk. Start reading at [`run`].

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use wharfinger_etcd_server::Cluster;
use wharfinger_kube_lab::Lab;

use super::Options;
use super::machine::{Container, Machine};
use super::process::{Call, Took, timed};
use super::report::Figures;
use super::subject::{BEFORE, Subject};
use crate::command::{find, say};

/// What it needs from the machine.
pub(crate) const PROGRAMS: [&str; 2] = ["etcd", "etcdctl"];

pub(super) const SQLITE: &str = "a node's own book";
pub(super) const ONE: &str = "etcd, one member";
const THREE: &str = "etcd, three members";

/// How many nodes are measured at once.
const NODES: [usize; 3] = [1, 4, 16];

/// ADDs of each of them, and those whose requests are counted: a block and a half.
const ADDS: usize = 96;

/// Where a node's book is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Book<'b> {
    /// On itself.
    Own,
    /// On etcd.
    Etcd(&'b Cluster),
    /// On an API server.
    Kubernetes(&'b Lab),
}

impl Book<'_> {
    /// What a node of this name is set to.
    fn settings(self, name: &str) -> Result<String> {
        let kind = match self {
            Book::Own => return Ok(String::new()),
            Book::Etcd(etcd) => {
                format!("ledger = \"etcd\"\n[etcd]\nendpoints = {:?}\n", etcd.endpoints())
            }
            Book::Kubernetes(lab) => {
                lab.identities(&[name])?;
                let place = lab.mounted(name, &lab.token(Some(name))?)?;
                let server = lab.url()?;
                format!(
                    "ledger = \"kubernetes\"\n[kubernetes]\nservice-account = \"{}\"\n\
                     server = {server:?}\n",
                    place.display()
                )
            }
        };
        Ok(format!("{kind}[node]\nname = \"{name}\"\n"))
    }
}

/// A node: directories and a name of its own.
pub(super) struct Node<'m> {
    machine: &'m Machine,
    subject: Subject,
    dir: PathBuf,
}

/// Runs it.
pub(crate) fn run(machine: &Machine, options: &Options) -> Result<()> {
    if let Some(missing) = PROGRAMS.iter().find(|name| find(name).is_none()) {
        say(&format!("\nno {missing}: the cluster is not measured (`--only cluster` installs it)"));
        return Ok(());
    }
    let (one, three) = (Cluster::one()?, Cluster::three()?);
    let books = [(SQLITE, Book::Own), (ONE, Book::Etcd(&one)), (THREE, Book::Etcd(&three))];
    lives(machine, options, &books)?;
    requests(machine, &three)?;
    crowds(machine, &three)
}

impl<'m> Node<'m> {
    /// A fresh one, in a network of this name.
    pub(super) fn new(
        machine: &'m Machine,
        network: &str,
        name: &str,
        book: Book<'_>,
    ) -> Result<Self> {
        let dir = machine.dir.join("run/nodes").join(format!("{network}-{name}"));
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let settings = book.settings(name)?;
        std::fs::write(dir.join("config.toml"), settings).context("a node's settings")?;
        let mut subject =
            machine.ipams(network, 30).into_iter().next().context("ours is the first")?;
        // No address waits for another to be forgotten.
        if let Some(ipam) = subject.conf.get_mut("ipam").and_then(Value::as_object_mut) {
            ipam.insert("coolDown".to_owned(), json!(0));
        }
        Ok(Self { machine, subject, dir })
    }

    /// The same node of an earlier executable, where there is one.
    fn earlier(self) -> Option<Self> {
        let subject = self.machine.before(self.subject)?;
        Some(Self { subject, ..self })
    }

    pub(super) fn call(&self, verb: &str, container: &Container, id: usize) -> Result<Call> {
        let mut call = self.machine.call(&self.subject, verb, container, None)?;
        let path = |name: &str| self.dir.join(name).display().to_string();
        for (variable, value) in [
            ("WHARFINGER_RUN_DIR", path("run")),
            ("WHARFINGER_LIB_DIR", path("lib")),
            ("WHARFINGER_CONFIG", path("config.toml")),
            ("CNI_CONTAINERID", format!("c{id}")),
        ] {
            call.env.push((variable.to_owned(), value));
        }
        Ok(call)
    }

    /// One verb for each of these attachments, one after the other.
    pub(super) fn each(&self, verb: &str, container: &Container, count: usize) -> Result<()> {
        (0..count).try_for_each(|id| self.call(verb, container, id)?.time().map(drop))
    }
}

/// ADD and DEL by turns; what they take beside the last one's.
pub(super) fn lives(
    machine: &Machine,
    options: &Options,
    books: &[(&'static str, Book<'_>)],
) -> Result<()> {
    let mut figures = Figures::default();
    let mut nodes = Vec::new();
    for (at, (whose, book)) in books.iter().enumerate() {
        let node = |network: &str| Node::new(machine, network, &format!("node-{at}"), *book);
        nodes.push(((*whose).to_owned(), node("lives")?));
        if machine.executables.before.is_some() {
            let earlier = node("lives-before")?.earlier();
            nodes.extend(earlier.map(|it| (format!("{whose}, {BEFORE}"), it)));
        }
    }
    for round in 0..=options.rounds {
        for turn in 0..nodes.len() {
            let Some((whose, node)) = nodes.get((turn + round) % nodes.len()) else { continue };
            let container = Container::new("c")?;
            for verb in ["ADD", "DEL"] {
                let (_, took) =
                    node.call(verb, &container, round)?.time().context(whose.clone())?;
                if round > 0 {
                    figures.add(verb, whose, took);
                }
            }
        }
    }
    let last = books.last().map_or(SQLITE, |(whose, _)| *whose);
    figures.print("A cluster's book: addresses alone", last, &[]);
    Ok(())
}

/// How often etcd is asked, by its own count.
fn requests(machine: &Machine, etcd: &Cluster) -> Result<()> {
    let node = Node::new(machine, "requests", "node", Book::Etcd(etcd))?;
    let container = Container::new("c")?;
    // The first writes down what the network is.
    node.each("ADD", &container, 1)?;
    node.each("DEL", &container, 1)?;
    say(&format!("\n### What a verb asks of etcd: {ADDS} of each, with blocks of 64\n"));
    say("| what | requests | each | of them |\n|---|---|---|---|");
    for verb in ["ADD", "DEL"] {
        let before = counted(etcd)?;
        node.each(verb, &container, ADDS)?;
        let mut asked = counted(etcd)?;
        for (method, count) in &mut asked {
            *count -= before.get(method).copied().unwrap_or_default();
        }
        say(&format!("| {verb} | {} |", shown(&asked, ADDS)));
    }
    Ok(())
}

/// Requests by their method, of so many calls: how many, for each call, and of what.
pub(super) fn shown(asked: &BTreeMap<String, u64>, calls: usize) -> String {
    let all: u64 = asked.values().sum();
    let parts = asked.iter().filter(|(_, count)| **count > 0);
    let parts: Vec<String> = parts.map(|(method, n)| format!("{n} {method}")).collect();
    let hundredths = all * 100 / (calls as u64).max(1);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    format!("{all} | {whole}.{rest:02} | {}", parts.join(", "))
}

/// Requests for objects that members have answered, by method.
fn counted(etcd: &Cluster) -> Result<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for url in etcd.endpoints() {
        let page = page(url.trim_start_matches("http://"), "/metrics")?;
        for line in page.lines().filter(|line| line.starts_with("grpc_server_handled_total{")) {
            let part = |name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\""))?;
                Some(rest.split_once('"')?.0)
            };
            if part("grpc_service") != Some("etcdserverpb.KV") {
                continue;
            }
            let method = part("grpc_method").context("a method")?.to_owned();
            let count = line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok());
            let count: u64 = format!("{:.0}", count.context("a count")?).parse()?;
            *all.entry(method).or_default() += count;
        }
    }
    Ok(all)
}

/// A page by HTTP.
fn page(at: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(at).context("a member of etcd")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    if !text.contains(" 200 OK") {
        bail!("{at}{path}: {}", text.lines().next().unwrap_or_default());
    }
    Ok(text)
}

/// Nodes that all add at once, each one after the other.
fn crowds(machine: &Machine, etcd: &Cluster) -> Result<()> {
    say(&format!("\n### Nodes at once: {ADDS} ADDs on each, one after the other\n"));
    say("| nodes | one book on etcd, ADDs a second | each its own book, ADDs a second |");
    say("|---|---|---|");
    for count in NODES {
        let shared = crowd(machine, count, Book::Etcd(etcd))?;
        let own = crowd(machine, count, Book::Own)?;
        say(&format!("| {count} | {shared:.0} | {own:.0} |"));
    }
    Ok(())
}

/// ADDs a second of so many nodes.
fn crowd(machine: &Machine, count: usize, book: Book<'_>) -> Result<f64> {
    let network = format!("crowd{count}");
    let shared = !matches!(book, Book::Own);
    let nodes = (0..count)
        .map(|at| Node::new(machine, &network, &format!("{network}-{at}-{shared}"), book))
        .collect::<Result<Vec<_>>>()?;
    let containers =
        (0..count).map(|at| Container::new(&format!("n{at}"))).collect::<Result<Vec<_>>>()?;
    let all = |verb: &'static str| -> Result<Took> {
        let work = || {
            thread::scope(|scope| {
                let each = |(node, container)| {
                    scope.spawn(move || Node::each(node, verb, container, ADDS))
                };
                let started: Vec<_> = nodes.iter().zip(&containers).map(each).collect();
                started.into_iter().try_for_each(|one| match one.join() {
                    Ok(outcome) => outcome,
                    Err(_) => bail!("a node's thread panicked"),
                })
            })
        };
        Ok(timed(work)?.1)
    };
    let took = all("ADD")?;
    all("DEL")?;
    let adds = u32::try_from(count * ADDS).context("a number of ADDs")?;
    Ok(f64::from(adds) / took.wall.as_secs_f64())
}
