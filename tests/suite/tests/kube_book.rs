//! The cluster's book in a real API server, by the executable on two machines without kubelets.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::{Lab, eventually};
use wharfinger_suite::{Attached, Call, Container, Output, Site, World, merge};

fn site() -> Site {
    Site::new(2, "deadline = 8", "timeout = 2.0")
}

fn conf(world: &World) -> Value {
    world.conf("bridge", &json!({ "ipam": world.ipam(&["10.77.0.0/24"]) }))
}

/// Of n1, which did nothing so far.
fn first_add<'w>(site: &'w Site, conf: &Value) -> Attached<'w> {
    let before = (site.requests_of("LIST"), site.requests());
    let attached = site.nodes[1].attach(conf);
    let listed = site.requests_of("LIST") - before.0;
    assert_eq!(listed, 4, "a node's first ADD lists each kind once");
    // Whose the node's name is, and its block.
    let asked = site.requests() - before.1 - listed;
    assert!(asked <= 3, "and asks {asked} times for what it is for");
    attached
}

fn what_may_be_seen_is_shown(site: &Site) {
    let said = site.nodes[0].cli_ok(&["pools"]);
    let of_node = |name: &str| said.lines().any(|line| line.starts_with(&format!("{name} ")));
    assert!(of_node("n0") && of_node("n1"), "{said}");
    assert!(said.contains("which nodes live is not known: "), "{said}");
    let said = site.as_admin_ok(0, &["pools"]);
    assert!(said.contains(" dead ") && !said.contains("not known"), "{said}");
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn two_machines_give_from_one_range_by_one_request_each() {
    let site = site();
    let confs: Vec<Value> = site.nodes.iter().map(conf).collect();
    // No keys would come: it would reach nobody.
    let node = &site.nodes[0];
    let sealed = json!({ "encrypt": true, "ipam": node.ipam(&["10.77.0.0/24"]) });
    let sealed = node.conf("overlay", &sealed);
    let refused = node.call("ADD", &sealed).of(&node.container()).fails();
    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(refused.msg.contains("encrypt") && refused.msg.contains("etcd"), "{refused:?}");
    let mut first = vec![node.attach(&confs[0]), first_add(&site, &confs[1])];
    for attached in &first {
        attached.check();
    }
    let before = site.requests();
    let more = site.nodes[0].attach(&confs[0]);
    assert_eq!(site.requests() - before, 1, "an ADD in the steady state");
    let all: BTreeSet<String> = first.iter().chain([&more]).map(|one| one.v4()).collect();
    assert_eq!(all.len(), 3);
    let held = site.held();
    assert!(all.iter().all(|address| held.iter().any(|(ip, _)| ip == address)), "{held:?}");
    let seen = site.lab.kubectl(&["get", "blocks", "--no-headers"]).expect("blocks");
    let of_node = seen.lines().find(|line| line.contains(" n0 ")).expect("a block of n0");
    assert!(of_node.contains("/26 ") && of_node.contains(" 62 "), "range and free: {of_node}");
    let before = site.requests();
    more.del();
    assert_eq!(site.requests() - before, 1, "a DEL");
    // A machine that is gone: its Node is removed by a person.
    let gone = first.pop().expect("one of n1");
    site.lab.kubectl(&["delete", "node", "n1"]).expect("removed");
    // By its own account a node may not list them.
    what_may_be_seen_is_shown(&site);
    let said = site.nodes[0].cli_ok(&["gc", "--cluster"]);
    assert!(said.contains("is not known"), "{said}");
    let said = site.as_admin_ok(0, &["gc", "--cluster"]);
    assert!(said.contains("node n1 does not live"), "{said}");
    let refused = site.as_admin(1, &["gc", "--cluster", "--node", "n0"]);
    assert!(!refused.status.success(), "n0 lives");
    site.as_admin_ok(0, &["gc", "--cluster", "--node", "n1"]);
    let held = site.held();
    assert!(held.iter().all(|(_, node)| node == "n0"), "{held:?}");
    drop(gone);
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn an_add_without_the_api_server_is_refused_and_a_del_is_queued() {
    let site = site();
    let node = &site.nodes[0];
    let conf = conf(node);
    let attached = node.attach(&conf);
    let address = attached.v4();
    site.lab.server("stop").expect("stopped");
    let container = node.container();
    let refused = node.call("ADD", &conf).of(&container).fails();
    assert_eq!(refused.code, 11, "{refused:?}");
    assert!(format!("{refused:?}").contains("API server"), "{refused:?}");
    attached.del();
    site.lab.server("start").expect("started");
    let next = node.attach(&conf);
    let held = site.held();
    assert!(!held.iter().any(|(ip, _)| *ip == address && address != next.v4()), "{held:?}");
    assert!(held.iter().any(|(ip, _)| *ip == next.v4()), "{held:?}");
}

/// A pod that a kubelet would have made: with this address, where it has one.
fn pod(lab: &Lab, name: &str, node: &str, address: Option<&str>) -> String {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "default" },
        "spec": { "nodeName": node, "automountServiceAccountToken": false,
                  "containers": [{ "name": "c", "image": "none" }] },
    });
    lab.kubectl_with(&["create", "-f", "-"], &pod.to_string()).expect("a pod");
    if let Some(address) = address {
        has(lab, name, address);
    }
    let made = lab.get(&["pod", name]).expect("a pod");
    made["metadata"]["uid"].as_str().expect("a uid").to_owned()
}

