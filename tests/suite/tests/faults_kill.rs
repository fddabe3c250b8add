//! Kill -9 at every system call of ADD and of DEL that changes anything: the next DEL leaves
//! nothing, the next ADD works.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Call, Container, World};

/// The tool that counts system calls over all threads, and kills at the Nth.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

fn conf(world: &World) -> Value {
    let ipam = world.ipam(&["10.1.0.0/24", "fd00:1::/64"]);
    world.conf("bridge", &json!({ "ipam": ipam, "ipMasq": true }))
}

/// Where a call was killed.
struct Hit {
    /// The system call.
    name: String,
    /// Its reply was written before.
    replied: bool,
}

/// Runs the call, killed at its Nth change; none once the call ended by itself before that.
#[track_caller]
fn killed(world: &World, call: &Call<'_>, n: usize) -> Option<Hit> {
    let report = world.text_path("report");
    let output = call.clone().under(&[INJECT, "kill", &n.to_string(), &report, "--"]).run();
    let name = std::fs::read_to_string(&report).expect("a report").trim().to_owned();
    if name.is_empty() {
        assert!(output.succeeded(), "not hit at {n}, and failed: {output:?}");
        return None;
    }
    assert_eq!(output.status, Some(137), "killed at {n} ({name}): {output:?}");
    Some(Hit { name, replied: !output.stdout.is_empty() })
}

#[track_caller]
fn clean(world: &World, n: usize, hit: &Hit) {
    if let Some(left) = world.leftovers() {
        panic!("killed at change {n} ({}), left: {left}", hit.name);
    }
}

/// For every change of an ADD of a new container in `world`: it is killed there, then `after`
/// puts things right, then nothing is left.
#[track_caller]
fn each_killed_add(world: &World, after: impl Fn(&Value, &Container, &Hit)) {
    let conf = conf(world);
    for n in 1.. {
        let container = world.container();
        let call = world.call("ADD", &conf).of(&container);
        let Some(hit) = killed(world, &call, n) else {
            assert!(n > 10, "an ADD changes more than {n} things");
            let _ = world.call("DEL", &conf).of(&container).ok();
            break;
        };
        after(&conf, &container, &hit);
        clean(world, n, &hit);
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring faults"]
fn add_killed_then_del() {
    let world = World::new();
    each_killed_add(&world, |conf, container, _| {
        let _ = world.call("DEL", conf).of(container).ok();
    });
}

/// The very first ADD of a boot, which makes the bridge and the table too.
#[test]
#[ignore = "needs root: ring faults"]
fn first_add_killed_then_del_then_add() {
    for n in 1.. {
        let world = World::new();
        let conf = conf(&world);
        let container = world.container();
        let call = world.call("ADD", &conf).of(&container);
        let Some(hit) = killed(&world, &call, n) else { break };
        let _ = world.call("DEL", &conf).of(&container).ok();
        clean(&world, n, &hit);
        let one = world.attach_it(container, &conf);
        one.check();
        assert!(one.container.ns.pings("10.1.0.1"), "killed at {n} ({})", hit.name);
        one.del();
        clean(&world, n, &hit);
    }
}

/// The runtime repeats it: the leftovers are undone, and it runs anew with the same addresses.
#[test]
#[ignore = "needs root: ring faults"]
fn pain_c1_add_killed_then_add() {
    let world = World::new();
    each_killed_add(&world, |conf, container, hit| {
        let held = held(&world);
        let output = world.call("ADD", conf).of(container).run();
        if hit.replied && !output.succeeded() {
            // It was finished: the runtime has its result.
            assert_eq!(output.fails().code, 105, "{output:?}");
        } else {
            assert!(output.succeeded(), "killed at {}: {output:?}", hit.name);
            let given = held_in(&output.ok());
            assert!(held.is_empty() || held == given, "{}: {held:?}, then {given:?}", hit.name);
        }
        let _ = world.call("DEL", conf).of(container).ok();
    });
}

/// Addresses on the books.
fn held(world: &World) -> Vec<String> {
    let rows = world.ledger();
    let addresses = rows.iter().filter_map(|row| row.get("addresses")?.as_array());
    let texts = addresses.flatten().filter_map(Value::as_str);
    texts.map(|text| text.split('/').next().unwrap_or(text).to_owned()).collect()
}

fn held_in(result: &Value) -> Vec<String> {
    let with_prefix = wharfinger_suite::strings(result, &["ips"], "address");
    with_prefix.iter().filter_map(|a| Some(a.split_once('/')?.0.to_owned())).collect()
}

/// The container is given up, and its namespace is gone when DEL comes.
#[test]
#[ignore = "needs root: ring faults"]
fn add_killed_then_del_without_namespace() {
    let world = World::new();
    each_killed_add(&world, |conf, container, _| {
        let _ = world.call("DEL", conf).of(container).netns("").ok();
    });
}

/// Nobody calls DEL; a collection finds it.
#[test]
#[ignore = "needs root: ring faults"]
fn pain_a1_add_killed_then_gc() {
    let world = World::new();
    each_killed_add(&world, |conf, _, _| {
        let _ = world.call("GC", conf).ok();
    });
}

/// Nobody calls anything: the dead make room, and a small range never runs out.
#[test]
#[ignore = "needs root: ring faults"]
fn pain_a1_adds_killed_and_forgotten() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/29"]) }));
    for n in 1.. {
        let mut container = world.container();
        let call = world.call("ADD", &conf).of(&container);
        let hit = killed(&world, &call, n);
        container.ns.delete();
        world.settle();
        if hit.is_none() {
            break;
        }
    }
    let all: Vec<_> = (0..5).map(|_| world.attach(&conf)).collect();
    for one in all {
        one.del();
    }
}

/// For every change of a DEL: it is killed there, then `after`, then nothing is left.
#[track_caller]
fn each_killed_del(after: impl Fn(&World, &Value, &Container)) {
    let world = World::new();
    let conf = conf(&world);
    for n in 1.. {
        let one = world.attach(&conf);
        let call = one.call("DEL");
        let Some(hit) = killed(&world, &call, n) else {
            assert!(n > 3, "a DEL changes more than {n} things");
            break;
        };
        after(&world, &conf, &one.container);
        clean(&world, n, &hit);
        let again = world.attach_it(one.container, &conf);
        again.check();
        again.del();
        clean(&world, n, &hit);
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring faults"]
fn del_killed_then_del() {
    each_killed_del(|world, conf, container| {
        let _ = world.call("DEL", conf).of(container).ok();
    });
}

#[test]
#[ignore = "needs root: ring faults"]
fn del_killed_then_gc() {
    each_killed_del(|world, conf, container| {
        let _ = world.call("GC", conf).ok();
        let _ = world.call("DEL", conf).of(container).ok();
    });
}
