//! Who may decide what: each key that a conflist, a pod's arguments or a policy's patch might try
//! to gain, in several spellings.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use wharfinger_attach::{Allow, Error, PolicyConf, dry};
use wharfinger_cni::{Attach, code};
use wharfinger_ledger::Ledger;
use world::{NETNS, TestPolicy, World, bridge, call, call_of};

/// A configuration with something at every place that matters.
fn full() -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": "bridge",
        "bridge": "cni0", "isGateway": true, "mtu": 1500,
        "capabilities": { "ips": true },
        "args": { "cni": { "labels": [] } },
        "runtimeConfig": { "mac": "02:00:00:00:00:09" },
        "dns": { "nameservers": ["10.0.0.53"] },
        "ipam": {
            "type": "pool", "first": "10.1.0.2", "last": "10.1.0.9",
            "ranges": [
                [{ "subnet": "10.1.0.0/24" }, { "subnet": "10.2.0.0/24" }],
                [{ "subnet": "fd00::/64" }],
            ],
            "routes": [{ "dst": "0.0.0.0/0" }],
        }
    })
}

fn amending(patch: &Value, grants: &[&str]) -> World {
    let mut world = World::new();
    world.engine.policies.insert("p", TestPolicy::amends("p", patch));
    let plugin = "p".to_owned();
    world.settings.policies = vec![PolicyConf { plugin, config: Map::new(), advisory: false }];
    let grants = grants.iter().map(|grant| (*grant).to_owned()).collect();
    world.settings.amend.insert("p".to_owned(), grants);
    world
}

fn told(error: &Error) -> (u32, String) {
    let cni = error.to_cni("pods");
    (cni.code, format!("{} {}", cni.msg, cni.details))
}

/// As it is, in capitals, with the letters that Go takes for `k` and `s`, and in mixed case.
fn spellings(key: &str) -> [String; 4] {
    let odd = key.replace('k', "\u{212a}").replace('s', "\u{17f}");
    let mixed = key.chars().enumerate();
    let mixed = mixed.map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c });
    [key.to_owned(), key.to_ascii_uppercase(), odd, mixed.collect()]
}

/// A patch that sets the last of these keys, all of them spelled as `spell` has it.
fn patch(keys: &[&str], spelling: usize, value: Value) -> Value {
    keys.iter().rev().fold(value, |inner, key| json!({ spellings(key)[spelling].as_str(): inner }))
}

/// What no grant opens, and a value that differs from what is there.
fn never() -> Vec<(Vec<&'static str>, Value)> {
    vec![
        (vec!["cniVersion"], json!("1.0.0")),
        (vec!["cniVersions"], json!(["1.0.0"])),
        (vec!["name"], json!("other")),
        (vec!["type"], json!("macvlan")),
        (vec!["driver"], json!("ptp")),
        (vec!["delegate"], json!({ "type": "bridge" })),
        (vec!["delegate"], json!("bridge")),
        (vec!["delegate", "type"], json!("bridge")),
        (vec!["delegate", "plugins"], json!([{ "type": "bridge" }])),
        (vec!["delegate", "name"], json!("other")),
        (vec!["delegate", "ipam", "type"], json!("static")),
        (vec!["delegate", "ipam", "domain"], json!("bridge:other")),
        (vec!["delegate", "ipam", "dataDir"], json!("x")),
        (vec!["delegate", "bridge"], json!("br-other")),
        (vec!["delegate", "master"], json!("eth0")),
        (vec!["delegate", "capabilities"], json!({ "mac": true })),
        (vec!["delegate", "runtimeConfig", "ips"], json!(["10.1.0.7"])),
        (vec!["delegate", "delegate", "mtu"], json!(1400)),
        (vec!["delegate", "args", "cni", "mac"], json!("02:00:00:00:00:01")),
        (vec!["delegate", "disableCheck"], json!(true)),
        (vec!["policies"], json!([])),
        (vec!["prevResult"], json!({ "ips": [] })),
        (vec!["capabilities"], json!({ "portMappings": true })),
        (vec!["disableCheck"], json!(true)),
        (vec!["disableGC"], json!(true)),
        (vec!["bridge"], json!("br-other")),
        (vec!["master"], json!("eth0")),
        (vec!["device"], json!("eth0")),
        (vec!["hwaddr"], json!("02:00:00:00:00:01")),
        (vec!["kernelpath"], json!("x")),
        (vec!["pciBusID"], json!("0000:00:1f.6")),
        (vec!["dataDir"], json!("x")),
        (vec!["args", "cni", "ips"], json!(["10.1.0.7"])),
        (vec!["args", "cni", "mac"], json!("02:00:00:00:00:01")),
        (vec!["ipam", "type"], json!("static")),
        (vec!["ipam", "plugin"], json!("other")),
        (vec!["ipam", "domain"], json!("bridge:other")),
        (vec!["ipam", "policies"], json!([])),
        (vec!["ipam", "dataDir"], json!("x")),
        (vec!["ipam", "resolvConf"], json!("x")),
        (vec!["ipam", "daemonSocketPath"], json!("x")),
        (vec!["runtimeConfig", "deviceID"], json!("0000:00:1f.6")),
        (vec!["runtimeConfig", "cgroupPath"], json!("x")),
        (vec!["features", "tuning", "dataDir"], json!("x")),
    ]
}

