//! A netlink socket, used synchronously: one request, then its answers.
//!
//! The kernel works off a request while it is being sent, so that a request costs two system
//! calls and no waiting; only what must be one transaction is sent together. Reading has a time
//! limit, so that nothing waits for ever. It knows no message's content: `link`, `address`,
//! `route` and `nft` do. Start reading at [`Socket`].

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// How long an answer may take: longer than the kernel is ever busy with a request, shorter
/// than a verb's deadline.
const ANSWER_WITHIN: libc::timeval = libc::timeval { tv_sec: 10, tv_usec: 0 };
/// How often a dump is begun anew that a change came between, where it has to show one state: on a node with
/// thousands of links that is most of them.
const DUMP_ATTEMPTS: u32 = 200;
/// The kernel's own messages stay below 32 KiB.
const BUFFER: usize = 64 * 1024;
const HEADER: usize = 16;
/// What a socket takes at once without being asked to.
const ORDINARY: usize = 64 * 1024;

// linux/netlink.h; libc has them as i32, which they are not on the wire.
const REQUEST: u16 = 0x01;
/// The flag of a request that is to be acknowledged.
pub(crate) const ACK: u16 = 0x04;
const ECHO: u16 = 0x08;
const DUMP_INTR: u16 = 0x10;
const DUMP: u16 = 0x300;
const EXCL: u16 = 0x200;
const CREATE: u16 = 0x400;
/// The flag of a request that adds at the end of a list.
pub(crate) const APPEND: u16 = 0x800;
/// Flags of a request that makes what must not be there yet.
pub(crate) const MAKE: u16 = CREATE | EXCL;
/// Flags of a request that makes what may be there already.
pub(crate) const ENSURE: u16 = CREATE;
/// Flags of a request about what is there.
pub(crate) const CHANGE: u16 = 0;

/// The kernel's answer to a request that it did not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    /// What the kernel says beyond the number (extended acknowledgement), where it does.
    text: Option<String>,
}

impl Refusal {
    pub(crate) fn of(errno: i32) -> Self {
        Self { errno, text: None }
    }

    /// With words of our own.
    pub(crate) fn told(errno: i32, text: &str) -> Self {
        Self { errno, text: Some(text.to_owned()) }
    }

    /// As an [`io::Error`]: with the errno, and with the kernel's words where there are any.
    pub(crate) fn into_io(self) -> io::Error {
        let plain = io::Error::from_raw_os_error(self.errno);
        match self.text {
            None => plain,
            Some(text) => io::Error::new(plain.kind(), Told { plain, text }),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let errno = errno_of(&error).unwrap_or(libc::EIO);
        Self { errno, text: error.downcast::<Told>().ok().map(|told| told.text) }
    }
}

/// An errno together with the kernel's words.
#[derive(Debug)]
struct Told {
    plain: io::Error,
    text: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.plain, self.text)
    }
}

impl std::error::Error for Told {}

/// The errno of an error that came out of this crate.
pub(crate) fn errno_of(error: &io::Error) -> Option<i32> {
    let told = error.get_ref().and_then(|inner| inner.downcast_ref::<Told>());
    told.map_or_else(|| error.raw_os_error(), |told| told.plain.raw_os_error())
}

/// What the kernel told in answer to one request for all.
#[derive(Debug)]
pub(crate) struct Dump<T> {
    pub(crate) all: Vec<T>,
    /// It shows one state: no change came in between.
    pub(crate) is_whole: bool,
}

/// A netlink socket. It belongs to the namespace it was opened in, whoever uses it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    /// Closed with this one: see [`Socket::peek`].
    kept: Vec<OwnedFd>,
}

impl Socket {
    /// For links, addresses and routes.
    pub(crate) fn route() -> io::Result<Self> {
        let socket = Self::open(libc::NETLINK_ROUTE)?;
        // Dumps are filtered by the kernel (Linux 4.20); the readers filter too.
        let _ = socket.set(libc::SOL_NETLINK, libc::NETLINK_GET_STRICT_CHK, &1);
        Ok(socket)
    }

