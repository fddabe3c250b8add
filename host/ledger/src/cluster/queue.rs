//! Releases that the cluster is still to be told: written with the record's removal in one
//! transaction of the node's own book, sent in their order by whoever passes by. Sending one twice
//! does no harm: only what this node's attachment holds is freed, and whoever takes something for
//! the attachment again has sent the queue before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharfinger_cni::AttachmentId;

use super::keys;
use super::objects::{Block, Content, Domain, Held, Resting, Store};
use super::page::Slot;
use super::remote::{Guard, Object, Put};
use super::{ClusterLedger, OwnBook, PATIENCE, failed, unavailable};
use crate::book::Desk;
use crate::point::Point;
use crate::session::done;
use crate::{Error, Record};

/// How many are sent in one transaction.
const AT_ONCE: usize = 64;
/// How often a transaction is tried that others' changes come before.
const TRIES: usize = 32;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Queued {
    /// An address that an attachment held.
    Address {
        domain: String,
        address: IpAddr,
        network: String,
        container: String,
        ifname: String,
        /// It rests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rest: Option<Resting>,
        /// When it was released, in seconds since the Unix epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
    },
    /// What a plugin's store (its key) keeps for an attachment.
    Entries { store: String, network: String, container: String, ifname: String },
}

impl Queued {
    pub(super) fn address(record: &Record, address: IpAddr, rest: Option<Resting>) -> Self {
        Self::held(&record.domain, address, &record.id, rest)
    }

    pub(super) fn held(
        domain: &str,
        address: IpAddr,
        id: &AttachmentId,
        rest: Option<Resting>,
    ) -> Self {
        let AttachmentId { network, container, ifname } = id.clone();
        let (domain, at) = (domain.to_owned(), None);
        Self::Address { domain, address, network, container, ifname, rest, at }
    }

    /// The same, released at this time.
    pub(super) fn at(mut self, now: u64) -> Self {
        if let Self::Address { at, .. } = &mut self {
            *at = Some(now);
        }
        self
    }

    pub(super) fn entries(store: &str, id: &AttachmentId) -> Self {
        let AttachmentId { network, container, ifname } = id.clone();
        Self::Entries { store: store.to_owned(), network, container, ifname }
    }

    /// As it stands in the queue.
    pub(super) fn text(&self) -> String {
        // Names and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn id(&self) -> AttachmentId {
        let (Self::Address { network, container, ifname, .. }
        | Self::Entries { network, container, ifname, .. }) = self.clone();
        AttachmentId { network, container, ifname }
    }

    /// The object that it changes, in a domain that is cut like this.
    fn key(&self, bits: u32) -> String {
        match self {
            Self::Address { domain, address, .. } => {
                keys::block(domain, keys::around(Point::from(*address), bits).first)
            }
            Self::Entries { store, .. } => store.clone(),
        }
    }

    /// The object where nothing is in it.
    fn nothing(&self) -> Content {
        match self {
            Self::Address { .. } => Content::Block(Block::default()),
            Self::Entries { .. } => Content::Store(Store::default()),
        }
    }

    /// Changes the object: also where there is nothing to free, so that a commit of the past whose
    /// outcome is not known cannot come after this one.
    fn apply(&self, content: &mut Content, node: &str) {
        let id = self.id();
        match (self, content) {
            (Self::Address { address, rest, at, .. }, Content::Block(block)) => {
                let is_meant = |held: &Held| held.is(node, &id);
                match block.size {
                    0 => free(block, *address, *rest, is_meant),
                    size => block.change(size, *at, |it| free(it, *address, *rest, is_meant)),
                }
            }
            (Self::Entries { .. }, Content::Store(Store(entries))) => {
                entries.retain(|_, value| !value.is_of(node, &id));
            }
            _ => {}
        }
    }
}

