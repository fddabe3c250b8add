//! What matches, what is said, what is set.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    reason = "tests"
)]

mod support;

use rules::decide::Verdict;
use rules::facts::Mapping;
use serde_json::{Value, json};
use support::{Add, MemStore, add, patch, reason};

fn deny(when: Value) -> Value {
    json!({"rules": [{"match": when, "deny": "no"}]})
}

/// Whether this configuration of a rule denies.
fn denied(when: &Value, add: &Add) -> bool {
    match add.admit(&deny(when.clone())) {
        Verdict::Deny(said) => {
            assert_eq!(said, "no (/rules/0)", "{when} {}", add.network);
            true
        }
        Verdict::Allow => false,
        other @ Verdict::Amend(_) => panic!("{other:?}"),
    }
}

fn ports(list: Value) -> Add {
    add(json!({"runtimeConfig": {"portMappings": list}}))
}

#[test]
fn names_match_by_patterns() {
    let it = add(json!({}));
    for (when, holds) in [
        (json!({}), true),
        (json!({"namespace": "team-a"}), true),
        (json!({"namespace": "team-?"}), true),
        (json!({"namespace": "team-b"}), false),
        (json!({"namespace": ["kube-*", "team-*"]}), true),
        (json!({"namespace": {"not": "kube-*"}}), true),
        (json!({"namespace": {"not": ["kube-*", "team-*"]}}), false),
        (json!({"namespace": ["x", {"not": "y"}]}), true),
        (json!({"namespace": "team-a", "pod": "db-*"}), false),
        (json!({"namespace": "team-a", "pod": "web-*"}), true),
        (json!({"network": "pods", "interface": "eth*"}), true),
        (json!({"network": "storage"}), false),
        (json!({"not": {"namespace": "team-a"}}), false),
        (json!({"not": {"namespace": "team-a", "pod": "db-*"}}), true),
        (json!({"not": {"not": {"network": "pods"}}}), true),
    ] {
        assert_eq!(denied(&when, &it), holds, "{when}");
    }
}

#[test]
fn without_a_pod_no_name_of_one_matches() {
    let mut it = add(json!({}));
    it.attachment.pod = None;
    assert!(!denied(&json!({"namespace": "*"}), &it));
    assert!(!denied(&json!({"namespace": {"not": "kube-*"}}), &it));
    assert!(denied(&json!({"not": {"namespace": "*"}}), &it));
}

#[test]
fn arguments_and_annotations_match_by_name() {
    let mut it = add(json!({})).arg("TIER", "gold").arg("TIER", "tin");
    it.pod = json!({
        "args": {"n": 7, "list": [1], "TIER": "copper"},
        "annotations": {"example.com/zone": "west", "empty": ""}
    });
    for (when, holds) in [
        (json!({"args": {"TIER": "gold"}}), true),
        (json!({"args": {"TIER": "tin"}}), true),
        (json!({"args": {"TIER": "lead"}}), false),
        (json!({"args": {"tier": "gold"}}), false),
        (json!({"args": {"TIER": "gold", "OTHER": "*"}}), false),
        (json!({"args": {"n": "7"}}), true),
        (json!({"args": {"list": "*1*"}}), true),
        (json!({"annotations": {"example.com/zone": "w*"}}), true),
        (json!({"annotations": {"example.com/zone": {"not": "west"}}}), false),
        (json!({"annotations": {"empty": "*"}}), true),
        (json!({"annotations": {"absent": "*"}}), false),
    ] {
        assert_eq!(denied(&when, &it), holds, "{when}");
    }
}

