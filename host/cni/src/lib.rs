//! The CNI protocol for a plugin: configuration in, result or error out, for every released
//! version from 0.1.0 to 1.1.0.
//!
//! Pure: the process boundary is two small traits and three streams, so all of it runs in memory.
//! It must never read the environment, the clock or a file itself. Start reading at [`Plugin`],
//! then [`run`]; the README has a whole plugin.
#![forbid(unsafe_code)]

pub mod args;
mod call;
pub mod conf;
mod error;
mod mac;
mod netconf;
mod result;
mod run;
mod runtime_config;
mod twice;
mod vars;
mod verb;
mod version;

pub use error::{CniError, code};
pub use result::{Dns, Interface, Ip, Route, Success};
pub use run::{Io, render_error, run};
pub use runtime_config::{Bandwidth, IpRange, PortMapping, Protocol, RuntimeConfig};
pub use vars::{Env, check_names};
pub use verb::{UnknownVerb, Verb};
pub use version::{UnknownVersion, Version};

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// CNI's key for one attachment: a container, on one network, by one interface (spec 0.4.0,
/// "Network Configuration"; the key of all stored state).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttachmentId {
    /// The network's name.
    pub network: String,
    /// CNI_CONTAINERID.
    pub container: String,
    /// CNI_IFNAME.
    pub ifname: String,
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}

/// The configuration that came on stdin: an object with a good name and a supported version.
#[derive(Debug, Clone, PartialEq)]
pub struct NetConf {
    /// `cniVersion`; absent or empty means 0.1.0.
    pub version: Version,
    /// `name`.
    pub name: String,
    /// `type`, empty where there is none.
    pub plugin_type: String,
    /// Under which name the plugin was called ([`Plugin::name`]): one executable may serve under
    /// several. Empty where nobody called it so.
    pub called: String,
    /// The whole object, as it came.
    pub raw: Map<String, Value>,
}

/// CNI_ARGS: pairs in their order.
pub type Args = Vec<(String, String)>;

/// What an attachment verb (ADD, DEL, CHECK) is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Attach {
    /// Network, container and interface.
    pub id: AttachmentId,
    /// CNI_NETNS; for DEL it may be absent.
    pub netns: Option<PathBuf>,
    /// CNI_ARGS.
    pub args: Args,
    /// CNI_PATH, split.
    pub path: Vec<PathBuf>,
    /// CNI_NETNS_OVERRIDE: the container's namespace may be our own.
    pub netns_override: bool,
    /// The configuration.
    pub conf: NetConf,
    /// `prevResult`, of whatever version it came in, as the newest.
    pub prev_result: Option<Success>,
}

/// What STATUS and GC are about.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// CNI_PATH, split.
    pub path: Vec<PathBuf>,
    /// The configuration.
    pub conf: NetConf,
}

/// An entry of `cni.dev/valid-attachments`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
pub struct ValidAttachment {
    /// `containerID`.
    #[serde(rename = "containerID")]
    pub container: String,
    /// `ifname`.
    pub ifname: String,
}

/// A CNI plugin: what the protocol calls once the call is parsed and checked.
pub trait Plugin {
    /// For the about line and errors: `wharfinger`.
    fn name(&self) -> &str;
    /// For the about line: `v0.1.0`, with the letter, as callers read it.
    fn release(&self) -> &str;
    /// What else the about text is to say, below the rest.
    fn remark(&self) -> &'static str {
        ""
    }
    /// The versions of the protocol that the plugin speaks, oldest first. A network of another
    /// version is refused; callers leave out a plugin that does not list theirs.
    fn versions(&self) -> &[Version] {
        &Version::ALL
    }
    /// ADD. What it returns is written in the configuration's version.
    fn add(&self, call: &Attach) -> Result<Success, CniError>;
    /// The ADD's reply was written whole (true), or could not be (false: nobody has the result,
    /// so the attachment is to be undone). Called once after each ADD that succeeded, never else.
    fn replied(&self, call: &Attach, delivered: bool);
    /// DEL.
    fn del(&self, call: &Attach) -> Result<(), CniError>;
    /// CHECK; `prev_result` is there.
    fn check(&self, call: &Attach) -> Result<(), CniError>;
    /// STATUS.
    fn status(&self, call: &Node) -> Result<(), CniError>;
    /// GC. An absent or null list came as an empty one.
    fn gc(&self, call: &Node, valid: &[ValidAttachment]) -> Result<(), CniError>;
}

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
