//! What a plugin's call may use up, and how each limit is named to people.
//!
//! The defaults are the design page's; a test holds them.

use std::time::Duration;

/// Limits of one call, each a setting `limits.*` of the node's TOML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `limits.deadline`: wall-clock time of a call, host functions included. 1 s.
    pub deadline: Duration,
    /// `limits.memory`: bytes of linear memory, all memories together. 64 MiB.
    pub memory: usize,
    /// `limits.stack`: bytes of stack that Wasm code may use. 512 KiB.
    pub stack: usize,
    /// `limits.table-elements`: elements of all tables together. 10,000.
    pub table_elements: usize,
    /// `limits.instances`: core instances, and likewise tables and memories. 32.
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(1),
            memory: 64 << 20,
            stack: 512 << 10,
            table_elements: 10_000,
            instances: 32,
            hostcall_bytes: 4 << 20,
            ledger_calls: 1_000,
            log: 64 << 10,
            returned: 256 << 10,
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
}

impl Limit {
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
        }
    }

    /// What is allowed, with its unit.
    pub(crate) fn allowed(self, limits: &Limits) -> String {
        match self {
            Self::Deadline => format!("{} ms", limits.deadline.as_millis()),
            Self::Memory => size(limits.memory),
            Self::Stack => size(limits.stack),
            Self::TableElements => format!("{} elements", limits.table_elements),
            Self::Instances => limits.instances.to_string(),
            Self::HostcallBytes => size(limits.hostcall_bytes),
            Self::LedgerCalls => limits.ledger_calls.to_string(),
            Self::Log => size(limits.log),
            Self::Returned => size(limits.returned),
        }
    }
}

/// Bytes in the largest unit that divides them.
fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let limits = Limits::default();
        let said: Vec<String> = [
            Limit::Deadline,
            Limit::Memory,
            Limit::Stack,
            Limit::HostcallBytes,
            Limit::LedgerCalls,
            Limit::Log,
            Limit::Returned,
        ]
        .iter()
        .map(|limit| limit.allowed(&limits))
        .collect();
        assert_eq!(said, ["1000 ms", "64 MiB", "512 KiB", "4 MiB", "1000", "64 KiB", "256 KiB"]);
    }
}
