//! ADD: lock, decide, journal, apply; undone where one of them fails.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use wharfinger_cni::{Attach, Success};
use wharfinger_drivers::Facts;
use wharfinger_kernel::{AtPath, Netns};
use wharfinger_ledger::{Commit, Record, Release, Scope, Session, State};
use wharfinger_plan::{LinkRef, Plan};

use crate::ipam::Allocator;
use crate::network::{Decided, Network};
use crate::{Error, Hold, Host, del, deputy, error, recover};

/// How often a call is run again because others changed what it had read. Each time somebody
/// else came through: the bound is for a book gone mad, not for a crowd.
const ATTEMPTS: u32 = 1000;

/// An attachment that stands, and whose reply is still to be written.
pub struct Added {
    /// What the runtime is to be told.
    pub success: Success,
    seq: u64,
    _hold: Hold,
}

/// Attaches. The attachment's lock is held until [`finish`] has its answer.
pub fn add(host: &Host, call: &Attach) -> Result<Added, Error> {
    let network = Network::read(host, call)?;
    let hold = del::lock(host, &call.id)?;
    let netns = open(host, call)?;
    clear(host, call, &network, &netns)?;
    let facts = network.observe(host, call, Some(&netns))?;
    network.check_facts(call, &facts)?;
    let adding = Adding { host, call, network: &network, netns: &netns, facts };
    let (seq, decided) = adding.decide()?;
    let success = adding.apply(seq, decided)?;
    Ok(Added { success, seq, _hold: hold })
}

/// The reply was written (`delivered`), and the ADD is finished; or it could not be, and since
/// nobody knows of the attachment, it is undone.
pub fn finish(host: &Host, call: &Attach, added: &Added, delivered: bool) -> Result<(), Error> {
    if delivered {
        let result = added.success.render(call.conf.version).unwrap_or(Value::Null);
        return match host.ledger.attached(&call.id, added.seq, &result)? {
            Release::Done => Ok(()),
            // The reply is out. The kernel still names the attachment: GC and DEL find it.
            Release::Absent | Release::Stale => Err(Error::NotAttached(call.id.clone())),
        };
    }
    match host.ledger.get(&call.id)? {
        Some(entry) => del::undo_recorded(host, &entry, Some(call)),
        None => Ok(()),
    }
}

/// The container's namespace, which an ADD cannot do without.
pub(crate) fn open(host: &Host, call: &Attach) -> Result<Netns, Error> {
    let path = call.netns.as_deref().unwrap_or_else(|| Path::new(""));
    match host.kernel.netns(path)? {
        AtPath::Netns(netns) => Ok(netns),
        AtPath::Gone => Err(Error::NoNetns { path: path.display().to_string() }),
    }
}

/// Nothing of an earlier ADD may stand. One that was never finished, or whose interface is gone,
/// is undone here; its addresses stay with it, and are given again.
fn clear(host: &Host, call: &Attach, network: &Network, netns: &Netns) -> Result<(), Error> {
    let Some(entry) = recover::recorded(host, &call.id)? else { return Ok(()) };
    let record = &entry.record;
    // A record that was rebuilt from the kernel does not know its namespace: the interface tells.
    let here = record.cookie.is_none_or(|cookie| cookie == netns.cookie);
    let finished = record.state == State::Attached && here;
    if finished && stands(host, call, network, record, netns)? {
        return Err(Error::Exists { id: call.id.clone(), since: record.created });
    }
    if record.id != call.id {
        return del::undo_for(host, &entry, Some(call), Duration::ZERO);
    }
    let errors = host.kernel.undo(&record.plan, here.then_some(netns));
    let mut errors: Vec<Error> = errors.into_iter().map(Error::from).collect();
    // An executable that decided refuses to decide twice.
    errors.extend(deputy::release(host, record, Some(call)).err());
    del::several(errors)
}

/// Whether the attachment's interface is there. One that another plugin makes is there before we
/// are asked: it is the attachment's when it has the addresses that we gave.
fn stands(
    host: &Host,
    call: &Attach,
    network: &Network,
    record: &Record,
    netns: &Netns,
) -> Result<bool, Error> {
    let inside = LinkRef::container(&call.id.ifname);
    let links = host.kernel.links(std::slice::from_ref(&inside), Some(netns))?;
    let given = |ip: &IpNet| record.addresses.contains(&ip.addr());
    Ok(links
        .iter()
        .flatten()
        .any(|link| network.makes_interface() || link.addresses.iter().any(given)))
}

/// One ADD under way.
struct Adding<'a> {
    host: &'a Host<'a>,
    call: &'a Attach,
    network: &'a Network,
    netns: &'a Netns,
    facts: Facts,
}

