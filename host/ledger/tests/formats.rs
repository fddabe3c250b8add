//! Books of each released format: any later version reads them, and frees what is in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use std::path::Path;

use common::*;
use wharfinger_ledger::{Ledger, State, Usage};

/// When the books were written.
const NOW: u64 = 1_700_000_000;

fn make(path: &Path, sql: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// E4: a book of format 1 is read, and its attachments are released.
#[test]
fn pain_e4_a_book_of_format_1_is_read_and_released() {
    read_and_release(include_str!("data/book-1.sql"), include_str!("data/lasting-1.sql"));
}

/// E4: so is one of format 2.
#[test]
fn pain_e4_a_book_of_format_2_is_read_and_released() {
    read_and_release(include_str!("data/book-2.sql"), include_str!("data/lasting-2.sql"));
}

/// E4: so is one of format 3, beside which the lasting half is of format 2.
#[test]
fn pain_e4_a_book_of_format_3_is_read_and_released() {
    read_and_release(include_str!("data/book-3.sql"), include_str!("data/lasting-2.sql"));
}

fn read_and_release(book: &str, lasting: &str) {
    let dir = tempfile::tempdir().unwrap();
    make(&options(dir.path()).path, book);
    make(&options(dir.path()).lasting, lasting);
    let book = open(dir.path());
    let entries = book.list(None).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.record.id.container.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(entry(&book, &id("a")).record.state, State::Attached);
    assert_eq!(entry(&book, &id("d")).record, record(&id("d"), &[ip("10.0.0.3"), ip("fd00::3")]));
    let all = [range("10.0.0.0-10.0.0.9")];
    let usage = book.usage(DOMAIN, &all, NOW).unwrap();
    assert_eq!(usage, Usage { total: 10, held: 2, cooling: 1, remembered: 1 });
    assert_eq!(add_from(&book, &id("e"), &all, NOW), Some(ip("10.0.0.4")));
    add_sticky(&book, &id("f"), "web-0");
    // What the format did not have.
    add_ports(&book, &id("g"), &[port("tcp/80")]);
    session(&book, &id("a"), NOW).claim(&port("tcp/80")).unwrap().unwrap_err();
    for name in ["a", "d", "e", "f", "g"] {
        del(&book, &id(name), NOW, COOL);
    }
    assert_eq!(book.usage(DOMAIN, &all, NOW + 60).unwrap().held, 0);
    drop(book);
    audit(dir.path());
    // What lasts begins the next boot's book.
    std::fs::remove_dir_all(dir.path().join("run")).unwrap();
    let book = open(dir.path());
    assert_eq!(book.identities().unwrap().len(), 1);
    let kept = session(&book, &id("x"), NOW).store_get(&own(), "all").unwrap();
    assert_eq!(kept.as_deref(), Some("d"));
}
