//! Ids of Docker's objects, and the names that follow from them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Refused;

/// Address spaces of our IPAM driver: the local one, then the global one.
pub const SPACES: [&str; 2] = ["wharfinger-local", "wharfinger-global"];

/// How much of an id stands in names.
const SHORT: usize = 12;

/// An id as Docker makes them: hexadecimal, or in a swarm of letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// Reads one; `what` it is of, for the error.
    pub fn parse(what: &str, text: &str) -> Result<Self, Refused> {
        let good =
            (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if good {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(Refused(format!("{what} {shown:?} is no id of 1 to 64 letters and digits")))
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As Docker shows it.
    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl TryFrom<String> for Id {
    type Error = Refused;

    fn try_from(text: String) -> Result<Self, Refused> {
        Self::parse("id", &text)
    }
}

/// The name under which Docker finds an endpoint's link in the host's namespace.
pub fn interface(endpoint: &Id) -> String {
    format!("wd{}", endpoint.short())
}
