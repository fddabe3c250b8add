//! One connection to the book's file: how it is opened, its transactions, its statements.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use wharfinger_cni::AttachmentId;

use super::Options;
use super::file::FileId;
use super::schema::{BOOK, Format, Found};
use super::{fail, file};
use crate::Error;
use crate::book::Halt;

/// The book's rows in SQLite.
#[derive(Debug)]
pub(crate) struct Db {
    pub(super) conn: Connection,
    pub(super) options: Options,
    /// Which file it is that is open.
    pub(super) file: FileId,
    /// The lasting half is newer than its mirror here: found by a write that could not be made.
    pub(super) mirror_is_old: bool,
    /// The record that this transaction wrote last, and its row's number.
    pub(super) written: Option<(AttachmentId, i64)>,
}

/// A book's write is a tenth of a millisecond: who finds it locked looks again soon, and a
/// little later each time.
fn nap(turn: i32) -> Duration {
    Duration::from_micros(u64::try_from(turn).unwrap_or(0).clamp(1, 20).saturating_mul(100))
}

/// Opens a database that is there; a locked one is waited for, so long at most.
pub(super) fn connect(path: &Path, wait: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags)?;
    let mut slept = Duration::ZERO;
    conn.busy_handler(Some(move |turn| {
        if turn == 0 {
            slept = Duration::ZERO;
        }
        slept = slept.saturating_add(nap(turn));
        std::thread::sleep(nap(turn));
        slept < wait
    }))?;
    // A plan for whatever values: else each statement is prepared a second time once it has them.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

impl Db {
    /// Opens the book that is at the path. The caller holds the lock beside it, so that the file
    /// is the one that is at the path before and after.
    pub(super) fn open(options: &Options, file: FileId) -> Result<Self, Error> {
        let path = options.path.as_path();
        let fail = |error: rusqlite::Error| fail::sqlite(path, "open", &error);
        let conn = connect(path, options.wait).map_err(fail)?;
        // Each commit is copied to the database at once: closing has nothing left to copy then,
        // and a log that somebody removes takes no finished commit with it.
        let settings = "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 1;
            PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = ON;
            PRAGMA trusted_schema = OFF;";
        conn.execute_batch(settings).map_err(fail)?;
        match BOOK.look(&conn).map_err(fail)? {
            Found::Newest => {}
            Found::Earlier(_) => upgrade(&conn, BOOK, path, options.wait)?,
            Found::Empty => return Err(fail::damaged(path, "open: it is empty".to_owned())),
            Found::Foreign(what) => return Err(fail::damaged(path, format!("open: {what}"))),
        }
        Ok(Self::new(conn, options, file))
    }

    /// On a connection that is set up.
    pub(super) fn new(conn: Connection, options: &Options, file: FileId) -> Self {
        Self { conn, options: options.clone(), file, mirror_is_old: false, written: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.options.path
    }

    pub(super) fn fail(&self, tried: &str, error: &rusqlite::Error) -> Error {
        fail::sqlite(self.path(), tried, error)
    }

    /// Runs `f` on one consistent view.
    pub(super) fn reading<R>(&self, f: impl FnOnce(&Self) -> Result<R, Error>) -> Result<R, Error> {
        self.execute("begin reading", "BEGIN", [])?;
        let result = f(self);
        self.roll_back();
        result
    }

    /// Runs `f` as the only writer: all of it is written, or on its error nothing.
    pub(super) fn writing<R>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<R, Halt>,
    ) -> Result<R, Halt> {
        self.written = None;
        self.execute("begin writing", "BEGIN IMMEDIATE", [])?;
        let result = f(self).and_then(|done| {
            self.execute("commit", "COMMIT", [])?;
            Ok(done)
        });
        if result.is_err() {
            self.roll_back();
        } else {
            self.check_in_place()?;
        }
        result
    }

