//! What a plugin's call may use up, and how each limit is named to people.
//!
//! The defaults are the design page's; a test holds them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// More than any deadline; the clock overflows far beyond it.
const DAY: Duration = Duration::from_hours(24);

/// Limits of one call, each a setting `limits.*` of the node's TOML file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// `limits.deadline`: wall-clock time of a call, host functions included. 1 s.
    pub deadline: Duration,
    /// `limits.memory`: bytes of linear memory, all memories together. 64 MiB.
    pub memory: usize,
    /// `limits.stack`: bytes of stack that Wasm code may use. 512 KiB.
    pub stack: usize,
    /// `limits.table-elements`: elements of all tables together. 10,000.
    pub table_elements: usize,
    /// `limits.instances`: core instances, and likewise tables and memories. 64: a component of Python
    /// has 38.
    pub instances: usize,
    /// `limits.hostcall-bytes`: bytes that one crossing between plugin and host may copy
    /// into the host. 4 MiB.
    pub hostcall_bytes: usize,
    /// `limits.ledger-calls`: calls of `ledger` and `store`. 1,000.
    pub ledger_calls: u32,
    /// `limits.log`: bytes of log lines. 64 KiB.
    pub log: usize,
    /// `limits.returned`: bytes of what an export returns. 256 KiB.
    pub returned: usize,
    /// `limits.store`: bytes of keys and values in the plugin's store. 1 MiB.
    pub store: u64,
    /// `limits.component`: bytes of a component's .wasm that is installed. 64 MiB.
    pub component: u64,
    /// `limits.compile`: wall-clock time to compile one. 180 s: a component of Python takes 20, and
    /// installing is often not all that a machine does.
    pub compile: Duration,
}

impl Limits {
    /// How long a call may take: its deadline, as far as a clock can be set to it.
    pub(crate) fn longest(&self) -> Duration {
        self.deadline.min(DAY)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            memory: 64 << 20,
            stack: 512 << 10,
            table_elements: 10_000,
            instances: 64,
            hostcall_bytes: 4 << 20,
            ledger_calls: 1_000,
            log: 64 << 10,
            returned: 256 << 10,
            store: 1 << 20,
            component: 64 << 20,
            compile: Duration::from_mins(3),
        }
    }
}

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Deadline,
    Memory,
    Stack,
    TableElements,
    Instances,
    HostcallBytes,
    LedgerCalls,
    Log,
    Returned,
    Store,
    Component,
    Compile,
}

impl Limit {
    /// Every one.
    const ALL: [Self; 12] = [
        Self::Deadline,
        Self::Memory,
        Self::Stack,
        Self::TableElements,
        Self::Instances,
        Self::HostcallBytes,
        Self::LedgerCalls,
        Self::Log,
        Self::Returned,
        Self::Store,
        Self::Component,
        Self::Compile,
    ];

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deadline => "the deadline",
            Self::Memory => "the memory",
            Self::Stack => "the stack",
            Self::TableElements => "the table size",
            Self::Instances => "the number of instances, tables or memories",
            Self::HostcallBytes => "the size of what a call hands to the host",
            Self::LedgerCalls => "the number of ledger and store calls",
            Self::Log => "the size of the log",
            Self::Returned => "the size of what is returned",
            Self::Store => "the size of its store",
            Self::Component => "the size of a component",
            Self::Compile => "the time to compile a component",
        }
    }

    /// The key in the node's TOML file.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Deadline => "limits.deadline",
            Self::Memory => "limits.memory",
            Self::Stack => "limits.stack",
            Self::TableElements => "limits.table-elements",
            Self::Instances => "limits.instances",
            Self::HostcallBytes => "limits.hostcall-bytes",
            Self::LedgerCalls => "limits.ledger-calls",
            Self::Log => "limits.log",
            Self::Returned => "limits.returned",
            Self::Store => "limits.store",
            Self::Component => "limits.component",
            Self::Compile => "limits.compile",
        }
    }

    /// The one of this setting.
    pub(crate) fn of_setting(setting: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.setting() == setting)
    }

    /// What is allowed, with its unit.
    pub(crate) fn allowed(self, limits: &Limits) -> String {
        match self {
            Self::Deadline => format!("{} ms", limits.deadline.as_millis()),
            Self::Memory => size(limits.memory as u64),
            Self::Stack => size(limits.stack as u64),
            Self::TableElements => format!("{} elements", limits.table_elements),
            Self::Instances => limits.instances.to_string(),
            Self::HostcallBytes => size(limits.hostcall_bytes as u64),
            Self::LedgerCalls => limits.ledger_calls.to_string(),
            Self::Log => size(limits.log as u64),
            Self::Returned => size(limits.returned as u64),
            Self::Store => size(limits.store),
            Self::Component => size(limits.component),
            Self::Compile => format!("{} s", limits.compile.as_secs()),
        }
    }
}

