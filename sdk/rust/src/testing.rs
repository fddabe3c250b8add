//! A host in memory, for unit tests: a ledger, a store, a node and a log that behave as the
//! real ones, and answers over HTTP that the test makes up.
//!
//! ```
//! # use serde::Deserialize;
//! # use wharfinger_sdk::{Failure, Ipam, Lease, Pool, Request, Subnet};
//! # #[derive(Deserialize)] struct OnePool { pool: Subnet }
//! # impl Ipam for OnePool {
//! #     fn pools(&self) -> Result<Vec<Pool>, Failure> { Ok(vec![self.pool.pool()]) }
//! #     fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
//! #         Ok(Lease::of([match request.wanted.first() {
//! #             Some(wanted) => self.pool.take(*wanted)?,
//! #             None => self.pool.take_free()?,
//! #         }]))
//! #     }
//! # }
//! use serde_json::json;
//! use wharfinger_sdk::{Attachment, Reason, testing::Host};
//!
//! let config = json!({"pool": {"subnet": "10.1.0.0/30"}});
//! let (web, db) = (Attachment::new("pods", "web", "eth0"), Attachment::new("pods", "db", "eth0"));
//! let mut host = Host::new();
//! host.add::<OnePool>(&config, &web).unwrap();
//! assert_eq!(host.add::<OnePool>(&config, &db).unwrap_err().reason, Reason::Exhausted);
//! host.del(&web);
//! host.add::<OnePool>(&config, &db).unwrap();
//! ```
//!
//! A call that the real host would end as a trap (an import called where it is not allowed, a
//! lease with an address that was not taken) panics.

mod book;
pub(crate) mod current;
mod judge;

use std::net::IpAddr;

use serde_json::Value;

use crate::log::Level;
use crate::plan::Step;
use crate::workload::{Absence, PodFacts};
use crate::{
    Attachment, Failure, Ipam, Lease, Policy, PolicyRequest, Pool, Problem, Remote, Request,
    Verdict, call,
};
use book::Book;
use current::{Call, Kind};

#[cfg(feature = "http")]
type Web = std::rc::Rc<dyn Fn(&crate::http::Request) -> Result<crate::http::Response, String>>;

/// A host in memory.
#[derive(Clone, Default)]
pub struct Host {
    book: Book,
    node: Node,
    log: Vec<(Level, String)>,
    #[cfg(feature = "http")]
    web: Option<Web>,
}

/// What the node module answers.
#[derive(Debug, Clone, Default)]
struct Node {
    name: String,
    labels: Vec<(String, String)>,
    now: u64,
    pod: Option<Result<PodFacts, Absence>>,
}

impl Host {
    /// With an empty book, a node named "node", the clock at zero, and nothing that answers over
    /// HTTP.
    pub fn new() -> Self {
        let node = Node { name: "node".to_owned(), ..Node::default() };
        Self { node, ..Self::default() }
    }

    /// Names the node.
    pub fn name(&mut self, name: &str) {
        name.clone_into(&mut self.node.name);
    }

    /// Writes down something about the node.
    pub fn label(&mut self, name: &str, value: &str) {
        self.node.labels.push((name.to_owned(), value.to_owned()));
    }

    /// Sets the clock: seconds since the Unix epoch.
    pub fn clock(&mut self, now: u64) {
        self.node.now = now;
    }

    /// Answers so about the pod, with the grant for it. Otherwise there is no Kubernetes.
    pub fn pod(&mut self, answer: Result<PodFacts, Absence>) {
        self.node.pod = Some(answer);
    }

    /// Reserves an address, as an operator does.
    pub fn reserve(&mut self, address: IpAddr, why: &str) {
        self.book.reserve(address, why);
    }

    /// Answers requests over HTTP by this function; its error is one of the network.
    #[cfg(feature = "http")]
    pub fn web(
        &mut self,
        answer: impl Fn(&crate::http::Request) -> Result<crate::http::Response, String> + 'static,
    ) {
        self.web = Some(std::rc::Rc::new(answer));
    }

    /// An ADD: allocates, checks the lease as the real host does, and keeps it. After a failure
    /// nothing has changed but the log.
    pub fn add<P: Ipam>(
        &mut self,
        config: &Value,
        attachment: &Attachment,
    ) -> Result<Lease, Failure> {
        self.allocate::<P>(config, &Request::new(attachment.clone()))
    }

