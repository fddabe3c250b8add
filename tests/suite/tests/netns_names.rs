//! Under the reference plugins' names: their configuration, their directory of addresses, and
//! nodes that change over and back while containers run.
//!
//! "Theirs" are the reference plugins of v1.9.1, "ours" the executable under the same names.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use wharfinger_suite::{Call, Container, World, eventually, merge, strings};

/// A machine where our executable has all the names.
fn world() -> World {
    let world = World::new();
    for name in ["bridge", "ptp", "loopback", "host-local", "static", "portmap", "firewall"] {
        symlink("wharfinger", world.path("bin").join(name)).expect("a link");
    }
    world
}

/// What only we can detach is not left without us; a DEL of it needs the executable, and nothing else
/// that was there when it came.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_e7_uninstall_refuses_while_something_lives_that_needs_it() {
    let world = World::new();
    let (bin, own) = (world.text_path("opt"), world.path("opt/wharfinger"));
    fs::create_dir(&bin).expect("a directory");
    fs::write(world.path("opt/ptp"), "somebody's").expect("a file");
    world.cli_ok(&["install", "--bin-dir", &bin, "--names", "ptp", "--take-over"]);
    let program = own.display().to_string();
    let native = world.conf("bridge", &json!({ "ipMasq": true }));
    let (living, mut dying) = (world.container(), world.container());
    for container in [&living, &dying] {
        let _ = world.call("ADD", &native).of(container).program(&program).ok();
    }
    // Of what came under a name that has an owner again, that one may do the DEL.
    let mut theirs = conf(&world, &json!({ "name": "others", "type": "ptp" }));
    theirs["ipam"]["ranges"] = json!([[{ "subnet": "10.2.0.0/24" }]]);
    let other = world.container();
    let under_name = |verb| {
        let ptp = world.path("opt/ptp").display().to_string();
        world.call(verb, &theirs).of(&other).program(&ptp)
    };
    let _ = under_name("ADD").ok();
    dying.ns.delete();
    let uninstall = ["uninstall", "--bin-dir", &bin];
    let refused = || {
        let refused = world.cli(&uninstall);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        (refused, said)
    };
    // The kernel removes namespaces, and the links into them, in its own time.
    eventually("nothing is left of the dead", || !refused().1.contains(&dying.id));
    let (refused, said) = refused();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    for word in ["nothing was removed", &living.id, "--force"] {
        assert!(said.contains(word), "{word} is not said: {said}");
    }
    assert!(!said.contains(&other.id), "it has another owner: {said}");
    assert!(own.exists() && fs::read_link(world.path("opt/ptp")).is_ok(), "all is there");
    let _ = under_name("DEL").ok();
    // The network's configuration is long gone.
    let bare = json!({ "cniVersion": "1.1.0", "name": native["name"], "type": "wharfinger" });
    for container in [&living, &dying] {
        let _ = world.call("DEL", &bare).of(container).program(&program).ok();
    }
    world.cli_ok(&uninstall);
    assert!(!own.exists());
    assert_eq!(fs::read_to_string(world.path("opt/ptp")).expect("it is back"), "somebody's");
    world.assert_nothing_left();
}

fn kind(conf: &Value) -> &str {
    conf["type"].as_str().expect("a type")
}

/// A call of our executable under the name that the configuration has.
fn ours<'w>(world: &'w World, verb: &str, conf: &Value) -> Call<'w> {
    named(world, kind(conf), verb, conf)
}

fn named<'w>(world: &'w World, name: &str, verb: &str, conf: &Value) -> Call<'w> {
    world.call(verb, conf).program(&world.path("bin").join(name).display().to_string())
}

/// A call of the reference plugin that the configuration has, which finds its like.
fn theirs<'w>(world: &'w World, verb: &str, conf: &Value) -> Call<'w> {
    let path = world.long_cni_path();
    let (_, reference) = path.split_once(':').expect("two directories");
    world
        .call(verb, conf)
        .program(&format!("{reference}/{}", kind(conf)))
        .env("CNI_PATH", reference)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
}

