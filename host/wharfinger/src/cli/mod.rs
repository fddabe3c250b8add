//! The command line: what people run by hand. The protocol itself is not here.

mod by_hand;
mod cluster;
mod conf;
mod doctor;
mod events;
mod explain;
mod install;
mod list;
mod lists;
mod network;
mod plugin;
mod pools;
mod reload;
mod results;
mod serve;
mod table;

pub(crate) use self::cluster::of_mended;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, Parser, Subcommand};
use wharfinger_cni::CniError;

use crate::program::Program;

/// Container networking: one CNI plugin, whose address management and policy are sandboxed
/// WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what an ADD would do, and do nothing
    Explain(explain::Explain),
    /// List attachments
    Ls(list::Ls),
    /// List what networks allocate from, and how full that is
    Pools(pools::Pools),
    /// Show what happened on this node
    Events(events::Events),
    /// Attach a namespace to a network, as a runtime would
    Add(Attachment),
    /// Compare an attachment with what was made; or look for what is wrong in the cluster's book
    Check(by_hand::Check),
    /// Say why an ADD to a network would fail now
    Status(Network),
    /// Undo every attachment of a network but those that are named; or free what is left in the
    /// cluster's book
    Gc(by_hand::Gc),
    /// Detach: needs neither the namespace nor the network's configuration
    Del(Attachment),
    /// Say what on this node keeps attachments from working
    Doctor(doctor::Doctor),
    /// Make our rules of the packet filter anew, after somebody emptied it
    Reload,
    /// Write, check and run plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Put this executable where runtimes look for it, also under the reference plugins' names
    Install(install::Install),
    /// Take it away again, and put back what stood there before
    Uninstall(install::Uninstall),
    /// Undo what is left of attachments that are proven dead, of every network
    Sweep,
    /// Configurations of networks
    #[command(subcommand)]
    Conf(conf::Conf),
    /// Serve until killed: renew DHCP leases, be a driver of Docker's, or this node's agent in its
    /// cluster
    Serve(serve::Serve),
    /// Print the version
    Version,
    /// What the build uses
    #[command(hide = true, subcommand)]
    Internal(crate::internal::Internal),
}

/// A network, by name or by file.
#[derive(Debug, Args)]
struct Network {
    /// The network's name in the configuration directory, or the path of a conflist
    #[arg(value_name = "NETWORK")]
    name: String,
    /// Where conflists are
    #[arg(long, default_value = "/etc/cni/net.d", env = "NETCONFPATH")]
    conf_dir: PathBuf,
    /// Where executables of other plugins are, separated by colons
    #[arg(long, default_value = "/opt/cni/bin", env = "CNI_PATH")]
    cni_path: String,
    /// Where results of lists with other plugins are kept, as runtimes keep them
    #[arg(long, default_value = "/var/lib/cni")]
    cache_dir: PathBuf,
}

/// An attachment to a network.
#[derive(Debug, Args)]
struct Attachment {
    #[command(flatten)]
    network: Network,
    /// The path of the container's network namespace
    #[arg(long)]
    netns: Option<PathBuf>,
    /// The interface's name in the container
    #[arg(long, default_value = "eth0")]
    ifname: String,
    /// The container's id; made from the namespace's path where it is not given
    #[arg(long)]
    container: Option<String>,
    /// CNI_ARGS: KEY=VALUE;KEY=VALUE
    #[arg(long, default_value = "")]
    args: String,
    /// Values of capabilities, as JSON: `{"ips": ["10.1.0.9"]}`
    #[arg(long, default_value = "{}")]
    capabilities: String,
}

/// Runs what the command line says; answers the exit status.
pub(crate) fn run(cli: Cli, program: &Program) -> Result<u8> {
    match cli.command {
        Command::Explain(explain) => explain.run(program),
        Command::Ls(ls) => ls.run(program),
        Command::Pools(pools) => pools.run(program),
        Command::Events(events) => events.run(program),
        Command::Add(attachment) => by_hand::add(program, &attachment),
        Command::Check(check) => by_hand::check(program, &check),
        Command::Status(network) => by_hand::status(program, &network),
        Command::Gc(gc) => by_hand::gc(program, &gc),
        Command::Del(attachment) => by_hand::del(program, &attachment),
        Command::Doctor(doctor) => doctor.run(program),
        Command::Reload => reload::reload(program),
        Command::Plugin(plugin) => plugin.run(program),
        Command::Install(install) => install.run(program),
        Command::Uninstall(uninstall) => uninstall.run(program),
        Command::Sweep => sweep(program),
        Command::Conf(conf) => conf.run(),
        Command::Serve(serve) => serve.run(program),
        Command::Version => print(concat!("wharfinger ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Internal(internal) => internal.run(),
    }
}

fn sweep(program: &Program) -> Result<u8> {
    let swept = program.verb(wharfinger_attach::recover::sweep).map_err(|error| told(&error))?;
    let lines: Vec<String> = swept.iter().map(|id| format!("{id}\n")).collect();
    print(&lines.concat())
}

/// Everything that people read from standard output passes here.
fn print(text: &str) -> Result<u8> {
    is_read(text.as_bytes()).map(|_| 0)
}

/// As [`print`]; answers whether anybody still reads.
fn is_read(text: &[u8]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // `wharfinger ls | head`: whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).map_err(Into::into),
    }
}

/// As [`explained`], of what is about no network.
fn told(error: &wharfinger_attach::Error) -> anyhow::Error {
    // Its causes are in its text already.
    match error.hint() {
        Some(hint) => anyhow!("{error}; {hint}"),
        None => anyhow!("{error}"),
    }
}

/// The message, and what else the runtime would have been told.
fn explained(error: CniError) -> anyhow::Error {
    let CniError { code, msg, details } = error;
    if details.is_empty() {
        anyhow!("{msg} (code {code})")
    } else {
        anyhow!("{msg} (code {code})\n{details}")
    }
}
