//! Addresses from a DHCP server: asked for while the interface has none, kept in the record of
//! the attachment, given back at its end.
//!
//! The host itself speaks to the server, since that takes a socket in the container's namespace.
//! What it got is the record's: `conf.dhcp.lease`. Whoever renews leases finds them there, and
//! there he writes what became of them: see [`keep`]. No verb needs him. A DEL never waits for
//! anybody, and a lease that nobody knows is no reason to fail.

pub(crate) mod conf;
pub mod keep;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};
use wharfinger_cni::{Attach, NetConf, Success};
use wharfinger_dhcp::{Asked, Lease, So};
use wharfinger_kernel::{LinkFacts, Netns};
use wharfinger_ledger::Record;
use wharfinger_plan::{Action, LinkRef, Plan, Step};

use crate::conf::OUR_TYPE;
use crate::{Error, Host, deputy};

/// Of what a record keeps: the address of a lease that was forgotten.
const HAD: &str = "had";

/// As a configuration names it.
pub const NAME: &str = "dhcp";

/// What is left of a verb's time once nobody has answered: to undo what was done.
const RESERVE: Duration = Duration::from_secs(5);

/// Speaks to DHCP servers.
pub trait Dhcp {
    /// Milliseconds of the clock that leases go by: it goes on while the machine sleeps, and
    /// nobody sets it.
    fn now(&self) -> u64;
    /// Asks for a lease until `within` is over.
    fn obtain(&self, on: On<'_>, asked: Asked, within: Duration) -> Result<Lease, Unleased>;
    /// Says that the lease is not needed any more; waits for nobody.
    fn release(
        &self,
        on: On<'_>,
        asked: Asked,
        lease: &Lease,
    ) -> Result<(), wharfinger_kernel::Error>;
    /// Says that somebody else has the lease's address; waits for nobody.
    fn decline(
        &self,
        on: On<'_>,
        asked: Asked,
        lease: &Lease,
    ) -> Result<(), wharfinger_kernel::Error>;
    /// Tells whoever renews leases that there may be a new one: at this socket, or where he is
    /// otherwise. What is wrong where nobody is there.
    fn wake(&self, socket: Option<&Path>) -> Result<(), String>;
}

/// A link of a container.
#[derive(Debug, Clone, Copy)]
pub struct On<'a> {
    /// Where it is.
    pub netns: &'a Netns,
    /// What it is like.
    pub link: &'a LinkFacts,
}

/// There is no lease.
#[derive(Debug)]
pub enum Unleased {
    /// Nobody gave one in time.
    Silence {
        /// How long it was tried.
        waited: Duration,
        /// How it went.
        so: So,
    },
    /// The link could not be used.
    Link(wharfinger_kernel::Error),
}

impl fmt::Display for Unleased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waited, so) = match self {
            Self::Link(error) => return error.fmt(f),
            Self::Silence { waited, so } => (waited, so),
        };
        let seconds = waited.as_secs();
        if so.offers == 0 && so.refusals == 0 {
            let tries = so.discovers;
            return write!(f, "no DHCP server answered within {seconds} s, asked {tries} times");
        }
        write!(f, "no DHCP server gave a lease within {seconds} s")?;
        write!(f, ": {} offers, {} refusals", so.offers, so.refusals)?;
        match &so.unusable {
            Some(why) => write!(f, "; the last offer was of no use: {why}"),
            None => Ok(()),
        }
    }
}

impl From<wharfinger_kernel::Error> for Unleased {
    fn from(error: wharfinger_kernel::Error) -> Self {
        Self::Link(error)
    }
}

/// Whether this configuration's addresses come from a server.
pub(crate) fn is_asked(conf: &NetConf) -> bool {
    let Ok(Some(ipam)) = conf.fields().object("ipam") else { return false };
    let named = |key: &str| ipam.str(key).ok().flatten();
    match named("type") {
        Some(OUR_TYPE) => named("plugin") == Some(NAME),
        other => other == Some(NAME),
    }
}

/// Asks for a lease on the call's interface, which is there.
pub(crate) fn obtain(host: &Host, call: &Attach, netns: &Netns) -> Result<Lease, Error> {
    let mut asked = conf::asked(call)?;
    let link = up(host, call, netns)?;
    // A link that shares its parent's address hears what is sent to its own only once it has it.
    asked.broadcast |= link.kind == "ipvlan";
    let within = host.node.remaining().saturating_sub(RESERVE);
    let on = On { netns, link: &link };
    host.dhcp.obtain(on, asked, within).map_err(|why| unleased(call, why))
}

fn unleased(call: &Attach, why: Unleased) -> Error {
    Error::Unleased { ifname: call.id.ifname.clone(), why }
}

/// The call's link; set up where it is down, as by the reference plugin.
fn up(host: &Host, call: &Attach, netns: &Netns) -> Result<LinkFacts, Error> {
    let inside = LinkRef::container(&call.id.ifname);
    let link = find(host, &inside, netns)?.ok_or_else(|| Error::NoLink(call.id.ifname.clone()))?;
    if !link.up {
        let plan = Plan::new(vec![Step::owned(Action::Up { link: inside })]);
        let _ = host.kernel.apply(&plan, netns)?;
    }
    Ok(link)
}

fn find(host: &Host, link: &LinkRef, netns: &Netns) -> Result<Option<LinkFacts>, Error> {
    let found = host.kernel.links(std::slice::from_ref(link), Some(netns))?;
    Ok(found.into_iter().flatten().next())
}

