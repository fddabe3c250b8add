//! Who has an address: asked before it is put on, and told afterwards.
//!
//! Questions come from nobody's address (RFC 5227 for ARP, RFC 4862 for IPv6), so that they change
//! no neighbour's cache. All waiting is bounded. It must never be asked of a link on which the
//! address is already. Start reading at [`Segment`]; frames are in `Frame`'s functions.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use wharfinger_plan::Mac;

/// How often an address is asked for, and how long each time an answer may take: a segment
/// answers within some milliseconds, and a frame may be lost.
const ROUNDS: u32 = 2;
const ROUND: Duration = Duration::from_millis(100);
/// A gateway may have to be woken.
const GATEWAY_ROUNDS: u32 = 10;

const ETH_ARP: u16 = 0x0806;
const ETH_IPV6: u16 = 0x86dd;
const ETHERNET: usize = 14;
const BROADCAST: Mac = Mac([0xff; 6]);
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const ICMPV6: u8 = 58;
const OVERRIDE: u8 = 0x20;

/// The segment of one link, in the namespace of the thread that opens it.
pub(crate) struct Segment {
    arp: OwnedFd,
    ipv6: OwnedFd,
    own: Mac,
}

/// Who answered for which address.
pub(crate) type Answers = BTreeMap<IpAddr, Mac>;

impl Segment {
    /// Of the link with this index and address.
    pub(crate) fn open(index: u32, own: Mac) -> io::Result<Self> {
        Ok(Self { arp: open(index, ETH_ARP)?, ipv6: open(index, ETH_IPV6)?, own })
    }

    /// Who has these addresses. The first answer ends the wait.
    pub(crate) fn holders(&self, addresses: &[IpAddr]) -> io::Result<Answers> {
        self.ask(addresses, ROUNDS, |answers| !answers.is_empty())
    }

    /// Who has these addresses, of which each is to be somebody's.
    pub(crate) fn gateways(&self, addresses: &[IpAddr]) -> io::Result<Answers> {
        self.ask(addresses, GATEWAY_ROUNDS, |answers| answers.len() == addresses.len())
    }

    /// Tells that these addresses are here.
    pub(crate) fn announce(&self, addresses: &[IpAddr]) -> io::Result<()> {
        for address in addresses {
            match address {
                IpAddr::V4(address) => send(&self.arp, &arp(self.own, *address, *address))?,
                IpAddr::V6(address) => send(&self.ipv6, &advertisement(self.own, *address))?,
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        addresses: &[IpAddr],
        rounds: u32,
        enough: impl Fn(&Answers) -> bool,
    ) -> io::Result<Answers> {
        let mut answers = Answers::new();
        for _ in 0..rounds {
            for address in addresses.iter().filter(|it| !answers.contains_key(*it)) {
                match address {
                    IpAddr::V4(wanted) => {
                        send(&self.arp, &arp(self.own, Ipv4Addr::UNSPECIFIED, *wanted))?;
                    }
                    IpAddr::V6(wanted) => send(&self.ipv6, &solicitation(self.own, *wanted))?,
                }
            }
            let until = Instant::now() + ROUND;
            while !enough(&answers) && self.wait(until)? {
                for socket in [&self.arp, &self.ipv6] {
                    while let Some(frame) = receive(socket)? {
                        let told = told(&frame).filter(|(_, mac)| *mac != self.own);
                        answers.extend(told.filter(|(ip, _)| addresses.contains(ip)));
                    }
                }
            }
            if enough(&answers) {
                break;
            }
        }
        Ok(answers)
    }

    /// Waits for a frame; false where none came in time.
    fn wait(&self, until: Instant) -> io::Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let one =
            |fd: &OwnedFd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut both = [one(&self.arp), one(&self.ipv6)];
        let milliseconds = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
        // SAFETY: both is an array of two that lives through the call.
        let ready = unsafe { libc::poll(both.as_mut_ptr(), 2, milliseconds) };
        match ready {
            0 => Ok(false),
            1.. => Ok(true),
            _ => interrupted().map(|()| true),
        }
    }
}

/// The last call's error, unless a signal came in between.
fn interrupted() -> io::Result<()> {
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) }
}

