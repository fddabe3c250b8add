//! Attachments that the reference plugins made, before the executable took their place: there is
//! no record of them. DEL undoes them from the call and the previous result, as the reference
//! would; CHECK verifies the previous result.
//!
//! What their packet filter has of an attachment has their names, and the kernel crate knows them.

use std::net::IpAddr;
use std::path::Path;

use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, AttachmentId};
use wharfinger_drivers::features::{backup_of_reference, restored_from};
use wharfinger_drivers::{link_of, told};
use wharfinger_kernel::{AtPath, Netns, Reference};
use wharfinger_ledger::Record;
use wharfinger_plan::{Action, LinkRef, Plan, Step};
use wharfinger_wasm::Level;

use crate::conf::{self, Place};
use crate::{Error, Host, add, allow, chain, reserve};

/// Who is named in an event for what is said here.
const WHO: &str = "reference plugins";

/// Undoes what the reference made; where it made nothing, that is a look and no more.
pub(crate) fn undo(host: &Host, call: &Attach) -> Vec<Error> {
    // As the IPAM of another plugin, or around it, what there is besides is that plugin's.
    let Ok(place) = conf::place(&call.conf) else { return Vec::new() };
    if matches!(place, Place::Ipam | Place::Wrapper) {
        return Vec::new();
    }
    let reference = match reference(host, call) {
        Ok(reference) => reference,
        Err(error) => return vec![error],
    };
    let cleared = host.kernel.clear_reference(&reference);
    for note in &cleared.notes {
        host.notes.said(WHO, Level::Info, note);
    }
    let mut errors: Vec<Error> = cleared.errors.into_iter().map(Error::from).collect();
    let netns = netns(host, call);
    if let (Place::Main { driver }, Some(netns)) = (&place, &netns) {
        errors.extend(remove_link(host, call, driver, netns));
    }
    errors.extend(restore(host, call, netns.as_ref()));
    errors
}

/// Puts back what `tuning` changed of the container's link, by the file that it left. Whatever
/// becomes of that, the file goes: the link may be gone.
fn restore(host: &Host, call: &Attach, netns: Option<&Netns>) -> Vec<Error> {
    let fields = call.conf.fields();
    let features = fields.object("features").ok().flatten();
    let tuning = features.and_then(|features| features.object("tuning").ok().flatten());
    let Some(fields) = tuning.or_else(|| (call.conf.called == "tuning").then_some(fields)) else {
        return Vec::new();
    };
    if allow::files(host, &call.conf).is_err() {
        return Vec::new();
    }
    let file = backup_of_reference(&fields, &call.id);
    let Ok(text) = host.node.read(Path::new(&file)) else { return Vec::new() };
    let step = restored_from(&text, &LinkRef::container(&call.id.ifname));
    let mut errors = Vec::new();
    if let (Some(step), Some(netns)) = (step, netns) {
        let undone = host.kernel.undo(&Plan::new(vec![step]), Some(netns));
        errors.extend(undone.into_iter().map(Error::from));
    }
    let removed = host.node.remove(Path::new(&file));
    errors.extend(removed.map_err(|source| Error::File { path: file, source }).err());
    errors
}

fn netns(host: &Host, call: &Attach) -> Option<Netns> {
    match host.kernel.netns(call.netns.as_deref().unwrap_or(Path::new(""))) {
        Ok(AtPath::Netns(netns)) => Some(netns),
        _ => None,
    }
}

/// `lo` is nobody's to remove, and a device of the host's has its own way back. Under our own
/// type a name alone says too little.
fn remove_link(host: &Host, call: &Attach, driver: &str, netns: &Netns) -> Vec<Error> {
    let named = call.conf.called == driver || call.prev_result.is_some();
    if ["loopback", "host-device"].contains(&driver) || !named {
        return Vec::new();
    }
    let Some(plan) = link_of(&call.id, call.prev_result.as_ref()) else { return Vec::new() };
    host.kernel.undo(&plan, Some(netns)).into_iter().map(Error::from).collect()
}

fn reference(host: &Host, call: &Attach) -> Result<Reference, Error> {
    Ok(Reference {
        network: call.id.network.clone(),
        container_id: call.id.container.clone(),
        ifname: call.id.ifname.clone(),
        addresses: told_addresses(call),
        given_on: given_on(host, call)?,
        zone: zone(&call.conf.fields()).unwrap_or("trusted").to_owned(),
    })
}

fn told_addresses(call: &Attach) -> Vec<IpAddr> {
    let ips = call.prev_result.iter().flat_map(|previous| &previous.ips);
    ips.map(|ip| ip.address.addr()).collect()
}

/// The addresses of the previous result that another attachment has by now: what there is of them
/// without a name is that one's.
pub(crate) fn given_on(host: &Host, call: &Attach) -> Result<Vec<IpAddr>, Error> {
    let mut addresses = told_addresses(call);
    if addresses.is_empty() {
        return Ok(addresses);
    }
    let mut others = host.ledger.list(None)?;
    others.retain(|entry| !is_of(&entry.record.id, &call.id));
    addresses.retain(|address| others.iter().any(|entry| has(&entry.record, *address)));
    Ok(addresses)
}

/// Whether a record is the attachment's, under whatever mark.
fn is_of(record: &AttachmentId, id: &AttachmentId) -> bool {
    (&record.network, &record.container) == (&id.network, &id.container)
        && chain::interface(&record.ifname) == chain::interface(&id.ifname)
}

/// Whether it has the address, by whatever book.
fn has(record: &Record, address: IpAddr) -> bool {
    let is_about = |step: &Step| match &step.action {
        Action::Address(it) => it.address.addr() == address,
        Action::Forward(it) => it.addresses.contains(&address),
        _ => false,
    };
    record.addresses.contains(&address) || record.plan.steps.iter().any(is_about)
}

fn zone<'a>(fields: &Fields<'a>) -> Option<&'a str> {
    let of = |fields: &Fields<'a>| fields.str("firewalldZone").ok().flatten();
    let feature = || fields.object("features").ok()??.object("firewall").ok()?;
    of(fields).or_else(|| of(&feature()?))
}

/// Verifies the previous result. What the reference has in the packet filter is not looked at, as
/// it does not look at most of it itself.
pub(crate) fn check(host: &Host, call: &Attach) -> Result<(), Error> {
    let Some(previous) = &call.prev_result else {
        return Err(Error::NotAttached(call.id.clone()));
    };
    if !matches!(conf::place(&call.conf), Ok(Place::Main { .. })) {
        return Ok(());
    }
    let netns = add::open(host, call)?;
    let found = host.kernel.verify(&told(&call.id, previous), &netns)?;
    if !found.is_empty() {
        let drift = found.iter().map(|drift| format!("{} {}", drift.object, drift.found));
        return Err(Error::Drift(drift.collect()));
    }
    reserve::check_alone(host, call)
}
