//! IPv4 and UDP around a message: what goes through a packet socket, which hears and sends before
//! the link has an address.
//!
//! The checksum of UDP is written and not looked at: between two ends of a veth it is left to
//! hardware that is not there, and the link itself guards against damage.

use std::net::Ipv4Addr;

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
/// The server's port.
const SERVER: u16 = 67;
/// Ours.
const CLIENT: u16 = 68;

/// The message in a packet from us to a server.
pub(crate) fn wrap(from: Ipv4Addr, to: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let udp_length = u16::try_from(UDP_HEADER + message.len()).unwrap_or(u16::MAX);
    let length = udp_length.saturating_add(20);
    let mut udp = Vec::with_capacity(usize::from(udp_length));
    for number in [CLIENT, SERVER, udp_length, 0] {
        udp.extend(number.to_be_bytes());
    }
    udp.extend(message);
    let mut pseudo = Vec::with_capacity(12 + udp.len());
    pseudo.extend(from.octets());
    pseudo.extend(to.octets());
    pseudo.extend([0, UDP]);
    pseudo.extend(udp_length.to_be_bytes());
    pseudo.extend(&udp);
    // Zero would say that there is none.
    let sum = match checksum(&pseudo) {
        0 => u16::MAX,
        sum => sum,
    };
    put(&mut udp, 6, sum);
    let mut packet = vec![0x45, 0x10];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, UDP, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&packet);
    put(&mut packet, 10, sum);
    packet.extend(udp);
    packet
}

fn put(bytes: &mut [u8], at: usize, number: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// The message in a packet from a server to us; none in any other packet.
pub(crate) fn unwrap(packet: &[u8]) -> Option<&[u8]> {
    let header = packet.get(..IP_HEADER)?;
    let number =
        |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let first = *header.first()?;
    let header_length = usize::from(first & 0x0f) * 4;
    let fragment = number(header, 6)? & 0x3fff;
    if first >> 4 != 4 || header_length < IP_HEADER || fragment != 0 || header.get(9) != Some(&UDP)
    {
        return None;
    }
    // What is behind the packet is the link's padding.
    let udp = packet.get(header_length..usize::from(number(header, 2)?))?;
    let length = usize::from(number(udp, 4)?);
    if number(udp, 0)? != SERVER || number(udp, 2)? != CLIENT {
        return None;
    }
    udp.get(UDP_HEADER..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server would answer.
    fn turned(mut packet: Vec<u8>) -> Vec<u8> {
        packet[20..24].copy_from_slice(&[0, 67, 0, 68]);
        packet
    }

    #[test]
    fn headers_are_as_the_rfcs_have_them() {
        let packet = wrap(Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 1), b"abc");
        assert_eq!(packet.len(), 31);
        assert_eq!(checksum(&packet[..20]), 0, "a sum over a header with its sum is none");
        let mut pseudo = packet[12..20].to_vec();
        pseudo.extend([0, 17, 0, 11]);
        pseudo.extend(&packet[20..]);
        assert_eq!(checksum(&pseudo), 0);
        assert_eq!(&packet[20..24], &[0, 68, 0, 67]);
    }

    #[test]
    fn only_what_is_for_us_is_a_message() {
        let packet = wrap(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, b"abcd");
        assert_eq!(unwrap(&packet), None, "our own");
        let answer = turned(packet);
        assert_eq!(unwrap(&answer), Some(&b"abcd"[..]));
        let mut padded = answer.clone();
        padded.extend([0; 20]);
        assert_eq!(unwrap(&padded), Some(&b"abcd"[..]));
        for (at, to) in [(0, 0x65), (0, 0x44), (6, 0x20), (7, 1), (9, 6), (3, 24), (25, 40)] {
            let mut odd = answer.clone();
            odd[at] = to;
            assert_eq!(unwrap(&odd), None, "byte {at} is {to}");
        }
        for length in 0..answer.len() {
            assert_eq!(unwrap(&answer[..length]), None);
        }
    }

    #[test]
    fn options_of_ip_are_stepped_over() {
        let packet = turned(wrap(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, b"abcd"));
        let mut long = packet[..20].to_vec();
        long[0] = 0x46;
        long[3] += 4;
        long.extend([1; 4]);
        long.extend(&packet[20..]);
        assert_eq!(unwrap(&long), Some(&b"abcd"[..]));
    }
}
