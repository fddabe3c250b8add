//! The book's rows as SQL statements: one method, one statement or two. Holds no rule.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{OptionalExtension, Row, params};
use wharfinger_cni::AttachmentId;

use super::db::Db;
use super::{lasting, ports, runs};
use crate::book::{
    Accept, Address, Book, Halt, Identity, Lasting, Place, Reach, Rest, Scan, Stored,
};
use crate::point::{Point, Span};
use crate::port::Spot;
use crate::{Entry, Error, Owner, Record, Usage};

/// As SQLite has integers. A time or number beyond 2^63 is as good as never.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn maybe(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => number(row, column).map(Some),
    }
}

pub(super) fn point(row: &Row<'_>, column: usize) -> rusqlite::Result<Point> {
    let key = row.get_ref(column)?;
    let key = key.as_blob().map_err(|error| wrong(column, error))?;
    Point::from_key(key).ok_or_else(|| wrong(column, "these bytes are no address"))
}

pub(super) fn span(row: &Row<'_>, column: usize) -> rusqlite::Result<Span> {
    let (first, last) = (point(row, column)?, point(row, column.saturating_add(1))?);
    Span::new(first, last).ok_or_else(|| wrong(column, "the range ends before it begins"))
}

/// The column's content is not what we write.
fn wrong(
    column: usize,
    why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, why.into())
}

fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<AttachmentId> {
    Ok(AttachmentId {
        network: row.get(column)?,
        container: row.get(column.saturating_add(1))?,
        ifname: row.get(column.saturating_add(2))?,
    })
}

/// Columns `holder` and the holder's key, joined. A holder that there is no record of is damage.
pub(super) fn holder(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<AttachmentId>> {
    let holder: Option<i64> = row.get(column)?;
    holder.map(|_| id(row, column.saturating_add(1))).transpose()
}

/// Columns network, container, ifname, domain, seq, body: the record must say the same.
fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let text = row.get_ref(5)?.as_str().map_err(|error: FromSqlError| wrong(5, error))?;
    let record: Record = serde_json::from_str(text).map_err(|error| wrong(5, error))?;
    let domain: String = row.get(3)?;
    if record.id != id(row, 0)? || record.domain != domain {
        return Err(wrong(5, "the record is another's"));
    }
    Ok(Entry { record, seq: number(row, 4)? })
}

fn bytes(spans: &[Span]) -> Vec<u8> {
    spans.iter().flat_map(|span| [span.first.key(), span.last.key()]).flatten().collect()
}

impl Book for Db {
    fn attachment(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        let sql = "SELECT network, container, ifname, domain, seq, body FROM attachment
            WHERE network = ?1 AND container = ?2 AND ifname = ?3";
        self.one("read the record", sql, params![id.network, id.container, id.ifname], entry)
    }

    fn attachments(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        let all = "SELECT network, container, ifname, domain, seq, body FROM attachment
            ORDER BY network, container, ifname";
        let of_one = "SELECT network, container, ifname, domain, seq, body FROM attachment
            WHERE network = ?1 ORDER BY container, ifname";
        match network {
            None => self.all("read the records", all, [], entry),
            Some(network) => self.all("read the network's records", of_one, [network], entry),
        }
    }

    fn put_attachment(&mut self, record: &Record, seq: u64) -> Result<(), Error> {
        let body = serde_json::to_string(record).map_err(|error| Error::Misuse {
            id: record.id.clone(),
            what: format!("it cannot be written as JSON: {error}"),
        })?;
        let sql = "INSERT INTO attachment (network, container, ifname, seq, domain, body)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (network, container, ifname)
            DO UPDATE SET seq = excluded.seq, domain = excluded.domain, body = excluded.body
            RETURNING id";
        let AttachmentId { network, container, ifname } = &record.id;
        let row = params![network, container, ifname, int(seq), record.domain, body];
        let id = self.one("write the record", sql, row, |row| row.get(0))?;
        self.written = id.map(|row| (record.id.clone(), row));
        Ok(())
    }

    fn remove_attachment(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.remove_entries(id)?;
        let key = params![id.network, id.container, id.ifname];
        let record = "DELETE FROM attachment
            WHERE network = ?1 AND container = ?2 AND ifname = ?3";
        self.written = None;
        self.execute("remove the record", record, key).map(drop)
    }

