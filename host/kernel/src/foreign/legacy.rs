//! The tables of ip_tables, which iptables had before nf_tables: only its own tool can change
//! them, so that this module runs it, where such tables are in the kernel and nowhere else.
//!
//! Each run has a time limit, and no environment. What is changed together is one run of
//! `iptables-restore`, which changes all or nothing.

use std::ffi::OsStr;
use std::io::{self, Read, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::accept::{ADMIN_COMMENT, CHAIN, COMMENT, ISOLATION};
use super::rule::State;
use super::saved::{Line, Saved};
use super::{Accept, Accepts, ForwardDrop};
use crate::Error;

/// Where the tool may be: never in a place that somebody else chose.
const FOLDERS: [&str; 7] = [
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/run/current-system/sw/bin",
];
/// How long a run may take; the tool itself gives up waiting for its lock a little earlier.
const WITHIN: Duration = Duration::from_secs(10);
const LOCK_WITHIN: &str = "8";
/// Between two looks at whether it has ended.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// How often another run may come in between looking and changing.
const ATTEMPTS: u32 = 5;

/// One of the two families, as iptables keeps them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    /// The calling thread's namespace, not that of the process.
    fn tables(self) -> &'static str {
        match self {
            Self::V4 => "/proc/thread-self/net/ip_tables_names",
            Self::V6 => "/proc/thread-self/net/ip6_tables_names",
        }
    }

    fn takes(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }

    /// Whether the kernel has this table of ip_tables.
    pub(crate) fn has(self, table: &str) -> bool {
        std::fs::read_to_string(self.tables())
            .is_ok_and(|names| names.lines().any(|name| name == table))
    }
}

/// A table of one family, and the tool for it.
#[derive(Debug)]
pub(crate) struct Tool {
    family: Family,
    table: &'static str,
    path: PathBuf,
}

impl Tool {
    /// None where the kernel has no such table, or nobody the tool.
    pub(crate) fn of(family: Family, table: &'static str) -> Result<Option<Self>, Error> {
        if !family.has(table) {
            return Ok(None);
        }
        let named = find(&format!("{}-legacy", family.name()));
        let path = match named {
            Some(path) => Some(path),
            None => unnamed(family)?,
        };
        Ok(path.map(|path| Self { family, table, path }))
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn list(&self) -> Result<Saved, Error> {
        let output = run(&self.path, ["-w", LOCK_WITHIN, "-t", self.table, "-S"], "")?;
        Ok(Saved::parse(&output))
    }

    /// Changes all of this or nothing.
    pub(crate) fn change(&self, lines: &[String]) -> Result<(), Error> {
        let name = self.path.file_name().and_then(OsStr::to_str).unwrap_or(self.family.name());
        let path = self.path.with_file_name(format!("{name}-restore"));
        let text = format!("*{}\n{}\nCOMMIT\n", self.table, lines.join("\n"));
        run(&path, ["-w", LOCK_WITHIN, "--noflush"], &text).map(drop)
    }
}

/// The tool of a system that knows no other than the old back end, and does not say so in its
/// name.
fn unnamed(family: Family) -> Result<Option<PathBuf>, Error> {
    let Some(path) = find(family.name()) else { return Ok(None) };
    let version = run(&path, ["--version"], "")?;
    Ok((!version.contains("nf_tables")).then_some(path))
}

fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// What it prints.
fn run<const N: usize>(path: &Path, arguments: [&str; N], input: &str) -> Result<String, Error> {
    let failed = |source| Error::Refused { operation: "run", object: shown(path), source };
    let output = bounded(path, &arguments, input).map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(io::Error::other(format!("{}: {}", output.status, said.trim()))))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Runs it to its end, or to that of its time.
fn bounded(path: &Path, arguments: &[&str], input: &str) -> io::Result<Output> {
    let mut command = Command::new(path);
    command.args(arguments).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let until = Instant::now() + WITHIN;
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // One that does not read it says why when it ends.
        std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    }
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = ended(&mut child, until)?;
    let rest = || until.saturating_duration_since(Instant::now()).max(FIRST_PAUSE);
    let stdout = stdout.recv_timeout(rest()).unwrap_or_default();
    let stderr = stderr.recv_timeout(rest()).unwrap_or_default();
    Ok(Output { status, stdout, stderr })
}

/// What is read from a pipe, once it has ended.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (whole, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        let _ = whole.send(bytes);
    });
    receiver
}

