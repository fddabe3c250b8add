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
    read_and_release(1, include_str!("data/book-1.sql"), 1, include_str!("data/lasting-1.sql"));
}

/// E4: so is one of format 2.
#[test]
fn pain_e4_a_book_of_format_2_is_read_and_released() {
    read_and_release(2, include_str!("data/book-2.sql"), 2, include_str!("data/lasting-2.sql"));
}

/// E4: so is one of format 3, beside which the lasting half is of format 2.
#[test]
fn pain_e4_a_book_of_format_3_is_read_and_released() {
    read_and_release(3, include_str!("data/book-3.sql"), 2, include_str!("data/lasting-2.sql"));
}

/// E4: so is one of format 4, the newest of this version.
#[test]
fn pain_e4_a_book_of_format_4_is_read_and_released() {
    read_and_release(4, include_str!("data/book-4.sql"), 2, include_str!("data/lasting-2.sql"));
}

/// The newest format of a book, and of its lasting half. A new one gets a file of data, and a test above.
const NEWEST: (i64, i64) = (4, 2);

/// E4: each format that this version writes is among those that are kept.
#[test]
fn pain_e4_the_newest_format_is_kept_too() {
    let dir = tempfile::tempdir().unwrap();
    let book = open(dir.path());
    add_sticky(&book, &id("a"), "web-0");
    drop(book);
    let options = options(dir.path());
    assert_eq!((format(&options.path), format(&options.lasting)), NEWEST);
}

fn format(path: &Path) -> i64 {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// All that a file has, but for what it is written as.
fn content(path: &Path) -> Vec<String> {
    let conn = rusqlite::Connection::open(path).unwrap();
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables = tables.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut rows = Vec::new();
    for table in tables.map(Result::unwrap) {
        let mut all = conn.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = all.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|at| row.get::<_, rusqlite::types::Value>(at).unwrap());
            Ok(format!("{table}: {:?}", values.collect::<Vec<_>>()))
        };
        rows.extend(all.query_map([], row).unwrap().map(Result::unwrap));
    }
    rows.sort();
    rows
}

/// What the earlier format had stands beside the file, whole, and could be put back.
fn assert_kept(path: &Path, from: i64, newest: i64, sql: &str, scratch: &Path) {
    let kept = path.with_file_name(format!("{}.format-{from}", name_of(path)));
    assert_eq!(kept.exists(), from < newest, "{}", kept.display());
    if from < newest {
        make(scratch, sql);
        assert_eq!(format(&kept), from);
        assert_eq!(content(&kept), content(scratch));
        std::fs::remove_file(scratch).unwrap();
    }
    let siblings = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let siblings = siblings.map(|entry| entry.unwrap().path());
    let drafts = siblings.filter(|path| path.extension().is_some_and(|end| end == "new"));
    assert_eq!(drafts.count(), 0);
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn read_and_release(of_book: i64, book_sql: &str, of_lasting: i64, lasting_sql: &str) {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    make(&options.path, book_sql);
    make(&options.lasting, lasting_sql);
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
    let scratch = dir.path().join("scratch.db");
    assert_kept(&options.path, of_book, NEWEST.0, book_sql, &scratch);
    assert_kept(&options.lasting, of_lasting, NEWEST.1, lasting_sql, &scratch);
    // What lasts begins the next boot's book.
    std::fs::remove_dir_all(dir.path().join("run")).unwrap();
    let book = open(dir.path());
    assert_eq!(book.identities().unwrap().len(), 1);
    let kept = session(&book, &id("x"), NOW).store_get(&own(), "all").unwrap();
    assert_eq!(kept.as_deref(), Some("d"));
}

/// E4: an upgrade after a way back keeps what the earlier version wrote last, not what it wrote first.
#[test]
fn pain_e4_a_second_upgrade_keeps_the_newer_of_two_copies() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let kept = options.path.with_file_name(format!("{}.format-3", name_of(&options.path)));
    make(&options.path, include_str!("data/book-3.sql"));
    make(&options.lasting, include_str!("data/lasting-2.sql"));
    drop(open(dir.path()));
    // The way back, and a year with the earlier version.
    std::fs::rename(&kept, &options.path).unwrap();
    make(&options.path, "DELETE FROM cursor");
    drop(open(dir.path()));
    assert_eq!(format(&kept), 3);
    assert!(!content(&kept).iter().any(|row| row.starts_with("cursor:")));
}
