//! Thirty-two machines, each with a token of its own that is bound to its node, add and delete at once from
//! one small range by the API server, which is killed, restarted and paused; connections are reset, machines
//! are cut off, tokens end, clocks are wrong, calls are killed and machines go down. What must hold is what
//! `cluster_chaos` says, whose machines and observer these are, and its variables.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod faults;
#[path = "../cluster_chaos/machine.rs"]
mod machine;
#[path = "../cluster_chaos/run.rs"]
mod run;
#[path = "../cluster_chaos/watch.rs"]
mod watch;

use std::time::Duration;

use faults::Around;
use wharfinger_suite::Site;

#[test]
#[ignore = "needs root: ring kubernetes"]
fn pain_b4_thirty_two_nodes_of_kubernetes_never_have_an_address_twice() {
    let (seed, number) = run::of();
    let mut site = Site::new(number, &run::settings(), "block-size = 4");
    let mut nodes = std::mem::take(&mut site.nodes);
    let around = Around::new(&site, number);
    // The lab's certificates are good from now on, for thirty days.
    // The server is away for so much of it that the range seldom runs out.
    let length = (run::duration(30), Duration::ZERO);
    let (counts, _) = run::all_at_once(&mut nodes, (seed, 0..25), length, |chance, goes_on| {
        around.until(chance, goes_on);
    });
    assert!(counts.added > number, "hardly anything was attached: {counts:?}");
    run::collect(&nodes);
    let held = site.held();
    assert!(held.is_empty(), "nobody is attached, and held are: {held:?}");
    for node in &nodes {
        let _ = node.cli_ok(&["check", "--cluster"]);
    }
}
