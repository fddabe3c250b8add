//! `pool`, the address management that every language has: the same answers and the same words
//! from each, by ADDs of the executable.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, Failure, Language, World, in_each_language, in_language, pod};

in_each_language! {
    sets_routes_and_gateways
    a_requested_address_is_had_or_the_error_says_whose_it_is
    a_full_set_is_exhausted
    sticky_is_by_pod_and_outlives_a_del
    problems_are_told_by_their_pointers
}

in_language! {
    in_ts, TS,
    sets_routes_and_gateways
    a_requested_address_is_had_or_the_error_says_whose_it_is
    a_full_set_is_exhausted
    sticky_is_by_pod_and_outlives_a_del
    problems_are_told_by_their_pointers
}

/// A machine with the language's pool.
fn world(language: Language) -> World {
    let world = World::new();
    world.install_compiled(&language.component("pool"), "pool");
    world
}

fn conf(world: &World, ipam: &Value) -> Value {
    let mut ipam = ipam.clone();
    ipam["type"] = json!("pool");
    world.conf("ptp", &json!({ "ipam": ipam }))
}

#[track_caller]
fn fails(world: &World, conf: &Value, code: u64, words: &[&str]) -> Failure {
    let failure = world.call("ADD", conf).of(&world.container()).fails();
    assert_eq!(failure.code, code, "{failure:?}");
    for word in words {
        let said = failure.msg.contains(word) || failure.details.contains(word);
        assert!(said, "{word} is not said: {failure:?}");
    }
    failure
}

fn sets_routes_and_gateways(language: Language) {
    let world = world(language);
    let conf = conf(
        &world,
        &json!({
            "ranges": [
                [
                    { "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.20", "rangeEnd": "10.1.0.21" },
                    { "subnet": "10.1.1.0/24", "gateway": "10.1.1.254" },
                ],
                [{ "subnet": "fd00:1::/64" }],
            ],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "fd00:9::/48", "gw": "fd00:1::1" }],
        }),
    );
    let all: Vec<Attached<'_>> = (0..4).map(|_| world.attach_with(&conf, "")).collect();
    let ips = |attached: &Attached<'_>| -> Vec<String> {
        let ips = attached.result["ips"].as_array().expect("ips");
        ips.iter().map(|ip| format!("{} by {}", ip["address"], ip["gateway"])).collect()
    };
    let expected = [
        [r#""10.1.0.20/24" by "10.1.0.1""#, r#""fd00:1::2/64" by "fd00:1::1""#],
        [r#""10.1.0.21/24" by "10.1.0.1""#, r#""fd00:1::3/64" by "fd00:1::1""#],
        [r#""10.1.1.1/24" by "10.1.1.254""#, r#""fd00:1::4/64" by "fd00:1::1""#],
        [r#""10.1.1.2/24" by "10.1.1.254""#, r#""fd00:1::5/64" by "fd00:1::1""#],
    ];
    for (attached, expected) in all.iter().zip(expected) {
        assert_eq!(ips(attached), expected);
    }
    let first = all.first().expect("one");
    let routes = first.result["routes"].as_array().expect("routes");
    let has = |dst: &str, gw: &Value| {
        routes.iter().any(|route| route["dst"] == dst && (gw.is_null() || route["gw"] == *gw))
    };
    assert!(has("0.0.0.0/0", &Value::Null), "{routes:?}");
    assert!(has("fd00:9::/48", &json!("fd00:1::1")), "{routes:?}");
    for attached in all {
        attached.check();
        attached.del();
    }
    world.assert_nothing_left();
}

fn wanting(conf: &Value, address: &str) -> Value {
    let mut conf = conf.clone();
    conf["runtimeConfig"] = json!({ "ips": [address] });
    conf
}

fn a_requested_address_is_had_or_the_error_says_whose_it_is(language: Language) {
    let world = world(language);
    let conf = conf(&world, &json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }]] }));
    let asked = wanting(&conf, "10.1.0.77");
    let one = world.attach_with(&asked, "");
    assert_eq!(one.v4(), "10.1.0.77");
    let whose = format!("10.1.0.77 is held by pods/{}/eth0", one.container.id);
    fails(&world, &asked, 106, &[&whose, "pool@sha256:"]);
    let outside = wanting(&conf, "10.2.0.1");
    fails(&world, &outside, 106, &["10.2.0.1 is in none of the ranges"]);
    one.del();
    let again = world.attach_with(&asked, "");
    assert_eq!(again.v4(), "10.1.0.77");
    again.del();
    world.assert_nothing_left();
}

