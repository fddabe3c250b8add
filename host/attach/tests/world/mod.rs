//! A machine in memory: what the verbs' tests attach to.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wharfinger_attach::dhcp::{Dhcp, On, Unleased};
use wharfinger_attach::recover::{self, Cached};
use wharfinger_attach::{Answer, Engine, Hold, Host, Node, Notes, Settings};
use wharfinger_cni::{Attach, AttachmentId, NetConf, Success, Version};
use wharfinger_delegate::{DelegateCall, DelegateError};
use wharfinger_dhcp::{Asked, Lease as Lease4, So};
use wharfinger_kernel::mem::MemKernel;
use wharfinger_kernel::{AtPath, Kernel};
use wharfinger_ledger::MemLedger;
use wharfinger_plan::{LinkRef, Plan};
use wharfinger_wasm::{
    Attachment, Book, Error as PluginError, Ipam, Lease, LeasedAddress, Level, NoPod,
    Node as PluginNode, Pod, PodFacts, Policy, PolicyRequest, Pool, Problem, Reason, Request,
    Verdict,
};

/// What a test holds.
pub struct World {
    pub kernel: MemKernel,
    pub ledger: MemLedger,
    pub machine: Machine,
    pub server: Server,
    pub engine: Pools,
    pub settings: Settings,
    pub delegated: RefCell<Vec<String>>,
    pub delegate_missing: Cell<bool>,
    /// Whether the container's link was there, at each call of an executable.
    pub delegate_saw_link: RefCell<Vec<bool>>,
    pub delegate_answer: RefCell<Option<Value>>,
    /// What executables were configured with.
    pub delegate_config: RefCell<Option<Map<String, Value>>>,
    /// What single executables do instead, by name.
    pub scripts: RefCell<BTreeMap<&'static str, Script>>,
    /// Every call of an executable.
    pub ran: RefCell<Vec<Ran>>,
    pub heard: Heard,
}

