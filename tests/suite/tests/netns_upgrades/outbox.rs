//! What a version had still to tell a component of, when it was stopped: of an attachment that is there, and of one
//! whose end nobody could be told of.

use std::path::Path;

use serde_json::{Value, json};
use wharfinger_suite::{Container, World, run};

use super::{
    ADDRESS, CONTAINER, assert_way_back, boot, corpus, digest, dump, files, is_to_be_written, make,
    own, private, put, put_component, states,
};

const PLUGIN: &str = "told";
/// It says in its log what it is told; its .wasm, below the corpus.
const WASM: &str = "0.3.0/rust-remote.wasm";
/// Whose end was not told.
const GONE: &str = "corpus-2";
/// What it had.
const ITS: &str = "10.77.0.3";

fn conf(world: &World) -> Value {
    let ranges = json!([[{ "subnet": "10.77.0.0/24" }]]);
    let ipam = json!({ "type": "wharfinger", "plugin": PLUGIN, "ranges": ranges });
    world.conf("bridge", &json!({ "ipam": ipam }))
}

fn container(world: &World, id: &str) -> Container {
    Container { id: id.to_owned(), ..world.container() }
}

fn write(to: &Path) {
    let world = World::new();
    let wasm = corpus().join(WASM).display().to_string();
    let _ = world.cli_ok(&["plugin", "install", &wasm, "--name", PLUGIN]);
    let conf = conf(&world);
    let [one, gone] = [CONTAINER, GONE].map(|id| world.attach_it(container(&world, id), &conf));
    // Nobody is there to be told.
    let (store, away) = (world.path("lib/plugins"), world.path("away"));
    std::fs::rename(&store, &away).expect("moved");
    gone.del();
    std::fs::rename(&away, &store).expect("moved");
    put(&to.join("ledger.sql"), dump(&world, &boot(&world).join("ledger.db")).as_bytes());
    put(&to.join("lasting.sql"), dump(&world, &world.path("lib/lasting.db")).as_bytes());
    for (file, bytes) in files(&store) {
        put(&to.join("plugins").join(file), &bytes);
    }
    one.del();
    world.assert_nothing_left();
}

fn stopped(state: &Path) -> World {
    let world = World::new();
    make(&boot(&world).join("ledger.db"), &state.join("ledger.sql"));
    make(&world.path("lib/lasting.db"), &state.join("lasting.sql"));
    // As the store has it, though nothing is compiled for this machine.
    private(&world.path("lib/plugins/compiled"));
    for (file, bytes) in files(&state.join("plugins")) {
        put(&world.path("lib/plugins").join(file), &bytes);
    }
    put_component(&world, &digest(state, PLUGIN), WASM);
    world
}

/// How many notices there are.
fn waiting(world: &World) -> String {
    let count = "import sqlite3, sys\n\
        print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM notice').fetchone()[0])";
    run(&["python3", "-c", count, &world.text_path("lib/lasting.db")]).trim().to_owned()
}

/// What the component said that it was told.
fn told(world: &World) -> Vec<String> {
    let events = world.events();
    let lines = events.iter().filter_map(|event| event["log"].as_array()).flatten();
    lines.filter_map(|line| Some(line["text"].as_str()?.to_owned())).collect()
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_every_release_had_still_to_tell_is_told_by_this_one() {
    if is_to_be_written() {
        write(&own().join("outbox"));
    }
    for state in states().iter().map(|state| state.join("outbox")) {
        let world = stopped(&state);
        let at = state.display();
        assert_eq!(world.ledger().len(), 1, "{at}");
        assert_eq!(waiting(&world), "2", "{at}");
        let conf = conf(&world);
        // Whoever comes next tells what was left, and nothing of who is there.
        let next = world.attach(&conf);
        assert_eq!(told(&world), [format!("pods/{GONE}/eth0 gave back {ITS}/24")], "{at}");
        next.del();
        assert_eq!(waiting(&world), "1", "{at}");
        let _ = world.call("DEL", &conf).of(&container(&world, CONTAINER)).ok();
        let last = format!("pods/{CONTAINER}/eth0 gave back {ADDRESS}/24");
        assert_eq!(told(&world).last(), Some(&last), "{at}");
        assert_eq!(waiting(&world), "0", "{at}");
        world.assert_nothing_left();
        assert_way_back(&boot(&world).join("ledger.db"), &state.join("ledger.sql"));
        assert_way_back(&world.path("lib/lasting.db"), &state.join("lasting.sql"));
    }
}
