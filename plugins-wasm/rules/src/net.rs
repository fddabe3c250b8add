//! Networks, by 128-bit arithmetic.

use std::fmt;
use std::net::IpAddr;

/// Reads an address; IPv4 inside IPv6 is IPv4.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A network: host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Net {
    first: IpAddr,
    prefix: u8,
}

impl Net {
    /// Reads "10.1.0.0/16" or an address alone; host bits are dropped.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Some((start, prefix)) = text.split_once('/') else {
            return address(text).map(Self::single);
        };
        let start: IpAddr = start.parse().ok()?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let prefix: u8 = prefix.parse().ok()?;
        let width = width(start);
        let inside = start.to_canonical();
        let prefix = if inside == start { prefix } else { prefix.checked_sub(96)? };
        (prefix <= width).then(|| Self::new(inside, prefix))
    }

    /// One address alone.
    pub(crate) fn single(address: IpAddr) -> Self {
        Self::new(address, width(address))
    }

    fn new(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(width(address));
        Self { first: masked(address, prefix), prefix }
    }

    /// Its first and its last address.
    pub(crate) fn ends(&self) -> (IpAddr, IpAddr) {
        let host = u32::from(width(self.first).saturating_sub(self.prefix));
        let last = match self.first {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::V4((u32::from(v4) | !mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::V6((u128::from(v6) | !mask).into())
            }
        };
        (self.first, last)
    }

    /// Its family.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether this is the network's own address: the one without host bits.
    pub(crate) fn is_first(&self, address: IpAddr) -> bool {
        self.first == address
    }

    /// Whether all of the other lies within this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.is_ipv4() == other.is_ipv4()
            && self.prefix <= other.prefix
            && masked(other.first, self.prefix) == self.first
    }

    /// Whether they share an address.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == width(self.first) {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Bits of an address of this family.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let host = u32::from(width(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        Net::parse(text).unwrap()
    }

    #[test]
    fn networks_are_read_strictly_and_shown_without_host_bits() {
        assert_eq!(net("10.1.2.3/16").to_string(), "10.1.0.0/16");
        assert_eq!(net("10.1.2.3").to_string(), "10.1.2.3");
        assert_eq!(net("::ffff:10.1.2.3/112").to_string(), "10.1.0.0/16");
        assert_eq!(net("::ffff:10.1.2.3").to_string(), "10.1.2.3");
        assert_eq!(net("fd00::7/0").to_string(), "::/0");
        let bad = ["", "/8", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/+8", "::/129", "x", "10.01.0.0"];
        for bad in bad {
            assert_eq!(Net::parse(bad), None, "{bad}");
        }
        assert_eq!(Net::parse("::ffff:10.1.0.0/95"), None);
    }

    #[test]
    fn ends_of_every_size() {
        for (text, first, last) in [
            ("10.1.0.0/16", "10.1.0.0", "10.1.255.255"),
            ("10.1.0.7", "10.1.0.7", "10.1.0.7"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("fd00::/127", "fd00::", "fd00::1"),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            let expected = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(net(text).ends(), expected, "{text}");
        }
    }

    #[test]
    fn covering_and_overlapping() {
        for (outer, inner, covers) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.1.0.0/16", "10.2.0.0/16", false),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("::/0", "fd00::1", true),
            ("::/0", "10.0.0.1", false),
            ("0.0.0.0/0", "::1", false),
        ] {
            assert_eq!(net(outer).covers(&net(inner)), covers, "{outer} {inner}");
        }
        assert!(net("10.1.0.0/16").overlaps(&net("10.0.0.0/8")));
        assert!(!net("10.1.0.0/16").overlaps(&net("10.2.0.0/16")));
    }
}
