//! DEL: from the ledger alone, as much as can be, and never twice the same.

use std::path::Path;
use std::time::Duration;

use wharfinger_cni::{Attach, AttachmentId};
use wharfinger_kernel::{AtPath, Netns};
use wharfinger_ledger::{Entry, Release};
use wharfinger_plan::Action;

use crate::deputy::At;
use crate::recover::{self, Found};
use crate::{Error, Hold, Host, before, chain, deputy, dhcp, moved, outbox, reserve};

/// Detaches. Needs no namespace, no previous result and no configuration but the name; repeated,
/// or before any ADD, it succeeds.
pub fn del(host: &Host, call: &Attach) -> Result<(), Error> {
    if reserve::called_alone(&call.conf) {
        return reserve::del(host, call);
    }
    if !chain::del(host, call)? {
        return Ok(());
    }
    let _hold = lock(host, &call.id)?;
    let Some(entry) = recover::recorded(host, &call.id)? else {
        chain::before_its_driver(host, call)?;
        return undo_unrecorded(host, call);
    };
    undo_recorded(host, &entry, Some(call))
}

/// Waits for the attachment's lock.
pub(crate) fn lock(host: &Host, id: &AttachmentId) -> Result<Hold, Error> {
    host.node
        .lock(id)
        .map_err(|source| Error::Lock { id: id.clone(), source })?
        .ok_or_else(|| Error::Locked { id: id.clone() })
}

/// Locks an attachment that was seen without its lock. None where somebody works on it, or has
/// done so since: it is not what was seen any more.
pub(crate) fn seize(host: &Host, seen: &Entry) -> Result<Option<Hold>, Error> {
    let id = &seen.record.id;
    let hold = host.node.try_lock(id).map_err(|source| Error::Lock { id: id.clone(), source })?;
    let Some(hold) = hold else { return Ok(None) };
    let same = host.ledger.get(id)?.is_some_and(|now| now.seq == seen.seq);
    Ok(same.then_some(hold))
}

/// Undoes what the record says, then frees what it holds. Where the kernel keeps something, the
/// record stays, and with it the addresses: the next DEL or GC tries again.
pub(crate) fn undo_recorded(
    host: &Host,
    entry: &Entry,
    call: Option<&Attach>,
) -> Result<(), Error> {
    undo_for(host, entry, call, deputy::cool_down(&entry.record.conf))
}

/// As [`undo_recorded`]; the addresses rest for `cool`.
pub(crate) fn undo_for(
    host: &Host,
    entry: &Entry,
    call: Option<&Attach>,
    cool: Duration,
) -> Result<(), Error> {
    let record = &entry.record;
    let (netns, path) = own_netns(host, entry, call).unzip();
    // A record that was rebuilt from what a runtime kept knows of no step.
    let nothing = record.plan.steps.is_empty();
    let told = call.filter(|call| nothing && call.id == record.id);
    let known = told.map(wharfinger_drivers::leftovers_of);
    let plan = known.as_ref().unwrap_or(&record.plan);
    // Backwards: whoever gave addresses on the link may need it to take them back.
    dhcp::release(host, record, netns.as_ref());
    let given_back = deputy::release(host, record, At { call, netns: path });
    let mut errors: Vec<Error> = given_back.err().into_iter().collect();
    let undone = host.kernel.undo(plan, netns.as_ref());
    errors.extend(undone.into_iter().map(Error::from));
    if moved::is_moved(record) {
        errors.extend(moved::undo(host, record, call));
    }
    several(errors)?;
    match host.ledger.release(&record.id, entry.seq, host.node.now(), cool)? {
        Release::Done | Release::Absent => {
            if outbox::concerns(record) {
                outbox::tell(host, &record.id);
            }
            Ok(())
        }
        // Only a process without the lock can have written it: not ours to free any more.
        Release::Stale => Err(Error::Locked { id: record.id.clone() }),
    }
}

/// The namespace that the record is about, where the caller's path or the record's own still
/// leads to it: another one at that path is not touched.
fn own_netns<'p>(
    host: &Host,
    entry: &'p Entry,
    call: Option<&'p Attach>,
) -> Option<(Netns, &'p Path)> {
    let cookie = entry.record.cookie?;
    let called = call.and_then(|call| call.netns.as_deref());
    let recorded = entry.record.netns.as_deref().map(Path::new);
    called.into_iter().chain(recorded).find_map(|path| match host.kernel.netns(path) {
        Ok(AtPath::Netns(netns)) if netns.cookie == cookie => Some((netns, path)),
        _ => None,
    })
}

/// The namespace that the runtime names, unless it is the host's own: inside it only what carries
/// the attachment's marks is touched.
fn called_netns(host: &Host, call: &Attach) -> Option<Netns> {
    let own = host.kernel.host_cookie().ok()?;
    match host.kernel.netns(call.netns.as_deref()?) {
        Ok(AtPath::Netns(netns)) if netns.cookie != own => Some(netns),
        _ => None,
    }
}

/// There is no record: what can be known by name and from the previous result is undone.
fn undo_unrecorded(host: &Host, call: &Attach) -> Result<(), Error> {
    let mut plan = wharfinger_drivers::leftovers_of(call);
    if plan.steps.iter().any(|step| matches!(step.action, Action::Route(_))) {
        let given_on = before::given_on(host, call)?;
        plan.steps.retain(|step| match &step.action {
            Action::Route(route) => !given_on.contains(&route.destination.addr()),
            _ => true,
        });
    }
    let netns = called_netns(host, call);
    let mut errors: Vec<Error> =
        host.kernel.undo(&plan, netns.as_ref()).into_iter().map(Error::from).collect();
    errors.extend(moved::undo_unrecorded(host, call));
    errors.extend(deputy::release_unrecorded(host, call).err());
    // The record may have gone in a reboot that the notice outlived.
    outbox::tell(host, &call.id);
    several(errors)
}

/// Undoes what the kernel has of an attachment that no record knows. False where somebody works on it, or
/// has done so meanwhile.
pub(crate) fn undo_stray(host: &Host, found: &Found) -> Result<bool, Error> {
    let id = &found.id;
    let Some(_hold) =
        host.node.try_lock(id).map_err(|source| Error::Lock { id: id.clone(), source })?
    else {
        return Ok(false);
    };
    if host.ledger.get(id)?.is_some() {
        return Ok(false);
    }
    // Since it was seen its own DEL may have come to its end.
    if !recover::attachments(&host.kernel.seen()?).iter().any(|now| now.id == *id) {
        return Ok(false);
    }
    several(host.kernel.undo(&found.plan, None).into_iter().map(Error::from).collect())?;
    Ok(true)
}

/// One error is itself; several are listed.
pub(crate) fn several(mut errors: Vec<Error>) -> Result<(), Error> {
    match errors.len() {
        0 => Ok(()),
        1 => errors.pop().map_or(Ok(()), Err),
        _ => Err(Error::Several(errors)),
    }
}