#[test]
fn host_ports_match_by_number_and_whole_mappings_by_all_of_it() {
    let it = ports(json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "TCP"},
        {"HostPort": 53, "ContainerPort": 5353, "Protocol": "udp", "HostIP": "192.0.2.7"},
        {"hostPort": 0, "containerPort": 1}
    ]));
    for (when, holds) in [
        (json!({"hostPort": 8080}), true),
        (json!({"hostPort": 8081}), false),
        (json!({"hostPort": {"below": 1024}}), true),
        (json!({"hostPort": {"below": 53}}), false),
        (json!({"hostPort": {"above": 8080}}), false),
        (json!({"hostPort": {"above": 8079}}), true),
        (json!({"hostPort": {"above": 53, "below": 8080}}), false),
        (json!({"hostPort": {"not": [8080, 53]}}), false),
        (json!({"hostPort": {"not": {"above": 1023}}}), true),
        (json!({"hostPortBelow": 1024}), true),
        (json!({"hostPortAbove": 9000}), false),
        (json!({"portMapping": {"hostPort": 53, "protocol": "udp"}}), true),
        (json!({"portMapping": {"hostPort": 53, "protocol": "TCP"}}), false),
        (json!({"portMapping": {"protocol": "tcp", "hostIP": "0.0.0.0"}}), true),
        (json!({"portMapping": {"hostIP": "192.0.2.0/24"}}), true),
        (json!({"portMapping": {"hostPort": 8080, "hostIP": "192.0.2.0/24"}}), false),
        (json!({"portMapping": {"containerPort": {"above": 5000}}}), true),
        (json!({"portMapping": [{"containerPort": 1}, {"containerPort": 80}]}), true),
    ] {
        assert_eq!(denied(&when, &it), holds, "{when}");
    }
    assert!(!denied(&json!({"hostPort": {"not": 80}}), &add(json!({}))));
}

#[test]
fn requested_addresses_match_wherever_they_are_asked_for() {
    let asked = [
        add(json!({"runtimeConfig": {"ips": ["10.9.0.7/16"]}})),
        add(json!({"RuntimeConfig": {"IPs": ["::ffff:10.9.0.7"]}})),
        add(json!({"args": {"cni": {"ips": ["10.9.0.7"]}}})),
        add(json!({})).arg("IP", "10.1.0.1, 10.9.0.7/24"),
        add(json!({"delegate": {"runtimeConfig": {"ips": ["10.9.0.7"]}}})),
    ];
    for it in &asked {
        assert!(denied(&json!({"requestedAddress": "10.9.0.0/16"}), it), "{}", it.network);
        assert!(denied(&json!({"requestedAddress": "10.9.0.7"}), it));
        assert!(denied(&json!({"requestedAddress": {"not": "10.1.0.0/16"}}), it));
        assert!(!denied(&json!({"requestedAddress": ["10.8.0.0/16", "::/0"]}), it));
    }
    assert!(!denied(&json!({"requestedAddress": {"not": "10.1.0.0/16"}}), &add(json!({}))));
    assert!(!denied(&json!({"requestedAddress": "0.0.0.0/0"}), &add(json!({})).arg("IP", "")));
}

#[test]
fn mac_addresses_match_in_one_spelling() {
    for it in [
        add(json!({"runtimeConfig": {"mac": "02:00:0A:01:00:05"}})),
        add(json!({"args": {"cni": {"mac": "02-00-0a-01-00-05"}}})),
        add(json!({"mac": "0200.0a01.0005"})),
        add(json!({})).arg("MAC", "02:00:0a:01:00:05"),
    ] {
        for pattern in ["02:00:0a:01:00:05", "02:00:0A:*", "02-00-0a-*"] {
            assert!(denied(&json!({"mac": pattern}), &it), "{pattern} {}", it.network);
        }
        assert!(!denied(&json!({"mac": "0a:*"}), &it));
    }
    assert!(!denied(&json!({"mac": "*"}), &add(json!({"runtimeConfig": {"mac": ""}}))));
}