/// What a grant opens: all other keys of every driver, of `host-local` and of the runtime.
fn granted() -> Vec<(Vec<&'static str>, Value)> {
    let top = [
        ("isDefaultGateway", json!(true)),
        ("forceAddress", json!(true)),
        ("ipMasq", json!(true)),
        ("ipMasqBackend", json!("nftables")),
        ("hairpinMode", json!(true)),
        ("promiscMode", json!(true)),
        ("enabledad", json!(true)),
        ("portIsolation", json!(true)),
        ("disableContainerInterface", json!(true)),
        ("vlan", json!(7)),
        ("vlanTrunk", json!([{ "id": 7 }])),
        ("preserveDefaultVlan", json!(false)),
        ("macspoofchk", json!(true)),
        ("sysctl", json!({ "net.ipv4.ip_forward": "1" })),
        ("somethingNew", json!(1)),
    ];
    let below = [
        (vec!["ipam", "subnet"], json!("10.7.0.0/16")),
        (vec!["ipam", "rangeStart"], json!("10.7.0.1")),
        (vec!["ipam", "rangeEnd"], json!("10.7.0.9")),
        (vec!["ipam", "gateway"], json!("10.7.0.1")),
        (vec!["ipam", "coolDown"], json!(0)),
        (vec!["ipam", "statusWhenFull"], json!("ok")),
        (vec!["ipam", "first"], json!("10.1.0.1")),
        (vec!["ipam", "last"], json!("10.1.0.99")),
        (vec!["runtimeConfig", "mac"], json!("02:00:00:00:00:01")),
        (vec!["runtimeConfig", "ipRanges"], json!([[{ "subnet": "10.7.0.0/16" }]])),
        (vec!["runtimeConfig", "dns"], json!({ "servers": ["10.0.0.1"] })),
        (vec!["runtimeConfig", "infinibandGUID"], json!("c2:11:22:33:44:55:66:77")),
        (vec!["features", "firewall", "ingressPolicy"], json!("same-bridge")),
        (vec!["features", "portmap", "snat"], json!(true)),
    ];
    top.into_iter().map(|(key, value)| (vec![key], value)).chain(below).collect()
}

/// What any policy may change.
fn free() -> Vec<(Vec<&'static str>, Value)> {
    vec![
        (vec!["mtu"], json!(1400)),
        (vec!["dns"], json!({ "nameservers": ["10.0.0.54"] })),
        (vec!["ipam", "dns"], json!({ "nameservers": ["10.0.0.54"] })),
        (vec!["ipam", "routes"], json!([{ "dst": "10.0.0.0/8" }])),
        (vec!["runtimeConfig", "ips"], json!(["10.1.0.7"])),
        (vec!["runtimeConfig", "bandwidth"], json!({ "ingressRate": 1000 })),
        (vec!["runtimeConfig", "portMappings"], json!([{ "hostPort": 8080, "containerPort": 80 }])),
    ]
}

