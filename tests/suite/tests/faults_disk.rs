//! A full or broken disk at each write: one error object, nothing leaked, and all is well once the
//! disk is.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Call, Output, World};

/// The tool that makes the Nth system call fail.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

fn conf(world: &World) -> Value {
    let ipam = world.ipam(&["10.1.0.0/24", "fd00:1::/64"]);
    world.conf("bridge", &json!({ "ipam": ipam, "ipMasq": true }))
}

/// Runs the call with its Nth write to a file failing so (`+`: and all later ones); none once it
/// makes no N writes.
#[track_caller]
fn failing(world: &World, call: &Call<'_>, errno: &str, n: usize) -> Option<Output> {
    let report = world.text_path("report");
    let output = call.clone().under(&[INJECT, errno, &n.to_string(), &report, "--"]).run();
    let hit = std::fs::read_to_string(&report).expect("a report");
    let name = hit.lines().next()?;
    // Its own reply may be what cannot be written: then its exit status alone can tell.
    if !output.succeeded() && !output.stdout.is_empty() {
        let failure = output.fails();
        assert!(failure.code != 999, "{errno} at {n} ({name}): {failure:?}");
    }
    Some(output)
}

/// ADD fails or succeeds; then DEL leaves nothing, and the next ADD works.
fn adds(errno: &str) {
    let world = World::new();
    let conf = conf(&world);
    for n in 1.. {
        let container = world.container();
        let call = world.call("ADD", &conf).of(&container);
        let Some(output) = failing(&world, &call, errno, n) else {
            assert!(n > 3, "an ADD writes more than {n} times");
            let _ = world.call("DEL", &conf).of(&container).ok();
            break;
        };
        if output.succeeded() {
            let one = world.attached(container, &conf, output.ok());
            one.check();
            one.del();
        } else {
            let _ = world.call("DEL", &conf).of(&container).ok();
            world.assert_nothing_left();
            let one = world.attach_it(container, &conf);
            one.del();
        }
        world.assert_nothing_left();
    }
    world.assert_nothing_left();
}

/// DEL fails or succeeds; the next one leaves nothing.
fn dels(errno: &str) {
    let world = World::new();
    let conf = conf(&world);
    for n in 1.. {
        let one = world.attach(&conf);
        let hit = failing(&world, &one.call("DEL"), errno, n);
        one.del();
        world.assert_nothing_left();
        if hit.is_none() {
            break;
        }
    }
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_a4_add_no_space_once() {
    adds("ENOSPC");
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_a4_add_no_space_from_then_on() {
    adds("ENOSPC+");
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_a4_add_input_output_error() {
    adds("EIO");
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_a4_del_no_space() {
    dels("ENOSPC");
    dels("ENOSPC+");
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_a4_del_input_output_error() {
    dels("EIO");
}
