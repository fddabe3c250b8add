//! Carries out plans by netlink and nftables: apply, verify, undo. The only privileged code.
//!
//! It knows no CNI: it gets a [`Plan`] and namespaces. It never runs another executable (but
//! iptables' own for the tables that nothing else can change: `foreign::legacy`), never
//! switches a thread back from a namespace, and never leaves half a plan behind. Start reading
//! at [`Kernel`], then `netlink`, the implementation for Linux; `mem` is the double for tests.

mod address;
mod apply;
mod ask;
mod device;
mod device_file;
mod filter;
mod foreign;
mod frames;
pub mod heap;
mod kind;
mod link;
pub mod mem;
pub mod netlink;
mod netns;
mod nft;
mod packets;
mod peers;
mod probe;
mod remains;
mod route;
mod rule;
mod segment;
mod session;
mod settings;
mod socket;
mod steps;
mod survey;
mod sysctl;
mod tap;
mod tc;
mod traffic;
mod undo;
mod verify;
mod vlans;
mod vrf;
mod vxlan;
mod xfrm;

use std::path::Path;

use wharfinger_plan::{Action, LinkRef, Mac, Plan, Routing};

pub use foreign::ForwardDrop;
pub use packets::{Heard, Packets, inherited_listener, uptime};
pub use remains::{Cleared, Reference};
pub use sysctl::let_be_set;
pub use wharfinger_plan::{Answer, LinkFacts, PeerChange, Peers, Query, Segment};
pub use wharfinger_plan::{Association, Encryption, Way};

/// A network namespace: opened once, checked to be one, and known by its cookie.
#[derive(Debug)]
pub struct Netns {
    /// Unlike an inode number, never given again in a running kernel (`SO_NETNS_COOKIE`).
    pub cookie: u64,
    /// None in the double for tests.
    inside: Option<netns::Inside>,
}

/// What is at a path that is to be a network namespace.
#[derive(Debug)]
pub enum AtPath {
    /// A network namespace.
    Netns(Netns),
    /// Nothing, or something that is no network namespace: it is gone.
    Gone,
}

/// A step whose object is not as the plan says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Which step, from 0.
    pub step: usize,
    /// What it is about: "address 10.1.0.5/16 dev eth0".
    pub object: String,
    /// What differs: "is missing", "mtu is 1400, not 1500".
    pub found: String,
}

/// What the kernel itself tells of attachments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Links of the host that have an alias. Their addresses are not asked for.
    pub links: Vec<LinkFacts>,
    /// (address, comment) of each masquerade.
    pub masquerades: Vec<wharfinger_plan::Masquerade>,
    /// What else of attachments is in our tables, as far as undoing it needs it.
    pub filter: Vec<Action>,
}

/// The kernel, as the verbs need it.
pub trait Kernel {
    /// Opens what is at `path`.
    fn netns(&self, path: &Path) -> Result<AtPath, Error>;
    /// The cookie of the namespace that this process works in: the host's.
    fn host_cookie(&self) -> Result<u64, Error>;
    /// What each of these links is like; `None` where there is none of that name. Links of the
    /// container are looked up in `netns`.
    fn links(
        &self,
        wanted: &[LinkRef],
        netns: Option<&Netns>,
    ) -> Result<Vec<Option<LinkFacts>>, Error>;
    /// How the container's namespace routes.
    fn routing(&self, netns: &Netns) -> Result<Routing, Error>;
    /// What is known of a link by something else than its name; `None` where there is none.
    fn ask(&self, query: &Query, netns: Option<&Netns>) -> Result<Option<Answer>, Error>;
    /// Makes everything so, in order. On a failure, what this call did is undone (owned steps,
    /// from last to first), and the failure names the step. Answers what the plan's links
    /// are like afterwards, in the order of the plan, peers after their links.
    fn apply(&self, plan: &Plan, netns: &Netns) -> Result<Vec<LinkFacts>, Error>;
    /// Every step that is not as the plan says; presence of ours, not absence of others'.
    fn verify(&self, plan: &Plan, netns: &Netns) -> Result<Vec<Drift>, Error>;
    /// Undoes the owned steps, from last to first. What is gone already is fine; a link is only
    /// removed where the first word of its alias is that of the plan's, or where it has none and
    /// the plan's MAC address. Without a namespace the host's side alone.
    fn undo(&self, plan: &Plan, netns: Option<&Netns>) -> Vec<Error>;
    /// What the kernel tells of attachments: what it does not tell of is not there. Where links come and go
    /// all the time it takes long, and may fail with EINTR.
    fn survey(&self) -> Result<Survey, Error>;
    /// The same, of links that were there at some time during the call: one may be gone, and one that it does not
    /// tell of may be there. As quick on a busy node as on any.
    fn seen(&self) -> Result<Survey, Error>;
    /// Makes our tables of the packet filter anew from the steps of all attachments, in one
    /// transaction. Steps of other kinds are passed over; what the administrator has in a chain
    /// of his stays.
    fn reload(&self, all: &[Action]) -> Result<(), Error>;
    /// Every chain of somebody else's that drops what is forwarded, whatever our tables accept.
    fn forward_drops(&self) -> Result<Vec<ForwardDrop>, Error>;
    /// Removes what the reference plugins left of an attachment in the packet filter, of either
    /// back end and of any version from 1.1.1 to 1.9.1, and the device of their shaping. Where
    /// there is nothing of theirs, it is a look and no more.
    fn clear_reference(&self, reference: &Reference) -> Cleared;
    /// Brings all that the host knows of other nodes on a segment across nodes to `wanted`, and
    /// removes what anybody else told it; answers how many changes that took.
    fn resync_peers(&self, segment: &Segment, wanted: &Peers) -> Result<usize, Error>;
    /// Makes these changes of what the host knows of other nodes, in order, and looks at nothing
    /// else. What is to be forgotten and is not there is fine; a change that fails does not keep
    /// the others.
    fn change_peers(&self, segment: &Segment, changes: &[PeerChange]) -> Result<(), Error>;
    /// What must not pass in clear, of ours.
    fn encryptions(&self) -> Result<Vec<Encryption>, Error>;
    /// The associations between nodes that are ours.
    fn ways(&self) -> Result<Vec<Way>, Error>;
    /// Puts an association there, which must not be there yet.
    fn add_association(&self, wanted: &Association) -> Result<(), Error>;
    /// Removes one; what is not there is fine.
    fn remove_way(&self, unwanted: &Way) -> Result<(), Error>;
    /// What this plan needs and the kernel does not have, for people: empty where all is there.
    /// Changes nothing that outlasts the call.
    fn missing(&self, plan: &Plan) -> Result<Vec<String>, Error>;
}

