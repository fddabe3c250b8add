//! Runs plugin components: bindings, limits, host functions, the cache of compiled components.
//!
//! A component gets the imports of its world and nothing else; whatever it does, the answer is
//! a typed error that names plugin, call and reason. This crate never touches the kernel or the
//! book itself: what a call may read and take comes in as a [`Book`]. Start reading at [`Ipam`].

#![deny(unsafe_code)]

mod adapt;
mod address;
mod answer;
mod bindings;
pub mod cache;
mod capability;
mod contract;
mod describe;
mod ended;
mod engine;
mod grants;
pub mod guest;
mod http;
mod imports;
mod ipam;
mod journal;
mod lease;
mod limits;
mod pack;
pub mod package;
mod plugin;
mod plugins;
mod policy;
mod quota;
#[allow(unsafe_code, reason = "native code is mapped, a timer set, a borrow lent: nowhere else")]
mod raw;
pub mod record;
mod state;
mod steps;
mod wasi;

pub use contract::World;
pub use describe::{Description, Import, Metadata, describe};
pub use engine::{Runtimes, engine_key};
pub use grants::{Grants, HttpGrant};
pub use limits::Limits;
pub use plugin::{IpamPlugin, Plugin, PolicyPlugin};
pub use plugins::Plugins;
pub use raw::Code;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wharfinger_cni::{AttachmentId, Dns, Route};
use wharfinger_plan::Plan;

/// Addresses from the first to the last, both included, of one family.
pub type AddressRange = (IpAddr, IpAddr);

/// What `ledger`, `store` and `node` of a call are answered from.
pub trait Book {
    /// `ledger.take`.
    fn take(&mut self, address: IpAddr) -> Result<Result<(), Refusal>, BookError>;
    /// `ledger.take-free`.
    fn take_free(
        &mut self,
        ranges: &[AddressRange],
        excluded: &[AddressRange],
        start: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, BookError>;
    /// `ledger.remembered`.
    fn remembered(&mut self, identity: &str) -> Result<Vec<IpAddr>, BookError>;
    /// `ledger.remember`.
    fn remember(&mut self, identity: &str) -> Result<(), BookError>;
    /// `store.get`.
    fn store_get(&mut self, key: &str) -> Result<Option<String>, BookError>;
    /// `store.put`: with `attachment` the entry goes when the attachment goes.
    fn store_put(&mut self, key: &str, value: &str, attachment: bool) -> Result<(), BookError>;
    /// `store.remove`.
    fn store_remove(&mut self, key: &str) -> Result<bool, BookError>;
    /// `store.scan`.
    fn store_scan(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<(String, String)>, BookError>;
    /// `store.count`: entries with this prefix.
    fn store_count(&mut self, prefix: &str) -> Result<u64, BookError>;
    /// Bytes of all keys and values in the plugin's store as this call would leave it: what the
    /// quota is measured by.
    fn store_size(&mut self) -> Result<u64, BookError>;
    /// `ledger.usage`: how full these ranges are.
    fn usage(&mut self, ranges: &[AddressRange]) -> Result<Usage, BookError>;
    /// `workload.pod`, asked by a plugin that has the grant. By default there is no Kubernetes.
    fn pod(&mut self) -> Result<Result<PodFacts, NoPod>, BookError> {
        Ok(Err(NoPod::NotThere("there is no Kubernetes here".to_owned())))
    }
    /// A request that a granted plugin is about to send by `wasi:http`: the answer where it is
    /// known already, as in a replay; none sends it.
    fn http_known(&mut self, request: &HttpRequest) -> Option<HttpAnswer> {
        let _ = request;
        None
    }
    /// What such a request came to.
    fn http_done(&mut self, request: &HttpRequest, answer: &HttpAnswer) {
        let _ = (request, answer);
    }
    /// `logger.log`: a line for the operator's log, cleaned of control characters. Kept even
    /// where the call fails; by default it is dropped.
    fn log(&mut self, level: Level, message: &str) {
        let _ = (level, message);
    }
}

/// How full ranges are; saturating.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Addresses in the ranges.
    pub total: u64,
    /// Held by attachments.
    pub held: u64,
    /// Resting after a release.
    pub resting: u64,
    /// Kept for an identity that does not hold them now.
    pub remembered: u64,
}

/// What the cluster's API says of a pod and of its namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodFacts {
    /// Where it is.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    /// The API's own; of a static pod its mirror's.
    pub uid: String,
    /// The pod's.
    pub of_pod: ObjectMeta,
    /// Its namespace's.
    pub of_namespace: ObjectMeta,
}

