//! What the agent tells the kernel of other nodes, over a machine in memory.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod world;

use serde_json::{Value, json};
use wharfinger_attach::overlay::Overlays;
use wharfinger_kernel::Peers;
use wharfinger_kernel::mem::HOST_COOKIE;
use wharfinger_plan::{LinkFacts, LinkRef};
use world::{NETNS, World, call_of};

fn conf() -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": "overlay",
        "vni": 7, "underlay": "ens3",
        "ipam": { "type": "pool", "first": "10.44.0.2", "last": "10.44.0.9" }
    })
}

fn world() -> World {
    let world = World::new();
    let addresses = vec!["192.0.2.1/24".parse().unwrap()];
    let facts = LinkFacts { addresses, ..LinkFacts::new(LinkRef::host("ens3"), "") };
    world.kernel.add_link(HOST_COOKIE, facts);
    world
}

/// A block in which each of these numbers holds 10.44.0.NUMBER, on a node.
fn block(holders: &[(u8, &str, &str)]) -> String {
    let held = holders.iter().map(|(number, node, at)| {
        let held = json!({
            "node": node, "network": "pods", "container": "c", "ifname": "eth0",
            "mac": format!("0a:58:0a:2c:00:{number:02x}"), "at": at,
        });
        (format!("10.44.0.{number}"), held)
    });
    json!({ "held": held.collect::<serde_json::Map<_, _>>() }).to_string()
}

fn known(world: &World) -> Vec<String> {
    let known = world.kernel.peers_of("wh-vx7");
    known.addresses.keys().map(ToString::to_string).collect()
}

const OWN: (u8, &str, &str) = (2, "n1", "192.0.2.1");
const OTHER: (u8, &str, &str) = (3, "n2", "192.0.2.2");

fn settle(world: &World, overlays: &mut Overlays) -> Vec<String> {
    world.with(|host| overlays.settle(host.kernel, host.ledger))
}

#[test]
fn the_kernel_knows_others_as_soon_as_there_is_a_segment_and_by_the_change_after() {
    let world = world();
    let mut overlays = Overlays::new("n1");
    let settle = |overlays: &mut Overlays| settle(&world, overlays);
    let [own, other] = [OWN, OTHER];
    let before = block(&[other]);
    assert_eq!(overlays.begin([("b", before.as_str())]), Vec::<String>::new());
    assert!(overlays.is_settled(), "nothing of this node's");
    // The book has it before it is made.
    let now = block(&[own, other]);
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&now)), Vec::<String>::new());
    assert_eq!(settle(&mut overlays), Vec::<String>::new());
    assert!(!overlays.is_settled());
    let call = call_of(&conf(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    assert_eq!(settle(&mut overlays), Vec::<String>::new());
    assert!(overlays.is_settled());
    assert_eq!(known(&world), ["10.44.0.3"]);
    let more = block(&[own, other, (4, "n3", "192.0.2.3")]);
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&more)), Vec::<String>::new());
    assert_eq!(known(&world), ["10.44.0.3", "10.44.0.4"]);
    assert_eq!(world.kernel.peers_of("wh-vx7").nodes.len(), 2);
}

#[test]
fn links_that_somebody_removes_are_told_of_and_made_good_once_they_are_there_again() {
    let world = world();
    let mut overlays = Overlays::new("n1");
    let settle = |overlays: &mut Overlays| settle(&world, overlays);
    let [own, other] = [OWN, OTHER];
    world.add(&call_of(&conf(), "c1", NETNS[0])).unwrap();
    let now = block(&[own, other]);
    assert_eq!(overlays.begin([("b", now.as_str())]), Vec::<String>::new());
    assert_eq!(settle(&mut overlays), Vec::<String>::new());
    world.kernel.delete_link(HOST_COOKIE, "wh-vx7");
    let more = block(&[own, other, (4, "n3", "192.0.2.3")]);
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&more)).len(), 1);
    assert!(!overlays.is_settled());
    let second = call_of(&conf(), "c2", NETNS[1]);
    world.add(&second).unwrap();
    settle(&mut overlays);
    assert_eq!(known(&world), ["10.44.0.3", "10.44.0.4"]);
    // A listing anew forgets what it does not have.
    let gone = block(&[own]);
    overlays.begin([("b", gone.as_str()), ("c", "{")]);
    settle(&mut overlays);
    assert_eq!(world.kernel.peers_of("wh-vx7"), Peers::default());
}

#[test]
fn of_a_network_that_left_the_node_the_kernel_knows_nobody_any_more() {
    let world = world();
    let mut overlays = Overlays::new("n1");
    let [own, other] = [OWN, OTHER];
    let call = call_of(&conf(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    let now = block(&[own, other]);
    assert_eq!(overlays.begin([("b", now.as_str())]), Vec::<String>::new());
    assert_eq!(settle(&world, &mut overlays), Vec::<String>::new());
    assert_eq!(known(&world), ["10.44.0.3"]);
    // Its last container goes; the links stay.
    world.del(&call).unwrap();
    let left = block(&[other]);
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&left)), Vec::<String>::new());
    assert_eq!(world.kernel.peers_of("wh-vx7"), Peers::default());
    // Nor is it told of those who come to others.
    let more = block(&[other, (4, "n3", "192.0.2.3")]);
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&more)), Vec::<String>::new());
    assert!(overlays.is_settled());
    assert_eq!(world.kernel.peers_of("wh-vx7"), Peers::default());
    // It has a container again, and knows all of them.
    let call = call_of(&conf(), "c2", NETNS[1]);
    world.add(&call).unwrap();
    let back = block(&[own, other, (4, "n3", "192.0.2.3")]);
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&back)), Vec::<String>::new());
    assert_eq!(settle(&world, &mut overlays), Vec::<String>::new());
    assert_eq!(known(&world), ["10.44.0.3", "10.44.0.4"]);
    // That somebody removed the links before it leaves again is no failure.
    world.kernel.delete_link(HOST_COOKIE, "wh-vx7");
    assert_eq!(overlays.seen(&world.kernel, "b", Some(&left)), Vec::<String>::new());
}

#[test]
fn an_overlay_without_a_number_is_refused_where_nobody_chooses_one() {
    let world = world();
    let mut conf = conf();
    conf.as_object_mut().unwrap().remove("vni");
    let error = world.add(&call_of(&conf, "c1", NETNS[0])).unwrap_err().to_string();
    assert!(error.contains("set \"vni\""), "{error}");
    world.assert_empty();
}
