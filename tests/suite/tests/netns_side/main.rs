//! Side by side with the reference plugins, plugin by plugin and key by key. What this kernel
//! lacks runs in the lab: there the cases marked so are run, elsewhere the others.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod bridge;
mod dhcp;
mod filter;
mod ipam;
mod links;
mod page;
mod ports;
mod protocol;
mod ptp;
mod traffic;

use wharfinger_suite::side::{Differs, differs};

/// Codes that say what is wrong.
const CODES: Differs = differs("codes", "*/error/code", "999", "*");

/// The reference's DEL makes the directory in which it finds nothing.
const NO_FILES: Differs = differs(
    "no-empty-directory",
    "after */files/pods",
    "{\"mode\":\"755\",\"is\":{\"lock\":{\"mode\":\"750\",\"is\":\"\"}}}",
    "",
);

/// What differs wherever a container gets a link.
const LINKS: &[Differs] = &[
    differs("alias", "after */host/links/*/ifalias", "", "*"),
    differs("queue-length", "after */host/links/veth*/txqlen", "", "1000"),
    differs("announced", "after */pod/sysctl/ipv6/*/ndisc_notify", "\"0\"", "\"1\""),
    differs("result-mtu", "add*/result/interfaces/*/mtu", "", "*"),
];

/// What differs where it gets an address of IPv6.
const NO_DAD: Differs = differs("no-dad", "after */addresses/*:*/nodad", "", "true");

/// What differs where the last port of a bridge goes.
const BRIDGE_MAC: Differs =
    differs("bridge-mac", "after del*/host/links/*/mac", "\"00:00:00:00:00:00\"", "\"chance\"");

/// Of a failed ADD nothing is left here.
const LEFT: Differs = differs("failed-add", "after *", "*", "");

/// Nor, where ours finds out before it does anything, is the host made a router.
const FORWARDS: Differs = differs("failed-add", "after */host/sysctl/*", "*", "*");

/// DEL does not look at what it does not need.
const DELETES: Differs = differs("del-always", "del*", "*999*", "\"well\"");

/// What is in the packet filter goes, also where the namespace went first.
const NO_LEAK: Differs = differs("del-without-namespace", "after del/rules", "true", "false");

/// What the first plugin of a list made goes, though the second does not understand.
const GOES: Differs = differs("del-always", "after del*", "*", "");
