//! The node's book: SQLite, in WAL mode, in the run directory, never synced, since a reboot
//! destroys what it describes; beside it the half that outlives a reboot (`lasting`).
//!
//! A book is put in its place whole: written to a file beside it and renamed, under a lock. It is
//! never changed by hand, and one that contradicts itself is set aside, not repaired. Start
//! reading at [`SqliteLedger::open`].

mod cache;
mod db;
mod fail;
mod file;
mod lasting;
mod outbox;
mod ports;
mod rows;
mod runs;
mod schema;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharfinger_cni::AttachmentId;

use crate::book::{Book, Desk, Halt, Held, Shelf, Stand};
use crate::session::{Sitting, done};
use crate::{
    Claim, Entry, Error, Identity, Ledger, Notice, Owner, Range, Record, Release, Scope, Session,
    Usage,
};
use crate::{first_seq, rules};
use db::Db;
use file::{FileId, Guard, Hold};

/// Where the book is, and how patient its callers are.
#[derive(Debug, Clone)]
pub struct Options {
    /// The volatile half: a file in a directory of this boot.
    pub path: PathBuf,
    /// The half that outlives a reboot: opened only by calls that need it.
    pub lasting: PathBuf,
    /// How long a call waits for other processes' writes: what is left of its deadline.
    pub wait: Duration,
}

/// What was found where the book should be.
#[derive(Debug)]
pub enum Opened {
    /// The book.
    Book(SqliteLedger),
    /// Nothing: it is to be begun, with what lives on the node.
    Fresh(Fresh),
    /// Something that cannot be read as a book: to be set aside.
    Damaged(Damaged),
}

/// There is no book.
#[derive(Debug)]
pub struct Fresh {
    options: Options,
}

/// There is a file that is no book, or not a whole one.
#[derive(Debug)]
pub struct Damaged {
    options: Options,
    file: FileId,
    error: Error,
}

/// A book that was just begun.
#[derive(Debug)]
pub struct Rebuilt {
    /// The book. Another process may have been faster: then it is that one's, and the records
    /// that were given are not in it.
    pub ledger: SqliteLedger,
    /// Claims that could not be entered, since an earlier record has what they name.
    pub doubled: Vec<(AttachmentId, Claim)>,
    /// The half that outlives a reboot could not be read, and was set aside: identities and
    /// permanent entries of stores are lost.
    pub lost: Option<Error>,
}

/// The book on this node. Shared between threads by reference: their calls take turns.
#[derive(Debug)]
pub struct SqliteLedger {
    db: Mutex<Db>,
}

impl Fresh {
    /// Writes a whole new book, with the records of what lives on the node, and puts it in its
    /// place. A process that is killed half-way leaves nothing that looks like a book.
    pub fn rebuild(&self, records: &[Record], now: u64) -> Result<Rebuilt, Error> {
        let options = &self.options;
        file::make_parent(&options.path)?;
        let _guard = Guard::take(&options.path, Hold::Exclusive, options.wait)?;
        let (doubled, lost) = match FileId::at(&options.path)? {
            Some(_) => (Vec::new(), None),
            None => begin(options, records, now)?,
        };
        let file = FileId::at(&options.path)?.ok_or_else(|| vanished(options))?;
        let db = Db::open(options, file)?;
        Ok(Rebuilt { ledger: SqliteLedger { db: Mutex::new(db) }, doubled, lost })
    }
}

/// See [`Rebuilt`]: claims that clashed, and what was lost.
type Begun = (Vec<(AttachmentId, Claim)>, Option<Error>);

fn vanished(options: &Options) -> Error {
    fail::unavailable(&options.path, "open: the new file was removed at once".to_owned())
}

/// Writes the new book beside its place, and renames it. Under the lock.
fn begin(options: &Options, records: &[Record], now: u64) -> Result<Begun, Error> {
    // A log or an index without its database would be taken for the new one's.
    for suffix in file::BESIDE {
        if FileId::at(&file::with(&options.path, suffix))?.is_some() {
            file::set_aside(&options.path)?;
        }
    }
    let draft = Options { path: db::draft_path(&options.path), ..options.clone() };
    file::remove(&draft.path)?;
    for suffix in file::BESIDE {
        file::remove(&file::with(&draft.path, suffix))?;
    }
    file::open(&draft.path)?;
    let begun = write(&draft, records, now)?;
    let renamed = std::fs::rename(&draft.path, &options.path);
    renamed.map_err(fail::io(&options.path, "put the new file in place"))?;
    Ok(begun)
}

