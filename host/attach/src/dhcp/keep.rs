//! What becomes of leases after ADD, for whoever renews them: which there are, and what to do
//! when one is extended, lost, or got anew.
//!
//! Each of these holds the attachment's lock while it works, and takes nothing for granted that
//! was known before: a DEL may have come in between. Nothing here speaks to a server.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_dhcp::{Asked, Lease};
use wharfinger_kernel::{AtPath, LinkFacts, Netns};
use wharfinger_ledger::{Entry, Record, Release, State};
use wharfinger_plan::LinkRef;

use super::{bare, conf, had, is_of, lease, was_leased, with_lease};
use crate::{Error, Hold, Host, add, del, deputy};

/// A lease that is to be looked after.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Whose.
    pub id: AttachmentId,
    /// Where its link is.
    pub netns: PathBuf,
    /// The namespace's cookie: another one at that path is not it.
    pub cookie: Option<u64>,
    /// What is asked of a server.
    pub asked: Asked,
    /// None: it was lost, and another is to be found.
    pub lease: Option<Lease>,
    /// The address of a lease that was forgotten with the book, and is to be asked for.
    pub had: Option<Ipv4Addr>,
}

impl Kept {
    /// The address that the interface has, as far as is known.
    pub fn known(&self) -> Option<Ipv4Addr> {
        self.lease.as_ref().map(|lease| lease.address.addr()).or(self.had)
    }
}

/// What came of telling the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is written down, and so is the kernel.
    Done,
    /// Somebody works on the attachment: later.
    Busy,
    /// The attachment is no more.
    Gone,
}

/// All leases of attachments that stand, or may.
pub fn leases(host: &Host) -> Result<Vec<Kept>, Error> {
    let records = host.ledger.list(None)?.into_iter().map(|entry| entry.record);
    Ok(records.filter(may_stand).filter_map(|record| kept(&record)).collect())
}

/// An ADD that got a lease may have been killed after its reply: the container runs, and nobody
/// finishes the record. Before there is a lease, the ADD itself asks.
fn may_stand(record: &Record) -> bool {
    match record.state {
        State::Attached => is_of(record),
        State::Pending => was_leased(record),
    }
}

fn kept(record: &Record) -> Option<Kept> {
    let call = call_of(record)?;
    Some(Kept {
        id: record.id.clone(),
        netns: call.netns.clone()?,
        cookie: record.cookie,
        asked: conf::asked(&call).ok()?,
        lease: lease(record),
        had: had(record).map(|address| address.addr()),
    })
}

/// The call that a record came of.
pub(crate) fn call_of(record: &Record) -> Option<Attach> {
    let text = record.conf.get("args").and_then(Value::as_str).unwrap_or_default();
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    let path = record.conf.get("path").cloned().unwrap_or_default();
    Some(Attach {
        id: record.id.clone(),
        netns: record.netns.as_ref().map(PathBuf::from),
        args: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        path: serde_json::from_value(path).unwrap_or_default(),
        netns_override: false,
        conf: deputy::kept_conf(&record.conf)?,
        prev_result: None,
    })
}

/// The namespace and the link of a lease, where both are still there.
pub fn link(host: &Host, kept: &Kept, prefix: &Path) -> Result<Option<(Netns, LinkFacts)>, Error> {
    let Some(netns) = netns(host, &kept.netns, kept.cookie, prefix)? else { return Ok(None) };
    let link = super::find(host, &LinkRef::container(&kept.id.ifname), &netns)?;
    Ok(link.map(|link| (netns, link)))
}

fn netns(
    host: &Host,
    path: &Path,
    cookie: Option<u64>,
    prefix: &Path,
) -> Result<Option<Netns>, Error> {
    let path = match path.strip_prefix("/") {
        Ok(rest) if !prefix.as_os_str().is_empty() => prefix.join(rest),
        _ => path.to_owned(),
    };
    match host.kernel.netns(&path)? {
        AtPath::Netns(netns) if cookie.is_none_or(|cookie| cookie == netns.cookie) => {
            Ok(Some(netns))
        }
        AtPath::Netns(_) | AtPath::Gone => Ok(None),
    }
}

/// One attachment, held.
struct Held {
    entry: Entry,
    netns: Netns,
    _hold: Hold,
}

enum Holding {
    Held(Box<Held>),
    Not(Told),
}

