//! What a guest's process gives up before any of its component's code runs, and never gets back
//! (seccomp(2), landlock(7), capabilities(7), setrlimit(2)).
//!
//! What is left is memory, time, the socket that it has, and, for a component that was granted
//! HTTP, sockets and the files that names and certificates are looked up in. A system call that is
//! not left fails with EPERM: a library that tries one goes on without.

use std::collections::BTreeMap;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::Limits;

/// Bytes of memory beside the component's own: the engine, its code, what crosses over.
const MEMORY: u64 = 512 << 20;
/// Open files: the socket, and what waiting and requests take.
const FILES: u64 = 256;

/// Where names and certificates are looked up.
const LOOKED_UP: [&str; 16] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/services",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/lib/ssl/certs",
    "/var/lib/ca-certificates",
];

/// Left to all.
const ALL: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_delete,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    // Within the process: what waits is woken by it.
    libc::SYS_socketpair,
    libc::SYS_ppoll,
    libc::SYS_fcntl,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// The same in the older words of x86-64.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// Left to who may send requests; which files may be opened is Landlock's.
const HTTP: &[i64] = &[
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_ioctl,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
];

/// The same in the older words of x86-64.
#[cfg(target_arch = "x86_64")]
const OLDER_HTTP: &[i64] = &[libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_HTTP: &[i64] = &[];

/// Confines this process, which has one thread; says what could not be.
pub(super) fn confine(limits: &Limits, http: bool) -> Result<(), String> {
    bound(limits)?;
    let set = |e| format!("end it with its host: {e}");
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(set)?;
    // Nobody may look into it, as itself may not.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|e| format!("close its memory to others: {e}"))?;
    powerless().map_err(|e| format!("drop its capabilities: {e}"))?;
    files(http).map_err(|e| format!("close the file system to it (Landlock): {e}"))?;
    let filter = filter(http).map_err(|e| format!("close the kernel to it (seccomp): {e}"))?;
    seccompiler::apply_filter(&filter).map_err(|e| format!("close the kernel to it: {e}"))
}

fn bound(limits: &Limits) -> Result<(), String> {
    let memory = (limits.memory as u64).saturating_add(limits.stack as u64);
    let bounds = [
        (Resource::Data, memory.saturating_add(MEMORY)),
        (Resource::Nofile, FILES),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ];
    for (resource, most) in bounds {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit)
            .map_err(|e| format!("bound its {resource:?}: {e}"))?;
    }
    Ok(())
}

fn powerless() -> Result<(), caps::errors::CapsError> {
    for set in [
        caps::CapSet::Ambient,
        caps::CapSet::Inheritable,
        caps::CapSet::Effective,
        caps::CapSet::Permitted,
    ] {
        caps::clear(None, set)?;
    }
    Ok(())
}

/// As far as the kernel knows Landlock (5.13): what it does not know is left to the filter.
fn files(http: bool) -> Result<(), landlock::RulesetError> {
    let looked_up: &[&str] = if http { &LOOKED_UP } else { &[] };
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?;
    let created = ruleset.create()?.add_rules(path_beneath_rules(looked_up, reading))?;
    created.restrict_self().map(drop)
}

fn filter(http: bool) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALL.iter().chain(OLDER).map(|call| (*call, vec![])).collect();
    // Memory, but none that is to run.
    rules.insert(libc::SYS_mmap, without(2, libc::PROT_EXEC.cast_unsigned())?);
    rules.insert(libc::SYS_mprotect, without(2, libc::PROT_EXEC.cast_unsigned())?);
    // To end itself.
    rules.insert(libc::SYS_tgkill, equal(0, std::process::id())?);
    if http {
        rules.extend(HTTP.iter().chain(OLDER_HTTP).map(|call| (*call, vec![])));
        // A thread that looks up a name; no process, no namespace.
        rules.insert(libc::SYS_clone, with(0, libc::CLONE_THREAD.cast_unsigned())?);
        let mut families = equal(0, libc::AF_INET.cast_unsigned())?;
        families.extend(equal(0, libc::AF_INET6.cast_unsigned())?);
        // The addresses of this node's own links.
        families.extend(equal(0, libc::AF_NETLINK.cast_unsigned())?);
        rules.insert(libc::SYS_socket, families);
    }
    let no = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, no, SeccompAction::Allow, arch)?.try_into()
}

