//! Several nodes with one book.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::*;
use wharfinger_ledger::cluster::{
    ClusterLedger, Committed, Cut, FIRST_VNI, Life, MemRemote, Mended, NodeAt, Part, Put,
    Remote as _, Survey, Whereabouts, unseen,
};
use wharfinger_ledger::{Commit, Error, Ledger, MemLedger, Record, Refusal, Release};
use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Peer, Plan, Step, Vxlan};

const NOW: u64 = 1_700_000_000;

type Node = ClusterLedger<MemLedger>;

fn nodes<const N: usize>(store: &MemRemote, block: u32) -> [Node; N] {
    std::array::from_fn(|n| join(MemLedger::new(), store, &format!("n{n}"), block))
}

fn add(node: &Node, name: &str, ranges: &str) -> Option<IpAddr> {
    add_from(node, &id(name), &[range(ranges)], NOW)
}

#[test]
fn nodes_give_from_blocks_of_their_own_then_from_others() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.10";
    let given = |node: &Node, name| add(node, name, range).map(|ip| ip.to_string()).unwrap();
    assert_eq!(given(&a, "a1"), "10.0.0.1");
    assert_eq!(given(&b, "b1"), "10.0.0.4", "a block of its own");
    assert_eq!(given(&a, "a2"), "10.0.0.2");
    assert_eq!(given(&a, "a3"), "10.0.0.3");
    assert_eq!(given(&a, "a4"), "10.0.0.8", "the next one that is nobody's");
    for (name, wanted) in [("b2", "5"), ("b3", "6"), ("b4", "7"), ("b5", "9"), ("b6", "10")] {
        assert_eq!(given(&b, name), format!("10.0.0.{wanted}"), "and then the other's");
    }
    assert_eq!(add(&a, "a5", range), None);
    // A borrowed one goes back to its block: its owner gives it.
    del(&b, &id("b6"), NOW, Duration::ZERO);
    assert_eq!(given(&a, "a5"), "10.0.0.10");
    let survey = a.survey().unwrap();
    let owners: Vec<_> = survey.blocks.iter().map(|at| at.block.owner.clone().unwrap()).collect();
    assert_eq!(owners, ["n0", "n1", "n0"]);
    assert_eq!(survey.blocks.iter().map(|at| at.block.held.len()).sum::<usize>(), 10);
}

#[test]
fn blocks_of_one_address_give_in_strict_order() {
    let store = MemRemote::new();
    let [a, b, c] = nodes(&store, 1);
    let range = "10.0.0.1-10.0.0.9";
    let nodes = [&a, &b, &c];
    let mut given = Vec::new();
    for turn in 0..9 {
        let address = add(nodes[turn % 3], &format!("p{turn}"), range).unwrap();
        given.push(address.to_string());
    }
    let wanted: Vec<_> = (1..=9).map(|n| format!("10.0.0.{n}")).collect();
    assert_eq!(given, wanted);
    assert_eq!(add(&a, "x", range), None);
}

#[test]
fn a_nodes_first_add_lists_the_book_once() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 64);
    let range = "10.0.0.1-10.0.0.200";
    add(&a, "before", range).unwrap();
    let before = store.asked();
    add(&b, "first", range).unwrap();
    // Whose the node's name is, the whole book, and the commit.
    assert_eq!(store.asked() - before, 3);
}

/// Whatever is asked first. Where it is begun anew, the books are compared before.
#[test]
fn nor_more_where_the_store_has_no_transactions() {
    let store = MemRemote::new().without_transactions();
    let [a, b, c, d] = nodes(&store, 16);
    let range = "10.0.0.1-10.0.0.200";
    add(&a, "before", range).unwrap();
    let asked = |node: &Node, first: &dyn Fn()| {
        let before = store.asked();
        first();
        add(node, "first", range).unwrap();
        store.asked() - before
    };
    // The listing, whose the node's name is, and the block.
    assert_eq!(asked(&b, &|| {}), 3);
    let read = || assert_eq!(c.usage(DOMAIN, &[self::range(range)], NOW).unwrap().held, 2);
    assert_eq!(asked(&c, &read), 3);
    let mend = || assert_eq!(d.mend(false, NOW, |_| Some(()), &unseen).unwrap(), Mended::default());
    assert_eq!(asked(&d, &mend), 3);
}

