//! Addresses that are held for no interface: a gateway's, one that is set aside. Nobody decides on
//! them: they are named.

use std::net::IpAddr;
use std::time::Duration;

use wharfinger_cni::AttachmentId;
use wharfinger_ledger::{Commit, Record, Refusal, Release, Scope, State};
use wharfinger_plan::Plan;

use crate::{Error, Host, del};

/// What is to be held.
#[derive(Debug, Clone)]
pub struct Held {
    /// By whom; its network shares the ranges.
    pub id: AttachmentId,
    /// The address space.
    pub domain: String,
    /// The address.
    pub address: IpAddr,
    /// What is kept with it, for people and for [`release`].
    pub conf: serde_json::Value,
}

/// Holds the address. What `id` held before is free.
pub fn hold(host: &Host, held: &Held) -> Result<(), Error> {
    let _hold = del::lock(host, &held.id)?;
    let before = host.node.remaining();
    loop {
        let Held { id, domain, address, conf } = held.clone();
        let now = host.node.now();
        let scope = Scope { id: id.clone(), domain: domain.clone(), now };
        let mut session = host.ledger.session(scope)?;
        if let Err(refusal) = session.take(address)? {
            let holder = match refusal {
                Refusal::Held(id) => id.to_string(),
                Refusal::Reserved(why) => why,
            };
            return Err(Error::AddressHeld { address, holder });
        }
        let record = Record {
            id,
            state: State::Attached,
            created: now,
            netns: None,
            cookie: None,
            domain,
            addresses: vec![address],
            ports: Vec::new(),
            conf,
            plugin: None,
            plan: Plan::default(),
            result: None,
        };
        match session.commit(&record)? {
            Commit::Done(_) => return Ok(()),
            Commit::Conflict if host.node.remaining().is_zero() => {
                return Err(Error::Contended { waited: before });
            }
            Commit::Conflict => host.notes.again(),
        }
    }
}

/// Lets it go; that it is not held is fine. It rests for `cool`.
pub fn release(host: &Host, id: &AttachmentId, cool: Duration) -> Result<(), Error> {
    let _hold = del::lock(host, id)?;
    let Some(entry) = host.ledger.get(id)? else { return Ok(()) };
    match host.ledger.release(id, entry.seq, host.node.now(), cool)? {
        Release::Done | Release::Absent => Ok(()),
        Release::Stale => Err(Error::Locked { id: id.clone() }),
    }
}
