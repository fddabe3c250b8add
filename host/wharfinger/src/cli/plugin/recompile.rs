//! `wharfinger plugin recompile`: what is installed, for this executable's engine.

use anyhow::Result;
use serde_json::json;
use wharfinger_wasm::cache::Source;

use super::candidate::told;
use crate::cli::{Answer, Did};
use crate::plugins::store;
use crate::program::Program;

pub(super) fn run(program: &Program) -> Result<Answer> {
    let done = recompile(program)?;
    if done.is_empty() {
        return Ok(Answer::new("nothing is installed\n", json!([])));
    }
    Ok(Did::answer(&done))
}

/// Compiles what is not there for this executable; a line for each component. All are tried, and
/// the first failure is the answer.
pub(crate) fn recompile(program: &Program) -> Result<Vec<Did>> {
    let Some(mut cache) = store::open(&program.paths.lib).map_err(|error| told(&error))? else {
        return Ok(Vec::new());
    };
    let pins = cache.pins().clone();
    let (mut done, mut failed) = (Vec::new(), None);
    for (number, (name, pin)) in pins.iter().enumerate() {
        program.heard.progress().at(number, pins.len(), "components");
        let identity = format!("{name}@{}", pin.digest);
        let limits = program.configured().plugins.limits(Some(name), &pin.digest.to_string())?;
        match store::load(&mut cache, &identity, &pin.digest, Source::Installed, &limits) {
            Ok(loaded) => done.push(match loaded.compiled {
                Some(why) => Did::so("compiled", name, format!("{name}: compiled ({why})")),
                None => Did::so("compiled already", name, format!("{name}: compiled already")),
            }),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(anyhow::anyhow!("{error}")),
        None => Ok(done),
    }
}
