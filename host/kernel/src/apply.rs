//! Applying a plan: each step makes sure of one thing, in order.
//!
//! What is there already with the same parameters is fine, whoever made it; with others it is
//! an error that names both. On a failure, what this call made for its attachment is undone.
//! Start reading at [`apply`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Mac, Others, Owner, Peer, Place, Plan, Route, Rules,
    Step, Sysctl, Tap,
};

use crate::foreign::Accepts;
use crate::link::Found;
use crate::session::Session;
use crate::socket::{Refusal, Socket};
use crate::{
    Error, LinkFacts, address, device, device_file, filter, foreign, frames, kind, link, netns,
    refused, route, rule, segment, settings, steps, sysctl, tap, traffic, undo, vlans, vrf, xfrm,
};

/// How long a port may take to forward, and the first pause between two looks.
const PORT_WITHIN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_micros(200);

/// Makes everything so; answers what the plan's links are like.
pub(crate) fn apply(session: &mut Session<'_>, plan: &Plan) -> Result<Vec<LinkFacts>, Error> {
    let mut made = Plan { format: plan.format, steps: Vec::new() };
    let done = make_all(session, plan, &mut made);
    done.map_err(|(step, source)| {
        let undoing = undo::undo(session, &made, true);
        Error::Step { step, source: Box::new(source), undoing }
    })
}

/// The steps, then a look at what came of them. The failure tells of which step it is.
fn make_all(
    session: &mut Session<'_>,
    plan: &Plan,
    made: &mut Plan,
) -> Result<Vec<LinkFacts>, (usize, Error)> {
    let mut rest = plan.steps.as_slice();
    while let [first, behind @ ..] = rest {
        let number = plan.steps.len() - rest.len();
        let group = sysctls(rest);
        if group.is_empty() {
            if one(session, first).map_err(|error| (number, error))?
                && first.owner == Owner::Attachment
            {
                made.steps.push(first.clone());
            }
            rest = behind;
        } else {
            set(session, first.place(), &group).map_err(|(at, error)| (number + at, error))?;
            rest = rest.get(group.len()..).unwrap_or_default();
        }
    }
    filtered(session, plan, made)?;
    let last = plan.steps.len().saturating_sub(1);
    await_ports(session, plan).map_err(|error| (last, error))?;
    all_facts(session, plan).map_err(|error| (last, error))
}

/// The kernel parameters of one place with which these steps begin: entering a namespace once
/// serves them all.
fn sysctls(steps: &[Step]) -> Vec<&Sysctl> {
    let place = steps.first().map(Step::place);
    let of_step = |step: &'_ Step| match &step.action {
        Action::Sysctl(_) => Some(step.place()) == place,
        _ => false,
    };
    let group = steps.iter().take_while(|step| of_step(step));
    group
        .filter_map(
            |step| if let Action::Sysctl(sysctl) = &step.action { Some(sysctl) } else { None },
        )
        .collect()
}

/// Carries out one step; answers whether it was not so before.
fn one(session: &mut Session<'_>, step: &Step) -> Result<bool, Error> {
    match &step.action {
        Action::Link(link) => ensure_link(session, link, step.owner),
        Action::Up { link } => {
            let index = session.index(link)?;
            let done = link::set_up(session.route(link.place)?, index);
            done.map(|()| true).map_err(|e| refused("set up", format!("link {link}"), e))
        }
        Action::Address(address) => ensure_address(session, address),
        Action::Route(route) => ensure_route(session, route),
        Action::Forward(wanted) => foreign::ensure(session, &wanted.into()),
        Action::PortMap(map) => foreign::ensure(session, &Accepts::mapped(&foreign::targets(map))),
        Action::Shape(wanted) => traffic::shape(session, wanted),
        Action::Redirect(wanted) => traffic::redirect(session, wanted),
        Action::Settings(wanted) => settings::ensure(session, wanted),
        Action::Rule(wanted) => rule::ensure(session, wanted),
        Action::NoRoute(unwanted) => absent_route(session, unwanted),
        Action::Member(wanted) => vrf::join(session, wanted),
        Action::Rules(Rules { bridge: Some(bridge), .. }) => show_frames(session, bridge),
        Action::Probe(wanted) => segment::probe(session, wanted).map(|()| false),
        Action::Announce(wanted) => segment::announce(session, wanted).map(|()| false),
        Action::Encryption(wanted) => xfrm::ensure(*wanted),
        Action::DeviceFile(wanted) => device_file::ensure(wanted),
        // Handled in groups, and at the end.
        Action::Sysctl(_)
        | Action::Masquerade(_)
        | Action::Isolation(_)
        | Action::Guard(_)
        | Action::Rules(_) => Ok(false),
    }
}

