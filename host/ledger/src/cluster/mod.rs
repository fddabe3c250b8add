//! One book for all nodes of a cluster: who holds which address is written in objects of a store
//! that all share ([`Remote`]); records, ports of the host and what the host itself keeps stay in
//! the node's own book, as do a cache of the objects and releases that are still to be sent.
//!
//! A session works on the cache. Its commit is one compare-and-set of the objects that it changes:
//! what was decided on older ones is a conflict, and the call is run again. Blocks of addresses
//! are a node's own, so that nodes meet seldom: a node gives from its own blocks, then from new
//! ones, then from others'. No lock is held in the store, and none here while a plugin runs: one
//! process of a node at a time sends.
//!
//! What must never be: an address given on what the cache alone says; a release that waits for
//! the store (it is queued with the record's removal, and sent after); an address freed without
//! evidence. What a node holds without a record of it, after a crash or a reboot, is found by
//! [`ClusterLedger::strays`]. Start reading at [`ClusterLedger`], then `page`.

mod beside;
mod check;
mod keys;
mod memory;
mod mend;
mod nodes;
mod objects;
mod page;
mod queue;
mod remote;
#[cfg(test)]
mod schema;
mod sending;
mod survey;
mod tunnels;
mod vni;
mod whereabouts;

pub use beside::{Beside, NodeSeen, PodSeen};
pub use check::{Finding, Look, Share};
pub use keys::{ALIVE, BLOCKS, BOOK, NODES, name, node, part};
pub use memory::MemRemote;
pub use mend::{Differences, Lost, Mended};
pub use nodes::{Life, NodeAt, NodeFacts};
pub use objects::{Block, Held, Resting};
pub use page::{Cut, Part};
pub use remote::{Changes, Committed, Fault, Guard, MOST, Object, Put, Remote};
pub use survey::{BlockAt, Freed, Ranges, Stray, Survey};
pub use tunnels::{Ends, Random, Tunnels, Wanted};
pub use vni::FIRST_VNI;
pub use whereabouts::Whereabouts;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharfinger_cni::AttachmentId;

use crate::book::{Book, Desk, Halt, Held as Gate, Rest, Shelf, Stand};
use crate::session::{Sitting, done};
use crate::{
    Entry, Error, Identity, Ledger, Notice, Owner, Range, Record, Release, Scope, Session, Usage,
    rules,
};
use objects::Named;
use page::{Own, Page, Slot, View, Wants};
use queue::Queued;
use sending::{End, Sent};

/// How long a release waits for the store, and before that for another process of the node that is
/// sending just now: that one may send it as well.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is done about a crowd.
const ADVICE: &str = "try again, with fewer at once, or with a longer `deadline`";

/// What the first of several conflicts in a row costs at most; and how often that doubles.
const SHORTEST: Duration = Duration::from_millis(2);
const LONGEST: u32 = 6;

/// How often a view that is brought up to date turns out to be too old in one transaction: twice
/// is possible (a cache that another process changes), and once for each object that is asked for
/// by its key; more is a defect.
const LOOKS: usize = 32;

/// Tells how long the call may go on.
pub type Remaining = Box<dyn Fn() -> Duration + Send + Sync>;

/// A node's own book: those of this crate, and no others.
#[allow(private_bounds, reason = "how it is entered is nobody else's")]
pub trait OwnBook: Stand + Ledger {}

impl OwnBook for crate::MemLedger {}
impl OwnBook for crate::SqliteLedger {}

/// Lets others go first, for so long.
pub type Pause = Box<dyn Fn(Duration) + Send + Sync>;

