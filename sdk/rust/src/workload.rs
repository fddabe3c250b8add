//! What the cluster's API says of the pod behind the attachment, for a plugin that the node's operator
//! granted it: `[plugins.NAME] pod = true`. Without that the call of the plugin ends, as by a panic.
//!
//! ```
//! use serde::Deserialize;
//! use wharfinger_sdk::{Failure, Policy, PolicyRequest, Verdict, export_policy, workload};
//!
//! /// Refuses pods without an owner.
//! #[derive(Deserialize)]
//! struct Owned {
//!     /// The label that names it.
//!     label: String,
//! }
//!
//! impl Policy for Owned {
//!     fn admit(&self, _: &PolicyRequest) -> Result<Verdict, Failure> {
//!         // What is not known is a failure here: it refuses too, unless the operator says otherwise.
//!         let pod = workload::pod()?;
//!         Ok(match pod.of_pod.labels.get(&self.label) {
//!             Some(_) => Verdict::Allow,
//!             None => Verdict::Deny(format!("pod {} has no label {}", pod.name, self.label)),
//!         })
//!     }
//! }
//! export_policy!(Owned);
//! # #[cfg(not(target_family = "wasm"))] {
//! # use serde_json::json;
//! # use wharfinger_sdk::{Attachment, testing::Host};
//!
//! // In a unit test the host answers so.
//! let mut host = Host::new();
//! host.pod(Ok(workload::PodFacts { name: "web-0".into(), ..Default::default() }));
//! let web = Attachment::new("pods", "web", "eth0").with_pod("team-a", "web-0");
//! let request = PolicyRequest::new(web, json!({}));
//! let verdict = host.admit::<Owned>(&json!({"label": "owner"}), &request);
//! assert!(matches!(verdict, Ok(Verdict::Deny(_))));
//! # }
//! ```

use std::collections::BTreeMap;
use std::fmt;

use crate::host;

/// A pod, as the API knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Where it is.
    pub namespace: String,
    /// What it is called there.
    pub name: String,
    /// The API's own; of a static pod, its mirror's.
    pub uid: String,
    /// The pod's labels and annotations.
    pub of_pod: Metadata,
    /// Those of its namespace.
    pub of_namespace: Metadata,
}

/// Labels and annotations of one object. Who may change it writes them, and nobody tells when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// To select it by.
    pub labels: BTreeMap<String, String>,
    /// For anybody.
    pub annotations: BTreeMap<String, String>,
}

/// Why there are none; the text is for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// No Kubernetes. Asking again changes nothing.
    NotThere(String),
    /// The API knows no such pod, or another one by its name.
    Stale(String),
    /// The API server gave no answer that can be used, within a second or two.
    Unreachable(String),
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotThere(why) | Self::Stale(why) | Self::Unreachable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Absence {}

/// Asks. The host asks the API server at most once in one ADD, and only where a plugin does.
/// For `allocate`, `admit` and `review`.
pub fn pod() -> Result<PodFacts, Absence> {
    host::pod()
}
