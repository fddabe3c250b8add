//! What all that happens in one call has in common: the book on loan, the log and what is left
//! of it, and why the host ended the call. Host functions, output streams and requests under
//! way each hold one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::Limit;
use crate::raw::Lent;
use crate::{Book, BookError, Level, answer};

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
    /// The last line that the plugin logged as an error.
    words: Option<String>,
}

impl Journal {
    /// Of a call that may log so many bytes; with no book where the call has none.
    pub(crate) fn new(book: Option<Lent>, log: usize) -> Self {
        Self { book, inner: Arc::new(Mutex::new(Inner { log, stop: None, words: None })) }
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
        self.inner().log = left;
        if level == Level::Error {
            self.inner().words = Some(answer::line(message));
        }
        self.say(level, message);
        Ok(())
    }

    /// The last line that the plugin logged as an error.
    pub(crate) fn last_words(&self) -> Option<String> {
        self.inner().words.clone()
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
