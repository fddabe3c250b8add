//! Where a verb's time goes: how long it waited for a lock, worked with the ledger, was in the kernel, or
//! waited for an executable. What the verbs work with is wrapped here, so that no verb takes times itself,
//! and none can forget to.
//!
//! A phase inside another is a part of that: what a component reads of the ledger is the component's
//! time. Start at [`Phases::of`].

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wharfinger_attach::dhcp::{Dhcp, On, Unleased};
use wharfinger_attach::{Hold, Node};
use wharfinger_cni::AttachmentId;
use wharfinger_dhcp::{Asked, Lease};
use wharfinger_kernel::{
    Answer, AtPath, Cleared, Drift, Error as KernelError, ForwardDrop, Kernel, LinkFacts, Netns,
    PeerChange, Peers, Query, Reference, Segment, Survey, Way,
};
use wharfinger_ledger::{
    Commit, Entry, Error, Holder, HostPort, Kept, Ledger, Notice, Owner, Range, Record, Refusal,
    Release, Scope, Session, Usage,
};
use wharfinger_plan::{Action, Association, Encryption, LinkRef, Plan, Routing};
use wharfinger_wasm::{NoPod, Pod, PodFacts};

/// Phases of one verb that are kept one by one; of more the sums alone.
const SPANS: usize = 64;
/// Phases of one kind that follow each other so soon are one.
const GAP: Duration = Duration::from_micros(100);

/// What a verb does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Waiting for an attachment's lock.
    Lock,
    /// The book: opened, read, written.
    Ledger,
    /// Calls of components.
    Plugins,
    /// Links, addresses, routes, rules: looked at, made, undone.
    Kernel,
    /// Executables of other plugins.
    Delegate,
    /// Servers of DHCP.
    Dhcp,
    /// The cluster's API server, about a pod.
    Pod,
    /// Writing the reply.
    Reply,
}

impl Phase {
    /// In events, measures and spans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Ledger => "ledger",
            Self::Plugins => "plugins",
            Self::Kernel => "kernel",
            Self::Delegate => "delegate",
            Self::Dhcp => "dhcp",
            Self::Pod => "pod",
            Self::Reply => "reply",
        }
    }
}

/// A phase that is over.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) phase: Phase,
    /// Which one, where there are several: a component, and its call.
    pub(crate) what: Option<String>,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    busy: Cell<bool>,
    spans: RefCell<Vec<Span>>,
    sums: RefCell<Vec<(Phase, Duration)>>,
}

/// A phase that has begun; none inside another.
#[derive(Debug)]
pub(crate) struct Begun(Option<Instant>);

impl Phases {
    /// This work is of this phase.
    pub(crate) fn of<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let begun = self.begins();
        let done = work();
        self.ends(begun, phase, None);
        done
    }

    /// To be ended by [`Phases::ends`].
    pub(crate) fn begins(&self) -> Begun {
        Begun((!self.busy.replace(true)).then(Instant::now))
    }

    /// Ends one, if it is not inside another.
    pub(crate) fn ends(&self, Begun(began): Begun, phase: Phase, what: Option<String>) {
        let Some(began) = began else { return };
        self.busy.set(false);
        let ended = Instant::now();
        let mut sums = self.sums.borrow_mut();
        match sums.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, sum)) => *sum += ended - began,
            None => sums.push((phase, ended - began)),
        }
        let mut spans = self.spans.borrow_mut();
        let joins =
            |last: &&mut Span| last.phase == phase && last.what == what && began - last.ended < GAP;
        if let Some(last) = spans.last_mut().filter(joins) {
            last.ended = ended;
        } else if spans.len() < SPANS {
            spans.push(Span { phase, what, began, ended });
        }
    }

    /// Forgets all, for a new verb.
    pub(crate) fn clear(&self) {
        self.busy.set(false);
        self.spans.take();
        self.sums.take();
    }

    /// What there was since.
    pub(crate) fn take(&self) -> (Vec<Span>, Vec<(Phase, Duration)>) {
        self.busy.set(false);
        (self.spans.take(), self.sums.take())
    }
}

/// The same, with its time taken.
pub(crate) struct Timed<'a, T: ?Sized> {
    pub(crate) inner: &'a T,
    pub(crate) phases: &'a Phases,
}

/// Methods that are the inner one's, each of a phase, or of none.
macro_rules! timed {
    ($($phase:ident: fn $name:ident(&self $(, $arg:ident: $type:ty)*) $(-> $answer:ty)?;)*) => {
        $(fn $name(&self $(, $arg: $type)*) $(-> $answer)? {
            self.phases.of(Phase::$phase, || self.inner.$name($($arg),*))
        })*
    };
}
macro_rules! passed {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) $(-> $answer:ty)?;)*) => {
        $(fn $name(&self $(, $arg: $type)*) $(-> $answer)? { self.inner.$name($($arg),*) })*
    };
}

