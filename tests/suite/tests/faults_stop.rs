//! A process that is stopped in the middle delays nobody else for longer than the bound.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_suite::{Output, World};

/// The tool that stops a process at its Nth change.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

/// What a verb may take: the design's 30 seconds, and some for a busy machine.
const BOUND: Duration = Duration::from_secs(40);

fn conf(world: &World) -> Value {
    world.conf("bridge", &json!({ "ipMasq": true }))
}

/// The names of the changes of an ADD, in order; not of a boot's first, which makes more.
fn changes(world: &World) -> Vec<String> {
    let conf = conf(world);
    world.attach(&conf).del();
    let container = world.container();
    let report = world.text_path("report");
    let call = world.call("ADD", &conf).of(&container);
    let _ = call.under(&[INJECT, "list", &report, "--"]).ok();
    let _ = world.call("DEL", &conf).of(&container).ok();
    let listed = std::fs::read_to_string(&report).expect("a report");
    listed.lines().map(str::to_owned).collect()
}

/// With an ADD stopped at its Nth change: how long, and with what outcome, an ADD and a DEL of
/// another container run, and a DEL of the same.
fn stopped_at(n: usize) -> (Duration, Output, Duration, Output) {
    let world = World::new();
    let conf = conf(&world);
    let one = world.attach(&conf);
    one.del();
    let container = world.container();
    let report = world.text_path("report");
    let call = world.call("ADD", &conf).of(&container).under(&[
        INJECT,
        "stop",
        &n.to_string(),
        &report,
        "--",
    ]);
    let mut child = call.start();
    let hit = || !std::fs::read_to_string(&report).unwrap_or_default().is_empty();
    let start = Instant::now();
    while !hit() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(hit(), "not stopped at {n}");
    let other = world.container();
    let start = Instant::now();
    let others = world.call("ADD", &conf).of(&other).run();
    let others_time = start.elapsed();
    let start = Instant::now();
    let same = world.call("DEL", &conf).of(&container).run();
    let same_time = start.elapsed();
    child.kill().expect("killed");
    let _ = call.finish(child);
    for each in [&other, &container] {
        let _ = world.call("DEL", &conf).of(each).ok();
    }
    world.assert_nothing_left();
    (others_time, others, same_time, same)
}

/// Success, or an error that a runtime repeats.
#[track_caller]
fn bounded(n: usize, name: &str, time: Duration, output: &Output) {
    assert!(time < BOUND, "stopped at {n} ({name}): {time:?}");
    if !output.succeeded() {
        let failure = output.fails();
        assert!(failure.code == 11 || failure.code >= 100, "stopped at {n} ({name}): {failure:?}");
    }
}

#[test]
#[ignore = "needs root: ring faults"]
fn pain_c7_a_stopped_add_delays_nobody_for_long() {
    let world = World::new();
    let names = changes(&world);
    // The first of each kind of call, and the middle of the longest run.
    let mut points: Vec<usize> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        if names.iter().position(|other| other == name) == Some(at) {
            points.push(at + 1);
        }
    }
    points.push(names.len() / 2);
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            points.iter().map(|&n| (n, scope.spawn(move || stopped_at(n)))).collect();
        for (n, run) in runs {
            let (others_time, others, same_time, same) = run.join().expect("no panic");
            let name = names.get(n - 1).map_or("?", String::as_str);
            println!("stopped at {n} ({name}): others {others_time:?}, same {same_time:?}");
            bounded(n, name, others_time, &others);
            bounded(n, name, same_time, &same);
        }
    });
}

/// While an ADD is stopped amid its work on the kernel, where no lock of the book is held,
/// others go on at their usual speed.
#[test]
#[ignore = "needs root: ring faults"]
fn pain_c7_no_lock_is_held_while_the_kernel_works() {
    let world = World::new();
    let names = changes(&world);
    let first = names.iter().position(|name| name.starts_with("send")).expect("netlink") + 1;
    let (time, others, _, _) = stopped_at(first);
    assert!(others.succeeded(), "{others:?}");
    assert!(time < Duration::from_secs(5), "{time:?}");
}
