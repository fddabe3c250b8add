//! A simulated node: a ledger in memory, and calls of a plugin against it, each one session with
//! its commit, as an ADD makes them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use wharfinger_cni::AttachmentId;
use wharfinger_ledger::{
    Commit, Error as LedgerError, Ledger, MemLedger, Range, Record, Scope, Session, State,
};
use wharfinger_plan::Plan;
use wharfinger_wasm::record::{Import, Recorder};
use wharfinger_wasm::{Error, Ipam, Lease, Node, Policy, PolicyRequest, Request, Verdict};

/// The one network of the simulation, and its address space.
pub(crate) const NETWORK: &str = "pods";
/// 2027-01-15: any time will do, as long as it is the same.
pub(crate) const NOW: u64 = 1_800_000_000;
/// How often a call is run again after a conflict.
const ATTEMPTS: usize = 100;
/// Addresses of one record of what fills the ranges.
const FILLING: usize = 512;

/// See the module.
pub(crate) struct Sim {
    pub(crate) ledger: MemLedger,
    pub(crate) node: Node,
    /// The ranges that the network allocates from.
    pub(crate) pools: Vec<Range>,
}

/// A call that was made, and how often.
pub(crate) struct Called<T> {
    pub(crate) answer: Result<T, Error>,
    pub(crate) imports: Vec<Import>,
    /// The longest, where it was made several times.
    pub(crate) took: Duration,
}

impl<T> Called<T> {
    /// What was taken.
    pub(crate) fn taken(&self) -> Vec<IpAddr> {
        let taken = |import: &Import| match import {
            Import::Take { address, refused: None } => Some(*address),
            Import::TakeFree { answer, .. } => *answer,
            _ => None,
        };
        self.imports.iter().filter_map(taken).collect()
    }
}

/// What a policy said to an attachment: of both calls, the first that is not "allow".
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) admit: Verdict,
    /// None where `admit` refused.
    pub(crate) review: Option<Verdict>,
}

impl Said {
    /// Why it refused, where it did.
    pub(crate) fn denied(&self) -> Option<&str> {
        [Some(&self.admit), self.review.as_ref()].into_iter().flatten().find_map(|verdict| {
            match verdict {
                Verdict::Deny(reason) => Some(reason.as_str()),
                Verdict::Allow | Verdict::Amend(_) => None,
            }
        })
    }
}

/// What `review` is shown.
pub(crate) struct About {
    pub(crate) plan: Plan,
    pub(crate) result: String,
}

impl Sim {
    /// An empty ledger, on a node with a name.
    pub(crate) fn new(node: Node, pools: &[(IpAddr, IpAddr)]) -> Self {
        let pools = pools.iter().filter_map(|(first, last)| Range::new(*first, *last)).collect();
        Self { ledger: MemLedger::new(), node, pools }
    }