    fn remove_entries(&mut self, id: &AttachmentId) -> Result<(), Error> {
        let sql = "DELETE FROM store WHERE holder = (SELECT id FROM attachment
            WHERE network = ?1 AND container = ?2 AND ifname = ?3)";
        let key = params![id.network, id.container, id.ifname];
        self.execute("remove the attachment's entries", sql, key).map(drop)
    }

    fn is_used(&self, domain: &str, network: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM attachment WHERE network = ?1 AND domain = ?2 LIMIT 1";
        let found = self.one("look for attachments", sql, [network, domain], |_| Ok(()))?;
        Ok(found.is_some())
    }

    fn seq(&self) -> Result<u64, Error> {
        let sql = "SELECT value FROM meta WHERE name = 'seq'";
        let seq = self.one("read the sequence number", sql, [], |row| number(row, 0))?;
        seq.ok_or_else(|| self.damaged("it has no sequence number".to_owned()))
    }

    fn next_seq(&mut self) -> Result<u64, Error> {
        let sql = "UPDATE meta SET value = value + 1 WHERE name = 'seq' RETURNING value";
        let seq = self.one("raise the sequence number", sql, [], |row| number(row, 0))?;
        seq.ok_or_else(|| self.damaged("it has no sequence number".to_owned()))
    }

    fn address(&self, domain: &str, point: Point) -> Result<Option<Address>, Error> {
        let sql = "SELECT a.holder, t.network, t.container, t.ifname, a.until, a.released, a.kept
            FROM address a LEFT JOIN attachment t ON t.id = a.holder
            WHERE a.domain = ?1 AND a.address = ?2";
        let row = |row: &Row<'_>| {
            let (until, order) = (maybe(row, 4)?, maybe(row, 5)?);
            let rest = until.zip(order).map(|(until, order)| Rest { until, order });
            Ok(Address { holder: holder(row, 0)?, rest, kept: maybe(row, 6)? })
        };
        self.one("read the address", sql, params![domain, point.key()], row)
    }

    fn set_address(&mut self, domain: &str, point: Point, to: &Address) -> Result<(), Error> {
        let key = point.key();
        if to.is_free() {
            let sql = "DELETE FROM address WHERE domain = ?1 AND address = ?2";
            return match self.execute("free the address", sql, params![domain, key])? {
                0 => Ok(()),
                _ => runs::remove(self, domain, point),
            };
        }
        let holder = to.holder.as_ref().map(|id| self.row_of(id)).transpose()?;
        let (until, order) = to.rest.map(|rest| (int(rest.until), int(rest.order))).unzip();
        let row = params![domain, key, holder, until, order, to.kept.map(int)];
        let update = "UPDATE address SET holder = ?3, until = ?4, released = ?5, kept = ?6
            WHERE domain = ?1 AND address = ?2";
        // Whichever will do most often comes first: an ADD takes a free address.
        let is_taken = to.rest.is_none() && to.kept.is_none();
        if !is_taken && self.execute("write the address", update, row)? > 0 {
            return Ok(());
        }
        let insert = "INSERT INTO address (domain, address, holder, until, released, kept)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
        if self.execute("write the address", insert, row)? > 0 {
            return runs::add(self, domain, point);
        }
        self.execute("write the address", update, row).map(drop)
    }

    fn run(&self, domain: &str, point: Point, _: Reach) -> Result<Option<Span>, Error> {
        Ok(runs::below(self, domain, point)?.filter(|run| run.contains(point)))
    }

    fn oldest_rest(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        let sql = "SELECT address FROM address
            WHERE domain = ?1 AND until IS NOT NULL AND kept IS NULL
            ORDER BY released, address";
        let row = |row: &Row<'_>| Ok(Some(point(row, 0)?).filter(|point| accept(*point)));
        self.first("look for an address that rests", sql, [domain], row)
    }

    fn oldest_kept(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        let sql = "SELECT address FROM address
            WHERE domain = ?1 AND kept IS NOT NULL AND holder IS NULL
            ORDER BY kept, address";
        let row = |row: &Row<'_>| Ok(Some(point(row, 0)?).filter(|point| accept(*point)));
        self.first("look for a remembered address", sql, [domain], row)
    }

    fn rested(&self, now: u64, limit: usize) -> Result<Vec<(String, Point)>, Error> {
        let sql = "SELECT domain, address FROM address WHERE until <= ?1
            ORDER BY until, domain, address LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let row = |row: &Row<'_>| Ok((row.get(0)?, point(row, 1)?));
        self.all("look for addresses that rested", sql, params![int(now), limit], row)
    }

    fn count(&self, domain: &str, span: Span, now: u64) -> Result<Usage, Error> {
        let sql = "SELECT count(holder),
            count(CASE WHEN holder IS NULL AND kept IS NULL AND until > ?4 THEN 1 END),
            count(CASE WHEN holder IS NULL AND kept IS NOT NULL THEN 1 END)
            FROM address WHERE domain = ?1 AND address BETWEEN ?2 AND ?3";
        let row = |row: &Row<'_>| {
            let count = |column| number(row, column).map(u128::from);
            Ok(Usage { total: 0, held: count(0)?, cooling: count(1)?, remembered: count(2)? })
        };
        let range = params![domain, span.first.key(), span.last.key(), int(now)];
        Ok(self.one("count addresses", sql, range, row)?.unwrap_or_default())
    }

    fn port_holder(&self, spot: Spot, but: &AttachmentId) -> Result<Option<AttachmentId>, Error> {
        ports::holder(self, spot, but)
    }

    fn hold_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        ports::hold(self, spot, self.row_of(id)?)
    }

    fn free_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        ports::free(self, spot, self.row_of(id)?)
    }

    fn pool(&self, domain: &str, network: &str) -> Result<Vec<Span>, Error> {
        let sql = "SELECT first, last FROM pool WHERE domain = ?1 AND network = ?2
            ORDER BY position";
        self.all("read the network's ranges", sql, [domain, network], |row| span(row, 0))
    }

    fn put_pool(&mut self, domain: &str, network: &str, spans: &[Span]) -> Result<(), Error> {
        let delete = "DELETE FROM pool WHERE domain = ?1 AND network = ?2";
        self.execute("remove the network's ranges", delete, [domain, network])?;
        let insert = "INSERT INTO pool (domain, network, position, first, last)
            VALUES (?1, ?2, ?3, ?4, ?5)";
        for (position, span) in (0_i64..).zip(spans) {
            let row = params![domain, network, position, span.first.key(), span.last.key()];
            self.execute("write the network's ranges", insert, row)?;
        }
        Ok(())
    }

    fn overlap(
        &self,
        domain: &str,
        network: &str,
        other: Span,
    ) -> Result<Option<(String, Span)>, Error> {
        let sql = "SELECT network, first, last FROM pool
            WHERE domain = ?1 AND network <> ?2 AND first <= ?4 AND last >= ?3
            ORDER BY network, first, last LIMIT 1";
        let row = |row: &Row<'_>| Ok((row.get(0)?, span(row, 1)?));
        let key = params![domain, network, other.first.key(), other.last.key()];
        self.one("look for overlapping ranges", sql, key, row)
    }

    fn cursor(&self, place: Place<'_>, spans: &[Span]) -> Result<Option<Point>, Error> {
        let sql = "SELECT last FROM cursor WHERE domain = ?1 AND network = ?2 AND ranges = ?3";
        let key = params![place.domain, place.network, bytes(spans)];
        self.one("read the last address taken", sql, key, |row| point(row, 0))
    }

    fn put_cursor(&mut self, place: Place<'_>, spans: &[Span], at: Point) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO cursor (domain, network, ranges, last)
            VALUES (?1, ?2, ?3, ?4)";
        let row = params![place.domain, place.network, bytes(spans), at.key()];
        self.execute("write the last address taken", sql, row).map(drop)
    }

    fn identity(&self, place: Place<'_>, identity: &str) -> Result<Vec<Point>, Error> {
        let sql = "SELECT address FROM identity
            WHERE domain = ?1 AND network = ?2 AND identity = ?3 ORDER BY position";
        let key = [place.domain, place.network, identity];
        self.all("read what is remembered", sql, key, |row| point(row, 0))
    }

    fn put_identity(
        &mut self,
        place: Place<'_>,
        identity: &str,
        points: &[Point],
    ) -> Result<(), Error> {
        lasting::put_identity(&self.conn, place, identity, points)
            .map_err(|error| self.fail("remember", &error))
    }

    fn identities(&self) -> Result<Vec<Identity>, Error> {
        lasting::identities(&self.conn).map_err(|error| self.fail("read identities", &error))
    }

    fn is_kept(&self, domain: &str, point: Point) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM identity WHERE domain = ?1 AND address = ?2 LIMIT 1";
        let key = params![domain, point.key()];
        Ok(self.one("look who remembers", sql, key, |_| Ok(()))?.is_some())
    }

    fn entry(&self, owner: &Owner, key: &str) -> Result<Option<Stored>, Error> {
        let sql = "SELECT s.holder, t.network, t.container, t.ifname, s.value
            FROM store s LEFT JOIN attachment t ON t.id = s.holder
            WHERE s.owner = ?1 AND s.key = ?2";
        let row = |row: &Row<'_>| Ok(Stored { value: row.get(4)?, holder: holder(row, 0)? });
        self.one("read the store", sql, [owner.as_str(), key], row)
    }

    fn put_entry(&mut self, owner: &Owner, key: &str, to: Option<&Stored>) -> Result<(), Error> {
        let Some(stored) = to else {
            let sql = "DELETE FROM store WHERE owner = ?1 AND key = ?2";
            return self.execute("remove from the store", sql, [owner.as_str(), key]).map(drop);
        };
        let holder = stored.holder.as_ref().map(|id| self.row_of(id)).transpose()?;
        let sql = "INSERT OR REPLACE INTO store (owner, key, value, holder)
            VALUES (?1, ?2, ?3, ?4)";
        let row = params![owner.as_str(), key, stored.value, holder];
        self.execute("write to the store", sql, row).map(drop)
    }

    fn scan(&self, owner: &Owner, scan: &Scan) -> Result<Vec<(String, String)>, Error> {
        let mut found = Vec::new();
        if scan.limit == 0 {
            return Ok(found);
        }
        let sql = "SELECT key, value FROM store WHERE owner = ?1 AND key >= ?2 ORDER BY key";
        let row = |row: &Row<'_>| {
            let key: String = row.get(0)?;
            let past = !key.starts_with(&scan.prefix);
            if scan.wants(&key) {
                found.push((key, row.get(1)?));
            }
            Ok((past || found.len() >= scan.limit).then_some(()))
        };
        self.first("scan the store", sql, [owner.as_str(), scan.from()], row)?;
        Ok(found)
    }

    fn tally(&self, owner: &Owner, prefix: &str) -> Result<u64, Error> {
        let row = |row: &Row<'_>| number(row, 0);
        let found = if let Some(above) = above(prefix) {
            let sql = "SELECT count(*) FROM store WHERE owner = ?1 AND key >= ?2 AND key < ?3";
            let key = [owner.as_str(), prefix, &above];
            self.one("count entries", sql, key, row)
        } else {
            let sql = "SELECT count(*) FROM store WHERE owner = ?1 AND key >= ?2";
            self.one("count entries", sql, [owner.as_str(), prefix], row)
        };
        Ok(found?.unwrap_or_default())
    }

    fn size(&self, owner: &Owner) -> Result<u64, Error> {
        // Lengths are read without the values themselves.
        let sql = "SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0)
            FROM store WHERE owner = ?1";
        let size = self.one("measure the store", sql, [owner.as_str()], |row| number(row, 0));
        Ok(size?.unwrap_or_default())
    }

    fn persist(&mut self, changes: &[Lasting]) -> Result<(), Halt> {
        lasting::persist(self, changes)
    }

    fn damaged(&self, what: String) -> Error {
        super::fail::damaged(self.path(), what)
    }
}

/// The first text above all that begin with `prefix`; none where there is no such text. Text
/// is in the order of its UTF-8 bytes, which is that of its letters.
fn above(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

impl Db {
    /// The number under which other tables know the attachment.
    fn row_of(&self, id: &AttachmentId) -> Result<i64, Error> {
        if let Some((written, row)) = &self.written
            && written == id
        {
            return Ok(*row);
        }
        let sql = "SELECT id FROM attachment
            WHERE network = ?1 AND container = ?2 AND ifname = ?3";
        let key = params![id.network, id.container, id.ifname];
        let row = self.conn.prepare_cached(sql);
        let row = row.and_then(|mut sql| sql.query_row(key, |row| row.get(0)).optional());
        let row = row.map_err(|error| self.fail("look for the record", &error))?;
        row.ok_or_else(|| self.damaged(format!("an address is {id}'s, who has no record")))
    }
}
