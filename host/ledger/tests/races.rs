//! Many at once: exhaustive interleavings of the verbs' steps, and threads with connections of
//! their own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::*;
use wharfinger_cni::AttachmentId;
use wharfinger_ledger::{
    Commit, Entry, HostPort, Ledger, MemLedger, Record, Release, Session, SqliteLedger,
};

/// All orders in which actors of so many steps can take turns.
fn orders(steps: &[usize]) -> Vec<Vec<usize>> {
    if steps.iter().all(|left| *left == 0) {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for actor in 0..steps.len() {
        let mut left = steps.to_vec();
        if left[actor] > 0 {
            left[actor] -= 1;
            all.extend(orders(&left).into_iter().map(|mut tail| {
                tail.insert(0, actor);
                tail
            }));
        }
    }
    all
}

/// An ADD in steps: read and take; commit; finish.
#[derive(Default)]
struct Add<'a> {
    session: Option<Box<dyn Session + 'a>>,
    address: Option<IpAddr>,
    seq: Option<u64>,
    finished: bool,
}

impl<'a> Add<'a> {
    fn step(&mut self, book: &'a dyn Ledger, id: &AttachmentId, now: u64) {
        if let Some(session) = self.session.take() {
            let address = self.address.unwrap();
            if let Commit::Done(seq) = session.commit(&record(id, &[address])).unwrap() {
                self.seq = Some(seq);
            }
        } else if let Some(seq) = self.seq {
            let done = book.attached(id, seq, &serde_json::json!({})).unwrap();
            self.finished = done == Release::Done;
        } else if self.address.is_none() && book.get(id).unwrap().is_none() {
            let mut session = session(book, id, now);
            self.address = session.take_free(&[range("10.0.0.1-10.0.0.3")], &[], None).unwrap();
            self.session = Some(session);
        }
    }
}

/// A GC of an empty list in steps: the horizon; the list; the releases.
#[derive(Default)]
struct Gc {
    horizon: Option<u64>,
    list: Option<Vec<Entry>>,
}

impl Gc {
    fn step(&mut self, book: &dyn Ledger, now: u64) {
        let Some(horizon) = self.horizon else {
            self.horizon = Some(book.horizon().unwrap());
            return;
        };
        let Some(list) = self.list.take() else {
            self.list = Some(book.list(Some("pods")).unwrap());
            return;
        };
        for entry in list.into_iter().filter(|entry| entry.seq <= horizon) {
            book.release(&entry.record.id, entry.seq, now, COOL).unwrap();
        }
    }
}

/// A DEL in steps: the record; the release.
#[derive(Default)]
struct Del {
    /// The record was looked for; its number, where there was one.
    looked: bool,
    seq: Option<u64>,
}

impl Del {
    fn step(&mut self, book: &dyn Ledger, id: &AttachmentId, now: u64) {
        if !std::mem::replace(&mut self.looked, true) {
            self.seq = book.get(id).unwrap().map(|entry| entry.seq);
        } else if let Some(seq) = self.seq {
            book.release(id, seq, now, COOL).unwrap();
        }
    }
}

/// A pod of this key is there; at once it is deleted, a new one of the same key and one of
/// another are added, and a GC runs that knows of none of them.
fn interleave(book: &dyn Ledger, order: &[usize], now: u64) {
    let (same, other) = (id("same"), id("other"));
    add_named(book, &same, ip("10.0.0.1"), now);
    let (mut add, mut born, mut gc, mut gone) =
        (Add::default(), Add::default(), Gc::default(), Del::default());
    for actor in order {
        match actor {
            0 => add.step(book, &same, now),
            1 => gc.step(book, now),
            2 => gone.step(book, &same, now),
            _ => born.step(book, &other, now),
        }
    }
    let began = gc.horizon.unwrap();
    // DEL of the same key may rightly have freed the new record, if it read that one.
    for (add, id, may_go) in [(&add, &same, true), (&born, &other, false)] {
        if add.finished && add.seq.is_some_and(|seq| seq > began) {
            let there = book.get(id).unwrap();
            assert!(may_go || there.is_some(), "{order:?}: {id} was born after the GC began");
        }
    }
    let held: Vec<_> =
        book.list(None).unwrap().into_iter().flat_map(|entry| entry.record.addresses).collect();
    let unique: BTreeSet<_> = held.iter().collect();
    assert_eq!(held.len(), unique.len(), "{order:?}: {held:?}");
    let usage = book.usage(DOMAIN, &[range("10.0.0.1-10.0.0.3")], now).unwrap();
    assert_eq!(usage.held, held.len() as u128, "{order:?}");
    for entry in book.list(None).unwrap() {
        del(book, &entry.record.id, now, COOL);
    }
}

/// Each order of a new ADD with a GC and a DEL, and with a GC and another ADD.
fn interleave_all<K: Kind>() {
    let kind = K::new();
    // An hour later each time: what rested is free.
    let mut now = 0;
    for (steps, count) in [([3, 3, 2, 0], 560), ([3, 3, 0, 3], 1_680)] {
        let all = orders(&steps);
        assert_eq!(all.len(), count);
        for order in all {
            interleave(kind.book(), &order, now);
            now += 3_600;
        }
    }
}