#[test]
fn sysctls_match_in_either_spelling() {
    for it in [
        add(json!({"sysctl": {"net.core.somaxconn": "512", "net.ipv4.ip_forward": "1"}})),
        add(json!({"features": {"tuning": {"sysctl": {"net/ipv4/ip_forward": "1"}}}})),
        add(json!({"args": {"cni": {"sysctl": {"net..ipv4//ip_forward": "1"}}}})),
    ] {
        for pattern in ["net.ipv4.ip_forward", "net/ipv4/*", "*forward"] {
            assert!(denied(&json!({"sysctl": pattern}), &it), "{pattern} {}", it.network);
        }
        assert!(denied(&json!({"sysctl": {"not": "net.core.*"}}), &it));
        assert!(!denied(&json!({"sysctl": {"not": "net.*"}}), &it));
        assert!(!denied(&json!({"sysctl": "net.ipv6.*"}), &it));
    }
}

#[test]
fn rates_match_and_no_rate_is_none() {
    for it in [
        add(json!({"runtimeConfig": {"bandwidth": {"ingressRate": 2000, "egressRate": 0}}})),
        add(json!({"features": {"bandwidth": {"ingressRate": 2000}}})),
        add(json!({"IngressRate": 2000})),
    ] {
        assert!(denied(&json!({"ingressRate": {"above": 1999}}), &it), "{}", it.network);
        assert!(denied(&json!({"ingressRateAbove": 1999}), &it));
        assert!(!denied(&json!({"ingressRate": {"above": 2000}}), &it));
        assert!(!denied(&json!({"egressRate": {"below": 1}}), &it));
        assert!(denied(&json!({"not": {"egressRate": {"below": 1000}}}), &it));
    }
}

#[test]
fn routes_match_by_how_they_lie() {
    let it = add(json!({"ipam": {"routes": [{"dst": "10.1.2.0/24"}, {"dst": "fd00::/8"}]}}));
    for (when, holds) in [
        (json!("10.0.0.0/8"), true),
        (json!("10.1.2.0/24"), true),
        (json!("10.1.2.0/25"), false),
        (json!({"within": "10.2.0.0/16"}), false),
        (json!({"overlaps": "10.1.2.128/25"}), true),
        (json!({"overlaps": "10.2.0.0/16"}), false),
        (json!({"covers": "10.1.2.3"}), true),
        (json!({"covers": "0.0.0.0/0"}), false),
        (json!({"not": ["10.0.0.0/8", "fd00::/8"]}), false),
        (json!({"not": "10.0.0.0/8"}), true),
    ] {
        assert_eq!(denied(&json!({"route": when}), &it), holds, "{when}");
    }
    let delegate = add(json!({"delegate": {"ipam": {"routes": [{"dst": "0.0.0.0/0"}]}}}));
    assert!(denied(&json!({"route": {"covers": "0.0.0.0/0"}}), &delegate));
}

#[test]
fn the_design_pages_short_form_denies() {
    let config = json!({"deny": [{"hostPortBelow": 1024}]});
    let it = ports(json!([{"hostPort": 80, "containerPort": 80}]));
    assert_eq!(reason(it.admit(&config)), "not allowed: hostPort 80");
    let it = ports(json!([{"hostPort": 1024, "containerPort": 80}]));
    assert_eq!(it.admit(&config), Verdict::Allow);
}

#[test]
fn a_message_names_what_was_found() {
    let it = ports(json!([{"hostPort": 80, "containerPort": 80}]));
    let said = |message: &str, when: Value| {
        reason(it.admit(&json!({"rules": [{"match": when, "deny": message}]})))
    };
    let when = json!({"portMapping": {"hostPort": {"below": 1024}}, "namespace": "team-*"});
    assert_eq!(
        said("{pod} in {namespace} on {network}/{interface}: {found}; {not ours} {} {", when),
        "web-0 in team-a on pods/eth0: namespace team-a, hostPort 80/tcp; {not ours} {} {"
    );
    assert_eq!(said("{found}", json!({})), "every attachment");
    let it = add(json!({})).of(&"n".repeat(10_000), "{pod}");
    let config = json!({"rules": [{"deny": "{namespace} {pod}"}]});
    assert_eq!(reason(it.admit(&config)), format!("{}… {{pod}}", "n".repeat(200)));
}

