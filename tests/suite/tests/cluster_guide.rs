//! The guide of clusters, as it stands: every `sh` block of `docs/cluster.md`, in order, each on three
//! machines, with an etcd that wants certificates.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::Path;
use std::process::Child;

use wharfinger_etcd_server::{Certificates, Setup};
use wharfinger_suite::{Cluster, World};

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

/// Runs a block on a machine, by its name and with its own directories.
fn run(
    world: &World,
    name: &str,
    certificates: &Certificates,
    endpoint: &str,
    block: &str,
) -> String {
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
    let block = places.iter().fold(block.to_owned(), |text, (from, to)| text.replace(from, to));
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

/// The guide's agents, which outlive its blocks.
struct Agents(Vec<Child>);

impl Drop for Agents {
    fn drop(&mut self) {
        for agent in &mut self.0 {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

#[test]
#[ignore = "needs root: ring cluster"]
fn from_three_machines_to_a_cluster() {
    let setup = Setup { tls: true, ..Setup::default() };
    let cluster = Cluster::with(3, 3, "", setup, "");
    let certificates = cluster.etcd.certificates().expect("TLS");
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cluster.md");
    let guide = std::fs::read_to_string(guide).expect("docs/cluster.md");
    let blocks = blocks(&guide);
    assert_eq!(blocks.len(), 6, "{blocks:?}");
    let (mut said, mut agents) = (Vec::new(), Agents(Vec::new()));
    let endpoint = &cluster.etcd.endpoints()[0];
    for block in &blocks {
        let block = here(block, &cluster);
        for (at, world) in cluster.nodes.iter().enumerate() {
            let block = match block.strip_prefix("wharfinger serve --agent &") {
                Some(rest) => {
                    agents.0.push(world.start_cli(&["serve", "--agent"]));
                    rest
                }
                None => &block,
            };
            said.push(run(world, &Cluster::name(at), certificates, endpoint, block));
        }
    }
    let said = said.concat();
    assert_eq!(said.matches("network pods: ready").count(), 3, "{said}");
    assert_eq!(said.matches("\"address\": \"10.1.").count(), 3, "{said}");
    for name in (0..3).map(Cluster::name) {
        let row = |line: &str| line.split_whitespace().take(2).eq([name.as_str(), "alive"]);
        assert!(said.lines().any(row), "{name}: {said}");
    }
    assert_eq!(agents.0.len(), 3);
    assert_eq!(cluster.held(), [], "{said}");
}