/// B1: in every order of their steps, a collector never frees what was born after it began, and
/// a release that was decided on an older record does nothing.
#[test]
fn pain_b1_every_interleaving_of_add_gc_and_del() {
    interleave_all::<Memory>();
}

/// B1: the same on disk.
#[test]
fn pain_b1_every_interleaving_of_add_gc_and_del_on_disk() {
    interleave_all::<Sqlite>();
}

/// Every writer, in rounds, takes an address of a range that has just enough for all, with some
/// latency between its reads and its commit, and gives it back.
fn writers<D: Ledger, L: Borrow<D>>(count: usize, rounds: u64, book: impl Fn() -> L + Sync) {
    let start = Arc::new(Barrier::new(count));
    let last = u8::try_from(count - 1).unwrap();
    let all = [range(&format!("10.0.0.0-10.0.0.{last}"))];
    let claims: Vec<std::sync::atomic::AtomicBool> = (0..count).map(|_| false.into()).collect();
    let claim = |address: IpAddr, to: bool| {
        let IpAddr::V4(v4) = address else { panic!("{address}") };
        let claim = &claims[usize::from(v4.octets()[3])];
        assert_eq!(claim.swap(to, std::sync::atomic::Ordering::SeqCst), !to, "{address} twice");
    };
    std::thread::scope(|scope| {
        for number in 0..count {
            let (start, book, all, claim) = (Arc::clone(&start), &book, &all, &claim);
            scope.spawn(move || {
                let id = id(&number.to_string());
                start.wait();
                let book = book();
                for round in 0..rounds {
                    let address = loop {
                        let mut session = session(book.borrow(), &id, round);
                        let address = session.take_free(all, &[], None).unwrap().unwrap();
                        let nap = (number as u64).wrapping_mul(0x9e37_79b9) >> round & 0x3ff;
                        std::thread::sleep(Duration::from_micros(nap));
                        match session.commit(&record(&id, &[address])).unwrap() {
                            Commit::Done(_) => break address,
                            Commit::Conflict => {}
                        }
                    };
                    claim(address, true);
                    std::thread::yield_now();
                    claim(address, false);
                    del(book.borrow(), &id, round, Duration::from_secs(round % 2));
                }
            });
        }
    });
    let book = book();
    let book: &D = book.borrow();
    let usage = book.usage(DOMAIN, &all, rounds + 1).unwrap();
    assert_eq!((usage.held, usage.cooling), (0, 0), "leaked");
    assert!(book.list(None).unwrap().is_empty());
}

/// B4: no address twice, none leaked, no failure, in the model.
#[test]
fn pain_b4_128_writers_on_the_model() {
    let book = MemLedger::new();
    writers::<MemLedger, _>(128, 4, || &book);
}

/// B4: the same on SQLite, each with a connection of its own, all of them beginning the book.
#[test]
fn pain_b4_64_writers_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    writers::<SqliteLedger, _>(64, 3, || open(dir.path()));
    audit(dir.path());
}

/// An ADD with this port, which is somebody else's now or a conflict in the end, or not.
fn try_port(book: &dyn Ledger, id: &AttachmentId, port: HostPort) -> bool {
    let mut session = session(book, id, 0);
    if session.claim(&port).unwrap().is_err() {
        return false;
    }
    std::thread::yield_now();
    let record = Record { ports: vec![port], ..record(id, &[]) };
    matches!(session.commit(&record).unwrap(), Commit::Done(_))
}

/// Everybody wants a port that clashes with everybody else's, all the time: never do two have
/// theirs at once, and in the end it is free.
fn claimers<D: Ledger, L: Borrow<D>>(count: usize, rounds: usize, book: impl Fn() -> L + Sync) {
    let ports = ["tcp/80", "tcp/80@0.0.0.0", "tcp/80@10.0.0.1", "tcp/80@::ffff:10.0.0.1"];
    let ports = ports.map(port);
    let owner = std::sync::Mutex::new(());
    let had = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..count {
            let (book, owner, had) = (&book, &owner, &had);
            scope.spawn(move || {
                let (id, book) = (id(&number.to_string()), book());
                for round in 0..rounds {
                    if try_port(book.borrow(), &id, ports[(number + round) % ports.len()]) {
                        let mine = owner.try_lock().unwrap();
                        had.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::yield_now();
                        drop(mine);
                        del(book.borrow(), &id, 0, COOL);
                    }
                }
            });
        }
    });
    assert!(had.into_inner() > 0);
    let book = book();
    assert!(book.borrow().list(None).unwrap().is_empty());
    add_ports(book.borrow(), &id("last"), &ports);
}

/// F6: of many that want one port at once, one has it.
#[test]
fn pain_f6_64_claimers_of_one_port_in_memory() {
    let book = MemLedger::new();
    claimers::<MemLedger, _>(64, 8, || &book);
}

/// F6: the same on disk, each with a connection of its own.
#[test]
fn pain_f6_32_claimers_of_one_port_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    claimers::<SqliteLedger, _>(32, 4, || open(dir.path()));
    audit(dir.path());
}
