//! Drivers whose links only the lab's kernel has: ADD, CHECK, traffic, DEL, and nothing left.
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Netns, World};

/// The lab has one: elsewhere these fail.
fn world() -> World {
    assert!(std::env::var_os("IN_LAB").is_some(), "run me in the lab");
    World::new()
}

/// A segment beside the host, where a gateway is: `seg0` is the host's link to it.
fn segment(world: &World) -> Netns {
    let beside = Netns::new("beside");
    world.host.ip(&format!("link add seg0 type veth peer name seg1 netns {}", beside.name()));
    world.host.ip("link set seg0 up");
    beside.ip("link set seg1 up");
    beside
}

fn live<'w>(world: &'w World, conf: &Value, gateway: &str) -> (Attached<'w>, Attached<'w>) {
    let (one, two) = (world.attach(conf), world.attach(conf));
    one.check();
    two.check();
    assert!(one.container.ns.pings(&two.v4()), "{} to {}", one.v4(), two.v4());
    assert!(two.container.ns.pings(gateway), "{} to {gateway}", two.v4());
    (one, two)
}

fn end(world: &World, attachments: &[&Attached<'_>]) {
    for attachment in attachments {
        attachment.del();
        let left = attachment.container.ns.links();
        assert!(left.iter().all(|link| link.name == "lo"), "left in the container: {left:?}");
        attachment.del();
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn ipvlan_l2() {
    let world = world();
    let beside = segment(&world);
    beside.ip("address add 10.1.0.1/16 dev seg1");
    let (one, two) = live(&world, &world.conf("ipvlan", &json!({ "master": "seg0" })), "10.1.0.1");
    end(&world, &[&one, &two]);
}

/// Defect 15 of the reference plugins: without a default route DEL of `ipvlan` fails.
#[test]
#[ignore = "needs the lab: ring lab"]
fn defect_15_ipvlan_of_a_default_route_that_is_gone() {
    let world = world();
    let _beside = segment(&world);
    world.host.ip("address add 10.9.0.2/24 dev seg0");
    world.host.ip("route add default via 10.9.0.1");
    let one = world.attach(&world.conf("ipvlan", &json!({})));
    one.check();
    world.host.ip("route del default");
    end(&world, &[&one]);
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn vlan_and_defect_15_its_master_gone() {
    let world = world();
    let beside = segment(&world);
    beside.ip("link add link seg1 name seg1.100 type vlan id 100");
    beside.ip("address add 10.1.0.1/16 dev seg1.100");
    beside.ip("link set seg1.100 up");
    let one = world.attach(&world.conf("vlan", &json!({ "master": "seg0", "vlanId": 100 })));
    one.check();
    assert!(one.container.ns.pings("10.1.0.1"));
    world.host.ip("link del seg0");
    end(&world, &[&one]);
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn dummy() {
    let world = world();
    let one = world.attach(&world.conf("dummy", &json!({})));
    one.check();
    assert_eq!(one.container.ns.link("eth0").kind, "dummy");
    end(&world, &[&one]);
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn bridge_of_a_vlan_whose_gateway_the_host_is() {
    let world = world();
    let conf = world.conf("bridge", &json!({ "vlan": 100 }));
    let (one, two) = live(&world, &conf, "10.1.0.1");
    let names = wharfinger_suite::strings(&one.result, &["interfaces"], "name");
    assert_eq!(names.len(), 4);
    assert_eq!(names.last().map(String::as_str), Some("cni0.100"));
    assert_eq!(
        world.host.link("cni0.100").addresses.first().map(String::as_str),
        Some("10.1.0.1/16")
    );
    let other = world.attach(&world.conf("bridge", &json!({ "vlan": 101, "isGateway": null })));
    // Its address space is its own, so that it has the address of the first.
    assert!(other.container.ns.is_cut_off_from(&two.v4()), "another VLAN");
    end(&world, &[&one, &two, &other]);
}
