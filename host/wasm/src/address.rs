//! Addresses as plugins write them. Any form that RFC 4291 allows, but no zones, no leading
//! zeros in IPv4 and no IPv4 inside IPv6: each address has one meaning.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::AddressRange;
use crate::answer::shown;

/// Reads an address.
pub(crate) fn parse(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr =
        text.parse().map_err(|_| format!("{} is not an IP address", shown(text)))?;
    let inside = match address {
        IpAddr::V6(v6) => text.contains('.') || v6.to_ipv4_mapped().is_some(),
        IpAddr::V4(_) => false,
    };
    if inside {
        return Err(format!("{} is an IPv4 address inside an IPv6 one", shown(text)));
    }
    Ok(address)
}

/// Reads an address with its prefix length.
pub(crate) fn parse_interface(text: &str) -> Result<IpNet, String> {
    let bad = || format!("{} is not an address with a prefix length", shown(text));
    let (address, length) = text.split_once('/').ok_or_else(bad)?;
    let address = parse(address)?;
    // "+24" and "024" are numbers to Rust, and no prefix lengths.
    if length.len() > 1 && !length.starts_with(|c: char| ('1'..='9').contains(&c)) {
        return Err(bad());
    }
    let length = length.parse().map_err(|_| bad())?;
    IpNet::new(address, length).map_err(|_| bad())
}

/// Reads a network: host bits are zero.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, String> {
    let net = parse_interface(text)?;
    if net == net.trunc() {
        return Ok(net);
    }
    Err(format!("{net} has host bits: the network is {}", net.trunc()))
}

/// Reads a range: one family, first not above last.
pub(crate) fn parse_range(first: &str, last: &str) -> Result<AddressRange, String> {
    let (first, last) = (parse(first)?, parse(last)?);
    if first.is_ipv4() != last.is_ipv4() {
        return Err(format!("a range from {first} to {last} mixes families"));
    }
    if first > last {
        return Err(format!("a range from {first} to {last} is upside down"));
    }
    Ok((first, last))
}

/// Why a container can never have this address; none if it can.
pub(crate) fn unfit(address: IpAddr) -> Option<&'static str> {
    match address {
        a if a.is_unspecified() => Some("is the unspecified address"),
        a if a.is_loopback() => Some("is a loopback address"),
        a if a.is_multicast() => Some("is a multicast address"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("is the broadcast address"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_but_the_doubtful_ones() {
        for good in ["10.1.0.7", "fd00::7", "FD00:0:0::0007", "::102:304"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "10.1.0.07",
            "010.1.0.7",
            "10.1.0",
            "fe80::1%eth0",
            "::ffff:10.1.0.7",
            "::10.1.0.7",
            "::ffff:a01:7",
            " 10.1.0.7",
            "10.1.0.7\n",
            "10.1.0.7/24",
            "[fd00::7]",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefix_lengths_have_one_form_and_fit_their_family() {
        for good in ["10.1.0.7/0", "10.1.0.7/32", "fd00::7/128"] {
            assert!(parse_interface(good).is_ok(), "{good}");
        }
        for bad in [
            "10.1.0.7",
            "10.1.0.7/",
            "10.1.0.7/33",
            "10.1.0.7/+24",
            "10.1.0.7/024",
            "10.1.0.7/-1",
            "fd00::7/129",
            "10.1.0.7/24/24",
            "10.1.0.7/00",
        ] {
            assert!(parse_interface(bad).is_err(), "{bad:?}");
        }
        assert!(parse_network("10.1.0.0/16").is_ok());
        assert!(parse_network("10.1.0.7/16").unwrap_err().contains("10.1.0.0/16"));
    }

    #[test]
    fn ranges_are_of_one_family_and_upright() {
        assert!(parse_range("10.1.0.7", "10.1.0.7").is_ok());
        assert!(parse_range("10.1.0.8", "10.1.0.7").is_err());
        assert!(parse_range("10.1.0.8", "fd00::").is_err());
    }
}
