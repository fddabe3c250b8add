//! Every refusal of a configuration has its pointer.
#![allow(clippy::unwrap_used, clippy::panic, clippy::too_many_lines, reason = "tests")]

use rules::config::parse;
use serde_json::{Value, json};

fn problems(config: &Value) -> Vec<(String, String)> {
    let problems = parse(&config.to_string()).err().unwrap_or_default();
    problems.into_iter().map(|problem| (problem.pointer, problem.message)).collect()
}

#[test]
fn what_is_wrong_is_pointed_at() {
    let rule = |when: Value| json!({"rules": [{"match": when, "deny": "no"}]});
    let set = |set: Value| json!({"rules": [{"set": set}]});
    for (config, pointer, message) in [
        (json!([]), "", "must be an object with deny, rules, quotas, unknownPod, found []"),
        (json!({"rule": []}), "/rule", "is not known; there are deny, rules, quotas"),
        (json!({"rules": {}}), "/rules", "must be a list, found {}"),
        (json!({"rules": [7]}), "/rules/0", "must be an object with match, deny, set, found 7"),
        (json!({"rules": [{}]}), "/rules/0", "needs one of deny, set"),
        (json!({"rules": [{"deny": "x", "set": {"mtu": 9000}}]}), "/rules/0", "one of deny, set"),
        (json!({"rules": [{"deny": true}]}), "/rules/0/deny", "must be a string, found true"),
        (json!({"rules": [{"deny": ""}]}), "/rules/0/deny", "is empty: say why"),
        (json!({"rules": [{"deny": "{name}"}]}), "/rules/0/deny", "has {name}; in braces there"),
        (json!({"rules": [{"deny": "x", "a/b~c": 1}]}), "/rules/0/a~1b~0c", "is not known"),
        (rule(json!([])), "/rules/0/match", "must be an object with namespace, pod"),
        (rule(json!({"namspace": "x"})), "/rules/0/match/namspace", "is not known"),
        (rule(json!({"namespace": ""})), "/rules/0/match/namespace", "that is not empty"),
        (rule(json!({"namespace": "[a-z]"})), "/rules/0/match/namespace", "have no meaning"),
        (rule(json!({"namespace": []})), "/rules/0/match/namespace", "is empty: nothing would"),
        (rule(json!({"pod": ["a", 7]})), "/rules/0/match/pod/1", "must be a string, found 7"),
        (rule(json!({"pod": {"not": {"nor": 1}}})), "/rules/0/match/pod/not", "a string"),
        (rule(json!({"not": {"x": 1}})), "/rules/0/match/not/x", "is not known"),
        (rule(json!({"args": {}})), "/rules/0/match/args", "an object of names and patterns"),
        (rule(json!({"args": {"A": 1}})), "/rules/0/match/args/A", "must be a string"),
        (rule(json!({"annotations": "x"})), "/rules/0/match/annotations", "an object of names"),
        (
            rule(json!({"requestedAddress": "10.1.0.0/33"})),
            "/rules/0/match/requestedAddress",
            "must be a network or an address, as 10.1.0.0/16, found \"10.1.0.0/33\"",
        ),
        (
            rule(json!({"requestedAddress": ["10.1.0.7/16"]})),
            "/rules/0/match/requestedAddress/0",
            "has host bits set: the network is 10.1.0.0/16",
        ),
        (rule(json!({"mac": 7})), "/rules/0/match/mac", "must be a string"),
        (rule(json!({"hostPort": "80"})), "/rules/0/match/hostPort", "must be a whole number, or"),
        (rule(json!({"hostPort": 80.5})), "/rules/0/match/hostPort", "must be a whole number, or"),
        (rule(json!({"hostPort": {}})), "/rules/0/match/hostPort", "that some number is within"),
        (rule(json!({"hostPort": {"under": 1}})), "/rules/0/match/hostPort/under", "below, above"),
        (rule(json!({"hostPort": {"below": 0}})), "/rules/0/match/hostPort/below", "below 0"),
        (rule(json!({"hostPort": {"below": -1}})), "/rules/0/match/hostPort/below", "a whole"),
        (
            rule(json!({"hostPort": {"above": 9, "below": 10}})),
            "/rules/0/match/hostPort",
            "bounds that some number is within",
        ),
        (
            rule(json!({"ingressRate": {"above": u64::MAX}})),
            "/rules/0/match/ingressRate/above",
            "no number is above this",
        ),
        (rule(json!({"hostPortBelow": "x"})), "/rules/0/match/hostPortBelow", "a whole number"),
        (
            rule(json!({"portMapping": {"port": 80}})),
            "/rules/0/match/portMapping/port",
            "is not known; there are hostPort, containerPort, protocol, hostIP",
        ),
        (
            rule(json!({"portMapping": {"hostIP": "x"}})),
            "/rules/0/match/portMapping/hostIP",
            "must be a network or an address",
        ),
        (rule(json!({"sysctl": 1})), "/rules/0/match/sysctl", "must be a string"),
        (rule(json!({"route": {}})), "/rules/0/match/route", "one of within, overlaps, covers"),
        (
            rule(json!({"route": {"within": "10.0.0.0/8", "covers": "10.0.0.1"}})),
            "/rules/0/match/route",
            "one of within, overlaps, covers",
        ),
        (
            rule(json!({"route": {"overlaps": "10.0.0.1/8"}})),
            "/rules/0/match/route/overlaps",
            "has host bits set",
        ),
        (
            rule(json!({"planned": {"namespace": "x"}})),
            "/rules/0/match/planned/namespace",
            "is not known; there are address, hostPort",
        ),
        (
            json!({"rules": [{"match": {"planned": {"hostPort": 80}}, "set": {"mtu": 1400}}]}),
            "/rules/0/set",
            "cannot be set by what is planned",
        ),
        (set(json!({})), "/rules/0/set", "sets nothing; there are pool, address, mtu"),
        (set(json!({"bridge": "x"})), "/rules/0/set/bridge", "is not known"),
        (set(json!({"pool": []})), "/rules/0/set/pool", "is empty"),
        (set(json!({"pool": "x"})), "/rules/0/set/pool", "must be a network"),
        (set(json!({"address": "10.1.0.7/16"})), "/rules/0/set/address", "must be an IP address"),
        (set(json!({"mtu": 60})), "/rules/0/set/mtu", "must be an MTU from 68 to 65535"),
        (set(json!({"mtu": "9000"})), "/rules/0/set/mtu", "must be a whole number"),
        (set(json!({"ingressRate": 0})), "/rules/0/set/ingressRate", "which is no limit"),
        (set(json!({"routes": {}})), "/rules/0/set/routes", "must be a list"),
        (set(json!({"routes": [{}]})), "/rules/0/set/routes/0", "has no dst"),
        (set(json!({"routes": [{"dst": "x"}]})), "/rules/0/set/routes/0/dst", "a network"),
        (
            set(json!({"routes": [{"dst": "0.0.0.0/0", "gw": "x"}]})),
            "/rules/0/set/routes/0/gw",
            "must be an IP address",
        ),
        (
            set(json!({"routes": [{"dst": "0.0.0.0/0", "dev": "x"}]})),
            "/rules/0/set/routes/0/dev",
            "is not known",
        ),
        (
            set(json!({"portMappings": [{"hostPort": 80}]})),
            "/rules/0/set/portMappings/0",
            "has no containerPort",
        ),
        (
            set(json!({"portMappings": [{"hostPort": 0, "containerPort": 1}]})),
            "/rules/0/set/portMappings/0/hostPort",
            "must be a port from 1 to 65535",
        ),
        (
            set(json!({"portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "ip"}]})),
            "/rules/0/set/portMappings/0/protocol",
            "must be tcp, udp or sctp",
        ),
        (set(json!({"dns": []})), "/rules/0/set/dns", "must be an object"),
        (
            set(json!({"dns": {"nameservers": ["x"]}})),
            "/rules/0/set/dns/nameservers/0",
            "must be an IP address",
        ),
        (set(json!({"dns": {"search": "x"}})), "/rules/0/set/dns/search", "must be a list"),
        (set(json!({"dns": {"domain": 7}})), "/rules/0/set/dns/domain", "must be a string"),
        (json!({"quotas": [{}]}), "/quotas/0", "needs one of attachments, addresses, hostPorts"),
        (json!({"quotas": [{"attachments": -1}]}), "/quotas/0/attachments", "a whole number"),
        (
            json!({"quotas": [{"namespace": 1, "attachments": 1}]}),
            "/quotas/0/namespace",
            "must be a string",
        ),
        (json!({"quotas": [{"pods": 1, "addresses": 1}]}), "/quotas/0/pods", "is not known"),
        (json!({"deny": [{}]}), "/deny/0", "would deny everything"),
        (json!({"deny": [{"hostPortUnder": 1}]}), "/deny/0/hostPortUnder", "is not known"),
    ] {
        let found = problems(&config);
        assert_eq!(found.len(), 1, "{config}: {found:?}");
        let (at, what) = found.first().unwrap();
        assert_eq!(at, pointer, "{config}: {what}");
        assert!(what.contains(message), "{config}: {what}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let config = json!({
        "rules": [
            {"match": {"hostPort": ["x", {"below": 0}], "namespace": ""}, "deny": "{x} {y}"},
            {"set": {"mtu": 1, "pool": ["a", "b"]}}
        ],
        "quotas": [{}, 7]
    });
    let pointers: Vec<String> = problems(&config).into_iter().map(|(pointer, _)| pointer).collect();
    assert_eq!(
        pointers,
        [
            "/rules/0/match/hostPort/0",
            "/rules/0/match/hostPort/1/below",
            "/rules/0/match/namespace",
            "/rules/0/deny",
            "/rules/0/deny",
            "/rules/1/set/pool/0",
            "/rules/1/set/pool/1",
            "/rules/1/set/mtu",
            "/quotas/0",
            "/quotas/1",
        ]
    );
}

#[test]
fn what_is_no_json_is_said() {
    for text in ["", "{", "nul", "{\"rules\": [}", &"[".repeat(100_000)] {
        let problems = parse(text).err().unwrap();
        let problem = problems.first().unwrap();
        assert_eq!(problem.pointer, "");
        assert!(problem.message.starts_with("is not JSON: "), "{}", problem.message);
    }
}

#[test]
fn nothing_configured_is_fine() {
    assert_eq!(problems(&json!({})), []);
    assert_eq!(problems(&json!({"rules": [], "quotas": [], "deny": []})), []);
}