/// What an executable does.
pub type Script =
    Rc<dyn Fn(&DelegateCall<'_>) -> Result<Option<Map<String, Value>>, DelegateError>>;

/// A call of an executable.
#[derive(Debug, Clone)]
pub struct Ran {
    pub name: String,
    pub verb: String,
    pub config: Value,
    pub env: BTreeMap<String, String>,
}

impl Ran {
    fn of(call: &DelegateCall<'_>) -> Self {
        let text = |value: &std::ffi::OsString| value.to_string_lossy().into_owned();
        let env = call.env.iter().map(|(key, value)| ((*key).to_owned(), text(value)));
        Self {
            name: call.name.to_owned(),
            verb: call.verb.as_str().to_owned(),
            config: Value::Object(call.config.clone()),
            env: env.collect(),
        }
    }
}

/// An executable that fails with an error of its own.
pub fn refusing(name: &'static str, verb: &'static str) -> Script {
    Rc::new(move |call| {
        if call.verb.as_str() != verb {
            return Ok(None);
        }
        let error = wharfinger_cni::CniError::new(7, format!("no {verb} today"));
        Err(DelegateError::Refused { name: name.to_owned(), error })
    })
}

/// An executable that is not there.
pub fn absent(name: &'static str) -> Script {
    Rc::new(move |_| {
        let (name, folders) = (name.to_owned(), "/opt/cni/bin".to_owned());
        Err(DelegateError::NotFound { name, folders })
    })
}

/// What a verb's notes were: one line each.
#[derive(Default)]
pub struct Heard(pub RefCell<Vec<String>>);

impl Notes for Heard {
    fn asked(&self, plugin: &str, call: &'static str) {
        self.0.borrow_mut().push(format!("{plugin} {call}"));
    }
    fn answered(&self, answer: &Answer<'_>) {
        self.0.borrow_mut().push(format!("{answer:?}"));
    }
    fn said(&self, plugin: &str, level: Level, text: &str) {
        self.0.borrow_mut().push(format!("{plugin} {level:?}: {text}"));
    }
    fn again(&self) {
        self.0.borrow_mut().push("again".to_owned());
    }
    fn detached(&self, id: &AttachmentId, why: &'static str) {
        self.0.borrow_mut().push(format!("{}: {why}", id.container));
    }
}

impl World {
    pub fn new() -> Self {
        let kernel = MemKernel::new();
        for (number, path) in NETNS.into_iter().enumerate() {
            kernel.add_netns(path, 100 + number as u64);
        }
        kernel.add_netns("/proc/self/ns/net", wharfinger_kernel::mem::HOST_COOKIE);
        Self {
            kernel,
            ledger: MemLedger::new(),
            machine: Machine::default(),
            server: Server::default(),
            engine: Pools::default(),
            settings: Settings::default(),
            delegated: RefCell::default(),
            delegate_missing: Cell::new(false),
            delegate_saw_link: RefCell::default(),
            delegate_answer: RefCell::default(),
            delegate_config: RefCell::default(),
            scripts: RefCell::default(),
            ran: RefCell::default(),
            heard: Heard::default(),
        }
    }

    /// What was undone that a verb was not about, and why.
    pub fn detached(&self) -> Vec<String> {
        let heard = self.heard.0.borrow();
        heard.iter().filter(|note| note.starts_with('c') && note.contains(": ")).cloned().collect()
    }

    /// Runs `test` with the host's parts.
    pub fn with<T>(&self, test: impl FnOnce(&Host) -> T) -> T {
        let delegate =
            |call: &DelegateCall<'_>| -> Result<Option<Map<String, Value>>, DelegateError> {
                if self.delegate_missing.get() {
                    let (name, folders) = (call.name.to_owned(), "/opt/cni/bin".to_owned());
                    return Err(DelegateError::NotFound { name, folders });
                }
                self.delegate_saw_link.borrow_mut().push(self.has_link(call));
                self.delegate_config.replace(Some(call.config.clone()));
                self.delegated.borrow_mut().push(format!("{} {}", call.name, call.verb.as_str()));
                self.ran.borrow_mut().push(Ran::of(call));
                if let Some(script) = self.scripts.borrow().get(call.name).cloned() {
                    return script(call);
                }
                Ok(self.delegate_answer.borrow().as_ref().and_then(Value::as_object).cloned())
            };
        test(&Host {
            kernel: &self.kernel,
            ledger: &self.ledger,
            engine: &self.engine,
            delegate: &delegate,
            dhcp: &self.server,
            node: &self.machine,
            settings: &self.settings,
            notes: &self.heard,
        })
    }

    fn has_link(&self, call: &DelegateCall<'_>) -> bool {
        let path = call.env.iter().find(|(name, _)| *name == "CNI_NETNS").map(|(_, path)| path);
        let at = self.kernel.netns(Path::new(path.unwrap())).unwrap();
        let AtPath::Netns(netns) = at else { return false };
        let link = LinkRef::container("eth0");
        self.kernel.links(&[link], Some(&netns)).unwrap().iter().any(Option::is_some)
    }

    /// Attaches, and tells the caller.
    pub fn add(&self, call: &Attach) -> Result<Success, wharfinger_attach::Error> {
        self.with(|host| {
            let added = wharfinger_attach::add::add(host, call)?;
            wharfinger_attach::add::finish(host, call, &added, true)?;
            Ok(added.success.clone())
        })
    }

    pub fn del(&self, call: &Attach) -> Result<(), wharfinger_attach::Error> {
        self.with(|host| wharfinger_attach::del::del(host, call))
    }

    /// The book is lost, and made anew from what the kernel has.
    pub fn lose_the_book(&mut self) {
        self.lose_the_book_but(&[]);
    }

    /// As [`World::lose_the_book`], where a runtime kept the results of these calls, which have them
    /// as `prev_result`.
    pub fn lose_the_book_but(&mut self, kept: &[Attach]) {
        let survey = self.kernel.survey().unwrap();
        let cookie = |call: &Attach| match self.kernel.netns(call.netns.as_deref()?).unwrap() {
            AtPath::Netns(netns) => Some(netns.cookie),
            AtPath::Gone => None,
        };
        let cached = kept.iter().filter_map(|call| Cached::of(call, cookie(call)));
        let records = recover::records(&survey, &cached.collect::<Vec<_>>(), 0);
        let (ledger, doubled) = MemLedger::rebuilt(&records, 1).unwrap();
        assert!(doubled.is_empty(), "{doubled:?}");
        self.ledger = ledger;
    }

    /// Nothing of any attachment is left.
    #[track_caller]
    pub fn assert_empty(&self) {
        assert_eq!(self.kernel.leftovers(), Vec::<String>::new());
        let records = self.with(|host| host.ledger.list(None)).unwrap();
        assert!(records.is_empty(), "{records:?}");
    }

    pub fn addresses(&self, id: &AttachmentId) -> Vec<IpAddr> {
        let entry = self.with(|host| host.ledger.get(id)).unwrap();
        entry.map(|entry| entry.record.addresses).unwrap_or_default()
    }
}

