//! A component from a file, compiled here and now, for commands that need no installed one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use wharfinger_kit::{Target, replay};
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
    let plugin = Plugin::compiled(&name(path), &wasm, limits, grants);
    let plugin = plugin.map_err(|error| anyhow!("{error}"))?;
    Ok(match plugin.world() {
        World::Ipam => Loaded::Ipam(Box::new(plugin.ipam()?)),
        World::Policy => Loaded::Policy(Box::new(plugin.policy()?)),
    })
}

/// An outside system that the plugin may ask, without the node's settings.
#[derive(Debug, clap::Args)]
pub(super) struct Outside {
    /// A place that the component may send requests to, as https://ipam.example:8443
    #[arg(long = "http", value_name = "URL")]
    http: Vec<String>,
}

impl Outside {
    /// What it may use up, and ask: as on a node, where a grant of HTTP comes with more time. That
    /// there is no pod here, a plugin is told.
    pub(super) fn granted(&self) -> Result<(Limits, Grants)> {
        let place = |url: &String| {
            replay::place(url, &METHODS).with_context(|| format!("{url:?} is no URL"))
        };
        let http = self.http.iter().map(place).collect::<Result<Vec<_>>>()?;
        let default = Limits::default();
        let deadline = if http.is_empty() { default.deadline } else { WITH_HTTP };
        Ok((Limits { deadline, ..default }, Grants { http, pod: true }))
    }
}

/// All that an interface of this kind uses.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// The deadline of a call that may wait for an outside system.
const WITH_HTTP: Duration = Duration::from_secs(10);

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
