//! What the store says, as it changes: into the node's cache of it, so that a verb seldom has to
//! ask; into what is known of nodes; and to the kernel, who is where on overlays. All is read once,
//! and then what changes; it holds no more than what nodes say, and addresses on overlays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use wharfinger_attach::overlay::Overlays;
use wharfinger_attach::{Host, collect};
use wharfinger_etcd::{Event, Seen};
use wharfinger_kernel::netlink::Netlink;
use wharfinger_kernel::uptime;
use wharfinger_ledger::cluster::{
    ALIVE, BLOCKS, BOOK, Changes, NODES, NodeAt, NodeFacts, Object, name, unseen,
};

use super::cipher::Cipher;
use super::{Agent, Once};
use crate::program::Program;

/// How long one wait for a change is: then it is looked whether this is to end.
const WAIT: Duration = Duration::from_secs(1);
/// How long all that there is may take to be read.
const LISTING: Duration = Duration::from_secs(10);
/// After something failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How often what the kernel knows of other nodes is compared, though nothing was heard.
const DOUBT: Duration = Duration::from_mins(5);

/// What is known of nodes, by name.
#[derive(Debug, Default)]
pub(super) struct Nodes(BTreeMap<String, Known>);

#[derive(Debug, Default)]
struct Known {
    facts: Option<NodeFacts>,
    version: u64,
    alive: bool,
    /// Since when it is seen dead, by the clock that never goes back.
    dead_since: Option<Duration>,
    /// It holds nothing any more.
    buried: bool,
}

impl Nodes {
    /// What there is now. Who was seen dead, and has not written of himself since, was dead all of
    /// the time.
    fn anew(&mut self, objects: &[Object], now: Duration) {
        let before = std::mem::take(&mut self.0);
        for object in objects {
            self.put(&object.key, object.version, Some(&object.value), now);
        }
        for (name, known) in &mut self.0 {
            if let Some(before) = before.get(name)
                && !known.alive
                && known.version == before.version
            {
                known.dead_since = before.dead_since;
                known.buried = before.buried;
            }
        }
    }

    fn put(&mut self, key: &str, version: u64, value: Option<&str>, now: Duration) {
        let of = |below: &str| key.strip_prefix(below).and_then(name);
        if let Some(name) = of(NODES) {
            let Some(value) = value else {
                self.0.remove(&name);
                return;
            };
            let known = self.0.entry(name).or_default();
            known.facts = serde_json::from_str(value).ok();
            known.version = version;
            known.buried = false;
            known.dead_since = (!known.alive).then_some(now);
        } else if let Some(name) = of(ALIVE) {
            let known = self.0.entry(name).or_default();
            known.alive = value.is_some();
            known.dead_since = (!known.alive).then_some(now);
        }
    }

    /// Nodes that count as dead at `now`: so long after their leases ended, by what they say of
    /// themselves and a lease's time more.
    pub(super) fn dead(&self, now: Duration, lease: Duration) -> Vec<NodeAt> {
        let dead = |known: &Known| {
            let after = known.facts.as_ref().and_then(|facts| facts.dead_after)?;
            let due = known.dead_since?.saturating_add(Duration::from_secs(after));
            (!known.alive && !known.buried && now > due.saturating_add(lease)).then_some(())
        };
        let dead = self.0.iter().filter(|(_, known)| dead(known).is_some());
        let at = |(name, known): (&String, &Known)| NodeAt {
            name: name.clone(),
            facts: known.facts.clone(),
            version: known.version,
            alive: false,
        };
        dead.map(at).collect()
    }

    /// What this one held is free.
    pub(super) fn buried(&mut self, node: &NodeAt) {
        if let Some(known) = self.0.get_mut(&node.name).filter(|it| it.version == node.version) {
            known.buried = true;
        }
    }
}

/// Follows until told to end.
pub(super) fn watch(agent: &Agent) {
    let mut trouble = Once::default();
    while !agent.stop.wait(Duration::ZERO) {
        if let Err(error) = follow(agent, &mut trouble) {
            trouble.say(&format!("{error:#}"));
            if agent.stop.wait(PAUSE) {
                return;
            }
        }
    }
}

/// From a listing on, until changes are missed.
fn follow(agent: &Agent, trouble: &mut Once) -> Result<()> {
    let program = agent.program()?;
    let listing = agent.store.remote().changes("", 0, LISTING)?;
    let adopted = program.cluster(|ledger, machine| {
        // A node that is new here tells of what it holds first.
        if ledger.synced()? == 0 {
            collect::mend(ledger, machine, false, &unseen)?;
        }
        Ok(ledger.adopt(&listing)?)
    });
    adopted?.context("this node is in a cluster no more: start its agent anew")?;
    let Changes { upto, objects } = listing;
    agent.state().nodes.anew(&objects, uptime());
    let mut segments = Segments::new(agent, &objects);
    drop(objects);
    let mut watch = agent.store.watch(upto);
    loop {
        segments.settle(agent, &program);
        match watch.next(WAIT) {
            Ok(Seen::Events(events)) => {
                trouble.over();
                learn(agent, &program, &events)?;
                segments.hear(&events);
            }
            Ok(Seen::Nothing) => trouble.over(),
            Ok(Seen::Resync(why)) => {
                agent.tell("cluster read anew", &json!({ "why": why }));
                return Ok(());
            }
            // Nothing is missed by that.
            Err(fault) => trouble.say(&fault.to_string()),
        }
        if agent.stop.wait(Duration::ZERO) {
            return Ok(());
        }
    }
}