    /// Ends a transaction without a trace. SQLite may have done so itself, on a full disk say;
    /// and that there is one open no longer is all that matters.
    fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            let _ = self.conn.prepare_cached("ROLLBACK").and_then(|mut sql| sql.execute([]));
        }
    }

    /// What was just committed is in the book only where its file is still the one at the path.
    fn check_in_place(&self) -> Result<(), Halt> {
        match FileId::at(self.path())? {
            Some(file) if file == self.file => Ok(()),
            Some(_) => Err(Halt::Conflict),
            None => Err(Halt::Error(self.removed())),
        }
    }

    /// Somebody deleted the file under us.
    pub(super) fn removed(&self) -> Error {
        fail::unavailable(self.path(), "commit: the file was removed while in use".to_owned())
    }

    /// How many rows it changed.
    pub(super) fn execute(
        &self,
        tried: &str,
        sql: &str,
        params: impl Params,
    ) -> Result<usize, Error> {
        let done = self.conn.prepare_cached(sql).and_then(|mut sql| sql.execute(params));
        done.map_err(|error| self.fail(tried, &error))
    }

    /// The first row, if there is one.
    pub(super) fn one<T>(
        &self,
        tried: &str,
        sql: &str,
        params: impl Params,
        row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        let found = self.conn.prepare_cached(sql);
        let found = found.and_then(|mut sql| sql.query_row(params, row).optional());
        found.map_err(|error| self.fail(tried, &error))
    }

    /// All rows.
    pub(super) fn all<T>(
        &self,
        tried: &str,
        sql: &str,
        params: impl Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let found = self.conn.prepare_cached(sql);
        let found = found.and_then(|mut sql| sql.query_map(params, row)?.collect());
        found.map_err(|error| self.fail(tried, &error))
    }

    /// The first row that `row` makes something of.
    pub(super) fn first<T>(
        &self,
        tried: &str,
        sql: &str,
        params: impl Params,
        mut row: impl FnMut(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>, Error> {
        let search = || {
            let mut sql = self.conn.prepare_cached(sql)?;
            let mut rows = sql.query(params)?;
            while let Some(next) = rows.next()? {
                if let Some(found) = row(next)? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        };
        search().map_err(|error| self.fail(tried, &error))
    }
}

/// Brings an empty file, or one of an earlier format, to the newest; a process that comes second finds it
/// done. What an earlier format had is kept beside it.
pub(super) fn upgrade(
    conn: &Connection,
    format: Format,
    path: &Path,
    wait: Duration,
) -> Result<(), Error> {
    let fail = |error: rusqlite::Error| fail::sqlite(path, "upgrade", &error);
    conn.execute_batch("BEGIN IMMEDIATE").map_err(fail)?;
    let from = match format.look(conn).map_err(fail)? {
        Found::Empty => Some(0),
        Found::Earlier(from) => {
            keep(path, from, wait)?;
            Some(from)
        }
        Found::Newest | Found::Foreign(_) => None,
    };
    from.map_or(Ok(()), |from| format.advance(conn, from)).map_err(fail)?;
    conn.execute_batch("COMMIT").map_err(fail)
}

/// Copies the file as it is to `NAME.format-N`: what an earlier version of the executable can be given
/// back. To be called where nobody else writes.
fn keep(path: &Path, format: usize, wait: Duration) -> Result<(), Error> {
    let kept = file::with(path, &format!(".format-{format}"));
    let draft = file::with(&kept, ".new");
    file::remove(&draft)?;
    drop(file::open(&draft)?);
    // Not by copying bytes: part of them may be in the log. And to close a file of our own on the
    // database's path would take SQLite's locks away (fcntl(2)).
    let name = draft.to_str().ok_or_else(|| {
        fail::unavailable(path, "keep the earlier format: the path is no text".to_owned())
    })?;
    connect(path, wait)
        .and_then(|reader| reader.execute("VACUUM INTO ?1", [name]))
        .map_err(|error| fail::sqlite(path, "keep the earlier format", &error))?;
    std::fs::rename(&draft, &kept).map_err(fail::io(&kept, "put the copy in place"))
}

/// The path of a database under construction.
pub(super) fn draft_path(path: &Path) -> PathBuf {
    file::with(path, ".new")
}