/// What a bridge passes from port to port is seen by our tables from now on. Never put back:
/// others rely on it.
fn show_frames(session: &mut Session<'_>, bridge: &str) -> Result<bool, Error> {
    let wanted = LinkRef::host(bridge);
    let index = session.index(&wanted)?;
    let socket = session.route(Place::Host)?;
    let refuse = |refusal| refused("filter", format!("frames of bridge {bridge}"), refusal);
    if !frames::can_show() {
        let why = "the kernel has no br_netfilter (modprobe br_netfilter)";
        return Err(refuse(Refusal::told(libc::EOPNOTSUPP, why)));
    }
    frames::show(socket, index).map_err(refuse)?;
    Ok(false)
}

/// All that the plan wants of our tables is one transaction, once everything else is done: a
/// link has its last address by then, and nobody sends yet.
fn filtered(session: &mut Session<'_>, plan: &Plan, made: &mut Plan) -> Result<(), (usize, Error)> {
    let of_filter = |step: &&Step| filter::is_of_filter(&step.action);
    let Some(first) = plan.steps.iter().position(|step| of_filter(&step)) else { return Ok(()) };
    let steps: Vec<&Step> = plan.steps.iter().filter(of_filter).collect();
    let actions: Vec<&Action> = steps.iter().map(|step| &step.action).collect();
    let done = session.netfilter().and_then(|socket| filter::add(socket, &actions));
    let is_new = done.map_err(|error| (first, error))?;
    if is_new {
        let owned = steps.into_iter().filter(|step| step.owner == Owner::Attachment);
        let unknown = owned.filter(|step| !made.steps.contains(step)).cloned();
        made.steps.extend(unknown.collect::<Vec<_>>());
    }
    for map in actions.iter().filter_map(|action| filter::ports(action)) {
        // The mapping stands; at worst, a conversation that began before goes on where it went.
        let _ = forget(session, map, true);
    }
    Ok(())
}

/// Has the kernel forget who spoke to the ports before.
pub(crate) fn forget(
    session: &mut Session<'_>,
    map: &wharfinger_plan::PortMap,
    mapped: bool,
) -> Result<(), Error> {
    if !filter::has_udp(map) {
        return Ok(());
    }
    let refuse = |refusal| refused("forget", format!("who spoke to {map}"), refusal);
    let local = address::all(session.route(Place::Host)?, None).map_err(refuse)?;
    let local: Vec<_> = local.into_iter().map(|found| found.address.addr()).collect();
    filter::forget(session.netfilter()?, map, &local, mapped).map_err(refuse)
}

