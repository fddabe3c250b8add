//! Files that tell which device an interface is. One that somebody else wrote is never changed and never
//! removed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use wharfinger_plan::DeviceFile;

use crate::Error;

/// Makes it so; answers whether it was not so before.
pub(crate) fn ensure(wanted: &DeviceFile) -> Result<bool, Error> {
    made(wanted).map_err(|error| failed("write", wanted, error))
}

fn made(wanted: &DeviceFile) -> io::Result<bool> {
    let path = Path::new(&wanted.path);
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let draft = draft(path);
    // Of a process of that number that was killed.
    let _ = fs::remove_file(&draft);
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(&draft)?;
    // Whole or not there at all, and in nobody's place: a link does not replace.
    let linked =
        file.write_all(wanted.text().as_bytes()).and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn draft(path: &Path) -> PathBuf {
    path.with_file_name(format!(".wharfinger-{}", std::process::id()))
}

/// Removes it where it says what was written.
pub(crate) fn remove(wanted: &DeviceFile) -> Result<(), Error> {
    if !is_ours(wanted) {
        return Ok(());
    }
    match fs::remove_file(&wanted.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", wanted, error))
        }
        _ => Ok(()),
    }
}

fn is_ours(wanted: &DeviceFile) -> bool {
    let path = Path::new(&wanted.path);
    let text = wanted.text();
    let size = u64::try_from(text.len()).ok();
    let same = |meta: fs::Metadata| meta.is_file() && Some(meta.len()) == size;
    path.symlink_metadata().is_ok_and(same) && fs::read(path).is_ok_and(|it| it == text.as_bytes())
}

/// Whether there is none.
pub(crate) fn is_missing(wanted: &DeviceFile) -> bool {
    Path::new(&wanted.path).symlink_metadata().is_err()
}

fn failed(operation: &'static str, wanted: &DeviceFile, source: io::Error) -> Error {
    Error::Refused { operation, object: format!("file {}", wanted.path), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path) -> DeviceFile {
        DeviceFile { path: path.display().to_string(), pci: "0000:00:1f.6".to_owned() }
    }

    #[test]
    fn it_is_written_once_found_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = file(&dir.path().join("devinfo/cni/one"));
        assert!(is_missing(&wanted));
        assert!(ensure(&wanted).unwrap() && !ensure(&wanted).unwrap());
        assert_eq!(fs::read_to_string(&wanted.path).unwrap(), wanted.text());
        let beside = fs::read_dir(dir.path().join("devinfo/cni")).unwrap();
        assert_eq!(beside.count(), 1, "no draft is left");
        assert!(!is_missing(&wanted));
        remove(&wanted).unwrap();
        remove(&wanted).unwrap();
        assert!(is_missing(&wanted));
    }

    #[test]
    fn what_another_wrote_stays() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = file(&dir.path().join("one"));
        fs::write(&wanted.path, "{}").unwrap();
        assert!(!ensure(&wanted).unwrap());
        remove(&wanted).unwrap();
        assert_eq!(fs::read_to_string(&wanted.path).unwrap(), "{}");
        // Nor is it written where a link leads.
        let other = dir.path().join("other");
        fs::remove_file(&wanted.path).unwrap();
        std::os::unix::fs::symlink(&other, &wanted.path).unwrap();
        assert!(!ensure(&wanted).unwrap() && !other.exists());
        remove(&wanted).unwrap();
        assert!(Path::new(&wanted.path).symlink_metadata().is_ok());
    }
}
