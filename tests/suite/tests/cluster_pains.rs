//! What users of container networking suffer from, on a cluster: the rows of `docs/pains.md` that only
//! several nodes with one book can show.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use wharfinger_etcd_server::Setup;
use wharfinger_suite::{Attached, Cluster, World, run};

/// A network of this range on each of the nodes.
fn conf(world: &World, range: &str) -> Value {
    let mut ipam = world.ipam(&[range]);
    ipam["shared"] = json!(true);
    world.conf("bridge", &json!({ "ipam": ipam }))
}

fn distinct(attachments: &[Attached<'_>]) -> BTreeSet<String> {
    let all: Vec<String> = attachments.iter().flat_map(Attached::addresses).collect();
    let set: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(set.len(), all.len(), "an address twice: {all:?}");
    set
}

/// One range for all, and the nodes told nothing of each other.
#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_b5_one_range_on_several_nodes_gives_each_address_once() {
    let cluster = Cluster::new(3, 1, "");
    let mut all = Vec::new();
    for _ in 0..4 {
        for node in &cluster.nodes {
            all.push(node.attach(&conf(node, "10.1.0.0/24")));
        }
    }
    assert_eq!(distinct(&all).len(), 12);
    for node in &cluster.nodes {
        let _ = node.call("STATUS", &conf(node, "10.1.0.0/24")).ok();
    }
    all.iter().for_each(Attached::del);
    assert!(cluster.held().is_empty(), "{:?}", cluster.held());
}

/// A runtime was exchanged for another: no container has its old id, and nobody deletes the old ones.
#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_a11_containers_whose_ids_nobody_knows_any_more_drain_no_pool() {
    let cluster = Cluster::with(2, 1, "", Setup::default(), "block-size = 1");
    let [old, other] = &cluster.nodes[..] else { panic!("two nodes") };
    let range = "10.1.0.0/29";
    let mut all: Vec<Attached<'_>> = (0..5).map(|_| old.attach(&conf(old, range))).collect();
    let full = other.call("ADD", &conf(other, range)).of(&other.container()).fails();
    assert_eq!(full.code, 100, "{full:?}");
    // What the new runtime deletes it deletes by its own ids.
    for one in &mut all {
        let _ = one.call("DEL").env("CNI_CONTAINERID", &format!("new-{}", one.container.id)).ok();
        one.dies();
    }
    assert_eq!(cluster.held().len(), 5, "evidence alone frees, and by its own node");
    // The new runtime collects, and names none of them.
    let _ = old.call("GC", &conf(old, range)).ok();
    let more: Vec<Attached<'_>> = (0..5).map(|_| other.attach(&conf(other, range))).collect();
    assert_eq!(distinct(&more).len(), 5);
    more.iter().for_each(Attached::del);
    old.assert_nothing_left();
    assert!(cluster.held().is_empty(), "{:?}", cluster.held());
}

/// What a member of etcd counts of the requests that it was asked: all but those of its like.
fn requests(cluster: &Cluster, node: &World) -> u64 {
    let url = cluster.etcd.endpoints().first().expect("a member").clone();
    let at = url.trim_start_matches("http://");
    let page = node.host.fetch(at, "/metrics");
    assert!(page.contains("grpc_server_handled_total"), "no metrics: {page}");
    let ours = |line: &&str| {
        line.starts_with("grpc_server_handled_total{")
            && line.contains("grpc_service=\"etcdserverpb.KV\"")
    };
    let count = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    let sum: f64 = page.lines().filter(ours).filter_map(count).sum();
    format!("{sum:.0}").parse().expect("a count")
}

/// Another machine holds all of a /16 but the block of 10.1.200.0, so the book says.
fn fill(cluster: &Cluster) {
    for third in (0..=255).filter(|third| *third != 200) {
        let who = json!({
            "node": "node-9", "network": "pods", "container": "c", "ifname": "eth0",
        });
        let held: serde_json::Map<String, Value> =
            (0..=255).map(|last| (format!("10.1.{third}.{last}"), who.clone())).collect();
        let block = json!({ "owner": "node-9", "held": held }).to_string();
        let key = format!("wharfinger/book/block/host/40a01{third:02x}00");
        cluster.etcd.ctl(&["put", &key, &block]).expect("a block");
    }
}

