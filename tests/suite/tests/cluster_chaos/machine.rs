//! A machine: containers come and go on it, one call after the other, and calls are killed.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_suite::{Call, Container, Output, World, strings};

use crate::run::DEADLINE;
use crate::watch::Watch;
use wharfinger_suite::Chance;

/// The tool that lets a program see another time.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

/// So many addresses there are, for each machine.
const ADDRESSES: usize = 4;

/// How many containers a machine has at most: at times there is room for all, and at times the range
/// runs out.
const CALM: usize = 2;
const RUSH: usize = 8;

/// A call that lasts so long has no end.
const HUNG: Duration = Duration::from_secs(6 * DEADLINE);

/// One of them.
pub(crate) struct Machine<'c> {
    name: String,
    world: &'c mut World,
    watch: &'c Watch,
    chance: Chance,
    /// By how much its clock is wrong.
    skew: Option<String>,
    conf: Value,
    tide: Tide<'c>,
    living: Vec<Living>,
    counts: Counts,
}

/// Calm and rush by turns, for all machines at once. A last rush has more time where the range never ran
/// out before: on a slow machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tide<'t> {
    pub(crate) start: Instant,
    pub(crate) each: Duration,
    pub(crate) end: Instant,
    pub(crate) more: Duration,
    pub(crate) ran_out: &'t AtomicBool,
}

impl Tide<'_> {
    fn is_rush(self) -> bool {
        let turns = self.start.elapsed().as_millis() / self.each.as_millis().max(1);
        turns % 2 == 1 || Instant::now() >= self.end
    }

    fn is_over(self) -> bool {
        let ran_out = self.ran_out.load(Ordering::Relaxed);
        let more = if ran_out { Duration::ZERO } else { self.more };
        Instant::now() >= self.end + more
    }
}

/// A container that is attached.
struct Living {
    container: Container,
    result: Value,
    address: Ipv4Addr,
}

/// What happened, on all of them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) added: usize,
    deleted: usize,
    killed: usize,
    forgotten: usize,
    /// The range was used up.
    pub(crate) full: usize,
    /// etcd did not answer in time.
    unavailable: usize,
    went_down: usize,
    /// Of all calls, and which it was.
    pub(crate) slowest: (Duration, String),
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.deleted += other.deleted;
        self.killed += other.killed;
        self.forgotten += other.forgotten;
        self.full += other.full;
        self.unavailable += other.unavailable;
        self.went_down += other.went_down;
        self.slowest = self.slowest.clone().max(other.slowest.clone());
    }
}

/// What the network of so many machines is.
pub(crate) fn conf(world: &World, nodes: usize) -> Value {
    let last = u32::try_from(nodes * ADDRESSES).expect("a number of addresses") + 1;
    let last = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 1, 0, 0)) + last);
    let range = json!({ "subnet": "10.1.0.0/16", "rangeEnd": last });
    let routes = json!([{ "dst": "0.0.0.0/0" }]);
    let ipam = json!({ "type": "host-local", "ranges": [[range]], "routes": routes });
    world.conf("bridge", &json!({ "ipam": ipam }))
}

impl<'c> Machine<'c> {
    pub(crate) fn new(
        (at, nodes): (usize, usize),
        world: &'c mut World,
        watch: &'c Watch,
        mut chance: Chance,
        (days, tide): (&Range<i64>, Tide<'c>),
    ) -> Self {
        let most = u64::try_from(days.end - days.start).unwrap_or_default();
        let days = i64::try_from(chance.below(most)).unwrap_or_default() + days.start;
        let skew = (at % 4 == 3).then(|| format!("skew:{}", days * 86_400));
        let conf = conf(world, nodes);
        let (living, counts) = (Vec::new(), Counts::default());
        let name = format!("node {at}");
        Self { name, world, watch, chance, skew, conf, tide, living, counts }
    }

    /// Until the end; then all of its containers are deleted.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Counts {
        while !stop.load(Ordering::Relaxed) && !self.tide.is_over() {
            let (most, adds) = if self.tide.is_rush() { (RUSH, 900) } else { (CALM, 560) };
            match self.chance.below(1000) {
                0..4 => self.goes_down(),
                4..40 => self.check(),
                such if such < adds && self.living.len() < most => self.add(),
                _ if self.living.is_empty() => self.add(),
                _ => self.del(),
            }
        }
        while !stop.load(Ordering::Relaxed) && !self.living.is_empty() {
            self.del();
        }
        self.counts
    }

