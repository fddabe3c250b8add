//! Addresses of links by netlink.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use netlink_bindings::rt_addr::{
    AddrAttrs, Ifaddrmsg, OpDeladdrDo, OpGetaddrDump, OpNewaddrDo, PushAddrAttrs,
};
use netlink_bindings::utils::Pusher;
use wharfinger_plan::Address;

use crate::socket::{CHANGE, MAKE, Refusal, Socket};

const NODAD: u32 = libc::IFA_F_NODAD;
const NOPREFIXROUTE: u32 = 0x200;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_HOST: u8 = 254;

/// An address that the kernel tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) index: u32,
    pub(crate) address: IpNet,
    /// The kernel made the route to its network.
    pub(crate) prefix_route: bool,
}

/// The addresses of a link, or of all links.
pub(crate) fn all(socket: &mut Socket, index: Option<u32>) -> Result<Vec<Found>, Refusal> {
    let header = Ifaddrmsg { ifa_index: index.unwrap_or(0), ..Ifaddrmsg::default() };
    let write = |bytes: &mut Vec<u8>| drop(OpGetaddrDump::encode_request(bytes, &header));
    let wanted = |found: &Found| index.is_none_or(|index| found.index == index);
    match socket.dump(libc::RTM_GETADDR, write, |payload| read(payload).filter(wanted)) {
        Err(refusal) if refusal.errno == libc::ENODEV => Ok(Vec::new()),
        done => done,
    }
}

/// Adds an address to the link with this index.
pub(crate) fn add(socket: &mut Socket, index: u32, wanted: &Address) -> Result<(), Refusal> {
    let flags =
        if wanted.nodad { NODAD } else { 0 } | if wanted.prefix_route { 0 } else { NOPREFIXROUTE };
    socket.change(libc::RTM_NEWADDR, MAKE, |bytes| {
        let request = OpNewaddrDo::encode_request(bytes, &header(index, wanted.address));
        let mut request = both(request, wanted.address.addr()).push_flags(flags);
        if let Some(broadcast) = broadcast(wanted.address) {
            request = request.push_broadcast(broadcast);
        }
        drop(request);
    })
}

/// Removes an address; one that is gone, on a link that is gone, is fine.
pub(crate) fn remove(socket: &mut Socket, index: u32, address: IpNet) -> Result<(), Refusal> {
    let done = socket.change(libc::RTM_DELADDR, CHANGE, |bytes| {
        both(OpDeladdrDo::encode_request(bytes, &header(index, address)), address.addr());
    });
    match done {
        Err(Refusal { errno: libc::EADDRNOTAVAIL | libc::ENODEV, .. }) => Ok(()),
        done => done,
    }
}

/// Whether `other` counts as another address beside `wanted`: any of IPv4, an overlapping one
/// of IPv6 that is not the link's own.
pub(crate) fn is_other(other: IpNet, wanted: IpNet) -> bool {
    match (other, wanted) {
        (IpNet::V4(other), IpNet::V4(wanted)) => other != wanted,
        (IpNet::V6(other), IpNet::V6(wanted)) => {
            let overlaps = other.contains(&wanted.network()) || wanted.contains(&other.network());
            let is_own = other.addr().is_unicast_link_local();
            other != wanted && overlaps && !is_own
        }
        _ => false,
    }
}

fn header(index: u32, address: IpNet) -> Ifaddrmsg {
    Ifaddrmsg {
        ifa_family: family(address.addr()),
        ifa_prefixlen: address.prefix_len(),
        ifa_scope: if address.addr().is_loopback() { SCOPE_HOST } else { SCOPE_UNIVERSE },
        ifa_index: index,
        ..Ifaddrmsg::default()
    }
}

/// The address as both the local and the other end's: it has no other end.
fn both<P: Pusher>(request: PushAddrAttrs<P>, address: IpAddr) -> PushAddrAttrs<P> {
    request.push_local(address).push_address(address)
}

/// As ip(8) and the reference set it: none where the network has no room for it.
fn broadcast(address: IpNet) -> Option<Ipv4Addr> {
    match address {
        IpNet::V4(network) if network.prefix_len() < 31 => Some(Ipv4Net::broadcast(&network)),
        _ => None,
    }
}

/// The kernel's number of an address's family.
pub(crate) fn family(address: IpAddr) -> u8 {
    const INET: u8 = 2;
    const INET6: u8 = 10;
    if address.is_ipv4() { INET } else { INET6 }
}

fn read(payload: &[u8]) -> Option<Found> {
    let (header, attributes) = OpNewaddrDo::decode_request(payload);
    let (mut local, mut address, mut flags) = (None, None, u32::from(header.ifa_flags));
    for attribute in attributes.map_while(Result::ok) {
        match attribute {
            AddrAttrs::Local(found) => local = Some(found),
            AddrAttrs::Address(found) => address = Some(found),
            AddrAttrs::Flags(found) => flags = found,
            _ => {}
        }
    }
    let address = IpNet::new(local.or(address)?, header.ifa_prefixlen).ok()?;
    let prefix_route = flags & NOPREFIXROUTE == 0;
    Some(Found { index: header.ifa_index, address, prefix_route })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_addresses_are_others() {
        let other = |a: &str, b: &str| is_other(a.parse().unwrap(), b.parse().unwrap());
        assert!(other("10.0.0.1/24", "10.1.0.1/24"));
        assert!(other("10.1.0.1/16", "10.1.0.1/24"));
        assert!(!other("10.1.0.1/24", "10.1.0.1/24"));
        assert!(!other("10.1.0.1/24", "fd00::1/64"));
        assert!(other("fd00::2/64", "fd00::1/64"));
        assert!(other("fd00::1/48", "fd00::1/64"));
        assert!(!other("fd00:0:0:1::1/64", "fd00::1/64"));
        assert!(!other("fe80::1/64", "fe80::2/64"));
    }

    #[test]
    fn broadcast_is_set_where_there_is_room() {
        assert_eq!(broadcast("10.1.0.5/16".parse().unwrap()), Some([10, 1, 255, 255].into()));
        assert_eq!(broadcast("10.1.0.5/31".parse().unwrap()), None);
        assert_eq!(broadcast("fd00::1/64".parse().unwrap()), None);
    }
}
