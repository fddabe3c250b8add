//! An encrypted network across the machines of a cluster: the agents make the keys, and change them
//! while there is traffic; who has no agent has no part in it.
#![allow(clippy::panic, reason = "a failed expectation is a failed test")]

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use wharfinger_etcd_server::Setup;
use wharfinger_suite::{Agent, Attached, Cluster, World, assert_all_reach, eventually};

fn conf(world: &World) -> Value {
    let ipam = world.ipam(&["10.44.0.0/16", "fd44::/64"]);
    world.conf("overlay", &json!({ "underlay": "eth0", "encrypt": true, "ipam": ipam }))
}

fn start(words: &[&str]) -> Child {
    let mut command = Command::new("ip");
    match command.args(["netns", "exec"]).args(words).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => panic!("{words:?}: {error}"),
    }
}

fn end(child: Child) -> String {
    match child.wait_with_output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => panic!("{error}"),
    }
}

/// What a machine's underlay carries in the next seconds: (encrypted, by the port in clear).
fn seen(world: &World, seconds: &str) -> Child {
    const COUNT: &str = r"
import socket, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(('eth0', 0)); s.settimeout(0.2)
end, seen = time.monotonic() + float(sys.argv[1]), [0, 0]
while time.monotonic() < end:
    try: frame = s.recv(65535)
    except TimeoutError: continue
    if frame[12:14] == b'\x08\x00':
        seen[0] += frame[23] == 50
        seen[1] += frame[23] == 17 and frame[36:38] == (4790).to_bytes(2, 'big')
print(*seen)
";
    start(&[world.host.name(), "/usr/bin/python3", "-c", COUNT, seconds])
}

/// The newest epoch of keys.
fn epoch(cluster: &Cluster) -> u64 {
    let keys = cluster.book("overlay/keys");
    let number = |keys: &Value| keys.get("epochs")?.get(2)?.get("number")?.as_u64();
    keys.first().and_then(|(_, keys)| number(keys)).unwrap_or_default()
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn machines_speak_encrypted_and_keys_change_under_traffic() {
    assert!(std::env::var_os("IN_LAB").is_some(), "run me in the lab");
    let mut cluster = Cluster::with(3, 1, "", Setup::default(), "rekey = 10");
    let [first, second, third] = &cluster.nodes[..] else { panic!("three machines") };
    let mut agents: Vec<Agent> = [first, second].into_iter().map(Agent::start).collect();
    let all: Vec<Attached<'_>> = cluster.nodes.iter().map(|it| it.attach(&conf(it))).collect();
    let [a, b, c] = &all[..] else { panic!("three containers") };
    assert_all_reach(&[a, b]);
    // Who has no agent has no keys, and gets nothing.
    assert!(a.container.ns.is_cut_off_from(&c.v4()) && c.container.ns.is_cut_off_from(&a.v4()));
    agents.push(Agent::start(third));
    assert_all_reach(&[a, b, c]);
    all.iter().for_each(Attached::check);

    // An agent is killed, and is there again; keys change: nothing is lost, and nothing in clear.
    let (before, underlay) = (epoch(&cluster), seen(first, "25"));
    let ping = [a.container.ns.name(), "ping", "-n", "-i", "0.1", "-c", "250", &b.v4()];
    let traffic = start(&ping);
    agents.remove(0);
    agents.insert(0, Agent::start(first));
    let said = end(traffic);
    assert!(said.contains(" 0% packet loss"), "{said}");
    let counts = end(underlay);
    let (encrypted, clear) = counts.trim().split_once(' ').unwrap_or_default();
    assert!(encrypted.parse().is_ok_and(|count: u32| count > 100) && clear == "0", "{counts}");
    assert!(epoch(&cluster) > before, "keys were not changed");
    for node in &cluster.nodes {
        let told = node.host.ip("xfrm state count");
        assert!(told.contains("SAD count"), "{told}");
        // With two others: three epochs are taken, one is sent with.
        eventually("no more associations than needed", || {
            node.host.ip("xfrm state").matches("proto esp").count() == 8
        });
    }
    // Somebody throws them away: they are made anew, and never with a key that was used.
    let spis = |world: &World| world.host.ip("xfrm state list src 172.31.1.2");
    let before = spis(second);
    second.host.ip("xfrm state flush");
    agents.remove(1);
    agents.insert(1, Agent::start(second));
    assert_all_reach(&[a, b, c]);
    let spi = |text: &str| -> Vec<String> {
        let words =
            text.split_whitespace().filter(|word| word.starts_with("0x") && word.len() == 10);
        words.map(str::to_owned).collect()
    };
    let now = spi(&spis(second));
    assert!(spi(&before).iter().all(|old| !now.contains(old)), "{before} {now:?}");
    drop(agents);
    drop(all);
    cluster.nodes.clear();
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn a_machine_that_was_started_again_speaks_with_keys_that_it_never_had() {
    assert!(std::env::var_os("IN_LAB").is_some(), "run me in the lab");
    let mut cluster = Cluster::new(2, 1, "");
    let incarnation = |cluster: &Cluster| {
        let said = cluster.book("overlay/node/node-1");
        said.first().and_then(|(_, it)| Some(it.get("incarnation")?.as_str()?.to_owned()))
    };
    let agents = [0, 1].map(|at: usize| cluster.nodes.get(at).map(Agent::start));
    {
        let [first, second] = &cluster.nodes[..] else { panic!("two machines") };
        let (a, mut b) = (first.attach(&conf(first)), second.attach(&conf(second)));
        assert_all_reach(&[&a, &b]);
        a.del();
        b.dies();
    }
    let before = incarnation(&cluster);
    let [agent, old] = agents;
    drop(old);
    if let Some(second) = cluster.nodes.get_mut(1) {
        second.reboot();
        second.host.ip("link set lo up");
    }
    cluster.segment.plug_again(&cluster.nodes[1], 1);
    let [first, second] = &cluster.nodes[..] else { panic!("two machines") };
    let _agents = (agent, Agent::start(second));
    let (a, b) = (first.attach(&conf(first)), second.attach(&conf(second)));
    assert_all_reach(&[&a, &b]);
    let now = incarnation(&cluster);
    assert!(before.is_some() && now.is_some() && before != now, "{before:?} {now:?}");
}
