//! Plugins that ask an outside system are told of each attachment's end, also after a crash or a
//! reboot: what is to be told is written down before they can know of the attachment, and taken
//! out once they were told.
//!
//! A notice is due when the book has no record of its attachment and nobody works on it. Telling
//! never fails a verb: what cannot be told now stays, and DEL, GC and the next ADD try again.

use std::collections::BTreeSet;

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::{Notice, Owner, Record, Scope};
use wharfinger_wasm::Node;

use crate::ipam::Allocator;
use crate::{Answer, Error, Host, SessionBook, conf, recover};

/// How many attachments of others one verb tells of.
const AT_ONCE: usize = 8;

/// Writes down that the component is to be told of this attachment's end; its number.
pub(crate) fn post(host: &Host, allocator: &Allocator) -> Result<u64, Error> {
    let request = allocator.request();
    Ok(host.ledger.post(&Notice {
        id: request.attachment.id.clone(),
        plugin: allocator.name().to_owned(),
        config: request.config.clone(),
        attachment: serde_json::to_value(&request.attachment).unwrap_or_default(),
        lease: None,
    })?)
}

/// Whether somebody may have to be told of a record's end. One that was rebuilt, or is of an
/// earlier release, does not say.
pub(crate) fn concerns(record: &Record) -> bool {
    record.conf.get("remote").and_then(serde_json::Value::as_bool) != Some(false)
}

/// Tells of an attachment whose lock the caller has and whose record is gone, then of some that
/// were left behind.
pub(crate) fn tell(host: &Host, own: &AttachmentId) {
    let Ok(notices) = host.ledger.outbox(&own.network) else { return };
    let (mine, others): (Vec<_>, Vec<_>) =
        notices.into_iter().partition(|(_, notice)| notice.id == *own);
    let mut telling = Telling::new(host);
    for (number, notice) in &mine {
        telling.tell(*number, notice);
    }
    telling.tell_due(&own.network, &others);
}

/// Tells of attachments of a network that were left behind.
pub(crate) fn tell_network(host: &Host, network: &str) {
    if let Ok(notices) = host.ledger.outbox(network) {
        Telling::new(host).tell_due(network, &notices);
    }
}

/// What one verb tells.
struct Telling<'a> {
    host: &'a Host<'a>,
    /// Plugins that could not be told. One failure is enough: the outside system is most likely
    /// gone for all of its notices.
    failed: BTreeSet<String>,
}

impl<'a> Telling<'a> {
    fn new(host: &'a Host<'a>) -> Self {
        Self { host, failed: BTreeSet::new() }
    }

    fn tell(&mut self, number: u64, notice: &Notice) {
        if !self.failed.contains(&notice.plugin) && !deliver(self.host, number, notice) {
            self.failed.insert(notice.plugin.clone());
        }
    }

    /// Of those that live there may be any number, and they come first.
    fn tell_due(&mut self, network: &str, notices: &[(u64, Notice)]) {
        if notices.is_empty() {
            return;
        }
        let Ok(entries) = self.host.ledger.list(Some(network)) else { return };
        let living: BTreeSet<&AttachmentId> = entries.iter().map(|e| &e.record.id).collect();
        let mut asked = 0;
        for (number, notice) in notices.iter().filter(|(_, n)| !living.contains(&n.id)) {
            if asked == AT_ONCE {
                return;
            }
            if self.failed.contains(&notice.plugin) {
                continue;
            }
            // Somebody works on it.
            let Ok(Some(_hold)) = self.host.node.try_lock(&notice.id) else { continue };
            if matches!(recover::recorded(self.host, &notice.id), Ok(None)) {
                asked += 1;
                self.tell(*number, notice);
            }
        }
    }
}

/// Whether the plugin was told. The attachment's lock is the caller's.
fn deliver(host: &Host, number: u64, notice: &Notice) -> bool {
    if host.node.remaining().is_zero() {
        return false;
    }
    let identity = host.engine.ipam(&notice.plugin).map(|plugin| plugin.identity().to_owned());
    host.notes.asked(identity.as_deref().unwrap_or(&notice.plugin), "released");
    match released(host, notice).and_then(|()| Ok(host.ledger.delivered(number)?)) {
        Ok(()) => {
            host.notes.answered(&Answer::Fine);
            true
        }
        Err(error) => {
            let error = error.to_string();
            host.notes.answered(&Answer::Failed { error: &error, passed: true });
            false
        }
    }
}

fn released(host: &Host, notice: &Notice) -> Result<(), Error> {
    let plugin = host.engine.ipam(&notice.plugin)?;
    let unreadable = |error: serde_json::Error| Error::Outbox(error.to_string());
    let attachment = serde_json::from_value(notice.attachment.clone()).map_err(unreadable)?;
    let lease = notice.lease.clone().map(serde_json::from_value).transpose();
    let lease = lease.map_err(unreadable)?;
    let node = Node { now: host.node.now(), ..host.settings.node.clone() };
    // Only for its log and for HTTP: nothing of this session is ever written.
    let scope =
        Scope { id: notice.id.clone(), domain: conf::CHAINED.to_owned(), now: host.node.now() };
    let mut session = host.ledger.session(scope)?;
    let owner = Owner::of_network(&notice.id.network, &notice.plugin);
    let book = SessionBook::new(&mut *session, owner);
    let mut book = book.noting(host.notes, plugin.identity());
    Ok(plugin.released(&node, &notice.config, &attachment, lease.as_ref(), &mut book)?)
}
