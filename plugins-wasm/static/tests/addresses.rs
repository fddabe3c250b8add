//! Which addresses are given, by each of the ways to name them.
#![allow(clippy::unwrap_used, reason = "a test")]

use serde_json::{Value, json};

fn args(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn config() -> Value {
    json!({ "type": "static", "ADDRESSES": [
        { "address": "10.1.0.5/24", "gateway": "10.1.0.1" },
        { "address": "fd00::5/64" },
    ] })
}

fn given(config: &Value, network: &Value, with: &str) -> Result<Vec<String>, Vec<String>> {
    let found = static_ipam::addresses(config, network, &args(with));
    let text = |given: &static_ipam::Given| match given.gateway {
        Some(gateway) => format!("{} by {gateway}", given.address),
        None => given.address.to_string(),
    };
    found.map(|given| given.iter().map(text).collect()).map_err(|problems| {
        problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect()
    })
}

#[test]
fn args_are_added_and_lists_replace() {
    let given = |network: Value, with: &str| given(&config(), &network, with).unwrap();
    assert_eq!(given(json!({}), ""), ["10.1.0.5/24 by 10.1.0.1", "fd00::5/64"]);
    assert_eq!(
        given(json!({}), "IP=10.2.0.5/16,fd01::5/64;GATEWAY=10.2.0.1,fd01::1;Other=x"),
        [
            "10.1.0.5/24 by 10.1.0.1",
            "fd00::5/64",
            "10.2.0.5/16 by 10.2.0.1",
            "fd01::5/64 by fd01::1"
        ]
    );
    let cni = json!({ "args": { "cni": { "ips": ["10.3.0.5/24"] } } });
    assert_eq!(given(cni.clone(), "IP=10.2.0.5/16"), ["10.3.0.5/24"]);
    let mut both = cni;
    both["runtimeConfig"] = json!({ "ips": ["10.4.0.5/24"] });
    assert_eq!(given(both, ""), ["10.4.0.5/24"]);
    let empty = json!({ "runtimeConfig": { "ips": [] } });
    assert_eq!(given(empty, ""), ["10.1.0.5/24 by 10.1.0.1", "fd00::5/64"]);
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |config: Value, network: Value, with: &str| {
        given(&config, &network, with).unwrap_err().join("; ")
    };
    let bare = json!({ "addresses": [{ "address": "10.1.0.5" }, {}, { "address": 7 }] });
    assert_eq!(
        wrong(bare, json!({}), ""),
        "/addresses/0/address: must be an address with its prefix, as 10.1.0.5/24, found \"10.1.0.5\"; \
         /addresses/1: has no address; /addresses/2/address: must be a string, found 7"
    );
    assert!(wrong(config(), json!({}), "IP=10.1.0.7").starts_with("CNI_ARGS IP: "));
    assert!(wrong(config(), json!({}), "GATEWAY=x").starts_with("CNI_ARGS GATEWAY: "));
    assert!(wrong(config(), json!({}), "IP=10.1.0.5/24").contains("comes twice"));
    let family = json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "fd00::1" }] });
    assert!(wrong(family, json!({}), "").contains("another family"));
    let old = json!({ "cniVersion": "0.2.0" });
    assert!(wrong(config(), old.clone(), "IP=10.2.0.5/16").contains("room for one"));
    assert_eq!(given(&config(), &old, "").unwrap().len(), 2);
    assert_eq!(given(&json!({}), &old, "").unwrap().len(), 0);
}
