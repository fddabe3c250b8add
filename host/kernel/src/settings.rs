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
    let done = set(session, &found, wanted);
    if done.is_err() {
        // The kernel does one after the other, and leaves what it did before the one that failed.
        let _ = set(session, &found, &as_found(&found, wanted));
    }
    done.map(|()| true).map_err(|refusal| refused("set", wanted.to_string(), refusal))
}

/// The wanted settings as they are.
fn as_found(found: &Found, wanted: &Settings) -> Settings {
    fn keep<T>(wanted: Option<Change<T>>, found: T) -> Option<Change<T>> {
        wanted.map(|_| Change { to: found, was: None })
    }
    Settings {
        link: wanted.link.clone(),
        mac: found.mac.and_then(|mac| keep(wanted.mac, mac)),
        mtu: keep(wanted.mtu, found.mtu),
        promisc: keep(wanted.promisc, found.promisc),
        allmulti: keep(wanted.allmulti, found.allmulti),
        txqlen: keep(wanted.txqlen, found.txqlen),
    }
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
    if set(session, &found, &back).is_ok() {
        return Ok(());
    }
    let done: Vec<_> = each(&back).iter().map(|one| set(session, &found, one)).collect();
    let done: Result<(), Refusal> = done.into_iter().collect();
    done.map_err(|refusal| refused("put back", back.to_string(), refusal))
}

/// Each setting by itself.
fn each(all: &Settings) -> [Settings; 5] {
    let none = || Settings::none(all.link.clone());
    [
        Settings { mtu: all.mtu, ..none() },
        Settings { mac: all.mac, ..none() },
        Settings { promisc: all.promisc, ..none() },
        Settings { allmulti: all.allmulti, ..none() },
        Settings { txqlen: all.txqlen, ..none() },
    ]
}

/// All of it, in one request.
fn set(session: &mut Session<'_>, found: &Found, wanted: &Settings) -> Result<(), Refusal> {
    let route = session.route(wanted.link.place).map_err(|_| Refusal::of(libc::EBADF))?;
    link::set_settings(route, found.index, wanted)
}
