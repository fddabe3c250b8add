//! Attachments by installed components and by components at a path: what is compiled and when,
//! and what happens where somebody changed a file of the store.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wharfinger_suite::World;

/// A bridge whose addresses come from this component.
fn conf(world: &World, plugin: &str) -> Value {
    let mut ipam = world.ipam(&["10.1.0.0/16"]);
    ipam["type"] = json!("wharfinger");
    ipam["plugin"] = json!(plugin);
    world.conf("bridge", &json!({ "ipam": ipam }))
}

/// How often something was compiled for a call, as the events have it.
fn compiled(world: &World) -> usize {
    let events = world.events();
    events.iter().filter(|event| event["event"] == "component compiled").count()
}

fn only(folder: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).expect("a folder");
    let first = entries.next().expect("a file").expect("an entry").path();
    assert!(entries.next().is_none(), "more than one in {}", folder.display());
    first
}

fn code(world: &World) -> PathBuf {
    only(&world.path("lib/plugins/compiled"))
}

fn change(path: &Path) -> Vec<u8> {
    let good = std::fs::read(path).expect("read");
    let mut bad = good.clone();
    bad[good.len() / 2] ^= 1;
    std::fs::write(path, bad).expect("written");
    good
}

#[track_caller]
fn attaches(world: &World, plugin: &str) {
    let conf = conf(world, plugin);
    let attached = world.attach(&conf);
    let name = world.ledger()[0]["plugin"].as_str().unwrap_or_default().to_owned();
    assert!(name.starts_with(&format!("{plugin}@sha256:")), "{name}");
    attached.check();
    attached.del();
}

