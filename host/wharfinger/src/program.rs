//! One run of the executable: what the verbs work with, put together once.

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};
use wharfinger_attach::dhcp::Dhcp;
use wharfinger_attach::{Error, Host, Node};
use wharfinger_delegate::{DEEPEST, DEPTH, Delegate, DelegateCall, DelegateError, Exec, FileId};
use wharfinger_kernel::Kernel;
use wharfinger_kernel::netlink::Netlink;
use wharfinger_ledger::cluster::ClusterLedger;
use wharfinger_ledger::{Ledger, MemLedger, SqliteLedger};

use crate::calls::Calls;
use crate::certificate::{self, Standing};
use crate::components::Components;
use crate::dhcp::Wire;
use crate::node::Machine;
use crate::notes::Heard;
use crate::phases::{Phase, Timed};
use crate::settings::{Configured, Paths, Place};
use crate::spans::{self, Parent};
use crate::store::{self, Book};

/// What an executable may take even where the deadline has passed, so that what was begun can
/// be undone.
const GRACE: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Program {
    pub(crate) paths: Paths,
    configured: Configured,
    boot: PathBuf,
    kernel: Netlink,
    wire: Wire,
    components: Components,
    /// Where calls of components are recorded.
    pub(crate) calls: Calls,
    ledger: RefCell<Option<Book>>,
    /// What happens inside a verb, for its event.
    pub(crate) heard: Heard,
}

impl Program {
    pub(crate) fn new(paths: Paths, configured: Configured) -> Self {
        let calls = Calls::new(&paths.run);
        let plugins = configured.plugins.clone();
        let caller = configured.trace.and_then(|_| std::env::var("TRACEPARENT").ok());
        Self {
            boot: store::boot_dir(&paths),
            components: Components::new(paths.clone(), plugins, calls.clone()),
            wire: Wire::new(&paths.run),
            heard: Heard::new(&paths.run, caller.and_then(|text| Parent::parse(&text))),
            paths,
            kernel: Netlink::new(),
            calls,
            configured,
            ledger: RefCell::new(None),
        }
    }

    /// The components, for what is to leave no trace.
    pub(crate) fn engine(&self) -> &dyn wharfinger_attach::Engine {
        self.calls.stop();
        &self.components
    }

    /// What the node's file says.
    pub(crate) fn configured(&self) -> &Configured {
        &self.configured
    }

    /// How the certificates stand that this node is known by.
    pub(crate) fn certificates(&self) -> Vec<Standing> {
        match self.configured.cluster.as_ref().map(|cluster| &cluster.place) {
            Some(Place::Etcd(etcd)) => {
                let path = etcd.cert.iter();
                path.map(|path| certificate::standing("etcd's client certificate", path)).collect()
            }
            Some(Place::Kubernetes(kube)) => vec![certificate::of_kubernetes(kube)],
            None => Vec::new(),
        }
    }

    pub(crate) fn components(&self) -> &Components {
        &self.components
    }

    /// After the reply: what a trace is to have of the verbs is kept, to be sent by others.
    pub(crate) fn keep_spans(&self) {
        if let Some((parent, verbs)) = self.heard.traced() {
            spans::keep(&self.paths.run, parent, &verbs);
        }
    }

    /// The last thing of a call.
    pub(crate) fn close_ledger(&self) {
        drop(self.ledger.borrow_mut().take());
    }

    /// Runs a verb. A ledger that turns out to be damaged is set aside and made anew from what
    /// the kernel and the runtime know, and the verb is run once more.
    pub(crate) fn verb<T>(&self, verb: impl Fn(&Host) -> Result<T, Error>) -> Result<T, Error> {
        let machine = self.machine();
        match self.attempt(&machine, &verb) {
            Err(Error::Ledger(wharfinger_ledger::Error::Damaged { .. })) => {
                if let Some(damaged) = self.ledger.borrow_mut().take() {
                    damaged.set_aside()?;
                }
                self.attempt(&machine, &verb)
            }
            other => other,
        }
    }

    /// Runs a verb that has no use for the ledger.
    pub(crate) fn without_ledger<T>(
        &self,
        verb: impl Fn(&Host) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let machine = self.machine();
        self.host(&machine, &MemLedger::new(), &verb)
    }