fn ended(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Makes sure of the accepts where FORWARD drops; answers whether any was not there.
pub(super) fn ensure(wanted: &Accepts<'_>) -> Result<bool, Error> {
    let mut made = false;
    for family in FAMILIES {
        if wanted.addresses.iter().any(|address| family.takes(*address))
            && let Some(tool) = Tool::of(family, "filter")?
        {
            made |= ensure_with(&tool, wanted)?;
        }
    }
    Ok(made)
}

fn ensure_with(tool: &Tool, wanted: &Accepts<'_>) -> Result<bool, Error> {
    let mut attempts = 0;
    loop {
        let lines = lacking(tool.family, &tool.list()?, wanted);
        if lines.is_empty() {
            return Ok(false);
        }
        attempts += 1;
        match tool.change(&lines) {
            Err(_) if attempts < ATTEMPTS => {}
            done => return done.map(|()| true),
        }
    }
}

/// What is to be done for the accepts to be there; nothing where nobody drops.
fn lacking(family: Family, there: &Saved, wanted: &Accepts<'_>) -> Vec<String> {
    if !drops(there) {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for chain in [CHAIN].into_iter().chain(wanted.admin_chain) {
        if !there.has_chain(chain) {
            lines.push(format!("-N {chain}"));
        }
    }
    if let Some(admin) = wanted.admin_chain
        && !there.of(CHAIN).any(|line| line.rule.jumps_to(admin))
    {
        lines.push(format!(r#"-I {CHAIN} -m comment --comment "{ADMIN_COMMENT}" -j {admin}"#));
    }
    let accepts = wanted.all().filter(|accept| family.takes(accept.address));
    let missing = accepts.filter(|a| !there.of(CHAIN).any(|line| line.rule.accepts(*a)));
    lines.extend(missing.map(adding));
    if !there.of("FORWARD").any(|line| line.rule.jumps_to(CHAIN)) {
        let isolation = there.of("FORWARD").position(|line| line.rule.jumps_to(ISOLATION));
        let place = isolation.map_or(1, |before| before + 2);
        lines.push(format!(r#"-I FORWARD {place} -m comment --comment "{COMMENT}" -j {CHAIN}"#));
    }
    lines
}

fn adding(accept: Accept) -> String {
    let Accept { address, is_source, state } = accept;
    let side = if is_source { "-s" } else { "-d" };
    let state = match state {
        State::Any => "",
        State::Answers => " -m conntrack --ctstate RELATED,ESTABLISHED",
        State::Mapped => " -m conntrack --ctstate DNAT",
    };
    format!("-A {CHAIN} {side} {address}{state} -j ACCEPT")
}

fn drops(there: &Saved) -> bool {
    let by_policy =
        there.policies.iter().any(|(chain, policy)| chain == "FORWARD" && policy == "DROP");
    by_policy || there.of("FORWARD").any(|line| line.rule.drops_all())
}

/// Removes the accepts.
pub(super) fn remove(wanted: &Accepts<'_>) -> Result<(), Error> {
    for family in FAMILIES {
        if !wanted.addresses.iter().any(|address| family.takes(*address)) {
            continue;
        }
        let Some(tool) = Tool::of(family, "filter")? else { continue };
        delete(&tool, |there| accepts_of(there, wanted))?;
    }
    Ok(())
}

/// The rules that are these accepts.
fn accepts_of<'a>(there: &'a Saved, wanted: &Accepts<'_>) -> Vec<&'a Line> {
    let is_about = |line: &&Line| wanted.all().any(|accept| line.rule.accepts(accept));
    there.of(CHAIN).filter(is_about).collect()
}

fn delete(tool: &Tool, choose: impl Fn(&Saved) -> Vec<&Line>) -> Result<(), Error> {
    let mut attempts = 0;
    loop {
        let there = tool.list()?;
        let lines: Vec<String> = choose(&there).into_iter().map(deleting).collect();
        if lines.is_empty() {
            return Ok(());
        }
        attempts += 1;
        match tool.change(&lines) {
            Err(_) if attempts < ATTEMPTS => {}
            done => return done,
        }
    }
}

/// How a rule is deleted: by its own words.
pub(crate) fn deleting(line: &Line) -> String {
    format!("-D {} {}", line.chain, line.words)
}

/// Where FORWARD drops and lacks an accept, in words.
pub(super) fn differences(wanted: &Accepts<'_>) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for family in FAMILIES {
        let Some(tool) = Tool::of(family, "filter")? else { continue };
        let lines = lacking(family, &tool.list()?, wanted);
        let lines: Vec<_> = lines.iter().filter(|line| line.contains(CHAIN)).cloned().collect();
        if !lines.is_empty() && wanted.addresses.iter().any(|address| family.takes(*address)) {
            let name = family.name();
            all.push(format!("chain FORWARD of {name}-legacy lacks {}", lines.join(", ")));
        }
    }
    Ok(all)
}

/// For people: FORWARD where it drops, or that nobody can look.
pub(super) fn drops_shown() -> Result<Vec<ForwardDrop>, Error> {
    let mut all = Vec::new();
    for family in FAMILIES.into_iter().filter(|family| family.has("filter")) {
        let how = match Tool::of(family, "filter")? {
            Some(tool) => drops(&tool.list()?).then_some("policy drop, or a rule that drops all"),
            None => Some("perhaps: there is no tool to look with"),
        };
        all.extend(how.map(|how| ForwardDrop {
            family: format!("{}-legacy", family.name()),
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
            priority: 0,
            drops: how.to_owned(),
        }));
    }
    Ok(all)
}
