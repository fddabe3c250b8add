//! What the cluster's book holds, for people and for the collection: blocks, their holders, ranges;
//! what a node holds without a record of it; what a node held that is dead by somebody's word.
//! Frees nothing but what it was told.

use std::net::IpAddr;

use wharfinger_cni::AttachmentId;

use super::keys;
use super::objects::{Block, Content, Domain, Store};
use super::queue::{self, Queued};
use super::remote::{Guard, Object, Put};
use super::{ClusterLedger, NodeAt, OwnBook, failed, nodes};
use crate::session::done;
use crate::{Error, Range};

/// How many objects one transaction changes.
const AT_ONCE: usize = 32;
/// How often an object is tried that others change as well.
const TRIES: usize = 32;
/// So many empty blocks of a domain a node keeps, so that the next attachment claims none.
const SPARE: usize = 1;

/// A block and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockAt {
    /// The address space.
    pub domain: String,
    /// From its first to its last address.
    pub range: Range,
    /// Who has what in it.
    pub block: Block,
    /// Its object's key, below the store's prefix.
    pub key: String,
    /// Its object's version.
    pub version: u64,
}

/// The ranges that a network allocates from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The address space.
    pub domain: String,
    /// The network.
    pub network: String,
    /// In their order.
    pub ranges: Vec<Range>,
}

/// All of the cluster's book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// By domain and first address.
    pub blocks: Vec<BlockAt>,
    /// By domain and network.
    pub ranges: Vec<Ranges>,
    /// Objects that cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// Something that a node holds by the cluster's book, of which its own book has no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Whose it was.
    pub id: AttachmentId,
    what: Queued,
}

impl Stray {
    /// The address, where it is one: otherwise it is what a plugin keeps for the attachment.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.what {
            Queued::Address { address, .. } => Some(*address),
            Queued::Entries { .. } => None,
        }
    }
}

/// What was freed of a dead node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Addresses.
    pub addresses: usize,
    /// Blocks that were the node's.
    pub blocks: usize,
    /// It lives: nothing more was freed once that was seen.
    pub lives: bool,
}

impl<S: OwnBook> ClusterLedger<S> {
    /// All of the cluster's book, as it is now.
    pub fn survey(&self) -> Result<Survey, Error> {
        Ok(surveyed(&self.objects()?))
    }

    /// Frees a stray, unless there is a record of it by now. The caller has the attachment's lock.
    pub fn drop_stray(&self, stray: &Stray) -> Result<bool, Error> {
        let dropped = self.queue_stray(stray)?;
        if dropped {
            self.flush()?;
        }
        Ok(dropped)
    }

    /// As [`ClusterLedger::drop_stray`], to be sent with the queue.
    pub(super) fn queue_stray(&self, stray: &Stray) -> Result<bool, Error> {
        if self.is_recorded(&stray.what)? {
            return Ok(false);
        }
        done(self.own.change(|desk| Ok(desk.enqueue(&stray.what.text())?)))?;
        Ok(true)
    }

    /// Gives back blocks of this node that nobody has anything in, but for one of each domain and
    /// family. How many. What has rested until `now`, in seconds since the Unix epoch, is nothing.
    pub fn give_back(&self, now: u64) -> Result<usize, Error> {
        self.refresh()?;
        self.give_back_known(now)
    }

