//! The guide's way from `host-local` on each node to ours, with pods running: `docs/kubernetes.md`,
//! "From `host-local` on each node", whose commands are run as they stand.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::{Node, eventually};
use wharfinger_suite::{Kube, Pod, must, reference, workspace};

const NODES: [&str; 2] = ["n1", "n2"];
const WITHIN: Duration = Duration::from_secs(90);

/// What a node has before: a bridge, and a range of its own by the reference `host-local`.
fn before(at: usize) -> Value {
    let ranges = json!([[{ "subnet": format!("10.60.{at}.0/24") }]]);
    json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": { "type": "host-local", "ranges": ranges },
    }] })
}

/// The guide's commands for a node.
fn commands() -> String {
    let guide = std::fs::read_to_string(workspace().join("docs/kubernetes.md")).expect("the guide");
    let part = guide.split("## From `host-local` on each node").nth(1).expect("the chapter");
    let block = part.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a block of commands").to_owned()
}

/// Two nodes as they are before, whose settings name the cluster's book.
fn cluster() -> Kube {
    let kube = Kube::new();
    let deploy = workspace().join("deploy/kubernetes");
    for file in ["namespace.yaml", "crds.yaml", "account.yaml", "rbac.yaml"] {
        let file = deploy.join(file).display().to_string();
        kube.lab.kubectl(&["apply", "-f", &file]).expect("applied");
    }
    let wait = ["wait", "--for=condition=Established", "crd", "--all"];
    kube.lab.kubectl(&wait).expect("definitions");
    let config = kube.lab.user("mover", "").expect("a user").display().to_string();
    let bind = ["create", "clusterrolebinding", "mover", "--clusterrole=wharfinger-node"];
    kube.lab.kubectl(&[&bind[..], &["--user=mover"]].concat()).expect("a binding");
    for (at, name) in NODES.iter().enumerate() {
        let settings = format!(
            "ledger = \"kubernetes\"\n[node]\nname = {name:?}\n[kubernetes]\nkubeconfig = {config:?}\n"
        );
        let root = kube.root(name, &before(at), &settings);
        for plugin in ["bridge", "host-local"] {
            let to = root.join("opt/cni/bin").join(plugin);
            std::fs::copy(reference().join(plugin), to).expect("a reference plugin");
        }
        kube.lab.start(&Node { name: (*name).to_owned(), root, ..Node::default() }).expect(name);
    }
    kube
}

/// Addresses that `host-local`'s directory on a node has somebody for.
fn reserved(kube: &Kube, node: &str) -> BTreeSet<String> {
    let said = kube.on(node, &["ls", "/var/lib/cni/networks/pods"]);
    let address = |word: &&str| word.parse::<IpAddr>().is_ok();
    said.split_whitespace().filter(address).map(str::to_owned).collect()
}

fn only(kube: &Kube, pod: &str) -> String {
    let mut addresses = kube.running(pod);
    assert_eq!(addresses.len(), 1, "{pod}: {addresses:?}");
    addresses.remove(0)
}

/// Makes a pod on a node by the network of now: the runtime hears of it some time after it is there.
fn made_by_us(kube: &Kube, node: &str) -> (String, String) {
    let mut count = 0;
    let ask = || {
        count += 1;
        let name = format!("new-{node}-{count}");
        kube.create(&[Pod::new(&name, node)]);
        let address = only(kube, &name);
        let ours = kube.cli(node, &["ls"]);
        if ours.split(|c: char| !(c.is_ascii_digit() || c == '.')).any(|word| word == address) {
            return Ok((name, address));
        }
        kube.delete(&[&name]);
        anyhow::bail!("{name} was made by the old network")
    };
    must(eventually(WITHIN, ask), "a pod of the new network")
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn nodes_move_from_host_local_with_their_pods_running() {
    let kube = cluster();
    let names: Vec<String> =
        NODES.iter().flat_map(|node| [0, 1].map(|n| format!("old-{node}-{n}"))).collect();
    let node_of = |name: &str| NODES.into_iter().find(|node| name.contains(node)).expect("a node");
    let pods: Vec<Pod> = names.iter().map(|name| Pod::new(name, node_of(name))).collect();
    kube.create(&pods);
    let old: Vec<String> = names.iter().map(|name| only(&kube, name)).collect();
    for (at, node) in NODES.iter().enumerate() {
        let its: BTreeSet<String> = old[2 * at..2 * at + 2].iter().cloned().collect();
        assert_eq!(reserved(&kube, node), its);
    }
    let script = format!("PATH=$PATH:/opt/cni/bin\n{}", commands());
    for node in NODES {
        kube.on(node, &["bash", "-eu", "-c", &script]);
        assert!(Path::new(&kube.lab.file(node, "/etc/cni/net.d/05-pods.conflist")).exists());
    }
    let new = NODES.map(|node| made_by_us(&kube, node));
    for (at, (name, address)) in new.iter().enumerate() {
        assert!(!old.contains(address), "{address} twice");
        kube.pings(name, &old[2 * at]);
        kube.pings(&names[2 * at], address);
    }
    // What runs is in the cluster's book before it is deleted, as ours.
    let held: Vec<String> =
        old.iter().chain(new.iter().map(|(_, address)| address)).cloned().collect();
    kube.holds(&held);
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    kube.delete(&words);
    kube.holds(&new.clone().map(|(_, address)| address));
    for (node, (_, address)) in NODES.iter().zip(&new) {
        let left = || {
            let left: Vec<String> =
                reserved(&kube, node).into_iter().filter(|it| it != address).collect();
            anyhow::ensure!(left.is_empty(), "reserved for nobody on {node}: {left:?}");
            Ok(())
        };
        must(eventually(WITHIN, left), node);
    }
    for (name, _) in &new {
        kube.delete(&[name]);
    }
    kube.nobody_holds();
    for node in NODES {
        kube.nothing_left(node);
    }
}
