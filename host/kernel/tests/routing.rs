//! Settings of links, rules, routes that are not to be there, and VRFs, against the real kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]
#![allow(clippy::cognitive_complexity, reason = "a test tells one story")]

mod common;

use common::{Container, KERNEL, address, eth0, link, on_host, route, run, try_run, veth};
use wharfinger_kernel::Kernel;
use wharfinger_plan::{
    Action, Change, Link, LinkKind, LinkRef, Member, Peer, Place, Plan, Route, Rule, Settings, Step,
};

/// A container's interface by a veth of the host, its addresses, up.
fn wired(number: u8, inside: &LinkRef) -> Plan {
    let host = LinkRef::host(format!("veth{number}"));
    let kind = LinkKind::Veth { peer: Peer { link: inside.clone(), mac: None } };
    let made = Link { kind, ..veth(&host.name, None) };
    let mut steps = vec![Step::owned(Action::Link(made))];
    for (link, last) in [(&host, 1), (inside, 2)] {
        for text in [format!("10.9.{number}.{last}/24"), format!("fd09:{number}::{last}/64")] {
            steps.push(Step::owned(Action::Address(address(link.clone(), &text))));
        }
    }
    steps.push(Step::owned(Action::Up { link: inside.clone() }));
    Plan::new(steps)
}

fn change<T>(to: T, was: T) -> Change<T> {
    Change { to, was: Some(was) }
}

#[test]
#[ignore = "needs root: ring netns"]
fn settings_are_made_compared_and_put_back() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        KERNEL.apply(&wired(1, &eth0()), &netns).unwrap();
        let before = KERNEL.links(&[eth0()], Some(&netns)).unwrap().remove(0).unwrap();
        let settings = Settings {
            link: eth0(),
            mac: Some(change("02:11:22:33:44:55".parse().unwrap(), before.mac.unwrap())),
            mtu: Some(change(1400, before.mtu)),
            promisc: Some(change(true, before.promisc)),
            allmulti: Some(change(true, before.allmulti)),
            txqlen: Some(change(77, before.txqlen)),
        };
        let plan = Plan::new(vec![Step::owned(Action::Settings(settings.clone()))]);
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap().len(), 5);
        for _ in 0..2 {
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        }
        let shown = container.run("ip -d link show eth0");
        for word in ["02:11:22:33:44:55", "mtu 1400", "promiscuity 1", "ALLMULTI", "qlen 77"] {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        // A failure behind it puts back what was, as a DEL does.
        let mut failing = plan.clone();
        failing.steps.push(Step::owned(Action::Up { link: LinkRef::container("none") }));
        KERNEL.undo(&plan, Some(&netns));
        for _ in 0..2 {
            let now = KERNEL.links(&[eth0()], Some(&netns)).unwrap().remove(0).unwrap();
            assert_eq!(now, before);
            KERNEL.apply(&failing, &netns).unwrap_err();
        }
        // One that the kernel refuses leaves the others as they were.
        let mtu = Some(change(70_000, before.mtu));
        let too_much = Settings { mtu, ..settings };
        let too_much = Plan::new(vec![Step::owned(Action::Settings(too_much))]);
        KERNEL.apply(&too_much, &netns).unwrap_err();
        let now = KERNEL.links(&[eth0()], Some(&netns)).unwrap().remove(0).unwrap();
        assert_eq!(now, before);
        // One setting alone, of which nobody knows what was: it stays as it is.
        let mtu = Some(Change { to: 1300, was: None });
        let alone = Settings { mtu, ..Settings::none(eth0()) };
        let alone = Plan::new(vec![Step::owned(Action::Settings(alone))]);
        KERNEL.apply(&alone, &netns).unwrap();
        assert!(KERNEL.undo(&alone, Some(&netns)).is_empty());
        assert!(container.run("ip link show eth0").contains("mtu 1300"));
        container.run("ip link del eth0");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty(), "a link that is gone is fine");
    });
}

fn rules(container: &Container) -> String {
    container.run("ip rule") + &container.run("ip -6 rule")
}

