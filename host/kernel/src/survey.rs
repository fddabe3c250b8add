//! What the kernel itself tells of attachments, and what it lacks for a plan.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::net::IpAddr;
use std::path::Path;

use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Plan};

use crate::link::Found;
use crate::session::{Session, facts};
use crate::socket::{Refusal, Socket};
use crate::{Error, Survey, filter, frames, link, refused, xfrm};

/// How the host's links are listed.
type List = fn(&mut Socket) -> Result<Vec<Found>, Refusal>;

/// Links of the host that have an alias, and what is in our tables of the packet filter.
pub(crate) fn survey(session: &mut Session<'_>, list: List) -> Result<Survey, Error> {
    let socket = session.route(wharfinger_plan::Place::Host)?;
    let links = list(socket).map_err(|refusal| refused("list", "links", refusal))?;
    let links = links.into_iter().filter(|found| found.alias.is_some());
    let facts = |found: Found| facts(LinkRef::host(found.name.clone()), found, Vec::new());
    let links = links.map(facts).collect();
    let filter::Surveyed { masquerades, filter } = match session.netfilter() {
        Ok(socket) => filter::survey(socket)?,
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => filter::Surveyed::default(),
        Err(error) => return Err(error),
    };
    Ok(Survey { links, masquerades, filter })
}

/// What a plan needs and the kernel does not have, for people.
pub(crate) fn missing(session: &mut Session<'_>, plan: &Plan) -> Result<Vec<String>, Error> {
    let actions = || plan.steps.iter().map(|step| &step.action);
    let mut missing = Vec::new();
    for (kind, words) in kinds(plan) {
        let socket = session.route(wharfinger_plan::Place::Host)?;
        if !link::can_make(socket, kind).map_err(|refusal| refused("ask for", words, refusal))? {
            missing.push(format!("the kernel has no {words}"));
        }
    }
    let filter: Vec<&Action> = actions().filter(|action| filter::is_of_filter(action)).collect();
    if !filter.is_empty() {
        let lacking = match session.netfilter() {
            Ok(socket) => filter::missing(socket, &filter),
            Err(_) => vec!["nf_tables"],
        };
        missing.extend(lacking.iter().map(|words| format!("the kernel has no {words}")));
    }
    let frames = |action: &Action| matches!(action, Action::Rules(rules) if rules.bridge.is_some());
    if actions().any(frames) && !frames::can_show() {
        missing.push("the kernel has no br_netfilter".to_owned());
    }
    let taps =
        |action: &Action| matches!(action, Action::Link(Link { kind: LinkKind::Tap(_), .. }));
    if actions().any(taps) && !Path::new("/dev/net/tun").exists() {
        missing.push("there is no /dev/net/tun, by which taps are made".to_owned());
    }
    for action in actions() {
        if let Action::Encryption(wanted) = action {
            missing.extend(xfrm::missing(*wanted)?);
        }
    }
    if actions().any(needs_ipv6) && !Path::new("/proc/sys/net/ipv6").exists() {
        missing.push("the kernel has no IPv6".to_owned());
    }
    Ok(missing)
}

/// The kinds of link that a plan makes, each once, and what people call them.
fn kinds(plan: &Plan) -> BTreeMap<&'static CStr, &'static str> {
    let links = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Link(link) => Some(&link.kind),
        _ => None,
    });
    let named = links.filter_map(|kind| match kind {
        LinkKind::Bridge | LinkKind::VlanBridge => Some((c"bridge", "bridges")),
        LinkKind::Veth { .. } => Some((c"veth", "veth links")),
        LinkKind::Macvlan(_) => Some((c"macvlan", "macvlan links")),
        LinkKind::Ipvlan(_) => Some((c"ipvlan", "ipvlan links")),
        LinkKind::Vlan(_) => Some((c"vlan", "vlan links")),
        LinkKind::Vxlan(_) => Some((c"vxlan", "vxlan links")),
        LinkKind::Dummy => Some((c"dummy", "dummy links")),
        LinkKind::Ifb => Some((c"ifb", "ifb links")),
        LinkKind::Vrf { .. } => Some((c"vrf", "VRFs")),
        // Taps are made otherwise, and asked for otherwise.
        LinkKind::Tap(_) | LinkKind::Device(_) | LinkKind::Existing => None,
    });
    named.collect()
}

fn needs_ipv6(action: &Action) -> bool {
    match action {
        Action::Address(address) => address.address.addr().is_ipv6(),
        Action::Route(route) => route.destination.addr().is_ipv6(),
        Action::Masquerade(masquerade) => masquerade.address.is_ipv6(),
        Action::Forward(forward) => forward.addresses.iter().any(IpAddr::is_ipv6),
        Action::PortMap(map) => map.ports.iter().any(|port| port.to.is_ipv6()),
        Action::Isolation(isolation) => isolation.addresses.iter().any(IpAddr::is_ipv6),
        Action::Rules(rules) => rules.addresses.iter().any(IpAddr::is_ipv6),
        Action::Rule(rule) => rule.from.is_ipv6(),
        Action::Probe(probe) => probe.addresses.iter().any(IpAddr::is_ipv6),
        _ => false,
    }
}
