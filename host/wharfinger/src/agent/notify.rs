//! sd_notify(3): tells the service manager how far this is, where there is one.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Never fails: who is not heard goes on.
pub(super) fn tell(text: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let _ = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &to));
}
