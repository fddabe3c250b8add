//! The published schemas: printed by the executable, true of all that the documentation shows, and of what
//! `conf init` writes; an editor that goes by them finds what is wrong.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wharfinger_suite::World;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace")
}

/// The files of a folder that end so.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().ends_with(end)).collect()
}

/// What the validator says of files; `wrong` has to be refused.
fn validated(schemas: [&Path; 2], files: &[PathBuf], wrong: &Value) -> Value {
    // Debian's interpreter, which has Debian's package of the validator.
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", include_str!("../src/schemas.py")]).args(schemas).args(files);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(wrong.to_string().as_bytes()).expect("its input");
    drop(stdin);
    let output = child.wait_with_output().expect("python3");
    serde_json::from_slice(&output.stdout).expect("what it found: is python3-jsonschema there?")
}

#[test]
#[ignore = "needs root: ring operate"]
fn the_schemas_are_true_of_what_is_documented_and_written() {
    let world = World::new();
    let schemas = ["network", "node"].map(|of| {
        let path = world.path(of);
        fs::write(&path, world.cli_ok(&["conf", "schema", of])).expect("a schema");
        let published = workspace().join(format!("docs/schema/{of}.schema.json"));
        let published = fs::read(published).expect("docs/schema");
        assert!(published == fs::read(&path).expect("a schema"), "{of}");
        path
    });
    let mut shown = [files("docs", ".md"), files("docs/authors", ".md")].concat();
    shown.push(workspace().join("README.md"));
    for driver in ["bridge", "ptp", "macvlan", "ipvlan"] {
        let path = world.path(&format!("{driver}.json"));
        fs::write(&path, world.cli_ok(&["conf", "init", "--driver", driver])).expect("a network");
        shown.push(path);
    }
    let own = |more: Value| {
        let mut entry = json!({ "type": "wharfinger", "driver": "bridge" });
        let object = entry.as_object_mut().expect("an object");
        object.extend(more.as_object().expect("an object").clone());
        entry
    };
    let wrong = json!([
        own(json!({ "driver": "brigde" })),
        own(json!({ "mtu": "1400" })),
        own(json!({ "features": { "portmapp": {} } })),
        own(json!({ "features": { "firewall": { "ingressPolicy": "closed" } } })),
        own(json!({ "ipam": { "ranges": [] } })),
        own(json!({ "policies": [{ "onError": "allow" }] })),
        { "name": "n", "plugins": [own(json!({ "vlan": 5000 }))] },
        { "plugins": [{ "type": "bridge" }] },
        { "name": "n", "plugins": [] }
    ]);
    let [network, node] = schemas;
    let found = validated([&network, &node], &shown, &wrong);
    assert_eq!(found["wrong"], json!([]), "{found:#}");
    let count = |of: &str| found[of].as_u64().expect("a number");
    assert!(count("networks") > 20 && count("settings") > 4, "too little was found: {found}");
}
