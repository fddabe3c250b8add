//! Ports of the host as things that have one owner on the node. Pure. An address of all is a
//! claim of its own in each family, so that two ports clash or not without a search.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use wharfinger_cni::{AttachmentId, Protocol};

use crate::point::Point;

/// A port of the host, of one address or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPort {
    /// A port of one protocol is none of another's.
    pub protocol: Protocol,
    /// Without one it is all addresses, of both families; `0.0.0.0` is all of IPv4 and `::` all
    /// of IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Its number.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, port, .. } = self;
        match self.address {
            None => write!(f, "{protocol} port {port}"),
            Some(address) => write!(f, "{protocol} port {port} of {address}"),
        }
    }
}

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose it is.
    pub id: AttachmentId,
    /// Since then: its record's `created`, in seconds since the Unix epoch.
    pub since: u64,
}

/// A port of an address, or of all addresses of a family: then the address is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) protocol: Protocol,
    pub(crate) port: u16,
    pub(crate) at: Point,
}

impl Spot {
    /// It is of all addresses of its family.
    pub(crate) fn is_of_all(self) -> bool {
        self.at.ip().is_unspecified()
    }

    /// The same port of all addresses of the family.
    pub(crate) fn of_all(self) -> Self {
        let zero: IpAddr = match self.at.ip() {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        Self { at: zero.into(), ..self }
    }

    /// The same port of the family's last address.
    pub(crate) fn of_last(self) -> Self {
        let last: IpAddr = match self.at.ip() {
            IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(u128::MAX).into(),
        };
        Self { at: last.into(), ..self }
    }

    /// What comes to the one may come to the other.
    pub(crate) fn clashes(self, other: Self) -> bool {
        let all = self.is_of_all() || other.is_of_all();
        (self.protocol, self.port) == (other.protocol, other.port)
            && self.of_all() == other.of_all()
            && (all || self.at == other.at)
    }
}

/// What the port takes. An IPv4 address in IPv6's clothes is the IPv4 address.
pub(crate) fn spots(port: &HostPort) -> Vec<Spot> {
    let all = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let addresses = port.address.map_or_else(|| all.to_vec(), |one| vec![one.to_canonical()]);
    let spot = |at: IpAddr| Spot { protocol: port.protocol, port: port.port, at: Point::from(at) };
    addresses.into_iter().map(spot).collect()
}
