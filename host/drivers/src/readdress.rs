//! Addresses on an interface that another plugin made, and gave its first: for what comes after.

use ipnet::IpNet;
use wharfinger_cni::{AttachmentId, Success};
use wharfinger_plan::{Action, Address, LinkRef, Others, Plan, Step};

use crate::PlanError;
use crate::lease::Lease;
use crate::wire::Wire;

/// Puts what IPAM answered on the interface, as main plugins do.
pub fn addressed(id: &AttachmentId, answer: &Success) -> Result<Plan, PlanError> {
    let lease = Lease::new(answer)?;
    let wire = Wire::new(id, "");
    let mut steps = wire.addresses(&lease, true, true);
    steps.push(wire.up());
    steps.extend(wire.routes(&lease));
    Ok(Plan::new(steps))
}

/// One address of the interface, to be undone.
pub fn address_of(ifname: &str, address: IpNet) -> Plan {
    Plan::new(vec![Step::owned(Action::Address(Address {
        link: LinkRef::container(ifname),
        address,
        nodad: false,
        prefix_route: true,
        others: Others::Keep,
    }))])
}
