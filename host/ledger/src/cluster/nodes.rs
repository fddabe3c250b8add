//! The nodes of a cluster: what their agents say of them, and whether those live. Never says that
//! a node is dead where it has no agent: nobody knows.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::keys;
use super::objects::Named;
use super::remote::{Guard, Object, Put};
use super::{ClusterLedger, OwnBook, failed, unavailable};
use crate::Error;

/// What a node's agent says of it: the object below [`super::NODES`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// The boot that it is in.
    pub boot: String,
    /// Which machine it is: two must not have one name.
    #[serde(default)]
    pub machine: String,
    /// Since when its agent runs, in seconds since the Unix epoch.
    #[serde(default)]
    pub since: u64,
    /// The agent's version.
    #[serde(default)]
    pub version: String,
    /// Where other nodes reach it.
    #[serde(default)]
    pub underlay: Vec<IpAddr>,
    /// It takes its attachments down by itself where it is cut off, so that others may free them
    /// so many seconds after its lease ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_after: Option<u64>,
}

/// A node, as the store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAt {
    /// Its name.
    pub name: String,
    /// What it says; none where its object cannot be read, or is not there.
    pub facts: Option<NodeFacts>,
    /// The version of what it says, zero where it says nothing. An agent writes that anew before
    /// it lives anew.
    pub version: u64,
    /// Whether its agent lives.
    pub alive: bool,
}

/// What taking an address is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Life {
    /// To nothing: no node is freed but by a person.
    #[default]
    Free,
    /// The object that goes with the lease of this node's agent has this version.
    Of(u64),
    /// It has none that is certain to be alive: why.
    Over(String),
}

/// The key of what goes with the lease of a node's agent.
pub(super) fn alive(node: &str) -> String {
    format!("{}{}", keys::ALIVE, keys::part(node))
}

/// What holds of a node whose agent did not live since it was seen like this.
pub(super) fn is_dead(node: &NodeAt) -> Vec<Guard> {
    let facts = Guard { key: keys::node(&node.name), version: node.version };
    vec![Guard { key: alive(&node.name), version: 0 }, facts]
}

impl<S: OwnBook> ClusterLedger<S> {
    /// All nodes that have, or had, an agent; by their names.
    pub fn nodes(&self) -> Result<Vec<NodeAt>, Error> {
        // An agent writes the other object first.
        let alive = self.remote.changes(keys::ALIVE, 0, (self.remaining)());
        let alive = alive.map_err(|fault| failed(&fault))?.objects;
        let known = self.remote.changes(keys::NODES, 0, (self.remaining)());
        let known = known.map_err(|fault| failed(&fault))?.objects;
        let name = |key: &str, below: &str| key.strip_prefix(below).and_then(keys::name);
        let mut nodes: Vec<NodeAt> = Vec::new();
        for object in &known {
            let Some(name) = name(&object.key, keys::NODES) else { continue };
            let facts = serde_json::from_str(&object.value).ok();
            nodes.push(NodeAt { name, facts, version: object.version, alive: false });
        }
        for name in alive.iter().filter_map(|object| name(&object.key, keys::ALIVE)) {
            match nodes.iter_mut().find(|node| node.name == name) {
                Some(node) => node.alive = true,
                None => nodes.push(NodeAt { name, facts: None, version: 0, alive: true }),
            }
        }
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// Forgets what a node said of itself, unless its agent lives; false: it does.
    pub fn forget_node(&self, node: &NodeAt) -> Result<bool, Error> {
        let tunnel = keys::tunnel(&node.name);
        let found = self.remote.get(&[&tunnel], (self.remaining)()).map_err(|it| failed(&it))?;
        let tunnel = found.into_iter().map(|object| object.key);
        let gone = std::iter::once(keys::node(&node.name)).chain(tunnel);
        let puts: Vec<Put> = gone.map(|key| Put { key, value: None }).collect();
        self.send_all(&is_dead(node), &puts, &self.remaining)
    }

    /// What is held under the node's name is to be this machine's.
    pub(super) fn check_name(&self) -> Result<(), Error> {
        let key = keys::machine(&self.part.node);
        let found = self.remote.get(&[&key], (self.remaining)()).map_err(|fault| failed(&fault))?;
        self.check_named(found.first())
    }

    /// The same, of what the cache has.
    pub(super) fn check_known_name(&self) -> Result<(), Error> {
        let key = keys::machine(&self.part.node);
        self.check_named(self.own.look(|desk| desk.cached(&key))?.as_ref())
    }

    fn check_named(&self, found: Option<&Object>) -> Result<(), Error> {
        let Some(object) = found else { return Ok(()) };
        match serde_json::from_str(&object.value) {
            Ok(Named { machine }) if machine != self.part.machine => {
                let what = super::two_machines(&self.part.node, &machine);
                Err(unavailable(what))
            }
            _ => Ok(()),
        }
    }

    /// Nothing is held under the name any more: another machine may have it.
    pub(super) fn forget_name(&self, node: &str) -> Result<(), Error> {
        let key = keys::machine(node);
        let found = self.remote.get(&[&key], (self.remaining)()).map_err(|fault| failed(&fault))?;
        let Some(object) = found.into_iter().next() else { return Ok(()) };
        let guard = Guard { key: key.clone(), version: object.version };
        let put = Put { key, value: None };
        let forgotten = self.remote.commit(&[guard], &[put], (self.remaining)());
        forgotten.map(drop).map_err(|fault| failed(&fault))
    }

    /// What else must hold where an address is taken.
    pub(super) fn life_guard(&self) -> Result<Vec<Guard>, Error> {
        match &self.life {
            Life::Free => Ok(Vec::new()),
            Life::Of(version) => Ok(vec![Guard { key: alive(&self.part.node), version: *version }]),
            Life::Over(why) => Err(over(why)),
        }
    }

    /// A commit was refused: not since this node's lease is over?
    pub(super) fn check_life(&self) -> Result<(), Error> {
        let Life::Of(version) = self.life else { return Ok(()) };
        let key = alive(&self.part.node);
        let found = self.remote.get(&[&key], (self.remaining)()).map_err(|fault| failed(&fault))?;
        if found.iter().any(|object| object.version == version) {
            return Ok(());
        }
        Err(over("the lease of this node's agent has ended"))
    }
}

fn over(why: &str) -> Error {
    let what = format!(
        "{why}, and nodes are freed by time (dead_after): nothing is attached before \
         `wharfinger serve --agent` has a lease again"
    );
    unavailable(what)
}
