//! What the checks came to: for people, and as JSON.

use std::fmt;

use serde::Serialize;

use super::{Checked, Stop};

/// Of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Name and digest.
    pub plugin: String,
    /// "ipam" or "policy".
    pub kind: String,
    /// The same seed makes the same run.
    pub seed: u64,
    /// Whether the plugin took the configuration that it was tried with. Otherwise little is known of it.
    pub tried: bool,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// As `skip` takes it.
    pub name: String,
    /// What is asked of the plugin.
    pub about: String,
    /// What it came to.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// It is as it should be.
    Passed {
        /// What was seen.
        note: String,
    },
    /// It is not.
    Failed {
        /// What the plugin did, and what it should have done.
        fault: String,
    },
    /// There was nothing to check.
    NotApplicable {
        /// Why, and what would be needed.
        why: String,
    },
}

impl Outcome {
    pub(super) fn of(checked: Checked) -> Self {
        match checked {
            Ok(note) => Self::Passed { note },
            Err(Stop::Fault(fault)) => Self::Failed { fault },
            Err(Stop::Idle(why)) => Self::NotApplicable { why },
        }
    }
}

impl Report {
    /// Whether it was tried, and nothing failed.
    pub fn passed(&self) -> bool {
        self.tried && self.faults().count() == 0
    }

    /// The names of the checks that failed, and the faults.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Failed { fault } => Some((check.name.as_str(), fault.as_str())),
            Outcome::Passed { .. } | Outcome::NotApplicable { .. } => None,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), seed {}", self.plugin, self.kind, self.seed)?;
        let (mut passed, mut failed, mut other) = (0, 0, 0);
        for Check { name, about, outcome } in &self.checks {
            let (mark, note) = match outcome {
                Outcome::Passed { note } => ("ok", note),
                Outcome::Failed { fault } => ("FAILED", fault),
                Outcome::NotApplicable { why } => ("-", why),
            };
            let counter = match outcome {
                Outcome::Passed { .. } => &mut passed,
                Outcome::Failed { .. } => &mut failed,
                Outcome::NotApplicable { .. } => &mut other,
            };
            *counter += 1;
            writeln!(f, "{mark:<7} {name:<15} {about}")?;
            if !note.is_empty() {
                writeln!(f, "{:23} {note}", "")?;
            }
        }
        writeln!(f, "{passed} passed, {failed} failed, {other} not applicable")?;
        if !self.tried && failed == 0 {
            writeln!(f, "it was not tested: give it what it needs, as the check `config` says")?;
        }
        Ok(())
    }
}
