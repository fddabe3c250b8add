//! What a store holds during one call: the limits still open, the book on loan, what was taken.

use std::net::IpAddr;
use std::time::Instant;

use wasmtime::ResourceLimiter;

use crate::http::Rules;
use crate::journal::{Journal, Stop};
use crate::limits::{Limit, Limits};
use crate::quota::Quota;
use crate::wasi::Wasi;
use crate::{Book, BookError, Node};

/// Which imports a call may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// `ledger` and `store`.
    All,
    /// Neither: it is about a configuration, or after the book was closed.
    Neither,
}

/// A call's state.
pub(crate) struct State {
    limits: Limits,
    until: Instant,
    guard: Guard,
    access: Access,
    pub(crate) journal: Journal,
    pub(crate) node: Node,
    pub(crate) taken: Vec<IpAddr>,
    calls: u32,
    quota: Quota,
    wasi: Option<Box<Wasi>>,
    /// What the gate is asked with, where there is something to ask about.
    pub(crate) rules: Option<Rules>,
}

impl State {
    /// A fresh one, its deadline counted from now.
    pub(crate) fn new(limits: &Limits, node: &Node, access: Access, journal: Journal) -> Self {
        Self {
            until: Instant::now() + limits.longest(),
            guard: Guard::new(limits),
            limits: limits.clone(),
            access,
            journal,
            node: node.clone(),
            taken: Vec::new(),
            calls: 0,
            quota: Quota::new(limits.store),
            wasi: None,
            rules: None,
        }
    }

    /// When the call must have ended.
    pub(crate) fn until(&self) -> Instant {
        self.until
    }

    /// The limits on memories and tables.
    pub(crate) fn guard(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.guard
    }

    /// WASI's side of the call, made when the component first asks for it.
    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        let (journal, rules) = (&self.journal, &self.rules);
        self.wasi.get_or_insert_with(|| Box::new(Wasi::new(journal.clone(), rules.clone())))
    }

    /// Hands the last, unfinished lines of output to the log.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.wasi.as_mut().map_or(Ok(()), |wasi| wasi.flush())
    }

    /// Ends the call where its time is up: time spent in host functions counts as well.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        if Instant::now() < self.until { Ok(()) } else { Err(Stop::Limit(Limit::Deadline)) }
    }

    /// Asks the book; `import` is named where the call has none. How long the book takes, which may
    /// be away for seconds in a cluster, is not the plugin's time: the verb's own deadline bounds it.
    pub(crate) fn book<R>(
        &mut self,
        import: &str,
        ask: impl FnOnce(&mut dyn Book) -> Result<R, BookError>,
    ) -> Result<R, Stop> {
        self.in_time()?;
        self.calls += 1;
        if self.calls > self.limits.ledger_calls {
            return Err(Stop::Limit(Limit::LedgerCalls));
        }
        let asked = Instant::now();
        let answer = match self.access {
            Access::All => self.journal.book(ask),
            Access::Neither => None,
        };
        self.until += asked.elapsed();
        match answer {
            Some(answer) => answer.map_err(Stop::Book),
            None => Err(Stop::BadArgument(misplaced(import))),
        }
    }

    /// Asks the gate for what the API says of the pod.
    pub(crate) fn may_read_pod(&self) -> Result<(), Stop> {
        self.rules.as_ref().map_or(Ok(()), Rules::pass_pod)
    }

    /// Makes room for an entry, or ends the call.
    pub(crate) fn store_room(&mut self, key: &str, value: &str) -> Result<(), Stop> {
        let mut quota = self.quota;
        let takes = quota.takes(key, value, |measure| self.ask(|book| measure(book)))?;
        self.quota = quota;
        if takes { Ok(()) } else { Err(Stop::Limit(Limit::Store)) }
    }

    /// A question of the host's own; a call without a book has its error elsewhere.
    fn ask<R: Default>(
        &self,
        ask: impl FnOnce(&mut dyn Book) -> Result<R, BookError>,
    ) -> Result<R, Stop> {
        match (self.access, self.journal.book(ask)) {
            (Access::All, Some(answer)) => answer.map_err(Stop::Book),
            _ => Ok(R::default()),
        }
    }

    /// Hands a line to the book's log, if the call has a book.
    pub(crate) fn log(&mut self, level: crate::Level, message: &str) -> Result<(), Stop> {
        self.in_time()?;
        self.journal.log(level, message)
    }
}

fn misplaced(import: &str) -> String {
    if import.starts_with("ledger.") {
        return format!("it called {import}, which is for allocate alone");
    }
    format!("it called {import}, which is for allocate, admit and review alone")
}

/// Counts memory and table elements over all of a component's instances. What does not fit ends
/// the call: a plugin told "no" would go on until its deadline.
struct Guard {
    memory: usize,
    table_elements: usize,
    instances: usize,
}

impl Guard {
    fn new(limits: &Limits) -> Self {
        Self {
            memory: limits.memory,
            table_elements: limits.table_elements,
            instances: limits.instances,
        }
    }
}

impl ResourceLimiter for Guard {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        grow(&mut self.memory, Limit::Memory, current, desired, maximum)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        grow(&mut self.table_elements, Limit::TableElements, current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.instances
    }
}

/// Takes the growth off what is left. Beyond the plugin's own maximum it is simply refused.
fn grow(
    left: &mut usize,
    limit: Limit,
    current: usize,
    desired: usize,
    maximum: Option<usize>,
) -> wasmtime::Result<bool> {
    if maximum.is_some_and(|maximum| desired > maximum) {
        return Ok(false);
    }
    *left = left
        .checked_sub(desired.saturating_sub(current))
        .ok_or_else(|| wasmtime::Error::from(Stop::Limit(limit)))?;
    Ok(true)
}
