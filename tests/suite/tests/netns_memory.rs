//! What calls take of a node's memory, many at once. Alone in its executable: the system tells of all that a
//! process started, and compiling a component takes more.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;
use wharfinger_suite::{Call, World};

/// The most that a process of a call may have: 200 of them are a small machine's.
const MEMORY_KIB: i64 = 64 << 10;

#[test]
#[ignore = "needs root: ring netns"]
fn pain_e6_no_process_of_two_hundred_at_once_takes_much_memory() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipMasq": true }));
    let containers: Vec<_> = (0..200).map(|_| world.container()).collect();
    for verb in ["ADD", "DEL"] {
        let calls: Vec<_> = containers.iter().map(|one| world.call(verb, &conf).of(one)).collect();
        let children: Vec<_> = calls.iter().map(Call::start).collect();
        for (call, child) in calls.iter().zip(children) {
            let _ = call.finish(child).ok();
        }
    }
    world.assert_nothing_left();
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss();
    assert!(peak < MEMORY_KIB, "a process had {peak} KiB");
}
