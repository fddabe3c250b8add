//! Other people's packet filters: an accept in our table does not undo a drop in theirs.
//!
//! Where another base chain drops what is forwarded, our accepts are put there as well: into
//! nf_tables of others, iptables-nft's among them, by netlink (`accept`); into the tables of the
//! old ip_tables by their own tool (`legacy`), the one executable that this crate ever runs; with
//! firewalld by D-Bus, into a zone (`firewalld`). Where nobody drops nothing is made, and nobody's
//! own rules are ever touched. Start reading at [`ensure`].

mod accept;
pub(crate) mod expressions;
pub(crate) mod firewalld;
pub(crate) mod legacy;
pub(crate) mod rule;
pub(crate) mod saved;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use accept::Look;
use rule::State;
use wharfinger_plan::{Action, Forward, PortMap};

use crate::session::Session;
use crate::socket::{Refusal, Socket};
use crate::{Error, filter, refused};

/// The reference firewall plugin's.
const ADMIN_CHAIN: &str = "CNI-ADMIN";

/// Whose packets are to get through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepts<'a> {
    pub(crate) addresses: &'a [IpAddr],
    pub(crate) which: Which,
    /// The chain that an administrator's own rules are in: gone through first.
    pub(crate) admin_chain: Option<&'a str>,
    /// firewalld's zone; without one firewalld lets them through by itself.
    pub(crate) zone: Option<&'a str>,
}

/// Which packets of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Which {
    /// What it sends, and what answers it.
    Forward,
    /// Both directions of connections to a port of the host that leads there.
    Mapped,
}

/// One rule that accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accept {
    pub(crate) address: IpAddr,
    /// What comes from it, else what goes to it.
    pub(crate) is_source: bool,
    pub(crate) state: State,
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, is_source, state } = self;
        let side = if *is_source { "from" } else { "to" };
        match state {
            State::Any => write!(f, "the accept {side} {address}"),
            State::Answers => write!(f, "the accept of answers {side} {address}"),
            State::Mapped => write!(f, "the accept of mapped ports {side} {address}"),
        }
    }
}

impl<'a> Accepts<'a> {
    /// The rules that this comes to.
    fn all(&self) -> impl Iterator<Item = Accept> {
        let (to, from) = match self.which {
            Which::Forward => (State::Answers, State::Any),
            Which::Mapped => (State::Mapped, State::Mapped),
        };
        self.addresses.iter().flat_map(move |address| {
            [(false, to), (true, from)].map(|(is_source, state)| Accept {
                address: *address,
                is_source,
                state,
            })
        })
    }

    /// To the addresses that ports of the host lead to.
    pub(crate) fn mapped(addresses: &'a [IpAddr]) -> Self {
        Self { addresses, which: Which::Mapped, admin_chain: None, zone: None }
    }
}

impl<'a> From<&'a Forward> for Accepts<'a> {
    fn from(forward: &'a Forward) -> Self {
        Self {
            addresses: &forward.addresses,
            which: Which::Forward,
            admin_chain: Some(forward.admin_chain.as_deref().unwrap_or(ADMIN_CHAIN)),
            zone: Some(forward.zone.as_deref().unwrap_or(firewalld::DEFAULT_ZONE)),
        }
    }
}

/// The addresses that these ports lead to, each once.
pub(crate) fn targets(map: &PortMap) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = map.ports.iter().map(|port| port.to).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

impl fmt::Display for Accepts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&listed(self.addresses))
    }
}

/// A chain of somebody's in which forwarded packets are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardDrop {
    /// As nft(8) calls it: `ip`, `ip6`, `inet`.
    pub family: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub chain: String,
    /// Its place among the chains of the hook.
    pub priority: i32,
    /// How it drops: "policy drop".
    pub drops: String,
}

impl fmt::Display for ForwardDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, table, chain, priority, drops } = self;
        write!(f, "chain {family} {table} {chain} (forward, priority {priority}): {drops}")
    }
}

