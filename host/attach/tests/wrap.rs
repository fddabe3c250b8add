//! Around other plugins: each verb is theirs as well, and what they did is undone whatever happens.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use serde_json::{Map, Value, json};
use wharfinger_attach::{Error, PolicyConf, check, dry, gc};
use wharfinger_cni::{Attach, Node, Success, ValidAttachment, Version, code};
use world::{NETNS, Ran, Script, TestPolicy, World, absent, call_of, refusing};

const INSIDE: &str = "eth0";

/// What a main plugin answers.
fn answer() -> Value {
    json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            { "name": "vethx", "mac": "02:00:00:00:00:02" },
            { "name": INSIDE, "mac": "02:00:00:00:00:01", "sandbox": NETNS[0] },
        ],
        "ips": [{ "address": "10.9.0.5/16", "interface": 1 }],
    })
}

/// A plugin that adds a route to what came before it.
fn chained() -> Script {
    Rc::new(|call| {
        let mut result = call.config.get("prevResult").cloned().unwrap_or(Value::Null);
        if call.verb.as_str() != "ADD" {
            return Ok(None);
        }
        result["routes"] = json!([{ "dst": "10.77.0.0/16" }]);
        Ok(result.as_object().cloned())
    })
}

fn one() -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "delegate": { "type": "macvlan", "master": "eth1", "ipam": { "type": "dhcp" } }
    })
}

fn list() -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "args": { "cni": { "x": 1 } },
        "runtimeConfig": { "mac": "02:00:00:00:00:01", "portMappings": [] },
        "delegate": {
            "cniVersion": "0.3.1", "name": "other",
            "plugins": [
                { "type": "macvlan", "capabilities": { "mac": true, "portMappings": false } },
                { "type": "after" },
            ]
        }
    })
}

fn world() -> World {
    let world = World::new();
    world.delegate_answer.replace(Some(answer()));
    world.scripts.borrow_mut().insert("after", chained());
    world
}

fn ran(world: &World) -> Vec<String> {
    world.delegated.take()
}

fn calls(world: &World) -> Vec<Ran> {
    world.ran.take()
}

fn told(error: &Error) -> (u32, String) {
    let cni = error.to_cni("pods");
    (cni.code, cni.msg)
}

fn mandatory(world: &mut World, policy: TestPolicy) {
    world.engine.policies.insert("p", policy);
    let plugin = "p".to_owned();
    world.settings.policies = vec![PolicyConf { plugin, config: Map::new(), advisory: false }];
}

#[test]
fn each_verb_reaches_the_plugin_and_its_result_is_ours() {
    let world = world();
    let call = call_of(&one(), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success, Success::parse(Version::V1_1_0, &answer()).unwrap());
    let again = Attach { prev_result: Some(success), ..call.clone() };
    world.with(|host| check::check(host, &again)).unwrap();
    world.with(|host| dry::status(host, &call.conf, &call.path)).map_err(|_| "unwell").unwrap();
    let node = Node { path: call.path.clone(), conf: call.conf.clone() };
    let valid = [ValidAttachment { container: "c1".into(), ifname: "eth0".into() }];
    world.with(|host| gc::gc(host, &node, &valid)).unwrap();
    world.del(&again).unwrap();
    world.assert_empty();
    let verbs = ["ADD", "CHECK", "STATUS", "GC", "DEL"].map(|verb| format!("macvlan {verb}"));
    assert_eq!(ran(&world), verbs);
    for call in calls(&world) {
        assert_eq!(call.config["name"], "pods");
        assert_eq!(call.config["master"], "eth1");
        let previous = call.config.get("prevResult").is_some();
        assert_eq!(previous, ["CHECK", "DEL"].contains(&call.verb.as_str()), "{call:?}");
        let interface = call.env.get("CNI_IFNAME").unwrap();
        let node = ["STATUS", "GC"].contains(&call.verb.as_str());
        assert_eq!(interface, if node { "" } else { "eth0" }, "the record's mark is ours alone");
        if call.verb == "GC" {
            let listed = json!([{ "containerID": "c1", "ifname": "eth0" }]);
            assert_eq!(call.config["cni.dev/valid-attachments"], listed);
            assert_eq!(call.config["cni.dev/attachments"], listed);
        }
    }
}

