//! Which process runs for a call, noted for whoever comes after a caller that was killed.
//!
//! An executable outlives its caller. What it then takes, after the DEL of the attachment has asked it
//! to give back, would be nobody's: so whoever makes the same call next ends it first. It waits for
//! its configuration until it was noted, and so does nothing before that.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::process::Pid;

use crate::talk;

/// The note of a call, locked as long as its caller lives, and gone with this.
pub(crate) struct Running {
    path: PathBuf,
    file: File,
}

impl Running {
    /// Begins a call: ends what is left of the one before whose caller was killed. None where that
    /// one lives, and ends it himself.
    pub(crate) fn begin(path: &Path) -> io::Result<Option<Self>> {
        Self::opened(path).map_err(|error| about(path, &error))
    }

    fn opened(path: &Path) -> io::Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Process::parse(&text).map_or(Ok(()), |left| left.end())?;
        Ok(Some(Self { path: path.to_owned(), file }))
    }

    /// This is the process that runs.
    pub(crate) fn note(&mut self, child: &Child) -> io::Result<()> {
        let noted = Process::of(Pid::from_child(child)).and_then(|process| {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(process.text().as_bytes())
        });
        noted.map_err(|error| about(&self.path, &error))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
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

    /// Ends it, and what it started, where it is still there.
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
        running.file.unlock().unwrap();
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
