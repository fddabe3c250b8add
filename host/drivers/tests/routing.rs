//! `sbr` and `vrf`: their keys, and which routes go where.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod common;

use common::{call, draft, id, success};
use wharfinger_drivers::features::{Ends, Feature};
use wharfinger_drivers::{Draft, Error, Facts, PlanError};
use wharfinger_plan::{LinkRef, Plan, Route, Routing};

fn parse(name: &str, conf: &str) -> Result<Feature, Error> {
    let text = format!(r#"{{"features": {{"{name}": {conf}}}}}"#);
    Ok(Feature::all(&call(&text))?.pop().unwrap())
}

fn inside() -> LinkRef {
    LinkRef::container("eth0")
}

/// `10.1.0.0/24 via 10.1.0.1 src 10.1.0.5 table 100 metric 7 dev net2`.
fn route(text: &str) -> Route {
    let (destination, rest) = text.split_once(' ').unwrap_or((text, ""));
    let words: Vec<&str> = rest.split(' ').collect();
    let word = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    Route {
        link: LinkRef::container(word("dev").unwrap_or("eth0")),
        destination: destination.parse().unwrap(),
        gateway: word("via").map(|it| it.parse().unwrap()),
        source: word("src").map(|it| it.parse().unwrap()),
        scope: word("scope").map(|it| it.parse().unwrap()),
        table: Some(word("table").map_or(254, |it| it.parse().unwrap())),
        priority: word("metric").map(|it| it.parse().unwrap()),
        mtu: None,
        advmss: None,
    }
}

const RESULT: &str = r#"{"interfaces": [{"name": "veth0"}, {"name": "eth0", "sandbox": "/n"},
        {"name": "eth9", "sandbox": "/n"}],
    "ips": [{"interface": 1, "address": "10.1.0.5/24", "gateway": "10.1.0.1"},
        {"interface": 1, "address": "fd00::5/64", "gateway": "fd00::1"},
        {"interface": 2, "address": "10.9.0.5/24"}]}"#;

fn behind(feature: &Feature, result: &str, routing: Routing) -> Result<String, PlanError> {
    let (result, id) = (success(result), id());
    let ends = Ends { inside: inside(), host: None, bridge: None };
    let facts = Facts { routing, ..Facts::default() };
    let steps = feature.plan(&ends.subject(&id, &result, &[]), &facts)?;
    Ok(lines(&Plan::new(steps)))
}

/// Without numbers and places.
fn lines(plan: &Plan) -> String {
    let text = plan.to_string();
    text.lines().map(|line| line[16..].trim_end().to_owned() + "\n").collect()
}

fn main_table() -> Routing {
    let routes = [
        "0.0.0.0/0 via 10.1.0.1",
        "10.1.0.0/24 src 10.1.0.5 scope 253",
        "172.16.0.0/12 via 10.1.0.9",
        "192.168.7.0/24 via 10.7.0.1",
        "169.254.7.7/32 scope 253",
        "fd00::/64 metric 256",
        "fe80::/64 metric 256",
        "::/0 via fd00::9 metric 1024",
        "0.0.0.0/0 via 10.9.0.1 metric 5 dev eth9",
        "10.9.0.0/24 src 10.9.0.5 scope 253 dev eth9",
        "10.3.0.0/16 table 101",
    ];
    Routing { routes: routes.map(route).to_vec(), ruled: vec![255, 254, 253, 100], vrfs: vec![] }
}

#[test]
fn each_address_has_a_table_with_what_fits_it() {
    let feature = parse("sbr", "{}").unwrap();
    assert!(feature.observes_routing());
    assert_eq!(
        behind(&feature, RESULT, main_table()).unwrap(),
        "route 10.1.0.0/24 dev eth0 src 10.1.0.5 scope 253 table 102\n\
         route 169.254.7.7/32 dev eth0 scope 253 table 102\n\
         route 172.16.0.0/12 via 10.1.0.9 dev eth0 table 102\n\
         route default via 10.1.0.1 dev eth0 table 102\n\
         rule from 10.1.0.5 lookup 102\n\
         route fd00::/64 dev eth0 table 103 metric 256\n\
         route default via fd00::1 dev eth0 table 103\n\
         rule from fd00::5 lookup 103\n\
         no route default via 10.1.0.1 dev eth0\n\
         no route 10.1.0.0/24 dev eth0 src 10.1.0.5 scope 253\n\
         no route 172.16.0.0/12 via 10.1.0.9 dev eth0\n\
         no route 192.168.7.0/24 via 10.7.0.1 dev eth0\n\
         no route 169.254.7.7/32 dev eth0 scope 253\n\
         no route fd00::/64 dev eth0 metric 256\n\
         no route default via fd00::9 dev eth0 metric 1024\n"
    );
}

