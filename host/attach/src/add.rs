//! ADD: lock, decide, journal, apply; undone where one of them fails.
//!
//! Where addresses are asked for on the link itself, that is made first, journalled, and the rest
//! of the plan comes once they are known: see `leased`.

mod leased;

use std::cell::Cell;
use std::iter::once;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;
use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_kernel::{AtPath, LinkFacts, Netns};
use wharfinger_ledger::{Commit, Record, Release, Scope, Session, State};
use wharfinger_plan::{LinkRef, Plan};

use crate::conf::Place;
use crate::deputy::At;
use crate::hearing::{Hearing, Settled, View};
use crate::network::{Decided, Network};
use crate::policy::Amended;
use crate::wrap::{self, Wrapped};
use crate::{Error, Hold, Host, chain, del, deputy, dhcp, error, moved, outbox, recover, reserve};

pub(crate) use leased::again;

/// How often a call is run again because others changed what it had read. Each time somebody
/// else came through: the bound is for a book gone mad, not for a crowd.
const ATTEMPTS: u32 = 1000;

/// An attachment that stands, and whose reply is still to be written.
pub struct Added {
    /// What the runtime is to be told.
    pub success: Success,
    id: AttachmentId,
    /// The record's number and the attachment's lock; none where a directory has all there is.
    journalled: Option<(u64, Hold)>,
}

/// Attaches. The attachment's lock is held until [`finish`] has its answer.
pub fn add(host: &Host, call: &Attach) -> Result<Added, Error> {
    let network = Network::read(host, call)?;
    if reserve::alone(&network) {
        let success = reserve::add(host, call, &network)?;
        return Ok(Added { success, id: call.id.clone(), journalled: None });
    }
    if network.place == Place::Chained && call.prev_result.is_none() {
        return Err(Error::NoPrevResult);
    }
    let id = chain::key(&call.id, &call.conf);
    let hold = del::lock(host, &id)?;
    let netns = open(host, call)?;
    let _tables = network.observes_routing().then(|| routing(host, &netns)).transpose()?;
    moved::take_over(host, call, &network)?;
    clear(host, call, &id, &network, &netns)?;
    let facts = network.observe(host, call, Some(&netns))?;
    network.check_facts(call, &facts)?;
    let hearing = Hearing::new(host, call, &network, &facts, Some(&netns))?;
    let adding = Adding { host, call, network: &network, netns: &netns, hearing, id: &id };
    let (seq, decided) = adding.decide()?;
    let success = adding.apply(seq, decided)?;
    Ok(Added { success, id, journalled: Some((seq, hold)) })
}

