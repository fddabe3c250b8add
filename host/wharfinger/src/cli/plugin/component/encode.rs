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
world adapter { import wharfinger:plugin/logger@VERSION; import wharfinger:plugin/node@VERSION; }";

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
/// one, of the newest contract.
pub(crate) fn encode(module: &[u8], world: Option<World>) -> Result<Vec<u8>> {
    let (described, _) = metadata::decode(module).context("read the core module")?;
    let mut module = module.to_vec();
    if described.is_none() {
        let Some(world) = world else {
            bail!("it carries no description of its world: name one of the contract by --world");
        };
        embed(&mut module, world.name(), "")?;
    }
    let mut adapter = ADAPTER.to_vec();
    let imports = ADAPTERS.replace("VERSION", embedded::contract());
    embed(&mut adapter, "wharfinger:adapter/adapter", &imports)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .adapter(WASI, &adapter)
        .context("the adapter for WASI")?
        .encode()
}

/// Writes the description of a world, of the contract or of this text, into a module.
pub(crate) fn embed(module: &mut Vec<u8>, world: &str, text: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let mut source = SourceMap::default();
    for (version, path, file) in embedded::CONTRACT {
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
