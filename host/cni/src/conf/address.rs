//! Addresses as Go's parsers read them: IPv4 may come mapped into IPv6 and is IPv4.
use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// An address, with or without prefix: how people ask for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The prefix length, if one was given.
    pub prefix: Option<u8>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.ip),
            None => self.ip.fmt(f),
        }
    }
}

/// An address without prefix.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// An address with its prefix; host bits are kept.
pub fn parse_net(text: &str) -> Option<IpNet> {
    let net: IpNet = text.parse().ok()?;
    let mapped = match net.addr().to_canonical() {
        IpAddr::V4(v4) if matches!(net, IpNet::V6(_)) => Some(v4),
        _ => None,
    };
    match mapped.zip(net.prefix_len().checked_sub(96)) {
        Some((v4, prefix)) => Ipv4Net::new(v4, prefix).ok().map(IpNet::V4),
        None => Some(net),
    }
}

/// An address, with or without prefix.
pub fn parse_address(text: &str) -> Option<Address> {
    if text.contains('/') {
        let net = parse_net(text)?;
        Some(Address { ip: net.addr(), prefix: Some(net.prefix_len()) })
    } else {
        parse_ip(text).map(|ip| Address { ip, prefix: None })
    }
}
