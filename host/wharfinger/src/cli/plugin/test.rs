//! `wharfinger plugin test`: the conformance checks, of a component or of the project here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use wharfinger_kit::conform::{self, Settings};

use super::super::Answer;
use super::load::{self, Loaded};
use super::toolchain::Toolchain;

/// In a project's folder: all that the checks are made with.
const SETTINGS: &str = "conformance.json";
/// Or the plugin's configuration alone.
const CONFIG: &str = "config.json";

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The component; without it, the project in the current directory is built and tested
    #[arg(value_name = "WASM")]
    wasm: Option<PathBuf>,
    /// A good configuration of the plugin: for IPAM the "ipam" object
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// All that the checks are made with; the configuration is its "config"
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    outside: load::Outside,
    /// Where to write the report as JSON, beside printing it
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// How many attachments come and go in the long check: fewer where a call is slow
    #[arg(long, value_name = "COUNT")]
    attachments: Option<usize>,
    /// Where chance begins: the report of a run names its own
    #[arg(long)]
    seed: Option<u64>,
}

impl Test {
    pub(super) fn run(&self) -> Result<Answer> {
        let (limits, grants) = self.outside.granted()?;
        let mut settings = self.read()?;
        settings.attachments = self.attachments.unwrap_or(settings.attachments);
        settings.seed = self.seed.unwrap_or_else(chance);
        settings.deadline = u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX);
        let wasm = match &self.wasm {
            Some(wasm) => wasm.clone(),
            None => project()?,
        };
        let report = match load::load(&wasm, &limits, &grants)? {
            Loaded::Ipam(plugin) => conform::ipam(plugin.as_ref(), &settings),
            Loaded::Policy(plugin) => conform::policy(plugin.as_ref(), &settings),
        };
        let value = serde_json::to_value(&report)?;
        if let Some(path) = &self.report {
            let text = format!("{value:#}\n");
            std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(Answer::new(report.to_string(), value).unless(!report.passed()))
    }

    /// What is given; of a project, what lies in its folder.
    fn read(&self) -> Result<Settings> {
        let beside = |name: &str| Some(PathBuf::from(name)).filter(|path| path.is_file());
        let here = self.wasm.is_none() && self.config.is_none() && self.settings.is_none();
        let (settings, config) = if here {
            (beside(SETTINGS), beside(CONFIG))
        } else {
            (self.settings.clone(), self.config.clone())
        };
        match (settings, config) {
            (Some(path), _) => load::json(&path),
            (None, Some(path)) => {
                Ok(Settings { config: load::json(&path)?, ..Settings::default() })
            }
            (None, None) => Ok(Settings::default()),
        }
    }
}

fn chance() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::from(since.subsec_nanos()))
}

/// Tests the project here by its own means, and builds it: where its component is.
fn project() -> Result<PathBuf> {
    let here = Path::new(".");
    Toolchain::of(here)?.test(here)?;
    super::build::build(here)
}
