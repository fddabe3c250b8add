//! The store with this executable's engine and compiler, and what people are told of it.

use std::path::Path;

use wharfinger_wasm::cache::{self, Bounds, Cache, Digest, Loaded, Source};
use wharfinger_wasm::{Error, Limits, engine_key};

use super::compile;

/// Opens the store; none where nothing was ever installed.
pub(crate) fn open(lib: &Path) -> Result<Option<Cache>, cache::Error> {
    Cache::open(lib, &engine_key())
}

/// Opens the store, or makes one; only then anybody is waited for.
pub(crate) fn create(lib: &Path, limits: &Limits) -> Result<Cache, cache::Error> {
    match open(lib)? {
        Some(cache) => Ok(cache),
        None => Cache::create(lib, &engine_key(), bounds(limits).wait),
    }
}

/// What working on the store may use up: who waits for another waits for a compiler.
pub(crate) fn bounds(limits: &Limits) -> Bounds {
    Bounds { component: limits.component, wait: limits.compile }
}

/// The code of a component, compiled where it has to be.
pub(crate) fn load(
    cache: &mut Cache,
    plugin: &str,
    digest: &Digest,
    source: Source<'_>,
    limits: &Limits,
) -> Result<Loaded, Error> {
    let compile = |wasm: &[u8]| compile::in_child(plugin, wasm, limits);
    cache
        .load(digest, source, bounds(limits), &compile)
        .map_err(|error| of_plugin(plugin, limits, error))
}

/// An error of the store, about one component.
pub(crate) fn of_plugin(plugin: &str, limits: &Limits, error: cache::Error) -> Error {
    match error {
        cache::Error::Compile(error) => *error,
        cache::Error::TooLarge { .. } => Error::too_large(plugin, limits),
        other => Error::Unloadable { plugin: plugin.to_owned(), what: other.to_string() },
    }
}
