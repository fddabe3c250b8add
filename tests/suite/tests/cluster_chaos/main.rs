//! Thirty-two machines add and delete at once from one small range, while members of etcd are
//! killed and paused, machines are cut off, clocks are wrong, calls are killed and machines go down.
//! Never is an address at two places, nothing is held once all is deleted and collected, and every
//! call ends.
//!
//! What is done is decided by a seed, which is printed, and is the same for the same seed; when it
//! happens is the machine's business. `WHARFINGER_CHAOS_SEED` gives one, `WHARFINGER_CHAOS_SECONDS`
//! says for how long, `WHARFINGER_CHAOS_NODES` how many.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod chance;
mod faults;
mod machine;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wharfinger_etcd_server::Setup;
use wharfinger_suite::Cluster;

use chance::Chance;
use machine::{Counts, Machine};
use watch::Watch;

/// A number that the environment may set.
fn set(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// For how long.
fn duration() -> Duration {
    let long = if std::env::var_os("WHARFINGER_TEST_LONG").is_some() { 10 } else { 1 };
    Duration::from_secs(set("WHARFINGER_CHAOS_SECONDS", long * 150))
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    set("WHARFINGER_CHAOS_SEED", u64::from(now.subsec_nanos()))
}

/// What each machine is set to: a verb ends within this many seconds.
const DEADLINE: u64 = 10;

/// Ends what goes on when this thread is done, however it is.
struct Ends<'s>(&'s AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_b4_thirty_two_machines_never_have_an_address_twice() {
    let (seed, nodes) = (seed(), set("WHARFINGER_CHAOS_NODES", 32));
    println!("WHARFINGER_CHAOS_SEED={seed}");
    let nodes = usize::try_from(nodes).expect("a number of machines");
    // Whoever is traced, for a wrong clock, cannot be sent the signal by which a component's time
    // ends: longer than any verb.
    let settings = format!("deadline = {DEADLINE}\n[limits]\ndeadline = 60.0");
    let mut cluster = Cluster::with(nodes, 3, &settings, Setup::default(), "block-size = 4");
    let watch = Watch::default();
    let end = Instant::now() + duration();
    let counts = all_at_once(&mut cluster, &watch, seed, end);
    println!("{counts:?}, {} looks", watch.looks());
    assert!(counts.added > nodes, "hardly anything was attached: {counts:?}");
    nothing_is_left(&cluster);
}

/// Machines, faults and the observer, until the end.
fn all_at_once(cluster: &mut Cluster, watch: &Watch, seed: u64, end: Instant) -> Counts {
    let stop = &AtomicBool::new(false);
    let Cluster { nodes, etcd, segment, .. } = cluster;
    let (segment, number) = (&*segment, nodes.len());
    std::thread::scope(|scope| {
        let observer = scope.spawn(|| {
            let _ends = Ends(stop);
            watch.look_until(stop);
        });
        let faults = scope.spawn(move || {
            let _ends = Ends(stop);
            faults::until(etcd, segment, number, Chance::new(seed, 0), end, stop);
        });
        let run = |(at, world)| {
            let chance = Chance::new(seed, at as u64 + 1);
            scope.spawn(move || {
                let _ends = Ends(stop);
                Machine::new(at, world, watch, chance).run(end, stop)
            })
        };
        let machines: Vec<_> = nodes.iter_mut().enumerate().map(run).collect();
        let mut counts = Counts::default();
        for machine in machines {
            counts.add(&machine.join().expect("a machine"));
        }
        faults.join().expect("the faults");
        stop.store(true, Ordering::Relaxed);
        observer.join().expect("the observer");
        counts
    })
}

/// All is deleted. What nobody deleted each machine collects, as its runtime has it done and by hand
/// what it has no record of; then nobody holds anything.
fn nothing_is_left(cluster: &Cluster) {
    for node in &cluster.nodes {
        let _ = node.call("GC", &machine::conf(node)).ok();
        let _ = node.cli_ok(&["gc", "--cluster"]);
        node.settle();
        node.assert_nothing_left();
    }
    let held = cluster.held();
    assert!(held.is_empty(), "nobody is attached, and held are: {held:?}");
    for node in &cluster.nodes {
        let _ = node.cli_ok(&["check", "--cluster"]);
    }
}
