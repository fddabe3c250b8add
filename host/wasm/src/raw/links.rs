//! The addresses of every link in this network namespace, as getifaddrs(3) lists them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ptr::{self, NonNull};

/// The list, freed when dropped.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made by getifaddrs, freed once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

/// Those of IPv4 and IPv6.
pub(crate) fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let mut list = List(ptr::null_mut());
    // SAFETY: the pointer is to a live local.
    if unsafe { libc::getifaddrs(&raw mut list.0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut addresses = Vec::new();
    let mut next = NonNull::new(list.0);
    while let Some(entry) = next {
        // SAFETY: an entry of the list, which lives until `list` is dropped.
        let entry = unsafe { entry.as_ref() };
        addresses.extend(NonNull::new(entry.ifa_addr).and_then(address));
        next = NonNull::new(entry.ifa_next);
    }
    Ok(addresses)
}

fn address(address: NonNull<libc::sockaddr>) -> Option<IpAddr> {
    // SAFETY: getifaddrs gives whole addresses of the family that they name, aligned for it;
    // they live as long as the list, which the caller holds.
    unsafe {
        match i32::from(address.as_ref().sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}
