//! `wharfinger serve`: what goes on beside the verbs.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{ArgGroup, Args, ValueEnum};

use super::Answer;
use crate::agent;
use crate::dhcp;
use crate::docker;
use crate::program::Program;
use crate::settings::Paths;
use crate::spans;

/// What to serve.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").required(true).args(["dhcp", "agent", "spans", "docker"])))]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Serve {
    /// Renew DHCP leases
    #[arg(long)]
    dhcp: bool,
    /// Be this node's agent in its cluster: keep its lease, send and free what was left behind
    #[arg(long, conflicts_with_all = ["socket", "broadcast"])]
    agent: bool,
    /// Send spans of verbs to the collector that the node's settings name; the agent does that as well
    #[arg(long, conflicts_with_all = ["socket", "broadcast"])]
    spans: bool,
    /// Be a network driver and an IPAM driver of Docker's
    #[arg(long)]
    docker: bool,
    /// Where to listen; by default dhcp.sock in the run directory, or for Docker
    /// /run/docker/plugins/wharfinger.sock, whose name is the driver's. A service manager's socket
    /// comes before all of them
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Ask servers to broadcast their answers
    #[arg(long, conflicts_with = "docker")]
    broadcast: bool,
    /// Where all state is kept: in run and lib below it. By default where that of CNI is
    #[arg(long, value_name = "DIR", requires = "docker")]
    state: Option<PathBuf>,
    /// Whose Docker's networks are
    #[arg(long, value_enum, default_value_t = Scope::Local, requires = "docker")]
    scope: Scope,
    /// Docker has started this as a plugin that it manages
    #[arg(long, hide = true, requires = "docker")]
    managed: bool,
    /// Who may come beside root: a group's name or number
    #[arg(long, requires = "docker")]
    group: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    /// The node's
    Local,
    /// A swarm's
    Global,
}

impl Serve {
    pub(crate) fn run(self, program: &Program) -> Result<Answer> {
        if self.agent {
            return agent::serve(program).map(|()| Answer::printed());
        }
        if self.spans {
            return send_spans(program);
        }
        let Self { socket, broadcast, .. } = self;
        if !self.docker {
            let flags = dhcp::Flags { socket, broadcast, ..dhcp::Flags::default() };
            return dhcp::serve(program, &flags).map(|()| Answer::printed());
        }
        let flags = docker::Flags {
            socket: socket.unwrap_or_else(|| docker::SOCKET.into()),
            group: self.group,
            global: matches!(self.scope, Scope::Global),
            managed: self.managed,
        };
        let paths = program.paths.clone();
        let paths = match self.state {
            Some(dir) => Paths { run: dir.join("run"), lib: dir.join("lib"), ..paths },
            None => paths,
        };
        docker::serve(paths, &flags).map(|()| Answer::printed())
    }
}

/// Until killed, which it may be at any time.
fn send_spans(program: &Program) -> Result<Answer> {
    let Some(to) = program.configured().trace else {
        bail!(
            "no collector is named: [trace] endpoint = \"http://127.0.0.1:4318\" in {} names one",
            program.paths.config.display()
        );
    };
    let ends = |pause| {
        std::thread::sleep(pause);
        false
    };
    spans::send_on(&program.paths.run, to, &program.configured().settings.node.name, &ends);
    Ok(Answer::printed())
}