/// A socket for frames of one protocol on one link.
fn open(index: u32, protocol: u16) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes no pointers; its result is checked before it is used. Protocol 0:
    // nothing is received before it is bound.
    let fd = unsafe { libc::socket(libc::AF_PACKET, flags, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fd is a descriptor that was just opened, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: sockaddr_ll is plain data, for which all zeroes are valid.
    let mut link: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    link.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    link.sll_protocol = protocol.to_be();
    link.sll_ifindex = index.cast_signed();
    let length = libc::socklen_t::try_from(size_of_val(&link)).unwrap_or(0);
    // SAFETY: link is readable for the length given with it.
    let done = unsafe { libc::bind(fd.as_raw_fd(), (&raw const link).cast(), length) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    hear_all_groups(&fd, index);
    Ok(fd)
}

/// Answers to a question of nobody's go to a group that the link may not have joined yet.
fn hear_all_groups(fd: &OwnedFd, index: u32) {
    const PACKET_ADD_MEMBERSHIP: i32 = 1;
    const PACKET_MR_ALLMULTI: u16 = 2;
    let request = libc::packet_mreq {
        mr_ifindex: index.cast_signed(),
        mr_type: PACKET_MR_ALLMULTI,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&request)).unwrap_or(0);
    // SAFETY: request is readable for the length given with it. A link that does not know groups
    // refuses, and hears everything.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            length,
        )
    };
}

