//! One of those that call: it has containers of its own, and does with them what chance has.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_suite::{Call, Chance, Container, Output, World, merge, strings};

use crate::measure::Measures;

/// Somebody else did it before, or is at it.
const EXISTS: u64 = 105;
const AGAIN: u64 = 11;

/// What all workers have in common.
pub(crate) struct Shared<'w> {
    world: &'w World,
    networks: Vec<Network>,
    /// Whose each address is, by results that callers have.
    owners: Mutex<HashMap<String, String>>,
}

/// A network, and who is on it; a GC has it alone, as its list must be true.
struct Network {
    conf: Value,
    living: RwLock<()>,
    attached: Mutex<Vec<String>>,
}

impl<'w> Shared<'w> {
    pub(crate) fn new(world: &'w World, networks: Vec<Value>) -> Self {
        let network =
            |conf| Network { conf, living: RwLock::default(), attached: Mutex::default() };
        let networks = networks.into_iter().map(network).collect();
        Self { world, networks, owners: Mutex::default() }
    }

    /// Nobody says that an address is his.
    pub(crate) fn nobody_has_anything(&self) {
        let owners = self.owners.lock().expect("no worker failed");
        assert!(owners.is_empty(), "{owners:?}");
    }
}

/// A container, and what its ADD said.
struct Pod {
    container: Container,
    result: Option<Value>,
}

/// See the module.
pub(crate) struct Worker<'s, 'w> {
    shared: &'s Shared<'w>,
    measures: &'s Measures<'w>,
    network: &'s Network,
    chance: Chance,
    pods: Vec<Pod>,
}

impl<'s, 'w> Worker<'s, 'w> {
    pub(crate) fn new(
        shared: &'s Shared<'w>,
        measures: &'s Measures<'w>,
        seed: u64,
        number: usize,
        containers: usize,
    ) -> Self {
        let network = &shared.networks[number % shared.networks.len()];
        let pod = |_| Pod { container: shared.world.container(), result: None };
        let pods = (0..containers).map(pod).collect();
        Self { shared, measures, network, chance: Chance::new(seed, number as u64), pods }
    }

    /// One thing after the other.
    pub(crate) fn until(&mut self, end: Instant) {
        // First all come, as on a node that starts.
        let network = self.network;
        for at in 0..self.pods.len() {
            let _living = network.living.read().unwrap_or_else(PoisonError::into_inner);
            self.comes(at);
        }
        while Instant::now() < end {
            if self.chance.one_of(15) {
                self.collect();
                continue;
            }
            let _living = network.living.read().unwrap_or_else(PoisonError::into_inner);
            let at = self.chance.index(self.pods.len());
            if self.pods[at].result.is_some() {
                self.of_the_living(at);
            } else {
                self.of_the_new(at);
            }
        }
    }

    /// In the end.
    pub(crate) fn all_go(&mut self) {
        for at in 0..self.pods.len() {
            self.goes(at);
        }
    }

    fn of_the_new(&mut self, at: usize) {
        match self.chance.below(10) {
            0 => self.goes(at),
            1 => self.killed("ADD", at),
            2 => self.twice_at_once(at),
            3 => self.gone_before_it_came(at),
            4 => _ = self.run("STATUS", at).ok(),
            _ => self.comes(at),
        }
    }

    fn of_the_living(&mut self, at: usize) {
        match self.chance.below(20) {
            0 => self.comes_again(at),
            1 => self.killed("DEL", at),
            2 => self.killed("CHECK", at),
            3 => {
                self.goes(at);
                self.goes(at);
            }
            4 => self.dies(at),
            5 | 6 => self.goes(at),
            _ => _ = self.run("CHECK", at).ok(),
        }
    }

