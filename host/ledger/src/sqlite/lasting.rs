//! The half of the book that outlives a reboot: what identities remember, permanent entries of
//! stores. It is written through: the book in the run directory mirrors it and answers all
//! reads, so this file is opened only to begin a book, and by a call that changes it.
//!
//! Both carry its version. A mirror that is behind is brought up to date, and the call runs
//! again; a file that is behind (it was deleted) is written anew from the mirror.

use std::cmp::Ordering;

use rusqlite::{Connection, Row, params};

use super::Options;
use super::db::{Db, connect, upgrade};
use super::file::{Guard, Hold};
use super::rows::{int, point};
use super::schema::{Found, LASTING};
use super::{fail, file};
use crate::book::{Book, Halt, Identity, Lasting, Place};
use crate::point::Point;
use crate::rules;
use crate::{Error, Owner};

/// What the file holds.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// Raised by each change.
    version: i64,
    entries: Vec<Lasting>,
}

/// What it holds; nothing where it was never needed. A damaged one is set aside: its error comes
/// beside nothing.
pub(super) fn read(options: &Options) -> Result<(Content, Option<Error>), Error> {
    if file::FileId::at(&options.lasting)?.is_none() {
        return Ok((Content::default(), None));
    }
    match read_whole(options) {
        Ok(content) => Ok((content, None)),
        Err(error @ Error::Damaged { .. }) => {
            set_aside(options)?;
            Ok((Content::default(), Some(error)))
        }
        Err(error) => Err(error),
    }
}

fn read_whole(options: &Options) -> Result<Content, Error> {
    let fail = |error| fail::sqlite(&options.lasting, "read what lasts", &error);
    let conn = open(options)?;
    conn.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let content = content(&conn).map_err(fail)?;
    conn.execute_batch("ROLLBACK").map_err(fail)?;
    Ok(content)
}

/// Moves it away, unless another process did so meanwhile: then what is there is whole.
fn set_aside(options: &Options) -> Result<(), Error> {
    let path = options.lasting.as_path();
    let _guard = Guard::take(path, Hold::Exclusive, options.wait)?;
    if file::FileId::at(path)?.is_none() {
        return Ok(());
    }
    match read_whole(options) {
        Err(Error::Damaged { .. }) => file::set_aside(path).map(drop),
        other => other.map(drop),
    }
}