/// Also where the cluster's book was asked for something before, and when it was interrupted.
#[test]
fn a_node_that_had_a_book_of_its_own_tells_of_what_it_holds_before_it_asks_for_more() {
    for store in [MemRemote::new(), MemRemote::new().without_transactions()] {
        let own = MemLedger::new();
        let held = add_from(&own, &id("old"), &[range("10.0.0.1-10.0.0.9")], NOW).unwrap();
        let node = join(own, &store, "n0", 4);
        store.set_down(true);
        node.usage(DOMAIN, &[range("10.0.0.1-10.0.0.9")], NOW).unwrap_err();
        store.set_down(false);
        node.usage(DOMAIN, &[range("10.0.0.1-10.0.0.9")], NOW).unwrap();
        add(&node, "new", "10.0.0.1-10.0.0.9").unwrap();
        let other = join(MemLedger::new(), &store, "n1", 4);
        let mut session = session(&other, &id("q"), NOW);
        assert_eq!(session.take(held).unwrap(), Err(Refusal::Held(id("n0/old"))));
    }
}

/// Many processes at once on each of two nodes without a block of their own, which must come to
/// each other's addresses in the end.
#[test]
fn a_crowd_on_two_nodes_all_get_an_address_and_soon() {
    const EACH: usize = 50;
    let range = "10.0.0.1-10.0.0.110";
    for store in [MemRemote::new(), MemRemote::new().without_transactions()] {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for dir in &dirs {
            drop(open(dir.path()));
        }
        let (attempts, barrier) = (AtomicUsize::new(0), Barrier::new(2 * EACH));
        let calls = (0..2 * EACH).map(|call| (call, &dirs[call % 2]));
        let (store, attempts, barrier) = (&store, &attempts, &barrier);
        let given: BTreeSet<IpAddr> = std::thread::scope(|scope| {
            let calls: Vec<_> = calls
                .map(|(call, dir)| {
                    scope.spawn(move || {
                        let node = join(open(dir.path()), store, &format!("n{}", call % 2), 16);
                        barrier.wait();
                        let own = id(&format!("p{call}"));
                        loop {
                            attempts.fetch_add(1, Ordering::Relaxed);
                            let mut session = session(&node, &own, NOW);
                            let pool = [self::range(range)];
                            session.pools(&pool).unwrap();
                            let address = session.take_free(&pool, &[], None).unwrap().unwrap();
                            let commit = session.commit(&record(&own, &[address])).unwrap();
                            if commit != Commit::Conflict {
                                return address;
                            }
                        }
                    })
                })
                .collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert_eq!(given.len(), 2 * EACH, "an address twice");
        let attempts = attempts.load(Ordering::Relaxed);
        assert!(attempts < 2 * EACH * 10, "{attempts} attempts");
    }
}

#[test]
fn what_has_rested_keeps_no_block() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.30";
    for n in 0..6 {
        add(&a, &format!("p{n}"), range).unwrap();
    }
    for n in 0..6 {
        del(&a, &id(&format!("p{n}")), NOW, COOL);
    }
    let mended = |now| a.mend(false, now, |_| Some(()), &unseen).unwrap().blocks;
    assert_eq!(mended(NOW), 0);
    assert_eq!(mended(NOW + COOL.as_secs()), 1, "all but one");
    let owned = |survey: Survey| survey.blocks.iter().filter(|at| at.block.owner.is_some()).count();
    assert_eq!(owned(b.survey().unwrap()), 1);
}

#[test]
fn in_the_steady_state_an_add_and_a_del_are_one_request_each() {
    let store = MemRemote::new();
    let [a] = nodes(&store, 64);
    let range = "10.0.0.1-10.0.0.60";
    add(&a, "first", range).unwrap();
    for turn in 0..10 {
        let before = store.asked();
        add(&a, &format!("p{turn}"), range).unwrap();
        assert_eq!(store.asked() - before, 1);
    }
    let before = store.asked();
    del(&a, &id("p3"), NOW, Duration::ZERO);
    assert_eq!(store.asked() - before, 1);
    // A block's last address was given: the next one takes a look round.
    let before = store.asked();
    add(&a, "elsewhere", "10.0.1.1-10.0.1.9").unwrap();
    assert!(store.asked() - before <= 3);
}

#[test]
fn a_del_without_the_store_is_sent_later_and_an_add_says_what_it_waits_for() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let only = "10.0.0.1-10.0.0.1";
    add(&a, "p", only).unwrap();
    store.set_down(true);
    del(&a, &id("p"), NOW, Duration::ZERO);
    assert_eq!(a.get(&id("p")).unwrap(), None);
    assert_eq!(a.waiting().unwrap(), 1);
    let mut session = session(&a, &id("q"), NOW);
    let denied = session.take_free(&[range(only)], &[], None).unwrap_err();
    assert!(
        matches!(&denied, Error::Unavailable { what, .. } if what.contains("down")),
        "{denied}"
    );
    drop(session);
    store.set_down(false);
    assert_eq!(add(&b, "q", only), None, "not told yet");
    a.flush().unwrap();
    assert_eq!(a.waiting().unwrap(), 0);
    assert_eq!(add(&b, "q", only), Some(ip("10.0.0.1")));
}