    /// For nf_tables.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(libc::NETLINK_NETFILTER)
    }

    /// For IPsec.
    pub(crate) fn xfrm() -> io::Result<Self> {
        Self::open(libc::NETLINK_XFRM)
    }

    fn open(protocol: i32) -> io::Result<Self> {
        // SAFETY: socket(2) takes no pointers; its result is checked before it is used.
        let fd = unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd is a descriptor that was just opened, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let socket = Self { fd, sequence: 0, buffer: vec![0; BUFFER], kept: Vec::new() };
        socket.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &ANSWER_WITHIN)?;
        // Older kernels know neither: then there are no words, and a longer answer.
        let _ = socket.set(libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, &1);
        let _ = socket.set(libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, &1);
        Ok(socket)
    }

    fn set<T>(&self, level: i32, option: i32, value: &T) -> io::Result<()> {
        let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        // SAFETY: value points to length readable bytes for the time of the call.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                length,
            )
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The cookie of the namespace that the socket belongs to. Older kernels have none, and nothing else
    /// that tells a namespace from the next one: its inode's number is given again at once.
    pub(crate) fn netns_cookie(&self) -> io::Result<u64> {
        const SO_NETNS_COOKIE: i32 = 71;
        let mut cookie = 0_u64;
        let mut length = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or(0);
        // SAFETY: cookie has room for the eight bytes that length tells of.
        let done = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_NETNS_COOKIE,
                std::ptr::from_mut(&mut cookie).cast(),
                &raw mut length,
            )
        };
        let error = (done < 0).then(io::Error::last_os_error);
        match error {
            None => Ok(cookie),
            Some(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
                let text = "this kernel gives namespaces no cookies: boot Linux 5.14 or later";
                Err(Refusal::told(libc::ENOPROTOOPT, text).into_io())
            }
            Some(error) => Err(error),
        }
    }

    /// Asks for a change, and waits for its acknowledgement.
    pub(crate) fn change(
        &mut self,
        kind: u16,
        flags: u16,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Refusal> {
        let mut batch = Batch::new(self.sequence);
        batch.add(kind, flags | ACK, write);
        self.send(&batch)?;
        self.acknowledged(&batch)
    }

    /// Carries out several requests as one transaction (nf_tables).
    pub(crate) fn transact(&mut self, batch: &Batch) -> Result<(), Refusal> {
        self.send(batch)?;
        self.acknowledged(batch)
    }

    /// Carries out several requests, each by itself, of which each asks to be acknowledged; answers
    /// those that were refused, by their number. No more than have room for their
    /// acknowledgements in the socket's buffer.
    pub(crate) fn change_each(&mut self, batch: &Batch) -> Result<Vec<(usize, Refusal)>, Refusal> {
        let mut left = batch.len();
        let mut refusals = Vec::new();
        if left == 0 {
            return Ok(refusals);
        }
        self.send(batch)?;
        while left > 0 {
            let length = self.receive(0)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            for message in Messages(bytes).filter(|message| batch.holds(message.sequence)) {
                if i32::from(message.kind) != libc::NLMSG_ERROR {
                    continue;
                }
                left = left.saturating_sub(1);
                let number = message.sequence.wrapping_sub(batch.first);
                let refusal = message.refusal();
                refusals.extend(refusal.map(|it| (usize::try_from(number).unwrap_or(0), it)));
            }
        }
        Ok(refusals)
    }

    /// Asks for one object; `read` makes it out of the answer.
    pub(crate) fn get<T>(
        &mut self,
        kind: u16,
        write: impl FnOnce(&mut Vec<u8>),
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Refusal> {
        let mut batch = Batch::new(self.sequence);
        batch.add(kind, 0, write);
        self.send(&batch)?;
        loop {
            let length = self.receive(0)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            let mut ours = Messages(bytes).filter(|message| batch.holds(message.sequence));
            if let Some(message) = ours.next() {
                return match message.refusal() {
                    Some(refusal) => Err(refusal),
                    None => Ok(read(message.payload)),
                };
            }
        }
    }

    /// As [`Socket::get`], of an object that the kernel may have and not tell of: then there is an
    /// acknowledgement and nothing else.
    pub(crate) fn look<T>(
        &mut self,
        kind: u16,
        write: impl FnOnce(&mut Vec<u8>),
        read: impl Fn(&[u8]) -> T,
    ) -> Result<Option<T>, Refusal> {
        let mut batch = Batch::new(self.sequence);
        // What is asked for is told as if it had changed: to who asked, if it asks for that too.
        batch.add(kind, ACK | ECHO, write);
        self.send(&batch)?;
        let mut found = None;
        loop {
            let length = self.receive(0)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            for message in Messages(bytes).filter(|message| batch.holds(message.sequence)) {
                match message.refusal() {
                    Some(refusal) => return Err(refusal),
                    None if i32::from(message.kind) == libc::NLMSG_ERROR => return Ok(found),
                    None => found = Some(read(message.payload)),
                }
            }
        }
    }

    /// Asks for all objects that `write` describes; `read` makes each out of its answer, or
    /// skips it. Begun anew when a change came in between.
    pub(crate) fn dump<T>(
        &mut self,
        kind: u16,
        write: impl Fn(&mut Vec<u8>),
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Refusal> {
        for _ in 0..DUMP_ATTEMPTS {
            let dump = self.dump_once(kind, &write, &mut read)?;
            if dump.is_whole {
                return Ok(dump.all);
            }
        }
        Err(Refusal::of(libc::EINTR))
    }

    /// As [`Socket::dump`], and as it came when a change came in between.
    pub(crate) fn dump_once<T>(
        &mut self,
        kind: u16,
        write: impl Fn(&mut Vec<u8>),
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Dump<T>, Refusal> {
        let mut batch = Batch::new(self.sequence);
        batch.add(kind, DUMP, write);
        self.send(&batch)?;
        self.dumped(&batch, &mut read)
    }

    /// The first of the objects that `write` describes, of however many: on a socket of its own,
    /// as the rest is not read. That stays open as long as this one: the kernel may let the
    /// closing wait for what it has yet to forget.
    pub(crate) fn peek<T>(
        &mut self,
        kind: u16,
        write: impl Fn(&mut Vec<u8>),
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let mut other = Self::netfilter()?;
        let mut batch = Batch::new(other.sequence);
        batch.add(kind, DUMP, &write);
        other.send(&batch)?;
        let found = other.first(&batch, &mut read);
        self.kept.push(other.fd);
        found
    }

    fn first<T>(
        &mut self,
        batch: &Batch,
        read: &mut impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        loop {
            let length = self.receive(0)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            for message in Messages(bytes).filter(|message| batch.holds(message.sequence)) {
                if let Some(refusal) = message.refusal() {
                    return Err(refusal);
                }
                if i32::from(message.kind) == libc::NLMSG_DONE {
                    return Ok(None);
                }
                if let Some(found) = read(message.payload) {
                    return Ok(Some(found));
                }
            }
        }
    }

    /// Reads a dump to its end.
    fn dumped<T>(
        &mut self,
        batch: &Batch,
        read: &mut impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Dump<T>, Refusal> {
        let mut dump = Dump { all: Vec::new(), is_whole: true };
        loop {
            let length = self.receive(0)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            for message in Messages(bytes).filter(|message| batch.holds(message.sequence)) {
                dump.is_whole &= message.flags & DUMP_INTR == 0;
                match message.refusal() {
                    // nf_tables says so of a dump that a change came in between of.
                    Some(refusal) if refusal.errno == libc::EINTR => {
                        dump.is_whole = false;
                        return Ok(dump);
                    }
                    Some(refusal) => return Err(refusal),
                    None if i32::from(message.kind) == libc::NLMSG_DONE => return Ok(dump),
                    None => dump.all.extend(read(message.payload)),
                }
            }
        }
    }

    fn send(&mut self, batch: &Batch) -> io::Result<()> {
        self.sequence = batch.last;
        if batch.bytes.len() > ORDINARY {
            let room = i32::try_from(batch.bytes.len()).unwrap_or(i32::MAX).saturating_mul(2);
            self.set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &room)?;
        }
        loop {
            // SAFETY: the pointer and the length are those of one live slice.
            let sent = unsafe {
                libc::send(self.fd.as_raw_fd(), batch.bytes.as_ptr().cast(), batch.bytes.len(), 0)
            };
            match usize::try_from(sent) {
                Ok(_) => return Ok(()),
                Err(_) => retry_if_interrupted()?,
            }
        }
    }

    /// Reads until the last request of `batch` is acknowledged, or any is refused.
    fn acknowledged(&mut self, batch: &Batch) -> Result<(), Refusal> {
        loop {
            let length = self.receive(0)?;
            let bytes = self.buffer.get(..length).unwrap_or_default();
            for message in Messages(bytes).filter(|message| batch.holds(message.sequence)) {
                if let Some(refusal) = message.refusal() {
                    return Err(refusal);
                }
                let is_error = i32::from(message.kind) == libc::NLMSG_ERROR;
                if is_error && message.sequence == batch.awaited {
                    return Ok(());
                }
            }
        }
    }

    /// Reads one datagram of the kernel's.
    fn receive(&mut self, flags: i32) -> io::Result<usize> {
        loop {
            // SAFETY: sockaddr_nl is plain data, for which all zeroes are valid.
            let mut from: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            let mut from_length = libc::socklen_t::try_from(size_of_val(&from)).unwrap_or(0);
            // SAFETY: buffer and from are writable for the lengths given with them.
            let length = unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    self.buffer.as_mut_ptr().cast(),
                    self.buffer.len(),
                    flags,
                    std::ptr::from_mut(&mut from).cast(),
                    &raw mut from_length,
                )
            };
            match usize::try_from(length) {
                // Others than the kernel (port 0) have nothing to say here.
                Ok(length) if from.nl_pid == 0 => return Ok(length),
                Ok(_) => {}
                Err(_) => retry_if_interrupted()?,
            }
        }
    }
}

/// The last call's error, unless a signal came in between; running out of time is told as such.
fn retry_if_interrupted() -> io::Result<()> {
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
        _ => Err(error),
    }
}

