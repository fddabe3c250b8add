//! A plan without what follows from addresses: what there is before they are asked for.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
use wharfinger_cni::{Ip, Success};
use wharfinger_plan::{Action, Link, Owner, Plan, Step};

/// An answer to plan with while there is none; nothing of its address is kept.
pub(crate) fn stand_in() -> Success {
    let address = Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 2), 24);
    let ip = Ip { interface: None, address: IpNet::V4(address), gateway: None };
    Success { ips: vec![ip], ..Success::default() }
}

/// Links, under an alias that has no address yet, and the attachment's own settings of them.
pub(crate) fn of(plan: &Plan, alias: &str) -> Plan {
    let step = |step: &Step| match (&step.action, step.owner) {
        (Action::Link(link), Owner::Attachment) => Some(Step::owned(Action::Link(Link {
            alias: link.alias.as_ref().map(|_| alias.to_owned()),
            ..link.clone()
        }))),
        (Action::Link(_) | Action::Up { .. }, _) | (Action::Sysctl(_), Owner::Attachment) => {
            Some(step.clone())
        }
        _ => None,
    };
    Plan { format: plan.format, steps: plan.steps.iter().filter_map(step).collect() }
}
