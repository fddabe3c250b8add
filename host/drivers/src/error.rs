//! Why there is no plan, and which CNI error that is.

use ipnet::IpNet;
use serde_json::json;
use wharfinger_cni::conf::ConfError;
use wharfinger_cni::{CniError, code};
use wharfinger_plan::LinkRef;

/// The configuration does not fit the driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is wrong.
    #[error(transparent)]
    Invalid(#[from] ConfError),
    /// It asks for something that this version does not do (spec section 4, code 2).
    #[error("configuration at {pointer}: {value} is not supported by this version")]
    Unsupported {
        /// RFC 6901.
        pointer: String,
        /// As JSON.
        value: String,
    },
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(error) => error.into(),
            Error::Unsupported { ref pointer, ref value } => {
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
    fn code(&self) -> u32 {
        match self {
            Self::Exists(_) => code::EXISTS,
            Self::NotABridge { .. }
            | Self::BridgeMtu { .. }
            | Self::MtuBelowIpv6 { .. }
            | Self::Unfit { .. } => code::INVALID_CONFIG,
            Self::NotLoopback { .. } => code::KERNEL,
            Self::NoAddress | Self::NoGateway { .. } | Self::BadLease { .. } => code::PLUGIN,
        }
    }
}

impl From<PlanError> for CniError {
    fn from(error: PlanError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
