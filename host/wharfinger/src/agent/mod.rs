//! `wharfinger serve --agent`: this node in its cluster. It says that the node lives (a lease of
//! etcd), sends what was queued, frees what was left behind, keeps what the node knows of the
//! cluster up to date, and, where nodes are freed by time, sees to it that this one has nothing
//! any more by the time that others may have it.
//!
//! No verb waits for it: killed, it is missed by nobody but where `dead-after` is set. Each of its
//! works is a thread that may wait: start reading at [`serve`], then `keeper`.

mod cipher;
mod fence;
mod house;
mod keeper;
mod life;
mod notify;
mod watcher;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use life::bound;

use crate::events;
use crate::program::Program;
use crate::remote::Store;
use crate::settings::{self, Cluster, Configured, Paths};
use crate::spans;
use crate::store;

/// So long one work may take: who is told to end does not wait for longer.
const WORK: Duration = Duration::from_secs(10);

/// What the threads share.
struct Agent {
    paths: Paths,
    /// This boot's folder.
    boot: PathBuf,
    node: String,
    /// Which machine this is.
    machine: String,
    cluster: Cluster,
    store: Store,
    stop: Stop,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Until when the lease is certain to be good, by the clock that never goes back.
    good_until: Duration,
    /// It was tried to get one: an agent that was away for long may just be back.
    tried: bool,
    /// How often a lease was got.
    leases: u64,
    /// What is known of nodes.
    nodes: watcher::Nodes,
}

impl Agent {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one work: the node's file is read each time.
    fn program(&self) -> Result<Program> {
        let configured = settings::read(&self.paths.config)?;
        let deadline = configured.deadline.min(WORK);
        Ok(Program::new(self.paths.clone(), Configured { deadline, ..configured }))
    }

    /// What people may want to know of.
    fn tell(&self, event: &str, what: &Value) {
        events::happened(&self.paths.run, event, what);
        say(&format!("{event}: {what}"));
    }
}

/// To whoever reads what services say.
fn say(text: &str) {
    // Nobody listens: no reason to fail.
    let _ = writeln!(std::io::stderr(), "wharfinger: agent: {text}");
}

/// Says the same once; numbers (how long was waited) do not make it another.
#[derive(Debug, Default)]
struct Once(Option<String>);

impl Once {
    fn say(&mut self, text: &str) {
        let words: String = text.chars().filter(|letter| !letter.is_ascii_digit()).collect();
        if self.0.as_ref() != Some(&words) {
            say(text);
            self.0 = Some(words);
        }
    }

    /// As one text; none: it is over.
    fn all(&mut self, failures: &[String]) {
        if failures.is_empty() { self.over() } else { self.say(&failures.join("; ")) }
    }

    fn over(&mut self) {
        if self.0.take().is_some() {
            say("it works again");
        }
    }
}

/// Told once, heard by all.
#[derive(Debug, Default)]
struct Stop {
    told: Mutex<bool>,
    heard: Condvar,
}

impl Stop {
    fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Waits, unless it is told meanwhile: whether it is.
    fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        while !*told {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.heard.wait_timeout(told, left);
            told = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *told
    }
}

/// Serves until told to end.
pub(crate) fn serve(program: &Program) -> Result<()> {
    let agent = begin(&program.paths, program.configured())?;
    let _lock = alone(&agent)?;
    let failed = Mutex::new(None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(error) = keeper::keep(&agent) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                agent.stop.tell();
            }
        });
        scope.spawn(|| watcher::watch(&agent));
        scope.spawn(|| house::keep(&agent));
        if let Some(to) = program.configured().trace {
            let agent = &agent;
            let ends = |pause| agent.stop.wait(pause);
            scope.spawn(move || spans::send_on(&agent.paths.run, to, &agent.node, &ends));
        }
        if agent.cluster.dead_after.is_some() {
            scope.spawn(|| fence::guard(&agent));
        }
        let waited = wait_for_end(&agent);
        agent.stop.tell();
        notify::tell("STOPPING=1");
        waited
    })?;
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn begin(paths: &Paths, configured: &Configured) -> Result<Agent> {
    let Some(cluster) = configured.cluster.clone() else {
        bail!(
            "the agent is for a node of a cluster: `ledger = \"etcd\"` or `\"kubernetes\"` in the \
             node's file makes it one"
        );
    };
    let boot = store::boot_dir(paths);
    // Where nobody knows how long it lives, it is over from now on: see `fence`.
    let known = life::read(&boot).map(|life| life.until);
    let good_until = known.unwrap_or_else(wharfinger_kernel::uptime);
    Ok(Agent {
        machine: store::machine_id(paths).map_err(|error| anyhow!("{error}"))?,
        node: configured.settings.node.name.clone(),
        store: Store::new(&cluster.place).map_err(anyhow::Error::msg)?,
        paths: paths.clone(),
        boot,
        cluster,
        stop: Stop::default(),
        state: Mutex::new(State { good_until, ..State::default() }),
    })
}

/// Two would end each other's leases.
fn alone(agent: &Agent) -> Result<File> {
    let path = agent.paths.run.join("agent.lock");
    std::fs::create_dir_all(&agent.paths.run)?;
    let file = File::create(&path).with_context(|| path.display().to_string())?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => bail!("{}: this node's agent runs already", path.display()),
    }
}

fn wait_for_end(agent: &Agent) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let ended = async {
            while !agent.stop.wait(Duration::ZERO) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            () = ended => {}
        }
        Ok(())
    })
}

/// For an event.
fn error_of(error: &dyn std::fmt::Display) -> Value {
    json!({ "error": error.to_string() })
}
