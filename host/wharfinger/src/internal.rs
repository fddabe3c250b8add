//! What the build itself needs of the executable: it carries the compiler, so it compiles the
//! components that are to be carried with it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Internal {
    /// Write this executable to OUT, with components inside
    Package {
        /// The executable to write
        out: PathBuf,
        /// Components, as NAME=FILE.wasm
        components: Vec<String>,
    },
    /// Write a man page for each command into a folder
    Man {
        /// The folder, which is there
        folder: PathBuf,
    },
    /// Compile a component from standard input to standard output, within bounds
    Compile,
    /// Run a component that is asked over standard input
    Guest,
}

impl Internal {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Package { out, components } => package(out, components)?,
            Self::Man { folder } => man(folder)?,
            Self::Compile => crate::plugins::compile::child()?,
            Self::Guest => crate::plugins::guest::child()?,
        }
        Ok(())
    }
}

fn package(out: &Path, components: &[String]) -> Result<()> {
    let read = |text: &String| {
        let (name, file) = text.split_once('=').context("a component is given as NAME=FILE")?;
        let wasm = std::fs::read(file).with_context(|| format!("read {file}"))?;
        anyhow::Ok((name.to_owned(), wasm))
    };
    let components = components.iter().map(read).collect::<Result<Vec<_>>>()?;
    let borrowed: Vec<(&str, &[u8])> =
        components.iter().map(|(name, wasm)| (name.as_str(), wasm.as_slice())).collect();
    wharfinger_wasm::package::write(Path::new("/proc/self/exe"), out, &borrowed)
        .with_context(|| format!("package {}", out.display()))
}

/// wharfinger.1, wharfinger-ls.1 and so on.
fn man(folder: &Path) -> Result<()> {
    let command = <crate::cli::Cli as clap::CommandFactory>::command();
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("man pages in {}", folder.display()))
}