/// The reply was written (`delivered`), and the ADD is finished; or it could not be, and since
/// nobody knows of the attachment, it is undone.
pub fn finish(host: &Host, call: &Attach, added: &Added, delivered: bool) -> Result<(), Error> {
    let Some((seq, _)) = added.journalled else {
        return if delivered { Ok(()) } else { reserve::del(host, call) };
    };
    if delivered {
        let result = added.success.render(call.conf.version).unwrap_or(Value::Null);
        return match host.ledger.attached(&added.id, seq, &result)? {
            Release::Done => {
                dhcp::begun(host, &call.conf);
                Ok(())
            }
            // The reply is out. The kernel still names the attachment: GC and DEL find it.
            Release::Absent | Release::Stale => Err(Error::NotAttached(added.id.clone())),
        };
    }
    match host.ledger.get(&added.id)? {
        Some(entry) => {
            del::undo_recorded(host, &entry, Some(call))?;
            host.notes.detached(&added.id, "nobody heard the reply of its ADD");
            Ok(())
        }
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

/// One interface of a container at a time chooses which of its routing tables are free.
fn routing(host: &Host, netns: &Netns) -> Result<Hold, Error> {
    // No network can have that name.
    let id = AttachmentId {
        network: "netns:".to_owned(),
        container: netns.cookie.to_string(),
        ifname: "routing".to_owned(),
    };
    del::lock(host, &id)
}

/// Nothing of an earlier ADD may stand. One that was never finished, or whose interface is gone,
/// is undone here; its addresses stay with it, and are given again.
fn clear(
    host: &Host,
    call: &Attach,
    id: &AttachmentId,
    network: &Network,
    netns: &Netns,
) -> Result<(), Error> {
    let Some(entry) = recover::recorded(host, id)? else { return Ok(()) };
    let record = &entry.record;
    // A record that was rebuilt from the kernel does not know its namespace: the interface tells.
    let here = record.cookie.is_none_or(|cookie| cookie == netns.cookie);
    let chained = network.place == Place::Chained;
    let finished = record.state == State::Attached && here && !chained;
    if finished && stands(host, call, network, record, netns)? {
        return Err(Error::Exists { id: call.id.clone(), since: record.created });
    }
    // One that holds nothing goes whole.
    if record.id != *id || network.is_beside() {
        return del::undo_for(host, &entry, Some(call), Duration::ZERO);
    }
    let here = here.then_some(netns);
    dhcp::release(host, record, here);
    // An executable that decided refuses to decide twice.
    let at = At { call: Some(call), netns: call.netns.as_deref().filter(|_| here.is_some()) };
    let mut errors: Vec<Error> = deputy::release(host, record, at).err().into_iter().collect();
    errors.extend(host.kernel.undo(&record.plan, here).into_iter().map(Error::from));
    del::several(errors)?;
    forget_entries(host, record)
}

/// What policies wrote for an ADD that was never finished does not count beside what they write
/// for this one. The addresses stay the record's.
fn forget_entries(host: &Host, record: &Record) -> Result<(), Error> {
    let mut session = host.ledger.session(scope(host, &record.id, &record.domain))?;
    for address in &record.addresses {
        if session.take(*address)?.is_err() {
            return Ok(());
        }
    }
    // The lock is ours: nobody else writes this record. Ports are claimed anew.
    session.commit(&Record { ports: Vec::new(), ..record.clone() })?;
    Ok(())
}

/// For whom and when a session is.
pub(crate) fn scope(host: &Host, id: &AttachmentId, domain: &str) -> Scope {
    Scope { id: id.clone(), domain: domain.to_owned(), now: host.node.now() }
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
    hearing: Hearing<'a>,
    /// Under what the book has it.
    id: &'a AttachmentId,
}

impl Adding<'_> {
    /// Decides, and journals what was decided before anything is done.
    fn decide(&self) -> Result<(u64, Decided), Error> {
        if let Some(name) = self.network.runs() {
            return self.delegate(name);
        }
        if self.network.asks_a_server() {
            return self.lease();
        }
        let settled = self.allocate();
        if settled.is_err() {
            reserve::give_back(self.host, self.call, self.network);
        }
        if settled.is_err() && self.hearing.posted.get() {
            // Somebody outside may have heard of an attachment that is none. One that an earlier
            // ADD left is still in the book: its DEL tells.
            if matches!(self.host.ledger.get(self.id), Ok(None)) {
                outbox::tell(self.host, self.id);
            }
        }
        settled
    }

    /// Asks the component; where it finds nothing free, what belongs to the dead is freed, and
    /// it is asked once more.
    fn allocate(&self) -> Result<(u64, Decided), Error> {
        match self.settle() {
            Err(Error::PortTaken { port, holder }) => {
                if recover::reclaim_one(self.host, &holder.id)? {
                    return self.settle();
                }
                Err(Error::PortTaken { port, holder })
            }
            Err(error) if error::for_want_of_addresses(&error) => {
                match recover::reclaim(self.host, &self.network.domain, &self.call.id)? {
                    0 => Err(error),
                    _ => self.settle(),
                }
            }
            other => other,
        }
    }

    /// One decision, written down.
    fn settle(&self) -> Result<(u64, Decided), Error> {
        let (seq, settled) = self.commit(|session| {
            let settled = self.hearing.settle(session)?;
            let call = settled.amended.as_ref().map_or(self.call, |amended| &amended.call);
            Ok((self.record(call, &settled.decided), settled))
        })?;
        let Settled { decided, notice, .. } = settled;
        let lease = decided.remote.as_ref().map(serde_json::to_value);
        if let (Some(number), Some(Ok(lease))) = (notice, lease) {
            let posted = self.host.ledger.post_lease(number, &lease);
            posted.map_err(|error| self.abandon(seq, error.into()))?;
        }
        Ok((seq, decided))
    }

    /// Runs `decide` until what it read is still so when its record is written down.
    fn commit<T>(
        &self,
        decide: impl Fn(&mut dyn Session) -> Result<(Record, T), Error>,
    ) -> Result<(u64, T), Error> {
        let before = self.host.node.remaining();
        let waited = || before.saturating_sub(self.host.node.remaining());
        for _ in 0..ATTEMPTS {
            let mut session = self.host.ledger.session(self.scope())?;
            let (record, decided) = decide(&mut *session)?;
            if let Commit::Done(seq) = session.commit(&record)? {
                return Ok((seq, decided));
            }
            if self.host.node.remaining().is_zero() {
                break;
            }
            self.host.notes.again();
        }
        Err(Error::Contended { waited: waited() })
    }

    /// Lets an executable decide, or make the interface. It is journalled before it runs, so that
    /// what it does is found and undone whatever happens.
    fn delegate(&self, name: &str) -> Result<(u64, Decided), Error> {
        let admitted = self.admitted()?;
        let view = self.hearing.view(admitted.as_ref())?;
        let plan = view.bare()?;
        let begun = Record { plan: plan.clone(), ..self.begun(&view, name, 0, None) };
        let seq = Cell::new(self.write(&begun)?);
        let made = self.make(seq.get(), plan)?;
        let ran = match &view.network.wrapped {
            None => deputy::add(self.host, view.call, name),
            Some(wrapped) => wrap::add(self.host, view.call, wrapped, &|begun, result| {
                seq.set(self.write(&self.begun(&view, name, begun, result))?);
                Ok(())
            }),
        };
        match ran {
            Ok(result) => match self.confirm(&view, name, &result) {
                Ok((seq, decided)) => Ok((seq, Decided { made, ..decided })),
                Err(error) => Err(self.abandon(seq.get(), error)),
            },
            // It never ran: there is nothing to give back, and nobody to give it to.
            Err(error) if view.network.wrapped.is_none() && deputy::not_there(&error) => {
                Err(self.unmake(seq.get(), &made.plan, error))
            }
            Err(error) => Err(self.abandon(seq.get(), error)),
        }
    }

    /// The record of an ADD in which so many executables were begun.
    fn begun(&self, view: &View<'_>, name: &str, begun: usize, result: Option<&Value>) -> Record {
        let decided = Decided { plugin: Some(name.into()), ..Decided::default() };
        let record = self.record(view.call, &decided);
        match &view.network.wrapped {
            Some(_) => {
                Record { conf: wrap::kept(view.call, begun), result: result.cloned(), ..record }
            }
            None => record,
        }
    }

    /// What the policies make of the call before an executable runs. What they write is written
    /// when they are asked again, with its answer in hand.
    fn admitted(&self) -> Result<Option<Amended>, Error> {
        if self.hearing.policies.is_empty() {
            return Ok(None);
        }
        let mut session = self.host.ledger.session(self.scope())?;
        self.hearing.admit(&mut *session)
    }

    /// Writes down what an executable answered, if the policies stand by what it was run with.
    fn confirm(
        &self,
        view: &View<'_>,
        name: &str,
        lease: &Success,
    ) -> Result<(u64, Decided), Error> {
        let made = self.made(view, lease)?;
        let view = made.as_ref().unwrap_or(view);
        self.commit(|session| {
            self.stand_by(view, session)?;
            let decided = self.hearing.conclude(view, lease.clone(), session)?;
            let begun = view.network.wrapped.as_ref().map_or(0, Wrapped::len);
            let result = lease.render(view.call.conf.version).ok();
            let record = self.begun(view, name, begun, result.as_ref());
            let decided = Decided { plugin: Some(name.into()), ..decided };
            let (plan, ports) = (decided.plan.clone(), decided.ports.clone());
            Ok((Record { plan, ports, ..record }, decided))
        })
    }

    /// What is there once those that we stand around made it; none where they are no others.
    fn made<'v>(&self, view: &'v View<'_>, result: &Success) -> Result<Option<View<'v>>, Error> {
        if view.network.wrapped.is_none() || !view.network.has_features() {
            return Ok(None);
        }
        let prev_result = Some(result.clone());
        let call = Attach { prev_result, ..view.call.clone() };
        let facts = view.network.observe(self.host, &call, Some(self.netns))?;
        Ok(Some(view.observing(facts)))
    }

    /// Whether the policies would say the same again.
    fn stand_by(&self, view: &View<'_>, session: &mut dyn Session) -> Result<(), Error> {
        let admitted = self.hearing.admit(session)?;
        let now = admitted.as_ref().map_or(self.call, |amended| &amended.call);
        if now.conf.raw == view.call.conf.raw {
            return Ok(());
        }
        Err(Error::Contended { waited: Duration::ZERO })
    }

    /// Writes a record that takes nothing.
    fn write(&self, record: &Record) -> Result<u64, Error> {
        self.commit(|_| Ok((record.clone(), ()))).map(|(seq, ())| seq)
    }

    fn scope(&self) -> Scope {
        scope(self.host, self.id, &self.network.domain)
    }

    fn record(&self, call: &Attach, decided: &Decided) -> Record {
        // What an executable or another plugin gave is in its book, not in ours.
        let own = self.network.in_ledger() && !self.network.is_beside();
        let ips = decided.lease.ips.iter().map(|ip| ip.address.addr());
        let addresses: Vec<IpAddr> = if own { ips.collect() } else { Vec::new() };
        Record {
            id: self.id.clone(),
            state: State::Pending,
            created: self.host.node.now(),
            netns: self.call.netns.as_ref().map(|path| path.display().to_string()),
            cookie: Some(self.netns.cookie),
            domain: self.network.domain.clone(),
            addresses,
            ports: decided.ports.clone(),
            conf: deputy::kept(call, decided.remote.is_some()),
            plugin: decided.plugin.clone(),
            plan: decided.plan.clone(),
            result: None,
        }
    }

    /// Does what was decided.
    fn apply(&self, seq: u64, decided: Decided) -> Result<Success, Error> {
        let links = match self.applied(&decided.plan.after(&decided.made.plan)) {
            Ok(links) => decided.made.with(links),
            Err(error) => return Err(self.abandon(seq, error)),
        };
        let plan = decided.plan.clone();
        // A book that was replaced meanwhile may have given our address to another.
        match self.host.ledger.get(self.id) {
            Ok(Some(entry)) if entry.seq == seq => Ok(decided.success(&links, self.call)),
            Ok(_) => Err(self.withdraw(&plan, Error::Lost(self.id.clone()))),
            Err(error) => Err(self.withdraw(&plan, error.into())),
        }
    }

    /// Nothing is asked of the kernel where there is nothing to do.
    fn applied(&self, plan: &Plan) -> Result<Vec<LinkFacts>, Error> {
        if plan.steps.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.host.kernel.apply(plan, self.netns)?)
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
        // What somebody outside has is not to be the first that the next one gets.
        let squatted = matches!(&error, Error::Kernel(error) if error.squatter().is_some());
        let ipam = self.network.ipam.as_ref().filter(|_| squatted);
        let rest = ipam.map_or(Duration::ZERO, |ipam| ipam.cool_down);
        let undone = match self.host.ledger.get(self.id) {
            Ok(Some(entry)) if entry.seq == seq => {
                del::undo_for(self.host, &entry, Some(self.call), rest)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        };
        one_of(once(error).chain(undone.err()).collect())
    }
}

/// At least one error there is: itself, or the list.
fn one_of(mut errors: Vec<Error>) -> Error {
    match errors.pop() {
        Some(only) if errors.is_empty() => only,
        last => Error::Several(errors.into_iter().chain(last).collect()),
    }
}
