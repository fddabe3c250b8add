//! Rows of the list of what users of other plugin sets suffered from, against the real kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::{Arc, Barrier};

use common::{
    Container, KERNEL, address, attachment, bridge, eth0, leftovers, link, on_host, route, run,
    veth,
};
use wharfinger_kernel::{Error, Kernel};
use wharfinger_plan::{Action, Address, Link, LinkKind, LinkRef, Others, Plan, Route, Step};

/// Runs the same work on threads of this host, at once.
fn at_once(count: u16, work: impl Fn(u16) + Send + Sync + 'static) {
    let (work, gate) = (Arc::new(work), Arc::new(Barrier::new(count.into())));
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let (work, gate) = (Arc::clone(&work), Arc::clone(&gate));
            std::thread::spawn(move || {
                gate.wait();
                work(number);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c5_fifty_first_attachments_at_once_all_succeed() {
    on_host(|| {
        let containers: Vec<Container> = (0..50).map(|_| Container::new()).collect();
        let netns: Vec<_> = containers.iter().map(Container::netns).collect();
        at_once(50, move |number| {
            let mut plan = attachment(number + 2);
            for step in &mut plan.steps {
                if let Action::Link(link) = &mut step.action {
                    link.mtu = Some(1450);
                }
            }
            let netns = &netns[usize::from(number)];
            KERNEL.apply(&plan, netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, netns).unwrap(), []);
        });
        let bridges = run("ip -o link show type bridge");
        assert!(bridges.lines().count() == 1 && bridges.contains("mtu 1450"), "{bridges}");
        assert_eq!(run("ip -o -4 addr show dev cni0").lines().count(), 1);
        assert_eq!(KERNEL.survey().unwrap().masquerades.len(), 100);
        let rules = run("nft list chain inet wharfinger masquerade-out");
        assert_eq!(rules.matches("masquerade comment").count(), 2, "{rules}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c2_two_hundred_parallel_attachments_come_and_go() {
    on_host(|| {
        at_once(20, |thread| {
            for round in 0..10 {
                let container = Container::new();
                let (netns, plan) = (container.netns(), attachment(thread * 10 + round + 2));
                KERNEL.apply(&plan, &netns).unwrap();
                let errors = KERNEL.undo(&plan, Some(&netns));
                assert!(errors.is_empty(), "{errors:?}");
            }
        });
        assert_eq!(leftovers(), "");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c5_a_bridge_with_other_parameters_is_an_error_that_names_both() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let apply = |link: Link| {
            let plan = Plan::new(vec![Step::shared(Action::Link(link))]);
            KERNEL.apply(&plan, &netns)
        };
        apply(Link { mtu: Some(1400), ..bridge("cni0") }).unwrap();
        apply(Link { mtu: Some(1400), ..bridge("cni0") }).unwrap();
        apply(bridge("cni0")).unwrap();
        let error = apply(Link { mtu: Some(1500), ..bridge("cni0") }).unwrap_err();
        assert_eq!(error.to_string(), "step 1: link cni0: mtu is 1400, not 1500");
        run("ip link add notabridge type veth peer name x");
        let error = apply(bridge("notabridge")).unwrap_err();
        assert_eq!(error.to_string(), "step 1: link notabridge: kind is veth, not bridge");
        let Error::Step { source, .. } = error else { panic!("no step is named") };
        assert!(matches!(*source, Error::Differs { what: "kind", .. }));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c5_a_bridge_whose_maker_was_killed_is_finished_by_the_next() {
    on_host(|| {
        let container = Container::new();
        // As it is after the first of the two requests.
        run("ip link add cni0 mtu 1401 group 2003330674 type bridge");
        let found = KERNEL.links(&[LinkRef::host("cni0")], None).unwrap();
        assert_eq!(found[0].as_ref().unwrap().mtu, 1400);
        let link = Link { mtu: Some(1400), ..bridge("cni0") };
        let plan = Plan::new(vec![Step::shared(Action::Link(link))]);
        KERNEL.apply(&plan, &container.netns()).unwrap();
        let shown = run("ip -d link show cni0");
        assert!(shown.contains("mtu 1400") && shown.contains("group default"), "{shown}");
        assert_eq!(KERNEL.verify(&plan, &container.netns()).unwrap(), []);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_c5_gateway_addresses() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let apply = |text: &str, others| {
            let address = Address { others, ..address(LinkRef::host("cni0"), text) };
            let steps = [Action::Link(bridge("cni0")), Action::Address(address)];
            KERNEL.apply(&Plan::new(steps.into_iter().map(Step::shared).collect()), &netns)
        };
        for _ in 0..2 {
            apply("10.1.0.1/16", Others::Refuse).unwrap();
            apply("fd00:1::1/64", Others::Refuse).unwrap();
        }
        // IPv6: another network is no conflict, and the link's own address is none.
        apply("fd00:2::1/64", Others::Refuse).unwrap();
        let error = apply("10.2.0.1/16", Others::Refuse).unwrap_err().to_string();
        assert_eq!(error, "step 2: link cni0: address is 10.1.0.1/16, not 10.2.0.1/16");
        let error = apply("fd00:1::2/64", Others::Refuse).unwrap_err().to_string();
        assert!(error.contains("address is fd00:1::1/64, not fd00:1::2/64"), "{error}");
        let error = apply("fd00:1::1/80", Others::Keep).unwrap_err().to_string();
        assert!(error.contains("prefix length is 64, not 80"), "{error}");
        apply("10.2.0.1/16", Others::Replace).unwrap();
        let shown = run("ip -o addr show dev cni0");
        assert!(shown.contains("10.2.0.1/16 brd 10.2.255.255"), "{shown}");
        assert!(!shown.contains("10.1.0.1"), "{shown}");
        // The wanted one is a secondary address, which goes with the primary one.
        run("ip addr add 10.2.0.9/16 dev cni0");
        apply("10.2.0.9/16", Others::Replace).unwrap();
        let shown = run("ip -o -4 addr show dev cni0");
        assert!(shown.contains("10.2.0.9/16") && !shown.contains("10.2.0.1/"), "{shown}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn the_bridge_keeps_its_mac_whatever_its_ports_have() {
    on_host(|| {
        let container = Container::new();
        let facts = KERNEL.apply(&attachment(5), &container.netns()).unwrap();
        run("ip link add low type veth peer name lowpeer");
        run("ip link set low address 00:00:00:00:00:01 master cni0 up");
        let after = KERNEL.links(&[LinkRef::host("cni0")], None).unwrap();
        assert_eq!(after[0].as_ref().unwrap().mac, facts[0].mac);
        assert_eq!(
            run("cat /sys/class/net/cni0/addr_assign_type 2>/dev/null || echo 3").trim(),
            "3"
        );
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f8_no_thread_changes_its_namespace() {
    on_host(|| {
        let inodes = || -> BTreeSet<_> {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let paths = tasks.map(|task| task.unwrap().path().join("ns/net"));
            let own = std::fs::read_link("/proc/thread-self").unwrap();
            let own = Path::new("/proc").join(own).join("ns/net");
            // Other tests' threads come and go: this one, and the process's first.
            let first = format!("/proc/self/task/{}/ns/net", std::process::id());
            let ours: Vec<_> = paths.filter(|p| *p == own || *p == Path::new(&first)).collect();
            ours.into_iter().chain([own]).map(|p| std::fs::read_link(p).unwrap()).collect()
        };
        let container = Container::new();
        let (before, cookie) = (inodes(), KERNEL.host_cookie().unwrap());
        let (netns, plan) = (container.netns(), attachment(5));
        let unchanged = || inodes() == before && KERNEL.host_cookie().unwrap() == cookie;
        assert!(unchanged());
        KERNEL.apply(&plan, &netns).unwrap();
        assert!(unchanged());
        KERNEL.apply(&plan, &netns).unwrap_err();
        assert!(unchanged());
        KERNEL.verify(&plan, &netns).unwrap();
        assert!(unchanged());
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(unchanged());
        assert_eq!(container.netns().cookie, netns.cookie);
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f1_an_ipv6_address_is_usable_at_once() {
    on_host(|| {
        let container = Container::new();
        KERNEL.apply(&attachment(5), &container.netns()).unwrap();
        let shown = container.run("ip -6 -o addr show dev eth0 scope global");
        assert!(shown.contains("fd00:1::5/64") && !shown.contains("tentative"), "{shown}");
        let path = container.path.clone();
        let bound = std::thread::spawn(move || {
            use std::os::fd::AsRawFd;
            let netns = std::fs::File::open(path).unwrap();
            // SAFETY: setns(2) takes no pointers; it changes this thread alone.
            assert_eq!(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
            UdpSocket::bind("[fd00:1::5]:53").map(drop)
        });
        bound.join().unwrap().unwrap();
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_f11_both_ends_and_the_bridge_have_the_planned_mtu() {
    on_host(|| {
        for (number, (bridge_mtu, mtu)) in
            (5..).zip([(1400, 1400), (1500, 1500), (9000, 9000), (9000, 1400), (9000, 1500)])
        {
            let container = Container::new();
            let mut plan = attachment(number);
            plan.steps.retain(|step| {
                !matches!(
                    step.action,
                    Action::Masquerade(_) | Action::Address(_) | Action::Route(_)
                )
            });
            for step in &mut plan.steps {
                if let Action::Link(link) = &mut step.action {
                    link.mtu = Some(if link.kind == LinkKind::Bridge { bridge_mtu } else { mtu });
                }
            }
            let netns = container.netns();
            let facts = KERNEL.apply(&plan, &netns).unwrap();
            let mtus: Vec<u32> = facts.iter().map(|facts| facts.mtu).collect();
            assert_eq!(mtus, [bridge_mtu, mtu, mtu]);
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
            // Nor does the bridge change when a smaller port comes, or its last one goes.
            run(
                "ip link add small mtu 1280 type veth peer name other && ip link set small master cni0",
            );
            run("ip link del small");
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            let left = KERNEL.links(&[LinkRef::host("cni0")], None).unwrap();
            assert_eq!(left[0].as_ref().unwrap().mtu, bridge_mtu);
            run("ip link del cni0");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn routes_carry_all_their_fields_and_rivals_are_errors() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let mut steps = vec![
            Step::owned(Action::Link(veth("veth5", None))),
            Step::owned(Action::Address(Address {
                prefix_route: false,
                ..address(eth0(), "10.1.0.5/32")
            })),
            Step::owned(Action::Address(address(LinkRef::host("veth5"), "10.1.0.1/32"))),
            Step::owned(Action::Up { link: eth0() }),
        ];
        let full = Route {
            source: Some("10.1.0.5".parse().unwrap()),
            table: Some(1000),
            priority: Some(7),
            mtu: Some(1300),
            advmss: Some(1200),
            ..route(eth0(), "10.9.0.0/16", Some("10.1.0.1"))
        };
        let routes = [
            Route { scope: Some(253), ..route(eth0(), "10.1.0.1/32", None) },
            Route { scope: Some(0), table: Some(1000), ..route(eth0(), "10.1.0.1/32", None) },
            full.clone(),
            route(eth0(), "0.0.0.0/0", Some("10.1.0.1")),
            Route { scope: Some(254), ..route(LinkRef::host("veth5"), "10.1.0.5/32", None) },
            Route { priority: Some(5), ..route(eth0(), "fd00:9::/64", None) },
        ];
        steps.extend(routes.into_iter().map(|route| Step::owned(Action::Route(route))));
        let plan = Plan::new(steps);
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        let shown = container.run("ip route show table 1000 10.9.0.0/16");
        for part in ["via 10.1.0.1", "src 10.1.0.5", "metric 7", "mtu 1300", "advmss 1200"] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(container.reaches("10.1.0.1"));

        let again = |route: Route| {
            KERNEL.apply(&Plan::new(vec![Step::owned(Action::Route(route))]), &netns)
        };
        again(full.clone()).unwrap();
        let rival = Route { gateway: None, ..full.clone() };
        let error = again(rival).unwrap_err().to_string();
        assert!(
            error.contains("via 10.1.0.1") && error.contains("not route 10.9.0.0/16"),
            "{error}"
        );
        let unreachable = route(eth0(), "10.8.0.0/16", Some("172.31.0.1"));
        let error = again(unreachable).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENETUNREACH));
        assert!(error.to_string().contains("Nexthop has invalid gateway"), "{error}");

        let alone = Plan::new(vec![Step::owned(Action::Route(full))]);
        assert!(KERNEL.undo(&alone, Some(&netns)).is_empty());
        assert!(KERNEL.undo(&alone, Some(&netns)).is_empty());
        let drifts = KERNEL.verify(&plan, &netns).unwrap();
        assert_eq!(drifts.len(), 1, "{drifts:?}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn sysctls_are_set_where_they_belong() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let key = "net/ipv4/ip_forward";
        let before = run("cat /proc/sys/net/ipv4/ip_forward");
        let optional = wharfinger_plan::Sysctl {
            optional: true,
            ..common::sysctl(wharfinger_plan::Place::Container, "net/none/at/all", "1")
        };
        let ports = common::sysctl(
            wharfinger_plan::Place::Container,
            "net/ipv4/ip_local_port_range",
            "20000 30000",
        );
        let plan = Plan::new(
            [common::sysctl(wharfinger_plan::Place::Container, key, "1"), optional, ports]
                .map(|sysctl| Step::owned(Action::Sysctl(sysctl)))
                .to_vec(),
        );
        for _ in 0..2 {
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        }
        assert_eq!(container.run("cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
        assert_eq!(run("cat /proc/sys/net/ipv4/ip_forward"), before);
        container.run("sysctl -w net.ipv4.ip_forward=0");
        let drifts = KERNEL.verify(&plan, &netns).unwrap();
        assert_eq!(drifts[0].found, "is 0, not 1");
        let out = common::sysctl(wharfinger_plan::Place::Host, "../../etc/hostname", "x");
        let out = Plan::new(vec![Step::owned(Action::Sysctl(out))]);
        assert_eq!(KERNEL.apply(&out, &netns).unwrap_err().errno(), Some(libc::EINVAL));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn links_answer_in_order_with_none_for_what_is_not_there() {
    on_host(|| {
        let container = Container::new();
        let wanted = [LinkRef::host("none"), LinkRef::host("lo"), LinkRef::container("lo"), eth0()];
        let found = KERNEL.links(&wanted, Some(&container.netns())).unwrap();
        let up: Vec<_> = found.iter().map(|facts| facts.as_ref().map(|f| f.up)).collect();
        assert_eq!(up, [None, Some(true), Some(false), None]);
        assert!(KERNEL.links(&wanted, None).unwrap()[2].is_none());
        let _ = link(eth0(), LinkKind::Existing);
    });
}
