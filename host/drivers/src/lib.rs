//! Configuration and lease to plan: what a driver wants the kernel to be like.
//!
//! Pure: what is observed of the kernel comes in as [`Facts`], and what is to be done goes out
//! as a plan. This crate must never do I/O, and knows no netlink. Start reading at [`Conf`];
//! one file a driver; what `bridge` and `ptp` share is in `wire`, what those on somebody else's segment
//! share in `segment`.
#![forbid(unsafe_code)]

mod amend;
mod bare;
mod bridge;
mod draft;
mod dummy;
mod error;
mod facts;
pub mod features;
mod host_device;
mod ipvlan;
mod lease;
mod loopback;
mod macvlan;
mod names;
mod others;
mod overlay;
mod ptp;
mod read;
mod readdress;
mod segment;
mod tap;
mod vlan;
mod vlans;
mod wire;

pub use amend::{amend, leftovers, leftovers_of};
pub use bridge::Bridge;
pub use draft::Draft;
pub use error::{Error, PlanError};
pub use facts::Facts;
pub use host_device::HostDevice;
pub use ipvlan::Ipvlan;
pub use macvlan::Macvlan;
pub use names::{Alias, alias, host_link_name, key, parse_alias, parse_key};
pub use others::{link_of, told};
pub use overlay::Overlay;
pub use ptp::Ptp;
pub use readdress::{address_of, addressed};
pub use tap::Tap;
pub use vlan::Vlan;

use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_plan::{LinkRef, Plan, Query};

/// The names that `driver` may have.
pub const DRIVERS: &[&str] = &[
    "bridge",
    "overlay",
    "ptp",
    "macvlan",
    "ipvlan",
    "vlan",
    "host-device",
    "dummy",
    "tap",
    "loopback",
];

/// A driver's configuration, parsed and valid.
#[derive(Debug, Clone, PartialEq)]
pub enum Conf {
    /// A port of a bridge of the host.
    Bridge(Bridge),
    /// A port of a bridge that leads to other nodes.
    Overlay(Box<Overlay>),
    /// A link of its own, routed by the host.
    Ptp(Ptp),
    /// A station of its own on the segment of a link.
    Macvlan(Macvlan),
    /// A link that shares another's MAC address.
    Ipvlan(Box<Ipvlan>),
    /// The frames of a link that have a tag.
    Vlan(Vlan),
    /// A link of the host, lent.
    HostDevice(HostDevice),
    /// A link that leads nowhere.
    Dummy,
    /// A link whose other end is a program.
    Tap(Tap),
    /// The container's own loopback.
    Loopback,
}

/// The keys that a driver reads beside the protocol's and those of every entry of ours; none of
/// what is no driver.
pub fn keys_of(driver: &str) -> Option<&'static [&'static str]> {
    Some(match driver {
        "bridge" => bridge::KEYS,
        "overlay" => overlay::KEYS,
        "ptp" => ptp::KEYS,
        "macvlan" => macvlan::KEYS,
        "ipvlan" => ipvlan::KEYS,
        "vlan" => vlan::KEYS,
        "host-device" => host_device::KEYS,
        "tap" => tap::KEYS,
        "dummy" | "loopback" => &[],
        _ => return None,
    })
}

impl Conf {
    /// Reads what is for `driver` out of the configuration and of what else the caller asks
    /// for. Keys that are near to one of ours are refused under our own `type`.
    pub fn parse(driver: &str, call: &Attach) -> Result<Self, Error> {
        match driver {
            "bridge" => Bridge::parse(call).map(Self::Bridge),
            "overlay" => Overlay::parse(call).map(Box::new).map(Self::Overlay),
            "ptp" => Ptp::parse(call).map(Self::Ptp),
            "macvlan" => Macvlan::parse(call).map(Self::Macvlan),
            "ipvlan" => Ipvlan::parse(call).map(Box::new).map(Self::Ipvlan),
            "vlan" => Vlan::parse(call).map(Self::Vlan),
            "host-device" => HostDevice::parse(call).map(Self::HostDevice),
            "dummy" => dummy::parse(call).map(|()| Self::Dummy),
            "tap" => Tap::parse(call).map(Self::Tap),
            "loopback" => loopback::parse(call).map(|()| Self::Loopback),
            _ => Err(unknown_driver(&call.conf.fields())),
        }
    }