fn pointer(keys: &[&str]) -> String {
    format!("/{}", keys.join("/"))
}

fn refuses(world: &World, what: &str) -> String {
    let (code, text) = told(&world.add(&call_of(&full(), "c1", NETNS[0])).unwrap_err());
    assert_eq!(code, code::DENIED, "{what}: {text}");
    world.assert_empty();
    text
}

#[test]
fn no_grant_opens_what_says_who_does_the_work_and_on_what() {
    for (keys, value) in never() {
        let pointer = pointer(&keys);
        let parent = pointer.rsplit_once('/').unwrap().0.to_owned();
        assert!(!wharfinger_attach::can_be_granted(&pointer), "{pointer}");
        for spelling in 0..4 {
            let patch = patch(&keys, spelling, value.clone());
            let grants = [pointer.as_str(), parent.as_str(), "/args", "/ipam"];
            let text = refuses(&amending(&patch, &grants), &patch.to_string());
            assert!(text.contains("no policy may"), "{patch}: {text}");
        }
        let removing = patch(&keys, 0, Value::Null);
        let there = keys.iter().try_fold(&full(), |at, key| at.get(key)).is_some();
        if there {
            refuses(&amending(&removing, &[&pointer]), &removing.to_string());
        }
    }
}

#[test]
fn pain_h15_other_keys_need_a_grant_that_names_them_and_the_error_has_the_line() {
    for (keys, value) in granted() {
        let pointer = pointer(&keys);
        assert!(wharfinger_attach::can_be_granted(&pointer), "{pointer}");
        for spelling in 0..4 {
            let patch = patch(&keys, spelling, value.clone());
            let other = ["/mtu", "/isGate", "/ipam/firs", "/runtimeConfig/x"];
            let text = refuses(&amending(&patch, &other), &patch.to_string());
            assert!(text.contains("is not granted"), "{patch}: {text}");
            assert!(text.contains("amend = "), "it says what would grant it: {text}");
            let world = amending(&patch, &[&pointer.to_ascii_uppercase()]);
            let result = world.add(&call_of(&full(), "c1", NETNS[0]));
            let denied = result.err().is_some_and(|error| told(&error).0 == code::DENIED);
            assert!(!denied, "{patch} is granted");
        }
    }
}

#[test]
fn what_raises_nobodys_privilege_any_policy_may_change() {
    for (keys, value) in free() {
        for spelling in 0..4 {
            let patch = patch(&keys, spelling, value.clone());
            let world = amending(&patch, &[]);
            let call = call_of(&full(), "c1", NETNS[0]);
            world.add(&call).unwrap_or_else(|error| panic!("{patch}: {error}"));
            let record = world.ledger.get(&call.id).unwrap().unwrap().record;
            let kept = &record.conf["network"];
            let found = keys.iter().try_fold(kept, |at, key| {
                let map = at.as_object()?;
                let mut same = map.iter().filter(|(k, _)| wharfinger_cni::conf::fold_eq(k, key));
                let (_, one) = same.next()?;
                assert!(same.next().is_none(), "{key} stands there once");
                Some(one)
            });
            assert!(found.is_some(), "{patch} in {kept}");
        }
    }
}

#[test]
fn a_pool_is_chosen_among_the_configured_ones() {
    let (a, b, c) = (
        json!({ "subnet": "10.1.0.0/24" }),
        json!({ "subnet": "10.2.0.0/24" }),
        json!({ "subnet": "fd00::/64" }),
    );
    let choose = |ranges: Value| amending(&json!({ "ipam": { "ranges": ranges } }), &[]);
    for good in [json!([[a], [c]]), json!([[b]]), json!([[c]]), json!([[a, b], [c]])] {
        let world = choose(good.clone());
        world.add(&call_of(&full(), "c1", NETNS[0])).unwrap_or_else(|e| panic!("{good}: {e}"));
    }
    let wider = json!({ "subnet": "10.1.0.0/16" });
    let more = json!({ "subnet": "10.1.0.0/24", "gateway": "10.1.0.9" });
    for bad in [
        json!([[wider]]),
        json!([[more]]),
        json!([[a], [a]]),
        json!([[a, a]]),
        json!([[b, a]]),
        json!([[c], [a]]),
        json!([[a, c]]),
        json!([[]]),
        json!([]),
        json!("10.1.0.0/24"),
        json!({ "0": [a] }),
        Value::Null,
        json!([[a], [b]]),
    ] {
        let text = refuses(&choose(bad.clone()), &bad.to_string());
        assert!(text.contains("only leave some of the configured ranges"), "{bad}: {text}");
    }
}

