//! The node's lease: got, kept, got anew where it was lost, given back at the end. What goes with it
//! (`alive/NODE`) says that this node lives; what it says of itself (`node/NODE`) is written
//! before that, each time: so whoever saw the node dead sees that it was not all the time.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use wharfinger_etcd::{Etcd, Lease};
use wharfinger_kernel::uptime;
use wharfinger_ledger::cluster::{
    ALIVE, Committed, Fault, Guard, NODES, NodeFacts, Object, Put, Remote, part,
};

use super::life::{self, Life};
use super::{Agent, Once, notify, say};
use crate::remote::Store;

/// Addresses of nobody (RFC 5737, RFC 3849): by the way to them, ours is found.
const ELSEWHERE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

/// A lease, and the version of what goes with it.
struct Held {
    lease: Lease,
    version: u64,
}

/// Why there is no lease.
enum Trouble {
    /// Another machine lives under this node's name.
    Taken(String),
    Other(String),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Other(fault.to_string())
    }
}

/// Keeps it until told to end. An error: this node's name is another machine's.
pub(super) fn keep(agent: &Agent) -> Result<()> {
    let since = now_seconds();
    let (mut held, mut trouble, mut first) = (None, Once::default(), true);
    loop {
        let pause = match turn(agent, &mut held, since) {
            Ok(()) => {
                trouble.over();
                agent.cluster.lease / 3
            }
            // Later it may be a machine that takes our place: until it is gone, we have no lease.
            Err(Trouble::Taken(text)) if first => return Err(anyhow!(text)),
            Err(Trouble::Taken(text) | Trouble::Other(text)) => {
                trouble.say(&text);
                (agent.cluster.lease / 10).max(Duration::from_millis(200))
            }
        };
        agent.state().tried = true;
        if std::mem::take(&mut first) {
            notify::tell("READY=1");
        }
        if agent.stop.wait(pause) {
            break;
        }
    }
    if let (Some(Held { lease, version }), Store::Etcd(etcd)) = (held, &agent.store) {
        note(agent, version, uptime());
        if let Err(fault) = etcd.revoke(&lease, patience(agent)) {
            say(&format!("the lease ends by itself: {fault}"));
        }
    }
    Ok(())
}

/// For one request: a lease is kept three times before it ends.
fn patience(agent: &Agent) -> Duration {
    agent.cluster.lease / 3
}

fn turn(agent: &Agent, held: &mut Option<Held>, since: u64) -> Result<(), Trouble> {
    match &agent.store {
        Store::Etcd(etcd) => keep_lease(agent, etcd, held, since),
        // Who lives, Kubernetes knows itself; which boot it is in, is told once.
        Store::Kubernetes(_) if agent.state().leases > 0 => Ok(()),
        Store::Kubernetes(book) => {
            introduce(agent, book, since)?;
            agent.state().leases += 1;
            Ok(())
        }
    }
}

fn keep_lease(
    agent: &Agent,
    etcd: &Etcd,
    held: &mut Option<Held>,
    since: u64,
) -> Result<(), Trouble> {
    let now = uptime();
    if let Some(known) = held {
        if etcd.keep_alive(&mut known.lease, now, patience(agent))? {
            note(agent, known.version, known.lease.good_until());
            return Ok(());
        }
        // It is over: what is certain ends here.
        note(agent, known.version, now);
        *held = None;
    }
    let new = register(agent, etcd, since)?;
    note(agent, new.version, new.lease.good_until());
    agent.state().leases += 1;
    *held = Some(new);
    Ok(())
}

/// For the verbs and for the fence.
fn note(agent: &Agent, version: u64, until: Duration) {
    agent.state().good_until = until;
    if let Err(error) = life::write(&agent.boot, Life { version, until }) {
        say(&format!("{}: {error}", agent.boot.display()));
    }
}

/// What the node says of itself.
fn introduce(agent: &Agent, store: &dyn Remote, since: u64) -> Result<(), Trouble> {
    let node = key(NODES, agent);
    let found = store.get(&[&node], patience(agent))?;
    let facts = serde_json::to_string(&facts(agent, since)).unwrap_or_default();
    let version = found.first().map_or(0, |object| object.version);
    let guard = Guard { key: node.clone(), version };
    let put = Put { key: node, value: Some(facts) };
    match store.commit(&[guard], &[put], patience(agent))? {
        Committed::Done(_) => Ok(()),
        Committed::Conflict => {
            Err(Trouble::Other("somebody else wrote of this node meanwhile".to_owned()))
        }
    }
}

fn register(agent: &Agent, etcd: &Etcd, since: u64) -> Result<Held, Trouble> {
    let alive = key(ALIVE, agent);
    let found = etcd.get(&[&alive], patience(agent))?;
    let at = |key: &str| found.iter().find(|object| object.key == key);
    if let Some(other) = at(&alive).and_then(machine_of).filter(|it| *it != agent.machine) {
        return Err(Trouble::Taken(format!(
            "node name {:?} is that of another machine (machine-id {other}), whose agent lives: give \
             one of them another name ([node] name in the node's file)",
            agent.node
        )));
    }
    let version = |key: &str| at(key).map_or(0, |object| object.version);
    introduce(agent, etcd, since)?;
    let lease = etcd.grant(agent.cluster.lease, uptime(), patience(agent))?;
    let guard = Guard { version: version(&alive), key: alive };
    let value = json!({ "machine": agent.machine }).to_string();
    match etcd.put_alive(&guard, &value, &lease, patience(agent))? {
        Committed::Done(versions) => {
            let version = versions.first().copied().unwrap_or_default();
            Ok(Held { lease, version })
        }
        Committed::Conflict => {
            Err(Trouble::Other("another agent of this node's name came first".to_owned()))
        }
    }
}

fn key(below: &str, agent: &Agent) -> String {
    format!("{below}{}", part(&agent.node))
}

fn machine_of(alive: &Object) -> Option<String> {
    let value: Value = serde_json::from_str(&alive.value).ok()?;
    value.get("machine")?.as_str().map(str::to_owned)
}

fn facts(agent: &Agent, since: u64) -> NodeFacts {
    let boot = agent.boot.file_name().unwrap_or_default().display().to_string();
    NodeFacts {
        boot,
        machine: agent.machine.clone(),
        since,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        underlay: own_addresses(),
        dead_after: agent.cluster.dead_after.map(|after| after.as_secs()),
    }
}

/// Our addresses on the way out, one of each family that has a way out. Nothing is sent.
fn own_addresses() -> Vec<IpAddr> {
    let own = |elsewhere: &&str| {
        let any = if elsewhere.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(elsewhere).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    ELSEWHERE.iter().filter_map(own).collect()
}

fn now_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map(|since| since.as_secs()).unwrap_or_default()
}
