//! `dummy`: the container's link leads nowhere; it is there for its addresses.

use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_plan::{Action, LinkKind, Plan, Step};

use crate::draft::Draft;
use crate::lease::Lease;
use crate::segment;
use crate::wire::Wire;
use crate::{Error, PlanError, names, read};

/// The configuration of `dummy`, which has no keys but `ipam`.
pub(crate) fn parse(call: &Attach) -> Result<(), Error> {
    read::refuse_near_misses(call, &[])?;
    read::require_ipam(&call.conf.fields(), "dummy")?;
    Ok(())
}

pub(crate) fn plan(id: &AttachmentId, domain: &str, answer: &Success) -> Result<Draft, PlanError> {
    let lease = Lease::new(answer)?;
    let wire = Wire::new(id, domain);
    let link = segment::link(id, LinkKind::Dummy, None, Some(names::container_mac(id)));
    let mut steps = vec![Step::owned(Action::Link(link))];
    steps.extend(wire.container_sysctls(&lease, false));
    steps.extend(wire.addresses(&lease, false, true));
    steps.push(wire.up());
    steps.extend(wire.routes(&lease));
    Ok(Draft::new(Plan::new(steps), vec![wire.inside], lease))
}
