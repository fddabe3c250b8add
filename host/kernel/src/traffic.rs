//! Rates: a link's root is shaped, what comes in by another is redirected to one that is.
//!
//! Apply, verify and undo of these steps. What shapes a link is its attachment's, so that an
//! earlier shaping is replaced; what somebody else put there is left, and named. Start reading at
//! [`shape`].

use wharfinger_plan::{LinkRef, Redirect, Shape};

use crate::session::Session;
use crate::tc::{self, Held};
use crate::{Error, refused};

/// What shapes, of our own and of the reference plugin's making.
const SHAPERS: [&str; 2] = ["tbf", "htb"];

fn object(link: &LinkRef) -> String {
    format!("qdisc of link {link}")
}

fn ingress_object(link: &LinkRef) -> String {
    format!("ingress qdisc of link {link}")
}

fn kind(shape: &Shape) -> &'static str {
    if shape.sparing.is_none() { "tbf" } else { "htb" }
}

/// Holds what leaves by a link to its rate; answers whether it was not so before.
pub(crate) fn shape(session: &mut Session<'_>, wanted: &Shape) -> Result<bool, Error> {
    let index = session.index(&wanted.link)?;
    let object = || object(&wanted.link);
    let socket = session.route(wanted.link.place)?;
    let found = tc::root(socket, index).map_err(|e| refused("look up", object(), e))?;
    if let Some(found) = found {
        // Which packets an `htb` spares is not told in one answer: it is made anew.
        if found.held.is_some_and(|held| kind(wanted) == "tbf" && held.is(&Held::wanted(wanted))) {
            return Ok(false);
        }
        if !SHAPERS.contains(&found.kind.as_str()) {
            let (found, wanted) = (found.kind, kind(wanted).to_owned());
            return Err(Error::Differs { object: object(), what: "kind", found, wanted });
        }
        tc::remove_root(socket, index).map_err(|e| refused("replace", object(), e))?;
    }
    let add = if wanted.sparing.is_none() { tc::add_tbf } else { tc::add_htb };
    let added = add(socket, index, wanted);
    if added.is_err() {
        let _ = tc::remove_root(socket, index);
    }
    added.map(|()| true).map_err(|refusal| refused("add", object(), refusal))
}

/// How what shapes a link differs.
pub(crate) fn shape_difference(
    session: &mut Session<'_>,
    wanted: &Shape,
) -> Result<Option<String>, Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(Some(missing())) };
    let object = || object(&wanted.link);
    let socket = session.route(wanted.link.place)?;
    let found = tc::root(socket, link.index).map_err(|e| refused("look up", object(), e))?;
    let Some(found) = found else { return Ok(Some(missing())) };
    if found.kind != kind(wanted) {
        return Ok(Some(format!("is {}, not {}", found.kind, kind(wanted))));
    }
    let held = match kind(wanted) {
        "tbf" => found.held,
        _ => tc::class(socket, link.index)
            .map_err(|e| refused("look up", object(), e))?
            .and_then(|class| class.held),
    };
    Ok(match held {
        None => Some(missing()),
        Some(held) if held.is(&Held::wanted(wanted)) => None,
        Some(held) if held.rate != wanted.rate => {
            Some(format!("rate is {} bytes a second, not {}", held.rate, wanted.rate))
        }
        Some(held) if held.limit.is_some_and(|limit| limit != wanted.limit) => {
            Some(format!("limit is {} bytes, not {}", held.limit.unwrap_or(0), wanted.limit))
        }
        Some(_) => Some(format!("burst is not {} bytes", wanted.burst)),
    })
}

/// Takes away what shapes a link, where it is a shaper.
pub(crate) fn unshape(session: &mut Session<'_>, wanted: &Shape) -> Result<(), Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(()) };
    let object = || object(&wanted.link);
    let socket = session.route(wanted.link.place)?;
    let found = tc::root(socket, link.index).map_err(|e| refused("look up", object(), e))?;
    if !found.is_some_and(|found| SHAPERS.contains(&found.kind.as_str())) {
        return Ok(());
    }
    tc::remove_root(socket, link.index).map_err(|e| refused("remove", object(), e))
}

/// Redirects what comes in by a link; answers whether it was not so before.
pub(crate) fn redirect(session: &mut Session<'_>, wanted: &Redirect) -> Result<bool, Error> {
    let index = session.index(&wanted.link)?;
    let to = session.index(&other(wanted))?;
    let object = || ingress_object(&wanted.link);
    let socket = session.route(wanted.link.place)?;
    let found = tc::ingress(socket, index).map_err(|e| refused("look up", object(), e))?;
    if let Some(found) = found {
        let there = tc::redirects(socket, index).map_err(|e| refused("look up", object(), e))?;
        let spares = wanted.sparing.is_none();
        if spares && found == "ingress" && there == [to] {
            return Ok(false);
        }
        // One that leads to a link which is gone, or ours, is ours; anything else is not.
        if found != "ingress" {
            let wanted = "ingress".to_owned();
            return Err(Error::Differs { object: object(), what: "kind", found, wanted });
        }
        tc::remove_ingress(socket, index).map_err(|e| refused("replace", object(), e))?;
    }
    let added = tc::add_ingress(socket, index)
        .and_then(|()| tc::redirect(socket, index, to, &wanted.sparing));
    if added.is_err() {
        let _ = tc::remove_ingress(socket, index);
    }
    added.map(|()| true).map_err(|refusal| refused("add", object(), refusal))
}

fn other(redirect: &Redirect) -> LinkRef {
    LinkRef { place: redirect.link.place, name: redirect.to.clone() }
}

/// How a link's redirection differs.
pub(crate) fn redirect_difference(
    session: &mut Session<'_>,
    wanted: &Redirect,
) -> Result<Option<String>, Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(Some(missing())) };
    let Some(to) = session.find(&other(wanted))? else { return Ok(Some(missing())) };
    let object = || ingress_object(&wanted.link);
    let there = tc::redirects(session.route(wanted.link.place)?, link.index)
        .map_err(|e| refused("look up", object(), e))?;
    if there.contains(&to.index) {
        return Ok(None);
    }
    Ok(Some(if there.is_empty() {
        missing()
    } else {
        format!("leads elsewhere than to {}", to.name)
    }))
}

/// What comes in is redirected no more.
pub(crate) fn unredirect(session: &mut Session<'_>, wanted: &Redirect) -> Result<(), Error> {
    let Some(link) = session.find(&wanted.link)? else { return Ok(()) };
    let object = || ingress_object(&wanted.link);
    let socket = session.route(wanted.link.place)?;
    let found = tc::ingress(socket, link.index).map_err(|e| refused("look up", object(), e))?;
    if found.as_deref() != Some("ingress") {
        return Ok(());
    }
    tc::remove_ingress(socket, link.index).map_err(|e| refused("remove", object(), e))
}

fn missing() -> String {
    "is missing".to_owned()
}
