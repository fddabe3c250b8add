//! The other places that the executable stands in: the addresses of another plugin, and the caller
//! of another's addresses; and whose namespace is whose.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{World, merge, strings};

const EXISTS: u64 = 105;

/// All of the host's side happens in the namespace that the executable is started in.
#[test]
#[ignore = "needs root: ring netns"]
fn req_06_the_host_is_where_it_is_started() {
    let (world, elsewhere) = (World::new(), World::new());
    let one = world.attach(&world.conf("bridge", &json!({ "ipMasq": true })));
    assert!(elsewhere.links().iter().all(|link| link.name == "lo"));
    assert!(elsewhere.rules().is_empty());
    let names: Vec<String> = world.links().into_iter().map(|link| link.name).collect();
    assert!(names.contains(&"cni0".to_owned()) && names.contains(&one.host_link()), "{names:?}");
    one.del();
    world.assert_nothing_left();
}

/// A second network with a default route of its own: nothing of the first is lost.
#[test]
#[ignore = "needs root: ring netns"]
fn req_29_a_default_route_is_there_already() {
    let world = World::new();
    let one = world.attach(&world.conf("bridge", &json!({})));
    let more = json!({ "name": "other", "bridge": "cni1", "ipam": world.ipam(&["10.2.0.0/16"]) });
    let other = world.conf("bridge", &more);
    let call = |verb: &str| world.call(verb, &other).of(&one.container).env("CNI_IFNAME", "net1");
    let output = call("ADD").run();
    if !output.succeeded() {
        let failure = output.fails();
        assert!(failure.msg.contains("0.0.0.0/0") || failure.details.contains("0.0.0.0/0"));
        assert!(one.container.ns.links().iter().all(|link| link.name != "net1"));
    }
    one.check();
    assert!(one.container.ns.pings("10.1.0.1"));
    let _ = call("DEL").ok();
    one.check();
    one.del();
    world.assert_nothing_left();
}

/// As the addresses of another main plugin: an abbreviated result, and nothing of the kernel.
#[test]
#[ignore = "needs root: ring netns"]
fn req_67_req_68_req_70_addresses_for_another_plugin() {
    let world = World::new();
    let mut ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    merge(&mut ipam, &json!({ "type": "wharfinger", "plugin": "host-local" }));
    let conf = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "bridge", "ipam": ipam });
    let container = world.container();
    let call = |verb: &str, conf: &Value| {
        world.call(verb, conf).program(&world.text_path("bin/wharfinger")).of(&container)
    };
    let result = call("ADD", &conf).ok();
    assert!(result.get("interfaces").is_none(), "{result}");
    assert_eq!(strings(&result, &["ips"], "gateway"), ["10.1.0.1", "fd00:1::1"]);
    assert_eq!(strings(&result, &["ips"], "address").len(), 2);
    assert_eq!(strings(&result, &["routes"], "dst"), ["0.0.0.0/0", "::/0"]);
    let ips = result.get("ips").and_then(Value::as_array).expect("ips");
    assert!(ips.iter().all(|ip| ip.get("interface").is_none()), "{result}");
    assert!(world.links().iter().all(|link| link.name == "lo"), "the kernel is not touched");
    // Asked again before the main plugin has used the answer, it is the same; afterwards the
    // attachment stands.
    assert_eq!(call("ADD", &conf).ok(), result);
    container.ns.ip("link add eth0 type bridge");
    container.ns.ip("addr add 10.1.0.2/16 dev eth0");
    assert_eq!(call("ADD", &conf).fails().code, EXISTS);
    let mut with_result = conf.clone();
    merge(&mut with_result, &json!({ "prevResult": result }));
    assert_eq!(call("CHECK", &with_result).ok(), Value::Null);
    assert_eq!(call("STATUS", &conf).ok(), Value::Null);
    assert_eq!(call("DEL", &with_result).ok(), Value::Null);
    assert_eq!(call("DEL", &conf).ok(), Value::Null);
    world.assert_nothing_left();
    let _ = call("ADD", &conf).ok();
    assert_eq!(call("GC", &conf).ok(), Value::Null);
    world.assert_nothing_left();
}

/// The other way round: an executable of CNI_PATH gives the addresses, and is asked on each verb.
#[test]
#[ignore = "needs root: ring netns"]
fn req_47_req_52_req_57_req_66_addresses_of_an_executable() {
    let world = World::new();
    let ipam = json!({
        "type": "static",
        "addresses": [{ "address": "10.1.0.9/16", "gateway": "10.1.0.1" }],
        "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let conf = world.conf("bridge", &json!({ "ipam": ipam }));
    let container = world.container();
    let path = world.long_cni_path();
    let call =
        |verb: &str, conf: &Value| world.call(verb, conf).of(&container).env("CNI_PATH", &path);
    assert_eq!(call("STATUS", &conf).ok(), Value::Null);
    let result = call("ADD", &conf).ok();
    assert_eq!(strings(&result, &["ips"], "address"), ["10.1.0.9/16"]);
    assert_eq!(container.ns.link("eth0").addresses, ["10.1.0.9/16"]);
    let mut with_result = conf.clone();
    merge(&mut with_result, &json!({ "prevResult": result }));
    assert_eq!(call("CHECK", &with_result).ok(), Value::Null);
    // Its error is ours: an executable that is not there any more answers nothing.
    let gone = call("STATUS", &conf).env("CNI_PATH", &world.text_path("data")).fails();
    assert!(gone.msg.contains("static"), "{gone:?}");
    assert_eq!(call("DEL", &with_result).ok(), Value::Null);
    world.assert_nothing_left();
    let _ = call("ADD", &conf).ok();
    assert_eq!(call("GC", &conf).ok(), Value::Null);
    assert_eq!(call("DEL", &conf).ok(), Value::Null);
    world.assert_nothing_left();
}
