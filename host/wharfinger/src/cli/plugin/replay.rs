//! `wharfinger plugin replay`: a recorded call again, anywhere.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use wharfinger_kit::replay;
use wharfinger_wasm::Limits;
use wharfinger_wasm::record::{Call, Record};

use super::super::Answer;
use super::load::{self, Loaded};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The record: a file of the run directory's `calls`
    record: PathBuf,
    /// The component that is asked; without it the recorded one, where it is built in or installed
    #[arg(long, value_name = "WASM")]
    plugin: Option<PathBuf>,
}

impl Replay {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let shown = self.record.display();
        let text =
            std::fs::read_to_string(&self.record).with_context(|| format!("read {shown}"))?;
        let record = Record::read(&text).with_context(|| format!("{shown}"))?;
        let plugin = match &self.plugin {
            Some(path) => load::load(path, &Limits::default(), &replay::grants(&record))?,
            None => recorded(&record, program)?,
        };
        let target = plugin.target();
        let replayed = replay::replay(target, &record).map_err(|what| anyhow!("{what}"))?;
        let head = format!(
            "{} of {}, recorded of {}\n",
            record.call.export(),
            target.identity(),
            if record.plugin == target.identity() { "the same component" } else { &record.plugin },
        );
        let line = |(level, message): &(_, String)| format!("log ({level:?}): {message}\n");
        let log: String = replayed.lines.iter().map(line).collect();
        let value = json!({
            "same": replayed.is_same(), "then": replayed.then, "now": replayed.now,
            "departure": replayed.departure, "unasked": replayed.unasked,
        });
        Ok(Answer::new(format!("{head}{log}{replayed}"), value).unless(!replayed.is_same()))
    }
}

/// The very component that was recorded, by the name it has on this node.
fn recorded(record: &Record, program: &Program) -> Result<Loaded> {
    let (name, digest) = record.plugin.split_once('@').unwrap_or((&record.plugin, ""));
    let engine = program.engine();
    let policy = matches!(record.call, Call::Admit { .. } | Call::Review { .. });
    let plugin = if policy {
        engine.policy(name).map(Loaded::Policy)
    } else {
        // A policy's configuration may have been validated.
        engine
            .ipam(name)
            .map(Loaded::Ipam)
            .or_else(|error| engine.policy(name).map(Loaded::Policy).map_err(|_| error))
    };
    let plugin = plugin.map_err(|error| anyhow!("{error}; say with --plugin where it is"))?;
    let here = plugin.target().identity().to_owned();
    if here.ends_with(digest) {
        return Ok(plugin);
    }
    bail!("{name} is {here} here: say with --plugin where {} is, or take that one", record.plugin)
}
