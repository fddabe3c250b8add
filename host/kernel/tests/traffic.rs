//! Rates against the real kernel, with real traffic: what is held, what is spared, what is left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::process::{Command, Stdio};

use common::{Container, KERNEL, address, eth0, link, on_host, run, veth};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{
    Action, Link, LinkKind, LinkRef, PeerIs, Plan, Redirect, Shape, Sparing, Step,
};

/// Bytes a second: 32 Mbit/s.
const RATE: u64 = 4_000_000;
/// What is sent to measure: a second's worth.
const SENT: usize = 4_000_000;

const RECEIVE: &str = "
import socket, sys, time
server = socket.create_server((sys.argv[1], 5001), family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
print('ready', flush=True)
peer = server.accept()[0]
began = None
got = 0
while True:
    data = peer.recv(65536)
    if not data: break
    if began is None: began = time.monotonic()
    else: got += len(data)
print(int(got / max(time.monotonic() - began, 1e-9)))
";
const SEND: &str = "
import socket, sys
socket.create_connection((sys.argv[1], 5001), timeout=20).sendall(bytes(int(sys.argv[2])))
";

fn python(container: Option<&Container>, script: &str, args: &[&str]) -> Command {
    let mut command = match container {
        Some(inside) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net={}", inside.path.display())).arg("/usr/bin/python3");
            command
        }
        None => Command::new("/usr/bin/python3"),
    };
    command.arg("-c").arg(script).args(args).stdout(Stdio::piped());
    command
}

/// Bytes a second that come through to `to`, where `receiver` is.
fn measured(receiver: Option<&Container>, sender: Option<&Container>, to: &str) -> u64 {
    let mut receiving = python(receiver, RECEIVE, &[to]).spawn().unwrap();
    let mut told = std::io::BufReader::new(receiving.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    assert_eq!(line.trim(), "ready");
    let sent = python(sender, SEND, &[to, &SENT.to_string()]).status().unwrap();
    assert!(sent.success());
    line.clear();
    std::io::BufRead::read_line(&mut told, &mut line).unwrap();
    receiving.wait().unwrap();
    line.trim().parse().unwrap()
}

fn assert_held(rate: u64) {
    assert!((RATE * 65 / 100..=RATE * 135 / 100).contains(&rate), "{rate} of {RATE}");
}

fn assert_free(rate: u64) {
    assert!(rate > RATE * 4, "{rate} is not free of {RATE}");
}

/// A container by a veth, its own addresses and the host's.
fn wired(number: u8) -> Plan {
    let host = LinkRef::host(format!("veth{number}"));
    let inside = [format!("10.9.{number}.2/24"), format!("fd09:{number}::2/64")];
    let outside = [format!("10.9.{number}.1/24"), format!("fd09:{number}::1/64")];
    let mut steps = vec![Step::owned(Action::Link(veth(&host.name, None)))];
    steps.extend(outside.map(|it| Step::owned(Action::Address(address(host.clone(), &it)))));
    steps.extend(inside.map(|it| Step::owned(Action::Address(address(eth0(), &it)))));
    steps.push(Step::owned(Action::Up { link: eth0() }));
    Plan::new(steps)
}

fn shape(link: LinkRef, sparing: Sparing) -> Step {
    let burst = 64 * 1024;
    let limit = u32::try_from(RATE / 40).unwrap() + burst;
    Step::owned(Action::Shape(Shape { link, rate: RATE, burst, limit, sparing }))
}

fn ifb(at: LinkRef) -> Step {
    let alias = Some("wharfinger:pods:c:eth0".to_owned());
    Step::owned(Action::Link(Link { alias, mtu: Some(1500), ..link(at, LinkKind::Ifb) }))
}

/// Both ways, on the host's end.
fn both_ways(host: &LinkRef, towards: Sparing, from: Sparing) -> Vec<Step> {
    let to = LinkRef::host("bwp0123456789ab");
    let redirect = Redirect { link: host.clone(), to: to.name.clone(), sparing: from };
    vec![
        shape(host.clone(), towards),
        ifb(to.clone()),
        shape(to, Sparing::default()),
        Step::owned(Action::Redirect(redirect)),
    ]
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f9_both_ways_are_held_to_the_rate_and_no_other_link_is() {
    on_host(|| {
        let (held, other) = (Container::new(), Container::new());
        KERNEL.apply(&wired(1), &held.netns()).unwrap();
        KERNEL.apply(&wired(2), &other.netns()).unwrap();
        assert_free(measured(Some(&held), None, "10.9.1.2"));
        let none = Sparing::default;
        let plan = Plan::new(both_ways(&LinkRef::host("veth1"), none(), none()));
        KERNEL.apply(&plan, &held.netns()).unwrap();
        assert_eq!(KERNEL.verify(&plan, &held.netns()).unwrap(), []);
        for (towards, from) in [("10.9.1.2", "10.9.1.1"), ("fd09:1::2", "fd09:1::1")] {
            assert_held(measured(Some(&held), None, towards));
            assert_held(measured(None, Some(&held), from));
        }
        assert_free(measured(Some(&other), None, "10.9.2.2"));
        assert_free(measured(None, Some(&other), "10.9.2.1"));
    });
}

/// What the reference plugin fails at: a repeated ADD, and a DEL that leaves the veth.
#[test]
#[ignore = "needs root: ring netns"]
fn again_is_fine_and_undone_leaves_nothing_on_a_veth_that_stays() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&wired(1), &netns).unwrap();
        let before = run("tc qdisc show");
        let none = Sparing::default;
        let host = LinkRef::host("veth1");
        let plan = Plan::new(both_ways(&host, none(), none()));
        for _ in 0..2 {
            KERNEL.apply(&plan, &netns).unwrap();
        }
        let shown = run("tc qdisc show dev veth1");
        assert!(shown.contains("qdisc tbf 1: root"), "{shown}");
        assert!(shown.contains("rate 32Mbit burst 64Kb"), "{shown}");
        assert!(shown.contains("qdisc ingress ffff:"), "{shown}");
        // Another rate, and some spared: what was there is replaced.
        let towards =
            Sparing { peer: PeerIs::Source, unshaped: networks(&["10.0.0.0/9"]), ..none() };
        let other = Plan::new(both_ways(&host, towards, none()));
        KERNEL.apply(&other, &netns).unwrap();
        assert_eq!(KERNEL.verify(&other, &netns).unwrap(), []);
        assert!(!KERNEL.verify(&plan, &netns).unwrap().is_empty());
        for _ in 0..2 {
            assert!(KERNEL.undo(&other, Some(&netns)).is_empty());
            assert_eq!(run("tc qdisc show"), before);
        }
        assert_free(measured(Some(&container), None, "10.9.1.2"));
        // With the container gone, and without a namespace at hand, there is nothing to undo.
        KERNEL.apply(&plan, &netns).unwrap();
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert_eq!(run("tc qdisc show"), before);
    });
}

