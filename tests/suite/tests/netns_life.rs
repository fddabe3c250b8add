//! The life of an attachment, driver by driver: ADD, CHECK, traffic, DEL, and nothing left.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Netns, World, strings};

/// A machine beyond the host, that has no route to the containers: what it answers was
/// translated.
fn outside(world: &World) -> Netns {
    let wan = Netns::new("wan");
    world.host.ip(&format!("link add wan0 type veth peer name wan0 netns {}", wan.name()));
    for (side, v4, v6) in [
        (&world.host, "203.0.113.1/24", "2001:db8::1/64"),
        (&wan, "203.0.113.2/24", "2001:db8::2/64"),
    ] {
        side.ip(&format!("address add {v4} dev wan0"));
        side.ip(&format!("address add {v6} dev wan0 nodad"));
        side.ip("link set wan0 up");
    }
    wan
}

/// ADD twice over, CHECK, and both reach each other and the gateway at these addresses.
fn live<'w>(world: &'w World, conf: &Value, gateways: &[&str]) -> (Attached<'w>, Attached<'w>) {
    let (one, two) = (world.attach(conf), world.attach(conf));
    one.check();
    two.check();
    for (mine, peer) in one.addresses().iter().zip(two.addresses()) {
        assert_ne!(*mine, peer);
        assert!(one.container.ns.pings(&peer), "{mine} to {peer}");
        assert!(two.container.ns.pings(mine), "{peer} to {mine}");
    }
    for gateway in gateways {
        assert!(one.container.ns.pings(gateway), "gateway {gateway}");
    }
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
#[ignore = "needs root: ring netns"]
fn req_19_32_46_bridge_v4() {
    let world = World::new();
    let (one, two) = live(&world, &world.conf("bridge", &json!({})), &["10.1.0.1"]);
    assert_eq!(strings(&one.result, &["ips"], "gateway"), ["10.1.0.1"]);
    assert_eq!(one.container.ns.link("eth0").addresses, [format!("{}/16", one.v4())]);
    assert!(one.container.ns.routes().contains(&"default".to_owned()));
    assert_eq!(world.host.link("cni0").addresses, ["10.1.0.1/16"]);
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_v6() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["fd00:1::/64"]) }));
    let (one, two) = live(&world, &conf, &["fd00:1::1"]);
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_dual() {
    let world = World::new();
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let conf = world.conf("bridge", &json!({ "ipam": ipam }));
    let (one, two) = live(&world, &conf, &["10.1.0.1", "fd00:1::1"]);
    assert_eq!(one.addresses().len(), 2);
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_is_default_gateway() {
    let world = World::new();
    let mut ipam = world.ipam(&["10.1.0.0/16"]);
    wharfinger_suite::merge(&mut ipam, &json!({ "routes": null }));
    let conf = world.conf("bridge", &json!({ "isDefaultGateway": true, "ipam": ipam }));
    let (one, two) = live(&world, &conf, &["10.1.0.1"]);
    assert!(one.container.ns.routes().contains(&"default".to_owned()));
    assert_eq!(strings(&one.result, &["routes"], "dst"), ["0.0.0.0/0"]);
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_layer_2() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": null, "isGateway": null }));
    let one = world.attach(&conf);
    one.check();
    assert!(one.container.ns.link("eth0").up);
    assert!(one.container.ns.link("eth0").addresses.is_empty());
    let down = world.conf(
        "bridge",
        &json!({ "ipam": null, "isGateway": null, "disableContainerInterface": true }),
    );
    let two = world.attach(&down);
    assert!(!two.container.ns.link("eth0").up);
    two.check();
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_port_settings() {
    let world = World::new();
    let conf =
        world.conf("bridge", &json!({ "hairpinMode": true, "portIsolation": true, "mtu": 1400 }));
    let one = world.attach(&conf);
    let two = world.attach(&conf);
    let port = world.host.link(&one.host_link());
    let info = port.raw.get("linkinfo").and_then(|i| i.get("info_slave_data")).expect("a port");
    assert_eq!(info.get("hairpin"), Some(&json!(true)));
    assert_eq!(info.get("isolated"), Some(&json!(true)));
    assert!(one.container.ns.is_cut_off_from(&two.v4()), "isolated ports do not reach each other");
    assert!(one.container.ns.pings("10.1.0.1"));
    one.check();
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_promiscuous() {
    let world = World::new();
    let one = world.attach(&world.conf("bridge", &json!({ "promiscMode": true })));
    assert_eq!(world.host.link("cni0").raw.get("promiscuity"), Some(&json!(1)));
    end(&world, &[&one]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_mac_by_all_three_routes() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let cases = [
        (json!({}), "IgnoreUnknown=1;MAC=02:00:00:00:00:01", "02:00:00:00:00:01"),
        (
            json!({ "args": { "cni": { "mac": "02:00:00:00:00:02" } } }),
            "IgnoreUnknown=1;MAC=02:00:00:00:00:0f",
            "02:00:00:00:00:02",
        ),
        (
            json!({
                "args": { "cni": { "mac": "02:00:00:00:00:0e" } },
                "capabilities": { "mac": true },
                "runtimeConfig": { "mac": "02:00:00:00:00:03" },
            }),
            "IgnoreUnknown=1;MAC=02:00:00:00:00:0f",
            "02:00:00:00:00:03",
        ),
    ];
    for (more, args, mac) in cases {
        let mut asked = conf.clone();
        wharfinger_suite::merge(&mut asked, &more);
        let container = world.container();
        let result = world.call("ADD", &asked).of(&container).env("CNI_ARGS", args).ok();
        let one = world.attached(container, &asked, result);
        assert_eq!(one.container.ns.link("eth0").mac, mac);
        let _ = one.call("CHECK").env("CNI_ARGS", args).ok();
        one.del();
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_force_address() {
    let world = World::new();
    world.host.ip("link add cni0 type bridge");
    world.host.ip("address add 10.1.255.254/16 dev cni0");
    let conf = world.conf("bridge", &json!({}));
    let refused = world.call("ADD", &conf).of(&world.container()).fails();
    assert!(refused.msg.contains("10.1.255.254"), "{refused:?}");
    world.assert_nothing_left();
    let one = world.attach(&world.conf("bridge", &json!({ "forceAddress": true })));
    assert_eq!(world.host.link("cni0").addresses, ["10.1.0.1/16"]);
    end(&world, &[&one]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn bridge_masquerade() {
    let world = World::new();
    let wan = outside(&world);
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let plain = world.attach(&world.conf("bridge", &json!({ "ipam": ipam })));
    assert!(plain.container.ns.is_cut_off_from("203.0.113.2"), "not translated: no answer");
    let conf = world.conf("bridge", &json!({ "ipam": ipam, "ipMasq": true }));
    let (one, two) = live(&world, &conf, &["10.1.0.1"]);
    assert!(one.container.ns.pings("203.0.113.2"));
    assert!(one.container.ns.pings("2001:db8::2"));
    assert!(
        plain.container.ns.is_cut_off_from("203.0.113.2"),
        "another attachment's rule is not ours"
    );
    drop(wan);
    end(&world, &[&one, &two, &plain]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn ptp_dual_masquerade() {
    let world = World::new();
    let _wan = outside(&world);
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let conf = world.conf("ptp", &json!({ "ipam": ipam, "ipMasq": true, "mtu": 1400 }));
    let (one, two) = live(&world, &conf, &["10.1.0.1", "fd00:1::1"]);
    assert!(one.container.ns.pings("203.0.113.2"));
    assert!(one.container.ns.pings("2001:db8::2"));
    assert_eq!(one.container.ns.link("eth0").mtu, 1400);
    assert_eq!(world.host.link(&one.host_link()).mtu, 1400);
    end(&world, &[&one, &two]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn loopback() {
    let world = World::new();
    let conf = world.conf("loopback", &json!({}));
    let container = world.container();
    container.ns.ip("link set lo down");
    let call =
        |verb: &str, conf: &Value| world.call(verb, conf).of(&container).env("CNI_IFNAME", "lo");
    let result = call("ADD", &conf).ok();
    assert!(container.ns.link("lo").up);
    assert_eq!(strings(&result, &["interfaces"], "name"), ["lo"]);
    assert!(strings(&result, &["ips"], "address").contains(&"127.0.0.1/8".to_owned()));
    let mut with_result = conf.clone();
    wharfinger_suite::merge(&mut with_result, &json!({ "prevResult": result }));
    let _ = call("CHECK", &with_result).ok();
    assert_eq!(call("DEL", &with_result).ok(), Value::Null);
    assert_eq!(call("DEL", &conf).ok(), Value::Null);
    world.assert_nothing_left();
}

/// A link made by us says whose it is, and its MAC address is not one for udev to rewrite.
#[test]
#[ignore = "needs root: ring netns"]
fn host_links_carry_their_owner() {
    let world = World::new();
    let one = world.attach(&world.conf("bridge", &json!({})));
    let link = world.host.link(&one.host_link());
    assert!(link.alias.contains(&format!("pods/{}/eth0", one.container.id)), "{}", link.alias);
    let digits = link.name.strip_prefix("veth").expect("veth...");
    assert!(digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{}", link.name);
    let shown = format!("/sys/class/net/{}/addr_assign_type", link.name);
    let assigned = world.host.run(&["cat", &shown]);
    assert_eq!(assigned.trim(), "3", "set by user space (NET_ADDR_SET)");
    end(&world, &[&one]);
}

/// A segment beside the host, where a gateway is: `seg0` is the host's link to it.
fn segment(world: &World) -> Netns {
    let beside = Netns::new("beside");
    world.host.ip(&format!("link add seg0 type veth peer name seg1 netns {}", beside.name()));
    world.host.ip("link set seg0 up");
    beside.ip("address add 10.1.0.1/16 dev seg1");
    beside.ip("address add fd00:1::1/64 dev seg1 nodad");
    beside.ip("link set seg1 up");
    beside
}

#[test]
#[ignore = "needs root: ring netns"]
fn macvlan_dual() {
    let world = World::new();
    let _beside = segment(&world);
    let ipam = world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let conf = world.conf("macvlan", &json!({ "master": "seg0", "ipam": ipam }));
    let (one, two) = live(&world, &conf, &["10.1.0.1", "fd00:1::1"]);
    assert_eq!(strings(&one.result, &["interfaces"], "name"), ["eth0"]);
    end(&world, &[&one, &two]);
}

/// Pain F2, with the whole executable.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f2_macvlan_with_host_access() {
    let world = World::new();
    let _beside = segment(&world);
    world.host.ip("address add 10.1.0.200/16 dev seg0");
    let conf = world.conf("macvlan", &json!({ "master": "seg0", "hostAccess": true }));
    let (one, two) = live(&world, &conf, &["10.1.0.200"]);
    assert!(world.host.pings(&one.v4()) && world.host.pings(&two.v4()));
    end(&world, &[&one, &two]);
}

/// Pain B7, with the whole executable: who is told to have the address is the neighbour, and the
/// next attempt gets another.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b7_macvlan_beside_a_squatter() {
    let world = World::new();
    let beside = segment(&world);
    beside.ip("address add 10.1.0.2/16 dev seg1");
    let ipam = json!({ "type": "host-local", "subnet": "10.1.0.0/16", "rangeStart": "10.1.0.2" });
    let conf = world.conf("macvlan", &json!({ "master": "seg0", "ipam": ipam }));
    let container = world.container();
    let failure = world.call("ADD", &conf).of(&container).fails();
    let mac = beside.link("seg1").raw["address"].as_str().expect("a MAC address").to_owned();
    assert!(failure.msg.contains("10.1.0.2") && failure.msg.contains(&mac), "{}", failure.msg);
    let one = world.attach_it(container, &conf);
    assert_eq!(one.v4(), "10.1.0.3");
    one.del();
}

#[test]
#[ignore = "needs root: ring netns"]
fn tap_is_there_for_a_program() {
    let world = World::new();
    let conf = world.conf("tap", &json!({ "owner": 1000, "mac": "02:00:00:00:00:07" }));
    let one = world.attach(&conf);
    one.check();
    assert_eq!(strings(&one.result, &["interfaces"], "mac"), ["02:00:00:00:00:07"]);
    assert_eq!(one.container.ns.link("eth0").kind, "tun");
    end(&world, &[&one]);
}

/// The device is home again after each DEL, also where the namespace is gone.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a2_defect_15_host_device_is_lent_and_given_back() {
    let world = World::new();
    let _beside = segment(&world);
    let conf = world.conf("host-device", &json!({ "device": "seg0" }));
    let one = world.attach(&conf);
    one.check();
    assert!(one.container.ns.pings("10.1.0.1"));
    assert!(world.links().iter().all(|link| link.name != "seg0"), "it is lent");
    let failure = world.call("ADD", &conf).of(&world.container()).fails();
    assert!(failure.msg.contains("seg0"), "{}", failure.msg);
    end(&world, &[&one]);
    let home = world.host.link("seg0");
    assert!(home.alias.is_empty() && !home.up && home.addresses.is_empty(), "{home:?}");
}

/// What the benchmark measures against makes an attachment as ours does, by the same names, or it would
/// measure nothing.
#[test]
#[ignore = "needs root: ring netns"]
fn the_floor_of_the_benchmark_attaches_and_detaches() {
    const FLOOR: &str = env!("CARGO_BIN_EXE_floor");
    let world = World::new();
    let one = world.attach(&world.conf("bridge", &json!({ "ipMasq": true })));
    let bare = Netns::new("bare");
    let path = bare.path();
    let floor = |verb| {
        let network = ["10.1.255.250/16", "10.1.0.1", "--masq"];
        world.host.run(&[&[FLOOR, verb, "cni0", &path, "eth0"], &network[..]].concat());
    };
    floor("add");
    assert!(bare.pings(&one.v4()) && world.rules().contains("10.1.255.250"));
    floor("del");
    assert!(bare.links().iter().all(|link| link.name == "lo"));
    end(&world, &[&one]);
}
