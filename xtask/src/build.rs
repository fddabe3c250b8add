//! `cargo xtask build`: the release, one static executable at `target/release/wharfinger` with
//! the built-in components, compiled ahead of time, appended to it.

/// Builds the release.
pub(crate) fn run() -> anyhow::Result<()> {
    anyhow::bail!("the release build is being written")
}