fn hold(host: &Host, id: &AttachmentId, prefix: &Path) -> Result<Holding, Error> {
    let hold = host.node.try_lock(id);
    let hold = hold.map_err(|source| Error::Lock { id: id.clone(), source })?;
    let Some(hold) = hold else { return Ok(Holding::Not(Told::Busy)) };
    let entry = host.ledger.get(id)?;
    let Some(entry) = entry.filter(|entry| may_stand(&entry.record)) else {
        return Ok(Holding::Not(Told::Gone));
    };
    let record = &entry.record;
    let path = PathBuf::from(record.netns.clone().unwrap_or_default());
    Ok(match netns(host, &path, record.cookie, prefix)? {
        Some(netns) => Holding::Held(Box::new(Held { entry, netns, _hold: hold })),
        None => Holding::Not(Told::Gone),
    })
}

/// A lease has begun, or goes on. Where nothing but its times is new, that is written down, and so
/// is one that was forgotten;
/// otherwise the container's interface becomes as an ADD with this lease would make it, policies
/// being asked as for an ADD, and what came of the old lease goes.
pub fn bound(host: &Host, id: &AttachmentId, lease: &Lease, prefix: &Path) -> Result<Told, Error> {
    let held = match hold(host, id, prefix)? {
        Holding::Held(held) => *held,
        Holding::Not(told) => return Ok(told),
    };
    if is_known(&held.entry.record, lease) {
        return amend(host, &held.entry, |record| {
            record.conf = with_lease(&record.conf, Some(lease));
        });
    }
    let call = call_of(&held.entry.record).ok_or_else(|| Error::NotAttached(id.clone()))?;
    let held = stripped(host, held)?;
    match add::again(host, &call, &held.netns, &held.entry.record, lease) {
        Ok(result) => finish(host, id, &result, lease, &call),
        Err(error) => {
            // It is as after the loss of a lease; the address is not to be kept from others.
            super::give_back(host, &call, &held.netns, lease);
            Err(error)
        }
    }
}

/// Whether the interface is as it is with this lease.
fn is_known(record: &Record, now: &Lease) -> bool {
    match lease(record) {
        Some(before) => same(&before, now),
        None => had(record) == Some(now.address),
    }
}

/// Whether a lease gives what another gave, but for its times and whom to ask.
fn same(one: &Lease, other: &Lease) -> bool {
    one.address == other.address && one.routers == other.routers && one.routes == other.routes
}

fn finish(
    host: &Host,
    id: &AttachmentId,
    result: &Success,
    lease: &Lease,
    call: &Attach,
) -> Result<Told, Error> {
    let Some(entry) = host.ledger.get(id)? else { return Ok(Told::Gone) };
    amend(host, &entry, |record| {
        record.result = result.render(call.conf.version).ok();
        record.conf = with_lease(&record.conf, Some(lease));
    })
}

/// A lease has ended or was taken back: its address must not be used any more. Address and routes
/// go, and whatever the host did for that address; the interface stays, to ask for another.
pub fn lost(host: &Host, id: &AttachmentId, prefix: &Path) -> Result<Told, Error> {
    match hold(host, id, prefix)? {
        Holding::Held(held) => stripped(host, *held).map(|_| Told::Done),
        Holding::Not(told) => Ok(told),
    }
}

fn stripped(host: &Host, held: Held) -> Result<Held, Error> {
    let record = &held.entry.record;
    let bare = bare(record);
    let mut errors = host.kernel.undo(&record.plan.beyond(&bare), Some(&held.netns));
    // No step of a plan gave it.
    let given = lease(record).filter(|_| bare.steps.is_empty()).map(|lease| lease.address);
    if let Some(address) = given.or_else(|| had(record)) {
        let plan = wharfinger_drivers::address_of(&record.id.ifname, address.into());
        errors.extend(host.kernel.undo(&plan, Some(&held.netns)));
    }
    // The link's alias has no address any more.
    errors.extend(host.kernel.apply(&bare.after(&record.plan), &held.netns).err());
    del::several(errors.into_iter().map(Error::from).collect())?;
    amend(host, &held.entry, |record| {
        record.plan = bare.clone();
        record.addresses.clear();
        record.conf = with_lease(&record.conf, None);
    })?;
    let entry = host.ledger.get(&held.entry.record.id)?;
    Ok(Held {
        entry: entry.ok_or_else(|| Error::NotAttached(held.entry.record.id.clone()))?,
        ..held
    })
}

/// Writes down what has become of an attachment whose lock is held.
fn amend(host: &Host, entry: &Entry, change: impl FnOnce(&mut Record)) -> Result<Told, Error> {
    let mut record = entry.record.clone();
    change(&mut record);
    Ok(match host.ledger.amend(&record, entry.seq)? {
        Release::Done => Told::Done,
        Release::Absent | Release::Stale => Told::Gone,
    })
}