#[test]
fn an_address_by_name_moves_between_nodes_once_it_is_free() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let first = add_sticky(&a, &id("web-0-x"), "web/web-0");
    let mut early = session(&b, &id("web-0-y"), NOW);
    assert_eq!(early.remembered("web/web-0").unwrap(), [first]);
    let holder = early.take(first).unwrap().unwrap_err();
    assert_eq!(holder, Refusal::Held(id("n0/web-0-x")));
    drop(early);
    del(&a, &id("web-0-x"), NOW, Duration::ZERO);
    assert_eq!(add_sticky(&b, &id("web-0-y"), "web/web-0"), first);
    // The same name on two nodes is two attachments.
    let take = |session: &mut dyn wharfinger_ledger::Session| session.take(first).unwrap();
    let mut old = session(&a, &id("web-0-y"), NOW);
    take(&mut *old).unwrap();
    let commit = old.commit(&record(&id("web-0-y"), &[first])).unwrap();
    assert_eq!(commit, Commit::Conflict, "an old view is found out by the commit");
    let taken = take(&mut *session(&a, &id("web-0-y"), NOW));
    assert_eq!(taken, Err(Refusal::Held(id("n1/web-0-y"))));
}

#[test]
fn overlapping_networks_are_refused_across_nodes_until_one_is_empty() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let pods = [range("10.0.0.1-10.0.0.20")];
    let mut first = session(&a, &id("p"), NOW);
    first.pools(&pods).unwrap();
    let address = first.take_free(&pods, &[], None).unwrap().unwrap();
    seq_of(first.commit(&record(&id("p"), &[address])));
    let other = id_of("jobs", "j");
    let clash = [range("10.0.0.20-10.0.0.30")];
    let refused = session(&b, &other, NOW).pools(&clash).unwrap_err();
    assert!(matches!(&refused, Error::Overlap { network, .. } if network == "pods"), "{refused}");
    del(&a, &id("p"), NOW, Duration::ZERO);
    let mut second = session(&b, &other, NOW);
    second.pools(&clash).unwrap();
    let address = second.take_free(&clash, &[], None).unwrap().unwrap();
    seq_of(second.commit(&record(&other, &[address])));
    // The other way round now: an old view is found out by the commit.
    let mut old = session(&a, &id("p"), NOW);
    old.pools(&pods).unwrap();
    assert_eq!(old.commit(&record(&id("p"), &[])).unwrap(), Commit::Conflict);
    let refused = session(&a, &id("p"), NOW).pools(&pods).unwrap_err();
    assert!(matches!(&refused, Error::Overlap { network, .. } if network == "jobs"), "{refused}");
}

#[test]
fn what_a_lost_book_held_is_found_and_freed_and_nothing_else() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.30";
    for n in 0..6 {
        add(&a, &format!("a{n}"), range).unwrap();
        add(&b, &format!("b{n}"), range).unwrap();
    }
    assert!(a.strays().unwrap().is_empty());
    // A new boot: the same node with nothing of its own.
    let a = join(MemLedger::new(), &store, "n0", 4);
    let strays: BTreeSet<_> = a.strays().unwrap().into_iter().map(|stray| stray.id).collect();
    assert_eq!(strays, (0..6).map(|n| id(&format!("a{n}"))).collect());
    assert_eq!(a.collect(), 6);
    assert_eq!(a.give_back(NOW).unwrap(), 1, "one of two empty blocks");
    let survey = b.survey().unwrap();
    assert_eq!(survey.blocks.iter().map(|at| at.block.held.len()).sum::<usize>(), 6);
    assert!(b.strays().unwrap().is_empty());
}