#[test]
fn pain_d5_a_refusal_names_its_rule() {
    let it = add(json!({}));
    let config = json!({"rules": [{"match": {"pod": "x"}, "deny": "no"}, {"deny": "never"}]});
    assert_eq!(it.admit(&config), Verdict::Deny("never (/rules/1)".to_owned()));
    let config = json!({"deny": [{"pod": "web-*"}]});
    let said = "not allowed: pod web-0 (/deny/0)";
    assert_eq!(it.admit(&config), Verdict::Deny(said.to_owned()));
}

#[test]
fn the_first_rule_that_denies_ends_it_and_sets_add_up() {
    let config = json!({"rules": [
        {"set": {"mtu": 1400, "egressRate": 5000}},
        {"match": {"pod": "db-*"}, "deny": "first"},
        {"deny": "second", "match": {"pod": ["db-*", "web-9"]}},
        {"match": {"namespace": "team-a"}, "set": {"mtu": 1300, "ingressRate": 7000}},
    ]});
    assert_eq!(reason(add(json!({})).of("x", "db-1").admit(&config)), "first");
    assert_eq!(reason(add(json!({})).of("x", "web-9").admit(&config)), "second");
    assert_eq!(
        patch(add(json!({})).admit(&config)),
        json!({"mtu": 1300, "runtimeConfig": {"bandwidth": {
            "ingressRate": 7000, "ingressBurst": 7000, "egressRate": 5000, "egressBurst": 5000
        }}})
    );
    assert_eq!(patch(add(json!({})).of("x", "y").admit(&config)).get("mtu"), Some(&json!(1400)));
}

#[test]
fn a_rate_leaves_the_other_direction_as_it_stands() {
    let config = json!({"rules": [{"set": {"ingressRate": 9_000_000_000_u64}}]});
    let bandwidth = |network: Value| {
        let patch = patch(add(network).admit(&config));
        patch.pointer("/runtimeConfig/bandwidth").unwrap().clone()
    };
    let max = json!({"ingressRate": 9_000_000_000_u64, "ingressBurst": 4_294_967_295_u64});
    assert_eq!(bandwidth(json!({})), max);
    let both = json!({"ingressRate": 9_000_000_000_u64, "ingressBurst": 77,
        "egressRate": 5, "egressBurst": 6});
    let stands = json!({"ingressRate": 1, "ingressBurst": 77, "egressRate": 5, "egressBurst": 6});
    assert_eq!(bandwidth(json!({"features": {"bandwidth": stands}})), both);
    // The runtime's counts before the configuration's.
    let runtime = json!({"features": {"bandwidth": stands}, "runtimeConfig": {"bandwidth": {}}});
    assert_eq!(bandwidth(runtime), max);
}

#[test]
fn a_patch_is_spelled_as_the_configuration_is() {
    let network = json!({
        "MTU": 1500, "RuntimeConfig": {"IPs": ["10.1.0.1"]}, "IPAM": {"Routes": []}
    });
    let config = json!({"rules": [{"set": {
        "mtu": 1400, "address": "10.1.0.9", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}],
        "portMappings": [], "dns": {"nameservers": ["10.1.0.2"], "search": ["x"], "domain": "d"}
    }}]});
    assert_eq!(
        patch(add(network).admit(&config)),
        json!({
            "MTU": 1400,
            "RuntimeConfig": {"IPs": ["10.1.0.9"], "portMappings": []},
            "IPAM": {"Routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]},
            "dns": {"nameservers": ["10.1.0.2"], "search": ["x"], "domain": "d"}
        })
    );
}

