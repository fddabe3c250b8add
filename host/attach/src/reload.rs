//! Our part of the packet filter, made anew from the book: for when somebody emptied it, as
//! reloading nftables or firewalld does.
//!
//! All of it is made in one transaction from what the book has at that time. Others go on
//! meanwhile: what came or went between the look and the transaction is seen by a second look, and
//! what is being worked on is waited for. So the rules are those of the book in the end.

use std::collections::BTreeSet;

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::Entry;
use wharfinger_plan::Action;

use crate::{Error, Host, del};

/// Makes it anew; how many attachments it is of.
pub fn reload(host: &Host) -> Result<usize, Error> {
    let mut entries = host.ledger.list(None)?;
    loop {
        let actions: Vec<Action> = actions(&entries);
        host.kernel.reload(&actions)?;
        settle(host, &entries)?;
        let now = host.ledger.list(None)?;
        if writings(&now) == writings(&entries) {
            return Ok(entries.len());
        }
        entries = now;
        if host.node.remaining().is_zero() {
            return Err(Error::Unfinished { left: entries.len() });
        }
    }
}

/// What the attachments' plans have: the kernel passes over what is not of the packet filter.
fn actions(entries: &[Entry]) -> Vec<Action> {
    let steps = entries.iter().flat_map(|entry| &entry.record.plan.steps);
    steps.map(|step| step.action.clone()).collect()
}

/// Which record each attachment has: one that was written anew has another number.
fn writings(entries: &[Entry]) -> BTreeSet<(&AttachmentId, u64)> {
    entries.iter().map(|entry| (&entry.record.id, entry.seq)).collect()
}

/// Waits for who works on one of these: he may have undone it in the kernel before the transaction
/// made it anew, and take it out of the book only then.
fn settle(host: &Host, entries: &[Entry]) -> Result<(), Error> {
    for (done, entry) in entries.iter().enumerate() {
        host.notes.went(done, entries.len());
        let id = &entry.record.id;
        let free =
            host.node.try_lock(id).map_err(|source| Error::Lock { id: id.clone(), source })?;
        if free.is_none() {
            drop(del::lock(host, id)?);
        }
    }
    Ok(())
}