fn networks(texts: &[&str]) -> Vec<ipnet::IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_is_spared_goes_free() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&wired(1), &netns).unwrap();
        run("ip addr add 10.8.0.1/32 dev veth1");
        run("ip addr add fd08::1/128 dev veth1");
        container.run("ip route add 10.8.0.0/24 dev eth0");
        container.run("ip route add fd08::/64 dev eth0");
        let host = LinkRef::host("veth1");
        let free = networks(&["10.8.0.0/24", "fd08::/64"]);
        let spare = |peer| Sparing { peer, unshaped: free.clone(), shaped: Vec::new() };
        let plan = both_ways(&host, spare(PeerIs::Source), spare(PeerIs::Destination));
        let plan = Plan::new(plan);
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        for (held, free) in [("10.9.1.1", "10.8.0.1"), ("fd09:1::1", "fd08::1")] {
            assert_held(measured(None, Some(&container), held));
            assert_free(measured(None, Some(&container), free));
        }
        assert_held(measured(Some(&container), None, "10.9.1.2"));
        // Where those that are held are named, all else goes free.
        let held = networks(&["10.9.1.1/32"]);
        let only = |peer| Sparing { peer, unshaped: Vec::new(), shaped: held.clone() };
        let plan = both_ways(&host, only(PeerIs::Source), only(PeerIs::Destination));
        let plan = Plan::new(plan);
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert_held(measured(None, Some(&container), "10.9.1.1"));
        assert_held(measured(Some(&container), None, "10.9.1.2"));
        assert_free(measured(None, Some(&container), "fd09:1::1"));
        assert_free(measured(Some(&container), None, "fd09:1::2"));
    });
}

