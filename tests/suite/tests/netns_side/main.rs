//! Side by side with the reference plugins, plugin by plugin and key by key. What this kernel
//! lacks runs in the lab: there the cases marked so are run, elsewhere the others.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod bridge;
mod filter;
mod ipam;
mod links;
mod page;
mod ports;
mod protocol;
mod ptp;
mod traffic;

use wharfinger_suite::side::{Differs, differs};

/// What differs wherever a link of the host is made.
const LINKS: &[Differs] = &[differs("alias", "*/host/links/*/ifalias", "", "*")];
