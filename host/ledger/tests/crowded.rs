//! A pool that is nearly full, and one that is far too large to look through.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use common::{id, open, range, record, recover, seq_of, session};

const NOW: u64 = 1_700_000_000;

/// Of a /16 one address in 328 is free: each is found, each once, and then none. Nothing is
/// walked: what is taken is one row for each run of it.
#[test]
fn pain_g1_in_a_pool_that_is_nearly_full_every_free_address_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let all = (1..u16::MAX).map(|low| {
        let [high, low] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
    });
    let (free, held): (Vec<_>, Vec<_>) = all.enumerate().partition(|(number, _)| number % 328 == 0);
    let addresses = |of: Vec<(usize, IpAddr)>| of.into_iter().map(|(_, address)| address);
    let (free, held): (Vec<_>, Vec<_>) = (addresses(free).collect(), addresses(held).collect());
    let book = recover(dir.path(), &[record(&id("crowd"), &held)], NOW);
    let pool = [range("10.1.0.1-10.1.255.254")];
    let mut found = BTreeSet::new();
    for number in 0..free.len() {
        let own = id(&format!("c{number}"));
        let mut session = session(&book, &own, NOW);
        session.pools(&pool).unwrap();
        let address = session.take_free(&pool, &[], None).unwrap().unwrap();
        seq_of(session.commit(&record(&own, &[address])));
        assert!(found.insert(address), "{address} twice");
    }
    assert_eq!(found, free.into_iter().collect());
    let own = id("one-more");
    assert_eq!(session(&book, &own, NOW).take_free(&pool, &[], None).unwrap(), None);
}

/// Two thousand of a /64, one after the other.
#[test]
fn pain_g1_two_thousand_addresses_of_a_64() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    let pool = [range("fd00::1-fd00::ffff:ffff:ffff:ffff")];
    let mut found = BTreeSet::new();
    for number in 0..2_000 {
        let own = id(&format!("c{number}"));
        let mut session = session(&book, &own, NOW);
        session.pools(&pool).unwrap();
        let address = session.take_free(&pool, &[], None).unwrap().unwrap();
        seq_of(session.commit(&record(&own, &[address])));
        found.insert(address);
    }
    assert_eq!(found.len(), 2_000);
}
