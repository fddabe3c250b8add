//! What every store of a cluster's book must do, whatever it is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use wharfinger_ledger::cluster::MemRemote;

use super::*;

/// The store is empty.
pub(crate) fn contract(store: &dyn Remote) {
    objects_are_found_by_key(store);
    a_guard_that_does_not_hold_writes_nothing(store);
    what_was_removed_is_not_there_and_its_version_never_comes_back(store);
    changes_are_those_above(store);
    one_writer_of_many_wins(store);
}

fn objects_are_found_by_key(store: &dyn Remote) {
    assert_eq!(store.get(&[], WAIT).unwrap(), []);
    assert_eq!(store.get(&["a/none"], WAIT).unwrap(), []);
    assert_eq!(store.changes("", 0, WAIT).unwrap().objects, []);
    let version = create(store, "a/1", "{\"x\":\"\u{e4}\"}");
    assert!(version > 0);
    let found = store.get(&["a/none", "a/1", "a"], WAIT).unwrap();
    let object = Object { key: "a/1".into(), version, value: "{\"x\":\"\u{e4}\"}".into() };
    assert_eq!(found, [object]);
}

fn a_guard_that_does_not_hold_writes_nothing(store: &dyn Remote) {
    let (first, second) = (create(store, "b/1", "1"), create(store, "b/2", "1"));
    assert!(second > first);
    let both = [put("b/1", "2"), put("b/2", "2")];
    for guards in [
        [guard("b/1", first), guard("b/2", first)],
        [guard("b/1", 0), guard("b/2", second)],
        [guard("b/1", first), guard("b/none", second)],
        [guard("b/1", first), guard("b/none", u64::MAX)],
    ] {
        assert_eq!(store.commit(&guards, &both, WAIT).unwrap(), Committed::Conflict);
    }
    assert_eq!(one(store, "b/1").unwrap().version, first);
    let guards = [guard("b/1", first), guard("b/2", second), guard("b/none", 0)];
    let Committed::Done(versions) = store.commit(&guards, &both, WAIT).unwrap() else { panic!() };
    assert_eq!(versions.len(), 2);
    assert_eq!(one(store, "b/1").unwrap().version, versions[0]);
    assert_eq!(one(store, "b/2").unwrap().version, versions[1]);
    assert!(versions[0] > second && versions[1] > second);
    // Nothing to write: the guards alone are asked.
    assert_eq!(store.commit(&[guard("b/none", 0)], &[], WAIT).unwrap(), Committed::Done(vec![]));
    assert_eq!(store.commit(&[guard("b/1", first)], &[], WAIT).unwrap(), Committed::Conflict);
}

fn what_was_removed_is_not_there_and_its_version_never_comes_back(store: &dyn Remote) {
    let first = create(store, "c/1", "1");
    let removal = Put { key: "c/1".into(), value: None };
    let done = store.commit(&[guard("c/1", first)], std::slice::from_ref(&removal), WAIT).unwrap();
    assert!(matches!(done, Committed::Done(versions) if versions.len() == 1));
    assert_eq!(one(store, "c/1"), None);
    assert_eq!(store.changes("c/", 0, WAIT).unwrap().objects, []);
    // What is gone can be removed again.
    assert!(matches!(store.commit(&[], &[removal], WAIT).unwrap(), Committed::Done(_)));
    let second = create(store, "c/1", "1");
    assert!(second > first);
    let late = store.commit(&[guard("c/1", first)], &[put("c/1", "late")], WAIT).unwrap();
    assert_eq!(late, Committed::Conflict);
}

fn changes_are_those_above(store: &dyn Remote) {
    let first = create(store, "d/2", "1");
    create(store, "d/1", "1");
    create(store, "dd", "1");
    let all = store.changes("d/", 0, WAIT).unwrap();
    let keys: Vec<&str> = all.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["d/1", "d/2"]);
    let above = store.changes("d/", first, WAIT).unwrap();
    assert_eq!(above.objects.iter().map(|object| &object.key).collect::<Vec<_>>(), ["d/1"]);
    assert!(above.upto >= above.objects[0].version && above.upto >= all.upto);
    assert_eq!(store.changes("d/", above.upto, WAIT).unwrap().objects, []);
    store.commit(&[], &[put("d/2", "2")], WAIT).unwrap();
    let later = store.changes("d/", above.upto, WAIT).unwrap();
    assert_eq!(later.objects.len(), 1);
    assert_eq!(later.objects[0].value, "2");
}

