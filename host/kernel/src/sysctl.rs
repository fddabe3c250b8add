//! Kernel parameters: read, and written where they differ.
//!
//! `/proc/sys/net` shows the parameters of the namespace of the thread that looks, so that those
//! of a container are handled on a thread inside it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use wharfinger_plan::Sysctl;

/// Makes it so; answers whether it was not so before.
pub(crate) fn ensure(sysctl: &Sysctl) -> io::Result<bool> {
    let path = path(&sysctl.key)?;
    if same(&std::fs::read_to_string(&path)?, &sysctl.value) {
        return Ok(false);
    }
    let mut file = OpenOptions::new().write(true).open(&path)?;
    file.write_all(sysctl.value.trim().as_bytes())?;
    Ok(true)
}

/// Its value, with white space as people write it.
pub(crate) fn read(key: &str) -> io::Result<String> {
    let text = std::fs::read_to_string(path(key)?)?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether two values are the same; lists are separated by tabs where the kernel writes them.
pub(crate) fn same(found: &str, wanted: &str) -> bool {
    found.split_whitespace().eq(wanted.split_whitespace())
}

/// A key never leads out of `/proc/sys`.
fn path(key: &str) -> io::Result<PathBuf> {
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(PathBuf::from("/proc/sys").join(key))
}

/// Lets kernel parameters be set where this process has mounts of its own in which they are read-only,
/// as Docker gives them to a plugin that it manages. Elsewhere it changes nothing.
pub fn let_be_set() -> std::io::Result<()> {
    const AT: &std::ffi::CStr = c"/proc/sys";
    let flags =
        libc::MS_BIND | libc::MS_REMOUNT | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    let none = std::ptr::null();
    // SAFETY: mount(2) reads one path, which is a C string that lives through the call; a change of
    // flags has no other argument.
    let done = unsafe { libc::mount(none, AT.as_ptr(), none, flags, none.cast()) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_below_proc_sys() {
        assert_eq!(
            path("net/ipv4/ip_forward").unwrap(),
            PathBuf::from("/proc/sys/net/ipv4/ip_forward")
        );
        for key in ["", "/etc/passwd", "net/../../etc/passwd", "net//ipv4", "net/./ipv4", "net/"] {
            assert!(path(key).is_err(), "{key}");
        }
    }

    #[test]
    fn white_space_is_no_difference() {
        assert!(same("32768\t60999\n", " 32768 60999"));
        assert!(!same("1\n", "0"));
    }
}
