//! What a book must be able to do: the rows that the rules are written over. Two implement it,
//! the model in memory and SQLite. Never holds a rule itself: those are in `search` and `rules`.

use std::time::Duration;

use wharfinger_cni::AttachmentId;

use crate::cluster::Object;
use crate::point::{Point, Span};
use crate::port::Spot;
use crate::{Entry, Error, Owner, Record, Usage};

/// What is known of one address of a domain. One of which nothing is known has no row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    /// Who holds it.
    pub(crate) holder: Option<AttachmentId>,
    /// It rests since its release.
    pub(crate) rest: Option<Rest>,
    /// Some identity remembers it: the sequence number of the latest remembering.
    pub(crate) kept: Option<u64>,
}

impl Address {
    /// Nothing is known of it: it is free.
    pub(crate) fn is_free(&self) -> bool {
        self.holder.is_none() && self.rest.is_none() && self.kept.is_none()
    }
}

/// An address rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Until then, in seconds since the Unix epoch; not at that second itself.
    pub(crate) until: u64,
    /// The sequence number of its release: a lower one was released earlier.
    pub(crate) order: u64,
}

/// An entry of a plugin's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) value: String,
    /// It goes with this attachment; without one it is permanent.
    pub(crate) holder: Option<AttachmentId>,
}

/// A change of what outlives a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// The identity's addresses are these; none: it is forgotten.
    Identity(Identity),
    /// The store's entry has this value; none: it is gone.
    Entry { owner: Owner, key: String, value: Option<String> },
}

/// What is remembered for an identity of a network: past release and reboot, until it is
/// replaced or forgotten.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The address space.
    pub domain: String,
    /// The network whose plugin named the identity.
    pub network: String,
    /// Its name, which the plugin chose.
    pub identity: String,
    /// In the lease's order.
    pub addresses: Vec<std::net::IpAddr>,
}

/// Among which addresses a free one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those of blocks that are this node's.
    Own,
    /// Those of blocks that are nobody's.
    Unclaimed,
    /// All.
    All,
}

/// Asked of each candidate in turn, the oldest first: whether it will do.
pub(crate) type Accept<'a> = &'a mut dyn FnMut(Point) -> bool;

/// The rows. A method that changes runs inside a transaction; one that reads may.
pub(crate) trait Book {
    fn attachment(&self, id: &AttachmentId) -> Result<Option<Entry>, Error>;
    /// All, or one network's, by their keys.
    fn attachments(&self, network: Option<&str>) -> Result<Vec<Entry>, Error>;
    fn put_attachment(&mut self, record: &Record, seq: u64) -> Result<(), Error>;
    /// Removes the record and the stores' entries that go with it; its addresses and ports are
    /// not touched: they must be no longer held.
    fn remove_attachment(&mut self, id: &AttachmentId) -> Result<(), Error>;
    /// Removes the stores' entries that go with the attachment.
    fn remove_entries(&mut self, id: &AttachmentId) -> Result<(), Error>;
    /// Whether the network has an attachment in the domain.
    fn is_used(&self, domain: &str, network: &str) -> Result<bool, Error>;
    /// The highest sequence number given.
    fn seq(&self) -> Result<u64, Error>;
    fn next_seq(&mut self) -> Result<u64, Error>;

