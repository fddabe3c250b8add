//! CHECK's plan: where the final result differs, it counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

mod common;

use common::{applied, draft, success};
use wharfinger_cni::Success;
use wharfinger_drivers::amend;
use wharfinger_plan::Plan;

const CONF: &str =
    r#"{"driver":"bridge","isGateway":true,"ipMasq":true,"mtu":1450,"ipam":{"type":"x"}}"#;
const PTP: &str = r#"{"driver":"ptp","ipam":{"type":"x"}}"#;
const LEASE: &str = r#"{"ips":[{"address":"10.1.0.5/16","gateway":"10.1.0.1"}],
    "routes":[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.0.9"}]}"#;

fn added(conf: &str) -> (Plan, Success) {
    let draft = draft(conf, LEASE).unwrap();
    let mut facts = applied();
    for step in &draft.plan.steps {
        let wharfinger_plan::Action::Link(link) = &step.action else { continue };
        let mac = |name: &wharfinger_plan::LinkRef| match &link.kind {
            wharfinger_plan::LinkKind::Veth { peer } if peer.link == *name => peer.mac,
            _ if link.link == *name => link.mac,
            _ => None,
        };
        for facts in &mut facts.links {
            facts.mac = mac(&facts.link).or(facts.mac);
        }
    }
    let result = draft.result(&facts, "/run/netns/c1", None);
    (draft.plan, result)
}

/// The lines of the amended plan that are not in the recorded one, and the other way round.
fn differences(plan: &Plan, prev: &Success) -> (Vec<String>, Vec<String>) {
    let lines =
        |plan: &Plan| -> Vec<String> { plan.steps.iter().map(ToString::to_string).collect() };
    let (before, after) = (lines(plan), lines(&amend(plan, prev)));
    let without = |all: &[String], other: &[String]| {
        all.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    (without(&before, &after), without(&after, &before))
}

#[test]
fn an_unchanged_result_changes_nothing() {
    for conf in [CONF, PTP] {
        let (plan, result) = added(conf);
        assert_eq!(amend(&plan, &result), plan);
    }
}

#[test]
fn req_42_a_later_plugins_mac_mtu_and_next_hop_count() {
    let (plan, mut prev) = added(CONF);
    prev.interfaces[2].mac = "02:00:00:00:00:77".to_owned();
    prev.interfaces[1].mtu = Some(1400);
    prev.interfaces[2].mtu = Some(1400);
    prev.routes[1].gw = Some("10.1.0.10".parse().unwrap());
    let (gone, new) = differences(&plan, &prev);
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(new[0].contains("address 02:00:00:00:00:77"), "{new:?}");
    assert!(new[0].contains("mtu 1400"), "{new:?}");
    assert!(new[1].contains("route 10.9.0.0/16 via 10.1.0.10 dev eth0"), "{new:?}");
}

#[test]
fn req_42_two_ends_with_two_mtus_are_not_compared() {
    let (plan, mut prev) = added(CONF);
    prev.interfaces[2].mtu = Some(1400);
    let (_, new) = differences(&plan, &prev);
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(!new[0].contains("mtu"), "{new:?}");
}

#[test]
fn req_43_only_what_stands_in_prev_result_is_looked_for() {
    let (plan, mut prev) = added(CONF);
    prev.ips.clear();
    prev.routes.remove(0);
    let (gone, new) = differences(&plan, &prev);
    assert!(new.is_empty(), "{new:?}");
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(gone[0].contains("address 10.1.0.5/16 dev eth0"), "{gone:?}");
    assert!(gone[1].contains("route default"), "{gone:?}");
}

#[test]
fn what_others_added_is_not_ours_to_check() {
    let (plan, mut prev) = added(CONF);
    let more = success(
        r#"{"ips":[{"address":"10.7.0.5/16","interface":2}],"routes":[{"dst":"10.8.0.0/16"}],
            "interfaces":[{"name":"eth0"}]}"#,
    );
    prev.interfaces.extend(more.interfaces);
    prev.ips.extend(more.ips);
    prev.routes.extend(more.routes);
    assert_eq!(amend(&plan, &prev), plan);
}

#[test]
fn a_drivers_own_routes_are_in_no_result_and_stay() {
    let (plan, mut prev) = added(PTP);
    prev.routes.clear();
    let (gone, _) = differences(&plan, &prev);
    assert_eq!(gone.len(), 2, "{gone:?}");
    let text = amend(&plan, &prev).to_string();
    assert!(text.contains("route 10.1.0.1/32 dev eth0 src 10.1.0.5 scope 253"), "{text}");
    assert!(text.contains("route 10.1.0.0/16 via 10.1.0.1 dev eth0 src 10.1.0.5"), "{text}");
}
