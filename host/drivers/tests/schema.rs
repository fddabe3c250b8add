//! The published schema of a network's configuration says what is read: each key of each driver and
//! feature, and of what kind it is.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod common;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use wharfinger_drivers::{Conf, DRIVERS, features};

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/schema/network.schema.json")).unwrap()
}

/// The keys that a part of the schema describes.
fn described(schema: &Value, part: &str) -> Map<String, Value> {
    let place = format!("/definitions/{part}/properties");
    schema.pointer(&place).and_then(Value::as_object).unwrap_or_else(|| panic!("{place}")).clone()
}

/// What an ADD would say of an entry of ours.
fn said(entry: &Value) -> Result<(), String> {
    let call = common::call(&entry.to_string());
    let driver = entry["driver"].as_str().unwrap();
    Conf::parse(driver, &call).map_err(|error| error.to_string())?;
    features::Feature::all(&call).map(drop).map_err(|error| error.to_string())
}

/// An entry that is right as it is, for keys to be put into.
fn entry(driver: &str) -> Value {
    let mut entry = json!({ "driver": driver, "ipam": { "type": "static" } });
    match driver {
        "vlan" | "macvlan" | "ipvlan" => entry["master"] = json!("eth1"),
        "host-device" => entry["device"] = json!("eth1"),
        "overlay" => entry["vni"] = json!(4096),
        _ => {}
    }
    entry
}

/// What else has to be there for a key to be right.
fn beside(entry: &mut Value, key: &str) {
    if key == "disableContainerInterface" {
        entry["ipam"].take();
    }
}

/// Whether a value is of the kinds that are named: one of every kind of JSON's is tried on each key.
fn of_kind(kinds: &Value, value: &Value) -> bool {
    let is = |kind: &str| match kind {
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("no kind of ours: {kind}"),
    };
    match kinds {
        // Said nothing of.
        Value::Null => true,
        Value::String(kind) => is(kind),
        kinds => kinds.as_array().unwrap().iter().any(|kind| is(kind.as_str().unwrap())),
    }
}

/// Tries a key with values of each kind, and with those that the schema gives as right or wrong: where
/// schema and driver do not agree.
fn try_key(
    key: &str,
    about: &Value,
    read: &dyn Fn(&str, &Value) -> Result<(), String>,
) -> Vec<String> {
    let list = |what: &str| about.get(what).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut wrong = vec![json!(true), json!(7), json!("x"), json!(["x"]), json!({"x": "y"})];
    wrong.retain(|value| !of_kind(&about["type"], value));
    if about.get("enum").is_some() {
        wrong.push(json!("nonsense"));
    }
    let bound = |what: &str, by: i64| Some(json!(about.get(what)?.as_i64()? + by));
    wrong.extend(bound("minimum", -1));
    wrong.extend(bound("maximum", 1));
    let mut right = [list("enum"), list("examples")].concat();
    right.extend(about.get("default").cloned());
    let taken = wrong.iter().filter(|value| read(key, value).is_ok());
    let mut found: Vec<String> = taken.map(|value| format!("{key}: {value} is taken")).collect();
    found.extend(right.iter().filter_map(|value| read(key, value).err()));
    found
}

#[test]
fn the_schema_knows_each_key_of_each_driver() {
    let schema = schema();
    let listed: BTreeSet<&str> = schema["definitions"]["own"]["properties"]["driver"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(listed, DRIVERS.iter().copied().collect());
    let mut found = Vec::new();
    for driver in DRIVERS {
        let described = described(&schema, &format!("driver-{driver}"));
        let keys: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        let read = wharfinger_drivers::keys_of(driver).unwrap().iter().copied().collect();
        assert_eq!(keys, read, "{driver}");
        for (key, about) in &described {
            let read = |key: &str, value: &Value| {
                let mut entry = entry(driver);
                beside(&mut entry, key);
                entry[key] = value.clone();
                said(&entry).map_err(|error| format!("{driver}: {error}"))
            };
            found.extend(try_key(key, about, &read));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_schema_knows_each_key_of_each_feature() {
    let schema = schema();
    let listed = schema["definitions"]["own"]["properties"]["features"]["properties"].clone();
    let listed: BTreeSet<&str> = listed.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(listed, features::FEATURES.iter().copied().collect());
    let mut found = Vec::new();
    for feature in features::FEATURES {
        let described = described(&schema, &format!("feature-{feature}"));
        let keys: BTreeSet<&str> = described.keys().map(String::as_str).collect();
        let read = features::keys_of(feature).unwrap().iter().copied().collect();
        assert_eq!(keys, read, "{feature}");
        for (key, about) in &described {
            let read = |key: &str, value: &Value| {
                let mut entry = entry("bridge");
                let mut part = json!({ key: value });
                // What goes with it.
                for (one, other) in [("Rate", "Burst"), ("Burst", "Rate")] {
                    if key.contains(one) {
                        part[key.replace(one, other)] = json!(1_000_000);
                    }
                }
                if *feature == "vrf" && key != "vrfname" {
                    part["vrfname"] = json!("blue");
                }
                entry["features"] = json!({ *feature: part });
                said(&entry).map_err(|error| format!("{feature}: {error}"))
            };
            found.extend(try_key(key, about, &read));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
