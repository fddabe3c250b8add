//! Members of VRFs, and how a namespace routes.
//!
//! The kernel takes a link down and up again when it comes into a VRF or leaves it, and forgets
//! its IPv6 addresses and its routes on the way: they are read before, and given back behind it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use wharfinger_plan::{Address, LinkRef, MAIN_TABLE, Member, Others, Place, Route, Routing};

use crate::link::{self, Found};
use crate::session::Session;
use crate::{Error, address, refused, route, rule};

/// How long a new address may take to be routed, and the first pause between two looks.
const ROUTED_WITHIN: Duration = Duration::from_millis(2500);
const FIRST_PAUSE: Duration = Duration::from_millis(1);

fn vrf_of(member: &Member) -> LinkRef {
    LinkRef { place: member.link.place, name: member.vrf.clone() }
}

/// Makes a link a member; answers whether it was none before.
pub(crate) fn join(session: &mut Session<'_>, wanted: &Member) -> Result<bool, Error> {
    let vrf = session.get(&vrf_of(wanted))?;
    let link = session.get(&wanted.link)?;
    if link.master == Some(vrf.index) {
        return Ok(false);
    }
    if let Some(master) = link.master {
        return Err(Error::Differs {
            object: format!("link {}", wanted.link),
            what: "master",
            found: format!("link number {master}"),
            wanted: wanted.vrf.clone(),
        });
    }
    let table = vrf.table.unwrap_or(MAIN_TABLE);
    relocate(session, &wanted.link, &link, vrf.index, (MAIN_TABLE, table)).map(|()| true)
}

/// Why a link is no member.
pub(crate) fn difference(
    session: &mut Session<'_>,
    wanted: &Member,
) -> Result<Option<String>, Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(Some("is missing".to_owned())) };
    let vrf = session.find(&vrf_of(wanted))?;
    let is_in = vrf.is_some_and(|vrf| link.master == Some(vrf.index));
    Ok((!is_in).then(|| format!("is not in VRF {}", wanted.vrf)))
}

/// A link is a member no longer; it or the VRF may be gone.
pub(crate) fn leave(session: &mut Session<'_>, wanted: &Member) -> Result<(), Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(()) };
    let Some(vrf) = session.find(&vrf_of(wanted))? else { return Ok(()) };
    if link.master != Some(vrf.index) {
        return Ok(());
    }
    let table = vrf.table.unwrap_or(MAIN_TABLE);
    relocate(session, &wanted.link, &link, 0, (table, MAIN_TABLE))
}

/// Gives a link another master, and its addresses and routes back.
fn relocate(
    session: &mut Session<'_>,
    name: &LinkRef,
    link: &Found,
    master: u32,
    (from, to): (u32, u32),
) -> Result<(), Error> {
    let object = || format!("link {name}");
    let read = |e| refused("list", format!("addresses and routes of {name}"), e);
    let socket = session.route(name.place)?;
    let before = address::all(socket, Some(link.index)).map_err(read)?;
    let routes = route::of_link(socket, link.index, from).map_err(read)?;
    link::set_master(socket, link.index, master)
        .map_err(|e| refused("set", format!("master of {name}"), e))?;
    let after = address::all(socket, Some(link.index)).map_err(read)?;
    let lost = before.iter().filter(|one| one.address.addr().is_ipv6() && !is_local(one.address));
    let lost = lost.filter(|one| after.iter().all(|there| there.address != one.address));
    for one in lost {
        let again = Address {
            link: name.clone(),
            address: one.address,
            // It was found to be nobody else's before.
            nodad: true,
            prefix_route: one.prefix_route,
            others: Others::Keep,
        };
        address::add(session.route(name.place)?, link.index, &again)
            .map_err(|e| refused("give back", format!("address {} dev {name}", one.address), e))?;
        await_route(session, name, one.address.addr(), to)?;
    }
    let socket = session.route(name.place)?;
    for found in routes {
        let again = Route { table: Some(to), ..found.route(name) };
        match route::add(socket, link.index, &again) {
            Ok(()) => {}
            // The kernel made it again itself.
            Err(refusal) if refusal.errno == libc::EEXIST => {}
            Err(refusal) => {
                return Err(refused("move", format!("{again} of {}", object()), refusal));
            }
        }
    }
    Ok(())
}

fn is_local(address: IpNet) -> bool {
    matches!(address, IpNet::V6(address) if address.addr().is_unicast_link_local())
}

/// Waits until the kernel routes to an address that a link was just given.
fn await_route(
    session: &mut Session<'_>,
    link: &LinkRef,
    address: IpAddr,
    table: u32,
) -> Result<(), Error> {
    let until = Instant::now() + ROUTED_WITHIN;
    let mut pause = FIRST_PAUSE;
    // Outside a VRF, what leads to an own address is in the table of those.
    let table = if table == MAIN_TABLE { route::LOCAL } else { table };
    loop {
        let object = || format!("address {address} dev {link}");
        let there = route::leads_to(session.route(link.place)?, table, address)
            .map_err(|e| refused("look up", object(), e))?;
        if there {
            return Ok(());
        }
        if Instant::now() > until {
            let late = crate::socket::Refusal::of(libc::ETIMEDOUT);
            return Err(refused("wait for", object(), late));
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
}

/// Whether any link belongs to the VRF with this index.
pub(crate) fn has_members(
    session: &mut Session<'_>,
    place: Place,
    vrf: u32,
) -> Result<bool, Error> {
    let all = link::all(session.route(place)?).map_err(|e| refused("list", "links", e))?;
    Ok(all.iter().any(|link| link.master == Some(vrf)))
}

/// How the container's namespace routes.
pub(crate) fn routing(session: &mut Session<'_>) -> Result<Routing, Error> {
    let place = Place::Container;
    let socket = session.route(place)?;
    let links = link::all(socket).map_err(|e| refused("list", "links", e))?;
    let routes = route::all(socket).map_err(|e| refused("list", "routes", e))?;
    let rules = rule::all(socket).map_err(|e| refused("list", "rules", e))?;
    let vrfs = links.iter().filter_map(|link| Some((link.name.clone(), link.table?))).collect();
    let names: BTreeMap<u32, LinkRef> =
        links.into_iter().map(|link| (link.index, LinkRef { place, name: link.name })).collect();
    let routes = routes.iter().filter_map(|found| {
        let link = names.get(&found.index?)?;
        Some(found.route(link))
    });
    let routes = routes.collect();
    Ok(Routing { routes, ruled: rules.iter().map(|rule| rule.table).collect(), vrfs })
}
