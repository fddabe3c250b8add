//! Finding an address to take. Decides, and writes nothing. Never walks a range address by
//! address: it jumps from one obstacle to the next, whatever lies between.

use wharfinger_cni::AttachmentId;

use crate::Error;
use crate::book::{Book, Place, Reach};
use crate::point::{Point, Span, covering, merged};

/// What is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// In this order.
    pub(crate) ranges: Vec<Span>,
    /// Sorted, without overlaps: see [`Ask::new`].
    excluded: Vec<Span>,
    /// Begin here, where it is within the ranges.
    start: Option<Point>,
}

impl Ask {
    pub(crate) fn new(ranges: Vec<Span>, excluded: Vec<Span>, start: Option<Point>) -> Self {
        Self { ranges, excluded: merged(excluded), start }
    }

    fn allows(&self, point: Point) -> bool {
        covering(&self.excluded, point).is_none()
            && self.ranges.iter().any(|range| range.contains(point))
    }
}

/// Who looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seeker<'a> {
    /// The attachment that it is for.
    pub(crate) id: &'a AttachmentId,
    /// Network and domain.
    pub(crate) place: Place<'a>,
    /// What the attachment held when the session began.
    pub(crate) own: &'a [Point],
    /// What the session took so far.
    pub(crate) taken: &'a [Point],
    /// What it took last from just these ranges.
    pub(crate) last: Option<Point>,
}

/// What kind of address was found: the order in which they are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// The attachment holds it already.
    Own,
    /// Nothing is known of it.
    Free,
    /// It rests after a release.
    Resting,
    /// An identity remembers it.
    Kept,
}

/// The address to take, and of what kind it is.
pub(crate) fn find(
    book: &dyn Book,
    seeker: Seeker<'_>,
    ask: &Ask,
) -> Result<Option<(Point, Tier)>, Error> {
    let domain = seeker.place.domain;
    let mut accept = |point| ask.allows(point) && !seeker.taken.contains(&point);
    for own in seeker.own.iter().copied().filter(|point| accept(*point)) {
        // By its record alone it is not: after a rebuild, or somebody's word that the node is
        // dead, it may be another's.
        let known = book.address(domain, own)?.unwrap_or_default();
        if known.holder.is_none_or(|holder| holder == *seeker.id) {
            return Ok(Some((own, Tier::Own)));
        }
    }
    if let Some(free) = free(book, seeker, ask)? {
        return Ok(Some((free, Tier::Free)));
    }
    if let Some(resting) = book.oldest_rest(domain, &mut accept)? {
        return Ok(Some((resting, Tier::Resting)));
    }
    Ok(book.oldest_kept(domain, &mut accept)?.map(|point| (point, Tier::Kept)))
}

/// The first free address, in the order of the search.
fn free(book: &dyn Book, seeker: Seeker<'_>, ask: &Ask) -> Result<Option<Point>, Error> {
    let pieces = pieces(&ask.ranges, begin(book, seeker, ask)?);
    for reach in book.reaches(seeker.place.domain)? {
        for piece in &pieces {
            if let Some(point) = free_in(book, seeker, ask, *piece, *reach)? {
                return Ok(Some(point));
            }
        }
    }
    Ok(None)
}

/// Where the search begins: in which range, and at which of its addresses.
fn begin(book: &dyn Book, seeker: Seeker<'_>, ask: &Ask) -> Result<Option<(usize, Point)>, Error> {
    let within = |point: Point| ask.ranges.iter().position(|range| range.contains(point));
    if let Some(start) = ask.start
        && let Some(index) = within(start)
    {
        return Ok(Some((index, start)));
    }
    let last = match seeker.last {
        Some(last) => Some(last),
        None => book.cursor(seeker.place, &ask.ranges)?,
    };
    let above = |last: Point| within(last).and_then(|index| above(&ask.ranges, index, last));
    Ok(last.and_then(above))
}

/// The address after `last` of the range `index`: the next one up, or the next range's first.
pub(crate) fn above(ranges: &[Span], index: usize, last: Point) -> Option<(usize, Point)> {
    let range = ranges.get(index)?;
    if let Some(next) = last.next()
        && range.contains(next)
    {
        return Some((index, next));
    }
    let index = index.saturating_add(1);
    ranges.get(index).map(|range| (index, range.first))
}

/// The ranges in the order in which they are searched: once round from `begin`.
pub(crate) fn pieces(ranges: &[Span], begin: Option<(usize, Point)>) -> Vec<Span> {
    let Some((index, start)) = begin else { return ranges.to_vec() };
    let (before, from) = ranges.split_at_checked(index).unwrap_or((ranges, &[]));
    let Some((range, after)) = from.split_first() else { return ranges.to_vec() };
    let head = Span::new(start, range.last);
    let tail = start.previous().and_then(|last| Span::new(range.first, last));
    let whole = after.iter().chain(before).copied();
    head.into_iter().chain(whole).chain(tail).collect()
}

/// The lowest free address of the piece. Each turn passes one obstacle; runs are maximal, so
/// there are at most twice as many turns as excluded and taken ones, and two more.
fn free_in(
    book: &dyn Book,
    seeker: Seeker<'_>,
    ask: &Ask,
    piece: Span,
    reach: Reach,
) -> Result<Option<Point>, Error> {
    let mut at = Some(piece.first);
    while let Some(point) = at.filter(|point| piece.contains(*point)) {
        let obstacle = match covering(&ask.excluded, point) {
            Some(excluded) => Some(excluded),
            None if seeker.taken.contains(&point) => Some(Span::one(point)),
            None => book.run(seeker.place.domain, point, reach)?,
        };
        match obstacle {
            Some(obstacle) => at = obstacle.last.next(),
            None => return known_free(book, seeker.place.domain, point).map(Some),
        }
    }
    Ok(None)
}

/// Runs and addresses are kept apart, so that damage to one shows in the other.
fn known_free(book: &dyn Book, domain: &str, point: Point) -> Result<Point, Error> {
    if book.address(domain, point)?.is_none() {
        return Ok(point);
    }
    let address = point.ip();
    Err(book.damaged(format!("{address} is in no run of taken ones, but known")))
}
