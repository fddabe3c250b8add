//! Undoing a plan: what is its attachment's goes, from the last step to the first.
//!
//! What is gone already is fine, what is another's stays, and a failure does not keep the rest
//! from being undone. Rules go before links: the kernel needs some milliseconds to forget an
//! element, and would have the closing of the socket wait for it; it forgets it while the link is
//! being removed, which takes longer.

use wharfinger_plan::{Action, Address, Link, LinkKind, Plan, Route, Step};

use crate::foreign::Accepts;
use crate::session::Session;
use crate::{
    Error, address, apply, device, filter, foreign, link, refused, route, rule, settings, steps,
    traffic, vrf,
};

/// Undoes the owned steps of a plan.
pub(crate) fn undo(session: &mut Session<'_>, plan: &Plan, with_container: bool) -> Vec<Error> {
    let steps = steps::to_undo(plan, with_container);
    let mut errors: Vec<Error> = filtered(session, &steps).err().into_iter().collect();
    errors.extend(steps.into_iter().filter_map(|step| one(session, &step.action).err()));
    errors
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
        Action::Forward(forward) => foreign::remove(session, &forward.into()),
        Action::PortMap(map) => foreign::remove(session, &Accepts::mapped(&foreign::targets(map))),
        Action::Masquerade(_)
        | Action::Isolation(_)
        | Action::Guard(_)
        | Action::Rules(_)
        | Action::Up { .. }
        | Action::Sysctl(_)
        | Action::Probe(_)
        | Action::Announce(_) => Ok(()),
    }
}

/// Removes a link where it is this plan's. The other end of a veth goes with it; both take tens
/// of milliseconds in the kernel, so that one of them is removed alone.
pub(crate) fn remove_link(session: &mut Session<'_>, link: &Link) -> Result<(), Error> {
    let Some(found) = session.find(&link.link)? else { return Ok(()) };
    if !steps::is_ours(found.alias.as_deref(), found.mac, &found.kind, link) {
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
