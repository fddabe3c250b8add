//! `wharfinger plugin remove`: takes an installed component away.

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;

use super::candidate::told;
use crate::cli::Answer;
use crate::plugins::store;
use crate::program::Program;

/// Attachments that a refusal names.
const NAMED: usize = 3;

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The name of an installed component
    name: String,
    /// Also where attachments hold leases of it. They are detached as ever; a plugin that wants
    /// to be told of releases is not told
    #[arg(long)]
    force: bool,
}

impl Remove {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let cache = store::open(&program.paths.lib).map_err(|error| told(&error))?;
        let mut cache = cache.with_context(|| format!("{} is not installed", self.name))?;
        let digest = cache.pin(&self.name).map_err(|error| told(&error))?.digest.clone();
        if !self.force {
            self.unused(program)?;
        }
        let limits = &program.configured().limits;
        cache.remove(&self.name, store::bounds(limits).wait).map_err(|error| told(&error))?;
        let text = format!("removed {}, {digest}\n", self.name);
        Ok(Answer::new(text, json!({ "name": self.name, "digest": digest })))
    }

    /// Refuses where a lease of it is held.
    fn unused(&self, program: &Program) -> Result<()> {
        let entries = program
            .look(|host| Ok(host.ledger.list(None)?))
            .map_err(|error| crate::cli::told(&error))
            .context("see who holds leases of it (--force removes it without looking)")?;
        let ours = format!("{}@", self.name);
        let held = |plugin: &String| plugin.starts_with(&ours);
        let holders: Vec<String> = entries
            .iter()
            .filter(|entry| entry.record.plugin.as_ref().is_some_and(held))
            .map(|entry| entry.record.id.to_string())
            .collect();
        if holders.is_empty() {
            return Ok(());
        }
        let named = holders.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
        let more = if holders.len() > NAMED { ", and others" } else { "" };
        bail!(
            "{} attachments hold leases of {}: {named}{more}. Detach them first; --force removes \
             it all the same",
            holders.len(),
            self.name
        )
    }
}