    /// The same with all of a request.
    pub fn allocate<P: Ipam>(
        &mut self,
        config: &Value,
        request: &Request,
    ) -> Result<Lease, Failure> {
        let work = || call::allocate::<P>(&config.to_string(), request);
        let (lease, done) = self.call(Kind::Allocate, Some(&request.attachment), work);
        let lease = lease?;
        if let Err(what) = judge::lease(&lease, done.taken(), &request.wanted) {
            current::trap(&what);
        }
        self.book = done.commit(&lease);
        Ok(lease)
    }

    /// A DEL: gives back what the attachment holds, and drops what the store has for its time.
    pub fn del(&mut self, attachment: &Attachment) {
        self.book.release(&attachment.id);
    }

    /// A reboot of the node: only what is remembered, and permanent entries of the store, stay.
    pub fn reboot(&mut self) {
        self.book.reboot();
    }

    /// What the host tells a remote plugin once its own book is closed.
    pub fn released<P: Remote>(
        &mut self,
        config: &Value,
        attachment: &Attachment,
        lease: Option<&Lease>,
    ) -> Result<(), Failure> {
        let work = || call::ipam_or::<P>(&config.to_string())?.released(attachment, lease);
        self.call(Kind::Released, Some(attachment), work).0
    }

    /// What is wrong with a configuration of an IPAM plugin.
    pub fn problems<P: Ipam>(&mut self, config: &Value) -> Vec<Problem> {
        let work = || call::ipam::<P>(&config.to_string());
        self.call(Kind::Outside, None, work).0.err().unwrap_or_default()
    }

    /// Its pools.
    pub fn pools<P: Ipam>(&mut self, config: &Value) -> Result<Vec<Pool>, Failure> {
        let work = || call::ipam_or::<P>(&config.to_string())?.pools();
        self.call(Kind::Outside, None, work).0
    }

    /// What is wrong with a configuration of a policy.
    pub fn policy_problems<P: Policy>(&mut self, config: &Value) -> Vec<Problem> {
        let work = || call::policy::<P>(&config.to_string());
        self.call(Kind::Outside, None, work).0.err().unwrap_or_default()
    }

    /// Asks a policy before anything is allocated. What it stored is kept if it did not refuse.
    pub fn admit<P: Policy>(
        &mut self,
        config: &Value,
        request: &PolicyRequest,
    ) -> Result<Verdict, Failure> {
        let work = || call::policy_or::<P>(&config.to_string())?.admit(request);
        self.judged(request, work)
    }

    /// Asks a policy with all that is about to happen.
    pub fn review<P: Policy>(
        &mut self,
        config: &Value,
        request: &PolicyRequest,
        steps: &[Step],
        cni_result: &Value,
    ) -> Result<Verdict, Failure> {
        let work = || call::policy_or::<P>(&config.to_string())?.review(request, steps, cni_result);
        self.judged(request, work)
    }

    /// What an attachment holds, in the addresses' order.
    pub fn holds(&self, attachment: &Attachment) -> Vec<IpAddr> {
        self.book.holds(&attachment.id)
    }

    /// An entry of the store.
    pub fn stored(&self, key: &str) -> Option<String> {
        self.book.get(key)
    }

    /// All that was logged.
    pub fn log(&self) -> &[(Level, String)] {
        &self.log
    }

    fn judged(
        &mut self,
        request: &PolicyRequest,
        work: impl FnOnce() -> Result<Verdict, Failure>,
    ) -> Result<Verdict, Failure> {
        let (verdict, done) = self.call(Kind::Policy, Some(&request.attachment), work);
        let verdict = verdict?;
        if let Verdict::Amend(patch) = &verdict
            && !patch.is_object()
        {
            current::trap("it returned a patch that is no object");
        }
        if !matches!(verdict, Verdict::Deny(_)) {
            self.book = done.commit(&Lease::default());
        }
        Ok(verdict)
    }

    /// One call, with this host as what the modules of the SDK ask.
    fn call<R>(
        &mut self,
        kind: Kind,
        attachment: Option<&Attachment>,
        work: impl FnOnce() -> R,
    ) -> (R, Call) {
        let mut call = Call::new(kind, self.book.clone(), self.node.clone());
        call.of(attachment);
        #[cfg(feature = "http")]
        call.web(self.web.clone());
        let (answer, done) = current::run(call, work);
        self.log.extend(done.logged().iter().cloned());
        (answer, done)
    }
}

#[doc(hidden)]
pub fn is_ipam<P: Ipam>() {}
#[doc(hidden)]
pub fn is_remote<P: Remote>() {}
#[doc(hidden)]
pub fn is_policy<P: Policy>() {}
