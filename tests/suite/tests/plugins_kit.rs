//! What authors and operators have of the executable for plugins, without root: conformance,
//! one call, a replay, a bench; and, with it, the records that an ADD leaves.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wharfinger_suite::World;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Our command line, which must end with this status: what it wrote.
#[track_caller]
fn cli(world: &World, status: i32, arguments: &[&str]) -> String {
    let output = world.cli(arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
    text(&output.stdout)
}

fn write(world: &World, name: &str, value: &Value) -> String {
    world.write(name, &value.to_string()).display().to_string()
}

#[test]
fn conformance_of_a_good_plugin_and_its_reports() {
    let world = World::without_namespaces();
    let config = json!({
        "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00::/120" }]],
    });
    let config = write(&world, "good.json", &config);
    let json = world.text_path("report.json");
    let wasm = World::component("host-local");
    let said = cli(
        &world,
        0,
        &["plugin", "test", &wasm, "--config", &config, "--report", &json, "--seed", "5"],
    );
    assert!(said.contains(" (ipam), seed 5\n"), "{said}");
    assert!(said.ends_with("12 passed, 0 failed, 0 not applicable\n"), "{said}");
    let report = std::fs::read(json).expect("the report");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["checks"][0]["outcome"], "passed");
    // Without a configuration nothing is tested: it says what is needed.
    let said = cli(&world, 1, &["plugin", "test", &wasm]);
    assert!(said.contains("it needs a configuration, give one: /ranges"), "{said}");
    assert!(said.contains("it was not tested"), "{said}");
}

#[test]
fn conformance_finds_a_fault() {
    let world = World::without_namespaces();
    let config =
        json!({ "fault": "half", "ranges": [["10.1.0.1", "10.1.0.60"], ["fd00::1", "fd00::60"]] });
    let settings = write(&world, "s.json", &json!({ "config": config, "attachments": 20 }));
    let wasm = World::component("faulty");
    let said = cli(&world, 1, &["plugin", "test", &wasm, "--settings", &settings]);
    assert!(said.contains("FAILED  dual-stack"), "{said}");
    let policy = json!({ "fault": "counts-retries", "max": 3 });
    let policy = write(&world, "p.json", &policy);
    let wasm = World::component("faulty-policy");
    let said = cli(&world, 1, &["plugin", "test", &wasm, "--config", &policy]);
    assert!(said.contains("FAILED  repeats"), "{said}");
}

#[test]
fn a_project_is_needed_where_no_component_is_named() {
    let world = World::without_namespaces();
    let output = std::process::Command::new(world.path("bin/wharfinger"))
        .args(["plugin", "test"])
        .current_dir(world.path("data"))
        .envs(world.variables())
        .output()
        .expect("our executable");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("wharfinger plugin new"), "{output:?}");
}

/// The input that `--example` prints, for the built-in component.
fn example(world: &World) -> Value {
    let example = cli(world, 0, &["plugin", "run", "--example"]);
    serde_json::from_str(&example).expect("JSON")
}

