//! Ranges of addresses, by 128-bit arithmetic: nothing here walks a range.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

/// Addresses from the first to the last, both included, of one family.
///
/// In a configuration it is text: `"10.1.0.10-10.1.0.20"`, one address, or a network, which
/// stands for its [usable](Range::usable) addresses.
///
/// ```
/// # use wharfinger_sdk::Range;
/// let range: Range = "10.1.0.0/24".parse().unwrap();
/// assert_eq!(range.to_string(), "10.1.0.1-10.1.0.254");
/// assert!(range.contains("10.1.0.7".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
}

impl Range {
    /// None where the families differ or `first` is above `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    /// One address alone.
    pub fn single(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }

    /// What a network may give to containers: not its own address, nor, in IPv4, the broadcast;
    /// all of a network of one or two addresses.
    pub fn usable(net: IpNet) -> Self {
        let (first, last) = (net.network(), net.broadcast());
        if net.prefix_len() + 1 >= net.max_prefix_len() {
            return Self { first, last };
        }
        let last = if last.is_ipv4() { before(last) } else { last };
        Self { first: after(first), last }
    }

    /// The lowest.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The highest.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Whether an address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether two ranges share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::usable(net));
        }
        let address = |text: &str| {
            text.parse().map_err(|_| {
                format!("{text:?} is neither an address, a network, nor two addresses with a '-'")
            })
        };
        let Some((first, last)) = text.split_once('-') else {
            return address(text).map(Self::single);
        };
        let range = Self::new(address(first)?, address(last)?);
        range.ok_or_else(|| format!("{text:?} mixes families, or is upside down"))
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// Back to an address of `like`'s family; `like` itself where the number is too large for it.
pub(crate) fn address(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => u32::try_from(number).map_or(like, |n| IpAddr::V4(n.into())),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

/// The next higher one; the highest has none, and stays.
pub(crate) fn after(one: IpAddr) -> IpAddr {
    address(number(one).saturating_add(1), one)
}

fn before(one: IpAddr) -> IpAddr {
    address(number(one).saturating_sub(1), one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_addresses_of_every_size() {
        for (net, usable) in [
            ("10.1.0.0/24", "10.1.0.1-10.1.0.254"),
            ("10.1.0.0/30", "10.1.0.1-10.1.0.2"),
            ("10.1.0.0/31", "10.1.0.0-10.1.0.1"),
            ("10.1.0.9/32", "10.1.0.9"),
            ("fd00::/126", "fd00::1-fd00::3"),
            ("fd00::/127", "fd00::-fd00::1"),
            ("::/0", "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(Range::usable(net.parse().unwrap()).to_string(), usable);
        }
    }

    #[test]
    fn ranges_are_read_strictly() {
        assert_eq!("10.1.0.2-10.1.0.3".parse::<Range>().unwrap().to_string(), "10.1.0.2-10.1.0.3");
        for bad in ["", "10.1.0.3-10.1.0.2", "10.1.0.1-fd00::1", "10.1.0.0/33", "ten"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
