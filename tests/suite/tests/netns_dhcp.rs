//! Addresses by DHCP, from servers as people have them: Debian's dnsmasq and ISC's dhcpd.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Lan, Renewer, World, eventually, strings};

fn conf(world: &World) -> Value {
    world.conf(
        "bridge",
        &json!({
            "isGateway": false,
            "ipam": { "type": "dhcp", "provide": [
                { "option": "host-name", "fromArg": "K8S_POD_NAME" },
                { "option": "60", "value": "wharf" },
            ] },
        }),
    )
}

/// The container's address as it is now; none where it has none.
fn address(attached: &Attached<'_>) -> Option<Ipv4Addr> {
    let addresses = attached.container.ns.link("eth0").addresses;
    addresses.iter().find_map(|text| text.split('/').next()?.parse().ok())
}

fn octet(attached: &Attached<'_>) -> Option<u8> {
    address(attached).map(|address| address.octets()[2])
}

#[test]
#[ignore = "needs root: ring netns"]
fn two_containers_have_leases_and_give_them_back_without_anybody_else() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dnsmasq(1);
    let conf = conf(&world);
    let container = world.container();
    let result = world
        .call("ADD", &conf)
        .of(&container)
        .env("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAME=web-7")
        .ok();
    let one = world.attached(container, &conf, result);
    let two = world.attach(&conf);
    assert_ne!(one.v4(), two.v4());
    for attached in [&one, &two] {
        attached.check();
        assert_eq!(octet(attached), Some(1));
        let dns = &attached.result["dns"];
        assert_eq!(dns["nameservers"], json!(["10.77.0.53", "10.77.0.54"]));
        assert_eq!(dns["domain"], "example.org");
        assert_eq!(dns["search"], json!(["corp.example", "lab.example"]));
        assert_eq!(strings(&attached.result, &["ips"], "gateway"), ["10.77.0.1"]);
        assert!(attached.container.ns.routes().contains(&"default".to_owned()));
        assert!(attached.container.ns.pings("10.77.0.1"));
    }
    assert!(one.container.ns.pings(&two.v4()));
    let leases = lan.leases().join("\n");
    let id = |container: &str| -> String {
        let text = format!("{container}/pods/eth0");
        let bytes = std::iter::once(0).chain(text.bytes());
        bytes.map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
    };
    assert!(leases.contains(&id(&one.container.id)), "as the reference plugin: {leases}");
    assert!(leases.contains(" web-7 "), "{leases}");
    let held: Vec<Value> = world.ledger();
    assert!(held.iter().any(|row| row["addresses"] == json!([one.v4()])), "{held:?}");
    one.del();
    eventually("the server hears of the end", || lan.leases().len() == 1);
    two.del();
    eventually("the server hears of the end", || lan.leases().is_empty());
    one.del();
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f7_leases_are_renewed_and_outlive_whoever_renews_them() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dhcpd();
    let conf = conf(&world);
    let fails = world.call("STATUS", &conf).fails();
    assert_eq!(fails.code, 50, "{fails:?}");
    assert!(fails.msg.contains("nobody renews DHCP leases"), "{fails:?}");
    let attached = world.attach(&conf);
    assert_eq!(world.call("STATUS", &conf).fails().code, 51);
    let mut renewer = Renewer::new(&world);
    let _ = world.call("STATUS", &conf).ok();
    let given = lan.given();
    eventually("it is renewed", || lan.given() > given);
    renewer.kill();
    renewer.start();
    let given = lan.given();
    eventually("it is renewed by the next", || lan.given() > given);
    attached.check();
    assert_eq!(address(&attached).map(|a| a.to_string()), Some(attached.v4()));
    // The namespace goes while it is watched; what stays behind is for the DEL.
    let later = world.attach(&conf);
    later.del();
    attached.check();
    attached.del();
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn an_address_that_the_server_takes_back_is_replaced() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dhcpd();
    let _renewer = Renewer::new(&world);
    let attached = world.attach(&conf(&world));
    assert_eq!(octet(&attached), Some(9));
    lan.dnsmasq(2);
    eventually("it has another", || octet(&attached) == Some(2));
    assert_eq!(attached.container.ns.link("eth0").addresses.len(), 1);
    eventually("it is on the books", || {
        world
            .ledger()
            .iter()
            .any(|row| row["addresses"][0].as_str().is_some_and(|a| a.starts_with("10.77.2.")))
    });
    assert!(attached.container.ns.pings("10.77.0.1"));
    assert!(attached.container.ns.routes().contains(&"default".to_owned()));
    // The runtime knows another address: CHECK says so.
    let fails = attached.call("CHECK").fails();
    assert!(fails.msg.contains("10.77.2."), "{fails:?}");
    attached.del();
    eventually("the server hears of the end", || lan.leases().is_empty());
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_lease_that_ends_takes_the_address_with_it_until_there_is_another() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dhcpd();
    let _renewer = Renewer::new(&world);
    let conf = conf(&world);
    let attached = world.attach(&conf);
    assert_eq!(octet(&attached), Some(9));
    attached.check();
    // Longer than a lease: it was renewed.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(octet(&attached), Some(9));
    attached.check();
    lan.stop();
    eventually("the address goes", || address(&attached).is_none());
    eventually("CHECK says why", || attached.call("CHECK").fails().msg.contains("lease"));
    assert!(!attached.container.ns.routes().contains(&"default".to_owned()));
    lan.dnsmasq(3);
    eventually("another comes", || octet(&attached) == Some(3));
    assert!(attached.container.ns.pings("10.77.0.1"));
    attached.del();
    attached.del();
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn without_a_server_an_add_says_so_and_leaves_nothing() {
    let world = World::new();
    let _lan = Lan::new(&world);
    world.settings("deadline = 8\n");
    let conf = conf(&world);
    let container = world.container();
    let fails = world.call("ADD", &conf).of(&container).fails();
    assert_eq!(fails.code, 11, "{fails:?}");
    assert!(fails.msg.contains("no DHCP server answered within"), "{fails:?}");
    let left = container.ns.links();
    assert!(left.iter().all(|link| link.name == "lo"), "{left:?}");
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

/// C4: nobody knows of the lease, the server is gone, nobody renews, and the namespace too.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_c4_a_del_succeeds_whatever_became_of_the_lease() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dnsmasq(1);
    let conf = conf(&world);
    let never = world.container();
    assert_eq!(world.call("DEL", &conf).of(&never).ok(), Value::Null);
    let (mut one, two) = (world.attach(&conf), world.attach(&conf));
    lan.stop();
    two.del();
    one.dies();
    one.del();
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

/// The reference `bridge` makes the interface, and we ask for its address.
#[test]
#[ignore = "needs root: ring netns"]
fn another_main_plugin_has_us_ask() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dhcpd();
    let _renewer = Renewer::new(&world);
    let conf = json!({ "cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "ipam": { "type": "wharfinger", "plugin": "dhcp" } });
    let container = world.container();
    let path = world.long_cni_path();
    let result = world.call("ADD", &conf).of(&container).env("CNI_PATH", &path).ok();
    let attached = world.attached(container, &conf, result);
    assert_eq!(octet(&attached), Some(9));
    let _ = attached.call("CHECK").env("CNI_PATH", &path).ok();
    lan.dnsmasq(2);
    eventually("it has another", || octet(&attached) == Some(2));
    assert!(attached.container.ns.pings("10.77.0.1"));
    assert_eq!(attached.call("DEL").env("CNI_PATH", &path).ok(), Value::Null);
    assert!(world.ledger().is_empty());
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_macvlan_has_its_lease_from_the_segment_of_its_master() {
    let world = World::new();
    let mut lan = Lan::beside(&world);
    lan.dnsmasq(1);
    let conf = world.conf("macvlan", &json!({ "master": "up0", "ipam": { "type": "dhcp" } }));
    let (one, two) = (world.attach(&conf), world.attach(&conf));
    for attached in [&one, &two] {
        attached.check();
        assert_eq!(octet(attached), Some(1));
        assert_eq!(attached.result["dns"]["domain"], "example.org");
        assert!(attached.container.ns.pings("10.77.0.1"));
    }
    assert_ne!(one.v4(), two.v4());
    one.del();
    two.del();
    eventually("the server hears of the end", || lan.leases().is_empty());
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

/// As a unit and a configuration have it that were written for the reference plugin.
#[test]
#[ignore = "needs root: ring netns"]
fn under_the_reference_name_the_daemon_renews_and_the_plugin_asks() {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dhcpd();
    let (program, socket) = (world.text_path("bin/dhcp"), world.text_path("run/cni.sock"));
    std::os::unix::fs::symlink(world.path("bin/wharfinger"), &program).expect("a link");
    let net = format!("--net={}", world.host.path());
    let mut command = Command::new("nsenter");
    command.args([
        &net,
        &program,
        "daemon",
        "-broadcast",
        "-timeout",
        "2s",
        "-socketpath",
        &socket,
    ]);
    let process = command.envs(world.variables()).stdin(Stdio::null()).spawn();
    let _daemon = Renewer::of(&world, process.expect("the daemon starts"));
    eventually("it listens", || UnixStream::connect(&socket).is_ok());
    let conf = json!({ "cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "ipam": { "type": "dhcp", "daemonSocketPath": socket } });
    let container = world.container();
    let path = world.long_cni_path();
    let result = world.call("ADD", &conf).of(&container).env("CNI_PATH", &path).ok();
    let attached = world.attached(container, &conf, result);
    let given = lan.given();
    eventually("it is renewed", || lan.given() > given);
    let _ = attached.call("CHECK").env("CNI_PATH", &path).ok();
    assert_eq!(attached.call("DEL").env("CNI_PATH", &path).ok(), Value::Null);
    assert!(world.ledger().is_empty());
}

/// The ledger was lost: the runtime kept the result, and the address is asked for by name, not just
/// any. A server that does not know it any more takes it back.
#[test]
#[ignore = "needs root: ring netns"]
fn a_lease_that_was_lost_with_the_ledger_is_asked_for_again() {
    let mut world = World::new();
    world.own_runtime();
    let mut lan = Lan::new(&world);
    lan.dnsmasq(1);
    // Behind it another's, for which the result is kept.
    let plugins = json!([conf(&world), { "type": "portmap" }]);
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": plugins });
    let file = world.write("conf/10-pods.conflist", &list.to_string()).display().to_string();
    let container = world.container();
    let (id, netns) = (container.id.clone(), container.ns.path());
    let cli = |verb: &str| {
        let words = [verb, &file, "--container", &id, "--netns", &netns];
        let path = ["--cni-path", &world.long_cni_path()];
        world.cli_ok(&[&words[..], &path[..]].concat())
    };
    let result: Value = serde_json::from_str(&cli("add")).expect("a result");
    let attached = world.attached(container, &conf(&world), result);
    let asked = |what: &str| {
        let log = std::fs::read_to_string(world.path("etc/dnsmasq.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains(what)).count()
    };
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    let discovers = asked("DHCPDISCOVER");
    let _ = cli("check");
    let mut renewer = Renewer::new(&world);
    eventually("it is asked for", || asked("DHCPACK") == 2);
    assert_eq!(asked("DHCPDISCOVER"), discovers, "by its address");
    let _ = cli("check");
    assert_eq!(address(&attached).map(|a| a.to_string()), Some(attached.v4()));
    assert!(attached.container.ns.pings("10.77.0.1"));
    // Another loss; and the server has changed.
    renewer.kill();
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    lan.stop();
    let _ = std::fs::remove_file(world.path("etc/leases"));
    lan.dnsmasq(2);
    renewer.start();
    eventually("it has another", || octet(&attached) == Some(2));
    assert!(attached.container.ns.pings("10.77.0.1"));
    let _ = cli("del");
    eventually("the server hears of the end", || lan.leases().is_empty());
    world.host.ip("link del up0");
    world.assert_nothing_left();
}

/// All of them by one process with one thread, from leases that all end within seconds.
#[test]
#[ignore = "needs root: ring netns"]
fn many_leases_are_renewed_side_by_side() {
    const MANY: usize = 60;
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dhcpd();
    let renewer = Renewer::new(&world);
    let conf = conf(&world);
    let all: Vec<Attached<'_>> = (0..MANY).map(|_| world.attach(&conf)).collect();
    let given = lan.given();
    // Longer than a lease.
    std::thread::sleep(Duration::from_secs(8));
    assert!(lan.given() >= given + MANY, "{} after {given}", lan.given());
    for attached in &all {
        assert_eq!(address(attached).map(|a| a.to_string()), Some(attached.v4()));
        attached.check();
    }
    let process = renewer.process().expect("it runs");
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    assert_eq!(threads.count(), 1);
    for attached in &all {
        attached.del();
    }
    world.host.ip("link del up0");
    world.assert_nothing_left();
}
