//! What the drivers owe to the specification, and to people who were hurt.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails fails its test")]

mod common;

use common::{applied, call, draft, id, link, parse, success};
use wharfinger_cni::{CniError, code};
use wharfinger_drivers::{Conf, Error, Facts, PlanError};
use wharfinger_plan::{
    Action, Address, Change, LinkFacts, LinkKind, LinkRef, Place, Settings, Step,
};

const BRIDGE: &str = r#"{"driver":"bridge","isGateway":true,"ipam":{"type":"host-local"}}"#;
const LEASE: &str = r#"{"ips":[{"address":"10.1.0.5/16"}],"routes":[{"dst":"0.0.0.0/0"}]}"#;

#[test]
fn req_14_an_unsupported_field_is_named_with_its_value() {
    let conf = r#"{"features": {"portmap": {"ExternalSetMarkChain": "KUBE-MARK-MASQ"}}}"#;
    let error = wharfinger_drivers::features::Feature::all(&call(conf)).unwrap_err();
    let place = "/features/portmap/ExternalSetMarkChain";
    assert!(matches!(&error, Error::Unsupported { pointer, .. } if pointer == place), "{error}");
    let error = CniError::from(error);
    assert_eq!(error.code, code::UNSUPPORTED_FIELD);
    assert!(error.msg.contains(r#"externalSetMarkChain "KUBE-MARK-MASQ""#), "{}", error.msg);
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

/// Under a reference plugin's name unknown keys pass, as there.
#[test]
fn near_misses_are_refused_under_our_own_type_only() {
    for driver in wharfinger_drivers::DRIVERS {
        let mut call = call(
            r#"{"isGatway":true,"mastr":"x","mtuFron":"x","master":"ens3","device":"ens5","probee":"x","ipam":{"type":"x"}}"#,
        );
        assert_eq!(
            Conf::parse(driver, &call).is_err(),
            !["dummy", "loopback"].contains(driver),
            "{driver}"
        );
        call.conf.plugin_type = (*driver).to_owned();
        assert!(Conf::parse(driver, &call).is_ok(), "{driver}");
    }
}

fn link_mac(conf: &str, change: impl FnOnce(&mut wharfinger_cni::Attach)) -> String {
    let mut call = call(conf);
    change(&mut call);
    let driver = call.conf.raw["driver"].as_str().unwrap().to_owned();
    let conf = Conf::parse(&driver, &call).unwrap();
    let facts = Facts {
        links: vec![link(LinkRef::host("ens3"), "", "02:00:00:00:00:99")],
        ..Facts::default()
    };
    let draft = conf.plan(&id(), "host", &success(LEASE), &facts).unwrap();
    draft.result(&Facts::default(), "/n", None).interfaces[0].mac.clone()
}

/// The key, CNI_ARGS, `runtimeConfig`: the last that is there counts.
#[test]
fn a_mac_is_the_one_that_was_asked_for_last() {
    for driver in ["macvlan", "tap"] {
        let conf = |more: &str| {
            format!(
                r#"{{"driver":"{driver}","master":"ens3","mac":"02:00:00:00:00:01","ipam":{{"type":"x"}}{more}}}"#
            )
        };
        let args = |call: &mut wharfinger_cni::Attach| {
            call.args = vec![("MAC".to_owned(), "02:00:00:00:00:02".to_owned())];
        };
        let runtime = r#","runtimeConfig":{"mac":"02:00:00:00:00:03"}"#;
        assert_eq!(link_mac(&conf(""), |_| ()), "02:00:00:00:00:01");
        assert_eq!(link_mac(&conf(""), args), "02:00:00:00:00:02");
        assert_eq!(link_mac(&conf(runtime), args), "02:00:00:00:00:03");
    }
}

#[test]
fn pain_f11_an_mtu_is_derived_from_a_named_link_for_both_ends() {
    let conf =
        r#"{"driver":"bridge","mtuFrom":"ens3","isGateway":true,"ipam":{"type":"host-local"}}"#;
    let facts = |bridge: Option<u32>| {
        let uplink = LinkFacts { mtu: 1400, ..LinkFacts::new(LinkRef::host("ens3"), "") };
        let bridge =
            bridge.map(|mtu| LinkFacts { mtu, ..LinkFacts::new(LinkRef::host("cni0"), "bridge") });
        Facts { links: std::iter::once(uplink).chain(bridge).collect(), ..Facts::default() }
    };
    assert!(parse(conf).unwrap().observes(&id()).contains(&LinkRef::host("ens3")));
    assert_eq!(veth_mtu(conf, &facts(None)).unwrap(), Some(1400));
    assert_eq!(veth_mtu(conf, &facts(Some(1400))).unwrap(), Some(1400));
    assert!(matches!(veth_mtu(conf, &facts(Some(1500))), Err(PlanError::BridgeMtu { .. })));
}

/// The address space of a segment is its master's, as it is for another plugin's whose IPAM we are.
#[test]
fn segments_have_address_spaces_of_their_own() {
    let domain = |conf: &str| parse(conf).unwrap().domain();
    assert_eq!(domain(r#"{"driver":"macvlan","master":"ens3"}"#), "master:ens3");
    assert_eq!(domain(r#"{"driver":"macvlan"}"#), "host");
    assert_eq!(domain(r#"{"driver":"ipvlan","master":"ens3"}"#), "master:ens3");
    let vlan = r#"{"driver":"vlan","master":"ens3","vlanId":7,"ipam":{"type":"x"}}"#;
    assert_eq!(domain(vlan), "master:ens3.7");
}

/// Pain B7: duplicates, then gateways, and only then the address.
#[test]
fn pain_b7_who_has_an_address_is_asked_before_it_is_put_on() {
    let plan = |more: &str| {
        let conf = format!(r#"{{"driver":"macvlan","master":"ens3","ipam":{{"type":"x"}}{more}}}"#);
        let facts =
            Facts { links: vec![LinkFacts::new(LinkRef::host("ens3"), "")], ..Facts::default() };
        let lease = r#"{"ips":[{"address":"10.1.0.5/16","gateway":"10.1.0.1"}]}"#;
        parse(&conf).unwrap().plan(&id(), "host", &success(lease), &facts).unwrap().plan
    };
    let at = |text: &str, what: &str| text.find(what).unwrap_or_else(|| panic!("{what}\n{text}"));
    let text = plan(r#","probe":"gateway""#).to_string();
    assert!(at(&text, "link eth0 up") < at(&text, "nobody has 10.1.0.5"));
    assert!(at(&text, "nobody has 10.1.0.5") < at(&text, "10.1.0.1 answers"));
    assert!(at(&text, "10.1.0.1 answers") < at(&text, "address 10.1.0.5/16"));
    assert!(at(&text, "address 10.1.0.5/16") < at(&text, "announce 10.1.0.5"));
    assert!(plan("").to_string().contains("nobody has 10.1.0.5 dev eth0"));
    assert!(!plan(r#","probe":"none""#).to_string().contains("nobody has"));
}

/// What the caller chose, what follows from the address, and what a later step of the entry makes
/// of it.
#[test]
fn other_nodes_are_told_the_mac_that_the_container_has_in_the_end() {
    let facts = Facts {
        links: vec![LinkFacts {
            addresses: vec!["10.0.0.7/24".parse().unwrap()],
            ..LinkFacts::new(LinkRef::host("ens3"), "")
        }],
        ..Facts::default()
    };
    let plan = |mac: &str, driver: &str| {
        let keys = r#""vni":7,"underlay":"ens3","ipam":{"type":"x"}"#;
        let mut call = call(&format!(r#"{{"driver":"{driver}",{keys}}}"#));
        call.args = Vec::from_iter((!mac.is_empty()).then(|| ("MAC".into(), mac.into())));
        let conf = Conf::parse(driver, &call).unwrap();
        assert!(!conf.wants_vni());
        conf.plan(&id(), &conf.domain(), &success(LEASE), &facts).unwrap().plan
    };
    let told = |plan: &wharfinger_plan::Plan| plan.announced_mac().map(|mac| mac.to_string());
    assert_eq!(told(&plan("", "bridge")), None);
    assert!(told(&plan("", "overlay")).unwrap().starts_with("0a:58:0a:"));
    let mut chosen = plan("02:00:00:00:00:01", "overlay");
    assert_eq!(told(&chosen).as_deref(), Some("02:00:00:00:00:01"));
    let to = "02:00:00:00:00:02".parse().unwrap();
    let link = LinkRef::container("eth0");
    let mac = Some(Change { to, was: None });
    let settings = Settings { link, mac, mtu: None, promisc: None, allmulti: None, txqlen: None };
    chosen.steps.push(Step::owned(Action::Settings(settings)));
    assert_eq!(told(&chosen).as_deref(), Some("02:00:00:00:00:02"));
}

#[test]
fn an_overlay_without_a_number_is_told_one_before_anything_is_looked_at() {
    let mut conf = parse(r#"{"driver":"overlay","ipam":{"type":"x"}}"#).unwrap();
    assert!(conf.wants_vni());
    assert!(!conf.observes(&id()).contains(&LinkRef::host("wh-br4097")));
    conf.set_vni(4097);
    assert!(!conf.wants_vni());
    assert!(conf.observes(&id()).contains(&LinkRef::host("wh-br4097")));
}