#[test]
fn a_node_that_is_buried_holds_nothing_and_gets_nothing_by_its_old_view() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.7";
    for name in ["p", "q", "r"] {
        add(&a, name, range).unwrap();
    }
    let freed = b.bury("n0").unwrap();
    assert_eq!((freed.addresses, freed.blocks), (3, 1));
    for n in 0..7 {
        add(&b, &format!("b{n}"), range).unwrap();
    }
    // It was not dead: what it remembers of its block does not help it.
    assert_eq!(add(&a, "s", range), None);
    // Its release is of nothing that is its own any more.
    del(&a, &id("p"), NOW, Duration::ZERO);
    assert_eq!(a.waiting().unwrap(), 0);
    assert_eq!(b.usage(DOMAIN, &[common::range(range)], NOW).unwrap().held, 7);
}

#[test]
fn an_attachment_that_lost_its_address_to_another_takes_none_back() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let only = "10.0.0.1-10.0.0.1";
    add(&a, "p", only).unwrap();
    b.bury("n0").unwrap();
    assert_eq!(add(&b, "q", only), Some(ip("10.0.0.1")));
    // Its record has it still. The first try is on an old view.
    assert_eq!(add(&a, "p", only), None);
    let doubled = a.differences().unwrap().lost;
    assert_eq!((doubled.len(), &doubled[0].id), (1, &id("p")));
    assert_eq!(doubled[0].holder.as_ref().unwrap().node, "n1");
}

#[test]
fn a_node_that_had_its_own_book_brings_what_it_holds() {
    let store = MemRemote::new();
    let own = MemLedger::new();
    add_from(&own, &id("p"), &[range("10.0.0.1-10.0.0.9")], NOW).unwrap();
    let a = join(own, &store, "n0", 4);
    drop(session(&a, &id("q"), NOW));
    assert!(a.strays().unwrap().is_empty());
    let [b] = std::array::from_fn(|_| join(MemLedger::new(), &store, "n1", 4));
    assert_eq!(
        session(&b, &id("q"), NOW).take(ip("10.0.0.1")).unwrap(),
        Err(Refusal::Held(id("n0/p")))
    );
    assert_eq!(add(&a, "q", "10.0.0.1-10.0.0.9"), Some(ip("10.0.0.2")));
}

#[test]
fn of_two_machines_with_one_name_the_second_gets_and_frees_nothing() {
    let store = MemRemote::new();
    let [a] = nodes(&store, 4);
    add(&a, "p", "10.0.0.1-10.0.0.9").unwrap();
    let part = Part { node: "n0".into(), machine: "other".into(), cut: Cut::of(4).unwrap() };
    let remaining = Box::new(|| Duration::from_secs(30));
    let twin = ClusterLedger::new(MemLedger::new(), Box::new(store.clone()), part, remaining);
    let says = |error: Error| error.to_string();
    let refused = says(twin.strays().unwrap_err());
    assert!(refused.contains("machine m as well"), "{refused}");
    let take = || {
        let mut session = session(&twin, &id("q"), NOW);
        let address = session.take_free(&[range("10.0.0.1-10.0.0.9")], &[], None)?.unwrap();
        session.commit(&record(&id("q"), &[address]))
    };
    let refused = says(take().unwrap_err());
    assert!(refused.contains("a name of its own"), "{refused}");
    // A person says that the first is gone.
    let [other] = std::array::from_fn(|_| join(MemLedger::new(), &store, "n1", 4));
    assert_eq!(other.bury("n0").unwrap().addresses, 1);
    let taken = std::iter::repeat_with(take).find_map(|taken| match taken {
        Ok(Commit::Conflict) => None,
        other => Some(other),
    });
    assert!(matches!(taken, Some(Ok(Commit::Done(_)))), "{taken:?}");
}

