//! Namespaces: opened once, checked, known by cookie, entered on a thread of its own.
//!
//! A thread that entered a namespace ends there: there is no way back, so none can be missed.
//! Start reading at [`open`], then [`Inside::run`].

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::socket::Socket;

/// Enough for what runs inside: requests and small files.
const STACK: usize = 128 * 1024;

/// A namespace that was opened, and what is needed to work in it.
#[derive(Debug)]
pub(crate) struct Inside {
    fd: OwnedFd,
    /// Opened inside, used from outside.
    route: Mutex<Socket>,
}

impl Inside {
    /// Its netlink socket for links, addresses and routes.
    pub(crate) fn route(&self) -> MutexGuard<'_, Socket> {
        self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in the namespace, on a thread that ends there.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        run_in(self.fd.as_fd(), work)
    }
}

impl AsFd for Inside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens what is at `path`; `None` where no network namespace is there.
pub(crate) fn open(path: &Path) -> io::Result<Option<(u64, Inside)>> {
    let fd = match open_file(path) {
        Ok(fd) => fd,
        Err(error) => return if is_absence(&error) { Ok(None) } else { Err(error) },
    };
    if !is_netns(fd.as_fd()) {
        return Ok(None);
    }
    let socket = run_in(fd.as_fd(), Socket::route)??;
    let cookie = socket.netns_cookie()?;
    Ok(Some((cookie, Inside { fd, route: Mutex::new(socket) })))
}

/// The cookie of the calling thread's namespace.
pub(crate) fn own_cookie() -> io::Result<u64> {
    Socket::route()?.netns_cookie()
}

/// The calling thread's namespace.
pub(crate) fn own() -> io::Result<OwnedFd> {
    open_file(Path::new("/proc/thread-self/ns/net"))
}

fn open_file(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // Not to be kept waiting by a pipe that somebody put there.
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: path is a C string that lives through the call.
    let fd = unsafe { libc::open(path.as_ptr(), flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fd is a descriptor that was just opened, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether an error of open(2) says that no namespace is there.
fn is_absence(error: &io::Error) -> bool {
    let errnos = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENXIO, libc::ENODEV, libc::ESRCH];
    error.raw_os_error().is_none_or(|errno| errnos.contains(&errno))
}

/// Whether this is an open network namespace, by its file system and then its type.
fn is_netns(fd: BorrowedFd<'_>) -> bool {
    const NSFS_MAGIC: i64 = 0x6e73_6673;
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: statfs is plain data, for which all zeroes are valid.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: about has room for what fstatfs(2) writes.
    let found = unsafe { libc::fstatfs(fd.as_raw_fd(), &raw mut about) };
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_wrap,
        reason = "the type differs between the C libraries"
    )]
    let is_nsfs = found == 0 && about.f_type as i64 == NSFS_MAGIC;
    // SAFETY: this request of nsfs takes no argument.
    is_nsfs && unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) } == libc::CLONE_NEWNET
}

fn run_in<T: Send>(fd: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let inside = move || {
            // SAFETY: setns(2) takes no pointers; it changes this thread alone, which ends here.
            if unsafe { libc::setns(fd.as_raw_fd(), libc::CLONE_NEWNET) } < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(work())
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, inside)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread inside panicked")))
    })
}
