//! A lease of DHCP that a version had when it was stopped, and how whoever renewed it was to ask.
//!
//! A lease is a boot's and a namespace's: what is of these is written as [`PLACES`] and [`TIMES`] have it, and
//! put in its place where it is read.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use wharfinger_suite::{Container, Lan, Renewer, World, eventually};

use super::{
    CONTAINER, assert_way_back, boot, dump, files, is_to_be_written, make, own, put, states,
};

/// The namespace's path, and its cookie.
const PLACES: [&str; 2] = ["/machine/container", "\"cookie\":4242424242"];
/// It is to be renewed now, and ends in thousands of years.
const TIMES: [(&str, &str); 3] =
    [("renew", "1"), ("rebind", "8999999999999999"), ("end", "9000000000000000")];

fn conf(world: &World) -> Value {
    world.conf("bridge", &json!({ "isGateway": false, "ipam": { "type": "dhcp" } }))
}

/// The state's container.
fn container(world: &World) -> Container {
    Container { id: CONTAINER.to_owned(), ..world.container() }
}

/// Gives each member of this name another number.
fn renumbered(text: &str, name: &str, number: &str) -> String {
    let begin = format!("\"{name}\":");
    let mut parts = text.split(&begin);
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| {
        let behind = part.trim_start_matches(|c: char| c.is_ascii_digit());
        if behind.len() == part.len() { part.to_owned() } else { format!("{number}{behind}") }
    });
    rest.fold(first, |text, part| text + &begin + &part)
}

fn cookie(container: &Container) -> String {
    let look =
        "import socket\nprint(int.from_bytes(socket.socket().getsockopt(1, 71, 8), 'little'))";
    container.ns.run(&["python3", "-c", look]).trim().to_owned()
}

fn write(to: &Path) {
    let world = World::new();
    let mut lan = Lan::new(&world);
    lan.dnsmasq(1);
    let mut renewer = Renewer::new(&world);
    let attached = world.attach_it(container(&world), &conf(&world));
    renewer.kill();
    let text = dump(&world, &boot(&world).join("ledger.db"));
    let text = text.replace(&attached.container.ns.path(), PLACES[0]);
    let text = renumbered(&text, "cookie", "4242424242");
    let text = TIMES.iter().fold(text, |text, (name, number)| renumbered(&text, name, number));
    put(&to.join("ledger.sql"), text.as_bytes());
    put(&to.join("run/dhcp.json"), &fs::read(world.path("run/dhcp.json")).expect("flags"));
    attached.del();
}

/// A machine on which it was stopped, and on it its container, as far as leases go.
fn stopped(state: &Path, lan: &Lan<'_>, world: &World) -> Container {
    let container = container(world);
    let ns = container.ns.name();
    world.host.ip(&format!("link add corpus0 type veth peer name eth0 netns {ns}"));
    world.host.ip("link set corpus0 master cni0 up");
    container.ns.ip("link set eth0 up");
    let text = fs::read_to_string(state.join("ledger.sql")).expect("a state");
    assert!(PLACES.iter().all(|place| text.contains(place)), "{text}");
    let text = text.replace(PLACES[0], &container.ns.path());
    let text = renumbered(&text, "cookie", &cookie(&container));
    make(&boot(world).join("ledger.db"), &world.write("data/ledger.sql", &text));
    for (file, bytes) in files(&state.join("run")) {
        put(&world.path("run").join(file), &bytes);
    }
    assert!(lan.leases().is_empty());
    container
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_every_release_leased_is_renewed_and_given_back_by_this_one() {
    if is_to_be_written() {
        write(&own().join("leases"));
    }
    for state in states().iter().map(|state| state.join("leases")) {
        let world = World::new();
        let mut lan = Lan::new(&world);
        lan.dnsmasq(1);
        let container = stopped(&state, &lan, &world);
        let at = state.display();
        let rows = world.ledger();
        let address = rows[0]["addresses"][0].as_str().expect("an address").to_owned();
        container.ns.ip(&format!("address add {address}/16 dev eth0"));
        let lease = || {
            let shown = world.cli_ok(&["show", CONTAINER, "--json"]);
            let shown: Value = serde_json::from_str(&shown).expect("JSON");
            shown[0]["record"]["conf"]["dhcp"]["lease"].clone()
        };
        assert_eq!(lease()["times"]["renew"], 1, "{at}");
        let renewer = Renewer::new(&world);
        eventually("the server has heard of it", || lan.leases().join("").contains(&address));
        let is_known = || lease()["times"]["renew"].as_u64().is_some_and(|at| at > 1);
        eventually("it is written down", is_known);
        assert_eq!(lease()["address"], format!("{address}/16"), "{at}");
        let _ = world.call("DEL", &conf(&world)).of(&container).ok();
        eventually("the server hears of the end", || lan.leases().is_empty());
        drop(renewer);
        world.host.ip("link del corpus0");
        world.host.ip("link del up0");
        world.assert_nothing_left();
        assert_way_back(&boot(&world).join("ledger.db"), &state.join("ledger.sql"));
    }
}
