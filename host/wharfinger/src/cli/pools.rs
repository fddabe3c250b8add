//! `wharfinger pools`: what networks allocate from, and how full that is. A look, which writes nothing;
//! what cannot be told of one network is that one's row. Where the book is a cluster's, also what each
//! node has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use wharfinger_attach::pools::{self, Given, Pool};
use wharfinger_attach::{Error, Host};
use wharfinger_docker as docker;
use wharfinger_etcd::Seen;
use wharfinger_ledger::{Range, Usage};
use wharfinger_view::forecast::{self, Move};

use super::cluster::Nodes;
use super::network::{self, List};
use super::{Answer, Output, events, is_read, told};
use crate::program::Program;
use crate::remote::Store;

/// The highest number that every reader of JSON has exactly.
const EXACT: u128 = 1 << 53;

#[derive(Debug, Args)]
pub(super) struct Pools {
    /// Only this network's
    network: Option<String>,
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
    /// Show it anew when it changes, or every two seconds, until interrupted
    #[arg(long, short)]
    watch: bool,
}

/// Between two looks, where nothing is heard of a change.
const PAUSE: Duration = Duration::from_secs(2);
/// And where something is.
const LEAST: Duration = Duration::from_millis(200);
/// Moves a terminal's cursor home, and clears what is below it.
const HOME: &str = "\u{1b}[H\u{1b}[J";

/// What is told of one network.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) network: String,
    /// Who knows of it.
    by: &'static str,
    pub(super) given: Given,
}

impl Pools {
    pub(super) fn run(&self, program: &Program, output: Output) -> Result<Answer> {
        if !self.watch {
            let (text, value) = self.look(program)?;
            return Ok(Answer::new(text, value));
        }
        let terminal = std::io::stdout().is_terminal() && !output.json;
        let mut changes = Changes::new(program);
        loop {
            // What cannot be told now may be told later.
            let text = match self.look(program) {
                Ok((_, value)) if output.json => value.to_string(),
                Ok((text, _)) => text,
                Err(error) if output.json => json!({ "error": format!("{error:#}") }).to_string(),
                Err(error) => format!("{error:#}\n"),
            };
            let text = if terminal { format!("{HOME}{text}") } else { text + "\n" };
            if !is_read(text.as_bytes())? {
                return Ok(Answer::printed());
            }
            changes.wait();
        }
    }

    /// For people, and for programs.
    fn look(&self, program: &Program) -> Result<(String, Value)> {
        let mut all =
            program.look(|host| all(host, &self.conf_dir)).map_err(|error| told(&error))?;
        let mut nodes = Nodes::look(program)?;
        if let Some(wanted) = &self.network {
            all.retain(|found| found.network == *wanted);
            if all.is_empty() {
                let dir = self.conf_dir.display();
                bail!(
                    "no network {wanted:?}: no entry of ours in {dir}, none of Docker's, no attachment"
                );
            }
            if let Some(nodes) = &mut nodes {
                let domains: Vec<String> = all.iter().flat_map(Found::domains).collect();
                nodes.only(&domains);
            }
        }
        let moves = events::moves(program);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let full = |found: &Found, usage: &Usage| full_in(found, usage, &moves, now.as_secs_f64());
        let rows: Vec<[String; 10]> = all.iter().flat_map(|found| rows(found, &full)).collect();
        let pools = super::table::table(HEAD, &rows);
        let value: Value = all.iter().flat_map(objects).collect();
        let Some(nodes) = nodes else { return Ok((pools, value)) };
        let mut both = json!({ "pools": value, "nodes": nodes.objects() });
        if let Some(why) = nodes.unseen() {
            both["unseen"] = json!(why);
        }
        Ok((
            format!(
                "{pools}
{}",
                nodes.table()
            ),
            both,
        ))
    }
}

/// Of what is configured, of Docker, and of what is attached.
pub(super) fn all(host: &Host, dir: &Path) -> Result<Vec<Found>, Error> {
    let mut all = configured(host, dir);
    all.extend(of_docker(host));
    let mut known: BTreeSet<String> = all.iter().map(|found| found.network.clone()).collect();
    // Of those that are attached to what is configured nowhere, the last tells most.
    let mut entries = host.ledger.list(None)?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.seq));
    for entry in &entries {
        let network = &entry.record.id.network;
        if known.insert(network.clone()) {
            all.push(Found::new(network, "attachment", pools::of_record(host, &entry.record)));
        }
    }
    Ok(all)
}

/// Hears of changes of the cluster's book, where there is one.
struct Changes {
    store: Option<Store>,
    /// Up to where it was heard.
    seen: u64,
}

