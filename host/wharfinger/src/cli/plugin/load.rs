//! A component from a file, compiled here and now, for commands that need no installed one.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use wharfinger_kit::Target;
use wharfinger_wasm::{Grants, Ipam, Limits, Plugin, Policy, World};

/// A plugin of either world.
pub(super) enum Loaded {
    /// World `ipam-plugin`.
    Ipam(Box<dyn Ipam>),
    /// World `policy-plugin`.
    Policy(Box<dyn Policy>),
}

impl Loaded {
    pub(super) fn target(&self) -> Target<'_> {
        match self {
            Self::Ipam(plugin) => Target::Ipam(plugin.as_ref()),
            Self::Policy(plugin) => Target::Policy(plugin.as_ref()),
        }
    }
}

/// Compiles a component.
pub(super) fn load(path: &Path, limits: &Limits, grants: &Grants) -> Result<Loaded> {
    let wasm = bytes(path)?;
    let plugin = Plugin::compiled(&name(path), &wasm, limits.clone(), grants.clone());
    let plugin = plugin.map_err(|error| anyhow!("{error}"))?;
    Ok(match plugin.world() {
        World::Ipam => Loaded::Ipam(Box::new(plugin.ipam()?)),
        World::Policy => Loaded::Policy(Box::new(plugin.policy()?)),
    })
}

/// A component's file.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// What a component is called: as its file.
pub(super) fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A JSON file of this shape; "-" is standard input.
pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("read standard input")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not as expected", path.display()))
}