/// The segments across nodes that this node is on.
struct Segments {
    kernel: Netlink,
    overlays: RefCell<Overlays>,
    /// What of them is encrypted.
    cipher: Cipher,
    /// What is encrypted may be other than it was.
    look: bool,
    /// When everything is compared next.
    doubt: Duration,
    trouble: Once,
}

impl Segments {
    fn new(agent: &Agent, objects: &[Object]) -> Self {
        let mut overlays = Overlays::new(&agent.node);
        let blocks = objects.iter().filter(|object| object.key.starts_with(BLOCKS));
        let blocks = blocks.map(|object| (object.key.as_str(), object.value.as_str()));
        let mut trouble = Once::default();
        trouble.all(&overlays.begin(blocks));
        let doubt = uptime().saturating_add(DOUBT);
        let overlays = RefCell::new(overlays);
        let cipher = Cipher::new(agent, objects);
        Self { kernel: Netlink::new(), overlays, cipher, look: true, doubt, trouble }
    }

    fn hear(&mut self, events: &[Event]) {
        for event in events {
            self.cipher.hear(&event.key, event.version, event.value.as_deref());
        }
        for event in events.iter().filter(|event| event.key.starts_with(BLOCKS)) {
            let value = event.value.as_deref();
            let failures = self.overlays.get_mut().seen(&self.kernel, &event.key, value);
            self.trouble.all(&failures);
        }
    }

    fn settle(&mut self, agent: &Agent, program: &Program) {
        if uptime() >= self.doubt {
            self.doubt = uptime().saturating_add(DOUBT);
            self.overlays.get_mut().doubt();
            self.cipher.doubt();
            self.look = true;
        }
        if !self.overlays.get_mut().is_settled() {
            let settle =
                |host: &Host| Ok(self.overlays.borrow_mut().settle(host.kernel, host.ledger));
            let failures = program.verb(settle).unwrap_or_else(|error| vec![error.to_string()]);
            program.close_ledger();
            self.trouble.all(&failures);
            self.look = true;
        }
        if std::mem::take(&mut self.look) {
            self.cipher.look(&self.kernel);
        }
        self.cipher.turn(agent, &self.kernel);
    }
}

fn learn(agent: &Agent, program: &Program, events: &[Event]) -> Result<()> {
    let now = uptime();
    let (mut objects, mut removed) = (Vec::new(), Vec::new());
    for Event { key, version, value } in events {
        if !key.starts_with(BOOK) {
            agent.state().nodes.put(key, *version, value.as_deref(), now);
            continue;
        }
        match value {
            Some(value) => {
                let (key, value) = (key.clone(), value.clone());
                objects.push(Object { key, version: *version, value });
            }
            None => removed.push((key.clone(), *version)),
        }
    }
    // The last version may come in parts.
    let last = events.iter().map(|event| event.version).max().unwrap_or_default();
    let upto = last.saturating_sub(1);
    program.cluster(|ledger, _| Ok(ledger.learn(&objects, &removed, upto)?))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: &str = r#"{"boot":"b","dead_after":600}"#;
    const LEASE: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn names(nodes: &Nodes, seconds: u64) -> Vec<String> {
        nodes.dead(at(seconds), LEASE).into_iter().map(|node| node.name).collect()
    }

    #[test]
    fn a_node_counts_as_dead_once_its_own_time_and_a_lease_are_over() {
        let mut nodes = Nodes::default();
        nodes.put("node/a", 3, Some(AFTER), at(0));
        nodes.put("alive/a", 4, Some("{}"), at(0));
        nodes.put("node/b", 5, Some("{}"), at(0));
        assert!(names(&nodes, 9000).is_empty(), "b never said that it ends by itself");
        nodes.put("alive/a", 6, None, at(100));
        assert!(names(&nodes, 715).is_empty());
        let dead = nodes.dead(at(716), LEASE);
        assert_eq!((dead[0].name.as_str(), dead[0].version), ("a", 3));
        nodes.buried(&dead[0]);
        assert!(names(&nodes, 9000).is_empty(), "once");
        // It comes back, and goes.
        nodes.put("node/a", 8, Some(AFTER), at(9000));
        nodes.put("alive/a", 9, Some("{}"), at(9000));
        nodes.put("alive/a", 10, None, at(9100));
        assert_eq!(names(&nodes, 9716), ["a"]);
    }

    #[test]
    fn a_listing_keeps_since_when_a_node_is_dead_unless_it_has_lived() {
        let object = |key: &str, version, value: &str| Object {
            key: key.into(),
            version,
            value: value.into(),
        };
        let mut nodes = Nodes::default();
        nodes.anew(&[object("node/a", 3, AFTER)], at(100));
        nodes.anew(&[object("node/a", 3, AFTER)], at(600));
        assert_eq!(names(&nodes, 716), ["a"]);
        nodes.anew(&[object("node/a", 7, AFTER)], at(700));
        assert!(names(&nodes, 716).is_empty());
        let alive = object("alive/a", 8, "{}");
        nodes.anew(&[object("node/a", 7, AFTER), alive], at(800));
        assert!(names(&nodes, 9000).is_empty());
        nodes.anew(&[], at(900));
        assert!(names(&nodes, 9000).is_empty());
    }
}
