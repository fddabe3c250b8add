//! Projects in Rust: cargo builds a core module, or a component where it is for WASI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

use super::component;

/// The small profile. It has no system interface: plugins import what they call, and nothing else.
const SMALL: &str = "wasm32-unknown-unknown";
/// The profile with all of std; a project's Cargo.toml names it.
const STD: &str = "wasm32-wasip2";

/// Builds the project in this folder: leaves dist/NAME.wasm.
pub(super) fn build(folder: &Path) -> Result<()> {
    let project = Project::find(folder)?;
    let target = project.built_for.as_str();
    target_is_there(folder, target)?;
    let mut cargo = cargo(folder);
    cargo.args(["build", "--release", "--target", target]);
    // What cargo says is for people, and standard output for what comes of it.
    let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status();
    if !status.map_err(no_cargo)?.success() {
        bail!("cargo build --target {target} in {} failed: it says why above", folder.display());
    }
    let module = project.module();
    let module = fs::read(&module).with_context(|| format!("read {}", module.display()))?;
    let component =
        made(module).with_context(|| format!("make a component of {}", project.name))?;
    component::write(&folder.join("dist").join(&project.name).with_extension("wasm"), &component)
}

/// A component of what cargo built.
fn made(module: Vec<u8>) -> Result<Vec<u8>> {
    if module.starts_with(component::COMPONENT) {
        return Ok(module);
    }
    // The names of what a module exports: without a world it would be of nothing.
    let worlds = ["wharfinger:plugin/ipam@", "wharfinger:plugin/policy@"];
    let exports = |name: &&str| module.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    if !worlds.iter().any(exports) {
        bail!("it exports no plugin: src/lib.rs needs export_ipam! or export_policy!");
    }
    component::make(&module, None)
}

/// What `cargo metadata` says.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
    /// `[package.metadata]` of its Cargo.toml.
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// What that says of a project.
#[derive(Debug, PartialEq, Eq)]
struct Project {
    name: String,
    /// The library's name, as that of its file.
    library: String,
    /// Of Rust's: [`SMALL`] unless it says otherwise.
    built_for: String,
    target: PathBuf,
}

impl Project {
    fn find(folder: &Path) -> Result<Self> {
        let mut cargo = cargo(folder);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = cargo.stderr(Stdio::inherit()).output().map_err(no_cargo)?;
        if !output.status.success() {
            bail!("cargo metadata in {} failed: it says why above", folder.display());
        }
        Self::parse(&output.stdout)
    }

    fn parse(metadata: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(metadata).context("read what cargo metadata says")?;
        let mut plugins = metadata.packages.into_iter().filter_map(|package| {
            let is_plugin =
                |target: &Target| target.crate_types.iter().any(|kind| kind == "cdylib");
            let library = package.targets.into_iter().find(is_plugin)?.name;
            Some((package.name, library, package.metadata))
        });
        let (name, library, said) = plugins
            .next()
            .context("no crate here is a plugin: its Cargo.toml needs crate-type = [\"cdylib\"]")?;
        let target = said.pointer("/wharfinger/target").and_then(serde_json::Value::as_str);
        let built_for = target.unwrap_or(SMALL).to_owned();
        if ![SMALL, STD].contains(&built_for.as_str()) {
            bail!("package.metadata.wharfinger: target {built_for:?} is neither {SMALL} nor {STD}");
        }
        let library = library.replace('-', "_");
        Ok(Self { name, library, built_for, target: metadata.target_directory })
    }

    /// Where cargo leaves the module.
    fn module(&self) -> PathBuf {
        self.target.join(&self.built_for).join("release").join(&self.library).with_extension("wasm")
    }
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(folder);
    command
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn no_cargo(error: std::io::Error) -> anyhow::Error {
    anyhow!("run cargo: {error}: is Rust installed, and in PATH? (https://rustup.rs)")
}

/// Asked before cargo is, whose own complaint is a page of missing crates.
fn target_is_there(folder: &Path, target: &str) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(folder);
    let output = rustc.output().map_err(no_cargo)?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if sysroot.join("lib/rustlib").join(target).is_dir() {
        return Ok(());
    }
    bail!("Rust at {} cannot build for Wasm: rustup target add {target}", sysroot.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_found_by_what_cargo_says() {
        let said = r#"{"packages": [{"name": "my-ipam", "version": "0.1.0", "targets": [
            {"name": "check", "crate_types": ["bin"]},
            {"name": "my-ipam", "crate_types": ["cdylib", "rlib"]}]}],
            "target_directory": "/p/target"}"#;
        let project = Project::parse(said.as_bytes()).unwrap();
        assert_eq!(project.name, "my-ipam");
        let module = Path::new("/p/target/wasm32-unknown-unknown/release/my_ipam.wasm");
        assert_eq!(project.module(), module);
        let said = said.replace("\"version\"", "\"metadata\": null, \"version\"");
        assert_eq!(Project::parse(said.as_bytes()).unwrap(), project);
        let named = |target: &str| {
            let named = format!("\"metadata\": {{\"wharfinger\": {{\"target\": {target:?}}}}}");
            Project::parse(said.replace("\"metadata\": null", &named).as_bytes())
        };
        let module = Path::new("/p/target/wasm32-wasip2/release/my_ipam.wasm");
        assert_eq!(named("wasm32-wasip2").unwrap().module(), module);
        let error = named("wasm32-wasip1").unwrap_err().to_string();
        assert!(error.contains("wasm32-wasip1"), "{error}");
    }

    #[test]
    fn what_is_no_plugin_is_said() {
        let said = r#"{"packages": [{"name": "x", "targets": []}], "target_directory": "/t"}"#;
        let error = Project::parse(said.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("crate-type"), "{error}");
    }

    #[test]
    fn a_module_without_a_world_makes_no_component() {
        let error = made(b"\0asm\x01\0\0\0".to_vec()).unwrap_err().to_string();
        assert!(error.contains("export_ipam!"), "{error}");
        assert!(made(b"wharfinger:plugin/ipam@".to_vec()).is_err());
    }
}
