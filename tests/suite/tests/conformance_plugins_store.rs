//! Installed components, by the commands an operator has: what is refused, what is said, and what
//! is found where somebody changed a file.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use wharfinger_suite::World;

/// What a command wrote that must have failed.
#[track_caller]
fn fails(world: &World, arguments: &[&str], words: &[&str]) {
    let output = world.cli(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    for word in words {
        assert!(said.contains(word), "{word} is not said: {said}");
    }
}

#[track_caller]
fn says(world: &World, arguments: &[&str], words: &[&str]) {
    let said = world.cli_ok(arguments);
    for word in words {
        assert!(said.contains(word), "{word} is not said: {said}");
    }
}

fn json(world: &World, arguments: &[&str]) -> Value {
    let text = world.cli_ok(arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn only(folder: &Path) -> PathBuf {
    let mut entries = std::fs::read_dir(folder).expect("a folder");
    let first = entries.next().expect("a file").expect("an entry").path();
    assert!(entries.next().is_none(), "more than one in {}", folder.display());
    first
}

#[test]
fn a_components_life_on_a_node() {
    let world = World::without_namespaces();
    let file = World::component("host-local");
    says(&world, &["plugin", "verify"], &["nothing is installed"]);
    says(
        &world,
        &["plugin", "install", &file, "--name", "mine"],
        &["installed mine, sha256:", "ipam-plugin", "wharfinger:plugin/ledger@"],
    );
    says(&world, &["plugin", "ls"], &["host-local", "built in", "mine", "ipam-plugin"]);
    says(&world, &["plugin", "verify"], &["1 installed, all as it should be"]);
    says(&world, &["plugin", "inspect", "mine"], &["installed    as mine", "granted      nothing"]);
    says(&world, &["plugin", "inspect", &file], &["installed    as mine", "digest", "made with"]);
    let about = json(&world, &["plugin", "inspect", "mine", "--json"]);
    let listed = json(&world, &["plugin", "ls", "--json"]);
    let mine = listed.as_array().and_then(|all| all.iter().find(|one| one["name"] == "mine"));
    assert_eq!(mine.map(|mine| &mine["digest"]), Some(&about["digest"]));
    // Again: nothing to do. As another: not without being told.
    says(&world, &["plugin", "install", &file, "--name", "mine"], &["installed mine"]);
    let other = World::component("hostile");
    let again = ["plugin", "install", &other, "--name", "mine"];
    fails(&world, &again, &["mine is installed already", "plugin upgrade mine"]);
    says(&world, &["plugin", "recompile"], &["mine: compiled already"]);
    let upgrade = ["plugin", "upgrade", "mine", &other];
    let gains = "+ it imports wharfinger:plugin/store@";
    fails(&world, &upgrade, &[gains, "mine is as it was; --accept agrees"]);
    let accepted = [upgrade.as_slice(), &["--accept"]].concat();
    says(&world, &accepted, &[gains, "mine is now sha256:", "it was sha256:"]);
    says(&world, &upgrade, &["already"]);
    says(&world, &["plugin", "verify"], &["all as it should be"]);
    says(&world, &["plugin", "remove", "mine"], &["removed mine, sha256:"]);
    fails(&world, &["plugin", "remove", "mine"], &["no component \"mine\" is installed"]);
    says(&world, &["plugin", "verify"], &["0 installed, all as it should be"]);
}

#[test]
fn what_cannot_be_installed_says_why() {
    let world = World::without_namespaces();
    let file = World::component("host-local");
    let install = |file: &str, name: &str| {
        ["plugin", "install", file, "--name", name].map(str::to_owned).to_vec()
    };
    let refused = |file: &str, name: &str, words: &[&str]| {
        let arguments = install(file, name);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        fails(&world, &arguments, words);
    };
    refused(&file, "host-local", &["host-local is built in"]);
    refused(&file, "My Plugin", &["is no name"]);
    refused("/nonexistent.wasm", "mine", &["/nonexistent.wasm"]);
    let text = world.write("data/text.wasm", "no component").display().to_string();
    refused(&text, "mine", &["text.wasm"]);
    let empty = world.text_path("data");
    std::fs::remove_file(&text).expect("removed");
    refused(&empty, "mine", &["no .wasm in", "plugin build"]);
    world.settings("[limits]\ncomponent = 1000\n");
    refused(&file, "mine", &["limits.component", "1000 bytes"]);
    world.settings("[limits]\ncomponents = 1000\n");
    refused(&file, "mine", &["config.toml", "components"]);
    world.settings("");
    assert!(!world.path("lib/plugins/components").exists(), "nothing was written");
}

#[test]
fn pain_d7_a_compile_bomb_meets_its_limit_and_leaves_nothing() {
    let world = World::without_namespaces();
    world.settings("[limits]\ncompile = 2\n");
    let bomb = World::component("hostile-bomb");
    let began = Instant::now();
    fails(&world, &["plugin", "install", &bomb], &["limits.compile", "2 s"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let listed = world.cli_ok(&["plugin", "ls"]);
    assert!(!listed.contains("bomb"), "{listed}");
    says(&world, &["plugin", "verify"], &["0 installed"]);
}

#[test]
fn a_grant_by_name_is_asked_of_who_changes_what_the_name_stands_for() {
    let world = World::without_namespaces();
    world.settings(
        "[[plugins.mine.http]]\nscheme = \"https\"\nhost = \"ipam.example\"\nport = 443\n\
         methods = [\"GET\"]\n",
    );
    let file = World::component("host-local");
    let install = ["plugin", "install", &file, "--name", "mine"];
    let grant = "GET of https://ipam.example:443";
    fails(&world, &install, &[grant, "--accept"]);
    says(&world, &["plugin", "verify"], &["nothing is installed"]);
    let accepted = [install.as_slice(), &["--accept"]].concat();
    says(&world, &accepted, &["installed mine"]);
    says(&world, &["plugin", "inspect", "mine"], &[grant]);
    let other = World::component("hostile");
    let upgrade = ["plugin", "upgrade", "mine", &other];
    fails(&world, &upgrade, &[grant, "--accept", "mine is as it was"]);
    let accepted = [upgrade.as_slice(), &["--accept"]].concat();
    says(&world, &accepted, &["mine is now", grant]);
}

#[test]
fn pain_h10_verify_names_what_was_changed() {
    let world = World::without_namespaces();
    world.install("host-local", "mine");
    let store = world.path("lib/plugins");
    let verify = |words: &[&str]| fails(&world, &["plugin", "verify"], words);
    for folder in ["components", "compiled"] {
        let file = only(&store.join(folder));
        let good = std::fs::read(&file).expect("read");
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::write(&file, &bad).expect("written");
        verify(&[&file.display().to_string()]);
        std::fs::write(&file, &good).expect("written");
    }
    for file in ["lock.json", "key"] {
        let file = store.join(file);
        let good = std::fs::read(&file).expect("read");
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        std::fs::write(&file, &bad).expect("written");
        verify(&["lock.json", "Find out who changed it"]);
        fails(&world, &["plugin", "inspect", "mine"], &["lock.json"]);
        std::fs::write(&file, &good).expect("written");
    }
    std::fs::write(store.join("stray"), "").expect("written");
    verify(&["stray", "does not belong here"]);
    std::fs::remove_file(store.join("stray")).expect("removed");
    says(&world, &["plugin", "verify"], &["all as it should be"]);
}

/// The code that an older executable left, by its name in the store, is of another engine.
#[test]
fn pain_h7_a_new_executable_compiles_before_it_takes_its_place() {
    let world = World::without_namespaces();
    world.install("host-local", "mine");
    let code = only(&world.path("lib/plugins/compiled"));
    let name = code.file_name().expect("a name").to_string_lossy().into_owned();
    let (component, _) = name.split_once('-').expect("component and engine");
    let older = code.with_file_name(format!("{component}-{}.cwasm", "0".repeat(32)));
    std::fs::rename(&code, &older).expect("renamed");
    let place = world.path("cni");
    std::fs::create_dir(&place).expect("made");
    std::fs::write(place.join("wharfinger"), "the older executable").expect("written");
    says(
        &world,
        &["install", &place.display().to_string()],
        &["mine: compiled (there was none for this engine)", "installed"],
    );
    assert!(code.is_file() && older.is_file(), "both are there, side by side");
    let installed = std::fs::read(place.join("wharfinger")).expect("read");
    let ours = std::fs::read(world.path("bin/wharfinger")).expect("read");
    assert!(installed == ours, "it is this executable");
    assert_eq!(only(&place), place.join("wharfinger"), "and nothing else is there");
    // A component that cannot be compiled: the older executable stays.
    std::fs::remove_file(&code).expect("removed");
    let wasm = only(&world.path("lib/plugins/components"));
    std::fs::write(&wasm, "somebody's").expect("written");
    std::fs::write(place.join("wharfinger"), "the older executable").expect("written");
    let install = ["install", &place.display().to_string()];
    fails(&world, &install, &["nothing was installed", "is not what was installed"]);
    let there = std::fs::read(place.join("wharfinger")).expect("read");
    assert_eq!(there, b"the older executable");
}
