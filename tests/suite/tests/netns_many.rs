//! Many at once: no address twice, none leaked, no failure.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::process::Child;

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Call, Container, World};

fn conf(world: &World) -> Value {
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    world.conf("bridge", &json!({ "ipam": ipam, "ipMasq": true }))
}

fn containers(world: &World, count: usize) -> Vec<Container> {
    (0..count).map(|_| world.container()).collect()
}

/// Starts all, then waits for all: each must succeed. Their results, in order.
#[track_caller]
fn at_once(calls: &[Call<'_>]) -> Vec<Value> {
    let children: Vec<Child> = calls.iter().map(Call::start).collect();
    let outputs: Vec<_> =
        calls.iter().zip(children).map(|(call, child)| call.finish(child)).collect();
    outputs.iter().map(wharfinger_suite::Output::ok).collect()
}

#[track_caller]
fn add_all<'w>(world: &'w World, conf: &Value, containers: Vec<Container>) -> Vec<Attached<'w>> {
    let calls: Vec<_> = containers.iter().map(|c| world.call("ADD", conf).of(c)).collect();
    let results = at_once(&calls);
    containers.into_iter().zip(results).map(|(c, result)| world.attached(c, conf, result)).collect()
}

#[track_caller]
fn distinct(attachments: &[Attached<'_>]) {
    let all: Vec<String> = attachments.iter().flat_map(Attached::addresses).collect();
    let set: BTreeSet<&String> = all.iter().collect();
    assert_eq!(set.len(), all.len(), "an address twice: {all:?}");
}

fn rounds(short: usize) -> usize {
    if std::env::var_os("WHARFINGER_TEST_LONG").is_some() { short * 10 } else { short }
}

/// The first attachments of a boot: each wants to make the bridge, its address, the table.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_c5_fifty_first_adds() {
    for _ in 0..rounds(2) {
        let world = World::new();
        let conf = conf(&world);
        let all = add_all(&world, &conf, containers(&world, 50));
        distinct(&all);
        let calls: Vec<_> = all.iter().map(|one| one.call("CHECK")).collect();
        at_once(&calls);
        let calls: Vec<_> = all.iter().map(|one| one.call("DEL")).collect();
        at_once(&calls);
        world.assert_nothing_left();
    }
}

/// Interfaces of one container that come at once have a routing table each.
#[test]
#[ignore = "needs root: ring netns"]
fn interfaces_that_route_by_source_come_at_once() {
    let world = World::new();
    for _ in 0..rounds(3) {
        let container = world.container();
        let confs: Vec<Value> = (1..=4)
            .map(|number| {
                world.conf(
                    "bridge",
                    &json!({
                        "name": format!("net{number}"), "bridge": format!("br{number}"),
                        "isDefaultGateway": true, "features": { "sbr": {} },
                        "ipam": world.ipam(&[&format!("10.{number}.0.0/16")]),
                    }),
                )
            })
            .collect();
        let call = |verb: &str| -> Vec<Call<'_>> {
            let calls = confs.iter().enumerate();
            calls
                .map(|(number, conf)| {
                    let ifname = format!("net{number}");
                    world.call(verb, conf).of(&container).env("CNI_IFNAME", &ifname)
                })
                .collect()
        };
        at_once(&call("ADD"));
        let rules = container.ns.ip("-4 rule list");
        let tables: BTreeSet<&str> =
            rules.lines().filter_map(|line| line.split("lookup ").nth(1)).map(str::trim).collect();
        for number in 100..104 {
            assert!(tables.contains(&*number.to_string()), "{rules}");
        }
        at_once(&call("DEL"));
    }
    world.assert_nothing_left();
}

/// 64 ADDs at once, 64 DELs at once, over and over.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b4_req_07_sixty_four_at_once() {
    let world = World::new();
    let conf = conf(&world);
    let mut free = containers(&world, 64);
    for _ in 0..rounds(3) {
        let all = add_all(&world, &conf, free);
        distinct(&all);
        let calls: Vec<_> = all.iter().map(|one| one.call("DEL")).collect();
        at_once(&calls);
        world.assert_nothing_left();
        free = all.into_iter().map(|one| one.container).collect();
    }
}