/// Namespaces that are there; their cookies are 100, 101, ...
pub const NETNS: [&str; 4] = ["/run/netns/a", "/run/netns/b", "/run/netns/c", "/run/netns/d"];

/// A call for a container on the bridge network.
pub fn call(container: &str, netns: &str) -> Attach {
    call_of(&bridge("10.1.0.2", "10.1.0.9"), container, netns)
}

pub fn call_of(conf: &Value, container: &str, netns: &str) -> Attach {
    let conf = NetConf::parse(conf.to_string().as_bytes(), &Version::ALL).unwrap();
    Attach {
        id: AttachmentId {
            network: conf.name.clone(),
            container: container.to_owned(),
            ifname: "eth0".to_owned(),
        },
        netns: (!netns.is_empty()).then(|| PathBuf::from(netns)),
        args: Vec::new(),
        path: vec![PathBuf::from("/opt/cni/bin")],
        netns_override: false,
        conf,
        prev_result: None,
    }
}

/// A routed bridge whose component gives addresses from `first` to `last`.
pub fn bridge(first: &str, last: &str) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": "bridge",
        "bridge": "cni0", "isGateway": true, "ipMasq": true,
        "ipam": { "type": "pool", "first": first, "last": last }
    })
}

/// A DHCP server: what it gives next, and what it was told.
#[derive(Default)]
pub struct Server {
    /// None: it does not answer.
    pub gives: RefCell<Option<Lease4>>,
    /// One line each.
    pub told: RefCell<Vec<String>>,
    /// Milliseconds.
    pub now: Cell<u64>,
    /// Nobody renews.
    pub alone: Cell<bool>,
    /// Who asks is killed.
    pub dies: Cell<bool>,
}

impl Dhcp for Server {
    fn now(&self) -> u64 {
        self.now.get()
    }
    fn obtain(&self, on: On<'_>, _: Asked, within: Duration) -> Result<Lease4, Unleased> {
        self.told.borrow_mut().push(format!("obtain {} up {}", on.link.link, on.link.up));
        assert!(!self.dies.get(), "killed");
        let silence = || Unleased::Silence { waited: within, so: So::default() };
        self.gives.borrow().clone().ok_or_else(silence)
    }
    fn release(&self, _: On<'_>, _: Asked, lease: &Lease4) -> Result<(), wharfinger_kernel::Error> {
        self.told.borrow_mut().push(format!("release {}", lease.address));
        Ok(())
    }
    fn decline(&self, _: On<'_>, _: Asked, lease: &Lease4) -> Result<(), wharfinger_kernel::Error> {
        self.told.borrow_mut().push(format!("decline {}", lease.address));
        Ok(())
    }
    fn wake(&self, socket: Option<&Path>) -> Result<(), String> {
        let socket = socket.map(|path| path.display().to_string()).unwrap_or_default();
        self.told.borrow_mut().push(format!("wake {socket}"));
        if self.alone.get() { Err("nobody listens".to_owned()) } else { Ok(()) }
    }
}

/// Clock, locks and namespaces, all told by the test.
#[derive(Default)]
pub struct Machine {
    pub now: Cell<u64>,
    pub locks: Rc<RefCell<BTreeSet<AttachmentId>>>,
    pub namespaces: RefCell<Vec<PathBuf>>,
    /// The deadline has passed.
    pub late: Cell<bool>,
    /// What the API says of pods, and of which it was asked.
    pub pod: RefCell<Option<PodFacts>>,
    pub asked: RefCell<Vec<Pod>>,
    /// Files, but for those that a reader finds everywhere.
    pub files: RefCell<BTreeMap<PathBuf, String>>,
    /// Symbolic links.
    pub links: RefCell<Vec<(PathBuf, PathBuf)>>,
}

struct Guard(Rc<RefCell<BTreeSet<AttachmentId>>>, AttachmentId);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.borrow_mut().remove(&self.1);
    }
}

impl Node for Machine {
    fn pod(&self, pod: &Pod) -> Result<PodFacts, NoPod> {
        self.asked.borrow_mut().push(pod.clone());
        let away = || NoPod::Unreachable("nobody answers".to_owned());
        self.pod.borrow().clone().ok_or_else(away)
    }

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn remaining(&self) -> Duration {
        if self.late.get() { Duration::ZERO } else { Duration::from_secs(30) }
    }

