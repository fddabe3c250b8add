//! Behind other plugins of a list, or around some: the interface is not ours, so the attachment has
//! a record of its own, under a name that no interface can have.
//!
//! Several entries of one list may be ours, and each has its own record: its name tells them apart,
//! and follows from the call alone, so that a DEL finds it. Under our own type an operator may
//! change an entry between ADD and DEL: where there is no record of the entry as it is now, those
//! of the attachment are undone, whatever they were.

use wharfinger_cni::{Attach, AttachmentId, NetConf};
use wharfinger_ledger::Entry;

use crate::conf::{self, Place};
use crate::{Error, Host, before, del, deputy, names, policy, recover, wrap};

/// No interface has a colon in its name.
const MARK: char = ':';

/// How a mark under our own type begins, by place.
const CHAINED: &str = "chained";
const WRAPPED: &str = "wrapped";

/// The reference plugin that gives addresses, and keeps no book of its own.
const STATIC: &str = "static";

/// The driver whose interface has one name.
const LOOPBACK: &str = "loopback";

/// Under what the book has the attachment that a call is about: as it is where we make the interface
/// or give its addresses. Otherwise marked: by the plugin's name under a reference plugin's, else by
/// what the entry has (`eth0:portmap`, `eth0:chained:firewall+portmap`, `eth0:wrapped:macvlan`).
pub fn key(id: &AttachmentId, conf: &NetConf) -> AttachmentId {
    let mark = match conf::place(conf) {
        Ok(Place::Chained) if names::kind(&conf.called).is_some() => conf.called.clone(),
        Ok(Place::Chained) => chained(conf),
        // The main plugin may be ours as well, and have the attachment's own record and lock.
        Ok(Place::Ipam) if conf.called == STATIC => conf.called.clone(),
        // Behind another it is called with that one's interface, and is about `lo` all the same.
        Ok(Place::Main { driver }) if driver == LOOPBACK && id.ifname != "lo" => driver,
        Ok(Place::Wrapper) => marked(WRAPPED, &wrap::names(conf)),
        _ => return id.clone(),
    };
    AttachmentId { ifname: format!("{}{MARK}{mark}", id.ifname), ..id.clone() }
}

fn chained(conf: &NetConf) -> String {
    let features = conf.fields().object("features").ok().flatten();
    let keys = features.iter().flat_map(|features| features.map().keys());
    let mut features: Vec<String> = keys.map(|key| key.to_ascii_lowercase()).collect();
    features.sort();
    let policies = policy::names(conf);
    marked(&marked(CHAINED, &features), &policies)
}

/// The names behind the mark, one word without a slash: a link's alias carries it.
fn marked(mark: &str, names: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let names: Vec<String> = names.iter().map(|name| name.chars().map(plain).collect()).collect();
    if names.is_empty() { mark.to_owned() } else { format!("{mark}{MARK}{}", names.join("+")) }
}

/// The interface that a record is about.
pub fn interface(ifname: &str) -> &str {
    ifname.split(MARK).next().unwrap_or(ifname)
}

/// What a DEL is about.
enum Of {
    /// What we made ourselves.
    Own,
    /// What an entry behind or around others did.
    Marked,
    /// All of it: a DEL may have no more than the network's name.
    All,
}

fn of(call: &Attach) -> Of {
    let fields = call.conf.fields();
    let says = |key: &&str| fields.get(key).is_some();
    match conf::place(&call.conf) {
        Ok(Place::Ipam) if call.conf.called == STATIC => Of::Marked,
        Ok(Place::Main { .. } | Place::Ipam) => Of::Own,
        Ok(Place::Wrapper) => Of::Marked,
        Ok(Place::Chained)
            if names::kind(&call.conf.called).is_some()
                || call.prev_result.is_some()
                || ["policies", "features"].iter().any(says) =>
        {
            Of::Marked
        }
        // A configuration that cannot be read may be of either kind, and a delegate's may be gone.
        Ok(Place::Chained) | Err(_) => Of::All,
    }
}

/// DEL of what stands under marks; whether what we made ourselves is to be deleted too.
pub(crate) fn del(host: &Host, call: &Attach) -> Result<bool, Error> {
    let key = key(&call.id, &call.conf);
    match of(call) {
        // A loopback behind an interface: what has the call's own names is that one's.
        Of::Own if key != call.id => del_record(host, call, &key).map(|_| false),
        Of::Own => Ok(true),
        Of::All => del_marked(host, call).map(|_| true),
        Of::Marked => del_entry(host, call, &key).map(|()| false),
    }
}

fn del_entry(host: &Host, call: &Attach, key: &AttachmentId) -> Result<(), Error> {
    if del_record(host, call, key)? {
        return Ok(());
    }
    if is_our_type(&call.conf) && (del_marked(host, call)? || del_own(host, call)?) {
        return Ok(());
    }
    let _hold = del::lock(host, key)?;
    let mut errors = before::undo(host, call);
    errors.extend(deputy::release_unrecorded(host, call).err());
    del::several(errors)
}

/// Where there is no record of what we made ourselves: an entry that had no driver when it was added did
/// what it did behind or around others.
pub(crate) fn before_its_driver(host: &Host, call: &Attach) -> Result<(), Error> {
    if has_driver(&call.conf) { del_marked(host, call).map(drop) } else { Ok(()) }
}

/// Undoes what an entry of our own type made when it had a driver. Where that is another entry of
/// the list, its own DEL comes next, and finds nothing left to do.
fn del_own(host: &Host, call: &Attach) -> Result<bool, Error> {
    let _hold = del::lock(host, &call.id)?;
    let Some(entry) = recover::recorded(host, &call.id)? else { return Ok(false) };
    if !deputy::kept_conf(&entry.record.conf).is_some_and(|conf| has_driver(&conf)) {
        return Ok(false);
    }
    del::undo_recorded(host, &entry, Some(call)).map(|()| true)
}

/// Under a reference plugin's name an entry cannot become another's.
fn is_our_type(conf: &NetConf) -> bool {
    names::kind(&conf.called).is_none()
}

fn has_driver(conf: &NetConf) -> bool {
    is_our_type(conf) && matches!(conf::place(conf), Ok(Place::Main { .. }))
}

fn del_record(host: &Host, call: &Attach, key: &AttachmentId) -> Result<bool, Error> {
    let _hold = del::lock(host, key)?;
    match recover::recorded(host, key)? {
        Some(entry) => del::undo_recorded(host, &entry, Some(call)).map(|()| true),
        None => Ok(false),
    }
}

/// Undoes all that entries of our own type did behind or around others, the last first. Whether
/// there was any.
fn del_marked(host: &Host, call: &Attach) -> Result<bool, Error> {
    let mut entries = host.ledger.list(Some(&call.id.network))?;
    entries.retain(|entry| is_of(entry, &call.id));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.seq));
    let dels = entries.iter().map(|entry| del_record(host, call, &entry.record.id));
    let errors: Vec<Error> = dels.filter_map(Result::err).collect();
    del::several(errors)?;
    Ok(!entries.is_empty())
}

fn is_of(entry: &Entry, id: &AttachmentId) -> bool {
    let record = &entry.record.id;
    let marks = record.ifname.strip_prefix(id.ifname.as_str());
    let mark = marks.and_then(|rest| rest.strip_prefix(MARK));
    record.container == id.container
        && mark.is_some_and(|mark| mark.starts_with(CHAINED) || mark.starts_with(WRAPPED))
}
