//! A packet socket on one link of a namespace: what DHCP is spoken through while the link has no
//! address, and the clock that leases are counted by.
//!
//! It hears nothing but UDP for a DHCP client: the kernel drops all else before it is queued, so
//! that a busy container fills no buffer. What it hears is whatever somebody sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::{Error, Netns, refused};

/// Room for any message on a link of ordinary size; a longer one is cut, and then is none.
const LONGEST: usize = 2048;
const BROADCAST: [u8; 6] = [0xff; 6];

/// `ldb`, `ldh` and so on of classic BPF, on packets that begin with the IPv4 header: UDP, no
/// fragment but a first, to port 68.
const FILTER: [(u16, u8, u8, u32); 9] = [
    (0x30, 0, 0, 9),      // protocol
    (0x15, 0, 6, 17),     // UDP, or dropped
    (0x28, 0, 0, 6),      // flags and offset of a fragment
    (0x45, 4, 0, 0x1fff), // one that is not the first is dropped
    (0xb1, 0, 0, 0),      // the length of the IPv4 header
    (0x48, 0, 0, 2),      // the port that it is sent to
    (0x15, 0, 1, 68),     // ours, or dropped
    (0x06, 0, 0, u32::MAX),
    (0x06, 0, 0, 0),
];

/// The socket. It belongs to the namespace, whoever uses it, and lives no longer than the link.
#[derive(Debug)]
pub struct Packets {
    fd: OwnedFd,
    index: i32,
}

/// A packet that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// From its IPv4 header on.
    pub packet: Vec<u8>,
    /// The neighbour that sent it.
    pub from: Option<[u8; 6]>,
}

impl Netns {
    /// Opens a packet socket on the link with this index, for IPv4.
    pub fn packets(&self, index: u32) -> Result<Packets, Error> {
        let fail = |error| refused("open", format!("packet socket on link {index}"), error);
        let none = || fail(io::Error::from_raw_os_error(libc::EBADF));
        let inside = self.inside.as_ref().ok_or_else(none)?;
        let index = i32::try_from(index).map_err(|_| none())?;
        let opened = inside.run(|| open(index)).and_then(|opened| opened);
        opened.map(|fd| Packets { fd, index }).map_err(fail)
    }
}

fn open(index: i32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Bound to no protocol at first, so that nothing is queued before the filter is there.
    // SAFETY: socket(2) takes no pointers; its result is checked before it is used.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fd is a descriptor that was just opened, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set_filter(fd.as_fd())?;
    let to = link_address(index, BROADCAST);
    // SAFETY: the address is one of the length that is said, for the time of the call.
    let done = unsafe { libc::bind(fd.as_raw_fd(), (&raw const to).cast(), ADDRESS_LENGTH) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

#[allow(clippy::cast_possible_truncation, reason = "a constant, of some twenty bytes")]
const ADDRESS_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_ll>() as libc::socklen_t;

fn set_filter(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut code = FILTER.map(|(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k });
    let length = u16::try_from(code.len()).unwrap_or_default();
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of_val(&program)).unwrap_or_default();
    // SAFETY: program, and the code it points to, live through the call, which copies both.
    let done = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn link_address(index: i32, hardware: [u8; 6]) -> libc::sockaddr_ll {
    let mut address = empty_address();
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = u16::try_from(libc::ETH_P_IP).unwrap_or_default().to_be();
    address.sll_ifindex = index;
    address.sll_halen = 6;
    for (to, from) in address.sll_addr.iter_mut().zip(hardware) {
        *to = from;
    }
    address
}

fn empty_address() -> libc::sockaddr_ll {
    // SAFETY: sockaddr_ll is plain data, for which all zeroes are valid.
    unsafe { std::mem::zeroed() }
}

impl Packets {
    /// Sends an IPv4 packet to this neighbour, or to all of them.
    pub fn send(&self, to: Option<[u8; 6]>, packet: &[u8]) -> io::Result<()> {
        let to = link_address(self.index, to.unwrap_or(BROADCAST));
        // SAFETY: packet and address are readable for their whole lengths through the call.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw const to).cast(),
                ADDRESS_LENGTH,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The next packet that came and is not our own; none where none is there. It never waits.
    pub fn receive(&self) -> io::Result<Option<Heard>> {
        loop {
            let mut packet = vec![0_u8; LONGEST];
            let mut from = empty_address();
            let mut length = ADDRESS_LENGTH;
            // SAFETY: packet and from are writable for the lengths that are said.
            let got = unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    packet.as_mut_ptr().cast(),
                    packet.len(),
                    0,
                    (&raw mut from).cast(),
                    &raw mut length,
                )
            };
            let Ok(got) = usize::try_from(got) else {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(error),
                }
            };
            if from.sll_pkttype == libc::PACKET_OUTGOING {
                continue;
            }
            packet.truncate(got);
            let hardware = from.sll_addr.first_chunk().filter(|_| from.sll_halen == 6);
            return Ok(Some(Heard { packet, from: hardware.copied() }));
        }
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Since the machine's start, its sleep included; unlike the time of day, nobody sets it.
pub fn uptime() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: time is writable; a clock that there is not leaves it at zero.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// The listening socket that the service manager opened for this process, as descriptor 3
/// (`sd_listen_fds(3)`): a descriptor of our own for it.
pub fn inherited_listener() -> io::Result<UnixListener> {
    const FIRST: i32 = 3;
    // SAFETY: fcntl(2) takes no pointers here; a descriptor that is not open is an error.
    let fd = unsafe { libc::fcntl(FIRST, libc::F_DUPFD_CLOEXEC, FIRST) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fd is a descriptor that was just made, and nobody else has it.
    Ok(UnixListener::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}
