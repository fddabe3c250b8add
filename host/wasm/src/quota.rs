//! How full a plugin's store may be.

use crate::{Book, BookError};

/// What is in the store during one call. The book measures it once; what is put is added, what it
/// replaces only counted once the quota seems full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    limit: u64,
    /// Bytes in the store, or more.
    stored: Option<u64>,
}

/// A question to the book that a number answers.
pub(crate) type Measure<'a> = &'a dyn Fn(&mut dyn Book) -> Result<u64, BookError>;

impl Quota {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, stored: None }
    }

    /// Whether there is room for an entry, which is counted.
    pub(crate) fn takes<E>(
        &mut self,
        key: &str,
        value: &str,
        mut ask: impl FnMut(Measure<'_>) -> Result<u64, E>,
    ) -> Result<bool, E> {
        let entry = (key.len() + value.len()) as u64;
        let stored = match self.stored {
            Some(stored) => stored,
            None => ask(&|book| book.store_size())?,
        };
        let mut stored = stored.saturating_add(entry);
        if stored > self.limit {
            let before = ask(&|book| book.store_size())?;
            let old = ask(&|book| {
                Ok(book.store_get(key)?.map_or(0, |old| (key.len() + old.len()) as u64))
            })?;
            stored = before.saturating_sub(old).saturating_add(entry);
        }
        self.stored = Some(stored);
        Ok(stored <= self.limit)
    }
}
