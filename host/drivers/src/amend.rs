//! Plans that are not for an ADD: what CHECK verifies, and what a DEL without a record undoes.

use ipnet::IpNet;
use wharfinger_cni::{Attach, AttachmentId, Interface, Ip, Success};
use wharfinger_plan::{
    Action, Address, Change, Ipvlan, IpvlanMode, Link, LinkKind, LinkRef, Mac, Macvlan,
    MacvlanMode, Peer, Place, Plan, Route, Settings, Step, Tap, Vlan,
};

use crate::features::{bandwidth, redirection_name};
use crate::lease::Lease;
use crate::{Conf, names, segment, wire};

/// The recorded plan as CHECK verifies it: later plugins of the list may have changed our
/// interfaces and said so in `prev`, and then that counts (spec section 3). A MAC address, an MTU, a
/// prefix length or a next hop becomes that of `prev`; an address or route of the container that
/// is not in `prev` is not looked for. What others added is theirs to check.
pub fn amend(plan: &Plan, prev: &Success) -> Plan {
    let steps = plan.steps.iter().filter_map(|step| {
        let action = match &step.action {
            Action::Link(link) => Action::Link(amend_link(link, prev)),
            Action::Address(address) => Action::Address(amend_address(address, prev)?),
            Action::Route(route) => Action::Route(amend_route(route, prev)?),
            Action::Settings(settings) => Action::Settings(amend_settings(settings, prev)),
            other => other.clone(),
        };
        Some(Step { owner: step.owner, action })
    });
    Plan { format: plan.format, steps: steps.collect() }
}

/// What the plan leaves open stays open.
fn amend_link(link: &Link, prev: &Success) -> Link {
    let mut link = link.clone();
    let host = find(prev, &link.link);
    link.mac = link.mac.map(|own| mac_of(host).unwrap_or(own));
    link.mtu = link.mtu.map(|own| mtu_of(host).unwrap_or(own));
    if let LinkKind::Veth { peer } = &mut link.kind {
        let inside = find(prev, &peer.link);
        peer.mac = peer.mac.map(|own| mac_of(inside).unwrap_or(own));
        // A plan has one MTU for both ends; where somebody gave them two, none is looked at.
        link.mtu = link.mtu.filter(|mtu| mtu_of(inside).is_none_or(|other| other == *mtu));
    }
    link
}

/// As [`amend_link`], of a link that was made by others.
fn amend_settings(settings: &Settings, prev: &Success) -> Settings {
    let found = find(prev, &settings.link);
    let mac = settings.mac.map(|own| Change { to: mac_of(found).unwrap_or(own.to), ..own });
    let mtu = settings.mtu.map(|own| Change { to: mtu_of(found).unwrap_or(own.to), ..own });
    Settings { mac, mtu, ..settings.clone() }
}

fn find<'a>(prev: &'a Success, link: &LinkRef) -> Option<&'a Interface> {
    prev.interfaces.iter().find(|interface| is(interface, link))
}

fn is(interface: &Interface, link: &LinkRef) -> bool {
    let place = if interface.sandbox.is_empty() { Place::Host } else { Place::Container };
    interface.name == link.name && place == link.place
}

fn mac_of(interface: Option<&Interface>) -> Option<Mac> {
    interface?.mac.parse().ok()
}

fn mtu_of(interface: Option<&Interface>) -> Option<u32> {
    interface?.mtu.filter(|mtu| *mtu != 0)
}

/// None where the container's address is not in `prev`. The host's are not ours to drop.
fn amend_address(address: &Address, prev: &Success) -> Option<Address> {
    if address.link.place == Place::Host {
        return Some(address.clone());
    }
    let same =
        |ip: &&Ip| ip.address.addr() == address.address.addr() && on(ip, &address.link, prev);
    let found = prev.ips.iter().find(same)?;
    Some(Address { address: found.address, ..address.clone() })
}

/// An address without an interface, or with one that is not there, may be of any.
fn on(ip: &Ip, link: &LinkRef, prev: &Success) -> bool {
    let interface = ip.interface.and_then(|index| prev.interfaces.get(index));
    interface.is_none_or(|interface| is(interface, link))
}