/// Hears how far long work is: so many are done, of so many, of what.
pub type Went<'w> = &'w dyn Fn(usize, usize, &'static str);

/// For work that nobody watches: a [`Went`].
pub fn unseen(_: usize, _: usize, _: &'static str) {}

/// The cluster's book, as one node has it. `S` is the node's own book.
pub struct ClusterLedger<S> {
    own: S,
    remote: Box<dyn Remote>,
    part: Part,
    remaining: Remaining,
    life: Life,
    pause: Pause,
    /// How many conflicts there were with other nodes since the last commit that stood.
    conflicts: AtomicU32,
    /// How often others came before since then, also those of this node.
    beaten: AtomicU32,
    /// What was brought up to date for the next session: see [`ClusterLedger::hand_on`].
    handed: Mutex<Option<View>>,
    /// How long the call might go on when it began.
    whole: Duration,
}

impl<S: std::fmt::Debug> std::fmt::Debug for ClusterLedger<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("ClusterLedger");
        out.field("own", &self.own).field("remote", &self.remote).field("part", &self.part);
        out.finish_non_exhaustive()
    }
}

/// What a commit is to do to the store, and what it has seen.
struct Change {
    guards: Vec<Guard>,
    puts: Vec<Put>,
    seen: BTreeMap<String, Slot>,
}

/// Why a node gets nothing whose name is another machine's.
fn two_machines(node: &str, machine: &str) -> String {
    format!(
        "node name {node} is that of machine {machine} as well: give each node a name of its own \
         ([node] name); if that machine is gone, free what it held (wharfinger gc --cluster --node)"
    )
}

/// The text for people of what the store answered.
fn failed(fault: &Fault) -> Error {
    unavailable(fault.to_string())
}

/// The cluster's book cannot be used as it is. Never [`Error::Damaged`]: that is said of the node's
/// own book, which would be set aside for it.
fn unavailable(what: String) -> Error {
    Error::Unavailable { path: "of the cluster".to_owned(), what }
}

impl<S: OwnBook> ClusterLedger<S> {
    /// The cluster's book in this store, with this book of the node's own.
    pub fn new(own: S, remote: Box<dyn Remote>, part: Part, remaining: Remaining) -> Self {
        Self {
            own,
            remote,
            part,
            whole: remaining(),
            remaining,
            life: Life::Free,
            pause: Box::new(std::thread::sleep),
            conflicts: AtomicU32::new(0),
            beaten: AtomicU32::new(0),
            handed: Mutex::default(),
        }
    }

    /// The same for a call that may go on for so long from now on.
    #[must_use]
    pub fn lasting(self, remaining: Remaining) -> Self {
        Self { whole: remaining(), remaining, ..self }
    }

    /// The same, but that it waits otherwise than by sleeping: where time is simulated.
    #[must_use]
    pub fn pausing(self, pause: Pause) -> Self {
        Self { pause, ..self }
    }

    /// What takes addresses is bound to the life of this node's agent.
    #[must_use]
    pub fn living(self, life: Life) -> Self {
        Self { life, ..self }
    }

    /// The node's own book.
    pub fn own(&self) -> &S {
        &self.own
    }

    /// The node's own book again.
    pub fn into_own(self) -> S {
        self.own
    }

    /// The store.
    pub fn remote(&self) -> &dyn Remote {
        &*self.remote
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.part.node
    }

    /// All that is remembered in the cluster, by domain, network and name.
    pub fn identities(&self) -> Result<Vec<Identity>, Error> {
        self.visit(0).read(|book| book.identities())
    }

    /// Forgets an identity: false where nothing was remembered for it.
    pub fn forget(&self, network: &str, identity: &str) -> Result<bool, Error> {
        let visit = self.visit(0);
        loop {
            let forgot = visit.write(|book| rules::forget(book, network, identity));
            match done(forgot)? {
                Some(forgot) => return Ok(forgot),
                None if (self.remaining)().is_zero() => return Err(self.contended()),
                None => {}
            }
        }
    }

    /// All objects of the book, as they are now.
    fn objects(&self) -> Result<Vec<Object>, Error> {
        let changes = self.remote.changes(BOOK, 0, (self.remaining)());
        Ok(changes.map_err(|fault| failed(&fault))?.objects)
    }

    /// All that is known here of the store, as it is now. Where each listing is one of all that
    /// there is, it has whose the node's name is, too.
    fn listing(&self, after: u64) -> Result<Changes, Fault> {
        let prefix = if self.remote.transactions() { BOOK } else { "" };
        self.remote.changes(prefix, after, (self.remaining)())
    }

