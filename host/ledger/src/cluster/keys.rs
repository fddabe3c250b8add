//! The keys of a cluster's objects, and how a domain is cut into blocks. Pure.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::Owner;
use crate::book::Place;
use crate::point::{Point, Span};

/// All that books are made of is below this.
pub const BOOK: &str = "book/";
/// Ranges of networks: one object a domain.
pub(super) const DOMAINS: &str = "book/domain/";
/// Who holds what: one object a block.
pub const BLOCKS: &str = "book/block/";
/// What is remembered for an identity.
pub(super) const IDENTITIES: &str = "book/identity/";
/// Stores of plugins: one object each.
pub(super) const STORES: &str = "book/store/";
/// What nodes say of themselves.
pub const NODES: &str = "node/";
/// Which machine has a node's name: two must not.
pub(super) const MACHINES: &str = "machine/";
/// Nodes whose agent lives: bound to its lease.
pub const ALIVE: &str = "alive/";

/// The segment across nodes of a network.
pub(super) const OVERLAYS: &str = "overlay/network/";
/// The secrets of which keys of encrypted segments follow.
pub(super) const SECRETS: &str = "overlay/keys";
/// How nodes are spoken with, encrypted.
pub(super) const TUNNELS: &str = "overlay/node/";
/// The network of a segment's number.
pub(super) const VNIS: &str = "overlay/vni/";