#[track_caller]
fn refused(world: &World, plugin: &str, words: &[&str]) {
    let failure = world.call("ADD", &conf(world, plugin)).of(&world.container()).fails();
    for word in words {
        assert!(failure.msg.contains(word), "{word} is not said: {failure:?}");
    }
    assert!(world.ledger().is_empty());
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_h6_no_compiler_runs_once_it_is_installed() {
    let world = World::new();
    world.install("host-local", "mine");
    let inode = std::fs::metadata(code(&world)).expect("compiled").ino();
    for _ in 0..3 {
        attaches(&world, "mine");
    }
    // Nor could one: a compiler that has no time ends the call.
    world.settings("[limits]\ncompile = 0\n");
    attaches(&world, "mine");
    assert_eq!(compiled(&world), 0, "{:?}", world.events());
    assert_eq!(std::fs::metadata(code(&world)).expect("compiled").ino(), inode);
    std::fs::remove_file(code(&world)).expect("removed");
    refused(&world, "mine", &["limits.compile"]);
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_h6_a_component_at_a_path_is_compiled_once_and_that_is_said() {
    let world = World::new();
    let path = world.path("data/x.wasm");
    std::fs::copy(World::component("host-local"), &path).expect("copied");
    let mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    };
    mode(0o644);
    let name = path.display().to_string();
    for _ in 0..3 {
        attaches(&world, &name);
        assert_eq!(compiled(&world), 1);
    }
    let events = world.events();
    let event = events.iter().find(|event| event["event"] == "component compiled");
    let event = event.expect("the event").to_string();
    assert!(event.contains(&name) && event.contains("none for this engine"), "{event}");
    mode(0o666);
    refused(&world, &name, &["x.wasm is not to be trusted", "written by others"]);
    mode(0o644);
    std::os::unix::fs::chown(&path, Some(1), None).expect("chown");
    refused(&world, &name, &["belongs to user 1"]);
    let link = world.path("data/link.wasm");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    refused(&world, &link.display().to_string(), &["symbolic link"]);
    refused(&world, "/nonexistent.wasm", &["/nonexistent.wasm"]);
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_h8_pain_h10_changed_code_is_made_anew_and_that_is_said_once() {
    let world = World::new();
    world.install("host-local", "mine");
    let file = code(&world);
    let good = change(&file);
    for _ in 0..2 {
        attaches(&world, "mine");
        assert_eq!(compiled(&world), 1);
    }
    assert!(std::fs::read(&file).expect("read") == good, "as it was");
    std::fs::write(&file, &good[..good.len() / 3]).expect("written");
    attaches(&world, "mine");
    std::fs::remove_file(&file).expect("removed");
    attaches(&world, "mine");
    assert_eq!(compiled(&world), 3);
    let _ = world.cli_ok(&["plugin", "verify"]);
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_h10_changed_components_and_lock_files_are_not_used_and_built_in_ones_are() {
    let world = World::new();
    world.install("host-local", "mine");
    let store = world.path("lib/plugins");
    let wasm = only(&store.join("components"));
    std::fs::remove_file(code(&world)).expect("removed");
    let good = change(&wasm);
    refused(&world, "mine", &["is not what was installed"]);
    attaches(&world, "host-local");
    std::fs::write(&wasm, good).expect("written");
    attaches(&world, "mine");
    for name in ["lock.json", "key"] {
        let good = change(&store.join(name));
        refused(&world, "mine", &["lock.json", "Find out who changed it"]);
        attaches(&world, "host-local");
        std::fs::write(store.join(name), good).expect("written");
    }
    std::os::unix::fs::chown(store.join("lock.json"), Some(1), None).expect("chown");
    refused(&world, "mine", &["belongs to user 1"]);
    std::os::unix::fs::chown(store.join("lock.json"), Some(0), None).expect("chown");
    attaches(&world, "mine");
    world.assert_nothing_left();
}

/// A node whose components cannot be used does not look ready, and says which and why before any
/// container comes.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_d9_status_says_which_component_cannot_be_used() {
    let world = World::new();
    let mut guarded = world.conf("bridge", &json!({}));
    guarded["policies"] = json!([{ "plugin": "mine" }]);
    let unwell = |conf: &Value, words: &[&str]| {
        let failure = world.call("STATUS", conf).fails();
        assert_eq!(failure.code, 50, "{failure:?}");
        for word in words {
            let said = failure.msg.contains(word) || failure.details.contains(word);
            assert!(said, "{word} is not said: {failure:?}");
        }
    };
    let conf = conf(&world, "mine");
    for conf in [&conf, &guarded] {
        unwell(conf, &["mine"]);
    }
    world.install("host-local", "mine");
    assert_eq!(world.call("STATUS", &conf).ok(), Value::Null);
    unwell(&guarded, &["mine", "policy"]);
    let store = world.path("lib/plugins");
    std::fs::remove_file(code(&world)).expect("removed");
    for (file, words) in [
        (only(&store.join("components")), "is not what was installed"),
        (store.join("lock.json"), "Find out who changed it"),
    ] {
        let good = change(&file);
        unwell(&conf, &["mine", words]);
        std::fs::write(file, good).expect("written");
    }
    world.settings("[limits]\ncompile = 0\n");
    unwell(&conf, &["mine", "limits.compile"]);
    world.settings("");
    assert_eq!(world.call("STATUS", &conf).ok(), Value::Null);
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_h9_code_is_replaced_while_calls_run() {
    let world = World::new();
    world.install("host-local", "mine");
    let file = code(&world);
    let conf = conf(&world, "mine");
    let containers: Vec<_> = (0..50).map(|_| world.container()).collect();
    for batch in containers.chunks(10) {
        let calls: Vec<_> = batch.iter().map(|c| world.call("ADD", &conf).of(c)).collect();
        let children: Vec<_> = calls.iter().map(wharfinger_suite::Call::start).collect();
        // In place of the one that they may have mapped: a file that is none.
        let torn = file.with_file_name("torn");
        std::fs::write(&torn, "torn").expect("written");
        std::fs::rename(&torn, &file).expect("renamed");
        for (call, child) in calls.iter().zip(children) {
            let _ = call.finish(child).ok();
        }
    }
    assert!((1..=5).contains(&compiled(&world)), "{}", compiled(&world));
    for container in &containers {
        let _ = world.call("DEL", &conf).of(container).ok();
    }
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_attachments_hold_leases_of_is_not_removed() {
    let world = World::new();
    world.install("host-local", "mine");
    let conf = conf(&world, "mine");
    let attached = world.attach(&conf);
    let output = world.cli(&["plugin", "remove", "mine"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("1 attachments") && said.contains(&attached.container.id), "{said}");
    assert!(said.contains("--force"), "{said}");
    attached.check();
    let _ = world.cli_ok(&["plugin", "remove", "mine", "--force"]);
    attached.del();
    refused(&world, "mine", &["mine"]);
    world.assert_nothing_left();
}
