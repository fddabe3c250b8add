//! The book of addresses: what leaks elsewhere, and what happens when the book itself is lost.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wharfinger_suite::{Attached, World};

const EXHAUSTED: u64 = 100;
const CONFLICT: u64 = 106;

/// A network of five addresses, .2 to .6.
fn small(world: &World) -> Value {
    world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/29"]) }))
}

fn distinct(attachments: &[Attached<'_>]) -> BTreeSet<String> {
    let all: Vec<String> = attachments.iter().flat_map(Attached::addresses).collect();
    let set: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(set.len(), all.len(), "an address twice: {all:?}");
    set
}

fn end(world: &World, attachments: &[Attached<'_>]) {
    for attachment in attachments {
        attachment.del();
    }
    world.assert_nothing_left();
}

/// After a reboot nobody calls DEL: the range never fills up.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a1_reboot_frees_what_died_with_it() {
    let mut world = World::new();
    let conf = small(&world);
    for _ in 0..3 {
        for _ in 0..5 {
            let mut one = world.attach(&conf);
            one.container.ns.delete();
        }
        world.reboot();
    }
    let all: Vec<Attached<'_>> = (0..5).map(|_| world.attach(&conf)).collect();
    assert_eq!(distinct(&all).len(), 5);
    let full = world.call("ADD", &conf).of(&world.container()).fails();
    assert_eq!(full.code, EXHAUSTED, "{full:?}");
    end(&world, &all);
}

/// A new boot id alone proves nobody's death: a node that is a container was restarted.
#[test]
#[ignore = "needs root: ring netns"]
fn living_namespaces_keep_their_addresses_under_a_new_boot_id() {
    let mut world = World::new();
    let conf = small(&world);
    let one = world.attach(&conf);
    let (held, Attached { container, result, .. }) = (one.v4(), one);
    world.new_boot_id();
    let old = world.attached(container, &conf, result);
    let more: Vec<Attached<'_>> = (0..4).map(|_| world.attach(&conf)).collect();
    assert!(!distinct(&more).contains(&held), "{held} was given twice");
    let full = world.call("ADD", &conf).of(&world.container()).fails();
    assert_eq!(full.code, EXHAUSTED, "{full:?}");
    assert!(old.container.ns.pings("10.1.0.1"));
    old.del();
    end(&world, &more);
}

/// Nobody was there to collect: what died is freed when room is needed, what lives is not.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a6_the_dead_make_room() {
    let world = World::new();
    let conf = small(&world);
    let mut all: Vec<Attached<'_>> = (0..5).map(|_| world.attach(&conf)).collect();
    let mut dead = all.split_off(2);
    for one in &mut dead {
        one.dies();
    }
    all.extend((0..3).map(|_| world.attach(&conf)));
    assert_eq!(distinct(&all).len(), 5);
    let full = world.call("ADD", &conf).of(&world.container()).fails();
    assert_eq!(full.code, EXHAUSTED, "{full:?}");
    // The runtime remembers the dead at last.
    for one in &dead {
        one.del();
    }
    for one in &all {
        one.check();
    }
    end(&world, &all);
}

/// The address of a living owner is refused with who holds it; of a dead one it is granted, or
/// refused with what frees it.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a5_an_address_by_name() {
    let world = World::new();
    let conf = small(&world);
    let one = world.attach(&conf);
    let args = format!("IgnoreUnknown=1;IP={}", one.v4());
    let refused = world.call("ADD", &conf).of(&world.container()).env("CNI_ARGS", &args).fails();
    assert_eq!(refused.code, CONFLICT, "{refused:?}");
    let text = format!("{} {}", refused.msg, refused.details);
    assert!(text.contains(&one.container.id) && text.contains(&one.v4()), "{refused:?}");
    // The command that is named there frees it.
    let (_, frees) = text.split_once("wharfinger del ").unwrap_or_else(|| panic!("{refused:?}"));
    let end = frees.find(['`', '\'', '"', ';', ',']).unwrap_or(frees.len());
    let words: Vec<&str> = frees[..end].split_whitespace().collect();
    world.cli_ok(&[&["del"], &words[..]].concat());
    let second = world.attach_with(&conf, &args);
    assert_eq!(second.v4(), one.v4());
    second.del();
    let mut one = world.attach_with(&conf, &args);
    one.dies();
    let other = world.container();
    let output = world.call("ADD", &conf).of(&other).env("CNI_ARGS", &args).run();
    if output.succeeded() {
        let second = world.attached(other, &conf, output.ok());
        assert_eq!(second.v4(), one.v4());
        second.del();
    } else {
        let refused = output.fails();
        assert_eq!(refused.code, CONFLICT, "{refused:?}");
        let text = format!("{} {}", refused.msg, refused.details);
        assert!(text.contains(&one.container.id), "{refused:?}");
    }
    one.del();
    world.assert_nothing_left();
}

