//! Where a delegate is (spec section 6, as libcni looks it up).

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::DelegateError;

/// The first regular file of this name in the folders of CNI_PATH; links are followed. Whether it
/// can be executed shows when it is.
pub fn find(path: &[PathBuf], name: &str) -> Result<PathBuf, DelegateError> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
        return Err(DelegateError::BadName(name.to_owned()));
    }
    // An empty entry would be the working directory, which is anybody's.
    let folders = || path.iter().filter(|folder| !folder.as_os_str().is_empty());
    let found = folders().map(|folder| folder.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| DelegateError::NotFound {
        name: name.to_owned(),
        folders: folders().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":"),
    })
}

/// A file, by whatever name or link it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file at `path`; links are followed.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}