/// Requests that are sent together.
#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    first: u32,
    last: u32,
    /// The request whose acknowledgement is waited for: the last that asks for one.
    awaited: u32,
    /// Where the last request begins.
    start: usize,
}

impl Batch {
    /// Numbered on from `sequence`.
    fn new(sequence: u32) -> Self {
        let first = sequence.wrapping_add(1);
        Self { bytes: Vec::with_capacity(512), first, last: sequence, awaited: first, start: 0 }
    }

    /// For [`Socket::transact`] on `socket`.
    pub(crate) fn on(socket: &Socket) -> Self {
        Self::new(socket.sequence)
    }

    /// Adds a request, whose payload `write` appends.
    pub(crate) fn add(&mut self, kind: u16, flags: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.start = start;
        self.last = self.last.wrapping_add(1);
        if flags & ACK != 0 {
            self.awaited = self.last;
        }
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | REQUEST).to_ne_bytes());
        self.bytes.extend(self.last.to_ne_bytes());
        self.bytes.extend([0; 4]);
        write(&mut self.bytes);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Has the last request acknowledged, which stands for all: refusals come unasked.
    pub(crate) fn acknowledge_last(&mut self) {
        if let Some(place) = self.bytes.get_mut(self.start + 6..self.start + 8) {
            let mut flags = [0; 2];
            flags.copy_from_slice(place);
            place.copy_from_slice(&(u16::from_ne_bytes(flags) | ACK).to_ne_bytes());
        }
        self.awaited = self.last;
    }

    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.last.wrapping_sub(self.first).wrapping_add(1)).unwrap_or(0)
    }

    fn holds(&self, sequence: u32) -> bool {
        sequence.wrapping_sub(self.first) <= self.last.wrapping_sub(self.first)
    }
}

