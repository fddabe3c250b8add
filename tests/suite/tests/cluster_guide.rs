//! The guide of clusters, as it stands: every `sh` block of `docs/cluster.md`, in order, each on three
//! machines, with an etcd that wants certificates.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use wharfinger_etcd_server::{Certificates, Setup};
use wharfinger_suite::{Agent, Attached, Cluster, World};

/// The guide's `sh` blocks.
fn blocks(guide: &str) -> Vec<String> {
    let parts = guide.split("```sh\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// What the guide's machines are here.
fn here(block: &str, cluster: &Cluster) -> String {
    let endpoints = cluster.etcd.endpoints();
    let at = endpoints.iter().enumerate();
    at.fold(block.to_owned(), |text, (number, endpoint)| {
        text.replace(&format!("https://10.0.0.1{}:2379", number + 1), endpoint)
    })
}

/// Runs a block on each machine; its agents outlive it.
fn on_each(cluster: &Cluster, block: &str, agents: &mut Vec<Agent>, said: &mut Vec<String>) {
    for (at, world) in cluster.nodes.iter().enumerate() {
        let block = match block.strip_prefix("wharfinger serve --agent &") {
            Some(rest) => {
                agents.push(Agent::start(world));
                rest
            }
            None => block,
        };
        said.push(run(cluster, world, at, block));
    }
}

/// Runs a block on a machine, by its name and with its own directories.
fn run(cluster: &Cluster, world: &World, at: usize, block: &str) -> String {
    let certificates: &Certificates = cluster.etcd.certificates().expect("TLS");
    let (name, endpoint) = (Cluster::name(at), &cluster.etcd.endpoints()[0]);
    let block = here(block, cluster);
    let etc = world.text_path("etc");
    let copies = [
        (certificates.cert("ca"), "ca.pem"),
        (certificates.cert("client"), "node.pem"),
        (certificates.key("client"), "node.key"),
    ];
    for (from, to) in copies {
        std::fs::copy(from, Path::new(&etc).join(to)).expect("a certificate");
    }
    let (run, lib) = (world.text_path("run"), world.text_path("lib"));
    let (bin, conf) = (world.text_path("bin"), world.text_path("conf"));
    let places = [("/etc/wharfinger", &etc), ("/etc/cni/net.d", &conf), ("/var/backups", &lib)];
    let block = places.iter().fold(block, |text, (from, to)| text.replace(from, to));
    let script = format!(
        "hostname {name}\n\
         export PATH={bin}:$PATH WHARFINGER_RUN_DIR={run} WHARFINGER_LIB_DIR={lib}\n\
         export WHARFINGER_CONFIG={etc}/config.toml NETCONFPATH={conf}\n\
         export ETCDCTL_API=3 ETCDCTL_ENDPOINTS={endpoint} ETCDCTL_CACERT={etc}/ca.pem\n\
         export ETCDCTL_CERT={etc}/node.pem ETCDCTL_KEY={etc}/node.key\n\
         {block}"
    );
    world.host.run(&["unshare", "-u", "bash", "-eu", "-o", "pipefail", "-c", &script])
}

/// A pod of the guide's network, attached as a runtime does it.
fn pod(world: &World) -> Attached<'_> {
    world.attach(&world.conf("bridge", &json!({})))
}

#[test]
#[ignore = "needs root: ring cluster"]
fn from_three_machines_to_a_cluster() {
    let setup = Setup { tls: true, ..Setup::default() };
    let mut cluster = Cluster::with(3, 3, "", setup, "");
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cluster.md");
    let guide = std::fs::read_to_string(guide).expect("docs/cluster.md");
    let blocks = blocks(&guide);
    let [before @ .., backup, restored] = &blocks[..] else { panic!("{blocks:?}") };
    assert_eq!(before.len(), 4, "{blocks:?}");
    let (mut said, mut agents) = (Vec::new(), Vec::new());
    for block in before {
        on_each(&cluster, block, &mut agents, &mut said);
    }
    let said = said.concat();
    assert_eq!(said.matches("network pods: ready").count(), 3, "{said}");
    assert_eq!(said.matches("\"address\": \"10.1.").count(), 3, "{said}");
    for name in (0..3).map(Cluster::name) {
        let row = |line: &str| line.split_whitespace().take(2).eq([name.as_str(), "alive"]);
        assert!(said.lines().any(row), "{name}: {said}");
    }
    assert_eq!(agents.len(), 3);
    assert_eq!(cluster.held(), [], "{said}");
    backup_and_restore(&mut cluster, backup, restored);
}

/// What is attached after the snapshot is not lost, and what is gone since is free.
fn backup_and_restore(cluster: &mut Cluster, backup: &str, restored: &str) {
    let nodes = std::mem::take(&mut cluster.nodes);
    let mut pods: Vec<Vec<Attached<'_>>> = nodes.iter().map(|it| vec![pod(it)]).collect();
    let gone = pod(&nodes[0]);
    let mut said = Vec::new();
    for (at, world) in nodes.iter().enumerate() {
        said.push(run(cluster, world, at, backup));
    }
    gone.del();
    for (pods, world) in pods.iter_mut().zip(&nodes) {
        pods.push(pod(world));
    }
    let snapshot = nodes[0].path("lib").join("etcd.db");
    cluster.etcd.restore(&snapshot).expect("the snapshot is restored");
    for (at, world) in nodes.iter().enumerate() {
        said.push(run(cluster, world, at, restored));
    }
    let of = |(at, pods): (usize, &Vec<Attached<'_>>)| {
        let node = Cluster::name(at);
        pods.iter().map(|pod| (pod.v4(), node.clone())).collect::<Vec<_>>()
    };
    let attached: BTreeSet<_> = pods.iter().enumerate().flat_map(of).collect();
    assert_eq!(attached.len(), 6);
    let held: BTreeSet<_> = cluster.held().into_iter().collect();
    assert_eq!(held, attached, "{said:?}");
    pods.iter().flatten().for_each(Attached::del);
    assert_eq!(cluster.held(), [], "{said:?}");
}
