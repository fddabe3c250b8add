//! The verbs: ADD, DEL, CHECK, STATUS and GC, as plain functions over the traits of the crates
//! below, so that all of it runs in memory in a test.
//!
//! This crate decides the order of things: lock, journal, apply, reply; and undo when one fails.
//! It never touches the kernel, a file, the clock or the environment itself: they come in by
//! [`Host`]. Start reading at [`add`](add::add), then [`del`](del::del).
#![forbid(unsafe_code)]

pub mod add;
pub mod allow;
mod before;
mod book;
pub mod chain;
pub mod check;
pub mod collect;
pub mod conf;
pub mod del;
mod deputy;
pub mod dhcp;
pub mod dry;
mod error;
pub mod gc;
pub mod half;
mod hearing;
pub mod hold;
mod ipam;
pub mod lint;
mod moved;
pub mod names;
mod network;
mod notes;
mod outbox;
pub mod overlay;
mod policy;
pub mod pools;
mod ports;
pub mod recover;
pub mod reload;
mod reserve;
pub mod share;
mod wrap;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wharfinger_cni::AttachmentId;
use wharfinger_delegate::Delegate;
use wharfinger_kernel::Kernel;
use wharfinger_ledger::Ledger;
use wharfinger_wasm::{Ipam, NoPod, PodFacts, Policy};

pub use allow::Allow;
pub use book::SessionBook;
pub use error::Error;
pub use notes::{Answer, Notes, Silent};
pub use policy::{PolicyConf, can_be_granted};

/// All that the verbs work with.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Links, addresses, routes, rules.
    pub kernel: &'a dyn Kernel,
    /// Who holds which address.
    pub ledger: &'a dyn Ledger,
    /// The components.
    pub engine: &'a dyn Engine,
    /// Executables of CNI_PATH.
    pub delegate: &'a dyn Delegate,
    /// DHCP servers.
    pub dhcp: &'a dyn dhcp::Dhcp,
    /// The machine otherwise.
    pub node: &'a dyn Node,
    /// What the operator set for all networks.
    pub settings: &'a Settings,
    /// Hears what happens inside a verb.
    pub notes: &'a dyn Notes,
}

/// Finds components by name.
pub trait Engine {
    /// Whether there is a component of this name.
    fn knows(&self, name: &str) -> bool;
    /// The IPAM component of this name, ready to be called.
    fn ipam(&self, name: &str) -> Result<Box<dyn Ipam>, wharfinger_wasm::Error>;
    /// The policy component of this name, ready to be called.
    fn policy(&self, name: &str) -> Result<Box<dyn Policy>, wharfinger_wasm::Error>;
}

/// What the verbs need of the machine besides its kernel.
pub trait Node {
    /// Seconds since the Unix epoch, the same all through one verb.
    fn now(&self) -> u64;
    /// What is left of the verb's own deadline; zero when it has passed.
    fn remaining(&self) -> Duration;
    /// Waits for the lock of an attachment, until the deadline. `None`: it was not to be had.
    fn lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>>;
    /// As [`Node::lock`], without waiting.
    fn try_lock(&self, id: &AttachmentId) -> io::Result<Option<Hold>>;
    /// Paths of all network namespaces that processes or mounts hold, each namespace once.
    fn namespaces(&self) -> io::Result<Vec<PathBuf>>;
    /// A small text file that a configuration names (`resolvConf`).
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The path with its links followed, as far as it exists; the rest as it is.
    fn real_path(&self, path: &Path) -> io::Result<PathBuf>;
    /// Removes a small file that another plugin left; that there is none is fine.
    fn remove(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Ok(())
    }
    /// Whether these folders have an executable of this name that is not ourselves.
    fn foreign(&self, name: &str, folders: &[PathBuf]) -> bool {
        let (_, _) = (name, folders);
        false
    }
    /// The path of an attachment's namespace, by what the runtime keeps of it; none where it keeps
    /// nothing.
    fn namespace_of(&self, id: &AttachmentId) -> Option<PathBuf> {
        let _ = id;
        None
    }
    /// What the cluster's API says of a pod: asked at most once while this lives, and soon enough
    /// for the verb to go on without an answer.
    fn pod(&self, pod: &wharfinger_wasm::Pod) -> Result<PodFacts, NoPod> {
        let _ = pod;
        Err(NoPod::NotThere("this node's settings name no Kubernetes".to_owned()))
    }
    /// Where notes may be kept that may be lost; none: nowhere.
    fn indexes(&self) -> Option<PathBuf> {
        None
    }
}

/// A lock that is held until this is dropped.
pub struct Hold(#[expect(dead_code, reason = "held for its drop")] Box<dyn std::any::Any>);

impl Hold {
    /// Held as long as `guard` lives.
    pub fn new(guard: impl std::any::Any) -> Self {
        Self(Box::new(guard))
    }
}

/// What the operator set for all networks (the node's TOML file).
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `gc`: whether a living namespace keeps its attachment from a GC that does not list it.
    pub gc: GcMode,
    /// What a component may know of the node; `now` is filled in by each verb.
    pub node: wharfinger_wasm::Node,
    /// `[[policies]]`: asked first, for every attachment.
    pub policies: Vec<PolicyConf>,
    /// `[allow]`.
    pub allow: Allow,
    /// Why overlays cannot be encrypted, as what is allowed instead; none: they can.
    pub no_keys: Option<&'static str>,
    /// `amend` of `[plugins.NAME]` and `[plugins."sha256:..."]`: pointers that a policy may change
    /// beside those that any may.
    pub amend: BTreeMap<String, Vec<String>>,
}

/// `gc` of the node's TOML file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GcMode {
    /// What the caller does not list goes.
    #[default]
    Listed,
    /// It goes only where its namespace is dead: for nodes where two runtimes share a network.
    DeadOnly,
}
