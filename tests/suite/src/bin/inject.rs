//! Runs a program and does something to it at its Nth system call that changes anything, counted
//! over all its threads: kills it, stops it, or makes the call fail.
//!
//! `strace --inject=...:when=N` counts for each thread by itself, so that what a second thread
//! does can be out of its reach; this tool counts once for all.
//!
//!     inject list REPORT -- PROGRAM ...         writes the names of those calls, a line each
//!     inject kill N REPORT -- PROGRAM ...
//!     inject stop N REPORT -- PROGRAM ...       stops it for as long as this tool lives
//!     inject ENOSPC N REPORT -- PROGRAM ...     the Nth fails (files only); also EIO
//!     inject ENOSPC+ N REPORT -- PROGRAM ...    the Nth and all later ones
//!     inject skew N REPORT -- PROGRAM ...       its clock is wrong by N seconds, at all times
//!
//! Of clocks `CLOCK_REALTIME` is meant: a time namespace does not change it, and a preloaded library
//! does nothing to a static executable. So the program is not told where the kernel's clock is
//! mapped, asks by the system call, and the answer is changed.
//!
//! REPORT gets the name of each call that was hit. The exit status is the program's own, or 128
//! and the signal that ended it.
#![allow(clippy::print_stderr, reason = "a tool of the tests")]

#[cfg(target_arch = "x86_64")]
mod tracer {
    use std::collections::HashSet;
    use std::io::Write as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, ExitCode};

    use anyhow::{Context as _, Result, bail};
    use nix::errno::Errno;
    use nix::sys::ptrace::{self, AddressType, Options};
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    /// What to do.
    enum Deed {
        List,
        Kill,
        Stop,
        Fail { errno: Errno, on: bool },
        Skew { seconds: i64 },
    }

    /// Stops itself, once, while its parent lives; then it is the program.
    const STOPPED: &str = r#"[ "$PPID" = "$0" ] || exit; kill -STOP $$; exec "$@""#;

    /// Of the program's memory.
    const WORD: u64 = 8;

    struct Tracer {
        deed: Deed,
        at: usize,
        report: std::fs::File,
        /// Calls counted so far.
        seen: usize,
        /// Threads that are inside a call.
        inside: HashSet<Pid>,
        /// Threads whose call is being made to fail.
        failing: HashSet<Pid>,
        /// The program itself runs by now, not the shell that waited for us.
        started: bool,
    }

    /// Arguments: see the module.
    pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
        let split = args.iter().position(|arg| arg == "--").context("no `--`")?;
        let (mine, program) = (&args[..split], &args[split + 1..]);
        let (deed, at, report) = match mine {
            [deed, report] if deed == "list" => (Deed::List, 0, report),
            [deed, seconds, report] if deed == "skew" => {
                (Deed::Skew { seconds: seconds.parse().context("N")? }, 0, report)
            }
            [deed, at, report] => (parse(deed)?, at.parse().context("N")?, report),
            _ => bail!("inject DEED [N] REPORT -- PROGRAM ..."),
        };
        let report = std::fs::File::create(report).context("the report")?;
        let (inside, failing) = (HashSet::new(), HashSet::new());
        Tracer { deed, at, report, seen: 0, inside, failing, started: false }.trace(program)
    }

    fn parse(deed: &str) -> Result<Deed> {
        let name = deed.trim_end_matches('+');
        let errno = match name {
            "kill" => return Ok(Deed::Kill),
            "stop" => return Ok(Deed::Stop),
            "ENOSPC" => Errno::ENOSPC,
            "EIO" => Errno::EIO,
            _ => bail!("no deed {deed:?}"),
        };
        Ok(Deed::Fail { errno, on: deed.ends_with('+') })
    }

    impl Tracer {
        fn trace(mut self, program: &[String]) -> Result<ExitCode> {
            // Where we are killed before we trace it, nobody is left stopped.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "sh", "-c", STOPPED]);
            command.arg(std::process::id().to_string()).args(program);
            let child = command.process_group(0).spawn().context("sh")?;
            let root = Pid::from_raw(i32::try_from(child.id())?);
            waitpid(root, Some(WaitPidFlag::WUNTRACED)).context("wait for the stopped shell")?;
            let options = Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACECLONE
                | Options::PTRACE_O_TRACEFORK
                | Options::PTRACE_O_TRACEVFORK
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_EXITKILL;
            ptrace::seize(root, options).context("seize")?;
            kill(root, Signal::SIGCONT).context("continue")?;
            loop {
                let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                    Ok(status) => status,
                    Err(Errno::EINTR) => continue,
                    Err(errno) => bail!("wait: {errno}"),
                };
                if let Some(code) = self.step(status, root)? {
                    return Ok(ExitCode::from(code));
                }
            }
        }

        /// One event; the exit status once the program ended.
        fn step(&mut self, status: WaitStatus, root: Pid) -> Result<Option<u8>> {
            let (pid, signal) = match status {
                WaitStatus::Exited(pid, code) if pid == root => {
                    return Ok(Some(u8::try_from(code & 0xff)?));
                }
                WaitStatus::Signaled(pid, signal, _) if pid == root => {
                    return Ok(Some(128 + u8::try_from(signal as i32)?));
                }
                WaitStatus::PtraceSyscall(pid) => {
                    if !self.syscall(pid)? {
                        return Ok(None);
                    }
                    (pid, None)
                }
                WaitStatus::PtraceEvent(pid, _, event) => {
                    if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 {
                        self.started = true;
                        if matches!(self.deed, Deed::Skew { .. }) {
                            hide_the_clock(pid)?;
                        }
                    }
                    (pid, None)
                }
                WaitStatus::Stopped(pid, Signal::SIGTRAP | Signal::SIGSTOP) => (pid, None),
                WaitStatus::Stopped(pid, signal) => (pid, Some(signal)),
                _ => return Ok(None),
            };
            // It may have been killed meanwhile.
            let _ = ptrace::syscall(pid, signal);
            Ok(None)
        }

        /// At the entry to, or the return from, a call; false where it must not go on.
        fn syscall(&mut self, pid: Pid) -> Result<bool> {
            if self.inside.remove(&pid) {
                if self.failing.remove(&pid)
                    && let Deed::Fail { errno, .. } = &self.deed
                {
                    let mut registers = ptrace::getregs(pid)?;
                    registers.rax = (-(*errno as i64)).cast_unsigned();
                    ptrace::setregs(pid, registers)?;
                }
                if let Deed::Skew { seconds } = self.deed {
                    // It may have been killed meanwhile.
                    let _ = skew(pid, seconds);
                }
                return Ok(true);
            }
            self.inside.insert(pid);
            if matches!(self.deed, Deed::Skew { .. }) {
                return Ok(true);
            }
            let Ok(registers) = ptrace::getregs(pid) else { return Ok(true) };
            let files_only = matches!(self.deed, Deed::Fail { .. });
            let Some(name) = super::changing(&registers, files_only) else { return Ok(true) };
            if !self.started {
                return Ok(true);
            }
            self.seen += 1;
            self.deed(pid, name, registers)
        }

        fn deed(
            &mut self,
            pid: Pid,
            name: &str,
            registers: libc::user_regs_struct,
        ) -> Result<bool> {
            let (here, later) = (self.seen == self.at, self.seen >= self.at);
            match &self.deed {
                Deed::List => writeln!(self.report, "{name}")?,
                Deed::Kill if here => {
                    writeln!(self.report, "{name}")?;
                    kill(pid, Signal::SIGKILL)?;
                }
                Deed::Stop if here => {
                    writeln!(self.report, "{name}")?;
                    return Ok(false);
                }
                Deed::Fail { on, .. } if here || *on && later => {
                    writeln!(self.report, "{name}")?;
                    // No such call: the kernel does nothing, and the return is ours to write.
                    ptrace::setregs(
                        pid,
                        libc::user_regs_struct { orig_rax: u64::MAX, ..registers },
                    )?;
                    self.failing.insert(pid);
                }
                _ => {}
            }
            Ok(true)
        }
    }

    /// At the return from a call: where it was for the time, that is changed.
    fn skew(pid: Pid, seconds: i64) -> Result<()> {
        let registers = ptrace::getregs(pid)?;
        let asked = i64::try_from(registers.orig_rax).ok() == Some(libc::SYS_clock_gettime)
            && i32::try_from(registers.rdi).ok() == Some(libc::CLOCK_REALTIME);
        if asked && registers.rax == 0 {
            let at = registers.rsi as AddressType;
            ptrace::write(pid, at, ptrace::read(pid, at)? + seconds)?;
        }
        Ok(())
    }

    /// Of what the kernel tells a new program, above its arguments and its environment, one entry is
    /// made void: where the code is that reads the clock without a call.
    fn hide_the_clock(pid: Pid) -> Result<()> {
        let word = |at: u64| ptrace::read(pid, at as AddressType);
        let mut at = ptrace::getregs(pid)?.rsp + WORD;
        for _ in ["arguments", "environment"] {
            while word(at)? != 0 {
                at += WORD;
            }
            at += WORD;
        }
        loop {
            match word(at)?.cast_unsigned() {
                libc::AT_NULL => return Ok(()),
                libc::AT_SYSINFO_EHDR => {
                    let ignored = libc::AT_IGNORE.cast_signed();
                    ptrace::write(pid, at as AddressType, ignored)?;
                }
                _ => {}
            }
            at += 2 * WORD;
        }
    }
}

