//! Configuration and lease to plan: what a driver wants the kernel to be like.
//!
//! Pure: what is observed of the kernel comes in as [`Facts`], and what is to be done goes out
//! as a plan. This crate must never do I/O, and knows no netlink. Start reading at [`Conf`];
//! one file a driver; what `bridge` and `ptp` share is in `wire`.
#![forbid(unsafe_code)]

mod amend;
mod bridge;
mod draft;
mod error;
mod facts;
pub mod features;
mod lease;
mod loopback;
mod names;
mod ptp;
mod read;
mod wire;

pub use amend::{amend, leftovers};
pub use bridge::Bridge;
pub use draft::Draft;
pub use error::{Error, PlanError};
pub use facts::Facts;
pub use names::{Alias, alias, host_link_name, key, parse_alias, parse_key};
pub use ptp::Ptp;

use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_plan::LinkRef;

/// The names that `driver` may have.
pub const DRIVERS: &[&str] = &["bridge", "ptp", "loopback"];

/// A driver's configuration, parsed and valid.
#[derive(Debug, Clone, PartialEq)]
pub enum Conf {
    /// A port of a bridge of the host.
    Bridge(Bridge),
    /// A link of its own, routed by the host.
    Ptp(Ptp),
    /// The container's own loopback.
    Loopback,
}

impl Conf {
    /// Reads what is for `driver` out of the configuration and of what else the caller asks
    /// for. Keys that are near to one of ours are refused: this is for our own `type` only.
    pub fn parse(driver: &str, call: &Attach) -> Result<Self, Error> {
        let fields = call.conf.fields();
        match driver {
            "bridge" => Bridge::parse(call).map(Self::Bridge),
            "ptp" => Ptp::parse(&fields).map(Self::Ptp),
            "loopback" => loopback::parse(&fields).map(|()| Self::Loopback),
            _ => Err(unknown_driver(&fields)),
        }
    }

    /// The links whose facts [`Conf::check_facts`] and [`Conf::plan`] look at.
    pub fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        match self {
            Self::Bridge(bridge) => vec![bridge.link(), LinkRef::container(&id.ifname)],
            Self::Ptp(_) => vec![LinkRef::container(&id.ifname)],
            Self::Loopback => vec![loopback::link()],
        }
    }

    /// The address space in which an address has one owner: "host" where the host routes to it,
    /// else the bridge's own. What [`Conf::plan`] gets may be another, by `ipam.domain`.
    pub fn domain(&self) -> String {
        match self {
            Self::Bridge(bridge) => bridge.domain(),
            Self::Ptp(_) | Self::Loopback => "host".to_owned(),
        }
    }

    /// Whether [`Conf::plan`] needs a lease.
    pub fn needs_addresses(&self) -> bool {
        match self {
            Self::Bridge(bridge) => bridge.has_ipam(),
            Self::Ptp(_) => true,
            Self::Loopback => false,
        }
    }

    /// Whether an ADD can succeed on a kernel that is like this. To be asked before an address
    /// is taken: a second ADD must not harm the first (spec section 2).
    pub fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        match self {
            Self::Bridge(bridge) => bridge.check_facts(id, facts),
            Self::Ptp(_) => wire::absent(id, facts),
            Self::Loopback => loopback::check_facts(facts),
        }
    }

    /// What an ADD does, and answers. The lease is an abbreviated result, as IPAM gives it; an
    /// empty one where [`Conf::needs_addresses`] is false. `domain` is the address space, which
    /// the host's link carries.
    pub fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        lease: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        self.check_facts(id, facts)?;
        match self {
            Self::Bridge(bridge) => bridge.plan(id, domain, lease, facts),
            Self::Ptp(ptp) => ptp.plan(id, domain, lease),
            Self::Loopback => Ok(loopback::plan()),
        }
    }
}

fn unknown_driver(fields: &Fields<'_>) -> Error {
    Error::Invalid(fields.error("driver", format!("one of {}", DRIVERS.join(", "))))
}
