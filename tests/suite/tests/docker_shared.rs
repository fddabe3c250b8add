//! Docker beside CNI on one node: one plugin's file, one pool, one book; and what Docker forgot.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use std::collections::BTreeSet;

use docker_side::{Lab, until};
use serde_json::{Value, json};
use wharfinger_suite::World;

/// The daemon that dockerd starts for itself serves others, too.
const CTR: &str = "ctr --address /run/docker-exec/containerd/containerd.sock";

/// Addresses that the book has for a network, each as often as it is held.
fn held(lab: &Lab<'_>, network: &str) -> Vec<String> {
    let rows = lab.ledger().into_iter().filter(|row| row["network"] == network);
    rows.flat_map(|row| row["addresses"].as_array().cloned().unwrap_or_default())
        .map(|address| address.as_str().unwrap_or_default().to_owned())
        .collect()
}

/// What people are shown has Docker's beside CNI's.
#[track_caller]
fn assert_shown(lab: &Lab<'_>) {
    let text = lab.run(&["wharfinger", "pools", "--json"]);
    let pools: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let pods: Vec<_> = pools.iter().filter(|row| row["network"] == "pods").collect();
    assert_eq!(pods.iter().map(|row| &row["by"]).collect::<Vec<_>>(), ["conf", "docker"], "{text}");
    assert!(pods.iter().all(|row| row["held"] == pods[0]["held"]), "one pool: {text}");
    assert!(pods[0]["held"].as_u64().expect("a number") >= 8, "{text}");
    let network = pools.iter().find(|row| row["reason"] == "10.130.0.0/28 is of pods");
    let network = network.unwrap_or_else(|| panic!("Docker's network: {text}"));
    let network = network["network"].as_str().expect("a name");
    let events = lab.run(&["wharfinger", "events"]);
    for said in ["  docker pool requested  ", "  ADD  pods  ", &format!("  ADD  {network}  ")] {
        assert!(events.contains(said), "no {said:?}: {events}");
    }
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn a_pod_and_a_container_have_their_addresses_of_one_plugin_s_pool() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/0.2.0/rust-ipam.wasm");
    lab.run(&["wharfinger", "plugin", "install", file, "--name", "corpus"]);
    lab.docker(
        "network create -d wharfinger --ipam-driver wharfinger --subnet 10.130.0.0/28 --ipam-opt \
         plugin=corpus --ipam-opt network=pods -o com.docker.network.bridge.name=cni0 shared",
    );
    let list = json!({
        "cniVersion": "1.0.0", "name": "pods", "plugins": [{
            "type": "wharfinger", "driver": "bridge", "bridge": "cni0", "isGateway": true,
            "ipam": { "type": "corpus", "ranges": [[{ "subnet": "10.130.0.0/28" }]] },
        }],
    });
    let list = world.write("pods.conflist", &list.to_string()).display().to_string();
    lab.run(&["cp", &list, "/etc/cni/net.d/10-pods.conflist"]);
    let rootfs = world.text_path("rootfs");
    let mut pods = Vec::new();
    for number in 0..4 {
        lab.sleeper(&format!("docker{number}"), "--network shared");
        let words = format!(
            "{CTR} run --rm --cni --rootfs {rootfs} pod{number} /bin/sleep 1000 >/dev/null 2>&1"
        );
        pods.push(lab.command(&["sh", "-c", &words]).spawn().expect("ctr"));
        // The gateway, and two each.
        until("the pod has its address", || held(&lab, "pods").len() == 3 + 2 * number);
    }
    let all = held(&lab, "pods");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 9, "{all:?}");
    assert_shown(&lab);
    let exec = format!("{CTR} task exec --exec-id x pod0 /bin/ip -4 -o address show eth0");
    let shown = lab.sh(&exec, &[]);
    let pod = shown.split_whitespace().nth(3).and_then(|it| it.split('/').next()).expect("one");
    assert!(lab.pings("docker0", pod), "one bridge, one pool");
    // A runtime that collects does not know what Docker has.
    for (number, mut pod) in pods.into_iter().enumerate() {
        lab.sh(&format!("{CTR} task kill --signal SIGKILL pod{number}"), &[]);
        pod.wait().expect("ctr run ends");
    }
    lab.run(&["wharfinger", "gc", "pods", "--all"]);
    assert_eq!(held(&lab, "pods").len(), 5);
    lab.docker("rm -f docker0 docker1 docker2 docker3");
    lab.docker("network rm shared");
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn what_docker_does_not_have_any_more_is_collected() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    let create = |name: &str, subnet: &str| {
        lab.docker(&format!(
            "network create -d wharfinger --ipam-driver wharfinger --subnet {subnet} {name}"
        ))
    };
    let (kept, _) = (create("kept", "10.131.1.0/24"), create("lost", "10.131.2.0/24"));
    lab.sleeper("aa", "--network kept -p 18080:80");
    let rows = lab.ledger().len();
    // An endpoint and an address of which Docker never heard the end.
    let body = json!({
        "NetworkID": kept, "EndpointID": "abcdef0123456789",
        "Interface": { "Address": "10.131.1.77/24" },
    });
    assert_eq!(lab.answers("NetworkDriver.CreateEndpoint", &body.to_string()).0, 200);
    let body = json!({ "PoolID": "wharfinger/10.131.1.0/24", "Address": "" });
    assert_eq!(lab.answers("IpamDriver.RequestAddress", &body.to_string()).0, 200);
    let gc = |older: &str| {
        lab.run(&["wharfinger", "gc", "--docker=/run/dockerd.sock", "--older", older])
    };
    assert_eq!(gc("60"), "", "what is young stays");
    let gone = gc("0");
    assert_eq!(gone.lines().count(), 2, "{gone}");
    assert_eq!(lab.ledger().len(), rows);
    assert_eq!(gc("0"), "");
    // A network that Docker removed while we were away.
    lab.kill_server("KILL");
    lab.docker("network rm lost");
    lab.serve();
    let gone = gc("0");
    assert!(
        gone.contains("network docker-") && gone.contains("pool wharfinger/10.131.2.0/24"),
        "{gone}"
    );
    assert!(lab.pings("aa", "10.131.1.1"));
    lab.docker("rm -f aa");
    lab.docker("network rm kept");
    lab.assert_nothing_left();
    let none: Vec<Value> = Vec::new();
    assert_eq!(lab.ledger(), none);
}
