//! DHCP leases.
#![forbid(unsafe_code)]