fn content(conn: &Connection) -> rusqlite::Result<Content> {
    let mut entries: Vec<_> = identities(conn)?.into_iter().map(Lasting::Identity).collect();
    let mut sql = conn.prepare("SELECT owner, key, value FROM permanent ORDER BY 1, 2")?;
    for entry in sql.query_map([], entry)? {
        entries.push(entry?);
    }
    Ok(Content { version: version(conn)?, entries })
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Lasting> {
    Ok(Lasting::Entry {
        owner: Owner::written(row.get(0)?),
        key: row.get(1)?,
        value: Some(row.get(2)?),
    })
}

/// Opens it, begun where it is missing or empty. Each commit reaches the disk before it is
/// answered.
pub(super) fn open(options: &Options) -> Result<Connection, Error> {
    let path = options.lasting.as_path();
    let fail = |error: rusqlite::Error| fail::sqlite(path, "open", &error);
    if file::FileId::at(path)?.is_none() {
        create(options)?;
    }
    let conn = connect(path, options.wait).map_err(fail)?;
    // A truncated journal is synced, a deleted one needs the directory synced, too.
    let settings = "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;
        PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;";
    conn.execute_batch(settings).map_err(fail)?;
    match LASTING.look(&conn).map_err(fail)? {
        Found::Newest => {}
        Found::Foreign(what) => return Err(fail::damaged(path, format!("open: {what}"))),
        Found::Empty | Found::Earlier(_) => upgrade(&conn, LASTING, path, options.wait)?,
    }
    Ok(conn)
}

/// As [`open`]; one that cannot be read is set aside.
pub(super) fn open_anew(options: &Options) -> Result<Connection, Error> {
    match open(options) {
        Err(Error::Damaged { .. }) => {
            set_aside(options)?;
            open(options)
        }
        other => other,
    }
}

/// Puts an empty file there. Made elsewhere and renamed: to close a file of our own on that path
/// would take away the locks that another thread of this process has on it (fcntl(2)).
fn create(options: &Options) -> Result<(), Error> {
    let path = options.lasting.as_path();
    file::make_parent(path)?;
    let _guard = Guard::take(path, Hold::Exclusive, options.wait)?;
    if file::FileId::at(path)?.is_some() {
        return Ok(());
    }
    let draft = file::with(path, ".new");
    file::remove(&draft)?;
    drop(file::open(&draft)?);
    std::fs::rename(&draft, path).map_err(fail::io(path, "put the new file in place"))
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT value FROM meta WHERE name = 'version'", [], |row| row.get(0))
}

/// Makes the changes in the file, inside the book's transaction that made them in the mirror.
pub(super) fn persist(db: &mut Db, changes: &[Lasting]) -> Result<(), Halt> {
    let path = db.options.lasting.clone();
    let fail = |error| Halt::Error(fail::sqlite(&path, "write what lasts", &error));
    // One that cannot be read is written anew, from the mirror: nothing of it is lost.
    let conn = open_anew(&db.options)?;
    conn.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let (there, here) = (version(&conn).map_err(fail)?, mirrored(db)?);
    let next = match there.cmp(&here) {
        Ordering::Greater => {
            db.mirror_is_old = true;
            return Err(Halt::Conflict);
        }
        Ordering::Equal => apply(&conn, changes),
        Ordering::Less => rewrite(db, &conn),
    };
    let next = next.and_then(|()| raise(&conn, here)).map_err(fail)?;
    conn.execute_batch("COMMIT").map_err(fail)?;
    Ok(set_mirrored(db, next)?)
}

fn raise(conn: &Connection, from: i64) -> rusqlite::Result<i64> {
    let next = from.saturating_add(1);
    conn.execute("UPDATE meta SET value = ?1 WHERE name = 'version'", [next])?;
    Ok(next)
}

fn apply(conn: &Connection, changes: &[Lasting]) -> rusqlite::Result<()> {
    for change in changes {
        match change {
            Lasting::Identity(to) => {
                let points: Vec<_> = to.addresses.iter().copied().map(Point::from).collect();
                let place = Place { domain: &to.domain, network: &to.network };
                put_identity(conn, place, &to.identity, &points)?;
            }
            Lasting::Entry { owner, key, value: Some(value) } => {
                let sql = "INSERT OR REPLACE INTO permanent (owner, key, value)
                    VALUES (?1, ?2, ?3)";
                conn.execute(sql, [owner.as_str(), key, value])?;
            }
            Lasting::Entry { owner, key, value: None } => {
                let sql = "DELETE FROM permanent WHERE owner = ?1 AND key = ?2";
                conn.execute(sql, [owner.as_str(), key])?;
            }
        }
    }
    Ok(())
}

/// Writes all of the mirror, the transaction's own changes among it.
fn rewrite(db: &Db, conn: &Connection) -> rusqlite::Result<()> {
    let sql = "SELECT owner, key, value FROM store WHERE holder IS NULL";
    let mut sql = db.conn.prepare(sql)?;
    let entries = sql.query_map([], entry)?.collect::<rusqlite::Result<Vec<_>>>()?;
    conn.execute_batch("DELETE FROM identity; DELETE FROM permanent;")?;
    let identities: Vec<_> = identities(&db.conn)?.into_iter().map(Lasting::Identity).collect();
    apply(conn, &identities)?;
    apply(conn, &entries)
}

/// The version that the book mirrors.
fn mirrored(db: &Db) -> Result<i64, Error> {
    let sql = "SELECT value FROM meta WHERE name = 'lasting'";
    let version = db.one("read the mirrored version", sql, [], |row| row.get(0))?;
    version.ok_or_else(|| db.damaged("it does not say what it mirrors".to_owned()))
}

fn set_mirrored(db: &Db, version: i64) -> Result<(), Error> {
    let sql = "UPDATE meta SET value = ?1 WHERE name = 'lasting'";
    db.execute("write the mirrored version", sql, [version]).map(drop)
}

/// Makes the book mirror this, in place of what it mirrored. Within a transaction.
pub(super) fn mirror(db: &mut Db, content: &Content) -> Result<(), Error> {
    for identity in db.identities()? {
        rules::remember(db, &Identity { addresses: Vec::new(), ..identity }, 0)?;
    }
    db.execute("renew the mirror", "DELETE FROM store WHERE holder IS NULL", [])?;
    rules::seed(db, &content.entries)?;
    set_mirrored(db, content.version)
}

/// Replaces what the identity remembers; none: forgets. The table is the same in both files.
pub(super) fn put_identity(
    conn: &Connection,
    place: Place<'_>,
    identity: &str,
    points: &[Point],
) -> rusqlite::Result<()> {
    let sql = "DELETE FROM identity WHERE domain = ?1 AND network = ?2 AND identity = ?3";
    conn.prepare_cached(sql)?.execute([place.domain, place.network, identity])?;
    let sql = "INSERT INTO identity (domain, network, identity, position, address)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut sql = conn.prepare_cached(sql)?;
    for (position, point) in (0_u64..).zip(points) {
        let (domain, network) = (place.domain, place.network);
        sql.execute(params![domain, network, identity, int(position), point.key()])?;
    }
    Ok(())
}

/// All identities, by domain, network and name.
pub(super) fn identities(conn: &Connection) -> rusqlite::Result<Vec<Identity>> {
    let sql = "SELECT domain, network, identity, address FROM identity
        ORDER BY domain, network, identity, position";
    let mut sql = conn.prepare_cached(sql)?;
    let mut rows = sql.query([])?;
    let mut all: Vec<Identity> = Vec::new();
    while let Some(row) = rows.next()? {
        let key: (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let address = point(row, 3)?.ip();
        match all.last_mut() {
            Some(last)
                if (&last.domain, &last.network, &last.identity) == (&key.0, &key.1, &key.2) =>
            {
                last.addresses.push(address);
            }
            _ => {
                let (domain, network, identity) = key;
                all.push(Identity { domain, network, identity, addresses: vec![address] });
            }
        }
    }
    Ok(all)
}