/// The name of the call that a thread enters, if it changes anything: files, directories,
/// what other processes see, the kernel's network. With `files_only` those that a full or
/// broken disk makes fail.
#[cfg(target_arch = "x86_64")]
fn changing(registers: &libc::user_regs_struct, files_only: bool) -> Option<&'static str> {
    let creates =
        |flags: u64| flags & u64::from((libc::O_CREAT | libc::O_TRUNC).unsigned_abs()) != 0;
    let number = i64::try_from(registers.orig_rax).ok()?;
    let file = match number {
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
        _ => "",
    };
    if !file.is_empty() {
        return Some(file);
    }
    if files_only {
        return None;
    }
    match number {
        libc::SYS_unlink => Some("unlink"),
        libc::SYS_unlinkat => Some("unlinkat"),
        libc::SYS_rmdir => Some("rmdir"),
        libc::SYS_chmod => Some("chmod"),
        libc::SYS_fchmod => Some("fchmod"),
        libc::SYS_fchmodat => Some("fchmodat"),
        libc::SYS_sendto => Some("sendto"),
        libc::SYS_sendmsg => Some("sendmsg"),
        libc::SYS_sendmmsg => Some("sendmmsg"),
        libc::SYS_ioctl => Some("ioctl"),
        libc::SYS_mount => Some("mount"),
        libc::SYS_flock => Some("flock"),
        _ => None,
    }
}

fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(target_arch = "x86_64")]
    let outcome = tracer::run(&args);
    #[cfg(not(target_arch = "x86_64"))]
    let outcome: anyhow::Result<std::process::ExitCode> =
        Err(anyhow::anyhow!("x86-64 only: {args:?}"));
    outcome.unwrap_or_else(|error| {
        eprintln!("inject: {error:#}");
        std::process::ExitCode::from(125)
    })
}