    /// Brings the cache up to date.
    pub fn refresh(&self) -> Result<(), Error> {
        if self.synced()? == 0 {
            return self.bring();
        }
        if !self.remote.transactions() {
            // What is not of one history with what was heard (see `learn`) is listed whole.
            return self.view(false).map(drop);
        }
        let after = self.synced()?;
        let changes = match self.listing(after) {
            Ok(changes) if changes.upto < after.max(self.synced()?) => {
                self.take(&changes, true)?;
                return self.refresh_name();
            }
            // Restored from a backup, or another.
            Err(Fault::Older(_)) => {
                self.view(true)?;
                return self.refresh_name();
            }
            changes => changes.map_err(|fault| failed(&fault))?,
        };
        let saved = self.own.change(|desk| {
            changes.objects.iter().try_for_each(|object| self.keep_cached(desk, object))?;
            Ok(desk.set_synced(changes.upto)?)
        });
        done(saved)?;
        self.refresh_name()
    }

    /// Brings the blocks in the cache up to date, where the rest is asked for by its keys.
    fn refresh_blocks(&self) -> Result<(), Error> {
        let changes = self.remote.changes(keys::BLOCKS, 0, (self.remaining)());
        let changes = changes.map_err(|fault| failed(&fault))?;
        let saved = self.own.change(|desk| {
            let mut all = changes.objects.iter();
            Ok(all.try_for_each(|object| self.keep_cached(desk, object))?)
        });
        done(saved).map(drop)
    }

    /// Whose the node's name is is not listed with the book.
    fn refresh_name(&self) -> Result<(), Error> {
        let node = keys::machine(&self.part.node);
        if self.own.look(|desk| desk.cached(&node))?.is_none_or(|object| !self.is_ours(&object)) {
            self.reload(&[node], (self.remaining)())?;
        }
        Ok(())
    }

    fn visit(&self, now: u64) -> Visit<'_, S> {
        let by_name = !self.remote.transactions();
        let view = RefCell::new(View { by_name, ..View::default() });
        Visit { ledger: self, now, view, _turn: None }
    }

    /// What was brought up to date for this call is not asked for again by its next session. One
    /// session only: a ledger may be there for long, and a listing is soon an old one.
    fn hand_on(&self, view: View) {
        if view.by_name {
            *self.handed() = Some(view);
        }
    }

    fn handed(&self) -> MutexGuard<'_, Option<View>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a node must know before anything is decided, and tell. One of its processes asks; the
    /// others wait for that, rather than ask the same. Whether it was this one.
    fn begin(&self, has_turn: bool) -> Result<bool, Error> {
        if self.synced()? > 0 {
            return Ok(false);
        }
        let _turn = if has_turn { None } else { self.turn()? };
        let is_new = self.synced()? == 0;
        if is_new {
            self.bring()?;
        }
        Ok(is_new)
    }

    /// The turn among the calls of this node; none: somebody has it for so long that it is better
    /// to go on without.
    fn turn(&self) -> Result<Option<Box<dyn Gate + '_>>, Error> {
        self.own.turn((self.remaining)() / 2)
    }

    /// Others change what is to be changed, all of the time.
    fn contended(&self) -> Error {
        unavailable(format!(
            "others changed the same objects each time before this call could, for {}: {ADVICE}",
            self.waited()
        ))
    }

    /// Other calls of this node write, all of the time.
    fn crowded(&self) -> Error {
        unavailable(format!(
            "other calls of this node wrote all of the time in which this one waited to, {} with \
             what came before: {ADVICE}",
            self.waited()
        ))
    }

    /// How long the call has gone on, for people.
    fn waited(&self) -> String {
        format!("{:.1} s", self.whole.saturating_sub((self.remaining)()).as_secs_f64())
    }

    fn is_ours(&self, node: &Object) -> bool {
        serde_json::from_str(&node.value)
            .is_ok_and(|Named { machine }| machine == self.part.machine)
    }

    /// After a conflict with another node: up to twice as long each time, so that many that want
    /// the same object take turns.
    fn give_way(&self) {
        let before = self.conflicts.fetch_add(1, Ordering::Relaxed).min(LONGEST);
        // The hasher's keys are random.
        let random = RandomState::new().hash_one(before);
        let most = SHORTEST.saturating_mul(1 << before);
        let part = u32::try_from(random % 1000).unwrap_or_default();
        (self.pause)(most.saturating_mul(part) / 1000);
    }

    fn keep_cached(&self, desk: &mut dyn Desk, object: &Object) -> Result<(), Error> {
        let own = keys::of_block(&object.key).is_some()
            && serde_json::from_str::<Block>(&object.value)
                .is_ok_and(|block| block.owner.as_deref() == Some(&self.part.node));
        desk.put_cached(object, own)
    }

    /// These objects, as they are now.
    fn reload(&self, keys: &[String], wait: Duration) -> Result<(), Error> {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let now = self.remote.get(&keys, wait).map_err(|fault| failed(&fault))?;
        let saved = self.own.change(|desk| {
            for key in &keys {
                match now.iter().find(|object| object.key == **key) {
                    Some(object) => self.keep_cached(desk, object)?,
                    None => desk.drop_cached(key)?,
                }
            }
            Ok(())
        });
        done(saved).map(drop)
    }

    /// Waits until no other process of the node sends.
    fn enter(&self, wait: Duration) -> Result<Option<Box<dyn Gate + '_>>, Error> {
        self.own.gate(wait)
    }

    /// What the store has now is known here, too.
    fn save(&self, desk: &mut dyn Desk, written: &[(Put, u64)]) -> Result<(), Error> {
        for (put, version) in written {
            match &put.value {
                Some(value) => {
                    let (key, value) = (put.key.clone(), value.clone());
                    self.keep_cached(desk, &Object { key, version: *version, value })?;
                }
                None => desk.drop_cached(&put.key)?,
            }
        }
        Ok(())
    }
}

