//! A small store of the plugin's own, beside the ledger: one for each network, or one for all
//! networks where the node's own settings name the plugin. Not for `check` and `pools`.

use crate::host;

/// How long an entry stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until this call's attachment is released: by DEL, GC or a reboot.
    Attachment,
    /// Until it is removed.
    Permanent,
}

/// The value, where there is one.
pub fn get(key: &str) -> Option<String> {
    host::store_get(key)
}

/// Replaces the value and the lifetime.
pub fn put(key: &str, value: &str, lifetime: Lifetime) {
    host::store_put(key, value, lifetime);
}

/// True where the key was there.
pub fn remove(key: &str) -> bool {
    host::store_remove(key)
}

/// At most `limit` entries with this prefix and above `after`, in the keys' byte order.
pub fn scan(prefix: &str, after: Option<&str>, limit: u32) -> Vec<(String, String)> {
    host::store_scan(prefix, after, limit)
}

/// How many entries have this prefix. What was counted still holds when this call lands, or the
/// call is run again: a quota by it cannot be passed by two at once.
pub fn count(prefix: &str) -> u64 {
    host::store_count(prefix)
}