fn set(session: &Session<'_>, place: Place, sysctls: &[&Sysctl]) -> Result<(), (usize, Error)> {
    let done = session.with_sysctls(place, sysctls, sysctl::ensure);
    let done: Vec<io::Result<bool>> = done.map_err(|error| (0, error))?;
    for (number, (sysctl, done)) in sysctls.iter().zip(done).enumerate() {
        match done {
            Err(error) if !sysctl.optional => {
                let object = format!("sysctl {} to {}", sysctl.key, sysctl.value);
                return Err((number, refused("set", object, error)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is everybody's may be there; what is the attachment's may not.
fn ensure_link(session: &mut Session<'_>, link: &Link, owner: Owner) -> Result<bool, Error> {
    match &link.kind {
        LinkKind::Ifb => ensure_made(session, link, link::create_ifb),
        LinkKind::Vrf { table } => {
            ensure_made(session, link, |socket, link| link::create_vrf(socket, link, *table))
        }
        LinkKind::Existing => {
            let found = session.get(&link.link)?;
            adopt(session, link, &found).map(|()| false)
        }
        LinkKind::Bridge | LinkKind::VlanBridge => match session.find(&link.link)? {
            Some(found) => adopt(session, link, &found).map(|()| false),
            None => add_bridge(session, link),
        },
        LinkKind::Device(wanted) => device::lend(session, link, wanted).map(|()| true),
        _ if owner == Owner::Attachment => add(session, link).map(|()| true),
        _ => match session.find(&link.link)? {
            Some(found) => adopt(session, link, &found).map(|()| false),
            None => add_or_adopt(session, link),
        },
    }
}

/// A link that is made whole by one request; one that is there has to fit.
fn ensure_made(
    session: &mut Session<'_>,
    link: &Link,
    make: impl FnOnce(&mut Socket, &Link) -> Result<(), Refusal>,
) -> Result<bool, Error> {
    let there = session.find(&link.link)?;
    if let Some(found) = there {
        return adopt(session, link, &found).map(|()| false);
    }
    let result = make(session.route(link.link.place)?, link);
    result.map_err(|refusal| refused("add", format!("link {}", link.link), refusal))?;
    let done = session.get(&link.link).and_then(|found| finish(session, link, &found));
    if done.is_err() {
        let _ = undo::remove_link(session, link);
    }
    done.map(|()| true)
}

fn add(session: &mut Session<'_>, link: &Link) -> Result<(), Error> {
    match &link.kind {
        LinkKind::Veth { peer } => add_veth(session, link, peer),
        LinkKind::Tap(tap) => add_tap(session, link, tap),
        _ => add_on_master(session, link),
    }
}

/// Another process may be faster.
fn add_or_adopt(session: &mut Session<'_>, link: &Link) -> Result<bool, Error> {
    match add(session, link) {
        Err(error) if error.errno() == Some(libc::EEXIST) => match session.find(&link.link)? {
            Some(found) => adopt(session, link, &found).map(|()| false),
            None => Err(no_second(link, error)),
        },
        done => done.map(|()| true),
    }
}

/// It is not the name that another link has.
fn no_second(link: &Link, error: Error) -> Error {
    match (&link.kind, error) {
        (LinkKind::Vxlan(vxlan), Error::Refused { operation, source, .. }) => {
            let object = format!(
                "link {}: another VXLAN of this machine has number {} on port {} (set \"vni\" or \
                 \"port\", the same on all nodes)",
                link.link, vxlan.vni, vxlan.port
            );
            Error::Refused { operation, object, source }
        }
        (_, error) => error,
    }
}

/// Makes a link that has no other end, on its master where it has one.
fn add_on_master(session: &mut Session<'_>, link: &Link) -> Result<(), Error> {
    let master = kind::master(&link.kind);
    let place = master.map_or(link.link.place, |master| master.place);
    let index = master.map(|master| session.index(master)).transpose()?;
    let moves = place != link.link.place;
    let netns = if moves { Some(session.inside()?.as_fd()) } else { None };
    link_kind(session, link, place, index, netns)?;
    complete(session, link)
}

fn link_kind(
    session: &mut Session<'_>,
    link: &Link,
    place: Place,
    master: Option<u32>,
    netns: Option<BorrowedFd<'_>>,
) -> Result<(), Error> {
    kind::create(session.route(place)?, link, master, netns)
        .map_err(|refusal| refused("add", format!("link {}", link.link), refusal))
}

/// Gives a link that was just made what the kernel did not take in the making. On a failure it is
/// removed; its own cause is told, not that of cleaning up after it.
fn complete(session: &mut Session<'_>, link: &Link) -> Result<(), Error> {
    let done = session.get(&link.link).and_then(|found| settle(session, link, &found));
    if done.is_err() {
        let _ = undo::remove_link(session, link);
    }
    done
}

/// As [`complete`], of a link that is looked at.
fn settle(session: &mut Session<'_>, link: &Link, found: &Found) -> Result<(), Error> {
    let mac = link.mac.filter(|mac| found.mac != Some(*mac));
    let mtu = link.mtu.filter(|mtu| found.mtu != *mtu);
    if mac.is_some() || mtu.is_some() {
        link::set_mac_and_mtu(session.route(link.link.place)?, found.index, mac, mtu)
            .map_err(|refusal| refused("set", format!("link {}", link.link), refusal))?;
    }
    let mut now = found.clone();
    now.mac = link.mac.or(now.mac);
    now.mtu = link.mtu.unwrap_or(now.mtu);
    adopt(session, link, &now)
}

/// It is there for good only once it is whole.
fn add_tap(session: &mut Session<'_>, link: &Link, wanted: &Tap) -> Result<(), Error> {
    let object = || format!("link {}", link.link);
    let name = &link.link.name;
    let made = session.within(link.link.place, || tap::Tap::make(name, wanted))?;
    let made = made.map_err(|error| match error.raw_os_error() {
        // The kernel's word for a name that is taken.
        Some(libc::EBUSY) => refused("add", object(), Refusal::of(libc::EEXIST)),
        _ => refused("add", object(), error),
    })?;
    let found = session.get(&link.link)?;
    settle(session, link, &found)?;
    made.keep().map_err(|error| refused("keep", object(), error))
}

fn add_bridge(session: &mut Session<'_>, link: &Link) -> Result<bool, Error> {
    let mac = match link.mac {
        Some(mac) => mac,
        None => random_mac().map_err(|error| refused("choose", "a MAC address", error))?,
    };
    match link::create_bridge(session.route(link.link.place)?, link, mac) {
        Ok(()) => {
            let found = session.get(&link.link)?;
            adopt(session, link, &found).map(|()| true)
        }
        // Another process was faster.
        Err(Refusal { errno: libc::EEXIST, .. }) => {
            let found = session.get(&link.link)?;
            adopt(session, link, &found).map(|()| false)
        }
        Err(refusal) => Err(refused("add", format!("link {}", link.link), refusal)),
    }
}

/// An address of the administrator's own making, for one link (IEEE 802, bits 0 and 1).
fn random_mac() -> io::Result<Mac> {
    let mut octets = [0_u8; 6];
    // SAFETY: octets is writable for its whole length.
    let got = unsafe { libc::getrandom(octets.as_mut_ptr().cast(), octets.len(), 0) };
    if usize::try_from(got) != Ok(octets.len()) {
        return Err(io::Error::last_os_error());
    }
    octets[0] = (octets[0] & 0xfc) | 0x02;
    Ok(Mac(octets))
}

/// A link that is there already: it has to fit, and what is free to be set is set.
fn adopt(session: &mut Session<'_>, link: &Link, found: &Found) -> Result<(), Error> {
    if let Some((what, found, wanted)) = misfits(found, link).into_iter().next() {
        return Err(Error::Differs { object: format!("link {}", link.link), what, found, wanted });
    }
    let promisc = link.promisc == Some(true) && !found.promisc;
    let socket = session.route(link.link.place)?;
    let done = if found.unfinished {
        link::finish_bridge(socket, found, link)
    } else if promisc || (link.up && !found.up) {
        link::set_wanted_flags(socket, found.index, link)
    } else {
        Ok(())
    };
    done.map_err(|refusal| refused("set", format!("link {}", link.link), refusal))?;
    let bridge = link.port.as_ref().map(|port| &port.bridge);
    if let Some(bridge) = bridge {
        let master = master(session, link, bridge)?;
        if found.master != Some(master) {
            link::set_master(session.route(link.link.place)?, found.index, master)
                .map_err(|refusal| refused("set", format!("master of {}", link.link), refusal))?;
        }
    }
    finish(session, link, found)?;
    match &link.kind {
        LinkKind::Veth { peer } => peer_up(session, link, peer),
        _ => Ok(()),
    }
}

/// What of a link cannot be changed under the feet of those who use it: (what, found, wanted).
pub(crate) fn misfits(found: &Found, wanted: &Link) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    let mut compare = |what, found: String, wanted: Option<String>| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            all.push((what, found, wanted));
        }
    };
    let kind = link::kind_name(&wanted.kind).map(str::to_owned);
    let found_kind = if found.kind.is_empty() { "none" } else { &found.kind };
    compare("kind", found_kind.to_owned(), kind);
    if let LinkKind::Vrf { table } = &wanted.kind {
        let found = found.table.map_or_else(|| "none".to_owned(), |table| table.to_string());
        compare("table", found, Some(table.to_string()));
    }
    compare("mtu", found.mtu.to_string(), wanted.mtu.map(|mtu| mtu.to_string()));
    let mac = found.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    compare("mac", mac, wanted.mac.map(|mac| mac.to_string()));
    let promisc = wanted.promisc.filter(|wanted| !wanted).map(|wanted| wanted.to_string());
    compare("promisc", found.promisc.to_string(), promisc);
    all.extend(kind::misfits(found.data, &wanted.kind));
    all
}

/// Sets the alias and the port's flags, where they are wanted and not so.
fn finish(session: &mut Session<'_>, link: &Link, found: &Found) -> Result<(), Error> {
    let alias = link.alias.as_deref().filter(|alias| found.alias.as_deref() != Some(*alias));
    let port = link.port.as_ref();
    if let Some(port) = port {
        vlans::ensure(session.route(link.link.place)?, found.index, port)
            .map_err(|refusal| refused("set", format!("vlans of link {}", link.link), refusal))?;
    }
    let port = port.filter(|port| !link::port_misfits(found, port).is_empty());
    if alias.is_none() && port.is_none() {
        return Ok(());
    }
    link::set_after(session.route(link.link.place)?, found.index, alias, port).map_err(|refusal| {
        refused("set", format!("alias and flags of link {}", link.link), refusal)
    })
}

/// The index of the bridge that a link is to be a port of.
fn master(session: &mut Session<'_>, link: &Link, bridge: &str) -> Result<u32, Error> {
    session.index(&LinkRef { place: link.link.place, name: bridge.to_owned() })
}

/// Makes both ends in one request; neither may be there before. The kernel takes the alias and
/// the port's flags only afterwards.
fn add_veth(session: &mut Session<'_>, link: &Link, peer: &Peer) -> Result<(), Error> {
    let port = link.port.as_ref().map(|port| port.bridge.clone());
    let master = port.map(|bridge| master(session, link, &bridge)).transpose()?;
    let own: Option<OwnedFd>;
    let peer_netns = match (link.link.place, peer.link.place) {
        (Place::Host, Place::Container) => Some(session.inside()?.as_fd()),
        (Place::Container, Place::Host) => {
            own = Some(netns::own().map_err(|e| refused("open", "the own namespace", e))?);
            own.as_ref().map(AsFd::as_fd)
        }
        _ => None,
    };
    let socket = session.route(link.link.place)?;
    if let Err(refusal) = link::create_veth(socket, link, peer, peer_netns, master) {
        return Err(refused_veth(session, link, peer, refusal));
    }
    // On a failure its own cause is told, not that of cleaning up after it.
    let found = match session.get(&link.link) {
        Ok(found) => found,
        Err(error) => {
            let _ = undo::remove_link(session, link);
            return Err(error);
        }
    };
    let done = finish(session, link, &found).and_then(|()| peer_up(session, link, peer));
    if done.is_err() {
        let _ = link::remove(session.route(link.link.place)?, found.index);
    }
    done
}

/// Where both ends are the host's nobody else sets the other one up.
fn peer_up(session: &mut Session<'_>, link: &Link, peer: &Peer) -> Result<(), Error> {
    if !link.up || peer.link.place != Place::Host || link.link.place != Place::Host {
        return Ok(());
    }
    let index = session.index(&peer.link)?;
    link::set_up(session.route(Place::Host)?, index)
        .map_err(|refusal| refused("set up", format!("link {}", peer.link), refusal))
}

/// The kernel does not tell which of the two names is taken.
fn refused_veth(session: &mut Session<'_>, link: &Link, peer: &Peer, refusal: Refusal) -> Error {
    let is_taken = refusal.errno == libc::EEXIST;
    let peer_is = is_taken && session.find(&peer.link).is_ok_and(|found| found.is_some());
    let end = if peer_is { &peer.link } else { &link.link };
    refused("add", format!("link {end}"), refusal)
}

fn ensure_address(session: &mut Session<'_>, wanted: &Address) -> Result<bool, Error> {
    let index = session.index(&wanted.link)?;
    let object = || steps::object(&Action::Address(wanted.clone()));
    if wanted.others != Others::Keep {
        let there = session.addresses(&wanted.link, index)?;
        // With a removed address the kernel may remove others of its network, the wanted too.
        let was_removed = make_room(session, wanted, index, &there)?;
        if there.contains(&wanted.address) && !was_removed {
            return Ok(false);
        }
    }
    match address::add(session.route(wanted.link.place)?, index, wanted) {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.errno == libc::EEXIST => {
            let there = session.addresses(&wanted.link, index)?;
            let found = there.iter().find(|found| found.addr() == wanted.address.addr());
            match found {
                Some(found) if *found == wanted.address => Ok(false),
                Some(found) => Err(Error::Differs {
                    object: object(),
                    what: "prefix length",
                    found: found.prefix_len().to_string(),
                    wanted: wanted.address.prefix_len().to_string(),
                }),
                None => Err(refused("add", object(), refusal)),
            }
        }
        Err(refusal) => Err(refused("add", object(), refusal)),
    }
}

/// Does with other addresses as the step says; answers whether any was removed.
fn make_room(
    session: &mut Session<'_>,
    wanted: &Address,
    index: u32,
    there: &[ipnet::IpNet],
) -> Result<bool, Error> {
    let mut removed = false;
    for other in there.iter().filter(|other| address::is_other(**other, wanted.address)) {
        if wanted.others == Others::Refuse {
            return Err(Error::Differs {
                object: format!("link {}", wanted.link),
                what: "address",
                found: other.to_string(),
                wanted: wanted.address.to_string(),
            });
        }
        let object = format!("address {other} dev {}", wanted.link);
        address::remove(session.route(wanted.link.place)?, index, *other)
            .map_err(|refusal| refused("remove", object, refusal))?;
        removed = true;
    }
    Ok(removed)
}

fn ensure_route(session: &mut Session<'_>, wanted: &Route) -> Result<bool, Error> {
    let index = session.index(&wanted.link)?;
    let object = || steps::object(&Action::Route(wanted.clone()));
    let socket = session.route(wanted.link.place)?;
    match route::add(socket, index, wanted) {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.errno == libc::EEXIST => {
            let rivals = route::rivals(socket, wanted);
            let rivals = rivals.map_err(|refusal| refused("look up", object(), refusal))?;
            if rivals.iter().any(|found| route::is(found, index, wanted)) {
                return Ok(false);
            }
            // Another interface of the container may have a default route too, for one. On the
            // host a route to a container is nobody else's.
            let inside = wanted.link.place == Place::Container;
            let rivals = || rivals.iter().filter(|it| !inside || it.index == Some(index));
            let Some(rival) = rivals().next() else {
                let added = route::add_beside(socket, index, wanted);
                return added.map(|()| true).map_err(|refusal| refused("add", object(), refusal));
            };
            Err(Error::Differs {
                object: object(),
                what: "route",
                found: rival.to_string(),
                wanted: wanted.to_string(),
            })
        }
        Err(refusal) => Err(refused("add", object(), refusal)),
    }
}

/// Removes a route; answers whether it was there.
fn absent_route(session: &mut Session<'_>, unwanted: &Route) -> Result<bool, Error> {
    let index = session.index(&unwanted.link)?;
    let object = || steps::object(&Action::Route(unwanted.clone()));
    let socket = session.route(unwanted.link.place)?;
    let rivals = route::rivals(socket, unwanted);
    let rivals = rivals.map_err(|refusal| refused("look up", object(), refusal))?;
    if !rivals.iter().any(|found| route::is(found, index, unwanted)) {
        return Ok(false);
    }
    let done = route::remove(socket, index, unwanted);
    done.map(|()| true).map_err(|refusal| refused("remove", object(), refusal))
}

/// Waits until the ports whose other ends were set up forward. By then they do: looking makes
/// the kernel catch up (Linux 6.10), and before that it takes well below a millisecond.
fn await_ports(session: &mut Session<'_>, plan: &Plan) -> Result<(), Error> {
    let until = Instant::now() + PORT_WITHIN;
    for port in ports_with_live_peers(plan) {
        let mut pause = FIRST_PAUSE;
        while !session.get(port)?.passes() {
            if Instant::now() > until {
                let object = format!("link {port}");
                return Err(refused("wait for", object, Refusal::of(libc::ETIMEDOUT)));
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
    }
    Ok(())
}

/// Ports of bridges whose peers the plan sets up.
fn ports_with_live_peers(plan: &Plan) -> impl Iterator<Item = &LinkRef> {
    let goes_up = |wanted: &LinkRef| {
        plan.steps.iter().any(|step| matches!(&step.action, Action::Up { link } if link == wanted))
    };
    plan.steps.iter().filter_map(move |step| match &step.action {
        Action::Link(Link {
            link, kind: LinkKind::Veth { peer }, port: Some(_), up: true, ..
        }) if goes_up(&peer.link) => Some(link),
        _ => None,
    })
}

fn all_facts(session: &mut Session<'_>, plan: &Plan) -> Result<Vec<LinkFacts>, Error> {
    let mut all = Vec::new();
    for link in steps::links(plan) {
        all.extend(session.facts(link)?);
    }
    Ok(all)
}
