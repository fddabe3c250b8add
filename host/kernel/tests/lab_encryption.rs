//! Segments whose nodes speak encrypted: nothing passes in clear, with keys or without.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::net::IpAddr;
use std::process::{Command, Stdio};

use common::nodes::{Capture, Node, nodes, on_overlay, peers, vxlan};
use common::{Container, KERNEL, ask, on_host, serve};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{Action, Association, Encryption, KEY, Key, LinkKind, Plan, Step, Way};

const PORT: u16 = 4790;
/// Of the overlay, where the underlay carries 1500: see the driver.
const MTU: [u32; 2] = [1413, 1393];

fn in_lab(test: impl FnOnce() + Send + 'static) {
    assert!(std::env::var_os("IN_LAB").is_some(), "run me in the lab");
    on_host(test);
}

fn encryption(node: &Node, v6: bool) -> Encryption {
    Encryption { local: node.underlay(v6).parse().unwrap(), port: PORT }
}

/// The node's attachment, encrypted.
fn plan(node: &Node, v6: bool) -> Plan {
    let mut vxlan = vxlan(&node.underlay(v6), None, MTU[usize::from(v6)]);
    let LinkKind::Vxlan(kind) = &mut vxlan.kind else { panic!("a VXLAN") };
    kind.port = PORT;
    let mut plan = on_overlay(node.number, vxlan);
    plan.steps.insert(0, Step::shared(Action::Encryption(encryption(node, v6))));
    plan
}

fn attach(nodes: &[Node], v6: bool) -> Vec<Container> {
    let all: Vec<_> = nodes.iter().map(|node| (node.number, node.underlay(v6))).collect();
    let attached = nodes.iter().map(|node| {
        let container = node.attach(plan(node, v6));
        let others = all.iter().filter(|(number, _)| *number != node.number);
        node.resync(&peers(others.map(|(number, node)| (*number, node.as_str()))));
        container
    });
    attached.collect()
}

/// From one node to another, of an epoch.
fn association(from: &Node, to: &Node, v6: bool, epoch: u8) -> Association {
    let address = |node: &Node| node.underlay(v6).parse::<IpAddr>().unwrap();
    let spi = u32::from_be_bytes([1, epoch, from.number, to.number]);
    let way = Way { from: address(from), to: address(to), port: PORT, spi };
    let mut key = [epoch; KEY];
    [key[0], key[1]] = [from.number, to.number];
    Association { way, key: Key(key) }
}

fn put(node: &Node, association: &Association) {
    let association = association.clone();
    node.on(move || KERNEL.add_association(&association)).unwrap();
}

fn take(node: &Node, association: &Association) {
    let way = association.way;
    node.on(move || KERNEL.remove_way(&way)).unwrap();
}

/// What each sends to each other is known to both.
fn give_keys(nodes: &[Node], v6: bool, epoch: u8) {
    for from in nodes {
        for to in nodes.iter().filter(|to| to.number != from.number) {
            let association = association(from, to, v6, epoch);
            put(to, &association);
            put(from, &association);
        }
    }
}

/// Frames of the underlay: those of ESP, and those of the port in clear.
fn sorted(frames: &[String], v6: bool) -> (usize, usize) {
    let (kind, protocol) = if v6 { ("86dd", 40..42) } else { ("0800", 46..48) };
    let of = |number: &str| {
        let is =
            |it: &&String| it.get(24..28) == Some(kind) && it.get(protocol.clone()) == Some(number);
        frames.iter().filter(is).count()
    };
    (of("32"), of("11"))
}

