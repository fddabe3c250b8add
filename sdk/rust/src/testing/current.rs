//! The call that runs on this thread: what the modules of the SDK ask natively.

use std::cell::RefCell;
use std::net::IpAddr;

use super::Node;
use super::book::Book;
use crate::ledger::{Refusal, Usage};
use crate::log::Level;
use crate::store::Lifetime;
use crate::workload::{Absence, PodFacts};
use crate::{Attachment, AttachmentId, Lease, Range};

thread_local! {
    static CURRENT: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Which export runs: it decides what may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `validate`, `pools`.
    Outside,
    Allocate,
    Released,
    Policy,
}

/// One call, and what it has done so far.
pub(super) struct Call {
    kind: Kind,
    book: Book,
    node: Node,
    id: Option<AttachmentId>,
    taken: Vec<IpAddr>,
    identities: Vec<String>,
    log: Vec<(Level, String)>,
    #[cfg(feature = "http")]
    web: Option<super::Web>,
}

impl Call {
    pub(super) fn new(kind: Kind, book: Book, node: Node) -> Self {
        Self {
            kind,
            book,
            node,
            id: None,
            taken: Vec::new(),
            identities: Vec::new(),
            log: Vec::new(),
            #[cfg(feature = "http")]
            web: None,
        }
    }

    pub(super) fn of(&mut self, attachment: Option<&Attachment>) {
        self.id = attachment.map(|attachment| attachment.id.clone());
    }

    #[cfg(feature = "http")]
    pub(super) fn web(&mut self, web: Option<super::Web>) {
        self.web = web;
    }

    pub(super) fn taken(&self) -> &[IpAddr] {
        &self.taken
    }

    pub(super) fn logged(&self) -> &[(Level, String)] {
        &self.log
    }

    /// The book as the call leaves it: what it took and did not lease is free.
    pub(super) fn commit(mut self, lease: &Lease) -> Book {
        let leased: Vec<IpAddr> = lease.addresses.iter().map(|l| l.address.addr()).collect();
        if let (Some(id), Kind::Allocate) = (&self.id, self.kind) {
            self.book.settle(id, &leased);
        }
        for identity in self.identities {
            self.book.remember(&identity, &leased);
        }
        self.book
    }
}

/// Ends the call as a trap does.
#[expect(clippy::panic, reason = "what a trap is in a unit test")]
pub(super) fn trap(what: &str) -> ! {
    panic!("the host ends this call: {what}")
}

/// Runs a call; what it did comes back beside its answer.
pub(super) fn run<R>(call: Call, work: impl FnOnce() -> R) -> (R, Call) {
    /// Also after a panic the thread has no call.
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            CURRENT.take();
        }
    }
    CURRENT.replace(Some(call));
    let clear = Clear;
    let answer = work();
    let Some(call) = CURRENT.take() else { trap("a call within a call") };
    drop(clear);
    (answer, call)
}

fn ask<R>(what: &str, allowed: &[Kind], answer: impl FnOnce(&mut Call) -> R) -> R {
    CURRENT.with_borrow_mut(|current| match current {
        None => trap(&format!("{what} was called outside a call of testing::Host")),
        Some(call) if !allowed.contains(&call.kind) => {
            trap(&format!("{what} was called where the contract does not offer it"))
        }
        Some(call) => answer(call),
    })
}

const LEDGER: &[Kind] = &[Kind::Allocate];
const STORE: &[Kind] = &[Kind::Allocate, Kind::Policy];
const ALWAYS: &[Kind] = &[Kind::Outside, Kind::Allocate, Kind::Released, Kind::Policy];

/// Asks the book about the call's attachment.
fn of_attachment<R>(
    what: &str,
    allowed: &[Kind],
    answer: impl FnOnce(&mut Book, &AttachmentId) -> R,
) -> R {
    ask(what, allowed, |call| match call.id.clone() {
        Some(id) => answer(&mut call.book, &id),
        None => trap("the call is of no attachment"),
    })
}

pub(crate) fn take(address: IpAddr) -> Result<(), Refusal> {
    of_attachment("ledger::take", LEDGER, |book, id| book.take(id, address))?;
    note(address);
    Ok(())
}

pub(crate) fn take_free(
    ranges: &[Range],
    excluded: &[Range],
    start: Option<IpAddr>,
) -> Option<IpAddr> {
    let taken = of_attachment("ledger::take_free", LEDGER, |book, id| {
        book.take_free(id, ranges, excluded, start)
    })?;
    note(taken);
    Some(taken)
}

fn note(address: IpAddr) {
    ask("ledger", LEDGER, |call| call.taken.push(address));
}

pub(crate) fn remembered(identity: &str) -> Vec<IpAddr> {
    ask("ledger::remembered", LEDGER, |call| call.book.remembered(identity))
}

pub(crate) fn remember(identity: &str) {
    ask("ledger::remember", LEDGER, |call| call.identities.push(identity.to_owned()));
}

pub(crate) fn usage(ranges: &[Range]) -> Usage {
    ask("ledger::usage", LEDGER, |call| call.book.usage(ranges))
}

pub(crate) fn store_get(key: &str) -> Option<String> {
    ask("store::get", STORE, |call| call.book.get(key))
}

pub(crate) fn store_put(key: &str, value: &str, lifetime: Lifetime) {
    of_attachment("store::put", STORE, |book, id| {
        let owner = (lifetime == Lifetime::Attachment).then(|| id.clone());
        book.put(key, value, owner);
    });
}

pub(crate) fn store_remove(key: &str) -> bool {
    ask("store::remove", STORE, |call| call.book.remove(key))
}

pub(crate) fn store_scan(prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, String)> {
    ask("store::scan", STORE, |call| call.book.scan(prefix, after, limit))
}

pub(crate) fn store_count(prefix: &str) -> u64 {
    ask("store::count", STORE, |call| call.book.count(prefix))
}

pub(crate) fn log(level: Level, message: &str) {
    ask("log", ALWAYS, |call| call.log.push((level, message.to_owned())));
}

pub(crate) fn node_name() -> String {
    ask("node::name", ALWAYS, |call| call.node.name.clone())
}

pub(crate) fn node_label(name: &str) -> Option<String> {
    ask("node::label", ALWAYS, |call| {
        call.node.labels.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    })
}

pub(crate) fn pod() -> Result<PodFacts, Absence> {
    let nowhere = || Absence::NotThere("there is no Kubernetes here".to_owned());
    ask("workload::pod", STORE, |call| call.node.pod.clone().unwrap_or_else(|| Err(nowhere())))
}

pub(crate) fn node_now() -> u64 {
    ask("node::now", ALWAYS, |call| call.node.now)
}

#[cfg(feature = "http")]
pub(crate) fn send(
    request: &crate::http::Request,
) -> Result<crate::http::Response, crate::http::Error> {
    let failed = |what: String| crate::http::Error::of(request, what);
    let web = ask("http", ALWAYS, |call| call.web.clone());
    let web = web.ok_or_else(|| failed("the operator grants this plugin no HTTP".to_owned()))?;
    web(request).map_err(failed)
}