/// Some of them, and how many more there are.
pub(crate) fn listed(addresses: &[IpAddr]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(IpAddr::to_string).collect();
    match addresses.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Makes sure that nobody's chain drops what these addresses send and are answered; says whether
/// any accept was not there before. On a failure, none of them is left.
pub(crate) fn ensure(session: &mut Session<'_>, wanted: &Accepts<'_>) -> Result<bool, Error> {
    wanted.admin_chain.map_or(Ok(()), check_name)?;
    let done = ensure_all(session, wanted);
    if done.is_err() {
        // Its own cause is told, not that of cleaning up after it.
        let _ = remove(session, wanted);
    }
    done
}

/// Makes sure of the accepts of all attachments: others' reloads throw them away. What fails
/// does not keep the rest from being done.
pub(crate) fn reload(session: &mut Session<'_>, all: &[&Action]) -> Result<(), Error> {
    /// Which packets, the administrator's chain, and the zone.
    type Key<'a> = (Which, Option<&'a str>, Option<&'a str>);
    let mut groups: BTreeMap<Key<'_>, Vec<IpAddr>> = BTreeMap::new();
    for action in all {
        let (key, addresses) = match action {
            Action::Forward(forward) => {
                let Accepts { which, admin_chain, zone, .. } = forward.into();
                ((which, admin_chain, zone), forward.addresses.clone())
            }
            Action::PortMap(map) => ((Which::Mapped, None, None), targets(map)),
            _ => continue,
        };
        groups.entry(key).or_default().extend(addresses);
    }
    let mut done = Ok(());
    for ((which, admin_chain, zone), addresses) in groups {
        let wanted = Accepts { addresses: &addresses, which, admin_chain, zone };
        let named = admin_chain.map_or(Ok(()), check_name);
        done = done.and(named.and_then(|()| ensure_all(session, &wanted)).map(drop));
    }
    done
}

fn ensure_all(session: &mut Session<'_>, wanted: &Accepts<'_>) -> Result<bool, Error> {
    let failed = |e| refused("accept in other people's chains", wanted.to_string(), e);
    let socket = session.netfilter()?;
    let look = Look::at(socket).map_err(failed)?;
    let mut made = accept::ensure(socket, &look, wanted).map_err(failed)?;
    if let Some(zone) = wanted.zone
        && look.chains.iter().any(firewalld::is_its)
    {
        made |= firewalld::add(wanted.addresses, zone)?;
    }
    Ok(made | legacy::ensure(wanted)?)
}

/// A chain's name is one word to the tools, as long as iptables lets it be, and none of ours: that
/// chain is made anew, and with it what an administrator had put there.
fn check_name(chain: &str) -> Result<(), Error> {
    const LONGEST: usize = 28;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_word = chain.bytes().all(is_plain) && !chain.starts_with('-');
    let why = if !is_word || !(1..=LONGEST).contains(&chain.len()) {
        "letters, digits and -_. are taken, 28 at most"
    } else if filter::is_our_chain(chain) {
        "a chain of our own has this name, choose another"
    } else {
        return Ok(());
    };
    Err(refused("name", format!("chain {chain:?}: {why}"), Refusal::of(libc::EINVAL)))
}

/// Removes what [`ensure`] makes for these addresses, wherever it is.
pub(crate) fn remove(session: &mut Session<'_>, wanted: &Accepts<'_>) -> Result<(), Error> {
    let by_netlink = match session.netfilter() {
        Ok(socket) => remove_from_nf_tables(socket, wanted),
        // A kernel that has no nf_tables has no rule of ours.
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => Ok(()),
        Err(error) => Err(error),
    };
    by_netlink.and(legacy::remove(wanted))
}

fn remove_from_nf_tables(socket: &mut Socket, wanted: &Accepts<'_>) -> Result<(), Error> {
    let failed = |e| refused("remove accepts in other people's chains", wanted.to_string(), e);
    let chains = wire::chains(socket).map_err(failed)?;
    let done = accept::remove(socket, &chains, wanted).map_err(failed);
    match wanted.zone.filter(|_| chains.iter().any(firewalld::is_its)) {
        Some(zone) => done.and(firewalld::remove(wanted.addresses, zone)),
        None => done,
    }
}

/// Each chain or zone that drops and lacks an accept, in words.
pub(crate) fn differences(
    session: &mut Session<'_>,
    wanted: &Accepts<'_>,
) -> Result<Vec<String>, Error> {
    let list = |refusal| refused("list", "chains of the forward hook", refusal);
    let socket = session.netfilter()?;
    let chains = wire::chains(socket).map_err(list)?;
    let targets = accept::targets(socket, &chains).map_err(list)?;
    let mut all = accept::differences(socket, &targets, wanted).map_err(list)?;
    if let Some(zone) = wanted.zone.filter(|_| chains.iter().any(firewalld::is_its)) {
        all.extend(firewalld::differences(wanted.addresses, zone)?);
    }
    all.extend(legacy::differences(wanted)?);
    Ok(all)
}

/// Every chain of somebody's that drops what is forwarded, for people.
pub(crate) fn forward_drops(session: &mut Session<'_>) -> Result<Vec<ForwardDrop>, Error> {
    let list = |refusal| refused("list", "chains of the forward hook", refusal);
    let mut all = Vec::new();
    match session.netfilter() {
        Ok(socket) => {
            let chains = wire::chains(socket).map_err(list)?;
            let targets = accept::targets(socket, &chains).map_err(list)?;
            all.extend(targets.iter().map(accept::shown));
            all.extend(
                chains.iter().filter(|chain| firewalld::is_its(chain)).map(firewalld::shown),
            );
        }
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => {}
        Err(error) => return Err(error),
    }
    all.extend(legacy::drops_shown()?);
    Ok(all)
}