#[test]
fn stores_and_quotas_are_the_clusters() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let put = |node: &Node, name: &str| {
        let mut writing = session(node, &id(name), NOW);
        writing.store_put(&own(), &format!("web/{name}"), "", true);
        let count = writing.store_count(&own(), "web/").unwrap();
        (count, writing.commit(&record(&id(name), &[])).unwrap())
    };
    assert_eq!(put(&a, "p").0, 1);
    assert_eq!(put(&b, "q").0, 2);
    // An old view is found out by the commit.
    let (count, commit) = put(&a, "r");
    assert_eq!((count, commit), (2, Commit::Conflict));
    assert_eq!(put(&a, "r").0, 3);
    del(&b, &id("q"), NOW, Duration::ZERO);
    let seen = session(&join(MemLedger::new(), &store, "n2", 4), &id("x"), NOW)
        .store_count(&own(), "web/")
        .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn threads_of_many_nodes_never_share_an_address() {
    let store = MemRemote::new();
    let given: Vec<BTreeSet<IpAddr>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let store = &store;
                scope.spawn(move || {
                    let node = join(MemLedger::new(), store, &format!("n{n}"), 4);
                    let mut mine = BTreeSet::new();
                    for turn in 0..12 {
                        mine.extend(add(&node, &format!("p{turn}"), "10.0.0.1-10.0.0.90"));
                        if turn % 4 == 3 {
                            let gone = id(&format!("p{}", turn - 1));
                            if let Some(entry) = node.get(&gone).unwrap() {
                                mine.remove(&entry.record.addresses[0]);
                                let released = node.release(&gone, entry.seq, NOW, Duration::ZERO);
                                assert_eq!(released.unwrap(), Release::Done);
                            }
                        }
                    }
                    mine
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all: BTreeSet<IpAddr> = given.iter().flatten().copied().collect();
    assert_eq!(all.len(), given.iter().map(BTreeSet::len).sum::<usize>());
    let objects = store.changes("book/block/", 0, Duration::from_secs(1)).unwrap().objects;
    let held: usize = objects.iter().map(|object| object.value.matches("\"node\"").count()).sum();
    assert_eq!(held, all.len());
}

/// Beside the address stands what other nodes must know, and no number is two networks'.
#[test]
fn overlays_are_told_who_is_where() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let plan = |local: &str| {
        let link = |name: &str, kind| Link {
            link: LinkRef::host(name),
            kind,
            mtu: None,
            mac: None,
            alias: None,
            port: None,
            promisc: None,
            up: true,
        };
        let mac = Some("0a:58:0a:00:00:01".parse().unwrap());
        let peer = Peer { link: LinkRef::container("eth0"), mac };
        let kind = Vxlan { vni: 4096, local: local.parse().unwrap(), port: 4789, group: None };
        Plan::new(vec![
            Step::shared(Action::Link(link("wh-vx4096", LinkKind::Vxlan(kind)))),
            Step::owned(Action::Link(link("veth1", LinkKind::Veth { peer }))),
        ])
    };
    let mut session = a.session(scope(&id("a1"), NOW)).unwrap();
    session.pools(&[range("10.0.0.1-10.0.0.9")]).unwrap();
    let given = session.take_free(&[range("10.0.0.1-10.0.0.9")], &[], None).unwrap().unwrap();
    let planned = Record { plan: plan("192.0.2.1"), ..record(&id("a1"), &[given]) };
    assert!(matches!(session.commit(&planned).unwrap(), Commit::Done(_)));
    let at = a.survey().unwrap().blocks.remove(0);
    let held = &at.block.held[&given];
    assert_eq!(held.mac.as_deref(), Some("0a:58:0a:00:00:01"));
    assert_eq!(held.at, Some(ip("192.0.2.1")));
    let object = b.remote().get(&[&at.key], Duration::from_secs(1)).unwrap().remove(0);
    let mut own = Whereabouts::new("n0");
    assert!(own.put(&object.key, Some(&object.value)).unwrap().is_empty());
    let mut other = Whereabouts::new("n1");
    assert_eq!(other.put(&object.key, Some(&object.value)).unwrap()["pods"].len(), 3);
}

#[test]
fn overlays_have_a_number_each() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let mut session = a.session(scope(&id("a1"), NOW)).unwrap();
    session.pools(&[range("10.0.0.1-10.0.0.9")]).unwrap();
    let given = session.take_free(&[range("10.0.0.1-10.0.0.9")], &[], None).unwrap().unwrap();
    seq_of(session.commit(&record(&id("a1"), &[given])));
    assert_eq!(b.vni("jobs", NOW, false).unwrap(), Some(FIRST_VNI), "if it were to be kept");
    assert_eq!(a.vni("pods", NOW, true).unwrap().unwrap(), FIRST_VNI);
    assert_eq!(b.vni("pods", NOW, true).unwrap().unwrap(), FIRST_VNI);
    assert_eq!(b.vni("jobs", NOW, true).unwrap().unwrap(), FIRST_VNI + 1);
    assert_eq!(a.vni("a/b", NOW, true).unwrap().unwrap(), FIRST_VNI + 2);
    // Networks without ranges have theirs for a while: an attachment may be about to be made.
    assert_eq!(a.free_vnis(NOW + 60).unwrap(), []);
    let freed = a.free_vnis(NOW + 100_000).unwrap();
    assert_eq!(freed, [("a/b".to_owned(), FIRST_VNI + 2), ("jobs".to_owned(), FIRST_VNI + 1)]);
    assert_eq!(b.vni("new", NOW, true).unwrap().unwrap(), FIRST_VNI + 1, "the lowest that is free");
    assert_eq!(b.vni("pods", NOW, true).unwrap().unwrap(), FIRST_VNI);
}

