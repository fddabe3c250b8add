//! Nobody calls anything after a kill -9. What comes of it where somebody does: `faults_matrix`.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use serde_json::json;
use wharfinger_suite::World;

/// The tool that counts system calls over all threads, and kills at the Nth.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

/// Nobody calls anything: the dead make room, and a small range never runs out.
#[test]
#[ignore = "needs root: ring faults"]
fn pain_a1_adds_killed_and_forgotten() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/29"]) }));
    for n in 1.. {
        let mut container = world.container();
        let call = world.call("ADD", &conf).of(&container);
        let report = world.text_path("report");
        let output = call.under(&[INJECT, "kill", &n.to_string(), &report, "--"]).run();
        container.ns.delete();
        world.settle();
        if std::fs::read_to_string(&report).expect("a report").is_empty() {
            assert!(
                n > 10 && output.succeeded(),
                "an ADD changes more than {n} things: {output:?}"
            );
            break;
        }
    }
    let all: Vec<_> = (0..5).map(|_| world.attach(&conf)).collect();
    for one in all {
        one.del();
    }
}
