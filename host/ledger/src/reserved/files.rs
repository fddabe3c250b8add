//! The files of the reference `host-local`: their names, their bytes, their modes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::point::{Point, Span, merged};

/// Between container and interface.
pub(super) const BREAK: &str = "\r\n";
/// The lock's name.
pub(super) const LOCK: &str = "lock";
const LAST: &str = "last_reserved_ip.";
/// A file of the directory is short; another's is not read to its end.
const LONGEST: u64 = 4096;

pub(super) fn failed(path: &Path, what: &str, error: &io::Error) -> Error {
    Error::Reservations { path: path.display().to_string(), what: format!("{what}: {error}") }
}

pub(super) fn last_name(set: usize) -> String {
    format!("{LAST}{set}")
}

/// What was given last from the set; none where nothing that is an address says so.
pub(super) fn last(directory: &Path, set: usize) -> Option<IpAddr> {
    let text = fs::read_to_string(directory.join(last_name(set))).ok()?;
    text.trim().parse().ok()
}

/// The address that a file is about.
pub(super) fn address(path: &Path) -> Option<IpAddr> {
    path.file_name()?.to_str()?.parse().ok()
}

pub(super) fn open_lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join(LOCK);
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o750).open(&path)
    };
    let opened = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut builder = DirBuilder::new();
            builder.recursive(true).mode(0o755).create(directory).and_then(|()| open())
        }
        other => other,
    };
    opened.map_err(|error| failed(&path, "open", &error))
}

/// Nothing is there, or the empty file of a process that died between making and writing it.
pub(super) fn is_free(directory: &Path, address: IpAddr) -> bool {
    match fs::symlink_metadata(directory.join(address.to_string())) {
        Ok(meta) => meta.is_file() && meta.len() == 0,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

/// The text of a file; none where it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let read = |file: File| {
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match File::open(path).and_then(read) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read", &error)),
    }
}

/// What is being written: who writes has the lock, so there is one at most. Whoever was killed left it.
const UNFINISHED: &str = ".unfinished";

/// Takes away what whoever was killed left.
pub(super) fn clear(directory: &Path) {
    // Most times there is none; and nobody looks for it by its name.
    let _ = fs::remove_file(directory.join(UNFINISHED));
}

/// Writes a file whole: beside its place, then renamed. With the lock held.
pub(super) fn put(directory: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = directory.join(name);
    let unfinished = directory.join(UNFINISHED);
    let written = write(&unfinished, text).and_then(|()| fs::rename(&unfinished, &path));
    written.map_err(|error| {
        clear(directory);
        failed(&path, "write", &error)
    })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(text.as_bytes())
}

/// The addresses that a directory has files of.
pub(super) struct Names(Vec<Point>);

impl Names {
    pub(super) fn read(directory: &Path) -> Result<Self, Error> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self(Vec::new())),
            Err(error) => return Err(failed(directory, "read", &error)),
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let addresses = names.filter_map(|name| name.to_str()?.parse::<IpAddr>().ok());
        let mut points: Vec<Point> = addresses.map(Point::from).collect();
        points.sort_unstable();
        Ok(Self(points))
    }

    pub(super) fn points(&self) -> impl Iterator<Item = Point> {
        self.0.iter().copied()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        merged(self.0.iter().copied().map(Span::one).collect())
    }
}

/// Every file that an address names with its text, those of folders in it too, where the reference
/// looks as well. What cannot be read says nothing, nor does a file of another name: there may be any
/// number, of any size.
pub(super) fn contents(directory: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let mut all = Vec::new();
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if folder == directory => return Err(failed(directory, "read", &error)),
            Err(_) => continue,
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => {
                    let path = entry.path();
                    let text = address(&path).and_then(|_| read(&path).ok().flatten());
                    all.extend(text.map(|text| (path, text)));
                }
                _ => {}
            }
        }
    }
    Ok(all)
}
