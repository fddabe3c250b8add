//! The CNI error object (spec section 4).
use serde::Serialize;
use serde_json::Value;

/// Codes of the specification and of the library, and our own from 100 on.
pub mod code {
    /// The `cniVersion` is not supported, or the verb is younger than it.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A configuration field is not supported; `msg` has key and value.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is unknown.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// Environment variables are missing or malformed.
    pub const BAD_ENVIRONMENT: u32 = 4;
    /// I/O failed.
    pub const IO: u32 = 5;
    /// Something cannot be decoded.
    pub const DECODING: u32 = 6;
    /// The network configuration is invalid.
    pub const INVALID_CONFIG: u32 = 7;
    /// The namespace is not usable.
    pub const INVALID_NETNS: u32 = 8;
    /// A transient condition: try again later.
    pub const TRY_AGAIN: u32 = 11;
    /// STATUS: ADD cannot be served.
    pub const NOT_AVAILABLE: u32 = 50;
    /// STATUS: that, and existing containers may be impaired.
    pub const LIMITED_CONNECTIVITY: u32 = 51;
    /// Every address is taken.
    pub const EXHAUSTED: u32 = 100;
    /// A policy refused.
    pub const DENIED: u32 = 101;
    /// A plugin failed, trapped or answered nonsense.
    pub const PLUGIN: u32 = 102;
    /// A plugin met a limit.
    pub const LIMIT: u32 = 103;
    /// The kernel refused.
    pub const KERNEL: u32 = 104;
    /// The attachment exists.
    pub const EXISTS: u32 = 105;
    /// An address asked for by name cannot be had.
    pub const CONFLICT: u32 = 106;
    /// CHECK found the attachment changed.
    pub const DRIFT: u32 = 107;
    /// The ledger cannot answer.
    pub const LEDGER: u32 = 108;
    /// A delegate failed without an error of its own.
    pub const DELEGATE: u32 = 109;
    /// A bug: nothing else fits.
    pub const INTERNAL: u32 = 999;
}

/// A CNI error: one short line, and what else helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{msg}")]
pub struct CniError {
    /// One of [`code`].
    pub code: u32,
    /// One line: what failed, for which network and plugin, and why.
    pub msg: String,
    /// Compact JSON as text, or plain text: causes, and what to do next.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl CniError {
    /// An error without details.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = details.into();
        self
    }

    /// Details as structured data.
    #[must_use]
    pub fn with_json(self, details: &Value) -> Self {
        self.with_details(details.to_string())
    }
}
