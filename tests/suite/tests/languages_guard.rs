//! `guard`, the policy that every language has: the same verdicts and the same words from each,
//! by ADDs of the executable.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Language, World, in_each_language, in_language, pod};

in_each_language! {
    only_named_namespaces_are_attached
    ports_of_the_host_are_those_that_are_allowed
    a_quota_counts_what_is_attached
    the_mtu_is_amended
    problems_are_told_by_their_pointers
}

in_language! {
    in_ts, TS,
    only_named_namespaces_are_attached
    ports_of_the_host_are_those_that_are_allowed
    a_quota_counts_what_is_attached
    the_mtu_is_amended
    problems_are_told_by_their_pointers
}

/// A machine with the language's guard.
fn world(language: Language) -> World {
    let world = World::new();
    world.install_compiled(&language.component("guard"), "guard");
    world
}

fn conf(world: &World, config: &Value) -> Value {
    let policy = json!({ "plugin": "guard", "config": config });
    world.conf("ptp", &json!({ "policies": [policy] }))
}

fn with_ports(conf: &Value, mappings: &Value) -> Value {
    let mut conf = conf.clone();
    conf["runtimeConfig"] = json!({ "portMappings": mappings });
    conf
}

#[track_caller]
fn refused(world: &World, conf: &Value, args: &str, code: u64, words: &[&str]) {
    let container = world.container();
    let failure = world.call("ADD", conf).of(&container).env("CNI_ARGS", args).fails();
    assert_eq!(failure.code, code, "{failure:?}");
    for word in words {
        let said = failure.msg.contains(word) || failure.details.contains(word);
        assert!(said, "{word} is not said: {failure:?}");
    }
}

fn only_named_namespaces_are_attached(language: Language) {
    let world = world(language);
    let conf = conf(&world, &json!({ "namespaces": ["web", "db"] }));
    world.attach_with(&conf, &pod("web", "a")).del();
    world.attach_with(&conf, &pod("db", "b")).del();
    let said = ["guard", "namespace webb is not attached"];
    refused(&world, &conf, &pod("webb", "c"), 101, &said);
    refused(&world, &conf, "", 101, &["guard", "an attachment without a pod is refused"]);
    world.assert_nothing_left();
}

fn ports_of_the_host_are_those_that_are_allowed(language: Language) {
    let world = world(language);
    let conf = conf(&world, &json!({ "hostPorts": ["80", "8000-8100"] }));
    let port = |port: u32| json!([{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }]);
    for allowed in [80, 8000, 8100] {
        world.attach_with(&with_ports(&conf, &port(allowed)), "").del();
    }
    for forbidden in [22, 79, 81, 7999, 8101, 65535] {
        let words = format!("port {forbidden} of the host is not allowed");
        refused(&world, &with_ports(&conf, &port(forbidden)), "", 101, &["guard", &words]);
    }
    // None, and one that is none of the host.
    world.attach_with(&conf, "").del();
    world.attach_with(&with_ports(&conf, &json!([])), "").del();
    // What cannot be read refuses. Its words are the host's own where it reads them first.
    for nonsense in [json!("22"), json!([22]), json!({ "hostPort": 80 }), json!([[]])] {
        let conf = with_ports(&conf, &nonsense);
        let failure = world.call("ADD", &conf).of(&world.container()).fails();
        let told = failure.code == 102 && failure.msg.contains("portMappings: not a list of ports");
        assert!(told, "{nonsense}: {failure:?}");
    }
    world.assert_nothing_left();
}

fn a_quota_counts_what_is_attached(language: Language) {
    let world = world(language);
    let conf = conf(&world, &json!({ "quota": 2 }));
    let (one, two) =
        (world.attach_with(&conf, &pod("web", "a")), world.attach_with(&conf, &pod("web", "b")));
    let full = ["guard", "namespace web has 2 attachments, and may have 2"];
    refused(&world, &conf, &pod("web", "c"), 101, &full);
    // A namespace that begins like it, and what is no pod.
    world.attach_with(&conf, &pod("web-2", "a")).del();
    world.attach_with(&conf, "").del();
    one.del();
    let three = world.attach_with(&conf, &pod("web", "c"));
    refused(&world, &conf, &pod("web", "d"), 101, &full);
    two.del();
    three.del();
    world.assert_nothing_left();
}

fn the_mtu_is_amended(language: Language) {
    let world = world(language);
    for mtu in [1400, 9000] {
        let attached = world.attach_with(&conf(&world, &json!({ "mtu": mtu })), "");
        assert_eq!(attached.container.ns.link("eth0").mtu, mtu);
        attached.check();
        attached.del();
    }
    world.assert_nothing_left();
}

fn problems_are_told_by_their_pointers(language: Language) {
    let world = world(language);
    let cases: &[(Value, &[&str])] = &[
        (
            json!({ "hostPorts": ["80", "x"] }),
            &["/hostPorts/1", r#""x" is no port and no range of ports"#],
        ),
        (json!({ "hostPorts": ["90-80"] }), &["/hostPorts/0"]),
        (json!({ "hostPorts": ["65536"] }), &["/hostPorts/0"]),
        (json!({ "hostPorts": [""] }), &["/hostPorts/0"]),
        (json!({ "quota": 0 }), &["/quota"]),
        (json!({ "mtu": 67 }), &["/mtu"]),
        (json!({ "mtu": 65_536 }), &["/mtu"]),
        (json!({ "mtuu": 1400 }), &["/mtuu"]),
        (json!({ "namespaces": "web" }), &["/namespaces"]),
        (json!({ "namespaces": ["web", 7] }), &["/namespaces/1"]),
        (json!({ "mtu": 67, "quota": 0 }), &["/mtu", "/quota"]),
    ];
    for (config, words) in cases {
        refused(&world, &conf(&world, config), "", 7, words);
    }
    world.assert_nothing_left();
}
