//! One call as a runtime makes it: from before the start of the process to after its end is known.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use serde_json::Value;

/// A call to be made many times.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// The file that is its stdin.
    pub stdin: PathBuf,
}

/// How long it took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    /// By the clock.
    pub wall: Duration,
    /// User and system time of the process and all that it waited for.
    pub cpu: Duration,
}

impl Took {
    /// One after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// How long some work takes, and all of the processes that it waits for.
pub(crate) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Took)> {
    let before = children()?;
    let start = Instant::now();
    let value = work()?;
    let wall = start.elapsed();
    Ok((value, Took { wall, cpu: children()?.saturating_sub(before) }))
}

impl Call {
    /// Starts it.
    pub(crate) fn start(&self) -> Result<Child> {
        let stdin = File::open(&self.stdin).with_context(|| self.stdin.display().to_string())?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear();
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command.spawn().with_context(|| self.program.display().to_string())
    }

    /// Makes it. Its result, and how long it took.
    pub(crate) fn time(&self) -> Result<(Value, Took)> {
        let before = children()?;
        let start = Instant::now();
        let mut child = self.start()?;
        let status = child.wait()?;
        let wall = start.elapsed();
        let cpu = children()?.saturating_sub(before);
        Ok((answer(&self.program, &mut child, status.success())?, Took { wall, cpu }))
    }
}

/// Makes all of them at once: when each was done, and when all were.
pub(crate) fn at_once(calls: &[Call]) -> Result<(Vec<Value>, Took)> {
    let before = children()?;
    let start = Instant::now();
    let mut started = Vec::new();
    for call in calls {
        started.push((&call.program, call.start()?));
    }
    let mut ended = Vec::new();
    for (program, mut child) in started {
        let status = child.wait()?;
        ended.push((program, child, status));
    }
    let wall = start.elapsed();
    let cpu = children()?.saturating_sub(before);
    let answers = ended
        .into_iter()
        .map(|(program, mut child, status)| answer(program, &mut child, status.success()))
        .collect::<Result<_>>()?;
    Ok((answers, Took { wall, cpu }))
}

fn answer(program: &Path, child: &mut Child, succeeded: bool) -> Result<Value> {
    let mut text = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut text)?;
    }
    if !succeeded {
        bail!("{}: {text}", program.display());
    }
    Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// The time of all children that were waited for.
fn children() -> Result<Duration> {
    let usage: Usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("getrusage")?;
    let (user, system) = (usage.user_time(), usage.system_time());
    let micros = |time: nix::sys::time::TimeVal| {
        let total = time.tv_sec() * 1_000_000 + time.tv_usec();
        Duration::from_micros(u64::try_from(total).unwrap_or(0))
    };
    Ok(micros(user) + micros(system))
}