impl Adding<'_> {
    /// Decides, and journals what was decided before anything is done.
    fn decide(&self) -> Result<(u64, Decided), Error> {
        if let Some(name) = self.network.executable() {
            return self.delegate(name);
        }
        let allocator = self.network.allocator(self.host, self.call)?;
        let Some(allocator) = allocator else { return self.settle(None) };
        self.allocate(&allocator)
            .map_err(|error| allocator.explain(self.host, &self.network.domain, error))
    }

    /// Asks the component; where it finds nothing free, what belongs to the dead is freed, and
    /// it is asked once more.
    fn allocate(&self, allocator: &Allocator) -> Result<(u64, Decided), Error> {
        match self.settle(Some(allocator)) {
            Err(error) if error::for_want_of_addresses(&error) => {
                match recover::reclaim(self.host, &self.network.domain, &self.call.id)? {
                    0 => Err(error),
                    _ => self.settle(Some(allocator)),
                }
            }
            other => other,
        }
    }

    /// One decision, written down.
    fn settle(&self, allocator: Option<&Allocator>) -> Result<(u64, Decided), Error> {
        self.commit(|session| {
            let decided = self.network.decide(self.call, allocator, &self.facts, session)?;
            Ok((self.record(&decided), decided))
        })
    }

    /// Runs `decide` until what it read is still so when its record is written down.
    fn commit<T>(
        &self,
        decide: impl Fn(&mut dyn Session) -> Result<(Record, T), Error>,
    ) -> Result<(u64, T), Error> {
        for _ in 0..ATTEMPTS {
            let mut session = self.host.ledger.session(self.scope())?;
            let (record, decided) = decide(&mut *session)?;
            if let Commit::Done(seq) = session.commit(&record)? {
                return Ok((seq, decided));
            }
            if self.host.node.remaining().is_zero() {
                break;
            }
        }
        Err(Error::Contended { attempts: ATTEMPTS })
    }

    /// Lets an executable decide. It is journalled before it runs, so that what it allocates is
    /// found and given back whatever happens.
    fn delegate(&self, name: &str) -> Result<(u64, Decided), Error> {
        let nothing = Decided { lease: Success::default(), draft: None, plugin: Some(name.into()) };
        let journal = self.record(&nothing);
        let seq = self.write(&journal)?;
        let decided = deputy::add(self.host, self.call, name)
            .and_then(|lease| self.network.draft(self.call, lease, &self.facts));
        match decided {
            Ok(decided) => {
                let decided = Decided { plugin: Some(name.into()), ..decided };
                match self.write(&self.record(&decided)) {
                    Ok(seq) => Ok((seq, decided)),
                    Err(error) => Err(self.abandon(seq, error)),
                }
            }
            // It never ran: there is nothing to give back, and nobody to give it to.
            Err(error) if deputy::not_there(&error) => {
                self.host.ledger.release(
                    &self.call.id,
                    seq,
                    self.host.node.now(),
                    Duration::ZERO,
                )?;
                Err(error)
            }
            Err(error) => Err(self.abandon(seq, error)),
        }
    }

    /// Writes a record that takes nothing.
    fn write(&self, record: &Record) -> Result<u64, Error> {
        self.commit(|_| Ok((record.clone(), ()))).map(|(seq, ())| seq)
    }

    fn scope(&self) -> Scope {
        Scope {
            id: self.call.id.clone(),
            domain: self.network.domain.clone(),
            now: self.host.node.now(),
        }
    }

    fn record(&self, decided: &Decided) -> Record {
        let own = self.network.executable().is_none();
        let ips = decided.lease.ips.iter().map(|ip| ip.address.addr());
        // What an executable gave is in that executable's book, not in ours.
        let addresses: Vec<IpAddr> = if own { ips.collect() } else { Vec::new() };
        Record {
            id: self.call.id.clone(),
            state: State::Pending,
            created: self.host.node.now(),
            netns: self.call.netns.as_ref().map(|path| path.display().to_string()),
            cookie: Some(self.netns.cookie),
            domain: self.network.domain.clone(),
            addresses,
            conf: deputy::kept(self.call),
            plugin: decided.plugin.clone(),
            plan: decided.draft.as_ref().map(|draft| draft.plan.clone()).unwrap_or_default(),
            result: None,
        }
    }

    /// Does what was decided.
    fn apply(&self, seq: u64, decided: Decided) -> Result<Success, Error> {
        let nothing = Plan::default();
        let plan = decided.draft.as_ref().map_or(&nothing, |draft| &draft.plan);
        let links = match self.host.kernel.apply(plan, self.netns) {
            Ok(links) => links,
            Err(error) => return Err(self.abandon(seq, error.into())),
        };
        // A book that was replaced meanwhile may have given our address to another.
        match self.host.ledger.get(&self.call.id) {
            Ok(Some(entry)) if entry.seq == seq => Ok(decided.success(&links, self.call)),
            Ok(_) => Err(self.withdraw(plan, Error::Lost(self.call.id.clone()))),
            Err(error) => Err(self.withdraw(plan, error.into())),
        }
    }

    /// Undoes what was done, without a book that knows of it.
    fn withdraw(&self, plan: &Plan, error: Error) -> Error {
        let undone = self.host.kernel.undo(plan, Some(self.netns));
        let mut errors = vec![error];
        errors.extend(undone.into_iter().map(Error::from));
        errors.extend(deputy::release_unrecorded(self.host, self.call).err());
        one_of(errors)
    }

    /// Undoes what is in the book, and what is in the kernel, for an ADD that came to nothing.
    /// What cannot be undone now stays in the book for the next DEL, ADD or GC.
    fn abandon(&self, seq: u64, error: Error) -> Error {
        let undone = match self.host.ledger.get(&self.call.id) {
            Ok(Some(entry)) if entry.seq == seq => {
                del::undo_for(self.host, &entry, Some(self.call), Duration::ZERO)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        };
        one_of(std::iter::once(error).chain(undone.err()).collect())
    }
}

/// At least one error there is: itself, or the list.
fn one_of(mut errors: Vec<Error>) -> Error {
    match errors.pop() {
        Some(only) if errors.is_empty() => only,
        last => Error::Several(errors.into_iter().chain(last).collect()),
    }
}
