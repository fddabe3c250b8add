//! Which addresses an attachment gets: one from each range set.

use std::net::IpAddr;

use crate::config::{Config, Member, Set};
use crate::net::{Net, Range};

/// Ranges named by a message about exhaustion.
const NAMED: usize = 4;

/// The host's book, as far as it is needed here.
pub trait Ledger {
    /// Takes one address; why not, where it cannot be had.
    fn take(&mut self, address: IpAddr) -> Result<(), String>;
    /// Takes a free address of the ranges, going on after the last one taken.
    fn take_free(&mut self, ranges: &[Range], excluded: &[Range]) -> Option<IpAddr>;
}

/// An address for the attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// With its subnet's prefix length.
    pub address: Net,
    /// Its subnet's.
    pub gateway: Option<IpAddr>,
}

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// All are taken.
    Exhausted(String),
    /// One asked for by name cannot be had.
    Conflict(String),
}

/// One address from each set: the wanted one that belongs to it, or else a free one. Every
/// wanted address must belong to a set of its own.
pub fn allocate(
    config: &Config,
    wanted: &[IpAddr],
    ledger: &mut dyn Ledger,
) -> Result<Vec<Given>, Refused> {
    let mut wanted = wanted.to_vec();
    let asked: Vec<_> = config.sets.iter().map(|set| (set, take_out(&mut wanted, set))).collect();
    if let Some(left) = wanted.first() {
        return Err(Refused::Conflict(misplaced(config, *left)));
    }
    let one = |(set, asked)| give(config, set, asked, ledger);
    asked.into_iter().map(one).collect()
}

/// Takes the first wanted address that belongs to the set out of the list.
fn take_out(wanted: &mut Vec<IpAddr>, set: &Set) -> Option<IpAddr> {
    let at = wanted.iter().position(|address| member_of(set, *address).is_some())?;
    Some(wanted.remove(at))
}

fn misplaced(config: &Config, address: IpAddr) -> String {
    if config.sets.iter().any(|set| member_of(set, address).is_some()) {
        return format!("{address} was asked for, but its range set gives one address only");
    }
    let ranges = named(config.sets.iter().flat_map(|set| &set.members));
    format!("{address} was asked for, but lies in none of {ranges}")
}

fn give(
    config: &Config,
    set: &Set,
    asked: Option<IpAddr>,
    ledger: &mut dyn Ledger,
) -> Result<Given, Refused> {
    let excluded = excluded(config);
    let address = match asked {
        Some(address) => by_name(set, address, &excluded, ledger)?,
        None => free(set, &excluded, ledger)?,
    };
    // The host takes only from the ranges it was given.
    member_of(set, address).map(|member| given(member, address)).ok_or_else(|| {
        Refused::Conflict(format!("the host gave {address}, which lies in no range of the set"))
    })
}

fn by_name(
    set: &Set,
    address: IpAddr,
    excluded: &[Range],
    ledger: &mut dyn Ledger,
) -> Result<IpAddr, Refused> {
    let no = |why: &str| Refused::Conflict(format!("{address} was asked for, but {why}"));
    if set.members.iter().any(|member| member.gateway == Some(address)) {
        return Err(no("is the gateway"));
    }
    if excluded.iter().any(|range| range.contains(address)) {
        return Err(no("is excluded, or a network's own or broadcast address"));
    }
    ledger.take(address).map_err(|why| no(&why))?;
    Ok(address)
}

fn free(set: &Set, excluded: &[Range], ledger: &mut dyn Ledger) -> Result<IpAddr, Refused> {
    let ranges: Vec<Range> = set.members.iter().map(|member| member.range).collect();
    ledger.take_free(&ranges, excluded).ok_or_else(|| {
        Refused::Exhausted(format!("no address is free in {}", named(set.members.iter())))
    })
}

/// What is never given: what the configuration excludes, gateways, and each subnet's own
/// addresses where an explicit range reaches them.
fn excluded(config: &Config) -> Vec<Range> {
    let members = || config.sets.iter().flat_map(|set| &set.members);
    let gateways = members().filter_map(|member| member.gateway).map(Range::single);
    let own = members().flat_map(|member| {
        let usable = member.subnet.usable();
        [member.range.first, member.range.last]
            .into_iter()
            .filter(move |end| !usable.contains(*end))
            .map(Range::single)
    });
    config.excluded.iter().copied().chain(gateways).chain(own).collect()
}

fn member_of(set: &Set, address: IpAddr) -> Option<&Member> {
    set.members.iter().find(|member| member.range.contains(address))
}

fn given(member: &Member, address: IpAddr) -> Given {
    Given { address: Net { address, prefix: member.subnet.prefix }, gateway: member.gateway }
}

/// "10.1.0.0/24 (10.1.0.1 to 10.1.0.254), …".
fn named<'a>(members: impl Iterator<Item = &'a Member>) -> String {
    let mut members = members.map(|member| format!("{} ({})", member.subnet, member.range));
    let text = members.by_ref().take(NAMED).collect::<Vec<_>>().join(", ");
    match members.count() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
