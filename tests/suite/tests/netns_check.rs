//! CHECK names each drift, and takes no offence at what others added.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Failure, World, merge};

const DRIFT: u64 = 107;

/// An attachment with all there is to go wrong.
fn attach(world: &World) -> Attached<'_> {
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let one =
        world.attach(&world.conf("bridge", &json!({ "ipam": ipam, "ipMasq": true, "mtu": 1450 })));
    one.check();
    one
}

/// After `change`, CHECK must fail and name `words`; afterwards DEL must leave nothing.
#[track_caller]
fn drifts(words: &[&str], change: impl Fn(&World, &Attached<'_>)) {
    let world = World::new();
    let one = attach(&world);
    change(&world, &one);
    let failure = one.call("CHECK").fails();
    assert_eq!(failure.code, DRIFT, "{failure:?}");
    for word in words {
        let text = word.replace("{v4}", &one.v4()).replace("{v6}", &one.v6());
        let text = text.replace("{veth}", &one.host_link());
        assert!(names(&failure, &text), "{text} is not named: {failure:?}");
    }
    one.del();
    world.assert_nothing_left();
}

fn names(failure: &Failure, word: &str) -> bool {
    failure.msg.contains(word) || failure.details.contains(word)
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_43_address_of_ipv4_gone() {
    drifts(&["{v4}", "eth0"], |_, one| {
        one.container.ns.ip(&format!("address del {}/16 dev eth0", one.v4()));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn address_of_ipv6_gone() {
    drifts(&["{v6}", "eth0"], |_, one| {
        one.container.ns.ip(&format!("address del {}/64 dev eth0", one.v6()));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn route_gone() {
    drifts(&["0.0.0.0/0"], |_, one| {
        one.container.ns.ip("route del default");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn mtu_changed() {
    drifts(&["mtu", "1300", "eth0"], |_, one| {
        one.container.ns.ip("link set eth0 mtu 1300");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn mac_changed() {
    drifts(&["02:00:00:00:00:99", "eth0"], |_, one| {
        one.container.ns.ip("link set eth0 address 02:00:00:00:00:99");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn link_of_the_container_down() {
    drifts(&["eth0"], |_, one| {
        one.container.ns.ip("link set eth0 down");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn link_of_the_host_down() {
    drifts(&["{veth}"], |world, one| {
        world.host.ip(&format!("link set {} down", one.host_link()));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_45_link_off_its_bridge() {
    drifts(&["{veth}", "cni0"], |world, one| {
        world.host.ip(&format!("link set {} nomaster", one.host_link()));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn links_gone() {
    drifts(&["eth0"], |_, one| {
        one.container.ns.ip("link del eth0");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn gateway_gone() {
    drifts(&["10.1.0.1", "cni0"], |world, _| {
        world.host.ip("address del 10.1.0.1/16 dev cni0");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_44_masquerade_gone() {
    drifts(&["{v4}"], |world, _| flush_elements(world));
}

#[test]
#[ignore = "needs root: ring netns"]
fn packet_filter_gone() {
    drifts(&["{v4}"], |world, _| {
        world.host.run(&["nft", "flush", "ruleset"]);
    });
}

/// Empties every set and map of every table.
fn flush_elements(world: &World) {
    for kind in ["set", "map"] {
        let listed = world.host.run(&["nft", "-j", "list", &format!("{kind}s")]);
        let listed: Value = serde_json::from_str(&listed).expect("nft writes JSON");
        let objects = listed.get("nftables").and_then(Value::as_array).expect("a list");
        for object in objects.iter().filter_map(|object| object.get(kind)) {
            let text =
                |key: &str| object.get(key).and_then(Value::as_str).expect("text").to_owned();
            let (family, table, name) = (text("family"), text("table"), text("name"));
            world.host.run(&["nft", "flush", kind, &family, &table, &name]);
        }
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_42_what_others_added_is_no_drift() {
    let world = World::new();
    let one = attach(&world);
    let container = &one.container.ns;
    container.ip("address add 192.0.2.7/24 dev eth0");
    container.ip("route add 198.51.100.0/24 dev eth0");
    container.ip("link set eth0 txqueuelen 77");
    world.host.run(&["nft", "add", "table", "ip", "others"]);
    one.check();
    one.del();
    world.assert_nothing_left();
}

/// A later plugin of the chain changed it, and said so in its result.
#[test]
#[ignore = "needs root: ring netns"]
fn req_42_what_prev_result_says_counts() {
    let world = World::new();
    let one = attach(&world);
    let container = &one.container.ns;
    container.ip("link set eth0 mtu 1300");
    container.ip("link set eth0 address 02:00:00:00:00:77");
    let mut result = one.result.clone();
    let interfaces = result.get_mut("interfaces").and_then(Value::as_array_mut).expect("a list");
    for interface in interfaces.iter_mut().filter(|i| i.get("name") == Some(&json!("eth0"))) {
        merge(interface, &json!({ "mtu": 1300, "mac": "02:00:00:00:00:77" }));
    }
    let mut conf = one.conf.clone();
    merge(&mut conf, &json!({ "prevResult": result }));
    let _ = world.call("CHECK", &conf).of(&one.container).ok();
    one.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn check_without_prev_result_or_attachment() {
    let world = World::new();
    let one = attach(&world);
    let without = world.call("CHECK", &one.conf).of(&one.container).fails();
    assert_eq!(without.code, 7, "{without:?}");
    one.del();
    let gone = one.call("CHECK").fails();
    assert!(gone.code >= 3, "{gone:?}");
    world.assert_nothing_left();
}
