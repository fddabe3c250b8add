//! What Docker needs of the verbs: the host's half of an attachment alone, addresses that are held for no
//! interface, and that a runtime's GC leaves Docker's alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_attach::hold::{self, Held};
use wharfinger_attach::{Error, gc};
use wharfinger_cni::{AttachmentId, Node, code};
use wharfinger_plan::{Action, Place};
use world::{NETNS, World, bridge, call_of};

fn half(more: &Value) -> Value {
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["hostHalf"] = true.into();
    for (key, value) in more.as_object().unwrap() {
        conf[key] = value.clone();
    }
    conf
}

#[test]
fn of_a_half_the_container_has_its_link_and_nothing_more() {
    let world = World::new();
    let call = call_of(&half(&json!({ "features": { "firewall": {} } })), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.ips.len(), 1, "the answer has the address all the same");
    assert!(success.interfaces.iter().any(|it| it.name == "eth0" && !it.mac.is_empty()));
    let entry = world.with(|host| host.ledger.get(&call.id)).unwrap().unwrap();
    let steps = &entry.record.plan.steps;
    assert!(
        steps.iter().all(|step| step.place() == Place::Host),
        "a veth is the host's: {steps:?}"
    );
    let has = |what: fn(&Action) -> bool| steps.iter().any(|step| what(&step.action));
    assert!(has(|it| matches!(it, Action::Address(address) if address.link.name == "cni0")));
    assert!(
        has(|it| matches!(it, Action::Masquerade(_))) && has(|it| matches!(it, Action::Forward(_)))
    );
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn what_works_inside_the_container_is_refused_of_a_half() {
    let world = World::new();
    for more in [
        json!({ "features": { "sbr": {} } }),
        json!({ "features": { "vrf": { "vrfname": "red" } } }),
        json!({ "features": { "tuning": { "sysctl": { "net.core.somaxconn": "500" } } } }),
        json!({ "driver": "host-device", "device": "eth7" }),
        json!({ "driver": "tap" }),
        json!({ "ipam": { "type": "dhcp" } }),
        json!({ "hostHalf": "yes" }),
    ] {
        let error = world.add(&call_of(&half(&more), "c1", NETNS[0])).unwrap_err();
        assert_eq!(error.to_cni("pods").code, code::INVALID_CONFIG, "{more}: {error}");
    }
    world.assert_empty();
}

fn held(name: &str, address: &str) -> Held {
    let id = AttachmentId {
        network: "pods".to_owned(),
        container: "docker-pool".to_owned(),
        ifname: name.to_owned(),
    };
    let conf = json!({ "network": { "name": "pods", "docker": {} } });
    Held { id, domain: "host".to_owned(), address: address.parse().unwrap(), conf }
}

#[test]
fn an_address_that_is_held_is_nobody_else_s() {
    let world = World::new();
    let gateway = held("gateway", "10.1.0.2");
    let hold = |held: &Held| world.with(|host| hold::hold(host, held));
    hold(&gateway).unwrap();
    hold(&gateway).unwrap();
    let error = hold(&held("other", "10.1.0.2")).unwrap_err();
    assert!(matches!(error, Error::AddressHeld { .. }), "{error}");
    assert!(error.to_string().contains("pods/docker-pool/gateway"), "{error}");
    let call = call_of(&bridge("10.1.0.2", "10.1.0.3"), "c1", NETNS[0]);
    assert_eq!(world.add(&call).unwrap().ips[0].address.to_string(), "10.1.0.3/16");
    world.del(&call).unwrap();
    let release = |held: &Held| world.with(|host| hold::release(host, &held.id, Duration::ZERO));
    release(&gateway).unwrap();
    release(&gateway).unwrap();
    world.assert_empty();
}

#[test]
fn a_gc_of_a_runtime_leaves_what_is_docker_s() {
    let world = World::new();
    let gateway = held("gateway", "10.1.0.2");
    world.with(|host| hold::hold(host, &gateway)).unwrap();
    world.add(&call_of(&bridge("10.1.0.2", "10.1.0.9"), "c1", NETNS[0])).unwrap();
    let collect = |conf: &Value| {
        let node = Node { path: Vec::new(), conf: call_of(conf, "x", "").conf };
        world.with(|host| gc::gc(host, &node, &[])).unwrap();
        world.with(|host| host.ledger.list(None)).unwrap().len()
    };
    assert_eq!(collect(&bridge("10.1.0.2", "10.1.0.9")), 1);
    let mut own = bridge("10.1.0.2", "10.1.0.9");
    own["docker"] = json!({});
    assert_eq!(collect(&own), 0);
}
