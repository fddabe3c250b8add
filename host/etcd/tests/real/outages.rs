//! Members that are down, hang, or come back; and commits whose end is not known.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::*;

const SHORT: Duration = Duration::from_secs(3);

/// Where a client begins is chance: of so many, some begin at each member.
fn each_first(etcd: &Cluster) -> Vec<Etcd> {
    (0..9).map(|_| client(etcd)).collect()
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn one_of_three_that_is_down_or_hangs_is_passed_by() {
    let mut etcd = Cluster::three().unwrap();
    let leader = etcd.leader().unwrap();
    let follower = (leader + 1) % 3;
    etcd.pause(follower).unwrap();
    for (at, store) in each_first(&etcd).iter().enumerate() {
        create(store, &format!("hangs/{at}"), "1");
        assert_eq!(store.changes("hangs/", 0, SHORT).unwrap().objects.len(), at + 1);
    }
    // One that was used, and hangs from now on.
    etcd.resume(follower).unwrap();
    etcd.ready(follower).unwrap();
    let stores = each_first(&etcd);
    for (at, store) in stores.iter().enumerate() {
        create(store, &format!("later/{at}"), "1");
    }
    etcd.pause(follower).unwrap();
    for store in &stores {
        assert_eq!(store.changes("later/", 0, SHORT).unwrap().objects.len(), 9);
    }
    etcd.resume(follower).unwrap();
    etcd.kill(follower);
    for (at, store) in stores.iter().chain(&each_first(&etcd)).enumerate() {
        assert_eq!(store.changes("later/", 0, SHORT).unwrap().objects.len(), 9);
        create(store, &format!("down/{at}"), "1");
    }
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn all_down_is_said_within_the_wait() {
    let mut etcd = Cluster::three().unwrap();
    let store = client(&etcd);
    create(&store, "a", "1");
    (0..3).for_each(|member| etcd.kill(member));
    for store in [&store, &client(&etcd)] {
        let start = Instant::now();
        let Err(Fault::Unavailable(read)) = store.get(&["a"], SHORT) else { panic!() };
        let Err(Fault::Unavailable(write)) = store.commit(&[], &[put("b", "1")], SHORT) else {
            panic!()
        };
        let took = start.elapsed();
        assert!(took < 2 * SHORT + Duration::from_secs(2), "{took:?}");
        for endpoint in etcd.endpoints() {
            assert!(read.contains(&endpoint) && write.contains(&endpoint), "{read}");
        }
        assert!(read.contains("Connection refused") && read.contains("within"), "{read}");
    }
    for member in 0..3 {
        etcd.begin(member).unwrap();
    }
    (0..3).for_each(|member| etcd.ready(member).unwrap());
    assert_eq!(one(&store, "b"), None, "what was not sent is not there");
    assert_eq!(one(&store, "a").unwrap().value, "1");
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn without_a_majority_nothing_is_written() {
    let mut etcd = Cluster::three().unwrap();
    let leader = etcd.leader().unwrap();
    etcd.kill((leader + 1) % 3);
    etcd.kill((leader + 2) % 3);
    // It leads on until it notices.
    std::thread::sleep(Duration::from_secs(3));
    let store = client(&etcd);
    let Err(Fault::Unavailable(text)) = store.commit(&[], &[put("a", "1")], SHORT) else {
        panic!()
    };
    assert!(text.contains("no leader") || text.contains("no answer within"), "{text}");
    assert!(matches!(store.get(&["a"], SHORT), Err(Fault::Unavailable(_))));
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn all_hang() {
    let etcd = Cluster::three().unwrap();
    let (used, new) = (client(&etcd), client(&etcd));
    create(&used, "a", "1");
    (0..3).for_each(|member| etcd.pause(member).unwrap());
    let start = Instant::now();
    // It answered a moment ago: the commit is on its way.
    let Err(Fault::Unknown(text)) = used.commit(&[], &[put("c", "1")], SHORT) else { panic!() };
    assert!(text.contains("not known whether it stands"), "{text}");
    let Err(Fault::Unavailable(_)) = new.commit(&[], &[put("b", "1")], SHORT) else { panic!() };
    let Err(Fault::Unavailable(text)) = new.get(&["b"], SHORT) else { panic!() };
    assert!(text.contains("no answer within"), "{text}");
    assert!(start.elapsed() < 3 * SHORT + Duration::from_secs(3));
    (0..3).for_each(|member| etcd.resume(member).unwrap());
    (0..3).for_each(|member| etcd.ready(member).unwrap());
    assert_eq!(one(&new, "b"), None);
    contract_of_unknown(&used);
}

/// It stands or not, and what is written after a look is sure.
fn contract_of_unknown(store: &Etcd) {
    let version = one(store, "c").map_or(0, |object| object.version);
    let done = store.commit(&[guard("c", version)], &[put("c", "2")], WAIT).unwrap();
    assert!(matches!(done, Committed::Done(_)));
}

#[derive(Default)]
struct Outcomes {
    done: BTreeSet<String>,
    not: BTreeSet<String>,
    unknown: usize,
}

/// Writes a new object each time, until told to stop.
fn write_on(store: &Etcd, name: &str, stop: &AtomicBool) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for at in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("w/{name}/{at:06}");
        match store.commit(&[guard(&key, 0)], &[put(&key, "1")], SHORT) {
            Ok(Committed::Done(_)) => drop(outcomes.done.insert(key)),
            Ok(Committed::Conflict) => panic!("{key}: nobody else writes it"),
            Err(Fault::Unavailable(_)) => drop(outcomes.not.insert(key)),
            Err(Fault::Unknown(_)) => outcomes.unknown += 1,
            Err(Fault::Refused(text) | Fault::Older(text)) => panic!("{text}"),
        }
    }
    outcomes
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn commits_are_known_while_leaders_are_killed_and_paused() {
    let mut etcd = Cluster::three().unwrap();
    let stop = AtomicBool::new(false);
    let store = client(&etcd);
    let outcomes: Vec<Outcomes> = std::thread::scope(|scope| {
        let names = ["a", "b", "c", "d"];
        let stores: Vec<Etcd> = names.iter().map(|_| client(&etcd)).collect();
        let write = |(store, name): (Etcd, &'static str)| {
            let stop = &stop;
            scope.spawn(move || write_on(&store, name, stop))
        };
        let writers: Vec<_> = stores.into_iter().zip(names).map(write).collect();
        for round in 0..4 {
            let leader = etcd.leader().unwrap();
            if round % 2 == 0 {
                etcd.kill(leader);
                std::thread::sleep(Duration::from_secs(2));
                etcd.restart(leader).unwrap();
            } else {
                etcd.pause(leader).unwrap();
                std::thread::sleep(Duration::from_secs(3));
                etcd.resume(leader).unwrap();
                etcd.ready(leader).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    // What is under way comes to its end.
    std::thread::sleep(Duration::from_secs(1));
    let there: BTreeSet<String> = store
        .changes("w/", 0, WAIT)
        .unwrap()
        .objects
        .into_iter()
        .map(|object| object.key)
        .collect();
    for outcome in &outcomes {
        println!("{} {} {}", outcome.done.len(), outcome.not.len(), outcome.unknown);
        assert!(!outcome.done.is_empty());
        assert!(outcome.done.is_subset(&there), "what was acknowledged is there");
        assert!(outcome.not.is_disjoint(&there), "what was not sent is not there");
    }
}