    /// A call about a container.
    fn call(&self, verb: &str, at: usize) -> Call<'w> {
        let pod = &self.pods[at];
        let mut conf = self.network.conf.clone();
        if let Some(result) = &pod.result {
            merge(&mut conf, &json!({ "prevResult": result }));
        }
        let call = self.shared.world.call(verb, &conf);
        if verb == "STATUS" { call } else { call.of(&pod.container) }
    }

    fn run(&self, verb: &'static str, at: usize) -> Output {
        let begun = Instant::now();
        let output = self.call(verb, at).run();
        self.measures.took(verb, begun.elapsed());
        output
    }

    fn comes(&mut self, at: usize) {
        let output = self.run("ADD", at);
        self.is_there(at, output.ok());
    }

    fn is_there(&mut self, at: usize, result: Value) {
        let id = self.pods[at].container.id.clone();
        let mut owners = self.shared.owners.lock().expect("no other failed");
        for address in strings(&result, &["ips"], "address") {
            if let Some(other) = owners.insert(address.clone(), id.clone()) {
                panic!("{address} was given to {id}, and {other} has it");
            }
        }
        drop(owners);
        self.network.attached.lock().expect("no other failed").push(id);
        self.pods[at].result = Some(result);
    }

    /// From now on others may have what it had.
    fn is_gone(&mut self, at: usize) {
        let id = self.pods[at].container.id.clone();
        self.shared.owners.lock().expect("no other failed").retain(|_, owner| *owner != id);
        self.network.attached.lock().expect("no other failed").retain(|one| *one != id);
        self.pods[at].result = None;
    }

    fn goes(&mut self, at: usize) {
        // What is asked to go is counted as gone: its address may be another's before the call ends.
        let call = self.call("DEL", at);
        self.is_gone(at);
        let begun = Instant::now();
        assert_eq!(call.run().ok(), Value::Null);
        self.measures.took("DEL", begun.elapsed());
    }

    /// The runtime did not hear the answer.
    fn comes_again(&self, at: usize) {
        let failure = self.run("ADD", at).fails();
        assert_eq!(failure.code, EXISTS, "{failure:?}");
    }

    /// Its caller is killed at some moment; then it is taken away.
    fn killed(&mut self, verb: &'static str, at: usize) {
        let call = self.call(verb, at);
        if verb == "DEL" {
            self.is_gone(at);
        }
        let mut child = call.start();
        std::thread::sleep(Duration::from_millis(self.chance.below(400)));
        let _ = child.kill();
        let _ = call.finish(child);
        if verb == "CHECK" {
            _ = self.run("CHECK", at).ok();
        } else {
            self.goes(at);
        }
    }

    /// Two callers at once: one of them has the result.
    fn twice_at_once(&mut self, at: usize) {
        let call = self.call("ADD", at);
        let children = [call.start(), call.start()];
        let outputs = children.map(|child| call.finish(child));
        let mut won = outputs.iter().filter(|output| output.succeeded());
        let result = won.next().unwrap_or_else(|| panic!("nobody won: {outputs:?}")).ok();
        assert!(won.next().is_none(), "both won: {outputs:?}");
        self.is_there(at, result);
    }

    /// DEL before ADD has ended; the runtime calls DEL until ADD is known to be over.
    fn gone_before_it_came(&mut self, at: usize) {
        let (add, del) = (self.call("ADD", at), self.call("DEL", at));
        let adding = add.start();
        std::thread::sleep(Duration::from_millis(self.chance.below(100)));
        let deleted = del.run();
        let added = add.finish(adding);
        for output in [&deleted, &added] {
            let known = |code| [AGAIN, EXISTS].contains(&code);
            assert!(output.succeeded() || known(output.fails().code), "{output:?}");
        }
        self.goes(at);
    }

    /// Its namespace is gone before its DEL comes.
    fn dies(&mut self, at: usize) {
        self.pods[at].container.ns.delete();
        let call = self.call("DEL", at).netns("");
        self.is_gone(at);
        assert_eq!(call.run().ok(), Value::Null);
        self.pods[at].container = self.shared.world.container();
    }

    /// GC with all but one in its list, which is ours.
    fn collect(&mut self) {
        let network = self.network;
        let _alone = network.living.write().unwrap_or_else(PoisonError::into_inner);
        let at = self.chance.index(self.pods.len());
        self.is_gone(at);
        let attached = network.attached.lock().expect("no other failed").clone();
        let entry = |id: &String| json!({ "containerID": id, "ifname": "eth0" });
        let valid: Vec<Value> = attached.iter().map(entry).collect();
        let mut conf = network.conf.clone();
        merge(&mut conf, &json!({ "cni.dev/valid-attachments": valid }));
        let begun = Instant::now();
        assert_eq!(self.shared.world.call("GC", &conf).run().ok(), Value::Null);
        self.measures.took("GC", begun.elapsed());
        self.goes(at);
    }
}
