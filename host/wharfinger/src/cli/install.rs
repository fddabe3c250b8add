//! `wharfinger install`: puts this executable where runtimes look for it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::{plugin, print};
use crate::program::Program;

/// Under which name runtimes look for it.
const NAME: &str = "wharfinger";

#[derive(Debug, Args)]
pub(super) struct Install {
    /// The directory of CNI plugins: /opt/cni/bin
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Install {
    /// What is installed is compiled for this executable first, so that no ADD has to.
    pub(super) fn run(&self, program: &Program) -> Result<u8> {
        let lines = plugin::recompile(program)
            .context("nothing was installed: components cannot be compiled for this executable")?;
        let place = self.directory.join(NAME);
        put(Path::new("/proc/self/exe"), &place)
            .with_context(|| format!("install {}", place.display()))?;
        print(&format!("{}installed {}\n", lines.concat(), place.display()))
    }
}

/// A copy beside its place, renamed into it: whoever starts it gets the one or the other.
fn put(from: &Path, place: &Path) -> io::Result<()> {
    let mut unfinished = place.as_os_str().to_owned();
    unfinished.push(format!(".new-{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let written = copy(from, &unfinished).and_then(|()| fs::rename(&unfinished, place));
    if written.is_err() {
        // What is left is no plugin's name.
        let _ = fs::remove_file(&unfinished);
    }
    written?;
    place.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(to)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    file.sync_all()
}
