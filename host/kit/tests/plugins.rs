//! The checks against components in the engine: the built-in ones pass, and of the faulty ones in
//! `tests/` each fault is found by the check for it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wharfinger_kit::conform::{self, Outcome, Report, Settings};
use wharfinger_wasm::{Grants, Limits, Plugin};

/// Builds the guest in a folder of the checkout: a component's bytes.
fn guest(folder: &str) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "xtask", "--", "component", folder])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).unwrap();
    std::fs::read(path.trim()).unwrap()
}

fn plugin(folder: &str) -> Plugin {
    let name = Path::new(folder).file_name().unwrap().to_str().unwrap();
    Plugin::compiled(name, &guest(folder), &Limits::default(), &Grants::default()).unwrap()
}

/// A busy machine is no fault of the plugin's.
fn settings(config: Value) -> Settings {
    Settings { config, seed: 11, attachments: 600, deadline: 60_000, ..Settings::default() }
}

fn idle(report: &Report) -> Vec<&str> {
    let all = report.checks.iter();
    let idle = all.filter(|check| matches!(check.outcome, Outcome::NotApplicable { .. }));
    idle.map(|check| check.name.as_str()).collect()
}

fn finds(report: &Report, fault: &str, check: &str) {
    let found = report.faults().any(|(name, _)| name == check);
    assert!(found, "{fault} is not found by {check}: {report}");
}

#[test]
fn host_local_passes() {
    let plugin = plugin("plugins-wasm/host-local").ipam().unwrap();
    let config = json!({
        "type": "host-local",
        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00::/120" }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dns": { "nameservers": ["10.1.0.53"] },
    });
    let report = conform::ipam(&plugin, &settings(config));
    assert!(report.passed() && idle(&report).is_empty(), "{report}");
}

#[test]
fn rules_passes() {
    let plugin = plugin("plugins-wasm/rules").policy().unwrap();
    let config = json!({
        "rules": [
            { "match": { "namespace": "kube-*" }, "deny": "not on this network" },
            { "match": { "namespace": "team-*" }, "set": { "mtu": 1_400 } },
        ],
        "quotas": [{ "namespace": "default", "attachments": 5 }],
    });
    let report = conform::policy(&plugin, &settings(config));
    assert!(report.passed() && idle(&report).is_empty(), "{report}");
    assert!(report.to_string().contains("5 pods are admitted"), "{report}");
}

#[test]
fn each_fault_of_an_ipam_plugin_is_found() {
    let plugin = plugin("tests/faulty").ipam().unwrap();
    let config = |fault: &str| json!({ "fault": fault, "ranges": [["10.1.0.1", "10.1.0.60"], ["fd00::1", "fd00::60"]] });
    let good = conform::ipam(&plugin, &settings(config("")));
    assert!(good.passed() && idle(&good).is_empty(), "{good}");
    for (fault, check) in [
        ("random", "same-answer"),
        ("ignores-wanted", "wanted"),
        ("another-instead", "wanted"),
        ("gives-gateway", "wanted"),
        ("untaken", "lease"),
        ("other-pools", "lease"),
        ("own-count", "asked-again"),
        ("half", "dual-stack"),
        ("wrong-reason", "exhaustion"),
        ("leaks", "life"),
        ("traps-on-bad-config", "bad-config"),
        ("wrong-pointer", "bad-config"),
        ("no-pointer", "bad-config"),
        ("takes-anything", "bad-config"),
        ("traps-without-pod", "hostile-input"),
    ] {
        finds(&conform::ipam(&plugin, &settings(config(fault))), fault, check);
    }
    let slow = Settings { deadline: 10, attachments: 4, ..settings(config("slow")) };
    let report = conform::ipam(&plugin, &slow);
    // The engine's own deadline may come first.
    assert!(!report.passed(), "{report}");
}

#[test]
fn each_fault_of_a_policy_is_found() {
    let plugin = plugin("tests/faulty-policy").policy().unwrap();
    let config = |fault: &str| json!({ "fault": fault, "max": 5, "mtu": 1_400 });
    let good = conform::policy(&plugin, &settings(config("")));
    assert!(good.passed() && idle(&good) == ["reasons"], "{good}");
    for (fault, check) in [
        ("no-reason", "repeats"),
        ("changes-type", "patches"),
        ("drops-policies", "patches"),
        ("changes-result", "patches"),
        ("counts-retries", "repeats"),
        ("leaks", "returns"),
        ("wrong-pointer", "bad-config"),
        ("traps-on-bad-config", "bad-config"),
        ("admits-anything", "bad-config"),
        ("traps-on-hostile", "hostile-input"),
    ] {
        finds(&conform::policy(&plugin, &settings(config(fault))), fault, check);
    }
}
