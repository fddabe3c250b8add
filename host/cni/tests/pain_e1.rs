//! Row E1: a version that does not match, or is missing, must break nothing. Every verb in every
//! version, with golden results; and every result back from every version.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
mod common;

use common::{Answer, Call, Recorder, conf, conf_with_prev};
use serde_json::{Value, json};
use wharfinger_cni::{CniError, Success, Verb, Version, code};

const GOLDEN: [(&str, &str); 5] = [
    ("dual-stack", include_str!("golden/dual-stack.json")),
    ("layer-2", include_str!("golden/layer-2.json")),
    ("delegate", include_str!("golden/delegate.json")),
    ("v6-only", include_str!("golden/v6-only.json")),
    ("empty", include_str!("golden/empty.json")),
];

/// What is expected of a version: `like` names another entry that differs in the label only.
fn expected(golden: &Value, version: Version) -> Value {
    let entry = &golden[version.as_str()];
    let Some(other) = entry["like"].as_str() else { return entry.clone() };
    let mut copy = golden[other].clone();
    if copy.get("error").is_none() {
        copy["cniVersion"] = json!(version.as_str());
    }
    copy
}

fn cases() -> impl Iterator<Item = (&'static str, Value, Version)> {
    GOLDEN.into_iter().flat_map(|(name, text)| {
        let golden: Value = serde_json::from_str(text).unwrap();
        Version::ALL.map(|version| (name, golden.clone(), version))
    })
}

#[test]
fn pain_e1_add_in_every_version_has_its_golden_result() {
    for (name, golden, version) in cases() {
        let result = Success::parse(Version::V1_1_0, &golden["input"]).unwrap();
        let plugin = Recorder { result, ..Recorder::default() };
        let out = Call::new("ADD").conf(&conf(version.as_str())).run(&plugin);
        let expected = expected(&golden, version);
        if let Some(code) = expected.get("error") {
            assert_eq!(json!(out.error().code), *code, "{name} {version}");
        } else {
            assert_eq!((out.status, out.object()), (0, expected), "{name} {version}");
        }
    }
}

/// What a reader of an old version cannot know: the links and all that 1.1.0 added to them, what
/// is not the first address of its family, routes of a family without address, extras of routes.
fn known_in(version: Version, newest: &Success) -> Success {
    let mut known = newest.clone();
    if version < Version::V1_0_0 {
        for link in &mut known.interfaces {
            (link.mtu, link.socket_path, link.pci_id) = (None, String::new(), String::new());
        }
    }
    if version <= Version::V0_2_0 {
        known.interfaces.clear();
        known.routes = [true, false].into_iter().flat_map(|v4| family_routes(newest, v4)).collect();
        let first = |v4| newest.ips.iter().find(move |ip| ip.address.addr().is_ipv4() == v4);
        known.ips = [first(true), first(false)].into_iter().flatten().cloned().collect();
        known.ips.iter_mut().for_each(|ip| ip.interface = None);
    }
    known
}

fn family_routes(newest: &Success, v4: bool) -> Vec<wharfinger_cni::Route> {
    let has = newest.ips.iter().any(|ip| ip.address.addr().is_ipv4() == v4);
    let ours = |route: &&wharfinger_cni::Route| has && route.dst.addr().is_ipv4() == v4;
    let routes = newest.routes.iter().filter(ours).cloned();
    routes
        .map(|mut route| {
            (route.mtu, route.advmss, route.priority) = (None, None, None);
            (route.table, route.scope) = (None, None);
            route
        })
        .collect()
}

#[test]
fn pain_e1_a_prev_result_of_every_version_is_understood_in_every_version() {
    for (name, golden, version) in cases() {
        let prev = expected(&golden, version);
        if prev.get("error").is_some() {
            continue;
        }
        let newest = Success::parse(Version::V1_1_0, &golden["input"]).unwrap();
        for own in Version::ALL {
            let mut conf = conf(own.as_str());
            conf["prevResult"] = prev.clone();
            let seen = Call::new("DEL").conf(&conf).seen().prev_result.unwrap();
            assert_eq!(seen, known_in(version, &newest), "{name}: {version} in {own}");
        }
    }
}

