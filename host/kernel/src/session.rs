//! The sockets of one call, and the links it has met: what apply, verify and undo work with.

use std::collections::BTreeMap;
use std::io;
use std::sync::MutexGuard;

use wharfinger_plan::{LinkRef, Place, Sysctl};

use crate::link::Found;
use crate::netns::Inside;
use crate::socket::{Refusal, Socket};
use crate::{Error, LinkFacts, Netns, address, link, refused};

/// The sockets of one call.
pub(crate) struct Session<'a> {
    host: Socket,
    container: Option<(&'a Inside, MutexGuard<'a, Socket>)>,
    netfilter: Option<Socket>,
    /// The index of each link that was met.
    indexes: BTreeMap<LinkRef, u32>,
}

impl<'a> Session<'a> {
    /// In the calling thread's namespace, and in `netns` where it is given.
    pub(crate) fn new(netns: Option<&'a Netns>) -> Result<Self, Error> {
        let host = Socket::route().map_err(|error| refused("open", "rtnetlink", error))?;
        let inside = netns.and_then(|netns| netns.inside.as_ref());
        let container = inside.map(|inside| (inside, inside.route()));
        Ok(Self { host, container, netfilter: None, indexes: BTreeMap::new() })
    }

    /// The socket for links, addresses and routes of a place.
    pub(crate) fn route(&mut self, place: Place) -> Result<&mut Socket, Error> {
        match (place, &mut self.container) {
            (Place::Host, _) => Ok(&mut self.host),
            (Place::Container, Some((_, socket))) => Ok(socket),
            (Place::Container, None) => Err(no_netns()),
        }
    }

    /// The socket for nf_tables.
    pub(crate) fn netfilter(&mut self) -> Result<&mut Socket, Error> {
        match &mut self.netfilter {
            Some(socket) => Ok(socket),
            none => {
                let socket = Socket::netfilter();
                let socket = socket.map_err(|error| refused("open", "nf_tables", error))?;
                Ok(none.insert(socket))
            }
        }
    }

    /// The container's namespace.
    pub(crate) fn inside(&self) -> Result<&'a Inside, Error> {
        self.container.as_ref().map(|(inside, _)| *inside).ok_or_else(no_netns)
    }

    /// What is known of a link; `None` where there is none of that name.
    pub(crate) fn find(&mut self, wanted: &LinkRef) -> Result<Option<Found>, Error> {
        let found = link::find(self.route(wanted.place)?, &wanted.name)
            .map_err(|refusal| refused("look up", format!("link {wanted}"), refusal))?;
        if let Some(found) = &found {
            self.indexes.insert(wanted.clone(), found.index);
        }
        Ok(found)
    }

    /// A link is not where it was: what was known of it is not any more.
    pub(crate) fn forget(&mut self, link: &LinkRef) {
        self.indexes.remove(link);
    }

    /// As [`Session::find`], of a link that has to be there.
    pub(crate) fn get(&mut self, wanted: &LinkRef) -> Result<Found, Error> {
        let none = || refused("look up", format!("link {wanted}"), Refusal::of(libc::ENODEV));
        self.find(wanted)?.ok_or_else(none)
    }

    /// The index of a link, looked up once.
    pub(crate) fn index(&mut self, wanted: &LinkRef) -> Result<u32, Error> {
        match self.indexes.get(wanted) {
            Some(index) => Ok(*index),
            None => Ok(self.get(wanted)?.index),
        }
    }

    /// What a link is like, with its addresses.
    pub(crate) fn facts(&mut self, wanted: &LinkRef) -> Result<Option<LinkFacts>, Error> {
        let Some(found) = self.find(wanted)? else { return Ok(None) };
        let addresses = self.addresses(wanted, found.index)?;
        Ok(Some(facts(wanted.clone(), found, addresses)))
    }

    /// The addresses of the link with this index.
    pub(crate) fn addresses(
        &mut self,
        link: &LinkRef,
        index: u32,
    ) -> Result<Vec<ipnet::IpNet>, Error> {
        let found = address::all(self.route(link.place)?, Some(index))
            .map_err(|refusal| refused("list", format!("addresses of {link}"), refusal))?;
        Ok(found.into_iter().map(|found| found.address).collect())
    }

    /// Does this with each of some kernel parameters of a place, in their namespace.
    pub(crate) fn with_sysctls<T: Send>(
        &self,
        place: Place,
        sysctls: &[&Sysctl],
        work: impl Fn(&Sysctl) -> T + Send + Sync,
    ) -> Result<Vec<T>, Error> {
        self.within(place, || sysctls.iter().map(|sysctl| work(sysctl)).collect())
    }

    /// Does something in the namespace of a place.
    pub(crate) fn within<T: Send>(
        &self,
        place: Place,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, Error> {
        match place {
            Place::Host => Ok(work()),
            Place::Container => self.inside()?.run(work).map_err(|e| cannot_enter(&e)),
        }
    }
}

/// What a link is like.
pub(crate) fn facts(link: LinkRef, found: Found, addresses: Vec<ipnet::IpNet>) -> LinkFacts {
    let Found { kind, mac, mtu, alias, up, index, peer, promisc, allmulti, txqlen, .. } = found;
    LinkFacts { link, kind, mac, mtu, alias, addresses, up, index, peer, promisc, allmulti, txqlen }
}

fn no_netns() -> Error {
    refused("enter", "the container's namespace", Refusal::of(libc::EBADF))
}

fn cannot_enter(error: &io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    refused("enter", "the container's namespace", Refusal::of(errno))
}
