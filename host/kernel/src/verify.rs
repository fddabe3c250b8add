//! Verifying a plan: each step that is not as the plan says, in words.
//!
//! It looks at what is ours, not at what others added, and changes nothing.

use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Peer, Place, Plan, Port, Route, Rules, Sysctl,
};

use crate::foreign::Accepts;
use crate::link::Found;
use crate::session::Session;
use crate::{
    Drift, Error, apply, device_file, filter, foreign, frames, kind, link, refused, route, rule,
    settings, steps, sysctl, traffic, vlans, vrf, xfrm,
};

/// Every step that is not as the plan says.
pub(crate) fn verify(session: &mut Session<'_>, plan: &Plan) -> Result<Vec<Drift>, Error> {
    let mut drifts = Vec::new();
    for (step, wanted) in plan.steps.iter().enumerate() {
        for (object, found) in one(session, &wanted.action)? {
            drifts.push(Drift { step, object, found });
        }
    }
    Ok(drifts)
}

/// What an object is, and how it differs.
type Difference = (String, String);

fn one(session: &mut Session<'_>, action: &Action) -> Result<Vec<Difference>, Error> {
    let object = steps::object(action);
    let about = |found: Option<String>| found.map(|found| (object, found)).into_iter().collect();
    match action {
        Action::Link(link) => link_differences(session, link),
        Action::Up { link } => Ok(about(up(session, link)?)),
        Action::Address(address) => Ok(about(address_difference(session, address)?)),
        Action::Route(route) => Ok(about(route_difference(session, route)?)),
        Action::Sysctl(sysctl) => Ok(about(sysctl_difference(session, sysctl)?)),
        Action::Masquerade(_)
        | Action::Forward(_)
        | Action::PortMap(_)
        | Action::Isolation(_)
        | Action::Guard(_)
        | Action::Rules(_) => {
            let all = filter_differences(session, action)?;
            Ok(all.into_iter().map(|found| (steps::object(action), found)).collect())
        }
        Action::Shape(wanted) => Ok(about(traffic::shape_difference(session, wanted)?)),
        Action::Redirect(wanted) => Ok(about(traffic::redirect_difference(session, wanted)?)),
        Action::Settings(wanted) => {
            let found = match session.find(&wanted.link)? {
                None => vec![missing()],
                Some(found) => settings::differences(&found, wanted),
            };
            Ok(found.into_iter().map(|found| (steps::object(action), found)).collect())
        }
        Action::Rule(wanted) => Ok(about(rule::is_missing(session, wanted)?.then(missing))),
        Action::NoRoute(unwanted) => Ok(about(unwanted_route(session, unwanted)?)),
        Action::Member(wanted) => Ok(about(vrf::difference(session, wanted)?)),
        Action::Encryption(wanted) => {
            let found = xfrm::differences(*wanted)?;
            Ok(found.into_iter().map(|found| (steps::object(action), found)).collect())
        }
        Action::DeviceFile(wanted) => Ok(about(device_file::is_missing(wanted).then(missing))),
        // They held when they were carried out.
        Action::Probe(_) | Action::Announce(_) => Ok(Vec::new()),
    }
}

fn missing() -> String {
    "is missing".to_owned()
}

fn link_differences(session: &mut Session<'_>, wanted: &Link) -> Result<Vec<Difference>, Error> {
    let object = format!("link {}", wanted.link);
    let Some(found) = session.find(&wanted.link)? else { return Ok(vec![(object, missing())]) };
    let mut all: Vec<String> = apply::misfits(&found, wanted)
        .into_iter()
        .map(|(what, found, wanted)| format!("{what} is {found}, not {wanted}"))
        .collect();
    all.extend(alias_difference(&found, wanted));
    all.extend(master_difference(session, &found, wanted)?);
    all.extend((wanted.up && !found.up).then(|| "is down".to_owned()));
    all.extend(
        (wanted.promisc == Some(true) && !found.promisc).then(|| "is not promiscuous".to_owned()),
    );
    if let Some(port) = &wanted.port {
        all.extend(port_differences(session, &found, port, wanted.link.place)?);
    }
    let mut all: Vec<Difference> = all.into_iter().map(|found| (object.clone(), found)).collect();
    if let LinkKind::Veth { peer } = &wanted.kind {
        all.extend(peer_differences(session, wanted, peer)?);
    }
    Ok(all)
}

/// Whether it stands on the link it was made on.
fn master_difference(
    session: &mut Session<'_>,
    found: &Found,
    wanted: &Link,
) -> Result<Option<String>, Error> {
    let Some(master) = kind::master(&wanted.kind) else { return Ok(None) };
    let stands = session.find(master)?.is_some_and(|master| found.peer == Some(master.index));
    Ok((!stands).then(|| format!("does not stand on {master}")))
}

fn alias_difference(found: &Found, wanted: &Link) -> Option<String> {
    let lent = match &wanted.kind {
        LinkKind::Device(device) => device.from.as_ref(),
        _ => None,
    };
    let wanted =
        wanted.alias.as_ref().or(lent).filter(|wanted| found.alias.as_ref() != Some(*wanted))?;
    let found = found.alias.as_deref().unwrap_or("none");
    Some(format!("alias is {found}, not {wanted}"))
}

