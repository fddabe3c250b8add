//! `cargo xtask lint`: formatting and clippy, warnings being errors.

use anyhow::Result;

use crate::command::{cargo, must, say, target};

/// Checks the workspace.
pub(crate) fn run() -> Result<()> {
    say("lint: cargo fmt");
    must(&mut cargo("fmt --all --check"))?;
    say("lint: cargo clippy");
    let words = format!("clippy --workspace --all-targets --release --target {}", target());
    must(cargo(&words).args(["--quiet", "--", "-D", "warnings"]))
}