#[test]
fn a_list_is_run_as_libcni_runs_it() {
    let world = world();
    let call = call_of(&list(), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.routes.len(), 1, "the last one's result");
    let again = Attach { prev_result: Some(success.clone()), ..call.clone() };
    world.with(|host| check::check(host, &again)).unwrap();
    world.del(&again).unwrap();
    let verbs =
        ["macvlan ADD", "after ADD", "macvlan CHECK", "after CHECK", "after DEL", "macvlan DEL"];
    assert_eq!(ran(&world), verbs);
    let calls = calls(&world);
    let last = success.render(Version::V1_1_0).unwrap();
    for call in &calls {
        let config = &call.config;
        assert_eq!((&config["name"], &config["cniVersion"]), (&json!("pods"), &json!("1.1.0")));
        assert_eq!(config["args"], json!({ "cni": { "x": 1 } }));
        let runtime = match call.name.as_str() {
            "macvlan" => json!({ "mac": "02:00:00:00:00:01" }),
            // Who does not say what it takes gets all.
            _ => json!({ "mac": "02:00:00:00:00:01", "portMappings": [] }),
        };
        assert_eq!(config["runtimeConfig"], runtime, "{}", call.name);
        if call.verb != "ADD" {
            assert_eq!(config["prevResult"], last);
        }
    }
    assert!(calls[0].config.get("prevResult").is_none());
    assert!(calls[1].config["prevResult"].get("routes").is_none());
}

