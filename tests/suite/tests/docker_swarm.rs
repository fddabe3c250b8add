//! A plugin that Docker itself starts, from the folder that we write, in a swarm of one node: global
//! networks, services, and published ports.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use docker_side::{Lab, until};
use wharfinger_suite::World;

/// Its ledger is the host's, where CNI would have it.
const LS: &str = "env -u WHARFINGER_RUN_DIR -u WHARFINGER_LIB_DIR wharfinger ls --json";
const GC: &str = "env -u WHARFINGER_RUN_DIR -u WHARFINGER_LIB_DIR wharfinger gc \
                  --docker=/run/dockerd.sock --older 0";

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn a_swarm_of_one_has_networks_of_ours() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    lab.docker("rm -f nobody");
    lab.kill_server("TERM");
    let create = lab.sh("wharfinger install --docker-plugin /run/plugin", &[]);
    assert_eq!(create, "docker plugin create wharfinger /run/plugin");
    lab.sh(&create, &[]);
    lab.docker("plugin enable wharfinger");
    lab.docker("swarm init --advertise-addr 127.0.0.1");
    lab.docker(
        "network create -d wharfinger:latest --ipam-driver wharfinger:latest --scope swarm \
         --attachable --subnet 10.120.0.0/24 -o com.docker.network.driver.mtu=1300 wide",
    );
    lab.docker("service create --quiet --name web --network wide --replicas 2 box sleep 1000");
    lab.docker("run -d --name aa --network wide -p 18080:80 box httpd -f -h /www");
    assert!(lab.docker("exec aa ip link show eth0").contains("mtu 1300"));
    assert!(lab.pings("aa", "tasks.web"));
    assert!(lab.pings("aa", "10.120.0.1"));
    assert!(world.host.fetch("127.0.0.1:18080", "/hello").contains("wharf"));
    // Both address spaces have the subnet: the manager's and the node's.
    let rows = lab.sh(LS, &[]);
    assert!(
        rows.contains("docker-global-10.120.0.0-24") && rows.contains("\"docker-10.120"),
        "{rows}"
    );
    // What other nodes have, and the services' own, is not in this node's list.
    assert_eq!(lab.sh(GC, &[]), "");
    assert_eq!(lab.sh(LS, &[]), rows);
    lab.docker("rm -f aa");
    lab.docker("service rm web");
    until("the tasks are gone", || lab.docker("ps -q").is_empty());
    lab.docker("network rm wide");
    until("nothing of it is left", || lab.sh(LS, &[]) == "[]");
    lab.docker("swarm leave --force");
    lab.docker("plugin disable wharfinger");
    lab.docker("plugin rm wharfinger");
}
