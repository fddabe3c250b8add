//! Who reaches whom: isolation, guards against forged sources, and rules, with real packets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::{
    Container, KERNEL, Server, ask, ask_by, attachment, forward, guard, host_port, isolation, key,
    leftovers, on_host, port_map, rules, run, serve, with, world,
};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{
    Action, Allow, Forward, Guard, IngressPolicy, Isolation, Link, Plan, Ports, Protocol, Step,
};

/// The same plan on another bridge, in 10.2.0.0/16 and fd00:2::/64.
fn on_second(mut plan: Plan) -> Plan {
    for step in &mut plan.steps {
        match &mut step.action {
            Action::Link(link) => {
                rename(&mut link.link.name);
                if let Some(port) = &mut link.port {
                    rename(&mut port.bridge);
                }
            }
            Action::Address(address) => {
                rename(&mut address.link.name);
                address.address = moved(&address.address.to_string()).parse().unwrap();
            }
            Action::Route(route) => {
                route.gateway = route.gateway.map(|it| moved(&it.to_string()).parse().unwrap());
            }
            Action::Masquerade(it) => {
                it.address = moved(&it.address.to_string()).parse().unwrap();
                it.network = moved(&it.network.to_string()).parse().unwrap();
            }
            _ => {}
        }
    }
    plan
}

fn rename(name: &mut String) {
    if name == "cni0" {
        "cni1".clone_into(name);
    }
}

fn moved(text: &str) -> String {
    text.replacen("10.1.", "10.2.", 1).replacen("fd00:1:", "fd00:2:", 1)
}

/// Two containers on each of two bridges: 5 and 6, 7 and 8, with what is wanted of each.
fn four(filter: impl Fn(u16) -> Vec<Action>) -> (Vec<Container>, Vec<Plan>) {
    run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let containers: Vec<Container> = (5..9).map(|_| Container::new()).collect();
    for container in &containers {
        container.run("ip link set lo up");
    }
    let plans: Vec<Plan> = (5..9)
        .map(|number| {
            let mut plan = attachment(number);
            if number > 6 {
                plan = on_second(plan);
            }
            plan.steps.retain(|step| !matches!(step.action, Action::Masquerade(_)));
            plan.steps.extend(filter(number).into_iter().map(Step::owned));
            plan
        })
        .collect();
    for (plan, container) in plans.iter().zip(&containers) {
        KERNEL.apply(plan, &container.netns()).unwrap();
        assert_eq!(KERNEL.verify(plan, &container.netns()).unwrap(), []);
    }
    (containers, plans)
}

const ADDRESSES: [&str; 4] = ["10.1.0.5", "10.1.0.6", "10.2.0.7", "10.2.0.8"];
const ADDRESSES6: [&str; 4] = ["fd00:1::5", "fd00:1::6", "fd00:2::7", "fd00:2::8"];

/// Who reaches whom by TCP: a row for each asker.
fn matrix(containers: &[Container], v6: bool) -> Vec<String> {
    let _servers: Vec<Server> =
        containers.iter().map(|it| serve(Some(it), v6, "tcp", 80)).collect();
    let addresses = if v6 { ADDRESSES6 } else { ADDRESSES };
    let row = |asker: &Container| {
        let one = |address: &&str| ask(Some(asker), "tcp", address, 80) != "nothing";
        addresses.iter().map(|it| if one(it) { '1' } else { '.' }).collect()
    };
    std::thread::scope(|scope| {
        let rows: Vec<_> = containers.iter().map(|it| scope.spawn(move || row(it))).collect();
        rows.into_iter().map(|row| row.join().unwrap()).collect()
    })
}

