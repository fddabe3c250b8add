//! The command line: what people run by hand. The protocol itself is not here.

mod answer;
mod by_hand;
mod cluster;
mod conf;
mod doctor;
mod events;
mod explain;
mod install;
mod list;
mod lists;
mod metrics;
mod network;
mod node;
mod plugin;
mod pools;
mod progress;
#[cfg(test)]
mod reference;
mod reload;
mod results;
mod serve;
mod show;
mod table;
mod topology;

pub(crate) use self::cluster::of_mended;
#[cfg(test)]
pub(crate) use self::conf::NODE_SCHEMA;
pub(crate) use self::events::date;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde_json::{Value, json};
use wharfinger_cni::{AttachmentId, CniError};

use self::answer::{Answer, Did, Refused};
pub(crate) use self::answer::{Output, failed, unread};
pub(crate) use self::progress::Progress;
use crate::program::Program;

/// Container networking: one CNI plugin, whose address management and policy are sandboxed
/// WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "wharfinger", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what an ADD would do, and do nothing; or, without a network, draw this node
    #[command(
        after_help = "With --json: an object of `plan` and `lease`; without a network, one of `networks`"
    )]
    Explain(explain::Explain),
    /// List attachments
    #[command(after_help = "With --json: a list of attachments")]
    Ls(list::Ls),
    /// Show all that is known of a container's attachments: plan, decisions, drift
    #[command(after_help = "With --json: a list of attachments: `record`, `drift`, `events`")]
    Show(show::Show),
    /// List what networks allocate from, and how full that is
    #[command(
        after_help = "With --json: a list of pools; of a cluster, an object of `pools` and `nodes`; with --watch, one each line"
    )]
    Pools(pools::Pools),
    /// Show what happened on this node
    #[command(after_help = "With --json: the lines as they are, an object each")]
    Events(events::Events),
    /// Print measures of this node for Prometheus
    #[command(after_help = "Without --json: it prints OpenMetrics, or Prometheus' text")]
    Metrics(metrics::Metrics),
    /// Attach a namespace to a network, as a runtime would
    #[command(after_help = "With --json: the result, as a runtime is given it; as without")]
    Add(Attachment),
    /// Compare an attachment with what was made; or look for what is wrong in the cluster's book
    #[command(
        after_help = "With --json: the attachment's names; with --cluster, a list of findings"
    )]
    Check(by_hand::Check),
    /// Say why an ADD to a network would fail now
    #[command(after_help = "With --json: `network`, `ready`, `warnings`")]
    Status(Network),
    /// Undo every attachment of a network but those that are named; or free what is left in the
    /// cluster's book
    #[command(
        after_help = "With --json: `network`, and `detached`: a list of attachments' names; with --docker, `gone`; with --cluster, what was freed and claimed, and who is dead"
    )]
    Gc(by_hand::Gc),
    /// Detach: needs neither the namespace nor the network's configuration
    #[command(after_help = "With --json: the attachment's names")]
    Del(Attachment),
    /// Say what on this node keeps attachments from working
    #[command(after_help = "With --json: a list of findings")]
    Doctor(doctor::Doctor),
    /// Make our rules of the packet filter anew, after somebody emptied it
    #[command(after_help = "With --json: `attachments`: how many")]
    Reload,
    /// Write, check and run plugins
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Put this executable where runtimes look for it, also under the reference plugins' names
    #[command(after_help = "With --json: a list: what was done to what")]
    Install(install::Install),
    /// Take it away again, and put back what stood there before
    #[command(after_help = "With --json: a list: what was done to what")]
    Uninstall(install::Uninstall),
    /// This node in a cluster of Kubernetes: what its DaemonSet runs
    #[command(subcommand)]
    Node(node::Node),
    /// Undo what is left of attachments that are proven dead, of every network
    #[command(after_help = "With --json: `detached`: a list of attachments' names")]
    Sweep,
    /// Configurations of networks
    #[command(subcommand)]
    Conf(conf::Conf),
    /// Serve until killed: renew DHCP leases, be a driver of Docker's, or this node's agent in its
    /// cluster
    #[command(after_help = "Without --json: it goes on until killed, and prints lines for a log")]
    Serve(serve::Serve),
    /// Print completions for a shell
    #[command(after_help = "Without --json: it prints a script of the shell's")]
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(after_help = "With --json: `version`")]
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