/// What kubelet says of a pod.
fn has(lab: &Lab, pod: &str, address: &str) {
    let ips = json!([{ "ip": address }]);
    let status = json!({ "status": { "phase": "Running", "podIP": address, "podIPs": ips } });
    let patch = status.to_string();
    let words = ["patch", "pod", pod, "--subresource=status", "--type=merge", "-p", &patch];
    lab.kubectl(&words).expect("a status");
}

/// What `check --cluster` finds by whose credentials: each kind and what it is about.
fn found(site: &Site, kubeconfig: &str) -> (bool, BTreeSet<(String, String)>) {
    let variables = [("WHARFINGER_KUBECONFIG", kubeconfig)];
    let variables = if kubeconfig.is_empty() { &[][..] } else { &variables };
    let output = site.nodes[0].cli_with(&["check", "--cluster", "--json"], variables);
    let text = String::from_utf8_lossy(&output.stdout);
    let all: Value = serde_json::from_str(&text).expect("a list of findings");
    let word = |one: &Value, key: &str| one[key].as_str().expect("a text").to_owned();
    let all = all.as_array().expect("a list").iter();
    (output.status.success(), all.map(|one| (word(one, "finding"), word(one, "object"))).collect())
}

fn findings(all: &[(&str, String)]) -> BTreeSet<(String, String)> {
    all.iter().map(|(kind, object)| ((*kind).to_owned(), object.clone())).collect()
}

