//! What a plugin may know of the node it runs on.

use crate::host;

/// The node's name in its cluster; the host name elsewhere.
pub fn name() -> String {
    host::node_name()
}

/// What the operator wrote down about this node: its zone, its pod network.
pub fn label(name: &str) -> Option<String> {
    host::node_label(name)
}

/// Seconds since the Unix epoch by the host's clock, the same all through one ADD.
pub fn now() -> u64 {
    host::node_now()
}
