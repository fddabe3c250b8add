//! `wharfinger serve`: what goes on beside the verbs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::dhcp::{self, Flags};
use crate::program::Program;

/// What to serve.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Renew DHCP leases
    #[arg(long, required = true)]
    dhcp: bool,
    /// Where to listen; by default dhcp.sock in the run directory. A service manager's socket
    /// comes before both
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Ask servers to broadcast their answers
    #[arg(long)]
    broadcast: bool,
}

impl Serve {
    pub(crate) fn run(self, program: &Program) -> Result<u8> {
        debug_assert!(self.dhcp, "clap requires it");
        let Self { socket, broadcast, .. } = self;
        dhcp::serve(program, &Flags { socket, broadcast, ..Flags::default() })
    }
}
