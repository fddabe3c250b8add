//! Names that follow from an id, for any id.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::HashSet;

use ipnet::IpNet;
use proptest::prelude::*;
use wharfinger_cni::AttachmentId;
use wharfinger_drivers::{alias, host_link_name, key, leftovers, parse_alias, parse_key};
use wharfinger_plan::{Action, LinkKind, LinkRef};

fn id(network: &str, container: &str, ifname: &str) -> AttachmentId {
    AttachmentId {
        network: network.to_owned(),
        container: container.to_owned(),
        ifname: ifname.to_owned(),
    }
}

prop_compose! {
    fn any_id()(
        network in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,120}",
        container in "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,120}",
        ifname in "[a-z][a-z0-9.@-]{0,14}",
    ) -> AttachmentId {
        id(&network, &container, &ifname)
    }
}

fn any_address() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<[u8; 4]>(), 0..=32u8)
            .prop_map(|(ip, prefix)| IpNet::new(ip.into(), prefix).unwrap()),
        (any::<[u8; 16]>(), 0..=128u8)
            .prop_map(|(ip, prefix)| IpNet::new(ip.into(), prefix).unwrap()),
    ]
}

proptest! {
    #[test]
    fn a_host_link_name_is_one_the_kernel_takes(id in any_id()) {
        let name = host_link_name(&id);
        prop_assert_eq!(name.len(), 12);
        let digits = name.strip_prefix("veth").unwrap();
        prop_assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        prop_assert_eq!(name, host_link_name(&id.clone()));
    }

    #[test]
    fn an_alias_fits_and_tells_the_rest(
        id in any_id(),
        domain in "[a-z0-9._:-]{1,64}",
        addresses in prop::collection::vec(any_address(), 0..12),
    ) {
        let text = alias(&id, &domain, &addresses);
        prop_assert!(text.len() <= 255);
        prop_assert!(key(&id).len() <= 180);
        prop_assert_eq!(text.split(' ').next().unwrap(), key(&id));
        match parse_alias(&text) {
            Some(alias) => {
                prop_assert_eq!(alias.id, id);
                prop_assert_eq!(alias.domain, domain);
                prop_assert!(addresses.starts_with(&alias.addresses));
                let room = alias.addresses.len() == addresses.len() || text.len() > 255 - 45;
                prop_assert!(room, "{}", text);
            }
            None => prop_assert!(id.to_string().len() > 180),
        }
    }

    #[test]
    fn foreign_text_is_no_alias_or_reads_back(text in ".{0,60}") {
        if let Some(found) = parse_alias(&text) {
            prop_assert_eq!(key(&found.id), text.split(' ').next().unwrap());
        }
    }
}

#[test]
fn ids_that_look_alike_have_names_of_their_own() {
    let ids = [
        id("a", "bc", "eth0"),
        id("ab", "c", "eth0"),
        id("a", "bc", "eth1"),
        id("a", "bc", "eth"),
        id("A", "bc", "eth0"),
    ];
    let names: HashSet<String> = ids.iter().map(host_link_name).collect();
    assert_eq!(names.len(), ids.len());
}

#[test]
fn a_long_key_is_a_digest_of_one_word() {
    let long = id(&"n".repeat(120), &"c".repeat(64), "eth0");
    assert_eq!(key(&long).len(), "sha256:".len() + 64);
    assert!(!key(&long).contains(' '));
    assert_eq!(parse_key(&key(&long)), None);
    assert_ne!(key(&long), key(&id(&"n".repeat(121), &"c".repeat(64), "eth0")));
}

#[test]
fn what_is_no_key_is_none() {
    for text in ["", "a", "a/b", "a/b/", "/b/c", "a//c", "a/b/c/d", "eth0 uplink"] {
        assert_eq!(parse_key(text), None, "{text}");
        assert_eq!(parse_alias(text), None, "{text}");
    }
    assert_eq!(parse_alias("a/b/c host 10.0.0.300/8"), None);
    assert_eq!(parse_alias("a/b/c").unwrap().domain, "host");
}

/// A DEL with nothing but its environment still finds the host's link.
#[test]
fn req_34_leftovers_need_no_record_and_no_prev_result() {
    let id = id("pods", "c1", "eth0");
    let plan = leftovers(&id, None);
    assert_eq!(plan.steps.len(), 2);
    let Action::Link(ifb) = &plan.steps[1].action else { panic!("{plan}") };
    assert_eq!((&ifb.kind, &ifb.alias), (&LinkKind::Ifb, &Some("pods/c1/eth0".to_owned())));
    let Action::Link(link) = &plan.steps[0].action else { panic!("{plan}") };
    assert_eq!(link.link, LinkRef::host(host_link_name(&id)));
    assert_eq!(link.alias.as_deref(), Some("pods/c1/eth0"));
    assert!(link.mac.is_some(), "one that was made and not yet named is known by its MAC");
    assert!(matches!(&link.kind, LinkKind::Veth { peer } if peer.link.name == "eth0"));
}

#[test]
fn leftovers_take_the_addresses_of_prev_result() {
    let id = id("pods", "c1", "eth0");
    let prev = serde_json::from_str(
        r#"{"interfaces":[{"name":"eth9","sandbox":"/n"},{"name":"eth0","sandbox":"/n"}],
            "ips":[{"interface":0,"address":"10.9.0.1/16"},{"interface":1,"address":"10.1.0.5/16"},
                   {"address":"fd00::5/64"}]}"#,
    )
    .unwrap();
    let text = leftovers(&id, Some(&prev)).to_string();
    assert!(text.contains("masquerade 10.1.0.5 but to 10.1.0.0/16"), "{text}");
    assert!(text.contains("masquerade fd00::5 but to fd00::/64"), "{text}");
    assert!(!text.contains("10.9.0.1"), "{text}");
}
