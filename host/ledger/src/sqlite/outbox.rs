//! The outbox: what plugins are still to be told. In the half that outlives a reboot, and only
//! there: the book in the run directory has no mirror of it. Each call is one transaction, which
//! has reached the disk when it is answered.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wharfinger_cni::AttachmentId;

use super::lasting::{open, open_anew};
use super::rows::int;
use super::{Options, fail, file};
use crate::{Error, Notice};

fn failed(options: &Options, tried: &str) -> impl Fn(rusqlite::Error) -> Error {
    let (path, tried) = (options.lasting.clone(), tried.to_owned());
    move |error| fail::sqlite(&path, &tried, &error)
}

/// See [`Ledger::post`](crate::Ledger::post).
pub(super) fn post(options: &Options, notice: &Notice) -> Result<u64, Error> {
    let conn = open_anew(options)?;
    let number = insert(&conn, notice).map_err(failed(options, "write to the outbox"))?;
    Ok(u64::try_from(number).unwrap_or_default())
}

fn insert(conn: &Connection, notice: &Notice) -> rusqlite::Result<i64> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let number = match same(conn, notice)? {
        Some(number) => number,
        None => insert_new(conn, notice)?,
    };
    conn.execute_batch("COMMIT")?;
    Ok(number)
}

/// The notice that says the same, where its lease is not known yet.
fn same(conn: &Connection, notice: &Notice) -> rusqlite::Result<Option<i64>> {
    let AttachmentId { network, container, ifname } = &notice.id;
    let attachment = notice.attachment.to_string();
    let sql = "SELECT id FROM notice WHERE network = ?1 AND container = ?2 AND ifname = ?3
        AND plugin = ?4 AND config = ?5 AND attachment = ?6 AND lease IS NULL LIMIT 1";
    let key = params![network, container, ifname, notice.plugin, notice.config, attachment];
    let found = conn.query_row(sql, key, |row| row.get(0)).optional()?;
    Ok(found.filter(|_| notice.lease.is_none()))
}

fn insert_new(conn: &Connection, notice: &Notice) -> rusqlite::Result<i64> {
    let AttachmentId { network, container, ifname } = &notice.id;
    let attachment = notice.attachment.to_string();
    let lease = notice.lease.as_ref().map(ToString::to_string);
    // A number never comes back: who delivers late takes out nobody else's.
    let next = "UPDATE meta SET value = value + 1 WHERE name = 'notice' RETURNING value";
    let number: i64 = conn.query_row(next, [], |row| row.get(0))?;
    let sql = "INSERT INTO notice
        (id, network, container, ifname, plugin, config, attachment, lease)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let Notice { plugin, config, .. } = notice;
    let row = params![number, network, container, ifname, plugin, config, attachment, lease];
    conn.execute(sql, row)?;
    Ok(number)
}

/// See [`Ledger::post_lease`](crate::Ledger::post_lease).
pub(super) fn lease(
    options: &Options,
    number: u64,
    lease: &serde_json::Value,
) -> Result<(), Error> {
    let sql = "UPDATE notice SET lease = ?2 WHERE id = ?1";
    let done = open_anew(options)?.execute(sql, params![int(number), lease.to_string()]);
    done.map(drop).map_err(failed(options, "write to the outbox"))
}

/// See [`Ledger::delivered`](crate::Ledger::delivered).
pub(super) fn remove(options: &Options, number: u64) -> Result<(), Error> {
    let sql = "DELETE FROM notice WHERE id = ?1";
    let done = open_anew(options)?.execute(sql, [int(number)]);
    done.map(drop).map_err(failed(options, "remove from the outbox"))
}

/// See [`Ledger::outbox`](crate::Ledger::outbox). A file that was never needed is not made.
pub(super) fn of(options: &Options, network: &str) -> Result<Vec<(u64, Notice)>, Error> {
    if file::FileId::at(&options.lasting)?.is_none() {
        return Ok(Vec::new());
    }
    let fail = failed(options, "read the outbox");
    let conn = open(options)?;
    let sql = "SELECT id, network, container, ifname, plugin, config, attachment, lease
        FROM notice WHERE network = ?1 ORDER BY id";
    let mut sql = conn.prepare(sql).map_err(&fail)?;
    let rows = sql.query_map([network], notice).map_err(&fail)?;
    rows.collect::<rusqlite::Result<_>>().map_err(fail)
}

fn notice(row: &Row<'_>) -> rusqlite::Result<(u64, Notice)> {
    let json = |text: String| serde_json::from_str(&text).unwrap_or_default();
    let lease: Option<String> = row.get(7)?;
    let number: i64 = row.get(0)?;
    let id = AttachmentId { network: row.get(1)?, container: row.get(2)?, ifname: row.get(3)? };
    let notice = Notice {
        id,
        plugin: row.get(4)?,
        config: row.get(5)?,
        attachment: json(row.get(6)?),
        lease: lease.map(json),
    };
    Ok((u64::try_from(number).unwrap_or_default(), notice))
}
