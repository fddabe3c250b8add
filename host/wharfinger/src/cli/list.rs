//! `wharfinger ls`: who is attached, and with what.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use wharfinger_attach::Host;
use wharfinger_ledger::{Entry, Record, State};

use super::{Answer, told};
use crate::program::Program;

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// Only this network's
    network: Option<String>,
}

impl Ls {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let list = |host: &Host| Ok(host.ledger.list(self.network.as_deref())?);
        let entries = program.verb(list).map_err(|error| told(&error))?;
        Ok(Answer::new(table(&entries), entries.iter().map(object).collect()))
    }
}

fn object(entry: &Entry) -> Value {
    let record = &entry.record;
    json!({
        "network": record.id.network,
        "container": record.id.container,
        "ifname": record.id.ifname,
        "state": record.state,
        "addresses": record.addresses,
        "ports": record.ports,
        "domain": record.domain,
        "netns": record.netns,
        "created": record.created,
        "plugin": record.plugin,
        "sequence": entry.seq,
        "plan": record.plan,
        "result": record.result,
    })
}

const HEAD: [&str; 6] = ["NETWORK", "CONTAINER", "IFNAME", "ADDRESSES", "STATE", "NETNS"];

fn table(entries: &[Entry]) -> String {
    let rows: Vec<[String; 6]> = entries.iter().map(row).collect();
    super::table::table(HEAD, &rows)
}

pub(super) fn state(record: &Record) -> &'static str {
    match record.state {
        State::Pending => "pending",
        State::Attached => "attached",
    }
}

fn row(entry: &Entry) -> [String; 6] {
    let record = &entry.record;
    let addresses: Vec<_> = record.addresses.iter().map(ToString::to_string).collect();
    [
        record.id.network.clone(),
        record.id.container.clone(),
        record.id.ifname.clone(),
        addresses.join(","),
        state(record).to_owned(),
        record.netns.clone().unwrap_or_default(),
    ]
}
