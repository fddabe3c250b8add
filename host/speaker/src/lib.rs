//! The thread that speaks to a store elsewhere (etcd, Kubernetes' API), for synchronous callers. It
//! keeps the connections up, and is there from what is asked first until its [`Speaker`] is dropped.
//! It stands in the namespaces of whoever asks first: never ask from a thread that entered a
//! container's. Knows nothing of what is said.
#![forbid(unsafe_code)]

use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use wharfinger_ledger::cluster::Fault;

/// Speaks to one store.
#[derive(Debug)]
pub struct Speaker {
    store: &'static str,
    thread: Mutex<Option<Thread>>,
}

/// It ends with the value.
#[derive(Debug)]
struct Thread {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Speaker {
    /// To the store of this name ("etcd"), which errors say. No thread is started yet.
    #[must_use]
    pub fn new(store: &'static str) -> Self {
        Self { store, thread: Mutex::new(None) }
    }

    /// Runs it on the thread, and waits. Not `block_on`: the caller may be within a runtime of its
    /// own, which forbids that.
    pub fn run<T>(
        &self,
        what: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        self.handle()?.spawn(async move { sender.send(what.await) });
        let lost =
            || Fault::Unknown(format!("the thread that speaks to {} ended: report it", self.store));
        receiver.recv().map_err(|_| lost())?
    }

    fn handle(&self) -> Result<Handle, Fault> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            return Ok(thread.handle.clone());
        }
        let new = Thread::start(self.store).map_err(|error| {
            Fault::Unavailable(format!("start the thread that speaks to {}: {error}", self.store))
        })?;
        let handle = new.handle.clone();
        *thread = Some(new);
        Ok(handle)
    }
}

impl Thread {
    fn start(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name(name.into()).spawn(move || {
            let _ = runtime.block_on(stopped);
            // A name may still be looked up, which nobody waits for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _stop: stop })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

    use super::*;

    #[test]
    fn each_is_run_on_one_thread_also_from_within_a_runtime() {
        let speaker = Speaker::new("a store");
        let name = || async { Ok(std::thread::current().id()) };
        let first = speaker.run(name()).expect("run");
        assert_ne!(first, std::thread::current().id());
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let second = runtime.block_on(async { speaker.run(name()) }).expect("run");
        assert_eq!(first, second);
    }

    #[test]
    fn what_panics_there_is_an_error_of_unknown_outcome() {
        let speaker = Speaker::new("a store");
        let fault = speaker.run::<()>(async { panic!("a defect") }).expect_err("it panics");
        assert!(matches!(fault, Fault::Unknown(text) if text.contains("a store")));
        assert_eq!(speaker.run(async { Ok(1) }), Ok(1));
    }
}
