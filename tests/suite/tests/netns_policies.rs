//! Policies against the executable: the built-in `rules`, mandatory ones, and what a conflist, a
//! pod's arguments and a patch may not gain.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Call, Container, Failure, World};

/// A pod's arguments, as a kubelet gives them.
fn pod(namespace: &str, name: &str) -> String {
    format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}")
}

fn rules(world: &World, config: &Value) -> Value {
    world.conf("bridge", &json!({ "policies": [{ "plugin": "rules", "config": config }] }))
}

fn add<'w>(world: &'w World, conf: &Value, args: &str) -> (Container, Call<'w>) {
    let container = world.container();
    let call = world.call("ADD", conf).of(&container).env("CNI_ARGS", args);
    (container, call)
}

#[track_caller]
fn refused(world: &World, conf: &Value, args: &str, words: &[&str]) -> Failure {
    let failure = add(world, conf, args).1.fails();
    assert_eq!(failure.code, 101, "{failure:?}");
    for word in words {
        assert!(failure.msg.contains(word), "{word} is not said: {failure:?}");
    }
    failure
}

#[track_caller]
fn allowed<'w>(world: &'w World, conf: &Value, args: &str) -> Attached<'w> {
    let (container, call) = add(world, conf, args);
    world.attached(container, conf, call.ok())
}