/// What an object of the API is called by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMeta {
    /// To select it by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// For anybody.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// Why nothing is said of a pod; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoPod {
    /// No Kubernetes.
    NotThere(String),
    /// The API knows no such pod, or another one by its name.
    Stale(String),
    /// The API server gave no answer that can be used.
    Unreachable(String),
}

/// A request over HTTP, as a plugin made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// "GET".
    pub method: String,
    /// Scheme, host, port, path and query.
    pub url: String,
    /// In their order; text that is no UTF-8 is replaced.
    pub headers: Vec<(String, String)>,
    /// The body; text that is no UTF-8 is replaced.
    pub body: String,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// 200; 0 where there was no answer.
    pub status: u16,
    /// In their order.
    pub headers: Vec<(String, String)>,
    /// The body; where there was no answer, why.
    pub body: String,
}

/// How much a line of a plugin's log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Every step.
    Trace,
    /// For the plugin's author.
    Debug,
    /// For the operator.
    Info,
    /// Might become a failure.
    Warn,
    /// Is one.
    Error,
}

/// The book's own failure: ends the call, and is handed back as it is.
pub type BookError = Box<dyn std::error::Error + Send + Sync>;

/// Why an address cannot be taken by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Another attachment holds it.
    Held(AttachmentId),
    /// The operator reserved it: the text says why.
    Reserved(String),
}

/// Whose attachment it is, as far as the runtime tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// CNI's key.
    pub id: AttachmentId,
    /// The Kubernetes pod: namespace, name, uid.
    pub pod: Option<Pod>,
    /// CNI_ARGS, then the strings of args.cni.
    pub args: Vec<(String, String)>,
}

/// The Kubernetes pod behind an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// K8S_POD_NAMESPACE.
    pub namespace: String,
    /// K8S_POD_NAME.
    pub name: String,
    /// K8S_POD_UID.
    pub uid: Option<String>,
}

/// What `allocate` is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Whose.
    pub attachment: Attachment,
    /// The "ipam" object, as JSON.
    pub config: String,
    /// The whole network configuration, as JSON.
    pub network_config: String,
    /// Addresses asked for by name, each once.
    pub wanted: Vec<IpAddr>,
}

/// What a plugin decided, checked: every address was taken in the call, comes once, has a
/// gateway of its family; counts and lengths are bounded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lease {
    /// Addresses with prefix length, and gateway.
    pub addresses: Vec<LeasedAddress>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Name servers.
    pub dns: Dns,
}

/// An address of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeasedAddress {
    /// With its prefix length, host bits kept.
    pub address: ipnet::IpNet,
    /// Of its family.
    pub gateway: Option<IpAddr>,
}

/// A named set of ranges that a configuration allocates from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// For people.
    pub name: String,
    /// Its ranges.
    pub ranges: Vec<AddressRange>,
}

/// A problem in a plugin's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// An RFC 6901 pointer into the plugin's configuration.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// What a node tells a plugin about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What the operator wrote down about it.
    pub labels: BTreeMap<String, String>,
    /// Seconds since the Unix epoch, the same all through one ADD.
    pub now: u64,
}

/// An IPAM plugin, ready to be called: each call is a fresh instance.
pub trait Ipam {
    /// Its name and digest: "host-local@sha256:0123…".
    fn identity(&self) -> &str;
    /// Every problem in the configuration; none if it is good.
    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error>;
    /// The pools that this configuration allocates from.
    fn pools(&self, node: &Node, config: &str) -> Result<Vec<Pool>, Error>;
    /// Which addresses the attachment gets.
    fn allocate(&self, node: &Node, request: &Request, book: &mut dyn Book)
    -> Result<Lease, Error>;
    /// Whether it wants to be told of releases: it exports `ipam-remote`.
    fn remote(&self) -> bool {
        false
    }
    /// `ipam-remote.released`: the host's book is closed; without a lease where the ADD came to
    /// none. Only for a plugin that is [`remote`](Self::remote). Of `book`, its `log` and `http_*`
    /// alone are used.
    fn released(
        &self,
        node: &Node,
        config: &str,
        attachment: &Attachment,
        lease: Option<&Lease>,
        book: &mut dyn Book,
    ) -> Result<(), Error> {
        let _ = (node, config, attachment, lease, book);
        Ok(())
    }
}

