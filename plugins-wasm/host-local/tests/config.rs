//! Configurations and what is made of them: the golden ones, and every refusal with its pointer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests"
)]

use host_local::config::{Config, Problem, read, too_many_for, with_runtime};
use serde_json::{Value, json};

fn good(config: &Value) -> Config {
    read(config).unwrap_or_else(|problems| panic!("{config}: {problems:?}"))
}

/// "first to last via gateway | ..." for each set.
fn sets(config: &Config) -> Vec<String> {
    let gateway = |g: Option<std::net::IpAddr>| g.map_or("none".to_owned(), |g| g.to_string());
    let member = |m: &host_local::config::Member| {
        format!("{} {} via {}", m.subnet, m.range, gateway(m.gateway))
    };
    config
        .sets
        .iter()
        .map(|set| set.members.iter().map(member).collect::<Vec<_>>().join(" | "))
        .collect()
}

fn problems(config: &Value) -> Vec<(String, String)> {
    let problems = read(config).expect_err(&config.to_string());
    problems.into_iter().map(|Problem { pointer, message }| (pointer, message)).collect()
}

/// The one problem.
fn problem(config: &Value) -> (String, String) {
    let problems = problems(config);
    assert_eq!(problems.len(), 1, "{config}: {problems:?}");
    problems.into_iter().next().unwrap()
}

#[test]
fn the_old_form_comes_before_ranges() {
    let config = good(&json!({
        "type": "host-local", "subnet": "10.1.0.0/16", "rangeStart": "10.1.0.10",
        "rangeEnd": "10.1.0.20", "gateway": "10.1.0.254",
        "ranges": [[{"subnet": "fd00::/64"}]]
    }));
    assert_eq!(
        sets(&config),
        [
            "10.1.0.0/16 10.1.0.10 to 10.1.0.20 via 10.1.0.254",
            "fd00::/64 fd00::1 to fd00::ffff:ffff:ffff:ffff via fd00::1",
        ]
    );
}

#[test]
fn defaults_leave_out_network_and_broadcast_and_take_the_first_as_gateway() {
    let config =
        good(&json!({"ranges": [[{"subnet": "10.1.0.0/30"}], [{"subnet": "fd00::/126"}]]}));
    assert_eq!(
        sets(&config),
        [
            "10.1.0.0/30 10.1.0.1 to 10.1.0.2 via 10.1.0.1",
            "fd00::/126 fd00::1 to fd00::3 via fd00::1",
        ]
    );
}

#[test]
fn keys_match_in_any_case_and_null_is_absent() {
    let config = good(&json!({
        "RANGES": null, "Subnet": "10.1.0.0/24", "RANGEstart": "10.1.0.5", "GATEWAY": null,
        "Routes": [{"DST": "0.0.0.0/0"}], "unknown": {"x": 1}
    }));
    assert_eq!(sets(&config), ["10.1.0.0/24 10.1.0.5 to 10.1.0.254 via 10.1.0.1"]);
    assert_eq!(config.routes.len(), 1);
}

#[test]
fn ipv4_inside_ipv6_is_ipv4() {
    let config = good(&json!({"subnet": "10.1.0.0/24", "gateway": "::ffff:10.1.0.9"}));
    assert_eq!(sets(&config), ["10.1.0.0/24 10.1.0.1 to 10.1.0.254 via 10.1.0.9"]);
}

#[test]
fn a_gateway_may_lie_elsewhere() {
    let config = good(&json!({"subnet": "10.1.0.0/24", "gateway": "10.9.9.9"}));
    assert_eq!(sets(&config), ["10.1.0.0/24 10.1.0.1 to 10.1.0.254 via 10.9.9.9"]);
}

