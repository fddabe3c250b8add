//! What a process that is started would inherit: a runtime may have left files open in ours.

use std::io;

/// The first file beyond standard input, output and error.
const FIRST: libc::c_uint = 3;

/// Keeps every other file of this process to itself (close_range(2), from Linux 5.11 on, or one by
/// one).
pub(crate) fn inherit_none() -> io::Result<()> {
    // SAFETY: the call takes three numbers, and only sets a flag on files.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if done == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<libc::c_int>().ok());
        if let Some(file) = number.filter(|file| file.cast_unsigned() >= FIRST) {
            // SAFETY: a flag is set on a file, whoever has it, or on none.
            unsafe { libc::fcntl(file, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}