impl Kernel for Timed<'_, dyn Kernel + '_> {
    timed! {
        Kernel: fn netns(&self, path: &Path) -> Result<AtPath, KernelError>;
        Kernel: fn host_cookie(&self) -> Result<u64, KernelError>;
        Kernel: fn links(&self, wanted: &[LinkRef], netns: Option<&Netns>) -> Result<Vec<Option<LinkFacts>>, KernelError>;
        Kernel: fn routing(&self, netns: &Netns) -> Result<Routing, KernelError>;
        Kernel: fn ask(&self, query: &Query, netns: Option<&Netns>) -> Result<Option<Answer>, KernelError>;
        Kernel: fn apply(&self, plan: &Plan, netns: &Netns) -> Result<Vec<LinkFacts>, KernelError>;
        Kernel: fn verify(&self, plan: &Plan, netns: &Netns) -> Result<Vec<Drift>, KernelError>;
        Kernel: fn undo(&self, plan: &Plan, netns: Option<&Netns>) -> Vec<KernelError>;
        Kernel: fn survey(&self) -> Result<Survey, KernelError>;
        Kernel: fn seen(&self) -> Result<Survey, KernelError>;
        Kernel: fn reload(&self, all: &[Action]) -> Result<(), KernelError>;
        Kernel: fn forward_drops(&self) -> Result<Vec<ForwardDrop>, KernelError>;
        Kernel: fn clear_reference(&self, reference: &Reference) -> Cleared;
        Kernel: fn resync_peers(&self, segment: &Segment, wanted: &Peers) -> Result<usize, KernelError>;
        Kernel: fn change_peers(&self, segment: &Segment, changes: &[PeerChange]) -> Result<(), KernelError>;
        Kernel: fn encryptions(&self) -> Result<Vec<Encryption>, KernelError>;
        Kernel: fn ways(&self) -> Result<Vec<Way>, KernelError>;
        Kernel: fn add_association(&self, wanted: &Association) -> Result<(), KernelError>;
        Kernel: fn remove_way(&self, unwanted: &Way) -> Result<(), KernelError>;
        Kernel: fn missing(&self, plan: &Plan) -> Result<Vec<String>, KernelError>;
    }
}

impl Ledger for Timed<'_, dyn Ledger + '_> {
    passed! {
        fn shared(&self) -> bool;
    }
    timed! {
        Ledger: fn get(&self, id: &AttachmentId) -> Result<Option<Entry>, Error>;
        Ledger: fn list(&self, network: Option<&str>) -> Result<Vec<Entry>, Error>;
        Ledger: fn horizon(&self) -> Result<u64, Error>;
        Ledger: fn attached(&self, id: &AttachmentId, seq: u64, result: &serde_json::Value) -> Result<Release, Error>;
        Ledger: fn amend(&self, record: &Record, seq: u64) -> Result<Release, Error>;
        Ledger: fn release(&self, id: &AttachmentId, seq: u64, now: u64, cool: Duration) -> Result<Release, Error>;
        Ledger: fn usage(&self, domain: &str, ranges: &[Range], now: u64) -> Result<Usage, Error>;
        Ledger: fn writable(&self) -> Result<(), Error>;
        Ledger: fn kept(&self, owner: &Owner) -> Result<Vec<(String, String)>, Error>;
        Ledger: fn keep(&self, owner: &Owner, key: &str, value: Option<&str>) -> Result<(), Error>;
        Ledger: fn post(&self, notice: &Notice) -> Result<u64, Error>;
        Ledger: fn post_lease(&self, number: u64, lease: &serde_json::Value) -> Result<(), Error>;
        Ledger: fn delivered(&self, number: u64) -> Result<(), Error>;
        Ledger: fn outbox(&self, network: &str) -> Result<Vec<(u64, Notice)>, Error>;
        Ledger: fn vni(&self, network: &str, now: u64, kept: bool) -> Result<Option<u32>, Error>;
    }

    fn session(&self, scope: Scope) -> Result<Box<dyn Session + '_>, Error> {
        let inner = self.phases.of(Phase::Ledger, || self.inner.session(scope))?;
        Ok(Box::new(TimedSession { inner, phases: self.phases }))
    }
}

/// A session, with its time taken.
struct TimedSession<'a> {
    inner: Box<dyn Session + 'a>,
    phases: &'a Phases,
}

