//! What the drivers owe to the specification, and to people who were hurt.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

mod common;

use common::{applied, call, draft, id, link, parse, success};
use wharfinger_cni::{CniError, code};
use wharfinger_drivers::{Conf, Error, Facts, PlanError};
use wharfinger_plan::{Action, Address, LinkFacts, LinkKind, LinkRef, Place};

const BRIDGE: &str = r#"{"driver":"bridge","isGateway":true,"ipam":{"type":"host-local"}}"#;
const LEASE: &str = r#"{"ips":[{"address":"10.1.0.5/16"}],"routes":[{"dst":"0.0.0.0/0"}]}"#;

#[test]
fn req_14_an_unsupported_field_is_named_with_its_value() {
    let error = parse(r#"{"driver":"bridge","MacSpoofChk":true}"#).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { pointer, .. } if pointer == "/MacSpoofChk"));
    let error = CniError::from(error);
    assert_eq!(error.code, code::UNSUPPORTED_FIELD);
    assert!(error.msg.contains("macspoofchk true"), "{}", error.msg);
}

#[test]
fn req_22_an_interface_that_exists_is_an_error() {
    let facts = Facts {
        links: vec![link(LinkRef::container("eth0"), "veth", "02:00:00:00:00:01")],
        ..Facts::default()
    };
    for conf in [BRIDGE, r#"{"driver":"ptp","ipam":{"type":"host-local"}}"#] {
        let error = parse(conf).unwrap().check_facts(&id(), &facts).unwrap_err();
        assert_eq!(error, PlanError::Exists("eth0".to_owned()));
        assert_eq!(CniError::from(error).code, code::EXISTS);
    }
}

/// The order is the caller's; that the check needs no lease is what makes it possible.
#[test]
fn req_23_what_is_there_is_checked_without_a_lease() {
    let conf = parse(BRIDGE).unwrap();
    assert!(conf.observes(&id()).contains(&LinkRef::container("eth0")));
    assert!(conf.check_facts(&id(), &Facts::default()).is_ok());
}

#[test]
fn req_24_every_link_is_listed_and_the_sandbox_of_those_inside() {
    let result = draft(BRIDGE, LEASE).unwrap().result(&applied(), "/run/netns/c1", None);
    let told: Vec<_> = result
        .interfaces
        .iter()
        .map(|one| (one.mac.as_str(), one.sandbox.as_str(), one.mtu))
        .collect();
    let want = [
        ("02:00:00:00:00:0b", "", Some(1450)),
        ("02:00:00:00:00:0a", "", Some(1450)),
        ("02:00:00:00:00:0c", "/run/netns/c1", Some(1450)),
    ];
    assert_eq!(told, want);
}

#[test]
fn req_21_and_25_earlier_plugins_answers_stay_and_indices_count_from_there() {
    let prev = success(
        r#"{"interfaces":[{"name":"dummy0"}],"ips":[{"address":"192.0.2.1/24","interface":0}],
            "routes":[{"dst":"192.0.2.0/24"}],"dns":{"nameservers":["192.0.2.53"]}}"#,
    );
    let result = draft(BRIDGE, LEASE).unwrap().result(&applied(), "/run/netns/c1", Some(&prev));
    assert_eq!(result.interfaces[0], prev.interfaces[0]);
    assert_eq!(result.interfaces.len(), 4);
    assert_eq!(result.ips[0], prev.ips[0]);
    assert_eq!(result.ips[1].interface, Some(3));
    assert_eq!(result.routes[0], prev.routes[0]);
    assert_eq!(result.dns, prev.dns);
}

#[test]
fn req_28_a_route_without_next_hop_uses_the_gateway_of_its_family() {
    let lease = r#"{"ips":[{"address":"10.1.0.5/16","gateway":"10.1.0.1"},
                           {"address":"fd00::5/64","gateway":"fd00::1"}],
                    "routes":[{"dst":"fd01::/64"},{"dst":"10.9.0.0/16"}]}"#;
    let text = draft(BRIDGE, lease).unwrap().plan.to_string();
    assert!(text.contains("route fd01::/64 via fd00::1 dev eth0"), "{text}");
    assert!(text.contains("route 10.9.0.0/16 via 10.1.0.1 dev eth0"), "{text}");
    assert!(!text.contains("route default"), "a gateway alone is no route: {text}");
}