    fn lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>> {
        self.try_lock(id)
    }

    fn try_lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>> {
        let free = self.locks.borrow_mut().insert(id.clone());
        Ok(free.then(|| Hold::new(Guard(Rc::clone(&self.locks), id.clone()))))
    }

    fn namespaces(&self) -> io::Result<Vec<PathBuf>> {
        Ok(self.namespaces.borrow().clone())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/resolv.conf") => Ok("nameserver 10.0.0.53\nsearch a b\n".to_owned()),
            Some("/etc/cni/tuning/allowlist.conf") => Ok("^net\\.(ipv4|core)\\.\n".to_owned()),
            _ => self.files.borrow().get(path).cloned().ok_or(io::ErrorKind::NotFound.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.borrow_mut().remove(path);
        Ok(())
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        let link = self.links.borrow().iter().find_map(|(from, to)| {
            let rest = path.strip_prefix(from).ok()?;
            Some(to.join(rest))
        });
        Ok(link.unwrap_or_else(|| path.to_owned()))
    }
}

/// One component, `pool`: gives what is free between `first` and `last` of its configuration.
/// As `outside` it is one that asks an outside system. Policies as the test has them.
#[derive(Default)]
pub struct Pools {
    /// What `allocate` fails with instead, if anything.
    pub fails: Rc<RefCell<Option<(Reason, String)>>>,
    /// What `outside` was told.
    pub outside: Rc<Outside>,
    /// By name.
    pub policies: BTreeMap<&'static str, TestPolicy>,
}

/// The outside system behind the component `outside`.
#[derive(Default)]
pub struct Outside {
    /// It does not answer.
    pub down: Cell<bool>,
    /// Attachments that it thinks are there: containers.
    pub holds: RefCell<BTreeSet<String>>,
    /// Of which it was told, with the lease or without.
    pub released: RefCell<Vec<(String, bool)>>,
}

impl Engine for Pools {
    fn knows(&self, name: &str) -> bool {
        ["pool", "outside", "host-local", "static"].contains(&name)
    }

    fn ipam(&self, name: &str) -> Result<Box<dyn Ipam>, PluginError> {
        if !self.knows(name) {
            let what = "no component of this name is there".to_owned();
            return Err(PluginError::Unloadable { plugin: name.to_owned(), what });
        }
        let outside = (name == "outside").then(|| Rc::clone(&self.outside));
        Ok(Box::new(PoolPlugin { fails: Rc::clone(&self.fails), outside }))
    }

    fn policy(&self, name: &str) -> Result<Box<dyn Policy>, PluginError> {
        let what = "no policy of this name is built in".to_owned();
        let unknown = PluginError::Unloadable { plugin: name.to_owned(), what };
        let policy = self.policies.get(name).cloned().ok_or(unknown)?;
        Ok(Box::new(policy))
    }
}

type Admit = Rc<dyn Fn(&PolicyRequest, &mut dyn Book) -> Result<Verdict, PluginError>>;
type Review =
    Rc<dyn Fn(&PolicyRequest, &Plan, &Value, &mut dyn Book) -> Result<Verdict, PluginError>>;

/// A policy that does what the test says.
#[derive(Clone)]
pub struct TestPolicy {
    identity: String,
    problems: Vec<Problem>,
    admit: Admit,
    review: Review,
}

impl TestPolicy {
    /// Allows all.
    pub fn new(name: &str) -> Self {
        Self {
            identity: format!("{name}@sha256:{name}"),
            problems: Vec::new(),
            admit: Rc::new(|_, _| Ok(Verdict::Allow)),
            review: Rc::new(|_, _, _, _| Ok(Verdict::Allow)),
        }
    }

    pub fn admit(
        self,
        admit: impl Fn(&PolicyRequest, &mut dyn Book) -> Result<Verdict, PluginError> + 'static,
    ) -> Self {
        Self { admit: Rc::new(admit), ..self }
    }

    pub fn review(
        self,
        review: impl Fn(&PolicyRequest, &Plan, &Value, &mut dyn Book) -> Result<Verdict, PluginError>
        + 'static,
    ) -> Self {
        Self { review: Rc::new(review), ..self }
    }

    pub fn problem(self, pointer: &str, message: &str) -> Self {
        let problem = Problem { pointer: pointer.into(), message: message.into() };
        Self { problems: vec![problem], ..self }
    }

