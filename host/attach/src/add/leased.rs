//! An ADD whose addresses are asked for on the link that it makes: by an executable that is as
//! the reference `dhcp`, or by ourselves of a DHCP server.

use std::iter::once;
use std::net::IpAddr;
use std::time::Duration;

use wharfinger_cni::{Attach, Success};
use wharfinger_dhcp::Lease;
use wharfinger_kernel::Netns;
use wharfinger_ledger::{Record, Refusal, Session};
use wharfinger_plan::Plan;

use super::{Adding, one_of};
use crate::hearing::{Hearing, View};
use crate::network::{Decided, Made, Network};
use crate::{Error, Host, dhcp, recover};

impl Adding<'_> {
    /// Makes what is to be there before anybody is asked for addresses on it. It is journalled.
    pub(super) fn make(&self, seq: u64, plan: Plan) -> Result<Made, Error> {
        if plan.steps.is_empty() {
            return Ok(Made::default());
        }
        match self.host.kernel.apply(&plan, self.netns) {
            Ok(links) => Ok(Made { plan, links }),
            Err(error) => Err(self.unmake(seq, &plan, error.into())),
        }
    }

    /// Undoes what was made before anybody was asked. Where the kernel keeps something, the record
    /// stays.
    pub(super) fn unmake(&self, seq: u64, plan: &Plan, error: Error) -> Error {
        let left = self.host.kernel.undo(plan, Some(self.netns));
        let mut errors: Vec<Error> = once(error).chain(left.into_iter().map(Error::from)).collect();
        if errors.len() == 1 {
            let now = self.host.node.now();
            let released = self.host.ledger.release(self.id, seq, now, Duration::ZERO);
            errors.extend(released.err().map(Error::from));
        }
        one_of(errors)
    }

    /// Makes the interface, and asks a DHCP server on it. No session is open meanwhile.
    pub(super) fn lease(&self) -> Result<(u64, Decided), Error> {
        let admitted = self.admitted()?;
        let view = self.hearing.view(admitted.as_ref())?;
        let nothing = Decided { plugin: Some(dhcp::NAME.to_owned()), ..Decided::default() };
        let plan = view.bare()?;
        let conf = dhcp::kept(view.call, &plan, None);
        let early = self.record(view.call, &nothing);
        let seq = self.write(&Record { conf, plan: plan.clone(), ..early })?;
        let made = self.make(seq, plan)?;
        let lease = dhcp::obtain(self.host, view.call, self.netns);
        let lease = lease.map_err(|error| self.abandon(seq, error))?;
        match self.settled(&view, &made.plan, &lease) {
            Ok((seq, decided)) => Ok((seq, Decided { made, ..decided })),
            Err(error) => {
                self.refuse(view.call, &lease, &error);
                Err(self.abandon(seq, error))
            }
        }
    }

    /// Writes the lease down, if the policies stand by what it was asked for with. An address that
    /// a dead attachment has is freed for it.
    fn settled(
        &self,
        view: &View<'_>,
        bare: &Plan,
        lease: &Lease,
    ) -> Result<(u64, Decided), Error> {
        let once = || {
            self.commit(|session| {
                self.stand_by(view, session)?;
                let decided = self.leased(view, lease, session)?;
                let conf = dhcp::kept(view.call, bare, Some(lease));
                Ok((Record { conf, ..self.record(view.call, &decided) }, decided))
            })
        };
        match once() {
            Err(taken @ Error::LeaseTaken { .. }) => {
                match recover::reclaim(self.host, &self.network.domain, self.id)? {
                    0 => Err(taken),
                    _ => once(),
                }
            }
            other => other,
        }
    }

    /// What follows from a lease: its address is taken, and the policies see it.
    fn leased(
        &self,
        view: &View<'_>,
        lease: &Lease,
        session: &mut dyn Session,
    ) -> Result<Decided, Error> {
        let address = lease.address.addr();
        if let Err(refusal) = session.take(IpAddr::V4(address))? {
            let holder = match refusal {
                Refusal::Held(id) => id.to_string(),
                Refusal::Reserved(why) => why,
            };
            return Err(Error::LeaseTaken { server: lease.server, address, holder });
        }
        let answer = dhcp::conf::success(&view.call.conf, lease)?;
        let decided = self.hearing.conclude(view, answer, session)?;
        Ok(Decided { plugin: Some(dhcp::NAME.to_owned()), ..decided })
    }

    /// Tells the server that its lease is not used: and that the address is somebody's, where that
    /// is why.
    fn refuse(&self, call: &Attach, lease: &Lease, why: &Error) {
        match why {
            Error::LeaseTaken { .. } => dhcp::decline(self.host, call, self.netns, lease),
            _ => dhcp::give_back(self.host, call, self.netns, lease),
        }
    }
}

/// Another lease for an attachment that has lost its own: what an ADD with it would have made is
/// made on the interface that is there, if policies agree. Answers what a runtime would be told.
///
/// `record` is as it is without a lease. The lease is not written into it here: that it is used
/// is only true once this has returned.
pub(crate) fn again(
    host: &Host,
    call: &Attach,
    netns: &Netns,
    record: &Record,
    lease: &Lease,
) -> Result<Success, Error> {
    let network = Network::read(host, call)?;
    let facts = network.observe_before(host, call, netns)?;
    let hearing = Hearing::new(host, call, &network, &facts, Some(netns))?;
    let adding = Adding { host, call, network: &network, netns, hearing, id: &record.id };
    let answer = dhcp::conf::success(&call.conf, lease)?;
    let (seq, decided) = adding.commit(|session| {
        let view = adding.hearing.view(None)?;
        let decided = adding.leased(&view, lease, session)?;
        let new = adding.record(call, &decided);
        let plan = match &decided.draft {
            Some(_) => decided.plan.clone(),
            None => wharfinger_drivers::addressed(&call.id, &answer)?,
        };
        let Record { addresses, ports, .. } = new;
        Ok((Record { addresses, ports, plan, ..record.clone() }, decided))
    })?;
    let planned = host.ledger.get(&record.id)?.map(|entry| entry.record.plan).unwrap_or_default();
    match host.kernel.apply(&planned.after(&record.plan), netns) {
        Ok(links) => Ok(decided.success(&links, call)),
        Err(error) => {
            host.ledger.amend(&Record { addresses: Vec::new(), ..record.clone() }, seq)?;
            Err(error.into())
        }
    }
}
