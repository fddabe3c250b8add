//! A lease of etcd: what is bound to it goes when nobody keeps it alive.

use std::time::Duration;

use etcd_client::Error;
use tonic::Code;
use wharfinger_ledger::cluster::Fault;

use crate::etcd::Etcd;

/// A lease that was granted to us. It reads no clock: times are the caller's, of a clock that
/// never goes back, and goes on while the machine sleeps (`CLOCK_BOOTTIME`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    id: i64,
    ttl: Duration,
    since: Duration,
}

impl Lease {
    /// etcd's number of it.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// How long it lives after it was kept alive: etcd may grant more than was asked for.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Until when it is certain to be alive, by the caller's clock. Later it may be or not.
    pub fn good_until(&self) -> Duration {
        self.since.saturating_add(self.ttl)
    }
}

impl Etcd {
    /// A new lease. `now` is read before the call: what is certain counts from there.
    pub fn grant(&self, ttl: Duration, now: Duration, wait: Duration) -> Result<Lease, Fault> {
        let members = self.members();
        // Whole seconds; rather longer than shorter.
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.run(async move {
            let mut tour = members.tour("get a lease of this node".into(), wait);
            // One that was granted, and did not reach us, ends by itself.
            let ask = |client: etcd_client::Client| async move {
                client.lease_client().grant(seconds, None).await
            };
            let (_, granted) = members.ask(&mut tour, ask).await?;
            let ttl = Duration::from_secs(u64::try_from(granted.ttl()).unwrap_or(0));
            Ok(Lease { id: granted.id(), ttl, since: now })
        })
    }

    /// Keeps it alive, once. `now` is read before the call. False: it is no more.
    pub fn keep_alive(
        &self,
        lease: &mut Lease,
        now: Duration,
        wait: Duration,
    ) -> Result<bool, Fault> {
        let (members, id) = (self.members(), lease.id);
        let alive = self.run(async move {
            let mut tour = members.tour("keep this node's lease alive".into(), wait);
            let ask = |client: etcd_client::Client| async move {
                found(client.lease_client().keep_alive(id).await)
            };
            Ok(members.ask(&mut tour, ask).await?.1)
        })?;
        if alive {
            lease.since = now;
        }
        Ok(alive)
    }

    /// Ends it, and all that is bound to it; one that is no more is fine.
    pub fn revoke(&self, lease: &Lease, wait: Duration) -> Result<(), Fault> {
        let (members, id) = (self.members(), lease.id);
        self.run(async move {
            let mut tour = members.tour("give this node's lease back".into(), wait);
            let ask = |client: etcd_client::Client| async move {
                found(client.lease_client().revoke(id).await)
            };
            members.ask(&mut tour, ask).await?;
            Ok(())
        })
    }
}

/// Whether the lease was there.
fn found<T>(result: Result<T, Error>) -> Result<bool, Error> {
    match result {
        Ok(_) => Ok(true),
        // So the client says it: the answer had no time to live.
        Err(Error::LeaseKeepAliveError(text)) if text.contains("not found") => Ok(false),
        Err(Error::GRpcStatus(status)) if status.code() == Code::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
