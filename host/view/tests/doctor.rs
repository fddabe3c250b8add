//! A fixture for every finding: on a node that is well there is none, and each spoils one thing.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;

use wharfinger_view::doctor::facts::{Bin, BinDir, ConfFile, Network, Owned, Route, Says};
use wharfinger_view::doctor::{Facts, Finding, Kind, Level, findings};

fn file(name: &str, network: &str, types: &[&str], ours: bool) -> ConfFile {
    let says = Says {
        network: network.into(),
        version: Some("1.0.0".into()),
        spoken: true,
        types: types.iter().map(|name| (*name).to_owned()).collect(),
        ours,
        firewall: false,
    };
    ConfFile { name: name.into(), says: Ok(says) }
}

fn network(name: &str, first: &str, last: &str) -> Network {
    Network {
        name: name.into(),
        driver: "bridge".into(),
        routed: true,
        bridge: Some("cni0".into()),
        domain: "host".into(),
        ranges: vec![(first.parse().expect("an address"), last.parse().expect("an address"))],
        ..Network::default()
    }
}

fn route(to: &str, link: &str) -> Route {
    Route { to: to.parse().expect("a prefix"), link: link.into(), ours: false }
}

/// A rule for links of hardware.
const UDEV: &str = r#"SUBSYSTEM=="net", KERNEL=="eth*", RUN+="/bin/tune""#;

/// A node on which all is well.
fn well() -> Facts {
    let bin = |name: &str| Bin { name: name.into(), executable: true, us: true };
    let sysctl = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut facts = Facts {
        kernel: "5.14.0-427.el9.x86_64".into(),
        version: "0.1.0".into(),
        bin: vec![BinDir {
            path: "/opt/cni/bin".into(),
            files: vec![bin("wharfinger")],
            error: None,
        }],
        networks: vec![network("pods", "10.1.0.0", "10.1.255.255")],
        routes: vec![
            route("0.0.0.0/0", "eth0"),
            route("192.0.2.0/24", "eth0"),
            route("10.1.0.0/16", "cni0"),
        ],
        udev: vec![("/usr/lib/udev/rules.d/80-x.rules".into(), UDEV.into())],
        links: vec!["cni0".into(), "veth0a1b2c3d".into()],
        attached: true,
        owned: vec![Owned { path: "/run/wharfinger".into(), mode: 0o40755, uid: 0, wanted: 0 }],
        room: vec![("/run/wharfinger".into(), 1 << 30, 2 << 30)],
        ..Facts::default()
    };
    facts.conf.path = "/etc/cni/net.d".into();
    facts.conf.files = vec![file("10-pods.conflist", "pods", &["wharfinger"], true)];
    facts.sysctls = [
        sysctl("net.ipv4.ip_forward", "1"),
        sysctl("net.ipv6.conf.all.forwarding", "0"),
        sysctl("net.ipv4.conf.all.rp_filter", "2"),
    ]
    .into();
    facts
}

