//! `cargo xtask build`: the release, one static executable at `target/release/wharfinger` with
//! the built-in components, compiled ahead of time, appended to it.
//!
//! The executable compiles them itself, so the Wasm compiler, by far the largest thing here, is
//! built once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use wit_component::ComponentEncoder;

use crate::bomb;
use crate::command::{
    capture, cargo, executable, find, must, program, say, target, text, workspace,
};
use crate::cpu::Cpu;
use crate::tools;

/// The components that ship inside, each a folder of `plugins-wasm/`.
pub(crate) const BUILT_IN: [&str; 3] = ["host-local", "rules", "static"];
/// What components are compiled for. It has no system interface: they import only our contract.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
/// What a guest is compiled for whose Cargo.toml names it: with WASI, and a component at once.
const WASI: &str = "wasm32-wasip2";

/// How a component's file begins, and no module's.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What the build needs from the machine, beside Rust.
pub(crate) const NEEDED: [&str; 3] = ["musl-gcc", "protoc", tools::PROTOS];

/// Builds the release.
pub(crate) fn run() -> Result<()> {
    release(Cpu::here()?)
}

/// Builds the release for a processor.
pub(crate) fn release(cpu: Cpu) -> Result<()> {
    targets()?;
    if !tools::install(&NEEDED)? {
        bail!(
            "the C parts need musl-gcc, etcd's messages protoc: Debian's packages musl-tools, \
             protobuf-compiler and libprotobuf-dev"
        );
    }
    cpu.prepare()?;
    let components = built_in()?;
    package(cpu, &host(cpu, "")?, &cpu.executable(), &components)?;
    report(cpu)
}

/// Builds one component, for tests, and says where it is.
pub(crate) fn one(words: &[String]) -> Result<()> {
    targets()?;
    let path = match words {
        [folder] => component(folder)?,
        [folder, word] if word == "--bomb" => bomb(folder)?,
        _ => bail!("usage: cargo xtask component FOLDER [--bomb]"),
    };
    say(&path.display().to_string());
    Ok(())
}

/// Adds the targets that the toolchain lacks, where rustup is there to do it.
fn targets() -> Result<()> {
    add_targets(&[WASM, WASI, &target()])
}

/// The same for those that are named.
pub(crate) fn add_targets(targets: &[&str]) -> Result<()> {
    if find("rustup").is_none() {
        return Ok(());
    }
    let installed = text(&mut program("rustup target list --installed"))?;
    for wanted in targets {
        if !installed.lines().any(|line| line == *wanted) {
            must(program("rustup target add").arg(wanted))?;
        }
    }
    Ok(())
}

/// Builds a Rust guest in its folder, and makes a component of it: the path of its .wasm.
pub(crate) fn component(folder: &str) -> Result<PathBuf> {
    made(&name(folder), &module(folder)?)
}

/// The same with a compile bomb in it: the path of its .wasm, NAME-bomb.wasm.
pub(crate) fn bomb(folder: &str) -> Result<PathBuf> {
    made(&format!("{}-bomb", name(folder)), &bomb::put_into(&module(folder)?)?)
}

/// What a guest is called: its folder's last part.
fn name(folder: &str) -> String {
    Path::new(folder).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where guests are built.
fn wasm_dir() -> PathBuf {
    workspace().join("target/wasm")
}

/// Builds a guest: its core module, or the component that its target makes at once.
fn module(folder: &str) -> Result<Vec<u8>> {
    let manifest = workspace().join(folder).join("Cargo.toml");
    let manifest =
        fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
    let target = if manifest.contains(WASI) { WASI } else { WASM };
    let build = format!("build --release --locked --target {target} --target-dir");
    let dir = wasm_dir();
    must(cargo(&build).arg(&dir).current_dir(workspace().join(folder)))?;
    let module =
        dir.join(target).join("release").join(library(folder, &manifest)).with_extension("wasm");
    fs::read(&module).with_context(|| format!("read {}", module.display()))
}

/// What a guest's library is called: as its folder, unless that is a word of the language.
fn library(folder: &str, manifest: &str) -> String {
    let lib = manifest.split_once("[lib]\nname = \"").and_then(|(_, rest)| rest.split_once('"'));
    lib.map_or_else(|| name(folder).replace('-', "_"), |(name, _)| name.to_owned())
}

/// Makes a component of a module, and writes it.
fn made(name: &str, module: &[u8]) -> Result<PathBuf> {
    let encoded = if module.starts_with(COMPONENT) {
        module.to_vec()
    } else {
        encode(module).with_context(|| format!("make a component of {name}"))?
    };
    let out = wasm_dir().join(name).with_extension("wasm");
    // Tests make it in several processes at once, and read it: nobody sees half of it.
    let draft = out.with_extension(std::process::id().to_string());
    let written = fs::write(&draft, encoded).and_then(|()| fs::rename(&draft, &out));
    written.with_context(|| format!("write {}", out.display()))?;
    Ok(out)
}

/// The crates with a lock of their own: those built for Wasm, and what assembles the adapter for WASI.
pub(crate) fn guests() -> Vec<PathBuf> {
    let below = |folder: &str| {
        let entries = fs::read_dir(workspace().join(folder)).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        folders.retain(|folder| folder.join("Cargo.toml").is_file());
        folders.sort();
        folders
    };
    let adapter = vec![workspace().join("tests/adapter")];
    [below("plugins-wasm"), below("sdk"), below("sdk/rust/examples"), adapter].concat()
}

/// A component from a core module that carries its world's description.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

fn built_in() -> Result<Vec<(&'static str, PathBuf)>> {
    BUILT_IN.iter().map(|name| Ok((*name, component(&format!("plugins-wasm/{name}"))?))).collect()
}

/// The release with host-local's logic outside the sandbox: what the sandbox is measured by.
pub(crate) fn native() -> Result<PathBuf> {
    let out = executable().with_file_name("wharfinger-native");
    let cpu = Cpu::here()?;
    package(cpu, &host(cpu, "--features native-host-local")?, &out, &built_in()?)?;
    Ok(out)
}

/// Builds the executable, as yet without components.
fn host(cpu: Cpu, features: &str) -> Result<PathBuf> {
    let target = cpu.target();
    let build =
        format!("build --release --locked --target {target} -p wharfinger {features} --target-dir");
    let dir = workspace().join("target");
    must(cpu.cargo(&build)?.arg(&dir))?;
    Ok(dir.join(target).join("release/wharfinger"))
}

/// Has the executable compile the components and write itself, with them, to its place.
fn package(cpu: Cpu, program: &Path, out: &Path, components: &[(&str, PathBuf)]) -> Result<()> {
    let parent = out.parent().unwrap_or(out);
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    let mut command = cpu.start(program);
    command.args(["internal", "package"]).arg(out);
    for (name, wasm) in components {
        let mut pair = std::ffi::OsString::from(format!("{name}="));
        pair.push(wasm);
        command.arg(pair);
    }
    must(&mut command)
}

/// Says what was built, and that it is what it should be: static, at a fixed address.
fn report(cpu: Cpu) -> Result<()> {
    let executable = cpu.executable();
    let file = fs::read(&executable).with_context(|| format!("read {}", executable.display()))?;
    cpu.check(&file).with_context(|| executable.display().to_string())?;
    let mib = file.len().div_ceil(1 << 20);
    say(&format!("{}: {mib} MiB, {} bytes", executable.display(), file.len()));
    let version = capture(cpu.start(&executable).arg("--version"))?;
    say(String::from_utf8_lossy(&version.stdout).trim());
    Ok(())
}
