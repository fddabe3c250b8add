//! `wharfinger plugin bench`: how long a component takes.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::Args;
use wharfinger_kit::bench::{Table, Timed};
use wharfinger_kit::once::{self, Input};
use wharfinger_wasm::record::Answer;
use wharfinger_wasm::{Grants, Limits};

use super::super::print;
use super::load::{self, Loaded};

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
    pub(super) fn run(&self) -> Result<u8> {
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
        let rows = calls.iter().map(|call| self.time(&plugin, call, &input));
        let table = Table(rows.collect::<Result<_>>()?);
        print(&format!(
            "{}: compiled in {compiled:.0?}, which `plugin install` does once\n\
             each call: a fresh instance, a session of an empty ledger, the call\n{table}",
            plugin.target().identity()
        ))
    }

    /// A call that ends in an error is no measure of anything.
    fn time(&self, plugin: &Loaded, call: &str, input: &Input) -> Result<Timed> {
        Timed::of(call, self.rounds, || {
            let record =
                once::once(plugin.target(), call, input, &[]).map_err(|e| anyhow!("{e}"))?;
            match record.answer {
                Answer::Error(failure) => Err(anyhow!("{call} failed: {failure:?}")),
                _ => Ok(()),
            }
        })
    }
}
