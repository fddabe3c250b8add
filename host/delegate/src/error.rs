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
    /// Executables run each other in a circle.
    #[error(
        "delegate {name}: not run, since {depth} calls of this executable stand around this one: \
         plugins of the configuration delegate to each other in a circle"
    )]
    Depth {
        /// The name.
        name: String,
        /// How many.
        depth: u32,
    },
    /// The operating system did not start it, or did not let us talk with it.
    #[error("delegate {name}: {operation} {path}: {source}")]
    System {
        /// The name.
        name: String,
        /// What failed: "start", "talk to", "note the run of", "end what was left running of".
        operation: &'static str,
        /// Where it was found.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It did not end in time, and was killed.
    #[error(
        "delegate {name}: no end within {limit:?}; it and what it started were killed{}",
        also(said)
    )]
    Timeout {
        /// The name.
        name: String,
        /// The time it had.
        limit: Duration,
        /// The end of what it wrote to stderr, or else to stdout.
        said: String,
    },
    /// It wrote more to stdout than a result can be, and was killed.
    #[error(
        "delegate {name}: more than {limit} bytes on stdout; it and what it started were killed{}",
        also(said)
    )]
    TooLong {
        /// The name.
        name: String,
        /// Bytes.
        limit: usize,
        /// The end of what it wrote to stderr, or else to stdout.
        said: String,
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
    #[error(
        "delegate {name}: {path} ended with {status} and no error object on stdout{}",
        also(said)
    )]
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
    #[error(
        "delegate {name}: it succeeded, and its answer is {found}, not one JSON object{}",
        also(said)
    )]
    BadAnswer {
        /// The name.
        name: String,
        /// What it is instead.
        found: String,
        /// What it wrote to stdout, or else the end of what it wrote to stderr.
        said: String,
    },
}

/// Letters of what it said in one line; the details have more.
const SHOWN: usize = 200;

/// What it said, as far as one line takes it, without control characters.
fn also(said: &str) -> String {
    if said.is_empty() {
        return "; it printed nothing".to_owned();
    }
    let first: String = said.chars().take(SHOWN).collect();
    let rest = if first.len() < said.len() { "..." } else { "" };
    format!("; it printed {first:?}{rest}")
}

impl DelegateError {
    /// What it printed, where that is no error object.
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Timeout { said, .. }
            | Self::TooLong { said, .. }
            | Self::Failed { said, .. }
            | Self::BadAnswer { said, .. } => Some(said).filter(|said| !said.is_empty()),
            _ => None,
        }
        .map(String::as_str)
    }
}

impl From<DelegateError> for CniError {
    fn from(error: DelegateError) -> Self {
        let msg = error.to_string();
        if let Some(said) = error.said() {
            return Self::new(code::DELEGATE, msg).with_json(&json!({ "said": said }));
        }
        match error {
            DelegateError::Refused { error, .. } => Self { msg, ..error },
            DelegateError::BadName(_) => Self::new(code::INVALID_CONFIG, msg),
            _ => Self::new(code::DELEGATE, msg),
        }
    }
}
