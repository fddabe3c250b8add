//! Counting: what is counted, once, and by whom.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use rules::decide::Verdict;
use serde_json::{Value, json};
use support::{Add, MemStore, add, reason};

/// An attachment of its own, of this namespace.
fn of(namespace: &str, container: &str) -> Add {
    let mut it = add(json!({})).of(namespace, container);
    container.clone_into(&mut it.attachment.container);
    it
}

fn with_ports(mut it: Add, count: u16) -> Add {
    let list: Vec<Value> =
        (1..=count).map(|n| json!({"hostPort": 8000 + n, "containerPort": n})).collect();
    it.network = json!({"runtimeConfig": {"portMappings": list}});
    it
}

/// A whole ADD: what it wrote stays only where it was allowed, as with the host's transaction.
fn run(it: &Add, config: &Value, store: &mut MemStore) -> Result<(), String> {
    let mut draft = store.clone();
    for verdict in [it.admitted(config, &mut draft).unwrap(), it.reviewed(config, &mut draft)] {
        if let Verdict::Deny(why) = verdict {
            return Err(why);
        }
    }
    *store = draft;
    Ok(())
}

#[test]
fn attachments_are_counted_by_namespace() {
    let config = json!({"quotas": [{"namespace": "team-*", "attachments": 2}]});
    let mut store = MemStore::default();
    for name in ["c1", "c2"] {
        run(&of("team-a", name), &config, &mut store).unwrap();
    }
    assert_eq!(
        run(&of("team-a", "c3"), &config, &mut store).unwrap_err(),
        "quota of team-a: 2 attachments of at most 2, 1 more asked for (/quotas/0)"
    );
    run(&of("team-b", "c3"), &config, &mut store).unwrap();
    for name in ["c4", "c5", "c6"] {
        run(&of("kube-system", name), &config, &mut store).unwrap();
    }
}

#[test]
fn the_same_attachment_counts_once_and_one_that_went_not_at_all() {
    let config = json!({"quotas": [{"attachments": 1, "addresses": 1, "hostPorts": 2}]});
    let mut store = MemStore::default();
    let it = with_ports(of("team-a", "c1"), 2).result(&["10.1.0.7/24"]);
    for _ in 0..3 {
        run(&it, &config, &mut store).unwrap();
    }
    assert_eq!(store.0.get("team-a/pods/c1/eth0").unwrap(), "1 2");
    assert!(run(&of("team-a", "c2"), &config, &mut store).is_err());
    store.0.clear();
    run(&of("team-a", "c2"), &config, &mut store).unwrap();
}

#[test]
fn addresses_are_counted_by_the_review_from_the_result() {
    let config = json!({"quotas": [{"namespace": "team-a", "addresses": 3}]});
    let mut store = MemStore::default();
    let dual = ["10.1.0.7/24", "fd00::7/64"];
    run(&of("team-a", "c1").result(&dual), &config, &mut store).unwrap();
    let second = of("team-a", "c2").result(&dual);
    assert_eq!(second.admitted(&config, &mut store.clone()).unwrap(), Verdict::Allow);
    assert_eq!(
        reason(second.reviewed(&config, &mut store.clone())),
        "quota of team-a: 2 addresses of at most 3, 2 more asked for (/quotas/0)"
    );
    run(&of("team-a", "c2").result(&["10.1.0.8/24"]), &config, &mut store).unwrap();
    // Without an address there is always room.
    run(&of("team-a", "c3"), &config, &mut store).unwrap();
    // Before 0.3.0 a result has two places.
    let mut old = of("team-a", "c4");
    old.plan.result = json!({"ip4": {"ip": "10.1.0.9/24"}});
    assert!(run(&old, &config, &mut store).is_err());
}

