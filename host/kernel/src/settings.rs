//! Settings of links that are there: made so, compared, put back.

use std::fmt::Display;

use wharfinger_plan::{Change, Settings};

use crate::link::{self, Found};
use crate::session::Session;
use crate::socket::Refusal;
use crate::{Error, refused};

/// Sets a link; answers whether it was not so before.
pub(crate) fn ensure(session: &mut Session<'_>, wanted: &Settings) -> Result<bool, Error> {
    let found = session.get(&wanted.link)?;
    if differences(&found, wanted).is_empty() {
        return Ok(false);
    }
    set(session, &found, wanted)
        .map(|()| true)
        .map_err(|refusal| refused("set", wanted.to_string(), refusal))
}

/// What of a link is not as wanted.
pub(crate) fn differences(found: &Found, wanted: &Settings) -> Vec<String> {
    let mac = found.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    let all = [
        difference("mac", &mac, wanted.mac),
        difference("mtu", &found.mtu, wanted.mtu),
        difference("promisc", &found.promisc, wanted.promisc),
        difference("allmulti", &found.allmulti, wanted.allmulti),
        difference("txqueuelen", &found.txqlen, wanted.txqlen),
    ];
    all.into_iter().flatten().collect()
}

fn difference<T: Display>(
    what: &str,
    found: &impl Display,
    wanted: Option<Change<T>>,
) -> Option<String> {
    let (found, wanted) = (found.to_string(), wanted?.to.to_string());
    (found != wanted).then(|| format!("{what} is {found}, not {wanted}"))
}

/// Puts back what was, where the link is there; each setting that can be is, whatever becomes of
/// the others.
pub(crate) fn put_back(session: &mut Session<'_>, wanted: &Settings) -> Result<(), Error> {
    let Some(found) = session.find(&wanted.link)? else { return Ok(()) };
    let back = wanted.back();
    if back.is_none() {
        return Ok(());
    }
    set(session, &found, &back).map_err(|refusal| refused("put back", back.to_string(), refusal))
}

/// In one request where the kernel takes it: it sets the address before it refuses the rest. The
/// first refusal is told.
fn set(session: &mut Session<'_>, found: &Found, wanted: &Settings) -> Result<(), Refusal> {
    let route = session.route(wanted.link.place).map_err(|_| Refusal::of(libc::EBADF))?;
    link::set_settings(route, found.index, wanted)
}
