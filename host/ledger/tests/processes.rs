//! Many processes on one book, some of which are killed.
//!
//! Each child is this test's own executable, told by a variable what to do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "how a child tells what was acknowledged")]

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::*;
use wharfinger_ledger::{Commit, Ledger};

const TASK: &str = "WHARFINGER_LEDGER_TEST_TASK";
const DIR: &str = "WHARFINGER_LEDGER_TEST_DIR";
const NAME: &str = "WHARFINGER_LEDGER_TEST_NAME";

fn child(task: &str, dir: &Path, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_child", "--nocapture", "--test-threads=1"])
        .env(TASK, task)
        .env(DIR, dir)
        .env(NAME, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Does nothing unless it is such a child.
#[test]
fn in_a_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let dir = std::path::PathBuf::from(std::env::var_os(DIR).unwrap());
    let name = std::env::var(NAME).unwrap();
    // Ends the line on which the test's name stands, so that ours are lines of their own.
    println!();
    match task.as_str() {
        "churn" => churn(&dir, &name),
        "until-killed" => until_killed(&dir, &name),
        "idle" => idle(&dir, &name),
        other => panic!("{other}"),
    }
}

/// A file that only one process can make stands for the address being in use.
fn churn(dir: &Path, name: &str) {
    let all = [range("10.0.0.0-10.0.0.63")];
    for round in 0..4 {
        // As a plugin: a process opens the book, does one thing, and ends.
        let book = open(dir);
        let address = add_from(&book, &id(name), &all, round).unwrap();
        let claim = dir.join(address.to_string());
        // Nobody else has it.
        std::fs::File::create_new(&claim).unwrap();
        drop(book);
        let book = open(dir);
        std::fs::remove_file(&claim).unwrap();
        del(&book, &id(name), round, Duration::from_secs(round % 3));
    }
}

/// B4: 64 processes, all of which begin the book at once: no address twice, none leaked, no
/// failure.
#[test]
fn pain_b4_64_processes_begin_one_book_and_share_a_range() {
    let dir = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..64).map(|n| child("churn", dir.path(), &n.to_string())).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let book = open(dir.path());
    assert!(book.list(None).unwrap().is_empty());
    assert_eq!(book.usage(DOMAIN, &[range("10.0.0.0-10.0.0.63")], 99).unwrap().held, 0);
    drop(book);
    audit(dir.path());
}

/// ADDs and DELs without end, each told before it is tried and after it was acknowledged.
fn until_killed(dir: &Path, name: &str) {
    let book = open(dir);
    let all = [range("10.0.0.0-10.0.3.255"), range("fd00::-fd00::ffff")];
    let say = |what: &str, who: &str, address: Option<IpAddr>| {
        let mut out = std::io::stdout().lock();
        let address = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        writeln!(out, "! {what} {who} {address}").and_then(|()| out.flush()).unwrap();
    };
    for round in 0_u64.. {
        let who = format!("{name}-{}", round % 7);
        let this = id(&who);
        if let Some(entry) = book.get(&this).unwrap() {
            say("deleting", &who, None);
            book.release(&this, entry.seq, round, Duration::from_secs(round % 5)).unwrap();
            say("deleted", &who, None);
        }
        say("adding", &who, None);
        loop {
            let mut session = session(&book, &this, round);
            let address = session.take_free(&all, &[], None).unwrap().unwrap();
            session.store_put(&own(), &who, "x", true);
            if round % 50 == 0 {
                session.remember(&who);
            }
            if let Commit::Done(_) = session.commit(&record(&this, &[address])).unwrap() {
                say("added", &who, Some(address));
                break;
            }
        }
    }
}

/// What is known of an attachment from what its process said last.
#[derive(Debug, PartialEq)]
enum Known {
    Gone,
    Holds(IpAddr),
    /// It was killed in between.
    Either,
}

fn listen(child: Child, known: &mut BTreeMap<String, Known>) {
    for line in BufReader::new(child.stdout.unwrap()).lines() {
        let Ok(line) = line else { break };
        // The last line may be cut short.
        let parts: Vec<&str> = line.split(' ').collect();
        let &["!", what, who, address] = parts.as_slice() else { continue };
        let now = match (what, address.parse()) {
            ("added", Ok(address)) => Known::Holds(address),
            ("deleted", _) => Known::Gone,
            _ => Known::Either,
        };
        known.insert(who.to_owned(), now);
    }
}

fn check(dir: &Path, known: &BTreeMap<String, Known>) {
    let book = open(dir);
    for (who, known) in known {
        let entry = book.get(&id(who)).unwrap();
        match known {
            Known::Holds(address) => {
                assert_eq!(entry.unwrap().record.addresses, [*address], "{who} lost its address");
                let stored = session(&book, &id(who), 0).store_get(&own(), who).unwrap();
                assert_eq!(stored.as_deref(), Some("x"));
            }
            Known::Gone => assert!(entry.is_none(), "{who} is back"),
            Known::Either => {}
        }
    }
    drop(book);
    audit(dir);
}

/// A4: processes killed at any moment: no acknowledged commit is lost, the book is whole.
#[test]
fn pain_a4_no_acknowledged_commit_is_lost_to_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let mut known = BTreeMap::new();
    for round in 0..60_u64 {
        let two = round % 3 == 0;
        let names = if two { &["a", "b"][..] } else { &["a"] };
        let mut children: Vec<_> =
            names.iter().map(|name| child("until-killed", dir.path(), name)).collect();
        std::thread::sleep(Duration::from_micros(20_000 + (round * 7_919 * 13) % 60_000));
        for child in &mut children {
            child.kill().unwrap();
        }
        for mut child in children {
            child.wait().unwrap();
            listen(child, &mut known);
        }
        check(dir.path(), &known);
    }
    let held = known.values().filter(|known| matches!(known, Known::Holds(_))).count();
    assert!(held > 3, "the children came to something: {known:?}");
}

/// Some ADDs, then nothing, with the book open.
fn idle(dir: &Path, name: &str) {
    let book = open(dir);
    for n in 0..5 {
        let this = id(&format!("{name}-{n}"));
        let mut session = session(&book, &this, 0);
        let address = session.take_free(&[range("10.0.0.0-10.0.0.9")], &[], None).unwrap();
        session.store_put(&own(), &this.container, "x", true);
        seq_of(session.commit(&record(&this, &[address.unwrap()])));
        println!("! added {} {}", this.container, address.unwrap());
    }
    println!("! idle");
    std::thread::sleep(Duration::from_mins(1));
}

/// A4: each commit is in the database itself once it is acknowledged: removing the log that a
/// killed process left loses none. (Not so where it was killed in the middle of a commit: then
/// the log is part of the book.)
#[test]
fn pain_a4_a_log_left_by_a_killed_process_can_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child("idle", dir.path(), "a");
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "! idle"));
    child.kill().unwrap();
    child.wait().unwrap();
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(dir.path().join(format!("run/boot/ledger.db{suffix}"))).unwrap();
    }
    let book = open(dir.path());
    let held: Vec<_> =
        book.list(None).unwrap().into_iter().flat_map(|entry| entry.record.addresses).collect();
    assert_eq!(held, ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(ip));
    drop(book);
    audit(dir.path());
}