#[test]
fn pain_e1_a_result_without_label_has_the_configurations_version() {
    for (name, golden, version) in cases() {
        let mut prev = expected(&golden, version);
        if prev.get("error").is_some() {
            continue;
        }
        let labelled = Success::parse(Version::V1_1_0, &prev).unwrap();
        prev.as_object_mut().unwrap().remove("cniVersion");
        assert_eq!(Success::parse(version, &prev).unwrap(), labelled, "{name} {version}");
    }
}

#[test]
fn pain_e1_every_verb_in_every_version_is_served_or_refused_with_error_1() {
    let result =
        Success::parse(Version::V1_1_0, &json!({ "ips": [{ "address": "10.1.0.5/16" }] })).unwrap();
    for verb in Verb::ALL {
        for version in Version::ALL {
            let plugin = Recorder { result: result.clone(), ..Recorder::default() };
            let call = Call::new(verb.as_str()).conf(&conf_with_prev(version.as_str()));
            let out = call.run(&plugin);
            let served = version >= verb.since();
            assert_eq!(out.status == 0, served, "{verb} {version}");
            if !served {
                let error = out.error();
                assert_eq!((error.code, error.version.as_str()), (1, version.as_str()));
            }
        }
    }
}

#[test]
fn pain_e1_errors_carry_the_configurations_version() {
    for version in Version::ALL {
        let error = CniError::new(code::TRY_AGAIN, "later");
        let out = Call::new("ADD")
            .conf(&conf(version.as_str()))
            .run(&Recorder::answering(Answer::Fails(error)));
        assert_eq!(out.error().version, version.as_str());
    }
    assert_eq!(Call::new("ADD").conf(&conf("3.0.0")).refused().version, "1.1.0");
}

#[test]
fn pain_e1_numbers_that_say_nothing_and_fields_of_another_version_are_dropped() {
    let link = json!({ "name": "eth0", "mtu": 1500, "pciID": "0000:00:1f.6" });
    let value = json!({ "cniVersion": "0.4.0", "interfaces": [link] });
    let read = Success::parse(Version::V1_1_0, &value).unwrap();
    assert_eq!((read.interfaces[0].mtu, read.interfaces[0].pci_id.as_str()), (None, ""));
    let value = json!({
        "interfaces": [{ "name": "eth0", "mtu": 0 }],
        "ips": [{ "address": "10.1.0.5/16", "interface": -1 }],
        "routes": [{ "dst": "::/0", "mtu": 0, "advmss": 0, "priority": 0, "table": 0, "scope": 0 }],
    });
    let read = Success::parse(Version::V1_1_0, &value).unwrap();
    let expected = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{ "name": "eth0" }],
        "ips": [{ "address": "10.1.0.5/16" }],
        "routes": [{ "dst": "::/0", "table": 0, "scope": 0 }],
    });
    assert_eq!(read.render(Version::V1_1_0).unwrap(), expected);
}

#[test]
fn pain_e1_what_would_be_guessed_at_is_an_error() {
    let values = [
        json!({ "ips": [{}] }),
        json!({ "ips": [{ "address": "10.1.0.5" }] }),
        json!({ "ips": [{ "address": "10.1.0.5/16", "gateway": "x" }] }),
        json!({ "routes": [{ "gw": "10.1.0.1" }] }),
        json!({ "routes": [{ "dst": "::/0", "scope": 256 }] }),
        json!({ "routes": [{ "dst": "::/0", "table": -1 }] }),
        json!({ "interfaces": [null] }),
        json!({ "dns": [] }),
        json!([]),
    ];
    for value in values {
        let error = Success::parse(Version::V1_1_0, &value).unwrap_err();
        assert_eq!(error.code, 6, "{value}");
    }
}
