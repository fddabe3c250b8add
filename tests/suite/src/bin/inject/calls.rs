//! Which system calls count, by what they would do, and what they are made on.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use libc::user_regs_struct as Registers;
use nix::unistd::Pid;

/// A kind of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Those that change anything: files, directories, what other processes see, the kernel's network.
    Changes,
    /// Those of them that a full or broken disk makes fail.
    Files,
    /// Those that make a descriptor.
    Descriptors,
    /// Those that need memory of the kernel.
    Memory,
    /// Requests to the kernel's network.
    Netlink,
    /// Questions for the cookie of a network namespace.
    Cookies,
}

/// Of a netlink message's header, as its first word: its length, and among its flags that of a request.
const LENGTH: u64 = 0xffff_ffff;
const REQUEST: u64 = 1 << 48;
/// The length of what begins a batch of nf_tables.
const BATCH: u64 = 20;
/// Its type, and one that no family knows.
const TYPE: u64 = 0xffff << 32;
const UNKNOWN: u64 = 0x7fff << 32;

/// Longest path that is read.
const LONGEST: usize = 300;

impl Kind {
    /// The name of the call that a thread enters, if it is of this kind.
    pub(crate) fn of(self, pid: Pid, registers: &Registers) -> Option<&'static str> {
        let number = i64::try_from(registers.orig_rax).ok()?;
        match self {
            Self::Files => file(number, registers).filter(|name| !to_another(pid, name, registers)),
            Self::Changes => file(number, registers).or_else(|| change(number)),
            Self::Descriptors => descriptor(number, registers),
            Self::Memory => memory(number).or_else(|| netlink(pid, number, registers)),
            Self::Netlink => netlink(pid, number, registers),
            Self::Cookies => cookie(number, registers),
        }
    }
}

fn file(number: i64, registers: &Registers) -> Option<&'static str> {
    let creates =
        |flags: u64| flags & u64::from((libc::O_CREAT | libc::O_TRUNC).unsigned_abs()) != 0;
    Some(match number {
        libc::SYS_open if creates(registers.rsi) => "open",
        libc::SYS_openat if creates(registers.rdx) => "openat",
        libc::SYS_write if registers.rdi != 2 => "write",
        libc::SYS_writev if registers.rdi != 2 => "writev",
        libc::SYS_pwrite64 => "pwrite64",
        libc::SYS_pwritev => "pwritev",
        libc::SYS_ftruncate => "ftruncate",
        libc::SYS_fallocate => "fallocate",
        libc::SYS_mkdir => "mkdir",
        libc::SYS_mkdirat => "mkdirat",
        libc::SYS_fsync => "fsync",
        libc::SYS_fdatasync => "fdatasync",
        libc::SYS_rename => "rename",
        libc::SYS_renameat => "renameat",
        libc::SYS_renameat2 => "renameat2",
        libc::SYS_link => "link",
        libc::SYS_linkat => "linkat",
        libc::SYS_symlink => "symlink",
        libc::SYS_symlinkat => "symlinkat",
        _ => return None,
    })
}

/// What is written to another process is on no disk.
fn to_another(pid: Pid, name: &str, registers: &Registers) -> bool {
    let to = || object(pid, name, registers);
    name.starts_with("write") && ["pipe:", "socket:"].iter().any(|kind| to().starts_with(kind))
}

fn change(number: i64) -> Option<&'static str> {
    Some(match number {
        libc::SYS_unlink => "unlink",
        libc::SYS_unlinkat => "unlinkat",
        libc::SYS_rmdir => "rmdir",
        libc::SYS_chmod => "chmod",
        libc::SYS_fchmod => "fchmod",
        libc::SYS_fchmodat => "fchmodat",
        libc::SYS_sendto => "sendto",
        libc::SYS_sendmsg => "sendmsg",
        libc::SYS_sendmmsg => "sendmmsg",
        libc::SYS_ioctl => "ioctl",
        libc::SYS_mount => "mount",
        libc::SYS_flock => "flock",
        _ => return None,
    })
}

