//! What people are shown of a node: pools and events.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use serde_json::{Value, json};
use wharfinger_suite::World;

/// A network of the gateway, .1, and five addresses.
fn small(world: &World, more: &Value) -> Value {
    let mut conf = world.conf("bridge", &json!({ "ipam": world.ipam(&["10.1.0.0/29"]) }));
    wharfinger_suite::merge(&mut conf, more);
    conf
}

fn list(world: &World, conf: &Value) {
    let list = json!({ "cniVersion": "1.1.0", "name": conf["name"], "plugins": [conf] });
    let name = conf["name"].as_str().expect("a name");
    world.write(&format!("conf/{name}.conflist"), &list.to_string());
}

fn pools(world: &World, more: &[&str]) -> Vec<Value> {
    let dir = world.text_path("conf");
    let words = [&["pools", "--json", "--conf-dir", &dir], more].concat();
    serde_json::from_str(&world.cli_ok(&words)).expect("JSON")
}

#[test]
#[ignore = "needs root: ring netns"]
fn pools_are_as_full_as_they_are_and_a_broken_network_is_a_row() {
    let world = World::new();
    let conf = small(&world, &json!({}));
    list(&world, &conf);
    let broken = json!({ "name": "broken", "ipam": { "ranges": [[{ "subnet": "10.1.0.0" }]] } });
    list(&world, &small(&world, &broken));
    world.write("conf/torn.conflist", "{,");
    let empty = pools(&world, &["pods"]);
    assert!(!world.path("run/events.jsonl").exists(), "a look leaves nothing");
    let counts =
        |row: &Value| ["total", "held", "resting", "remembered"].map(|key| row[key].clone());
    assert_eq!(empty.iter().map(counts).collect::<Vec<_>>(), [[6, 0, 0, 0].map(Value::from)]);

    let elsewhere = json!({
        "name": "elsewhere", "bridge": "cni1", "ipam": world.ipam(&["10.2.0.0/24"]),
    });
    let others = world.attach(&small(&world, &elsewhere));
    let one = world.attach(&conf);
    let two = world.attach(&conf);
    one.del();
    let all = pools(&world, &[]);
    let of = |network: &str| -> &Value {
        let mut rows = all.iter().filter(|row| row["network"] == network);
        let row = rows.next().unwrap_or_else(|| panic!("no {network}: {all:?}"));
        assert!(rows.next().is_none(), "{network}: {all:?}");
        row
    };
    assert_eq!(counts(of("pods")), [6, 1, 1, 0].map(Value::from));
    let range = json!([{ "first": "10.1.0.1", "last": "10.1.0.6" }]);
    assert_eq!(of("pods")["ranges"], range);
    assert_eq!(of("elsewhere")["by"], "attachment");
    assert_eq!(of("elsewhere")["held"], 1);
    let why = of("broken")["reason"].as_str().expect("a reason");
    assert!(why.contains("subnet"), "{why}");
    assert!(of("torn.conflist")["reason"].as_str().expect("a reason").contains("JSON"));

    let dir = world.text_path("conf");
    let table = world.cli_ok(&["pools", "pods", "--conf-dir", &dir]);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains("-10.1.0.6"), "{table}");
    let nowhere = world.cli(&["pools", "nowhere", "--conf-dir", &dir]);
    assert!(!nowhere.status.success(), "{nowhere:?}");
    two.del();
    others.del();
    world.assert_nothing_left();
}

/// A call that went well can be looked at afterwards as one that failed can: when, what was given, who
/// decided, how long each took; and its decision can be asked for again.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_d3_calls_that_went_well_leave_what_they_did() {
    let world = World::new();
    let conf = small(&world, &json!({}));
    list(&world, &conf);
    let one = world.attach(&conf);
    let id = one.container.id.clone();
    let mut unknown = conf.clone();
    unknown["ipam"] = world.ipam(&["10.1.0.0/33"]);
    let container = world.container();
    let call = world.call("ADD", &unknown).of(&container);
    let failure = call.fails();

    let events = world.events();
    let adds: Vec<&Value> = events.iter().filter(|event| event["verb"] == "ADD").collect();
    let [well, failed] = adds[..] else { panic!("{events:?}") };
    assert_eq!((&well["network"], &well["container"]), (&json!("pods"), &json!(id)));
    assert!(well["milliseconds"].is_number() && well["time"].is_number(), "{well}");
    let asked = &well["calls"][0];
    assert!(asked["plugin"].as_str().expect("a plugin").contains("host-local@sha256:"), "{well}");
    assert_eq!((&asked["call"], &asked["decision"]), (&json!("allocate"), &json!("allow")));
    assert!(asked["milliseconds"].is_number(), "{well}");
    let told = failed["error"].to_string();
    assert!(told.contains("10.1.0.0/33"), "{failed} {failure:?}");
    let only = world.cli_ok(&["events", "--failed"]);
    assert!(only.contains(&container.id) && !only.contains(&id), "{only}");

    // What went into the component and came out of it, and the same again from that file.
    let records = std::fs::read_dir(world.path("run/calls")).expect("records").flatten();
    let mut records = records.map(|entry| entry.path().display().to_string());
    let record = records.find(|path| path.contains("/last-")).expect("a record of the ADD");
    let again = world.cli_ok(&["plugin", "replay", &record]);
    assert!(again.contains("allocate"), "{again}");
    let shown = world.cli_ok(&["show", &id]);
    assert!(shown.contains(&one.v4()) && shown.contains("host-local"), "{shown}");
    one.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn events_are_shown_and_followed_into_a_new_file() {
    let world = World::new();
    let conf = small(&world, &json!({}));
    let one = world.attach(&conf);
    let id = one.container.id.clone();
    let file = world.path("run/events.jsonl");
    let text = std::fs::read_to_string(&file).expect("events");
    let first = text.lines().next().expect("a line").to_owned();
    std::fs::write(&file, format!("{text}torn {{\n")).expect("events");
    let shown = world.cli(&["events", "--network", "pods"]);
    let people = String::from_utf8_lossy(&shown.stdout);
    let line = people.lines().find(|line| line.contains("  ADD  ")).expect("the ADD");
    assert!(line.contains(&format!("  pods  {id}  eth0  ok  ")), "{line}");
    assert!(String::from_utf8_lossy(&shown.stderr).contains("no JSON"), "{shown:?}");
    assert!(world.cli_ok(&["events", "--json"]).starts_with(&first), "as it is");
    assert_eq!(world.cli_ok(&["events", "--network", "other"]), "");

    let program = world.text_path("bin/wharfinger");
    let mut command = Command::new(program);
    command.args(["events", "--follow", "--container", &id]).envs(world.variables());
    let mut follower = command.stdout(std::process::Stdio::piped()).spawn().expect("events");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert!(next().contains("  ADD  "));
    std::fs::rename(&file, world.path("run/events.jsonl.1")).expect("rename");
    one.check();
    assert!(next().contains("  CHECK  "));
    one.del();
    assert!(next().contains("  DEL  "));
    follower.kill().expect("kill");
    follower.wait().expect("wait");
    world.assert_nothing_left();
}
