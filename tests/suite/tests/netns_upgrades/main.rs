//! What each released version wrote on a node is read by this one, or discarded and made anew: a folder of
//! `tests/corpus/state` for each. The folder of this version is written by `WHARFINGER_GOLDEN=update`, until it
//! is released; those of others never change.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod leases;
mod outbox;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wharfinger_suite::{World, run};

/// Who is attached in each state, and with what.
const CONTAINER: &str = "corpus-1";
const ADDRESS: &str = "10.77.0.2";
/// What the address comes from.
const PLUGIN: &str = "mine";
/// Its .wasm, below the corpus.
const WASM: &str = "0.3.0/rust-ipam.wasm";

/// Passes on what was made before it: with it in a list, results are kept.
const LAST: &str = "#!/bin/sh\nexec python3 -c 'import json, os, sys\nconf = json.load(sys.stdin)\n\
                    if os.environ[\"CNI_COMMAND\"] == \"ADD\": print(json.dumps(conf[\"prevResult\"]))'\n";

/// A database as text, and back.
const DUMP: &str = "import sqlite3, sys\nbook = sqlite3.connect(sys.argv[1])\n\
for name in ['application_id', 'user_version']:\n    \
print('PRAGMA %s = %d;' % (name, book.execute('PRAGMA ' + name).fetchone()[0]))\n\
print('\\n'.join(book.iterdump()))";
const MAKE: &str = "import sqlite3, sys\n\
sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

/// The state of this version, to be written.
fn own() -> PathBuf {
    corpus().join("state").join(env!("CARGO_PKG_VERSION"))
}

fn is_to_be_written() -> bool {
    std::env::var("WHARFINGER_GOLDEN").is_ok_and(|what| what == "update")
}

fn states() -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus().join("state")).expect("the corpus");
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    assert!(!all.is_empty(), "no state of any version");
    all
}

/// Writes a database as text.
fn dump(world: &World, database: &Path) -> String {
    let text = run(&["python3", "-c", DUMP, &database.display().to_string()]);
    text.replace(&world.text_path(""), "/machine/")
}

/// Makes a database of text.
fn make(database: &Path, sql: &Path) {
    private(database.parent().expect("a folder"));
    run(&["python3", "-c", MAKE, &database.display().to_string(), &sql.display().to_string()]);
}

/// The number of a database's format.
fn format(database: &Path) -> String {
    let look = "import sqlite3, sys\n\
        print(sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version').fetchone()[0])";
    run(&["python3", "-c", look, &database.display().to_string()]).trim().to_owned()
}

/// Whoever wrote a database can go on with it: it is of his format still, or a copy of that is beside it.
#[track_caller]
fn assert_way_back(database: &Path, sql: &Path) {
    let was = fs::read_to_string(sql).expect("a state");
    let was = was.lines().find_map(|line| line.strip_prefix("PRAGMA user_version = "));
    let was = was.and_then(|number| number.strip_suffix(';')).expect("a format");
    let copy = PathBuf::from(format!("{}.format-{was}", database.display()));
    let at = if copy.exists() { &copy } else { database };
    assert_eq!(format(at), was, "{}", at.display());
}

/// The machine that most of it is about.
fn world() -> World {
    let world = World::new();
    let last = world.write("bin/last", LAST);
    fs::set_permissions(last, Permissions::from_mode(0o755)).expect("chmod");
    let ipam = json!({
        "type": "wharfinger", "plugin": PLUGIN, "ranges": [[{ "subnet": "10.77.0.0/24" }]],
    });
    let mut ours = world.conf("bridge", &json!({ "ipam": ipam }));
    let keys = ours.as_object_mut().expect("an object");
    for key in ["cniVersion", "name"] {
        keys.remove(key);
    }
    let conflist =
        json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [ours, { "type": "last" }] });
    world.write("conf/pods.conflist", &conflist.to_string());
    world
}

