//! GC: what the caller does not list is undone, and nothing else.

use std::collections::BTreeSet;

use wharfinger_cni::{AttachmentId, Node, ValidAttachment};
use wharfinger_ledger::Entry;

use crate::del::{self, undo_recorded};
use crate::{Error, GcMode, Host, deputy, recover};

/// Undoes every attachment of the network that is not in `valid`: links and rules first, then
/// addresses. One that came after this began, or is being worked on, stays. Goes on after an
/// error; all errors come at the end.
pub fn gc(host: &Host, call: &Node, valid: &[ValidAttachment]) -> Result<(), Error> {
    let network = call.conf.name.as_str();
    // The book is read first: an attachment that came after that is never looked at.
    let horizon = host.ledger.horizon()?;
    let valid: BTreeSet<(&str, &str)> =
        valid.iter().map(|v| (v.container.as_str(), v.ifname.as_str())).collect();
    let listed = |id: &AttachmentId| valid.contains(&(id.container.as_str(), id.ifname.as_str()));
    let mut errors = Vec::new();
    for entry in host.ledger.list(Some(network))? {
        if entry.seq <= horizon && !listed(&entry.record.id) {
            errors.extend(collect(host, &entry).err());
        }
    }
    errors.extend(strays(host, network, &listed));
    errors.extend(deputy::gc(host, call).err());
    del::several(errors)
}

fn collect(host: &Host, seen: &Entry) -> Result<(), Error> {
    let id = &seen.record.id;
    // Somebody works on it: it is in flight, not left behind.
    let Some(_hold) =
        host.node.try_lock(id).map_err(|source| Error::Lock { id: id.clone(), source })?
    else {
        return Ok(());
    };
    let Some(now) = host.ledger.get(id)?.filter(|now| now.seq == seen.seq) else {
        return Ok(());
    };
    if host.settings.gc == GcMode::DeadOnly && recover::lives(host.kernel, host.node, &now.record)?
    {
        return Ok(());
    }
    undo_recorded(host, &now, None)
}

/// Links and rules of this network that no record knows.
fn strays(host: &Host, network: &str, listed: &dyn Fn(&AttachmentId) -> bool) -> Vec<Error> {
    let found = match host.kernel.survey() {
        Ok(survey) => recover::attachments(&survey),
        Err(error) => return vec![error.into()],
    };
    let ours = found.into_iter().filter(|f| f.id.network == network && !listed(&f.id));
    ours.flat_map(|f| del::undo_stray(host, &f).err()).collect()
}