#[test]
fn one_call_by_hand_against_a_ledger_empty_or_given() {
    let world = World::without_namespaces();
    let wasm = World::component("host-local");
    let input = write(&world, "input.json", &example(&world));
    let said = cli(&world, 0, &["plugin", "run", &wasm, "--input", &input]);
    assert!(said.contains(r#""address": "10.1.0.9/24""#), "{said}");
    assert!(said.contains("asked ledger.take 10.1.0.9: done\n"), "{said}");
    assert!(said.contains("allocate took "), "{said}");
    let held = json!([{
        "network": "pods", "container": "c0", "ifname": "eth0", "addresses": ["10.1.0.9"],
    }]);
    let held = write(&world, "ledger.json", &held);
    let said = cli(&world, 1, &["plugin", "run", &wasm, "--input", &input, "--ledger", &held]);
    assert!(said.contains("10.1.0.9 was asked for, but is held by pods/c0/eth0"), "{said}");
    for call in ["validate", "pools"] {
        let said = cli(&world, 0, &["plugin", "run", &wasm, "--call", call, "--input", &input]);
        assert!(said.contains(call), "{said}");
    }
    let wrong = ["plugin", "run", &wasm, "--call", "admit", "--input", &input];
    let said = world.cli(&wrong);
    assert!(text(&said.stderr).contains("is of a world without \"admit\""), "{said:?}");
}

#[test]
fn a_policy_is_called_by_hand_and_told_what_the_example_says() {
    let world = World::without_namespaces();
    let example = cli(&world, 0, &["plugin", "run", "--example", "--call", "review"]);
    let input = world.write("review.json", &example).display().to_string();
    let wasm = World::component("faulty-policy");
    let said = cli(&world, 0, &["plugin", "run", &wasm, "--call", "admit", "--input", &input]);
    assert!(said.contains(r#""mtu": 1500"#), "{said}");
    assert!(said.contains("asked store.count default/: 0\n"), "{said}");
    let said = cli(&world, 0, &["plugin", "run", &wasm, "--call", "review", "--input", &input]);
    assert!(said.contains("a.example"), "{said}");
}

#[test]
fn a_bench_is_a_table_of_times() {
    let world = World::without_namespaces();
    let input = write(&world, "input.json", &example(&world));
    let wasm = World::component("host-local");
    let said = cli(&world, 0, &["plugin", "bench", &wasm, "--input", &input, "--rounds", "20"]);
    assert!(said.contains("compiled in "), "{said}");
    for row in ["validate", "pools", "allocate"] {
        assert!(said.lines().any(|line| line.starts_with(row) && line.ends_with(" ms")), "{said}");
    }
}

#[test]
fn a_record_is_replayed_by_the_same_component_and_by_another() {
    let world = World::without_namespaces();
    let wasm = World::component("host-local");
    let input = write(&world, "input.json", &example(&world));
    let record = cli(&world, 0, &["plugin", "run", &wasm, "--input", &input, "--json"]);
    let record = world.write("record.json", &record).display().to_string();
    let said = cli(&world, 0, &["plugin", "replay", &record, "--plugin", &wasm]);
    assert!(said.contains("the answer is the same"), "{said}");
    let other = World::component("faulty");
    let said = cli(&world, 1, &["plugin", "replay", &record, "--plugin", &other]);
    assert!(said.contains("the answer differs (- then, + now):"), "{said}");
}

/// The files of records, oldest first by their time.
fn records(world: &World) -> Vec<(PathBuf, Value)> {
    let entries = std::fs::read_dir(world.path("run/calls")).into_iter().flatten().flatten();
    let record = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).ok()?;
        Some((path, serde_json::from_str(&text).ok()?))
    };
    entries.map(|entry| entry.path()).filter(is_json).filter_map(record).collect()
}

fn is_json(path: &PathBuf) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "json")
}

#[test]
#[ignore = "needs root: ring netns"]
fn an_add_leaves_a_record_that_is_replayed_anywhere() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let secret = json!({ "ipam": {
        "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/16" }]],
        "secret": "open-sesame", "secrets": ["/secret"],
    }});
    let one = world.attach(&world.conf("bridge", &secret));
    let all = records(&world);
    let allocate = all.iter().find(|(_, record)| record["call"]["export"] == "allocate");
    let (path, record) = allocate.expect("a record of allocate");
    assert_eq!(record["format"], 1);
    assert!(record["plugin"].as_str().is_some_and(|name| name.starts_with("host-local@sha256:")));
    assert!(!record.to_string().contains("open-sesame"), "{record}");
    let mode = |path: &Path| path.metadata().expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&world.path("run/calls")), mode(path)), (0o700, 0o600));
    let path = path.display().to_string();
    let wasm = World::component("host-local");
    let said = cli(&world, 0, &["plugin", "replay", &path, "--plugin", &wasm]);
    assert!(said.contains("the answer is the same"), "{said}");
    assert!(said.contains(&one.v4()), "{said}");
    one.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn an_error_names_its_record() {
    let world = World::new();
    let conf = world.conf(
        "bridge",
        &json!({ "ipam": {
            "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/30" }]],
        }}),
    );
    let one = world.attach(&conf);
    let full = world.container();
    let failure = world.call("ADD", &conf).of(&full).fails();
    let details: Value = serde_json::from_str(&failure.details).expect("details");
    let record = details["record"].as_str().expect("a record").to_owned();
    assert!(record.ends_with("-failed.json"), "{record}");
    let wasm = World::component("host-local");
    let said = cli(&world, 0, &["plugin", "replay", &record, "--plugin", &wasm]);
    assert!(said.contains("exhausted"), "{said}");
    one.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_explains_leaves_no_record() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [conf] });
    let list = write(&world, "conf/pods.conflist", &list);
    let _ = world.cli_ok(&["explain", &list]);
    assert!(records(&world).is_empty());
}