    fn attempt<T>(
        &self,
        machine: &Machine,
        verb: &impl Fn(&Host) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut slot = self.ledger.borrow_mut();
        let book = match slot.take() {
            Some(open) => open,
            None => self.heard.phases().of(Phase::Ledger, || self.open(machine))?,
        };
        self.host(machine, slot.insert(book).ledger(), verb)
    }

    fn machine(&self) -> Machine {
        let machine = Machine::new(self.boot.join("locks"), self.configured.deadline);
        machine.asking(self.configured.kubernetes.clone())
    }

    fn open(&self, machine: &Machine) -> Result<Book, Error> {
        store::open(&self.paths, &self.boot, machine, &self.kernel, &self.configured)
    }

    /// The file of the node's own book.
    pub(crate) fn book(&self) -> PathBuf {
        self.boot.join("ledger.db")
    }

    /// What is wrong with the node's own book, where it is there and damaged. Changes nothing.
    pub(crate) fn damage(&self) -> Option<String> {
        let machine = Machine::new(self.boot.join("locks"), self.configured.deadline);
        store::damage(&self.paths, &self.boot, &machine)
    }

    /// Works with the cluster's book; none where the node's is its own.
    pub(crate) fn cluster<T>(
        &self,
        work: impl FnOnce(&ClusterLedger<SqliteLedger>, &Machine) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if self.configured.cluster.is_none() {
            return Ok(None);
        }
        let machine = self.machine();
        match self.open(&machine)? {
            Book::Node(_) => Ok(None),
            Book::Cluster(ledger) => work(&ledger, &machine).map(Some),
        }
    }

    fn host<T>(
        &self,
        machine: &Machine,
        ledger: &dyn Ledger,
        verb: &impl Fn(&Host) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let phases = self.heard.phases();
        let delegate = |call: &DelegateCall<'_>| {
            let exec = exec(machine.remaining().max(GRACE), machine.note(call));
            phases.of(Phase::Delegate, || exec.run(call))
        };
        verb(&Host {
            kernel: &Timed::<dyn Kernel> { inner: &self.kernel, phases },
            ledger: &Timed { inner: ledger, phases },
            engine: &self.components,
            delegate: &delegate,
            dhcp: &Timed::<dyn Dhcp> { inner: &self.wire, phases },
            node: &Timed::<dyn Node> { inner: machine, phases },
            settings: &self.configured.settings,
            notes: &self.heard,
        })
    }

    /// Runs an executable for a person.
    pub(crate) fn delegate(
        &self,
        call: &DelegateCall<'_>,
    ) -> Result<Option<Map<String, Value>>, DelegateError> {
        exec(self.configured.deadline, self.machine().note(call)).run(call)
    }

    /// Runs what reads configurations, and asks neither the kernel nor what is in the ledger: nobody has to
    /// be root for that.
    pub(crate) fn read<T>(&self, read: impl Fn(&Host) -> Result<T, Error>) -> Result<T, Error> {
        self.calls.stop();
        let shared = self.configured.cluster.is_some();
        let ledger = if shared { MemLedger::of_cluster() } else { MemLedger::new() };
        self.host(&self.machine(), &ledger, &read)
    }

    /// Runs what is to leave no trace: where there is no ledger, with one in memory that has what
    /// a new one would have.
    pub(crate) fn look<T>(&self, look: impl Fn(&Host) -> Result<T, Error>) -> Result<T, Error> {
        self.calls.stop();
        let machine = self.machine();
        let ledger =
            store::look(&self.paths, &self.boot, &machine, &self.kernel, &self.configured)?;
        self.host(&machine, &*ledger, &look)
    }
}

/// Runs executables with our own environment; what they say to people goes on to standard error.
fn exec(timeout: Duration, note: Option<PathBuf>) -> Exec {
    Exec {
        env: std::env::vars_os().collect(),
        own: FileId::of(Path::new("/proc/self/exe")).ok(),
        // What is no number was never ours: nobody goes deeper by writing it.
        depth: std::env::var(DEPTH).map_or(0, |depth| depth.parse().unwrap_or(DEEPEST)),
        note,
        timeout,
        stderr: Box::new(|text| {
            // Nobody listens: no reason to fail.
            let _ = std::io::stderr().write_all(text);
        }),
    }
}