#[test]
fn around_a_wrapped_plugin_its_configuration_is_set() {
    let network = json!({"delegate": {"type": "bridge", "ipam": {"ranges": [
        [{"subnet": "10.1.0.0/24"}, {"subnet": "10.2.0.0/24"}]
    ]}}});
    let config = json!({"rules": [{"set": {
        "mtu": 1400, "pool": "10.2.0.0/24", "address": "10.2.0.9"
    }}]});
    assert_eq!(
        patch(add(network).admit(&config)),
        json!({
            "delegate": {"mtu": 1400, "ipam": {"ranges": [[{"subnet": "10.2.0.0/24"}]]}},
            "runtimeConfig": {"ips": ["10.2.0.9"]}
        })
    );
}

#[test]
fn around_a_list_the_first_plugins_configuration_is_set() {
    let network = json!({"delegate": {"Plugins": [
        {"type": "bridge", "ipam": {"ranges": [
            [{"subnet": "10.1.0.0/24"}, {"subnet": "10.2.0.0/24"}]
        ]}},
        {"type": "tuning"}
    ]}});
    let config = json!({"rules": [{"set": {
        "mtu": 1400, "pool": "10.2.0.0/24", "address": "10.2.0.9"
    }}]});
    assert_eq!(
        patch(add(network).admit(&config)),
        json!({
            "delegate": {"Plugins": [
                {"mtu": 1400, "ipam": {"ranges": [[{"subnet": "10.2.0.0/24"}]]}}, {}
            ]},
            "runtimeConfig": {"ips": ["10.2.0.9"]}
        })
    );
}

#[test]
fn what_a_plugin_of_a_list_asks_for_is_seen() {
    let tuning = json!({"type": "tuning", "sysctl": {"net.core.somaxconn": "9"}});
    let list = add(json!({"delegate": {"plugins": [{"type": "bridge"}, tuning]}}));
    assert!(denied(&json!({"sysctl": ["net.core.somaxconn"]}), &list));
    let routes = json!({"type": "bridge", "ipam": {"routes": [{"dst": "0.0.0.0/0"}]}});
    let list = add(json!({"delegate": {"plugins": [routes]}}));
    assert!(denied(&json!({"route": {"covers": "0.0.0.0/0"}}), &list));
}

#[test]
fn a_pool_is_a_choice_among_the_configured_ranges() {
    let a = json!({"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"});
    let b = json!({"subnet": "10.2.0.0/24"});
    let low = json!({"subnet": "10.3.0.0/16", "rangeEnd": "10.3.0.255"});
    let high = json!({"subnet": "10.3.0.0/16", "rangeStart": "10.3.1.0", "rangeEnd": "10.3.1.255"});
    let v6 = json!({"subnet": "fd00::/64"});
    for (pool, ranges, expected) in [
        (json!("10.1.0.0/24"), json!([[a, b], [v6]]), Some(json!([[a], [v6]]))),
        (json!("10.0.0.0/8"), json!([[a, b], [v6]]), None),
        (json!("10.2.0.0/16"), json!([[a], [b]]), Some(json!([[b]]))),
        (json!("10.3.1.0/24"), json!([[low, high]]), Some(json!([[high]]))),
        (json!("10.3.0.0/24"), json!([[low, high]]), Some(json!([[low]]))),
        (json!(["10.1.0.0/24", "fd00::/64"]), json!([[a, b], [v6]]), Some(json!([[a], [v6]]))),
        (json!(["10.1.0.0/24", "10.2.0.0/24"]), json!([[a, b, low]]), Some(json!([[a, b]]))),
        (json!("fd00::/48"), json!([[a, b], [v6]]), None),
    ] {
        let config = json!({"rules": [{"set": {"pool": pool}}]});
        let verdict = add(json!({"ipam": {"ranges": ranges}})).admit(&config);
        match expected {
            None => assert_eq!(verdict, Verdict::Allow, "{pool}"),
            Some(ranges) => assert_eq!(patch(verdict), json!({"ipam": {"ranges": ranges}})),
        }
    }
}

