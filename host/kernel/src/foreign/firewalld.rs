//! firewalld: it rejects what no zone of it accepts, so that our addresses go into a zone, as
//! sources, by D-Bus.
//!
//! These are its runtime entries: it forgets them when it is reloaded, and `wharfinger reload`
//! puts them there again. Each conversation has a time limit. Nothing is asked where its table
//! is not in the kernel.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use zbus::connection::Builder;
use zbus::{Connection, Message};

use super::wire::{Chain, INET};
use super::{ForwardDrop, accept};
use crate::Error;

/// Its table, of family inet.
pub(crate) const TABLE: &str = "firewalld";
/// The reference firewall plugin's.
pub(super) const DEFAULT_ZONE: &str = "trusted";
const BUS: &str = "unix:path=/run/dbus/system_bus_socket";
const NAME: &str = "org.fedoraproject.FirewallD1";
const PATH: &str = "/org/fedoraproject/FirewallD1";
const ZONE: &str = "org.fedoraproject.FirewallD1.zone";
/// What it says of a source that a zone has already, and of one that no zone has.
const ALREADY: &str = "ZONE_ALREADY_SET";
const UNKNOWN: &str = "UNKNOWN_SOURCE";
/// For a whole conversation: longer than firewalld is busy with a change, shorter than a verb's
/// deadline.
const WITHIN: Duration = Duration::from_secs(8);

/// Whether it is the chain in which firewalld drops.
pub(crate) fn is_its(chain: &Chain) -> bool {
    chain.family == INET && chain.table == TABLE && chain.forward.is_some()
}

/// The same, for people.
pub(super) fn shown(chain: &Chain) -> ForwardDrop {
    ForwardDrop {
        family: accept::family_name(chain.family).to_owned(),
        table: chain.table.clone(),
        chain: chain.name.clone(),
        priority: chain.forward.map_or(0, |base| base.priority),
        drops: "firewalld rejects what no zone accepts".to_owned(),
    }
}

/// Makes the addresses sources of a zone; answers whether any was not. In another zone they stay,
/// and that is an error.
pub(super) fn add(addresses: &[IpAddr], zone: &str) -> Result<bool, Error> {
    let done = converse(async |bus| {
        let mut made = false;
        for address in addresses {
            let found = zone_of(&bus, *address).await?;
            match found.as_deref() {
                Some(found) if found == zone => {}
                Some(found) => return Ok(Err(elsewhere(*address, found, zone))),
                None => made |= add_one(&bus, *address, zone).await?,
            }
        }
        Ok(Ok(made))
    });
    done.map_err(|error| failed("add to", addresses, zone, &error))?
}

async fn add_one(bus: &Connection, address: IpAddr, zone: &str) -> zbus::Result<bool> {
    match call(bus, "addSource", &(zone, source(address))).await {
        // Somebody was faster.
        Err(error) if error.to_string().contains(ALREADY) => Ok(false),
        done => done.map(|_| true),
    }
}

/// Takes the addresses out of a zone; those in another, or in none, are left.
pub(super) fn remove(addresses: &[IpAddr], zone: &str) -> Result<(), Error> {
    let done = converse(async |bus| {
        for address in addresses {
            match call(&bus, "removeSource", &(zone, source(*address))).await {
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    });
    done.map_err(|error| failed("remove from", addresses, zone, &error))
}

/// It has no such source, or the source is another zone's, or there is no such zone.
fn is_gone(error: &zbus::Error) -> bool {
    let text = error.to_string();
    [UNKNOWN, "ZONE_CONFLICT", "INVALID_ZONE"].iter().any(|known| text.contains(known))
}

/// Each address that is not in the zone, in words.
pub(super) fn differences(addresses: &[IpAddr], zone: &str) -> Result<Vec<String>, Error> {
    let done = converse(async |bus| {
        let mut all = Vec::new();
        for address in addresses {
            match zone_of(&bus, *address).await?.as_deref() {
                Some(found) if found == zone => {}
                Some(found) => {
                    all.push(format!("firewalld has {address} in zone {found}, not {zone}"));
                }
                None => all.push(format!("zone {zone} of firewalld lacks {address}")),
            }
        }
        Ok(all)
    });
    done.map_err(|error| failed("look up in", addresses, zone, &error))
}

/// As the reference firewall plugin writes it: firewalld compares sources by their letters.
fn source(address: IpAddr) -> String {
    IpNet::from(address).to_string()
}

/// The zone that has an address, however it is written there.
async fn zone_of(bus: &Connection, address: IpAddr) -> zbus::Result<Option<String>> {
    for source in [source(address), address.to_string()] {
        let answer = call(bus, "getZoneOfSource", &(source,)).await?;
        let zone: String = answer.body().deserialize()?;
        if !zone.is_empty() {
            return Ok(Some(zone));
        }
    }
    Ok(None)
}

async fn call<B>(bus: &Connection, method: &str, body: &B) -> zbus::Result<Message>
where
    B: zbus::export::serde::Serialize + zbus::zvariant::DynamicType,
{
    bus.call_method(Some(NAME), PATH, Some(ZONE), method, body).await
}

/// Connects to the system's bus and says what is to be said, on a runtime of its own.
fn converse<T, F: Future<Output = zbus::Result<T>>>(
    say: impl FnOnce(Connection) -> F,
) -> io::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let conversation = async { say(Builder::address(BUS).build().await?).await };
    let bounded = async { tokio::time::timeout(WITHIN, conversation).await };
    match runtime.block_on(bounded) {
        Ok(done) => done.map_err(io::Error::other),
        Err(_) => Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
    }
}

fn elsewhere(address: IpAddr, found: &str, zone: &str) -> Error {
    Error::Differs {
        object: format!("source {address} of firewalld"),
        what: "zone",
        found: found.to_owned(),
        wanted: zone.to_owned(),
    }
}

fn failed(operation: &'static str, addresses: &[IpAddr], zone: &str, error: &io::Error) -> Error {
    let object = format!("zone {zone} of firewalld, {}", super::listed(addresses));
    Error::Refused { operation, object, source: io::Error::new(error.kind(), error.to_string()) }
}