/// How the last line of a command's help begins, where it has no form for programs. Otherwise it is
/// "With --json: ", and says what that is.
const WITHOUT: &str = "Without --json: ";

impl Cli {
    /// What these words say; an error where that is nothing, or something else than a command: help.
    pub(crate) fn read(words: &[OsString]) -> Result<Self, clap::Error> {
        let mut all = Self::command();
        let matches = all.try_get_matches_from_mut(words)?;
        if matches.get_flag("json")
            && let Some(form) = form(&all, &matches)
        {
            let text = format!("this command has no --json: {form}\n");
            return Err(all.error(ErrorKind::ArgumentConflict, text));
        }
        Self::from_arg_matches(&matches)
    }

    /// Whether it goes on though the node's settings cannot be read: it is to say so, or to write others,
    /// needs none, or detaches, as a runtime's DEL does.
    pub(crate) fn looks_for_faults(&self) -> bool {
        matches!(
            self.command,
            Command::Doctor(_)
                | Command::Node(_)
                | Command::Del(_)
                | Command::Events(_)
                | Command::Conf(_)
                | Command::Completions { .. }
                | Command::Version
        )
    }
}

/// What a command prints that has no second form; none of others.
fn form(mut command: &clap::Command, mut matches: &ArgMatches) -> Option<String> {
    while let Some((name, below)) = matches.subcommand() {
        command = command.find_subcommand(name)?;
        matches = below;
    }
    Some(command.get_after_help()?.to_string().strip_prefix(WITHOUT)?.to_owned())
}

/// Runs what the command line says.
pub(crate) fn run(cli: Cli, program: &Program) -> Result<Answer> {
    let output = cli.output;
    match cli.command {
        Command::Explain(explain) => explain.run(program),
        Command::Ls(ls) => ls.run(program),
        Command::Show(show) => show.run(program),
        Command::Metrics(metrics) => metrics.run(program),
        Command::Pools(pools) => pools.run(program, output),
        Command::Events(events) => events.run(program, output),
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
        Command::Node(node) => node.run(program),
        Command::Sweep => sweep(program),
        Command::Conf(conf) => conf.run(program, output),
        Command::Serve(serve) => serve.run(program),
        Command::Completions { shell } => completions(shell),
        Command::Version => Ok(version()),
        Command::Internal(internal) => internal.run().map(|()| Answer::printed()),
    }
}

fn version() -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    Answer::new(format!("wharfinger {version}\n"), json!({ "version": version }))
}

fn completions(shell: clap_complete::Shell) -> Result<Answer> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wharfinger", &mut text);
    is_read(&text).map(|_| Answer::printed())
}

fn sweep(program: &Program) -> Result<Answer> {
    let swept = program.verb(wharfinger_attach::recover::sweep).map_err(|error| told(&error))?;
    let lines: Vec<String> = swept.iter().map(|id| format!("{id}\n")).collect();
    Ok(Answer::new(
        lines.concat(),
        json!({ "detached": swept.iter().map(named).collect::<Vec<_>>() }),
    ))
}

/// An attachment by its names, for programs.
fn named(id: &AttachmentId) -> Value {
    json!({ "network": id.network, "container": id.container, "ifname": id.ifname })
}

/// Everything that is read from standard output passes here.
fn print(text: &str) -> Result<()> {
    is_read(text.as_bytes()).map(|_| ())
}

/// As [`print`]; answers whether anybody still reads.
fn is_read(text: &[u8]) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // `wharfinger ls | head`: whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("write standard output"),
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
    Refused(error).into()
}
