//! `wharfinger plugin recompile`: what is installed, for this executable's engine.

use anyhow::Result;
use wharfinger_wasm::cache::Source;

use super::candidate::told;
use crate::cli::print;
use crate::plugins::store;
use crate::program::Program;

pub(super) fn run(program: &Program) -> Result<u8> {
    let lines = recompile(program)?;
    if lines.is_empty() {
        return print("nothing is installed\n");
    }
    print(&lines.concat())
}

/// Compiles what is not there for this executable; a line for each component. All are tried, and
/// the first failure is the answer.
pub(crate) fn recompile(program: &Program) -> Result<Vec<String>> {
    let Some(mut cache) = store::open(&program.paths.lib).map_err(|error| told(&error))? else {
        return Ok(Vec::new());
    };
    let pins = cache.pins().clone();
    let mut lines = Vec::new();
    let mut failed = None;
    for (name, pin) in &pins {
        let identity = format!("{name}@{}", pin.digest);
        let limits = program.configured().plugins.limits(Some(name), &pin.digest.to_string())?;
        match store::load(&mut cache, &identity, &pin.digest, Source::Installed, &limits) {
            Ok(loaded) => lines.push(match loaded.compiled {
                Some(why) => format!("{name}: compiled ({why})\n"),
                None => format!("{name}: compiled already\n"),
            }),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(anyhow::anyhow!("{error}")),
        None => Ok(lines),
    }
}
