//! Addresses, networks and ranges, by 128-bit arithmetic: nothing here walks a range.

use std::fmt;
use std::net::IpAddr;

/// An address as a number, with its family.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// Back to an address of `like`'s family; none where the number is too large for it.
fn address(number: u128, like: IpAddr) -> Option<IpAddr> {
    match like {
        IpAddr::V4(_) => u32::try_from(number).ok().map(|n| IpAddr::V4(n.into())),
        IpAddr::V6(_) => Some(IpAddr::V6(number.into())),
    }
}

/// Reads an address as the reference does: IPv4 inside IPv6 (`::ffff:10.1.0.7`) is IPv4.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let inside = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    Some(inside.map_or(address, IpAddr::V4))
}

/// An address with a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    /// Host bits kept.
    pub address: IpAddr,
    /// At most 32 or 128.
    pub prefix: u8,
}

impl Net {
    /// Reads "10.1.0.0/24".
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix = prefix.parse().ok()?;
        let net = Self { address, prefix };
        let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        (prefix <= net.width() && !mapped).then_some(net)
    }

    /// One address alone.
    pub fn single(address: IpAddr) -> Self {
        let net = Self { address, prefix: 0 };
        Self { prefix: net.width(), ..net }
    }

    /// Bits of an address of this family.
    fn width(&self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Ones in the host part.
    fn host_mask(&self) -> u128 {
        let host = u32::from(self.width().saturating_sub(self.prefix));
        if host >= 128 { u128::MAX } else { (1 << host) - 1 }
    }

    fn at(&self, number: u128) -> IpAddr {
        address(number, self.address).unwrap_or(self.address)
    }

    /// The network's own address: host bits zero.
    pub fn first(&self) -> IpAddr {
        self.at(number(self.address) & !self.host_mask())
    }

    /// Host bits all one.
    pub fn last(&self) -> IpAddr {
        self.at(number(self.address) | self.host_mask())
    }

    /// One or two addresses: no network address, no broadcast, no room for a gateway.
    pub fn is_tiny(&self) -> bool {
        self.host_mask() <= 1
    }

    /// Whether an address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.as_range().contains(address)
    }

    /// From the first address to the last.
    pub fn as_range(&self) -> Range {
        Range { first: self.first(), last: self.last() }
    }

    /// The address after the network's own: the gateway by custom; none in a tiny network.
    pub fn second(&self) -> Option<IpAddr> {
        (!self.is_tiny()).then(|| self.at(number(self.first()) + 1))
    }

    /// What may be given to containers: all of a tiny network; otherwise not the network's own
    /// address, nor, in IPv4, the broadcast.
    pub fn usable(&self) -> Range {
        let last = match self.last() {
            last @ IpAddr::V4(_) if !self.is_tiny() => self.at(number(last) - 1),
            last => last,
        };
        Range { first: self.second().unwrap_or(self.first()), last }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// From the first address to the last, both included, of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Not above `last`.
    pub first: IpAddr,
    /// Included.
    pub last: IpAddr,
}

impl Range {
    /// One address alone.
    pub fn single(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// Whether an address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether two ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first.is_ipv4() == other.first.is_ipv4()
            && self.first <= other.last
            && other.first <= self.last
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{} to {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usable(net: &str) -> String {
        Net::parse(net).unwrap().usable().to_string()
    }

    #[test]
    fn usable_addresses_of_every_size() {
        assert_eq!(usable("10.1.0.0/24"), "10.1.0.1 to 10.1.0.254");
        assert_eq!(usable("10.1.0.0/30"), "10.1.0.1 to 10.1.0.2");
        assert_eq!(usable("10.1.0.0/31"), "10.1.0.0 to 10.1.0.1");
        assert_eq!(usable("10.1.0.9/32"), "10.1.0.9");
        assert_eq!(usable("fd00::/126"), "fd00::1 to fd00::3");
        assert_eq!(usable("fd00::/127"), "fd00:: to fd00::1");
        assert_eq!(usable("fd00::7/128"), "fd00::7");
        assert_eq!(usable("fd00::/64"), "fd00::1 to fd00::ffff:ffff:ffff:ffff");
        assert_eq!(usable("0.0.0.0/0"), "0.0.0.1 to 255.255.255.254");
        assert_eq!(usable("::/0"), "::1 to ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }

    #[test]
    fn networks_are_read_strictly() {
        for bad in [
            "10.1.0.0",
            "10.1.0.0/33",
            "10.1.0.0/+8",
            "fd00::/129",
            "::ffff:10.1.0.0/112",
            "/8",
            "10.1.0.0/",
        ] {
            assert_eq!(Net::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_ipv4() {
        assert_eq!(parse_address("::ffff:10.1.0.7"), parse_address("10.1.0.7"));
        assert_eq!(parse_address("10.1.0.07"), None);
    }
}
