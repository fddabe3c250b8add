//! Choices, against a book of a few lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use host_local::choose::{Given, Ledger, Refused, allocate};
use host_local::config::{Config, read};
use host_local::net::Range;
use serde_json::{Value, json};

#[derive(Default)]
struct Book {
    held: BTreeSet<IpAddr>,
    /// What was asked last.
    ranges: Vec<Range>,
    excluded: Vec<Range>,
}

impl Ledger for Book {
    fn take(&mut self, address: IpAddr) -> Result<(), String> {
        self.held.insert(address).then_some(()).ok_or_else(|| "is held by pods/c0/eth0".to_owned())
    }

    fn take_free(&mut self, ranges: &[Range], excluded: &[Range]) -> Option<IpAddr> {
        (self.ranges, self.excluded) = (ranges.to_vec(), excluded.to_vec());
        let all = ranges.iter().flat_map(|range| {
            let next = |address: &IpAddr| match address {
                IpAddr::V4(v4) => u32::from(*v4).checked_add(1).map(|n| IpAddr::V4(n.into())),
                IpAddr::V6(v6) => u128::from(*v6).checked_add(1).map(|n| IpAddr::V6(n.into())),
            };
            let range = *range;
            std::iter::successors(Some(range.first), next).take_while(move |a| range.contains(*a))
        });
        let free = |a: &IpAddr| !self.held.contains(a) && !excluded.iter().any(|e| e.contains(*a));
        let found = all.take(1 << 17).find(free)?;
        self.held.insert(found);
        Some(found)
    }
}

fn config(config: &Value) -> Config {
    read(config).unwrap()
}

fn wanted(addresses: &[&str]) -> Vec<IpAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

fn shown(given: &[Given]) -> Vec<String> {
    given
        .iter()
        .map(|g| {
            format!("{} via {}", g.address, g.gateway.map_or("none".into(), |g| g.to_string()))
        })
        .collect()
}

fn conflict(config: &Config, addresses: &[&str], book: &mut Book) -> String {
    match allocate(config, &wanted(addresses), book) {
        Err(Refused::Conflict(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_address_from_each_set_with_its_subnets_prefix_and_gateway() {
    let config = config(&json!({"ranges": [
        [{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64", "gateway": "fd00::ff"}]
    ]}));
    let given = allocate(&config, &[], &mut Book::default()).unwrap();
    assert_eq!(shown(&given), ["10.1.0.2/16 via 10.1.0.1", "fd00::1/64 via fd00::ff"]);
}

#[test]
fn ranges_of_a_set_are_alternatives_in_order() {
    let config = config(&json!({"ranges": [[
        {"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/30", "gateway": "10.2.0.2"}
    ]]}));
    let mut book = Book::default();
    let mut next = || allocate(&config, &[], &mut book).map(|given| shown(&given));
    assert_eq!(next().unwrap(), ["10.1.0.2/30 via 10.1.0.1"]);
    assert_eq!(next().unwrap(), ["10.2.0.1/30 via 10.2.0.2"]);
    let Err(Refused::Exhausted(message)) = next() else { panic!("a third address") };
    assert_eq!(
        message,
        "no address is free in 10.1.0.0/30 (10.1.0.1 to 10.1.0.2), 10.2.0.0/30 (10.2.0.1 to 10.2.0.2)"
    );
}

#[test]
fn every_usable_address_of_tiny_networks_is_given() {
    for (subnet, count) in [
        ("10.1.0.0/30", 1),
        ("10.1.0.0/31", 2),
        ("10.1.0.0/32", 1),
        ("fd00::/126", 2),
        ("fd00::/127", 2),
        ("fd00::/128", 1),
    ] {
        let config = config(&json!({"subnet": subnet}));
        let mut book = Book::default();
        let given = (0..5).filter(|_| allocate(&config, &[], &mut book).is_ok()).count();
        assert_eq!(given, count, "{subnet}");
    }
}

#[test]
fn network_broadcast_gateways_and_exclusions_are_never_given() {
    let config = config(&json!({
        "ranges": [[{"subnet": "10.1.0.0/29", "rangeStart": "10.1.0.0", "rangeEnd": "10.1.0.7"}]],
        "exclude": ["10.1.0.4/31"]
    }));
    let mut book = Book::default();
    let given: Vec<String> =
        (0..3).flat_map(|_| shown(&allocate(&config, &[], &mut book).unwrap())).collect();
    assert_eq!(
        given,
        ["10.1.0.2/29 via 10.1.0.1", "10.1.0.3/29 via 10.1.0.1", "10.1.0.6/29 via 10.1.0.1"]
    );
    assert!(allocate(&config, &[], &mut book).is_err());
    for never in ["10.1.0.0", "10.1.0.7", "10.1.0.5"] {
        assert!(conflict(&config, &[never], &mut book).contains("is excluded"), "{never}");
    }
    assert!(conflict(&config, &["10.1.0.1"], &mut book).contains("is the gateway"));
}

#[test]
fn pain_g2_a_range_is_handed_over_whole_and_never_walked() {
    for (subnet, last) in [
        ("fd00::/64", "fd00::ffff:ffff:ffff:ffff"),
        ("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] {
        let mut book = Book::default();
        allocate(&config(&json!({"subnet": subnet})), &[], &mut book).unwrap();
        assert_eq!(book.ranges.len(), 1);
        assert_eq!(book.ranges[0].last.to_string(), last);
        assert_eq!(book.excluded.len(), 1);
    }
}

#[test]
fn wanted_addresses_go_to_their_sets() {
    let config =
        config(&json!({"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd00::/64"}]]}));
    let mut book = Book::default();
    let given = allocate(&config, &wanted(&["fd00::7", "10.1.0.9"]), &mut book).unwrap();
    assert_eq!(shown(&given), ["10.1.0.9/16 via 10.1.0.1", "fd00::7/64 via fd00::1"]);
    let given = allocate(&config, &wanted(&["fd00::8"]), &mut book).unwrap();
    assert_eq!(shown(&given), ["10.1.0.2/16 via 10.1.0.1", "fd00::8/64 via fd00::1"]);
}

#[test]
fn wanted_addresses_that_cannot_be_had_are_refused_with_the_reason() {
    let config = config(&json!({"subnet": "10.1.0.0/24"}));
    let mut book = Book::default();
    allocate(&config, &wanted(&["10.1.0.9"]), &mut book).unwrap();
    assert_eq!(
        conflict(&config, &["10.1.0.9"], &mut book),
        "10.1.0.9 was asked for, but is held by pods/c0/eth0"
    );
    assert_eq!(
        conflict(&config, &["10.2.0.1"], &mut book),
        "10.2.0.1 was asked for, but lies in none of 10.1.0.0/24 (10.1.0.1 to 10.1.0.254)"
    );
    assert_eq!(
        conflict(&config, &["10.1.0.3", "10.1.0.4"], &mut book),
        "10.1.0.4 was asked for, but its range set gives one address only"
    );
}
