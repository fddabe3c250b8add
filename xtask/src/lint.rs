//! `cargo xtask lint`: formatting and clippy, warnings being errors.

use anyhow::Result;

use crate::command::{cargo, must, say, target};

/// Checks the workspace.
pub(crate) fn run() -> Result<()> {
    say("lint: cargo fmt");
    must(&mut cargo("fmt --all --check"))?;
    say("lint: cargo clippy");
    let target = target();
    let most =
        format!("clippy --workspace --exclude xtask --all-targets --release --target {target}");
    for words in [most.as_str(), "clippy --package xtask --all-targets"] {
        must(cargo(words).args(["--quiet", "--", "-D", "warnings"]))?;
    }
    Ok(())
}
