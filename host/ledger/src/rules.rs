//! The rules of the book: what a commit checks and writes, what a release frees. Written once,
//! over the rows, so that every kind of book follows the same. Each function here runs inside
//! one transaction, and does no I/O of its own.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use wharfinger_cni::AttachmentId;

use crate::book::{Address, Book, Halt, Lasting, Place, Rest, Scan, Stored};
use crate::point::{Point, Span, merged};
use crate::port::{Holder, spots};
use crate::search::{Ask, Seeker, Tier, find};
use crate::{Claim, Error, HostPort, Owner, Range, Record, Refusal, Release, Scope, State, Usage};

/// How many addresses whose rest is over are freed in one go: an ADD never pays for more. What
/// is beyond goes on resting, and is given before a range counts as full.
const RESTED_AT_ONCE: usize = 256;

/// Something that a session read, and what it was told.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    /// An address was granted by name.
    Granted(Point),
    /// It was refused: its holder.
    Refused(Point, AttachmentId),
    /// A port was claimed; where it was refused, its holder.
    Claimed(HostPort, Option<AttachmentId>),
    /// An address was looked for.
    Found(Search),
    /// What an identity's addresses were.
    Remembered(String, Vec<Point>),
    /// An entry of a store.
    Entry(Owner, String, Option<Stored>),
    /// Entries of a store.
    Scanned(Owner, Scan, Vec<(String, String)>),
    /// How many entries of a store had a prefix.
    Counted(Owner, String, u64),
    /// The network's ranges overlapped with nobody's.
    Pools(Vec<Span>),
}

/// An address was looked for.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub(crate) ask: Ask,
    pub(crate) found: Option<(Point, Tier)>,
    /// How many addresses the session had taken before.
    pub(crate) taken: usize,
    /// What it had taken last from these ranges.
    pub(crate) last: Option<Point>,
}

/// A new value of a store, and whether it goes with the attachment; none: removed.
pub(crate) type Written = Option<(String, bool)>;

/// New values of stores.
pub(crate) type Store = BTreeMap<(Owner, String), Written>;

/// What a session read, and what it wants written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) scope: Scope,
    /// The record's sequence number when the session began; none: there was no record.
    pub(crate) seq: Option<u64>,
    /// What the attachment held then, in this domain.
    pub(crate) own: Vec<Point>,
    pub(crate) notes: Vec<Note>,
    /// In the order in which they were taken.
    pub(crate) taken: Vec<Point>,
    pub(crate) claimed: Vec<HostPort>,
    pub(crate) pools: Option<Vec<Span>>,
    /// What was taken last from these ranges.
    pub(crate) cursors: BTreeMap<Vec<Span>, Point>,
    pub(crate) identities: Vec<String>,
    /// The stores' new values.
    pub(crate) store: Store,
}

impl Draft {
    pub(crate) fn place(&self) -> Place<'_> {
        Place { domain: &self.scope.domain, network: &self.scope.id.network }
    }

    /// Who looks for an address, having taken `taken` of them.
    pub(crate) fn seeker(&self, taken: usize, last: Option<Point>) -> Seeker<'_> {
        let taken = self.taken.get(..taken).unwrap_or(&self.taken);
        Seeker { id: &self.scope.id, place: self.place(), own: &self.own, taken, last }
    }
}

/// Whether the address can be taken by name: one that rests or is remembered can.
pub(crate) fn grant(
    book: &dyn Book,
    scope: &Scope,
    point: Point,
) -> Result<Result<(), Refusal>, Error> {
    let known = book.address(&scope.domain, point)?;
    Ok(match known.and_then(|address| address.holder) {
        Some(holder) if holder != scope.id => Err(Refusal::Held(holder)),
        _ => Ok(()),
    })
}

/// Whether the port can be claimed.
pub(crate) fn claim(
    book: &dyn Book,
    id: &AttachmentId,
    port: &HostPort,
) -> Result<Result<(), Holder>, Error> {
    let Some(holder) = port_holder(book, id, port)? else { return Ok(Ok(())) };
    let Some(entry) = book.attachment(&holder)? else {
        return Err(book.damaged(format!("{port} is {holder}'s, who has no record")));
    };
    Ok(Err(Holder { id: holder, since: entry.record.created }))
}

