//! Why the store cannot give or take something.

use std::io;
use std::path::PathBuf;

/// Each names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else could have written it, or can: nothing of it is used.
    #[error("{} is not to be trusted: {what}", .path.display())]
    Untrusted {
        /// A file or directory of the store.
        path: PathBuf,
        /// Owner, mode or kind, and what to do.
        what: String,
    },
    /// The lock file is not as it was written here: nothing that is installed can be used.
    #[error(
        "the lock file {} {what}: installed components are not used until it is mended. Find out \
         who changed it, move its directory away, and install them anew (`wharfinger plugin \
         install`); built-in components go on working",
        .path.display()
    )]
    Lock {
        /// The lock file, or the key that it is checked with.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A component is not the one that was installed: it is not compiled.
    #[error(
        "{} {what}: it is not used. Find out who changed it, and install the component anew \
         (`wharfinger plugin remove`, then `install`)",
        .path.display()
    )]
    Component {
        /// The .wasm in the store.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It is larger than may be.
    #[error("{size} bytes, more than {allowed} (setting limits.component)")]
    TooLarge {
        /// Bytes of the component.
        size: u64,
        /// Bytes that the setting allows.
        allowed: u64,
    },
    /// Its compiled form could not be made.
    #[error(transparent)]
    Compile(Box<crate::Error>),
    /// It was compiled and written, and still cannot be mapped.
    #[error("{} was just written, and {what}", .path.display())]
    Unusable {
        /// The compiled form.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another process works on the store.
    #[error(
        "another process has been working on {} for {} s; try again",
        .path.display(), .waited.as_secs()
    )]
    Busy {
        /// The store.
        path: PathBuf,
        /// For so long.
        waited: std::time::Duration,
    },
    /// No such component is installed.
    #[error("no component {name:?} is installed{}", among(.known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The file system refused.
    #[error("{operation} {}: {source}", .path.display())]
    File {
        /// "open", "write".
        operation: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn among(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) }
}