    fn session(&self, id: &AttachmentId) -> Result<Box<dyn Session + '_>, LedgerError> {
        let scope = Scope { id: id.clone(), domain: id.network.clone(), now: self.node.now };
        let mut session = self.ledger.session(scope)?;
        session.pools(&self.pools)?;
        Ok(session)
    }

    fn ask(
        &self,
        plugin: &dyn Ipam,
        request: &Request,
        session: &mut dyn Session,
    ) -> Called<Lease> {
        let mut book = crate::book(session);
        let mut recorder = Recorder::new(&mut book);
        let began = Instant::now();
        let answer = plugin.allocate(&self.node, request, &mut recorder);
        Called { answer, took: began.elapsed(), imports: recorder.imports() }
    }

    /// A call that comes to nothing: the process ends before the commit.
    pub(crate) fn crash(
        &self,
        plugin: &dyn Ipam,
        request: &Request,
    ) -> Result<Called<Lease>, LedgerError> {
        let mut session = self.session(&request.attachment.id)?;
        Ok(self.ask(plugin, request, &mut *session))
    }

    /// ADD. `meanwhile` happens between the first call and its commit, as by another process.
    pub(crate) fn add(
        &self,
        plugin: &dyn Ipam,
        request: &Request,
        meanwhile: &mut dyn FnMut() -> Result<(), LedgerError>,
    ) -> Result<Called<Lease>, LedgerError> {
        for attempt in 0..ATTEMPTS {
            let mut session = self.session(&request.attachment.id)?;
            let called = self.ask(plugin, request, &mut *session);
            if attempt == 0 {
                meanwhile()?;
            }
            let Ok(lease) = &called.answer else { return Ok(called) };
            let addresses = lease.addresses.iter().map(|a| a.address.addr()).collect();
            let record = record(&request.attachment.id, addresses);
            if let Commit::Done(_) = session.commit(&record)? {
                return Ok(called);
            }
        }
        let what = "it conflicts with nobody, again and again".to_owned();
        Err(LedgerError::Unavailable { path: "(in memory)".to_owned(), what })
    }

    /// What a policy says to an attachment; it lands where it says yes and `lands`.
    pub(crate) fn admit(
        &self,
        plugin: &dyn Policy,
        request: &PolicyRequest,
        about: &About,
        lands: bool,
    ) -> Result<Called<Said>, LedgerError> {
        loop {
            let mut session = self.session(&request.attachment.id)?;
            let called = self.judge(plugin, request, about, &mut *session);
            let yes = called.answer.as_ref().is_ok_and(|said| said.denied().is_none());
            if !lands || !yes {
                return Ok(called);
            }
            let record = record(&request.attachment.id, Vec::new());
            if let Commit::Done(_) = session.commit(&record)? {
                return Ok(called);
            }
        }
    }

    fn judge(
        &self,
        plugin: &dyn Policy,
        request: &PolicyRequest,
        about: &About,
        session: &mut dyn Session,
    ) -> Called<Said> {
        let mut book = crate::book(session);
        let mut recorder = Recorder::new(&mut book);
        let began = Instant::now();
        let answer = plugin.admit(&self.node, request, &mut recorder).and_then(|admit| {
            if matches!(admit, Verdict::Deny(_)) {
                return Ok(Said { admit, review: None });
            }
            let review =
                plugin.review(&self.node, request, &about.plan, &about.result, &mut recorder)?;
            Ok(Said { admit, review: Some(review) })
        });
        Called { answer, took: began.elapsed(), imports: recorder.imports() }
    }

    /// DEL.
    pub(crate) fn release(&self, id: &AttachmentId) -> Result<(), LedgerError> {
        let Some(entry) = self.ledger.get(id)? else { return Ok(()) };
        self.ledger.release(id, entry.seq, self.node.now, Duration::ZERO)?;
        Ok(())
    }

    /// Who holds what.
    pub(crate) fn held(&self) -> Result<BTreeMap<AttachmentId, Vec<IpAddr>>, LedgerError> {
        let entries = self.ledger.list(None)?.into_iter();
        Ok(entries.map(|entry| (entry.record.id, entry.record.addresses)).collect())
    }

    /// How many entries the plugin's store has.
    pub(crate) fn entries(&self) -> Result<usize, LedgerError> {
        let id = AttachmentId {
            network: NETWORK.to_owned(),
            container: "looking".to_owned(),
            ifname: "eth0".to_owned(),
        };
        let mut session = self.session(&id)?;
        Ok(session.store_scan(&crate::owner(), "", None, usize::MAX)?.len())
    }

    /// Takes all that is free in these ranges, by attachments that no plugin was asked about.
    pub(crate) fn fill(&self, ranges: &[(IpAddr, IpAddr)]) -> Result<(), LedgerError> {
        let all: Vec<IpAddr> = ranges.iter().flat_map(|range| each(*range)).collect();
        for (number, part) in all.chunks(FILLING).enumerate() {
            let first = part.first().map(ToString::to_string).unwrap_or_default();
            let container = format!("filling-{number}-of-{first}");
            let id =
                AttachmentId { network: NETWORK.to_owned(), container, ifname: "eth0".to_owned() };
            let mut session = self.session(&id)?;
            let mut taken = Vec::new();
            for address in part {
                if session.take(*address)?.is_ok() {
                    taken.push(*address);
                }
            }
            session.commit(&record(&id, taken))?;
        }
        Ok(())
    }
}

/// Every address of a range.
pub(crate) fn each((first, last): (IpAddr, IpAddr)) -> Box<dyn Iterator<Item = IpAddr>> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            Box::new((u32::from(first)..=u32::from(last)).map(|n| IpAddr::V4(n.into())))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            Box::new((u128::from(first)..=u128::from(last)).map(|n| IpAddr::V6(n.into())))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// How many addresses a range has; saturating.
pub(crate) fn size((first, last): (IpAddr, IpAddr)) -> u128 {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            u128::from(u32::from(last).saturating_sub(u32::from(first))) + 1
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            u128::from(last).saturating_sub(u128::from(first)).saturating_add(1)
        }
        _ => 0,
    }
}

/// The record of an attachment whose address space is its network's.
pub(crate) fn record(id: &AttachmentId, addresses: Vec<IpAddr>) -> Record {
    Record {
        id: id.clone(),
        state: State::Attached,
        created: NOW,
        netns: None,
        cookie: None,
        domain: id.network.clone(),
        addresses,
        ports: Vec::new(),
        conf: Value::Null,
        plugin: None,
        plan: Plan::default(),
        result: None,
    }
}
