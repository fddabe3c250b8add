//! Port maps against the real kernel: who reaches the container by the host's port, and whom the
//! container sees.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::{
    Container, KERNEL, ask, ask_by, forward, host_port, key, leftovers, on_host, port_map, run,
    serve, sysctl, with, world,
};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{
    Action, Condition, HostPort, Link, Place, Plan, PortMap, Protocol, Span, Step, Values,
};

const TCP: Protocol = Protocol::Tcp;
const UDP: Protocol = Protocol::Udp;

/// The plan of container 5 with these ports.
fn plan(map: PortMap) -> Plan {
    let mut plan = with(5, vec![Action::PortMap(map)]);
    let localnet = sysctl(Place::Host, "net/ipv4/conf/cni0/route_localnet", "1");
    plan.steps.push(Step::shared(Action::Sysctl(localnet)));
    plan
}

fn ports(ports: Vec<HostPort>) -> Plan {
    plan(port_map(ports, &key(5)))
}

/// Container 5 with the plan, container 6 beside it, and the world.
fn three(plan: &Plan) -> [Container; 3] {
    let [five, six] = [Container::new(), Container::new()];
    let outside = world(true);
    KERNEL.apply(plan, &five.netns()).unwrap();
    KERNEL.apply(&common::attachment(6), &six.netns()).unwrap();
    // The kernel is late with the multicast groups of new addresses of IPv6.
    assert!(outside.reaches("2001:db8::1") && six.reaches("fd00:1::5"));
    [five, six, outside]
}