/// An attachment of a pod that Kubernetes knows.
fn attach<'w>(site: &'w Site, at: usize, name: &str, conf: &Value) -> Attached<'w> {
    let uid = pod(&site.lab, name, &Site::name(at), None);
    let args =
        format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name};K8S_POD_UID={uid}");
    let attached = site.nodes[at].attach_with(conf, &args);
    has(&site.lab, name, &attached.v4());
    attached
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn the_book_is_compared_with_nodes_and_pods() {
    let site = site();
    let (lab, conf) = (&site.lab, conf(&site.nodes[0]));
    let checker = lab.user("checker", "").expect("a user").display().to_string();
    let bind = ["create", "clusterrolebinding", "checker"];
    let role = ["--clusterrole=wharfinger-checker", "--user=checker"];
    lab.kubectl(&[&bind[..], &role].concat()).expect("a binding");
    let all: Vec<_> = [(0, "kept"), (0, "gone"), (0, "other"), (1, "away")]
        .map(|(at, name)| attach(&site, at, name, &conf))
        .into();
    assert_eq!(found(&site, &checker), (true, BTreeSet::new()), "all is as it should be");
    // Its own account may list no pods: it says so, and nothing is wrong.
    let object = "nodes and pods of the cluster".to_owned();
    assert_eq!(found(&site, ""), (true, findings(&[("not-compared", object)])));
    let before = lab.get(&["blocks"]).expect("blocks");
    let domain = before["items"][0]["spec"]["domain"].as_str().expect("a domain").to_owned();
    let of = |address: &str| format!("address {address} of domain {domain}");

    lab.kubectl(&["delete", "pod", "gone", "--force", "--grace-period=0"]).expect("deleted");
    has(lab, "other", "10.77.0.200");
    pod(lab, "unknown", "n1", Some("10.77.0.201"));
    pod(lab, "twice", "n1", Some(&all[0].v4()));
    lab.kubectl(&["delete", "node", "n1"]).expect("deleted");
    let wanted = findings(&[
        ("address-without-its-pod", of(&all[1].v4())),
        ("address-not-its-pods", of(&all[2].v4())),
        ("pod-not-in-the-book", "pod default/other".to_owned()),
        ("pod-not-in-the-book", "pod default/unknown".to_owned()),
        ("address-of-another-pod", of(&all[0].v4())),
        ("node-gone", "node n1".to_owned()),
    ]);
    assert_eq!(found(&site, &checker), (false, wanted));
    let after = lab.get(&["blocks"]).expect("blocks");
    assert_eq!(after, before, "nothing was changed");
    let said =
        site.nodes[0].cli_with(&["check", "--cluster"], &[("WHARFINGER_KUBECONFIG", &checker)]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("gc --cluster --node n1") && said.contains("delete that pod"), "{said}");
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn ranges_may_be_those_that_the_cluster_gave_the_node() {
    let site = Site::new(1, "", "");
    let (node, lab) = (&site.nodes[0], &site.lab);
    let conflist = json!({
        "cniVersion": "1.0.0", "name": "own", "plugins": [{
            "type": "wharfinger", "driver": "bridge", "bridge": "own0", "isGateway": true,
            "ipam": { "type": "host-local", "ranges": "$(POD_CIDRS)" } }],
    });
    let place = node.path("net.d/10-own.conflist");
    let (from, bins, conf) =
        (node.text_path("from"), node.text_path("bins"), node.text_path("net.d"));
    for directory in [&from, &bins, &conf] {
        std::fs::create_dir_all(directory).expect("a directory");
    }
    node.write("from/10-own.conflist", &conflist.to_string());
    let (account, url) = (site.credentials(0), lab.url().expect("a place"));
    let words = [
        "node",
        "up",
        "--from",
        &from,
        "--bin-dir",
        &bins,
        "--conf-dir",
        &conf,
        "--account",
        &account,
        "--server",
        &url,
        "--node-name",
        "n0",
    ];
    let mut up = node.start_cli(&words);
    let role = "--clusterrole=wharfinger-pod-cidrs";
    let account = "--serviceaccount=wharfinger:wharfinger-node";
    let words = ["create", "clusterrolebinding", "pod-cidrs", role, account];
    lab.kubectl(&words).expect("a binding");
    assert!(!place.exists(), "the cluster gave no ranges yet");
    let cidrs = json!({ "spec": {
        "podCIDR": "10.78.3.0/24", "podCIDRs": ["10.78.3.0/24", "fd78:3::/64"] } });
    lab.kubectl(&["patch", "node", "n0", "--type=merge", "-p", &cidrs.to_string()]).expect("given");
    let told = eventually(Duration::from_mins(1), || Ok(std::fs::read_to_string(&place)?));
    up.kill().and_then(|()| up.wait()).expect("it ran");
    let told: Value = serde_json::from_str(&told.expect("a network")).expect("a conflist");
    let mut conf = told["plugins"][0].clone();
    merge(&mut conf, &json!({ "cniVersion": "1.0.0", "name": "own" }));
    let before = site.requests();
    let attached = node.attach(&conf);
    assert!(attached.v4().starts_with("10.78.3."), "{}", attached.v4());
    assert!(attached.v6().starts_with("fd78:3::"), "{}", attached.v6());
    attached.del();
    assert_eq!(site.requests(), before, "the API server is not asked");
}

/// On nodes that did nothing before, and of two blocks for the three: all get an address, in time.
#[test]
#[ignore = "needs root: ring kubernetes"]
fn thirty_at_once_on_each_of_three_new_nodes() {
    let site = Site::new(3, "deadline = 120", "");
    let wanted =
        |world: &World| world.conf("bridge", &json!({ "ipam": world.ipam(&["10.78.0.0/25"]) }));
    let confs: Vec<Value> = site.nodes.iter().map(wanted).collect();
    let all: Vec<_> = (0..90).map(|n| (n % 3, site.nodes[n % 3].container())).collect();
    let at_once = |verb: &str| -> Vec<Value> {
        let call = |(at, of): &(usize, Container)| site.nodes[*at].call(verb, &confs[*at]).of(of);
        let calls: Vec<_> = all.iter().map(call).collect();
        let started: Vec<_> = calls.iter().map(Call::start).collect();
        let ended: Vec<_> =
            calls.iter().zip(started).map(|(call, child)| call.finish(child)).collect();
        ended.iter().map(Output::ok).collect()
    };
    let added = at_once("ADD");
    let address = |result: &Value| result["ips"][0]["address"].as_str().map(str::to_owned);
    let given: BTreeSet<String> = added.iter().filter_map(address).collect();
    assert_eq!(given.len(), 90, "an address twice");
    assert_eq!(site.held().len(), 90);
    at_once("DEL");
    // What was not sent at once is sent by this.
    for node in &site.nodes {
        node.cli_ok(&["gc", "--cluster"]);
    }
    assert_eq!(site.held(), BTreeSet::new());
}
