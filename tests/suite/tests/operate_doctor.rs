//! `wharfinger doctor` on a machine: what is broken on purpose is named, and nothing else.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use wharfinger_suite::World;

/// A machine with one network, and its executable where it is looked for.
fn world() -> (World, Value) {
    let mut world = World::new();
    world.own_runtime();
    let conf = world.conf("bridge", &json!({}));
    let mut list = json!({ "cniVersion": "1.0.0", "name": conf["name"], "plugins": [conf] });
    for key in ["cniVersion", "name"] {
        list["plugins"][0].as_object_mut().expect("an object").remove(key);
    }
    world.write("conf/10-net.conflist", &list.to_string());
    (world, conf)
}

/// Status and findings.
fn doctor(world: &World, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let (conf, bin) = (world.text_path("conf"), world.text_path("bin"));
    let mut words = vec!["doctor", "--json", "--conf-dir", &conf, "--cni-path", &bin];
    words.extend(more);
    let output = world.cli(&words);
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    (output.status.code(), found.as_array().expect("a list").clone())
}

/// The finding of this kind; there must be one.
fn finding(found: &[Value], kind: &str) -> Value {
    let one = found.iter().find(|finding| finding["finding"] == kind);
    one.unwrap_or_else(|| panic!("no {kind}: {found:#?}")).clone()
}

#[test]
#[ignore = "needs root: ring operate"]
fn a_node_that_is_well_has_no_finding() {
    let (world, conf) = world();
    assert_eq!(doctor(&world, &[]), (Some(0), vec![]));
    let attached = world.attach(&conf);
    assert_eq!(doctor(&world, &[]), (Some(0), vec![]), "nor with somebody attached");
    let (status, all) = doctor(&world, &["--all"]);
    assert_eq!(status, Some(0));
    assert!(finding(&all, "picked")["what"].as_str().expect("text").contains("10-net.conflist"));
    assert!(finding(&all, "provider")["what"].as_str().expect("text").contains("this executable"));
    attached.del();
}

/// Nobody can be attached there; and what lies in a directory's place, or in a file's, is not waited for.
#[test]
#[ignore = "needs root: ring operate"]
fn a_node_without_a_network_is_told_of_it() {
    let (world, _) = world();
    let conf = world.path("conf");
    let level = |kind: &str| {
        let (status, found) = doctor(&world, &[]);
        assert_eq!(status, Some(1), "{found:?}");
        finding(&found, kind)["level"].clone()
    };
    fs::remove_file(conf.join("10-net.conflist")).expect("removed");
    assert_eq!(level("no-network"), "warning");
    world.host.run(&["mkfifo", &world.text_path("conf/10-net.conflist")]);
    assert_eq!(level("broken-file"), "error");
    fs::remove_dir_all(&conf).expect("removed");
    assert_eq!(level("conf-directory"), "warning");
    fs::write(&conf, "").expect("a file");
    assert_eq!(level("conf-directory"), "error");
}

/// Somebody emptied the packet filter: it is said before a person misses a packet, and so is what mends it.
#[test]
#[ignore = "needs root: ring operate"]
fn what_is_not_as_it_was_made_is_named() {
    let (world, mut conf) = world();
    conf["ipMasq"] = json!(true);
    let (one, two) = (world.attach(&conf), world.attach(&conf));
    world.host.run(&["nft", "flush", "ruleset"]);
    two.container.ns.run(&["ip", "link", "set", "eth0", "down"]);
    let (status, found) = doctor(&world, &[]);
    assert_eq!(status, Some(1));
    let drift = finding(&found, "drift");
    let said = drift["what"].as_str().expect("text");
    for word in ["2 are not", &one.container.id, &two.container.id, "masquerade"] {
        assert!(said.contains(word), "{word}: {drift}");
    }
    world.cli_ok(&["reload"]);
    let (_, found) = doctor(&world, &[]);
    let said = finding(&found, "drift").to_string();
    assert!(said.contains(&two.container.id) && !said.contains(&one.container.id), "{said}");
    two.container.ns.run(&["ip", "link", "set", "eth0", "up"]);
    for one in [one, two] {
        one.del();
    }
    assert_eq!(doctor(&world, &[]), (Some(0), vec![]));
}

/// A chain of somebody else's that drops what is forwarded: a person is told, before any packet is lost.
#[test]
#[ignore = "needs root: ring operate"]
fn a_chain_that_drops_what_is_forwarded_is_named() {
    let (world, _) = world();
    world.host.run(&["nft", "add table ip filter"]);
    let chain = "{ type filter hook forward priority 0; policy drop; }";
    world.host.run(&["nft", &format!("add chain ip filter FORWARD {chain}")]);
    let (status, found) = doctor(&world, &[]);
    assert_eq!(status, Some(1));
    let drop = finding(&found, "forward-drop");
    assert_eq!(drop["object"], "chain ip filter FORWARD");
    assert!(drop["what"].as_str().expect("text").contains("policy drop"), "{drop}");
    assert!(drop["do"].as_str().expect("text").contains("firewall"), "{drop}");
}

