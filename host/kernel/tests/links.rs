//! Links that stand on others, taps and lent devices, against the real kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use common::{Container, KERNEL, address, eth0, link, on_host, route, run, try_run};
use wharfinger_kernel::{Answer, Error, Kernel, Query};
use wharfinger_plan::{
    Action, Announce, Device, Link, LinkKind, LinkRef, Mac, Macvlan, MacvlanMode, Place, Plan,
    Port, Probe, Step, Tap,
};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 9]);
const KEY: &str = "pods/c1/eth0";

fn owned(link: Link) -> Step {
    Step::owned(Action::Link(link))
}

/// The container's link, of this kind.
fn inside(kind: LinkKind) -> Link {
    Link { alias: Some(KEY.to_owned()), up: false, ..link(eth0(), kind) }
}

fn macvlan(mode: MacvlanMode) -> LinkKind {
    LinkKind::Macvlan(Macvlan { master: LinkRef::host("seg0"), mode, bcqueuelen: None })
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

/// A macvlan with an address of each family, after the segment was asked.
fn station(v4: &str, v6: &str) -> Plan {
    let ips = [v4, v6].map(|text| text.split('/').next().unwrap().parse().unwrap());
    let probe = Probe { link: eth0(), addresses: ips.to_vec(), gateways: Vec::new() };
    let announce = Announce { link: eth0(), addresses: ips.to_vec() };
    Plan::new(vec![
        owned(Link { mac: Some(MAC), ..inside(macvlan(MacvlanMode::Bridge)) }),
        Step::owned(Action::Up { link: eth0() }),
        Step::owned(Action::Probe(probe)),
        Step::owned(Action::Address(address(eth0(), v4))),
        Step::owned(Action::Address(address(eth0(), v6))),
        Step::owned(Action::Announce(announce)),
    ])
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_macvlan_is_made_verified_in_use_and_undone() {
    on_host(|| {
        let (beside, container) = (segment(), Container::new());
        beside.run("ip addr add 10.7.0.1/24 dev seg1");
        beside.run("ip addr add fd07::1/64 dev seg1 nodad");
        let netns = container.netns();
        let plan = station("10.7.0.5/24", "fd07::5/64");
        let facts = KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(facts[0].mac, Some(MAC));
        assert_eq!(facts[0].alias.as_deref(), Some(KEY));
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        let shown = container.run("ip -d link show eth0");
        assert!(shown.contains("macvlan mode bridge"), "{shown}");
        let host = run("ip -o link");
        assert!(!host.contains("macvlan") && host.matches("seg").count() == 1, "{host}");
        assert!(container.reaches("10.7.0.1") && container.reaches("fd07::1"));

        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(KERNEL.links(&[eth0()], Some(&netns)).unwrap()[0].is_none());
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty(), "undone twice");
        assert!(KERNEL.undo(&plan, None).is_empty(), "without a namespace");
    });
}

/// Pain F1: an address of IPv6 is usable when ADD returns, also on a segment of others, and what
/// the wait for others found is not thrown away.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f1_on_a_shared_segment_v6_is_usable_at_once_and_a_conflict_is_told() {
    on_host(|| {
        let (beside, container) = (segment(), Container::new());
        let netns = container.netns();
        let plan = station("10.7.0.5/24", "fd07::5/64");
        KERNEL.apply(&plan, &netns).unwrap();
        let shown = container.run("ip -6 addr show dev eth0 scope global");
        assert!(!shown.contains("tentative"), "{shown}");
        let bind = "import socket; socket.socket(socket.AF_INET6).bind(('fd07::5', 80))";
        container.run(&format!("/usr/bin/python3 -c \"{bind}\""));
        KERNEL.undo(&plan, Some(&netns));

        beside.run("ip addr add fd07::5/64 dev seg1 nodad");
        let error = KERNEL.apply(&plan, &netns).unwrap_err();
        let mac = beside.run("cat /sys/class/net/seg1/address 2>/dev/null || true");
        let Error::Step { source, undoing, .. } = &error else { panic!("{error}") };
        assert!(matches!(&**source, Error::Taken { .. }), "{error} {mac}");
        assert!(undoing.is_empty());
        assert!(KERNEL.links(&[eth0()], Some(&netns)).unwrap()[0].is_none(), "nothing is left");
    });
}

