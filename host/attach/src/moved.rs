//! A network that moved from the reference plugins to our own type, while containers run on it: at
//! its first use the ledger takes over what the directory of the reference's `host-local` has, so
//! that no running container's address is given to another. The directory stays as it is, less what
//! is released: the way back is open.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};
use wharfinger_cni::{Attach, AttachmentId, NetConf};
use wharfinger_kernel::AtPath;
use wharfinger_ledger::reserved::{Reservation, Reserved};
use wharfinger_ledger::{Commit, Record, Session, State};
use wharfinger_plan::Plan;

use crate::network::{Network, pretended};
use crate::{Error, Host, add, allow, before, conf, deputy, reserve};

/// By which a record says that the reference made what it is about.
const MOVED: &str = "moved";

/// Takes over what the directory has, once a boot.
pub(crate) fn take_over(host: &Host, call: &Attach, network: &Network) -> Result<(), Error> {
    let Some(dir) = network.ipam.as_ref().and_then(|ipam| ipam.import.as_ref()) else {
        return Ok(());
    };
    reserve::open(host, &call.id.network, dir).hand_over(|all| {
        for (id, held) in by_attachment(&call.id.network, all) {
            if id != call.id {
                enter(host, call, network, &id, &held)?;
            }
        }
        Ok(())
    })
}

/// Of an old release's files nobody knows the interface: it was the first.
fn by_attachment(network: &str, all: &[Reservation]) -> BTreeMap<AttachmentId, Vec<Reservation>> {
    let mut by: BTreeMap<AttachmentId, Vec<Reservation>> = BTreeMap::new();
    for held in all {
        let id = AttachmentId {
            network: network.to_owned(),
            container: held.reserver.container.clone(),
            ifname: held.reserver.ifname.clone().unwrap_or_else(|| "eth0".to_owned()),
        };
        by.entry(id).or_default().push(held.clone());
    }
    by
}

/// Writes the record of one attachment, unless it is known or known to be dead.
fn enter(
    host: &Host,
    call: &Attach,
    network: &Network,
    id: &AttachmentId,
    held: &[Reservation],
) -> Result<(), Error> {
    if let Some(entry) = host.ledger.get(id)? {
        return add_to(host, network, entry.record, held);
    }
    let path = host.node.namespace_of(id);
    let cookie = match path.as_deref().map(|path| host.kernel.netns(path)) {
        Some(Ok(AtPath::Gone)) => return Ok(()),
        Some(Ok(AtPath::Netns(netns))) => Some(netns.cookie),
        Some(Err(_)) | None => None,
    };
    let mut session = host.ledger.session(add::scope(host, id, &network.domain))?;
    let addresses = taken(&mut *session, held.iter().map(|held| held.address))?;
    let mut kept = deputy::kept(call, false);
    kept["args"] = json!("");
    kept[MOVED] = json!(true);
    let record = Record {
        id: id.clone(),
        state: State::Attached,
        created: held.iter().map(|held| held.since).min().unwrap_or_default(),
        netns: path.map(|path| path.display().to_string()),
        cookie,
        domain: network.domain.clone(),
        addresses,
        ports: Vec::new(),
        conf: kept,
        plugin: None,
        plan: Plan::default(),
        result: None,
    };
    commit(session, &record)
}

/// One that somebody of ours has already cannot be in use by another.
fn taken(
    session: &mut dyn Session,
    wanted: impl Iterator<Item = IpAddr>,
) -> Result<Vec<IpAddr>, Error> {
    let mut taken = Vec::new();
    for address in wanted {
        if !taken.contains(&address) && session.take(address)?.is_ok() {
            taken.push(address);
        }
    }
    Ok(taken)
}

/// An attachment that we made under a reference plugin's name, whose addresses the directory alone
/// held until now.
fn add_to(
    host: &Host,
    network: &Network,
    record: Record,
    held: &[Reservation],
) -> Result<(), Error> {
    if record.domain != network.domain {
        return Ok(());
    }
    let mut session = host.ledger.session(add::scope(host, &record.id, &record.domain))?;
    let both = record.addresses.iter().copied().chain(held.iter().map(|held| held.address));
    let addresses = taken(&mut *session, both)?;
    for port in &record.ports {
        // Its own, so it has it still.
        let _ = session.claim(port)?;
    }
    commit(session, &Record { addresses, ..record })
}

fn commit(session: Box<dyn Session + '_>, record: &Record) -> Result<(), Error> {
    match session.commit(record)? {
        Commit::Done(_) => Ok(()),
        // Somebody else came through: asked again, all is taken over again.
        Commit::Conflict => Err(Error::Contended { waited: std::time::Duration::ZERO }),
    }
}

/// Whether the reference made what a record is about.
pub(crate) fn is_moved(record: &Record) -> bool {
    record.conf.get(MOVED) == Some(&Value::Bool(true))
}

/// Undoes what the reference made of a recorded attachment.
pub(crate) fn undo(host: &Host, record: &Record, call: Option<&Attach>) -> Vec<Error> {
    if let Some(call) = call.filter(|call| call.netns.is_some() || call.prev_result.is_some()) {
        return undo_unrecorded(host, call);
    }
    let Some(conf) = deputy::kept_conf(&record.conf) else { return Vec::new() };
    let mut call = pretended(&conf, &record.id.ifname, &record.id.container);
    call.netns = record.netns.clone().map(Into::into);
    undo_unrecorded(host, &call)
}

/// As [`undo`], of an attachment without a record, by what the caller says.
pub(crate) fn undo_unrecorded(host: &Host, call: &Attach) -> Vec<Error> {
    let mut errors = before::undo(host, call);
    if let Some(reserved) = directory(host, &call.conf) {
        errors.extend(reserve::release(&reserved, &call.id).err());
    }
    errors
}

/// The directory that a network of our own type came from; none also where an ADD with this
/// configuration is refused.
fn directory(host: &Host, conf: &NetConf) -> Option<Reserved> {
    allow::files(host, conf).ok()?;
    let dir = conf::ipam(conf, host, &[]).ok()??.import?;
    Some(reserve::open(host, &conf.name, &dir))
}
