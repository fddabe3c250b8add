//! Runs a CNI executable as a main plugin does with its IPAM: a deadline, its own process group,
//! one bounded JSON object out (spec section 6).
//!
//! The environment comes in as an argument. This crate must never wait without an end: neither for
//! the executable nor for what it left running. Start reading at [`Delegate`]; [`Exec`] runs
//! executables, and any closure of the same shape is the double for tests.
#![forbid(unsafe_code)]

mod error;
mod exec;
mod find;
mod locked;
mod running;
mod talk;

pub use error::DelegateError;
pub use exec::{DEEPEST, DEPTH, Exec, Forward};
pub use find::{FileId, find};
pub use locked::Locked;
pub use wharfinger_cni::Verb;

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// One call of a delegate.
#[derive(Debug, Clone, PartialEq)]
pub struct DelegateCall<'a> {
    /// What is looked for in `path`: the configuration's `ipam.type`.
    pub name: &'a str,
    /// CNI_COMMAND.
    pub verb: Verb,
    /// CNI_PATH, split.
    pub path: &'a [PathBuf],
    /// What replaces variables of the process's own environment; [`DelegateCall::verb`] replaces
    /// CNI_COMMAND in any case.
    pub env: &'a [(&'a str, OsString)],
    /// The complete configuration, as this process got it.
    pub config: &'a Map<String, Value>,
    /// It may be this very executable, under another name: the configuration is one of its own.
    /// With the same configuration, that would run itself without end.
    pub may_be_us: bool,
}

/// Runs delegates.
pub trait Delegate {
    /// Runs one call to its end. ADD and VERSION answer an object; what other verbs print on
    /// success counts for nothing (spec section 1), and is answered only if it is an object.
    fn run(&self, call: &DelegateCall<'_>) -> Result<Option<Map<String, Value>>, DelegateError>;
}

impl<F> Delegate for F
where
    F: Fn(&DelegateCall<'_>) -> Result<Option<Map<String, Value>>, DelegateError>,
{
    fn run(&self, call: &DelegateCall<'_>) -> Result<Option<Map<String, Value>>, DelegateError> {
        self(call)
    }
}