#[test]
fn a_list_may_say_that_it_is_not_checked_or_collected() {
    let world = world();
    let mut conf = list();
    conf["delegate"]["disableCheck"] = json!(true);
    conf["delegate"]["disableGC"] = json!("TRUE");
    let call = call_of(&conf, "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    ran(&world);
    let again = Attach { prev_result: Some(success), ..call.clone() };
    world.with(|host| check::check(host, &again)).unwrap();
    let node = Node { path: call.path.clone(), conf: call.conf.clone() };
    let valid = [ValidAttachment { container: "c1".into(), ifname: "eth0".into() }];
    world.with(|host| gc::gc(host, &node, &valid)).unwrap();
    assert!(ran(&world).is_empty());
}

/// Whatever fails, what was begun is deleted, and nothing else.
#[test]
fn a_plugin_that_fails_is_deleted_with_those_before_it() {
    for (name, script, dels) in [
        ("macvlan", refusing("macvlan", "ADD"), vec!["macvlan DEL"]),
        ("macvlan", absent("macvlan"), vec![]),
        ("after", refusing("after", "ADD"), vec!["after DEL", "macvlan DEL"]),
        ("after", absent("after"), vec!["macvlan DEL"]),
    ] {
        let world = world();
        world.scripts.borrow_mut().insert(name, script);
        let call = call_of(&list(), "c1", NETNS[0]);
        let (_, message) = told(&world.add(&call).unwrap_err());
        assert!(message.contains(name), "{message}");
        let deleted: Vec<String> =
            ran(&world).into_iter().filter(|ran| ran.ends_with("DEL")).collect();
        assert_eq!(deleted, dels, "{name}");
        world.assert_empty();
        world.del(&call).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// Its own error keeps its code, so that a runtime can act on it.
#[test]
fn a_plugins_own_error_is_passed_on() {
    let world = world();
    world.scripts.borrow_mut().insert("macvlan", refusing("macvlan", "ADD"));
    let error = world.add(&call_of(&one(), "c1", NETNS[0])).unwrap_err();
    assert_eq!(told(&error).0, 7);
    assert!(told(&error).1.contains("no ADD today"), "{error}");
}

/// A DEL that fails keeps the record, and does not keep the others' DELs.
#[test]
fn a_del_that_fails_is_tried_again_by_the_next() {
    let world = world();
    let call = call_of(&list(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    world.scripts.borrow_mut().insert("after", refusing("after", "DEL"));
    ran(&world);
    world.del(&call).unwrap_err();
    assert_eq!(ran(&world), ["after DEL", "macvlan DEL"]);
    world.scripts.borrow_mut().insert("after", chained());
    world.del(&call).unwrap();
    assert_eq!(ran(&world), ["after DEL", "macvlan DEL"]);
    world.assert_empty();
}

/// Between ADD and DEL the configuration changes, is emptied, or is gone: the book has what the
/// ADD used.
#[test]
fn pain_a10_a_del_reaches_the_delegate_whatever_became_of_its_configuration() {
    let stripped = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" });
    let bare = json!({ "cniVersion": "1.1.0", "name": "pods" });
    let other = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "delegate": { "type": "ipvlan" }
    });
    let broken = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "delegate": { "plugins": 7 }
    });
    let mut emptied = one();
    emptied["delegate"]["ipam"] = json!({});
    for conf in [stripped, bare, other, broken, emptied] {
        let world = world();
        world.add(&call_of(&one(), "c1", NETNS[0])).unwrap();
        calls(&world);
        ran(&world);
        let mut call = call_of(&conf, "c1", "");
        call.path.clear();
        world.del(&call).unwrap();
        assert_eq!(ran(&world), ["macvlan DEL"], "{conf}");
        let del = calls(&world).pop().unwrap();
        assert_eq!(del.config["ipam"], json!({ "type": "dhcp" }), "{conf}");
        assert_eq!(del.config["prevResult"]["ips"][0]["address"], "10.9.0.5/16");
        assert_eq!(del.env["CNI_PATH"], "/opt/cni/bin", "where it was at ADD");
        world.assert_empty();
        // And where the book knows nothing any more, what the call says is done.
        world.del(&call_of(&one(), "c1", "")).unwrap();
        assert_eq!(ran(&world), ["macvlan DEL"]);
    }
}

/// A namespace that took the path of the dead one is nobody's to hand to a plugin.
#[test]
fn a_del_hands_no_foreign_namespace_on() {
    let world = world();
    let call = call_of(&one(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    world.kernel.remove_netns(NETNS[0]);
    world.kernel.add_netns(NETNS[0], 4711);
    calls(&world);
    world.del(&call).unwrap();
    assert_eq!(calls(&world).pop().unwrap().env["CNI_NETNS"], "");
}

#[test]
fn gc_deletes_what_the_runtime_does_not_list() {
    let world = world();
    let call = call_of(&one(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    ran(&world);
    let node = Node { path: call.path.clone(), conf: call.conf.clone() };
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
    assert_eq!(ran(&world), ["macvlan DEL", "macvlan GC"]);
    world.assert_empty();
}

/// Killed while a plugin runs, or before its answer is written down: the next DEL deletes what was
/// begun, and the next ADD does so first.
#[test]
fn pain_c1_a_kill_while_a_plugin_runs_leaves_nothing() {
    for (name, dels) in
        [("macvlan", vec!["macvlan DEL"]), ("after", vec!["after DEL", "macvlan DEL"])]
    {
        for again in [false, true] {
            let world = world();
            let call = call_of(&list(), "c1", NETNS[0]);
            world.scripts.borrow_mut().insert(
                name,
                Rc::new(|call| match call.verb.as_str() {
                    "ADD" => panic!("killed"),
                    _ => Ok(None),
                }),
            );
            let killed = catch_unwind(AssertUnwindSafe(|| world.add(&call)));
            killed.unwrap_err();
            world.machine.locks.borrow_mut().clear();
            ran(&world);
            world.scripts.borrow_mut().remove("macvlan");
            world.scripts.borrow_mut().insert("after", chained());
            if again {
                world.add(&call).unwrap();
                assert_eq!(ran(&world)[..dels.len()], dels);
            }
            world.del(&call).unwrap();
            if !again {
                assert_eq!(ran(&world), dels);
            }
            world.assert_empty();
        }
    }
}

#[test]
fn an_add_of_what_stands_is_refused_and_harms_nothing() {
    let world = world();
    let call = call_of(&one(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    let inside = wharfinger_plan::LinkRef::container(INSIDE);
    world.kernel.add_link(100, wharfinger_kernel::LinkFacts::new(inside, "macvlan"));
    ran(&world);
    assert_eq!(told(&world.add(&call).unwrap_err()).0, code::EXISTS);
    assert!(ran(&world).is_empty());
}

#[test]
fn a_policy_amends_the_delegates_configuration_and_a_del_has_it_so() {
    let mut world = world();
    mandatory(&mut world, TestPolicy::amends("p", &json!({ "delegate": { "mtu": 1400 } })));
    let call = call_of(&one(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    world.del(&call).unwrap();
    for call in calls(&world) {
        assert_eq!(call.config["mtu"], 1400, "{}", call.verb);
    }
}

#[test]
fn of_a_delegates_pools_a_policy_may_only_leave_some() {
    let (a, b) = (json!({ "subnet": "10.1.0.0/24" }), json!({ "subnet": "10.2.0.0/24" }));
    let mut conf = one();
    conf["delegate"]["ipam"]["ranges"] = json!([[a, b]]);
    for (ranges, fine) in [(json!([[b]]), true), (json!([[{ "subnet": "10.0.0.0/8" }]]), false)] {
        let mut world = world();
        let patch = json!({ "delegate": { "IPAM": { "ranges": ranges } } });
        mandatory(&mut world, TestPolicy::amends("p", &patch));
        let added = world.add(&call_of(&conf, "c1", NETNS[0]));
        assert_eq!(added.is_ok(), fine, "{ranges}");
        let asked = calls(&world).pop().map(|call| call.config["ipam"]["ranges"].clone());
        assert_eq!(asked, fine.then_some(ranges));
    }
}

#[test]
fn a_book_that_was_lost_knows_again_what_we_stood_around() {
    let mut world = world();
    let call = call_of(&list(), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    let known = Attach { prev_result: Some(success), ..call.clone() };
    world.lose_the_book_but(std::slice::from_ref(&known));
    ran(&world);
    world.with(|host| check::check(host, &known)).unwrap();
    assert_eq!(ran(&world), ["macvlan CHECK", "after CHECK"]);
    calls(&world);
    // The configuration has changed since: what was run is run.
    let emptied = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" });
    world.del(&call_of(&emptied, "c1", NETNS[0])).unwrap();
    assert_eq!(ran(&world), ["after DEL", "macvlan DEL"]);
    for call in calls(&world) {
        assert_eq!(call.config["prevResult"]["ips"][0]["address"], "10.9.0.5/16", "{call:?}");
    }
    world.assert_empty();
}

#[test]
fn what_was_kept_of_a_dead_container_goes_with_a_gc() {
    let mut world = world();
    let call = call_of(&one(), "c1", NETNS[0]);
    let prev_result = Some(world.add(&call).unwrap());
    world.lose_the_book_but(&[Attach { prev_result, ..call.clone() }]);
    ran(&world);
    let node = Node { path: call.path.clone(), conf: call.conf.clone() };
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
    assert!(ran(&world).contains(&"macvlan DEL".to_owned()));
    world.assert_empty();
}

/// What each plugin of the list was run with, by its name: the first ADD of each.
fn added(world: &World) -> Vec<(String, Value)> {
    let calls = calls(world).into_iter().filter(|call| call.verb.as_str() == "ADD");
    calls.map(|call| (call.name, call.config)).collect()
}

#[test]
fn a_policy_amends_the_plugins_of_a_list_and_a_del_has_them_so() {
    let mut world = world();
    let patch = json!({ "Delegate": { "PLUGINS": [{ "mtu": 1400 }, {}] } });
    mandatory(&mut world, TestPolicy::amends("p", &patch));
    let call = call_of(&list(), "c1", NETNS[0]);
    world.add(&call).unwrap();
    world.del(&call).unwrap();
    for call in calls(&world) {
        let mtu = call.config.get("mtu").and_then(Value::as_u64);
        assert_eq!(mtu, (call.name == "macvlan").then_some(1400), "{} {}", call.name, call.verb);
    }
    world.assert_empty();
}

#[test]
fn a_policy_that_writes_the_whole_list_is_judged_by_what_it_changed() {
    let mut world = world();
    let mut plugins = list()["delegate"]["plugins"].clone();
    plugins[1]["dns"] = json!({ "nameservers": ["10.0.0.53"] });
    mandatory(&mut world, TestPolicy::amends("p", &json!({ "delegate": { "plugins": plugins } })));
    world.add(&call_of(&list(), "c1", NETNS[0])).unwrap();
    let added = added(&world);
    assert_eq!(added[1].1["dns"]["nameservers"], json!(["10.0.0.53"]));
    assert_eq!(added[0].1.get("dns"), None);
}

#[test]
fn which_plugins_a_list_has_is_no_policys_to_say() {
    let first = || list()["delegate"]["plugins"][0].clone();
    for (plugins, pointer) in [
        (json!([first()]), "/delegate/plugins"),
        (json!([first(), {}, { "type": "third" }]), "/delegate/plugins"),
        (json!([{ "type": "after" }, { "type": "macvlan" }]), "/delegate/plugins/0/type"),
        (json!([{}, { "type": "sh" }]), "/delegate/plugins/1/type"),
        (json!([{}, "after"]), "/delegate/plugins/1"),
        (json!({ "0": { "mtu": 1400 } }), "/delegate/plugins"),
        (json!([{ "master": "eth0" }, {}]), "/delegate/plugins/0/master"),
        (json!([{ "capabilities": { "portMappings": true } }, {}]), "/delegate/plugins/0/capab"),
        (json!([{ "runtimeConfig": { "ips": [] } }, {}]), "/delegate/plugins/0/runtimeConfig"),
        (json!([{ "delegate": { "mtu": 1400 } }, {}]), "/delegate/plugins/0/delegate"),
        (json!([{}, { "prevResult": {} }]), "/delegate/plugins/1/prevResult"),
        (Value::Null, "/delegate/plugins"),
    ] {
        let mut world = world();
        let patch = json!({ "delegate": { "plugins": plugins } });
        mandatory(&mut world, TestPolicy::amends("p", &patch));
        let grants = ["/delegate/plugins", "/delegate", "/delegate/plugins/0"];
        let grants = grants.map(str::to_owned).to_vec();
        world.settings.amend.insert("p".to_owned(), grants);
        let error = world.add(&call_of(&list(), "c1", NETNS[0])).unwrap_err();
        let (code, text) = told(&error);
        assert_eq!(code, code::DENIED, "{patch}: {text}");
        assert!(text.contains(pointer) && text.contains("no policy may"), "{patch}: {text}");
        assert!(ran(&world).is_empty());
    }
}

#[test]
fn a_grant_is_for_one_plugin_of_a_list_or_for_each() {
    let patch = json!({ "delegate": { "plugins": [{ "bcqueuelen": 100 }, {}] } });
    for (grant, fine) in [
        ("/delegate/plugins/0/bcqueuelen", true),
        ("/delegate/bcqueuelen", true),
        ("/delegate/plugins/1/bcqueuelen", false),
        ("/bcqueuelen", false),
    ] {
        let mut world = world();
        mandatory(&mut world, TestPolicy::amends("p", &patch));
        world.settings.amend.insert("p".to_owned(), vec![grant.to_owned()]);
        let result = world.add(&call_of(&list(), "c1", NETNS[0]));
        assert_eq!(result.is_ok(), fine, "{grant}: {:?}", result.err().map(|e| told(&e)));
        if let Err(error) = world.add(&call_of(&list(), "c2", NETNS[1]))
            && !fine
        {
            let says = told(&error).1;
            assert!(says.contains("/delegate/plugins/0/bcqueuelen"), "{says}");
        }
    }
}

#[test]
fn of_the_pools_of_a_lists_plugin_a_policy_may_only_leave_some() {
    let (a, b) = (json!({ "subnet": "10.1.0.0/24" }), json!({ "subnet": "10.2.0.0/24" }));
    let mut conf = list();
    conf["delegate"]["plugins"][0]["ipam"] = json!({ "type": "x", "ranges": [[a, b]] });
    for (ranges, fine) in [(json!([[b]]), true), (json!([[{ "subnet": "10.0.0.0/8" }]]), false)] {
        let mut world = world();
        let patch = json!({ "delegate": { "plugins": [{ "ipam": { "ranges": ranges } }, {}] } });
        mandatory(&mut world, TestPolicy::amends("p", &patch));
        let result = world.add(&call_of(&conf, "c1", NETNS[0]));
        assert_eq!(result.is_ok(), fine, "{ranges}");
        let asked = added(&world).first().map(|(_, config)| config["ipam"]["ranges"].clone());
        assert_eq!(asked, fine.then_some(ranges));
    }
}

#[test]
fn a_review_sees_what_the_list_made_and_its_refusal_deletes_it() {
    let mut world = world();
    mandatory(
        &mut world,
        TestPolicy::new("p").review(|_, _, result, _| {
            assert_eq!(result["ips"][0]["address"], "10.9.0.5/16");
            assert_eq!(result["routes"][0]["dst"], "10.77.0.0/16", "of the last plugin");
            Ok(wharfinger_wasm::Verdict::Deny("not that one".to_owned()))
        }),
    );
    let error = world.add(&call_of(&list(), "c1", NETNS[0])).unwrap_err();
    assert_eq!(told(&error).0, code::DENIED);
    assert_eq!(ran(&world), ["macvlan ADD", "after ADD", "after DEL", "macvlan DEL"]);
    world.assert_empty();
}

#[test]
fn a_review_sees_the_result_and_its_refusal_deletes_what_was_done() {
    let mut world = world();
    mandatory(
        &mut world,
        TestPolicy::new("p").review(|_, _, result, _| {
            assert_eq!(result["ips"][0]["address"], "10.9.0.5/16");
            Ok(wharfinger_wasm::Verdict::Deny("not that one".to_owned()))
        }),
    );
    let error = world.add(&call_of(&one(), "c1", NETNS[0])).unwrap_err();
    assert_eq!(told(&error).0, code::DENIED);
    assert_eq!(ran(&world), ["macvlan ADD", "macvlan DEL"]);
    world.assert_empty();
}

#[test]
fn an_admission_that_is_refused_runs_nothing() {
    let mut world = world();
    mandatory(&mut world, TestPolicy::denies("p", "no"));
    world.add(&call_of(&one(), "c1", NETNS[0])).unwrap_err();
    assert!(ran(&world).is_empty());
    world.assert_empty();
}

#[test]
fn what_is_no_delegate_is_told_by_its_pointer() {
    for (delegate, pointer) in [
        (json!({}), "/delegate/type"),
        (json!(7), "/delegate"),
        (json!({ "type": "../../bin/sh" }), "/delegate/type"),
        (json!({ "type": "wharfinger" }), "/delegate/type"),
        (json!({ "plugins": [] }), "/delegate/plugins"),
        (json!({ "plugins": [{ "type": "a" }, {}] }), "/delegate/plugins/1/type"),
        (json!({ "plugins": [{ "type": "a" }], "disableGC": 7 }), "/delegate/disableGC"),
    ] {
        let mut conf = one();
        conf["delegate"] = delegate;
        let world = world();
        let (code, message) = told(&world.add(&call_of(&conf, "c1", NETNS[0])).unwrap_err());
        assert_eq!(code, code::INVALID_CONFIG);
        assert!(message.contains(pointer), "{message}");
        assert!(ran(&world).is_empty());
    }
    let mut both = one();
    both["driver"] = json!("bridge");
    let error = world().add(&call_of(&both, "c1", NETNS[0])).unwrap_err();
    assert!(told(&error).1.contains("/delegate"), "{error}");
}

/// Two entries of one list around others, and one of ours: each has its record.
#[test]
fn entries_of_one_list_do_not_overwrite_each_other() {
    let world = world();
    let main = call_of(&world::bridge("10.1.0.2", "10.1.0.9"), "c1", NETNS[0]);
    let success = world.add(&main).unwrap();
    let around = |name: &str| {
        let conf = json!({
            "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
            "delegate": { "type": name }
        });
        let previous = Some(success.clone());
        Attach { prev_result: previous, ..call_of(&conf, "c1", NETNS[0]) }
    };
    let (first, second) = (around("one"), around("two"));
    for call in [&first, &second] {
        world.scripts.borrow_mut().insert("one", chained());
        world.scripts.borrow_mut().insert("two", chained());
        world.add(call).unwrap();
    }
    let ids: Vec<String> = world
        .with(|host| host.ledger.list(None))
        .unwrap()
        .into_iter()
        .map(|entry| entry.record.id.ifname)
        .collect();
    assert_eq!(ids, ["eth0", "eth0:wrapped:one", "eth0:wrapped:two"]);
    ran(&world);
    world.del(&second).unwrap();
    assert_eq!(ran(&world), ["two DEL"]);
    world.del(&first).unwrap();
    assert_eq!(ran(&world), ["one DEL"]);
    world.del(&main).unwrap();
    world.assert_empty();
}