/// Frees an address where its holder is the one that is meant.
pub(super) fn free(
    block: &mut Block,
    address: IpAddr,
    rest: Option<Resting>,
    is_meant: impl Fn(&Held) -> bool,
) {
    if !block.held.get(&address).is_some_and(is_meant) {
        return;
    }
    block.held.remove(&address);
    match rest {
        Some(rest) => block.rests.insert(address, rest),
        None => block.rests.remove(&address),
    };
}

/// What the attachment has in stores of plugins, as far as the cache tells.
pub(super) fn entries_of(
    desk: &dyn Desk,
    node: &str,
    id: &AttachmentId,
) -> Result<Vec<Queued>, Error> {
    let stores = desk.cached_below(keys::STORES)?;
    let has = |object: &&Object| {
        let read = Content::read(&object.key, &object.value);
        let Ok(Content::Store(Store(entries))) = read else { return false };
        entries.values().any(|value| value.is_of(node, id))
    };
    Ok(stores.iter().filter(has).map(|object| Queued::entries(&object.key, id)).collect())
}

/// The releases of what these puts gave the node, beside what it had.
pub(super) fn revoked(puts: &[Put], seen: &BTreeMap<String, Slot>, node: &str) -> Vec<Queued> {
    let mut all = Vec::new();
    for put in puts {
        let read = put.value.as_deref().map(|text| Content::read(&put.key, text));
        match (read, keys::of_block(&put.key)) {
            (Some(Ok(Content::Block(after))), Some((domain, _))) => {
                let before = seen.get(&put.key).and_then(Slot::block);
                let had = |address: &IpAddr| before.and_then(|block| block.held.get(address));
                let given = after
                    .held
                    .iter()
                    .filter(|(address, held)| held.node == node && had(address) != Some(held));
                all.extend(
                    given.map(|(address, held)| Queued::held(&domain, *address, &held.id(), None)),
                );
            }
            (Some(Ok(Content::Store(Store(after)))), _) => {
                let holders: BTreeSet<AttachmentId> = after
                    .values()
                    .filter_map(|value| value.holder.as_ref())
                    .filter(|holder| holder.node == node)
                    .map(Held::id)
                    .collect();
                let before = seen.get(&put.key).and_then(Slot::store);
                let had = |id: &AttachmentId| {
                    before.is_some_and(|Store(entries)| {
                        entries.values().any(|value| value.is_of(node, id))
                    })
                };
                let given = holders.iter().filter(|id| !had(id));
                all.extend(given.map(|id| Queued::entries(&put.key, id)));
            }
            _ => {}
        }
    }
    all
}

impl<S: OwnBook> ClusterLedger<S> {
    /// Sends what was queued before, in its order, all of it while there is time `left`. The
    /// caller is in the gate.
    pub(super) fn send_queued(&self, left: &dyn Fn() -> Duration) -> Result<(), Error> {
        loop {
            let queued = self.own.look(|desk| desk.queued(AT_ONCE))?;
            if queued.is_empty() {
                return Ok(());
            }
            let read = |(_, text): &(u64, String)| serde_json::from_str(text).ok();
            let all: Vec<Queued> = queued.iter().filter_map(read).collect();
            self.send(&all, left)?;
            let sent = self.own.change(|desk| {
                queued.iter().try_for_each(|(number, _)| Ok(desk.dequeue(*number)?))
            });
            done(sent)?;
        }
    }

    /// Sends what is queued, if that does not take long: it stays queued otherwise, for the next
    /// verb or the agent.
    pub(super) fn send_soon(&self) {
        let left = self.patience();
        if let Ok(Some(_gate)) = self.enter(left()) {
            let _ = self.send_queued(&left);
        }
    }

    /// The same, where anything waits.
    pub(super) fn send_waiting(&self) -> Result<(), Error> {
        if !self.own.look(|desk| desk.queued(1))?.is_empty() {
            self.send_soon();
        }
        Ok(())
    }

    /// The same. The caller is in the gate.
    pub(super) fn send_now(&self) {
        let _ = self.send_queued(&self.patience());
    }

