//! `wharfinger plugin replay`: a recorded call again, anywhere.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use wharfinger_kit::replay;
use wharfinger_wasm::Limits;
use wharfinger_wasm::record::Record;

use super::super::print;
use super::load;

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The record: a file of the run directory's `calls`
    record: PathBuf,
    /// The component that is asked
    #[arg(long, value_name = "WASM")]
    plugin: Option<PathBuf>,
}

impl Replay {
    pub(super) fn run(&self) -> Result<u8> {
        let shown = self.record.display();
        let text =
            std::fs::read_to_string(&self.record).with_context(|| format!("read {shown}"))?;
        let record = Record::read(&text).with_context(|| format!("{shown}"))?;
        let Some(path) = &self.plugin else {
            bail!("say with --plugin where the component {} is", record.plugin)
        };
        let plugin = load::load(path, &Limits::default(), &replay::grants(&record))?;
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
        print(&format!("{head}{log}{replayed}"))?;
        Ok(u8::from(!replayed.is_same()))
    }
}
