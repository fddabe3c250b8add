//! What people see when something fails: one line with what, for which network, and why.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Failure, Netns, World, merge, strings};

/// One short line; the details are compact JSON, or text.
#[track_caller]
fn readable(failure: &Failure, code: u64, words: &[&str]) {
    assert_eq!(failure.code, code, "{failure:?}");
    assert!(failure.msg.len() < 400, "long: {failure:?}");
    for word in words {
        let all = format!("{} {}", failure.msg, failure.details);
        assert!(all.contains(word), "{word} is not named: {failure:?}");
    }
    if failure.details.starts_with('{') {
        serde_json::from_str::<Value>(&failure.details).expect("details are JSON");
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_d4_pain_d5_a_code_for_each_cause() {
    let world = World::new();
    let small = world.conf("bridge", &json!({ "mtu": 1450, "ipam": world.ipam(&["10.1.0.0/30"]) }));
    let one = world.attach(&small);
    let add = |conf: &Value, args: &str| {
        let container = world.container();
        world.call("ADD", conf).of(&container).env("CNI_ARGS", args).fails()
    };
    // Exhausted, with counts: one address is there, and one is taken.
    readable(&add(&small, ""), 100, &["pods", "1"]);
    // Asked for by name, and held.
    let args = format!("IgnoreUnknown=1;IP={}", one.v4());
    readable(&add(&small, &args), 106, &[&one.v4(), &one.container.id]);
    // There already.
    let again = world.call("ADD", &small).of(&one.container).fails();
    readable(&again, 105, &["pods", &one.container.id, "eth0"]);
    // Changed.
    one.container.ns.ip("link set eth0 mtu 1200");
    readable(&one.call("CHECK").fails(), 107, &["1200"]);
    one.del();
    // The configuration: where, what was found.
    let bad = world.conf("bridge", &json!({ "mtu": "many" }));
    readable(&add(&bad, ""), 7, &["/mtu", "many"]);
    let bad = world.conf(
        "bridge",
        &json!({ "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/99" }]] } }),
    );
    readable(&add(&bad, ""), 7, &["/ranges/0/0/subnet", "10.1.0.0/99"]);
    let close = world.conf("bridge", &json!({ "isGatway": true }));
    readable(&add(&close, ""), 7, &["isGatway", "isGateway"]);
    // A driver and a component that are not there.
    let unknown = world.conf("bridge", &json!({ "driver": "brigde" }));
    readable(&add(&unknown, ""), 7, &["brigde", "bridge"]);
    let unknown = world.conf("bridge", &json!({ "ipam": { "type": "no-such-ipam" } }));
    let failure = add(&unknown, "");
    readable(&failure, failure.code, &["no-such-ipam"]);
    // The kernel refuses: what, of which object.
    let huge = world.conf("bridge", &json!({ "bridge": "cni7", "mtu": 70000 }));
    let failure = add(&huge, "");
    assert!([7, 104].contains(&failure.code), "{failure:?}");
    world.assert_nothing_left();
}

/// The namespace is none, gone, or the host's.
#[test]
#[ignore = "needs root: ring netns"]
fn namespaces_that_are_none() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let file = world.write("data/file", "").display().to_string();
    for path in ["/run/netns/no-such-namespace", &file, "/dev/null", &world.host.path()] {
        let failure = world.call("ADD", &conf).of(&world.container()).netns(path).fails();
        readable(&failure, 8, &[path]);
    }
    world.assert_nothing_left();
    assert!(world.links().iter().all(|link| link.name != "cni0"), "nothing was made");
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_d9_req_50_req_51_status_says_why() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/30"]) }));
    let status = |conf: &Value| world.call("STATUS", conf);
    assert_eq!(status(&conf).ok(), Value::Null);
    let one = world.attach(&conf);
    let full = status(&conf).fails();
    readable(&full, 50, &["pods", "1"]);
    let mut tolerant = conf.clone();
    merge(&mut tolerant, &json!({ "ipam": { "statusWhenFull": "ok" } }));
    assert_eq!(status(&tolerant).ok(), Value::Null);
    // A bad STATUS keeps nobody from asking for an ADD, or from a DEL.
    let args = "IgnoreUnknown=1";
    let wider = json!({ "name": "wide", "bridge": "cni1", "ipam": world.ipam(&["10.2.0.0/16"]) });
    let other = world.container();
    let wider = world.conf("bridge", &wider);
    let _ = world.call("ADD", &wider).of(&other).env("CNI_ARGS", args).ok();
    let _ = world.call("DEL", &wider).of(&other).ok();
    one.del();
    assert_eq!(status(&conf).ok(), Value::Null);
    world.assert_nothing_left();
    // The ledger cannot be written: a file stands where its directory should be.
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    world.write("run", "in the way");
    let failure = status(&conf).fails();
    assert!([50, 51].contains(&failure.code), "{failure:?}");
    readable(&failure, failure.code, &[&world.text_path("run")]);
    let add = world.call("ADD", &conf).of(&world.container()).fails();
    assert_eq!(add.code, 5, "{add:?}");
    readable(&add, add.code, &[&world.text_path("run")]);
    assert!(world.links().iter().all(|link| link.kind != "veth"));
}

