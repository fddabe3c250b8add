//! Names that follow from the attachment's id alone, so that a DEL without any record finds
//! what an ADD made: the host's link, its alias, the link-layer addresses.

use std::net::IpAddr;

use ipnet::IpNet;
use sha2::{Digest, Sha256};
use wharfinger_cni::AttachmentId;
use wharfinger_plan::Mac;

/// An alias has at most this many bytes (the kernel's IFALIASZ is 256, with the zero at the end).
const ALIAS_MAX: usize = 255;

/// A key that is longer is replaced by its digest: it has to fit into an alias together with
/// the domain, and into the user data of an nftables element.
const KEY_MAX: usize = 180;

/// What an alias tells of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Whose the link is.
    pub id: AttachmentId,
    /// The address space of the addresses; the host's where the alias has none.
    pub domain: String,
    /// As many as the alias had room for.
    pub addresses: Vec<IpNet>,
}

/// The attachment's key as the kernel carries it, one word: `NETWORK/CONTAINER/IFNAME`, or
/// `sha256:` and its digest where that is longer than 180 bytes.
pub fn key(id: &AttachmentId) -> String {
    let key = id.to_string();
    if key.len() <= KEY_MAX { key } else { format!("sha256:{}", hex(&digest(id))) }
}

/// The name of the host's end: `veth` and eight hexadecimal digits.
pub fn host_link_name(id: &AttachmentId) -> String {
    format!("veth{}", hex(&octets::<4>(id, 0)))
}

/// The name of a bridge's port whose other end has this name.
pub(crate) fn port_name(end: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(end).into();
    format!("vgw{}", hex(digest.get(..5).unwrap_or_default()))
}

/// The name of the host's own station on the segment of a link: the link's name is in it where it
/// fits.
pub(crate) fn station_name(master: &str) -> String {
    const NAME_MAX: usize = 15;
    let name = format!("wh-{master}");
    if name.len() <= NAME_MAX {
        return name;
    }
    let digest: [u8; 32] = Sha256::digest(master).into();
    format!("wh-{}", hex(digest.get(..6).unwrap_or_default()))
}

/// The link-layer address of the host's end.
pub(crate) fn host_mac(id: &AttachmentId) -> Mac {
    local(octets(id, 4))
}

/// The link-layer address of the container's end, where none is asked for.
pub(crate) fn container_mac(id: &AttachmentId) -> Mac {
    local(octets(id, 10))
}

/// The link-layer address of a station on a segment across nodes: it follows from the station's
/// address, so that what other nodes know of that stays true whoever has it.
pub(crate) fn address_mac(address: IpAddr) -> Mac {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            Mac([0x0a, 0x58, a, b, c, d])
        }
        IpAddr::V6(address) => {
            let digest: [u8; 32] = Sha256::digest(address.octets()).into();
            local(std::array::from_fn(|index| digest.get(index).copied().unwrap_or_default()))
        }
    }
}

/// The link-layer address of the hosts on a segment across nodes: the same on all.
pub(crate) fn segment_mac(vni: u32) -> Mac {
    let [_, a, b, c] = vni.to_be_bytes();
    Mac([0x02, b'w', b'h', a, b, c])
}

/// The link-layer address of the link that packets are redirected to.
pub(crate) fn redirection_mac(id: &AttachmentId) -> Mac {
    local(octets(id, 16))
}

/// Locally administered, of one station (IEEE 802, clause 8.2).
fn local(mut octets: [u8; 6]) -> Mac {
    let [first, ..] = &mut octets;
    *first = (*first & 0xfc) | 0x02;
    Mac(octets)
}

/// Some of the digest's octets.
fn octets<const N: usize>(id: &AttachmentId, from: usize) -> [u8; N] {
    let digest = digest(id);
    std::array::from_fn(|index| digest.get(from + index).copied().unwrap_or_default())
}

/// A name for what is the same wherever this text is the same: 32 hexadecimal digits.
pub(crate) fn short_digest(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    hex(digest.get(..16).unwrap_or_default())
}

/// No part of an id contains a slash, so no two ids have one digest but by chance.
fn digest(id: &AttachmentId) -> [u8; 32] {
    Sha256::digest(id.to_string()).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// The alias of the host's end: the key, the domain, then the addresses with their prefix
/// lengths, as many as fit. A ledger that was lost is rebuilt from it. Whose a link is, its first
/// word tells alone.
pub fn alias(id: &AttachmentId, domain: &str, addresses: &[IpNet]) -> String {
    let mut alias = key(id);
    let addresses = addresses.iter().map(IpNet::to_string);
    for word in std::iter::once(domain.to_owned()).chain(addresses) {
        if alias.len() + 1 + word.len() > ALIAS_MAX {
            break;
        }
        alias.push(' ');
        alias.push_str(&word);
    }
    alias
}

/// What an alias tells; `None` for one that is not ours, and for one that has the digest of a long
/// key only.
pub fn parse_alias(alias: &str) -> Option<Alias> {
    let mut words = alias.split(' ');
    let id = parse_key(words.next()?)?;
    let domain = words.next().unwrap_or("host").to_owned();
    let addresses = words.map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(Alias { id, domain, addresses })
}

/// The id that a key has; `None` for what is no key, or the digest of one.
pub fn parse_key(word: &str) -> Option<AttachmentId> {
    let mut parts = word.split('/').map(str::to_owned);
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let id = AttachmentId { network: part()?, container: part()?, ifname: part()? };
    parts.next().is_none().then_some(id)
}