    /// The links whose facts [`Conf::check_facts`] and [`Conf::plan`] look at.
    pub fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        match self {
            Self::Bridge(bridge) => bridge.observes(id),
            Self::Overlay(overlay) => overlay.observes(id),
            Self::Ptp(ptp) => ptp.observes(id),
            Self::Macvlan(macvlan) => macvlan.observes(id),
            Self::Ipvlan(ipvlan) => ipvlan.observes(id),
            Self::Vlan(vlan) => vlan.observes(id),
            Self::HostDevice(device) => device.observes(id),
            Self::Dummy => vec![LinkRef::container(&id.ifname)],
            Self::Tap(tap) => tap.observes(id),
            Self::Loopback => vec![loopback::link()],
        }
    }

    /// The links that both look at and know by something else than their names.
    pub fn asks(&self) -> Vec<Query> {
        match self {
            Self::Macvlan(macvlan) => macvlan.asks().into_iter().collect(),
            Self::Ipvlan(ipvlan) => ipvlan.asks().into_iter().collect(),
            Self::Overlay(overlay) => overlay.asks().into_iter().collect(),
            Self::HostDevice(device) => device.asks().to_vec(),
            Self::Bridge(_)
            | Self::Ptp(_)
            | Self::Vlan(_)
            | Self::Dummy
            | Self::Tap(_)
            | Self::Loopback => Vec::new(),
        }
    }

    /// Whether the number of a segment across nodes is not in the configuration: somebody is to
    /// choose it, and to tell it by [`Conf::set_vni`] before anything is observed.
    pub fn wants_vni(&self) -> bool {
        matches!(self, Self::Overlay(overlay) if overlay.wants_vni())
    }

    /// The number of a segment across nodes, chosen for the network.
    pub fn set_vni(&mut self, vni: u32) {
        if let Self::Overlay(overlay) = self {
            overlay.set_vni(vni);
        }
    }

    /// The address space in which an address has one owner: "host" where the host routes to it,
    /// else the bridge's own, or that of the master's segment. What [`Conf::plan`] gets may be
    /// another, by `ipam.domain`.
    pub fn domain(&self) -> String {
        match self {
            Self::Bridge(bridge) => bridge.domain(),
            Self::Overlay(overlay) => overlay.domain(),
            Self::Macvlan(macvlan) => macvlan.domain(),
            Self::Ipvlan(ipvlan) => ipvlan.domain(),
            Self::Vlan(vlan) => vlan.domain(),
            Self::Ptp(_) | Self::HostDevice(_) | Self::Dummy | Self::Tap(_) | Self::Loopback => {
                "host".to_owned()
            }
        }
    }

    /// Whether [`Conf::plan`] needs a lease.
    pub fn needs_addresses(&self) -> bool {
        match self {
            Self::Bridge(bridge) => bridge.has_ipam(),
            Self::Macvlan(macvlan) => macvlan.has_ipam(),
            Self::Ipvlan(ipvlan) => ipvlan.has_ipam(),
            Self::HostDevice(device) => device.has_ipam(),
            Self::Tap(tap) => tap.has_ipam(),
            Self::Overlay(_) | Self::Ptp(_) | Self::Vlan(_) | Self::Dummy => true,
            Self::Loopback => false,
        }
    }

    /// Whether addresses are asked for before there is a link. Of the reference plugins, `ptp`
    /// does so; all others have a link by then, which is up. Of an overlay the link-layer address
    /// follows from the address.
    pub fn asks_first(&self) -> bool {
        matches!(self, Self::Ptp(_) | Self::Overlay(_) | Self::Loopback)
    }

    /// What of a plan can be made before addresses are known: links, and what is set on them.
    /// Nothing where [`Conf::asks_first`].
    pub fn bare(&self, id: &AttachmentId, domain: &str, facts: &Facts) -> Result<Plan, PlanError> {
        if self.asks_first() || !self.needs_addresses() {
            return Ok(Plan::default());
        }
        let plan = self.plan(id, domain, &bare::stand_in(), facts)?.plan;
        Ok(bare::of(&plan, &names::alias(id, domain, &[])))
    }

    /// Whether an ADD can succeed on a kernel that is like this. To be asked before an address
    /// is taken: a second ADD must not harm the first (spec section 2).
    pub fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        match self {
            Self::Bridge(bridge) => bridge.check_facts(id, facts),
            Self::Overlay(overlay) => overlay.check_facts(id, facts),
            Self::Ptp(ptp) => ptp.check_facts(id, facts),
            Self::Macvlan(macvlan) => macvlan.check_facts(id, facts),
            Self::Ipvlan(ipvlan) => ipvlan.check_facts(id, facts),
            Self::Vlan(vlan) => vlan.check_facts(id, facts),
            Self::HostDevice(device) => device.check_facts(id, facts),
            Self::Dummy => wire::absent(id, facts),
            Self::Tap(tap) => tap.check_facts(id, facts),
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
            Self::Overlay(overlay) => overlay.plan(id, domain, lease, facts),
            Self::Ptp(ptp) => ptp.plan(id, domain, lease, facts),
            Self::Macvlan(macvlan) => macvlan.plan(id, domain, lease, facts),
            Self::Ipvlan(ipvlan) => ipvlan.plan(id, domain, lease, facts),
            Self::Vlan(vlan) => vlan.plan(id, domain, lease, facts),
            Self::HostDevice(device) => device.plan(id, domain, lease, facts),
            Self::Dummy => dummy::plan(id, domain, lease),
            Self::Tap(tap) => tap.plan(id, domain, lease, facts),
            Self::Loopback => Ok(loopback::plan()),
        }
    }
}

fn unknown_driver(fields: &Fields<'_>) -> Error {
    Error::Invalid(fields.error("driver", format!("one of {}", DRIVERS.join(", "))))
}
