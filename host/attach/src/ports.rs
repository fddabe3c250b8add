//! Ports of the host: what a plan makes of them is claimed in the decision's own session, so that
//! each has one owner on the node, whatever makes the plan.

use wharfinger_ledger::{HostPort, Session};
use wharfinger_plan::{Action, Claim, Plan, Protocol};

use crate::{Error, error};

/// The ports of the host that a plan takes.
pub(crate) fn of(plan: &Plan) -> Vec<HostPort> {
    let claims = plan.steps.iter().filter_map(|step| match &step.action {
        Action::PortMap(mappings) => Some(mappings.claims()),
        _ => None,
    });
    let mut ports: Vec<HostPort> = claims.flatten().filter_map(port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn port(claim: Claim) -> Option<HostPort> {
    let protocol = match claim.protocol {
        Protocol::Tcp => wharfinger_cni::Protocol::Tcp,
        Protocol::Udp => wharfinger_cni::Protocol::Udp,
        Protocol::Sctp => wharfinger_cni::Protocol::Sctp,
        Protocol::Icmp => return None,
    };
    Some(HostPort { protocol, address: Some(claim.address), port: claim.port })
}

/// Claims them; the error names who has one, and how it is freed.
pub(crate) fn claim(plan: &Plan, session: &mut dyn Session) -> Result<Vec<HostPort>, Error> {
    let ports = of(plan);
    for port in &ports {
        session.claim(port)?.map_err(|wharfinger_ledger::Holder { id, since }| {
            let holder = Box::new(error::Holder { id, since });
            Error::PortTaken { port: *port, holder }
        })?;
    }
    Ok(ports)
}
