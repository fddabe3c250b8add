//! `wharfinger plugin ls`: what is installed, and what is built in.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use wharfinger_wasm::cache::Pin;

use super::candidate::told;
use crate::cli::{Answer, table};
use crate::plugins::{about, store};
use crate::program::Program;

/// Digits of a digest that tell it from others.
const DIGITS: usize = 12;

#[derive(Debug, Args)]
pub(crate) struct Ls;

impl Ls {
    pub(super) fn run(program: &Program) -> Result<Answer> {
        let cache = store::open(&program.paths.lib).map_err(|error| told(&error))?;
        let pins = cache.as_ref().map(|cache| cache.pins().clone()).unwrap_or_default();
        let built_in = program.components().built_in()?;
        let built_in: Vec<String> =
            built_in.names().filter_map(|name| built_in.identity(name)).collect();
        let installed = pins.iter().map(|(name, pin)| {
            json!({
                "name": name, "builtIn": false, "digest": pin.digest, "size": pin.size,
                "world": pin.world, "version": pin.version, "imports": pin.imports,
                "granted": program.configured().plugins.told(name),
            })
        });
        let inside = built_in.iter().map(|identity| {
            let (name, digest) = identity.split_once('@').unwrap_or((identity, ""));
            json!({ "name": name, "builtIn": true, "digest": digest })
        });
        let value = inside.chain(installed).collect();
        let inside = built_in.iter().map(|identity| {
            let (name, digest) = identity.split_once('@').unwrap_or((identity, ""));
            [name.to_owned(), "built in".to_owned(), String::new(), String::new(), short(digest)]
        });
        let rows: Vec<[String; 5]> = inside.chain(pins.iter().map(row)).collect();
        let text = table::table(["NAME", "WORLD", "CONTRACT", "SIZE", "DIGEST"], &rows);
        Ok(Answer::new(text, value))
    }
}

fn row((name, pin): (&String, &Pin)) -> [String; 5] {
    [
        name.clone(),
        pin.world.clone(),
        pin.version.clone(),
        about::size(pin.size),
        short(&pin.digest.to_string()),
    ]
}

fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(DIGITS).collect()
}