/// Writes a whole book into an empty file.
fn write(draft: &Options, records: &[Record], now: u64) -> Result<Begun, Error> {
    let (lasting, lost) = lasting::read(draft)?;
    let fail = |error: rusqlite::Error| fail::sqlite(&draft.path, "begin", &error);
    let file = FileId::at(&draft.path)?.ok_or_else(|| vanished(draft))?;
    let conn = db::connect(&draft.path, draft.wait).map_err(fail)?;
    // Nobody reads the file before it is whole.
    let settings = "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; BEGIN IMMEDIATE;";
    conn.execute_batch(settings).map_err(fail)?;
    schema::BOOK.advance(&conn, 0).map_err(fail)?;
    let mut db = Db::new(conn, draft, file);
    let sql = "UPDATE meta SET value = ?1 WHERE name = 'seq'";
    db.execute("begin", sql, [rows::int(first_seq(now))])?;
    lasting::mirror(&mut db, &lasting)?;
    let doubled = rules::restore(&mut db, records)?;
    db.conn.execute_batch("COMMIT; PRAGMA journal_mode = WAL;").map_err(fail)?;
    db.conn.close().map_err(|(_, error)| fail(error))?;
    Ok((doubled, lost))
}

impl Damaged {
    /// What is wrong with it.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Moves it out of the way, to a name of its own beside its place, and looks again: most
    /// often there is nothing then; where another process was faster, there is its book.
    pub fn set_aside(self) -> Result<Opened, Error> {
        set_aside(&self.options, self.file)
    }
}

/// Only the very file that was found damaged is moved away.
fn set_aside(options: &Options, damaged: FileId) -> Result<Opened, Error> {
    {
        let _guard = Guard::take(&options.path, Hold::Exclusive, options.wait)?;
        if FileId::at(&options.path)? == Some(damaged) {
            file::set_aside(&options.path)?;
        }
    }
    SqliteLedger::open(options.clone())
}

impl SqliteLedger {
    /// Opens the book that is there. Makes nothing but the lock beside it.
    pub fn open(options: Options) -> Result<Opened, Error> {
        if FileId::at(&options.path)?.is_none() {
            return Ok(Opened::Fresh(Fresh { options }));
        }
        // So that the file is not moved away between being opened and being looked into.
        let _guard = Guard::take(&options.path, Hold::Shared, options.wait)?;
        let Some(file) = FileId::at(&options.path)? else {
            return Ok(Opened::Fresh(Fresh { options }));
        };
        match Db::open(&options, file) {
            Ok(db) => Ok(Opened::Book(Self { db: Mutex::new(db) })),
            Err(error @ Error::Damaged { .. }) => {
                Ok(Opened::Damaged(Damaged { options, file, error }))
            }
            Err(error) => Err(error),
        }
    }

    /// Moves the book out of the way, after one of its calls found it damaged. See
    /// [`Damaged::set_aside`].
    pub fn set_aside(self) -> Result<Opened, Error> {
        let db = self.db.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (options, file) = (db.options.clone(), db.file);
        // Closed first, so that closing writes nothing to where it was.
        drop(db);
        set_aside(&options, file)
    }

    /// All that is remembered, by domain, network and name.
    pub fn identities(&self) -> Result<Vec<Identity>, Error> {
        self.read(|book| book.identities())
    }

    /// Forgets an identity: false where nothing was remembered for it.
    pub fn forget(&self, network: &str, identity: &str) -> Result<bool, Error> {
        // A conflict means that the mirror was old; it is not by then.
        loop {
            if let Some(forgot) = done(self.write(|book| rules::forget(book, network, identity)))? {
                return Ok(forgot);
            }
        }
    }

    fn options(&self) -> Options {
        self.db.lock().unwrap_or_else(PoisonError::into_inner).options.clone()
    }

    /// The connection, to the file that is at the path now.
    fn db(&self) -> Result<MutexGuard<'_, Db>, Error> {
        // A panic of another thread left the connection as it was, less its transaction.
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        if FileId::at(db.path())? != Some(db.file) {
            match Self::open(db.options.clone())? {
                Opened::Book(book) => {
                    *db = book.db.into_inner().unwrap_or_else(PoisonError::into_inner);
                }
                Opened::Fresh(_) => return Err(db.removed()),
                Opened::Damaged(damaged) => return Err(damaged.error),
            }
        }
        Ok(db)
    }
}

impl Shelf for SqliteLedger {
    fn read<R>(&self, f: impl Fn(&dyn Book) -> Result<R, Error>) -> Result<R, Error> {
        self.look(|db| f(db))
    }

    fn write<R>(&self, f: impl Fn(&mut dyn Book) -> Result<R, Halt>) -> Result<R, Halt> {
        self.change(|db| f(db))
    }
}

