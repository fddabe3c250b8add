//! Ports of the host, by protocol, number and address: whether one is somebody's is one look
//! into the index for a port of one address, and one more for a port of all.

use rusqlite::{Row, params};
use wharfinger_cni::{AttachmentId, Protocol};

use super::db::Db;
use super::rows;
use crate::Error;
use crate::port::Spot;

/// As IANA numbers them.
fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Somebody else whose port clashes with this one: of several, that of the lowest address.
pub(super) fn holder(
    db: &Db,
    spot: Spot,
    but: &AttachmentId,
) -> Result<Option<AttachmentId>, Error> {
    let one = "SELECT p.holder, t.network, t.container, t.ifname
        FROM port p LEFT JOIN attachment t ON t.id = p.holder
        WHERE p.protocol = ?1 AND p.port = ?2 AND p.address IN (?3, ?4) ORDER BY p.address";
    let any = "SELECT p.holder, t.network, t.container, t.ifname
        FROM port p LEFT JOIN attachment t ON t.id = p.holder
        WHERE p.protocol = ?1 AND p.port = ?2 AND p.address BETWEEN ?3 AND ?4
        ORDER BY p.address";
    let (sql, last) = if spot.is_of_all() { (any, spot.of_last()) } else { (one, spot) };
    let (first, last) = (spot.of_all().at.key(), last.at.key());
    let key = params![number(spot.protocol), spot.port, first, last];
    let row = |row: &Row<'_>| Ok(rows::holder(row, 0)?.filter(|holder| holder != but));
    db.first("look who has the port", sql, key, row)
}

/// The port, which is nobody else's, is the record's of this number.
pub(super) fn hold(db: &Db, spot: Spot, record: i64) -> Result<(), Error> {
    let sql = "INSERT INTO port (protocol, port, address, holder) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET holder = excluded.holder";
    let row = params![number(spot.protocol), spot.port, spot.at.key(), record];
    db.execute("write the port", sql, row).map(drop)
}

/// The port is free, where it was the record's of this number.
pub(super) fn free(db: &Db, spot: Spot, record: i64) -> Result<(), Error> {
    let sql = "DELETE FROM port
        WHERE protocol = ?1 AND port = ?2 AND address = ?3 AND holder = ?4";
    let row = params![number(spot.protocol), spot.port, spot.at.key(), record];
    db.execute("free the port", sql, row).map(drop)
}
