//! `deploy/kubernetes` on real nodes: what is applied brings a node from nothing to Ready, keeps its
//! credentials fresh, upgrades, rolls back, and takes itself away, while pods run.
#![allow(clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::eventually;
use wharfinger_suite::{Deployed, Pod, Wanted, must};

const WITHIN: Duration = Duration::from_secs(90);

fn network(subnet: &str) -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [{
        "type": "wharfinger", "driver": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": { "type": "host-local", "ranges": [[{ "subnet": subnet }]] },
    }] })
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| std::os::unix::fs::MetadataExt::ino(&meta))
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn pain_e7_from_nothing_to_ready_and_back() {
    let deployed = Deployed::new(&["n1"], &["0.1.0", "0.1.1"]);
    let kube = &deployed.kube;
    let wanted = Wanted { network: network("10.60.0.0/24"), ..Wanted::shipped(&[]) };
    assert!(!kube.ready("n1"));
    // A network to which an ADD would not work: its plugin is nowhere. The runtime is not told of it.
    let mut broken = wanted.clone();
    broken.network["plugins"][0]["ipam"] = json!({ "type": "wharfinger", "plugin": "nowhere" });
    deployed.apply(&broken);
    kube.roll("n1");
    let place = kube.lab.file("n1", "/etc/cni/net.d/10-pods.conflist");
    let waits = || {
        let log = kube.log("n1");
        anyhow::ensure!(log.contains("nowhere"), "{log}");
        Ok(())
    };
    must(eventually(WITHIN, waits), "it says why it waits");
    assert!(!place.exists() && !kube.ready("n1"));
    // Mended. The pod of before would see it as well, when kubelet looks at what it mounts.
    deployed.roll_out(&wanted, &["n1"]);
    kube.create(&[Pod::new("a", "n1"), Pod::new("b", "n1")]);
    let (a, b) = (kube.running("a"), kube.running("b"));
    kube.pings("a", &b[0]);
    credentials_are_the_nodes(&deployed);
    for version in ["0.1.1", "0.1.0"] {
        let executable = kube.lab.file("n1", "/opt/cni/bin/wharfinger");
        let before = inode(&executable);
        deployed.roll_out(&Wanted { version, ..wanted.clone() }, &["n1"]);
        assert_ne!(before, inode(&executable), "{version} was installed");
        kube.pings("b", &a[0]);
        kube.create(&[Pod::new("c", "n1")]);
        let _ = kube.running("c");
        kube.pings("c", &a[0]);
        kube.delete(&["c"]);
    }
    taken_away(&deployed, wanted);
}

/// They are there, for root alone, and what kubelet mounts anew is the node's within seconds.
fn credentials_are_the_nodes(deployed: &Deployed) {
    let kube = &deployed.kube;
    let script = "export KUBECONFIG=/etc/wharfinger/kubeconfig\n\
                  stat -c %a /etc/wharfinger/token\n\
                  kubectl auth whoami -o json";
    let said = kube.on("n1", &["bash", "-ec", script]);
    assert!(said.starts_with("600"), "{said}");
    let node = "system:serviceaccount:wharfinger:wharfinger-node";
    assert!(
        said.contains(node) && said.contains("authentication.kubernetes.io/node-name"),
        "{said}"
    );
    // Somebody broke it: it is made anew.
    kube.on("n1", &["rm", "/etc/wharfinger/token"]);
    let again = || kube.lab.exec("n1", &["bash", "-ec", script]);
    must(eventually(WITHIN, again), "the token is there again");
}

/// Nothing is attached any more, what is attached can be deleted, and then nothing is there.
fn taken_away(deployed: &Deployed, wanted: Wanted) {
    let kube = &deployed.kube;
    deployed.apply(&Wanted { components: "remove", ..wanted });
    kube.roll("n1");
    deployed.node("n1", false);
    let executable = kube.lab.file("n1", "/opt/cni/bin/wharfinger");
    assert!(executable.exists(), "two pods need it");
    kube.create(&[Pod::new("late", "n1")]);
    let refused = || {
        let events = kube.events("late");
        anyhow::ensure!(events.contains("is being removed from this node"), "{events}");
        Ok(())
    };
    must(eventually(WITHIN, refused), "nothing is attached any more");
    kube.delete(&["a", "b", "late"]);
    kube.rolled("n1");
    let left = ["/opt/cni/bin", "/etc/cni/net.d", "/etc/wharfinger"].map(|path| {
        let names = std::fs::read_dir(kube.lab.file("n1", path)).into_iter().flatten().flatten();
        names.map(|entry| entry.file_name()).collect::<Vec<_>>()
    });
    assert!(left.iter().all(Vec::is_empty), "{left:?}");
    kube.nobody_holds();
    let links = kube.on("n1", &["ip", "-o", "link"]);
    assert!(!links.contains("veth"), "{links}");
}