impl SqliteLedger {
    /// A lock beside the book.
    fn pass(&self, suffix: &str, wait: Duration) -> Result<Option<Box<dyn Held + '_>>, Error> {
        let path = file::with(&self.options().path, suffix);
        let guard = Guard::within(&path, Hold::Exclusive, wait)?;
        Ok(guard.map(|guard| Box::new(guard) as Box<dyn Held>))
    }
}

impl Stand for SqliteLedger {
    fn look<R>(&self, mut f: impl FnMut(&dyn Desk) -> Result<R, Error>) -> Result<R, Error> {
        self.db()?.reading(|db| f(db))
    }

    fn change<R>(&self, mut f: impl FnMut(&mut dyn Desk) -> Result<R, Halt>) -> Result<R, Halt> {
        let mut db = self.db()?;
        let result = db.writing(|db| f(db));
        if std::mem::take(&mut db.mirror_is_old) {
            let (lasting, _) = lasting::read(&db.options)?;
            db.writing(|db| Ok(lasting::mirror(db, &lasting)?))?;
        }
        result
    }

    fn gate(&self, wait: Duration) -> Result<Option<Box<dyn Held + '_>>, Error> {
        self.pass(".cluster", wait)
    }

    fn turn(&self, wait: Duration) -> Result<Option<Box<dyn Held + '_>>, Error> {
        self.pass(".turn", wait)
    }
}

impl Ledger for SqliteLedger {
    fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        self.read(|book| book.attachment(id))
    }

    fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        self.read(|book| book.attachments(network))
    }

    fn horizon(&self) -> Result<u64, Error> {
        self.read(|book| book.seq())
    }

    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, Error> {
        Ok(Box::new(Sitting::open(self, scope)?))
    }

    fn attached(
        &self,
        id: &AttachmentId,
        seq: u64,
        result: &serde_json::Value,
    ) -> Result<Release, Error> {
        let write = self.write(|book| Ok(rules::attached(book, id, seq, result)?));
        Ok(done(write)?.unwrap_or(Release::Stale))
    }

    fn amend(&self, record: &Record, seq: u64) -> Result<Release, Error> {
        Ok(done(self.write(|book| Ok(rules::amend(book, record, seq)?)))?.unwrap_or(Release::Stale))
    }

    fn release(
        &self,
        id: &AttachmentId,
        seq: u64,
        now: u64,
        cool: Duration,
    ) -> Result<Release, Error> {
        let until = rules::rest_until(now, cool);
        let write = self.write(|book| Ok(rules::release(book, id, seq, until)?));
        Ok(done(write)?.unwrap_or(Release::Stale))
    }

    fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, Error> {
        self.read(|book| rules::usage(book, domain, ranges, now))
    }

    fn writable(&self) -> Result<(), Error> {
        // A transaction that is rolled back reaches no disk: this one is committed, and changes
        // nothing.
        let sql = "UPDATE meta SET value = value WHERE name = 'seq'";
        let write = self.db()?.writing(|db| Ok(db.execute("try to write", sql, []).map(drop)?));
        done(write).map(drop)
    }

    fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, Error> {
        self.read(|book| rules::kept(book, owner))
    }

    fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), Error> {
        // A conflict means that the mirror was old; it is not by then.
        while done(self.write(|book| rules::keep(book, owner, key, value)))?.is_none() {}
        Ok(())
    }

    fn post(&self, notice: &Notice) -> Result<u64, Error> {
        outbox::post(&self.options(), notice)
    }

    fn post_lease(&self, number: u64, lease: &serde_json::Value) -> Result<(), Error> {
        outbox::lease(&self.options(), number, lease)
    }

    fn delivered(&self, number: u64) -> Result<(), Error> {
        outbox::remove(&self.options(), number)
    }

    fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, Error> {
        outbox::of(&self.options(), network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A write that ends in a file which is no longer the book's is none.
    #[test]
    fn a_file_replaced_or_removed_during_a_write_takes_no_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let lasting = dir.path().join("lasting.db");
        let options = Options { path: path.clone(), lasting, wait: Duration::from_secs(1) };
        let fresh = Fresh { options };
        let ledger = fresh.rebuild(&[], 0).unwrap().ledger;
        let replaced = ledger.write(|db| {
            db.next_seq()?;
            std::fs::rename(&path, dir.path().join("aside")).unwrap();
            std::fs::copy(dir.path().join("aside"), &path).unwrap();
            Ok(())
        });
        assert!(matches!(replaced, Err(Halt::Conflict)));
        std::fs::remove_file(&path).unwrap();
        let ledger = fresh.rebuild(&[], 0).unwrap().ledger;
        let removed = ledger.write(|db| {
            db.next_seq()?;
            std::fs::remove_file(&path).unwrap();
            Ok(())
        });
        assert!(matches!(removed, Err(Halt::Error(Error::Unavailable { .. }))));
    }
}
