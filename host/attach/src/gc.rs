//! GC: what the caller does not list is undone, and nothing else.

use std::collections::BTreeSet;

use wharfinger_cni::{AttachmentId, Node, ValidAttachment};
use wharfinger_ledger::Entry;

use crate::del::{self, undo_recorded};
use crate::network::pretended;
use crate::{Error, GcMode, Host, chain, deputy, outbox, recover, reserve};

/// The key of a configuration that was made for Docker.
const DOCKER: &str = "docker";
/// Why GC undoes an attachment.
const NOT_LISTED: &str = "GC did not list it";

/// Undoes every attachment of the network that is not in `valid`: links and rules first, then
/// addresses. One that came after this began, or is being worked on, stays. Goes on after an
/// error; all errors come at the end.
pub fn gc(host: &Host, call: &Node, valid: &[ValidAttachment]) -> Result<(), Error> {
    let network = call.conf.name.as_str();
    // The book is read first: an attachment that came after that is never looked at.
    let horizon = host.ledger.horizon()?;
    let keep: BTreeSet<(&str, &str)> =
        valid.iter().map(|v| (v.container.as_str(), v.ifname.as_str())).collect();
    let listed =
        |id: &AttachmentId| keep.contains(&(id.container.as_str(), chain::interface(&id.ifname)));
    let (mut errors, mut left) = (Vec::new(), 0);
    if reserve::called_alone(&call.conf) {
        return reserve::collect(host, call, &listed);
    }
    let entries = host.ledger.list(Some(network))?;
    for (done, entry) in entries.iter().enumerate() {
        host.notes.went(done, entries.len());
        if entry.seq > horizon || listed(&entry.record.id) || is_another_s(call, entry) {
            continue;
        }
        if host.node.remaining().is_zero() {
            left += 1;
        } else {
            errors.extend(collect(host, call, entry).err());
        }
    }
    if left > 0 {
        errors.push(Error::Unfinished { left });
    }
    errors.extend(strays(host, network, &listed));
    errors.extend(reserve::collect(host, call, &listed).err());
    errors.extend(deputy::gc(host, call, valid).err());
    outbox::tell_network(host, network);
    del::several(errors)
}

/// Docker may share a network's pool, and a runtime that collects does not know what Docker has.
fn is_another_s(call: &Node, entry: &Entry) -> bool {
    let kept = entry.record.conf.get("network").and_then(|network| network.get(DOCKER));
    kept.is_some() && call.conf.fields().get(DOCKER).is_none()
}

fn collect(host: &Host, call: &Node, seen: &Entry) -> Result<(), Error> {
    let record = &seen.record;
    // Somebody works on it: it is in flight, not left behind.
    let Some(_hold) = del::seize(host, seen)? else { return Ok(()) };
    if host.settings.gc == GcMode::DeadOnly && recover::lives(host.kernel, host.node, record)? {
        return Ok(());
    }
    let mut del = pretended(&call.conf, &record.id.ifname, &record.id.container);
    del.path.clone_from(&call.path);
    undo_recorded(host, seen, Some(&del))?;
    host.notes.detached(&record.id, NOT_LISTED);
    Ok(())
}

/// Links and rules of this network that no record knows.
fn strays(host: &Host, network: &str, listed: &dyn Fn(&AttachmentId) -> bool) -> Vec<Error> {
    // Nothing is decided from what is missing there: it is looked for again by the next GC.
    let found = match host.kernel.seen() {
        Ok(survey) => recover::attachments(&survey),
        Err(error) => return vec![error.into()],
    };
    // A link is there as long as its container is: then that lives.
    let vetoed = |f: &recover::Found| {
        host.settings.gc == GcMode::DeadOnly && recover::host_link(&f.plan).is_some()
    };
    found
        .into_iter()
        .filter(|f| f.id.network == network && !listed(&f.id) && !vetoed(f))
        .take_while(|_| !host.node.remaining().is_zero())
        .filter_map(|f| match del::undo_stray(host, &f) {
            Ok(true) => {
                host.notes.detached(&f.id, NOT_LISTED);
                None
            }
            Ok(false) => None,
            Err(error) => Some(error),
        })
        .collect()
}