    /// Tells how much is left of [`PATIENCE`] from now on, or of the call's time.
    fn patience(&self) -> impl Fn() -> Duration {
        let beyond = (self.remaining)().saturating_sub(PATIENCE);
        move || (self.remaining)().saturating_sub(beyond)
    }

    /// Sends what is queued.
    pub fn flush(&self) -> Result<(), Error> {
        match self.enter((self.remaining)())? {
            Some(_gate) => self.send_queued(&self.remaining),
            None => Err(self.contended()),
        }
    }

    /// How many releases wait to be sent.
    pub fn waiting(&self) -> Result<usize, Error> {
        self.own.look(|desk| Ok(desk.queued(usize::MAX)?.len()))
    }

    fn send(&self, all: &[Queued], left: &dyn Fn() -> Duration) -> Result<(), Error> {
        let mut absent = BTreeSet::new();
        for _ in 0..TRIES {
            let plan = self.own.look(|desk| released(desk, all, &self.part.node, &absent))?;
            if !plan.missing.is_empty() {
                self.load(&plan.missing, left())?;
                absent.extend(plan.missing);
                continue;
            }
            if plan.guards.is_empty() {
                return Ok(());
            }
            if self.send_all(&plan.guards, &plan.puts, left)? {
                return Ok(());
            }
        }
        Err(self.contended())
    }

    /// Brings objects into the cache that are not there.
    fn load(&self, missing: &BTreeSet<String>, wait: Duration) -> Result<(), Error> {
        let keys: Vec<&str> = missing.iter().map(String::as_str).collect();
        let found = self.remote.get(&keys, wait).map_err(|fault| failed(&fault))?;
        let saved = self
            .own
            .change(|desk| found.iter().try_for_each(|object| Ok(self.keep_cached(desk, object)?)));
        done(saved).map(drop)
    }
}

/// What is to be sent, on what the cache has.
#[derive(Default)]
struct Sending {
    guards: Vec<Guard>,
    puts: Vec<Put>,
    /// What the cache does not have.
    missing: BTreeSet<String>,
}

fn released(
    desk: &dyn Desk,
    all: &[Queued],
    node: &str,
    absent: &BTreeSet<String>,
) -> Result<Sending, Error> {
    let mut sending = Sending::default();
    let mut objects: BTreeMap<String, (u64, Content)> = BTreeMap::new();
    for queued in all {
        let Some(bits) = bits(desk, queued, &mut sending.missing, absent)? else { continue };
        let key = queued.key(bits);
        if !objects.contains_key(&key) {
            let object = match desk.cached(&key)? {
                Some(object) => {
                    (object.version, Content::read(&key, &object.value).map_err(unavailable)?)
                }
                // Written nevertheless: a commit whose outcome is not known may want to make it.
                None if absent.contains(&key) => (0, queued.nothing()),
                None => {
                    sending.missing.insert(key);
                    continue;
                }
            };
            objects.insert(key.clone(), object);
        }
        if let Some((_, content)) = objects.get_mut(&key) {
            queued.apply(content, node);
        }
    }
    for (key, (version, content)) in objects {
        sending.guards.push(Guard { key: key.clone(), version });
        sending.puts.push(Put { key, value: content.text() });
    }
    Ok(sending)
}

/// How the domain is cut; none: it is not known here.
fn bits(
    desk: &dyn Desk,
    queued: &Queued,
    missing: &mut BTreeSet<String>,
    absent: &BTreeSet<String>,
) -> Result<Option<u32>, Error> {
    let Queued::Address { domain, .. } = queued else { return Ok(Some(0)) };
    let key = keys::domain(domain);
    let Some(object) = desk.cached(&key)? else {
        // A domain that is not there has no blocks.
        if !absent.contains(&key) {
            missing.insert(key);
        }
        return Ok(None);
    };
    match Content::read(&key, &object.value).map_err(unavailable)? {
        Content::Domain(Domain { block, .. }) => Ok(Some(block)),
        _ => Ok(None),
    }
}