#[test]
fn pain_b10_pools_are_alternatives_families_give_one_each_and_single_addresses_are_pools() {
    let by_name = good(&json!({"families": [
        {"pools": ["10.1.0.7", "10.1.0.9/32", {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.100"}]},
        {"pools": ["fd00::7", "fd00:1::/127"]}
    ]}));
    assert_eq!(
        sets(&by_name),
        [
            "10.1.0.7/32 10.1.0.7 via none | 10.1.0.9/32 10.1.0.9 via none | \
         10.2.0.0/24 10.2.0.100 to 10.2.0.254 via 10.2.0.1",
            "fd00::7/128 fd00::7 via none | fd00:1::/127 fd00:1:: to fd00:1::1 via none",
        ]
    );
    let by_reference = good(&json!({"ranges": [
        [{"subnet": "10.1.0.7/32"}, {"subnet": "10.1.0.9/32"},
         {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.100"}],
        [{"subnet": "fd00::7/128"}, {"subnet": "fd00:1::/127"}]
    ]}));
    assert_eq!(by_name, by_reference);
    let scattered = good(&json!({"ranges": [[
        {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.5", "rangeEnd": "10.2.0.5"},
        {"subnet": "10.2.0.0/24", "rangeStart": "10.2.0.9", "rangeEnd": "10.2.0.9"}
    ]]}));
    assert_eq!(
        sets(&scattered),
        ["10.2.0.0/24 10.2.0.5 via 10.2.0.1 | 10.2.0.0/24 10.2.0.9 via 10.2.0.1"]
    );
}

#[test]
fn pain_b10_what_is_wrong_with_pools_is_pointed_at() {
    assert_eq!(
        problem(&json!({"families": [{"pool": []}]})),
        ("/families/0".into(), "has no pools".into())
    );
    assert_eq!(
        problem(&json!({"families": [{"pools": ["10.1.0.7/24"]}]})),
        ("/families/0/pools/0".into(), "has host bits set: the network is 10.1.0.0/24".into())
    );
    assert_eq!(
        problem(&json!({"families": [{"pools": ["10.1.0.7", "fd00::1"]}]})).0,
        "/families/0/pools/1"
    );
}

#[test]
fn runtime_ranges_come_first() {
    let config = good(&json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]}));
    let network = json!({"runtimeConfig": {"ipRanges": [[{"subnet": "10.9.0.0/24"}]]}});
    assert_eq!(
        sets(&with_runtime(config.clone(), &network).unwrap()),
        [
            "10.9.0.0/24 10.9.0.1 to 10.9.0.254 via 10.9.0.1",
            "10.1.0.0/24 10.1.0.1 to 10.1.0.254 via 10.1.0.1",
        ]
    );
    assert_eq!(with_runtime(config.clone(), &json!({})).unwrap(), config);
    let clash = json!({"runtimeConfig": {"ipRanges": [[{"subnet": "10.1.0.128/25"}]]}});
    let clash = with_runtime(config.clone(), &clash).unwrap_err();
    assert!(clash[0].message.contains("overlaps"), "{clash:?}");
    let wrong = json!({"runtimeConfig": {"ipRanges": [[{"subnet": "x"}]]}});
    let wrong = with_runtime(config, &wrong).unwrap_err();
    assert_eq!(wrong[0].pointer, "/runtimeConfig/ipRanges/0/0/subnet");
}

#[test]
fn routes_keep_every_field_and_dns_is_copied() {
    let config = good(&json!({
        "subnet": "10.1.0.0/24",
        "routes": [{"dst": "10.9.0.0/16", "gw": "10.1.0.2", "mtu": 1400, "advmss": 1360,
                    "priority": 7, "table": 100, "scope": 253}, {"dst": "::/0"}],
        "dns": {"nameservers": ["10.1.0.53", "fd00::53"], "domain": "example.org",
                "search": ["a.example"], "options": ["ndots:2"]}
    }));
    let route = &config.routes[0];
    assert_eq!((route.mtu, route.advmss, route.priority), (Some(1400), Some(1360), Some(7)));
    assert_eq!((route.table, route.scope), (Some(100), Some(253)));
    assert_eq!(config.routes[1].gateway, None);
    assert_eq!(config.dns.nameservers.len(), 2);
    assert_eq!(config.dns.options, ["ndots:2"]);
}

#[test]
fn every_refusal_points_at_its_place() {
    for (config, pointer, message) in [
        (json!({"subnet": "10.1.0.7/24"}), "/subnet", "host bits set: the network is 10.1.0.0/24"),
        (json!({"subnet": 7}), "/subnet", "must be a string, found 7"),
        (json!({"subnet": "10.1.0.0"}), "/subnet", "must be a network"),
        (json!({"ranges": {}}), "/ranges", "must be a list"),
        (json!({"ranges": [{}]}), "/ranges/0", "must be a list"),
        (json!({"ranges": [[]]}), "/ranges/0", "needs at least one range"),
        (json!({"ranges": [[{}]]}), "/ranges/0/0", "has no subnet"),
        (json!({"ranges": [[{"subnet": "x"}]]}), "/ranges/0/0/subnet", "found \"x\""),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]}),
            "/ranges/0/0/rangeStart",
            "10.2.0.1 is not in 10.1.0.0/24",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "fd00::1"}]]}),
            "/ranges/0/0/rangeEnd",
            "another family",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}]]}),
            "/ranges/0/0",
            "starts at 10.1.0.9, above its end 10.1.0.8",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.01"}]]}),
            "/ranges/0/0/gateway",
            "must be an IP address",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}),
            "/ranges/0/1",
            "another family",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.128/25"}]]}),
            "/ranges/0/1",
            "overlaps 10.1.0.1 to 10.1.0.254",
        ),
        (
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.128/25"}]]}),
            "/ranges/1",
            "overlaps",
        ),
        (
            json!({"subnet": "10.1.0.0/24", "ranges": [[{"subnet": "10.1.0.0/25"}]]}),
            "/ranges/0",
            "overlaps",
        ),
        (json!({"routes": [{"gw": "10.1.0.1"}]}), "/routes/0", "has no dst"),
        (json!({"routes": [{"dst": "10.1.0.1/24"}]}), "/routes/0/dst", "10.1.0.0/24"),
        (
            json!({"routes": [{"dst": "0.0.0.0/0", "gw": "fd00::1"}]}),
            "/routes/0/gw",
            "another family",
        ),
        (json!({"routes": [{"dst": "0.0.0.0/0", "mtu": -1}]}), "/routes/0/mtu", "whole number"),
        (json!({"routes": [{"dst": "0.0.0.0/0", "scope": 256}]}), "/routes/0/scope", "0 to 255"),
        (json!({"exclude": ["10.1.0.0/24", "x"]}), "/exclude/1", "must be a network or an address"),
        (json!({"dns": {"nameservers": ["ns.example"]}}), "/dns/nameservers/0", "an IP address"),
        (json!([]), "", "must be an object"),
    ] {
        let found = problem(&config);
        assert_eq!(found.0, pointer, "{config}: {}", found.1);
        assert!(found.1.contains(message), "{config}: {}", found.1);
    }
}

#[test]
fn all_problems_come_at_once() {
    let found = problems(&json!({
        "subnet": "10.1.0.7/24", "ranges": [[{"subnet": "x"}], [{}]], "routes": [{}], "dns": 1
    }));
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/subnet", "/ranges/0/0/subnet", "/ranges/1/0", "/routes/0", "/dns"]);
}

#[test]
fn old_versions_have_room_for_one_address_of_each_family() {
    let two = good(&json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]]}));
    let dual = good(&json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]}));
    let old = json!({"cniVersion": "0.2.0"});
    assert!(too_many_for(&two, &old).is_some());
    assert!(too_many_for(&dual, &old).is_none());
    assert!(too_many_for(&two, &json!({"cniVersion": "0.3.0"})).is_none());
}