#[test]
fn host_ports_are_counted_also_as_a_later_policy_left_them() {
    let config = json!({"quotas": [{"hostPorts": 5}]});
    let mut store = MemStore::default();
    run(&with_ports(of("team-a", "c1"), 3), &config, &mut store).unwrap();
    assert_eq!(
        run(&with_ports(of("team-a", "c2"), 3), &config, &mut store).unwrap_err(),
        "quota of team-a: 3 host ports of at most 5, 3 more asked for (/quotas/0)"
    );
    run(&of("team-a", "c2"), &config, &mut store).unwrap();
    let mut draft = store.clone();
    assert_eq!(of("team-a", "c3").admitted(&config, &mut draft).unwrap(), Verdict::Allow);
    let later = with_ports(of("team-a", "c3"), 3);
    assert!(reason(later.reviewed(&config, &mut draft)).contains("3 host ports of at most 5"));
}

#[test]
fn ports_that_the_policy_sets_are_the_ones_that_count() {
    let config = json!({
        "rules": [{"set": {"portMappings": [{"hostPort": 9000, "containerPort": 80}]}}],
        "quotas": [{"hostPorts": 1}]
    });
    let mut store = MemStore::default();
    let verdict = with_ports(of("team-a", "c1"), 3).admitted(&config, &mut store).unwrap();
    assert!(matches!(verdict, Verdict::Amend(_)), "{verdict:?}");
    assert_eq!(store.0.get("team-a/pods/c1/eth0").unwrap(), "0 1");
}

#[test]
fn every_quota_that_fits_counts_and_what_is_no_pods_counts_together() {
    let config = json!({"quotas": [
        {"attachments": 3},
        {"namespace": ["team-a", "team-b"], "attachments": 1}
    ]});
    let mut store = MemStore::default();
    run(&of("team-a", "c1"), &config, &mut store).unwrap();
    assert!(run(&of("team-a", "c2"), &config, &mut store).unwrap_err().contains("/quotas/1"));
    for (name, fits) in [("c3", true), ("c4", true), ("c5", true), ("c6", false)] {
        let mut it = of("", name);
        it.attachment.pod = None;
        assert_eq!(run(&it, &config, &mut store).is_ok(), fits, "{name}");
    }
}

#[test]
fn a_quota_that_comes_later_counts_what_is_there() {
    let mut store = MemStore::default();
    let first = json!({"quotas": [{"namespace": "team-b", "attachments": 1}]});
    run(&of("team-a", "c1"), &first, &mut store).unwrap();
    let second = json!({"quotas": [{"namespace": "team-a", "attachments": 1}]});
    assert!(run(&of("team-a", "c2"), &second, &mut store).is_err());
}

#[test]
fn names_made_to_be_counted_elsewhere_are_not() {
    let config = json!({"quotas": [{"attachments": 1}]});
    let mut store = MemStore::default();
    run(&of("a", "c1"), &config, &mut store).unwrap();
    for namespace in ["a/pods", "a%2fpods", "A", "", "/"] {
        run(&of(namespace, "c1"), &config, &mut store).unwrap();
        assert!(run(&of(namespace, "c2"), &config, &mut store).is_err(), "{namespace}");
    }
    let long = run(&of(&"n".repeat(2_000), "c1"), &config, &mut store).unwrap_err();
    assert_eq!(long, "the attachment's names are too long to be counted");
}

#[test]
fn more_than_a_page_is_counted() {
    let config = json!({"quotas": [{"addresses": 1_201}]});
    let mut store = MemStore::default();
    for n in 0..1_200 {
        store.0.insert(format!("team-a/pods/c{n}/eth0"), "1 0".to_owned());
    }
    store.0.insert("team-a/pods/odd/eth0".to_owned(), "no numbers".to_owned());
    let new = |name| of("team-a", name).result(&["10.1.0.7/24"]);
    run(&new("new"), &config, &mut store).unwrap();
    assert!(run(&new("newer"), &config, &mut store).is_err());
}

#[test]
fn a_refused_rule_counts_nothing_and_without_quotas_nothing_is_entered() {
    let mut store = MemStore::default();
    let config = json!({"rules": [{"deny": "no"}], "quotas": [{"attachments": 1}]});
    let _ = of("team-a", "c1").admitted(&config, &mut store);
    run(&of("team-a", "c1"), &json!({}), &mut store).unwrap();
    assert!(store.0.is_empty());
}