    /// Where a free address is looked for, one after the other.
    fn reaches(&self, domain: &str) -> Result<&'static [Reach], Error> {
        let _ = domain;
        Ok(&[Reach::All])
    }
    fn address(&self, domain: &str, point: Point) -> Result<Option<Address>, Error>;
    /// Writes what is known of an address; where nothing is, it is free from then on.
    fn set_address(&mut self, domain: &str, point: Point, to: &Address) -> Result<(), Error>;
    /// The interval of addresses that cannot be taken within the reach, as something is known of
    /// them or they lie beyond it, that contains `point`. The wider the better.
    fn run(&self, domain: &str, point: Point, reach: Reach) -> Result<Option<Span>, Error>;
    /// The address that rests, is not remembered, is accepted, and was released first.
    fn oldest_rest(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error>;
    /// The address that nobody holds, is remembered, is accepted, and was remembered first.
    fn oldest_kept(&self, domain: &str, accept: Accept<'_>) -> Result<Option<Point>, Error>;
    /// At most `limit` addresses of all domains whose rest is over at `now`, the longest over
    /// first.
    fn rested(&self, now: u64, limit: usize) -> Result<Vec<(String, Point)>, Error>;
    /// How many addresses of the span are held, rest, are remembered; `total` stays zero.
    fn count(&self, domain: &str, span: Span, now: u64) -> Result<Usage, Error>;

    /// Somebody else than `but` whose port clashes with this one: of several, that of the lowest
    /// address.
    fn port_holder(&self, spot: Spot, but: &AttachmentId) -> Result<Option<AttachmentId>, Error>;
    /// The port, which is nobody else's, is the attachment's.
    fn hold_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error>;
    /// The port is free, where it was the attachment's.
    fn free_port(&mut self, spot: Spot, id: &AttachmentId) -> Result<(), Error>;

    /// The ranges that the network allocates from.
    fn pool(&self, domain: &str, network: &str) -> Result<Vec<Span>, Error>;
    fn put_pool(&mut self, domain: &str, network: &str, spans: &[Span]) -> Result<(), Error>;
    /// A range of another network in the domain that overlaps with the span.
    fn overlap(
        &self,
        domain: &str,
        network: &str,
        span: Span,
    ) -> Result<Option<(String, Span)>, Error>;
    /// The address that was taken last from exactly these ranges.
    fn cursor(&self, place: Place<'_>, spans: &[Span]) -> Result<Option<Point>, Error>;
    fn put_cursor(&mut self, place: Place<'_>, spans: &[Span], at: Point) -> Result<(), Error>;

    fn identity(&self, place: Place<'_>, identity: &str) -> Result<Vec<Point>, Error>;
    /// Replaces; none: forgets.
    fn put_identity(
        &mut self,
        place: Place<'_>,
        identity: &str,
        points: &[Point],
    ) -> Result<(), Error>;
    fn identities(&self) -> Result<Vec<Identity>, Error>;
    /// Whether any identity of the domain remembers the address.
    fn is_kept(&self, domain: &str, point: Point) -> Result<bool, Error>;

    fn entry(&self, owner: &Owner, key: &str) -> Result<Option<Stored>, Error>;
    /// Writes; none: removes.
    fn put_entry(&mut self, owner: &Owner, key: &str, to: Option<&Stored>) -> Result<(), Error>;
    /// At most `limit` keys and values in the order of the keys' bytes.
    fn scan(&self, owner: &Owner, scan: &Scan) -> Result<Vec<(String, String)>, Error>;
    /// How many keys begin with the prefix.
    fn tally(&self, owner: &Owner, prefix: &str) -> Result<u64, Error>;
    /// Bytes of all keys and values.
    fn size(&self, owner: &Owner) -> Result<u64, Error>;
    /// Makes the changes last, before the transaction that makes them in the book ends.
    /// Conflict: what outlives a reboot was changed behind the book's back; the book was
    /// brought up to date.
    fn persist(&mut self, changes: &[Lasting]) -> Result<(), Halt>;

    /// The error that says that the book contradicts itself.
    fn damaged(&self, what: String) -> Error;
}

/// A network in a domain: whose cursors and identities.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) domain: &'a str,
    pub(crate) network: &'a str,
}

/// What entries of the store are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) prefix: String,
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

impl Scan {
    /// Whether the key is among those asked for.
    pub(crate) fn wants(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && self.after.as_deref().is_none_or(|after| key > after)
    }

    /// No wanted key is below it.
    pub(crate) fn from(&self) -> &str {
        self.after.as_deref().map_or(&self.prefix, |after| after.max(&self.prefix))
    }
}

/// Why a transaction ends without having changed anything.
#[derive(Debug)]
pub(crate) enum Halt {
    /// What was read has changed.
    Conflict,
    /// The book cannot answer.
    Error(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Where a book stands, and how it is entered: each call is one short transaction. What is done
/// in it may be done again, so it changes nothing but the book.
pub(crate) trait Shelf {
    /// One consistent view, for as long as `f` runs.
    fn read<R>(&self, f: impl Fn(&dyn Book) -> Result<R, Error>) -> Result<R, Error>;
    /// All that `f` changes, or on its error nothing.
    fn write<R>(&self, f: impl Fn(&mut dyn Book) -> Result<R, Halt>) -> Result<R, Halt>;
}

impl<S: Shelf> Shelf for &S {
    fn read<R>(&self, f: impl Fn(&dyn Book) -> Result<R, Error>) -> Result<R, Error> {
        (**self).read(f)
    }

    fn write<R>(&self, f: impl Fn(&mut dyn Book) -> Result<R, Halt>) -> Result<R, Halt> {
        (**self).write(f)
    }
}

/// What a node's own book keeps of its cluster's: objects as they were seen last, and what the
/// cluster's is still to be told. All of it may be lost without harm.
pub(crate) trait Desk: Book {
    fn cached(&self, key: &str) -> Result<Option<Object>, Error>;
    /// Those whose key begins with the prefix, in the order of the keys' bytes.
    fn cached_below(&self, prefix: &str) -> Result<Vec<Object>, Error>;
    /// Those that were put as the node's own.
    fn cached_own(&self) -> Result<Vec<Object>, Error>;
    /// A newer one that is there stays.
    fn put_cached(&mut self, object: &Object, own: bool) -> Result<(), Error>;
    fn drop_cached(&mut self, key: &str) -> Result<(), Error>;
    /// All of them, and what was seen.
    fn forget_cached(&mut self) -> Result<(), Error>;
    /// Everything up to this version was seen.
    fn synced(&self) -> Result<u64, Error>;
    fn set_synced(&mut self, upto: u64) -> Result<(), Error>;
    /// At most `limit`, the oldest first.
    fn queued(&self, limit: usize) -> Result<Vec<(u64, String)>, Error>;
    fn enqueue(&mut self, body: &str) -> Result<(), Error>;
    fn dequeue(&mut self, number: u64) -> Result<(), Error>;
}

/// Where such a book stands: entered as a shelf is.
pub(crate) trait Stand {
    fn look<R>(&self, f: impl FnMut(&dyn Desk) -> Result<R, Error>) -> Result<R, Error>;
    fn change<R>(&self, f: impl FnMut(&mut dyn Desk) -> Result<R, Halt>) -> Result<R, Halt>;
    /// Passed by one at a time of all that work with this book, in whatever process; none: it
    /// was not free within `wait`.
    fn gate(&self, wait: Duration) -> Result<Option<Box<dyn Held + '_>>, Error>;
    /// Likewise, for whole calls. A courtesy: who does not get it goes on without.
    fn turn(&self, wait: Duration) -> Result<Option<Box<dyn Held + '_>>, Error>;
}

/// A lock, as long as it is there.
pub(crate) trait Held {}

impl<T> Held for T {}
