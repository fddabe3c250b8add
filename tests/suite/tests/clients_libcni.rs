//! libcni's own cnitool, with our executable alone and with the reference's after it; and the
//! reference bridge with our executable for its addresses.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Container, Mounts, World, strings};

const CAPABILITIES: &str =
    r#"{"portMappings":[{"hostPort":18080,"containerPort":80,"protocol":"tcp"}]}"#;

/// cnitool on this machine.
fn cnitool(mounts: &Mounts<'_>, words: &[&str]) -> std::process::Output {
    let mut all = vec!["/opt/cni/bin/cnitool"];
    all.extend(words);
    let mut command = mounts.command(&all);
    command.env("NETCONFPATH", "/etc/cni/net.d").env("CAP_ARGS", CAPABILITIES);
    command.output().expect("cnitool")
}

#[track_caller]
fn works(mounts: &Mounts<'_>, verb: &str, container: &Container) -> String {
    let output = cnitool(mounts, &[verb, "pods", &container.ns.path()]);
    assert!(output.status.success(), "cnitool {verb}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// add, check, status, del; add, gc: with this list.
fn all_verbs(world: &World, plugins: &Value) {
    let mounts = Mounts::new(world);
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": plugins });
    mounts.configure("10-pods.conflist", &list);
    let (one, two) = (world.container(), world.container());
    works(&mounts, "status", &one);
    for container in [&one, &two] {
        let result: Value =
            serde_json::from_str(&works(&mounts, "add", container)).expect("a result");
        assert_eq!(strings(&result, &["ips"], "address").len(), 1, "{result}");
        works(&mounts, "check", container);
    }
    let address = two.ns.link("eth0").addresses.first().expect("one").replace("/16", "");
    assert!(one.ns.pings(&address));
    works(&mounts, "status", &one);
    works(&mounts, "del", &one);
    works(&mounts, "del", &one);
    assert_eq!(world.ledger().len(), 1);
    works(&mounts, "check", &two);
    // cnitool lists nothing as valid: all goes.
    works(&mounts, "gc", &two);
    assert!(two.ns.links().iter().all(|link| link.name != "eth0"));
    works(&mounts, "del", &two);
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root and cnitool: ring clients"]
fn cnitool_with_ours_alone() {
    let world = World::new();
    all_verbs(&world, &json!([world.conf("bridge", &json!({ "ipMasq": true }))]));
}

#[test]
#[ignore = "needs root and cnitool: ring clients"]
fn cnitool_with_the_reference_chained_after_ours() {
    let world = World::new();
    let plugins = json!([
        world.conf("bridge", &json!({ "ipMasq": true })),
        { "type": "portmap", "capabilities": { "portMappings": true } },
        {
            "type": "tuning", "mtu": 1400, "dataDir": world.path("data/tuning"),
            "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" },
        },
        { "type": "firewall", "backend": "iptables" },
    ]);
    all_verbs(&world, &plugins);
}

/// The book is lost, and rebuilt with what the runtime remembers: nothing is given twice.
#[test]
#[ignore = "needs root and cnitool: ring clients"]
fn cnitool_after_the_book_was_lost() {
    let world = World::new();
    let mounts = Mounts::new(&world);
    let plugin = world.conf("bridge", &json!({ "ipMasq": true }));
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [plugin] });
    mounts.configure("10-pods.conflist", &list);
    let containers = [world.container(), world.container()];
    let [one, two] = &containers;
    works(&mounts, "add", one);
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    works(&mounts, "add", two);
    assert_ne!(one.ns.link("eth0").addresses, two.ns.link("eth0").addresses);
    for container in &containers {
        works(&mounts, "del", container);
    }
    world.assert_nothing_left();
}

/// The reference bridge asks us for addresses: an abbreviated result, and every verb.
#[test]
#[ignore = "needs root and cnitool: ring clients"]
fn reference_bridge_with_our_ipam() {
    let world = World::new();
    let ipam = json!({
        "type": "wharfinger", "plugin": "host-local",
        "ranges": [[{ "subnet": "10.1.0.0/16" }]], "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let bridge = json!({ "type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam });
    let mounts = Mounts::new(&world);
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [bridge] });
    mounts.configure("10-pods.conflist", &list);
    let (one, two) = (world.container(), world.container());
    works(&mounts, "status", &one);
    for container in [&one, &two] {
        works(&mounts, "add", container);
        works(&mounts, "check", container);
    }
    assert_eq!(world.ledger().len(), 2);
    let address = two.ns.link("eth0").addresses.first().expect("one").replace("/16", "");
    assert!(one.ns.pings(&address));
    for container in [&one, &one, &two] {
        works(&mounts, "del", container);
    }
    world.assert_nothing_left();
}

/// Our own command line runs the list as a runtime would.
#[test]
#[ignore = "needs root: ring clients"]
fn our_own_command_line() {
    let world = World::new();
    let plugin = world.conf("bridge", &json!({ "ipMasq": true }));
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [plugin] });
    world.write("conf/10-pods.conflist", &list.to_string());
    let conf_dir = world.text_path("conf");
    let container = world.container();
    let path = container.ns.path();
    let call = |verb: &str| {
        let mut words = vec![verb, "pods", "--conf-dir", &conf_dir];
        if !["status", "gc"].contains(&verb) {
            words.extend(["--netns", &path, "--container", &container.id]);
        }
        if verb == "gc" {
            let unsaid = world.cli(&words);
            assert!(!unsaid.status.success(), "what stays has to be said");
            words.push("--all");
        }
        let output = world.cli(&words);
        assert!(output.status.success(), "{verb}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let result: Value = serde_json::from_str(&call("add")).expect("a result");
    assert_eq!(strings(&result, &["ips"], "address").len(), 1, "{result}");
    assert!(container.ns.pings("10.1.0.1"));
    call("status");
    call("check");
    let shown = world.cli(&["ls"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&container.id), "{shown:?}");
    call("del");
    call("del");
    call("add");
    call("gc");
    world.assert_nothing_left();
}