impl Changes {
    fn new(program: &Program) -> Self {
        let cluster = program.configured().cluster.as_ref();
        Self { store: cluster.and_then(|cluster| Store::new(&cluster.place).ok()), seen: 0 }
    }

    /// Waits for the next one; where none is heard, for a while.
    fn wait(&mut self) {
        std::thread::sleep(LEAST);
        let heard = self.store.as_ref().map(|store| {
            if self.seen == 0 {
                let none = store.remote().changes("none/", 0, PAUSE);
                self.seen = none.map_or(0, |changes| changes.upto);
            }
            store.watch(self.seen).next(PAUSE)
        });
        match heard {
            Some(Ok(Seen::Events(events))) => {
                let last = events.iter().map(|event| event.version).max().unwrap_or_default();
                self.seen = self.seen.max(last);
            }
            Some(Ok(Seen::Nothing)) => {}
            Some(Ok(Seen::Resync(_)) | Err(_)) | None => {
                self.seen = 0;
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Found {
    /// The address spaces that its pools are in.
    fn domains(&self) -> Vec<String> {
        match &self.given {
            Given::None(_) => Vec::new(),
            Given::Pools(_, pools) => pools.iter().map(|pool| pool.domain.clone()).collect(),
        }
    }

    fn new(network: &str, by: &'static str, given: Result<Given, Error>) -> Self {
        let failed = |error: &Error| Given::None(format!("{:#}", told(error)));
        let given = given.unwrap_or_else(|error| failed(&error));
        Self { network: network.to_owned(), by, given }
    }

    fn none(network: &str, by: &'static str, why: String) -> Self {
        Self { network: network.to_owned(), by, given: Given::None(why) }
    }
}

/// Those of the configuration directory; one that is not there has none.
fn configured(host: &Host, dir: &Path) -> Vec<Found> {
    let files = network::files(dir).unwrap_or_default();
    files.iter().flat_map(|file| of_file(host, file)).collect()
}

fn of_file(host: &Host, file: &Path) -> Vec<Found> {
    match network::read(file).and_then(List::read) {
        Ok(list) => of_list(host, &list),
        Err(error) => {
            let name = file.file_name().unwrap_or_default().display().to_string();
            vec![Found::none(&name, "conf", format!("{error:#}"))]
        }
    }
}

/// What an entry says that has no addresses matters where none has.
fn of_list(host: &Host, list: &List) -> Vec<Found> {
    let mut all: Vec<Found> =
        list.ours().into_iter().map(|entry| of_entry(host, list.name(), entry)).collect();
    let has_pools = |found: &Found| matches!(found.given, Given::Pools(..));
    if all.iter().any(has_pools) {
        all.retain(has_pools);
    }
    all
}

fn of_entry(host: &Host, name: &str, entry: Map<String, Value>) -> Found {
    match network::conf(entry) {
        Ok(conf) => Found::new(name, "conf", pools::of_conf(host, &conf, &[])),
        Err(error) => Found::none(name, "conf", format!("{error:#}")),
    }
}

/// Docker's pools, and its networks with where their addresses are from.
fn of_docker(host: &Host) -> Vec<Found> {
    let (networks, pools) = match crate::docker::look(host) {
        Ok(kept) => kept,
        Err(error) => return vec![Found::none("docker", "docker", format!("{error:#}"))],
    };
    let by_conf = |name: &str, conf: &Value| {
        let conf = conf.as_object().cloned().unwrap_or_default();
        Found { by: "docker", ..of_entry(host, name, conf) }
    };
    let mut all: Vec<Found> =
        pools.iter().map(|pool| by_conf(&pool.network, &pool.conf(None))).collect();
    all.extend(networks.iter().map(|network| {
        let name = network.name();
        if network.gives_addresses() {
            return by_conf(&name, &network.conf());
        }
        Found::none(&name, "docker", from(network, &pools))
    }));
    all
}

/// Where Docker has the addresses from that it gives a network.
fn from(network: &docker::Network, pools: &[docker::Pool]) -> String {
    let from = |subnet: &docker::Subnet| {
        let ours = pools.iter().find(|pool| pool.pool == subnet.pool);
        let whose = ours.map_or("Docker's own IPAM", |pool| pool.network.as_str());
        format!("{} is of {whose}", subnet.pool)
    };
    let all: Vec<String> = network.subnets.iter().map(from).collect();
    if all.is_empty() { "it has no addresses".to_owned() } else { all.join(", ") }
}

fn objects(found: &Found) -> Vec<Value> {
    let Found { network, by, given } = found;
    match given {
        Given::None(why) => vec![json!({ "network": network, "by": by, "reason": why })],
        Given::Pools(plugin, pools) => {
            let object = |pool: &Pool| {
                json!({
                    "network": network,
                    "by": by,
                    "plugin": plugin,
                    "domain": pool.domain,
                    "pool": pool.name,
                    "ranges": pool.ranges,
                    "total": exact(pool.usage.total),
                    "held": exact(pool.usage.held),
                    "resting": exact(pool.usage.cooling),
                    "remembered": exact(pool.usage.remembered),
                })
            };
            pools.iter().map(object).collect()
        }
    }
}

/// As a number that every reader has exactly.
pub(super) fn exact(count: u128) -> u64 {
    u64::try_from(count.min(EXACT)).unwrap_or(u64::MAX)
}

const HEAD: [&str; 10] =
    ["NETWORK", "BY", "POOL", "TOTAL", "HELD", "RESTING", "REMEMBERED", "USE", "FULL IN", "RANGES"];

/// Letters of a bar of use.
const BAR: usize = 20;

/// When a network's pool will be full, by what came and went.
fn full_in(
    found: &Found,
    usage: &Usage,
    moves: &BTreeMap<String, Vec<Move>>,
    now: f64,
) -> Option<String> {
    let free = usage.total.saturating_sub(usage.held);
    let of = moves.get(&found.network)?;
    forecast::exhausted_in(exact(free), of, now).map(forecast::span)
}

/// Where there is no pool, the last column says why.
fn rows(found: &Found, full: &dyn Fn(&Found, &Usage) -> Option<String>) -> Vec<[String; 10]> {
    let row = |pool: &str, counts: [String; 6], last: &str| {
        let [total, held, resting, remembered, bar, full] = counts;
        let texts = [found.network.as_str(), found.by, pool].map(super::table::plain);
        let [network, by, pool] = texts;
        [network, by, pool, total, held, resting, remembered, bar, full, super::table::plain(last)]
    };
    match &found.given {
        Given::None(why) => vec![row("-", ["-"; 6].map(str::to_owned), why)],
        Given::Pools(_, pools) => {
            let of_pool = |pool: &Pool| {
                let usage = &pool.usage;
                let counts = [usage.total, usage.held, usage.cooling, usage.remembered];
                let ranges: Vec<String> = pool.ranges.iter().map(range).collect();
                let [total, held, resting, remembered] = counts.map(|count| count.to_string());
                let bar = forecast::bar(usage.total, usage.held, usage.cooling, BAR);
                let full = full(found, usage).unwrap_or_else(|| "-".to_owned());
                let cells = [total, held, resting, remembered, bar, full];
                row(&pool.name, cells, &ranges.join(","))
            };
            pools.iter().map(of_pool).collect()
        }
    }
}

fn range(range: &Range) -> String {
    format!("{}-{}", range.first(), range.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Vec<Found> {
        let range = |first: &str, last: &str| Range::new(first.parse().ok()?, last.parse().ok()?);
        let pool = Pool {
            name: "0".into(),
            domain: "host".into(),
            ranges: range("fd00::", "fd00::ffff:ffff:ffff:ffff").into_iter().collect(),
            usage: Usage { total: 1 << 64, held: 2, cooling: 1, remembered: 3 },
        };
        let given = Given::Pools("host-local".into(), vec![pool]);
        let why = "it says \u{1b}[2J\nno".to_owned();
        vec![Found { network: "pods".into(), by: "conf", given }, Found::none("web", "docker", why)]
    }

    #[test]
    fn a_pool_is_a_row_and_so_is_what_cannot_be_told() {
        let soon = |_: &Found, _: &Usage| Some("3 h".to_owned());
        let rows: Vec<_> = found().iter().flat_map(|found| rows(found, &soon)).collect();
        let text = super::super::table::table(HEAD, &rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("18446744073709551616  2 "), "{text}");
        assert!(lines[1].contains("[#~..................]  3 h"), "{text}");
        assert!(lines[1].ends_with("fd00::-fd00::ffff:ffff:ffff:ffff"), "{text}");
        assert!(lines[2].ends_with("it says  [2J no"), "{text}");
    }

    #[test]
    fn as_json_it_has_numbers_that_readers_have_exactly() {
        let all: Vec<Value> = found().iter().flat_map(objects).collect();
        assert_eq!(all[0]["total"], 1_u64 << 53);
        assert_eq!(all[0]["held"], 2);
        assert_eq!(all[0]["ranges"][0]["first"], "fd00::");
        assert_eq!(all[1]["reason"], "it says \u{1b}[2J\nno");
        assert!(all[1].get("pool").is_none());
    }
}
