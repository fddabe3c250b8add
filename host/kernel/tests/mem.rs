//! The double behaves as the trait says: what the verbs' tests rely on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

use std::net::IpAddr;

use wharfinger_kernel::mem::{Crash, HOST_COOKIE, MemKernel};
use wharfinger_kernel::{AtPath, Error, Kernel, Netns, PeerChange, Peers, Segment};
use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Masquerade, Others, Peer, Plan, Port, Step, Vxlan,
};

const KEY: &str = "wharfinger:pods:c1:eth0";

fn link(name: &str, kind: LinkKind) -> Link {
    Link {
        link: LinkRef::host(name),
        kind,
        mtu: None,
        mac: None,
        alias: None,
        port: None,
        promisc: None,
        up: true,
    }
}

fn plan() -> Plan {
    let bridge = link("cni0", LinkKind::Bridge);
    let peer = Peer { link: LinkRef::container("eth0"), mac: None };
    let mut veth = link("veth1", LinkKind::Veth { peer });
    veth.alias = Some(KEY.to_owned());
    veth.port = Some(Port { bridge: "cni0".to_owned(), ..Port::default() });
    let address = Address {
        link: LinkRef::container("eth0"),
        address: "10.1.0.5/16".parse().unwrap(),
        nodad: false,
        prefix_route: true,
        others: Others::Keep,
    };
    Plan::new(vec![
        Step::shared(Action::Link(bridge)),
        Step::owned(Action::Link(veth)),
        Step::owned(Action::Address(address)),
        Step::owned(Action::Up { link: LinkRef::container("eth0") }),
        Step::owned(Action::Masquerade(rule(KEY))),
    ])
}

fn rule(comment: &str) -> Masquerade {
    Masquerade {
        address: "10.1.0.5".parse().unwrap(),
        network: "10.1.0.0/16".parse().unwrap(),
        comment: comment.to_owned(),
    }
}

fn kernel() -> (MemKernel, Netns) {
    let kernel = MemKernel::new();
    kernel.add_netns("/run/netns/a", 7);
    let AtPath::Netns(netns) = kernel.netns("/run/netns/a".as_ref()).unwrap() else {
        panic!("a namespace that was added is there")
    };
    (kernel, netns)
}

#[test]
fn applied_is_verified_and_undone() {
    let (kernel, netns) = kernel();
    let facts = kernel.apply(&plan(), &netns).unwrap();
    let names: Vec<String> = facts.iter().map(|f| f.link.to_string()).collect();
    assert_eq!(names, ["cni0", "veth1", "container:eth0"]);
    assert_eq!(kernel.verify(&plan(), &netns).unwrap(), []);
    assert_eq!(kernel.leftovers().len(), 2);
    kernel.delete_masquerade(IpAddr::from([10, 1, 0, 5]));
    let drifts = kernel.verify(&plan(), &netns).unwrap();
    assert_eq!((drifts[0].step, drifts[0].found.as_str()), (4, "is missing"));
    for _ in 0..3 {
        assert!(kernel.undo(&plan(), Some(&netns)).is_empty());
    }
    assert!(kernel.leftovers().is_empty());
    assert!(kernel.link(7, "eth0").is_none());
    assert!(kernel.link(HOST_COOKIE, "cni0").is_some());
}

#[test]
fn a_second_apply_fails_and_leaves_the_first() {
    let (kernel, netns) = kernel();
    kernel.apply(&plan(), &netns).unwrap();
    let error = kernel.apply(&plan(), &netns).unwrap_err();
    assert!(matches!(error, Error::Step { step: 1, .. }), "{error}");
    assert_eq!(kernel.verify(&plan(), &netns).unwrap(), []);
}

#[test]
fn a_failure_at_any_step_leaves_nothing() {
    let (kernel, netns) = kernel();
    for step in 0..plan().steps.len() {
        kernel.fail_at(step);
        let error = kernel.apply(&plan(), &netns).unwrap_err();
        assert!(matches!(error, Error::Step { step: at, .. } if at == step), "{error}");
        assert!(kernel.leftovers().is_empty(), "{:?}", kernel.leftovers());
    }
}

#[test]
fn a_crash_at_any_step_is_cleaned_by_undo() {
    let (kernel, netns) = kernel();
    for steps in 0..=plan().steps.len() {
        kernel.crash_at(steps, Crash::Error);
        kernel.apply(&plan(), &netns).unwrap_err();
        assert!(kernel.undo(&plan(), Some(&netns)).is_empty());
        assert!(kernel.leftovers().is_empty(), "{:?}", kernel.leftovers());
    }
}

#[test]
fn what_is_anothers_stays() {
    let (kernel, netns) = kernel();
    kernel.apply(&plan(), &netns).unwrap();
    let mut other = plan();
    for step in &mut other.steps {
        match &mut step.action {
            Action::Link(link) if link.alias.is_some() => link.alias = Some("other".to_owned()),
            Action::Masquerade(rule) => rule.comment = "other".to_owned(),
            _ => {}
        }
    }
    assert!(kernel.undo(&other, Some(&netns)).is_empty());
    assert_eq!(kernel.verify(&plan(), &netns).unwrap(), []);
}

#[test]
fn a_namespace_takes_its_links_along_and_the_rule_is_undone_without_it() {
    let (kernel, netns) = kernel();
    kernel.apply(&plan(), &netns).unwrap();
    kernel.remove_netns("/run/netns/a");
    assert!(kernel.link(HOST_COOKIE, "veth1").is_none());
    assert!(matches!(kernel.netns("/run/netns/a".as_ref()).unwrap(), AtPath::Gone));
    assert!(kernel.undo(&plan(), None).is_empty());
    assert!(kernel.leftovers().is_empty());
}

#[test]
fn a_segment_across_nodes_is_made_once_refused_otherwise_and_knows_its_peers() {
    let (kernel, netns) = kernel();
    let segment = Segment { bridge: "wh-br7".to_owned(), vxlan: "wh-vx7".to_owned() };
    let plan = |local: &str| {
        let kind = Vxlan { vni: 7, local: local.parse().unwrap(), port: 4789, group: None };
        Plan::new(vec![
            Step::shared(Action::Link(link("wh-br7", LinkKind::Bridge))),
            Step::shared(Action::Link(link("wh-vx7", LinkKind::Vxlan(kind)))),
        ])
    };
    let mut wanted = Peers::default();
    wanted.nodes.insert("10.0.0.2".parse().unwrap());
    assert!(kernel.resync_peers(&segment, &wanted).is_err(), "there is no such link yet");
    for _ in 0..2 {
        kernel.apply(&plan("10.0.0.1"), &netns).unwrap();
    }
    let error = kernel.apply(&plan("10.0.0.9"), &netns).unwrap_err().to_string();
    assert!(error.contains("local 10.0.0.1") && error.contains("local 10.0.0.9"), "{error}");
    assert_eq!(kernel.verify(&plan("10.0.0.9"), &netns).unwrap().len(), 1);
    assert_eq!(kernel.resync_peers(&segment, &wanted).unwrap(), 1);
    assert_eq!(kernel.resync_peers(&segment, &wanted).unwrap(), 0);
    let gone = PeerChange::NoNode("10.0.0.2".parse().unwrap());
    kernel.change_peers(&segment, &[gone]).unwrap();
    assert_eq!(kernel.peers_of("wh-vx7"), Peers::default());
}