/// Without keys.
fn assert_nothing_passes(nodes: &[Node], containers: &[Container], v6: bool) {
    let (capture, taken) = (Capture::of(&nodes[1], "ens3"), Capture::of(&nodes[1], "wh-vx4096"));
    // Nobody gave keys: nothing leaves, as the capture tells in the end.
    assert!(!containers[0].reaches("10.44.0.2"));
    // What comes in clear is not taken: from a node that has no policy.
    nodes[2].sh("ip xfrm policy flush");
    assert!(!containers[2].reaches("10.44.0.2"));
    let clear = sorted(&capture.end(), v6);
    assert!(clear.0 == 0 && clear.1 > 0, "{clear:?}");
    let third = "0a580a2c0003";
    let taken = taken.end().into_iter().filter(|frame| frame.get(12..24) == Some(third));
    assert_eq!(taken.count(), 0);
    let plan_of_third = plan(&nodes[2], v6);
    let netns = containers[2].netns();
    let drifts = nodes[2].on(move || KERNEL.verify(&plan_of_third, &netns)).unwrap();
    assert_eq!(drifts.len(), 2, "{drifts:?}");
    let ensured = Plan::new(vec![Step::shared(Action::Encryption(encryption(&nodes[2], v6)))]);
    let netns = containers[2].netns();
    nodes[2].on(move || KERNEL.apply(&ensured, &netns).map(|_| ())).unwrap();
}

/// With keys.
fn assert_all_is_encrypted(nodes: &[Node], containers: &[Container], v6: bool) {
    give_keys(nodes, v6, 1);
    let capture = Capture::of(&nodes[1], "ens3");
    for (number, container) in (1..).zip(containers) {
        for other in (1..=3).filter(|other| *other != number) {
            for address in [format!("10.44.0.{other}"), format!("fd44::{other}")] {
                assert!(container.reaches(&address), "{number} to {address}");
            }
        }
    }
    for (of, kind) in [(false, "tcp"), (true, "tcp")] {
        let _server = serve(Some(&containers[1]), of, kind, 7000);
        let (to, from) = if of { ("fd44::2", "fd44::1") } else { ("10.44.0.2", "10.44.0.1") };
        assert_eq!(ask(Some(&containers[0]), kind, to, 7000), from);
    }
    let payload = MTU[usize::from(v6)] - 28;
    let netns = containers[0].path.display();
    let ping = format!(
        "nsenter --net={netns} ping -M do -c2 -i0.2 -W1 -p 77686172 -s {payload} 10.44.0.2"
    );
    assert!(common::try_run(&ping).0, "full size");
    let frames = capture.end();
    assert!(frames.iter().all(|frame| !frame.contains("7768617277686172")), "the payload is seen");
    let (esp, clear) = sorted(&frames, v6);
    assert!(esp > 20 && clear == 0, "{esp} encrypted, {clear} in clear");
    let ways = nodes[0].on(|| KERNEL.ways()).unwrap();
    assert_eq!(ways.len(), 4, "{ways:?}");
    let encrypted = nodes[0].on(|| KERNEL.encryptions()).unwrap();
    assert_eq!(encrypted, [encryption(&nodes[0], v6)]);
}

fn reach(v6: bool) {
    let nodes = nodes(3);
    let containers = attach(&nodes, v6);
    assert_nothing_passes(&nodes, &containers, v6);
    assert_all_is_encrypted(&nodes, &containers, v6);
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn without_keys_nothing_passes_and_with_them_nothing_in_clear() {
    in_lab(|| reach(false));
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn without_keys_nothing_passes_and_with_them_nothing_in_clear_on_ipv6() {
    in_lab(|| reach(true));
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn keys_are_changed_under_traffic_and_no_packet_is_lost() {
    in_lab(|| {
        let nodes = nodes(2);
        let containers = attach(&nodes, false);
        give_keys(&nodes, false, 1);
        assert!(containers[0].reaches("10.44.0.2"));
        let netns = format!("--net={}", containers[0].path.display());
        let ping = ["ping", "-n", "-i", "0.02", "-c", "200", "10.44.0.2"];
        let traffic =
            Command::new("nsenter").arg(netns).args(ping).stdout(Stdio::piped()).spawn().unwrap();
        for epoch in 2..8 {
            let [one, two] = &nodes[..] else { panic!("two nodes") };
            for (from, to) in [(one, two), (two, one)] {
                put(to, &association(from, to, false, epoch));
                put(from, &association(from, to, false, epoch));
                take(from, &association(from, to, false, epoch - 1));
                std::thread::sleep(std::time::Duration::from_millis(100));
                take(to, &association(from, to, false, epoch - 1));
            }
        }
        let output = traffic.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(" 0% packet loss"), "{said}");
        assert_eq!(nodes[0].on(|| KERNEL.ways()).unwrap().len(), 2);
    });
}