/// Whatever the size of the pool, and however full it is: an ADD asks etcd a few times.
#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_g1_an_add_asks_for_few_objects_of_a_large_pool() {
    let cluster = Cluster::with(1, 1, "", Setup::default(), "block-size = 256");
    let [node] = &cluster.nodes[..] else { panic!("a node") };
    let conf = conf(node, "10.1.0.0/16");
    // It writes down what the domain is, and how it is cut.
    node.attach(&conf).del();
    fill(&cluster);
    let first = node.attach(&conf);
    assert!(first.v4().starts_with("10.1.200."), "{}", first.result);
    let before = requests(&cluster, node);
    let all: Vec<Attached<'_>> = (0..10).map(|_| node.attach(&conf)).collect();
    let asked = requests(&cluster, node) - before;
    assert!(asked <= 30, "ten ADDs asked etcd {asked} times");
    distinct(&all);
    all.iter().for_each(Attached::del);
    first.del();
}

/// A certificate of the client that ended yesterday, in the place of the node's.
fn end_certificate(cluster: &Cluster, node: &World) {
    let certificates = cluster.etcd.certificates().expect("TLS");
    let path = |path: PathBuf| path.display().to_string();
    let (ca, by) = (path(certificates.cert("ca")), path(certificates.key("ca")));
    let [cert, key, asked] =
        ["client.pem", "client.key", "asked"].map(|name| node.text_path(&format!("etc/{name}")));
    run(&["openssl", "req", "-new", "-key", &key, "-subj", "/CN=client", "-out", &asked]);
    run(&[
        "openssl",
        "x509",
        "-req",
        "-in",
        &asked,
        "-CA",
        &ca,
        "-CAkey",
        &by,
        "-CAcreateserial",
        "-days",
        "-1",
        "-out",
        &cert,
    ]);
}

/// Neither ADD nor STATUS hides that etcd does not know the node any more, DEL does not need it, and
/// what is put right is used at once.
#[track_caller]
fn is_said_and_mended(node: &World, what: &str, spoil: impl Fn(), mend: impl Fn()) {
    let conf = conf(node, "10.1.0.0/24");
    let (one, two) = (node.attach(&conf), node.attach(&conf));
    spoil();
    for refused in
        [node.call("STATUS", &conf).fails(), node.call("ADD", &conf).of(&node.container()).fails()]
    {
        let said = format!("{} {}", refused.msg, refused.details);
        assert!(said.contains(what), "{refused:?}");
    }
    one.del();
    mend();
    let _ = node.call("STATUS", &conf).ok();
    node.attach(&conf).del();
    two.del();
    node.assert_nothing_left();
}

#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_e5_a_certificate_that_ended_is_said_and_its_successor_is_used_at_once() {
    let setup = Setup { tls: true, ..Setup::default() };
    let cluster = Cluster::with(1, 1, "", setup, "");
    let [node] = &cluster.nodes[..] else { panic!("a node") };
    let good = ["pem", "key"].map(|end| {
        let path = node.path("etc/client").with_extension(end);
        (path.clone(), std::fs::read(path).expect("a certificate"))
    });
    let mend = || good.iter().for_each(|(path, text)| std::fs::write(path, text).expect("it"));
    let ended = || end_certificate(&cluster, node);
    is_said_and_mended(node, "certificate", ended, mend);
    // That of the test lasts 20 days: it is warned of before the end, and all goes on.
    let warnings = || node.events().iter().filter(|it| it["event"] == "certificate ends").count();
    for _ in 0..2 {
        let _ = node.call("STATUS", &conf(node, "10.1.0.0/24")).ok();
    }
    assert_eq!(warnings(), 1, "once a day");
    let doctor = node.cli(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("etcd's client certificate") && said.contains("days: put"), "{said}");
    assert!(cluster.held().is_empty(), "{:?}", cluster.held());
}

#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn pain_e5_a_password_that_was_changed_is_said_and_the_new_one_is_used_at_once() {
    let mut cluster = Cluster::with(1, 1, "", Setup::default(), "");
    cluster.etcd.users("book", "first", "wharfinger/").expect("users");
    let [node] = &cluster.nodes[..] else { panic!("a node") };
    let file = node.write("etc/password", "first");
    node.settings(&format!(
        "{}user = \"book\"\npassword-file = {:?}\n",
        std::fs::read_to_string(node.path("etc/config.toml")).expect("settings"),
        file.display().to_string()
    ));
    let change = || {
        for words in [
            &["user", "delete", "book"][..],
            &["user", "add", "book:second"],
            &["user", "grant-role", "book", "book"],
        ] {
            cluster.etcd.ctl(words).expect("another password");
        }
    };
    is_said_and_mended(node, "password", change, || {
        node.write("etc/password", "second");
    });
    assert!(cluster.held().is_empty(), "{:?}", cluster.held());
}
