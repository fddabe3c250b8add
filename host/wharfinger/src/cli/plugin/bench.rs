//! `wharfinger plugin bench`: how long a component takes.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;
use serde_json::{Value, json};
use wharfinger_kit::bench::{Table, Timed};
use wharfinger_kit::once::{self, Input};
use wharfinger_wasm::record;
use wharfinger_wasm::{Grants, Limits};

use super::super::{Answer, Progress};
use super::load::{self, Loaded};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The component
    #[arg(value_name = "WASM")]
    wasm: PathBuf,
    /// What calls are made with, as for `plugin run`; without it, `validate` alone is measured
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How often
    #[arg(long, default_value_t = 1_000)]
    rounds: usize,
}

impl Bench {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let began = Instant::now();
        let plugin = load::load(&self.wasm, &Limits::default(), &Grants::default())?;
        let compiled = began.elapsed();
        let (input, calls): (Input, &[&str]) = match (&self.input, &plugin) {
            (None, _) => (Input::default(), &["validate"]),
            (Some(path), Loaded::Ipam(_)) => {
                (load::json(path)?, &["validate", "pools", "allocate"])
            }
            (Some(path), Loaded::Policy(_)) => {
                (load::json(path)?, &["validate", "admit", "review"])
            }
        };
        let progress = program.heard.progress();
        let rows = calls.iter().map(|call| self.time(&plugin, call, &input, &progress));
        let table = Table(rows.collect::<Result<_>>()?);
        let target = plugin.target();
        let plugin = target.identity();
        let text = format!(
            "{plugin}: compiled in {compiled:.0?}, which `plugin install` does once\n\
             each call: a fresh instance, a session of an empty ledger, the call\n{table}",
        );
        let calls: Vec<Value> = table.0.iter().map(object).collect();
        let compiled = compiled.as_secs_f64() * 1e3;
        Ok(Answer::new(text, json!({ "plugin": plugin, "compiled": compiled, "calls": calls })))
    }

    /// A call that ends in an error is no measure of anything.
    fn time(
        &self,
        plugin: &Loaded,
        call: &str,
        input: &Input,
        progress: &Progress,
    ) -> Result<Timed> {
        let mut done = 0;
        Timed::of(call, self.rounds, || {
            progress.at(done, self.rounds + self.rounds / 10, call);
            done += 1;
            let record =
                once::once(plugin.target(), call, input, &[]).map_err(|e| anyhow!("{e}"))?;
            match record.answer {
                record::Answer::Error(failure) => Err(anyhow!("{call} failed: {failure:?}")),
                _ => Ok(()),
            }
        })
    }
}

/// In milliseconds.
fn object(timed: &Timed) -> Value {
    let at = |of_hundred| timed.percentile(of_hundred).as_secs_f64() * 1e3;
    json!({
        "call": timed.what, "rounds": timed.rounds(),
        "p50": at(50), "p90": at(90), "longest": at(100),
    })
}