/// IPv4 was picked, IPv6 is exhausted: nothing is held.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a7_both_families_or_none() {
    let world = World::new();
    let ipam = json!({
        "type": "host-local",
        "ranges": [
            [{ "subnet": "10.1.0.0/29" }],
            [{ "subnet": "fd00:1::/64", "rangeStart": "fd00:1::5", "rangeEnd": "fd00:1::5" }],
        ],
    });
    let conf = world.conf("bridge", &json!({ "ipam": ipam }));
    let one = world.attach(&conf);
    for _ in 0..7 {
        let full = world.call("ADD", &conf).of(&world.container()).fails();
        assert_eq!(full.code, EXHAUSTED, "{full:?}");
    }
    assert_eq!(world.ledger().len(), 1);
    let v4 = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/29"]) }));
    let more: Vec<Attached<'_>> = (0..4).map(|_| world.attach(&v4)).collect();
    one.del();
    end(&world, &more);
}

/// A pod of the same name comes back before the old one is collected.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b2_one_name_many_lives() {
    let world = World::new();
    let conf = small(&world);
    let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0";
    let add = || {
        let container = world.container();
        let result = world.call("ADD", &conf).of(&container).env("CNI_ARGS", args).ok();
        world.attached(container, &conf, result)
    };
    let mut old = add();
    for _ in 0..8 {
        let new = add();
        assert_ne!(old.v4(), new.v4());
        for _ in 0..2 {
            old.del();
        }
        new.check();
        let stranger = add();
        assert_ne!(stranger.v4(), new.v4());
        stranger.del();
        old = new;
    }
    old.del();
    world.assert_nothing_left();
}

/// Two networks of one address space may not overlap; in spaces of their own they may.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b8_overlapping_networks() {
    let world = World::new();
    let one = world.attach(&world.conf("bridge", &json!({})));
    let ipam = world.ipam(&["10.1.0.0/24"]);
    let other = json!({ "name": "other", "bridge": "cni1", "ipam": ipam });
    let refused = world.call("ADD", &world.conf("bridge", &other)).of(&world.container()).fails();
    let text = format!("{} {}", refused.msg, refused.details);
    assert!(text.contains("pods") && text.contains("other"), "names both: {refused:?}");
    let apart = json!({ "name": "other", "bridge": "cni1", "isGateway": false, "ipam": ipam });
    let two = world.attach(&world.conf("bridge", &apart));
    two.del();
    one.del();
    world.assert_nothing_left();
}

/// A released address rests, unless it is asked for by name, or nothing else is left.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b9_released_addresses_rest() {
    let world = World::new();
    let conf = small(&world);
    let first = world.attach(&conf);
    first.del();
    let second = world.attach(&conf);
    assert_ne!(first.v4(), second.v4());
    second.del();
    let container = world.container();
    let args = format!("IgnoreUnknown=1;IP={}", second.v4());
    let by_name = world.call("ADD", &conf).of(&container).env("CNI_ARGS", &args).ok();
    let by_name = world.attached(container, &conf, by_name);
    assert_eq!(by_name.v4(), second.v4());
    let rest: Vec<Attached<'_>> = (0..3).map(|_| world.attach(&conf)).collect();
    let last = world.attach(&conf);
    assert_eq!(last.v4(), first.v4(), "nothing else was left");
    last.del();
    by_name.del();
    end(&world, &rest);
}

