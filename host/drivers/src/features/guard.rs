//! Guards against forged sources: what comes from a container carries its own addresses.

use ipnet::IpNet;
use wharfinger_cni::AttachmentId;
use wharfinger_plan::{Action, Guard, LinkKind, LinkRef, Mac, Step};

use crate::names;

/// The guard of a link of the host.
pub(crate) fn guard(
    id: &AttachmentId,
    link: &LinkRef,
    is_port: bool,
    mac: Option<Mac>,
    addresses: Option<&[IpNet]>,
) -> Step {
    Step::owned(Action::Guard(Guard {
        link: link.name.clone(),
        port: is_port,
        mac,
        addresses: addresses.map(|all| all.iter().map(IpNet::addr).collect()),
        comment: names::key(id),
    }))
}

/// Has each guard of a plan know the link-layer address that the container's link has in the
/// end. To be asked once all steps of an entry are together: a later one (`tuning`) may change
/// the address that the driver gave the link.
pub fn settle(steps: &mut [Step]) {
    let Some((host, inside)) = steps.iter().find_map(ends) else { return };
    let changed = steps.iter().rev().find_map(|step| match &step.action {
        Action::Settings(settings) if settings.link == inside => {
            settings.mac.as_ref().map(|change| change.to)
        }
        _ => None,
    });
    let Some(mac) = changed else { return };
    for step in steps {
        if let Action::Guard(Guard { link, mac: Some(guarded), .. }) = &mut step.action
            && *link == host.name
        {
            *guarded = mac;
        }
    }
}

/// The host's end and the container's of a veth that a step makes.
fn ends(step: &Step) -> Option<(LinkRef, LinkRef)> {
    match &step.action {
        Action::Link(link) => match &link.kind {
            LinkKind::Veth { peer } => Some((link.link.clone(), peer.link.clone())),
            _ => None,
        },
        _ => None,
    }
}
