//! Two machines, each with its dockerd, in one swarm: a network of scope global is an overlay of ours
//! between them, with one book on etcd.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use std::collections::BTreeSet;

use docker_side::{Lab, until};
use wharfinger_suite::{Cluster, Peer, World};

/// A plugin that Docker starts finds the node's settings, book and state where CNI has them.
const AGENT: &str = "env -u WHARFINGER_RUN_DIR -u WHARFINGER_LIB_DIR -u WHARFINGER_CONFIG \
                     wharfinger serve --agent >>/run/wf/log 2>&1 &";

/// A machine of the cluster with dockerd, our plugin and our agent.
fn machine(world: &World) -> Lab<'_> {
    let lab = Lab::new(world, "--iptables=false");
    lab.kill_server("TERM");
    let settings = world.text_path("etc/config.toml");
    lab.sh("mkdir -p /etc/wharfinger; cp \"$1\" /etc/wharfinger/config.toml", &[&settings]);
    lab.sh(AGENT, &[]);
    let create = lab.sh("wharfinger install --docker-plugin /run/plugin", &[]);
    lab.sh(&create, &[]);
    lab.docker("plugin enable wharfinger");
    lab
}

#[test]
#[ignore = "needs root, dockerd and etcd: ring docker"]
fn containers_of_two_dockerds_are_on_one_network_by_one_book() {
    let cluster = Cluster::new(2, 1, "");
    let labs: Vec<Lab<'_>> = cluster.nodes.iter().map(machine).collect();
    let [first, second] = &labs[..] else { panic!("two machines") };
    let [at, other] = [0, 1].map(|at| Peer::Node(at).address());
    first.docker(&format!("swarm init --advertise-addr {at}"));
    let token = first.docker("swarm join-token -q worker");
    second.docker(&format!("swarm join --token {token} --advertise-addr {other} {at}:2377"));
    first.docker(
        "network create -d wharfinger:latest --ipam-driver wharfinger:latest --scope swarm \
         --attachable --subnet 10.120.0.0/24 -o driver=overlay -o underlay=eth0 wide",
    );
    first.sleeper("aa", "--network wide");
    second.sleeper("bb", "--network wide");
    second.sleeper("cc", "--network wide");
    let address = |lab: &Lab<'_>, name: &str| lab.address(name, "wide", "IPAddress");
    let (a, b) = (address(first, "aa"), address(second, "bb"));
    until("one reaches the other", || first.pings("aa", &b));
    until("and the other way round", || second.pings("bb", &a));
    let all = BTreeSet::from([a, b, address(second, "cc")]);
    assert_eq!(all.len(), 3, "{all:?}");
    // Each address is one node's, by the book.
    let held = cluster.held();
    for address in &all {
        let holders: BTreeSet<&String> =
            held.iter().filter(|(it, _)| it == address).map(|(_, node)| node).collect();
        assert!(!holders.is_empty(), "{address}: {held:?}");
    }
    first.docker("rm -f aa");
    second.docker("rm -f bb cc");
    until("the network goes", || {
        first.try_run(&["docker", "network", "rm", "wide"]).status.success()
    });
    until("nothing is held", || cluster.held().is_empty());
    second.docker("swarm leave");
    first.docker("swarm leave --force");
}