#[test]
#[ignore = "needs root: ring operate"]
fn what_is_broken_on_purpose_is_named() {
    let (world, conf) = world();
    // An attachment whose namespace is gone.
    let mut dead = world.attach(&conf);
    dead.dies();
    world.write("conf/05-broken.conflist", "{,");
    world.write(
        "conf/20-calico.conflist",
        r#"{"cniVersion": "1.0.0", "name": "k8s", "plugins": [{"type": "calico"}]}"#,
    );
    world.host.run(&["sysctl", "-qw", "net.ipv4.ip_forward=0"]);
    world.host.run(&["ip", "link", "add", "tun9", "type", "veth", "peer", "tun9p"]);
    world.host.run(&["ip", "address", "add", "10.1.0.77/25", "dev", "tun9"]);
    world.host.run(&["ip", "link", "set", "tun9", "up"]);
    fs::set_permissions(world.path("run"), Permissions::from_mode(0o777)).expect("a mode");
    let (status, found) = doctor(&world, &[]);
    assert_eq!(status, Some(1));
    assert!(
        finding(&found, "broken-file")["object"]
            .as_str()
            .expect("text")
            .ends_with("05-broken.conflist")
    );
    assert_eq!(finding(&found, "no-executable")["object"], "type calico");
    assert!(finding(&found, "leftover")["what"].as_str().expect("text").contains("Calico"));
    assert_eq!(finding(&found, "forwarding")["object"], "net.ipv4.ip_forward");
    assert!(finding(&found, "permissions")["what"].as_str().expect("text").contains("777"));
    assert!(finding(&found, "dead-attachment")["what"].as_str().expect("text").contains("eth0"));
    assert!(finding(&found, "route-conflict")["what"].as_str().expect("text").contains("tun9"));
    fs::set_permissions(world.path("run"), Permissions::from_mode(0o755)).expect("a mode");
    // What it says to do does it.
    world.cli_ok(&["sweep"]);
    let (_, found) = doctor(&world, &[]);
    assert!(found.iter().all(|finding| finding["finding"] != "dead-attachment"), "{found:#?}");
}

/// Several files, of several installers: which one each runtime takes is said before any container finds
/// out; what we write and install changes no file of others.
#[test]
#[ignore = "needs root: ring operate"]
fn pain_e2_who_takes_which_file_is_said_and_others_files_stay() {
    let (world, _) = world();
    let theirs = [
        ("05-half.conflist", "{,"),
        (
            "09-other.conflist",
            r#"{"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "wharfinger", "driver": "loopback"}]}"#,
        ),
        (
            "10-calico.conflist",
            r#"{"cniVersion": "1.0.0", "name": "k8s", "plugins": [{"type": "calico"}]}"#,
        ),
        ("99-net.conf", r#"{"cniVersion": "1.0.0", "name": "k8s", "type": "calico"}"#),
        ("README", "no network"),
    ];
    for (name, text) in theirs {
        world.write(&format!("conf/{name}"), text);
    }
    let picked = |world: &World| {
        let (_, all) = doctor(world, &["--all"]);
        (finding(&all, "picked")["what"].as_str().expect("text").to_owned(), all)
    };
    let (said, all) = picked(&world);
    assert!(said.contains("containerd takes none, as 05-half.conflist is broken"), "{said}");
    assert!(said.contains("CRI-O and cri-dockerd 09-other.conflist (network other)"), "{said}");
    let doubled = finding(&all, "doubled-name");
    assert_eq!(doubled["object"], "network k8s");
    let said = doubled["what"].as_str().expect("text");
    assert!(said.contains("10-calico.conflist and 99-net.conf"), "{said}");
    // In another order another one is taken, and ours is behind it.
    fs::remove_file(world.path("conf/05-half.conflist")).expect("a file");
    fs::rename(world.path("conf/10-calico.conflist"), world.path("conf/00-calico.conflist"))
        .expect("a file");
    let (said, all) = picked(&world);
    assert!(said.contains("containerd takes 00-calico.conflist (network k8s)"), "{said}");
    let shadowed = finding(&all, "shadowed-file");
    assert!(shadowed["what"].as_str().expect("text").contains("00-calico.conflist"), "{shadowed}");

    let before = files(&world);
    let ours = world.text_path("conf/00-calico.conflist");
    let init = ["conf", "init", "--name", "ours", "--driver", "ptp", "--subnet", "10.9.0.0/24"];
    let refused = world.cli(&[&init[..], &["--out", &ours]].concat());
    assert!(!refused.status.success(), "somebody's file is there: {refused:?}");
    let ours = world.text_path("conf/20-ours.conflist");
    world.cli_ok(&[&init[..], &["--out", &ours]].concat());
    world.cli_ok(&["install", "--bin-dir", &world.text_path("bin"), "--names", "ptp"]);
    let mut after = files(&world);
    assert!(after.remove("20-ours.conflist").is_some_and(|text| text.contains("\"ours\"")));
    assert_eq!(after, before, "what was there is as it was");
}

/// What is in the configuration directory.
fn files(world: &World) -> BTreeMap<String, String> {
    let entries = fs::read_dir(world.path("conf")).expect("conf").flatten();
    let text = |path| fs::read_to_string(path).expect("a file");
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), text(entry.path())))
        .collect()
}

#[test]
#[ignore = "needs root: ring operate"]
fn settings_that_cannot_be_read_keep_nobody_from_being_told() {
    let (world, _) = world();
    world.settings("gcc = \"dead-only\"\n");
    let (status, found) = doctor(&world, &[]);
    assert_eq!(status, Some(1));
    assert!(finding(&found, "settings")["what"].as_str().expect("text").contains("gcc"));
}
