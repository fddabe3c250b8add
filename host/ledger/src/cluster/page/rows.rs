//! The book's rows, as objects of the cluster and rows of the node's own book have them: records,
//! ports, cursors and what the host keeps are the node's alone. Each answer says by itself how new
//! it must be.

use std::net::IpAddr;

use wharfinger_cni::AttachmentId;

use super::{Page, address_of, is_of_host, keys, known_points, write_address};
use crate::book::{Accept, Address, Book, Halt, Identity, Lasting, Place, Reach, Scan, Stored};
use crate::cluster::objects::{
    Block, Content, Domain, Held, Keeping, Remembered, Store, Told, Value,
};
use crate::cluster::queue::Queued;
use crate::point::{Point, Span};
use crate::port::Spot;
use crate::{Entry, Error, Owner, Record, Usage};

impl Book for Page<'_> {
    fn attachment(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        self.desk().attachment(id)
    }

    fn attachments(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        self.desk().attachments(network)
    }

    fn put_attachment(&mut self, record: &Record, seq: u64) -> Result<(), Error> {
        self.told = Told::of(record);
        self.desk_mut()?.put_attachment(record, seq)
    }

    fn remove_attachment(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.remove_attachment(id)
    }

    fn remove_entries(&mut self, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.remove_entries(id)?;
        let node = self.part.node.clone();
        let stores = self.desk().cached_below(keys::STORES)?;
        for object in stores {
            // What is not its own is not guarded by having been looked into.
            let goes = |value: &Value| value.is_of(&node, id);
            self.with(&object.key, |slot| {
                if let Content::Store(Store(entries)) = &mut slot.content
                    && entries.values().any(goes)
                {
                    entries.retain(|_, value| !goes(value));
                    slot.changed = true;
                }
            })?;
        }
        Ok(())
    }

    /// Other nodes may use it: ranges go only when another network wants them.
    fn is_used(&self, _: &str, _: &str) -> Result<bool, Error> {
        Ok(true)
    }

    fn seq(&self) -> Result<u64, Error> {
        self.desk().seq()
    }

    fn next_seq(&mut self) -> Result<u64, Error> {
        self.desk_mut()?.next_seq()
    }

    fn reaches(&self, domain: &str) -> Result<&'static [Reach], Error> {
        if self.domain(domain)?.ordered {
            return Ok(&[Reach::All]);
        }
        Ok(&[Reach::Own, Reach::Unclaimed, Reach::All])
    }

    fn address(&self, domain: &str, point: Point) -> Result<Option<Address>, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        let node = &self.part.node;
        let held = |block: &Block| block.held.get(&point.ip()).map(|held| held.node == *node);
        let key = keys::block(domain, span.first);
        match self.block(domain, span.first, held)? {
            Some(true) => {
                self.guard_block(domain, point)?;
                // Without a record, it may have been released, and be another's.
                if !self.is_recorded(domain, point)? {
                    self.want_object(&key)?;
                }
            }
            Some(false) => self.want_object(&key)?,
            None => {}
        }
        self.block(domain, span.first, |block| address_of(block, point, node))
    }

    fn set_address(&mut self, domain: &str, point: Point, to: &Address) -> Result<(), Error> {
        let (node, told) = (self.part.node.clone(), self.told.clone());
        let ordered = self.domain(domain)?.ordered;
        if to.holder.is_some() {
            self.be_known()?;
        } else if let Some(id) = self.held_here(domain, point)? {
            self.given_up.push(Queued::held(domain, point.ip(), &id, None));
            return Ok(());
        }
        self.change_block(domain, point, |block| {
            let before = block.held.get(&point.ip());
            let held = to.holder.as_ref().map(|id| match before {
                // Another's, or one that stays.
                Some(held) if held.seen_from(&node) == *id => held.clone(),
                _ => Held::new(&node, id, told.clone()),
            });
            if held.is_some() && !ordered && block.owner.is_none() {
                block.owner = Some(node.clone());
            }
            write_address(block, point, to, held);
        })
    }

    fn run(&self, domain: &str, point: Point, reach: Reach) -> Result<Option<Span>, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        match reach {
            Reach::Own => match self.own_block(domain, span.first)? {
                Ok(()) => {
                    // In an old cache it may have been another's meanwhile.
                    self.run_in(domain, span, point)
                }
                Err(next) => {
                    let last = next
                        .and_then(Point::previous)
                        .filter(|last| Span::new(point, *last).is_some());
                    let end = keys::around(point, u128::BITS).last;
                    Ok(Span::new(point, last.unwrap_or(end)))
                }
            },
            Reach::Unclaimed => {
                // To make a block is to claim it: one that is another's is seen then.
                if !self.view.by_name {
                    self.want_fresh()?;
                }
                if self.block(domain, span.first, |block| block.owner.is_some())? {
                    return Ok(Some(span));
                }
                self.run_in(domain, span, point)
            }
            Reach::All => {
                if !(self.view.by_name && self.domain(domain)?.ordered) {
                    self.want_blocks()?;
                }
                self.run_in(domain, span, point)
            }
        }
    }

    fn oldest_rest(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        let order = |known: &Address| known.rest.filter(|_| known.kept.is_none());
        self.lowest(domain, |known| order(known).map(|rest| rest.order), accept)
    }

    fn oldest_kept(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error> {
        self.lowest(domain, |known| known.kept.filter(|_| known.holder.is_none()), accept)
    }

    /// None: those whose rest is over are free already, see [`Page::load`].
    fn rested(&self, _: u64, _: usize) -> Result<Vec<(String, Point)>, Error> {
        Ok(Vec::new())
    }

    fn count(&self, domain: &str, span: Span, now: u64) -> Result<Usage, Error> {
        let mut sum = Usage::default();
        for first in self.blocks_of(domain, span)? {
            self.block(domain, first, |block| {
                for point in known_points(block).into_iter().filter(|point| span.contains(*point)) {
                    tally(&mut sum, address_of(block, point, &self.part.node), now);
                }
            })?;
        }
        Ok(sum)
    }

    fn port_holder(&self, spot: Spot, but: &AttachmentId) -> Result<Option<AttachmentId>, Error> {
        self.desk().port_holder(spot, but)
    }

    fn hold_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.hold_port(spot, id)
    }

    fn free_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error> {
        self.desk_mut()?.free_port(spot, id)
    }

    fn pool(&self, domain: &str, network: &str) -> Result<Vec<Span>, Error> {
        let known = self.domain(domain)?;
        let ranges = known.networks.get(network).map(Vec::as_slice).unwrap_or_default();
        Ok(ranges.iter().filter_map(spanned).collect())
    }

    fn put_pool(&mut self, domain: &str, network: &str, spans: &[Span]) -> Result<(), Error> {
        self.domain(domain)?;
        self.with(&keys::domain(domain), |slot| {
            let Content::Domain(domain) = &mut slot.content else { return };
            // Whose ranges overlap with these has nothing in them: see `overlap`.
            domain.networks.retain(|_, ranges| {
                let mut theirs = ranges.iter().filter_map(spanned);
                !theirs.any(|other| spans.iter().any(|span| span.overlaps(other)))
            });
            let ranges = spans.iter().map(|span| (span.first.ip(), span.last.ip())).collect();
            if spans.is_empty() {
                domain.networks.remove(network);
            } else {
                domain.networks.insert(network.to_owned(), ranges);
            }
            slot.changed = true;
        })
    }

    /// Ranges of a network that has nothing in them any more are nobody's.
    fn overlap(
        &self,
        domain: &str,
        network: &str,
        span: Span,
    ) -> Result<Option<(String, Span)>, Error> {
        let known = self.domain(domain)?;
        for (other, ranges) in known.networks.iter().filter(|(name, _)| *name != network) {
            let theirs = ranges.iter().filter_map(spanned);
            let Some(clash) = theirs.clone().find(|theirs| theirs.overlaps(span)) else { continue };
            self.want_blocks()?;
            for all in theirs {
                if self.holds_in(domain, other, all)? {
                    return Ok(Some((other.clone(), clash)));
                }
            }
        }
        Ok(None)
    }

    /// A node without one begins at a block of its own, where all must find out by trying whose
    /// one is: else each would try the first.
    fn cursor(&self, place: Place<'_>, spans: &[Span]) -> Result<Option<Point>, Error> {
        let known = self.desk().cursor(place, spans)?;
        if known.is_some() || !self.view.by_name {
            return Ok(known);
        }
        let Domain { block, ordered, .. } = self.domain(place.domain)?;
        Ok(if ordered { None } else { keys::spread(spans, block, &self.part.node) })
    }

    fn put_cursor(&mut self, place: Place<'_>, spans: &[Span], at: Point) -> Result<(), Error> {
        self.desk_mut()?.put_cursor(place, spans, at)
    }

    fn identity(&self, place: Place<'_>, identity: &str) -> Result<Vec<Point>, Error> {
        self.want_known(&keys::identity(place, identity))?;
        self.with(&keys::identity(place, identity), |slot| {
            slot.guarded = true;
            match &slot.content {
                Content::Identity(Remembered(all)) => {
                    all.iter().copied().map(Point::from).collect()
                }
                _ => Vec::new(),
            }
        })
    }

    fn put_identity(
        &mut self,
        place: Place<'_>,
        identity: &str,
        points: &[Point],
    ) -> Result<(), Error> {
        let before = self.identity(place, identity)?;
        if before == points {
            return Ok(());
        }
        for point in before.iter().filter(|point| !points.contains(point)) {
            self.keep_less(place.domain, *point)?;
        }
        for point in points.iter().filter(|point| !before.contains(point)) {
            self.keep_more(place.domain, *point)?;
        }
        self.with(&keys::identity(place, identity), |slot| {
            slot.content =
                Content::Identity(Remembered(points.iter().map(|point| point.ip()).collect()));
            slot.changed = true;
        })
    }

    fn identities(&self) -> Result<Vec<Identity>, Error> {
        self.want_fresh()?;
        let mut all = Vec::new();
        for object in self.desk().cached_below(keys::IDENTITIES)? {
            let Some([domain, network, identity]) = keys::of_identity(&object.key) else {
                continue;
            };
            let points = self.identity(Place { domain: &domain, network: &network }, &identity)?;
            let addresses = points.into_iter().map(Point::ip).collect();
            all.push(Identity { domain, network, identity, addresses });
        }
        all.sort_unstable();
        Ok(all)
    }

    fn is_kept(&self, domain: &str, point: Point) -> Result<bool, Error> {
        let span = keys::around(point, self.domain(domain)?.block);
        self.block(domain, span.first, |block| {
            block.kept.get(&point.ip()).is_some_and(|keeping| keeping.by > 0)
        })
    }

    fn entry(&self, owner: &Owner, key: &str) -> Result<Option<Stored>, Error> {
        if is_of_host(owner) {
            return self.desk().entry(owner, key);
        }
        self.store(owner, |Store(entries), _| entries.get(key).map(|value| self.stored(value)))
    }

    fn put_entry(&mut self, owner: &Owner, key: &str, to: Option<&Stored>) -> Result<(), Error> {
        if is_of_host(owner) {
            return self.desk_mut()?.put_entry(owner, key, to);
        }
        let node = self.part.node.clone();
        self.store(owner, |Store(entries), changed| {
            *changed = true;
            match to {
                Some(Stored { value, holder }) => {
                    let holder = holder.as_ref().map(|id| Held::new(&node, id, Told::default()));
                    entries.insert(key.to_owned(), Value { value: value.clone(), holder });
                }
                None => drop(entries.remove(key)),
            }
        })
    }

    fn scan(&self, owner: &Owner, scan: &Scan) -> Result<Vec<(String, String)>, Error> {
        if is_of_host(owner) {
            return self.desk().scan(owner, scan);
        }
        self.store(owner, |Store(entries), _| {
            let wanted = entries.iter().filter(|(key, _)| scan.wants(key)).take(scan.limit);
            wanted.map(|(key, value)| (key.clone(), value.value.clone())).collect()
        })
    }

    fn tally(&self, owner: &Owner, prefix: &str) -> Result<u64, Error> {
        if is_of_host(owner) {
            return self.desk().tally(owner, prefix);
        }
        self.store(owner, |Store(entries), _| {
            entries.keys().filter(|key| key.starts_with(prefix)).count() as u64
        })
    }

    fn size(&self, owner: &Owner) -> Result<u64, Error> {
        if is_of_host(owner) {
            return self.desk().size(owner);
        }
        self.store(owner, |Store(entries), _| {
            entries.iter().map(|(key, value)| (key.len() + value.value.len()) as u64).sum()
        })
    }

    /// The store of a cluster lasts.
    fn persist(&mut self, changes: &[Lasting]) -> Result<(), Halt> {
        let of_host = |change: &&Lasting| match change {
            Lasting::Entry { owner, .. } => is_of_host(owner),
            Lasting::Identity(_) => false,
        };
        let own: Vec<Lasting> = changes.iter().filter(of_host).cloned().collect();
        if own.is_empty() { Ok(()) } else { self.desk_mut()?.persist(&own) }
    }

    fn damaged(&self, what: String) -> Error {
        crate::cluster::unavailable(what)
    }
}

impl Page<'_> {
    fn keep_more(&self, domain: &str, point: Point) -> Result<(), Error> {
        self.change_block(domain, point, |block| {
            let keeping = block.kept.entry(point.ip()).or_default();
            keeping.by = keeping.by.saturating_add(1);
        })
    }

    fn keep_less(&self, domain: &str, point: Point) -> Result<(), Error> {
        self.change_block(domain, point, |block| {
            if let Some(Keeping { by, .. }) = block.kept.get_mut(&point.ip()) {
                *by = by.saturating_sub(1);
            }
        })
    }
}

fn spanned((first, last): &(IpAddr, IpAddr)) -> Option<Span> {
    Span::new((*first).into(), (*last).into())
}

/// Counts one address.
fn tally(sum: &mut Usage, known: Option<Address>, now: u64) {
    let Some(known) = known else { return };
    if known.holder.is_some() {
        sum.held = sum.held.saturating_add(1);
    } else if known.kept.is_some() {
        sum.remembered = sum.remembered.saturating_add(1);
    } else if known.rest.is_some_and(|rest| rest.until > now) {
        sum.cooling = sum.cooling.saturating_add(1);
    }
}