/// What `sbr` makes of `net1`, whose routes are in the main table.
fn by_source(link: &LinkRef, main: &[Route]) -> Plan {
    let rule = |from: &str, table| {
        let from = from.parse().unwrap();
        Step::owned(Action::Rule(Rule { place: Place::Container, from, table }))
    };
    let gateway = |gateway: &str| {
        let all = if gateway.contains(':') { "::/0" } else { "0.0.0.0/0" };
        route(link.clone(), all, Some(gateway))
    };
    let into = |table, route| Step::owned(Action::Route(Route { table: Some(table), ..route }));
    let mut steps = Vec::new();
    for (v4, table, from, via) in
        [(true, 100, "10.9.2.2", "10.9.2.1"), (false, 1001, "fd09:2::2", "fd09:2::1")]
    {
        let own = main.iter().filter(|route| route.destination.addr().is_ipv4() == v4);
        steps.extend(own.map(|route| into(table, route.clone())));
        steps.extend([into(table, gateway(via)), rule(from, table)]);
    }
    let gone = main.iter().map(|route| Route { table: None, ..route.clone() });
    steps.extend(gone.map(|route| Step::owned(Action::NoRoute(route))));
    Plan::new(steps)
}

/// Defect 26 of the reference, too: what was moved is no drift for who made it.
#[test]
#[ignore = "needs root: ring netns"]
fn what_comes_by_an_interface_is_answered_by_it() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let net1 = LinkRef::container("net1");
        KERNEL.apply(&wired(1, &eth0()), &netns).unwrap();
        let mut second = wired(2, &net1);
        let onward = Route { ..route(net1.clone(), "10.77.0.0/16", Some("10.9.2.1")) };
        second.steps.push(Step::owned(Action::Route(onward)));
        KERNEL.apply(&second, &netns).unwrap();
        container.run("ip route add default via 10.9.1.1");
        container.run("ip -6 route add default via fd09:1::1");
        // Asked from afar by net1, it would answer by eth0, which leads nowhere.
        run("ip addr add 10.8.0.1/32 dev lo; ip addr add fd08::1/128 dev lo");
        run("ip link set veth1 down");
        let ask = |from: &str, to: &str| try_run(&format!("ping -c2 -i0.2 -W1 -I {from} {to}")).0;
        assert!(!ask("10.8.0.1", "10.9.2.2"));
        let routing = KERNEL.routing(&netns).unwrap();
        assert!(routing.uses(254) && !routing.uses(100) && !routing.uses(1001));
        let main = routing.routes.iter().filter(|route| {
            route.link == net1 && route.table == Some(254) && !route.to_string().contains("fe80")
        });
        let main: Vec<Route> = main.cloned().collect();
        assert_eq!(main.len(), 3, "{main:?}");
        let plan = by_source(&net1, &main);
        for _ in 0..2 {
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        }
        assert_eq!(KERNEL.verify(&second, &netns).unwrap(), [], "moved, and not missing");
        let routing = KERNEL.routing(&netns).unwrap();
        assert!(routing.uses(100) && routing.uses(1001));
        assert!(ask("10.8.0.1", "10.9.2.2"));
        assert!(ask("fd08::1", "fd09:2::2"));
        container.run("ip rule del from 10.9.2.2 lookup 100");
        container.run("ip route add 10.77.0.0/16 via 10.9.2.1 dev net1 onlink");
        let drifts: Vec<String> = KERNEL
            .verify(&plan, &netns)
            .unwrap()
            .into_iter()
            .map(|drift| format!("{} {}", drift.object, drift.found))
            .collect();
        let route = "unwanted route 10.77.0.0/16 dev container:net1 is there again";
        assert_eq!(drifts, ["rule from 10.9.2.2 lookup 100 is missing", route]);
        for _ in 0..2 {
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            assert!(!rules(&container).contains("lookup 1"));
            assert_eq!(container.run("ip route show table all").matches("table 100").count(), 0);
        }
        // What was taken from the main table is back.
        assert!(container.run("ip route").contains("10.9.2.0/24 dev net1"));
        container.run("ip link del net1");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty(), "an interface that is gone is fine");
        assert!(KERNEL.undo(&plan, None).is_empty(), "and so is a namespace");
    });
}