/// Our command line about a list.
fn words<'a>(world: &World, verb: &'a str, more: &[&'a str]) -> Vec<String> {
    let [conf, bin, results] = ["conf", "bin", "cni"].map(|name| world.text_path(name));
    let mut words = vec![verb, "pods"];
    let places = ["--conf-dir", &conf, "--cni-path", &bin, "--cache-dir", &results];
    words.extend(places);
    words.extend(more);
    words.into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn cli(world: &World, verb: &str, more: &[&str]) -> String {
    let words = words(world, verb, more);
    world.cli_ok(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The run directory's part that a boot has.
fn boot(world: &World) -> PathBuf {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    world.path("run").join(id.trim())
}

/// Files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let of = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, fs::read(path).expect("read"))
    };
    paths.map(of).collect()
}

/// A directory of ours, for nobody else.
fn private(path: &Path) {
    DirBuilder::new().recursive(true).mode(0o700).create(path).expect("made");
}

fn put(path: &Path, bytes: &[u8]) {
    private(path.parent().expect("a folder"));
    fs::write(path, bytes).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("chmod");
}

/// Writes the state of this version.
fn write(to: &Path) {
    let world = world();
    let wasm = corpus().join(WASM).display().to_string();
    let _ = world.cli_ok(&["plugin", "install", &wasm, "--name", PLUGIN]);
    let pod = world.container();
    let path = pod.ns.path();
    cli(&world, "add", &["--netns", &path, "--container", CONTAINER]);
    for part in ["plugins", "compiled", "calls", "run", "results"] {
        let _ = fs::remove_dir_all(to.join(part));
    }
    let [run_dir, lib, results] = ["run", "lib", "cni/results"].map(|name| world.path(name));
    put(&to.join("ledger.sql"), dump(&world, &boot(&world).join("ledger.db")).as_bytes());
    for (from, name) in [
        (lib.join("plugins"), "plugins"),
        (lib.join("plugins/compiled"), "compiled"),
        (run_dir.join("calls"), "calls"),
        (run_dir, "run"),
        (results, "results"),
    ] {
        for (file, bytes) in files(&from) {
            put(&to.join(name).join(file), &bytes);
        }
    }
    for file in files(&to.join("compiled")).keys() {
        run(&["xz", "-9", &to.join("compiled").join(file).display().to_string()]);
    }
    cli(&world, "del", &["--netns", &path, "--container", CONTAINER]);
    world.assert_nothing_left();
}

/// A machine on which an earlier version was stopped; its compiled code is that of its engine, or, as after
/// an upgrade of the engine, of another.
fn stopped(state: &Path, other_engine: bool) -> World {
    let world = world();
    make(&boot(&world).join("ledger.db"), &state.join("ledger.sql"));
    for (from, to) in [
        ("plugins", "lib/plugins"),
        ("calls", "run/calls"),
        ("run", "run"),
        ("results", "cni/results"),
    ] {
        for (file, bytes) in files(&state.join(from)) {
            put(&world.path(to).join(file), &bytes);
        }
    }
    put_component(&world, &digest(state, PLUGIN), WASM);
    for packed in files(&state.join("compiled")).keys() {
        let from = state.join("compiled").join(packed).display().to_string();
        let name = packed.strip_suffix(".xz").expect("packed");
        let name = if other_engine { other(name) } else { name.to_owned() };
        let to = world.path("lib/plugins/compiled").join(name);
        put(&to, b"");
        run(&["sh", "-c", "xz -dc \"$0\" > \"$1\"", &from, &to.display().to_string()]);
    }
    world
}

/// Puts a component of the corpus into the store.
fn put_component(world: &World, digest: &str, wasm: &str) {
    let component = fs::read(corpus().join(wasm)).expect("the component");
    put(&world.path("lib/plugins/components").join(format!("{digest}.wasm")), &component);
}

/// The digest of a component, as the lock file pins it.
fn digest(state: &Path, plugin: &str) -> String {
    let text = fs::read(state.join("plugins/lock.json")).expect("a lock file");
    let lock: Value = serde_json::from_slice(&text).expect("JSON");
    let digest = lock["plugins"][plugin]["digest"].as_str().expect("a digest").to_owned();
    digest.strip_prefix("sha256:").expect("sha256").to_owned()
}

/// The name of the same for another engine.
fn other(name: &str) -> String {
    let (component, _) = name.split_once('-').expect("component and engine");
    format!("{component}-{}.cwasm", "0".repeat(32))
}

/// How often something was compiled for a call.
fn compiled(world: &World) -> usize {
    world.events().iter().filter(|event| event["event"] == "component compiled").count()
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_every_release_wrote_is_read_by_this_one() {
    let own = own();
    if is_to_be_written() {
        write(&own);
    }
    assert!(own.is_dir(), "no {}: WHARFINGER_GOLDEN=update writes it", own.display());
    for state in states() {
        let world = stopped(&state, false);
        let at = state.display();
        let rows = world.ledger();
        assert_eq!(rows.len(), 1, "{at}: {rows:?}");
        assert_eq!(rows[0]["container"], CONTAINER, "{at}");
        assert_eq!(rows[0]["addresses"], json!([ADDRESS]), "{at}");
        let plugins = world.cli_ok(&["plugin", "ls", "--json"]);
        assert!(plugins.contains(&digest(&state, PLUGIN)), "{at}: {plugins}");
        let verified = world.cli(&["plugin", "verify"]);
        assert!(verified.status.success(), "{at}: {verified:?}");
        let events = world.cli_ok(&["events", "--json"]);
        assert!(events.contains(CONTAINER), "{at}: {events}");
        let _ = world.cli_ok(&["metrics"]);
        replays(&world, &state);
        // The list is gone; what it was is in the result that was kept.
        fs::remove_file(world.path("conf/pods.conflist")).expect("removed");
        assert_eq!(files(&world.path("cni/results")).len(), 1, "{at}");
        cli(&world, "del", &["--container", CONTAINER]);
        assert!(files(&world.path("cni/results")).is_empty(), "{at}");
        world.assert_nothing_left();
        assert_way_back(&boot(&world).join("ledger.db"), &state.join("ledger.sql"));
        let set_aside = |name: &String| name.contains("damaged");
        assert!(!files(&boot(&world)).keys().any(set_aside), "{at}: the ledger was not read");
    }
}

/// Each record of a call is made again, with the same answer.
#[track_caller]
fn replays(world: &World, state: &Path) {
    let records = files(&state.join("calls")).into_keys();
    let records: Vec<String> = records.filter(|name| name.starts_with("last-")).collect();
    assert!(!records.is_empty(), "{} has no record of a call", state.display());
    for name in records {
        let record = world.path("run/calls").join(name).display().to_string();
        let _ = world.cli_ok(&["plugin", "replay", &record]);
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn compiled_code_of_another_engine_is_made_anew_and_never_run() {
    for state in states() {
        let world = stopped(&state, true);
        let folder = world.path("lib/plugins/compiled");
        let old = files(&folder);
        let (name, bytes) = old.first_key_value().expect("compiled code");
        let before = compiled(&world);
        attaches(&world);
        assert_eq!(compiled(&world), before + 1, "{}", state.display());
        let new = files(&folder);
        let fresh = new.keys().find(|known| *known != name).expect("made anew").clone();
        // Under the name that this engine looks for, and with a tag of this very store.
        put(&folder.join(&fresh), bytes);
        let renamed_is_the_same = old.values().next() == new.get(&fresh);
        attaches(&world);
        let again = usize::from(!renamed_is_the_same);
        assert_eq!(compiled(&world), before + 1 + again, "{}", state.display());
    }
}

/// A container comes, and has another address than the one that is still there.
#[track_caller]
fn attaches(world: &World) {
    let pod = world.container();
    let path = pod.ns.path();
    cli(world, "add", &["--netns", &path, "--container", "new"]);
    assert!(
        pod.ns.links().iter().any(|link| link.addresses.iter().any(|a| a.starts_with("10.77.0.")))
    );
    assert!(!pod.ns.link("eth0").addresses.iter().any(|a| a.starts_with(&format!("{ADDRESS}/"))));
    cli(world, "del", &["--netns", &path, "--container", "new"]);
}

/// Databases of earlier formats: each is copied before it is brought to this one's, and the copy is the way
/// back, whatever was done since.
#[test]
#[ignore = "needs root: ring netns"]
fn the_way_back_from_each_format_is_the_copy_beside_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/ledger/tests/data");
    for format in 1..=3 {
        let world = world();
        let at = boot(&world).join("ledger.db");
        make(&at, &data.join(format!("book-{format}.sql")));
        let rows = world.ledger();
        assert!(!rows.is_empty(), "format {format}");
        let copy = at.with_file_name(format!("ledger.db.format-{format}"));
        assert!(copy.is_file(), "{:?}", files(at.parent().expect("a folder")).keys());
        let first = rows[0]["container"].as_str().expect("a container");
        cli(&world, "del", &["--container", first]);
        assert!(world.ledger().len() < rows.len(), "format {format}: nothing was done since");
        for beside in ["ledger.db-wal", "ledger.db-shm"] {
            let _ = fs::remove_file(at.with_file_name(beside));
        }
        fs::rename(&copy, &at).expect("put back");
        assert_eq!(world.ledger(), rows, "format {format}");
    }
}