/// Defect 25 of the reference: there is no end on the host, so the container's own is shaped.
#[test]
#[ignore = "needs root: ring netns"]
fn a_macvlan_is_held_in_the_container() {
    on_host(|| {
        run("ip link add lower type veth peer name upper");
        run("ip addr add 10.9.1.1/24 dev upper");
        run("ip link set upper up; ip link set lower up");
        let container = Container::new();
        let netns = container.path.display().to_string();
        run("ip link add link lower name mv0 type macvlan mode bridge");
        // The namespace is known by a thread of this process.
        let pid = netns.split('/').nth(4).unwrap();
        run(&format!("ip link set mv0 netns {pid}"));
        container.run("ip link set mv0 name eth0");
        container.run("ip addr add 10.9.1.2/24 dev eth0");
        container.run("ip link set eth0 up");
        let to = LinkRef::container("bwp0123456789ab");
        let sparing = Sparing::default;
        let redirect = Redirect { link: eth0(), to: to.name.clone(), sparing: sparing() };
        let plan = Plan::new(vec![
            shape(eth0(), sparing()),
            ifb(to.clone()),
            shape(to, sparing()),
            Step::owned(Action::Redirect(redirect)),
        ]);
        let netns = container.netns();
        assert_free(measured(Some(&container), None, "10.9.1.2"));
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert_held(measured(Some(&container), None, "10.9.1.2"));
        assert_held(measured(None, Some(&container), "10.9.1.1"));
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert_free(measured(Some(&container), None, "10.9.1.2"));
        assert!(!container.run("ip link").contains("bwp"));
    });
}

/// In one plan with the veth, both go in one go, and nothing else goes with them.
#[test]
#[ignore = "needs root: ring netns"]
fn a_whole_attachment_goes_and_no_other() {
    on_host(|| {
        let (one, two) = (Container::new(), Container::new());
        let before = run("ip -o link");
        let shaped = |number: u8| {
            let mut plan = wired(number);
            let none = Sparing::default;
            let host = LinkRef::host(format!("veth{number}"));
            plan.steps.extend(renamed(&both_ways(&host, none(), none()), number));
            plan
        };
        KERNEL.apply(&shaped(1), &one.netns()).unwrap();
        KERNEL.apply(&shaped(2), &two.netns()).unwrap();
        for _ in 0..2 {
            assert!(KERNEL.undo(&shaped(1), Some(&one.netns())).is_empty());
            let shown = run("ip -o link");
            assert!(!shown.contains("veth1") && !shown.contains("bwp0000000001"), "{shown}");
            assert_eq!(KERNEL.verify(&shaped(2), &two.netns()).unwrap(), []);
        }
        // Of two, one is gone already, and one is another's.
        run("ip link del bwp0000000002");
        assert!(KERNEL.undo(&shaped(2), None).is_empty());
        assert_eq!(run("ip -o link"), before);
        KERNEL.apply(&shaped(1), &one.netns()).unwrap();
        run("ip link set bwp0000000001 alias other");
        assert!(KERNEL.undo(&shaped(1), None).is_empty());
        assert!(run("ip -o link").contains("bwp0000000001"));
    });
}

/// The same steps with a redirection of another name.
fn renamed(steps: &[Step], number: u8) -> Vec<Step> {
    let name = format!("bwp000000000{number}");
    let named = |action: &Action| match action.clone() {
        Action::Link(link) => Action::Link(Link { link: LinkRef::host(&name), ..link }),
        Action::Shape(shape) if shape.link.name.starts_with("bwp") => {
            Action::Shape(Shape { link: LinkRef::host(&name), ..shape })
        }
        Action::Redirect(redirect) => Action::Redirect(Redirect { to: name.clone(), ..redirect }),
        other => other,
    };
    steps.iter().map(|step| Step::owned(named(&step.action))).collect()
}

/// A burst that the kernel's 32 bits of ticks cannot say: what the CRI sends where only a rate
/// was asked for.
#[test]
#[ignore = "needs root: ring netns"]
fn the_largest_burst_is_taken_and_a_shaper_of_others_is_named() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&wired(1), &netns).unwrap();
        let burst = u32::MAX / 8;
        let limit = burst + 3125;
        let wanted = Shape {
            link: LinkRef::host("veth1"),
            rate: 125_000,
            burst,
            limit,
            sparing: Sparing::default(),
        };
        let plan = Plan::new(vec![Step::owned(Action::Shape(wanted))]);
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        run("tc qdisc replace dev veth1 root handle 1: tbf rate 2mbit burst 64kb limit 70kb");
        let drifts = KERNEL.verify(&plan, &netns).unwrap();
        assert_eq!(drifts[0].found, "rate is 250000 bytes a second, not 125000");
        run("tc qdisc del dev veth1 root");
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap()[0].found, "is missing");
        run("tc qdisc add dev veth1 root handle 8: pfifo limit 7");
        let error = KERNEL.apply(&plan, &netns).unwrap_err().to_string();
        assert!(error.contains("qdisc of link veth1: kind is pfifo, not tbf"), "{error}");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(run("tc qdisc show dev veth1").contains("pfifo 8:"));
    });
}