/// A name as a part of a key: what is not a letter, a digit, `.`, `_` or `-` as `%XX`.
pub fn part(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // To a string nothing can fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Reads [`part`] back; none where it is no such part.
pub fn name(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// What is known of a network's segment across nodes.
pub(super) fn overlay(network: &str) -> String {
    format!("{OVERLAYS}{}", part(network))
}

/// How a node is spoken with, encrypted.
pub(super) fn tunnel(node: &str) -> String {
    format!("{TUNNELS}{}", part(node))
}

/// Reads [`overlay`] back.
pub(super) fn of_overlay(key: &str) -> Option<String> {
    name(key.strip_prefix(OVERLAYS)?)
}

/// Whose a segment's number is.
pub(super) fn vni(vni: u32) -> String {
    format!("{VNIS}{vni}")
}

/// Which machine has a node's name.
pub(super) fn machine(node: &str) -> String {
    format!("{MACHINES}{}", part(node))
}

/// What a node's agent says of it.
pub fn node(node: &str) -> String {
    format!("{NODES}{}", part(node))
}

pub(super) fn domain(domain: &str) -> String {
    format!("{DOMAINS}{}", part(domain))
}

/// Below which the blocks of a domain are.
pub(super) fn blocks(domain: &str) -> String {
    format!("{BLOCKS}{}/", part(domain))
}

/// The block that begins with this address.
pub(super) fn block(domain: &str, first: Point) -> String {
    let number = match first.ip() {
        IpAddr::V4(v4) => format!("4{:08x}", v4.to_bits()),
        IpAddr::V6(v6) => format!("6{:032x}", v6.to_bits()),
    };
    format!("{}{number}", blocks(domain))
}

/// Reads [`block`] back.
pub(super) fn of_block(key: &str) -> Option<(String, Point)> {
    let (domain, number) = key.strip_prefix(BLOCKS)?.split_once('/')?;
    let bits = |digits: &str| u128::from_str_radix(digits, 16).ok();
    let address = match number.split_at_checked(1)? {
        ("4", digits) => IpAddr::V4(u32::try_from(bits(digits)?).ok()?.into()),
        ("6", digits) => IpAddr::V6(bits(digits)?.into()),
        _ => return None,
    };
    Some((name(domain)?, Point::from(address)))
}

pub(super) fn identity(place: Place<'_>, identity: &str) -> String {
    let Place { domain, network } = place;
    format!("{IDENTITIES}{}/{}/{}", part(domain), part(network), part(identity))
}

/// Reads [`identity`] back: domain, network, name.
pub(super) fn of_identity(key: &str) -> Option<[String; 3]> {
    let mut parts = key.strip_prefix(IDENTITIES)?.split('/').map(name);
    Some([parts.next()??, parts.next()??, parts.next()??])
}

pub(super) fn store(owner: &Owner) -> String {
    format!("{STORES}{}", part(owner.as_str()))
}

/// The block of 2^`bits` addresses that has this one.
pub(super) fn around(point: Point, bits: u32) -> Span {
    let mask = 1_u128.checked_shl(bits).map_or(u128::MAX, |size| size.saturating_sub(1));
    match point.ip() {
        IpAddr::V4(v4) => {
            let mask = u32::try_from(mask).unwrap_or(u32::MAX);
            let (first, last) = (v4.to_bits() & !mask, v4.to_bits() | mask);
            span(IpAddr::V4(first.into()), IpAddr::V4(last.into()))
        }
        IpAddr::V6(v6) => {
            let (first, last) = (v6.to_bits() & !mask, v6.to_bits() | mask);
            span(IpAddr::V6(first.into()), IpAddr::V6(last.into()))
        }
    }
}

/// The address before one block of the ranges, which the node's name chooses; none: the first.
pub(super) fn spread(ranges: &[Span], bits: u32, node: &str) -> Option<Point> {
    let number = |point: Point| match point.ip() {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let blocks = |range: &Span| {
        let block = |point| number(around(point, bits).first).checked_shr(bits).unwrap_or(0);
        block(range.last).saturating_sub(block(range.first)).saturating_add(1)
    };
    let all = ranges.iter().map(blocks).fold(0, u128::saturating_add);
    let mut chosen = hash(node).checked_rem(all)?;
    for range in ranges {
        let Some(after) = chosen.checked_sub(blocks(range)) else {
            let from = number(around(range.first, bits).first);
            let at = chosen.checked_shl(bits).and_then(|offset| from.checked_add(offset))?;
            let first = match range.first.ip() {
                IpAddr::V4(_) => IpAddr::V4(u32::try_from(at).ok()?.into()),
                IpAddr::V6(_) => IpAddr::V6(at.into()),
            };
            return Point::from(first).previous().filter(|point| range.contains(*point));
        };
        chosen = after;
    }
    None
}

/// FNV-1a: the same for a name, everywhere and ever.
fn hash(name: &str) -> u128 {
    let step = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    u128::from(name.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

fn span(first: IpAddr, last: IpAddr) -> Span {
    Span { first: first.into(), last: last.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(text: &str) -> Point {
        Point::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn keys_read_back_and_have_no_strange_bytes() {
        for (name_of, address) in [("bridge:cni0", "10.0.0.64"), ("a/b é%", "fd00::40")] {
            let key = block(name_of, point(address));
            assert!(
                key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%/".contains(&byte))
            );
            assert_eq!(of_block(&key), Some((name_of.to_owned(), point(address))));
            let place = Place { domain: name_of, network: "pods" };
            let parts = of_identity(&identity(place, "web/0")).unwrap();
            assert_eq!(parts, [name_of, "pods", "web/0"]);
        }
        for wrong in ["book/block/a/5", "book/block/a", "book/block/%zz/40a000040", "x"] {
            assert_eq!(of_block(wrong), None);
        }
    }

    #[test]
    fn nodes_begin_at_different_blocks_of_the_ranges() {
        let ranges = [("10.0.0.10", "10.0.1.200"), ("fd00::", "fd00::ffff:ffff:ffff:ffff")];
        let ranges = ranges.map(|(first, last)| span(point(first).ip(), point(last).ip()));
        let begins: std::collections::BTreeSet<_> =
            (0..64).map(|node| spread(&ranges[..1], 6, &format!("n{node}"))).collect();
        assert_eq!(begins.len(), 8, "{begins:?}");
        assert!(begins.contains(&None) && begins.contains(&Some(point("10.0.1.63"))));
        let wide: std::collections::BTreeSet<_> =
            (0..64).map(|node| spread(&ranges[1..], 6, &format!("n{node}"))).collect();
        assert_eq!(wide.len(), 64);
        assert_eq!(spread(&[], 6, "n1"), None);
    }

    #[test]
    fn blocks_are_aligned_and_end_where_the_family_ends() {
        assert_eq!(around(point("10.0.0.77"), 6).text(), "10.0.0.64-10.0.0.127");
        assert_eq!(around(point("255.255.255.255"), 32).text(), "0.0.0.0-255.255.255.255");
        assert_eq!(around(point("fd00::77"), 4).text(), "fd00::70-fd00::7f");
        assert_eq!(around(point("fd00::77"), 0).text(), "fd00::77-fd00::77");
    }
}
