//! `wharfinger plugin build`: a project's component, by its own toolchain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde::Deserialize;
use wit_component::ComponentEncoder;

use crate::cli::print;

/// What Rust builds plugins for. It has no system interface: they import what they call, and
/// nothing else.
const TARGET: &str = "wasm32-unknown-unknown";

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Build {
    pub(crate) fn run(&self) -> Result<u8> {
        let component = build(&self.folder)?;
        let size = fs::metadata(&component).map_or(0, |meta| meta.len()).div_ceil(1024);
        let shown = component.display();
        print(&format!(
            "{shown}: {size} KiB\n\
             next: wharfinger plugin test {shown}, and as root: wharfinger plugin install {shown}\n"
        ))
    }
}

/// Builds the project in this folder: the path of its component.
pub(crate) fn build(folder: &Path) -> Result<PathBuf> {
    let project = Project::find(folder)?;
    target_is_there(folder)?;
    let mut cargo = cargo(folder);
    cargo.args(["build", "--release", "--target", TARGET]);
    // What cargo says is for people, and standard output for what comes of it.
    let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status();
    if !status.map_err(no_cargo)?.success() {
        bail!("cargo build --target {TARGET} in {} failed: it says why above", folder.display());
    }
    let module = project.module();
    let module = fs::read(&module).with_context(|| format!("read {}", module.display()))?;
    let component = component(&module);
    let component = component.with_context(|| format!("make a component of {}", project.name))?;
    let dist = Path::new("dist").join(&project.name).with_extension("wasm");
    let out = if folder == Path::new(".") { dist } else { folder.join(dist) };
    let parent = out.parent().unwrap_or(folder);
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    fs::write(&out, component).with_context(|| format!("write {}", out.display()))?;
    Ok(out)
}

/// A component from a module that carries the description of its world.
fn component(module: &[u8]) -> Result<Vec<u8>> {
    // The names of what a module exports: without a world it makes a component all the same, of
    // nothing.
    let worlds = ["wharfinger:plugin/ipam@", "wharfinger:plugin/policy@"];
    let exports = |name: &&str| module.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    if !worlds.iter().any(exports) {
        bail!("it exports no plugin: src/lib.rs needs export_ipam! or export_policy!");
    }
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// What `cargo metadata` says of a project.
#[derive(Debug, PartialEq, Eq)]
struct Project {
    name: String,
    /// The library's name, as that of its file.
    library: String,
    target: PathBuf,
}

impl Project {
    fn find(folder: &Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            bail!(
                "no Cargo.toml in {}: stand in a plugin's project, or make one with \
                 wharfinger plugin new",
                folder.display()
            );
        }
        let mut cargo = cargo(folder);
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let output = cargo.stderr(Stdio::inherit()).output().map_err(no_cargo)?;
        if !output.status.success() {
            bail!("cargo metadata in {} failed: it says why above", folder.display());
        }
        Self::parse(&output.stdout)
    }

    fn parse(metadata: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Package>,
            target_directory: PathBuf,
        }
        #[derive(Deserialize)]
        struct Package {
            name: String,
            targets: Vec<Target>,
        }
        #[derive(Deserialize)]
        struct Target {
            name: String,
            crate_types: Vec<String>,
        }
        let metadata: Metadata =
            serde_json::from_slice(metadata).context("read what cargo metadata says")?;
        let library = |package: Package| {
            let mut targets = package.targets.into_iter();
            let is_plugin =
                |target: &Target| target.crate_types.iter().any(|kind| kind == "cdylib");
            Some((package.name, targets.find(is_plugin)?.name))
        };
        let mut plugins = metadata.packages.into_iter().filter_map(library);
        let (name, library) = plugins
            .next()
            .context("no crate here is a plugin: its Cargo.toml needs crate-type = [\"cdylib\"]")?;
        Ok(Self { name, library: library.replace('-', "_"), target: metadata.target_directory })
    }

    /// Where cargo leaves the module.
    fn module(&self) -> PathBuf {
        self.target.join(TARGET).join("release").join(&self.library).with_extension("wasm")
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
fn target_is_there(folder: &Path) -> Result<()> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(folder);
    let output = rustc.output().map_err(no_cargo)?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        return Ok(());
    }
    bail!("Rust at {} cannot build for Wasm: rustup target add {TARGET}", sysroot.display())
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
    }

    #[test]
    fn what_is_no_plugin_is_said() {
        let said = r#"{"packages": [{"name": "x", "targets": []}], "target_directory": "/t"}"#;
        let error = Project::parse(said.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("crate-type"), "{error}");
        let error = build(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("wharfinger plugin new"), "{error}");
    }

    #[test]
    fn a_module_without_a_world_makes_no_component() {
        let error = component(b"\0asm\x01\0\0\0").unwrap_err().to_string();
        assert!(error.contains("export_ipam!"), "{error}");
        assert!(component(b"wharfinger:plugin/ipam@").is_err());
    }
}
