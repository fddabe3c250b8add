//! etcd, as its synchronous callers see it: a thread of its own speaks to it.

use std::sync::Arc;

use wharfinger_ledger::cluster::Fault;
use wharfinger_speaker::Speaker;

use crate::members::Members;
use crate::settings::{Invalid, Settings};

/// The cluster's store on etcd: see [`Remote`](wharfinger_ledger::cluster::Remote). A clone is
/// the same one; requests of several threads go side by side over one connection.
#[derive(Debug, Clone)]
pub struct Etcd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    members: Arc<Members>,
    speaker: Speaker,
}

impl Etcd {
    /// Nothing is done yet, but to look at the settings.
    pub fn new(settings: Settings) -> Result<Self, Invalid> {
        let members = Arc::new(Members::new(settings)?);
        Ok(Self(Arc::new(Inner { members, speaker: Speaker::new("etcd") })))
    }

    pub(crate) fn members(&self) -> Arc<Members> {
        Arc::clone(&self.0.members)
    }

    /// Runs it on the thread that keeps the connections up, and waits.
    pub(crate) fn run<T>(
        &self,
        what: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault>
    where
        T: Send + 'static,
    {
        self.0.speaker.run(what)
    }
}
