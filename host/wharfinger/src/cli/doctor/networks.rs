//! The networks of ours: what of them the kernel lacks, why an ADD would fail, what they give.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use wharfinger_attach::dry::{self, Unwell};
use wharfinger_attach::pools::{self, Given};
use wharfinger_attach::{Error, Host};
use wharfinger_cni::NetConf;
use wharfinger_view::doctor::Facts;
use wharfinger_view::doctor::facts::Network;

use crate::cli::network;
use crate::cli::told;

pub(super) fn gather(host: &Host, dir: &Path, folders: &[PathBuf], facts: &mut Facts) {
    for file in network::files(dir).unwrap_or_default() {
        // What cannot be read is told of the directory.
        let Ok(list) = network::formed(&file) else { continue };
        let entries = list.ours().into_iter();
        facts.networks.extend(entries.map(|entry| network(host, list.name(), entry, folders)));
    }
}

fn network(host: &Host, name: &str, entry: Map<String, Value>, folders: &[PathBuf]) -> Network {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let set = |key: &str| entry.get(key).and_then(Value::as_bool).unwrap_or_default();
    let driver = text("driver").unwrap_or_default();
    let gateway = set("isGateway") || set("isDefaultGateway") || set("ipMasq");
    let features = entry.get("features").and_then(Value::as_object);
    let mut found = Network {
        name: name.to_owned(),
        routed: matches!(driver.as_str(), "ptp" | "overlay") || (driver == "bridge" && gateway),
        bridge: (driver == "bridge").then(|| text("bridge").unwrap_or_else(|| "cni0".to_owned())),
        features: features.into_iter().flat_map(Map::keys).cloned().collect(),
        driver,
        ..Network::default()
    };
    match network::conf(entry) {
        Ok(conf) => ask(host, &conf, folders, &mut found),
        Err(error) => found.unwell = Some(format!("{error:#}")),
    }
    found
}

fn ask(host: &Host, conf: &NetConf, folders: &[PathBuf], found: &mut Network) {
    match dry::status(host, conf, folders) {
        Ok(()) => {}
        Err(Unwell::NotAvailable(error) | Unwell::Impaired(error)) => match *error {
            Error::Features(missing) => found.missing = missing,
            error @ Error::Shared(_) => found.impaired = Some(told(&error).to_string()),
            other => found.unwell = Some(told(&other).to_string()),
        },
    }
    ranges(host, conf, folders, found);
}

/// What it allocates from, and in which address space; nothing where that cannot be told.
pub(in crate::cli) fn ranges(
    host: &Host,
    conf: &NetConf,
    folders: &[PathBuf],
    found: &mut Network,
) {
    if let Ok(Given::Pools(_, pools)) = pools::of_conf(host, conf, folders) {
        let ranges = pools.iter().flat_map(|pool| &pool.ranges);
        found.ranges = ranges.map(|range| (range.first(), range.last())).collect();
        found.domain = pools.into_iter().next().map(|pool| pool.domain).unwrap_or_default();
    }
}