#[test]
fn a_path_is_one_whatever_its_key_is_called() {
    for value in [json!("/etc/shadow"), json!("../x"), json!({ "a": [{ "b": "/etc" }] })] {
        let world = amending(&json!({ "somethingNew": value }), &["/somethingNew"]);
        assert!(refuses(&world, "a path").contains("no policy may"));
    }
}

#[test]
fn two_spellings_of_one_key_are_no_way_round() {
    let mut twice = full();
    twice["MTU"] = json!(1400);
    let world = amending(&json!({ "mtu": 1300 }), &[]);
    let (code, text) = told(&world.add(&call_of(&twice, "c1", NETNS[0])).unwrap_err());
    assert_eq!(code, code::DENIED);
    assert!(text.contains("several spellings"), "{text}");
    let both = amending(&json!({ "mtu": 1300, "MTU": 1200 }), &[]);
    assert!(refuses(&both, "both").contains("several spellings"));
}

#[test]
fn the_whole_of_an_object_is_all_that_is_in_it() {
    for patch in [json!({ "ipam": null }), json!({ "ipam": "x" }), json!({ "ipam": [] })] {
        refuses(&amending(&patch, &["/ipam"]), &patch.to_string());
    }
    let patch = json!({ "ipam": { "type": null } });
    refuses(&amending(&patch, &["/ipam"]), "no addresses");
}

/// An address has one owner in its address space: to leave it is no policy's choice.
#[test]
fn a_patch_does_not_move_the_network_to_another_address_space() {
    let world = amending(&json!({ "isGateway": false }), &["/isGateway"]);
    assert!(refuses(&world, "no gateway").contains("another address space"));
}

#[test]
fn what_a_patch_says_is_shown_on_one_line_of_bounded_length() {
    let key = format!("a\nb\u{1b}[31m{}", "x".repeat(100_000));
    let text = refuses(&amending(&json!({ key: 1 }), &[]), "a long key");
    assert!(text.contains("/a?b?[31mxx") && text.len() < 1000, "{} bytes", text.len());
}

#[test]
fn a_grant_is_by_name_or_by_digest() {
    let patch = json!({ "hairpinMode": true });
    let mut world = amending(&patch, &[]);
    world.settings.amend.insert("sha256:p".to_owned(), vec!["/hairpinMode".to_owned()]);
    world.add(&call_of(&full(), "c1", NETNS[0])).unwrap();
    let mut world = amending(&patch, &[]);
    world.settings.amend.insert("sha256:q".to_owned(), vec!["/hairpinMode".to_owned()]);
    refuses(&world, "another digest's grant");
    for nothing in ["", "/", "mtu", "/bridge", "/ipam/dataDir", "/policies/0"] {
        assert!(!wharfinger_attach::can_be_granted(nothing), "{nothing:?}");
    }
}

/// A component by path may call itself as it likes: a name's grant is not its.
#[test]
fn a_name_that_a_component_gives_itself_grants_nothing() {
    let mut world = amending(&json!({ "hairpinMode": true }), &["/hairpinMode"]);
    let posing = TestPolicy::amends("p", &json!({ "hairpinMode": true }));
    world.engine.policies.insert("/tmp/p.wasm", posing);
    world.settings.policies[0].plugin = "/tmp/p.wasm".to_owned();
    let text = refuses(&world, "a file of that name");
    assert!(text.contains("sha256:p"), "it is granted by its digest: {text}");
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|one| (*one).to_owned()).collect()
}