/// An operation of the kernel failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel refused a request.
    #[error("{operation} {object}: {source}")]
    Refused {
        /// "add address".
        operation: &'static str,
        /// "10.1.0.5/24 dev eth0".
        object: String,
        /// The errno.
        source: std::io::Error,
    },
    /// What is there differs from what is wanted.
    #[error("{object}: {what} is {found}, not {wanted}")]
    Differs {
        /// "link cni0".
        object: String,
        /// "mtu".
        what: &'static str,
        /// Its value.
        found: String,
        /// The value that the plan has.
        wanted: String,
    },
    /// Somebody else on the segment has an address that was to be put on.
    #[error("address {address} is in use on the segment of {link}: {mac} answers for it")]
    Taken {
        /// The address.
        address: std::net::IpAddr,
        /// Where it was asked.
        link: String,
        /// Whose it is.
        mac: Mac,
    },
    /// Nobody on the segment has an address that somebody was to have.
    #[error("gateway {address} does not answer on the segment of {link}")]
    Silent {
        /// The gateway.
        address: std::net::IpAddr,
        /// Where it was asked.
        link: String,
    },
    /// A step failed; what the plan did before it was undone.
    #[error("step {}: {source}{}", .step + 1, also(.undoing))]
    Step {
        /// Which step, from 0.
        step: usize,
        /// Why it failed.
        source: Box<Error>,
        /// What failed in undoing the steps before it.
        undoing: Vec<Error>,
    },
}

impl Error {
    /// Who has an address that was to be put on, where that is why it failed.
    pub fn squatter(&self) -> Option<Mac> {
        match self {
            Self::Taken { mac, .. } => Some(*mac),
            Self::Step { source, .. } => source.squatter(),
            Self::Refused { .. } | Self::Differs { .. } | Self::Silent { .. } => None,
        }
    }

    /// Whether it failed for want of a link.
    pub fn is_no_link(&self) -> bool {
        self.errno() == Some(libc::ENODEV)
    }

    /// The kernel's error number, where it was the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => socket::errno_of(source),
            Self::Differs { .. } | Self::Taken { .. } | Self::Silent { .. } => None,
            Self::Step { source, .. } => source.errno(),
        }
    }
}

/// A refusal of the kernel's, with what it was about.
pub(crate) fn refused(
    operation: &'static str,
    object: impl Into<String>,
    refusal: impl Into<socket::Refusal>,
) -> Error {
    let source = refusal.into().into_io();
    Error::Refused { operation, object: object.into(), source }
}

/// The failures of undoing, as an addition to the failure that led to it.
fn also(undoing: &[Error]) -> String {
    undoing
        .iter()
        .fold(String::new(), |text, error| text + "; and undoing it: " + &error.to_string())
}
