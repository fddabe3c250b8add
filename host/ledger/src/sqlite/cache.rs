//! What a node's own book keeps of its cluster's. Holds no rule.

use rusqlite::{Row, params};

use super::db::Db;
use super::rows::int;
use crate::Error;
use crate::book::Desk;
use crate::cluster::Object;

fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    let version: i64 = row.get(1)?;
    let version = u64::try_from(version).unwrap_or_default();
    Ok(Object { key: row.get(0)?, version, value: row.get(2)? })
}

impl Desk for Db {
    fn cached(&self, key: &str) -> Result<Option<Object>, Error> {
        let sql = "SELECT key, version, value FROM remote WHERE key = ?1";
        self.one("read an object", sql, [key], object)
    }

    fn cached_below(&self, prefix: &str) -> Result<Vec<Object>, Error> {
        // Keys are ASCII: none that begins with the prefix is above this one.
        let above = format!("{prefix}\u{7f}");
        let sql = "SELECT key, version, value FROM remote WHERE key >= ?1 AND key < ?2
            ORDER BY key";
        self.all("read objects", sql, [prefix, &above], object)
    }

    fn cached_own(&self) -> Result<Vec<Object>, Error> {
        let sql = "SELECT key, version, value FROM remote WHERE own ORDER BY key";
        self.all("read the node's blocks", sql, [], object)
    }

    fn put_cached(&mut self, to: &Object, own: bool) -> Result<(), Error> {
        let sql = "INSERT INTO remote (key, version, value, own) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (key) DO UPDATE SET version = ?2, value = ?3, own = ?4
            WHERE version < ?2";
        let row = params![to.key, int(to.version), to.value, own];
        self.execute("keep an object", sql, row).map(drop)
    }

    fn drop_cached(&mut self, key: &str) -> Result<(), Error> {
        self.execute("drop an object", "DELETE FROM remote WHERE key = ?1", [key]).map(drop)
    }

    fn forget_cached(&mut self) -> Result<(), Error> {
        self.execute("forget all objects", "DELETE FROM remote", [])?;
        let sql = "UPDATE meta SET value = 0 WHERE name = 'synced'";
        self.execute("forget what was seen", sql, []).map(drop)
    }

    fn synced(&self) -> Result<u64, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'synced'";
        let upto: Option<i64> = self.one("read what was seen", sql, [], |row| row.get(0))?;
        Ok(upto.and_then(|upto| u64::try_from(upto).ok()).unwrap_or_default())
    }

    fn set_synced(&mut self, upto: u64) -> Result<(), Error> {
        let sql = "UPDATE meta SET value = max(value, ?1) WHERE name = 'synced'";
        self.execute("write what was seen", sql, [int(upto)]).map(drop)
    }

    fn queued(&self, limit: usize) -> Result<Vec<(u64, String)>, Error> {
        let sql = "SELECT id, body FROM queue ORDER BY id LIMIT ?1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.all("read the queue", sql, [limit], |row| {
            let number: i64 = row.get(0)?;
            Ok((u64::try_from(number).unwrap_or_default(), row.get(1)?))
        })
    }

    fn enqueue(&mut self, body: &str) -> Result<(), Error> {
        self.execute("write to the queue", "INSERT INTO queue (body) VALUES (?1)", [body]).map(drop)
    }

    fn dequeue(&mut self, number: u64) -> Result<(), Error> {
        let sql = "DELETE FROM queue WHERE id = ?1";
        self.execute("remove from the queue", sql, [int(number)]).map(drop)
    }
}
