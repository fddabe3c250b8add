//! Reading a configuration: a problem says where it is, by RFC 6901 pointer.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::Failure;

/// Keys that the host reads; they may stand in the `ipam` object beside the plugin's own.
const HOSTS: [&str; 8] = [
    "type",
    "plugin",
    "policies",
    "coolDown",
    "statusWhenFull",
    "domain",
    // What the host hides in its records, by pointers.
    "secrets",
    // The host reads the file, and puts `dns` in its place.
    "resolvConf",
];

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// RFC 6901, into the plugin's configuration: "/ranges/0/subnet"; "" is the whole.
    pub pointer: String,
    /// One line.
    pub message: String,
}

impl Problem {
    /// At this pointer.
    pub fn at(pointer: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { pointer: pointer.into(), message: message.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.message),
            pointer => write!(f, "{pointer}: {}", self.message),
        }
    }
}

/// A failure that names the first problem, and all of them in its detail.
pub(crate) fn failure(problems: &[Problem]) -> Failure {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let failure = Failure::invalid_config(lines.first().map_or("", String::as_str));
    if lines.len() > 1 { failure.with_detail(lines.join("\n")) } else { failure }
}

/// Reads a plugin's configuration, less the keys that are the host's. The one problem that the
/// types find first.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut value: Value =
        serde_json::from_str(text).map_err(|e| Problem::at("", format!("not JSON: {e}")))?;
    if let Some(object) = value.as_object_mut() {
        object.retain(|key, _| !HOSTS.contains(&key.as_str()));
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| Problem::at(pointer(error.path()), error.inner()))
}

fn pointer(path: &Path) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Range;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "read alone is tested")]
        pools: std::collections::BTreeMap<String, Vec<Range>>,
    }

    fn problem(text: &str) -> String {
        read::<Config>(text).unwrap_err().to_string()
    }

    #[test]
    fn a_problem_says_where_it_is() {
        assert!(problem("{").starts_with("not JSON: "));
        assert_eq!(problem("{}"), "missing field `pools`");
        assert!(problem(r#"{"pools": {"a/b": [1]}}"#).starts_with("/pools/a~1b/0: invalid type"));
        let bad = problem(r#"{"pools": {"a": ["10.1.0.0/24", "ten"]}}"#);
        assert!(bad.starts_with(r#"/pools/a/1: "ten" is neither"#), "{bad}");
        let near = problem(r#"{"pools": {}, "pool": 1}"#);
        assert!(near.starts_with("/pool: unknown field `pool`, expected `pools`"), "{near}");
    }

    #[test]
    fn what_is_the_hosts_is_not_the_plugins() {
        let text = r#"{"type": "x", "coolDown": 3, "secrets": ["/token"], "pools": {}}"#;
        assert!(read::<Config>(text).is_ok());
    }
}