/// ADDs and DELs of different containers together, 200 calls in flight.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_c2_adds_and_dels_together() {
    let world = World::new();
    let conf = conf(&world);
    let mut living = add_all(&world, &conf, containers(&world, 100));
    let mut free = containers(&world, 100);
    for _ in 0..rounds(2) {
        let adds = free.iter().map(|c| world.call("ADD", &conf).of(c));
        let dels = living.iter().map(|one| one.call("DEL"));
        let mixed: Vec<Call<'_>> = adds.zip(dels).flat_map(|(add, del)| [add, del]).collect();
        let results: Vec<Value> = at_once(&mixed).into_iter().step_by(2).collect();
        let born: Vec<_> = free
            .into_iter()
            .zip(results)
            .map(|(c, result)| world.attached(c, &conf, result))
            .collect();
        distinct(&born);
        assert_eq!(world.ledger().len(), 100);
        free = living.into_iter().map(|one| one.container).collect();
        living = born;
    }
    let calls: Vec<_> = living.iter().map(|one| one.call("DEL")).collect();
    at_once(&calls);
    world.assert_nothing_left();
}

/// The range is as large as what is asked for: nobody is turned away, nobody gets another's.
#[test]
#[ignore = "needs root: ring netns"]
fn the_last_addresses_at_once() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/27"]) }));
    let mut free = containers(&world, 29);
    for _ in 0..rounds(3) {
        let all = add_all(&world, &conf, free);
        distinct(&all);
        let calls: Vec<_> = all.iter().map(|one| one.call("DEL")).collect();
        at_once(&calls);
        free = all.into_iter().map(|one| one.container).collect();
    }
    world.assert_nothing_left();
}

/// The same attachment added by several callers at once: one wins, the others are told.
#[test]
#[ignore = "needs root: ring netns"]
fn one_attachment_by_many_callers() {
    let world = World::new();
    let conf = conf(&world);
    let container = world.container();
    let call = world.call("ADD", &conf).of(&container);
    let children: Vec<Child> = (0..8).map(|_| call.start()).collect();
    let outputs: Vec<_> = children.into_iter().map(|child| call.finish(child)).collect();
    let won: Vec<_> = outputs.iter().filter(|output| output.succeeded()).collect();
    assert_eq!(won.len(), 1, "{outputs:?}");
    for refused in outputs.iter().filter(|output| !output.succeeded()) {
        assert_eq!(refused.fails().code, 105, "{refused:?}");
    }
    let result = won.first().map(|output| output.ok()).expect("one");
    let one = world.attached(container, &conf, result);
    one.check();
    one.del();
    world.assert_nothing_left();
}

/// No plugin runs while a lock or a write is held: one that loops delays nobody.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_c7_a_component_that_loops_delays_nobody() {
    let world = World::new();
    world.write("etc/config.toml", "[limits]\ndeadline = 8.0\n");
    let program = world.with_hostile();
    let good = conf(&world);
    // Once before, so that the bridge and the table are there.
    world.attach(&good).del();
    let bad =
        json!({ "name": "bad", "bridge": "cni9", "ipam": { "type": "hostile", "mode": "loop" } });
    let (bad, caught) = (world.conf("bridge", &bad), world.container());
    let call = world.call("ADD", &bad).of(&caught).program(&program);
    let mut looping = call.start();
    for _ in 0..10 {
        let container = world.container();
        let one = |verb: &str| world.call(verb, &good).of(&container).program(&program);
        let _ = one("ADD").ok();
        let _ = one("DEL").ok();
        let ended = looping.try_wait().expect("the looping call");
        assert!(ended.is_none(), "others were served only after it: {ended:?}");
    }
    let failure = call.finish(looping).fails();
    assert_eq!(failure.code, 103, "{failure:?}");
    assert!(failure.msg.contains("limits.deadline"), "{failure:?}");
    world.assert_nothing_left();
}
