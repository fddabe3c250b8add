//! The process that an installed component's code runs in: this executable once more. What the
//! executable carries is ours, and runs in the process that asks.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use anyhow::{Context, Result};
use wharfinger_wasm::guest;

/// Variables that say where certificates are: all that it gets of the environment.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// To start it with.
pub(crate) fn command() -> Command {
    let mut command = super::own("guest");
    for name in CERTIFICATES {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

/// The process itself: asked over standard input, with the code as standard output.
pub(crate) fn child() -> Result<()> {
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let stream = stdin.as_fd().try_clone_to_owned().context("take the socket")?;
    let code = stdout.as_fd().try_clone_to_owned().context("take the code")?;
    guest::serve(UnixStream::from(stream), &File::from(code)).context("serve the host")
}
