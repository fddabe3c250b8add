//! `wharfinger node`: what a DaemonSet runs on the nodes of a cluster of Kubernetes. `up` puts the
//! executable, the node's settings, its credentials and last its networks where they belong, and goes on
//! keeping them as the cluster wants them; `down` takes them away again.
//!
//! Whatever it is killed in the middle of, the next one finishes. No verb waits for it. Start reading at
//! [`up`], then `site`.

mod process;
mod site;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::process::Agent;
use self::site::Site;
use super::{Answer, Did, install, plugin, print};
use crate::program::Program;

/// Between two looks at what the cluster wants.
const TURN: Duration = Duration::from_secs(2);

/// Says that what runs here is what is installed: of the container, not of the node.
const INSTALLED: &str = "/run/wharfinger-node";

/// `wharfinger node`.
#[derive(Debug, Subcommand)]
pub(super) enum Node {
    /// Install, and be the node's agent until killed. The runtime learns of a network once an ADD to
    /// it would work
    #[command(after_help = "Without --json: it goes on until killed, and prints lines for a log")]
    Up(Places),
    /// Attach nothing any more; once nothing is attached, take everything away. Until killed
    #[command(after_help = "Without --json: it goes on until killed, and prints lines for a log")]
    Down(Places),
    /// Whether every network is installed and an ADD to it would work
    #[command(after_help = "With --json: `ready`")]
    Ready(Places),
    /// Whether nothing of it is on the node any more
    #[command(after_help = "With --json: `removed`")]
    Removed(Places),
}

/// Where all is, and where it belongs.
#[derive(Debug, Args)]
pub(super) struct Places {
    /// What to install: config.toml and conflists, the volume of a ConfigMap; $(NODE_NAME) in them is
    /// the node's name, "$(POD_CIDRS)" in place of a conflist's ranges what the cluster gave to the node
    #[arg(long, value_name = "DIR", default_value = "/etc/wharfinger-node")]
    from: PathBuf,
    /// The directory of CNI plugins
    #[arg(long, value_name = "DIR", default_value = "/opt/cni/bin")]
    bin_dir: PathBuf,
    /// The directory of CNI configurations
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    conf_dir: PathBuf,
    /// The service account, as kubelet mounts it; none is there: no kubeconfig is written
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount"
    )]
    account: PathBuf,
    /// Where the API server is; by default where kubelet says, the service `kubernetes`
    #[arg(long, value_name = "URL", env = "WHARFINGER_SERVER")]
    server: Option<String>,
    /// The node's name
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    node_name: Option<String>,
    /// Links under these of the reference plugins' names, where nobody else has them: containerd
    /// asks for loopback
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "loopback")]
    names: Vec<String>,
}

impl Node {
    pub(super) fn run(self, program: &Program) -> Result<Answer> {
        match self {
            Self::Up(places) => up(program, places),
            Self::Down(places) => down(program, places),
            Self::Ready(places) => ready(program, places),
            Self::Removed(places) => removed(&places),
        }
    }
}

fn up(program: &Program, places: Places) -> Result<Answer> {
    let mut end = End::new()?;
    let bin = install::Bin(places.bin_dir.clone());
    let names = install::wanted(&places.names)?;
    let names: Vec<&str> = names.into_iter().filter(|name| !bin.has_foreign(name)).collect();
    let _ = fs::remove_file(INSTALLED);
    print(&Did::lines(&plugin::recompile(program)?))?;
    print(&Did::lines(&bin.fill(&names)?))?;
    fs::write(INSTALLED, "").context(INSTALLED)?;
    let site = Site::new(&program.paths, places);
    let mut agent = Agent::default();
    let mut trouble = Trouble::default();
    loop {
        trouble.of(keep_up(&site, &mut agent))?;
        if end.within(TURN) {
            agent.end();
            return Ok(Answer::printed());
        }
    }
}

/// Once more, everything as it is wanted. The networks come last: whoever sees them may use them.
fn keep_up(site: &Site, agent: &mut Agent) -> Result<()> {
    let credentials = site.credentials();
    if site.settings(false)? {
        agent.end();
    }
    agent.keep(site.program()?.configured().cluster.is_some())?;
    credentials?;
    site.networks()
}

fn down(program: &Program, places: Places) -> Result<Answer> {
    let mut end = End::new()?;
    let bin = install::Bin(places.bin_dir.clone());
    let site = Site::new(&program.paths, places);
    let mut agent = Agent::default();
    let mut trouble = Trouble::default();
    loop {
        match keep_down(&site, &bin, &mut agent) {
            Ok(true) => break,
            other => trouble.of(other.map(drop))?,
        }
        if end.within(TURN) {
            agent.end();
            return Ok(Answer::printed());
        }
    }
    agent.end();
    print(&Did::lines(&site.remove()?))?;
    print(&Did::lines(&bin.empty()?))?;
    print("nothing is attached, and all is removed\n")?;
    // Whoever started this starts it again when it ends.
    while !end.within(TURN) {}
    Ok(Answer::printed())
}

/// Once more; whether nothing is attached any more. What is needed for a DEL stays until then.
fn keep_down(site: &Site, bin: &install::Bin, agent: &mut Agent) -> Result<bool> {
    site.credentials()?;
    if site.settings(true)? {
        agent.end();
    }
    let program = site.program()?;
    agent.keep(program.configured().cluster.is_some())?;
    let living = install::living(&program, bin)?;
    let Some(one) = living.first() else { return Ok(true) };
    let many = living.len();
    anyhow::bail!("nothing is attached any more, {many} live still, {} among them", one.id)
}

fn ready(program: &Program, places: Places) -> Result<Answer> {
    fs::metadata(INSTALLED).context("the executable is not installed yet")?;
    Site::new(&program.paths, places).ready()?;
    Ok(Answer::quiet(json!({ "ready": true })))
}

fn removed(places: &Places) -> Result<Answer> {
    let executable = places.bin_dir.join("wharfinger");
    if executable.exists() {
        anyhow::bail!("{} is there still", executable.display());
    }
    Ok(Answer::quiet(json!({ "removed": true })))
}

/// Says what is wrong once, and that it works again.
#[derive(Debug, Default)]
struct Trouble(Option<String>);

impl Trouble {
    fn of(&mut self, outcome: Result<()>) -> Result<()> {
        let now = outcome.err().map(|error| format!("{error:#}"));
        if now != self.0 {
            let text = now.as_deref().unwrap_or("it works again");
            print(&format!("{text}\n"))?;
            self.0 = now;
        }
        Ok(())
    }
}

/// How the process is told to end.
struct End {
    runtime: Runtime,
    term: Signal,
    int: Signal,
}

impl End {
    fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (term, int) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        Ok(Self { runtime, term, int })
    }

    /// Waits for so long; whether it was told meanwhile.
    fn within(&mut self, time: Duration) -> bool {
        let Self { runtime, term, int } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = term.recv() => true,
                _ = int.recv() => true,
                () = tokio::time::sleep(time) => false,
            }
        })
    }
}
