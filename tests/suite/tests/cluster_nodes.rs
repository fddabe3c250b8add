//! Nodes of a cluster and what becomes of what they hold: collection, check, the agent, death.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_suite::{Agent, Cluster, Peer, World, eventually};

/// Requests do not wait for long, nor do leases.
const BRIEF: &str = "timeout = 0.5\nlease = 2";

fn cluster(nodes: usize, of_etcd: &str) -> Cluster {
    let of_etcd = format!("{BRIEF}\n{of_etcd}");
    Cluster::with(nodes, 1, "", wharfinger_etcd_server::Setup::default(), &of_etcd)
}

fn conf(world: &World) -> Value {
    world.conf("bridge", &json!({ "ipam": world.ipam(&["10.77.0.0/24"]) }))
}

/// How many addresses a node holds by the cluster's book, those of gateways not counted.
fn held(cluster: &Cluster, node: usize) -> usize {
    cluster.held().iter().filter(|(_, of)| *of == Cluster::name(node)).count()
}

fn lives(cluster: &Cluster, node: usize) -> bool {
    cluster.book("alive/").iter().any(|(key, _)| *key == format!("alive/{}", Cluster::name(node)))
}

fn lose_ledger(world: &World) {
    for file in std::fs::read_dir(world.path("run")).expect("run").flatten() {
        let _ = std::fs::remove_dir_all(file.path());
    }
}

/// The findings of `check --cluster`, and its status.
fn check(world: &World) -> (Vec<String>, bool) {
    let output = world.cli(&["check", "--cluster", "--json"]);
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let kinds = found.iter().map(|it| it["finding"].as_str().unwrap_or_default().to_owned());
    (kinds.collect(), output.status.success())
}

#[test]
#[ignore = "needs root: ring cluster"]
fn a_reboot_and_a_lost_ledger_leave_nothing_and_take_nothing() {
    let mut cluster = cluster(2, "");
    let conf = conf(&cluster.nodes[0]);
    let mut gone: Vec<_> = (0..3).map(|_| cluster.nodes[0].attach(&conf)).collect();
    let kept: Vec<_> = (0..2).map(|_| cluster.nodes[1].attach(&conf)).collect();
    assert_eq!((held(&cluster, 0), held(&cluster, 1)), (3, 2));
    assert_eq!(check(&cluster.nodes[0]), (vec![], true));
    // Its ledger is lost, and what is attached lives.
    lose_ledger(&cluster.nodes[1]);
    let again = cluster.nodes[1].attach(&conf);
    assert_eq!(held(&cluster, 1), 3, "{:?}", cluster.held());
    again.del();
    kept.iter().for_each(wharfinger_suite::Attached::del);
    assert_eq!(held(&cluster, 1), 0, "{:?}", cluster.held());
    // A reboot: but for the segment's link, as the cluster is where it was.
    gone.iter_mut().for_each(wharfinger_suite::Attached::dies);
    drop(gone);
    cluster.nodes[0].host.ip("link del cni0");
    cluster.nodes[0].host.run(&["nft", "flush", "ruleset"]);
    lose_ledger(&cluster.nodes[0]);
    cluster.nodes[0].new_boot_id();
    let one = cluster.nodes[0].attach(&conf);
    assert_eq!(held(&cluster, 0), 1, "{:?}", cluster.held());
    one.del();
    assert_eq!(check(&cluster.nodes[1]), (vec![], true));
}

#[test]
#[ignore = "needs root: ring cluster"]
fn what_is_left_of_containers_that_are_gone_is_freed_by_hand_and_nothing_else() {
    let cluster = cluster(2, "");
    let (node, conf) = (&cluster.nodes[0], conf(&cluster.nodes[0]));
    let (kept, mut gone) = (node.attach(&conf), node.attach(&conf));
    let other = cluster.nodes[1].attach(&conf);
    // Addresses alone, for another main plugin: only the namespace says that they are in use.
    let alone = json!({
        "cniVersion": "1.1.0", "name": "alone", "type": "bridge",
        "ipam": {
            "type": "wharfinger", "plugin": "host-local", "ranges": [[{ "subnet": "10.78.0.0/24" }]],
        },
    });
    let ipam = |container: &wharfinger_suite::Container| {
        let call = node.call("ADD", &conf).stdin(alone.to_string()).of(container);
        let _ = call.ok();
    };
    let lives = node.container();
    ipam(&lives);
    assert_eq!((held(&cluster, 0), held(&cluster, 1)), (3, 1));
    gone.dies();
    let said = node.cli_ok(&["gc", "--cluster"]);
    let line = format!("detached, its container is gone: pods/{}/eth0", gone.container.id);
    assert_eq!((said.matches("detached").count(), said.contains(&line)), (1, true), "{said}");
    assert_eq!((held(&cluster, 0), held(&cluster, 1)), (2, 1));
    kept.check();
    other.check();
    // A DEL that comes after all has nothing to do.
    gone.del();
    let said = node.cli_ok(&["gc", "--cluster"]);
    assert!(!said.contains("detached"), "{said}");
    assert_eq!(check(node), (vec![], true));
    kept.del();
    let _ = node.call("DEL", &conf).stdin(alone.to_string()).of(&lives).ok();
    assert_eq!(held(&cluster, 0), 0);
}

