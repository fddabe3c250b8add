//! Links of the host that are lent to containers.
//!
//! The name that a link had on the host is its alias from before it leaves until it is back, so
//! that at any moment whoever finds it can give it back: it is never in a place that nobody looks
//! at. Moving, renaming and setting down is one request. Start reading at [`lend`].

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_bindings::rt_link::OpNewlinkDo;
use netlink_bindings::utils::Pusher;
use wharfinger_plan::{Device, Link, LinkRef, Place};

use crate::link::{self, Found, header};
use crate::session::Session;
use crate::socket::{CHANGE, Refusal, Socket};
use crate::{Error, netns, refused};

const UP: u32 = libc::IFF_UP.cast_unsigned();

/// Takes a link from the host into the container.
pub(crate) fn lend(session: &mut Session<'_>, link: &Link, device: &Device) -> Result<(), Error> {
    let from = device.from.as_deref().unwrap_or_default();
    let host = LinkRef::host(from);
    let object = || format!("link {host} to {}", link.link);
    if session.find(&link.link)?.is_some() {
        return Err(refused("move", object(), Refusal::of(libc::EEXIST)));
    }
    let found = session.get(&host)?;
    set_alias(session.route(Place::Host)?, found.index, from)
        .map_err(|refusal| refused("set", format!("alias of link {host}"), refusal))?;
    let netns = session.inside()?;
    let name = &link.link.name;
    let done = move_to(session.route(Place::Host)?, found.index, netns.as_fd(), (name, None));
    session.forget(&host);
    done.map_err(|refusal| {
        // It may have come as far as the container, under its old name.
        let _ = give_back(session, link, device);
        if found.up {
            let _ = session.find(&host).map(|it| {
                it.map(|it| session.route(Place::Host).map(|socket| link::set_up(socket, it.index)))
            });
        }
        refused("move", object(), refusal)
    })
}

/// Gives a link back, wherever it is found. One that is back already, or is another's, is fine.
pub(crate) fn give_back(
    session: &mut Session<'_>,
    link: &Link,
    device: &Device,
) -> Result<(), Error> {
    let from = device.from.as_deref();
    if session.inside().is_ok()
        && let Some(found) = find_inside(session, link, from)?
        && let Some(was) = from.map(str::to_owned).or_else(|| name_in_alias(&found))
    {
        session.forget(&LinkRef::container(&found.name));
        return bring_home(session, &found, &was);
    }
    // Where the namespace ended, the kernel brought it home, under the name it had there.
    let Some(from) = from else { return Ok(()) };
    rename_on_host(session, from, |found| {
        !device.unrecorded || is_as_brought_home(&found.name, found.up, &link.link.name)
    })
}

/// Whether a link of the host is as the kernel brings one home that was `inside`: down, under the
/// name it had there, or one that the kernel makes up. Without a record, an alias alone may as well
/// be the administrator's.
pub(crate) fn is_as_brought_home(name: &str, up: bool, inside: &str) -> bool {
    let is_made_up = name.strip_prefix("dev").is_some_and(|number| number.parse::<u32>().is_ok());
    !up && (name == inside || is_made_up)
}

/// The lent link in the container: by its alias, whatever the container calls it now; else, where the
/// host has no link of that name, the one that has the name it was given.
fn find_inside(
    session: &mut Session<'_>,
    link: &Link,
    from: Option<&str>,
) -> Result<Option<Found>, Error> {
    let Some(from) = from else { return session.find(&link.link) };
    let all = link::all(session.route(Place::Container)?)
        .map_err(|refusal| refused("list", "links of the container", refusal))?;
    if let Some(found) = all.into_iter().find(|found| found.alias.as_deref() == Some(from)) {
        return Ok(Some(found));
    }
    if session.find(&LinkRef::host(from))?.is_some() {
        return Ok(None);
    }
    // What the container made itself has a kind.
    Ok(session.find(&link.link)?.filter(|found| found.kind.is_empty()))
}

/// The name that a lent link had, as its alias tells.
fn name_in_alias(found: &Found) -> Option<String> {
    let alias = found.alias.as_deref()?;
    let is_name = (1..=15).contains(&alias.len()) && !alias.contains(['/', ' ', ':']);
    is_name.then(|| alias.to_owned())
}

fn bring_home(session: &mut Session<'_>, found: &Found, was: &str) -> Result<(), Error> {
    let object = || format!("link container:{} to {was}", found.name);
    let own = netns::own().map_err(|error| refused("open", "the own namespace", error))?;
    let socket = session.route(Place::Container)?;
    move_to(socket, found.index, own.as_fd(), (was, Some("")))
        .map_err(|refusal| refused("move", object(), refusal))
}

/// A link of the host that has this name as its alias, and was lent, gets the name, and no alias.
fn rename_on_host(
    session: &mut Session<'_>,
    from: &str,
    was_lent: impl Fn(&Found) -> bool,
) -> Result<(), Error> {
    let socket = session.route(Place::Host)?;
    let refused = |refusal| refused("rename", format!("link to {from}"), refusal);
    let all = link::all(socket).map_err(refused)?;
    let is_it = |it: &Found| it.alias.as_deref() == Some(from) && was_lent(it);
    let Some(found) = all.into_iter().find(is_it) else { return Ok(()) };
    let done = if found.name == from {
        set_alias(socket, found.index, "")
    } else {
        rename(socket, found.index, from)
    };
    done.map_err(refused)
}

fn set_alias(socket: &mut Socket, index: u32, alias: &str) -> Result<(), Refusal> {
    socket.change(libc::RTM_NEWLINK, CHANGE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(index, 0, 0));
        link::alias(request.as_vec_mut(), alias);
    })
}

/// The kernel renames no link that is up (before Linux 6.4).
fn rename(socket: &mut Socket, index: u32, name: &str) -> Result<(), Refusal> {
    socket.change(libc::RTM_NEWLINK, CHANGE, |bytes| {
        OpNewlinkDo::encode_request(bytes, &header(index, 0, UP));
    })?;
    socket.change(libc::RTM_NEWLINK, CHANGE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(index, 0, 0));
        request = request.push_ifname_bytes(name.as_bytes());
        link::alias(request.as_vec_mut(), "");
    })
}

/// Moves a link, which takes it down, under this name, and with this alias where one is given.
fn move_to(
    socket: &mut Socket,
    index: u32,
    netns: BorrowedFd<'_>,
    (name, alias): (&str, Option<&str>),
) -> Result<(), Refusal> {
    socket.change(libc::RTM_NEWLINK, CHANGE, |bytes| {
        let mut request = OpNewlinkDo::encode_request(bytes, &header(index, 0, UP));
        request = request.push_ifname_bytes(name.as_bytes());
        if let Some(alias) = alias {
            link::alias(request.as_vec_mut(), alias);
        }
        request.push_net_ns_fd(netns.as_raw_fd().cast_unsigned());
    })
}
