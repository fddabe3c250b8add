//! `wharfinger plugin install`: checked, compiled, stored by its digest, pinned by a name.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::Args;

use super::candidate::{Candidate, check_name, told};
use crate::cli::Answer;
use crate::plugins::{about, compile, store};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Install {
    /// A component, or the folder of a project that has built one
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// What configurations call it; by default as its file
    #[arg(long)]
    name: Option<String>,
    /// Give it what the node's file grants to this name
    #[arg(long)]
    accept: bool,
}

impl Install {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let candidate = Candidate::fitting(&self.path, &program.configured().limits)?;
        let name = self.name.clone().unwrap_or_else(|| candidate.suggested());
        check_name(&name)?;
        if program.components().built_in()?.identity(&name).is_some() {
            bail!("{name} is built in: nothing can be installed under this name");
        }
        let digest = &candidate.about.digest;
        self.other(program, &name, digest)?;
        if !self.accept {
            asked(program, &name)?;
        }
        place(program, &name, &candidate)?;
        let settings = &program.configured().plugins;
        let identity = format!("installed {name}, {digest}\n");
        let text = format!(
            "{identity}{}{}{}",
            about::text(&candidate.about),
            about::warning(&candidate.about),
            about::needs(&candidate.about, Some(&name), settings),
        );
        Ok(Answer::new(text, about::object(&candidate.about, Some(&name), settings)))
    }

    /// Refuses where the name stands for another component.
    fn other(&self, program: &Program, name: &str, digest: &str) -> Result<()> {
        let cache = store::open(&program.paths.lib).map_err(|error| told(&error))?;
        let Some(pin) = cache.as_ref().and_then(|cache| cache.pins().get(name)) else {
            return Ok(());
        };
        if pin.digest.to_string() == digest {
            return Ok(());
        }
        let path = self.path.display();
        bail!(
            "{name} is installed already, with the digest {}: `wharfinger plugin upgrade {name} \
             {path}` replaces it, --name installs this one beside it",
            pin.digest
        )
    }
}

/// A grant by name goes to what the name stands for: whoever changes that is asked.
pub(super) fn asked(program: &Program, name: &str) -> Result<()> {
    let granted = program.configured().plugins.told(name);
    if granted.is_empty() {
        return Ok(());
    }
    bail!(
        "{} grants to the name {name}: {}. Nothing was installed; --accept gives that to this \
         component",
        program.paths.config.display(),
        granted.join("; ")
    )
}

/// Compiles it and writes it down.
pub(super) fn place(program: &Program, name: &str, candidate: &Candidate) -> Result<()> {
    let about = &candidate.about;
    let limits = program.configured().plugins.limits(Some(name), &about.digest)?;
    let pin = about::pin(about).map_err(|what| anyhow!("{what}"))?;
    let identity = format!("{name}@{}", about.digest);
    let compile = |wasm: &[u8]| compile::in_child(&identity, wasm, &limits);
    let mut cache = store::create(&program.paths.lib, &limits).map_err(|error| told(&error))?;
    cache
        .install(name, pin, &candidate.wasm, store::bounds(&limits), &compile)
        .map_err(|error| anyhow!("{}", store::of_plugin(&identity, &limits, error)))
}