#[test]
#[ignore = "needs root: ring cluster"]
fn without_etcd_a_del_works_an_add_says_why_and_the_release_is_sent_later() {
    let cluster = cluster(2, "");
    let node = &cluster.nodes[0];
    let conf = conf(node);
    let attached = node.attach(&conf);
    cluster.segment.cut(Peer::Node(0));
    let start = Instant::now();
    attached.del();
    let container = attached.container;
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let refused = node.call("ADD", &conf).of(&container).fails();
    assert_eq!(refused.code, 11, "{refused:?}");
    assert!(refused.msg.contains("etcd"), "{refused:?}");
    assert!(start.elapsed() < Duration::from_secs(80), "{:?}", start.elapsed());
    assert_eq!(held(&cluster, 0), 1);
    cluster.segment.mend(Peer::Node(0));
    eventually("the release is sent", || {
        let _ = node.cli(&["gc", "--cluster"]);
        held(&cluster, 0) == 0
    });
    assert_eq!(check(node), (vec![], true));
    node.attach_it(container, &conf).del();
}

#[test]
#[ignore = "needs root: ring cluster"]
fn an_agent_says_that_its_node_lives_and_a_dead_one_is_freed_by_a_person() {
    let cluster = cluster(2, "");
    let [here, there] = [&cluster.nodes[0], &cluster.nodes[1]];
    let conf = conf(here);
    let alive = "wharfinger/alive/node-0";
    cluster.etcd.ctl(&["put", alive, r#"{"machine":"another"}"#]).expect("etcd");
    let refused = here.cli(&["serve", "--agent"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("that of another machine"), "{why}");
    cluster.etcd.ctl(&["del", alive]).expect("etcd");
    let mut agents = [Agent::start(here), Agent::start(there)];
    eventually("both live", || lives(&cluster, 0) && lives(&cluster, 1));
    let _held: Vec<_> = (0..2).map(|_| there.attach(&conf)).collect();
    assert_eq!(check(here), (vec![], true));
    let second = here.cli(&["serve", "--agent"]);
    assert!(!second.status.success(), "{second:?}");
    let of_there = ["gc", "--cluster", "--node", "node-1"];
    let refused = here.cli(&of_there);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("lives"), "{why}");
    let shown: Value = serde_json::from_str(&here.cli_ok(&["pools", "--json"])).expect("JSON");
    let nodes = shown["nodes"].as_array().expect("nodes");
    let row = nodes.iter().find(|row| row["node"] == "node-1").expect("node-1");
    assert_eq!(
        (&row["alive"], &row["held"]["pods"], &row["blocks"]),
        (&json!(true), &json!(2), &json!(1))
    );
    let table = here.cli_ok(&["pools"]);
    assert!(table.contains("node-1") && table.contains("alive"), "{table}");

    agents[1].kill();
    eventually("it is dead", || !lives(&cluster, 1));
    assert_eq!(check(here), (vec!["node-dead".to_owned()], false));
    assert!(here.cli_ok(&["gc", "--cluster"]).contains("--node node-1"));
    let freed = here.cli_ok(&of_there);
    assert!(freed.contains("2 addresses and 1 blocks"), "{freed}");
    assert_eq!(held(&cluster, 1), 0);
    assert_eq!(check(here), (vec![], true));
    // It was not gone: what it runs is claimed again, as nobody was given it.
    agents[1] = Agent::start(there);
    eventually("it is there again", || held(&cluster, 1) == 2);
    agents[0].end();
    assert!(!lives(&cluster, 0));
    assert_eq!(cluster.book("node/").len(), 2);
}

#[test]
#[ignore = "needs root: ring cluster"]
fn a_node_that_is_cut_off_has_nothing_by_the_time_that_others_may_have_it() {
    let cluster = cluster(2, "dead-after = 12");
    let [here, there] = [&cluster.nodes[0], &cluster.nodes[1]];
    let conf = conf(here);
    let early = here.container();
    let refused = here.call("ADD", &conf).of(&early).fails();
    assert!(refused.code == 11 && refused.msg.contains("agent"), "{refused:?}");
    let agents = [Agent::start(here), Agent::start(there)];
    eventually("both live", || lives(&cluster, 0) && lives(&cluster, 1));
    let cut_off = there.attach(&conf);
    let stays = here.attach_it(early, &conf);
    cluster.segment.cut(Peer::Node(1));
    let inside = || cut_off.container.ns.try_run(&["ip", "link", "show", "eth0"]).status.success();
    assert!(inside());
    eventually("it takes its own down", || !inside());
    assert_eq!(held(&cluster, 1), 1, "before it is given away");
    let refused = there.call("ADD", &conf).of(&cut_off.container).fails();
    assert!(refused.code == 11, "{refused:?}");
    eventually("others free it", || held(&cluster, 1) == 0);
    assert_eq!(held(&cluster, 0), 1);
    cluster.segment.mend(Peer::Node(1));
    eventually("it lives again", || lives(&cluster, 1));
    eventually("it attaches again", || {
        there.call("ADD", &conf).of(&cut_off.container).run().succeeded()
    });
    assert_eq!(held(&cluster, 1), 1);
    stays.del();
    drop(agents);
}

#[test]
#[ignore = "needs root: ring cluster"]
fn pools_are_shown_anew_when_they_change() {
    let cluster = cluster(2, "");
    let [here, there] = [&cluster.nodes[0], &cluster.nodes[1]];
    let conf = conf(there);
    let (run, lib) = (here.text_path("run"), here.text_path("lib"));
    let (etc, bin) = (here.text_path("etc/config.toml"), here.text_path("bin/wharfinger"));
    let watched = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let variables = [
                format!("WHARFINGER_RUN_DIR={run}"),
                format!("WHARFINGER_LIB_DIR={lib}"),
                format!("WHARFINGER_CONFIG={etc}"),
            ];
            let mut words = vec!["env"];
            words.extend(variables.iter().map(String::as_str));
            // Until a node has something: who writes to nobody ends.
            let watch = format!("timeout 120 {bin} pools --watch --json | sed '/\"node\":/q'");
            words.extend(["sh", "-c", &watch]);
            here.host.try_run(&words)
        });
        // It shows what there is, and waits.
        std::thread::sleep(Duration::from_secs(5));
        there.attach(&conf).del();
        watching.join().expect("it ends")
    });
    let lines = String::from_utf8_lossy(&watched.stdout).into_owned();
    let shown: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let blocks = |value: &Value| value["nodes"].as_array().map(Vec::len);
    assert_eq!(shown.first().and_then(blocks), Some(0), "{lines}");
    assert_eq!(shown.last().and_then(blocks), Some(1), "{lines}");
}

