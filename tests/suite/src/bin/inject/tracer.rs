//! Follows a program from call to call, and does what is to be done at one of them.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use libc::user_regs_struct as Registers;
use nix::errno::Errno;
use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::calls::{self, Kind};

/// What to do.
enum Deed {
    List,
    Kill,
    Stop,
    Run { command: String },
    Fail { errno: Errno },
    Refuse,
    Skew { seconds: i64 },
}

/// Stops itself, once, while its parent lives; then it is the program.
const STOPPED: &str = r#"[ "$PPID" = "$0" ] || exit; kill -STOP $$; exec "$@""#;

/// Of the program's memory.
const WORD: u64 = 8;

struct Tracer {
    deed: Deed,
    /// Which calls are counted.
    kind: Kind,
    at: usize,
    /// Also all later ones.
    on: bool,
    report: std::fs::File,
    /// Calls counted so far.
    seen: usize,
    /// Threads that are inside a call.
    inside: HashSet<Pid>,
    /// Threads whose call is being made to fail.
    failing: HashSet<Pid>,
    /// Threads whose request is being refused: where in memory it is, and how it begins.
    refused: HashMap<Pid, (u64, i64)>,
    /// The program itself runs by now, not the shell that waited for us.
    started: bool,
}

/// Arguments: see the module above.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let split = args.iter().position(|arg| arg == "--").context("no `--`")?;
    let (mine, program) = (&args[..split], &args[split + 1..]);
    let [deed, at, report] = mine else { bail!("inject DEED N REPORT -- PROGRAM ...") };
    let at = at.parse().context("N")?;
    let (kind, deed, on) = parse(deed)?;
    let report = std::fs::File::create(report).context("the report")?;
    let (inside, failing, refused) = (HashSet::new(), HashSet::new(), HashMap::new());
    let seen = 0;
    let tracer =
        Tracer { deed, kind, at, on, report, seen, inside, failing, refused, started: false };
    tracer.trace(program)
}

fn parse(deed: &str) -> Result<(Kind, Deed, bool)> {
    let name = deed.strip_suffix('+').unwrap_or(deed);
    let fail = |errno| Deed::Fail { errno };
    let (kind, what) = match name.split_once(':').unwrap_or((name, "")) {
        ("list", "") => (Kind::Changes, Deed::List),
        ("list", of) => (parse(of)?.0, Deed::List),
        ("run", command) => (Kind::Changes, Deed::Run { command: command.to_owned() }),
        ("skew", by) => (Kind::Changes, Deed::Skew { seconds: by.parse().context("SECONDS")? }),
        ("kill", _) => (Kind::Changes, Deed::Kill),
        ("stop", _) => (Kind::Changes, Deed::Stop),
        ("ENOSPC", _) => (Kind::Files, fail(Errno::ENOSPC)),
        ("EIO", _) => (Kind::Files, fail(Errno::EIO)),
        ("EMFILE", _) => (Kind::Descriptors, fail(Errno::EMFILE)),
        ("ENOMEM", _) => (Kind::Memory, fail(Errno::ENOMEM)),
        ("ENOPROTOOPT", _) => (Kind::Cookies, fail(Errno::ENOPROTOOPT)),
        ("refuse", _) => (Kind::Netlink, Deed::Refuse),
        _ => bail!("no deed {deed:?}"),
    };
    Ok((kind, what, deed.ends_with('+')))
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
            // It may have been killed meanwhile.
            let _ = self.returns(pid);
            return Ok(true);
        }
        self.inside.insert(pid);
        let Ok(registers) = ptrace::getregs(pid) else { return Ok(true) };
        if !self.started {
            return Ok(true);
        }
        let Some(name) = self.kind.of(pid, &registers) else { return Ok(true) };
        self.seen += 1;
        let here = self.seen == self.at || self.on && self.seen > self.at;
        if here || matches!(self.deed, Deed::List) {
            let (program, object) = (calls::program(pid), calls::object(pid, name, &registers));
            writeln!(self.report, "{name} {program} {object}")?;
        }
        if here { self.deed(pid, registers) } else { Ok(true) }
    }

    fn returns(&mut self, pid: Pid) -> Result<()> {
        if self.failing.remove(&pid)
            && let Deed::Fail { errno } = &self.deed
        {
            let mut registers = ptrace::getregs(pid)?;
            registers.rax = (-(*errno as i64)).cast_unsigned();
            ptrace::setregs(pid, registers)?;
        }
        if let Some((at, header)) = self.refused.remove(&pid) {
            ptrace::write(pid, at as AddressType, header)?;
        }
        match self.deed {
            Deed::Skew { seconds } if self.seen >= self.at => skew(pid, seconds),
            _ => Ok(()),
        }
    }

    /// False where it must not go on.
    fn deed(&mut self, pid: Pid, registers: Registers) -> Result<bool> {
        match &self.deed {
            Deed::List | Deed::Skew { .. } => {}
            Deed::Kill => kill(pid, Signal::SIGKILL)?,
            Deed::Stop => return Ok(false),
            Deed::Run { command } => {
                let status = Command::new("sh").args(["-c", command]).status().context("sh")?;
                if !status.success() {
                    bail!("{command}: {status}");
                }
            }
            Deed::Fail { .. } => {
                // No such call: the kernel does nothing, and the return is ours to write.
                ptrace::setregs(pid, Registers { orig_rax: u64::MAX, ..registers })?;
                self.failing.insert(pid);
            }
            Deed::Refuse => {
                let at = registers.rsi;
                let header = ptrace::read(pid, at as AddressType)?;
                let unknown = calls::unknown(header.cast_unsigned()).cast_signed();
                ptrace::write(pid, at as AddressType, unknown)?;
                self.refused.insert(pid, (at, header));
            }
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
