//! The tables of the two files, their format numbers, and how an older format becomes the newest.
//! A released step is never changed: a new format is a new step.

use rusqlite::Connection;

/// What makes a file ours and of which kind: `PRAGMA application_id`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    id: i32,
    /// Each brings a file from the format of its index to the next one.
    steps: &'static [&'static str],
    /// Tables that the newest format has.
    tables: i64,
}

/// The volatile half: attachments, addresses, ports, and a mirror of the lasting half. "whBk".
pub(super) const BOOK: Format =
    Format { id: 0x7768_426b, steps: &[BOOK_1, BOOK_2, BOOK_3, BOOK_4], tables: 11 };

/// The lasting half: identities and permanent entries of stores. "whLs".
pub(super) const LASTING: Format =
    Format { id: 0x7768_4c73, steps: &[LASTING_1, LASTING_2], tables: 4 };

/// An address has one owner in its domain: that is the primary key of `address`. It has a row
/// where it is held, rests or is remembered; `run` has the maximal intervals of such addresses.
/// An address is a family (4 or 6) and sixteen bytes, so that bytes sort as addresses do.
const BOOK_1: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('seq', 0), ('lasting', 0);
CREATE TABLE attachment (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    seq INTEGER NOT NULL, domain TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (network, container, ifname));
CREATE TABLE address (
    domain TEXT NOT NULL, address BLOB NOT NULL,
    holder INTEGER, until INTEGER, released INTEGER, kept INTEGER,
    PRIMARY KEY (domain, address)) WITHOUT ROWID;
CREATE INDEX address_until ON address (until) WHERE until IS NOT NULL;
CREATE INDEX address_released ON address (domain, released)
    WHERE until IS NOT NULL AND kept IS NULL;
CREATE INDEX address_kept ON address (domain, kept)
    WHERE kept IS NOT NULL AND holder IS NULL;
CREATE TABLE run (
    domain TEXT NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, first)) WITHOUT ROWID;
CREATE TABLE pool (
    domain TEXT NOT NULL, network TEXT NOT NULL, position INTEGER NOT NULL,
    first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, position)) WITHOUT ROWID;
CREATE TABLE cursor (
    domain TEXT NOT NULL, network TEXT NOT NULL, ranges BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, ranges)) WITHOUT ROWID;
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
CREATE INDEX identity_address ON identity (domain, address);
CREATE TABLE store (
    network TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, holder INTEGER,
    PRIMARY KEY (network, key)) WITHOUT ROWID;
CREATE INDEX store_holder ON store (holder) WHERE holder IS NOT NULL;
";

const LASTING_1: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('version', 0);
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
CREATE TABLE permanent (
    network TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (network, key)) WITHOUT ROWID;
";

/// Stores are a plugin's. The only plugin that could have written to those of format 1.
const BOOK_2: &str = "
ALTER TABLE store RENAME COLUMN network TO owner;
UPDATE store SET owner = owner || '/host-local';
";

/// Likewise; and what plugins are still to be told.
const LASTING_2: &str = "
ALTER TABLE permanent RENAME COLUMN network TO owner;
UPDATE permanent SET owner = owner || '/host-local';
INSERT INTO meta VALUES ('notice', 0);
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    plugin TEXT NOT NULL, config TEXT NOT NULL, attachment TEXT NOT NULL, lease TEXT);
CREATE INDEX notice_network ON notice (network, container, ifname);
";

/// A port of the host has one owner on the node. `protocol` is its number (IANA); an address of
/// zeros is all of its family.
const BOOK_3: &str = "
CREATE TABLE port (
    protocol INTEGER NOT NULL, port INTEGER NOT NULL, address BLOB NOT NULL,
    holder INTEGER NOT NULL,
    PRIMARY KEY (protocol, port, address)) WITHOUT ROWID;
";

/// Where a cluster has one book: objects of it as they were seen last (`own`: a block of this
/// node), up to which version all are known, and releases that it is still to be told.
const BOOK_4: &str = "
CREATE TABLE remote (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL, own INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX remote_own ON remote (own) WHERE own;
CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
INSERT INTO meta VALUES ('synced', 0);
";

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Of the newest format.
    Newest,
    /// A database without anything in it.
    Empty,
    /// Ours, of an earlier format: its number.
    Earlier(usize),
    /// Not ours, or not whole: why.
    Foreign(String),
}

impl Format {
    /// Looks at the file's header and at which tables it has.
    pub(super) fn look(self, conn: &Connection) -> rusqlite::Result<Found> {
        // Not by the table-valued pragmas: those cost ten times as much.
        let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let format: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table'";
        let tables: i64 = conn.query_row(sql, [], |row| row.get(0))?;
        let newest = self.steps.len();
        Ok(match usize::try_from(format) {
            _ if (id, format, tables) == (0, 0, 0) => Found::Empty,
            _ if id != self.id => Found::Foreign(format!("it is of application {id:#x}")),
            Ok(format) if format == newest && tables == self.tables => Found::Newest,
            Ok(format) if format == newest => {
                let whole = self.tables;
                Found::Foreign(format!("it has {tables} tables of {whole}"))
            }
            Ok(format) if format > 0 && format < newest => Found::Earlier(format),
            _ => Found::Foreign(format!("its format is {format}, this version knows {newest}")),
        })
    }

    /// Takes the steps from format `from` on. To be called within a transaction.
    pub(super) fn advance(self, conn: &Connection, from: usize) -> rusqlite::Result<()> {
        for step in self.steps.iter().skip(from) {
            conn.execute_batch(step)?;
        }
        conn.pragma_update(None, "application_id", self.id)?;
        conn.pragma_update(None, "user_version", i64::try_from(self.steps.len()).unwrap_or(0))
    }
}
