//! The documentation as a book, and what it promises about itself, held by tests: each page is in the
//! book, and each link leads to a page, and to a heading, that is there. CI runs the tests alone; mdBook
//! is for who publishes or reads it.

#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result, bail};

use crate::command::{program, workspace};

/// Makes the book, in target/book; what mdBook warns of is a failure.
pub(crate) fn run() -> Result<()> {
    let output = program("mdbook").arg("build").current_dir(workspace()).output();
    let output = output
        .context("run mdbook; `cargo install mdbook --locked --no-default-features` brings it")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let troubled = ["WARN", "ERROR"].iter().any(|word| said.contains(word));
    if !output.status.success() || troubled {
        bail!("mdbook build: {said}");
    }
    Ok(())
}
