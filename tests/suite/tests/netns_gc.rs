//! GC: what the caller lists is valid, and nothing else of this network is.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Attached, World, merge};

fn conf(world: &World) -> Value {
    world.conf("bridge", &json!({ "ipMasq": true }))
}

/// The configuration of a GC with this list under the key of the text, and of libcni's other one.
fn gc(world: &World, conf: &Value, list: Option<&Value>) {
    let mut conf = conf.clone();
    if let Some(list) = list {
        let keys = conf.as_object_mut().expect("an object");
        keys.insert("cni.dev/valid-attachments".to_owned(), list.clone());
        keys.insert("cni.dev/attachments".to_owned(), list.clone());
    }
    assert_eq!(world.call("GC", &conf).ok(), Value::Null);
}

fn entry(one: &Attached<'_>) -> Value {
    json!({ "containerID": one.container.id, "ifname": "eth0" })
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_a8_what_is_listed_stays() {
    let world = World::new();
    let conf = conf(&world);
    let (kept, gone) = (world.attach(&conf), world.attach(&conf));
    gc(&world, &conf, Some(&json!([entry(&kept)])));
    kept.check();
    assert_eq!(world.ledger().len(), 1);
    assert!(gone.container.ns.links().iter().all(|link| link.name != "eth0"));
    assert!(!world.rules().contains(&gone.v4()));
    let said = world.cli_ok(&["events", "--container", &gone.container.id]);
    assert!(said.lines().last().is_some_and(|line| line.contains("GC did not list it")), "{said}");
    gone.del();
    kept.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_a8_req_56_req_59_an_absent_null_or_empty_list_keeps_none() {
    let world = World::new();
    let conf = conf(&world);
    for list in [None, Some(Value::Null), Some(json!([]))] {
        let mut one = world.attach(&conf);
        let two = world.attach(&conf);
        one.container.ns.delete();
        gc(&world, &conf, list.as_ref());
        world.assert_nothing_left();
        two.del();
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn req_54_another_network_is_untouched() {
    let world = World::new();
    let conf = conf(&world);
    let more = json!({ "name": "other", "bridge": "cni1", "ipam": world.ipam(&["10.2.0.0/16"]) });
    let other = world.conf("bridge", &more);
    let (mine, theirs) = (world.attach(&conf), world.attach(&other));
    gc(&world, &conf, Some(&json!([])));
    theirs.check();
    assert_eq!(world.ledger().len(), 1);
    gc(&world, &conf, Some(&json!([{ "containerID": "unknown", "ifname": "eth0" }])));
    theirs.check();
    mine.del();
    theirs.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring netns"]
fn another_interface_is_another_attachment() {
    let world = World::new();
    let conf = conf(&world);
    let one = world.attach(&conf);
    gc(&world, &conf, Some(&json!([{ "containerID": one.container.id, "ifname": "net1" }])));
    world.assert_nothing_left();
}

/// Two runtimes share a network, each knows half of it.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a9_dead_only() {
    let world = World::new();
    let file = world.write("etc/config.toml", "gc = \"dead-only\"\n");
    let conf = conf(&world);
    let (mine, theirs, mut dead) = (world.attach(&conf), world.attach(&conf), world.attach(&conf));
    dead.dies();
    gc(&world, &conf, Some(&json!([entry(&mine)])));
    mine.check();
    theirs.check();
    assert_eq!(world.ledger().len(), 2, "the dead one is gone");
    assert!(!world.rules().contains(&dead.v4()));
    std::fs::remove_file(file).expect("removed");
    gc(&world, &conf, Some(&json!([entry(&mine)])));
    assert_eq!(world.ledger().len(), 1);
    theirs.del();
    mine.del();
    world.assert_nothing_left();
}

/// An ADD that begins after a GC began is never its victim.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b1_born_during_a_collection() {
    let world = World::new();
    let conf = conf(&world);
    let old: Vec<Attached<'_>> = (0..12).map(|_| world.attach(&conf)).collect();
    let list = json!({ "cni.dev/valid-attachments": [] });
    let mut collect = conf.clone();
    merge(&mut collect, &list);
    let call = world.call("GC", &collect);
    let child = call.start();
    // A dozen attachments are undone one by one; the first to go shows that it began.
    let first = old.first().expect("one");
    let stands = |one: &Attached<'_>| one.container.ns.links().iter().any(|l| l.name == "eth0");
    assert!((0..200).any(|_| !old.iter().all(stands)), "nothing is collected");
    let born: Vec<Attached<'_>> = (0..3).map(|_| world.attach(&conf)).collect();
    assert_eq!(call.finish(child).ok(), Value::Null);
    for one in &born {
        one.check();
        one.del();
    }
    first.del();
    world.assert_nothing_left();
}

/// An unimplemented verb is an error; the five that there are do their work for every driver.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a8_every_verb_for_every_driver() {
    let world = World::new();
    for driver in ["bridge", "ptp", "loopback"] {
        let conf = world.conf(driver, &json!({}));
        let container = world.container();
        let ifname = if driver == "loopback" { "lo" } else { "eth0" };
        let call = |verb: &str, conf: &Value| {
            world.call(verb, conf).of(&container).env("CNI_IFNAME", ifname)
        };
        let result = call("ADD", &conf).ok();
        let mut with_result = conf.clone();
        merge(&mut with_result, &json!({ "prevResult": result }));
        assert_eq!(call("CHECK", &with_result).ok(), Value::Null);
        assert_eq!(world.call("STATUS", &conf).ok(), Value::Null);
        let version = world.call("VERSION", &json!({ "cniVersion": "1.1.0" })).ok();
        assert!(version.get("supportedVersions").is_some(), "{version}");
        assert_eq!(call("UPDATE", &with_result).fails().code, 4);
        assert_eq!(world.call("GC", &conf).ok(), Value::Null);
        world.assert_nothing_left();
        assert_eq!(call("DEL", &with_result).ok(), Value::Null);
    }
}

/// By hand: what stays is named by its beginning, with all its interfaces; and a slip detaches nothing.
#[test]
#[ignore = "needs root: ring netns"]
fn what_is_kept_by_hand_is_never_lost_by_a_slip() {
    let world = World::new();
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [conf(&world)] });
    let file = world.write("conf/10-pods.conflist", &list.to_string()).display().to_string();
    let (one, two) = (world.container(), world.container());
    let add = |container: &str, netns: &str, ifname: &str| {
        let more = ["--netns", netns, "--container", container, "--ifname", ifname];
        world.cli(&[&["add", file.as_str()], &more[..]].concat())
    };
    for (id, ns, ifname) in
        [("keep-me", &one.ns, "eth0"), ("keep-me", &one.ns, "net1"), ("keep-not", &two.ns, "eth0")]
    {
        assert!(add(id, &ns.path(), ifname).status.success(), "{id}/{ifname}");
    }
    // What a runtime is refused, a person is.
    for (id, ifname) in
        [("../away", "eth9"), ("odd", "a/b"), ("", "eth9"), ("odd", "longer-than-15-bytes")]
    {
        let refused = add(id, &two.ns.path(), ifname);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("allowed"), "{id} {ifname}: {said}");
    }
    let names = || world.cli_ok(&["ls"]).lines().count() - 1;
    for slip in ["nosuch", "keep-", "keep-me/eth7"] {
        let refused = world.cli(&["gc", &file, "--keep", slip]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("nothing was detached"), "{slip}: {refused:?}");
        assert_eq!(names(), 3, "{slip}");
    }
    let said = world.cli_ok(&["gc", &file, "--keep", "keep-m"]);
    assert_eq!(said, "detached pods/keep-not/eth0\n");
    // The book knows the namespace.
    for ifname in ["eth0", "net1"] {
        world.cli_ok(&["check", &file, "--container", "keep-me", "--ifname", ifname]);
    }
    let slip = world.cli_ok(&["del", &file, "--container", "keep-me", "--ifname", "eth7"]);
    assert!(slip.contains("nothing was attached as pods/keep-me/eth7"), "{slip}");
    // As a runtime's, whatever is written in the settings.
    world.settings("deadlin = 3\n");
    for ifname in ["eth0", "net1"] {
        let del = ["del", &file, "--container", "keep-me", "--ifname", ifname];
        assert_eq!(world.cli_ok(&del), "");
    }
    assert!(!world.cli(&["ls"]).status.success(), "the settings cannot be read");
    world.settings("");
    world.assert_nothing_left();
}