#[test]
#[ignore = "needs root: ring cluster"]
fn damage_of_the_book_is_named_and_what_two_nodes_have_is_told_of() {
    let cluster = cluster(2, "");
    let [here, there] = [&cluster.nodes[0], &cluster.nodes[1]];
    let conf = conf(here);
    let attached = there.attach(&conf);
    let put = |key: &str, value: &str| {
        cluster.etcd.ctl(&["put", &format!("wharfinger/{key}"), value]).expect("etcd");
    };
    let (status, screen) = here.cli_terminal(&["check", "--cluster"], "");
    assert!(status == Some(0) && screen.contains("0 of 4 listings of the cluster"), "{screen:?}");
    put("book/block/host/40b000000", "nonsense");
    let output = here.cli(&["check", "--cluster"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && told.contains("book/block/host/40b000000"), "{told}");
    cluster.etcd.ctl(&["del", "wharfinger/book/block/host/40b000000"]).expect("etcd");
    assert_eq!(check(here), (vec![], true));
    // Somebody gave the address to another.
    let (key, block) = cluster.book("book/block/").pop().expect("a block");
    put(&key, &block.to_string().replace("node-1", "node-0"));
    assert_eq!(check(there), (vec!["address-held-twice".to_owned()], false));
    assert_eq!(check(here), (vec!["stray".to_owned()], true));
    let output = there.cli(&["gc", "--cluster"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success() && told.contains("held twice"), "{told}");
    assert!(here.cli_ok(&["gc", "--cluster"]).contains("freed"));
    // Now it is nobody's: its own has it again.
    assert_eq!(check(there), (vec!["address-not-in-the-book".to_owned()], false));
    assert!(there.cli_ok(&["gc", "--cluster"]).contains("claimed again"));
    assert_eq!((check(there), held(&cluster, 1)), ((vec![], true), 1));
    attached.del();
    assert_eq!(held(&cluster, 1), 0);
}