type Rules = Result<Vec<SeccompRule>, seccompiler::BackendError>;

/// Where the argument's bits are none of these.
fn without(argument: u8, bits: u32) -> Rules {
    rule(argument, SeccompCmpOp::MaskedEq(bits.into()), 0)
}

/// Where they are all of these.
fn with(argument: u8, bits: u32) -> Rules {
    rule(argument, SeccompCmpOp::MaskedEq(bits.into()), bits.into())
}

fn equal(argument: u8, value: u32) -> Rules {
    rule(argument, SeccompCmpOp::Eq, value.into())
}

fn rule(argument: u8, op: SeccompCmpOp, value: u64) -> Rules {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value)?;
    Ok(vec![SeccompRule::new(vec![condition])?])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stdout, reason = "what the confined process found, for who started it")]

    use std::fs::File;
    use std::io::ErrorKind;
    use std::net::{TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;
    use std::process::Command;

    use super::*;

    /// Set in the process that is confined.
    const INSIDE: &str = "WHARFINGER_TEST_CONFINED";
    /// Said where the kernel has it.
    const LANDLOCK: &str = "know Landlock";

    /// What a confined process tries, and whether that was left to it.
    fn tries() -> Vec<(&'static str, bool)> {
        let open = |path: &str| File::open(path).is_ok();
        let parent = rustix::process::getppid().expect("a parent");
        let tcp = TcpStream::connect("127.0.0.1:1");
        vec![
            ("read a name server", open("/etc/resolv.conf")),
            ("read a secret", open("/etc/shadow")),
            ("read its maps", open("/proc/self/maps")),
            ("list a directory", std::fs::read_dir("/").is_ok()),
            ("write a file", File::create("/tmp/wharfinger-guest").is_ok()),
            ("start a program", Command::new("/bin/true").status().is_ok()),
            ("start a thread", std::thread::Builder::new().spawn(|| ()).is_ok()),
            ("make a socket", UdpSocket::bind("127.0.0.1:0").is_ok()),
            ("connect", tcp.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)),
            ("make a local socket", UnixDatagram::unbound().is_ok()),
            ("end its parent", rustix::process::test_kill_process(parent).is_ok()),
            ("take memory", vec![1_u8; 64 << 20].iter().all(|byte| *byte == 1)),
        ]
    }

    /// No test, but what [`left_to`] starts in a process of its own: what is given up there does not come
    /// back.
    #[test]
    fn inside() {
        let Ok(kind) = std::env::var(INSIDE) else { return };
        let http = kind == "http";
        let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        if strict.handle_access(AccessFs::ReadFile).is_ok() {
            println!("done: {LANDLOCK}");
        }
        confine(&Limits::default(), http).expect("confined");
        for (what, done) in tries() {
            if done {
                println!("done: {what}");
            }
        }
        println!("the end");
    }

    fn left_to(http: bool) -> Vec<String> {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "guest::confine::tests::inside", "--nocapture"]);
        command.env(INSIDE, if http { "http" } else { "none" });
        let output = command.output().expect("this program once more");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("the end"), "{said} {}", String::from_utf8_lossy(&output.stderr));
        said.lines().filter_map(|line| line.strip_prefix("done: ")).map(str::to_owned).collect()
    }

    #[test]
    fn nothing_is_left_but_memory_and_time() {
        let mut left = left_to(false);
        left.retain(|left| left != LANDLOCK);
        assert_eq!(left, ["take memory"]);
    }

    /// Without Landlock, a kernel leaves all files to be read to it.
    #[test]
    fn with_http_there_are_sockets_and_what_names_are_looked_up_in() {
        let left = left_to(true);
        let is_left = |what: &str| left.iter().any(|left| left == what);
        for what in ["start a thread", "make a socket", "connect", "take memory"] {
            assert!(is_left(what), "{what}: {left:?}");
        }
        for what in ["write a file", "start a program", "make a local socket", "end its parent"] {
            assert!(!is_left(what), "{what}: {left:?}");
        }
        if is_left(LANDLOCK) {
            assert!(!is_left("read a secret") && !is_left("list a directory"), "{left:?}");
        }
    }
}