#[test]
fn a_store_from_a_backup_has_all_again_and_what_another_got_meanwhile_is_told() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.30";
    let kept = add(&a, "p", range).unwrap();
    let doubled = add(&a, "q", range).unwrap();
    // Neither is in the backup.
    let backup = MemRemote::new();
    let other = join(MemLedger::new(), &backup, "n1", 4);
    let mut session = session(&other, &id("z"), NOW);
    session.take(doubled).unwrap().unwrap();
    seq_of(session.commit(&record(&id("z"), &[doubled])));
    let a = join(a.into_own(), &backup, "n0", 4);
    let went = RefCell::new(Vec::new());
    let hear = |done, all, _| went.borrow_mut().push((done, all));
    let told = a.check(&|| Ok(None), &hear).unwrap();
    let told: Vec<_> = told.into_iter().map(|it| it.kind).collect();
    assert_eq!(told, ["address-held-twice", "address-not-in-the-book"]);
    assert_eq!(went.take(), [(0, 4), (1, 4), (2, 4), (3, 4)]);
    let mended = a.mend(true, NOW, |_| Some(()), &hear).unwrap();
    assert_eq!(went.take(), [(0, 2), (1, 2)]);
    assert_eq!(mended.claimed.iter().map(|lost| lost.address).collect::<Vec<_>>(), [kept]);
    assert_eq!(mended.doubled.iter().map(|lost| lost.address).collect::<Vec<_>>(), [doubled]);
    assert_eq!(a.mend(false, NOW, |_| Some(()), &unseen).unwrap().claimed, []);
    assert_eq!(a.usage(DOMAIN, &[common::range(range)], NOW).unwrap().held, 2);
    // And the node goes on.
    assert!(add(&a, "r", range).is_some());
    drop(b);
}

#[test]
fn mending_frees_what_has_no_record_and_leaves_what_is_worked_on() {
    let store = MemRemote::new();
    let [a] = nodes(&store, 4);
    for n in 0..6 {
        add(&a, &format!("a{n}"), "10.0.0.1-10.0.0.30").unwrap();
    }
    let a = join(MemLedger::new(), &store, "n0", 4);
    let mended = a.mend(false, NOW, |of| (*of != id("a3")).then_some(()), &unseen).unwrap();
    assert_eq!(mended.freed.len(), 5);
    assert!(!mended.freed.contains(&id("a3")));
    assert_eq!(a.mend(false, NOW, |_| Some(()), &unseen).unwrap().freed, [id("a3")]);
    assert_eq!(a.mend(false, NOW, |_| Some(()), &unseen).unwrap(), Mended::default());
    assert!(a.check(&|| Ok(None), &unseen).unwrap().is_empty());
}

