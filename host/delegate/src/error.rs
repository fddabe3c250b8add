//! Why a delegate did not do what it was asked for, and which CNI error that is.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::json;
use wharfinger_cni::{CniError, code};

/// A delegate did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DelegateError {
    /// It is no name of a file in a folder.
    #[error("delegate {0:?}: the name must be that of a file in CNI_PATH, without separators")]
    BadName(String),
    /// No folder of CNI_PATH has a regular file of this name.
    #[error("delegate {name}: not found in CNI_PATH ({folders})")]
    NotFound {
        /// The name.
        name: String,
        /// The folders that were looked into.
        folders: String,
    },
    /// It is this very executable, which would run itself without end.
    #[error("delegate {name}: {path} is this executable itself")]
    Circle {
        /// The name.
        name: String,
        /// Where it was found.
        path: PathBuf,
    },
    /// The operating system did not start it, or did not let us talk with it.
    #[error("delegate {name}: {operation} {path}: {source}")]
    System {
        /// The name.
        name: String,
        /// What failed: "start", "talk to".
        operation: &'static str,
        /// Where it was found.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It did not end in time, and was killed.
    #[error("delegate {name}: no end within {limit:?}; killed")]
    Timeout {
        /// The name.
        name: String,
        /// The time it had.
        limit: Duration,
        /// The end of what it wrote to stderr, or else to stdout.
        said: String,
    },
    /// It wrote more to stdout than a result can be, and was killed.
    #[error("delegate {name}: more than {limit} bytes on stdout; killed")]
    TooLong {
        /// The name.
        name: String,
        /// Bytes.
        limit: usize,
    },
    /// It answered with an error of its own, which is passed on with its code.
    #[error("delegate {name}: {error}")]
    Refused {
        /// The name.
        name: String,
        /// What it answered.
        error: CniError,
    },
    /// It failed without saying why in the protocol's way.
    #[error("delegate {name}: {path} ended with {status} and no error object on stdout")]
    Failed {
        /// The name.
        name: String,
        /// Where it was found.
        path: PathBuf,
        /// Exit status or signal.
        status: ExitStatus,
        /// The end of what it wrote to stderr, or else to stdout.
        said: String,
    },
    /// It succeeded, and what it printed is not one JSON object.
    #[error("delegate {name}: its answer is {found}, not one JSON object")]
    BadAnswer {
        /// The name.
        name: String,
        /// What it is instead.
        found: String,
    },
}

impl From<DelegateError> for CniError {
    fn from(error: DelegateError) -> Self {
        let msg = error.to_string();
        match error {
            DelegateError::Refused { error, .. } => Self { msg, ..error },
            DelegateError::BadName(_) => Self::new(code::INVALID_CONFIG, msg),
            DelegateError::Failed { said, .. } | DelegateError::Timeout { said, .. }
                if !said.is_empty() =>
            {
                Self::new(code::DELEGATE, msg).with_json(&json!({ "said": said }))
            }
            _ => Self::new(code::DELEGATE, msg),
        }
    }
}