/// The node allows what the tests use, and no more.
fn strict() -> World {
    let mut world = World::new();
    world.settings.allow = Allow {
        drivers: Some(strings(&["bridge"])),
        features: Some(strings(&["bandwidth", "rules"])),
        delegates: Some(strings(&["other-ipam"])),
        components: Some(strings(&["pool", "rules"])),
        sysctls: Some(strings(&["net.ipv4.tcp_*", "net.core.somaxconn"])),
        directories: Some(vec![PathBuf::from("/etc/allowed")]),
    };
    for name in ["rules", "evil", "/tmp/evil.wasm"] {
        world.engine.policies.insert(name, TestPolicy::new(name));
    }
    world
}

/// What a tenant's conflist might name, and the list that does not have it.
fn wants() -> Vec<(&'static str, Value, &'static str)> {
    let pool = || json!({ "type": "pool", "first": "10.1.0.2", "last": "10.1.0.9" });
    let ipam = |key: &str, value: &str| {
        let mut ipam = pool();
        ipam[key] = json!(value);
        ipam
    };
    vec![
        ("driver", json!("ptp"), "drivers"),
        ("Driver", json!("loopback"), "drivers"),
        ("ipam", json!({ "type": "evil-ipam" }), "delegates"),
        (
            "ipam",
            json!({ "type": "outside", "first": "10.1.0.2", "last": "10.1.0.9" }),
            "components",
        ),
        ("ipam", json!({ "type": "wharfinger", "plugin": "outside" }), "components"),
        ("ipam", json!({ "type": "/tmp/evil.wasm" }), "components"),
        ("ipam", json!({ "type": "wharfinger", "plugin": "/tmp/evil.wasm" }), "components"),
        ("policies", json!([{ "plugin": "rules" }, { "plugin": "evil" }]), "components"),
        ("policies", json!([{ "plugin": "/tmp/evil.wasm" }]), "components"),
        ("policies", json!([{ "PLUGIN": "evil", "onError": "allow" }]), "components"),
        ("features", json!({ "portmap": {} }), "features"),
        ("Features", json!({ "bandwidth": {}, "Tuning": {} }), "features"),
        ("sysctl", json!({ "net.ipv4.ip_forward": "1" }), "sysctls"),
        ("sysctl", json!({ "net/ipv4/ip_forward": "1" }), "sysctls"),
        ("SysCtl", json!({ "kernel.core_pattern": "|/bin/sh" }), "sysctls"),
        ("ipam", ipam("resolvConf", "/etc/shadow"), "directories"),
        ("ipam", ipam("ResolvConf", "/etc/allowed/../shadow"), "directories"),
        ("ipam", ipam("resolvConf", "/etc/allowedtoo/x"), "directories"),
        ("ipam", ipam("resolvConf", "etc/allowed/x"), "directories"),
        ("ipam", ipam("resolvConf", "/etc/allowed/link/shadow"), "directories"),
        ("ipam", ipam("dataDir", "/var/lib/kubelet"), "directories"),
        ("ipam", ipam("DATADIR", "../../x"), "directories"),
        ("ipam", ipam("somethingNew", "/var/lib/kubelet"), "directories"),
        ("dataDir", json!("/var/lib/kubelet"), "directories"),
    ]
}

#[test]
fn a_conflist_gains_nothing_that_the_nodes_lists_do_not_have() {
    let world = strict();
    let link = (PathBuf::from("/etc/allowed/link"), PathBuf::from("/etc"));
    world.machine.links.borrow_mut().push(link);
    for (key, value, list) in wants() {
        let mut conf = bridge("10.1.0.2", "10.1.0.9");
        if key.eq_ignore_ascii_case("driver") {
            conf.as_object_mut().unwrap().shift_remove("driver");
        }
        conf[key] = value.clone();
        let call = call_of(&conf, "c1", NETNS[0]);
        let (code, text) = told(&world.add(&call).unwrap_err());
        assert_eq!(code, code::DENIED, "{key} {value}: {text}");
        assert!(text.contains(&format!("allow.{list}")), "{key} {value}: {text}");
        world.with(|host| dry::status(host, &call.conf, &[])).err().unwrap();
        world.with(|host| dry::dry(host, &call.conf, "c", "eth0")).err().unwrap();
        world.del(&call).unwrap();
        world.assert_empty();
    }
    assert!(world.delegated.borrow().is_empty(), "no executable ran, not at a DEL either");
}

