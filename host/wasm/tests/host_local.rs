//! The built-in component through the engine, against a book in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::LazyLock;

use support::{MemBook, guest, ipam, node, request};
use wharfinger_wasm::{Error, Ipam, IpamPlugin, Limits, Reason};

static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| guest("plugins-wasm/host-local"));

fn host_local() -> IpamPlugin {
    ipam("host-local", &WASM, &Limits::default())
}

const DUAL: &str = r#"{
    "type": "host-local",
    "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64", "gateway": "fd00::ff"}]],
    "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.9", "mtu": 1400,
               "advmss": 1360, "priority": 7, "table": 100, "scope": 253}],
    "dns": {"nameservers": ["10.1.0.53"], "domain": "example.org", "search": ["a.example"],
            "options": ["ndots:2"]}
}"#;

/// "address via gateway" for each, of one more attachment.
fn next(plugin: &IpamPlugin, config: &str, wanted: &[&str], book: &mut MemBook) -> Vec<String> {
    let lease = plugin.allocate(&node(), &request(config, wanted), book).unwrap();
    book.commit();
    lease
        .addresses
        .iter()
        .map(|a| a.gateway.map_or(a.address.to_string(), |g| format!("{} via {g}", a.address)))
        .collect()
}

fn failure(
    plugin: &IpamPlugin,
    config: &str,
    wanted: &[&str],
    book: &mut MemBook,
) -> (Reason, String) {
    match plugin.allocate(&node(), &request(config, wanted), book) {
        Err(Error::Failed { reason, message, call: "allocate", .. }) => (reason, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_families_with_routes_and_dns() {
    let plugin = host_local();
    let lease = plugin.allocate(&node(), &request(DUAL, &[]), &mut MemBook::default()).unwrap();
    let addresses: Vec<String> = lease.addresses.iter().map(|a| a.address.to_string()).collect();
    assert_eq!(addresses, ["10.1.0.2/16", "fd00::1/64"]);
    assert_eq!(lease.addresses[1].gateway, Some("fd00::ff".parse().unwrap()));
    assert_eq!(lease.routes[0].dst.to_string(), "0.0.0.0/0");
    assert_eq!(lease.routes[0].gw, None);
    let full = &lease.routes[1];
    assert_eq!(full.gw, Some("10.1.0.9".parse().unwrap()));
    assert_eq!((full.mtu, full.advmss, full.priority), (Some(1400), Some(1360), Some(7)));
    assert_eq!((full.table, full.scope), (Some(100), Some(253)));
    assert_eq!(lease.dns.nameservers, ["10.1.0.53"]);
    assert_eq!(lease.dns.domain, "example.org");
    assert_eq!(lease.dns.options, ["ndots:2"]);
}

#[test]
fn one_after_the_other_until_the_range_is_full() {
    let plugin = host_local();
    let config = r#"{"subnet": "10.1.0.0/29", "rangeStart": "10.1.0.3", "gateway": "10.1.0.4"}"#;
    let mut book = MemBook::default();
    for wanted in ["10.1.0.3", "10.1.0.5", "10.1.0.6"] {
        assert_eq!(next(&plugin, config, &[], &mut book), [format!("{wanted}/29 via 10.1.0.4")]);
    }
    assert_eq!(
        failure(&plugin, config, &[], &mut book),
        (Reason::Exhausted, "no address is free in 10.1.0.0/29 (10.1.0.3 to 10.1.0.6)".to_owned())
    );
    book.held.remove(&"10.1.0.5".parse().unwrap());
    assert_eq!(next(&plugin, config, &[], &mut book), ["10.1.0.5/29 via 10.1.0.4"]);
}

#[test]
fn wanted_addresses_are_given_or_refused() {
    let plugin = host_local();
    let mut book = MemBook::default();
    assert_eq!(
        next(&plugin, DUAL, &["fd00::7", "10.1.9.9"], &mut book),
        ["10.1.9.9/16 via 10.1.0.1", "fd00::7/64 via fd00::ff"]
    );
    let (reason, message) = failure(&plugin, DUAL, &["10.1.9.9"], &mut book);
    assert_eq!(reason, Reason::Conflict);
    assert_eq!(message, "10.1.9.9 was asked for, but is held by pods/c0/eth0");
    let (reason, message) = failure(&plugin, DUAL, &["10.2.0.1"], &mut book);
    assert_eq!(reason, Reason::Conflict);
    assert!(message.contains("lies in none of 10.1.0.0/16"), "{message}");
}

#[test]
fn pain_g2_all_of_an_ipv6_range_is_usable_whatever_its_size() {
    let plugin = host_local();
    for (subnet, wanted) in [
        ("fd00::/64", "fd00::ffff:ffff:ffff:ffff/64"),
        ("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/0"),
        ("fd00::/127", "fd00::1/127"),
    ] {
        let config = format!(r#"{{"ranges": [[{{"subnet": "{subnet}", "gateway": "fe80::1"}}]]}}"#);
        let last = wanted.split('/').next().unwrap();
        if subnet == "::/0" {
            // Its last address is a multicast one, which no container can have.
            let request = request(&config, &[last]);
            let refused = plugin.allocate(&node(), &request, &mut MemBook::default());
            assert!(matches!(refused, Err(Error::BadAnswer { .. })), "{refused:?}");
            continue;
        }
        let given = next(&plugin, &config, &[last], &mut MemBook::default());
        assert_eq!(given, [format!("{wanted} via fe80::1")]);
    }
}

#[test]
fn runtime_ranges_come_first() {
    let plugin = host_local();
    let mut request = request(r#"{"subnet": "10.1.0.0/24"}"#, &[]);
    request.network_config =
        r#"{"name": "pods", "runtimeConfig": {"ipRanges": [[{"subnet": "10.9.0.0/24"}]]}}"#.into();
    let lease = plugin.allocate(&node(), &request, &mut MemBook::default()).unwrap();
    let addresses: Vec<String> = lease.addresses.iter().map(|a| a.address.to_string()).collect();
    assert_eq!(addresses, ["10.9.0.2/24", "10.1.0.2/24"]);
}

#[test]
fn every_problem_of_a_configuration_has_its_pointer() {
    let plugin = host_local();
    assert_eq!(plugin.validate(&node(), DUAL).unwrap(), []);
    let problems = plugin
        .validate(
            &node(),
            r#"{"ranges": [[{"subnet": "10.1.0.7/24"}], [{"subnet": 7}]], "routes": 1}"#,
        )
        .unwrap();
    let pointers: Vec<&str> = problems.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/ranges/0/0/subnet", "/ranges/1/0/subnet", "/routes"]);
    let not_json = plugin.validate(&node(), "{").unwrap();
    assert!(not_json[0].message.starts_with("not JSON"), "{not_json:?}");
    let (reason, message) = failure(&plugin, "{}", &[], &mut MemBook::default());
    assert_eq!(reason, Reason::InvalidConfig);
    assert!(message.contains("no ranges"), "{message}");
}

#[test]
fn pools_are_the_range_sets() {
    let pools = host_local().pools(&node(), DUAL).unwrap();
    let shown: Vec<String> = pools
        .iter()
        .flat_map(|pool| pool.ranges.iter().map(|r| format!("{}: {} {}", pool.name, r.0, r.1)))
        .collect();
    assert_eq!(
        shown,
        ["10.1.0.0/16: 10.1.0.1 10.1.255.254", "fd00::/64: fd00::1 fd00::ffff:ffff:ffff:ffff",]
    );
}