/// What a record keeps of the ADD's call: what is there without an address, and the lease, once
/// there is one. One that was lost is null: see [`was_leased`].
pub(crate) fn kept(call: &Attach, bare: &Plan, lease: Option<&Lease>) -> Value {
    let mut kept = deputy::kept(call, false);
    if let Some(map) = kept.as_object_mut() {
        let own = match lease {
            Some(lease) => json!({ "bare": bare, "lease": lease }),
            None => json!({ "bare": bare }),
        };
        map.insert(NAME.to_owned(), own);
    }
    kept
}

fn with_lease(kept: &Value, lease: Option<&Lease>) -> Value {
    let mut kept = kept.clone();
    if let Some(own) = kept.get_mut(NAME).and_then(Value::as_object_mut) {
        own.insert("lease".to_owned(), json!(lease));
        own.remove(HAD);
    }
    kept
}

/// What a record knows of a call whose lease was forgotten with the book: which address it gave.
/// Whoever renews leases asks for that again.
pub(crate) fn forgotten(call: &Attach, success: &Success) -> Value {
    let mut kept = kept(call, &Plan::default(), None);
    let had = success.ips.iter().find_map(|ip| match ip.address {
        IpNet::V4(address) => Some(address),
        IpNet::V6(_) => None,
    });
    if let Some(own) = kept.get_mut(NAME).and_then(Value::as_object_mut) {
        own.insert(HAD.to_owned(), json!(had));
    }
    kept
}

/// What is kept, of a plan that was rebuilt: without an address its links are there.
pub(crate) fn with_bare(kept: &Value, plan: &Plan) -> Value {
    let mut kept = kept.clone();
    if let Some(own) = kept.get_mut(NAME).and_then(Value::as_object_mut) {
        let links = plan.steps.iter().filter(|step| matches!(step.action, Action::Link(_)));
        own.insert("bare".to_owned(), json!(Plan::new(links.cloned().collect())));
    }
    kept
}

/// The address that a forgotten lease gave.
fn had(record: &Record) -> Option<Ipv4Net> {
    serde_json::from_value(record.conf.get(NAME)?.get(HAD)?.clone()).ok()
}

/// What of a record's plan is there without an address; nothing where another plugin made the
/// interface.
fn bare(record: &Record) -> Plan {
    let bare = record.conf.get(NAME).and_then(|own| own.get("bare")).cloned();
    bare.and_then(|bare| serde_json::from_value(bare).ok()).unwrap_or_default()
}

/// Whether the record's address comes from a server.
pub(crate) fn is_of(record: &Record) -> bool {
    record.conf.get(NAME).is_some()
}

/// The lease that a record has.
pub(crate) fn lease(record: &Record) -> Option<Lease> {
    let lease = record.conf.get(NAME)?.get("lease")?;
    serde_json::from_value(lease.clone()).ok()
}

/// Whether the record has, or had, a lease: its ADD does not ask a server any more.
fn was_leased(record: &Record) -> bool {
    record.conf.get(NAME).is_some_and(|own| own.get("lease").is_some())
}

/// Gives a record's lease back, where its link is still there to say so. Where it is not, the
/// server finds out when the lease ends.
pub(crate) fn release(host: &Host, record: &Record, netns: Option<&Netns>) {
    let (Some(lease), Some(netns)) = (lease(record), netns) else { return };
    if lease.has_ended(host.dhcp.now()) {
        return;
    }
    let Some(call) = keep::call_of(record) else { return };
    give_back(host, &call, netns, &lease);
}

/// As [`release`], of a lease that is in no record.
pub(crate) fn give_back(host: &Host, call: &Attach, netns: &Netns, lease: &Lease) {
    let inside = LinkRef::container(&call.id.ifname);
    if let (Ok(asked), Ok(Some(link))) = (conf::asked(call), find(host, &inside, netns)) {
        let _ = host.dhcp.release(On { netns, link: &link }, asked, lease);
    }
}

/// Says that somebody else has the address that was given.
pub(crate) fn decline(host: &Host, call: &Attach, netns: &Netns, lease: &Lease) {
    let inside = LinkRef::container(&call.id.ifname);
    if let (Ok(asked), Ok(Some(link))) = (conf::asked(call), find(host, &inside, netns)) {
        let _ = host.dhcp.decline(On { netns, link: &link }, asked, lease);
    }
}

/// CHECK: the lease is known and has not ended. Nothing is asked of a server.
pub(crate) fn check(host: &Host, record: &Record) -> Result<(), Error> {
    if !is_of(record) {
        return Ok(());
    }
    let id = record.id.clone();
    match lease(record) {
        Some(lease) if !lease.has_ended(host.dhcp.now()) => Ok(()),
        // It is asked for anew, and nobody has said that the address is not to be used.
        None if had(record).is_some() => Ok(()),
        Some(lease) => Err(Error::LeaseOver { id, address: Some(lease.address) }),
        None => Err(Error::LeaseOver { id, address: None }),
    }
}

/// An ADD is done: its lease is to be renewed. That nobody is there to do so is STATUS's to say.
pub(crate) fn begun(host: &Host, conf: &NetConf) {
    if is_asked(conf) {
        let _ = host.dhcp.wake(conf::socket(conf).as_deref());
    }
}

/// STATUS: somebody is there to renew leases.
pub(crate) fn status(host: &Host, conf: &NetConf) -> Result<(), Error> {
    if !is_asked(conf) {
        return Ok(());
    }
    host.dhcp.wake(conf::socket(conf).as_deref()).map_err(Error::NoRenewer)
}
