//! The maximal intervals of addresses of which something is known. With them the next free
//! address is found by one look into an index, however wide the range and however many are
//! taken. Kept beside the addresses themselves, so that damage to one shows in the other.

use rusqlite::params;

use super::db::Db;
use super::rows::span;
use crate::Error;
use crate::book::Book;
use crate::point::{Point, Span};

/// The run that begins highest at or below the point. It may be of the other family.
pub(super) fn below(db: &Db, domain: &str, point: Point) -> Result<Option<Span>, Error> {
    let sql = "SELECT first, last FROM run WHERE domain = ?1 AND first <= ?2
        ORDER BY first DESC LIMIT 1";
    db.one("look for a run", sql, params![domain, point.key()], |row| span(row, 0))
}

/// The address, which was in no run, is known from now on.
pub(super) fn add(db: &Db, domain: &str, point: Point) -> Result<(), Error> {
    let lower = below(db, domain, point)?;
    if lower.is_some_and(|run| run.contains(point)) {
        return Err(db.damaged(format!("{} is in a run of taken ones, but free", point.ip())));
    }
    let lower = lower.filter(|run| run.last.next() == Some(point));
    let upper = match point.next() {
        Some(next) => below(db, domain, next)?.filter(|run| run.first == next),
        None => None,
    };
    if let Some(upper) = upper {
        let sql = "DELETE FROM run WHERE domain = ?1 AND first = ?2";
        db.execute("join runs", sql, params![domain, upper.first.key()])?;
    }
    let first = lower.map_or(point, |run| run.first);
    let last = upper.map_or(point, |run| run.last);
    put(db, domain, first, last)
}

/// The address, which was in a run, is free from now on.
pub(super) fn remove(db: &Db, domain: &str, point: Point) -> Result<(), Error> {
    let Some(run) = below(db, domain, point)?.filter(|run| run.contains(point)) else {
        return Err(db.damaged(format!("{} was taken, but in no run of taken ones", point.ip())));
    };
    if let Some(last) = point.previous().filter(|last| run.contains(*last)) {
        put(db, domain, run.first, last)?;
    } else {
        let sql = "DELETE FROM run WHERE domain = ?1 AND first = ?2";
        db.execute("split a run", sql, params![domain, run.first.key()])?;
    }
    match point.next().filter(|first| run.contains(*first)) {
        Some(first) => put(db, domain, first, run.last),
        None => Ok(()),
    }
}

/// The run that begins at `first` ends at `last`.
fn put(db: &Db, domain: &str, first: Point, last: Point) -> Result<(), Error> {
    let sql = "INSERT INTO run (domain, first, last) VALUES (?1, ?2, ?3)
        ON CONFLICT (domain, first) DO UPDATE SET last = excluded.last";
    db.execute("write a run", sql, params![domain, first.key(), last.key()]).map(drop)
}
