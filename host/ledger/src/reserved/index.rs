//! Which files are whose, so that a DEL need not read them all. Only a hint: each file it names is
//! read before it is believed, and that none is missing is known by the directory itself.
//!
//! After each change of ours the directory's time of change is set to one that the kernel will
//! not set again, and noted here: whoever else adds or removes a file moves it, and then all is
//! read anew. Nothing here fails: without an index, all is read.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::Reserver;

const STAMP: &str = "stamp";
/// Bytes of a bucket: with more in it, mostly of what is gone, all is noted anew.
const LONGEST: u64 = 128 << 10;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Index(Option<PathBuf>);

impl Index {
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self(directory)
    }

    /// Nobody but us has changed the directory since it was noted.
    pub(super) fn stands(&self, directory: &Path) -> bool {
        let noted = self.0.as_ref().and_then(|index| fs::read_to_string(index.join(STAMP)).ok());
        noted.is_some_and(|noted| changed(directory).is_ok_and(|now| text(now) == noted))
    }

    /// The names of files that may be the reserver's, none left out; none where that is unknown.
    pub(super) fn find(&self, directory: &Path, reserver: &Reserver) -> Option<Vec<String>> {
        let index = self.0.as_ref().filter(|_| self.stands(directory))?;
        let key = key(&reserver.text());
        let lines = match fs::read_to_string(bucket(index, &key)) {
            Ok(lines) => lines,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
            Err(_) => return None,
        };
        let mine = lines.lines().filter_map(|line| line.split_once(' '));
        Some(mine.filter(|(of, _)| *of == key).map(|(_, name)| name.to_owned()).collect())
    }

    /// Notes a file that was added; false where that failed, or more is noted than is of use, and so all
    /// is to be noted anew. One that is removed stays noted: it leads to nothing.
    pub(super) fn add(&self, reserver: &Reserver, name: &str) -> bool {
        let Some(index) = &self.0 else { return false };
        let key = key(&reserver.text());
        let noted = OpenOptions::new().append(true).create(true).open(bucket(index, &key));
        let noted = noted.and_then(|mut file| {
            file.write_all(line(&key, name).as_bytes())?;
            Ok(file.metadata()?.len())
        });
        noted.is_ok_and(|length| length <= LONGEST)
    }

    /// Notes all.
    pub(super) fn rebuild(&self, directory: &Path, all: &[(PathBuf, String)]) {
        let Some(index) = &self.0 else { return };
        let mut buckets: BTreeMap<PathBuf, String> = BTreeMap::new();
        for (path, content) in all {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let key = key(content.trim());
            buckets.entry(bucket(index, &key)).or_default().push_str(&line(&key, name));
        }
        let _ = fs::remove_dir_all(index);
        let written = fs::create_dir_all(index)
            .and_then(|()| buckets.iter().try_for_each(|(path, lines)| fs::write(path, lines)));
        match written {
            Ok(()) => self.stamp(directory),
            Err(_) => self.forget(),
        }
    }

    /// Sets the directory's time to one of ours, and notes it.
    pub(super) fn stamp(&self, directory: &Path) {
        let Some(index) = &self.0 else { return };
        if mark(directory).and_then(|at| fs::write(index.join(STAMP), text(at))).is_err() {
            self.forget();
        }
    }

    /// All was shown to another book.
    pub(super) fn is_handed_over(&self) -> bool {
        self.0.as_ref().is_some_and(|index| mark_of(index).exists())
    }

    pub(super) fn handed_over(&self) {
        let Some(index) = &self.0 else { return };
        let made = index.parent().map_or(Ok(()), fs::create_dir_all);
        // Where it cannot be noted, it is done again: what is known already is passed over.
        let _ = made.and_then(|()| fs::write(mark_of(index), ""));
    }

    fn forget(&self) {
        if let Some(index) = &self.0 {
            let _ = fs::remove_file(index.join(STAMP));
        }
    }
}

/// Beside the index, which is made anew at times.
fn mark_of(index: &Path) -> PathBuf {
    let mut name = index.as_os_str().to_owned();
    name.push(".handed-over");
    PathBuf::from(name)
}

type Time = (i64, i64);

fn changed(directory: &Path) -> io::Result<Time> {
    let meta = fs::metadata(directory)?;
    Ok((meta.mtime(), meta.mtime_nsec()))
}

fn text((seconds, nanos): Time) -> String {
    format!("{seconds}.{nanos:09}\n")
}

/// The kernel's own time only rises: a nanosecond before what it has set now is not set again.
fn mark(directory: &Path) -> io::Result<Time> {
    let (seconds, nanos) = changed(directory)?;
    let since = Duration::new(
        u64::try_from(seconds).unwrap_or_default(),
        u32::try_from(nanos).unwrap_or_default(),
    );
    let ours = since.saturating_sub(Duration::from_nanos(1));
    File::open(directory)?.set_times(FileTimes::new().set_modified(UNIX_EPOCH + ours))?;
    let at = changed(directory)?;
    // A file system that keeps whole seconds cannot tell ours from the next.
    let kept = (i64::try_from(ours.as_secs()).unwrap_or_default(), i64::from(ours.subsec_nanos()));
    if at == kept { Ok(at) } else { Err(io::ErrorKind::Unsupported.into()) }
}

fn line(key: &str, name: &str) -> String {
    format!("{key} {name}\n")
}

fn bucket(index: &Path, key: &str) -> PathBuf {
    index.join(key.get(..2).unwrap_or(key))
}

/// FNV-1a. Two owners of one key share their lines, and each file is read before it is believed.
fn key(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