#[test]
fn gateways_of_the_configuration_and_hints_for_the_main_table() {
    let feature = parse("sbr", r#"{"gateways": ["10.1.0.77", "fd00::77"]}"#).unwrap();
    let text = behind(&feature, RESULT, main_table()).unwrap();
    assert!(text.contains("route default via 10.1.0.77 dev eth0 table 102\n"), "{text}");
    assert!(text.contains("route default via fd00::77 dev eth0 table 103\n"), "{text}");
    let feature = parse("sbr", r#"{"addSourceHints": true}"#).unwrap();
    let text = behind(&feature, RESULT, main_table()).unwrap();
    assert!(!text.contains("no route 10.1.0.0/24"), "{text}");
    assert!(text.contains("no route default via 10.1.0.1"), "{text}");
    assert!(text.contains("\nroute 10.1.0.0/24 dev eth0 src 10.1.0.5 scope 253\n"), "{text}");
    assert!(text.contains("no route fd00::/64 dev eth0 metric 256\n"), "{text}");
    assert!(text.ends_with("\nroute fd00::/64 dev eth0 src fd00::5\n"), "{text}");
}

#[test]
fn with_a_table_there_are_rules_alone() {
    let feature = parse("sbr", r#"{"table": 7}"#).unwrap();
    let text = behind(&feature, RESULT, main_table()).unwrap();
    assert_eq!(text, "rule from 10.1.0.5 lookup 7\nrule from fd00::5 lookup 7\n");
    let error = behind(&feature, "{}", Routing::default()).unwrap_err().to_string();
    assert_eq!(error, "sbr: eth0 has no address: it stands behind what gives the interface one");
    for (conf, what) in [
        (r#"{"table": 0}"#, "from 1"),
        (r#"{"table": "x"}"#, "whole number"),
        (r#"{"gateways": ["10.0.0.1", "10.0.0.2"]}"#, "one IPv4 address"),
        (r#"{"gateways": ["fd00::1", "10.0.0.1", "fd00::2"]}"#, "/gateways/2"),
        (r#"{"gateways": ["x"]}"#, "an IP address"),
        (r#"{"gateway": ["10.0.0.1"]}"#, "gateways"),
    ] {
        let error = parse("sbr", conf).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

fn ours(conf: &str) -> (Draft, String) {
    let feature = parse("sbr", conf).unwrap();
    let lease = r#"{"ips": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}]}"#;
    let conf = r#"{"driver": "bridge", "isGateway": true, "ipam": {"type": "host-local"}}"#;
    let mut draft = draft(conf, lease).unwrap();
    let (ends, id) = (Ends::of_draft(&id(), &draft), id());
    let result = draft.result(&Facts::default(), "/n", None);
    let subject = ends.subject(&id, &result, &draft.plan.steps);
    let steps = feature.plan(&subject, &Facts::default()).unwrap();
    feature.revise(&ends.inside, &mut draft.plan.steps);
    draft.plan.steps.extend(steps);
    let text = lines(&draft.plan);
    (draft, text)
}

/// Defect 26 of the reference: what our own driver makes is planned into the tables at once, so
/// that there is nothing in the main table to be missed, nor to be in another interface's way.
#[test]
fn our_own_drivers_routes_go_into_the_table_at_once() {
    let (_, text) = ours("{}");
    assert!(text.contains("address 10.1.0.5/24 dev eth0 noprefixroute\n"), "{text}");
    assert!(!text.contains("\nroute default via 10.1.0.1 dev eth0\n"), "{text}");
    let behind = "route 10.1.0.0/24 dev eth0 src 10.1.0.5 scope 253 table 100\n\
        route default via 10.1.0.1 dev eth0 table 100\nrule from 10.1.0.5 lookup 100\n";
    assert!(text.contains(behind), "{text}");
    let (_, text) = ours(r#"{"table": 9}"#);
    assert!(text.contains("\nroute default via 10.1.0.1 dev eth0\n"), "{text}");
    assert!(!text.contains("noprefixroute"), "{text}");
}

#[test]
fn a_vrf_is_found_or_made_with_a_free_table() {
    let feature = parse("vrf", r#"{"vrfname": "red"}"#).unwrap();
    assert!(feature.observes_routing());
    let vrfs = |all: &[(&str, u32)]| Routing {
        vrfs: all.iter().map(|(name, table)| ((*name).to_owned(), *table)).collect(),
        ..Routing::default()
    };
    let told = |feature: &Feature, all: &[(&str, u32)]| behind(feature, RESULT, vrfs(all));
    let red = |table| format!("link red type vrf table {table} up\nlink eth0 vrf red\n");
    assert_eq!(told(&feature, &[]).unwrap(), red(1));
    assert_eq!(told(&feature, &[("a", 1), ("b", 3)]).unwrap(), red(2));
    assert_eq!(told(&feature, &[("red", 42)]).unwrap(), red(42));
    let fixed = parse("vrf", r#"{"vrfname": "red", "table": 42}"#).unwrap();
    assert_eq!(told(&fixed, &[]).unwrap(), red(42));
    assert_eq!(told(&fixed, &[("red", 42)]).unwrap(), red(42));
    let error = told(&fixed, &[("red", 7)]).unwrap_err().to_string();
    assert_eq!(error, "vrf: VRF red is there with table 7, not 42");
    for conf in ["{}", r#"{"vrfname": ""}"#, r#"{"vrfname": "a/b"}"#, r#"{"vrfname": 1}"#] {
        let error = parse("vrf", conf).unwrap_err().to_string();
        assert!(error.contains("/features/vrf/vrfname"), "{error}");
    }
}