#[test]
#[ignore = "needs root: ring netns"]
fn rules_deny_by_namespace_with_the_policys_name_and_reason() {
    let world = World::new();
    let conf = rules(
        &world,
        &json!({ "rules": [{ "match": { "namespace": "dev-*" }, "deny": "dev has no network" }] }),
    );
    refused(&world, &conf, &pod("dev-1", "web"), &["rules", "dev has no network", "pods"]);
    world.assert_nothing_left();
    let event = world.events().pop().expect("an event");
    assert!(event.to_string().contains("dev has no network"), "{event}");
    let attached = allowed(&world, &conf, &pod("prod", "web"));
    attached.check();
    attached.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn rules_set_what_a_policy_may_set() {
    let world = World::new();
    let ranges = json!([[{ "subnet": "10.1.0.0/24" }, { "subnet": "10.2.0.0/24" }]]);
    // A bridge that is the gateway has one gateway's address; a routed link has none.
    let config = json!({ "rules": [
        { "match": { "namespace": "slow" }, "set": { "mtu": 1400 } },
        { "match": { "namespace": "blue" }, "set": { "pool": "10.2.0.0/24" } },
    ] });
    let conf = world.conf(
        "ptp",
        &json!({
            "policies": [{ "plugin": "rules", "config": config }],
            "ipam": { "type": "host-local", "ranges": ranges },
        }),
    );
    let slow = allowed(&world, &conf, &pod("slow", "a"));
    assert_eq!(slow.container.ns.link("eth0").mtu, 1400);
    slow.check();
    slow.del();
    let blue = allowed(&world, &conf, &pod("blue", "b"));
    assert!(blue.v4().starts_with("10.2.0."), "{}", blue.v4());
    let other = allowed(&world, &conf, &pod("red", "c"));
    assert!(other.v4().starts_with("10.1.0."), "{}", other.v4());
    for attached in [blue, other] {
        attached.check();
        attached.del();
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_quota_holds_when_many_come_at_once() {
    let world = World::new();
    let conf = rules(&world, &json!({ "quotas": [{ "namespace": "*", "attachments": 3 }] }));
    let first = allowed(&world, &conf, &pod("team", "first"));
    let calls: Vec<_> =
        (0..12).map(|n| add(&world, &conf, &pod("team", &format!("p{n}")))).collect();
    let children: Vec<_> = calls.iter().map(|(_, call)| call.start()).collect();
    let outputs: Vec<_> =
        calls.iter().zip(children).map(|((_, call), child)| call.finish(child)).collect();
    let well = outputs.iter().filter(|output| output.succeeded()).count();
    assert_eq!(well, 2, "two places were left: {outputs:?}");
    // Another namespace has its own count.
    let other = allowed(&world, &conf, &pod("other", "x"));
    // One goes, one may come; a DEL that is repeated frees no second place.
    first.del();
    first.del();
    let next = allowed(&world, &conf, &pod("team", "next"));
    refused(&world, &conf, &pod("team", "late"), &["rules", "team"]);
    next.del();
    other.del();
    for ((container, _), output) in calls.into_iter().zip(outputs) {
        let result = if output.succeeded() { output.ok() } else { Value::Null };
        world.attached(container, &conf, result).del();
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn mandatory_policies_hold_whatever_a_conflist_says() {
    let world = World::new();
    world.settings(
        "[[policies]]\nplugin = \"rules\"\n[policies.config]\n\
         rules = [{ match = { namespace = \"dev\" }, deny = \"not on this node\" }]\n",
    );
    // It names no policies, other ones, none by an empty list; as main plugin, and as IPAM.
    let plain = world.conf("bridge", &json!({}));
    let other = rules(&world, &json!({}));
    let none = world.conf("bridge", &json!({ "policies": [] }));
    for conf in [&plain, &other, &none] {
        refused(&world, conf, &pod("dev", "web"), &["rules", "not on this node"]);
    }
    let ipam = json!({
        "cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "ipam": { "type": "wharfinger", "plugin": "host-local", "subnet": "10.1.0.0/24" },
    });
    let container = world.container();
    let call = world.call("ADD", &ipam).program(&world.text_path("bin/wharfinger")).of(&container);
    let failure = call.env("CNI_ARGS", &pod("dev", "web")).fails();
    assert_eq!(failure.code, 101, "{failure:?}");
    let attached = allowed(&world, &plain, &pod("prod", "web"));
    attached.del();
    world.assert_nothing_left();
}

/// Each key that somebody might gain something by; a list that is set leaves no way around it.
#[test]
#[ignore = "needs root: ring netns"]
fn the_nodes_lists_bind_every_conflist() {
    let world = World::new();
    world.settings(
        "[allow]\ndrivers = [\"bridge\"]\ncomponents = [\"host-local\"]\ndelegates = []\n\
         directories = [\"/var/lib/cni\"]\n",
    );
    let secret = world.write("data/secret", "nameserver 10.9.9.9\n").display().to_string();
    let gains = [
        ("allow.drivers", json!({ "driver": "ptp", "bridge": null, "isGateway": null })),
        ("allow.components", json!({ "policies": [{ "plugin": "rules" }] })),
        ("allow.components", json!({ "ipam": { "type": "wharfinger", "plugin": "rules" } })),
        ("allow.components", json!({ "ipam": { "type": "/opt/evil.wasm" } })),
        ("allow.delegates", json!({ "ipam": { "type": "somebodys" } })),
        (
            "allow.directories",
            json!({ "ipam": {
            "type": "host-local", "subnet": "10.1.0.0/24", "resolvConf": secret,
        } }),
        ),
        (
            "allow.directories",
            json!({ "ipam": {
            "type": "host-local", "subnet": "10.1.0.0/24", "ResolvConf": "/var/lib/cni/../../../etc/shadow",
        } }),
        ),
    ];
    for (list, gain) in gains {
        let failure = add(&world, &world.conf("bridge", &gain), "").1.fails();
        let all = format!("{} {}", failure.msg, failure.details);
        assert_eq!(failure.code, 101, "{gain}: {failure:?}");
        assert!(all.contains(list), "{gain}: {failure:?}");
    }
    let attached = world.attach(&world.conf("bridge", &json!({})));
    attached.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_policys_wrong_configuration_is_named_by_its_pointer() {
    let world = World::new();
    let conf = rules(&world, &json!({ "rules": [{ "match": { "namespace": 7 }, "deny": "x" }] }));
    let failure = add(&world, &conf, "").1.fails();
    assert_eq!(failure.code, 7, "{failure:?}");
    assert!(failure.msg.contains("/rules/0/match/namespace"), "{failure:?}");
    let status = world.call("STATUS", &conf).fails();
    assert_eq!(status.code, 50, "{status:?}");
    assert!(status.msg.contains("/policies/0/config/rules/0/match/namespace"), "{status:?}");
    world.assert_nothing_left();
}