    /// Answers with this patch.
    pub fn amends(name: &str, patch: &Value) -> Self {
        let patch = patch.as_object().unwrap().clone();
        Self::new(name).admit(move |_, _| Ok(Verdict::Amend(patch.clone())))
    }

    pub fn denies(name: &str, reason: &'static str) -> Self {
        Self::new(name).admit(move |_, _| Ok(Verdict::Deny(reason.to_owned())))
    }
}

/// What a component that traps comes to.
pub fn trapped(call: &'static str) -> PluginError {
    PluginError::Trapped { plugin: "odd@sha256:odd".into(), call, message: "unreachable".into() }
}

impl Policy for TestPolicy {
    fn identity(&self) -> &str {
        &self.identity
    }
    fn validate(&self, _: &PluginNode, _: &str) -> Result<Vec<Problem>, PluginError> {
        Ok(self.problems.clone())
    }
    fn admit(
        &self,
        _: &PluginNode,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, PluginError> {
        (self.admit)(request, book)
    }
    fn review(
        &self,
        _: &PluginNode,
        request: &PolicyRequest,
        plan: &Plan,
        result: &str,
        book: &mut dyn Book,
    ) -> Result<Verdict, PluginError> {
        (self.review)(request, plan, &serde_json::from_str(result).unwrap(), book)
    }
}

struct PoolPlugin {
    fails: Rc<RefCell<Option<(Reason, String)>>>,
    outside: Option<Rc<Outside>>,
}

fn range(config: &str) -> (IpAddr, IpAddr) {
    let config: Value = serde_json::from_str(config).unwrap();
    let end = |key: &str| config[key].as_str().unwrap().parse().unwrap();
    (end("first"), end("last"))
}

fn failure(reason: Reason, message: &str) -> PluginError {
    PluginError::Failed {
        plugin: "pool@sha256:00".into(),
        call: "allocate",
        reason,
        message: message.into(),
        detail: None,
    }
}

impl Ipam for PoolPlugin {
    fn identity(&self) -> &'static str {
        "pool@sha256:00"
    }

    fn validate(&self, _: &PluginNode, _: &str) -> Result<Vec<Problem>, PluginError> {
        Ok(Vec::new())
    }

    fn pools(&self, _: &PluginNode, config: &str) -> Result<Vec<Pool>, PluginError> {
        Ok(vec![Pool { name: "pool".into(), ranges: vec![range(config)] }])
    }

    fn allocate(
        &self,
        _: &PluginNode,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Lease, PluginError> {
        if let Some(outside) = &self.outside {
            if outside.down.get() {
                return Err(failure(Reason::TryAgain, "the outside system does not answer"));
            }
            outside.holds.borrow_mut().insert(request.attachment.id.container.clone());
        }
        if let Some((reason, message)) = self.fails.borrow().as_ref() {
            return Err(failure(*reason, message));
        }
        let mut taken = Vec::new();
        for wanted in &request.wanted {
            match book.take(*wanted).map_err(PluginError::Book)? {
                Ok(()) => taken.push(*wanted),
                Err(refusal) => return Err(failure(Reason::Conflict, &format!("{refusal:?}"))),
            }
        }
        if taken.is_empty() {
            let free = book.take_free(&[range(&request.config)], &[], None);
            let free = free.map_err(PluginError::Book)?;
            taken.push(free.ok_or_else(|| failure(Reason::Exhausted, "no address left"))?);
        }
        let leased = |ip: IpAddr| LeasedAddress {
            address: ipnet::IpNet::new(ip, if ip.is_ipv4() { 16 } else { 64 }).unwrap(),
            gateway: None,
        };
        Ok(Lease { addresses: taken.into_iter().map(leased).collect(), ..Lease::default() })
    }

    fn remote(&self) -> bool {
        self.outside.is_some()
    }

    fn released(
        &self,
        _: &PluginNode,
        _: &str,
        attachment: &Attachment,
        lease: Option<&Lease>,
        _: &mut dyn Book,
    ) -> Result<(), PluginError> {
        let outside = self.outside.as_ref().unwrap();
        if outside.down.get() {
            return Err(failure(Reason::TryAgain, "the outside system does not answer"));
        }
        let container = attachment.id.container.clone();
        outside.holds.borrow_mut().remove(&container);
        outside.released.borrow_mut().push((container, lease.is_some()));
        Ok(())
    }
}
