//! Which process runs for a call, noted for whoever comes after a caller that was killed.
//!
//! An executable outlives its caller. What it then takes, after the DEL of the attachment has asked it
//! to give back, would be nobody's: so whoever makes the same call next ends it first. It is noted before
//! it is given its configuration, without which it can do nothing for the attachment.

use std::fs;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process::Child;

use rustix::process::Pid;

use crate::locked::Locked;
use crate::talk;

/// How often a note is looked for that somebody takes away at that moment.
const TRIES: usize = 3;

/// The note of a call, locked as long as its caller lives, and gone with this.
pub(crate) struct Running {
    note: Locked,
}

impl Running {
    /// Begins a call: ends what is left of the one before whose caller was killed. None where that
    /// one lives, and ends it himself.
    pub(crate) fn begin(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..TRIES {
            if let Some(mut note) = Locked::try_take(path)? {
                let mut text = String::new();
                note.file.read_to_string(&mut text)?;
                Process::parse(&text).map_or(Ok(()), |left| left.end())?;
                return Ok(Some(Self { note }));
            }
        }
        Ok(None)
    }

    /// This is the process that runs.
    pub(crate) fn note(&mut self, child: &Child) -> io::Result<()> {
        let process = Process::of(Pid::from_child(child))?;
        self.note.file.set_len(0)?;
        self.note.file.rewind()?;
        self.note.file.write_all(process.text().as_bytes())
    }
}

/// A process that leads its group, told from a later one of its number by when it began.
struct Process {
    pid: Pid,
    /// In ticks since the boot.
    began: u64,
}

impl Process {
    fn of(pid: Pid) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()))?;
        let began = began(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { pid, began })
    }

    fn parse(text: &str) -> Option<Self> {
        let (pid, began) = text.trim().split_once(' ')?;
        Some(Self { pid: Pid::from_raw(pid.parse().ok()?)?, began: began.parse().ok()? })
    }

    fn text(&self) -> String {
        format!("{} {}\n", self.pid.as_raw_pid(), self.began)
    }

    /// Ends it, and what it started, where it is still there. What it started and went on without it is left,
    /// as after any call.
    fn end(&self) -> io::Result<()> {
        let here = Self::of(self.pid).is_ok_and(|now| now.began == self.began);
        if !here || talk::end(self.pid) {
            return Ok(());
        }
        let what = format!("process {} was killed, and does not end", self.pid.as_raw_pid());
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

/// proc_pid_stat(5): the 22nd field; the second, in parentheses, may have any letters.
fn began(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::Command;

    use super::*;

    fn sleeping() -> Child {
        Command::new("sleep").arg("1000").process_group(0).spawn().unwrap()
    }

    /// What a caller leaves who is killed while the child runs.
    fn left(path: &Path, child: &Child) {
        let mut running = Running::begin(path).unwrap().unwrap();
        running.note(child).unwrap();
        running.note.file.unlock().unwrap();
        std::mem::forget(running);
    }

    #[test]
    fn what_a_killed_caller_left_running_is_ended_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/call");
        let mut child = sleeping();
        left(&path, &child);
        let next = Running::begin(&path).unwrap();
        assert!(next.is_some());
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(next);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_living_caller_runs_is_his() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("call");
        let mut child = sleeping();
        let mut running = Running::begin(&path).unwrap().unwrap();
        running.note(&child).unwrap();
        assert!(Running::begin(&path).unwrap().is_none());
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn another_process_of_the_number_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("call");
        let mut child = sleeping();
        let process = Process::of(Pid::from_child(&child)).unwrap();
        let later = Process { began: process.began - 1, ..process };
        for note in [later.text(), String::new(), "no number\n".to_owned()] {
            fs::write(&path, note).unwrap();
            assert!(Running::begin(&path).unwrap().is_some());
            assert_eq!(child.try_wait().unwrap(), None);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_name_says_nothing_of_when_a_process_began() {
        let stat = "7 (a) b (1 2) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        assert_eq!(began(stat), Some(4711));
        assert_eq!(began("7"), None);
    }
}
