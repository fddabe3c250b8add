//! `cargo xtask lint`: formatting and clippy, warnings being errors; of the workspace, and of the
//! crates that are built for Wasm. And what no compiler looks at: what others wrote, where `unsafe`
//! stands, that pure crates compile for other systems.

use anyhow::Result;

use crate::build::guests;
use crate::command::{cargo, must, say, target, workspace};
use crate::{elsewhere, supply, unsafety};

/// Checks the workspace; with `long`, also by cargo-deny.
pub(crate) fn run(long: bool) -> Result<()> {
    say("lint: licences, sources, versions, vulnerabilities");
    supply::check()?;
    if long {
        supply::cargo_deny()?;
    }
    unsafety::check()?;
    elsewhere::check(long)?;
    say("lint: cargo fmt");
    must(&mut cargo("fmt --all --check"))?;
    say("lint: cargo clippy");
    let target = target();
    let most =
        format!("clippy --workspace --exclude xtask --all-targets --release --target {target}");
    for words in [most.as_str(), "clippy --package xtask --all-targets"] {
        must(cargo(words).args(["--quiet", "--", "-D", "warnings"]))?;
    }
    for folder in guests() {
        let manifest = folder.join("Cargo.toml");
        must(cargo("fmt --check --manifest-path").arg(&manifest))?;
        let mut clippy = cargo("clippy --all-targets --all-features --locked --manifest-path");
        clippy.arg(&manifest).arg("--target-dir").arg(workspace().join("target/guests"));
        must(clippy.args(["--quiet", "--", "-D", "warnings"]))?;
    }
    Ok(())
}
