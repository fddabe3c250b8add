//! How a call's time grows with what is on the books: a table, no verdict.
//!
//! `cargo run --release -p wharfinger-ledger --example growth`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people")]

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::{
    Commit, Ledger, Opened, Options, Range, Record, Release, Scope, SqliteLedger, State,
};
use wharfinger_plan::Plan;

const ROUNDS: u32 = 200;

fn id(number: u32) -> AttachmentId {
    AttachmentId {
        network: "pods".into(),
        container: format!("{number:064x}"),
        ifname: "eth0".into(),
    }
}

fn record(id: AttachmentId, address: IpAddr) -> Record {
    Record {
        id,
        state: State::Pending,
        created: 0,
        netns: Some("/run/netns/cni-0123456789abcdef".into()),
        cookie: Some(1),
        domain: "host".into(),
        addresses: vec![address],
        ports: Vec::new(),
        conf: serde_json::json!({"cniVersion": "1.1.0", "name": "pods", "type": "wharfinger"}),
        plugin: None,
        plan: Plan::default(),
        result: None,
    }
}

fn open(dir: &Path) -> Opened {
    SqliteLedger::open(Options {
        path: dir.join("run/ledger.db"),
        lasting: dir.join("lasting.db"),
        wait: Duration::from_secs(10),
    })
    .unwrap()
}

fn pool() -> [Range; 1] {
    [Range::new("10.0.0.0".parse().unwrap(), "10.255.255.255".parse().unwrap()).unwrap()]
}

/// Reads and takes, as a plugin has it done; then the commit.
fn add(book: &SqliteLedger, id: AttachmentId, now: u64) -> [Duration; 2] {
    let began = Instant::now();
    let mut session = book.session(Scope { id: id.clone(), domain: "host".into(), now }).unwrap();
    session.pools(&pool()).unwrap();
    let address = session.take_free(&pool(), &[], None).unwrap().unwrap();
    let read = began.elapsed();
    assert!(matches!(session.commit(&record(id, address)).unwrap(), Commit::Done(_)));
    [read, began.elapsed().saturating_sub(read)]
}

fn delete(book: &SqliteLedger, id: &AttachmentId, now: u64) {
    let seq = book.get(id).unwrap().unwrap().seq;
    let minute = Duration::from_mins(1);
    assert_eq!(book.release(id, seq, now, minute).unwrap(), Release::Done);
}

/// Fills the book up to so many; every third address of it is free again.
fn fill(dir: &Path, held: u32) {
    let Opened::Fresh(fresh) = open(dir) else { return };
    let mut records = Vec::new();
    for number in 0..held {
        let address = 0x0a00_0000 + number / 2 * 3 + number % 2;
        records.push(record(id(number), IpAddr::V4(address.into())));
    }
    fresh.rebuild(&records, 0).unwrap();
}

fn median(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    format!("{:.3}", median.as_secs_f64() * 1_000.0)
}

/// Opens, does one ADD and closes, as a process does; and a DEL likewise.
fn measure(held: u32) {
    let dir = tempfile::Builder::new().tempdir_in("/dev/shm").unwrap();
    fill(dir.path(), held);
    let mut columns: [Vec<Duration>; 8] = Default::default();
    let mut push = |column: usize, time| columns.get_mut(column).unwrap().push(time);
    for round in 0..ROUNDS {
        let (this, now) = (id(1_000_000 + round), u64::from(round));
        let began = Instant::now();
        let Opened::Book(book) = open(dir.path()) else { return };
        push(0, began.elapsed());
        let [read, commit] = add(&book, this.clone(), now);
        push(1, read);
        push(2, commit);
        let [read, commit] = add(&book, id(2_000_000 + round), now);
        push(6, read);
        push(7, commit);
        delete(&book, &id(2_000_000 + round), now);
        let began = Instant::now();
        drop(book);
        push(3, began.elapsed());
        let Opened::Book(book) = open(dir.path()) else { return };
        let began = Instant::now();
        delete(&book, &this, now);
        push(4, began.elapsed());
        let began = Instant::now();
        book.horizon().unwrap();
        push(5, began.elapsed());
    }
    let cells: Vec<_> = columns.into_iter().map(|times| format!("{:>12}", median(times))).collect();
    println!("{held:>8} {}", cells.join(" "));
}

fn main() {
    let heads = [
        "open",
        "take_free",
        "commit",
        "close",
        "get+release",
        "horizon",
        "2nd take",
        "2nd commit",
    ];
    let heads: Vec<_> = heads.iter().map(|head| format!("{head:>12}")).collect();
    println!("    held {}   (ms, medians of {ROUNDS})", heads.join(" "));
    for held in [10, 1_000, 10_000, 100_000] {
        measure(held);
    }
}