/// As [`timed`], of what changes the session.
macro_rules! of_session {
    ($(fn $name:ident(&mut self $(, $arg:ident: $type:ty)*) $(-> $answer:ty)?;)*) => {
        $(fn $name(&mut self $(, $arg: $type)*) $(-> $answer)? {
            let inner = &mut self.inner;
            self.phases.of(Phase::Ledger, || inner.$name($($arg),*))
        })*
    };
}

impl Session for TimedSession<'_> {
    of_session! {
        fn pools(&mut self, ranges: &[Range]) -> Result<(), Error>;
        fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, Error>;
        fn claim(&mut self, port: &HostPort) -> Result<Result<(), Holder>, Error>;
        fn take_free(&mut self, ranges: &[Range], excluded: &[Range], start: Option<IpAddr>) -> Result<Option<IpAddr>, Error>;
        fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, Error>;
        fn remember(&mut self, identity: &str);
        fn store_get(&mut self, owner: &Owner, key: &str) -> Result<Option<String>, Error>;
        fn store_put(&mut self, owner: &Owner, key: &str, value: &str, attachment: bool);
        fn store_remove(&mut self, owner: &Owner, key: &str) -> Result<bool, Error>;
        fn store_scan(&mut self, owner: &Owner, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, String)>, Error>;
        fn store_count(&mut self, owner: &Owner, prefix: &str) -> Result<u64, Error>;
        fn restore(&mut self, kept: Kept);
    }
    timed! {
        Ledger: fn store_size(&self, owner: &Owner) -> Result<u64, Error>;
        Ledger: fn usage(&self, ranges: &[Range]) -> Result<Usage, Error>;
    }
    passed! {
        fn kept(&self) -> Kept;
    }

    fn commit(self: Box<Self>, record: &Record) -> Result<Commit, Error> {
        let Self { inner, phases } = *self;
        phases.of(Phase::Ledger, || inner.commit(record))
    }
}

impl Node for Timed<'_, dyn Node + '_> {
    passed! {
        fn now(&self) -> u64;
        fn remaining(&self) -> Duration;
        fn namespaces(&self) -> io::Result<Vec<PathBuf>>;
        fn read(&self, path: &Path) -> io::Result<String>;
        fn real_path(&self, path: &Path) -> io::Result<PathBuf>;
        fn remove(&self, path: &Path) -> io::Result<()>;
        fn foreign(&self, name: &str, folders: &[PathBuf]) -> bool;
        fn namespace_of(&self, id: &AttachmentId) -> Option<PathBuf>;
        fn indexes(&self) -> Option<PathBuf>;
    }
    timed! {
        Lock: fn lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>>;
        Lock: fn try_lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>>;
        Pod: fn pod(&self, pod: &Pod) -> Result<PodFacts, NoPod>;
    }
}

impl Dhcp for Timed<'_, dyn Dhcp + '_> {
    passed! {
        fn now(&self) -> u64;
    }
    timed! {
        Dhcp: fn obtain(&self, on: On<'_>, asked: Asked, within: Duration) -> Result<Lease, Unleased>;
        Dhcp: fn release(&self, on: On<'_>, asked: Asked, lease: &Lease) -> Result<(), KernelError>;
        Dhcp: fn decline(&self, on: On<'_>, asked: Asked, lease: &Lease) -> Result<(), KernelError>;
        Dhcp: fn wake(&self, socket: Option<&Path>) -> Result<(), String>;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_inside_another_is_a_part_of_that() {
        let phases = Phases::default();
        let (began, asked) = (Instant::now(), phases.begins());
        phases.of(Phase::Ledger, || ());
        phases.ends(asked, Phase::Plugins, Some("rules admit".to_owned()));
        phases.of(Phase::Kernel, || phases.of(Phase::Ledger, || ()));
        phases.of(Phase::Ledger, || ());
        let all = began.elapsed();
        let (spans, sums) = phases.take();
        let names: Vec<_> = spans.iter().map(|span| span.phase.name()).collect();
        assert_eq!(names, ["plugins", "kernel", "ledger"]);
        assert!(sums.iter().map(|(_, sum)| *sum).sum::<Duration>() <= all);
        assert!(phases.take().0.is_empty());
    }

    #[test]
    fn the_sums_are_of_all_where_the_spans_are_not() {
        let phases = Phases::default();
        for _ in 0..SPANS {
            phases.of(Phase::Kernel, || ());
            phases.of(Phase::Ledger, || ());
        }
        let (spans, sums) = phases.take();
        assert_eq!((spans.len(), sums.len()), (SPANS, 2));
    }
}