/// None where the container's route is not in `prev`. A route with a source is the driver's own
/// and in no result.
fn amend_route(route: &Route, prev: &Success) -> Option<Route> {
    if route.link.place == Place::Host || route.source.is_some() {
        return Some(route.clone());
    }
    let number = |number: Option<u32>| number.filter(|number| *number != 0);
    let same = |other: &&wharfinger_cni::Route| {
        other.dst.trunc() == route.destination
            && number(other.table) == route.table
            && number(other.priority) == route.priority
    };
    let found: Vec<_> = prev.routes.iter().filter(same).collect();
    let keeps = found.iter().any(|other| other.gw.is_none() || other.gw == route.gateway);
    let gateway = if keeps { route.gateway } else { found.first()?.gw };
    Some(Route { gateway, ..route.clone() })
}

/// What an attachment without a record can have left on the host, by what follows from its id and
/// from `prev`: to be undone by a DEL.
pub fn leftovers(id: &AttachmentId, prev: Option<&Success>) -> Plan {
    let addresses: Vec<IpNet> = prev.map(|prev| container_addresses(id, prev)).unwrap_or_default();
    let peer = Peer { link: LinkRef::container(&id.ifname), mac: None };
    let link = Link {
        link: LinkRef::host(names::host_link_name(id)),
        kind: LinkKind::Veth { peer },
        mtu: None,
        // By which it is known where its maker was killed before it had its alias.
        mac: Some(names::host_mac(id)),
        alias: Some(names::key(id)),
        port: None,
        promisc: None,
        up: false,
    };
    let mut steps = vec![Step::owned(Action::Link(link))];
    steps.push(bandwidth::ifb_step(&LinkRef::host(redirection_name(id)), id, None));
    steps.extend(addresses.into_iter().map(|address| wire::masquerade(id, address)));
    Plan::new(steps)
}

/// As [`leftovers`], and inside the container, and what only its driver makes: as far as the
/// configuration tells.
pub fn leftovers_of(call: &Attach) -> Plan {
    let id = &call.id;
    let prev = call.prev_result.as_ref();
    let mut plan = leftovers(id, prev);
    let driver = call.conf.fields().str("driver").ok().flatten().map(str::to_owned);
    let driver = driver.unwrap_or_else(|| call.conf.plugin_type.clone());
    let Ok(conf) = Conf::parse(&driver, call) else { return plan };
    let mac = Some(names::container_mac(id));
    let inside = |kind, mac| Step::owned(Action::Link(segment::link(id, kind, None, mac)));
    let nowhere = LinkRef::host("");
    match conf {
        Conf::Macvlan(conf) => {
            let ips = prev.map(|prev| container_ips(id, prev)).unwrap_or_default();
            plan.steps.extend(conf.leftovers(&Lease { ips, ..Lease::default() }));
            let (mode, bcqueuelen) = (MacvlanMode::default(), None);
            let kind = Macvlan { master: nowhere, mode, bcqueuelen };
            plan.steps.push(inside(LinkKind::Macvlan(kind), mac));
        }
        Conf::Ipvlan(_) => {
            let kind = Ipvlan { master: nowhere, mode: IpvlanMode::default() };
            plan.steps.push(inside(LinkKind::Ipvlan(kind), None));
        }
        Conf::Vlan(_) => {
            plan.steps.push(inside(LinkKind::Vlan(Vlan { master: nowhere, id: 0 }), None));
        }
        Conf::Dummy => plan.steps.push(inside(LinkKind::Dummy, mac)),
        Conf::Tap(_) => plan.steps.push(inside(LinkKind::Tap(Tap::default()), mac)),
        Conf::HostDevice(conf) => plan.steps.push(conf.leftovers(id)),
        Conf::Bridge(_) | Conf::Overlay(_) | Conf::Ptp(_) | Conf::Loopback => {}
    }
    plan
}

fn container_ips(id: &AttachmentId, prev: &Success) -> Vec<Ip> {
    let inside = LinkRef::container(&id.ifname);
    prev.ips.iter().filter(|ip| on(ip, &inside, prev)).cloned().collect()
}

fn container_addresses(id: &AttachmentId, prev: &Success) -> Vec<IpNet> {
    container_ips(id, prev).into_iter().map(|ip| ip.address).collect()
}
