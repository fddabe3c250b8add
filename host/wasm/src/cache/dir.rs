//! Directories and files that only root (where we are not root: only we ourselves) can have
//! written: checked on what was opened, never on a path, and never through a symbolic link.
//!
//! A file is written beside its place and renamed into it, so that who has it mapped keeps what
//! he mapped, and nobody ever sees half a file.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{self as unix, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::Error;

/// What is written beside its place begins so.
const UNFINISHED: &str = ".new-";
/// Write bits of group and others.
const WRITABLE: u32 = 0o022;
/// All bits of group and others.
const OPEN: u32 = 0o077;

/// How files are opened: without NONBLOCK whoever puts a FIFO there keeps us waiting.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// An open directory that was found trustworthy.
pub(super) struct Dir {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
}

/// How a file may stand open to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// Others may read it.
    Readable,
    /// Nobody but the owner may.
    Secret,
}

impl Dir {
    /// The directory at the operator's own path, whose links are the operator's; `None` where
    /// there is none.
    pub(super) fn at(path: &Path) -> Result<Option<Self>, Error> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        Self::checked(unix::openat(unix::CWD, path, flags, Mode::empty()), path.to_owned())
    }

    /// A directory in this one.
    pub(super) fn dir(&self, name: &str) -> Result<Option<Self>, Error> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        Self::checked(unix::openat(&self.fd, name, flags, Mode::empty()), self.path.join(name))
    }

    fn checked(opened: rustix::io::Result<OwnedFd>, path: PathBuf) -> Result<Option<Self>, Error> {
        let Some(fd) = there(opened, &path)? else { return Ok(None) };
        let stat = unix::fstat(&fd).map_err(failed("look at", &path))?;
        trusted(&stat, Secrecy::Readable).map_err(|what| untrusted(&path, what))?;
        Ok(Some(Self { fd, path }))
    }

    /// The same, opened once more.
    pub(super) fn again(&self) -> Result<Self, Error> {
        let fd = self.fd.try_clone().map_err(|source| Error::File {
            operation: "open",
            path: self.path.clone(),
            source,
        })?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// As [`Dir::dir`]; made where it is not there.
    pub(super) fn make(&self, name: &str) -> Result<Self, Error> {
        let path = self.path.join(name);
        match unix::mkdirat(&self.fd, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("make", &path)(error)),
        }
        self.dir(name)?.ok_or_else(|| failed("open", &path)(Errno::NOENT))
    }

    /// A file in it, to be read; `None` where there is none.
    pub(super) fn file(&self, name: &str, secrecy: Secrecy) -> Result<Option<(File, Stat)>, Error> {
        let path = self.path.join(name);
        match there(unix::openat(&self.fd, name, READ, Mode::empty()), &path)? {
            Some(opened) => regular(opened, secrecy, &path).map(Some),
            None => Ok(None),
        }
    }

    /// Writes a file, of mode 0600, in place of what is at `name`: whole or not at all, and on
    /// the disk when this returns.
    pub(super) fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}{}-{number}", std::process::id());
        let written = self.write(&unfinished, parts).and_then(|()| {
            unix::renameat(&self.fd, &unfinished, &self.fd, name)?;
            Ok(unix::fsync(&self.fd)?)
        });
        written.map_err(|source| {
            // What stands there is no harm: whoever locks the store next takes it away.
            let _ = unix::unlinkat(&self.fd, &unfinished, AtFlags::empty());
            Error::File { operation: "write", path: self.path.join(name), source }
        })
    }

    fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = unix::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(fd);
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()
    }

    /// Removes a file; one that is not there is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        match unix::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("remove", &self.path.join(name))(error)),
        }
    }

    /// What is in it, in order.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        let failed = failed("read", &self.path);
        let mut names = Vec::new();
        for entry in unix::Dir::read_from(&self.fd).map_err(&failed)? {
            let name = entry.map_err(&failed)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Takes away what a writer left that was killed. Only for who has the store locked.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let names = self.names()?;
        let unfinished = names.iter().filter(|name| name.starts_with(UNFINISHED));
        unfinished.into_iter().try_for_each(|name| self.remove(name))
    }
}

/// A file outside the store, at a path that the operator wrote.
pub(super) fn file_at(path: &Path) -> Result<(File, Stat), Error> {
    let opened = unix::openat(unix::CWD, path, READ, Mode::empty());
    let opened = there(opened, path)?.ok_or_else(|| failed("open", path)(Errno::NOENT))?;
    regular(opened, Secrecy::Readable, path)
}

fn regular(opened: OwnedFd, secrecy: Secrecy, path: &Path) -> Result<(File, Stat), Error> {
    let stat = unix::fstat(&opened).map_err(failed("look at", path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(untrusted(path, "it is no regular file".to_owned()));
    }
    trusted(&stat, secrecy).map_err(|what| untrusted(path, what))?;
    Ok((File::from(opened), stat))
}

/// Why what was opened is not to be trusted.
fn trusted(stat: &Stat, secrecy: Secrecy) -> Result<(), String> {
    let own = rustix::process::geteuid().as_raw();
    if stat.st_uid != 0 && stat.st_uid != own {
        return Err(format!("it belongs to user {}, not to root", stat.st_uid));
    }
    let (bits, who) = match secrecy {
        Secrecy::Readable => (WRITABLE, "written"),
        Secrecy::Secret => (OPEN, "read or written"),
    };
    if stat.st_mode & bits != 0 {
        let (mode, remedy) = (stat.st_mode & 0o7777, bits);
        let good = mode & !remedy;
        return Err(format!(
            "its mode {mode:04o} lets it be {who} by others; look at what is in it, then `chmod \
             {good:04o}` it"
        ));
    }
    Ok(())
}

/// What was opened; `None` where nothing is there.
fn there<T>(opened: rustix::io::Result<T>, path: &Path) -> Result<Option<T>, Error> {
    match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT) => Ok(None),
        // Said of a symbolic link that is not to be followed; of one to be a directory it is said
        // that it is none.
        Err(Errno::LOOP) => Err(untrusted(path, "it is a symbolic link; remove it".to_owned())),
        Err(Errno::NOTDIR) => {
            Err(untrusted(path, "it is no directory, or a symbolic link; remove it".to_owned()))
        }
        Err(error) => Err(failed("open", path)(error)),
    }
}

fn untrusted(path: &Path, what: String) -> Error {
    Error::Untrusted { path: path.to_owned(), what }
}

pub(super) fn failed(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Error + use<> {
    let path = path.to_owned();
    move |error| Error::File { operation, path: path.clone(), source: error.into() }
}