type Fixture = (Kind, fn(&mut Facts), &'static str);

/// What is spoilt, and what the finding has to name.
const FIXTURES: &[Fixture] = &[
    (Kind::OldKernel, |f| f.kernel = "5.13.19-generic".into(), "5.14"),
    (Kind::MissingFeature, |f| f.networks[0].missing = vec!["vxlan links".into()], "driver bridge"),
    (Kind::Network, |f| f.networks[0].unwell = Some("set 0 is full".into()), "set 0 is full"),
    (
        Kind::Network,
        |f| f.networks[0].impaired = Some("net/ipv4/ip_forward is 0".into()),
        "may be impaired: net/ipv4/ip_forward is 0",
    ),
    (Kind::ConfDirectory, |f| f.conf.absent = true, "conf init"),
    (Kind::NoNetwork, |f| f.conf.files.clear(), "conf init"),
    (
        Kind::BrokenFile,
        |f| f.conf.files[0].says = Err("line 3".into()),
        "containerd takes no other",
    ),
    (
        Kind::ShadowedFile,
        |f| f.conf.files.insert(0, file("05-x.conflist", "x", &["wharfinger"], false)),
        "behind 05-x.conflist",
    ),
    (
        Kind::DoubledName,
        |f| f.conf.files.push(file("20-pods.conf", "pods", &["wharfinger"], true)),
        "10-pods.conflist and 20-pods.conf",
    ),
    (Kind::Picked, |_| {}, "containerd takes 10-pods.conflist"),
    (
        Kind::Version,
        |f| {
            let says = f.conf.files[0].says.as_mut().expect("it is readable");
            (says.version, says.spoken) = (Some("2.0.0".into()), false);
        },
        "2.0.0",
    ),
    (
        Kind::NoExecutable,
        |f| f.conf.files.push(file("20-a.conflist", "a", &["calico-ipam"], false)),
        "asked for by a",
    ),
    (
        Kind::NotExecutable,
        |f| f.bin[0].files[0].executable = false,
        "chmod 755 /opt/cni/bin/wharfinger",
    ),
    (Kind::Provider, |_| {}, "this executable"),
    (Kind::OtherVersion, |f| f.bin[0].files[0].us = false, "0.1.0"),
    (Kind::Permissions, |f| f.owned[0].mode = 0o40777, "mode 777"),
    (Kind::Settings, |f| f.settings = Some("unknown field gcc".into()), "gcc"),
    (Kind::Ledger, |f| f.ledger = Some("no space left".into()), "no space left"),
    (
        Kind::SetAside,
        |f| f.set_aside.push("/run/wharfinger/b/ledger.db.damaged-1".into()),
        "events",
    ),
    (Kind::Store, |f| f.store.push(("quota".into(), "its file is gone".into())), "plugin verify"),
    (Kind::Room, |f| f.room[0].1 = 1 << 20, "1024 KiB"),
    (
        Kind::Leftover,
        |f| f.conf.files.push(file("20-calico.conflist", "k8s", &["calico"], false)),
        "Calico",
    ),
    (
        Kind::Forwarding,
        |f| drop(f.sysctls.insert("net.ipv4.ip_forward".into(), "0".into())),
        "packets of pods",
    ),
    (
        Kind::ReversePath,
        |f| {
            f.sysctls.insert("net.ipv4.conf.all.rp_filter".into(), "1".into());
            f.networks[0].features.push("sbr".into());
        },
        "rp_filter = 2",
    ),
    (
        Kind::ForwardDrop,
        |f| f.drops.push(("ip filter FORWARD".into(), "policy drop (priority 0)".into())),
        "policy drop",
    ),
    (
        Kind::Overlap,
        |f| f.networks.push(network("web", "10.1.4.0", "10.1.4.255")),
        "10.1.4.0-10.1.4.255",
    ),
    (Kind::RouteConflict, |f| f.routes.push(route("10.1.128.0/17", "tun0")), "tun0"),
    (
        Kind::Drift,
        |f| f.drifted.push(("pods/c1/eth0".into(), "masquerade 10.1.0.5 is missing".into())),
        "masquerade 10.1.0.5 is missing",
    ),
    (Kind::DeadAttachment, |f| f.dead.push("pods/c1/eth0".into()), "sweep"),
    (Kind::Certificate, |f| f.certificates.push((false, "ends in 3 days".into())), "3 days"),
    (
        Kind::Orphan,
        |f| f.orphans.push(("pods/c2/eth0".into(), "link vethab".into())),
        "wharfinger del pods --container c2 --ifname eth0",
    ),
    (
        Kind::LeakedAddress,
        |f| f.reserved.push(("/var/lib/cni/networks/pods/10.1.0.9".into(), "gone".into())),
        "10.1.0.9 (gone)",
    ),
    (Kind::LeakedNamespace, |f| f.namespaces.push("/run/netns/cni-1".into()), "ip netns del"),
    (
        Kind::Manager,
        |f| f.managed.push(("cni0".into(), "NetworkManager".into(), "/run/x".into())),
        "unmanaged-devices",
    ),
    (
        Kind::LinkFile,
        |f| f.link_files.push("/usr/lib/systemd/network/99-default.link".into()),
        "MACAddressPolicy=none",
    ),
    (Kind::UdevRule, |f| f.udev[0].1 = UDEV.replace("eth", "veth"), "runs /bin/tune"),
    (Kind::Firewalld, |f| f.firewalld = true, "feature firewall"),
    (Kind::Unseen, |f| f.unseen.push(("links".into(), "not permitted".into())), "root"),
];

#[test]
fn a_node_that_is_well_has_notices_alone() {
    let all = findings(&well());
    assert!(all.iter().all(|finding| finding.level == Level::Notice), "{all:?}");
}

#[test]
fn every_finding_has_its_fixture_and_says_what_to_do() {
    let kinds: BTreeSet<Kind> = FIXTURES.iter().map(|(kind, ..)| *kind).collect();
    let known: BTreeSet<Kind> = Kind::ALL.iter().copied().collect();
    assert_eq!(kinds, known);
    let before: BTreeSet<Kind> = findings(&well()).iter().map(|finding| finding.kind).collect();
    for (kind, spoil, says) in FIXTURES {
        let mut facts = well();
        spoil(&mut facts);
        let all = findings(&facts);
        let found = all.iter().find(|finding| finding.kind == *kind);
        let text = found.unwrap_or_else(|| panic!("{} is not found", kind.name())).text();
        assert!(text.contains(says), "{}: {text}", kind.name());
        // Nothing else is told; but a network that cannot be read, or whose executables are gone, is
        // behind more than one of them.
        let also = [Kind::NoExecutable, Kind::Leftover, Kind::Picked, Kind::Provider];
        let more: Vec<_> = all
            .iter()
            .filter(|found| found.kind != *kind && !before.contains(&found.kind))
            .filter(|found| !also.contains(&found.kind))
            .collect();
        assert!(more.is_empty(), "{}: {more:?}", kind.name());
        assert!(
            found.is_some_and(|f| f.level == Level::Notice || !f.cure.is_empty()),
            "{}: what to do",
            kind.name()
        );
    }
}

#[test]
fn the_worst_comes_first_and_nothing_moves_a_cursor() {
    let mut facts = well();
    facts.drops.push(("ip filter X\u{1b}[2J".into(), "policy drop".into()));
    facts.firewalld = true;
    let all = findings(&facts);
    assert_eq!(all[0].kind, Kind::ForwardDrop);
    assert!(all.windows(2).all(|two| two[0].level >= two[1].level));
    assert!(!all[0].text().contains('\u{1b}'));
    let json = serde_json::to_value(&all[0]).expect("JSON");
    assert_eq!(json["finding"], "forward-drop");
    assert_eq!(json["level"], "error");
    assert!(json["do"].as_str().is_some_and(|text| text.contains("firewall")));
}

#[test]
fn what_runtimes_take_depends_on_what_is_broken() {
    let mut facts = well();
    facts.conf.files.insert(0, ConfFile { name: "00-x.conf".into(), says: Err("empty".into()) });
    let all = findings(&facts);
    let picked = all.iter().find(|finding| finding.kind == Kind::Picked).expect("told");
    assert!(picked.what.contains("containerd takes none"), "{}", picked.what);
    assert!(picked.what.contains("CRI-O and cri-dockerd 10-pods.conflist"), "{}", picked.what);
}

#[test]
fn what_a_package_runs_for_all_links_is_a_notice() {
    let level = |file: &str, rule: &str| {
        let mut facts = well();
        facts.udev = vec![(file.into(), format!("SUBSYSTEM==\"net\", {rule}"))];
        let all = findings(&facts);
        all.iter().find(|finding| finding.kind == Kind::UdevRule).map(|finding| finding.level)
    };
    let (package, own) = ("/usr/lib/udev/rules.d/80-x.rules", "/etc/udev/rules.d/80-x.rules");
    assert_eq!(level(package, "RUN+=\"/bin/x\""), Some(Level::Notice));
    assert_eq!(level(own, "RUN+=\"/bin/x\""), Some(Level::Warning));
    assert_eq!(level(package, "NAME=\"lan0\""), Some(Level::Warning));
}

#[test]
fn on_the_hosts_own_segment_addresses_are_shared() {
    let mut facts = well();
    facts.networks[0].driver = "macvlan".into();
    facts.routes.push(route("10.1.0.0/16", "eth0"));
    assert!(findings(&facts).iter().all(|finding| finding.kind != Kind::RouteConflict));
}

/// What is long, or drawn, is put so that a line has room for it.
#[test]
fn numbers_of_runtimes_are_shortened_and_pictures_of_places_left_out() {
    let mut facts = well();
    let long = "0123456789ab".to_owned() + &"c".repeat(52);
    facts.dead.push(format!("pods/{long}/eth0"));
    let toml =
        "TOML parse error at line 2, column 1\n  |\n2 | gcc = 1\n  | ^^^\nunknown field `gcc`\n";
    facts.settings = Some(format!("node settings /etc/w.toml: {toml}"));
    let found = findings(&facts);
    let of = |kind| found.iter().find(|it| it.kind == kind).map(|it| it.what.as_str());
    assert!(of(Kind::DeadAttachment).is_some_and(|it| it.contains(&long)), "programs get it whole");
    let line = found.iter().find(|it| it.kind == Kind::DeadAttachment).map(Finding::text);
    assert!(line.is_some_and(|it| it.contains("dead: pods/0123456789ab/eth0\n")));
    let wanted =
        "node settings /etc/w.toml: TOML parse error at line 2, column 1: unknown field `gcc`";
    assert_eq!(of(Kind::Settings), Some(wanted));
}

/// A node on which nobody can be attached is not well, unless it serves Docker alone.
#[test]
fn a_node_without_a_network_is_told_of_it() {
    let level = |spoil: fn(&mut Facts)| {
        let mut facts = well();
        spoil(&mut facts);
        let found = findings(&facts);
        let of = |kind| found.iter().find(|it| it.kind == kind).map(|it| it.level);
        of(Kind::ConfDirectory).or(of(Kind::NoNetwork))
    };
    assert_eq!(level(|f| f.conf.absent = true), Some(Level::Warning));
    assert_eq!(level(|f| f.conf.files.clear()), Some(Level::Warning));
    let docker = |spoil: fn(&mut Facts)| {
        let mut facts = well();
        facts.docker = true;
        spoil(&mut facts);
        findings(&facts).iter().map(|it| it.level).max()
    };
    assert_eq!(docker(|f| f.conf.absent = true), Some(Level::Notice));
    assert_eq!(docker(|f| f.conf.files.clear()), Some(Level::Notice));
    let unread: fn(&mut Facts) = |f| f.conf.error = Some("Not a directory (os error 20)".into());
    assert_eq!(docker(unread), Some(Level::Error), "whoever is served");
}
