//! The socket of whoever renews leases. Nothing is said on it: to come to it is all there is to
//! say, and the service manager starts him for that.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The socket's name in the run directory.
const NAME: &str = "dhcp.sock";
/// Where the reference plugin's daemon listens.
pub(crate) const REFERENCE: &str = "/run/cni/dhcp.sock";

/// Ours, where the command line says nothing.
pub(crate) fn default(run: &Path) -> PathBuf {
    run.join(NAME)
}

/// Where he may be: where the configuration says, else in either of his two places.
pub(crate) fn candidates(run: &Path, configured: Option<&Path>) -> Vec<PathBuf> {
    match configured {
        Some(path) => vec![path.to_owned()],
        None => vec![default(run), PathBuf::from(REFERENCE)],
    }
}

/// Comes to the first of these where somebody listens.
pub(crate) fn wake(candidates: &[PathBuf]) -> Result<(), String> {
    let mut failures = Vec::new();
    for path in candidates {
        match UnixStream::connect(path) {
            Ok(_) => return Ok(()),
            Err(error) => failures.push(format!("{}: {error}", path.display())),
        }
    }
    Err(failures.join("; "))
}

/// Listens: on what the service manager opened, or at this path, whose directory is made. A
/// socket that somebody left behind is taken over; one where somebody listens is not.
pub(crate) fn listen(path: &Path) -> Result<UnixListener> {
    let listener = match inherited()? {
        Some(listener) => listener,
        None => bind(path)?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// sd_listen_fds(3).
fn inherited() -> Result<Option<UnixListener>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(None);
    }
    match number("LISTEN_FDS") {
        None | Some(0) => Ok(None),
        Some(1) => {
            let listener = wharfinger_kernel::inherited_listener();
            listener.map(Some).context("the socket that the service manager passed")
        }
        Some(more) => bail!("the service manager passed {more} sockets: one is wanted"),
    }
}

fn bind(path: &Path) -> Result<UnixListener> {
    let at = || path.display().to_string();
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).is_ok() {
                bail!("{}: somebody listens there already", at());
            }
            std::fs::remove_file(path).with_context(at)?;
            UnixListener::bind(path).with_context(at)
        }
        other => other.with_context(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_behind_is_taken_over() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("new/dhcp.sock");
        let candidates = [dir.path().join("none.sock"), path.clone()];
        let first = listen(&path)?;
        assert_eq!(wake(&candidates), Ok(()));
        assert!(listen(&path).is_err(), "somebody listens");
        drop(first);
        let nobody = wake(&candidates).err().unwrap_or_default();
        assert!(nobody.contains("none.sock") && nobody.contains("new/dhcp.sock"), "{nobody}");
        let _second = listen(&path)?;
        assert_eq!(wake(&candidates), Ok(()));
        Ok(())
    }
}
