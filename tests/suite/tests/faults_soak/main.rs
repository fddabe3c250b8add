//! Load without an end: many containers on one node, 64 calls at once, verbs at random, repeated and out of
//! order as runtimes have them, callers that are killed. No address is given twice, no call fails that should
//! not, and in the end nothing is left: not in the ledger, the kernel, the directories, or the memory that a
//! process takes. How long verbs took is printed, in ten parts, and not judged.
//!
//! `cargo xtask soak --minutes N` is the long form, with thousands of containers. `WHARFINGER_SOAK_SEED`
//! says how chance decides; it is printed.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test, and its table is printed"
)]

mod measure;
mod worker;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use wharfinger_suite::World;

use measure::Measures;
use worker::{Shared, Worker};

/// So many calls are made at once.
const WORKERS: usize = 64;
/// Each of a bridge of its own: what one container says to all, the kernel carries to every port. A GC is of
/// one network.
const NETWORKS: usize = 16;

/// How long, and of how many containers.
struct Scale {
    length: Duration,
    containers: usize,
}

fn set(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

impl Scale {
    fn of() -> Self {
        match set("WHARFINGER_SOAK_MINUTES") {
            Some(minutes) => Self { length: Duration::from_secs(60 * minutes), containers: 2048 },
            None => Self { length: Duration::from_secs(30), containers: 320 },
        }
    }
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let seed = set("WHARFINGER_SOAK_SEED").unwrap_or_else(|| now.subsec_nanos().into());
    println!("WHARFINGER_SOAK_SEED={seed}");
    seed
}

/// A network of its own bridge and range.
fn network(world: &World, number: usize) -> Value {
    let ipam =
        world.ipam(&[&format!("10.{}.0.0/16", 100 + number), &format!("fd00:{number}::/64")]);
    let name = format!("pods{number}");
    let bridge = format!("cni{number}");
    world.conf("bridge", &json!({ "name": name, "bridge": bridge, "ipMasq": true, "ipam": ipam }))
}

#[test]
#[ignore = "needs root: ring faults"]
fn a_node_under_load_is_flat_and_in_the_end_as_it_was() {
    let (scale, seed) = (Scale::of(), seed());
    let world = World::new();
    // On a machine that is loaded like this one a component waits for its turn too.
    world.settings("deadline = 120\n[limits]\ndeadline = 60.0\n");
    let networks: Vec<Value> = (0..NETWORKS).map(|number| network(&world, number)).collect();
    for conf in &networks {
        world.attach(conf).del();
    }
    let before = world.picture();
    let shared = Shared::new(&world, networks);
    let measures = Measures::new(&world, scale.length);
    let end = Instant::now() + scale.length;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let (shared, measures) = (&shared, &measures);
                let containers = scale.containers / WORKERS;
                scope.spawn(move || {
                    let mut worker = Worker::new(shared, measures, seed, number, containers);
                    worker.until(end);
                    worker
                })
            })
            .collect();
        measures.watch(|| workers.iter().any(|worker| !worker.is_finished()));
        let workers: Vec<_> =
            workers.into_iter().map(|worker| worker.join().expect("no worker failed")).collect();
        measures.full();
        // All go at once.
        for mut worker in workers {
            scope.spawn(move || worker.all_go());
        }
    });
    println!("{measures}");
    shared.nobody_has_anything();
    let after = world.picture();
    if let Some(difference) = after.difference(&before) {
        panic!("not as it was: {difference}");
    }
    if let Some(left) = world.leftovers() {
        panic!("left: {left}");
    }
    measures.judge();
}
