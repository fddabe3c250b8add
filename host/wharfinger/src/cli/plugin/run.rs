//! `wharfinger plugin run`: one call, against a ledger that is empty or given.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use wharfinger_kit::once::{self, Given, Input};
use wharfinger_wasm::record::{Import, Record};

use super::super::Answer;
use super::load;

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The component
    #[arg(value_name = "WASM", required_unless_present = "example")]
    wasm: Option<PathBuf>,
    /// The call: allocate, validate, pools, admit or review
    #[arg(long, default_value = "allocate")]
    call: String,
    /// What the call is made with, as JSON; "-" is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "example")]
    input: Option<PathBuf>,
    /// Attachments that are there before: `[{"network": "pods", "container": "c0", "ifname":
    /// "eth0", "addresses": ["10.1.0.2"]}]`
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Print an input to begin with, and do nothing
    #[arg(long)]
    example: bool,
    #[command(flatten)]
    outside: load::Outside,
}

impl Run {
    pub(super) fn run(&self) -> Result<Answer> {
        if self.example {
            let example = Input::example(&self.call);
            return Ok(Answer::new(format!("{example:#}\n"), json!(example)));
        }
        let (Some(wasm), Some(input)) = (&self.wasm, &self.input) else {
            bail!("a component and an input are needed; --example prints an input")
        };
        let (limits, grants) = self.outside.granted()?;
        let input: Input = load::json(input)?;
        let given: Vec<Given> = match &self.ledger {
            Some(path) => load::json(path)?,
            None => Vec::new(),
        };
        let plugin = load::load(wasm, &limits, &grants)?;
        let record = once::once(plugin.target(), &self.call, &input, &given);
        let record = record.map_err(|what| anyhow!("{what}"))?;
        let value = serde_json::from_str(&record.to_json()?)?;
        Ok(Answer::new(shown(&record)?, value).unless(record.answer.is_refusal()))
    }
}

fn shown(record: &Record) -> Result<String> {
    let mut text = format!("{:#}\n", serde_json::to_value(&record.answer)?);
    for import in &record.imports {
        match import {
            Import::Log { level, message } => writeln!(text, "log ({level:?}): {message}")?,
            other => writeln!(text, "asked {other}: {}", answer(other)?)?,
        }
    }
    let took = Duration::from_micros(record.took);
    Ok(format!("{text}{} took {took:.2?}; nothing was kept\n", record.call.export()))
}

/// What the plugin was answered, in the words of the record.
fn answer(import: &Import) -> Result<String> {
    let value = serde_json::to_value(import)?;
    Ok(match (value.get("answer"), value.get("refused")) {
        (Some(answer), _) => answer.to_string(),
        (None, Some(refused)) => format!("refused: {refused}"),
        (None, None) => "done".to_owned(),
    })
}
