//! The book's files by their paths: which file stands at a path, the lock under which one is put
//! there or moved away, names for what is set aside. Knows no SQL.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fail;
use crate::Error;

/// What SQLite keeps beside a database of this path.
pub(super) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How long one looks away from a lock that another holds.
const NAP: Duration = Duration::from_millis(1);
/// So often its length is doubled: a crowd that waits must not keep the machine busy with it.
const DOUBLED: u32 = 3;

/// One file, whatever its path: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Of the file at the path; none where there is none.
    pub(super) fn at(path: &Path) -> Result<Option<Self>, Error> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Self { device: meta.dev(), inode: meta.ino() })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fail::io(path, "look at the file")(error)),
        }
    }
}

/// A path with something put after it.
pub(super) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes the directories above the path, for their owner alone.
pub(super) fn make_parent(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else { return Ok(()) };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(fail::io(parent, "make the directory"))
}

/// Opens the file, for its owner alone; it is made where it is missing.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(fail::io(path, "open"))
}

/// Removes the file where it is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(fail::io(path, "remove the file")(error))
        }
        _ => Ok(()),
    }
}

/// Moves the database, and what SQLite keeps beside it, out of the way. The database goes first:
/// what is left of it, should we be killed half-way, is no database.
pub(super) fn set_aside(path: &Path) -> Result<PathBuf, Error> {
    let mut number = 1_u32;
    let mut aside = with(path, ".damaged-1");
    while FileId::at(&aside)?.is_some() || FileId::at(&with(&aside, "-wal"))?.is_some() {
        number = number.saturating_add(1);
        aside = with(path, &format!(".damaged-{number}"));
    }
    rename(path, &aside)?;
    for suffix in BESIDE {
        rename(&with(path, suffix), &with(&aside, suffix))?;
    }
    Ok(aside)
}

/// Renames a file; that it is not there is no failure.
fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(fail::io(from, "move the file away")(error))
        }
        _ => Ok(()),
    }
}

/// What a lock keeps others from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Putting a file there or moving it away.
    Shared,
    /// Opening it, too.
    Exclusive,
}

/// The lock beside the database, held until this is dropped. No call of the book is made under
/// it: only opening, beginning and setting aside.
#[derive(Debug)]
pub(super) struct Guard {
    _file: File,
}

impl Guard {
    /// Waits for the lock, so long at most. The directory must be there.
    pub(super) fn take(path: &Path, hold: Hold, wait: Duration) -> Result<Self, Error> {
        let lock = with(path, ".lock");
        let late = || fail::unavailable(&lock, format!("lock: another holds it for {wait:?}"));
        Self::within(&lock, hold, wait)?.ok_or_else(late)
    }

    /// Likewise, of this very path; none where others hold it for so long.
    pub(super) fn within(lock: &Path, hold: Hold, wait: Duration) -> Result<Option<Self>, Error> {
        let mut left = wait;
        for turn in 0_u32.. {
            let nap = NAP.saturating_mul(1 << turn.min(DOUBLED));
            let file = open(lock)?;
            let locked = match hold {
                Hold::Shared => file.try_lock_shared(),
                Hold::Exclusive => file.try_lock(),
            };
            match locked {
                Ok(()) if is_at(&file, lock)? => return Ok(Some(Self { _file: file })),
                // It was deleted meanwhile: ours keeps nobody out.
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(fail::io(lock, "lock")(error)),
                Err(TryLockError::WouldBlock) => match left.checked_sub(nap) {
                    Some(rest) => left = rest,
                    None => return Ok(None),
                },
            }
            std::thread::sleep(nap);
        }
        Ok(None)
    }
}

/// Whether the open file is still the one at the path.
fn is_at(file: &File, path: &Path) -> Result<bool, Error> {
    let meta = file.metadata().map_err(fail::io(path, "look at the lock"))?;
    Ok(FileId::at(path)? == Some(FileId { device: meta.dev(), inode: meta.ino() }))
}