#[test]
fn a_pool_that_is_not_there_is_a_failure() {
    let config = json!({"rules": [{"set": {"pool": "10.9.0.0/24"}}]});
    for ipam in [
        json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]}),
        json!({"subnet": "10.1.0.0/24"}),
        json!({"ranges": [[{"subnet": "10.9.0.0/16"}]]}),
        json!({"ranges": [[{"subnet": "fd00::/64"}]]}),
        json!({}),
    ] {
        let failure = add(json!({"ipam": ipam})).admitted(&config, &mut MemStore::default());
        let said = failure.unwrap_err();
        assert!(said.starts_with("/rules/0/set/pool: no range of 10.9.0.0/24"), "{said}");
    }
    let one = add(json!({"ipam": {"subnet": "10.9.0.0/24"}}));
    assert_eq!(one.admit(&config), Verdict::Allow);
}

#[test]
fn what_cannot_be_read_for_certain_is_refused_by_who_looks_at_it() {
    for (when, network, said) in [
        ("hostPort", json!({"runtimeConfig": 7}), "/runtimeConfig is not an object"),
        (
            "hostPort",
            json!({"runtimeConfig": {"portMappings": {}}}),
            "/runtimeConfig/portMappings is not a list",
        ),
        (
            "hostPort",
            json!({"runtimeConfig": {"portMappings": [{"hostPort": "80"}]}}),
            "/runtimeConfig/portMappings/0/hostPort is not a whole number",
        ),
        (
            "hostPort",
            json!({"runtimeConfig": {"portMappings": [{"hostPort": 65616}]}}),
            "/runtimeConfig/portMappings/0/hostPort is not a port",
        ),
        (
            "hostPort",
            json!({"runtimeConfig": {"portMappings": [{"hostPort": 8080, "HostPort": 80}]}}),
            "is there in two spellings",
        ),
        ("hostPort", json!({"runtimeConfig": {}, "runtimeconfig": {}}), "two spellings"),
        ("hostPort", json!({"runtimeConfig": {}, "runtime\u{17f}onfig": {}}), ""),
        ("hostPort", json!({"delegate": {"runtimeConfig": 7}}), "/delegate/runtimeConfig is not"),
        ("sysctl", json!({"sysctl": ["x"]}), "/sysctl is not an object of kernel parameters"),
        (
            "sysctl",
            json!({"sysctl": {"net/../kernel/x": "1"}}),
            "/sysctl/net~1..~1kernel~1x is not a kernel parameter",
        ),
        ("sysctl", json!({"\u{17f}y\u{17f}ctl": 1}), "is not an object of kernel parameters"),
        ("mac", json!({"mac": "02:00"}), "/mac is not a MAC address"),
        ("requestedAddress", json!({"args": {"cni": {"ips": "x"}}}), "/args/cni/ips is not a list"),
        ("requestedAddress", json!({"args": {"cni": {"ips": ["x"]}}}), "/args/cni/ips/0 is not an"),
        ("ingressRate", json!({"ingressRate": "5M"}), "/ingressRate is not a whole number"),
        ("ingressRate", json!({"ingressRate": 1.5}), "/ingressRate is not a whole number"),
        ("route", json!({"ipam": {"routes": [{}]}}), "/ipam/routes/0 has no dst"),
        ("route", json!({"ipam": {"routes": [{"dst": "x"}]}}), "/ipam/routes/0/dst is not a net"),
        ("route", json!([]), "the network configuration is no object"),
    ] {
        let value = match when {
            "hostPort" | "ingressRate" => json!(99),
            "requestedAddress" | "route" => json!("192.0.2.1"),
            _ => json!("nothing"),
        };
        let config = deny(json!({when: value}));
        let verdict = add(network.clone()).admit(&config);
        if said.is_empty() {
            assert_eq!(verdict, Verdict::Allow, "{network}");
            continue;
        }
        let reason = reason(verdict);
        assert!(reason.contains(said), "{network}: {reason}");
        assert!(reason.ends_with(", and /rules/0 looks at it"), "{reason}");
        // Who does not look at it does not mind.
        assert_eq!(add(network).admit(&deny(json!({"namespace": "x"}))), Verdict::Allow);
    }
    for (name, value) in [("IP", "x"), ("MAC", "zz")] {
        let key = if name == "IP" { "requestedAddress" } else { "mac" };
        let config = deny(json!({key: "10.0.0.1"}));
        let said = reason(add(json!({})).arg(name, value).admit(&config));
        assert!(said.starts_with(&format!("CNI_ARGS {name} is not")), "{said}");
    }
}