#[test]
#[ignore = "needs root: ring netns"]
fn everybody_reaches_the_container_by_the_hosts_port_tcp_and_udp() {
    on_host(|| {
        for (kind, protocol, shown) in [("tcp", TCP, 0), ("tcp", TCP, 1), ("udp", UDP, 0)] {
            let mut plan = ports(vec![host_port(protocol, "8080", "10.1.0.5:80")]);
            // A bridge that shows its frames to the packet filter passes what was redirected on
            // to a port itself: back to the port that it came from only where that may be.
            run(&format!("sysctl -qw net.bridge.bridge-nf-call-iptables={shown}"));
            for step in &mut plan.steps {
                if let Action::Link(Link { port: Some(port), .. }) = &mut step.action {
                    port.hairpin = shown == 1;
                }
            }
            let [five, six, outside] = three(&plan);
            assert_eq!(KERNEL.verify(&plan, &five.netns()).unwrap(), []);
            let _server = serve(Some(&five), false, kind, 80);
            assert_eq!(ask(Some(&outside), kind, "192.0.2.1", 8080), "192.0.2.2", "{kind}");
            assert_eq!(ask(None, kind, "192.0.2.1", 8080), "192.0.2.1", "from the host");
            assert_eq!(ask(None, kind, "127.0.0.1", 8080), "10.1.0.1", "from localhost");
            assert_eq!(ask(Some(&five), kind, "192.0.2.1", 8080), "10.1.0.1", "from itself");
            assert_eq!(ask(Some(&six), kind, "192.0.2.1", 8080), "10.1.0.1", "from beside it");
            assert_eq!(ask(Some(&six), kind, "10.1.0.5", 80), "10.1.0.6", "past the port");
            assert_eq!(ask(Some(&outside), kind, "192.0.2.1", 8081), "nothing");
            assert!(KERNEL.undo(&plan, Some(&five.netns())).is_empty());
            assert_eq!(ask(Some(&outside), kind, "192.0.2.1", 8080), "nothing", "{kind}");
            run("ip link del up0; ip link del cni0; ip link del veth6; true");
            KERNEL.undo(&common::attachment(6), None);
        }
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn ports_of_ipv6_and_of_one_address_of_the_host() {
    on_host(|| {
        run("sysctl -qw net.bridge.bridge-nf-call-ip6tables=0");
        let plan = ports(vec![
            host_port(TCP, "8080", "[fd00:1::5]:80"),
            host_port(TCP, "192.0.2.1:81", "10.1.0.5:80"),
            host_port(TCP, "[2001:db8::1]:81", "[fd00:1::5]:80"),
        ]);
        let [five, six, outside] = three(&plan);
        assert_eq!(KERNEL.verify(&plan, &five.netns()).unwrap(), []);
        let _servers = [false, true].map(|v6| serve(Some(&five), v6, "tcp", 80));
        assert_eq!(ask(Some(&outside), "tcp", "2001:db8::1", 8080), "2001:db8::2");
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 8080), "nothing", "other family");
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 81), "192.0.2.2");
        assert_eq!(ask(Some(&outside), "tcp", "2001:db8::1", 81), "2001:db8::2");
        assert_eq!(ask(None, "tcp", "127.0.0.1", 81), "nothing", "other address");
        assert_eq!(ask(Some(&six), "tcp", "10.1.0.1", 81), "nothing", "other address");
        assert_eq!(ask(Some(&six), "tcp", "2001:db8::1", 8080), "fd00:1::1", "from beside it");
        assert_eq!(ask(Some(&five), "tcp", "2001:db8::1", 8080), "fd00:1::1", "from itself");
        assert!(KERNEL.undo(&plan, Some(&five.netns())).is_empty());
        let shown = run("nft list ruleset");
        assert!(!shown.contains("10.1.0.5") && !shown.contains("fd00:1::5"), "{shown}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn who_is_masqueraded_is_as_asked_for() {
    on_host(|| {
        let port = || vec![host_port(TCP, "8080", "10.1.0.5:80")];
        let none = plan(PortMap { snat: false, ..port_map(port(), &key(5)) });
        let all = plan(PortMap { masq_all: true, ..port_map(port(), &key(5)) });
        let [five, six, outside] = three(&none);
        let _server = serve(Some(&five), false, "tcp", 80);
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 8080), "192.0.2.2");
        assert_eq!(ask(Some(&five), "tcp", "192.0.2.1", 8080), "nothing", "answers itself");
        let map =
            |plan: &Plan| Plan::new(plan.steps.iter().rev().skip(1).take(1).cloned().collect());
        assert!(KERNEL.undo(&map(&none), None).is_empty());
        KERNEL.apply(&map(&all), &five.netns()).unwrap();
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 8080), "10.1.0.1");
        assert_eq!(ask(Some(&six), "tcp", "192.0.2.1", 8080), "10.1.0.1");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn ports_with_conditions_are_for_whom_they_hold() {
    on_host(|| {
        let span = |network: &str| Span::from(network.parse::<ipnet::IpNet>().unwrap());
        let from = |negated, network| Condition {
            v4: true,
            negated,
            values: Values::Source(vec![span(network), span("198.51.100.0/24")]),
        };
        let by = |link: &str| Condition {
            v4: true,
            negated: false,
            values: Values::Link(vec!["x0".to_owned(), link.to_owned()]),
        };
        let with = |group: &str, conditions| {
            let ports = vec![
                host_port(TCP, "8080", "10.1.0.5:80"),
                host_port(TCP, "192.0.2.1:8081", "10.1.0.5:80"),
            ];
            let group = Some(group.to_owned());
            plan(PortMap { conditions, group, ..port_map(ports, &key(5)) })
        };
        let [five, six, outside] = three(&common::attachment(5));
        let _server = serve(Some(&five), false, "tcp", 80);
        for (conditions, world, beside) in [
            (vec![by("up0")], "192.0.2.2", "nothing"),
            (vec![from(false, "192.0.2.0/24"), by("up0")], "192.0.2.2", "nothing"),
            (vec![from(true, "192.0.2.0/24")], "nothing", "10.1.0.1"),
            (vec![from(false, "10.1.0.0/16"), by("up0")], "nothing", "nothing"),
        ] {
            let shown = format!("{conditions:?}");
            let plan = with("d1", conditions);
            let map = plan.steps.iter().filter(|step| matches!(step.action, Action::PortMap(_)));
            let plan = Plan::new(map.cloned().collect());
            KERNEL.apply(&plan, &five.netns()).unwrap();
            assert_eq!(KERNEL.verify(&plan, &five.netns()).unwrap(), []);
            for port in [8080, 8081] {
                assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", port), world, "{shown}");
                assert_eq!(ask(Some(&six), "tcp", "192.0.2.1", port), beside, "{shown}");
            }
            assert!(KERNEL.undo(&plan, None).is_empty());
            let tables = run("nft list table inet wharfinger");
            assert!(!tables.contains("d1"), "{tables}");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_conversation_of_udp_goes_where_the_port_leads_now() {
    on_host(|| {
        let port = || vec![host_port(UDP, "5353", "10.1.0.5:53")];
        let [five, _six, outside] = three(&common::attachment(5));
        let map = Plan::new(vec![Step::owned(Action::PortMap(port_map(port(), &key(5))))]);
        let of_host = serve(None, false, "udp", 5353);
        let _of_container = serve(Some(&five), false, "udp", 53);
        let asked = || ask_by(Some(&outside), "udp", "192.0.2.1", 5353, &["192.0.2.2", "4000"]);
        // Another conversation about the same port, of another host: it is none of ours.
        let other = "conntrack -L -p udp --dport 5353 -d 203.0.113.1 2>/dev/null";
        run("ip addr add 203.0.113.7/24 dev up0");
        outside.run("ip addr add 203.0.113.1/24 dev w0");
        let _ = ask_by(Some(&five), "udp", "203.0.113.1", 5353, &["10.1.0.5", "4001"]);
        let before = run(&format!("{other} | wc -l"));
        assert_eq!(asked(), "192.0.2.2", "the host's own server answers");
        drop(of_host);
        KERNEL.apply(&map, &five.netns()).unwrap();
        assert_eq!(asked(), "192.0.2.2", "the container answers");
        assert_eq!(run(&format!("{other} | wc -l")), before);
        assert!(KERNEL.undo(&map, None).is_empty());
        let _of_host = serve(None, false, "udp", 5353);
        assert_eq!(asked(), "192.0.2.2", "the host's own server answers again");
        assert_eq!(run(&format!("{other} | wc -l")), before);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f6_a_port_of_the_host_has_one_owner_in_the_table_too() {
    on_host(|| {
        let containers = [Container::new(), Container::new()];
        let map = |number: u16, to: &str, comment: &str| {
            let map = port_map(vec![host_port(TCP, "8080", to)], comment);
            with(number, vec![Action::PortMap(map)])
        };
        let (first, second) = (map(5, "10.1.0.5:80", "first"), map(6, "10.1.0.6:80", "second"));
        KERNEL.apply(&first, &containers[0].netns()).unwrap();
        let error = KERNEL.apply(&second, &containers[1].netns()).unwrap_err();
        assert!(
            error.to_string().ends_with("tcp/8080 of ports4: owner is first, not second"),
            "{error}"
        );
        assert_eq!(KERNEL.verify(&first, &containers[0].netns()).unwrap(), []);
        assert!(KERNEL.undo(&second, Some(&containers[1].netns())).is_empty());
        assert_eq!(KERNEL.verify(&first, &containers[0].netns()).unwrap(), []);
        assert!(KERNEL.undo(&first, Some(&containers[0].netns())).is_empty());
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn ports_do_not_need_masquerade_and_stand_beside_a_forward_policy_of_drop() {
    on_host(|| {
        let mut steps = ports(vec![host_port(TCP, "8080", "10.1.0.5:80")]).steps;
        steps.retain(|step| !matches!(step.action, Action::Masquerade(_)));
        steps.push(Step::owned(Action::Forward(forward(&["10.1.0.5", "fd00:1::5"], &key(5)))));
        let plan = Plan::new(steps);
        let [five, _six, outside] = three(&plan);
        let _server = serve(Some(&five), false, "tcp", 80);
        assert_eq!(ask(Some(&outside), "tcp", "192.0.2.1", 8080), "192.0.2.2");
        assert!(KERNEL.undo(&plan, Some(&five.netns())).is_empty());
    });
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn lab_sctp_reaches_the_container_by_the_hosts_port() {
    assert!(std::env::var_os("IN_LAB").is_some(), "run me in the lab");
    on_host(|| {
        let plan = ports(vec![host_port(Protocol::Sctp, "8080", "10.1.0.5:80")]);
        let [five, six, outside] = three(&plan);
        let _server = serve(Some(&five), false, "sctp", 80);
        assert_eq!(ask(Some(&outside), "sctp", "192.0.2.1", 8080), "192.0.2.2");
        assert_eq!(ask(Some(&six), "sctp", "192.0.2.1", 8080), "10.1.0.1");
        assert!(KERNEL.undo(&plan, Some(&five.netns())).is_empty());
    });
}