/// Every usable address of the small networks is given.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b9_every_address_of_a_tiny_network() {
    let world = World::new();
    for (net, usable) in [("10.9.0.0/30", 1), ("10.9.1.0/29", 5), ("fd00:9::/126", 2)] {
        let name = net.replace(['/', ':', '.'], "-").trim_matches('-').to_owned();
        let more = json!({ "name": name, "bridge": "cni9", "forceAddress": true, "ipam": world.ipam(&[net]) });
        let conf = world.conf("bridge", &more);
        let all: Vec<Attached<'_>> = (0..usable).map(|_| world.attach(&conf)).collect();
        assert_eq!(distinct(&all).len(), usable);
        let full = world.call("ADD", &conf).of(&world.container()).fails();
        assert_eq!(full.code, EXHAUSTED, "{net}: {full:?}");
        end(&world, &all);
    }
}

/// Ranges of one set are alternatives, in their order; each set gives one.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b10_sets_and_ranges() {
    let world = World::new();
    let one_set = json!([[{ "subnet": "10.1.0.0/30" }, { "subnet": "10.2.0.0/30" }]]);
    let conf = |ranges: &Value| {
        let ipam = json!({ "type": "host-local", "ranges": ranges });
        world.conf("bridge", &json!({ "isGateway": false, "ipam": ipam }))
    };
    let either = conf(&one_set);
    let all = [world.attach(&either), world.attach(&either)];
    assert_eq!(distinct(&all), ["10.1.0.2", "10.2.0.2"].map(str::to_owned).into());
    end(&world, &all);
    let two_sets = json!([
        [{ "subnet": "10.3.0.0/24", "rangeStart": "10.3.0.7", "rangeEnd": "10.3.0.7" }],
        [{ "subnet": "10.4.0.0/24", "rangeStart": "10.4.0.8", "rangeEnd": "10.4.0.8" }],
    ]);
    let each = [world.attach(&conf(&two_sets))];
    assert_eq!(distinct(&each), ["10.3.0.7", "10.4.0.8"].map(str::to_owned).into());
    end(&world, &each);
}

/// A /64 is no more work than a /24, and its far end is reached.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_g2_a_wide_network() {
    let world = World::new();
    let end_of_it = json!({
        "type": "host-local",
        "ranges": [[{ "subnet": "fd00:1::/64", "rangeStart": "fd00:1::ffff:ffff:ffff:fffd" }]],
    });
    let conf = world.conf("bridge", &json!({ "ipam": end_of_it }));
    let all: Vec<Attached<'_>> = (0..3).map(|_| world.attach(&conf)).collect();
    let given = distinct(&all);
    assert!(given.contains("fd00:1::ffff:ffff:ffff:ffff"), "{given:?}");
    let wide = json!({ "name": "wide", "bridge": "cni1", "ipam": world.ipam(&["fd02::/16"]) });
    let wide = world.attach(&world.conf("bridge", &wide));
    wide.del();
    end(&world, &all);
}

/// While attachments live. What becomes of a ledger alone that is lost or damaged: `faults_matrix`.
#[test]
#[ignore = "needs root: ring netns"]
fn run_directory_deleted() {
    let world = World::new();
    let ipam = world.ipam(&["10.1.0.0/28", "fd00:1::/64"]);
    let conf = world.conf("bridge", &json!({ "ipMasq": true, "ipam": ipam }));
    let old: Vec<Attached<'_>> = (0..4).map(|_| world.attach(&conf)).collect();
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    let new: Vec<Attached<'_>> = (0..4).map(|_| world.attach(&conf)).collect();
    let before = distinct(&old);
    assert!(distinct(&new).is_disjoint(&before), "given twice: {before:?}");
    for one in old.iter().chain(&new) {
        assert!(one.container.ns.pings("10.1.0.1"));
    }
    for one in old.iter().rev() {
        one.del();
    }
    end(&world, &new);
}

/// DEL alone after the loss: it works from the names that it can derive, and prevResult.
#[test]
#[ignore = "needs root: ring netns"]
fn del_without_a_book() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipMasq": true }));
    let with = world.attach(&conf);
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    with.del();
    world.assert_nothing_left();
    let without = world.attach(&conf);
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    let _ = world.call("DEL", &conf).of(&without.container).ok();
    world.assert_nothing_left();
    let mut dead = world.attach(&conf);
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    dead.container.ns.delete();
    dead.del();
    world.assert_nothing_left();
}