#[test]
fn a_node_whose_agent_lives_is_not_buried_and_one_without_lease_takes_nothing() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.7";
    add(&a, "p", range).unwrap();
    let wait = Duration::from_secs(1);
    let alive = |value: Option<&str>| {
        let put = Put { key: "alive/n0".into(), value: value.map(str::to_owned) };
        match store.commit(&[], &[put], wait).unwrap() {
            Committed::Done(versions) => versions[0],
            Committed::Conflict => panic!("no guard"),
        }
    };
    let version = alive(Some("{}"));
    let seen = |version| NodeAt { name: "n0".into(), facts: None, version, alive: false };
    let freed = b.bury_dead(&seen(0)).unwrap();
    assert_eq!((freed.addresses, freed.lives), (0, true));
    assert!(!b.forget_node(&seen(0)).unwrap());
    let a = a.living(Life::Of(version));
    assert!(add(&a, "q", range).is_some());
    alive(None);
    let mut session = session(&a, &id("r"), NOW);
    let address = session.take_free(&[common::range(range)], &[], None).unwrap().unwrap();
    let refused = session.commit(&record(&id("r"), &[address])).unwrap_err();
    assert!(refused.to_string().contains("has ended"), "{refused}");
    // It gives back all the same.
    del(&a, &id("q"), NOW, Duration::ZERO);
    assert_eq!(a.waiting().unwrap(), 0);
    // Between its agent has lived.
    let freed = b.bury_dead(&seen(1)).unwrap();
    assert_eq!((freed.addresses, freed.lives), (0, true));
    let freed = b.bury_dead(&seen(0)).unwrap();
    assert_eq!((freed.addresses, freed.blocks, freed.lives), (1, 1, false));
    assert!(b.forget_node(&seen(0)).unwrap());
}

#[test]
fn what_a_watch_tells_is_in_the_cache() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    let range = "10.0.0.1-10.0.0.30";
    add(&a, "p", range).unwrap();
    b.refresh().unwrap();
    add(&a, "q", range).unwrap();
    let changes = store.changes("book/", b.synced().unwrap(), Duration::from_secs(1)).unwrap();
    b.learn(&changes.objects, &[], changes.upto).unwrap();
    assert_eq!(b.synced().unwrap(), changes.upto);
    let gone = [("book/domain/bridge%3Acni0".to_owned(), u64::MAX >> 1)];
    b.learn(&[], &gone, 0).unwrap();
    assert_eq!(b.synced().unwrap(), changes.upto, "it never goes back");
}

/// A release whose answer was lost, and the store is there again: the next attachment of the node
/// gets the address by name, and is not told that the old one holds it.
#[test]
fn an_address_that_waits_to_be_released_is_not_refused_for_it() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    add_named(&a, &id("old"), ip("10.0.0.1"), 0);
    store.set_down(true);
    del(&a, &id("old"), 0, Duration::ZERO);
    assert_eq!(a.waiting().unwrap(), 1);
    store.set_down(false);
    add_named(&a, &id("new"), ip("10.0.0.1"), 0);
    assert_eq!((a.waiting().unwrap(), b.survey().unwrap().blocks[0].block.held.len()), (0, 1));
}

/// What a second ADD gives up is told once the node's own book has it: a commit of which nobody
/// knows whether it stands frees nothing.
#[test]
fn what_an_add_gives_up_is_free_after_it_and_not_with_it() {
    let store = MemRemote::new();
    let [a, b] = nodes(&store, 4);
    add_named(&a, &id("a"), ip("10.0.0.1"), 0);
    add_named(&a, &id("a"), ip("10.0.0.2"), 0);
    assert_eq!(a.waiting().unwrap(), 0);
    add_named(&b, &id("b"), ip("10.0.0.1"), 0);
    let mut late = session(&b, &id("c"), 0);
    assert!(late.take(ip("10.0.0.2")).unwrap().is_err());
}

/// The node's own book is innocent of what stands in the cluster's: it is not set aside for it.
#[test]
fn an_object_that_cannot_be_read_is_no_damage_of_the_nodes_own_book() {
    let store = MemRemote::new();
    let [a] = nodes(&store, 4);
    add(&a, "p", "10.0.0.1-10.0.0.9").unwrap();
    let key = a.survey().unwrap().blocks.remove(0).key;
    let put = Put { key, value: Some("{".to_owned()) };
    store.commit(&[], &[put], Duration::ZERO).unwrap();
    let says = |result: Result<Option<IpAddr>, Error>| match result.unwrap_err() {
        Error::Unavailable { what, .. } => what,
        other => panic!("{other}"),
    };
    a.refresh().unwrap();
    let taken = session(&a, &id("q"), NOW).take_free(&[range("10.0.0.1-10.0.0.9")], &[], None);
    assert!(says(taken).contains("cannot be read"));
}
