//! Where the API server is, and how a node proves who it is.

use std::path::PathBuf;
use std::time::Duration;

/// What an operator says of the API server. Files are read at each call: what is replaced (a token
/// that ends, a certificate) is used from the next call on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the credentials are.
    pub access: Access,
    /// How long a connection, or an answer to what may be asked again, may take.
    pub timeout: Duration,
}

/// Where the credentials are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A kubeconfig, as YAML or JSON: its current context.
    Kubeconfig(PathBuf),
    /// A directory as it is mounted for a service account: `token` and `ca.crt`.
    Mounted {
        /// The directory.
        directory: PathBuf,
        /// `https://10.96.0.1:443`.
        server: String,
    },
}

/// Settings that cannot be right; the text says which, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kubernetes: {0}")]
pub struct Invalid(pub(crate) String);
