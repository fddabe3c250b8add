//! A real containerd: two containers by `ctr run --cni`, which reach each other; both are removed;
//! nothing is left.

use serde_json::json;
use wharfinger_suite::{Containerd, World};

#[test]
#[ignore = "needs root and containerd: ring clients"]
fn two_containers_of_containerd() {
    let world = World::new();
    world.rootfs();
    let containerd = Containerd::start(&world);
    let plugin = world.conf("bridge", &json!({ "ipMasq": true }));
    // containerd 1.6 knows nothing newer.
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
    let runs = [containerd.run("one"), containerd.run("two")];
    let (one, two) = (containerd.address("one"), containerd.address("two"));
    assert_ne!(one, two);
    assert_eq!(world.ledger().len(), 2);
    for (from, to) in [("one", &two), ("two", &one)] {
        let answer = containerd.exec(from, &["/bin/ping", "-c", "1", "-W", "2", to]);
        assert!(answer.contains("1 packets received"), "{from} to {to}: {answer}");
    }
    for (id, run) in ["one", "two"].into_iter().zip(runs) {
        containerd.stop(id, run);
    }
    let rules = world.rules();
    assert!(!rules.contains(&one) && !rules.contains(&two), "{rules}");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root and containerd: ring clients"]
fn a_pod_that_a_policy_refuses_shows_name_and_reason() {
    let world = World::new();
    world.rootfs();
    let containerd = Containerd::start(&world);
    let config = json!({ "rules": [{ "match": {}, "deny": "the quay is closed" }] });
    let policy = json!({ "plugin": "rules", "config": config });
    let plugin = world.conf("bridge", &json!({ "policies": [policy] }));
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
    let said = containerd.refused("refused-one");
    assert!(said.contains("rules") && said.contains("the quay is closed"), "{said}");
    world.assert_nothing_left();

    // The same by the node's own settings, and a conflist that names no policy.
    let plugin = world.conf("bridge", &json!({}));
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
    world.settings(
        "[[policies]]\nplugin = \"rules\"\n[policies.config]\n\
         rules = [{ match = {}, deny = \"closed by the node\" }]\n",
    );
    let said = containerd.refused("refused-two");
    assert!(said.contains("rules") && said.contains("closed by the node"), "{said}");
    world.assert_nothing_left();
}