#[test]
fn what_the_lists_have_is_allowed() {
    let world = strict();
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["policies"] = json!([{ "plugin": "rules" }]);
    conf["sysctl"] = json!({ "net.ipv4.tcp_rmem": "1", "net/core/somaxconn": "9" });
    conf["ipam"]["dataDir"] = json!("/etc/allowed/state");
    world.add(&call_of(&conf, "c1", NETNS[0])).unwrap();
    conf["ipam"] = json!({ "type": "other-ipam" });
    let answer = json!({ "cniVersion": "1.1.0", "ips": [{ "address": "10.1.0.77/16" }] });
    world.delegate_answer.replace(Some(answer));
    world.add(&call_of(&conf, "c2", NETNS[1])).unwrap();
}

/// The lists hold for what another plugin asks of us, and behind others.
#[test]
fn the_lists_hold_in_every_place() {
    let world = strict();
    let foreign = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "macvlan",
        "ipam": { "type": "wharfinger", "plugin": "outside" }
    });
    let behind = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "policies": [{ "plugin": "evil" }]
    });
    let around = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "delegate": { "plugins": [{ "type": "other-ipam" }, { "type": "evil-plugin" }] }
    });
    let tuned = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "delegate": { "type": "other-ipam", "sysctl": { "net.ipv4.ip_forward": "1" } }
    });
    let asked = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "args": { "cni": { "sysctl": { "net.ipv4.ip_forward": "1" } } },
        "delegate": { "type": "other-ipam" }
    });
    for conf in [foreign, behind, around, tuned, asked] {
        let mut call = call_of(&conf, "c1", NETNS[0]);
        call.prev_result = Some(wharfinger_cni::Success::default());
        assert_eq!(told(&world.add(&call).unwrap_err()).0, code::DENIED);
    }
    // What the node's operator names needs no list.
    let mut world = strict();
    let plugin = "evil".to_owned();
    world.settings.policies = vec![PolicyConf { plugin, config: Map::new(), advisory: false }];
    world.add(&call("c1", NETNS[0])).unwrap();
}

/// A patch is checked against the lists as a conflist is.
#[test]
fn a_patch_gains_nothing_that_the_nodes_lists_do_not_have() {
    let patch = json!({ "sysctl": { "net.ipv4.ip_forward": "1" } });
    let mut world = amending(&patch, &["/sysctl"]);
    world.settings.allow.sysctls = Some(strings(&["net.core.somaxconn"]));
    assert!(refuses(&world, "sysctl").contains("allow.sysctls"));
}

/// The keys that anybody may want, said by the pod's author: they change nothing.
#[test]
fn a_pods_arguments_and_annotations_gain_nothing() {
    for (keys, value) in never().into_iter().chain(granted()) {
        let last = *keys.last().unwrap();
        // These are the pod's to ask for, and are answered as such.
        if ["ips", "mac"].contains(&last) {
            continue;
        }
        let mut conf = bridge("10.1.0.2", "10.1.0.9");
        let said = patch(&keys, 0, value.clone());
        conf["args"] = json!({ "cni": said });
        conf["runtimeConfig"] =
            json!({ "io.kubernetes.cri.pod-annotations": { last: value.to_string() } });
        let mut asked = call_of(&conf, "c1", NETNS[0]);
        asked.args = vec![("IgnoreUnknown".into(), "1".into()), (last.into(), value.to_string())];
        let world = strict();
        let success = world.add(&asked).unwrap_or_else(|error| panic!("{keys:?}: {error}"));
        let other = strict();
        assert_eq!(success, other.add(&call("c1", NETNS[0])).unwrap(), "{keys:?}");
        let plan =
            |world: &World, call: &Attach| world.ledger.get(&call.id).unwrap().unwrap().record.plan;
        assert_eq!(plan(&world, &asked), plan(&other, &asked), "{keys:?}");
    }
}