    /// The same, on what the cache has: one that is not so any more is left as it is.
    pub(super) fn give_back_known(&self, now: u64) -> Result<usize, Error> {
        let Some(_gate) = self.enter((self.remaining)())? else { return Err(self.crowded()) };
        self.send_queued(&self.remaining)?;
        let own = self.own.look(|desk| desk.cached_own())?;
        let mut spare: Vec<(String, bool, usize)> = Vec::new();
        let mut back = Vec::new();
        for object in own {
            let Some((domain, first)) = keys::of_block(&object.key) else { continue };
            let Ok(Content::Block(mut block)) = Content::read(&object.key, &object.value) else {
                continue;
            };
            block.rests.retain(|_, rest| rest.until > now);
            if !block.is_empty() {
                continue;
            }
            let family = first.ip().is_ipv4();
            match spare.iter_mut().find(|(of, v4, _)| *of == domain && *v4 == family) {
                Some((_, _, seen)) if *seen >= SPARE => back.push(object),
                Some((_, _, seen)) => *seen = seen.saturating_add(1),
                None => spare.push((domain, family, 1)),
            }
        }
        let given = back.len();
        for part in back.chunks(AT_ONCE) {
            let puts = part.iter().map(|object| {
                let value = Content::Block(Block::default()).text();
                (object.clone(), value)
            });
            self.rewrite(puts.collect(), &[])?;
        }
        Ok(given)
    }

    /// Frees all that a node held, and its blocks: it is dead by somebody's word. What it still
    /// runs would have addresses that others are given.
    pub fn bury(&self, node: &str) -> Result<Freed, Error> {
        self.bury_if(node, &[])
    }

    /// As [`ClusterLedger::bury`], of a node whose agent does not live, and did not since it was
    /// seen so: each transaction is guarded by that.
    pub fn bury_dead(&self, node: &NodeAt) -> Result<Freed, Error> {
        self.bury_if(&node.name, &nodes::is_dead(node))
    }

    fn bury_if(&self, node: &str, dead: &[Guard]) -> Result<Freed, Error> {
        let mut freed = Freed::default();
        for _ in 0..TRIES {
            if self.lives(dead)? {
                return Ok(Freed { lives: true, ..freed });
            }
            let buried: Vec<_> =
                self.objects()?.into_iter().filter_map(|object| buried(object, node)).collect();
            if buried.is_empty() {
                self.forget_name(node)?;
                return Ok(freed);
            }
            for part in buried.chunks(AT_ONCE) {
                let puts = part.iter().map(|(object, text, _)| (object.clone(), text.clone()));
                if self.rewrite(puts.collect(), dead)? {
                    for (_, _, one) in part {
                        freed.addresses = freed.addresses.saturating_add(one.addresses);
                        freed.blocks = freed.blocks.saturating_add(one.blocks);
                    }
                }
            }
        }
        Err(self.contended())
    }

    /// Whether any of this does not hold.
    fn lives(&self, dead: &[Guard]) -> Result<bool, Error> {
        let keys: Vec<&str> = dead.iter().map(|guard| guard.key.as_str()).collect();
        if keys.is_empty() {
            return Ok(false);
        }
        let found = self.remote.get(&keys, (self.remaining)()).map_err(|fault| failed(&fault))?;
        let version = |key: &str| found.iter().find(|it| it.key == key).map_or(0, |it| it.version);
        Ok(dead.iter().any(|guard| version(&guard.key) != guard.version))
    }

    /// Writes objects anew, if none of them was changed meanwhile, and what else is to hold holds.
    fn rewrite(
        &self,
        objects: Vec<(Object, Option<String>)>,
        more: &[Guard],
    ) -> Result<bool, Error> {
        let guards: Vec<Guard> = objects
            .iter()
            .map(|(object, _)| Guard { key: object.key.clone(), version: object.version })
            .collect();
        let puts: Vec<Put> =
            objects.into_iter().map(|(object, value)| Put { key: object.key, value }).collect();
        let all = [guards.as_slice(), more].concat();
        self.send_all(&all, &puts, &self.remaining)
    }

    /// Of these objects, see [`ClusterLedger::strays`].
    pub(super) fn strays_of(&self, objects: &[Object]) -> Result<Vec<Stray>, Error> {
        let mut strays = Vec::new();
        for object in objects {
            for what in held_by(object, &self.part.node) {
                let id = what.id();
                if !self.is_recorded(&what)? {
                    strays.push(Stray { id, what });
                }
            }
        }
        Ok(strays)
    }

