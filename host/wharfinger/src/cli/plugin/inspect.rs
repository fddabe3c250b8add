//! `wharfinger plugin inspect`: what a component is, may do, and would need.

use std::path::Path;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use wharfinger_wasm::{Description, describe};

use super::candidate::{Candidate, told};
use crate::cli::Answer;
use crate::plugins::{about, store};
use crate::program::Program;

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// A component, the folder of a project, or the name of an installed one
    #[arg(value_name = "FILE|NAME")]
    wanted: String,
}

/// What is looked at, and the name it is installed under.
struct Seen {
    about: Description,
    name: Option<String>,
}

impl Inspect {
    pub(super) fn run(&self, program: &Program) -> Result<Answer> {
        let plain = !self.wanted.contains(['/', '.']);
        if plain && program.components().built_in()?.identity(&self.wanted).is_some() {
            return self.built_in(program);
        }
        let Seen { about, name } = self.seen(program)?;
        let settings = &program.configured().plugins;
        let granted = about::grants(&about, name.as_deref(), settings);
        let needs = about::needs(&about, name.as_deref(), settings);
        let installed = match &name {
            Some(name) => format!("installed    as {name}\n"),
            None => "installed    no\n".to_owned(),
        };
        let granted = match granted.as_slice() {
            [] => "granted      nothing\n".to_owned(),
            some => format!("granted      {}\n", some.join("; ")),
        };
        let warning = about::warning(&about);
        let text = format!("{}{installed}{granted}{warning}{needs}", about::text(&about));
        Ok(Answer::new(text, about::object(&about, name.as_deref(), settings)))
    }

    /// One that is part of this executable.
    fn built_in(&self, program: &Program) -> Result<Answer> {
        let plugin = program.components().load(&self.wanted)?;
        let granted = program.configured().plugins.told(&self.wanted);
        let digest = plugin.identity().rsplit_once('@').map_or("", |(_, digest)| digest);
        let may = program.configured().plugins.grants(Some(&self.wanted), digest)?.pod;
        let needs = plugin.pod_grant().filter(|_| !may);
        let world = about::world(Some(plugin.world()));
        let value = json!({
            "identity": plugin.identity(), "builtIn": true, "world": world,
            "version": plugin.version(), "granted": granted, "needs": needs,
        });
        let granted = if granted.is_empty() { "nothing".to_owned() } else { granted.join("; ") };
        let needs = needs.map(|grant| {
            format!(
                "It can ask for the labels and annotations of a pod, where its configuration looks at \
                 them, and is refused until the node's file grants it:\n\n{grant}\n"
            )
        });
        let text = format!(
            "world        {world}\ncontract     {}\nidentity     {}: built in, part of this executable\n\
             granted      {granted}\n{}",
            plugin.version(),
            plugin.identity(),
            needs.unwrap_or_default()
        );
        Ok(Answer::new(text, value))
    }

    fn seen(&self, program: &Program) -> Result<Seen> {
        let path = Path::new(&self.wanted);
        // A name has neither.
        if self.wanted.contains(['/', '.']) {
            return file(program, path);
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
