//! The node as `wharfinger explain` draws it, from what the ledger has of each attachment.

use std::collections::BTreeMap;

use wharfinger_attach::{Error, Host};
use wharfinger_ledger::{Record, State};
use wharfinger_plan::{Action, Link, LinkKind, Owner, Place, Step};
use wharfinger_view::topology::{Attachment, Hub, Network, Topology};

/// Looks, and changes nothing.
pub(super) fn topology(host: &Host, wanted: Option<&str>) -> Result<Topology, Error> {
    let mut networks: BTreeMap<String, Network> = BTreeMap::new();
    for entry in host.ledger.list(wanted)? {
        let name = entry.record.id.network.clone();
        let network = networks.entry(name.clone()).or_default();
        network.name = name;
        add(network, &entry.record);
    }
    Ok(Topology {
        node: host.settings.node.name.clone(),
        networks: networks.into_values().collect(),
    })
}

fn add(network: &mut Network, record: &Record) {
    for step in &record.plan.steps {
        if let Some(hub) = hub(step)
            && network.hubs.iter().all(|known| known.link != hub.link)
        {
            network.hubs.push(hub);
        }
    }
    for hub in &mut network.hubs {
        let of = record.plan.steps.iter().filter_map(|step| address(step, &hub.link));
        let new: Vec<String> = of.filter(|address| !hub.addresses.contains(address)).collect();
        hub.addresses.extend(new);
    }
    let mut kinds: Vec<&str> = record.plan.steps.iter().filter_map(rule).collect();
    kinds.dedup();
    for kind in kinds {
        *network.rules.entry(kind.to_owned()).or_default() += 1;
    }
    network.attachments.push(Attachment {
        container: record.id.container.clone(),
        ifname: record.id.ifname.clone(),
        link: record.plan.steps.iter().find_map(host_link),
        addresses: record.addresses.iter().map(ToString::to_string).collect(),
        netns: record.netns.clone(),
        pending: record.state == State::Pending,
    });
}

/// A link that the attachments share, or that theirs stand on.
fn hub(step: &Step) -> Option<Hub> {
    let Action::Link(link) = &step.action else { return None };
    let of = |kind: &str, name: &str| {
        Some(Hub { link: name.to_owned(), kind: kind.to_owned(), addresses: Vec::new() })
    };
    let name = link.link.name.as_str();
    match &link.kind {
        LinkKind::Bridge | LinkKind::VlanBridge => of("bridge", name),
        LinkKind::Vxlan(_) => of("vxlan", name),
        LinkKind::Macvlan(it) => of("macvlan on", &it.master.name),
        LinkKind::Ipvlan(it) => of("ipvlan on", &it.master.name),
        LinkKind::Vlan(it) => of("vlan on", &it.master.name),
        _ if step.owner == Owner::Shared && link.link.place == Place::Host => of("link", name),
        _ => None,
    }
}

fn address(step: &Step, link: &str) -> Option<String> {
    match &step.action {
        Action::Address(it) if it.link.place == Place::Host && it.link.name == link => {
            Some(it.address.to_string())
        }
        _ => None,
    }
}

/// The attachment's own link of the host.
fn host_link(step: &Step) -> Option<String> {
    let Action::Link(Link { link, .. }) = &step.action else { return None };
    let own = step.owner == Owner::Attachment && link.place == Place::Host;
    own.then(|| link.name.clone())
}

fn rule(step: &Step) -> Option<&'static str> {
    Some(match &step.action {
        Action::Masquerade(_) => "masquerade",
        Action::Forward(_) => "accepts",
        Action::PortMap(_) => "port mappings",
        Action::Isolation(_) => "isolation",
        Action::Guard(_) => "checked sources",
        Action::Rules(_) => "rules",
        Action::Shape(_) => "rates",
        _ => return None,
    })
}