/// What a policy is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRequest {
    /// Whose.
    pub attachment: Attachment,
    /// The policy's own configuration, as JSON; "{}" where there is none.
    pub config: String,
    /// The whole network configuration as it stands, prevResult included, as JSON.
    pub network_config: String,
    /// The same by who wrote it.
    pub written: Sources,
}

/// Who wrote what of a network configuration; each a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The conflist's author: all that is not below.
    pub network: String,
    /// The runtime: `runtimeConfig`, less annotations.
    pub runtime: String,
    /// The pod's author: {"CNI_ARGS": {name: value}, "args": args.cni, "annotations": {...}}.
    pub pod: String,
}

/// What a policy decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it is.
    Allow,
    /// Not at all; the reason, one line without control characters.
    Deny(String),
    /// With this merge patch (RFC 7396): an object. Whether the policy may is not decided here.
    Amend(serde_json::Map<String, serde_json::Value>),
}

/// A policy plugin, ready to be called: each call is a fresh instance. Of the book it has the
/// store, the log and HTTP.
pub trait Policy {
    /// Its name and digest: "rules@sha256:0123…".
    fn identity(&self) -> &str;
    /// Every problem in the configuration; none if it is good.
    fn validate(&self, node: &Node, config: &str) -> Result<Vec<Problem>, Error>;
    /// Before anything is allocated.
    fn admit(
        &self,
        node: &Node,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error>;
    /// With all that is about to happen in hand. `result` is the CNI result as JSON.
    fn review(
        &self,
        node: &Node,
        request: &PolicyRequest,
        plan: &Plan,
        result: &str,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error>;
}

/// Why a plugin could not do what it was asked (WIT `reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The configuration is wrong.
    InvalidConfig,
    /// Every address that the request allows is taken.
    Exhausted,
    /// An address asked for by name cannot be had.
    Conflict,
    /// Might work later.
    TryAgain,
    /// Anything else.
    Other,
}

/// A call came to nothing. Every message names the plugin and the call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plugin itself said so.
    #[error("{plugin}: {call}: {message}")]
    Failed {
        /// Name and digest.
        plugin: String,
        /// The export.
        call: &'static str,
        /// Why.
        reason: Reason,
        /// One line.
        message: String,
        /// More.
        detail: Option<String>,
    },
    /// It trapped.
    #[error("{plugin}: {call}: the plugin trapped: {message}")]
    Trapped {
        /// Name and digest.
        plugin: String,
        /// The export.
        call: &'static str,
        /// The trap, and the plugin's innermost functions.
        message: String,
    },
    /// It met a limit.
    #[error("{plugin}: {call}: {limit} of {allowed} exceeded (setting {setting}){place}")]
    Limit {
        /// Name and digest.
        plugin: String,
        /// The export.
        call: &'static str,
        /// "deadline", "memory".
        limit: &'static str,
        /// With its unit.
        allowed: Box<str>,
        /// The setting of the node's TOML file.
        setting: &'static str,
        /// ", in " and the plugin's innermost functions, where they are known.
        place: Box<str>,
    },
    /// What it returned, or gave to an import, is not allowed.
    #[error("{plugin}: {call}: {what}")]
    BadAnswer {
        /// Name and digest.
        plugin: String,
        /// The export.
        call: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// It called what it has no grant for.
    #[error("{plugin}: {call}: it called {import}, which it is not granted")]
    Refused {
        /// Name and digest.
        plugin: String,
        /// The export.
        call: &'static str,
        /// "wasi:http/outgoing-handler handle of GET https://ipam.example:443".
        import: String,
        /// What the operator would write to grant it.
        grant: String,
    },
    /// The book failed: not the plugin's fault.
    #[error(transparent)]
    Book(BookError),
    /// The component cannot be loaded.
    #[error("plugin {plugin}: {what}")]
    Unloadable {
        /// Name, and digest where known.
        plugin: String,
        /// Why, and what to do.
        what: String,
    },
}
