//! Pods on real kubelets, with what `deploy/kubernetes` makes of their nodes: addresses from one pool by the
//! book in the API server, with each node's own token under the shipped rights; reach across nodes, ports,
//! limits, many at once, and that nothing is left of them, whatever is restarted, away or wrong meanwhile.
//! One cluster, many checks: it takes longer to start than to use.
#![allow(clippy::panic, reason = "a failed expectation is a failed test")]

mod outages;
mod pains;
mod several;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use wharfinger_kube_lab::eventually;
use wharfinger_suite::{Deployed, Kube, Pod, Wanted, must};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Of IPv4 four blocks, for three nodes.
const SUBNETS: [&str; 2] = ["10.44.0.0/24", "fd44::/64"];

/// Nothing is left of anybody, on no node and not in the book.
#[track_caller]
fn nothing_left(kube: &Kube) {
    for node in NODES {
        kube.nothing_left(node);
    }
    kube.nobody_holds();
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn pods_of_three_nodes() {
    let cluster = Deployed::new(&NODES, &["0.1.0"]);
    cluster.roll_out(&Wanted::shipped(&SUBNETS), &NODES);
    pods_of_all_nodes_reach_each_other(&cluster.kube);
    ports_of_the_host_and_limits(&cluster.kube);
    pains::pain_a6_b4_and_e6_many_at_once_without_an_agent(&cluster);
    pains::pain_b1_and_b2_one_name_again_and_again_while_others_collect(&cluster.kube);
    pains::pain_b3_what_lives_is_worth_more_than_what_is_written(&cluster.kube);
    pains::pain_g1_an_add_asks_for_few_objects_of_a_large_book(&cluster.kube);
    restarts_keep_what_runs(&cluster);
    outages::a_minute_without_the_server(&cluster.kube);
    outages::a_server_that_does_not_answer(&cluster.kube);
    pains::pain_e5_a_token_that_ended_is_said_and_its_successor_is_used_at_once(&cluster);
    several::one_pod_on_three_networks_tells_which_device_it_has(&cluster.kube);
    one_family_alone(&cluster);
}

fn pods_of_all_nodes_reach_each_other(kube: &Kube) {
    let pods: Vec<Pod> = NODES.iter().map(|node| Pod::new(&format!("on-{node}"), node)).collect();
    kube.create(&pods);
    kube.add_static(&Pod::new("static", "n1"), "n1");
    let mut all: Vec<(String, Vec<String>)> = NODES
        .iter()
        .map(|node| (format!("on-{node}"), kube.running(&format!("on-{node}"))))
        .collect();
    all.push(("static-n1".to_owned(), kube.running("static-n1")));
    for (name, addresses) in &all {
        assert_eq!(addresses.len(), 2, "{name}: {addresses:?}");
        assert!(addresses[0].starts_with("10.44.") && addresses[1].starts_with("fd44:"));
    }
    let distinct: BTreeSet<&String> = all.iter().flat_map(|(_, addresses)| addresses).collect();
    assert_eq!(distinct.len(), 8, "{all:?}");
    for (from, _) in &all[..3] {
        for (_, addresses) in &all {
            for address in addresses {
                kube.pings(from, address);
            }
        }
    }
    let held: Vec<String> = distinct.into_iter().cloned().collect();
    kube.holds(&held);
    kube.remove_static("static", "n1");
    kube.delete(&["on-n1", "on-n2", "on-n3"]);
    nothing_left(kube);
}

fn ports_of_the_host_and_limits(kube: &Kube) {
    let web = Pod::new("web", "n2").port(8080, 80).with(&json!({
        "metadata": { "annotations": {
            "kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "20M",
        } },
    }));
    kube.create(&[web]);
    let _ = kube.running("web");
    kube.lab.kubectl(&["exec", "web", "--", "httpd", "-p", "80", "-h", "/www"]).unwrap_or_default();
    let page = || {
        let said = kube.lab.exec("n1", &["curl", "-sS", "-m", "3", "http://172.29.0.12:8080/"])?;
        anyhow::ensure!(said.contains("it works"), "{said}");
        Ok(())
    };
    must(eventually(Duration::from_secs(20), page), "the port of the host");
    let limits = kube.on("n2", &["tc", "qdisc", "show"]);
    assert!(limits.contains("10Mbit") && limits.contains("20Mbit"), "{limits}");
    kube.delete(&["web"]);
    kube.nothing_left("n2");
    let limits = kube.on("n2", &["tc", "qdisc", "show"]);
    assert!(!limits.contains("tbf"), "{limits}");
}

/// Nothing that is started again, and no newer executable, touches what runs.
fn restarts_keep_what_runs(cluster: &Deployed) {
    let kube = &cluster.kube;
    kube.create(&[Pod::new("a", "n1"), Pod::new("b", "n2")]);
    let (a, b) = (kube.running("a"), kube.running("b"));
    for service in ["kubelet", "containerd"] {
        must(kube.lab.service("n1", "restart", service), service);
        kube.pings("b", &a[0]);
    }
    // Another executable in its place, by itself.
    let install = "cp /opt/cni/bin/wharfinger /opt/newer && /opt/newer install /opt/cni/bin";
    kube.on("n1", &["sh", "-c", install]);
    kube.pings("a", &b[1]);
    kube.create(&[Pod::new("c", "n1")]);
    let c = kube.running("c");
    kube.pings("c", &b[0]);
    assert!(!c.iter().any(|address| a.contains(address)), "{a:?} {c:?}");
    // Power off and on: kubelet makes new sandboxes of the same pods.
    must(kube.lab.reboot("n1"), "a reboot");
    let again = || {
        let pod = kube.lab.get(&["pod", "c"])?;
        let ready = pod.pointer("/status/containerStatuses/0/restartCount");
        anyhow::ensure!(ready.is_some_and(|count| *count != json!(0)), "c was not made again");
        Ok(())
    };
    must(eventually(Duration::from_secs(90), again), "c");
    let c = kube.running("c");
    kube.pings("b", &c[0]);
    // What the node had before is free, and what it has now is its own.
    kube.holds(&[kube.running("a"), b, c].concat());
    kube.delete(&["a", "b", "c"]);
    nothing_left(kube);
}

fn one_family_alone(cluster: &Deployed) {
    let kube = &cluster.kube;
    // Who would put what all nodes have into its place.
    cluster.signal("n3", "STOP", "node up");
    for (subnet, begin) in [(SUBNETS[0], "10.44."), (SUBNETS[1], "fd44:")] {
        kube.network("n3", &Wanted::shipped(&[subnet]).network);
        kube.create(&[Pod::new("one", "n3")]);
        let addresses = kube.running("one");
        assert!(addresses.len() == 1 && addresses[0].starts_with(begin), "{addresses:?}");
        kube.holds(&addresses);
        kube.delete(&["one"]);
    }
    nothing_left(kube);
}