    /// Whether the node's own book says so, too.
    fn is_recorded(&self, what: &Queued) -> Result<bool, Error> {
        let Some(entry) = self.own.get(&what.id())? else { return Ok(false) };
        Ok(match what {
            Queued::Address { domain, address, .. } => {
                // What was put together from the kernel's rules may not know its domain.
                let in_domain = entry.record.domain == *domain || entry.record.plugin.is_none();
                in_domain && entry.record.addresses.contains(address)
            }
            Queued::Entries { .. } => true,
        })
    }
}

/// What the node holds by this object.
fn held_by(object: &Object, node: &str) -> Vec<Queued> {
    match (Content::read(&object.key, &object.value), keys::of_block(&object.key)) {
        (Ok(Content::Block(block)), Some((domain, _))) => {
            let held = block.held.iter().filter(|(_, held)| held.node == node);
            held.map(|(address, held)| Queued::held(&domain, *address, &held.id(), None)).collect()
        }
        (Ok(Content::Store(Store(entries))), _) => {
            let holders = entries.values().filter_map(|value| value.holder.as_ref());
            let ours = holders.filter(|holder| holder.node == node);
            let mut all: Vec<Queued> =
                ours.map(|held| Queued::entries(&object.key, &held.id())).collect();
            all.dedup();
            all
        }
        _ => Vec::new(),
    }
}

/// The object without what the node had in it; none where it had nothing.
fn buried(object: Object, node: &str) -> Option<(Object, Option<String>, Freed)> {
    let content = Content::read(&object.key, &object.value).ok()?;
    let mut freed = Freed::default();
    let after = match content.clone() {
        Content::Block(mut block) => {
            let held = block.held.clone();
            for (address, _) in held.into_iter().filter(|(_, held)| held.node == node) {
                queue::free(&mut block, address, None, |_| true);
                freed.addresses = freed.addresses.saturating_add(1);
            }
            if block.owner.as_deref() == Some(node) {
                block.owner = None;
                freed.blocks = 1;
            }
            Content::Block(block)
        }
        Content::Store(Store(mut entries)) => {
            entries.retain(|_, value| value.holder.as_ref().is_none_or(|of| of.node != node));
            Content::Store(Store(entries))
        }
        other => other,
    };
    (after != content).then(|| (object, after.text(), freed))
}

pub(super) fn surveyed(objects: &[Object]) -> Survey {
    let mut survey = Survey::default();
    let mut bits: Vec<(String, u32)> = Vec::new();
    for object in objects {
        match Content::read(&object.key, &object.value) {
            Ok(Content::Domain(domain)) => {
                let Some(name) = object.key.strip_prefix(keys::DOMAINS).and_then(keys::name) else {
                    continue;
                };
                bits.push((name.clone(), domain.block));
                survey.ranges.extend(ranges_of(&name, &domain));
            }
            Err(what) => survey.unreadable.push(what),
            _ => {}
        }
    }
    for object in objects {
        let Ok(Content::Block(block)) = Content::read(&object.key, &object.value) else { continue };
        let Some((domain, first)) = keys::of_block(&object.key) else {
            survey.unreadable.push(format!("object {} is at no block's place", object.key));
            continue;
        };
        let Some((_, bits)) = bits.iter().find(|(name, _)| *name == domain) else {
            survey
                .unreadable
                .push(format!("object {} is of a domain that is not there", object.key));
            continue;
        };
        let span = keys::around(first, *bits);
        let Some(range) = Range::new(span.first.ip(), span.last.ip()) else { continue };
        let (key, version) = (object.key.clone(), object.version);
        survey.blocks.push(BlockAt { domain, range, block, key, version });
    }
    survey
}

fn ranges_of(name: &str, domain: &Domain) -> Vec<Ranges> {
    let all = domain.networks.iter();
    all.map(|(network, ranges)| Ranges {
        domain: name.to_owned(),
        network: network.clone(),
        ranges: ranges.iter().filter_map(|(first, last)| Range::new(*first, *last)).collect(),
    })
    .collect()
}
