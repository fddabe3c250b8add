//! What a store holds during one call: the limits still open, the book on loan, what was taken.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use wasmtime::ResourceLimiter;

use crate::limits::{Limit, Limits};
use crate::raw::Lent;
use crate::{Book, BookError, Node};

/// More than any deadline; the clock overflows far beyond it.
const DAY: Duration = Duration::from_hours(24);

/// Why the host ended a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("{} exceeded", .0.name())]
    Limit(Limit),
    #[error("{0}")]
    BadArgument(String),
    #[error("{0}")]
    Book(BookError),
}

/// A call's state.
pub(crate) struct State {
    limits: Limits,
    until: Instant,
    guard: Guard,
    book: Option<Lent>,
    pub(crate) node: Node,
    pub(crate) taken: Vec<IpAddr>,
    calls: u32,
    logged: usize,
}

impl State {
    /// A fresh one, its deadline counted from now; with no book where the call has none.
    pub(crate) fn new(limits: &Limits, node: &Node, book: Option<Lent>) -> Self {
        Self {
            until: Instant::now() + limits.deadline.min(DAY),
            guard: Guard::new(limits),
            limits: limits.clone(),
            book,
            node: node.clone(),
            taken: Vec::new(),
            calls: 0,
            logged: 0,
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

    /// Ends the call where its time is up: time spent in host functions counts as well.
    pub(crate) fn in_time(&self) -> Result<(), Stop> {
        if Instant::now() < self.until { Ok(()) } else { Err(Stop::Limit(Limit::Deadline)) }
    }

    /// Asks the book; `import` is named where the call has none.
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
        let answer = self.book.as_ref().and_then(|book| book.with(ask));
        match answer {
            Some(answer) => answer.map_err(Stop::Book),
            None => {
                Err(Stop::BadArgument(format!("it called {import}, which is for allocate alone")))
            }
        }
    }

    /// Hands a line to the book's log, if the call has a book.
    pub(crate) fn log(&mut self, level: crate::Level, message: &str) -> Result<(), Stop> {
        self.in_time()?;
        self.logged = self.logged.saturating_add(message.len().max(1));
        if self.logged > self.limits.log {
            return Err(Stop::Limit(Limit::Log));
        }
        if let Some(book) = &self.book {
            book.with(|book| book.log(level, &crate::answer::line(message)));
        }
        Ok(())
    }
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
