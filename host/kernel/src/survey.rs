//! What the kernel itself tells of attachments, and what it lacks for a plan.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use wharfinger_plan::{Action, LinkKind, LinkRef, Plan};

use crate::session::{Session, facts};
use crate::{Error, Survey, address, filter, frames, link, refused};

/// Links of the host that have an alias, and what is in our tables of the packet filter.
pub(crate) fn survey(session: &mut Session<'_>) -> Result<Survey, Error> {
    let socket = session.route(wharfinger_plan::Place::Host)?;
    let links = link::all(socket).map_err(|refusal| refused("list", "links", refusal))?;
    let all = address::all(socket, None);
    let all = all.map_err(|refusal| refused("list", "addresses", refusal))?;
    let mut addresses: BTreeMap<u32, Vec<IpNet>> = BTreeMap::new();
    for found in all {
        addresses.entry(found.index).or_default().push(found.address);
    }
    let links = links.into_iter().filter(|found| found.alias.is_some()).map(|found| {
        let addresses = addresses.remove(&found.index).unwrap_or_default();
        facts(LinkRef::host(found.name.clone()), found, addresses)
    });
    let links = links.collect();
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
    let has_link = |wanted: fn(&LinkKind) -> bool| {
        actions().any(|action| matches!(action, Action::Link(link) if wanted(&link.kind)))
    };
    let mut missing = Vec::new();
    let kinds = [
        (c"bridge", "bridges", has_link(|kind| matches!(kind, LinkKind::Bridge))),
        (c"ifb", "ifb links", has_link(|kind| matches!(kind, LinkKind::Ifb))),
        (c"vrf", "VRFs", has_link(|kind| matches!(kind, LinkKind::Vrf { .. }))),
        (c"veth", "veth links", has_link(|kind| matches!(kind, LinkKind::Veth { .. }))),
    ];
    for (kind, words, needed) in kinds {
        let socket = session.route(wharfinger_plan::Place::Host)?;
        let can = !needed
            || link::can_make(socket, kind)
                .map_err(|refusal| refused("ask for", words, refusal))?;
        if !can {
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
    if actions().any(needs_ipv6) && !Path::new("/proc/sys/net/ipv6").exists() {
        missing.push("the kernel has no IPv6".to_owned());
    }
    Ok(missing)
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
        _ => false,
    }
}
