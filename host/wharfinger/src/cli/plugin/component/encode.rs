//! A core module and the contract make a component.

use std::fmt;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};
use wit_parser::{Resolve, SourceMap};

use crate::embedded;

/// What modules import that are built for WASI; and what they get in its place.
const WASI: &str = "wasi_snapshot_preview1";
/// Assembled from the text beside it, by `cargo run` in `tests/adapter`.
const ADAPTER: &[u8] = include_bytes!("wasi.wasm");
/// What the adapter imports itself.
const ADAPTERS: &str = "package wharfinger:adapter;
world adapter { import wharfinger:plugin/logger@0.2.0; import wharfinger:plugin/node@0.2.0; }";
/// Of which contract: it stays as it is.
const ADAPTERS_VERSION: &str = "0.2.0";

/// A world of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum World {
    /// Gives out addresses
    #[value(name = "ipam-plugin")]
    Ipam,
    /// The same, and is told of releases
    #[value(name = "ipam-remote-plugin")]
    IpamRemote,
    /// Admits or refuses attachments
    #[value(name = "policy-plugin")]
    Policy,
}

impl World {
    /// What a component is.
    pub(crate) fn of(world: Option<wharfinger_wasm::World>, remote: bool) -> Option<Self> {
        Some(match (world?, remote) {
            (wharfinger_wasm::World::Ipam, false) => Self::Ipam,
            (wharfinger_wasm::World::Ipam, true) => Self::IpamRemote,
            (wharfinger_wasm::World::Policy, _) => Self::Policy,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipam => "ipam-plugin",
            Self::IpamRemote => "ipam-remote-plugin",
            Self::Policy => "policy-plugin",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A component from a core module. One that carries no description of its world gets that of this
/// one, of the contract whose names it exports.
pub(crate) fn encode(module: &[u8], world: Option<World>) -> Result<Vec<u8>> {
    let (described, _) = metadata::decode(module).context("read the core module")?;
    let mut module = module.to_vec();
    if described.is_none() {
        let Some(world) = world else {
            bail!("it carries no description of its world: name one of the contract by --world");
        };
        let version = version_of(&module);
        embed(&mut module, version, world.name(), "")?;
    }
    let mut adapter = ADAPTER.to_vec();
    embed(&mut adapter, ADAPTERS_VERSION, "wharfinger:adapter/adapter", ADAPTERS)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(WASI, &adapter)
        .context("the adapter for WASI")?
        .encode()
}

/// The contract that a module is written for, by the names of what it exports; the newest where it
/// exports nothing of ours.
fn version_of(module: &[u8]) -> &'static str {
    let exports = |version: &&str| {
        ["ipam", "policy"].iter().any(|interface| {
            let name = format!("wharfinger:plugin/{interface}@{version}#");
            module.windows(name.len()).any(|there| there == name.as_bytes())
        })
    };
    let newest = embedded::contracts().next_back().unwrap_or_default();
    embedded::contracts().rev().find(exports).unwrap_or(newest)
}

/// Writes the description of a world, of this contract or of this text, into a module.
pub(crate) fn embed(module: &mut Vec<u8>, version: &str, world: &str, text: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let mut source = SourceMap::default();
    for (_, path, file) in embedded::CONTRACT.iter().filter(|(of, ..)| *of == version) {
        let file = std::str::from_utf8(file).with_context(|| format!("{version}/{path}"))?;
        source.push_str(path, file);
    }
    let contract = source.parse().map_err(|(_, error)| error)?;
    let mut package = resolve.push_group(contract)?;
    if !text.is_empty() {
        package = resolve.push_source("adapter.wit", text)?;
    }
    let world = resolve.select_world(&[package], Some(world))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}