fn send(fd: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one live slice.
    let sent = unsafe { libc::send(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    if sent >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // A full queue loses a frame, as any segment may.
        Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => Ok(()),
        _ => Err(error),
    }
}

/// The next frame that came in; `None` where there is none.
fn receive(fd: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
    let mut frame = vec![0_u8; 256];
    // SAFETY: frame is writable for its whole length.
    let length = unsafe { libc::recv(fd.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
    match usize::try_from(length) {
        Ok(length) => {
            frame.truncate(length);
            Ok(Some(frame))
        }
        Err(_) => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            // The link went down: nobody is heard any more.
            error if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
            error => Err(error),
        },
    }
}

/// Which address a frame says to be whose: an ARP packet's sender, or what it asks for on
/// nobody's behalf; the target of an advertisement, or of somebody else's question before use.
fn told(frame: &[u8]) -> Option<(IpAddr, Mac)> {
    let sender = Mac(frame.get(6..12)?.try_into().ok()?);
    let protocol = u16::from_be_bytes(frame.get(12..ETHERNET)?.try_into().ok()?);
    let body = frame.get(ETHERNET..)?;
    match protocol {
        ETH_ARP => told_by_arp(body),
        ETH_IPV6 => told_by_icmp(body, sender),
        _ => None,
    }
}

fn told_by_arp(body: &[u8]) -> Option<(IpAddr, Mac)> {
    const OF_IPV4_ON_ETHERNET: [u8; 6] = [0, 1, 8, 0, 6, 4];
    if body.get(..6)? != OF_IPV4_ON_ETHERNET {
        return None;
    }
    let mac = Mac(body.get(8..14)?.try_into().ok()?);
    let at = |from: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = body.get(from..from + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let (sender, target) = (at(14)?, at(24)?);
    let address = if sender.is_unspecified() { target } else { sender };
    Some((address.into(), mac))
}

fn told_by_icmp(body: &[u8], sender: Mac) -> Option<(IpAddr, Mac)> {
    const HEADER: usize = 40;
    let at = |from: usize| -> Option<Ipv6Addr> {
        let octets: [u8; 16] = body.get(from..from + 16)?.try_into().ok()?;
        Some(octets.into())
    };
    let is_icmp = *body.get(6)? == ICMPV6 && *body.get(7)? == u8::MAX;
    let kind = *body.get(HEADER).filter(|_| is_icmp)?;
    let target = at(HEADER + 8)?;
    let tells = kind == NEIGHBOUR_ADVERTISEMENT
        || (kind == NEIGHBOUR_SOLICITATION && at(8)?.is_unspecified());
    tells.then_some((target.into(), sender))
}

fn ethernet(to: Mac, from: Mac, protocol: u16) -> Vec<u8> {
    [&to.0[..], &from.0[..], &protocol.to_be_bytes()[..]].concat()
}

/// A question of `sender`'s for `target`: a probe where the sender is nobody, an announcement
/// where it is the target.
fn arp(own: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(BROADCAST, own, ETH_ARP);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(own.0);
    frame.extend(sender.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// A question before use: from nobody, to those whose address ends alike.
fn solicitation(own: Mac, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group =
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let message = neighbour(NEIGHBOUR_SOLICITATION, 0, target, &[]);
    icmp(own, Ipv6Addr::UNSPECIFIED, group, message)
}

/// Told to all.
fn advertisement(own: Mac, address: Ipv6Addr) -> Vec<u8> {
    const TARGET_LINK_ADDRESS: [u8; 2] = [2, 1];
    let option = [&TARGET_LINK_ADDRESS[..], &own.0[..]].concat();
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    icmp(own, address, all, neighbour(NEIGHBOUR_ADVERTISEMENT, OVERRIDE, address, &option))
}

fn neighbour(kind: u8, flags: u8, target: Ipv6Addr, option: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0, flags, 0, 0, 0], &target.octets()[..], option].concat()
}

/// A frame with this message, whose checksum is filled in.
fn icmp(own: Mac, from: Ipv6Addr, to: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let [.., a, b, c, d] = to.octets();
    let sum = checksum(from, to, &message).to_be_bytes();
    if let Some(place) = message.get_mut(2..4) {
        place.copy_from_slice(&sum);
    }
    let mut frame = ethernet(Mac([0x33, 0x33, a, b, c, d]), own, ETH_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([ICMPV6, u8::MAX]);
    frame.extend(from.octets());
    frame.extend(to.octets());
    frame.extend(message);
    frame
}

/// RFC 8200, section 8.1.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let all =
        [&from.octets()[..], &to.octets()[..], &length[..], &[0, 0, 0, ICMPV6], message].concat();
    let words = all.chunks(2).map(|pair| match pair {
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

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn said(frame: &[u8]) -> Option<(String, Mac)> {
        told(frame).map(|(address, mac)| (address.to_string(), mac))
    }

    #[test]
    fn what_is_asked_and_told_is_read_as_such() {
        let ten = Ipv4Addr::new(10, 0, 0, 5);
        let v6: Ipv6Addr = "fd00::5".parse().unwrap();
        for frame in [arp(OWN, Ipv4Addr::UNSPECIFIED, ten), arp(OWN, ten, ten)] {
            assert_eq!(said(&frame), Some(("10.0.0.5".to_owned(), OWN)));
            assert_eq!(frame.len(), 42);
        }
        for frame in [solicitation(OWN, v6), advertisement(OWN, v6)] {
            assert_eq!(said(&frame), Some(("fd00::5".to_owned(), OWN)));
        }
        // Somebody with an address asks for another: that says nothing of who has it.
        let mut question = solicitation(OWN, v6);
        question[ETHERNET + 8] = 0xfe;
        assert_eq!(said(&question), None);
    }

    #[test]
    fn a_frame_cut_anywhere_is_read_without_panic() {
        let v6: Ipv6Addr = "fd00::5".parse().unwrap();
        let frames =
            [arp(OWN, Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(10, 0, 0, 5)), solicitation(OWN, v6)];
        for frame in frames {
            for cut in 0..frame.len() {
                let _ = told(&frame[..cut]);
            }
        }
    }

    #[test]
    fn the_checksum_of_a_whole_message_is_zero() {
        let v6: Ipv6Addr = "fd00::5".parse().unwrap();
        let frame = advertisement(OWN, v6);
        let all: Ipv6Addr = "ff02::1".parse().unwrap();
        assert_eq!(checksum(v6, all, &frame[ETHERNET + 40..]), 0);
        assert_eq!(&frame[..6], &[0x33, 0x33, 0, 0, 0, 1]);
    }
}
