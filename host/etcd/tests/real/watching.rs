//! Watches that lose nothing, and leases that end.

use std::time::Instant;

use wharfinger_etcd::{Event, Seen, Watch};

use super::*;

const BIT: Duration = Duration::from_millis(300);

/// Waits until this many events came; errors of reaching etcd are waited out.
#[track_caller]
fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let (start, mut all) = (Instant::now(), Vec::new());
    while all.len() < count {
        assert!(start.elapsed() < 3 * WAIT, "{} of {count} events", all.len());
        match watch.next(BIT) {
            Ok(Seen::Events(events)) => all.extend(events),
            Ok(Seen::Nothing) | Err(Fault::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(all.len(), count);
    all
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn a_watch_goes_on_past_members_that_go() {
    let mut etcd = Cluster::three().unwrap();
    let store = client(&etcd);
    let first = create(&store, "w/0", "0");
    create(&store, "other", "1");
    let mut watch = client(&etcd).watch("w/", first);
    create(&store, "w/1", "1");
    let seen = events(&mut watch, 1);
    assert_eq!((seen[0].key.as_str(), seen[0].value.as_deref()), ("w/1", Some("1")));
    assert_eq!(one(&store, "w/1").unwrap().version, seen[0].version);
    assert_eq!(watch.next(BIT).unwrap(), Seen::Nothing);
    let mut at = 2;
    for member in 0..3 {
        etcd.kill(member);
        etcd.leader().unwrap();
        for _ in 0..50 {
            create(&store, &format!("w/{at}"), "1");
            at += 1;
        }
        let seen = events(&mut watch, 50);
        let keys: Vec<String> = (at - 50..at).map(|at| format!("w/{at}")).collect();
        assert!(seen.iter().map(|event| &event.key).eq(&keys));
        etcd.restart(member).unwrap();
    }
    let removal = Put { key: "w/1".into(), value: None };
    store.commit(&[], &[removal], WAIT).unwrap();
    let seen = events(&mut watch, 1);
    assert_eq!((seen[0].key.as_str(), seen[0].value.as_deref()), ("w/1", None));
}

/// Of all members but this; it has led us to one that answers.
fn without(etcd: &Cluster, member: usize) -> Etcd {
    let mut endpoints = etcd.endpoints();
    endpoints.remove(member);
    let store = Etcd::new(settings(endpoints)).unwrap();
    one(&store, "none");
    store
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn a_watch_finds_another_member_when_its_own_hangs() {
    let etcd = Cluster::three().unwrap();
    let first = create(&client(&etcd), "w/first", "0");
    let mut watch = client(&etcd).watch("w/", first);
    assert_eq!(watch.next(BIT).unwrap(), Seen::Nothing);
    for member in 0..3 {
        etcd.pause(member).unwrap();
        let key = format!("w/{member}");
        create(&without(&etcd, member), &key, "1");
        assert_eq!(events(&mut watch, 1)[0].key, key);
        etcd.resume(member).unwrap();
        etcd.ready(member).unwrap();
    }
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn what_etcd_forgot_is_said_and_listed_anew() {
    let mut etcd = Cluster::one().unwrap();
    let store = client(&etcd);
    let first = create(&store, "w/0", "0");
    let mut watch = store.watch("w/", first);
    create(&store, "w/1", "1");
    create(&store, "w/2", "1");
    etcd.compact().unwrap();
    let Seen::Resync(why) = watch.next(WAIT).unwrap() else { panic!() };
    assert!(why.contains("forgot"), "{why}");
    let listed = store.changes("w/", 0, WAIT).unwrap();
    assert_eq!(listed.objects.len(), 3);
    let mut watch = store.watch("w/", listed.upto);
    create(&store, "w/3", "1");
    assert_eq!(events(&mut watch, 1)[0].key, "w/3");
    // One that is up to date does not mind; one that was away is told.
    etcd.compact().unwrap();
    create(&store, "w/4", "1");
    assert_eq!(events(&mut watch, 1)[0].key, "w/4");
    etcd.kill(0);
    etcd.restart(0).unwrap();
    create(&store, "w/5", "1");
    create(&store, "w/6", "1");
    etcd.compact().unwrap();
    let told = loop {
        match watch.next(BIT) {
            Ok(Seen::Resync(why)) => break why,
            Ok(Seen::Nothing) | Err(Fault::Unavailable(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(told.contains("forgot"), "{told}");
    // Another etcd at the same place.
    let Seen::Resync(why) = store.watch("w/", 1 << 40).next(WAIT).unwrap() else { panic!() };
    assert!(why.contains("backup"), "{why}");
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn a_great_many_events_come_in_parts_and_once_each() {
    let etcd = Cluster::one().unwrap();
    let store = client(&etcd);
    let first = create(&store, "w/0", "0");
    let value = "v".repeat(10_000);
    for some in (0..1200).collect::<Vec<_>>().chunks(100) {
        let puts: Vec<Put> = some.iter().map(|at| put(&format!("w/{at:04}"), &value)).collect();
        store.commit(&[], &puts, WAIT).unwrap();
    }
    let mut watch = store.watch("w/", first);
    let seen = events(&mut watch, 1200);
    assert!(
        seen.iter().map(|event| event.key.clone()).eq((0..1200).map(|at| format!("w/{at:04}")))
    );
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn a_lease_keeps_an_object_while_it_is_kept() {
    let etcd = Cluster::three().unwrap();
    let store = client(&etcd);
    let start = Instant::now();
    let mut lease = store.grant(Duration::from_secs(2), Duration::ZERO, WAIT).unwrap();
    assert!(lease.ttl() >= Duration::from_secs(2));
    assert_eq!(lease.good_until(), lease.ttl());
    let alive = store.put_alive(&guard("alive/n", 0), "1", &lease, WAIT).unwrap();
    assert!(matches!(alive, Committed::Done(_)));
    let again = store.put_alive(&guard("alive/n", 0), "1", &lease, WAIT).unwrap();
    assert_eq!(again, Committed::Conflict);
    while start.elapsed() < 3 * lease.ttl() {
        let now = start.elapsed();
        assert!(store.keep_alive(&mut lease, now, WAIT).unwrap());
        assert_eq!(lease.good_until(), now + lease.ttl());
        assert!(one(&store, "alive/n").is_some());
        std::thread::sleep(BIT);
    }
    let mut watch = store.watch("alive/", store.changes("alive/", 0, WAIT).unwrap().upto);
    let last = events(&mut watch, 1);
    assert_eq!((last[0].key.as_str(), &last[0].value), ("alive/n", &None));
    let good = lease.good_until();
    assert!(!store.keep_alive(&mut lease, start.elapsed(), WAIT).unwrap());
    assert_eq!(lease.good_until(), good);
    store.revoke(&lease, WAIT).unwrap();
    let Err(Fault::Refused(text)) = store.put_alive(&guard("alive/n", 0), "1", &lease, WAIT) else {
        panic!()
    };
    assert!(text.contains("lease"), "{text}");
    let other = store.grant(Duration::from_mins(1), Duration::ZERO, WAIT).unwrap();
    store.put_alive(&guard("alive/o", 0), "1", &other, WAIT).unwrap();
    store.revoke(&other, WAIT).unwrap();
    assert_eq!(one(&store, "alive/o"), None);
}