impl<S: OwnBook> ClusterLedger<S> {
    /// What the change gave this node by these is to be taken back: it will not be used.
    fn revoke_puts(&self, puts: &[Put], change: &Change) {
        let queued = queue::revoked(puts, &change.seen, &self.part.node);
        // What cannot be queued is found as a stray.
        let _ = self
            .own
            .change(|desk| queued.iter().try_for_each(|one| Ok(desk.enqueue(&one.text())?)));
    }
}

/// The cluster's book for the time of one session: what was brought up to date for it is not
/// asked for again.
struct Visit<'a, S> {
    ledger: &'a ClusterLedger<S>,
    /// Seconds since the Unix epoch.
    now: u64,
    view: RefCell<View>,
    /// Of a call that others came before: they go on in the order in which they get it, and each
    /// decides on what the one before it left.
    _turn: Option<Box<dyn Gate + 'a>>,
}

impl<S: OwnBook> Visit<'_, S> {
    fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// The call will be run again. Its own node's cache has what came before it; what was asked of
    /// the store for it need not be again.
    fn note_beaten(&self, halt: &Halt) {
        if matches!(halt, Halt::Conflict) {
            self.ledger.beaten.fetch_add(1, Ordering::Relaxed);
            self.ledger.hand_on(self.view());
        }
    }

    /// What an answer wants a newer view of.
    fn refresh(&self, wants: &Wants) -> Result<(), Error> {
        if wants.all {
            self.ledger.refresh()?;
            self.view.borrow_mut().fresh = true;
        } else if wants.blocks {
            self.ledger.refresh_blocks()?;
            self.view.borrow_mut().blocks = true;
        } else {
            let keys: Vec<String> = wants.keys.iter().cloned().collect();
            self.ledger.reload(&keys, (self.ledger.remaining)())?;
            self.view.borrow_mut().asked.extend(keys);
        }
        Ok(())
    }

    /// Runs `f` as it would be, and takes back what it wrote to the node's own book.
    fn rehearse<R>(&self, f: &impl Fn(&mut dyn Book) -> Result<R, Halt>) -> Result<Change, Halt> {
        for _ in 0..LOOKS {
            let mut change = None;
            let mut wants = Wants::default();
            let ended = self.ledger.own.change(|desk| -> Result<(), Halt> {
                let mut page =
                    Page::new(Own::Write(desk), &self.ledger.part, self.now, self.view());
                let result = f(&mut page);
                wants = page.wants();
                let (guards, puts, seen) = (page.guards(), page.puts(), page.seen()?);
                change = Some(result.map(|_| Change { guards, puts, seen }));
                // Nothing of it stays.
                Err(Halt::Conflict)
            });
            match (ended, change) {
                (_, Some(_)) if wants != Wants::default() => self.refresh(&wants)?,
                (_, Some(change)) => return change,
                (Err(halt), None) => return Err(halt),
                (Ok(()), None) => return Err(Halt::Conflict),
            }
        }
        Err(Halt::Conflict)
    }

    /// The store has it: now the node's own book.
    fn perform<R>(
        &self,
        f: &impl Fn(&mut dyn Book) -> Result<R, Halt>,
        change: &Change,
        written: &[(Put, u64)],
    ) -> Result<R, Halt> {
        let ledger = self.ledger;
        ledger.own.change(|desk| {
            let own = Own::Write(&mut *desk);
            let mut page = Page::again(own, &ledger.part, self.now, &change.seen);
            let result = f(&mut page)?;
            let given_up: Vec<String> = page.given_up().iter().map(Queued::text).collect();
            given_up.iter().try_for_each(|text| desk.enqueue(text))?;
            ledger.save(desk, written)?;
            Ok(result)
        })
    }
}