/// What an ADD needs of the host and is not there, or is another's.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_d9_status_names_the_link_that_an_add_would_need() {
    let world = World::new();
    let status = |conf: &Value| world.call("STATUS", conf);
    let on = |master: &str| world.conf("macvlan", &json!({ "master": master }));
    readable(&status(&on("uplink9")).fails(), 50, &["pods", "uplink9"]);
    world.host.ip("link add uplink9 type veth peer name other9");
    assert_eq!(status(&on("uplink9")).ok(), Value::Null);
    world.host.ip("link add cni0 type veth peer name p0");
    readable(&status(&world.conf("bridge", &json!({}))).fails(), 50, &["cni0", "veth"]);
}

/// Each verb in each version, and the result in exactly the version that was asked for.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_e1_every_version() {
    let world = World::new();
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", ""] {
        let conf = world.conf("bridge", &json!({ "cniVersion": version }));
        let container = world.container();
        let result = world.call("ADD", &conf).of(&container).ok();
        let effective = if version.is_empty() { "0.1.0" } else { version };
        shape(&result, effective);
        let mut with_result = conf.clone();
        merge(&mut with_result, &json!({ "prevResult": result }));
        let call = |verb: &str| world.call(verb, &with_result).of(&container);
        if effective < "0.4.0" {
            readable(&call("CHECK").fails(), 1, &[effective]);
        } else {
            assert_eq!(call("CHECK").ok(), Value::Null);
        }
        if effective < "1.1.0" {
            readable(&world.call("STATUS", &conf).fails(), 1, &[effective]);
            readable(&world.call("GC", &conf).fails(), 1, &[effective]);
        } else {
            assert_eq!(world.call("STATUS", &conf).ok(), Value::Null);
        }
        assert_eq!(call("DEL").ok(), Value::Null);
        world.assert_nothing_left();
    }
    let unknown = world.conf("bridge", &json!({ "cniVersion": "9.0.0" }));
    for verb in ["ADD", "CHECK", "DEL", "STATUS", "GC"] {
        let failure = world.call(verb, &unknown).of(&world.container()).fails();
        readable(&failure, 1, &["9.0.0", "1.1.0"]);
    }
}

fn shape(result: &Value, version: &str) {
    assert_eq!(result.get("cniVersion"), Some(&json!(version)));
    match version {
        "0.1.0" | "0.2.0" => {
            assert!(result.get("ip4").and_then(|ip| ip.get("ip")).is_some(), "{result}");
            assert!(result.get("ips").is_none() && result.get("interfaces").is_none());
        }
        "0.3.0" | "0.3.1" | "0.4.0" => {
            assert_eq!(strings(result, &["ips"], "version"), ["4"]);
            assert!(result.get("dns").is_some());
        }
        _ => {
            assert!(strings(result, &["ips"], "version").is_empty(), "{result}");
            assert_eq!(strings(result, &["interfaces"], "name").len(), 3);
        }
    }
}

/// An IPv6 address of a veth is no matter for duplicate address detection: it can be used when
/// ADD returns.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f1_ipv6_is_ready_when_add_returns() {
    let world = World::new();
    for driver in ["bridge", "ptp"] {
        let conf = world.conf(driver, &json!({ "ipam": world.ipam(&["fd00:1::/64"]) }));
        let one = world.attach(&conf);
        let shown = one.container.ns.ip("-6 address show dev eth0 scope global");
        assert!(shown.contains(&one.v6()) && !shown.contains("tentative"), "{shown}");
        let ping = ["ping", "-n", "-c", "1", "-W", "5", "-I", &one.v6(), &one.v6()];
        assert!(one.container.ns.try_run(&ping).status.success(), "bound at once");
        one.del();
    }
    world.assert_nothing_left();
}

/// One MTU for both ends and the bridge; an existing bridge with another is an error that names
/// both.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f11_one_mtu() {
    let world = World::new();
    for (number, mtu) in [1400, 1500, 9000].into_iter().enumerate() {
        let bridge = format!("cni{number}");
        let net = format!("10.{}.0.0/16", 10 + number);
        let more = json!({
            "name": format!("net{number}"), "bridge": bridge, "mtu": mtu,
            "ipam": world.ipam(&[&net]),
        });
        let conf = world.conf("bridge", &more);
        let (one, two) = (world.attach(&conf), world.attach(&conf));
        assert_eq!(one.container.ns.link("eth0").mtu, mtu);
        assert_eq!(world.host.link(&one.host_link()).mtu, mtu);
        assert_eq!(world.host.link(&bridge).mtu, mtu);
        let mut smaller = conf.clone();
        merge(&mut smaller, &json!({ "mtu": 1300 }));
        let refused = world.call("ADD", &smaller).of(&world.container()).fails();
        readable(&refused, refused.code, &[&bridge, "1300", &mtu.to_string()]);
        let size = (mtu - 28).to_string();
        let whole = ["ping", "-n", "-c", "2", "-W", "2", "-M", "do", "-s", &size, &two.v4()];
        assert!(one.container.ns.try_run(&whole).status.success(), "a packet of {mtu} bytes");
        one.del();
        two.del();
    }
    world.assert_nothing_left();
}

/// The name of a bridge is taken by a link of another kind.
#[test]
#[ignore = "needs root: ring netns"]
fn bridge_that_is_none() {
    let world = World::new();
    let peer = Netns::new("peer");
    world.host.ip(&format!("link add cni0 type veth peer name p0 netns {}", peer.name()));
    let failure =
        world.call("ADD", &world.conf("bridge", &json!({}))).of(&world.container()).fails();
    readable(&failure, failure.code, &["cni0", "bridge"]);
    world.assert_nothing_left();
}
