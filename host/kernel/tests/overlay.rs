//! Segments across nodes: nodes are namespaces on a switch, and the test tells each who is where.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::nodes::{Capture, Node, mac, nodes, on_overlay, peers, segment, vxlan};
use common::{Container, KERNEL, ask, on_host, serve};
use wharfinger_kernel::{Kernel, PeerChange};
use wharfinger_plan::Mac;

/// A container on each node, of the node's number.
fn attach(nodes: &[Node], v6: bool, group: Option<&str>, mtu: u32) -> Vec<Container> {
    let one =
        |node: &Node| node.attach(on_overlay(node.number, vxlan(&node.underlay(v6), group, mtu)));
    nodes.iter().map(one).collect()
}

/// Tells each node of the others' containers.
fn tell(nodes: &[Node], v6: bool) {
    let all: Vec<_> = nodes.iter().map(|node| (node.number, node.underlay(v6))).collect();
    for node in nodes {
        let others = all.iter().filter(|(number, _)| *number != node.number);
        let wanted = peers(others.map(|(number, node)| (*number, node.as_str())));
        assert_ne!(node.resync(&wanted), 0);
        assert_eq!(node.resync(&wanted), 0, "{}", node.sh("bridge fdb show"));
    }
}

#[track_caller]
fn assert_reach(containers: &[Container]) {
    for (number, container) in (1..).zip(containers) {
        for other in (1..=containers.len()).filter(|other| *other != number) {
            for address in [format!("10.44.0.{other}"), format!("fd44::{other}")] {
                assert!(container.reaches(&address), "{number} to {address}");
            }
        }
    }
}

fn passes(from: &Container, address: &str, payload: u32) -> bool {
    let netns = from.path.display();
    let ping = format!("nsenter --net={netns} ping -M do -c2 -i0.2 -W1 -s {payload} {address}");
    common::try_run(&ping).0
}