fn descriptor(number: i64, registers: &Registers) -> Option<&'static str> {
    let duplicates = [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC];
    Some(match number {
        libc::SYS_open => "open",
        libc::SYS_openat => "openat",
        libc::SYS_socket => "socket",
        libc::SYS_socketpair => "socketpair",
        libc::SYS_accept4 => "accept4",
        libc::SYS_pipe => "pipe",
        libc::SYS_pipe2 => "pipe2",
        libc::SYS_dup => "dup",
        libc::SYS_fcntl
            if duplicates.iter().any(|what| registers.rsi == what.unsigned_abs().into()) =>
        {
            "fcntl"
        }
        libc::SYS_memfd_create => "memfd_create",
        libc::SYS_eventfd2 => "eventfd2",
        libc::SYS_epoll_create1 => "epoll_create1",
        libc::SYS_timerfd_create => "timerfd_create",
        libc::SYS_pidfd_open => "pidfd_open",
        _ => return None,
    })
}

fn memory(number: i64) -> Option<&'static str> {
    Some(match number {
        libc::SYS_mmap => "mmap",
        libc::SYS_mremap => "mremap",
        libc::SYS_mprotect => "mprotect",
        libc::SYS_clone => "clone",
        libc::SYS_clone3 => "clone3",
        libc::SYS_fork => "fork",
        libc::SYS_vfork => "vfork",
        libc::SYS_socket => "socket",
        _ => return None,
    })
}

/// What is sent and begins with a header of netlink, whose length is that of all or that of a batch's
/// beginning, is a request.
fn netlink(pid: Pid, number: i64, registers: &Registers) -> Option<&'static str> {
    let header = (number == libc::SYS_sendto).then(|| word(pid, registers.rsi))??;
    let (length, all) = (header & LENGTH, registers.rdx);
    let fits = length == all || length == BATCH && all > BATCH + 4;
    (fits && header & REQUEST != 0).then_some("sendto")
}

fn cookie(number: i64, registers: &Registers) -> Option<&'static str> {
    const SO_NETNS_COOKIE: u64 = 71;
    let asks = number == libc::SYS_getsockopt && registers.rdx == SO_NETNS_COOKIE;
    asks.then_some("getsockopt")
}

/// A request's first word as one that the kernel refuses.
pub(crate) fn unknown(header: u64) -> u64 {
    header & !TYPE | UNKNOWN
}

/// Eight bytes of a program's memory.
fn word(pid: Pid, at: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    memory.read_exact_at(&mut bytes, at).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// What a call is made on.
pub(crate) fn object(pid: Pid, name: &str, registers: &Registers) -> String {
    match name {
        "sendto" if netlink(pid, libc::SYS_sendto, registers).is_some() => "netlink".to_owned(),
        "open" | "mkdir" | "unlink" | "rename" | "rmdir" | "chmod" | "link" | "mount" => {
            text(pid, registers.rdi)
        }
        "openat" | "mkdirat" | "unlinkat" | "renameat" | "renameat2" | "fchmodat" => {
            text(pid, registers.rsi)
        }
        "write" | "writev" | "pwrite64" | "pwritev" | "ftruncate" | "fallocate" | "fsync"
        | "fdatasync" | "fchmod" | "sendto" | "sendmsg" | "ioctl" | "flock" => {
            let link = format!("/proc/{pid}/fd/{}", registers.rdi);
            let to = std::fs::read_link(link).unwrap_or_default();
            to.display().to_string()
        }
        _ => String::new(),
    }
}

/// A path in a program's memory; it may end before a page that is not there.
fn text(pid: Pid, at: u64) -> String {
    let mut bytes = vec![0; LONGEST];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem"));
    let length = memory.and_then(|memory| memory.read_at(&mut bytes, at)).unwrap_or_default();
    bytes.truncate(length);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// The name under which a program was started.
pub(crate) fn program(pid: Pid) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    let name = Path::new(&first).file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "?".to_owned())
}
