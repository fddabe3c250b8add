//! The double behaves as the kernel where features are: rates, settings, rules, VRFs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail by panicking")]

mod common;

use std::path::Path;

use common::{attachment, eth0};
use wharfinger_kernel::mem::{HOST_COOKIE, MemKernel};
use wharfinger_kernel::{AtPath, Kernel};
use wharfinger_plan::{
    Action, Change, LinkKind, LinkRef, Member, Place, Plan, Redirect, Route, Rule, Settings, Shape,
    Sparing, Step,
};

/// What features do is applied, verified and undone in the double as in the kernel.
#[test]
fn features_are_applied_verified_and_undone() {
    let kernel = MemKernel::new();
    kernel.add_netns("/n", 7);
    let AtPath::Netns(netns) = kernel.netns(Path::new("/n")).unwrap() else { panic!() };
    kernel.apply(&attachment(5), &netns).unwrap();
    let before = (kernel.links_of(7), kernel.routes_of(7), kernel.links_of(HOST_COOKIE));
    let (host, ifb) = (LinkRef::host("veth5"), LinkRef::host("bwp1"));
    let shape = |link: &LinkRef| Shape {
        link: link.clone(),
        rate: 1,
        burst: 1,
        limit: 1,
        sparing: Sparing::default(),
    };
    let redirect = Redirect { link: host.clone(), to: "bwp1".into(), sparing: Sparing::default() };
    let was = kernel.link(7, "eth0").unwrap();
    let mtu = Some(Change { to: 1400, was: Some(was.mtu) });
    let settings = Settings { mtu, ..Settings::none(eth0()) };
    let all = common::route(eth0(), "0.0.0.0/0", Some("10.1.0.1"));
    let rule = Rule { place: Place::Container, from: "10.1.0.5".parse().unwrap(), table: 100 };
    let vrf = common::link(LinkRef::container("red"), LinkKind::Vrf { table: 9 });
    let plan = Plan::new(vec![
        Step::owned(Action::Shape(shape(&host))),
        Step::owned(Action::Link(common::link(ifb.clone(), LinkKind::Ifb))),
        Step::owned(Action::Shape(shape(&ifb))),
        Step::owned(Action::Redirect(redirect)),
        Step::owned(Action::Settings(settings)),
        Step::owned(Action::Route(Route { table: Some(100), ..all.clone() })),
        Step::owned(Action::Rule(rule)),
        Step::owned(Action::NoRoute(all)),
        Step::owned(Action::Link(vrf)),
        Step::owned(Action::Member(Member { link: eth0(), vrf: "red".into() })),
    ]);
    assert!(!kernel.verify(&plan, &netns).unwrap().is_empty());
    for _ in 0..2 {
        kernel.apply(&plan, &netns).unwrap();
        assert_eq!(kernel.verify(&plan, &netns).unwrap(), []);
    }
    assert_eq!(kernel.verify(&attachment(5), &netns).unwrap().len(), 0, "moved, not missing");
    let routing = kernel.routing(&netns).unwrap();
    assert!(routing.uses(100) && routing.uses(9) && !routing.uses(101));
    assert_eq!(
        (kernel.rules_of(7), kernel.traffic_of(HOST_COOKIE, "veth5").len()),
        (vec![rule], 2)
    );
    for _ in 0..2 {
        assert!(kernel.undo(&plan, Some(&netns)).is_empty());
        let mut routes = kernel.routes_of(7);
        routes.sort_by_key(|route| std::cmp::Reverse(route.destination.addr().is_ipv4()));
        assert_eq!((kernel.links_of(7), routes, kernel.links_of(HOST_COOKIE)), before);
        assert!(
            kernel.rules_of(7).is_empty() && kernel.traffic_of(HOST_COOKIE, "veth5").is_empty()
        );
    }
}
