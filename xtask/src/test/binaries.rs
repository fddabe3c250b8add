//! The test executables: built by cargo once, run one by one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{cargo, target};

/// A test executable of cargo's.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    /// The package.
    pub package: String,
    /// The target: a test file's name, or the crate's.
    pub target: String,
    /// The executable.
    pub path: PathBuf,
    /// The package's folder: where cargo would run it.
    pub folder: PathBuf,
}

/// The packages' own tests and the suite, built the way the release is, so that what both
/// share (the Wasm compiler above all) is built once; and this program's own, built the way it
/// is. It stands apart because what it depends on turns features on that the release has not.
fn commands() -> [Command; 2] {
    let target = target();
    let most = format!("test --workspace --exclude xtask --release --target {target} --no-run");
    [cargo(&most), cargo("test --package xtask --no-run")]
}

/// Builds them.
pub(crate) fn build() -> Result<()> {
    commands().iter_mut().try_for_each(|command| crate::command::must(command.arg("--quiet")))
}

/// Finds them; what is built is not built again.
pub(crate) fn all() -> Result<Vec<Binary>> {
    let found: Result<Vec<_>> = commands().iter_mut().map(of).collect();
    Ok(found?.concat())
}

/// Builds and finds those of a `cargo test --no-run`.
pub(crate) fn of(command: &mut Command) -> Result<Vec<Binary>> {
    command.arg("--message-format=json").stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("cargo test --no-run")?;
    if !output.status.success() {
        bail!("cargo test --no-run: {}", output.status);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| binary(&serde_json::from_str(line).ok()?)).collect())
}

/// One message of cargo's: an artifact that is a test executable.
fn binary(message: &Value) -> Option<Binary> {
    let test = message.get("profile")?.get("test")?.as_bool()?;
    let path = message.get("executable")?.as_str()?;
    let target = message.get("target")?.get("name")?.as_str()?;
    let folder = Path::new(message.get("manifest_path")?.as_str()?).parent()?.to_owned();
    // "path+file:///…/host/plan#wharfinger-plan@0.1.0", or "…/xtask#0.1.0" where the folder has
    // the package's name.
    let (place, name) = message.get("package_id")?.as_str()?.rsplit_once('#')?;
    let package = match name.split_once('@') {
        Some((package, _)) => package,
        None => place.rsplit('/').next()?,
    };
    test.then(|| Binary {
        package: package.to_owned(),
        target: target.to_owned(),
        path: PathBuf::from(path),
        folder,
    })
}
