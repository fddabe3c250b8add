//! A file that is locked as long as somebody works, and gone when he is done: whoever is killed leaves it
//! unlocked.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub struct Locked {
    path: PathBuf,
    /// To read what the one before left in it, and to write.
    pub file: File,
}

impl Locked {
    /// Opens and locks the file at the path; it and its directory are made where they are missing, for their
    /// owner alone. None where another has the lock, or had it and took the file away, or the directory.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let locked = Self { path: path.to_owned(), file };
        Ok(locked.in_place().unwrap_or(false).then_some(locked))
    }

    /// Whether the file is still the one at its path: another's there is not ours to remove.
    fn in_place(&self) -> io::Result<bool> {
        let (there, ours) = (fs::metadata(&self.path)?, self.file.metadata()?);
        Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // The lock goes with the descriptor in any case.
        if self.in_place().unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
