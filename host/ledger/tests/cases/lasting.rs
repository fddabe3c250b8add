//! What outlives an attachment or a reboot on every book: remembered identities, and the plugins'
//! stores.

use std::time::Duration;

use wharfinger_ledger::{Commit, Notice, Owner, Usage};

use crate::common::*;

const NOW: u64 = 1_700_000_000;

each! {

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

fn what_the_host_keeps_outlives_a_reboot<K>() {
    let kind = K::new();
    let (owner, other) = (Owner::of_host("docker"), Owner::of_host("other"));
    kind.book().keep(&owner, "network/b", Some("{}")).unwrap();
    kind.book().keep(&owner, "network/a", Some("1")).unwrap();
    kind.book().keep(&owner, "network/a", Some("2")).unwrap();
    kind.book().keep(&other, "network/a", Some("3")).unwrap();
    kind.book().keep(&owner, "pool", Some("gone")).unwrap();
    kind.book().keep(&owner, "pool", None).unwrap();
    kind.book().keep(&owner, "never there", None).unwrap();
    let expected = [("network/a".to_owned(), "2".to_owned()), ("network/b".into(), "{}".into())];
    assert_eq!(kind.book().kept(&owner).unwrap(), expected);
    let kind = kind.rebooted(NOW + 500);
    assert_eq!(kind.book().kept(&owner).unwrap(), expected);
    // A plugin of that name has a store of its own.
    assert!(kind.book().kept(&Owner::of_node("docker")).unwrap().is_empty());
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
    first.store_put(&own(), "lease/a", "1", true);
    first.store_put(&own(), "seen", "1", false);
    assert_eq!(first.store_get(&own(), "seen").unwrap().as_deref(), Some("1"), "its own writes");
    seq_of(first.commit(&record(&id("a"), &[])));
    let get = |key: &str, network: &str| {
        let owner = Owner::of_network(network, "host-local");
        session(book, &id_of(network, "r"), NOW).store_get(&owner, key).unwrap()
    };
    assert_eq!(get("lease/a", "pods").as_deref(), Some("1"));
    assert_eq!(get("lease/a", "jobs"), None, "a network's own");
    del(book, &id("a"), NOW, COOL);
    assert_eq!(get("lease/a", "pods"), None);
    assert_eq!(get("seen", "pods").as_deref(), Some("1"));
    let kind = kind.rebooted(NOW);
    let book = kind.book();
    let mut last = session(book, &id("b"), NOW);
    assert_eq!(last.store_get(&own(), "seen").unwrap().as_deref(), Some("1"));
    // The lifetime is replaced with the value.
    last.store_put(&own(), "seen", "2", true);
    seq_of(last.commit(&record(&id("b"), &[])));
    let kind = kind.rebooted(NOW);
    assert_eq!(session(kind.book(), &id("c"), NOW).store_get(&own(), "seen").unwrap(), None);
}

fn the_store_is_scanned_in_the_order_of_bytes<K>() {
    let kind = K::new();
    let book = kind.book();
    let mut writer = session(book, &id("a"), NOW);
    for key in ["p/a", "p/b", "p/é", "p", "q", "p/c"] {
        writer.store_put(&own(), key, key, false);
    }
    seq_of(writer.commit(&record(&id("a"), &[])));
    let mut reader = session(book, &id("b"), NOW);
    reader.store_put(&own(), "p/bb", "new", true);
    assert!(reader.store_remove(&own(), "p/a").unwrap());
    assert!(!reader.store_remove(&own(), "p/a").unwrap());
    let mut scan = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let found = reader.store_scan(&own(), prefix, after, limit).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(scan("p/", None, 9), ["p/b", "p/bb", "p/c", "p/é"]);
    assert_eq!(scan("p/", Some("p/b"), 2), ["p/bb", "p/c"]);
    assert_eq!(scan("", Some("p/é"), 9), ["q"]);
    assert_eq!(scan("p/", None, 0), [""; 0]);
    assert_eq!(scan("p/", Some("q"), 9), [""; 0]);
    // Somebody writes between: what was scanned has changed.
    let mut other = session(book, &id("c"), NOW);
    other.store_put(&own(), "p/0", "", false);
    seq_of(other.commit(&record(&id("c"), &[])));
    assert_eq!(reader.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    session(book, &id("d"), NOW).store_get(&own(), "p/a").unwrap().unwrap();
}

fn a_read_of_the_store_that_no_longer_holds_is_a_conflict<K>() {
    let kind = K::new();
    let book = kind.book();
    let count = |name: &str| {
        let mut session = session(book, &id(name), NOW);
        let seen = session.store_get(&own(), "n").unwrap().map_or(0, |n| n.parse::<u32>().unwrap());
        session.store_put(&own(), "n", &(seen + 1).to_string(), true);
        session
    };
    let (one, two) = (count("a"), count("b"));
    seq_of(one.commit(&record(&id("a"), &[])));
    assert_eq!(two.commit(&record(&id("b"), &[])).unwrap(), Commit::Conflict);
    seq_of(count("b").commit(&record(&id("b"), &[])));
    let seen = session(book, &id("c"), NOW).store_get(&own(), "n").unwrap();
    assert_eq!(seen.as_deref(), Some("2"));
}

fn entries_are_counted_and_measured_as_the_session_would_leave_them<K>() {
    let kind = K::new();
    let book = kind.book();
    let mut writer = session(book, &id("a"), NOW);
    for key in ["q/a", "q/b", "q", "r", "q/\u{10ffff}"] {
        writer.store_put(&own(), key, "é", true);
    }
    writer.store_put(&Owner::of_node("host-local"), "q/z", "1", true);
    seq_of(writer.commit(&record(&id("a"), &[])));
    let mut reader = session(book, &id("b"), NOW);
    let counts = ["q/", "q", "", "x", "q/\u{10ffff}", "\u{10ffff}"]
        .map(|prefix| reader.store_count(&own(), prefix).unwrap());
    assert_eq!(counts, [3, 4, 5, 0, 1, 0]);
    assert_eq!(reader.store_size(&own()).unwrap(), (3 + 3 + 1 + 1 + 6) + 5 * 2);
    reader.store_put(&own(), "q/a", "longer", true);
    reader.store_put(&own(), "q/c", "", true);
    assert!(reader.store_remove(&own(), "q/b").unwrap());
    reader.store_remove(&own(), "q/none").unwrap();
    assert_eq!(reader.store_count(&own(), "q/").unwrap(), 3);
    assert_eq!(reader.store_size(&own()).unwrap(), (3 + 3 + 1 + 1 + 6) + 3 * 2 + 6);
    assert_eq!(reader.store_count(&Owner::of_node("host-local"), "").unwrap(), 1);
    seq_of(reader.commit(&record(&id("b"), &[])));
}

fn a_count_that_no_longer_holds_is_a_conflict_and_a_size_is_none<K>() {
    let kind = K::new();
    let book = kind.book();
    let put = |name: &str, key: &str| {
        let mut other = session(book, &id(name), NOW);
        other.store_put(&own(), key, "1", true);
        seq_of(other.commit(&record(&id(name), &[])));
    };
    let mut counter = session(book, &id("a"), NOW);
    assert_eq!(counter.store_count(&own(), "q/").unwrap(), 0);
    let measurer = session(book, &id("b"), NOW);
    assert_eq!(measurer.store_size(&own()).unwrap(), 0);
    put("c", "q/c");
    assert_eq!(counter.commit(&record(&id("a"), &[])).unwrap(), Commit::Conflict);
    seq_of(measurer.commit(&record(&id("b"), &[])));
    // What is of another prefix is no reason.
    let mut counter = session(book, &id("a"), NOW);
    assert_eq!(counter.store_count(&own(), "q/").unwrap(), 1);
    put("d", "r/d");
    seq_of(counter.commit(&record(&id("a"), &[])));
}

fn what_was_written_since_can_be_taken_back<K>() {
    let kind = K::new();
    let mut writer = session(kind.book(), &id("a"), NOW);
    writer.store_put(&own(), "a", "1", false);
    let kept = writer.kept();
    writer.store_put(&own(), "a", "2", false);
    writer.store_put(&own(), "b", "2", false);
    writer.restore(kept);
    seq_of(writer.commit(&record(&id("a"), &[])));
    let mut reader = session(kind.book(), &id("b"), NOW);
    let all = reader.store_scan(&own(), "", None, 9).unwrap();
    assert_eq!(all, [("a".to_owned(), "1".to_owned())]);
}

/// An ADD that is tried again begins anew: what an earlier try entered does not count beside it.
fn a_second_commit_of_an_attachment_replaces_its_entries<K>() {
    let kind = K::new();
    let book = kind.book();
    let commit = |key: &str| {
        let mut one = session(book, &id("a"), NOW);
        one.store_put(&own(), key, "1", true);
        one.store_put(&own(), "permanent", "1", false);
        seq_of(one.commit(&record(&id("a"), &[])));
    };
    commit("old");
    commit("new");
    let mut reader = session(book, &id("b"), NOW);
    let all = reader.store_scan(&own(), "", None, 9).unwrap();
    let keys: Vec<_> = all.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["new", "permanent"]);
}

fn a_notice_is_in_the_outbox_until_it_is_delivered<K>() {
    let kind = K::new();
    let notice = |name: &str| Notice {
        id: id(name),
        plugin: "netbox".into(),
        config: "{\"url\":\"http://ipam\"}".into(),
        attachment: serde_json::json!({ "id": name }),
        lease: None,
    };
    assert_eq!(kind.book().outbox("pods").unwrap(), []);
    let first = kind.book().post(&notice("a")).unwrap();
    assert_eq!(kind.book().post(&notice("a")).unwrap(), first, "said once");
    let lease = serde_json::json!({ "ips": ["10.0.0.1"] });
    kind.book().post_lease(first, &lease).unwrap();
    let second = kind.book().post(&notice("a")).unwrap();
    assert_ne!(second, first, "of another lease");
    let third = kind.book().post(&notice("b")).unwrap();
    let kind = kind.rebooted(NOW);
    let with_lease = Notice { lease: Some(lease), ..notice("a") };
    let all = [(first, with_lease), (second, notice("a")), (third, notice("b"))];
    assert_eq!(kind.book().outbox("pods").unwrap(), all);
    assert_eq!(kind.book().outbox("jobs").unwrap(), []);
    kind.book().delivered(first).unwrap();
    kind.book().delivered(first).unwrap();
    kind.book().delivered(third).unwrap();
    assert_eq!(kind.book().outbox("pods").unwrap(), [(second, notice("a"))]);
    // A number never comes back: who delivers late takes out nobody else's.
    let fourth = kind.book().post(&notice("c")).unwrap();
    assert!(fourth > third);
}

}
