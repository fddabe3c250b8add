//! `wharfinger plugin component`: the last step of every language whose compiler leaves a core module.
//!
//! Start at [`encode`]. What comes of it is a component of the contract, or there is nothing.

mod encode;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use wharfinger_wasm::{Limits, describe};

use self::encode::{World, encode};
use crate::cli::Answer;
use crate::cli::plugin::candidate::Candidate;

/// How a component's file begins, and no module's.
pub(super) const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

#[derive(Debug, Args)]
pub(crate) struct Component {
    /// The core module: a .wasm as a compiler leaves it
    #[arg(value_name = "CORE.wasm")]
    module: PathBuf,
    /// The world that it is written for, where it carries no description of one
    #[arg(long, value_enum)]
    world: Option<World>,
    /// Where to write the component
    #[arg(long, short, value_name = "OUT.wasm")]
    output: PathBuf,
}

impl Component {
    pub(crate) fn run(&self) -> Result<Answer> {
        let shown = self.module.display();
        let module = fs::read(&self.module).with_context(|| format!("read {shown}"))?;
        if module.starts_with(COMPONENT) {
            bail!("{shown} is a component already: wharfinger plugin inspect {shown} says of what");
        }
        let component = make(&module, self.world);
        write(&self.output, &component.with_context(|| format!("make a component of {shown}"))?)?;
        Ok(Answer::quiet(json!({ "component": self.output })))
    }
}

/// A component of the contract from a core module: of this world, or of the one that it describes.
pub(super) fn make(module: &[u8], world: Option<World>) -> Result<Vec<u8>> {
    let component = encode(module, world)?;
    let about = describe(&component)?;
    if let Some(what) = about.misfit {
        bail!("it is no plugin: {what}");
    }
    match (world, World::of(about.world, about.remote)) {
        (Some(wanted), is) if is != Some(wanted) => {
            let is = is.map_or_else(|| "nothing of ours".to_owned(), |is| is.to_string());
            bail!("it describes itself as {is}, not as {wanted}");
        }
        _ => Ok(component),
    }
}

/// Writes a component to its place, whose folder is made.
pub(super) fn write(path: &Path, component: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    }
    fs::write(path, component).with_context(|| format!("write {}", path.display()))
}

/// The one component in this folder, a project's `dist/`: it must be a plugin.
pub(super) fn built(folder: &Path) -> Result<PathBuf> {
    Ok(Candidate::fitting(folder, &Limits::default())?.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    use wharfinger_kit::once::{Input, once};
    use wharfinger_wasm::record::{Import, Record};
    use wharfinger_wasm::{Grants, Level, Plugin};

    use crate::cli::plugin::load::Loaded;

    /// A policy built for WASI preview 1: what it does stands in `component/guest.wat`.
    const GUEST: &[u8] = include_bytes!("component/guest.wasm");

    fn guest() -> Vec<u8> {
        make(GUEST, Some(World::Policy)).unwrap()
    }

    fn call(name: &str) -> Record {
        let plugin = Plugin::compiled("guest", &guest(), &Limits::default(), &Grants::default());
        let plugin = Loaded::Policy(Box::new(plugin.unwrap().policy().unwrap()));
        once(plugin.target(), name, &Input::default(), &[]).unwrap()
    }

    fn lines(record: &Record) -> Vec<(Level, &str)> {
        let line = |import| match import {
            &Import::Log { level, ref message } => Some((level, message.as_str())),
            _ => None,
        };
        record.imports.iter().filter_map(line).collect()
    }

    #[test]
    fn what_was_built_for_wasi_imports_the_contract_alone() {
        let about = describe(&guest()).unwrap();
        let imports: Vec<&str> = about.imports.iter().map(|i| i.name.as_str()).collect();
        let all_ours = imports.iter().all(|name| name.starts_with("wharfinger:plugin/"));
        assert!(all_ours && imports.len() >= 2, "{imports:?}");
    }

    #[test]
    fn what_the_adapter_touches_is_as_it_was_and_clocks_go_on() {
        // The guest looks itself, and traps.
        let answer = serde_json::to_value(&call("validate").answer).unwrap();
        assert_eq!(answer, serde_json::json!({ "problems": [] }));
    }

    #[test]
    fn what_is_written_is_logged_line_by_line_and_a_fatal_message_is_the_error() {
        let record = call("admit");
        let wanted = [
            (Level::Info, "fatal"),
            (Level::Error, "fatal error: pl??nted"),
            (Level::Error, "second"),
        ];
        assert_eq!(lines(&record), wanted);
        let answer = serde_json::to_string(&record.answer).unwrap();
        assert!(answer.contains("fatal error: pl??nted; second (wasm trap"), "{answer}");
    }

    #[test]
    fn a_module_needs_a_world_and_its_exports() {
        let error = |module, world| format!("{:#}", make(module, world).unwrap_err());
        assert!(error(GUEST, None).contains("--world"));
        let other = error(GUEST, Some(World::Ipam));
        assert!(other.contains("wharfinger:plugin/ipam@"), "{other}");
        let empty = error(b"\0asm\x01\0\0\0", Some(World::Policy));
        assert!(empty.contains("wharfinger:plugin/policy@"), "{empty}");
        assert!(error(b"#!/bin/sh", Some(World::Policy)).contains("core module"));
    }

    #[test]
    fn what_describes_itself_needs_no_world_and_is_of_no_other() {
        let mut module = GUEST.to_vec();
        encode::embed(&mut module, "0.2.0", World::Policy.name(), "").unwrap();
        make(&module, None).unwrap();
        make(&module, Some(World::Policy)).unwrap();
        let error = make(&module, Some(World::Ipam)).unwrap_err().to_string();
        assert_eq!(error, "it describes itself as policy-plugin, not as ipam-plugin");
    }
}
