//! Behind other plugins of a list, without a driver: policies on what those made, and no step of
//! our own.
//!
//! The interface is another entry's, and that may be ours as well: so the attachment has a record
//! of its own, under a name that no interface can have. The record is there so that what policies
//! wrote for the attachment goes with it.

use wharfinger_cni::{Attach, AttachmentId, NetConf};

use crate::conf::{self, Place};
use crate::{Error, Host, del};

/// No interface has a colon in its name.
const MARK: &str = ":chained";

/// Under what the book has an attachment, where we stand behind others.
pub(crate) fn key(id: &AttachmentId) -> AttachmentId {
    AttachmentId { ifname: format!("{}{MARK}", id.ifname), ..id.clone() }
}

/// The interface that a record is about.
pub(crate) fn interface(ifname: &str) -> &str {
    ifname.strip_suffix(MARK).unwrap_or(ifname)
}

/// Whether a configuration puts us behind others.
pub(crate) fn is_chained(conf: &NetConf) -> bool {
    conf::place(conf).is_ok_and(|place| place == Place::Chained)
}

/// DEL of our record; false where there is none, and nothing says that it is not about the
/// interface itself: a DEL may have no more than the network's name.
pub(crate) fn del(host: &Host, call: &Attach) -> Result<bool, Error> {
    let key = key(&call.id);
    let _hold = del::lock(host, &key)?;
    if let Some(entry) = host.ledger.get(&key)? {
        del::undo_recorded(host, &entry, Some(call))?;
        return Ok(true);
    }
    Ok(call.prev_result.is_some() || call.conf.fields().get("policies").is_some())
}