impl Limit {
    /// The error of a call that met it.
    pub(crate) fn error(self, plugin: &str, call: &'static str, limits: &Limits) -> Error {
        self.error_at(plugin, call, limits, String::new())
    }

    /// The same, met in these functions: ", in a < b".
    pub(crate) fn error_at(
        self,
        plugin: &str,
        call: &'static str,
        limits: &Limits,
        place: String,
    ) -> Error {
        Error::Limit {
            plugin: plugin.to_owned(),
            call,
            limit: self.name(),
            allowed: self.allowed(limits).into(),
            setting: self.setting(),
            place: place.into(),
        }
    }
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

/// What installing a component may run into; running one never does.
impl Error {
    /// The component `plugin` is larger than `limits.component`.
    pub fn too_large(plugin: &str, limits: &Limits) -> Self {
        Limit::Component.error(plugin, "install", limits)
    }

    /// Compiling `plugin` took longer than `limits.compile`.
    pub fn too_slow(plugin: &str, limits: &Limits) -> Self {
        Limit::Compile.error(plugin, "install", limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pain_h14_an_unset_limit_has_the_documented_default() {
        let limits = Limits::default();
        let said =
            Limit::ALL.map(|limit| format!("{} {}", limit.setting(), limit.allowed(&limits)));
        assert_eq!(
            said,
            [
                "limits.deadline 1000 ms",
                "limits.memory 64 MiB",
                "limits.stack 512 KiB",
                "limits.table-elements 10000 elements",
                "limits.instances 64",
                "limits.hostcall-bytes 4 MiB",
                "limits.ledger-calls 1000",
                "limits.log 64 KiB",
                "limits.returned 256 KiB",
                "limits.store 1 MiB",
                "limits.component 64 MiB",
                "limits.compile 180 s",
            ]
        );
    }

    #[test]
    fn a_deadline_that_no_clock_has_is_a_day() {
        let limits = Limits { deadline: Duration::MAX, ..Limits::default() };
        assert_eq!(limits.longest(), DAY);
        assert_eq!(Limits::default().longest(), Limits::default().deadline);
    }

    #[test]
    fn pain_h12_the_defaults_admit_every_class_of_size_of_the_authors_guide() {
        let guide = include_str!("../../../docs/authors/README.md");
        let large = "| large | Python, JavaScript on SpiderMonkey | 10 to 40 MiB | 5 to 30 s |";
        assert!(guide.contains(large), "the largest class of the guide");
        let limits = Limits::default();
        assert!(limits.component >= 40 << 20 && limits.compile >= Duration::from_secs(30));
    }

    #[test]
    fn pain_d7_what_installing_meets_names_its_setting() {
        let limits = Limits::default();
        assert_eq!(
            Error::too_large("x@sha256:ab", &limits).to_string(),
            "x@sha256:ab: install: the size of a component of 64 MiB exceeded \
             (setting limits.component)"
        );
        assert_eq!(
            Error::too_slow("x@sha256:ab", &limits).to_string(),
            "x@sha256:ab: install: the time to compile a component of 180 s exceeded \
             (setting limits.compile)"
        );
    }
}
