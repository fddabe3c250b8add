//! `wharfinger show CONTAINER`: all that is known of a container's attachments.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use wharfinger_attach::Host;
use wharfinger_kernel::AtPath;
use wharfinger_ledger::Record;

use super::list::state;
use super::table::plain;
use super::{Answer, events, told};
use crate::program::Program;

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The container's id, or its beginning
    container: String,
}

impl Show {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let shown = program.look(|host| {
            let all = host.ledger.list(None)?.into_iter().map(|entry| entry.record);
            let of = all.filter(|record| record.id.container.starts_with(&self.container));
            Ok(of.map(|record| (drift(host, &record), record)).collect::<Vec<_>>())
        });
        let shown = shown.map_err(|error| told(&error))?;
        if shown.is_empty() {
            bail!(
                "no attachment of container {:?}; `wharfinger ls` has all of them",
                self.container
            );
        }
        let decisions = events::of_container(program, &self.container);
        let object = |(drift, record): &(Vec<String>, Record)| json!({ "record": record, "drift": drift, "events": of(record, &decisions) });
        let value = shown.iter().map(object).collect();
        let text = shown.iter().map(|(drift, record)| text(record, drift, &decisions));
        Ok(Answer::new(text.collect::<String>(), value))
    }
}

/// How the kernel differs from what was made.
pub(super) fn drift(host: &Host, record: &Record) -> Vec<String> {
    let Some(path) = &record.netns else { return vec!["its namespace is not known".to_owned()] };
    match host.kernel.netns(Path::new(path)) {
        Ok(AtPath::Netns(netns)) if record.cookie.is_none_or(|cookie| cookie == netns.cookie) => {
            match host.kernel.verify(&record.plan, &netns) {
                Ok(drift) => drift.iter().map(|it| format!("{} {}", it.object, it.found)).collect(),
                Err(error) => vec![error.to_string()],
            }
        }
        Ok(_) => vec![format!("its namespace {path} is gone")],
        Err(error) => vec![error.to_string()],
    }
}

/// The events of this attachment.
fn of<'e>(record: &Record, events: &'e [Value]) -> Vec<&'e Value> {
    let is = |event: &&Value| {
        event["container"] == record.id.container.as_str()
            && event["network"] == record.id.network.as_str()
    };
    events.iter().filter(is).collect()
}

fn text(record: &Record, drift: &[String], decisions: &[Value]) -> String {
    let addresses: Vec<String> = record.addresses.iter().map(ToString::to_string).collect();
    let mut lines = vec![
        format!("attachment {}", record.id),
        format!("  state      {}", state(record)),
        format!("  addresses  {}", addresses.join(" ")),
        format!("  given by   {}", record.plugin.as_deref().unwrap_or("-")),
        format!("  namespace  {}", record.netns.as_deref().unwrap_or("-")),
    ];
    for event in of(record, decisions) {
        let calls = event["calls"].as_array().into_iter().flatten();
        lines.extend(calls.map(|call| {
            let word = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
            let why = word("reason") + &word("error");
            format!("  decision   {} {} {} {why}", word("plugin"), word("call"), word("decision"))
        }));
    }
    let state = if drift.is_empty() {
        vec!["none: all is as it was made".to_owned()]
    } else {
        drift.to_vec()
    };
    lines.extend(state.iter().map(|it| format!("  drift      {it}")));
    let head: String = lines.iter().map(|line| plain(line).trim_end().to_owned() + "\n").collect();
    let plan: String =
        record.plan.to_string().lines().map(|line| ["    ", line, "\n"].concat()).collect();
    format!("{head}  plan\n{plan}")
}