fn port_differences(
    session: &mut Session<'_>,
    found: &Found,
    port: &Port,
    place: Place,
) -> Result<Vec<String>, Error> {
    let bridge = session.find(&LinkRef { place, name: port.bridge.clone() })?;
    let Some(bridge) = bridge.filter(|bridge| found.master == Some(bridge.index)) else {
        return Ok(vec![format!("is no port of {}", port.bridge)]);
    };
    let vlans = vlans::differences(session.route(place)?, found.index, port)
        .map_err(|refusal| refused("list", "vlans of bridges", refusal))?;
    let differing = link::port_misfits(found, port).into_iter();
    let name = bridge.name;
    Ok(differing
        .map(|(what, found, wanted)| format!("{what} on {name} is {found}, not {wanted}"))
        .chain(vlans)
        .collect())
}

fn peer_differences(
    session: &mut Session<'_>,
    wanted: &Link,
    peer: &Peer,
) -> Result<Vec<Difference>, Error> {
    let found = session.find(&peer.link)?;
    let expected = Link {
        link: peer.link.clone(),
        kind: wanted.kind.clone(),
        mtu: wanted.mtu,
        mac: peer.mac,
        alias: None,
        port: None,
        promisc: None,
        up: false,
    };
    let object = format!("link {}", peer.link);
    let Some(found) = found else { return Ok(vec![(object, missing())]) };
    let misfits = apply::misfits(&found, &expected).into_iter();
    Ok(misfits
        .map(|(what, found, wanted)| (object.clone(), format!("{what} is {found}, not {wanted}")))
        .collect())
}

fn up(session: &mut Session<'_>, wanted: &LinkRef) -> Result<Option<String>, Error> {
    Ok(match session.find(wanted)? {
        None => Some(missing()),
        Some(found) => (!found.up).then(|| "is down".to_owned()),
    })
}

fn address_difference(
    session: &mut Session<'_>,
    wanted: &Address,
) -> Result<Option<String>, Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(Some(missing())) };
    let there = session.addresses(&wanted.link, link.index)?;
    if there.contains(&wanted.address) {
        return Ok(None);
    }
    let same = there.iter().find(|found| found.addr() == wanted.address.addr());
    let other = |found: &ipnet::IpNet| {
        let (found, wanted) = (found.prefix_len(), wanted.address.prefix_len());
        format!("prefix length is {found}, not {wanted}")
    };
    Ok(Some(same.map_or_else(missing, other)))
}

fn route_difference(session: &mut Session<'_>, wanted: &Route) -> Result<Option<String>, Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(Some(missing())) };
    let object = || steps::object(&Action::Route(wanted.clone()));
    let found = route::rivals(session.route(wanted.link.place)?, wanted)
        .map_err(|refusal| refused("look up", object(), refusal))?;
    if found.iter().any(|found| route::is(found, link.index, wanted)) {
        return Ok(None);
    }
    if route::is_elsewhere(session.route(wanted.link.place)?, link.index, wanted)
        .map_err(|refusal| refused("look up", object(), refusal))?
    {
        return Ok(None);
    }
    Ok(Some(found.first().map_or_else(missing, |found| format!("is {found}"))))
}

/// That a route is there, where it is not to be.
fn unwanted_route(session: &mut Session<'_>, unwanted: &Route) -> Result<Option<String>, Error> {
    let Some(link) = session.find(&unwanted.link)? else { return Ok(None) };
    let object = || steps::object(&Action::Route(unwanted.clone()));
    let found = route::rivals(session.route(unwanted.link.place)?, unwanted)
        .map_err(|refusal| refused("look up", object(), refusal))?;
    let is_there = found.iter().any(|found| route::is(found, link.index, unwanted));
    Ok(is_there.then(|| "is there again".to_owned()))
}

fn sysctl_difference(session: &Session<'_>, wanted: &Sysctl) -> Result<Option<String>, Error> {
    if wanted.optional {
        return Ok(None);
    }
    let read = |sysctl: &Sysctl| sysctl::read(&sysctl.key);
    let found = session.with_sysctls(wanted.place, &[wanted], read)?.into_iter().next();
    Ok(match found {
        Some(Ok(found)) if sysctl::same(&found, &wanted.value) => None,
        Some(Ok(found)) => Some(format!("is {found}, not {}", wanted.value)),
        Some(Err(error)) => Some(format!("cannot be read: {error}")),
        None => Some(missing()),
    })
}

fn filter_differences(session: &mut Session<'_>, action: &Action) -> Result<Vec<String>, Error> {
    let mut all = filter::differences(session.netfilter()?, action)?;
    match action {
        Action::Forward(wanted) => all.extend(foreign::differences(session, &wanted.into())?),
        Action::PortMap(map) => {
            let addresses = foreign::targets(map);
            all.extend(foreign::differences(session, &Accepts::mapped(&addresses))?);
        }
        Action::Rules(Rules { bridge: Some(bridge), .. }) => {
            let found = session.find(&LinkRef::host(bridge))?;
            let index = found.map_or(0, |found| found.index);
            let shown = frames::are_shown(session.route(Place::Host)?, index).unwrap_or(false);
            all.extend((!shown).then(|| format!("bridge {bridge} does not show what it passes")));
        }
        _ => {}
    }
    Ok(all)
}