fn isolated(number: u16, policy: IngressPolicy) -> Action {
    let at = usize::from(number - 5);
    let addresses = [ADDRESSES[at], ADDRESSES6[at]];
    let bridge = if number > 6 { "cni1" } else { "cni0" };
    Action::Isolation(isolation(number, bridge, policy, &addresses))
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f5_bridges_and_neighbours_are_isolated_as_asked_for() {
    use IngressPolicy::{Isolated, SameBridge};
    on_host(|| {
        // (policy of 5, 6, 7, 8), who reaches whom.
        let cases: [([Option<IngressPolicy>; 4], [&str; 4]); 4] = [
            ([None; 4], ["1111", "1111", "1111", "1111"]),
            ([Some(SameBridge); 4], ["11..", "11..", "..11", "..11"]),
            ([Some(Isolated); 4], ["1...", ".1..", "..1.", "...1"]),
            // The second bridge is open: it reaches the first, and is reached.
            ([Some(SameBridge), Some(Isolated), None, None], ["1.11", ".111", "1111", "1111"]),
        ];
        for shown in [0, 1] {
            run(&format!("sysctl -qw net.bridge.bridge-nf-call-iptables={shown}"));
            for (policies, want) in cases {
                let policy = |number: u16| policies[usize::from(number - 5)];
                let (containers, plans) = four(|number| {
                    policy(number).map(|it| isolated(number, it)).into_iter().collect()
                });
                // Of a neighbour that may not be reached there are no answers either.
                let found = matrix(&containers, false);
                assert_eq!(found, want, "{policies:?}, frames shown: {shown}");
                for (plan, container) in plans.iter().zip(&containers) {
                    assert!(KERNEL.undo(plan, Some(&container.netns())).is_empty());
                }
                assert_eq!(leftovers(), "");
                let tables = run("nft list ruleset");
                assert!(!tables.contains("cni0") && !tables.contains("elements"), "{tables}");
            }
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn an_isolation_holds_for_ipv6_and_follows_a_change_of_policy() {
    use IngressPolicy::{Isolated, SameBridge};
    on_host(|| {
        let (containers, plans) = four(|number| vec![isolated(number, Isolated)]);
        assert_eq!(matrix(&containers, true), ["1...", ".1..", "..1.", "...1"]);
        // One after the other is made anew with another policy: nothing of the first stays.
        for (plan, container) in plans.iter().zip(&containers) {
            let netns = container.netns();
            let is = |step: &&Step| matches!(step.action, Action::Isolation(_));
            let only = |plan: &Plan| Plan::new(plan.steps.iter().filter(is).cloned().collect());
            let mut plan = only(plan);
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            if let Action::Isolation(Isolation { policy, .. }) = &mut plan.steps[0].action {
                *policy = SameBridge;
            }
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        }
        assert_eq!(matrix(&containers, true), ["11..", "11..", "..11", "..11"]);
        assert_eq!(matrix(&containers, false), ["11..", "11..", "..11", "..11"]);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_administrators_chain_comes_first_and_is_never_touched() {
    on_host(|| {
        let forward = |number: u16, admin: Option<&str>| {
            let at = usize::from(number - 5);
            Action::Forward(Forward {
                admin_chain: admin.map(str::to_owned),
                ..common::forward(&[ADDRESSES[at]], &key(number))
            })
        };
        let (containers, plans) =
            four(|number| vec![forward(number, (number == 5).then_some("egress-policy"))]);
        run("nft add rule inet wharfinger CNI-ADMIN ip daddr 10.1.0.6 drop");
        run("nft 'add set inet wharfinger far { type ipv4_addr; elements = { 10.2.0.8 }; }'");
        run("nft add rule inet wharfinger egress-policy ip saddr @far drop");
        assert_eq!(matrix(&containers, false), ["1.1.", ".1..", "1.11", "..11"]);
        let actions: Vec<Action> =
            plans.iter().flat_map(|plan| &plan.steps).map(|step| step.action.clone()).collect();
        KERNEL.reload(&actions).unwrap();
        assert_eq!(matrix(&containers, false), ["1.1.", ".1..", "1.11", "..11"]);
        for (plan, container) in plans.iter().zip(&containers) {
            assert_eq!(KERNEL.verify(plan, &container.netns()).unwrap(), []);
            assert!(KERNEL.undo(plan, Some(&container.netns())).is_empty());
        }
        KERNEL.reload(&[]).unwrap();
        for chain in ["CNI-ADMIN", "egress-policy"] {
            let rules = run(&format!("nft list chain inet wharfinger {chain}"));
            assert!(rules.contains("drop"), "{rules}");
        }
        assert!(run("nft list set inet wharfinger far").contains("10.2.0.8"));
    });
}

/// Sends a packet of UDP from a forged source; tells whether it arrived at 10.1.0.6 or fd00:1::6.
const FORGE: &str = r"
import socket, sys
frame = bytes.fromhex(sys.argv[1])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
s.send(frame)
";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|it| format!("{it:02x}")).collect::<Vec<_>>().concat()
}

/// A frame of UDP to 10.1.0.6 from these addresses.
fn frame(from_mac: &str, to_mac: &str, source: [u8; 4]) -> String {
    let mut ip: Vec<u8> = vec![0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend(source);
    ip.extend([10, 1, 0, 6]);
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = !((sum & 0xffff) + (sum >> 16)) & 0xffff;
    ip[10] = u8::try_from(folded >> 8).unwrap();
    ip[11] = u8::try_from(folded & 0xff).unwrap();
    let mac = |mac: &str| mac.replace(':', "");
    format!("{}{}0800{}0fa00fa0000900007b", mac(to_mac), mac(from_mac), hex(&ip))
}

/// ARP: "I am `source` at `sender`", to everybody.
fn arp(from_mac: &str, sender: &str, source: [u8; 4]) -> String {
    let mac = |mac: &str| mac.replace(':', "");
    format!(
        "ffffffffffff{}08060001080006040001{}{}000000000000{}",
        mac(from_mac),
        mac(sender),
        hex(&source),
        hex(&[10, 1, 0, 6])
    )
}

/// How many frames `six` got of those that were sent.
fn arrived(five: &Container, six: &Container, frames: &[String]) -> Vec<bool> {
    let shown = || -> u64 {
        let shown = six.run("ip -s link show eth0");
        let line = shown.lines().skip_while(|line| !line.contains("RX:")).nth(1).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    frames
        .iter()
        .map(|frame| {
            let before = shown();
            let script = format!("/usr/bin/python3 -c \"{FORGE}\" {frame}");
            for _ in 0..10 {
                five.run(&script);
            }
            shown() >= before + 10
        })
        .collect()
}

#[test]
#[ignore = "needs root: ring netns"]
fn what_carries_anothers_address_is_dropped_mac_ip_and_arp() {
    on_host(|| {
        let [five, six] = [Container::new(), Container::new()];
        let own = "02:01:00:00:00:05";
        let other = "02:99:00:00:00:05";
        let to = "02:01:00:00:00:06";
        let frames = [
            frame(own, to, [10, 1, 0, 5]),
            frame(other, to, [10, 1, 0, 5]),
            frame(own, to, [10, 1, 0, 7]),
            arp(own, own, [10, 1, 0, 5]),
            arp(own, other, [10, 1, 0, 5]),
            arp(own, own, [10, 1, 0, 7]),
            arp(own, own, [0, 0, 0, 0]),
        ];
        let both = Guard { ..guard(5, &["10.1.0.5", "fd00:1::5"]) };
        let mac_only = Guard { addresses: None, ..both.clone() };
        let ip_only = Guard { mac: None, ..both.clone() };
        let six_plan = attachment(6);
        KERNEL.apply(&six_plan, &six.netns()).unwrap();
        for (guard, want) in [
            (None, [true; 7]),
            (Some(both), [true, false, false, true, false, false, true]),
            (Some(mac_only), [true, false, true, true, false, true, true]),
            (Some(ip_only), [true, true, false, true, true, false, true]),
        ] {
            let plan = with(5, guard.clone().map(Action::Guard).into_iter().collect());
            KERNEL.apply(&plan, &five.netns()).unwrap();
            assert_eq!(KERNEL.verify(&plan, &five.netns()).unwrap(), []);
            // Ordinary traffic of both families passes.
            six.run("ip neigh flush all");
            assert!(five.reaches("10.1.0.6") && five.reaches("fd00:1::6"), "{guard:?}");
            assert_eq!(arrived(&five, &six, &frames), want, "{guard:?}");
            assert!(KERNEL.undo(&plan, Some(&five.netns())).is_empty());
        }
        assert!(KERNEL.undo(&six_plan, Some(&six.netns())).is_empty());
        assert_eq!(leftovers(), "");
        let tables = run("nft list ruleset");
        assert!(!tables.contains("elements"), "{tables}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_link_of_its_own_is_guarded_as_well() {
    on_host(|| {
        let (five, outside) = (Container::new(), world(true));
        let mut plan =
            with(5, vec![Action::Guard(Guard { port: false, ..guard(5, &["10.1.0.5"]) })]);
        for step in &mut plan.steps {
            if let Action::Link(Link { port, .. }) = &mut step.action {
                *port = None;
            }
        }
        plan.steps
            .retain(|step| !matches!(&step.action, Action::Address(it) if it.link.name == "cni0"));
        plan.steps.retain(|step| !matches!(step.action, Action::Masquerade(_)));
        plan.steps.retain(|step| !matches!(&step.action, Action::Route(_)));
        KERNEL.apply(&plan, &five.netns()).unwrap();
        run("ip addr add 10.1.0.1/32 dev veth5 && ip route add 10.1.0.0/24 dev veth5");
        run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.veth5.rp_filter=0");
        five.run("ip route add default via 10.1.0.1 dev eth0 onlink");
        let _server = serve(Some(&outside), false, "tcp", 80);
        assert_eq!(ask(Some(&five), "tcp", "192.0.2.2", 80), "10.1.0.5");
        five.run("ip addr add 10.1.0.9/16 dev eth0");
        assert_eq!(ask_by(Some(&five), "tcp", "192.0.2.2", 80, &["10.1.0.9", "0"]), "nothing");
        let guards = plan.steps.iter().filter(|step| matches!(step.action, Action::Guard(_)));
        assert!(KERNEL.undo(&Plan::new(guards.cloned().collect()), None).is_empty());
        assert_eq!(ask_by(Some(&five), "tcp", "192.0.2.2", 80, &["10.1.0.9", "0"]), "10.1.0.9");
    });
}

fn allow(peers: &[&str], ports: &[(Protocol, u16, u16)]) -> Allow {
    Allow {
        peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
        ports: ports
            .iter()
            .map(|(protocol, from, to)| Ports { protocol: *protocol, range: Some((*from, *to)) })
            .collect(),
    }
}

/// eth1, on another bridge: closed to UDP, and open otherwise.
fn second_interface() -> Plan {
    let mut second = on_second(attachment(7));
    for step in &mut second.steps {
        let name = |name: &mut String| {
            if name == "eth0" {
                "eth1".clone_into(name);
            }
        };
        match &mut step.action {
            Action::Link(link) => {
                if let wharfinger_plan::LinkKind::Veth { peer } = &mut link.kind {
                    name(&mut peer.link.name);
                }
            }
            Action::Address(it) => name(&mut it.link.name),
            Action::Up { link } => name(&mut link.name),
            _ => {}
        }
    }
    let unwanted = |step: &Step| {
        matches!(step.action, Action::Route(_) | Action::Masquerade(_) | Action::Sysctl(_))
    };
    second.steps.retain(|step| !unwanted(step));
    let eth1 = rules(7, &["10.2.0.7"], Some(vec![allow(&[], &[(Protocol::Tcp, 1, 90)])]), None);
    let eth1 = wharfinger_plan::Rules { bridge: Some("cni1".to_owned()), ..eth1 };
    second.steps.push(Step::owned(Action::Rules(eth1)));
    second
}

fn who_gets_in(both: &Container, six: &Container, outside: &Container) {
    let _servers: Vec<Server> = [80, 81, 82]
        .into_iter()
        .flat_map(|port| [false, true].map(|v6| serve(Some(both), v6, "tcp", port)))
        .chain([serve(Some(both), false, "udp", 80)])
        .collect();
    let reached = |from: &Container, kind: &str, to: &str, port: u16| {
        ask(Some(from), kind, to, port) != "nothing"
    };
    for (from, kind, to, port, want) in [
        (six, "tcp", "10.1.0.5", 80, true),
        (six, "tcp", "10.1.0.5", 81, true),
        (six, "tcp", "10.1.0.5", 82, false),
        (six, "udp", "10.1.0.5", 80, false),
        (six, "tcp", "fd00:1::5", 81, true),
        (six, "tcp", "fd00:1::5", 82, false),
        (outside, "tcp", "10.2.0.7", 80, true),
        (outside, "tcp", "10.2.0.7", 82, true),
        (outside, "udp", "10.2.0.7", 80, false),
    ] {
        assert_eq!(reached(from, kind, to, port), want, "{kind} to {to} {port}");
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f10_a_matrix_of_denials_on_two_interfaces_of_one_namespace() {
    on_host(|| {
        let [both, six] = [Container::new(), Container::new()];
        let outside = world(true);
        let tcp = Protocol::Tcp;
        // eth0: to it, TCP 80 to 81 from its neighbour, all from the world but TCP; from it, only
        // TCP 80 to its neighbour.
        let first = with(
            5,
            vec![Action::Rules(rules(
                5,
                &["10.1.0.5", "fd00:1::5"],
                Some(vec![allow(&["10.1.0.6/32", "fd00:1::6/128"], &[(tcp, 80, 81)])]),
                Some(vec![allow(&["10.1.0.6/32", "fd00:1::6/128"], &[(tcp, 80, 80)])]),
            ))],
        );
        let second = second_interface();
        let neighbour = attachment(6);
        for (plan, container) in [(&first, &both), (&second, &both), (&neighbour, &six)] {
            KERNEL.apply(plan, &container.netns()).unwrap();
            assert_eq!(KERNEL.verify(plan, &container.netns()).unwrap(), []);
        }
        both.run("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth1.rp_filter=0");
        both.run("ip route add 192.0.2.0/24 via 10.2.0.1 dev eth1 src 10.2.0.7");
        who_gets_in(&both, &six, &outside);
        let _servers: Vec<Server> = [(&six, 80), (&six, 81), (&outside, 80)]
            .into_iter()
            .map(|(at, port)| serve(Some(at), false, "tcp", port))
            .collect();
        let _host = serve(None, false, "tcp", 80);
        for (by, to, port, want) in [
            ("10.1.0.5", "10.1.0.6", 80, true),
            ("10.1.0.5", "10.1.0.6", 81, false),
            ("10.1.0.5", "10.1.0.1", 80, false),
            ("10.2.0.7", "192.0.2.2", 80, true),
            ("10.2.0.7", "10.2.0.1", 80, true),
        ] {
            let found = ask_by(Some(&both), "tcp", to, port, &[by, "0"]) != "nothing";
            assert_eq!(found, want, "from {by} to {to} {port}");
        }
        for plan in [&second, &first] {
            assert!(KERNEL.undo(plan, Some(&both.netns())).is_empty());
        }
        let tables = run("nft list ruleset");
        assert!(!tables.contains("ingress4-") && !tables.contains("egress4-"), "{tables}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn rules_hold_for_mapped_ports_and_the_host_itself_is_let_in() {
    on_host(|| {
        let five = Container::new();
        let outside = world(true);
        let only = Some(vec![allow(&["192.0.2.2/32"], &[(Protocol::Tcp, 80, 80)])]);
        let ports = vec![
            host_port(Protocol::Tcp, "8080", "10.1.0.5:80"),
            host_port(Protocol::Tcp, "8081", "10.1.0.5:81"),
        ];
        let plan = with(
            5,
            vec![
                Action::Rules(rules(5, &["10.1.0.5"], only, None)),
                Action::PortMap(port_map(ports, &key(5))),
                Action::Forward(forward(&["10.1.0.5"], &key(5))),
            ],
        );
        KERNEL.apply(&plan, &five.netns()).unwrap();
        let _servers = [80, 81].map(|port| serve(Some(&five), false, "tcp", port));
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 8080), "192.0.2.2");
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 8081), "nothing");
        assert_eq!(ask(None, "tcp", "10.1.0.5", 81), "10.1.0.1");
    });
}
