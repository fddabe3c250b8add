//! What the kernel remembers of who spoke to a port of UDP: it would go on sending their packets
//! to where they went before the port was mapped, or to the container that has gone.

use std::net::IpAddr;

use wharfinger_plan::{HostPort, PortMap, Protocol};

use crate::nft::attrs::Attrs;
use crate::socket::{Attributes, CHANGE, Refusal, Socket};

/// IPCTNL_MSG_CT_GET, IPCTNL_MSG_CT_DELETE; NFNL_SUBSYS_CTNETLINK.
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;
/// CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_FILTER.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const FILTER: u16 = 25;
/// CTA_FILTER_FLAG for the protocol and the destination's port.
const BY_PROTOCOL_AND_PORT: u32 = 1 << 3 | 1 << 5;
const UDP: u8 = 17;
const HEADER: usize = 4;

/// What the kernel remembers of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// As it is written in a message.
    tuple: Vec<u8>,
    to: IpAddr,
    port: u16,
    protocol: u8,
    answered_by: IpAddr,
}

/// Whether anything may have to be forgotten.
pub(crate) fn has_udp(map: &PortMap) -> bool {
    map.ports.iter().any(|port| port.protocol == Protocol::Udp)
}

/// Has the kernel forget who spoke to these ports of the host, `local` being the host's
/// addresses: of a port that is mapped now, whoever is answered by somebody else; of one that is
/// mapped no more, whoever is answered by the container. What others speak about with the same
/// port of another host stays.
pub(crate) fn forget(
    socket: &mut Socket,
    map: &PortMap,
    local: &[IpAddr],
    mapped: bool,
) -> Result<(), Refusal> {
    for port in map.ports.iter().filter(|port| port.protocol == Protocol::Udp) {
        for known in known(socket, port)? {
            if !concerns(&known, port, local, mapped) {
                continue;
            }
            let done = socket.change(DELETE, CHANGE, |bytes| {
                bytes.extend(header(port.to));
                Attrs(bytes).bytes(ORIGINAL | 0x8000, &known.tuple);
            });
            match done {
                Err(Refusal { errno: libc::ENOENT, .. }) => {}
                done => done?,
            }
        }
    }
    Ok(())
}

fn concerns(known: &Known, port: &HostPort, local: &[IpAddr], mapped: bool) -> bool {
    let is_port = known.protocol == UDP && known.port == port.port;
    let is_address = match port.host {
        Some(host) => known.to == host,
        None => known.to.is_loopback() || local.contains(&known.to),
    };
    let by_container = known.answered_by == port.to;
    is_port && is_address && by_container != mapped
}

/// What is remembered of a port, of any address. Older kernels tell of all.
fn known(socket: &mut Socket, port: &HostPort) -> Result<Vec<Known>, Refusal> {
    let wanted = port.port;
    let ask = |filtered: bool| {
        move |bytes: &mut Vec<u8>| {
            bytes.extend(header(port.to));
            if filtered {
                filter(&mut Attrs(bytes), wanted);
            }
        }
    };
    let read = |payload: &[u8]| read(payload).filter(|known| known.port == wanted);
    match socket.dump(GET, ask(true), read) {
        Err(Refusal { errno: libc::EOPNOTSUPP | libc::EINVAL, .. }) => {
            socket.dump(GET, ask(false), read)
        }
        done => done,
    }
}

fn filter(attrs: &mut Attrs<'_>, port: u16) {
    attrs.nest(ORIGINAL, |tuple| {
        tuple.nest(2, |proto| {
            proto.bytes(1, &[UDP]);
            proto.bytes(3, &port.to_be_bytes());
        });
    });
    attrs.nest(FILTER, |filter| {
        filter.bytes(1, &BY_PROTOCOL_AND_PORT.to_ne_bytes());
        filter.bytes(2, &0_u32.to_ne_bytes());
    });
}

fn header(address: IpAddr) -> [u8; HEADER] {
    [crate::address::family(address), 0, 0, 0]
}

fn read(payload: &[u8]) -> Option<Known> {
    let attributes = payload.get(HEADER..)?;
    let tuple = attribute(attributes, ORIGINAL)?;
    let proto = attribute(tuple, 2)?;
    let port = *attribute(proto, 3)?.first_chunk()?;
    Some(Known {
        to: address(tuple, 2, 4)?,
        port: u16::from_be_bytes(port),
        protocol: *attribute(proto, 1)?.first()?,
        answered_by: address(attribute(attributes, REPLY)?, 1, 3)?,
        tuple: tuple.to_vec(),
    })
}

/// The address of a tuple, under the kind of IPv4 or that of IPv6.
fn address(tuple: &[u8], v4: u16, v6: u16) -> Option<IpAddr> {
    let ip = attribute(tuple, 1)?;
    let v4 = attribute(ip, v4).and_then(|octets| octets.first_chunk::<4>());
    let v6 = || attribute(ip, v6).and_then(|octets| octets.first_chunk::<16>());
    v4.map(|octets| IpAddr::from(*octets)).or_else(|| v6().map(|octets| IpAddr::from(*octets)))
}

fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    const KIND: u16 = 0x3fff;
    Attributes(bytes).find(|(kind, _)| kind & KIND == wanted).map(|(_, content)| content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_answered_by_the_wrong_one_is_forgotten() {
        let host: IpAddr = "192.0.2.1".parse().unwrap();
        let container: IpAddr = "10.1.0.5".parse().unwrap();
        let port =
            HostPort { protocol: Protocol::Udp, host: None, port: 53, to: container, to_port: 53 };
        let known = |to: &str, answered_by: IpAddr| Known {
            tuple: Vec::new(),
            to: to.parse().unwrap(),
            port: 53,
            protocol: UDP,
            answered_by,
        };
        let concerned = |known: &Known, mapped| concerns(known, &port, &[host], mapped);
        let by_host = known("192.0.2.1", host);
        assert!(concerned(&by_host, true) && !concerned(&by_host, false));
        let by_container = known("192.0.2.1", container);
        assert!(!concerned(&by_container, true) && concerned(&by_container, false));
        assert!(!concerned(&known("8.8.8.8", "8.8.8.8".parse().unwrap()), true));
        assert!(!concerned(&Known { port: 54, ..by_host.clone() }, true));
        assert!(!concerned(&Known { protocol: 6, ..by_host.clone() }, true));
        let one = HostPort { host: Some("192.0.2.9".parse().unwrap()), ..port.clone() };
        assert!(!concerns(&by_host, &one, &[host], true));
    }
}
