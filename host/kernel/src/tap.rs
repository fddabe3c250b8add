//! A tap: made by opening `/dev/net/tun` in its namespace, and kept only once it is whole.
//!
//! Until [`Tap::keep`] the kernel removes it with the descriptor, so that whoever is killed on the
//! way leaves nothing. Packets have no header of the kernel's own (`IFF_NO_PI`) nor of virtio's:
//! both are the choice of the program that opens it, which makes it anew each time.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use wharfinger_plan::Tap as Wanted;

const TUNSETIFF: libc::Ioctl = 0x4004_54ca;
const TUNSETPERSIST: libc::Ioctl = 0x4004_54cb;
const TUNSETOWNER: libc::Ioctl = 0x4004_54cc;
const TUNSETGROUP: libc::Ioctl = 0x4004_54ce;
const IFF_TAP: u16 = 0x0002;
const IFF_MULTI_QUEUE: u16 = 0x0100;
const IFF_NO_PI: u16 = 0x1000;
/// It must not be there yet.
const IFF_TUN_EXCL: u16 = 0x8000;
/// The size of `struct ifreq`.
const IFREQ: usize = 40;
const NAME: usize = 16;

/// A tap that goes with its descriptor.
#[derive(Debug)]
pub(crate) struct Tap(File);

impl Tap {
    /// Makes one in the calling thread's namespace. The thread keeps the SELinux context.
    pub(crate) fn make(name: &str, wanted: &Wanted) -> io::Result<Self> {
        if let Some(context) = &wanted.selinux_context {
            enter_context(context)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open("/dev/net/tun")?;
        let tap = Self(file);
        let queues = if wanted.multi_queue { IFF_MULTI_QUEUE } else { 0 };
        tap.attach(name, IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | queues)?;
        if let Some(uid) = wanted.uid {
            tap.set(TUNSETOWNER, uid)?;
        }
        if let Some(gid) = wanted.gid {
            tap.set(TUNSETGROUP, gid)?;
        }
        Ok(tap)
    }

    /// It stays when its descriptor goes.
    pub(crate) fn keep(self) -> io::Result<()> {
        self.set(TUNSETPERSIST, 1)
    }

    fn attach(&self, name: &str, flags: u16) -> io::Result<()> {
        let mut request = [0_u8; IFREQ];
        let (names, rest) = request.split_at_mut(NAME);
        for (place, letter) in names.iter_mut().zip(name.bytes().take(NAME - 1)) {
            *place = letter;
        }
        for (place, octet) in rest.iter_mut().zip(flags.to_ne_bytes()) {
            *place = octet;
        }
        // SAFETY: request is as large as the struct ifreq that this request reads and writes.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) };
        checked(done)
    }

    fn set(&self, what: libc::Ioctl, value: u32) -> io::Result<()> {
        // SAFETY: these requests take a number, not a pointer.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), what, libc::c_ulong::from(value)) };
        checked(done)
    }
}

fn checked(done: i32) -> io::Result<()> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The thread goes on in this context, where the policy lets it; it ends soon.
fn enter_context(context: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open("/proc/thread-self/attr/current")?
        .write_all(context.as_bytes())
}
