//! A machine in memory: what the verbs' tests attach to.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use wharfinger_attach::{Engine, Hold, Host, Node, Settings};
use wharfinger_cni::{Attach, AttachmentId, NetConf, Success, Version};
use wharfinger_delegate::{DelegateCall, DelegateError};
use wharfinger_kernel::Kernel;
use wharfinger_kernel::mem::MemKernel;
use wharfinger_ledger::MemLedger;
use wharfinger_wasm::{
    Book, Error as PluginError, Ipam, Lease, LeasedAddress, Node as PluginNode, Policy, Pool,
    Problem, Reason, Request,
};

/// What a test holds.
pub struct World {
    pub kernel: MemKernel,
    pub ledger: MemLedger,
    pub machine: Machine,
    pub engine: Pools,
    pub settings: Settings,
    pub delegated: RefCell<Vec<String>>,
    pub delegate_missing: Cell<bool>,
    pub delegate_answer: RefCell<Option<Value>>,
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
            engine: Pools::default(),
            settings: Settings::default(),
            delegated: RefCell::default(),
            delegate_missing: Cell::new(false),
            delegate_answer: RefCell::default(),
        }
    }

    /// Runs `test` with the host's parts.
    pub fn with<T>(&self, test: impl FnOnce(&Host) -> T) -> T {
        let delegate =
            |call: &DelegateCall<'_>| -> Result<Option<Map<String, Value>>, DelegateError> {
                if self.delegate_missing.get() {
                    let (name, folders) = (call.name.to_owned(), "/opt/cni/bin".to_owned());
                    return Err(DelegateError::NotFound { name, folders });
                }
                self.delegated.borrow_mut().push(format!("{} {}", call.name, call.verb.as_str()));
                Ok(self.delegate_answer.borrow().as_ref().and_then(Value::as_object).cloned())
            };
        test(&Host {
            kernel: &self.kernel,
            ledger: &self.ledger,
            engine: &self.engine,
            delegate: &delegate,
            node: &self.machine,
            settings: &self.settings,
        })
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
        let survey = self.kernel.survey().unwrap();
        let records = wharfinger_attach::recover::records(&survey, &[], 0);
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

/// Clock, locks and namespaces, all told by the test.
#[derive(Default)]
pub struct Machine {
    pub now: Cell<u64>,
    pub locks: Rc<RefCell<BTreeSet<AttachmentId>>>,
    pub namespaces: RefCell<Vec<PathBuf>>,
    /// The deadline has passed.
    pub late: Cell<bool>,
}

struct Guard(Rc<RefCell<BTreeSet<AttachmentId>>>, AttachmentId);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.borrow_mut().remove(&self.1);
    }
}

impl Node for Machine {
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
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// One component, `pool`: gives what is free between `first` and `last` of its configuration.
#[derive(Default)]
pub struct Pools {
    /// What `allocate` fails with instead, if anything.
    pub fails: Rc<RefCell<Option<(Reason, String)>>>,
}

impl Engine for Pools {
    fn knows(&self, name: &str) -> bool {
        name == "pool"
    }

    fn ipam(&self, _: &str) -> Result<Box<dyn Ipam>, PluginError> {
        Ok(Box::new(PoolPlugin { fails: Rc::clone(&self.fails) }))
    }

    fn policy(&self, name: &str) -> Result<Box<dyn Policy>, PluginError> {
        let what = "no policy of this name is built in".to_owned();
        Err(PluginError::Unloadable { plugin: name.to_owned(), what })
    }
}

struct PoolPlugin {
    fails: Rc<RefCell<Option<(Reason, String)>>>,
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
}
