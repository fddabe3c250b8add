//! DEL succeeds and leaves nothing, whatever is gone already.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Netns, World};

/// A configuration for each driver that takes addresses.
fn confs(world: &World) -> Vec<Value> {
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let both = json!({ "ipam": ipam, "ipMasq": true });
    vec![world.conf("bridge", &both), world.conf("ptp", &both)]
}

/// For each driver: an attachment, then `end`, then nothing is left.
fn each(end: impl Fn(&World, &mut Attached<'_>)) {
    let world = World::new();
    for conf in confs(&world) {
        let mut one = world.attach(&conf);
        end(&world, &mut one);
        world.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c3_req_33_req_37_three_times_over() {
    each(|_, one| {
        for _ in 0..3 {
            one.del();
        }
    });
}

/// Whoever has no rules pays for none: no verb asks the packet filter about an attachment without.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_c8_without_rules_no_verb_asks_the_packet_filter() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/16"]) }));
    // Whoever is first looks at what there is.
    world.attach(&conf).del();
    let report = world.text_path("report");
    let traced = ["strace", "-f", "-qq", "-e", "trace=socket", "-o", &report];
    let sockets = || {
        let sockets = std::fs::read_to_string(&report).expect("a report");
        assert!(sockets.contains("NETLINK_ROUTE"), "{sockets}");
        sockets.contains("NETLINK_NETFILTER")
    };
    let masked = world.conf("bridge", &json!({ "ipMasq": true }));
    for (conf, asks) in [(&conf, false), (&masked, true)] {
        let container = world.container();
        let result = world.call("ADD", conf).of(&container).under(&traced).ok();
        assert_eq!(sockets(), asks, "ADD {conf}");
        let one = world.attached(container, conf, result);
        for verb in ["CHECK", "DEL"] {
            let _ = one.call(verb).under(&traced).ok();
            assert_eq!(sockets(), asks, "{verb} {conf}");
        }
    }
    world.assert_nothing_left();
}

/// What SQLite frees, it asks for again at once: it is not given back to the kernel meanwhile.
#[test]
#[ignore = "needs root: ring netns"]
fn c_has_the_heap_of_the_executable() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let report = world.text_path("report");
    let traced = ["strace", "-f", "-qq", "-e", "trace=mmap,munmap", "-o", &report];
    let container = world.container();
    let result = world.call("ADD", &conf).of(&container).under(&traced).ok();
    let calls = std::fs::read_to_string(&report).expect("a report");
    let small = |call: &&str| call.contains("munmap(") && call.contains(", 4096)");
    assert!(calls.contains("mmap("), "{calls}");
    assert!(calls.lines().filter(small).count() < 4, "{calls}");
    world.attached(container, &conf, result).del();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c3_before_any_add() {
    let world = World::new();
    for conf in confs(&world) {
        let container = world.container();
        assert_eq!(world.call("DEL", &conf).of(&container).ok(), Value::Null);
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c3_after_a_reboot() {
    let mut world = World::new();
    for conf in confs(&world) {
        let mut one = world.attach(&conf);
        one.container.ns.delete();
        let Attached { container, conf, result, .. } = one;
        world.reboot();
        let one = world.attached(container, &conf, result);
        one.del();
        world.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_a2_pain_a3_req_35_namespace_gone() {
    each(|world, one| {
        one.container.ns.delete();
        one.del();
        assert!(!world.rules().contains(&one.v4()));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_a2_pain_a3_req_35_no_namespace_given() {
    each(|_, one| {
        let _ = one.call("DEL").without("CNI_NETNS").ok();
    });
    each(|_, one| {
        let _ = one.call("DEL").netns("").ok();
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_34_path_is_an_ordinary_file_now() {
    each(|world, one| {
        one.container.ns.delete();
        let file = world.write("data/file", "not a namespace");
        let _ = one.call("DEL").netns(&file.display().to_string()).ok();
    });
}

/// Whose path is another namespace by now loses nothing in it.
#[test]
#[ignore = "needs root: ring netns"]
fn path_is_another_namespace_now() {
    each(|_, one| {
        one.container.ns.delete();
        one.container.ns.again();
        let other = Netns::new("peer");
        one.container
            .ns
            .ip(&format!("link add eth0 type veth peer name eth0 netns {}", other.name()));
        one.container.ns.ip("address add 192.0.2.1/24 dev eth0");
        one.del();
        let link = one.container.ns.link("eth0");
        assert_eq!(link.addresses, ["192.0.2.1/24"]);
    });
}

/// Whose path is the host's own namespace by now loses nothing in it.
#[test]
#[ignore = "needs root: ring netns"]
fn path_is_the_host_now() {
    each(|world, one| {
        world.host.ip("link add eth0 type bridge");
        one.container.ns.delete();
        let _ = one.call("DEL").netns(&world.host.path()).run();
        one.del();
        world.host.link("eth0");
        world.host.ip("link del eth0");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_36_without_prev_result() {
    each(|world, one| {
        let _ = world.call("DEL", &one.conf).of(&one.container).ok();
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn with_no_configuration_but_the_name() {
    each(|world, one| {
        let bare = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" });
        let _ = world.call("DEL", &bare).of(&one.container).ok();
    });
    each(|world, one| {
        let changed = json!({
            "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": "bridge",
            "bridge": "another0", "ipam": { "type": "host-local", "ranges": "nonsense" },
        });
        let _ = world.call("DEL", &changed).of(&one.container).ok();
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn links_and_bridge_gone() {
    each(|world, one| {
        one.container.ns.ip("link del eth0");
        let _ = world.host.try_run(&["ip", "link", "del", "cni0"]);
        one.del();
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn packet_filter_gone() {
    each(|world, one| {
        world.host.run(&["nft", "flush", "ruleset"]);
        one.del();
    });
}

/// DEL of one interface of a container leaves its other one on the same network alone.
#[test]
#[ignore = "needs root: ring netns"]
fn one_of_two_interfaces() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipMasq": true }));
    let one = world.attach(&conf);
    let more =
        json!({ "ipam": { "ranges": [[{ "subnet": "10.1.0.0/16" }]], "type": "host-local" } });
    let second = world.conf("bridge", &more);
    let _ = world.call("ADD", &second).of(&one.container).env("CNI_IFNAME", "net1").ok();
    let _ = world.call("DEL", &second).of(&one.container).env("CNI_IFNAME", "net1").ok();
    one.check();
    one.del();
    world.assert_nothing_left();
}

/// A second ADD is refused, says since when, and leaves the first untouched.
#[test]
#[ignore = "needs root: ring netns"]
fn req_22_req_23_second_add() {
    let world = World::new();
    for conf in confs(&world) {
        let one = world.attach(&conf);
        let refused = world.call("ADD", &conf).of(&one.container).fails();
        assert_eq!(refused.code, 105, "{refused:?}");
        assert!(refused.msg.contains(&one.container.id), "{refused:?}");
        one.check();
        let other = world.container();
        let by_name =
            world.call("ADD", &conf).of(&one.container).env("CNI_CONTAINERID", &other.id).fails();
        assert!(by_name.msg.contains("eth0"), "{by_name:?}");
        one.check();
        assert_eq!(world.ledger().len(), 1, "the refused ADD holds nothing");
        one.del();
        world.assert_nothing_left();
    }
}