fn one_writer_of_many_wins(store: &dyn Remote) {
    let start = create(store, "e/1", "0");
    let wins = std::thread::scope(|scope| {
        let write = |at: u32| {
            let (guard, put) = (guard("e/1", start), put("e/1", &at.to_string()));
            scope.spawn(move || store.commit(&[guard], &[put], WAIT).unwrap())
        };
        let writers: Vec<_> = (0..8).map(write).collect();
        let results = writers.into_iter().map(|writer| writer.join().unwrap());
        results.filter(|result| matches!(result, Committed::Done(_))).count()
    });
    assert_eq!(wins, 1);
}

#[test]
fn memory_keeps_the_contract() {
    contract(&MemRemote::new());
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn etcd_keeps_the_contract() {
    let etcd = Cluster::one().unwrap();
    contract(&client(&etcd));
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn ten_thousand_objects_are_listed_of_one_revision() {
    let setup = Setup { places: vec![Place::free().unwrap()], ..Setup::default() };
    let etcd = Cluster::start(setup).unwrap();
    let store = client(&etcd);
    let value = "v".repeat(500);
    let keys: Vec<String> = (0..10_000).map(|at| format!("many/{at:05}")).collect();
    for some in keys.chunks(100) {
        let puts: Vec<Put> = some.iter().map(|key| put(key, &value)).collect();
        store.commit(&[], &puts, WAIT).unwrap();
    }
    let listed = store.changes("many/", 0, WAIT).unwrap();
    assert!(listed.objects.iter().map(|object| &object.key).eq(&keys));
    // More than one page of what changed, and 4 MiB of it.
    let half = listed.objects[5000].version;
    let changed = store.changes("many/", half, WAIT).unwrap();
    assert!(changed.objects.iter().all(|object| object.version > half));
    assert_eq!(changed.objects.len(), 4900);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(store.get(&keys[..300], WAIT).unwrap().len(), 300);
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn objects_of_a_mebibyte_are_read_together() {
    let etcd = Cluster::one().unwrap();
    let store = client(&etcd);
    let value = "v".repeat(1 << 20);
    for at in 0..8 {
        create(&store, &format!("large/{at}"), &value);
    }
    assert_eq!(store.changes("large/", 0, WAIT).unwrap().objects.len(), 8);
    let keys: Vec<String> = (0..8).map(|at| format!("large/{at}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(store.get(&keys, WAIT).unwrap().len(), 8);
    let more = [put("large/a", &value), put("large/b", &value)];
    let Err(Fault::Refused(text)) = store.commit(&[], &more, WAIT) else { panic!() };
    assert!(text.contains("--max-request-bytes"), "{text}");
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn a_listing_goes_on_while_history_is_forgotten() {
    let etcd = Cluster::one().unwrap();
    let store = client(&etcd);
    for some in (0..3000).collect::<Vec<_>>().chunks(100) {
        let puts: Vec<Put> = some.iter().map(|at| put(&format!("k/{at}"), "1")).collect();
        store.commit(&[], &puts, WAIT).unwrap();
    }
    let lister = store.clone();
    let listing = std::thread::spawn(move || {
        (0..40).all(|_| lister.changes("k/", 0, WAIT).unwrap().objects.len() == 3000)
    });
    while !listing.is_finished() {
        store.commit(&[], &[put("k/0", "2")], WAIT).unwrap();
        etcd.compact().unwrap();
    }
    assert!(listing.join().unwrap());
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn keys_of_others_are_named_and_not_believed() {
    let etcd = Cluster::one().unwrap();
    let store = client(&etcd);
    etcd.ctl(&["put", "elsewhere/x", "1"]).unwrap();
    assert_eq!(store.changes("", 0, WAIT).unwrap().objects, []);
    let words = [&b"put"[..], b"wharfinger/\xff", b"1"].map(OsStr::from_bytes);
    etcd.ctl_at(0, &words).unwrap();
    let Err(Fault::Refused(text)) = store.changes("", 0, WAIT) else { panic!() };
    assert!(text.contains("etcdctl del"), "{text}");
    // A node that has seen more than etcd has: another etcd, or an old one.
    let Err(Fault::Older(text)) = store.changes("a/", 1 << 40, WAIT) else { panic!() };
    assert!(text.contains("restored from a backup"), "{text}");
}