#[test]
fn req_30_a_route_of_two_families_is_refused() {
    let lease =
        r#"{"ips":[{"address":"10.1.0.5/16"}],"routes":[{"dst":"fd00::/8","gw":"10.1.0.1"}]}"#;
    let error = draft(BRIDGE, lease).unwrap_err();
    assert_eq!(CniError::from(error).code, code::PLUGIN);
}

#[test]
fn req_71_a_lease_without_addresses_is_refused_and_own_dns_wins() {
    assert_eq!(draft(BRIDGE, "{}").unwrap_err(), PlanError::NoAddress);
    let lease = r#"{"ips":[{"address":"10.1.0.5/16"}],"dns":{"domain":"ipam.example","nameservers":["10.1.0.1"]}}"#;
    let own = r#"{"driver":"bridge","ipam":{"type":"x"},"dns":{"domain":"own.example"}}"#;
    let result = draft(own, lease).unwrap().result(&Facts::default(), "/n", None);
    assert_eq!(result.dns.domain, "own.example");
    assert!(result.dns.nameservers.is_empty());
    let result = draft(BRIDGE, lease).unwrap().result(&Facts::default(), "/n", None);
    assert_eq!(result.dns.domain, "ipam.example");
}

#[test]
fn pain_f1_no_duplicate_address_detection_where_the_other_end_is_ours() {
    let lease = r#"{"ips":[{"address":"fd00::5/64","gateway":"fd00::1"}]}"#;
    for driver in ["bridge", "ptp"] {
        let conf = format!(r#"{{"driver":"{driver}","ipam":{{"type":"x"}}}}"#);
        let plan = draft(&conf, lease).unwrap().plan;
        let nodad = |action: &Action| {
            matches!(action, Action::Address(Address { link, nodad: true, .. })
                if link.place == Place::Container)
        };
        assert!(plan.steps.iter().any(|step| nodad(&step.action)), "{plan}");
        assert!(plan.to_string().contains("net/ipv6/conf/eth0/accept_dad = 0"), "{plan}");
    }
}

#[test]
fn pain_b9_addresses_are_announced_when_the_link_comes_up() {
    let text = draft(BRIDGE, LEASE).unwrap().plan.to_string();
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is not in\n{text}"));
    assert!(at("net/ipv4/conf/eth0/arp_notify = 1") < at("link eth0 up"));
    assert!(at("net/ipv6/conf/eth0/ndisc_notify = 1") < at("link eth0 up"));
    assert!(at("address 10.1.0.5/16 dev eth0") < at("link eth0 up"));
}

fn bridge_of(mtu: u32) -> Facts {
    let bridge = link(LinkRef::host("cni0"), "bridge", "02:00:00:00:00:0b");
    Facts { links: vec![LinkFacts { mtu, ..bridge }], ..Facts::default() }
}

fn veth_mtu(conf: &str, facts: &Facts) -> Result<Option<u32>, PlanError> {
    let conf = parse(conf).unwrap();
    let plan = conf.plan(&id(), "host", &success(LEASE), facts)?.plan;
    let mtu = plan.steps.iter().find_map(|step| match &step.action {
        Action::Link(link) if matches!(link.kind, LinkKind::Veth { .. }) => Some(link.mtu),
        _ => None,
    });
    Ok(mtu.unwrap())
}

#[test]
fn pain_f11_one_mtu_and_a_mismatch_with_the_bridge_names_both() {
    for mtu in [1400, 1500, 9000] {
        let with =
            format!(r#"{{"driver":"bridge","isGateway":true,"mtu":{mtu},"ipam":{{"type":"x"}}}}"#);
        assert_eq!(veth_mtu(&with, &Facts::default()), Ok(Some(mtu)));
        for bridge in [1400, 1500, 9000] {
            assert_eq!(veth_mtu(BRIDGE, &bridge_of(bridge)), Ok(Some(bridge)));
            let outcome = veth_mtu(&with, &bridge_of(bridge));
            if bridge == mtu {
                assert_eq!(outcome, Ok(Some(mtu)));
            } else {
                let error = CniError::from(outcome.unwrap_err());
                assert_eq!(error.code, code::INVALID_CONFIG);
                let named = [mtu, bridge].iter().all(|one| error.msg.contains(&one.to_string()));
                assert!(named, "{}", error.msg);
            }
        }
    }
    assert_eq!(veth_mtu(BRIDGE, &Facts::default()), Ok(None));
}

#[test]
fn a_wanted_mac_comes_by_three_routes() {
    let arg = "02:00:00:00:00:01";
    let mac = |conf: &str, args: &[(&str, &str)]| -> Result<String, Error> {
        let mut call = call(conf);
        call.args = args.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let conf = Conf::parse("bridge", &call)?;
        let draft = conf.plan(&id(), "host", &success(LEASE), &Facts::default()).unwrap();
        Ok(draft.result(&Facts::default(), "/n", None).interfaces[2].mac.clone())
    };
    let args = r#"{"args":{"cni":{"mac":"02:00:00:00:00:02"}}}"#;
    let all = r#"{"args":{"cni":{"mac":"02:00:00:00:00:02"}},"runtimeConfig":{"mac":"02:00:00:00:00:03"}}"#;
    assert_eq!(mac("{}", &[("MAC", arg)]).unwrap(), arg);
    assert_eq!(mac(args, &[("MAC", arg)]).unwrap(), "02:00:00:00:00:02");
    assert_eq!(mac(all, &[("MAC", arg)]).unwrap(), "02:00:00:00:00:03");
    assert!(mac("{}", &[("MAC", "02:00")]).is_err());
    let octet = u8::from_str_radix(&mac("{}", &[]).unwrap()[..2], 16).unwrap();
    assert_eq!(octet & 3, 2, "locally administered, of one station");
}

#[test]
fn unknown_cni_args_are_refused_unless_they_may_be_ignored() {
    let parse = |args: &[(&str, &str)]| {
        let mut call = call(BRIDGE);
        call.args = args.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Conf::parse("bridge", &call)
    };
    assert!(parse(&[("IP", "10.1.0.7"), ("K8S_POD_NAME", "web-0")]).is_ok());
    assert!(parse(&[("MACC", "02:00:00:00:00:01")]).is_err());
    assert!(parse(&[("MACC", "02:00:00:00:00:01"), ("IgnoreUnknown", "1")]).is_ok());
}

#[test]
fn routed_drivers_share_the_hosts_address_space_and_a_plain_bridge_has_its_own() {
    let domain = |conf: &str| parse(conf).unwrap().domain();
    assert_eq!(domain(BRIDGE), "host");
    assert_eq!(domain(r#"{"driver":"bridge","isDefaultGateway":true}"#), "host");
    assert_eq!(domain(r#"{"driver":"bridge","bridge":"br7"}"#), "bridge:br7");
    assert_eq!(domain(r#"{"driver":"ptp","ipam":{"type":"x"}}"#), "host");
}

#[test]
fn only_what_has_ipam_needs_addresses() {
    let needs = |conf: &str| parse(conf).unwrap().needs_addresses();
    assert!(needs(BRIDGE));
    assert!(!needs(r#"{"driver":"bridge","ipam":{"type":""}}"#));
    assert!(needs(r#"{"driver":"ptp","ipam":{"type":"x"}}"#));
    assert!(!needs(r#"{"driver":"loopback"}"#));
}

#[test]
fn loopback_answers_what_the_kernel_put_there_and_passes_prev_result_through() {
    let draft = draft(r#"{"driver":"loopback"}"#, "{}").unwrap();
    let lo = LinkFacts {
        mtu: 65536,
        up: true,
        addresses: vec!["127.0.0.1/8".parse().unwrap(), "::1/128".parse().unwrap()],
        ..LinkFacts::new(LinkRef::container("lo"), "")
    };
    let applied = Facts { links: vec![lo], ..Facts::default() };
    let result = draft.result(&applied, "/n", None);
    assert_eq!(result.interfaces.len(), 1);
    assert_eq!(result.interfaces[0].mac, "00:00:00:00:00:00");
    assert_eq!(result.interfaces[0].sandbox, "/n");
    let addresses: Vec<_> = result.ips.iter().map(|ip| (ip.interface, ip.address)).collect();
    let want = ["127.0.0.1/8", "::1/128"].map(|text| (Some(0), text.parse().unwrap()));
    assert_eq!(addresses, want);
    let prev = success(r#"{"interfaces":[{"name":"eth0"}],"ips":[{"address":"10.0.0.1/8"}]}"#);
    assert_eq!(draft.result(&applied, "/n", Some(&prev)), prev);
}
