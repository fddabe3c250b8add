//! Kinds of link that this machine's kernel may not have, against the lab's kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::{Container, KERNEL, address, eth0, link, on_host, run};
use wharfinger_kernel::{Error, Kernel};
use wharfinger_plan::{
    Action, Announce, Ipvlan, IpvlanMode, Link, LinkKind, LinkRef, Peer, Plan, Port, PortVlan,
    Probe, Step, Vlan,
};

const KEY: &str = "pods/c1/eth0";

fn in_lab(test: impl FnOnce() + Send + 'static) {
    assert!(std::env::var_os("IN_LAB").is_some(), "run me in the lab");
    on_host(test);
}

fn owned(link: Link) -> Step {
    Step::owned(Action::Link(link))
}

/// The container's link, of this kind.
fn inside(kind: LinkKind) -> Link {
    Link { alias: Some(KEY.to_owned()), up: false, ..link(eth0(), kind) }
}

/// A segment: seg0 of the host, and seg1 of a namespace beside it.
fn segment() -> Container {
    let beside = Container::new();
    run("ip link add seg0 type veth peer name seg1");
    run(&format!("ip link set seg1 netns /proc/self/fd/0 < {}", beside.path.display()));
    run("ip link set seg0 up");
    beside.run("ip link set seg1 up");
    beside
}

fn ipvlan(mode: IpvlanMode) -> LinkKind {
    LinkKind::Ipvlan(Ipvlan { master: LinkRef::host("seg0"), mode })
}

fn vlan(id: u16) -> LinkKind {
    LinkKind::Vlan(Vlan { master: LinkRef::host("seg0"), id })
}

/// A link, asked `on` a segment and then given an address.
fn station(kind: LinkKind, on: Option<LinkRef>, ip: &str) -> Plan {
    let addresses = vec![ip.split('/').next().unwrap().parse().unwrap()];
    let announce = Announce { link: eth0(), addresses: addresses.clone() };
    let probe = on.map(|link| Probe { link, addresses, gateways: Vec::new() });
    let mut steps = vec![owned(inside(kind)), Step::owned(Action::Up { link: eth0() })];
    steps.extend(probe.map(|probe| Step::owned(Action::Probe(probe))));
    steps.push(Step::owned(Action::Address(address(eth0(), ip))));
    steps.push(Step::owned(Action::Announce(announce)));
    Plan::new(steps)
}