pub(crate) fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// One message of an answer.
struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

impl Message<'_> {
    /// What the kernel says against the request, if this message says so.
    fn refusal(&self) -> Option<Refusal> {
        let is_end = [libc::NLMSG_ERROR, libc::NLMSG_DONE].contains(&i32::from(self.kind));
        let code = i32::from_ne_bytes(*self.payload.first_chunk().filter(|_| is_end)?);
        (code < 0).then(|| Refusal { errno: code.wrapping_neg(), text: self.text() })
    }

    /// The words of an extended acknowledgement: behind the code and the request's header.
    fn text(&self) -> Option<String> {
        const ACK_TLVS: u16 = 0x200;
        const MESSAGE: u16 = 1;
        let behind = self.payload.get(4 + HEADER..).filter(|_| self.flags & ACK_TLVS != 0)?;
        let (_, text) = Attributes(behind).find(|(kind, _)| *kind == MESSAGE)?;
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// The messages of a datagram.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, ..]: &[u8; HEADER] =
            self.0.first_chunk()?;
        let length = usize::try_from(u32::from_ne_bytes([*l0, *l1, *l2, *l3])).ok()?;
        let payload = self.0.get(HEADER..length)?;
        let message = Message {
            kind: u16::from_ne_bytes([*k0, *k1]),
            flags: u16::from_ne_bytes([*f0, *f1]),
            sequence: u32::from_ne_bytes([*s0, *s1, *s2, *s3]),
            payload,
        };
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some(message)
    }
}

/// Attributes in a row: their kinds and contents.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [l0, l1, k0, k1] = self.0.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([*l0, *l1]));
        let content = self.0.get(4..length)?;
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some((u16::from_ne_bytes([*k0, *k1]), content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_numbered_aligned_and_awaited() {
        let mut batch = Batch::new(u32::MAX);
        batch.add(16, ACK, |bytes| bytes.extend([1, 2, 3]));
        batch.add(17, 0, |_| {});
        assert_eq!(batch.bytes.len(), 20 + 16);
        assert_eq!((batch.first, batch.last, batch.awaited), (0, 1, 0));
        assert!(batch.holds(0) && batch.holds(1) && !batch.holds(2) && !batch.holds(u32::MAX));
    }

    #[test]
    fn a_datagram_cut_anywhere_is_read_without_panic() {
        let mut batch = Batch::new(0);
        batch.add(2, 0x200, |bytes| {
            bytes.extend((-17_i32).to_ne_bytes());
            bytes.extend([0; HEADER]);
            bytes.extend([7, 0, 1, 0, b'n', b'o', 0, 0]);
        });
        let whole: Vec<_> = Messages(&batch.bytes).filter_map(|m| m.refusal()).collect();
        assert_eq!(whole, [Refusal { errno: 17, text: Some("no".to_owned()) }]);
        for cut in 0..batch.bytes.len() {
            assert_eq!(Messages(&batch.bytes[..cut]).count(), 0);
        }
        let error = whole[0].clone().into_io();
        assert_eq!(errno_of(&error), Some(17));
        assert!(error.to_string().ends_with(": no"), "{error}");
    }
}