    fn call(&self, verb: &str, container: &Container, prev: Option<&Value>) -> Call<'_> {
        let mut conf = self.conf.clone();
        if let Some(prev) = prev {
            conf["prevResult"] = prev.clone();
        }
        let call = self.world.call(verb, &conf).of(container);
        match &self.skew {
            Some(skew) => call.under(&[INJECT, skew, "0", "/dev/null", "--"]),
            None => call,
        }
    }

    /// To its end, or killed after some milliseconds, where chance has it.
    fn make(&mut self, verb: &str, container: &Container, prev: Option<&Value>) -> Option<Output> {
        let kill = self.chance.one_of(100).then(|| Duration::from_millis(self.chance.below(60)));
        let start = Instant::now();
        let (output, killed) = {
            let call = self.call(verb, container, prev);
            let mut child = call.start();
            let killed = kill.is_some_and(|after| !ends_within(&mut child, after));
            if killed {
                let _ = child.kill();
            }
            let hung = !ends_within(&mut child, HUNG);
            assert!(!hung, "{}: {verb} of {} has no end", self.name, container.id);
            (call.finish(child), killed)
        };
        let took = start.elapsed();
        if took > self.counts.slowest.0 {
            self.counts.slowest = (took, format!("{}: {verb} of {}", self.name, container.id));
        }
        self.counts.killed += usize::from(killed);
        (!killed).then_some(output)
    }

    fn add(&mut self) {
        let container = self.world.container();
        self.watch.begins(&container.ns.path());
        let output = self.make("ADD", &container, None);
        if let Some(output) = &output
            && output.succeeded()
        {
            return self.attached(container, output.ok());
        }
        if let Some(output) = output {
            self.refused(&output);
        } else if self.chance.one_of(500) {
            // The runtime does not know of it: only a collection finds it.
            self.counts.forgotten += 1;
            return self.gone(container);
        }
        self.delete(&container, None);
        self.gone(container);
    }

    fn attached(&mut self, container: Container, result: Value) {
        let with_prefix = strings(&result, &["ips"], "address");
        let address = with_prefix.first().and_then(|text| text.split('/').next()?.parse().ok());
        let address: Ipv4Addr = address.expect("an address");
        self.watch.given(address, &format!("{} {}", self.name, container.id));
        self.counts.added += 1;
        self.living.push(Living { container, result, address });
    }

    /// Only for these reasons.
    fn refused(&mut self, output: &Output) {
        let failure = output.fails();
        match failure.code {
            11 => self.counts.unavailable += 1,
            100 => {
                self.counts.full += 1;
                self.tide.ran_out.store(true, Ordering::Relaxed);
            }
            _ => panic!("{}: an ADD was refused: {failure:?}", self.name),
        }
    }

    fn del(&mut self) {
        let at = self.chance.index(self.living.len());
        let Living { mut container, result, address } = self.living.swap_remove(at);
        self.watch.taken(address);
        if self.chance.one_of(200) {
            // Its namespace is gone before.
            self.watch.ends(&container.ns.path());
            container.ns.delete();
        }
        self.delete(&container, Some(&result));
        self.gone(container);
        self.counts.deleted += 1;
    }

    /// DEL always succeeds, whatever happens around; one that was killed is repeated.
    fn delete(&mut self, container: &Container, prev: Option<&Value>) {
        loop {
            if let Some(output) = self.make("DEL", container, prev) {
                assert!(output.succeeded(), "{}: {output:?}", self.name);
                return;
            }
        }
    }

    fn gone(&self, container: Container) {
        self.watch.ends(&container.ns.path());
        drop(container);
    }

    /// What is attached is as it was attached.
    fn check(&mut self) {
        if self.living.is_empty() {
            return;
        }
        let at = self.chance.index(self.living.len());
        let one = self.living.swap_remove(at);
        if let Some(output) = self.make("CHECK", &one.container, Some(&one.result)) {
            assert!(output.succeeded(), "{}: {output:?}", self.name);
        }
        self.living.push(one);
    }

    /// A call is killed, the containers are gone, and nobody ever deletes them; then it boots.
    fn goes_down(&mut self) {
        for Living { container, address, .. } in std::mem::take(&mut self.living) {
            self.watch.taken(address);
            self.gone(container);
        }
        self.world.new_boot_id();
        self.counts.went_down += 1;
    }
}

/// Waits for its end at most so long.
fn ends_within(child: &mut Child, most: Duration) -> bool {
    let end = Instant::now() + most;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
