//! What a node of a cluster does beside the verbs: the cluster's book and its own one are made to
//! agree, and attachments are taken down whose addresses are to be another's. Frees nothing that
//! somebody works on, or that may live.

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::cluster::{ClusterLedger, Mended, OwnBook, Went};
use wharfinger_ledger::{Ledger, Record};

use crate::del::{self, undo_recorded};
use crate::{Error, Host, Node, recover};

/// See [`ClusterLedger::mend`].
pub fn mend<S: OwnBook>(
    ledger: &ClusterLedger<S>,
    node: &dyn Node,
    anew: bool,
    went: Went<'_>,
) -> Result<Mended, Error> {
    let own: &dyn Ledger = ledger.own();
    let hold = |id: &AttachmentId| {
        // Its record may be under a stand-in, which a book has that was put together anew.
        let nameless = recover::stand_in(id).is_some_and(|id| !matches!(own.get(&id), Ok(None)));
        if nameless { None } else { node.try_lock(id).ok().flatten() }
    };
    Ok(ledger.mend(anew, node.now(), hold, went)?)
}

/// Takes down what is wanted, as DEL does, until the deadline; answers what went. One that somebody
/// works on stays: whoever calls this comes again.
pub fn evict(host: &Host, wanted: &dyn Fn(&Record) -> bool) -> Result<Vec<AttachmentId>, Error> {
    let (mut gone, mut errors) = (Vec::new(), Vec::new());
    for entry in host.ledger.list(None)?.into_iter().filter(|entry| wanted(&entry.record)) {
        if host.node.remaining().is_zero() {
            break;
        }
        let Some(_hold) = del::seize(host, &entry)? else { continue };
        match undo_recorded(host, &entry, None) {
            Ok(()) => {
                host.notes.detached(&entry.record.id, "its addresses are to be another's");
                gone.push(entry.record.id);
            }
            Err(error) => errors.push(error),
        }
    }
    del::several(errors).map(|()| gone)
}

/// Whether the record's addresses are in the ledger: not those of a directory of the reference's.
pub fn holds(record: &Record) -> bool {
    !record.addresses.is_empty() && record.conf.get("called").is_none()
}