fn a_full_set_is_exhausted(language: Language) {
    let world = world(language);
    let ranges = json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.2.0.0/30" }]]);
    let conf = conf(&world, &json!({ "ranges": ranges }));
    let one = world.attach_with(&conf, "");
    assert_eq!(one.addresses(), ["10.1.0.2", "10.2.0.2"]);
    let words = ["set 1 has no free address", "pool@sha256:"];
    fails(&world, &conf, 100, &words);
    one.check();
    one.del();
    // What the set before gave to the refused one is free, and so is what was released.
    let next = world.attach_with(&conf, "");
    assert_eq!(next.addresses().get(1).map(String::as_str), Some("10.2.0.2"));
    next.del();
    world.assert_nothing_left();
}

fn sticky_is_by_pod_and_outlives_a_del(language: Language) {
    let world = world(language);
    let ranges = json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00:1::/64" }]]);
    let conf = conf(&world, &json!({ "ranges": ranges, "sticky": true }));
    let first = world.attach_with(&conf, &pod("db", "db-0"));
    let own = first.addresses();
    first.del();
    let other = world.attach_with(&conf, &pod("db", "db-1"));
    assert_ne!(other.addresses(), own);
    let again = world.attach_with(&conf, &pod("db", "db-0"));
    assert_eq!(again.addresses(), own);
    // While it is held by the pod of that name, another of the name gets another.
    let twin = world.attach_with(&conf, &pod("db", "db-0"));
    assert_ne!(twin.v4(), again.v4());
    for attached in [other, again, twin] {
        attached.del();
    }
    world.assert_nothing_left();
}

fn problems_are_told_by_their_pointers(language: Language) {
    let world = world(language);
    let nothing = "is empty: there is nothing to give";
    let cases: &[(Value, &[&str])] = &[
        (json!({ "ranges": [] }), &["/ranges", nothing]),
        (json!({ "ranges": [[]] }), &["/ranges/0", nothing]),
        (
            json!({ "ranges": [[{ "subnet": "10.1.0.7/24" }]] }),
            &["/ranges/0/0/subnet", "has host bits set: the network is 10.1.0.0/24"],
        ),
        (json!({ "ranges": [[{ "subnet": "ten" }]] }), &["/ranges/0/0/subnet"]),
        (
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24", "gateway": "fd00::1" }]] }),
            &["/ranges/0/0/gateway", "fd00::1 is of another family than 10.1.0.0/24"],
        ),
        (
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1" }]] }),
            &["/ranges/0/0/rangeEnd", "10.2.0.1 lies outside 10.1.0.0/24"],
        ),
        (json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }]], "stickyy": true }), &["/stickyy"]),
        (
            json!({ "ranges": [[{ "subnet": "10.1.0.0/24", "a/b~c": 1 }]] }),
            &["/ranges/0/0/a~1b~0c"],
        ),
        (json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }]], "sticky": "yes" }), &["/sticky"]),
        (json!({ "ranges": [[{ "subnet": 7 }]] }), &["/ranges/0/0/subnet"]),
        (json!({}), &["ranges"]),
    ];
    for (config, words) in cases {
        fails(&world, &conf(&world, config), 7, words);
    }
    world.assert_nothing_left();
}