#[test]
fn a_rule_of_the_plan_is_asked_by_the_review() {
    let mut it = add(json!({"sysctl": {"net.core.somaxconn": "1"}})).result(&["10.1.0.7/24"]);
    it.plan.routes = vec!["0.0.0.0/0".to_owned()];
    it.plan.sysctls = vec!["net/ipv4/ip_forward".to_owned()];
    it.plan.ingress = vec![7_000];
    it.plan.egress = vec![9_000];
    it.plan.forwards = vec![Mapping::of(80, 8080, "TCP", None)];
    it.plan.result["routes"] = json!([{"dst": "192.0.2.0/24"}]);
    for (when, found) in [
        (json!({"route": {"covers": "0.0.0.0/0"}}), "route 0.0.0.0/0"),
        (json!({"route": "192.0.2.0/24"}), "route 192.0.2.0/24"),
        (json!({"sysctl": "net.ipv4.ip_forward"}), "sysctl net.ipv4.ip_forward"),
        (json!({"ingressRate": {"above": 6999}}), "ingressRate 7000"),
        (json!({"egressRateBelow": 9001}), "egressRate 9000"),
        (json!({"hostPort": 80}), "hostPort 80"),
        (json!({"portMapping": {"containerPort": 8080, "protocol": "tcp"}}), "hostPort 80/tcp"),
        (json!({"address": {"not": "10.2.0.0/16"}}), "address 10.1.0.7"),
    ] {
        let config = json!({"deny": [{"planned": when}]});
        assert_eq!(it.admit(&config), Verdict::Allow, "{when}");
        assert_eq!(reason(it.review(&config)), format!("not allowed: {found}"));
    }
    for when in [
        json!({"sysctl": "net.core.*"}),
        json!({"address": "10.1.0.0/28", "hostPort": 81}),
        json!({"route": "10.0.0.0/8"}),
    ] {
        let config = json!({"deny": [{"planned": when}]});
        assert_eq!(it.review(&config), Verdict::Allow, "{when}");
    }
    let config = json!({"deny": [{"not": {"planned": {"address": "10.1.0.0/24"}}}]});
    assert_eq!(it.admit(&config), Verdict::Allow);
    assert_eq!(it.review(&config), Verdict::Allow);
}

#[test]
fn the_review_asks_again_of_what_later_policies_left() {
    let config = json!({"deny": [{"hostPortBelow": 1024}]});
    let before = add(json!({}));
    assert_eq!(before.admit(&config), Verdict::Allow);
    let after = ports(json!([{"hostPort": 80, "containerPort": 80}]));
    assert_eq!(reason(after.review(&config)), "not allowed: hostPort 80");
}

#[test]
fn an_address_that_the_policy_itself_sets_is_nobodys_wish() {
    let config = json!({
        "deny": [{"requestedAddress": "0.0.0.0/0"}],
        "rules": [{"match": {"pod": "web-0"}, "set": {"address": "10.1.0.9"}}]
    });
    let it = add(json!({}));
    let set = json!({"runtimeConfig": {"ips": ["10.1.0.9"]}});
    assert_eq!(patch(it.admit(&config)), set);
    assert_eq!(add(set).review(&config), Verdict::Allow);
    let asked = add(json!({"runtimeConfig": {"ips": ["10.1.0.10"]}}));
    assert_eq!(reason(asked.admit(&config)), "not allowed: address 10.1.0.10");
    assert_eq!(reason(asked.review(&config)), "not allowed: address 10.1.0.10");
}
