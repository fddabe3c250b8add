//! What outlives an attachment or a reboot, on the model and on SQLite alike: remembered
//! identities, and the plugins' stores.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::*;
use wharfinger_ledger::{Commit, Usage};

const NOW: u64 = 1_700_000_000;

both! {

fn what_is_remembered_outlives_release_and_reboot<K>() {
    let kind = K::new();
    let ranges = [range("10.0.0.1-10.0.0.3")];
    add_sticky(kind.book(), &id("web-0-x"), "web-0");
    let kept = |kind: &K| kind.book().usage(DOMAIN, &ranges, NOW + 500).unwrap().remembered;
    assert_eq!(kept(&kind), 0, "held, so not yet kept for anybody");
    del(kind.book(), &id("web-0-x"), NOW, COOL);
    assert_eq!(kept(&kind), 1);
    let kind = kind.rebooted(NOW + 500);
    assert_eq!(kept(&kind), 1);
    let remembered = |kind: &K, network, identity| {
        session(kind.book(), &id_of(network, "n"), NOW).remembered(identity).unwrap()
    };
    assert_eq!(remembered(&kind, "pods", "web-0"), [ip("10.0.0.1")]);
    assert!(remembered(&kind, "jobs", "web-0").is_empty());
    assert!(remembered(&kind, "pods", "web-1").is_empty());
    // Given to others last of all, and then to whoever comes.
    let order = ["a", "b", "c", "d"].map(|name| add_from(kind.book(), &id(name), &ranges, NOW));
    assert_eq!(order, [Some(ip("10.0.0.2")), Some(ip("10.0.0.3")), Some(ip("10.0.0.1")), None]);
    assert_eq!(remembered(&kind, "pods", "web-0"), [ip("10.0.0.1")], "though another has it");
    assert_eq!(kind.identities().len(), 1);
    assert!(kind.forget("pods", "web-0"));
    assert!(!kind.forget("pods", "web-0"));
    assert!(kind.rebooted(NOW + 999).identities().is_empty());
}

fn an_identity_is_remembered_by_its_latest_lease<K>() {
    let kind = K::new();
    let book = kind.book();
    let ranges = [range("10.0.0.1-10.0.0.2")];
    add_sticky(book, &id("a"), "web-0");
    let mut moved = session(book, &id("a"), NOW);
    moved.take(ip("10.0.0.2")).unwrap().unwrap();
    moved.remember("web-0");
    seq_of(moved.commit(&record(&id("a"), &[ip("10.0.0.2")])));
    assert_eq!(next_of(book, &ranges, NOW), Some(ip("10.0.0.1")), "forgotten, and free");
    // A lookup that has changed since is a conflict.
    let mut reader = session(book, &id("b"), NOW);
    assert_eq!(reader.remembered("web-0").unwrap(), [ip("10.0.0.2")]);
    assert!(kind.forget("pods", "web-0"));
    assert_eq!(reader.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    del(book, &id("a"), NOW, Duration::ZERO);
    let usage = book.usage(DOMAIN, &ranges, NOW).unwrap();
    assert_eq!(usage, Usage { total: 2, ..Usage::default() });
}

fn the_store_keeps_what_is_its_attachments_and_what_is_permanent<K>() {
    let kind = K::new();
    let book = kind.book();
    let mut first = session(book, &id("a"), NOW);
    first.store_put("lease/a", "1", true);
    first.store_put("seen", "1", false);
    assert_eq!(first.store_get("seen").unwrap().as_deref(), Some("1"), "its own writes");
    seq_of(first.commit(&record(&id("a"), &[])));
    let get = |key: &str, network: &str| {
        session(book, &id_of(network, "r"), NOW).store_get(key).unwrap()
    };
    assert_eq!(get("lease/a", "pods").as_deref(), Some("1"));
    assert_eq!(get("lease/a", "jobs"), None, "a network's own");
    del(book, &id("a"), NOW, COOL);
    assert_eq!(get("lease/a", "pods"), None);
    assert_eq!(get("seen", "pods").as_deref(), Some("1"));
    let kind = kind.rebooted(NOW);
    let book = kind.book();
    let mut last = session(book, &id("b"), NOW);
    assert_eq!(last.store_get("seen").unwrap().as_deref(), Some("1"));
    // The lifetime is replaced with the value.
    last.store_put("seen", "2", true);
    seq_of(last.commit(&record(&id("b"), &[])));
    let kind = kind.rebooted(NOW);
    assert_eq!(session(kind.book(), &id("c"), NOW).store_get("seen").unwrap(), None);
}

fn the_store_is_scanned_in_the_order_of_bytes<K>() {
    let kind = K::new();
    let book = kind.book();
    let mut writer = session(book, &id("a"), NOW);
    for key in ["p/a", "p/b", "p/é", "p", "q", "p/c"] {
        writer.store_put(key, key, false);
    }
    seq_of(writer.commit(&record(&id("a"), &[])));
    let mut reader = session(book, &id("b"), NOW);
    reader.store_put("p/bb", "new", true);
    assert!(reader.store_remove("p/a").unwrap());
    assert!(!reader.store_remove("p/a").unwrap());
    let mut scan = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let found = reader.store_scan(prefix, after, limit).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(scan("p/", None, 9), ["p/b", "p/bb", "p/c", "p/é"]);
    assert_eq!(scan("p/", Some("p/b"), 2), ["p/bb", "p/c"]);
    assert_eq!(scan("", Some("p/é"), 9), ["q"]);
    assert_eq!(scan("p/", None, 0), [""; 0]);
    assert_eq!(scan("p/", Some("q"), 9), [""; 0]);
    // Somebody writes between: what was scanned has changed.
    let mut other = session(book, &id("c"), NOW);
    other.store_put("p/0", "", false);
    seq_of(other.commit(&record(&id("c"), &[])));
    assert_eq!(reader.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    session(book, &id("d"), NOW).store_get("p/a").unwrap().unwrap();
}

fn a_read_of_the_store_that_no_longer_holds_is_a_conflict<K>() {
    let kind = K::new();
    let book = kind.book();
    let count = |name: &str| {
        let mut session = session(book, &id(name), NOW);
        let seen = session.store_get("n").unwrap().map_or(0, |n| n.parse::<u32>().unwrap());
        session.store_put("n", &(seen + 1).to_string(), true);
        session
    };
    let (one, two) = (count("a"), count("b"));
    seq_of(one.commit(&record(&id("a"), &[])));
    assert_eq!(two.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    seq_of(count("b").commit(&record(&id("b"), &[])));
    let seen = session(book, &id("c"), NOW).store_get("n").unwrap();
    assert_eq!(seen.as_deref(), Some("2"));
}

}