/// Pain B7: who asks after the address is on has already harmed the other.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_b7_a_squatter_is_named_before_the_address_is_on_and_keeps_its_neighbours() {
    on_host(|| {
        let (beside, container, third) = (segment(), Container::new(), Container::new());
        beside.run("ip addr add 10.7.0.5/24 dev seg1");
        let squatter =
            beside.run("ip -br link show seg1").split_whitespace().nth(2).unwrap().to_owned();
        // A neighbour that knows the squatter.
        let mut neighbour = station("10.7.0.9/24", "fd07::9/64");
        let Action::Link(link) = &mut neighbour.steps[0].action else { panic!("{neighbour}") };
        link.mac = Some(Mac([2, 0, 0, 0, 0, 8]));
        KERNEL.apply(&neighbour, &third.netns()).unwrap();
        assert!(third.reaches("10.7.0.5"));
        let error = KERNEL.apply(&station("10.7.0.5/24", "fd07::5/64"), &container.netns());
        let text = error.unwrap_err().to_string();
        assert!(text.contains("address 10.7.0.5 is in use"), "{text}");
        assert!(text.contains(&squatter), "{text} does not name {squatter}");
        let known = third.run("ip neigh show 10.7.0.5");
        assert!(known.contains(&squatter), "the question changed nobody's cache: {known}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn gateways_are_asked_after_duplicates_and_have_to_answer() {
    on_host(|| {
        let (beside, container) = (segment(), Container::new());
        beside.run("ip addr add 10.7.0.1/24 dev seg1");
        beside.run("ip addr add fd07::1/64 dev seg1 nodad");
        let netns = container.netns();
        let with = |gateways: &[&str]| {
            let mut plan = station("10.7.0.5/24", "fd07::5/64");
            let Action::Probe(probe) = &mut plan.steps[2].action else { panic!("{plan}") };
            probe.gateways = gateways.iter().map(|text| text.parse().unwrap()).collect();
            plan
        };
        let plan = with(&["10.7.0.1", "fd07::1"]);
        KERNEL.apply(&plan, &netns).unwrap();
        KERNEL.undo(&plan, Some(&netns));
        let error = KERNEL.apply(&with(&["10.7.0.1", "10.7.0.2"]), &netns).unwrap_err();
        assert!(error.to_string().contains("gateway 10.7.0.2 does not answer"), "{error}");
    });
}

/// Neighbours that knew who had the address before know better at once.
#[test]
#[ignore = "needs root: ring netns"]
fn an_announcement_reaches_neighbours() {
    on_host(|| {
        let (beside, container) = (segment(), Container::new());
        beside.run("ip addr add 10.7.0.1/24 dev seg1");
        beside.run("ip addr add fd07::1/64 dev seg1 nodad");
        for ip in ["10.7.0.5", "fd07::5"] {
            beside.run(&format!("ip neigh add {ip} lladdr 02:00:00:00:00:ee dev seg1 nud stale"));
        }
        KERNEL.apply(&station("10.7.0.5/24", "fd07::5/64"), &container.netns()).unwrap();
        for ip in ["10.7.0.5", "fd07::5"] {
            let known = beside.run(&format!("ip neigh show {ip}"));
            assert!(known.contains(&MAC.to_string()), "{known}");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_passthru_macvlan_gives_its_master_the_mac_that_is_asked_for() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        let link = Link { mac: Some(MAC), ..inside(macvlan(MacvlanMode::Passthru)) };
        let plan = Plan::new(vec![owned(link)]);
        let facts = KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(facts[0].mac, Some(MAC));
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
    });
}

/// Defect 16 of the reference plugins: what an ADD made before it failed stays.
#[test]
#[ignore = "needs root: ring netns"]
fn defect_16_a_failed_add_leaves_no_link() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        let bad = || {
            let sysctl = common::sysctl(Place::Host, "net/none", "1");
            Step::owned(Action::Sysctl(sysctl))
        };
        let kinds = [macvlan(MacvlanMode::Private), LinkKind::Tap(Tap::default())];
        for kind in kinds {
            let plan = Plan::new(vec![owned(inside(kind)), bad()]);
            let error = KERNEL.apply(&plan, &netns).unwrap_err();
            let Error::Step { step: 1, undoing, .. } = &error else { panic!("{error}") };
            assert!(undoing.is_empty(), "{error}");
            assert!(KERNEL.links(&[eth0()], Some(&netns)).unwrap()[0].is_none());
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_name_that_is_taken_is_told_and_its_link_unharmed() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        container.run("ip link add eth0 type veth peer name other");
        for kind in [macvlan(MacvlanMode::Bridge), LinkKind::Tap(Tap::default())] {
            let error = KERNEL.apply(&Plan::new(vec![owned(inside(kind))]), &netns).unwrap_err();
            assert_eq!(error.errno(), Some(libc::EEXIST), "{error}");
            assert!(container.run("ip -d link show eth0").contains("veth"));
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_tap_has_all_that_was_asked_for_and_a_program_can_open_it() {
    on_host(|| {
        let container = Container::new();
        let netns = container.netns();
        container.run("ip link add br0 type bridge");
        let tap =
            Tap { multi_queue: true, uid: Some(12345), gid: Some(1001), selinux_context: None };
        let link = Link {
            mac: Some(MAC),
            mtu: Some(1400),
            port: Some(Port { bridge: "br0".to_owned(), ..Port::default() }),
            ..inside(LinkKind::Tap(tap))
        };
        let plan = Plan::new(vec![owned(link), Step::owned(Action::Up { link: eth0() })]);
        let facts = KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!((facts[0].mac, facts[0].mtu), (Some(MAC), 1400));
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        let shown = container.run("ip -d link show eth0");
        for part in [
            "tun type tap",
            "pi off",
            "vnet_hdr off",
            "multi_queue",
            "persist on",
            "group 1001",
            "master br0",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        // As a virtual machine's monitor does, with a header of virtio's.
        let open = "import fcntl,os,struct; f=os.open('/dev/net/tun',os.O_RDWR); \
                    fcntl.ioctl(f,0x400454ca,struct.pack('16sH22x',b'eth0',0x2|0x1000|0x4000|0x100)); \
                    print(open('/sys/class/net/eth0/carrier').read() if 0 else 'opened')";
        assert!(container.run(&format!("/usr/bin/python3 -c \"{open}\"")).contains("opened"));
        assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        assert!(KERNEL.links(&[eth0()], Some(&netns)).unwrap()[0].is_none());
    });
}

fn lent(from: &str) -> Plan {
    lent_as(Device { from: Some(from.to_owned()), unrecorded: false })
}

fn lent_as(device: Device) -> Plan {
    let link = Link { alias: None, ..inside(LinkKind::Device(device)) };
    Plan::new(vec![
        owned(link),
        Step::owned(Action::Up { link: eth0() }),
        Step::owned(Action::Address(address(eth0(), "10.7.0.5/24"))),
    ])
}

/// Defect 15 of the reference plugins: a second DEL of host-device fails, and so does one whose
/// namespace is gone.
#[test]
#[ignore = "needs root: ring netns"]
fn defect_15_a_lent_device_comes_home_however_often_it_is_undone() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        let plan = lent("seg0");
        KERNEL.apply(&plan, &netns).unwrap();
        assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
        assert!(container.run("ip -d link show eth0").contains("alias seg0"));
        assert!(!try_run("ip link show seg0").0, "it is lent");
        for _ in 0..2 {
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
            let shown = run("ip addr show seg0");
            assert!(!shown.contains("alias") && !shown.contains("10.7.0.5"), "{shown}");
            assert!(shown.contains("state DOWN"), "{shown}");
        }
        assert!(KERNEL.undo(&plan, None).is_empty());
        // Lent again, and its name taken by the container for something else.
        KERNEL.apply(&plan, &netns).unwrap();
        container.run("ip link set eth0 down");
        container.run("ip link set eth0 name stolen alias nonsense");
        container.run("ip link add eth0 type veth peer name eth1");
        let errors = KERNEL.undo(&plan, Some(&netns));
        assert!(container.run("ip link show eth0").contains("eth0"), "not another's: {errors:?}");
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_device_whose_name_is_taken_inside_stays_at_home_and_up() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        container.run("ip link add eth0 type veth peer name other");
        let error = KERNEL.apply(&lent("seg0"), &netns).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EEXIST), "{error}");
        let shown = run("ip link show seg0");
        assert!(shown.contains("UP") && !shown.contains("alias"), "{shown}");
    });
}

/// Where the namespace ends, the kernel brings a device home under the name it had there.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a2_a_device_that_came_home_by_itself_gets_its_name_back() {
    on_host(|| {
        let _beside = segment();
        run("ip link set seg0 down");
        run("ip link set seg0 name eth0 alias seg0");
        assert!(KERNEL.undo(&lent("seg0"), None).is_empty());
        let shown = run("ip link show seg0");
        assert!(!shown.contains("alias"), "{shown}");
        // One that has been home all the time is left as it is.
        run("ip link set seg0 up");
        assert!(KERNEL.undo(&lent("seg0"), None).is_empty());
        assert!(run("ip link show seg0").contains("UP"));
    });
}