impl<S: OwnBook> Shelf for Visit<'_, S> {
    fn read<R>(&self, f: impl Fn(&dyn Book) -> Result<R, Error>) -> Result<R, Error> {
        if self.view().by_name && self.ledger.synced()? == 0 {
            // Nothing is known that could be asked for by its key.
            self.ledger.begin(false)?;
            if let Some(view) = &*self.ledger.handed() {
                self.view.replace(view.clone());
            }
        }
        for _ in 0..LOOKS {
            let mut wants = Wants::default();
            let result = self.ledger.own.look(|desk| {
                let page = Page::new(Own::Read(desk), &self.ledger.part, self.now, self.view());
                let result = f(&page);
                wants = page.wants();
                result
            });
            if wants == Wants::default() {
                return result;
            }
            // What this node released and nobody was told of is free in a newer view.
            self.ledger.send_waiting()?;
            self.refresh(&wants)?;
        }
        Err(self.ledger.contended())
    }

    fn write<R>(&self, f: impl Fn(&mut dyn Book) -> Result<R, Halt>) -> Result<R, Halt> {
        let ledger = self.ledger;
        let Some(gate) = ledger.enter((ledger.remaining)())? else {
            return Err(Halt::Error(ledger.crowded()));
        };
        // What was released before comes before: this may be about the same attachment.
        ledger.send_queued(&ledger.remaining)?;
        let change = self.rehearse(&f).inspect_err(|halt| self.note_beaten(halt))?;
        let sent = if change.guards.is_empty() {
            Sent::nothing()
        } else {
            let guards = [change.guards.as_slice(), &ledger.life_guard()?].concat();
            ledger.send_commit(&guards, &change.puts, &ledger.remaining)
        };
        match sent.end {
            End::Done => {
                ledger.conflicts.store(0, Ordering::Relaxed);
                ledger.beaten.store(0, Ordering::Relaxed);
                let result = self.perform(&f, &change, &sent.written);
                if result.is_err() {
                    ledger.revoke_puts(&change.puts, &change);
                }
                // What was given up: at once if that does not take long.
                ledger.send_now();
                result
            }
            End::Conflict(keys) => {
                ledger.take_back(&change, &sent.written)?;
                drop(gate);
                ledger.check_life()?;
                ledger.give_way();
                ledger.reload(&keys, (ledger.remaining)())?;
                self.note_beaten(&Halt::Conflict);
                Err(Halt::Conflict)
            }
            End::Failed(fault) => {
                if matches!(fault, Fault::Unknown(_)) || !sent.written.is_empty() {
                    ledger.revoke_puts(&change.puts, &change);
                }
                // What cannot be kept is known from the next conflict on.
                let _ = ledger.keep_written(&sent.written);
                Err(Halt::Error(failed(&fault)))
            }
        }
    }
}

