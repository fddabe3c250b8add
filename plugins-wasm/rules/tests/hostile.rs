//! Whatever stands in a configuration, of the policy or of a network: an answer, never a panic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use proptest::prelude::*;
use rules::config::parse;
use rules::decide::{self, Verdict};
use rules::facts::Facts;
use serde_json::{Map, Value, json};
use support::{MemStore, add};

/// Keys that mean something, so that what is made goes deep.
const KEYS: [&str; 52] = [
    "rules",
    "match",
    "deny",
    "set",
    "quotas",
    "not",
    "namespace",
    "pod",
    "network",
    "interface",
    "args",
    "cni",
    "annotations",
    "requestedAddress",
    "mac",
    "hostPort",
    "hostPortBelow",
    "below",
    "above",
    "portMapping",
    "containerPort",
    "protocol",
    "hostIP",
    "sysctl",
    "ingressRate",
    "egressBurst",
    "route",
    "within",
    "covers",
    "planned",
    "address",
    "pool",
    "mtu",
    "routes",
    "dst",
    "gw",
    "portMappings",
    "dns",
    "nameservers",
    "attachments",
    "addresses",
    "hostPorts",
    "runtimeConfig",
    "RUNTIMECONFIG",
    "ips",
    "bandwidth",
    "features",
    "tuning",
    "ipam",
    "ranges",
    "subnet",
    "delegate",
];

const TEXTS: [&str; 16] = [
    "",
    "*",
    "team-a",
    "10.1.0.0/16",
    "10.1.0.7",
    "fd00::/8",
    "::/0",
    "0.0.0.0/0",
    "10.1.0.7/33",
    "02:00:0a:01:00:05",
    "net/../x",
    "{found}",
    "{",
    "\u{1b}[2J",
    "ä…\u{0}",
    "tcp",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0_u64..70_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS.as_slice()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof![
            9 => prop::sample::select(KEYS.as_slice()).prop_map(str::to_owned),
            1 => ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A configuration that looks at everything.
fn nosy() -> Value {
    let looks = [
        json!({"hostPort": 1}),
        json!({"portMapping": {"hostIP": "192.0.2.1"}}),
        json!({"requestedAddress": "192.0.2.1"}),
        json!({"mac": "0a:*"}),
        json!({"sysctl": "kernel.*"}),
        json!({"ingressRate": 1}),
        json!({"route": "192.0.2.0/24"}),
        json!({"args": {"a": "b"}, "annotations": {"a": "b"}}),
    ];
    let planned = json!({"planned": {"address": "192.0.2.1", "route": "192.0.2.0/24"}});
    let deny: Vec<Value> = looks.into_iter().chain([planned]).collect();
    json!({
        "deny": deny,
        "rules": [{"set": {
            "pool": "10.1.0.0/16", "address": "10.1.0.7", "mtu": 1400, "ingressRate": 5,
            "routes": [], "portMappings": [], "dns": {}
        }}],
        "quotas": [{"attachments": 9, "addresses": 9, "hostPorts": 9}]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_configuration_is_read_or_refused_with_pointers(config in json()) {
        if let Err(problems) = parse(&config.to_string()) {
            for problem in problems {
                prop_assert!(config.pointer(&problem.pointer).is_some(), "{}", problem.pointer);
                prop_assert!(!problem.message.is_empty());
            }
        }
    }

    #[test]
    fn any_network_configuration_has_an_answer(
        network in json(), pod in json(), result in json(), text in ".{0,20}",
    ) {
        let mut it = add(network.clone()).arg("IP", &text).arg(&text, &text);
        it.pod = pod;
        it.plan.result = result;
        let mut store = MemStore::default();
        if let Ok(Verdict::Amend(patch)) = it.admitted(&nosy(), &mut store) {
            prop_assert!(patch.is_object());
        }
        let _ = it.reviewed(&nosy(), &mut store);
        // Wrapped, so that more of it is looked at.
        let wrapped = json!({"delegate": network, "runtimeConfig": it.pod, "ipam": it.plan.result});
        it.network = wrapped;
        let _ = it.admitted(&nosy(), &mut store);
        let _ = it.reviewed(&nosy(), &mut store);
    }

    #[test]
    fn any_text_has_an_answer(config in ".{0,60}", network in ".{0,60}") {
        let it = add(json!({}));
        let facts = Facts::new(&it.attachment, &network, &network, &it.api);
        if let Ok(config) = parse(&config) {
            let _ = decide::admit(config, &facts, &mut MemStore::default());
        }
        let nosy = parse(&nosy().to_string()).unwrap();
        let _ = decide::admit(nosy, &facts, &mut MemStore::default());
    }
}

/// What a patch of ours does, as RFC 7396 has it.
fn merged(mut target: Value, patch: &Value) -> Value {
    let Value::Object(members) = patch else { return patch.clone() };
    if !target.is_object() {
        target = json!({});
    }
    for (name, value) in members {
        let slot = target.as_object_mut().unwrap();
        if value.is_null() {
            slot.remove(name);
        } else {
            let before = slot.remove(name).unwrap_or(Value::Null);
            slot.insert(name.clone(), merged(before, value));
        }
    }
    target
}

#[test]
fn what_was_set_stays_set_when_asked_again() {
    let network = json!({
        "mtu": 1500, "ipam": {"ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "10.2.0.0/16"}]]},
        "runtimeConfig": {"bandwidth": {"egressRate": 7}}
    });
    let config = json!({"rules": [{"set": {
        "pool": "10.1.0.0/16", "mtu": 1400, "ingressRate": 5, "address": ["10.1.0.7"]
    }}]});
    let patch = |network: &Value| support::patch(add(network.clone()).admit(&config));
    let once = merged(network.clone(), &patch(&network));
    let twice = merged(once.clone(), &patch(&once));
    assert_eq!(once, twice);
    assert_eq!(once.pointer("/ipam/ranges"), Some(&json!([[{"subnet": "10.1.0.0/16"}]])));
    assert_eq!(once.pointer("/runtimeConfig/bandwidth/egressRate"), Some(&json!(7)));
}