/// By the configuration alone, a link is given back that is as the kernel brings one home.
#[test]
#[ignore = "needs root: ring netns"]
fn without_a_record_an_alias_is_not_enough_to_rename_a_link_of_the_host() {
    on_host(|| {
        let _beside = segment();
        let plan = lent_as(Device { from: Some("uplink".to_owned()), unrecorded: true });
        run("ip link set seg0 alias uplink");
        assert!(KERNEL.undo(&plan, None).is_empty());
        let shown = run("ip link show seg0");
        assert!(shown.contains("UP") && shown.contains("alias uplink"), "{shown}");
        for name in ["eth0", "dev7"] {
            run("ip link set seg0 down");
            run(&format!("ip link set seg0 name {name} alias uplink"));
            assert!(KERNEL.undo(&plan, None).is_empty());
            assert!(!run("ip link show uplink").contains("alias"));
            run("ip link set uplink name seg0");
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_process_that_was_killed_before_the_device_left_takes_nothing_from_the_host() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        run("ip link set seg0 alias seg0");
        assert!(KERNEL.undo(&lent("seg0"), Some(&netns)).is_empty());
        assert!(!run("ip link show seg0").contains("alias"));
        // Killed when it had moved, and not been renamed: both are one request, but kernels differ.
        run("ip link set seg0 alias seg0");
        run(&format!("ip link set seg0 netns /proc/self/fd/0 < {}", container.path.display()));
        assert!(KERNEL.undo(&lent("seg0"), Some(&netns)).is_empty());
        assert!(!run("ip link show seg0").contains("alias"));
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn links_are_found_by_default_route_and_by_address() {
    on_host(|| {
        let (beside, container) = (segment(), Container::new());
        let ask = |query| KERNEL.ask(&query, Some(&container.netns())).unwrap();
        assert_eq!(ask(Query::DefaultRoute(Place::Host)), None);
        run("ip addr add 10.7.0.2/24 dev seg0");
        run("ip route add default via 10.7.0.1 metric 100");
        run("ip link add far type veth peer name away");
        run("ip link set far up");
        run("ip link set away up");
        run("ip addr add 10.8.0.2/24 dev far");
        run("ip route add default via 10.8.0.1 metric 50");
        let Some(Answer::Link(found)) = ask(Query::DefaultRoute(Place::Host)) else {
            panic!("no default route")
        };
        assert_eq!(found.link, LinkRef::host("far"));
        assert!(found.addresses.contains(&"10.8.0.2/24".parse().unwrap()));
        let Some(Answer::Link(again)) = ask(Query::Mac(found.mac.unwrap())) else { panic!("none") };
        assert_eq!(again.link, found.link);
        assert_eq!(ask(Query::Mac(Mac([2, 0, 0, 0, 0, 1]))), None);
        assert_eq!(ask(Query::Pci("0000:ff:1f.7".to_owned())), None);
        assert_eq!(ask(Query::SysPath("/sys/devices/none".to_owned())), None);
        assert_eq!(ask(Query::DefaultRoute(Place::Container)), None);
        container.run("ip link set lo up");
        container.run("ip -6 route add default dev lo");
        let inside = ask(Query::DefaultRoute(Place::Container));
        assert!(matches!(inside, Some(Answer::Link(it)) if it.link == LinkRef::container("lo")));
        drop(beside);
    });
}

/// Pain F2: a macvlan does not reach its host; with a station of the host's it does.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f2_with_host_access_host_and_container_reach_each_other() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        run("ip addr add 10.7.0.2/24 dev seg0");
        let without = station("10.7.0.5/24", "fd07::5/64");
        KERNEL.apply(&without, &netns).unwrap();
        assert!(!container.reaches("10.7.0.2"), "by the kernel's own design");
        KERNEL.undo(&without, Some(&netns));

        let host = LinkRef::host("wh-seg0");
        let mut plan = station("10.7.0.5/24", "fd07::5/64");
        let way =
            wharfinger_plan::Route { scope: Some(253), ..route(host.clone(), "10.7.0.5/32", None) };
        let filter = common::sysctl(Place::Host, "net/ipv4/conf/wh-seg0/arp_filter", "1");
        let access = [
            Step::shared(Action::Link(link(host, macvlan(MacvlanMode::Bridge)))),
            Step::shared(Action::Sysctl(filter)),
            Step::owned(Action::Route(way)),
        ];
        plan.steps.splice(0..0, access);
        for _ in 0..2 {
            KERNEL.apply(&plan, &netns).unwrap();
            assert_eq!(KERNEL.verify(&plan, &netns).unwrap(), []);
            assert!(container.reaches("10.7.0.2"));
            run("ping -c3 -i0.2 -W1 10.7.0.5");
            // Undone without the namespace: the host's way goes, the station is everybody's.
            assert!(KERNEL.undo(&plan, None).is_empty());
            assert!(!run("ip route").contains("10.7.0.5"));
            assert!(run("ip link show wh-seg0").contains("UP"));
            assert!(KERNEL.undo(&plan, Some(&netns)).is_empty());
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn nothing_is_missing_for_what_this_kernel_makes() {
    on_host(|| {
        for kind in [macvlan(MacvlanMode::Bridge), LinkKind::Tap(Tap::default())] {
            let plan = Plan::new(vec![owned(inside(kind))]);
            assert_eq!(KERNEL.missing(&plan).unwrap(), [""; 0]);
        }
    });
}

#[test]
#[ignore = "needs root: ring netns"]
fn check_names_what_differs_of_a_macvlan() {
    on_host(|| {
        let (_beside, container) = (segment(), Container::new());
        let netns = container.netns();
        let link = Link { mac: Some(MAC), ..inside(macvlan(MacvlanMode::Bridge)) };
        let plan = Plan::new(vec![owned(link)]);
        KERNEL.apply(&plan, &netns).unwrap();
        container.run("ip link set eth0 type macvlan mode private");
        container.run("ip link set eth0 address 02:00:00:00:00:08");
        let found: Vec<String> =
            KERNEL.verify(&plan, &netns).unwrap().into_iter().map(|drift| drift.found).collect();
        assert_eq!(
            found,
            ["mac is 02:00:00:00:00:08, not 02:00:00:00:00:09", "mode is private, not bridge"]
        );
        run("ip link add other type veth peer name seg9");
        let other = Macvlan {
            master: LinkRef::host("other"),
            mode: MacvlanMode::Private,
            bcqueuelen: None,
        };
        let moved = Plan::new(vec![owned(inside(LinkKind::Macvlan(other)))]);
        let found = KERNEL.verify(&moved, &netns).unwrap();
        assert!(found.iter().any(|drift| drift.found == "does not stand on other"), "{found:?}");
    });
}
