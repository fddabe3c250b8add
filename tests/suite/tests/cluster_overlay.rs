//! A network across the machines of a cluster: its containers reach each other by what the agents
//! tell the kernels, whatever becomes of agents and machines.
#![allow(clippy::panic, reason = "a failed expectation is a failed test")]

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use wharfinger_suite::{Agent, Attached, Cluster, Peer, World, assert_all_reach, eventually};

fn conf(world: &World) -> Value {
    let ipam = world.ipam(&["10.44.0.0/16", "fd44::/64"]);
    let keys = json!({ "underlay": "eth0", "isGateway": true, "ipMasq": true, "ipam": ipam });
    world.conf("overlay", &keys)
}

/// The entries of others in a machine's tables.
fn told(world: &World) -> usize {
    let neighbours = world.host.ip("neigh show dev wh-br65536 nud permanent");
    neighbours.lines().count()
}

/// From the container to an address, 200 times within ten seconds.
fn traffic(from: &Attached<'_>, to: &str) -> Child {
    let ns = from.container.ns.name();
    let words = ["netns", "exec", ns, "ping", "-n", "-i", "0.05", "-c", "200", to];
    match Command::new("ip").args(words).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => panic!("ping: {error}"),
    }
}

#[track_caller]
fn assert_none_lost(traffic: Child) {
    match traffic.wait_with_output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains(" 0% packet loss"), "{said}");
        }
        Err(error) => panic!("ping: {error}"),
    }
}

#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn containers_of_three_machines_reach_each_other_whatever_becomes_of_agents() {
    let cluster = Cluster::new(3, 1, "");
    let mut agents: Vec<Agent> = cluster.nodes.iter().map(Agent::start).collect();
    let all: Vec<Attached<'_>> = cluster.nodes.iter().map(|it| it.attach(&conf(it))).collect();
    let all: Vec<&Attached<'_>> = all.iter().collect();
    for node in &cluster.nodes {
        eventually("two others, by two addresses each", || told(node) == 4);
    }
    assert_all_reach(&all);
    for one in &all {
        one.check();
    }
    let number = cluster.book("overlay/network/pods");
    assert_eq!(number.first().and_then(|(_, it)| it.get("vni")?.as_u64()), Some(65_536));

    // An agent is killed, and is there again: what is under way does not notice.
    let [from, to, ..] = &all[..] else { panic!("three containers") };
    let under_way = traffic(from, &to.v4());
    drop(agents.remove(0));
    let [first, second, ..] = &cluster.nodes[..] else { panic!("three machines") };
    agents.insert(0, Agent::start(first));
    assert_none_lost(under_way);

    // With no agent at all, a new container is found by asking all.
    drop(agents);
    let late = second.attach(&conf(second));
    assert!(from.container.ns.pings(&late.v4()), "by nobody's word");
    assert_eq!(told(first), 4);
    // And is known as soon as there is one.
    let _agent = Agent::start(first);
    eventually("the new one", || told(first) == 6);
    late.del();
    eventually("it is forgotten", || told(first) == 4);
    // Once the network has left a machine, that one knows nobody of it any more.
    from.del();
    eventually("the machine forgets the network", || told(first) == 0);
    let node = first.host.ip("-o link show wh-br65536");
    assert!(node.contains("wh-br65536"), "its links stay: {node}");
}

#[test]
#[ignore = "needs root and etcd: ring cluster"]
fn a_machine_that_is_lost_and_comes_back_is_missed_by_nobody_else() {
    let cluster = Cluster::new(3, 1, "");
    let _agents: Vec<Agent> = cluster.nodes.iter().map(Agent::start).collect();
    let all: Vec<Attached<'_>> = cluster.nodes.iter().map(|it| it.attach(&conf(it))).collect();
    let [a, b, c] = &all[..] else { panic!("three containers") };
    for node in &cluster.nodes {
        eventually("two others", || told(node) == 4);
    }
    cluster.segment.cut(Peer::Node(2));
    assert!(a.container.ns.is_cut_off_from(&c.v4()));
    assert_all_reach(&[a, b]);
    // What it held is known until somebody says that it is dead.
    let [first, second, _] = &cluster.nodes[..] else { panic!("three machines") };
    let more = second.attach(&conf(second));
    eventually("the new one beside the lost ones", || told(first) == 6);
    cluster.segment.mend(Peer::Node(2));
    eventually("it hears what it missed", || told(&cluster.nodes[2]) == 6);
    assert_all_reach(&[a, b, c, &more]);
}
