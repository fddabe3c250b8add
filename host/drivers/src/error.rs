//! Why there is no plan, and which CNI error that is.

use ipnet::IpNet;
use serde_json::json;
use wharfinger_cni::conf::ConfError;
use wharfinger_cni::{CniError, code};
use wharfinger_plan::{LinkRef, Place};

/// The configuration does not fit the driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is wrong.
    #[error(transparent)]
    Invalid(#[from] ConfError),
    /// It asks for something that we do not do (spec section 4, code 2).
    #[error("configuration at {pointer}: {value} is not supported: {instead}")]
    Unsupported {
        /// RFC 6901.
        pointer: String,
        /// Key and value, as JSON.
        value: String,
        /// What to write instead.
        instead: String,
    },
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(error) => error.into(),
            Error::Unsupported { ref pointer, ref value, .. } => {
                Self::new(code::UNSUPPORTED_FIELD, error.to_string())
                    .with_json(&json!({ "pointer": pointer, "found": value }))
            }
        }
    }
}

/// Configuration, lease and kernel do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// CNI_IFNAME is taken.
    #[error("interface {0} exists already in the container")]
    Exists(String),
    /// The name of the bridge is another link's.
    #[error("link {name} exists already and is no bridge but {found}")]
    NotABridge {
        /// The configuration's `bridge`.
        name: String,
        /// What it is.
        found: String,
    },
    /// The configuration's `mtu` is not the bridge's.
    #[error(
        "the configuration's mtu is {wanted}, but bridge {name} exists already with mtu {found}: \
         change one of them, or leave mtu out to have the bridge's"
    )]
    BridgeMtu {
        /// The bridge.
        name: String,
        /// The bridge's.
        found: u32,
        /// The configuration's.
        wanted: u32,
    },
    /// IPv6 needs an MTU of 1280 (RFC 8200, section 5).
    #[error("{address} needs an mtu of at least 1280, and the link's is {mtu}")]
    MtuBelowIpv6 {
        /// The IPv6 address.
        address: IpNet,
        /// The configuration's, or the bridge's.
        mtu: u32,
    },
    /// The loopback link is not as the kernel makes it.
    #[error("{link} has {address}, which is no loopback address")]
    NotLoopback {
        /// `lo`.
        link: LinkRef,
        /// What it has.
        address: IpNet,
    },
    /// The link that ours is to stand on is not there.
    #[error("{}", no_master(.name.as_deref(), *.place))]
    NoMaster {
        /// The configuration's `master`.
        name: Option<String>,
        /// In which namespace.
        place: Place,
    },
    /// The configuration's `mtu` is more than the master carries.
    #[error(
        "the configuration's mtu is {wanted}, and {master}, on which the link stands, has {found}"
    )]
    MtuAboveMaster {
        /// The configuration's.
        wanted: u32,
        /// The master.
        master: LinkRef,
        /// The master's.
        found: u32,
    },
    /// Nothing tells the number of a segment across nodes.
    #[error(
        "nothing tells the overlay's vni: set \"vni\", the same on all nodes, or keep the ledger in \
         etcd, which then chooses one"
    )]
    NoVni,
    /// The node has no address for a segment across nodes.
    #[error(
        "{what}: set \"underlay\" to the link, the address or the network by which nodes reach each other"
    )]
    NoUnderlay {
        /// What is not there.
        what: String,
    },
    /// The configuration's `mtu` is more than the underlay carries.
    #[error(
        "the configuration's mtu is {wanted}, and {master}, the underlay, with its {found} carries \
         {most} of the overlay"
    )]
    MtuAboveUnderlay {
        /// The configuration's.
        wanted: u32,
        /// The underlay's link.
        master: LinkRef,
        /// The underlay's.
        found: u32,
        /// What is left.
        most: u32,
    },
    /// A link of a segment across nodes was made otherwise.
    #[error(
        "link {link} of the overlay exists already: {what} is {found}, not {wanted}; configuration or \
         underlay changed since it was made: change them back, or remove the link (ip link del \
         {link}) once no container of this node is on it"
    )]
    SegmentDiffers {
        /// The bridge, or the VXLAN.
        link: String,
        /// "mtu".
        what: &'static str,
        /// Its value.
        found: String,
        /// As the configuration and the underlay have it now.
        wanted: String,
    },
    /// The link of `mtuFrom` is not there.
    #[error("link {0}, whose mtu the configuration wants (mtuFrom), is not there")]
    NoMtu(String),
    /// The device to lend is not there.
    #[error("there is no {0}: it may be lent to another container")]
    NoDevice(String),
    /// Nothing tells which device to lend.
    #[error(
        "nothing names the device: device, hwaddr, kernelpath, pciBusID or runtimeConfig.deviceID"
    )]
    NoSelector,
    /// There is no IPv4 address to lead to the host.
    #[error("hostAccess needs an IPv4 address, and the lease has none")]
    NoHostAccess,
    /// Neither IPAM nor a plugin before gives addresses.
    #[error("ipvlan needs addresses: of ipam, or of a plugin before it in the list")]
    NoAddresses,
    /// IPAM gave no address (spec section 6).
    #[error("IPAM answered without an address")]
    NoAddress,
    /// The address has no gateway, and the driver cannot do without.
    #[error("{address} has no gateway, and {why}")]
    NoGateway {
        /// The address.
        address: IpNet,
        /// Why one is needed, or cannot be chosen.
        why: &'static str,
    },
    /// A feature and the attachment do not go together.
    #[error("{feature}: {what}")]
    Unfit {
        /// Its name.
        feature: &'static str,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The lease contradicts itself.
    #[error("IPAM answered {what}")]
    BadLease {
        /// "gateway fd00::1 for 10.1.0.5/24".
        what: String,
    },
}

impl PlanError {
    /// Whether only an ADD can tell: what is wrong is of the one attachment, or of what it is
    /// lent, and not of the network.
    pub fn is_of_one_attachment(&self) -> bool {
        match self {
            Self::NoMaster { place, .. } => *place == Place::Container,
            Self::NoDevice(_) | Self::NoSelector | Self::NoAddresses => true,
            _ => false,
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Exists(_) => code::EXISTS,
            Self::NotABridge { .. }
            | Self::BridgeMtu { .. }
            | Self::MtuBelowIpv6 { .. }
            | Self::MtuAboveMaster { .. }
            | Self::MtuAboveUnderlay { .. }
            | Self::SegmentDiffers { .. }
            | Self::NoVni
            | Self::NoHostAccess
            | Self::NoSelector
            | Self::NoAddresses
            | Self::Unfit { .. } => code::INVALID_CONFIG,
            Self::NotLoopback { .. }
            | Self::NoMaster { .. }
            | Self::NoMtu(_)
            | Self::NoUnderlay { .. }
            | Self::NoDevice(_) => code::KERNEL,
            Self::NoAddress | Self::NoGateway { .. } | Self::BadLease { .. } => code::PLUGIN,
        }
    }
}

fn no_master(name: Option<&str>, place: Place) -> String {
    let space = match place {
        Place::Host => "the host",
        Place::Container => "the container",
    };
    match name {
        Some(name) => format!("{space} has no link {name}, which is the master"),
        None => format!("{space} has no default route, and the configuration names no master"),
    }
}

impl From<PlanError> for CniError {
    fn from(error: PlanError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
