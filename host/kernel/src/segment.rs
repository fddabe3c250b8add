//! The steps that ask a segment and tell it: who has an address.

use std::io;
use std::net::IpAddr;

use wharfinger_plan::{Announce, LinkRef, Mac, Probe};

use crate::probe::{Answers, Segment};
use crate::session::Session;
use crate::{Error, refused};

/// Fails where somebody has one of the addresses, or nobody a gateway.
pub(crate) fn probe(session: &mut Session<'_>, wanted: &Probe) -> Result<(), Error> {
    let held = ask(session, &wanted.link, &wanted.addresses, Segment::holders)?;
    if let Some((address, mac)) = held.iter().flatten().next() {
        let (address, mac) = (*address, *mac);
        return Err(Error::Taken { address, link: wanted.link.to_string(), mac });
    }
    let Some(answers) = ask(session, &wanted.link, &wanted.gateways, Segment::gateways)? else {
        return Ok(());
    };
    match wanted.gateways.iter().find(|gateway| !answers.contains_key(*gateway)) {
        Some(gateway) => Err(Error::Silent { address: *gateway, link: wanted.link.to_string() }),
        None => Ok(()),
    }
}

/// Tells neighbours. They will ask in time themselves where they cannot be told.
pub(crate) fn announce(session: &mut Session<'_>, wanted: &Announce) -> Result<(), Error> {
    ask(session, &wanted.link, &wanted.addresses, |segment, addresses| {
        segment.announce(addresses).map(|()| Answers::new())
    })
    .map(drop)
}

/// `None` where there is no segment to ask: the link has no address, or no carrier.
fn ask(
    session: &mut Session<'_>,
    link: &LinkRef,
    addresses: &[IpAddr],
    work: impl FnOnce(&Segment, &[IpAddr]) -> io::Result<Answers> + Send,
) -> Result<Option<Answers>, Error> {
    let found = session.get(link)?;
    let Some(own) = found.mac.filter(|_| !addresses.is_empty()) else { return Ok(None) };
    let asked = session.within(link.place, || answers(found.index, own, addresses, work))?;
    match asked {
        Ok(answers) => Ok(Some(answers)),
        Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(None),
        Err(error) => Err(refused("ask on", format!("link {link}"), error)),
    }
}

fn answers(
    index: u32,
    own: Mac,
    addresses: &[IpAddr],
    work: impl FnOnce(&Segment, &[IpAddr]) -> io::Result<Answers>,
) -> io::Result<Answers> {
    work(&Segment::open(index, own)?, addresses)
}
