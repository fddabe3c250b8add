//! `loopback`: the container's own `lo` is up. CNI_IFNAME does not matter.

use wharfinger_cni::Attach;
use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Plan, Step};

use crate::draft::Draft;
use crate::{Error, Facts, PlanError, read};

pub(crate) fn parse(call: &Attach) -> Result<(), Error> {
    read::refuse_near_misses(call, &[])
}

pub(crate) fn link() -> LinkRef {
    LinkRef::container("lo")
}

pub(crate) fn check_facts(facts: &Facts) -> Result<(), PlanError> {
    let addresses = facts.get(&link()).map(|lo| lo.addresses.as_slice()).unwrap_or_default();
    match addresses.iter().find(|address| !address.addr().is_loopback()) {
        Some(address) => Err(PlanError::NotLoopback { link: link(), address: *address }),
        None => Ok(()),
    }
}

pub(crate) fn plan() -> Draft {
    let up = Link {
        link: link(),
        kind: LinkKind::Existing,
        mtu: None,
        mac: None,
        alias: None,
        port: None,
        promisc: None,
        up: true,
    };
    Draft::observing(Plan::new(vec![Step::owned(Action::Link(up))]), link())
}