#[test]
#[ignore = "needs root: ring netns"]
fn containers_of_three_nodes_reach_each_other_and_full_size_packets_pass() {
    on_host(|| {
        let nodes = nodes(3);
        let containers = attach(&nodes, false, None, 1450);
        tell(&nodes, false);
        assert_reach(&containers);
        assert!(passes(&containers[0], "10.44.0.2", 1450 - 28));
        assert!(!passes(&containers[0], "10.44.0.2", 1450 - 27));
        assert!(passes(&containers[0], "fd44::2", 1450 - 48));
        for (v6, kind) in [(false, "tcp"), (true, "tcp"), (false, "udp"), (true, "udp")] {
            let _server = serve(Some(&containers[2]), v6, kind, 7000);
            let (to, from) = if v6 { ("fd44::3", "fd44::1") } else { ("10.44.0.3", "10.44.0.1") };
            assert_eq!(ask(Some(&containers[0]), kind, to, 7000), from);
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn containers_reach_each_other_on_an_underlay_of_ipv6() {
    on_host(|| {
        let nodes = nodes(3);
        let containers = attach(&nodes, true, None, 1430);
        tell(&nodes, true);
        assert_reach(&containers);
        assert!(passes(&containers[0], "10.44.0.3", 1430 - 28));
    });
}

/// Nobody is told anything: nodes find each other by the group.
fn by_a_group(v6: bool, group: &'static str) {
    on_host(move || {
        let nodes = nodes(3);
        let containers = attach(&nodes, v6, Some(group), 1430);
        assert_reach(&containers);
        for (node, container) in nodes.iter().zip(&containers) {
            let plan = on_overlay(node.number, vxlan(&node.underlay(v6), Some(group), 1430));
            let netns = container.netns();
            assert_eq!(node.on(move || KERNEL.verify(&plan, &netns)).unwrap(), []);
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn containers_reach_each_other_by_a_multicast_group() {
    by_a_group(false, "239.1.1.1");
    by_a_group(true, "ff05::4096");
}

/// Also what is asked for an address that nobody knows goes to the nodes that have containers: an
/// agent that is late, or gone, cuts nobody off.
#[test]
#[ignore = "needs root: ring netns"]
fn questions_for_known_addresses_are_answered_on_the_node_and_others_go_to_all() {
    on_host(|| {
        let nodes = nodes(2);
        let containers = attach(&nodes, false, None, 1450);
        tell(&nodes, false);
        let is_question = |frame: &String| {
            let arp = &frame[24..28] == "0806" && frame.contains("0a2c00");
            let solicitation = frame.get(108..110) == Some("87") && frame.contains("fd44000000");
            arp || (&frame[24..28] == "86dd" && solicitation)
        };
        let asked = |peer: &dyn Fn() -> bool| {
            let capture = Capture::of(&nodes[0], "wh-vx4096");
            assert!(peer());
            capture.end().into_iter().filter(is_question).collect::<Vec<_>>()
        };
        let both = || containers[0].reaches("10.44.0.2") && containers[0].reaches("fd44::2");
        assert_eq!(asked(&both), Vec::<String>::new());
        // Another container, of whom only its own node knows.
        let late = nodes[1].attach(on_overlay(9, vxlan("10.0.0.2", None, 1450)));
        let found = || containers[0].reaches("10.44.0.9") && late.reaches("fd44::1");
        assert_ne!(asked(&found), Vec::<String>::new());
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_change_touches_one_peer_and_a_resync_removes_what_is_nobodys() {
    on_host(|| {
        let nodes = nodes(3);
        let containers = attach(&nodes, false, None, 1450);
        tell(&nodes, false);
        let change = |changes: Vec<PeerChange>| {
            nodes[0].on(move || KERNEL.change_peers(&segment(), &changes)).unwrap();
        };
        let address = |number: u8| [10, 44, 0, number].into();
        let node = |number: u8| [10, 0, 0, number].into();
        let gone = vec![
            PeerChange::NoAddress(address(3)),
            PeerChange::NoStation(mac(3)),
            PeerChange::NoNode(node(3)),
        ];
        change(gone.clone());
        // What is gone is fine.
        change(gone);
        assert!(!nodes[0].sh("bridge fdb show dev wh-vx4096").contains("10.0.0.3"));
        assert!(containers[0].reaches("10.44.0.2"));
        assert!(!containers[0].reaches("10.44.0.3"));
        change(vec![
            PeerChange::Node(node(3)),
            PeerChange::Station(mac(3), node(2)),
            PeerChange::Station(mac(3), node(3)),
            PeerChange::Address(address(3), mac(3)),
        ]);
        assert!(containers[0].reaches("10.44.0.3"));
        // What somebody else told, in each table.
        nodes[0].sh("bridge fdb add 0a:58:0a:2c:00:63 dev wh-vx4096 dst 10.0.0.2 self static");
        nodes[0].sh("bridge fdb add 0a:58:0a:2c:00:64 dev wh-vx4096 master static");
        nodes[0].sh("bridge fdb append 00:00:00:00:00:00 dev wh-vx4096 dst 10.0.0.77 self static");
        nodes[0].sh("ip neigh add 10.44.0.99 lladdr 0a:58:0a:2c:00:63 dev wh-br4096");
        let wanted = peers([(2, "10.0.0.2"), (3, "10.0.0.3")]);
        assert_eq!(nodes[0].resync(&wanted), 4);
        assert_eq!(nodes[0].resync(&wanted), 0);
        assert_reach(&containers);
        // A container comes to where its address was known to be elsewhere.
        drop(containers);
        let moved = nodes[0].attach(on_overlay(3, vxlan("10.0.0.1", None, 1450)));
        let other = nodes[0].attach(on_overlay(8, vxlan("10.0.0.1", None, 1450)));
        assert!(moved.reaches("10.44.0.8"));
        nodes[0].resync(&peers([(2, "10.0.0.2")]));
        assert!(other.reaches("10.44.0.3") && other.reaches("fd44::3"));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn ten_thousand_peers_are_told_changed_and_forgotten() {
    on_host(|| {
        let nodes = nodes(1);
        let _container = attach(&nodes, false, None, 1450);
        let mut wanted = wharfinger_kernel::Peers::default();
        for number in 0..10_000_u32 {
            let [_, _, high, low] = number.to_be_bytes();
            let (station, node) = (Mac([0x0a, 0x58, 10, 45, high, low]), [10, 0, 0, 2 + low % 100]);
            wanted.stations.insert(station, node.into());
            wanted.addresses.insert([10, 45, high, low].into(), station);
            wanted.addresses.insert(format!("fd44::45:{number:x}").parse().unwrap(), station);
            wanted.nodes.insert(node.into());
        }
        assert_eq!(nodes[0].resync(&wanted), 30_100);
        assert_eq!(nodes[0].resync(&wanted), 0);
        let (one, other) = (Mac([0x0a, 0x58, 10, 45, 0, 7]), [10, 0, 0, 50].into());
        let change = vec![PeerChange::Station(one, other)];
        nodes[0].on(move || KERNEL.change_peers(&segment(), &change)).unwrap();
        wanted.stations.insert(one, other);
        assert_eq!(nodes[0].resync(&wanted), 0);
        assert_eq!(nodes[0].resync(&wharfinger_kernel::Peers::default()), 30_100);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_vxlan_with_other_attributes_is_refused_and_drift_is_named() {
    on_host(|| {
        let nodes = nodes(1);
        let node = &nodes[0];
        let plan = on_overlay(1, vxlan("10.0.0.1", None, 1450));
        let container = node.attach(plan.clone());
        let drifts = |container: &Container| -> Vec<String> {
            let (plan, netns) = (plan.clone(), container.netns());
            let drifts = node.on(move || KERNEL.verify(&plan, &netns)).unwrap();
            drifts.iter().map(|it| format!("{} {}", it.object, it.found)).collect()
        };
        assert_eq!(drifts(&container), Vec::<String>::new());
        node.sh("ip link set wh-vx4096 type vxlan learning");
        node.sh("bridge link set dev wh-vx4096 learning on neigh_suppress off");
        assert_eq!(
            drifts(&container),
            [
                "link wh-vx4096 learning is on, not off",
                "link wh-vx4096 learning on wh-br4096 is true, not false",
                "link wh-vx4096 neigh_suppress on wh-br4096 is false, not true",
            ]
        );
        node.sh("ip link del wh-vx4096");
        assert_eq!(drifts(&container), ["link wh-vx4096 is missing"]);
        let (other, second) = (Container::new(), on_overlay(2, vxlan("10.0.0.1", None, 1450)));
        // Somebody else has the number.
        node.sh("ip link add theirs type vxlan id 4096 local 10.0.0.1 dstport 4789 nolearning");
        let (netns, refused) = (other.netns(), second.clone());
        let error = node.on(move || KERNEL.apply(&refused, &netns)).unwrap_err().to_string();
        let why = "step 2: add link wh-vx4096: another VXLAN of this machine has number 4096 on port 4789";
        assert!(error.starts_with(why), "{error}");
        node.sh("ip link del theirs");
        node.sh("ip link add wh-vx4096 mtu 1450 type vxlan id 4096 local 10.0.0.9 dstport 8472 nolearning");
        let netns = other.netns();
        let error = node.on(move || KERNEL.apply(&second, &netns)).unwrap_err().to_string();
        assert_eq!(error, "step 2: link wh-vx4096: local is 10.0.0.9, not 10.0.0.1");
        assert!(other.run("ip -br link").lines().count() == 1, "nothing is left");
        // A namespace that ends leaves bridge and VXLAN, which are the network's.
        let plan = plan.clone();
        let netns = container.netns();
        assert!(node.on(move || KERNEL.undo(&plan, Some(&netns))).is_empty());
        let left = node.sh("ip -br link");
        assert!(left.contains("wh-br4096") && left.contains("wh-vx4096"), "{left}");
        assert!(!left.contains("veth1@"), "{left}");
    });
}
