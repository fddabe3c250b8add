//! `[limits]`, of the node and of one plugin: what a call of a component may use up.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use wharfinger_wasm::Limits;

/// What is not said is as it was.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LimitsSection {
    pub(super) deadline: Option<f64>,
    memory: Option<usize>,
    stack: Option<usize>,
    table_elements: Option<usize>,
    instances: Option<usize>,
    hostcall_bytes: Option<usize>,
    ledger_calls: Option<u32>,
    log: Option<usize>,
    returned: Option<usize>,
    store: Option<u64>,
    component: Option<u64>,
    compile: Option<f64>,
}

impl LimitsSection {
    /// These limits with what is said here; `place` is where it is said.
    pub(super) fn over(&self, limits: &Limits, place: &str) -> Result<Limits> {
        let seconds = |key: &str, value: Option<f64>, other: Duration| match value {
            Some(value) => Duration::try_from_secs_f64(value)
                .with_context(|| format!("{place}.{key} = {value}")),
            None => Ok(other),
        };
        Ok(Limits {
            deadline: seconds("deadline", self.deadline, limits.deadline)?,
            memory: self.memory.unwrap_or(limits.memory),
            stack: self.stack.unwrap_or(limits.stack),
            table_elements: self.table_elements.unwrap_or(limits.table_elements),
            instances: self.instances.unwrap_or(limits.instances),
            hostcall_bytes: self.hostcall_bytes.unwrap_or(limits.hostcall_bytes),
            ledger_calls: self.ledger_calls.unwrap_or(limits.ledger_calls),
            log: self.log.unwrap_or(limits.log),
            returned: self.returned.unwrap_or(limits.returned),
            store: self.store.unwrap_or(limits.store),
            component: self.component.unwrap_or(limits.component),
            compile: seconds("compile", self.compile, limits.compile)?,
        })
    }
}
