//! Undoing a plan: what is its attachment's goes, from the last step to the first.
//!
//! What is gone already is fine, what is another's stays, and a failure does not keep the rest
//! from being undone. Rules go before links: the kernel needs some milliseconds to forget an
//! element, and would have the closing of the socket wait for it; it forgets it while the link is
//! being removed, which takes longer.

use wharfinger_plan::{Action, Address, Link, LinkKind, Place, Plan, Route, Step};

use crate::foreign::Accepts;
use crate::link::Found;
use crate::session::Session;
use crate::{
    Error, address, apply, device, device_file, filter, foreign, link, refused, route, rule,
    settings, steps, traffic, vrf,
};

/// Undoes the owned steps of a plan.
pub(crate) fn undo(session: &mut Session<'_>, plan: &Plan, with_container: bool) -> Vec<Error> {
    let steps = steps::to_undo(plan, with_container);
    let mut errors: Vec<Error> = filtered(session, &steps).err().into_iter().collect();
    let together = removed_together(&steps);
    let is_among = |step: &Step| together.iter().any(|link| is_link(step, link));
    let rest = steps.iter().filter(|step| !is_among(step));
    errors.extend(rest.filter_map(|step| one(session, &step.action).err()));
    errors.extend(remove_links(session, &together));
    errors
}

/// Links of the host that are removed in one go: none where there is but one.
fn removed_together<'a>(steps: &[&'a Step]) -> Vec<&'a Link> {
    let links = steps.iter().filter_map(|step| match &step.action {
        Action::Link(link) => Some(link),
        _ => None,
    });
    let plain = |link: &&Link| matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Ifb);
    let links = links.filter(|link| link.link.place == Place::Host).filter(plain);
    let links: Vec<&Link> = links.collect();
    if links.len() > 1 { links } else { Vec::new() }
}

fn is_link(step: &Step, link: &Link) -> bool {
    matches!(&step.action, Action::Link(of_step) if of_step == link)
}

/// Removes those of the links that are this plan's; each by itself where that fails.
fn remove_links(session: &mut Session<'_>, links: &[&Link]) -> Vec<Error> {
    let mut ours = Vec::new();
    let mut errors = Vec::new();
    for link in links {
        match session.find(&link.link) {
            Ok(Some(found)) if is_found(&found, link) => ours.push(found.index),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    if ours.len() > 1 {
        let socket = session.route(Place::Host);
        if socket.is_ok_and(|socket| link::remove_together(socket, &ours).is_ok()) {
            return errors;
        }
    }
    errors.extend(links.iter().filter_map(|link| remove_link(session, link).err()));
    errors
}

/// Whether this is the link of the plan.
fn is_found(found: &Found, link: &Link) -> bool {
    steps::is_ours(found.alias.as_deref(), found.mac, &found.kind, link)
}

/// What is in our tables, as one transaction. A plan that has nothing there asks for nothing.
fn filtered(session: &mut Session<'_>, steps: &[&Step]) -> Result<(), Error> {
    let actions = steps.iter().map(|step| &step.action);
    let actions: Vec<&Action> = actions.filter(|action| filter::is_of_filter(action)).collect();
    if actions.is_empty() {
        return Ok(());
    }
    match session.netfilter() {
        Ok(socket) => filter::remove(socket, &actions)?,
        // A kernel that has no nf_tables has no rule of ours.
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => return Ok(()),
        Err(error) => return Err(error),
    }
    for map in actions.iter().filter_map(|action| filter::ports(action)) {
        // The mapping is gone; at worst, a conversation goes on to where nobody is.
        let _ = apply::forget(session, map, false);
    }
    Ok(())
}

fn one(session: &mut Session<'_>, action: &Action) -> Result<(), Error> {
    match action {
        Action::Link(link) => match &link.kind {
            LinkKind::Device(device) => device::give_back(session, link, device),
            _ => remove_link(session, link),
        },
        Action::Address(address) => remove_address(session, address),
        Action::Route(route) => remove_route(session, route),
        Action::Shape(shape) => traffic::unshape(session, shape),
        Action::Redirect(redirect) => traffic::unredirect(session, redirect),
        Action::Settings(settings) => settings::put_back(session, settings),
        Action::Rule(rule) => rule::remove(session, rule),
        Action::NoRoute(route) => restore_route(session, route),
        Action::Member(member) => vrf::leave(session, member),
        Action::DeviceFile(file) => device_file::remove(file),
        Action::Forward(forward) => foreign::remove(session, &forward.into()),
        Action::PortMap(map) => foreign::remove(session, &Accepts::mapped(&foreign::targets(map))),
        Action::Masquerade(_)
        | Action::Isolation(_)
        | Action::Guard(_)
        | Action::Rules(_)
        | Action::Up { .. }
        | Action::Sysctl(_)
        | Action::Probe(_)
        | Action::Announce(_)
        | Action::Encryption(_) => Ok(()),
    }
}

/// Removes a link where it is this plan's. The other end of a veth goes with it; both take tens
/// of milliseconds in the kernel, so that one of them is removed alone.
pub(crate) fn remove_link(session: &mut Session<'_>, link: &Link) -> Result<(), Error> {
    let Some(found) = session.find(&link.link)? else { return Ok(()) };
    if !is_found(&found, link) {
        return Ok(());
    }
    if matches!(link.kind, LinkKind::Vrf { .. })
        && vrf::has_members(session, link.link.place, found.index)?
    {
        return Ok(());
    }
    link::remove(session.route(link.link.place)?, found.index)
        .map_err(|refusal| refused("remove", format!("link {}", link.link), refusal))
}

fn remove_address(session: &mut Session<'_>, wanted: &Address) -> Result<(), Error> {
    let Some(found) = session.find(&wanted.link)? else { return Ok(()) };
    address::remove(session.route(wanted.link.place)?, found.index, wanted.address)
        .map_err(|refusal| refused("remove", address_object(wanted), refusal))
}

fn address_object(wanted: &Address) -> String {
    steps::object(&Action::Address(wanted.clone()))
}

fn remove_route(session: &mut Session<'_>, wanted: &Route) -> Result<(), Error> {
    let Some(found) = session.find(&wanted.link)? else { return Ok(()) };
    let object = || steps::object(&Action::Route(wanted.clone()));
    route::remove(session.route(wanted.link.place)?, found.index, wanted)
        .map_err(|refusal| refused("remove", object(), refusal))
}

/// Gives a route back that was taken away, as far as it can still be: its link may be down, its
/// gateway out of reach, or another in its place.
fn restore_route(session: &mut Session<'_>, taken: &Route) -> Result<(), Error> {
    let Some(found) = session.find(&taken.link)? else { return Ok(()) };
    let _ = route::add(session.route(taken.link.place)?, found.index, taken);
    Ok(())
}