fn gone(container: &Container) -> bool {
    KERNEL.links(&[eth0()], Some(&container.netns())).unwrap()[0].is_none()
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn an_ipvlan_of_each_mode_is_made_verified_and_undone() {
    in_lab(|| {
        let (beside, container) = (segment(), Container::new());
        beside.run("ip addr add 10.7.0.1/24 dev seg1");
        let netns = container.netns();
        for (mode, on) in [
            (IpvlanMode::L2, Some(LinkRef::host("seg0"))),
            (IpvlanMode::L3, None),
            (IpvlanMode::L3s, None),
        ] {
            let plan = station(ipvlan(mode), on, "10.7.0.5/24");
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
            let shown = container.run("ip -d link show eth0");
            assert!(
                shown.contains(&format!("ipvlan  mode {mode}"))
                    || shown.contains(&format!("mode {mode} ")),
                "{shown}"
            );
            if mode == IpvlanMode::L2 {
                assert!(container.reaches("10.7.0.1"));
            }
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            assert!(gone(&container));
        }
    });
}

/// It shares its master's address, so that only the master hears who has another's.
#[test]
#[ignore = "needs the lab: ring lab"]
fn pain_b7_a_squatter_is_found_for_an_ipvlan_too() {
    in_lab(|| {
        let (beside, container) = (segment(), Container::new());
        for ip in ["10.7.0.5/24", "fd07::5/64"] {
            beside.run(&format!(
                "ip addr add {ip} dev seg1 {}",
                if ip.contains(':') { "nodad" } else { "" }
            ));
            let plan = station(ipvlan(IpvlanMode::L2), Some(LinkRef::host("seg0")), ip);
            let error = KERNEL.apply(&plan, &container.netns()).unwrap_err();
            let Error::Step { source, .. } = &error else { panic!("{error}") };
            assert!(matches!(&**source, Error::Taken { .. }), "{error}");
            assert!(gone(&container));
        }
    });
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn a_vlan_carries_its_tag_alone() {
    in_lab(|| {
        let (beside, container) = (segment(), Container::new());
        beside.run("ip link add link seg1 name seg1.100 type vlan id 100");
        beside.run("ip link set seg1.100 up");
        beside.run("ip addr add 10.7.0.1/24 dev seg1.100");
        // Each of its links answers for its own addresses alone.
        beside.run("sysctl -qw net.ipv4.conf.all.arp_ignore=1");
        beside.run("ip addr add 10.7.0.5/32 dev seg1");
        let netns = container.netns();
        // Whoever has the address on the untagged segment has nothing to do with it.
        let plan = station(vlan(100), Some(eth0()), "10.7.0.5/24");
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert!(container.run("ip -d link show eth0").contains("vlan protocol 802.1Q id 100"));
        beside.run("ip addr del 10.7.0.5/32 dev seg1");
        assert!(container.reaches("10.7.0.1"));
        let other = Plan::new(vec![owned(inside(vlan(101)))]);
        let found = KERNEL.verify(&other, &netns).unwrap();
        assert!(found.iter().any(|drift| drift.found == "vlan id is 100, not 101"), "{found:?}");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(gone(&container));
    });
}

/// Defect 15 of the reference plugins: DEL of vlan fails when the master is gone.
#[test]
#[ignore = "needs the lab: ring lab"]
fn defect_15_a_vlan_is_undone_when_its_master_is_gone() {
    in_lab(|| {
        let (beside, container) = (segment(), Container::new());
        let netns = container.netns();
        let plan = station(vlan(100), None, "10.7.0.5/24");
        KERNEL.apply(&plan, &netns).unwrap();
        run("ip link del seg0");
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(KERNEL.undo(&plan, None).is_empty());
        assert!(gone(&container));
        let drifts = KERNEL.verify(&plan, &netns).unwrap();
        assert!(drifts.iter().any(|drift| drift.found == "is missing"), "{drifts:?}");
        drop(beside);
    });
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn a_dummy_is_made_and_undone() {
    in_lab(|| {
        let container = Container::new();
        let netns = container.netns();
        let plan = station(LinkKind::Dummy, None, "fd07::5/64");
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert!(container.run("ip -d link show eth0").contains("dummy"));
        container.run("ip link set lo up");
        assert!(container.reaches("fd07::5"));
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(gone(&container));
    });
}

/// Defect 16 of the reference plugins: what an ADD made before it failed stays.
#[test]
#[ignore = "needs the lab: ring lab"]
fn defect_16_a_failed_add_leaves_no_link_of_any_kind() {
    in_lab(|| {
        let (_beside, container) = (segment(), Container::new());
        for kind in [ipvlan(IpvlanMode::L3), vlan(100), LinkKind::Dummy] {
            let mut plan = station(kind, None, "10.7.0.5/24");
            let sysctl = common::sysctl(wharfinger_plan::Place::Host, "net/none", "1");
            plan.steps.push(Step::owned(Action::Sysctl(sysctl)));
            let error = KERNEL.apply(&plan, &container.netns()).unwrap_err();
            let Error::Step { undoing, .. } = &error else { panic!("{error}") };
            assert!(undoing.is_empty(), "{error}");
            assert!(gone(&container), "{error}");
        }
    });
}

/// A process that was killed between making a link and naming it.
#[test]
#[ignore = "needs the lab: ring lab"]
fn a_link_without_an_alias_is_known_by_its_kind() {
    in_lab(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        container.run("ip link add eth0 type dummy");
        let other = Plan::new(vec![owned(inside(vlan(100)))]);
        assert!(KERNEL.undo(&other, Some(&netns)).is_empty());
        assert!(!gone(&container), "another's");
        let own = Plan::new(vec![owned(inside(LinkKind::Dummy))]);
        assert!(KERNEL.undo(&own, Some(&netns)).is_empty());
        assert!(gone(&container));
    });
}

fn access(id: u16) -> PortVlan {
    PortVlan { first: id, last: id, pvid: true, untagged: true }
}

fn tagged(first: u16, last: u16) -> PortVlan {
    PortVlan { first, last, pvid: false, untagged: false }
}

/// A container on a port of cni0 with these VLANs.
fn ported(number: u16, vlans: Vec<PortVlan>, ip: &str) -> Plan {
    let port = Port { bridge: "cni0".to_owned(), vlans, ..Port::default() };
    let veth = Link { port: Some(port), ..common::veth(&format!("veth{number}"), None) };
    Plan::new(vec![
        Step::shared(Action::Link(link(LinkRef::host("cni0"), LinkKind::VlanBridge))),
        owned(veth),
        Step::owned(Action::Address(address(eth0(), ip))),
        Step::owned(Action::Up { link: eth0() }),
    ])
}

/// The host is a gateway in a VLAN by a port of its own.
fn gateway(id: u16) -> Vec<Step> {
    let end = LinkRef::host(format!("cni0.{id}"));
    let port = Port { bridge: "cni0".to_owned(), vlans: vec![access(id)], ..Port::default() };
    let kind = LinkKind::Veth { peer: Peer { link: end.clone(), mac: None } };
    let veth = Link { port: Some(port), ..link(LinkRef::host(format!("vgw{id}")), kind) };
    vec![
        Step::shared(Action::Link(veth)),
        Step::shared(Action::Address(address(end, "10.7.0.1/24"))),
    ]
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn containers_of_one_vlan_reach_each_other_and_their_gateway_alone() {
    in_lab(|| {
        let all = [Container::new(), Container::new(), Container::new()];
        let plans = [
            ported(1, vec![access(100)], "10.7.0.2/24"),
            ported(2, vec![access(100), tagged(200, 203), tagged(300, 300)], "10.7.0.3/24"),
            ported(3, vec![access(101)], "10.7.0.4/24"),
        ];
        for (container, plan) in all.iter().zip(&plans) {
            let mut plan = plan.clone();
            // Everybody ensures the gateway's port; the first makes it.
            plan.steps.splice(1..1, gateway(100));
            KERNEL.apply(&plan, &container.netns()).unwrap();
            assert_eq!(KERNEL.verify(&plan, &container.netns()).unwrap(), []);
        }
        let shown = run("bridge vlan show dev veth2");
        assert!(shown.contains("100 PVID Egress Untagged") && shown.contains("203"), "{shown}");
        assert!(!shown.contains(" 1 "), "the kernel's own VLAN is gone: {shown}");
        assert!(all[0].reaches("10.7.0.3") && all[0].reaches("10.7.0.1"));
        assert!(!all[2].reaches("10.7.0.2") && !all[2].reaches("10.7.0.1"));
        // What others changed is told, and what others need stays.
        run("bridge vlan del dev veth2 vid 201");
        run("bridge vlan add dev veth2 vid 7");
        let found: Vec<String> = KERNEL
            .verify(&plans[1], &all[1].netns())
            .unwrap()
            .into_iter()
            .map(|drift| drift.found)
            .collect();
        assert_eq!(found, ["has no vlan 200-203", "has vlan 7 too"]);
        assert!(KERNEL.undo(&plans[0], Some(&all[0].netns())).is_empty());
        assert!(all[1].reaches("10.7.0.1"), "the gateway's port is shared");
    });
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn the_default_vlan_stays_where_it_is_to() {
    in_lab(|| {
        let container = Container::new();
        let mut plan = ported(1, vec![access(100)], "10.7.0.2/24");
        let Action::Link(veth) = &mut plan.steps[1].action else { panic!("{plan}") };
        veth.port.as_mut().unwrap().keep_default_vlan = true;
        KERNEL.apply(&plan, &container.netns()).unwrap();
        assert_eq!(KERNEL.verify(&plan, &container.netns()).unwrap(), []);
        let shown = run("bridge vlan show dev veth1");
        assert!(shown.contains("1 Egress Untagged") && shown.contains("100 PVID"), "{shown}");
    });
}

/// Its ports' VLANs would mean nothing.
#[test]
#[ignore = "needs the lab: ring lab"]
fn a_bridge_that_heeds_no_vlans_is_refused() {
    in_lab(|| {
        let container = Container::new();
        run("ip link add cni0 type bridge");
        let plan = ported(1, vec![access(100)], "10.7.0.2/24");
        let error = KERNEL.apply(&plan, &container.netns()).unwrap_err().to_string();
        assert!(error.contains("link cni0: vlan_filtering is 0, not 1"), "{error}");
    });
}

#[test]
#[ignore = "needs the lab: ring lab"]
fn nothing_is_missing_in_the_lab() {
    in_lab(|| {
        let plans = [
            station(ipvlan(IpvlanMode::L2), None, "10.7.0.5/24"),
            station(vlan(1), None, "10.7.0.5/24"),
            station(LinkKind::Dummy, None, "10.7.0.5/24"),
            ported(1, vec![access(100)], "10.7.0.2/24"),
        ];
        for plan in plans {
            assert_eq!(KERNEL.missing(&plan).unwrap(), [""; 0]);
        }
    });
}
