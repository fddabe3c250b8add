//! Talking with a child process: configuration in, stdout and stderr out, until it ends or its
//! time is over.
//!
//! One loop over `poll`, without threads: what the child leaves running can hold its pipes open as
//! long as it likes, and nothing here waits for that.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How much of what it said is kept for an error, in bytes.
pub(crate) const TAIL: usize = 2048;

/// How much of a stream is taken in one turn, so that none keeps the loop from the others.
const TURN: usize = 64 * 1024;

/// How long a killed process may take to be gone.
const KILLED: Duration = Duration::from_secs(1);

/// When to give up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The deadline.
    pub(crate) until: Instant,
    /// Bytes of stdout.
    pub(crate) stdout: usize,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// By itself.
    Ended(ExitStatus, Said),
    /// Killed at the deadline.
    TooLate(Said),
    /// Killed for the length of its stdout.
    TooLong(Said),
}

/// What it said: all of stdout, and the end of stderr.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Gives `input` to the child, and takes what it says until it ends. `forward` gets its stderr.
pub(crate) fn talk(
    mut child: Child,
    input: &[u8],
    limits: Limits,
    forward: &dyn Fn(&[u8]),
) -> io::Result<Outcome> {
    let outcome = Talk::new(&mut child, input, limits, forward).and_then(|mut talk| talk.run());
    match outcome {
        Ok(End::Exited(said)) => Ok(Outcome::Ended(child.wait()?, said)),
        Ok(End::TooLate(said)) => {
            kill(&mut child);
            Ok(Outcome::TooLate(said))
        }
        Ok(End::TooLong(said)) => {
            kill(&mut child);
            Ok(Outcome::TooLong(said))
        }
        Err(error) => {
            kill(&mut child);
            Err(error)
        }
    }
}

enum End {
    Exited(Said),
    TooLate(Said),
    TooLong(Said),
}

struct Talk<'a> {
    exit: OwnedFd,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    input: &'a [u8],
    limits: Limits,
    forward: &'a dyn Fn(&[u8]),
    said: Said,
}

/// What the loop waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Exit,
    Stdin,
    Stdout,
    Stderr,
}

impl<'a> Talk<'a> {
    fn new(
        child: &mut Child,
        input: &'a [u8],
        limits: Limits,
        forward: &'a dyn Fn(&[u8]),
    ) -> io::Result<Self> {
        let exit = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        stdin.as_ref().map_or(Ok(()), |pipe| ioctl_fionbio(pipe, true))?;
        stdout.as_ref().map_or(Ok(()), |pipe| ioctl_fionbio(pipe, true))?;
        stderr.as_ref().map_or(Ok(()), |pipe| ioctl_fionbio(pipe, true))?;
        Ok(Self { exit, stdin, stdout, stderr, input, limits, forward, said: Said::default() })
    }

    fn run(&mut self) -> io::Result<End> {
        loop {
            let Some(ready) = self.wait()? else {
                return Ok(End::TooLate(std::mem::take(&mut self.said)));
            };
            let exited = ready.contains(&Event::Exit);
            if ready.contains(&Event::Stdin) {
                self.feed();
            }
            // What a child wrote before it ended is in the pipes when its end shows.
            if exited || ready.contains(&Event::Stdout) {
                self.hear()?;
            }
            if exited || ready.contains(&Event::Stderr) {
                self.hear_stderr()?;
            }
            if self.said.stdout.len() > self.limits.stdout {
                return Ok(End::TooLong(std::mem::take(&mut self.said)));
            }
            if exited {
                return Ok(End::Exited(std::mem::take(&mut self.said)));
            }
        }
    }

    /// What is ready; none of it at the deadline.
    fn wait(&self) -> io::Result<Option<Vec<Event>>> {
        let left = self.limits.until.saturating_duration_since(Instant::now());
        let mut events = vec![Event::Exit];
        let mut wanted = vec![PollFd::new(&self.exit, PollFlags::IN)];
        if let Some(pipe) = &self.stdin {
            wanted.push(PollFd::new(pipe, PollFlags::OUT));
            events.push(Event::Stdin);
        }
        if let Some(pipe) = &self.stdout {
            wanted.push(PollFd::new(pipe, PollFlags::IN));
            events.push(Event::Stdout);
        }
        if let Some(pipe) = &self.stderr {
            wanted.push(PollFd::new(pipe, PollFlags::IN));
            events.push(Event::Stderr);
        }
        if left.is_zero() || poll_for(&mut wanted, left)? == 0 {
            return Ok(None);
        }
        let ready = events.into_iter().zip(&wanted).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(Some(ready.map(|(event, _)| event).collect()))
    }

    /// A child that does not want its configuration is free not to read it.
    fn feed(&mut self) {
        let Some(pipe) = &mut self.stdin else { return };
        match pipe.write(self.input) {
            Ok(written) => self.input = self.input.get(written..).unwrap_or_default(),
            Err(error) if again(&error) => return,
            Err(_) => self.input = &[],
        }
        if self.input.is_empty() {
            self.stdin = None;
        }
    }

    fn hear(&mut self) -> io::Result<()> {
        let room = (self.limits.stdout + 1).saturating_sub(self.said.stdout.len());
        let open = take(self.stdout.as_mut(), room, &mut self.said.stdout)?;
        if !open {
            self.stdout = None;
        }
        Ok(())
    }

    fn hear_stderr(&mut self) -> io::Result<()> {
        let mut heard = Vec::new();
        let open = take(self.stderr.as_mut(), TURN, &mut heard)?;
        if !open {
            self.stderr = None;
        }
        if !heard.is_empty() {
            (self.forward)(&heard);
        }
        let kept = &mut self.said.stderr;
        kept.extend_from_slice(&heard);
        kept.drain(..kept.len().saturating_sub(TAIL));
        Ok(())
    }
}

/// Takes what is there, at most `room` bytes; false at the end of the stream.
fn take(pipe: Option<&mut impl Read>, room: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    let Some(pipe) = pipe else { return Ok(false) };
    let limit = u64::try_from(room).unwrap_or(u64::MAX);
    let before = into.len();
    match pipe.take(limit).read_to_end(into) {
        // Fewer bytes than asked for, and no error: the end.
        Ok(_) => Ok(into.len() - before == room),
        Err(error) if again(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

fn again(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// How many are ready within the time; a signal in between counts as one.
fn poll_for(wanted: &mut [PollFd<'_>], left: Duration) -> io::Result<usize> {
    let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
    match poll(wanted, Some(&left)) {
        Err(Errno::INTR) => Ok(1),
        other => Ok(other?),
    }
}

/// Ends the child and what it started, and takes its status if it is gone soon. One that the
/// kernel keeps is left to `init`, which reaps it after us.
pub(crate) fn kill(child: &mut Child) {
    if end(Pid::from_child(child)) {
        let _ = child.try_wait();
    }
}

/// Ends a group of processes; whether the first of them is gone soon.
pub(crate) fn end(leader: Pid) -> bool {
    let exit = pidfd_open(leader, PidfdFlags::empty());
    let _ = kill_process_group(leader, Signal::KILL);
    let Ok(exit) = exit else { return true };
    let mut wanted = [PollFd::from_borrowed_fd(exit.as_fd(), PollFlags::IN)];
    poll_for(&mut wanted, KILLED).is_ok_and(|ready| ready > 0)
}
