//! What all that happens in one call has in common: the book on loan, the log and what is left
//! of it, and why the host ended the call. Host functions, output streams and requests under
//! way each hold one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::Limit;
use crate::raw::Lent;
use crate::{Book, BookError, Level, answer};

/// Bytes of last words, about: a runtime's fatal message comes first, and long traces after it.
const WORDS: usize = 400;

/// Why the host ended a call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("{} exceeded", .0.name())]
    Limit(Limit),
    #[error("{0}")]
    BadArgument(String),
    #[error("{import} is not granted")]
    Refused { import: String, grant: String },
    #[error("{0}")]
    Book(BookError),
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Journal {
    book: Option<Lent>,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    /// Bytes of log that are left.
    log: usize,
    /// What a request under way came to that ends the call.
    stop: Option<Stop>,
    words: Words,
}

/// The last lines that the plugin logged as errors, without others between them.
#[derive(Default)]
struct Words {
    /// The first ones, as far as there is room.
    first: Vec<String>,
    /// The last one, where there was none.
    last: Option<String>,
    /// The last line was one.
    open: bool,
}

impl Words {
    fn hear(&mut self, level: Level, message: &str) {
        let went_on = std::mem::replace(&mut self.open, level == Level::Error);
        if !self.open {
            return;
        }
        if !went_on {
            (self.first, self.last) = (Vec::new(), None);
        }
        let line = answer::line(message);
        let said: usize = self.first.iter().map(String::len).sum();
        let room = self.last.is_none() && said + line.len() <= WORDS;
        if self.first.is_empty() || room {
            self.first.push(line);
        } else {
            self.last = Some(line);
        }
    }

    fn text(&self) -> Option<String> {
        let lines: Vec<&str> = self.first.iter().chain(&self.last).map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

impl Journal {
    /// Of a call that may log so many bytes; with no book where the call has none.
    pub(crate) fn new(book: Option<Lent>, log: usize) -> Self {
        Self {
            book,
            inner: Arc::new(Mutex::new(Inner { log, stop: None, words: Words::default() })),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses the book; none where there is none.
    pub(crate) fn book<R>(&self, ask: impl FnOnce(&mut dyn Book) -> R) -> Option<R> {
        self.book.as_ref().and_then(|book| book.with(ask))
    }

    /// A line of the plugin's, cleaned, for the book's log.
    pub(crate) fn log(&self, level: Level, message: &str) -> Result<(), Stop> {
        let left = self.inner().log.checked_sub(message.len().max(1));
        let Some(left) = left else { return Err(Stop::Limit(Limit::Log)) };
        let mut inner = self.inner();
        inner.log = left;
        inner.words.hear(level, message);
        drop(inner);
        self.say(level, message);
        Ok(())
    }

    /// The last lines that the plugin logged as errors: what a panic, or a runtime, says before
    /// it ends itself.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.inner().words.text()
    }

    /// A line of the host's own about the plugin: not counted.
    pub(crate) fn say(&self, level: Level, message: &str) {
        self.book(|book| book.log(level, &answer::line(message)));
    }

    /// Ends the call, from where no error can be handed back; the first one counts.
    pub(crate) fn end(&self, stop: Stop) {
        self.inner().stop.get_or_insert(stop);
    }

    /// Why the call was ended so.
    pub(crate) fn ended(&self) -> Option<Stop> {
        self.inner().stop.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(lines: &[(Level, &str)]) -> Option<String> {
        let journal = Journal::new(None, 10_000);
        for (level, line) in lines {
            journal.log(*level, line).unwrap();
        }
        journal.last_words()
    }

    #[test]
    fn last_words_are_the_last_errors_without_other_lines_between() {
        use Level::{Error, Info};
        assert_eq!(words(&[(Info, "a")]), None);
        assert_eq!(words(&[(Error, "a"), (Info, "b")]).as_deref(), Some("a"));
        let lines = [(Error, "old"), (Info, "b"), (Error, "fatal: x"), (Error, "goroutine 1")];
        assert_eq!(words(&lines).as_deref(), Some("fatal: x; goroutine 1"));
        let long = "x".repeat(WORDS);
        let lines = [(Error, "fatal: x"), (Error, &long), (Error, &long), (Error, "end")];
        assert_eq!(words(&lines).as_deref(), Some("fatal: x; end"));
    }
}
