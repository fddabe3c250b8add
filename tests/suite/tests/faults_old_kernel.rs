//! A kernel older than the oldest that is supported: nothing is done that could not be undone surely.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use serde_json::json;
use wharfinger_suite::{Call, Failure, World};

/// Here as if the kernel knew no cookies of namespaces.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

#[track_caller]
fn refused(world: &World, call: Call<'_>) -> Failure {
    let report = world.text_path("report");
    let output = call.under(&[INJECT, "ENOPROTOOPT+", "1", &report, "--"]).run();
    let asked = std::fs::read_to_string(&report).expect("a report");
    assert!(asked.starts_with("getsockopt "), "{asked:?}");
    let failure = output.fails();
    assert!(format!("{failure:?}").contains("boot Linux 5.14 or later"), "{failure:?}");
    failure
}

#[test]
#[ignore = "needs root: ring faults"]
fn a_kernel_without_cookies_of_namespaces_is_refused() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let container = world.container();
    refused(&world, world.call("ADD", &conf).of(&container));
    world.assert_nothing_left();
    // As a runtime asks before it sends pods here: not ready.
    assert_eq!(refused(&world, world.call("STATUS", &conf)).code, 50);
}
