//! What an attachment gets.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

/// The answer of an allocation. Every address was taken from the ledger in this call, and comes
/// once. There may be none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    /// For the interface.
    pub addresses: Vec<LeasedAddress>,
    /// Beside those of the addresses' own networks.
    pub routes: Vec<Route>,
    /// For the resolver.
    pub dns: Dns,
}

impl Lease {
    /// Of these addresses, without routes or name servers.
    pub fn of(addresses: impl IntoIterator<Item = LeasedAddress>) -> Self {
        Self { addresses: addresses.into_iter().collect(), ..Self::default() }
    }

    /// The same with these routes.
    pub fn with_routes(self, routes: impl IntoIterator<Item = Route>) -> Self {
        Self { routes: routes.into_iter().collect(), ..self }
    }
}

/// One address of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeasedAddress {
    /// With the prefix length of its network; host bits kept.
    pub address: IpNet,
    /// Of the same family, and not the address itself.
    pub gateway: Option<IpAddr>,
}

/// A route. In a configuration its keys are those of CNI: `dst`, `gw`, `mtu`, `advmss`,
/// `priority`, `table`, `scope`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Route {
    /// A network: host bits are zero.
    #[serde(rename = "dst", deserialize_with = "network")]
    pub destination: IpNet,
    /// The next hop; without it, that of the first address of the family.
    #[serde(rename = "gw", default)]
    pub gateway: Option<IpAddr>,
    /// Bytes.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// Bytes.
    #[serde(default)]
    pub advmss: Option<u32>,
    /// The metric: lower is preferred.
    #[serde(default)]
    pub priority: Option<u32>,
    /// The routing table.
    #[serde(default)]
    pub table: Option<u32>,
    /// As `ip route` numbers it: 0 is global, 253 link.
    #[serde(default)]
    pub scope: Option<u8>,
}

impl Route {
    /// To this network, its host bits set to zero, and nothing else said.
    pub fn to(destination: IpNet) -> Self {
        Self {
            destination: destination.trunc(),
            gateway: None,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        }
    }
}

/// Reads a network: host bits are zero.
fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let net = IpNet::deserialize(deserializer)?;
    if net == net.trunc() {
        return Ok(net);
    }
    Err(de::Error::custom(format!("{net} has host bits set: the network is {}", net.trunc())))
}

/// Settings of the resolver; as `dns` of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Servers.
    pub nameservers: Vec<IpAddr>,
    /// The local domain.
    pub domain: Option<String>,
    /// Domains to search.
    pub search: Vec<String>,
    /// Options, as in `resolv.conf`.
    pub options: Vec<String>,
}
