//! DHCP on this machine: packets to and from servers, while an ADD waits, and for as long as
//! leases last.
//!
//! An ADD speaks to the server itself ([`Wire`]); who renews is a process of his own ([`renew`]),
//! which any ADD wakes by coming to his socket ([`socket`]). What is due when is decided in
//! `host/dhcp`, what becomes of an attachment in `host/attach`.

mod flags;
mod renew;
mod socket;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wharfinger_attach::dhcp::{Dhcp, On, Unleased};
use wharfinger_dhcp::{Asked, Client, Lease, Outgoing, Step};
use wharfinger_kernel::{Error, Packets};

pub(crate) use flags::{Flags, daemon};
pub(crate) use renew::serve;
pub(crate) use socket::listen;

/// The client's side of DHCP.
pub(crate) struct Wire {
    /// The run directory.
    run: PathBuf,
}

impl Wire {
    pub(crate) fn new(run: &Path) -> Self {
        Self { run: run.to_owned() }
    }
}

/// Milliseconds of the clock that leases go by.
fn now() -> u64 {
    u64::try_from(wharfinger_kernel::uptime().as_millis()).unwrap_or(u64::MAX)
}

/// A number that nobody knows: the standard library's own are made of the kernel's.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Dhcp for Wire {
    fn now(&self) -> u64 {
        now()
    }

    fn obtain(&self, on: On<'_>, asked: Asked, within: Duration) -> Result<Lease, Unleased> {
        let flags = Flags::kept(&self.run);
        let within = within.min(flags.give_up);
        let asked = flags.asked(asked);
        let began = now();
        let until = began.saturating_add(milliseconds(within));
        let packets = on.netns.packets(on.link.index)?;
        let mut client = client(on, asked, began).resending(flags.resend);
        loop {
            let (now, next) = (now(), client.next());
            if now >= until {
                return Err(Unleased::Silence { waited: within, so: client.so().clone() });
            }
            let step = if now >= next {
                client.tick(now)
            } else {
                let heard = hear(&mut client, &packets, until.min(next) - now);
                heard.map_err(|error| failed(on, "hear on", error))?
            };
            match step {
                Step::Bound(lease) => return Ok(lease),
                Step::Send(outgoing) => {
                    send(&packets, &outgoing).map_err(|error| failed(on, "send on", error))?;
                }
                Step::Nothing | Step::Lost(_) => {}
            }
        }
    }

    fn release(&self, on: On<'_>, asked: Asked, lease: &Lease) -> Result<(), Error> {
        farewell(on, &client(on, asked, now()).release(lease))
    }

    fn decline(&self, on: On<'_>, asked: Asked, lease: &Lease) -> Result<(), Error> {
        farewell(on, &client(on, asked, now()).decline(lease))
    }

    fn wake(&self, configured: Option<&Path>) -> Result<(), String> {
        socket::wake(&socket::candidates(&self.run, configured))
    }
}

fn client(on: On<'_>, asked: Asked, now: u64) -> Client {
    let hardware = on.link.mac.map(|mac| mac.0).unwrap_or_default();
    Client::new(asked, hardware, seed(), now)
}

/// A link that is gone, or is down, takes nothing: the server finds out at the lease's end.
fn farewell(on: On<'_>, outgoing: &Outgoing) -> Result<(), Error> {
    let packets = on.netns.packets(on.link.index)?;
    send(&packets, outgoing).map_err(|error| failed(on, "send on", error))
}

fn send(packets: &Packets, outgoing: &Outgoing) -> std::io::Result<()> {
    packets.send(outgoing.to, &outgoing.packet)
}

/// Waits for what may come, so many milliseconds at most.
fn hear(client: &mut Client, packets: &Packets, within: u64) -> std::io::Result<Step> {
    wait(&mut [PollFd::new(packets, PollFlags::IN)], within)?;
    take(client, packets)
}

/// Takes in what came, until there is something to do.
fn take(client: &mut Client, packets: &Packets) -> std::io::Result<Step> {
    while let Some(heard) = packets.receive()? {
        match client.heard(now(), heard.from, &heard.packet) {
            Step::Nothing => {}
            step => return Ok(step),
        }
    }
    Ok(Step::Nothing)
}

fn wait(fds: &mut [PollFd<'_>], within: u64) -> std::io::Result<()> {
    // A minute at most: then all is looked at again.
    let within = Duration::from_millis(within.min(60_000));
    let limit = Timespec::try_from(within).map_err(std::io::Error::other)?;
    match poll(fds, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn failed(on: On<'_>, operation: &'static str, source: std::io::Error) -> Error {
    let object = format!("link {} of the container", on.link.link.name);
    Error::Refused { operation, object, source }
}