/// Whose port, other than the attachment's own, clashes with this one.
fn port_holder(
    book: &dyn Book,
    id: &AttachmentId,
    port: &HostPort,
) -> Result<Option<AttachmentId>, Error> {
    for spot in spots(port) {
        if let Some(holder) = book.port_holder(spot, id)? {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

/// Whether the ranges are nobody else's.
pub(crate) fn check_pools(book: &dyn Book, place: Place<'_>, spans: &[Span]) -> Result<(), Error> {
    for span in spans {
        if let Some((network, other)) = book.overlap(place.domain, place.network, *span)? {
            return Err(Error::Overlap {
                range: span.text(),
                other: other.text(),
                network,
                domain: place.domain.to_owned(),
            });
        }
    }
    Ok(())
}

/// Frees addresses whose rest is over, some of them.
pub(crate) fn end_rests(book: &mut dyn Book, now: u64) -> Result<(), Error> {
    for (domain, point) in book.rested(now, RESTED_AT_ONCE)? {
        let Some(known) = book.address(&domain, point)? else { continue };
        book.set_address(&domain, point, &Address { rest: None, ..known })?;
    }
    Ok(())
}

/// Checks that what the session read still stands, and writes what it wants written.
pub(crate) fn commit(book: &mut dyn Book, draft: &Draft, record: &Record) -> Result<u64, Halt> {
    check_record(draft, record)?;
    recheck(book, draft)?;
    let before = book.attachment(&record.id)?.map(|entry| entry.record);
    let seq = book.next_seq()?;
    book.put_attachment(record, seq)?;
    if let Some(before) = before {
        give_up(book, &before, record)?;
        book.remove_entries(&record.id)?;
    }
    for address in &record.addresses {
        occupy(book, record, Point::from(*address))?;
    }
    hold_ports(book, record, &record.ports)?;
    write_ranges(book, draft, record)?;
    let mut lasting = Vec::new();
    write_identities(book, draft, record, seq, &mut lasting)?;
    write_store(book, draft, &mut lasting)?;
    if !lasting.is_empty() {
        book.persist(&lasting)?;
    }
    Ok(seq)
}

/// The caller's part of the contract.
fn check_record(draft: &Draft, record: &Record) -> Result<(), Error> {
    let misuse = |what: String| Error::Misuse { id: record.id.clone(), what };
    if record.id != draft.scope.id || record.domain != draft.scope.domain {
        let scope = &draft.scope;
        return Err(misuse(format!("the session is {}'s in domain {}", scope.id, scope.domain)));
    }
    let taken = |address: &&IpAddr| !draft.taken.contains(&Point::from(**address));
    if let Some(address) = record.addresses.iter().find(taken) {
        return Err(misuse(format!("{address} was not taken in this session")));
    }
    match record.ports.iter().find(|port| !draft.claimed.contains(port)) {
        Some(port) => Err(misuse(format!("{port} was not claimed in this session"))),
        None => Ok(()),
    }
}

/// Whether each answer that the session had would be the same, or at least as good, now.
fn recheck(book: &dyn Book, draft: &Draft) -> Result<(), Halt> {
    let seq = book.attachment(&draft.scope.id)?.map(|entry| entry.seq);
    let mut stands = seq == draft.seq;
    for note in &draft.notes {
        stands = stands && note_stands(book, draft, note)?;
    }
    if stands { Ok(()) } else { Err(Halt::Conflict) }
}

fn note_stands(book: &dyn Book, draft: &Draft, note: &Note) -> Result<bool, Error> {
    Ok(match note {
        Note::Granted(point) => grant(book, &draft.scope, *point)?.is_ok(),
        Note::Refused(point, holder) => {
            grant(book, &draft.scope, *point)? == Err(Refusal::Held(holder.clone()))
        }
        Note::Claimed(port, holder) => port_holder(book, &draft.scope.id, port)? == *holder,
        Note::Found(search) => search_stands(book, draft, search)?,
        Note::Remembered(identity, points) => book.identity(draft.place(), identity)? == *points,
        Note::Entry(owner, key, stored) => book.entry(owner, key)? == *stored,
        Note::Scanned(owner, scan, found) => book.scan(owner, scan)? == *found,
        Note::Counted(owner, prefix, found) => book.tally(owner, prefix)? == *found,
        Note::Pools(spans) => match check_pools(book, draft.place(), spans) {
            Err(Error::Overlap { .. }) => false,
            other => other.map(|()| true)?,
        },
    })
}

/// A free address must be free still: that somebody freed one that would have come first is no
/// reason to run a plugin again. Any other answer holds only while there is no better one.
fn search_stands(book: &dyn Book, draft: &Draft, search: &Search) -> Result<bool, Error> {
    if let Some((point, Tier::Free)) = search.found {
        return Ok(book.address(&draft.scope.domain, point)?.is_none());
    }
    let seeker = draft.seeker(search.taken, search.last);
    Ok(find(book, seeker, &search.ask)? == search.found)
}

/// Frees what the earlier record held and this one does not, at once.
fn give_up(book: &mut dyn Book, before: &Record, record: &Record) -> Result<(), Error> {
    let moved = before.domain != record.domain;
    for address in &before.addresses {
        if moved || !record.addresses.contains(address) {
            vacate(book, before, Point::from(*address), None)?;
        }
    }
    let kept: Vec<_> = record.ports.iter().flat_map(spots).collect();
    for spot in before.ports.iter().flat_map(spots).filter(|spot| !kept.contains(spot)) {
        book.free_port(spot, &before.id)?;
    }
    if moved {
        drop_pool(book, &before.domain, &before.id.network)?;
    }
    Ok(())
}

/// The address is no longer the record's; it rests as said, or is free.
fn vacate(
    book: &mut dyn Book,
    record: &Record,
    point: Point,
    rest: Option<Rest>,
) -> Result<(), Error> {
    let known = book.address(&record.domain, point)?.unwrap_or_default();
    // After a rebuild from what was found on the node, an address may be another's.
    if known.holder.as_ref() != Some(&record.id) {
        return Ok(());
    }
    book.set_address(&record.domain, point, &Address { holder: None, rest, ..known })
}

/// The address is the record's from now on.
fn occupy(book: &mut dyn Book, record: &Record, point: Point) -> Result<(), Error> {
    let known = book.address(&record.domain, point)?.unwrap_or_default();
    let holder = Some(record.id.clone());
    if known.holder == holder {
        return Ok(());
    }
    book.set_address(&record.domain, point, &Address { holder, rest: None, ..known })
}

/// The ports are the record's from now on.
fn hold_ports(book: &mut dyn Book, record: &Record, ports: &[HostPort]) -> Result<(), Error> {
    ports.iter().flat_map(spots).try_for_each(|spot| book.hold_port(spot, &record.id))
}

/// Where the network's last attachment of the domain is gone, its ranges are nobody's.
fn drop_pool(book: &mut dyn Book, domain: &str, network: &str) -> Result<(), Error> {
    if book.is_used(domain, network)? {
        return Ok(());
    }
    book.put_pool(domain, network, &[])
}

/// The network's ranges, and what was taken last from which.
fn write_ranges(book: &mut dyn Book, draft: &Draft, record: &Record) -> Result<(), Error> {
    let place = draft.place();
    if let Some(pools) = &draft.pools
        && book.pool(place.domain, place.network)? != *pools
    {
        book.put_pool(place.domain, place.network, pools)?;
    }
    for (spans, last) in &draft.cursors {
        if record.addresses.contains(&last.ip()) {
            book.put_cursor(place, spans, *last)?;
        }
    }
    Ok(())
}

fn write_identities(
    book: &mut dyn Book,
    draft: &Draft,
    record: &Record,
    order: u64,
    lasting: &mut Vec<Lasting>,
) -> Result<(), Error> {
    for identity in &draft.identities {
        let to = crate::Identity {
            domain: record.domain.clone(),
            network: record.id.network.clone(),
            identity: identity.clone(),
            addresses: record.addresses.clone(),
        };
        remember(book, &to, order)?;
        lasting.push(Lasting::Identity(to));
    }
    Ok(())
}

/// The identity's addresses are these, in place of earlier ones; none: it is forgotten.
pub(crate) fn remember(book: &mut dyn Book, to: &crate::Identity, order: u64) -> Result<(), Error> {
    let place = Place { domain: &to.domain, network: &to.network };
    let points: Vec<Point> = to.addresses.iter().copied().map(Point::from).collect();
    let before = book.identity(place, &to.identity)?;
    book.put_identity(place, &to.identity, &points)?;
    for point in before {
        if !book.is_kept(&to.domain, point)? {
            mark_kept(book, &to.domain, point, None)?;
        }
    }
    for point in points {
        mark_kept(book, &to.domain, point, Some(order))?;
    }
    Ok(())
}

fn mark_kept(
    book: &mut dyn Book,
    domain: &str,
    point: Point,
    kept: Option<u64>,
) -> Result<(), Error> {
    let known = book.address(domain, point)?.unwrap_or_default();
    book.set_address(domain, point, &Address { kept, ..known })
}

fn write_store(
    book: &mut dyn Book,
    draft: &Draft,
    lasting: &mut Vec<Lasting>,
) -> Result<(), Error> {
    for ((owner, key), to) in &draft.store {
        let before = book.entry(owner, key)?;
        let to = to.as_ref().map(|(value, attachment)| Stored {
            value: value.clone(),
            holder: attachment.then(|| draft.scope.id.clone()),
        });
        if before == to {
            continue;
        }
        book.put_entry(owner, key, to.as_ref())?;
        let permanent = |stored: &Stored| stored.holder.is_none();
        if before.is_some_and(|stored| permanent(&stored)) || to.as_ref().is_some_and(permanent) {
            let value = to.filter(permanent).map(|stored| stored.value);
            lasting.push(Lasting::Entry { owner: owner.clone(), key: key.clone(), value });
        }
    }
    Ok(())
}

/// All that an owner keeps past reboots.
pub(crate) fn kept(book: &dyn Book, owner: &Owner) -> Result<Vec<(String, String)>, Error> {
    book.scan(owner, &Scan { prefix: String::new(), after: None, limit: usize::MAX })
}

/// Keeps a value past reboots, outside of any session; none: keeps it no longer.
pub(crate) fn keep(
    book: &mut dyn Book,
    owner: &Owner,
    key: &str,
    value: Option<&str>,
) -> Result<(), Halt> {
    let to = value.map(|value| Stored { value: value.to_owned(), holder: None });
    if book.entry(owner, key)? == to {
        return Ok(());
    }
    book.put_entry(owner, key, to.as_ref())?;
    let (owner, key, value) = (owner.clone(), key.to_owned(), value.map(str::to_owned));
    book.persist(&[Lasting::Entry { owner, key, value }])
}

/// Brings what outlives a reboot into a book.
pub(crate) fn seed(book: &mut dyn Book, lasting: &[Lasting]) -> Result<(), Error> {
    if lasting.is_empty() {
        return Ok(());
    }
    let order = book.next_seq()?;
    for one in lasting {
        match one {
            Lasting::Identity(identity) => remember(book, identity, order)?,
            Lasting::Entry { owner, key, value } => {
                let to = value.clone().map(|value| Stored { value, holder: None });
                book.put_entry(owner, key, to.as_ref())?;
            }
        }
    }
    Ok(())
}

/// Writes records that were put together from what was found on the node. What two of them claim
/// stays with the earlier one; the later one's claim is returned.
pub(crate) fn restore(
    book: &mut dyn Book,
    records: &[Record],
) -> Result<Vec<(AttachmentId, Claim)>, Error> {
    let mut doubled = Vec::new();
    for record in records {
        let seq = book.next_seq()?;
        book.put_attachment(record, seq)?;
        for address in &record.addresses {
            let point = Point::from(*address);
            match book.address(&record.domain, point)?.and_then(|known| known.holder) {
                Some(holder) if holder != record.id => {
                    doubled.push((record.id.clone(), Claim::Address(*address)));
                }
                _ => occupy(book, record, point)?,
            }
        }
        for port in &record.ports {
            match port_holder(book, &record.id, port)? {
                Some(_) => doubled.push((record.id.clone(), Claim::Port(*port))),
                None => hold_ports(book, record, std::slice::from_ref(port))?,
            }
        }
    }
    Ok(doubled)
}

/// The record is finished.
pub(crate) fn attached(
    book: &mut dyn Book,
    id: &AttachmentId,
    seq: u64,
    result: &serde_json::Value,
) -> Result<Release, Error> {
    let Some(entry) = book.attachment(id)? else { return Ok(Release::Absent) };
    if entry.seq != seq {
        return Ok(Release::Stale);
    }
    let result = Some(result.clone());
    let record = Record { state: State::Attached, result, ..entry.record };
    let seq = book.next_seq()?;
    book.put_attachment(&record, seq)?;
    Ok(Release::Done)
}

/// The record is another, and all that goes with the attachment stays. What it does not hold any
/// more is free.
pub(crate) fn amend(book: &mut dyn Book, record: &Record, seq: u64) -> Result<Release, Error> {
    let Some(entry) = book.attachment(&record.id)? else { return Ok(Release::Absent) };
    if entry.seq != seq {
        return Ok(Release::Stale);
    }
    let before = entry.record;
    let misuse = |what: String| Err(Error::Misuse { id: record.id.clone(), what });
    if let Some(new) = record.addresses.iter().find(|one| !before.addresses.contains(one)) {
        return misuse(format!("{new} was not its own"));
    }
    let new = record.ports.iter().any(|port| !before.ports.contains(port));
    if new || before.domain != record.domain {
        return misuse("its ports or its domain were others".to_owned());
    }
    give_up(book, &before, record)?;
    let seq = book.next_seq()?;
    book.put_attachment(record, seq)?;
    Ok(Release::Done)
}

/// The record is gone, its addresses rest; a port is free at once.
pub(crate) fn release(
    book: &mut dyn Book,
    id: &AttachmentId,
    seq: u64,
    until: Option<u64>,
) -> Result<Release, Error> {
    let Some(entry) = book.attachment(id)? else { return Ok(Release::Absent) };
    if entry.seq != seq {
        return Ok(Release::Stale);
    }
    let order = book.next_seq()?;
    let rest = until.map(|until| Rest { until, order });
    for address in &entry.record.addresses {
        vacate(book, &entry.record, Point::from(*address), rest)?;
    }
    for spot in entry.record.ports.iter().flat_map(spots) {
        book.free_port(spot, id)?;
    }
    book.remove_attachment(id)?;
    drop_pool(book, &entry.record.domain, &id.network)?;
    Ok(Release::Done)
}

/// Until when a released address rests; none: it is free at once.
pub(crate) fn rest_until(now: u64, cool: Duration) -> Option<u64> {
    // A part of a second rests a whole one.
    let seconds = cool.as_secs().saturating_add(u64::from(cool.subsec_nanos() > 0));
    (seconds > 0).then(|| now.saturating_add(seconds))
}

/// Counts over ranges that may overlap.
pub(crate) fn usage(
    book: &dyn Book,
    domain: &str,
    ranges: &[Range],
    now: u64,
) -> Result<Usage, Error> {
    let mut sum = Usage::default();
    for span in merged(crate::point::spans(ranges)) {
        let part = book.count(domain, span, now)?;
        sum.total = sum.total.saturating_add(span.size());
        sum.held = sum.held.saturating_add(part.held);
        sum.cooling = sum.cooling.saturating_add(part.cooling);
        sum.remembered = sum.remembered.saturating_add(part.remembered);
    }
    Ok(sum)
}

/// Forgets an identity of a network, in all domains: false where nothing was remembered.
pub(crate) fn forget(book: &mut dyn Book, network: &str, identity: &str) -> Result<bool, Halt> {
    let ours = |found: &crate::Identity| found.network == network && found.identity == identity;
    let mut lasting = Vec::new();
    for found in book.identities()?.into_iter().filter(ours) {
        let none = crate::Identity { addresses: Vec::new(), ..found };
        remember(book, &none, 0)?;
        lasting.push(Lasting::Identity(none));
    }
    if !lasting.is_empty() {
        book.persist(&lasting)?;
    }
    Ok(!lasting.is_empty())
}
