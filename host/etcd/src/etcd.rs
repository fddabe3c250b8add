//! etcd, as its synchronous callers see it: a thread of its own speaks to it.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use wharfinger_ledger::cluster::Fault;

use crate::members::Members;
use crate::settings::{Invalid, Settings};

/// The cluster's store on etcd: see [`Remote`](wharfinger_ledger::cluster::Remote). A clone is
/// the same one; requests of several threads go side by side over one connection.
#[derive(Debug, Clone)]
pub struct Etcd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    members: Arc<Members>,
    thread: Mutex<Option<Thread>>,
}

/// Where connections are kept up; it ends with the value. It stands in the namespaces of the thread
/// that asks first: never one that entered a container's.
#[derive(Debug)]
struct Thread {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Etcd {
    /// Nothing is done yet, but to look at the settings.
    pub fn new(settings: Settings) -> Result<Self, Invalid> {
        let members = Arc::new(Members::new(settings)?);
        Ok(Self(Arc::new(Inner { members, thread: Mutex::new(None) })))
    }

    pub(crate) fn members(&self) -> Arc<Members> {
        Arc::clone(&self.0.members)
    }

    /// Runs it on the thread, and waits. Not `block_on`: the caller may be within a runtime of its
    /// own, which forbids that.
    pub(crate) fn run<T>(
        &self,
        what: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        self.handle()?.spawn(async move { sender.send(what.await) });
        let lost = || Fault::Unknown("the thread that speaks to etcd ended: report it".into());
        receiver.recv().map_err(|_| lost())?
    }

    fn handle(&self) -> Result<Handle, Fault> {
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            return Ok(thread.handle.clone());
        }
        let new = Thread::start().map_err(|error| {
            Fault::Unavailable(format!("start the thread that speaks to etcd: {error}"))
        })?;
        let handle = new.handle.clone();
        *thread = Some(new);
        Ok(handle)
    }
}

impl Thread {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("etcd".into()).spawn(move || {
            let _ = runtime.block_on(stopped);
            // A name may still be looked up, which nobody waits for.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _stop: stop })
    }
}
