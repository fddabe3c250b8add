//! Thirty-two machines add and delete at once from one small range, while members of etcd are
//! killed and paused, machines are cut off, clocks are wrong, calls are killed and machines go down;
//! by turns there is room for all, and the range runs out. Never is an address at two places, nothing
//! is held once all is deleted and collected, and every call ends in time.
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

mod faults;
mod machine;
mod run;
mod watch;

use std::time::Duration;

use wharfinger_etcd_server::Setup;
use wharfinger_suite::Cluster;

/// What comes after a verb's deadline: the kernel is cleaned, and what is to be sent later is written.
/// That waits for nobody but this machine's kernel and disk, for which all machines wait at once. How
/// slow they are is measured beside it, and allowed for as well.
const AFTER: Duration = Duration::from_secs(5);

#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_b4_thirty_two_machines_never_have_an_address_twice() {
    let (seed, number) = run::of();
    let setup = Setup::default();
    let mut cluster = Cluster::with(number, 3, &run::settings(), setup, "block-size = 4");
    let Cluster { nodes, etcd, segment, .. } = &mut cluster;
    let length = (run::duration(120), Duration::from_mins(3));
    let (counts, slowness) = run::all_at_once(nodes, (seed, -30..30), length, |chance, goes_on| {
        faults::until(etcd, segment, number, chance, goes_on);
    });
    assert!(counts.added > number, "hardly anything was attached: {counts:?}");
    assert!(counts.full > 0, "the range never ran out: {counts:?}");
    let most = Duration::from_secs(run::DEADLINE) + AFTER + slowness;
    assert!(counts.slowest.0 < most, "more than {most:?}: {:?}", counts.slowest);
    run::collect(&cluster.nodes);
    let held = cluster.held();
    assert!(held.is_empty(), "nobody is attached, and held are: {held:?}");
    for node in &cluster.nodes {
        let _ = node.cli_ok(&["check", "--cluster"]);
    }
}
