//! `wharfinger plugin upgrade`: lets a name stand for another component.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use wharfinger_wasm::cache::Pin;

use super::candidate::{Candidate, told};
use super::install::place;
use crate::cli::Answer;
use crate::plugins::{about, store};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// The name of an installed component
    name: String,
    /// What it is to be: a component, or the folder of a project that has built one
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Agree to new imports, and to what the node's file grants to this name
    #[arg(long)]
    accept: bool,
}

impl Upgrade {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let cache = store::open(&program.paths.lib).map_err(|error| told(&error))?;
        let cache = cache.with_context(|| format!("{} is not installed", self.name))?;
        let before = cache.pin(&self.name).map_err(|error| told(&error))?.clone();
        let candidate = Candidate::fitting(&self.path, &program.configured().limits)?;
        let (name, about) = (&self.name, &candidate.about);
        if before.digest.to_string() == about.digest {
            let text = format!("{name} is {} already\n", about.digest);
            return Ok(Answer::new(text, self.object(program, &before, &candidate)));
        }
        let world = about::world(about.world);
        if before.world != world {
            bail!(
                "{name} is of the world {}, {} is of {world}: install it under another name",
                before.world,
                candidate.path.display()
            );
        }
        let difference = self.difference(program, &before, &candidate);
        if !difference.is_empty() && !self.accept {
            bail!("{name} is as it was; --accept agrees to this, and upgrades it:\n{difference}");
        }
        place(program, name, &candidate)?;
        let text = format!(
            "{name} is now {}, contract {} (it was {}, contract {})\n{difference}{}{}",
            about.digest,
            about.version.as_deref().unwrap_or_default(),
            before.digest,
            before.version,
            about::warning(about),
            about::needs(about, Some(name), &program.configured().plugins),
        );
        Ok(Answer::new(text, self.object(program, &before, &candidate)))
    }

    fn object(&self, program: &Program, before: &Pin, candidate: &Candidate) -> Value {
        let settings = &program.configured().plugins;
        let mut value = about::object(&candidate.about, Some(&self.name), settings);
        value["before"] = json!(before.digest);
        value
    }

    /// What the operator is to agree to.
    fn difference(&self, program: &Program, before: &Pin, candidate: &Candidate) -> String {
        let mut text = String::new();
        for import in about::new_imports(before, &candidate.about) {
            let _ = writeln!(text, "+ it imports {}: {}", import.name, import.meaning);
        }
        for granted in program.configured().plugins.told(&self.name) {
            let _ = writeln!(text, "= it is granted, by its name: {granted}");
        }
        text
    }
}
