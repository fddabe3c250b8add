//! Lends a call's book to its store, which may hold nothing borrowed.
//!
//! The pointer can be reached only while [`lend`] runs: it is wiped when that returns or
//! unwinds, however long the [`Lent`] itself is kept. It may be moved to other threads, as
//! waiting tasks ask; there it leads nowhere.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use crate::Book;

/// A book on loan.
#[derive(Clone)]
pub(crate) struct Lent {
    slot: Arc<Mutex<Option<Pointer>>>,
    /// A book belongs to the thread that lends it.
    owner: ThreadId,
}

struct Pointer(NonNull<dyn Book>);

// SAFETY: the pointer is followed in `Lent::with` alone, and there on no thread but the owner's.
unsafe impl Send for Pointer {}

impl Lent {
    fn put(&self, pointer: Option<Pointer>) -> Option<Pointer> {
        std::mem::replace(&mut *self.slot.lock().unwrap_or_else(PoisonError::into_inner), pointer)
    }
}

/// Wipes the pointer, also when unwinding.
struct Wipe<'a>(&'a Lent);

impl Drop for Wipe<'_> {
    fn drop(&mut self) {
        self.0.put(None);
    }
}

/// Runs `call` with the book on loan; afterwards the loan is over.
pub(crate) fn lend<R>(book: &mut dyn Book, call: impl FnOnce(Lent) -> R) -> R {
    let pointer: NonNull<dyn Book + '_> = NonNull::from(book);
    // SAFETY: only the lifetime is erased. The pointer is reachable through the slot alone,
    // which `Wipe` empties before `book`'s borrow, held by this frame, ends. `Lent::with` has it
    // out of the slot while it is used, but on this thread, so deeper in the stack than here.
    let pointer = unsafe {
        std::mem::transmute::<NonNull<dyn Book + '_>, NonNull<dyn Book + 'static>>(pointer)
    };
    let lent =
        Lent { slot: Arc::new(Mutex::new(Some(Pointer(pointer)))), owner: thread::current().id() };
    let wipe = Wipe(&lent);
    let answer = call(lent.clone());
    drop(wipe);
    answer
}

impl Lent {
    /// Uses the book; none once the loan is over, while it is in use already, or on another
    /// thread than the lender's.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut dyn Book) -> R) -> Option<R> {
        if thread::current().id() != self.owner {
            return None;
        }
        let mut pointer = self.put(None)?;
        // SAFETY: the pointer was in the slot, so `lend` is still running and its exclusive
        // borrow alive; it is out of the slot while used, so there is no second reference; and
        // this is the thread that the book belongs to.
        let answer = f(unsafe { pointer.0.as_mut() });
        self.put(Some(pointer));
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BookError, Refusal};
    use std::net::IpAddr;

    struct Empty(u32);

    impl Book for Empty {
        fn take(&mut self, _: IpAddr) -> Result<Result<(), Refusal>, BookError> {
            self.0 += 1;
            Ok(Ok(()))
        }
        fn take_free(
            &mut self,
            _: &[crate::AddressRange],
            _: &[crate::AddressRange],
            _: Option<IpAddr>,
        ) -> Result<Option<IpAddr>, BookError> {
            Ok(None)
        }
        fn remembered(&mut self, _: &str) -> Result<Vec<IpAddr>, BookError> {
            Ok(vec![])
        }
        fn remember(&mut self, _: &str) -> Result<(), BookError> {
            Ok(())
        }
        fn store_get(&mut self, _: &str) -> Result<Option<String>, BookError> {
            Ok(None)
        }
        fn store_put(&mut self, _: &str, _: &str, _: bool) -> Result<(), BookError> {
            Ok(())
        }
        fn store_remove(&mut self, _: &str) -> Result<bool, BookError> {
            Ok(false)
        }
        fn store_scan(
            &mut self,
            _: &str,
            _: Option<&str>,
            _: u32,
        ) -> Result<Vec<(String, String)>, BookError> {
            Ok(vec![])
        }
        fn store_count(&mut self, _: &str) -> Result<u64, BookError> {
            Ok(0)
        }
        fn store_size(&mut self) -> Result<u64, BookError> {
            Ok(0)
        }
        fn usage(&mut self, _: &[crate::AddressRange]) -> Result<crate::Usage, BookError> {
            Ok(crate::Usage::default())
        }
    }

    #[test]
    fn a_loan_ends_and_is_never_doubled() {
        let mut book = Empty(0);
        let kept = lend(&mut book, |lent| {
            let inner = lent.clone();
            let doubled = lent.with(|book| {
                book.take(IpAddr::from([10, 0, 0, 1])).unwrap().unwrap();
                inner.with(|_| ()).is_some()
            });
            assert_eq!(doubled, Some(false));
            lent
        });
        assert!(kept.with(|_| ()).is_none());
        assert_eq!(book.0, 1);
    }

    #[test]
    fn on_another_thread_there_is_no_book() {
        let mut book = Empty(0);
        lend(&mut book, |lent| {
            let there = lent.clone();
            let used = std::thread::spawn(move || there.with(|_| ()).is_some()).join().unwrap();
            assert!(!used);
            assert!(lent.with(|_| ()).is_some());
        });
    }

    #[test]
    fn a_loan_ends_when_the_call_panics() {
        let mut kept = None;
        let slot = &mut kept;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            lend(&mut Empty(0), |lent| {
                *slot = Some(lent);
                panic!("on purpose")
            })
        }));
        assert!(outcome.is_err());
        assert!(kept.unwrap().with(|_| ()).is_none());
    }
}
