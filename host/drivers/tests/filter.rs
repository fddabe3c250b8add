//! `portmap`, `firewall` and `rules`: their keys, and what they plan.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

mod common;

use common::{call, id, success};
use wharfinger_cni::Attach;
use wharfinger_drivers::features::{Ends, Feature};
use wharfinger_drivers::{Error, Facts, PlanError};
use wharfinger_plan::{Action, LinkRef, Plan, Step};

const MAPPED: &str = r#"{"portMappings": [
    {"hostPort": 8080, "containerPort": 80},
    {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "192.0.2.1"},
    {"hostPort": 81, "containerPort": 80, "protocol": "sctp", "hostIP": "::"}]}"#;

const DUAL: &str = r#"{"interfaces": [{"name": "cni0"}, {"name": "vethx"},
    {"name": "eth0", "sandbox": "/run/netns/c1", "mac": "02:00:00:00:00:0c"}],
    "ips": [{"interface": 2, "address": "10.1.0.5/16"}, {"interface": 2, "address": "fd00:1::5/64"},
            {"interface": 2, "address": "10.2.0.5/16"}, {"interface": 0, "address": "10.9.0.1/16"}]}"#;

fn asked(name: &str, conf: &str, runtime: &str) -> Attach {
    call(&format!(r#"{{"features": {{"{name}": {conf}}}, "runtimeConfig": {runtime}}}"#))
}

fn parse(name: &str, conf: &str, runtime: &str) -> Result<Option<Feature>, Error> {
    Ok(Feature::all(&asked(name, conf, runtime))?.pop())
}

fn plan_on(
    feature: &Feature,
    host: Option<&str>,
    bridge: Option<&str>,
    result: &str,
) -> Result<Vec<Step>, PlanError> {
    let link = |name: Option<&str>| name.map(LinkRef::host);
    let ends = Ends { inside: LinkRef::container("eth0"), host: link(host), bridge: link(bridge) };
    let (id, result) = (id(), success(result));
    feature.plan(&ends.subject(&id, &result, &[]), &Facts::default())
}

fn planned(name: &str, conf: &str, runtime: &str) -> String {
    let feature = parse(name, conf, runtime).unwrap().unwrap();
    Plan::new(plan_on(&feature, Some("vethx"), Some("cni0"), DUAL).unwrap()).to_string()
}

fn refused(name: &str, conf: &str) -> String {
    parse(name, conf, MAPPED).unwrap_err().to_string()
}

#[test]
fn ports_lead_to_the_first_address_of_each_family() {
    let plan = planned("portmap", "{}", MAPPED);
    assert_eq!(
        plan,
        "  1. host       sysctl net/ipv4/conf/cni0/route_localnet = 1  (shared)\n  \
         2. host       ports tcp/8080->10.1.0.5:80,udp/192.0.2.1:53->10.1.0.5:53,\
         tcp/8080->[fd00:1::5]:80,sctp/81->[fd00:1::5]:80 masquerade neighbours\n"
    );
    let plan = planned("portmap", r#"{"SNAT": false, "masqall": true}"#, MAPPED);
    assert!(!plan.contains("route_localnet") && plan.ends_with("masquerade all\n"), "{plan}");
}

/// C8: a port map of nothing is no step, so that the kernel is not asked for anything.
#[test]
fn pain_c8_nothing_to_map_is_nothing_to_do() {
    for runtime in ["null", "{}", r#"{"portMappings": []}"#] {
        assert_eq!(parse("portmap", r#"{"snat": true}"#, runtime).unwrap(), None);
    }
}

/// In the reference, ports of one family appear in the entry rule of the other (section 5.1).
#[test]
fn an_address_of_one_family_is_skipped_wholly_by_the_other() {
    let runtime = r#"{"portMappings": [{"hostPort": 1, "containerPort": 1, "hostIP": "::1"}]}"#;
    let feature = parse("portmap", "{}", runtime).unwrap().unwrap();
    let v4 = r#"{"ips": [{"address": "10.1.0.5/16"}]}"#;
    assert_eq!(plan_on(&feature, Some("vethx"), None, v4).unwrap(), []);
}

#[test]
fn a_port_of_the_host_leads_to_one_place() {
    let twice = |to: &str| {
        format!(
            r#"{{"portMappings": [{{"hostPort": 1, "containerPort": 1}},
                {{"hostPort": 1, "containerPort": {to}, "hostIP": "0.0.0.0"}}]}}"#
        )
    };
    let feature = parse("portmap", "{}", &twice("2")).unwrap().unwrap();
    let error = plan_on(&feature, None, None, DUAL).unwrap_err().to_string();
    assert!(error.contains("leads to one"), "{error}");
    let feature = parse("portmap", "{}", &twice("1")).unwrap().unwrap();
    let steps = plan_on(&feature, None, None, DUAL).unwrap();
    let Some(Action::PortMap(map)) = steps.last().map(|step| &step.action) else {
        panic!("{steps:?}")
    };
    assert_eq!(map.claims().len(), 2);
}

#[test]
fn what_only_iptables_can_is_refused_with_what_to_write() {
    for conf in [r#"{"conditionsV4": ["-s", "10.0.0.0/8"]}"#, r#"{"conditionsV4": ["!", "-i"]}"#] {
        let said = refused("portmap", conf);
        assert!(said.contains("/features/portmap/conditionsV4"), "{said}");
        assert!(said.contains("ip saddr != 10.0.0.0/8"), "{said}");
    }
    let said = refused("portmap", r#"{"externalSetMarkChain": "KUBE-MARK-MASQ"}"#);
    assert!(said.contains("masqAll"), "{said}");
    assert!(refused("portmap", r#"{"backend": "ebtables"}"#).contains("nftables"));
    assert!(refused("portmap", r#"{"markMasqBit": 32}"#).contains("0 to 31"));
    assert!(refused("portmap", r#"{"snatt": false}"#).contains("snat"));
    assert!(refused("portmap", r#"{"conditionsV4": ["ct state new"]}"#).contains("ip saddr"));
    for conf in [r#"{"backend": "iptables"}"#, r#"{"backend": "nftables", "markMasqBit": 13}"#] {
        assert!(parse("portmap", conf, MAPPED).unwrap().is_some(), "{conf}");
    }
}

#[test]
fn conditions_stand_in_the_plan_and_name_their_group() {
    let conf = r#"{"conditionsV4": ["iifname", "eth0", "ip saddr != { 10.0.0.0/8, 10.0.0.1 }"],
                   "conditionsV6": ["ip6 daddr 2001:db8::1"]}"#;
    let plan = planned("portmap", conf, MAPPED);
    for part in [
        "if iifname eth0",
        "if ip saddr != 10.0.0.0-10.255.255.255,10.0.0.1",
        "if ip6 daddr 2001:db8::1",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
}

#[test]
fn the_firewall_takes_every_back_end_and_plans_the_same() {
    for backend in ["iptables", "firewalld", "nftables", "", "whatever"] {
        let conf = format!(r#"{{"backend": "{backend}", "ingressPolicy": "open"}}"#);
        let want = "  1. host       forward 10.1.0.5,fd00:1::5,10.2.0.5\n";
        assert_eq!(planned("firewall", &conf, "null"), want);
    }
    let conf = r#"{"iptablesAdminChainName": "MY-ADMIN", "firewalldZone": "public",
                   "ingressPolicy": "isolated"}"#;
    assert_eq!(
        planned("firewall", conf, "null"),
        "  1. host       forward 10.1.0.5,fd00:1::5,10.2.0.5 but as MY-ADMIN says zone public\n  \
         2. host       ingress of 10.1.0.5,fd00:1::5,10.2.0.5 isolated cni0\n"
    );
    assert!(refused("firewall", r#"{"ingressPolicy": "closed"}"#).contains("same-bridge"));
    assert!(refused("firewall", r#"{"iptablesAdminChainName": "a b"}"#).contains("28"));
}

/// F5: an isolation is a field of the plan, so that policies see it.
#[test]
fn pain_f5_isolation_needs_a_link_that_the_host_sees() {
    let feature =
        parse("firewall", r#"{"ingressPolicy": "same-bridge"}"#, "null").unwrap().unwrap();
    let alone = plan_on(&feature, Some("vethx"), None, DUAL).unwrap();
    let Some(Action::Isolation(isolation)) = alone.last().map(|step| &step.action) else {
        panic!("{alone:?}")
    };
    assert_eq!((&*isolation.bridge, &isolation.port), ("vethx", &None));
    let error = plan_on(&feature, None, None, DUAL).unwrap_err().to_string();
    assert!(error.contains("needs a bridge or a veth"), "{error}");
}

#[test]
fn rules_close_the_direction_that_is_listed() {
    let conf = r#"{"ingress": [{"from": ["10.3.0.0/16", "fd00:3::1"], "ports": ["tcp/80", "udp/1-9"]},
                               {"ports": ["ICMP"]}]}"#;
    let plan = planned("rules", conf, "null");
    assert_eq!(
        plan,
        "  1. host       rules of 10.1.0.5,fd00:1::5,10.2.0.5 ingress \
         [10.3.0.0/16,fd00:3::1/128 tcp/80,udp/1-9,any icmp]\n"
    );
    let plan = planned("rules", r#"{"egress": []}"#, "null");
    assert_eq!(
        plan,
        "  1. host       from vethx only 10.1.0.5,fd00:1::5,10.2.0.5\n  \
         2. host       rules of 10.1.0.5,fd00:1::5,10.2.0.5 egress []\n"
    );
    assert_eq!(parse("rules", "{}", "null").unwrap(), None);
}

#[test]
fn rules_that_cannot_be_kept_are_refused() {
    let feature = parse("rules", r#"{"ingress": []}"#, "null").unwrap().unwrap();
    let error = plan_on(&feature, None, None, DUAL).unwrap_err().to_string();
    assert!(error.contains("goes past the host"), "{error}");
    let error = plan_on(&feature, Some("vethx"), Some("cni0"), "{}").unwrap_err().to_string();
    assert!(error.contains("no address"), "{error}");
    for (conf, word) in [
        (r#"{"ingress": [{"to": ["10.0.0.0/8"]}]}"#, "from"),
        (r#"{"ingress": [{"from": []}]}"#, "at least one"),
        (r#"{"ingress": [{"from": ["nonsense"]}]}"#, "10.0.0.0/8"),
        (r#"{"egress": [{"ports": ["tcp/0"]}]}"#, "tcp/80"),
        (r#"{"egress": [{"ports": ["tcp/9-1"]}]}"#, "tcp/80"),
        (r#"{"egress": [{"ports": ["icmp/8"]}]}"#, "tcp/80"),
        (r#"{"ingres": []}"#, "ingress"),
    ] {
        let said = refused("rules", conf);
        assert!(said.contains(word), "{conf}: {said}");
    }
}

const LEASE: &str = r#"{"ips": [{"address": "10.1.0.5/16", "gateway": "10.1.0.1"},
                                {"address": "fd00:1::5/64", "gateway": "fd00:1::1"}]}"#;

fn guards(conf: &str, lease: &str) -> Vec<String> {
    let steps = common::draft(conf, lease).unwrap().plan.steps;
    let guards = steps.iter().filter(|step| matches!(step.action, Action::Guard(_)));
    guards.map(|step| step.action.to_string()).collect()
}

#[test]
fn a_guard_is_of_the_mac_address_or_of_all_that_the_container_has() {
    let ipam = r#""ipam": {"type": "host-local"}"#;
    let bridge = |key: &str| format!(r#"{{"driver": "bridge", {key}: true, {ipam}}}"#);
    let link = wharfinger_drivers::host_link_name(&id());
    let mac = guards(&bridge(r#""MacSpoofChk""#), LEASE);
    assert_eq!(mac.len(), 1);
    assert!(mac[0].starts_with(&format!("from {link} only ")), "{mac:?}");
    assert!(!mac[0].contains("10.1.0.5"), "{mac:?}");
    let all = guards(&bridge(r#""antiSpoofing""#), LEASE);
    assert!(all[0].ends_with(" 10.1.0.5,fd00:1::5") && all[0].starts_with(&mac[0]), "{all:?}");
    let ptp = guards(&format!(r#"{{"driver": "ptp", "antiSpoofing": true, {ipam}}}"#), LEASE);
    assert_eq!(ptp, [format!("from {link} only 10.1.0.5,fd00:1::5")]);
    let error = common::parse(r#"{"driver": "bridge", "antiSpoofing": true}"#).unwrap_err();
    assert!(error.to_string().contains("macspoofchk"), "{error}");
}

/// Defect 24 of the reference: macspoofchk keeps the MAC address of the moment, and a later
/// tuning of it makes everything drop.
#[test]
fn a_guard_knows_the_mac_address_that_the_link_has_in_the_end() {
    let conf = r#"{"driver": "bridge", "macspoofchk": true, "ipam": {"type": "host-local"}}"#;
    let mut steps = common::draft(conf, LEASE).unwrap().plan.steps;
    let unchanged = steps.clone();
    wharfinger_drivers::features::settle(&mut steps);
    assert_eq!(steps, unchanged);
    let to = wharfinger_plan::Mac([2, 0, 0, 0, 0, 0x77]);
    steps.push(Step::owned(Action::Settings(wharfinger_plan::Settings {
        link: LinkRef::container("eth0"),
        mac: Some(wharfinger_plan::Change { to, was: None }),
        mtu: None,
        promisc: None,
        allmulti: None,
        txqlen: None,
    })));
    wharfinger_drivers::features::settle(&mut steps);
    let guards: Vec<_> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Guard(guard) => Some(guard.mac),
            _ => None,
        })
        .collect();
    assert_eq!(guards, [Some(to)]);
}
