//! Containers of a real containerd whose addresses and policies come from plugins in every
//! language, and from those of three languages at once.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Containerd, Language, World, in_each_language};

in_each_language! {
    as_ipam_and_as_policy
}

/// In modules of all three: where one cannot be had it is left out.
mod together {
    mod in_python {
        mod in_go {
            mod in_js {
                #[test]
                #[ignore = "needs root and the languages' tools: ring languages"]
                fn three_languages_in_one_network() {
                    crate::three_languages_in_one_network();
                }
            }
        }
    }
}

/// The list of one network: addresses by one plugin, policies by others, each with its
/// configuration.
fn network(world: &World, containerd: &Containerd<'_>, ipam: &str, policies: &[(&str, Value)]) {
    let policies: Vec<Value> =
        policies.iter().map(|(name, config)| json!({ "plugin": name, "config": config })).collect();
    let ipam = json!({
        "type": ipam, "ranges": [[{ "subnet": "10.1.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let plugin = world.conf("bridge", &json!({ "ipam": ipam, "policies": policies }));
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
}

/// Two containers run, with this MTU, and reach each other; afterwards nothing is left.
fn two_meet(world: &World, containerd: &Containerd<'_>, mtu: u32) {
    let runs = [containerd.run("one"), containerd.run("two")];
    let (one, two) = (containerd.address("one"), containerd.address("two"));
    assert_ne!(one, two);
    for (from, to) in [("one", &two), ("two", &one)] {
        let answer = containerd.exec(from, &["/bin/ping", "-c", "1", "-W", "2", to]);
        assert!(answer.contains("1 packets received"), "{from} to {to}: {answer}");
        let link = containerd.exec(from, &["/bin/ip", "link", "show", "eth0"]);
        assert!(link.contains(&format!("mtu {mtu} ")), "{link}");
    }
    for (id, run) in ["one", "two"].into_iter().zip(runs) {
        containerd.stop(id, run);
    }
    world.assert_nothing_left();
}

fn as_ipam_and_as_policy(language: Language) {
    let world = World::new();
    world.rootfs();
    for example in ["pool", "guard"] {
        world.install_compiled(&language.component(example), example);
    }
    let containerd = Containerd::start(&world);
    network(&world, &containerd, "pool", &[("guard", json!({ "mtu": 1400 }))]);
    two_meet(&world, &containerd, 1400);
    network(&world, &containerd, "pool", &[("guard", json!({ "namespaces": ["web"] }))]);
    let said = containerd.refused("three");
    let words = ["guard", "an attachment without a pod is refused"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    world.assert_nothing_left();
}

fn three_languages_in_one_network() {
    let world = World::new();
    world.rootfs();
    world.install_compiled(&Language::PYTHON.component("pool"), "addresses");
    world.install_compiled(&Language::GO.component("guard"), "first");
    world.install_compiled(&Language::JS.component("guard"), "second");
    let containerd = Containerd::start(&world);
    let policies = [
        ("first", json!({ "mtu": 1350, "hostPorts": ["80"] })),
        // On what the one before left of the network.
        ("second", json!({ "hostPorts": ["8000-8100"] })),
    ];
    network(&world, &containerd, "addresses", &policies);
    two_meet(&world, &containerd, 1350);
    let calls = world.events().iter().map(Value::to_string).collect::<String>();
    for name in ["addresses@sha256:", "first@sha256:", "second@sha256:"] {
        assert!(calls.contains(name), "{name} was asked: {calls}");
    }
    world.assert_nothing_left();
}