impl<S: OwnBook> Ledger for ClusterLedger<S> {
    fn shared(&self) -> bool {
        true
    }

    fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, Error> {
        self.own.get(id)
    }

    fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, Error> {
        self.own.list(network)
    }

    fn horizon(&self) -> Result<u64, Error> {
        self.own.horizon()
    }

    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, Error> {
        let turn = if self.beaten.load(Ordering::Relaxed) > 0 { self.turn()? } else { None };
        let is_new = self.begin(turn.is_some())?;
        let visit = Visit { _turn: turn, ..self.visit(scope.now) };
        if let Some(view) = self.handed().take() {
            visit.view.replace(view);
        }
        // All of the book was listed for that, and need not be again.
        visit.view.borrow_mut().fresh |= is_new && self.remote.transactions();
        Ok(Box::new(Sitting::open(visit, scope)?))
    }

    fn attached(
        &self,
        id: &AttachmentId,
        seq: u64,
        result: &serde_json::Value,
    ) -> Result<Release, Error> {
        self.own.attached(id, seq, result)
    }

    fn amend(&self, record: &Record, seq: u64) -> Result<Release, Error> {
        let amended = self.own.change(|desk| {
            let before = desk.attachment(&record.id)?;
            let amended = rules::amend(desk, record, seq)?;
            if let (Release::Done, Some(before)) = (amended, before) {
                let gone = before.record.addresses.iter();
                let gone = gone.filter(|address| !record.addresses.contains(address));
                for address in gone {
                    desk.enqueue(&Queued::address(record, *address, None).text())?;
                }
            }
            Ok(amended)
        });
        self.send_soon();
        Ok(done(amended)?.unwrap_or(Release::Stale))
    }

    fn release(
        &self,
        id: &AttachmentId,
        seq: u64,
        now: u64,
        cool: Duration,
    ) -> Result<Release, Error> {
        let until = rules::rest_until(now, cool);
        let released = self.own.change(|desk| {
            let before = desk.attachment(id)?;
            let released = rules::release(desk, id, seq, until)?;
            if let (Release::Done, Some(before)) = (released, before) {
                let order = desk.seq()?;
                let rest = until.map(|until| Resting::of(Rest { until, order }));
                for address in &before.record.addresses {
                    let queued = Queued::address(&before.record, *address, rest).at(now);
                    desk.enqueue(&queued.text())?;
                }
                for queued in queue::entries_of(desk, &self.part.node, id)? {
                    desk.enqueue(&queued.text())?;
                }
            }
            Ok(released)
        });
        self.send_soon();
        Ok(done(released)?.unwrap_or(Release::Stale))
    }

    fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, Error> {
        self.visit(now).read(|book| rules::usage(book, domain, ranges, now))
    }

    fn writable(&self) -> Result<(), Error> {
        self.own.writable()?;
        let asked = self.remote.get(&["format"], (self.remaining)());
        asked.map(drop).map_err(|fault| failed(&fault))
    }

    fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, Error> {
        self.visit(0).read(|book| rules::kept(book, owner))
    }

    fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), Error> {
        if page::is_of_host(owner) {
            return self.own.keep(owner, key, value);
        }
        let visit = self.visit(0);
        while done(visit.write(|book| rules::keep(book, owner, key, value)))?.is_none() {
            if (self.remaining)().is_zero() {
                return Err(self.contended());
            }
        }
        Ok(())
    }

    fn post(&self, notice: &Notice) -> Result<u64, Error> {
        self.own.post(notice)
    }

    fn post_lease(&self, number: u64, lease: &serde_json::Value) -> Result<(), Error> {
        self.own.post_lease(number, lease)
    }

    fn delivered(&self, number: u64) -> Result<(), Error> {
        self.own.delivered(number)
    }

    fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, Error> {
        self.own.outbox(network)
    }

    fn vni(&self, network: &str, now: u64, kept: bool) -> Result<Option<u32>, Error> {
        self.number(network, now, kept).map(Some)
    }
}