fn conf(world: &World, more: &Value) -> Value {
    let mut conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "isGateway": true,
        "ipam": {
            "type": "host-local", "dataDir": world.path("data"),
            "ranges": [[{ "subnet": "10.1.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }]
        }
    });
    merge(&mut conf, more);
    conf
}

fn with_result(conf: &Value, result: &Value) -> Value {
    let mut conf = conf.clone();
    merge(&mut conf, &json!({ "prevResult": result }));
    conf
}

fn addresses(result: &Value) -> Vec<String> {
    let all = strings(result, &["ips"], "address");
    all.iter().filter_map(|a| Some(a.split_once('/')?.0.to_owned())).collect()
}

fn file(world: &World, name: &str) -> String {
    let path = world.path("data/pods").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[track_caller]
fn gone(world: &World, container: &Container) {
    let left = container.ns.links();
    assert!(left.iter().all(|link| link.name == "lo"), "left in the container: {left:?}");
    assert!(world.reservations("pods").is_empty(), "{:?}", world.reservations("pods"));
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_life_under_the_references_names() {
    let world = world();
    let conf = conf(&world, &json!({ "ipMasq": true }));
    let (one, two) = (world.container(), world.container());
    let first = ours(&world, "ADD", &conf).of(&one).ok();
    let second = ours(&world, "ADD", &conf).of(&two).ok();
    assert_eq!(addresses(&first), ["10.1.0.2"]);
    assert_eq!(addresses(&second), ["10.1.0.3"]);
    assert_eq!(file(&world, "10.1.0.2"), format!("{}\r\neth0", one.id));
    assert_eq!(file(&world, "last_reserved_ip.0"), "10.1.0.3");
    let sorts = strings(&first, &["interfaces"], "name");
    assert_eq!((sorts.len(), sorts[0].as_str(), sorts[2].as_str()), (3, "cni0", "eth0"));
    assert!(one.ns.pings("10.1.0.3"));
    let again = ours(&world, "ADD", &conf).of(&one).fails();
    assert_eq!(again.code, 105, "{again:?}");
    for (container, result) in [(&one, &first), (&two, &second)] {
        let conf = with_result(&conf, result);
        ours(&world, "CHECK", &conf).of(container).ok();
        ours(&world, "DEL", &conf).of(container).ok();
        ours(&world, "DEL", &conf).of(container).ok();
    }
    gone(&world, &one);
    assert_eq!(file(&world, "last_reserved_ip.0"), "10.1.0.3", "the turn stays");
}

#[test]
#[ignore = "needs root: ring netns"]
fn defect_19_our_own_namespace_is_refused_before_anything_is_done() {
    let world = world();
    let conf = conf(&world, &json!({}));
    let own = ours(&world, "ADD", &conf).of(&world.container()).netns(&world.host.path());
    assert_eq!(own.fails().code, 8);
    assert!(world.links().iter().all(|link| link.name != "cni0"));
    assert!(world.reservations("pods").is_empty());
}

#[test]
#[ignore = "needs root: ring netns"]
fn keys_in_any_case_and_unknown_keys_pass_as_they_do_there() {
    let world = world();
    let more = json!({ "IPMASQ": true, "isGatway": true, "bridgeName": "x", "vlann": 7 });
    let (conf, container) = (conf(&world, &more), world.container());
    let result = ours(&world, "ADD", &conf).of(&container).ok();
    assert!(world.rules().contains("10.1.0.2"), "IPMASQ counts: {}", world.rules());
    ours(&world, "DEL", &with_result(&conf, &result)).of(&container).ok();
    gone(&world, &container);
}

/// What the reference made, and ours is to check and remove.
fn changed_over(more: &Value, chain: &[Value]) {
    let world = world();
    let (main, container) = (conf(&world, more), world.container());
    let mut result = theirs(&world, "ADD", &main).of(&container).ok();
    for conf in chain {
        result = theirs(&world, "ADD", &with_result(conf, &result)).of(&container).ok();
    }
    let address = addresses(&result).concat();
    ours(&world, "CHECK", &with_result(&main, &result)).of(&container).ok();
    let second = ours(&world, "ADD", &main).of(&container).fails();
    assert!(second.msg.contains("eth0"), "{second:?}");
    assert_eq!(file(&world, &address), format!("{}\r\neth0", container.id), "it still has it");
    // Others come meanwhile, and their addresses are others.
    let other = world.container();
    let theirs_now = ours(&world, "ADD", &main).of(&other).ok();
    assert_ne!(addresses(&theirs_now).concat(), address);
    for conf in chain.iter().rev() {
        ours(&world, "DEL", &with_result(conf, &result)).of(&container).ok();
    }
    ours(&world, "DEL", &with_result(&main, &result)).of(&container).ok();
    ours(&world, "DEL", &with_result(&main, &result)).of(&container).ok();
    let left = container.ns.links();
    assert!(left.iter().all(|link| link.name == "lo"), "{left:?}");
    assert!(!world.reservations("pods").contains(&address));
    assert!(!world.rules().contains(&container.id), "{}", world.rules());
    ours(&world, "DEL", &with_result(&main, &theirs_now)).of(&other).ok();
    gone(&world, &container);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn change_over_plain() {
    changed_over(&json!({}), &[]);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn change_over_masquerade_by_iptables() {
    changed_over(&json!({ "ipMasq": true, "ipMasqBackend": "iptables" }), &[]);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn change_over_masquerade_by_nftables() {
    changed_over(&json!({ "ipMasq": true, "ipMasqBackend": "nftables" }), &[]);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn change_over_chain() {
    let entry = |kind: &str, more: &Value| {
        let mut entry = json!({ "cniVersion": "1.1.0", "name": "pods", "type": kind });
        merge(&mut entry, more);
        entry
    };
    let ports = json!([{ "hostPort": 18080, "containerPort": 80, "protocol": "tcp" }]);
    let chain = [
        entry("portmap", &json!({ "runtimeConfig": { "portMappings": ports } })),
        entry("firewall", &json!({ "backend": "iptables" })),
    ];
    changed_over(&json!({ "ipMasq": true, "ipMasqBackend": "iptables" }), &chain);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn the_way_back_leaves_a_record_that_the_next_of_ours_collects() {
    let world = world();
    let (conf, container) = (conf(&world, &json!({ "ipMasq": true })), world.container());
    let result = ours(&world, "ADD", &conf).of(&container).ok();
    let conf = with_result(&conf, &result);
    theirs(&world, "CHECK", &conf).of(&container).ok();
    theirs(&world, "DEL", &conf).of(&container).ok();
    let left = container.ns.links();
    assert!(left.iter().all(|link| link.name == "lo"), "{left:?}");
    assert!(world.reservations("pods").is_empty(), "its address is free");
    // Ours has a record, and an element of a set, of what is gone.
    assert_eq!(world.ledger().len(), 1);
    let mut listed = conf.clone();
    merge(&mut listed, &json!({ "cni.dev/valid-attachments": [] }));
    ours(&world, "GC", &listed).ok();
    gone(&world, &container);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn what_is_left_of_the_dead_is_swept_and_their_next_life_is_not() {
    let world = world();
    let (conf, container) = (conf(&world, &json!({ "ipMasq": true })), world.container());
    let living = world.container();
    ours(&world, "ADD", &conf).of(&living).ok();
    let result = ours(&world, "ADD", &conf).of(&container).ok();
    theirs(&world, "DEL", &with_result(&conf, &result)).of(&container).ok();
    let next = theirs(&world, "ADD", &conf).of(&container).ok();
    let swept = world.cli_ok(&["sweep"]);
    assert_eq!(swept.trim(), format!("pods/{}/eth0", container.id));
    assert!(world.reservations("pods").contains(&addresses(&next).concat()));
    assert!(container.ns.pings("10.1.0.1") && living.ns.pings("10.1.0.1"));
    assert_eq!(world.ledger().len(), 1, "what lives is not swept");
    theirs(&world, "DEL", &with_result(&conf, &next)).of(&container).ok();
    ours(&world, "DEL", &conf).of(&living).ok();
    gone(&world, &living);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn another_main_plugin_has_addresses_from_ours() {
    let world = world();
    let (conf, container) = (conf(&world, &json!({})), world.container());
    let with_ours = |verb: &str, conf: &Value| {
        theirs(&world, verb, conf).of(&container).env("CNI_PATH", &world.text_path("bin"))
    };
    let result = with_ours("ADD", &conf).ok();
    assert_eq!(addresses(&result), ["10.1.0.2"]);
    let conf = with_result(&conf, &result);
    with_ours("CHECK", &conf).ok();
    with_ours("DEL", &conf).ok();
    gone(&world, &container);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn a_foreign_host_local_is_run() {
    let world = world();
    let path = world.long_cni_path();
    let (_, reference) = path.split_once(':').expect("two directories");
    let (conf, container) = (conf(&world, &json!({})), world.container());
    let call = |verb: &str, conf: &Value| ours(&world, verb, conf).of(&container);
    let result = call("ADD", &conf).env("CNI_PATH", reference).ok();
    let conf = with_result(&conf, &result);
    call("CHECK", &conf).env("CNI_PATH", reference).ok();
    call("DEL", &conf).env("CNI_PATH", reference).ok();
    gone(&world, &container);
}

/// `host-local` alone, as a main plugin calls it.
fn ipam(world: &World, ranges: &Value) -> Value {
    conf(world, &json!({ "ipam": { "ranges": ranges } }))
}

fn address_call<'w>(
    world: &'w World,
    mine: bool,
    verb: &str,
    conf: &Value,
    container: &str,
) -> Call<'w> {
    let call = if mine {
        named(world, "host-local", verb, conf)
    } else {
        let path = world.long_cni_path();
        let (_, reference) = path.split_once(':').expect("two directories");
        world
            .call(verb, conf)
            .program(&format!("{reference}/host-local"))
            .env("CNI_PATH", reference)
    };
    call.env("CNI_CONTAINERID", container).env("CNI_NETNS", "/some/where").env("CNI_IFNAME", "eth0")
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn fifty_at_once_by_both_get_an_address_each() {
    let world = world();
    let conf = ipam(&world, &json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00::/64" }]]));
    let id = |number: usize| format!("c{number}");
    let started: Vec<_> = (0..50)
        .map(|number| address_call(&world, number % 2 == 0, "ADD", &conf, &id(number)))
        .map(|call| (call.start(), call))
        .collect();
    let mut given = BTreeSet::new();
    for (child, call) in started {
        let result = call.finish(child).ok();
        assert_eq!(addresses(&result).len(), 2, "{result}");
        given.extend(addresses(&result));
    }
    assert_eq!(given.len(), 100, "nobody has another's");
    assert_eq!(BTreeSet::from_iter(world.reservations("pods")), given);
    // Each releases what the other gave, all at once again.
    let started: Vec<_> = (0..50)
        .map(|number| address_call(&world, number % 2 == 1, "DEL", &conf, &id(number)))
        .map(|call| (call.start(), call))
        .collect();
    for (child, call) in started {
        call.finish(child).ok();
    }
    assert!(world.reservations("pods").is_empty(), "{:?}", world.reservations("pods"));
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn the_same_calls_come_to_the_same_files() {
    let ranges = json!([
        [
            { "subnet": "10.1.0.0/29", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.4" },
            { "subnet": "10.2.0.0/30" }
        ],
        [{ "subnet": "fd00::/64", "gateway": "fd00::2" }]
    ]);
    let steps: &[(&str, &str, &str)] = &[
        ("ADD", "a", ""),
        ("ADD", "b", ""),
        ("DEL", "a", ""),
        ("ADD", "c", ""),
        ("ADD", "d", ""),
        ("ADD", "e", ""),
        ("ADD", "f", ""),
        ("ADD", "c", ""),
        ("DEL", "b", ""),
        ("ADD", "g", "IP=10.1.0.3"),
        ("ADD", "h", "IP=10.1.0.1"),
        ("ADD", "i", "IP=10.9.0.1"),
        ("ADD", "j", "IP=10.1.0.3"),
        ("DEL", "c", ""),
        ("ADD", "k", ""),
        ("DEL", "nobody", ""),
    ];
    let lived = |mine: bool| {
        let world = world();
        let conf = ipam(&world, &ranges);
        let mut came = Vec::new();
        for (verb, container, args) in steps {
            let mut call = address_call(&world, mine, verb, &conf, container);
            if !args.is_empty() {
                call = call.env("CNI_ARGS", args);
            }
            let output = call.run();
            let given = output.succeeded().then(|| addresses(&output.ok()));
            came.push((*verb, *container, given));
        }
        let mut files: Vec<(String, String)> = fs::read_dir(world.path("data/pods"))
            .expect("the directory")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .map(|name| (name.clone(), file(&world, &name)))
            .collect();
        files.sort();
        (came, files)
    };
    assert_eq!(lived(true), lived(false));
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_b6_a_static_address_has_one_owner() {
    let world = world();
    let ipam = json!({ "ipam": {
        "type": "static", "dataDir": null, "ranges": null,
        "addresses": [{ "address": "10.1.0.77/24", "gateway": "10.1.0.1" }]
    } });
    let own = {
        let mut own = conf(&world, &ipam);
        merge(&mut own, &json!({ "type": "wharfinger", "driver": "bridge" }));
        own
    };
    for conf in [conf(&world, &ipam), own] {
        let (one, two) = (world.container(), world.container());
        let call = |verb: &str, container: &Container| {
            let named = if kind(&conf) == "bridge" {
                ours(&world, verb, &conf)
            } else {
                world.call(verb, &conf)
            };
            named.of(container)
        };
        let result = call("ADD", &one).ok();
        assert_eq!(addresses(&result), ["10.1.0.77"]);
        assert_eq!(strings(&result, &["ips"], "gateway"), ["10.1.0.1"]);
        let refused = call("ADD", &two).fails();
        assert_eq!(refused.code, 106, "{refused:?}");
        assert!(refused.msg.contains("10.1.0.77") && refused.msg.contains(&one.id), "{refused:?}");
        call("DEL", &two).ok();
        call("DEL", &one).ok();
        let result = call("ADD", &two).ok();
        assert_eq!(addresses(&result), ["10.1.0.77"], "free at once for who names it");
        call("DEL", &two).ok();
        world.assert_nothing_left();
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn static_as_ipam_of_another_takes_what_the_call_names() {
    let world = world();
    let conf = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "other",
        "runtimeConfig": { "ips": ["10.3.0.5/24"] },
        "ipam": { "type": "static", "addresses": [{ "address": "10.1.0.5/24" }] } });
    let (one, two) = (world.container(), world.container());
    let result = named(&world, "static", "ADD", &conf).of(&one).ok();
    assert_eq!(strings(&result, &["ips"], "address"), ["10.3.0.5/24"]);
    assert_eq!(named(&world, "static", "ADD", &conf).of(&two).fails().code, 106);
    named(&world, "static", "DEL", &conf).of(&one).ok();
    named(&world, "static", "ADD", &conf).of(&two).ok();
    named(&world, "static", "DEL", &conf).of(&two).ok();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn defect_15_del_succeeds_whatever_is_missing() {
    let world = world();
    let names = [
        "macvlan",
        "ipvlan",
        "vlan",
        "host-device",
        "dummy",
        "tap",
        "bandwidth",
        "tuning",
        "sbr",
        "vrf",
    ];
    for name in names {
        symlink("wharfinger", world.path("bin").join(name)).expect("a link");
    }
    let container = world.container();
    let all = ["bridge", "ptp", "loopback", "host-local", "static", "portmap", "firewall"];
    for name in names.iter().chain(&all) {
        // No ipam, a parent that is not there, no namespace, no previous result.
        let conf = json!({
            "cniVersion": "1.1.0", "name": "pods", "type": name, "master": "nowhere0",
            "device": "nowhere0", "vrfname": "blue",
            "runtimeConfig": { "portMappings": [
                { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }
            ] }
        });
        for netns in [container.ns.path(), "/no/such/netns".to_owned(), String::new()] {
            ours(&world, "DEL", &conf).of(&container).netns(&netns).ok();
            ours(&world, "DEL", &conf).of(&container).netns(&netns).ok();
        }
    }
    world.assert_nothing_left();
    assert_eq!(container.ns.links().len(), 1);
}

#[test]
#[ignore = "needs root: ring netns"]
fn defect_4_and_20_a_full_pool_says_so_and_how_full_it_is() {
    let world = world();
    let conf = ipam(&world, &json!([[{ "subnet": "10.1.0.0/30" }]]));
    let status = named(&world, "host-local", "STATUS", &conf);
    status.ok();
    address_call(&world, true, "ADD", &conf, "a").ok();
    let full = address_call(&world, true, "ADD", &conf, "b").fails();
    assert_eq!(full.code, 100, "{full:?}");
    assert!(full.msg.contains("10.1.0.0/30") && full.details.contains("held"), "{full:?}");
    assert_eq!(named(&world, "host-local", "STATUS", &conf).fails().code, 50);
    assert_eq!(world.reservations("pods"), ["10.1.0.2"]);
}

#[test]
#[ignore = "needs root and the reference plugins: ring netns"]
fn a_network_moves_to_our_own_type_while_containers_run() {
    let world = world();
    let more = json!({ "ipMasq": true, "ipMasqBackend": "nftables" });
    let (conf, one, two) = (conf(&world, &more), world.container(), world.container());
    let first = theirs(&world, "ADD", &conf).of(&one).ok();
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [conf] });
    let path = world.write("conf/10-pods.conflist", &list.to_string());
    let made = world.cli_ok(&["conf", "convert", &path.display().to_string()]);
    let made: Value = serde_json::from_str(&made).expect("JSON");
    let mut own = made["plugins"][0].clone();
    merge(&mut own, &json!({ "cniVersion": "1.1.0", "name": "pods" }));
    // The turn is the reference's no more, but what runs keeps its address.
    let asked = json!({ "runtimeConfig": { "ips": addresses(&first) } });
    let mut theirs_again = own.clone();
    merge(&mut theirs_again, &asked);
    let refused = world.call("ADD", &theirs_again).of(&two).fails();
    assert_eq!(refused.code, 106, "{refused:?}");
    assert!(refused.msg.contains(&one.id), "{refused:?}");
    let second = world.call("ADD", &own).of(&two).ok();
    assert_ne!(addresses(&first), addresses(&second));
    assert!(one.ns.pings(&addresses(&second).concat()));
    world.call("CHECK", &with_result(&own, &first)).of(&one).ok();
    world.call("DEL", &with_result(&own, &first)).of(&one).ok();
    let left = one.ns.links();
    assert!(left.iter().all(|link| link.name == "lo"), "{left:?}");
    world.call("DEL", &with_result(&own, &second)).of(&two).ok();
    gone(&world, &two);
}
