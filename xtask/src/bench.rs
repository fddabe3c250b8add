//! `cargo xtask bench`.
use anyhow::Result;
pub(crate) fn run(_args: &[String]) -> Result<()> {
    anyhow::bail!("being written")
}