fn vrf(name: &str, table: u32) -> Vec<Step> {
    let vrf = link(LinkRef::container(name), LinkKind::Vrf { table });
    let member = Member { link: eth0(), vrf: name.to_owned() };
    vec![Step::owned(Action::Link(vrf)), Step::owned(Action::Member(member))]
}

fn in_lab() {
    assert!(std::env::var_os("IN_LAB").is_some(), "this kernel has no VRF: run me in the lab");
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn lab_a_member_of_a_vrf_keeps_addresses_and_routes_and_the_vrf_goes_with_the_last() {
    in_lab();
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let net1 = LinkRef::container("net1");
        let mut main = wired(1, &eth0());
        let far = |to: &str, via: &str| Step::owned(Action::Route(route(eth0(), to, Some(via))));
        main.steps.extend([far("0.0.0.0/0", "10.9.1.1"), far("::/0", "fd09:1::1")]);
        main.steps.push(Step::owned(Action::Route(route(eth0(), "10.66.0.1/32", None))));
        main.steps.push(far("10.67.0.0/16", "10.66.0.1"));
        KERNEL.apply(&main, &netns).unwrap();
        KERNEL.apply(&wired(2, &net1), &netns).unwrap();
        let plan = Plan::new(vrf("red", 10));
        for _ in 0..2 {
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        }
        assert_eq!(KERNEL.verify(&main, &netns).unwrap(), [], "nothing of it is lost");
        assert_eq!(KERNEL.routing(&netns).unwrap().vrfs, [("red".to_owned(), 10)]);
        let shown = container.run("ip route show table 10");
        let shown = shown + &container.run("ip -6 route show table 10");
        for word in ["default via 10.9.1.1", "10.67.0.0/16 via 10.66.0.1", "default via fd09:1::1"]
        {
            assert!(shown.contains(word), "{word}: {shown}");
        }
        let by_link = |to: &str| format!("ping -c3 -i0.2 -W1 -I red {to}");
        container.run(&by_link("10.9.1.1"));
        container.run(&by_link("fd09:1::1"));
        // Another table is an error that names both; another master is one, too.
        let error = KERNEL.apply(&Plan::new(vrf("red", 11)), &netns).unwrap_err().to_string();
        assert!(error.contains("table is 10, not 11"), "{error}");
        let error = KERNEL.apply(&Plan::new(vrf("blue", 12)), &netns).unwrap_err().to_string();
        assert!(error.contains("master"), "{error}");
        assert!(!container.run("ip link").contains("blue"), "what failed is undone");
        // While another belongs to it, the VRF stays.
        container.run("ip link set net1 master red");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(container.run("ip link").contains("red"));
        assert_eq!(KERNEL.verify(&main, &netns).unwrap(), [], "as it was before");
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap()[0].found, "is not in VRF red");
        container.run("ip link set net1 nomaster");
        for _ in 0..2 {
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            assert!(!container.run("ip link").contains("red"));
        }
    });
}

/// Defect 15 of the reference: its DEL fails where the interface is gone.
#[test]
#[ignore = "needs the lab: ring lab"]
fn lab_a_vrf_goes_also_where_its_member_is_gone() {
    in_lab();
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        let mut whole = wired(1, &eth0());
        whole.steps.extend(vrf("red", 10));
        KERNEL.apply(&whole, &netns).unwrap();
        container.run("ip link del eth0");
        for _ in 0..2 {
            assert!(KERNEL.undo(&Plan::new(vrf("red", 10)), Some(&netns)).is_empty());
            assert!(!container.run("ip link").contains("red"));
        }
        // In one plan with the interface, all of it goes.
        KERNEL.apply(&whole, &netns).unwrap();
        assert_eq!(KERNEL.verify(&whole, &netns).unwrap(), []);
        assert!(KERNEL.undo(&whole, Some(&netns)).is_empty());
        assert!(!container.run("ip link").contains("red"));
        assert!(KERNEL.undo(&whole, None).is_empty());
    });
}
