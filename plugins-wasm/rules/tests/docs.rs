//! Each example of the operators' page is a configuration without problems.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use rules::decide::Verdict;
use serde_json::{Value, json};
use support::{Add, MemStore, add, good, patch, reason};

const PAGE: &str = include_str!("../../../docs/policies.md");

/// The blocks of code in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The configurations of `rules` in a document: itself, or wherever a policy of that name stands.
fn configs(value: &Value, all: &mut Vec<Value>) {
    if value.get("plugin").and_then(Value::as_str) == Some("rules") {
        all.push(value.get("config").cloned().unwrap_or_else(|| json!({})));
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| configs(item, all)),
        Value::Object(members) => members.values().for_each(|member| configs(member, all)),
        _ => {}
    }
}

/// All of the page, in order.
fn examples() -> Vec<Value> {
    let mut all = Vec::new();
    for block in blocks("json") {
        let value: Value = serde_json::from_str(block).unwrap_or_else(|e| panic!("{e}: {block}"));
        if ["deny", "rules", "quotas"].iter().any(|key| value.get(key).is_some()) {
            all.push(value);
        } else {
            configs(&value, &mut all);
        }
    }
    all
}

/// The example below a line that begins so.
fn below(line: &str) -> Value {
    let (_, rest) = PAGE.split_once(line).unwrap_or_else(|| panic!("no line {line}"));
    let block = rest.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str(block).unwrap()
}

#[test]
fn every_example_is_a_good_configuration() {
    let examples = examples();
    assert!(examples.len() >= 13, "{}", examples.len());
    for example in &examples {
        drop(good(example));
    }
    for block in blocks("toml") {
        let value: toml::Table = block.parse().unwrap();
        let value = serde_json::to_value(&value).unwrap();
        let mut all = Vec::new();
        configs(&value, &mut all);
        assert_eq!(all.len(), 1, "{block}");
        drop(good(all.first().unwrap()));
    }
}

fn port(number: u16, protocol: &str) -> Add {
    add(json!({"runtimeConfig": {"portMappings": [
        {"hostPort": number, "containerPort": 80, "protocol": protocol}
    ]}}))
}

#[test]
fn the_wishes_come_true() {
    let low = below("No host ports below 1024");
    assert_eq!(
        reason(port(80, "tcp").admit(&low)),
        "hostPort 80: host ports below 1024 are not for team-a"
    );
    assert_eq!(port(80, "tcp").of("kube-system", "x").admit(&low), Verdict::Allow);
    let pools = below("A namespace has its own pool");
    let network = below("\nwith\n");
    let first = patch(add(network.clone()).admit(&pools));
    assert_eq!(first, json!({"ipam": {"ranges": [[{"subnet": "10.1.0.0/24"}]]}}));
    let second = patch(add(network).of("x", "y").admit(&pools));
    assert_eq!(second, json!({"ipam": {"ranges": [[{"subnet": "10.1.1.0/24"}]]}}));
    let fixed = below("A pod has a fixed address");
    let asked = add(json!({})).arg("IP", "10.1.0.9");
    assert_eq!(reason(asked.admit(&fixed)), "not allowed: address 10.1.0.9");
    let given = patch(add(json!({})).of("db", "primary-0").admit(&fixed));
    assert_eq!(given, json!({"runtimeConfig": {"ips": ["10.1.0.10"]}}));
    let quota = below("At most twenty pods");
    let mut store = MemStore::default();
    for n in 0..21 {
        let mut it = add(json!({}));
        it.attachment.container = format!("c{n}");
        let allowed = it.admitted(&quota, &mut store) == Ok(Verdict::Allow);
        assert_eq!(allowed, n < 20, "{n}");
    }
    let mtu = below("One MTU for everybody");
    assert_eq!(patch(add(json!({})).admit(&mtu)), json!({"mtu": 1450}));
    assert_eq!(patch(add(json!({})).of("storage", "x").admit(&mtu)), json!({"mtu": 8950}));
}

#[test]
fn the_wishes_about_rates_parameters_and_routes_come_true() {
    let capped = below("Nobody gets more than");
    let rates = |bandwidth: Value| {
        patch(add(json!({"runtimeConfig": {"bandwidth": bandwidth}})).admit(&capped))
    };
    let full = json!({"ingressRate": 100_000_000, "ingressBurst": 10_000_000,
        "egressRate": 100_000_000, "egressBurst": 10_000_000});
    assert_eq!(rates(json!({})), json!({"runtimeConfig": {"bandwidth": full}}));
    let mut part = full.clone();
    part["ingressRate"] = json!(5_000);
    part["ingressBurst"] = json!(7);
    let asked = json!({"ingressRate": 5_000, "ingressBurst": 7, "egressRate": 999_999_999});
    assert_eq!(rates(asked), json!({"runtimeConfig": {"bandwidth": part}}));
    let sysctls = below("Kernel parameters other than");
    let it = add(json!({"sysctl": {"net.core.somaxconn": "1"}}));
    assert_eq!(it.admit(&sysctls), Verdict::Allow);
    let it = add(json!({"sysctl": {"net.core.somaxconn": "1", "kernel.x": "1"}}));
    assert_eq!(reason(it.admit(&sysctls)), "sysctl kernel.x may not be set");
    let routes = below("No routes into the network");
    let to = |dst: &str| add(json!({"ipam": {"routes": [{"dst": dst}]}}));
    assert_eq!(to("0.0.0.0/0").admit(&routes), Verdict::Allow);
    assert_eq!(reason(to("192.168.7.0/24").admit(&routes)), "not allowed: route 192.168.7.0/24");
    let outside = below("No address outside the pod network");
    let it = add(json!({})).result(&["10.1.0.7/16"]);
    assert_eq!(it.review(&outside), Verdict::Allow);
    let it = add(json!({})).result(&["10.1.0.7/16", "10.2.0.7/16"]);
    assert_eq!(reason(it.review(&outside)), "not allowed: address 10.2.0.7");
    let dns = below("Only pods that say so");
    assert_eq!(reason(port(53, "tcp").admit(&dns)), "not allowed: hostPort 53/tcp");
    let mut it = port(53, "udp");
    assert_eq!(reason(it.admit(&dns)), "not allowed: hostPort 53/udp");
    it.pod = json!({"annotations": {"example.com/dns": "yes"}});
    assert_eq!(it.admit(&dns), Verdict::Allow);
}
