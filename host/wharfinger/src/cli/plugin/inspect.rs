//! `wharfinger plugin inspect`: what a component is, may do, and would need.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};
use wharfinger_wasm::{Description, describe};

use super::candidate::{Candidate, told};
use crate::cli::print;
use crate::plugins::{about, store};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A component, the folder of a project, or the name of an installed one
    #[arg(value_name = "FILE|NAME")]
    wanted: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What is looked at, and the name it is installed under.
struct Seen {
    about: Description,
    name: Option<String>,
}

impl Inspect {
    pub(super) fn run(&self, program: &Program) -> Result<u8> {
        let Seen { about, name } = self.seen(program)?;
        let settings = &program.configured().plugins;
        let granted = about::grants(&about, name.as_deref(), settings);
        let needs = about::needs(&about, name.as_deref(), settings);
        if self.json {
            let mut value = serde_json::to_value(&about)?;
            value["installed"] = json!(name);
            value["granted"] = json!(granted);
            value["needs"] = if needs.is_empty() { Value::Null } else { json!(needs) };
            return print(&format!("{value:#}\n"));
        }
        let installed = match &name {
            Some(name) => format!("installed    as {name}\n"),
            None => "installed    no\n".to_owned(),
        };
        let granted = match granted.as_slice() {
            [] => "granted      nothing\n".to_owned(),
            some => format!("granted      {}\n", some.join("; ")),
        };
        let warning = about::warning(&about);
        print(&format!("{}{installed}{granted}{warning}{needs}", about::text(&about)))
    }

    fn seen(&self, program: &Program) -> Result<Seen> {
        let path = Path::new(&self.wanted);
        // A name has neither.
        if self.wanted.contains(['/', '.']) {
            return file(program, path);
        }
        if let Some(identity) = program.components().built_in()?.identity(&self.wanted) {
            bail!("{identity} is built in: part of this executable, with no grants of its own");
        }
        let Some(cache) = store::open(&program.paths.lib).map_err(|error| told(&error))? else {
            bail!("{} is not installed", self.wanted);
        };
        let digest = cache.pin(&self.wanted).map_err(|error| told(&error))?.digest.clone();
        let wasm = cache.wasm(&digest, u64::MAX).map_err(|error| told(&error))?;
        Ok(Seen { about: describe(&wasm)?, name: Some(self.wanted.clone()) })
    }
}

fn file(program: &Program, path: &Path) -> Result<Seen> {
    let candidate = Candidate::read(path, &program.configured().limits)?;
    // Whether it is installed is of interest; that the store is not well is said by others.
    let cache = store::open(&program.paths.lib).ok().flatten();
    let name = cache.and_then(|cache| {
        let mut pins = cache.pins().iter();
        let same = pins.find(|(_, pin)| pin.digest.to_string() == candidate.about.digest);
        same.map(|(name, _)| name.clone())
    });
    Ok(Seen { about: candidate.about, name })
}
