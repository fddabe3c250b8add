//! What the reference plugins left in the packet filter, for the day on which a node changes
//! over: the objects of one attachment, of either back end, in the versions 1.1.1 to 1.9.1.
//!
//! Where there is nothing of theirs this is a look at the chains, and no more. What iptables-nft
//! made are rules of nf_tables with its extensions in them: found by the names, comments and
//! addresses, and removed by netlink, so that iptables reads on what is left. For ip_tables its
//! own tool is run, which the answer tells of. Shared chains of theirs stay, as they leave them
//! too. Start reading at [`clear`].

mod choose;
mod names;

use std::net::IpAddr;

use wharfinger_plan::{LinkRef, Place};

use crate::foreign::legacy::{self, FAMILIES, Tool};
use crate::foreign::rule::Rule;
use crate::foreign::saved::{Line, Saved};
use crate::foreign::wire::{self, BRIDGE, Chain, Changes, INET, IPV4, IPV6};
use crate::foreign::{self, Accepts, Which};
use crate::session::Session;
use crate::socket::{Refusal, Socket};
use crate::{Error, link, refused};

/// An attachment that the reference plugins made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The network's name.
    pub network: String,
    /// CNI_CONTAINERID.
    pub container_id: String,
    /// CNI_IFNAME.
    pub ifname: String,
    /// Of the previous result. Where there are none, all of the container's on this network goes,
    /// as it does with the reference.
    pub addresses: Vec<IpAddr>,
    /// Those of them that another attachment has by now. What lets an address through says not whose
    /// it is: of these it is that one's.
    pub given_on: Vec<IpAddr>,
    /// firewalld's zone, of the firewall plugin's configuration; "trusted" by default.
    pub zone: String,
}

impl Reference {
    /// Whether this is true of one of its addresses, or it has none.
    fn has(&self, is: impl Fn(IpAddr) -> bool) -> bool {
        self.addresses.is_empty() || self.addresses.iter().copied().any(is)
    }
}

/// What came of clearing.
#[derive(Debug, Default)]
pub struct Cleared {
    /// What was removed, and what was run for it, for the log.
    pub notes: Vec<String>,
    /// What could not be.
    pub errors: Vec<Error>,
}

impl Cleared {
    fn add(&mut self, done: Result<Vec<String>, Error>) {
        match done {
            Ok(notes) => self.notes.extend(notes),
            Err(error) => self.errors.push(error),
        }
    }
}

/// Chains of theirs in nf_tables.
const MASQUERADE: (u8, &str, &str) = (INET, "cni_plugins_masquerade", "masq_checks");
const HOSTPORT_TABLE: &str = "cni_hostport";
const HOSTPORT_CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];
const SPOOF: (u8, &str, &str) = (BRIDGE, "nat", "PREROUTING");
const NAT: &str = "nat";
const IFB: &str = "ifb";
/// How often somebody may change what is being removed.
const ATTEMPTS: u32 = 10;

/// Removes an attachment's objects.
pub(crate) fn clear(session: &mut Session<'_>, reference: &Reference) -> Cleared {
    let mut cleared = Cleared::default();
    match session.netfilter() {
        Ok(socket) => clear_nf_tables(socket, reference, &mut cleared),
        // A kernel that has no nf_tables has nothing of theirs in it.
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => {}
        Err(error) => cleared.errors.push(error),
    }
    for family in FAMILIES {
        cleared.add(clear_legacy(family, reference));
    }
    let mut own = reference.addresses.clone();
    own.retain(|address| !reference.given_on.contains(address));
    let accepts = Accepts {
        addresses: &own,
        which: Which::Forward,
        admin_chain: None,
        zone: Some(&reference.zone),
    };
    if !own.is_empty()
        && let Err(error) = foreign::remove(session, &accepts)
    {
        cleared.errors.push(error);
    }
    cleared.add(clear_ifb(session, reference));
    cleared
}

fn clear_nf_tables(socket: &mut Socket, reference: &Reference, cleared: &mut Cleared) {
    let chains = match wire::chains(socket) {
        Ok(chains) => chains,
        Err(refusal) => return cleared.errors.push(refused("list", "chains", refusal)),
    };
    for family in [IPV4, IPV6] {
        cleared.add(removed(socket, |socket| iptables_nat(socket, family, &chains, reference)));
        for chain in HOSTPORT_CHAINS {
            let of = (family, HOSTPORT_TABLE, chain);
            let is_ours = |rule: &Rule| choose::is_host_port(rule, reference);
            cleared.add(removed(socket, |socket| rules_of(socket, of, &chains, is_ours)));
        }
    }
    let is_ours = |rule: &Rule| choose::is_masquerade(rule, reference);
    cleared.add(removed(socket, |socket| rules_of(socket, MASQUERADE, &chains, is_ours)));
    cleared.add(removed(socket, |socket| spoof_check(socket, &chains, reference)));
}

/// Removes what `choose` says, anew where somebody changed it meanwhile.
fn removed(
    socket: &mut Socket,
    choose: impl Fn(&mut Socket) -> Result<(Changes, Vec<String>), Refusal>,
) -> Result<Vec<String>, Error> {
    let mut attempts = 0;
    loop {
        let done = choose(socket)
            .and_then(|(changes, notes)| changes.commit(socket, None).map(|()| notes));
        attempts += 1;
        match done {
            Err(refusal)
                if attempts < ATTEMPTS && [libc::ENOENT, libc::EBUSY].contains(&refusal.errno) => {}
            done => {
                let what = "what the reference plugins left";
                return done.map_err(|refusal| refused("remove", what, refusal));
            }
        }
    }
}

/// The chains and jumps of one container in iptables-nft's table nat.
fn iptables_nat(
    socket: &mut Socket,
    family: u8,
    chains: &[Chain],
    reference: &Reference,
) -> Result<(Changes, Vec<String>), Refusal> {
    let mut there = Saved::default();
    for (chain, entries) in choose::of_interest(reference) {
        if !chains.iter().any(|found| found.is(family, NAT, &chain)) {
            continue;
        }
        for name in [entries, chain.as_str()] {
            let read = |bytes: &[u8]| Rule::read(family, bytes);
            let rules = wire::rules(socket, (family, NAT, name), read)?;
            let line = |rule| Line { chain: name.to_owned(), words: String::new(), rule };
            there.rules.extend(rules.into_iter().map(line));
        }
        there.chains.push(chain);
    }
    let removal = choose::nat(&there, reference);
    let mut changes = Changes::default();
    for line in &removal.rules {
        changes.remove_rule((family, NAT, &line.chain), line.rule.handle);
    }
    for chain in &removal.chains {
        changes.remove_chain(family, NAT, chain);
    }
    let name = if family == IPV4 { "ip" } else { "ip6" };
    let mut notes: Vec<String> =
        removal.chains.iter().map(|chain| format!("removed chain {name} {NAT} {chain}")).collect();
    if notes.is_empty() && !removal.is_empty() {
        notes.push(format!("removed {} rules of {name} {NAT}", removal.rules.len()));
    }
    Ok((changes, notes))
}

/// The rules of a chain that are an attachment's.
fn rules_of(
    socket: &mut Socket,
    of: (u8, &str, &str),
    chains: &[Chain],
    is_ours: impl Fn(&Rule) -> bool,
) -> Result<(Changes, Vec<String>), Refusal> {
    let mut changes = Changes::default();
    let (family, table, chain) = of;
    if chains.iter().any(|found| found.is(family, table, chain)) {
        let rules = wire::rules(socket, of, |bytes| Rule::read(family, bytes))?;
        for rule in rules.iter().filter(|rule| is_ours(rule)) {
            changes.remove_rule(of, rule.handle);
        }
    }
    let count = changes.len();
    let note = (count > 0).then(|| format!("removed {count} rules of {table} {chain}"));
    Ok((changes, note.into_iter().collect()))
}

/// The rules and chains against MAC spoofing of one interface.
fn spoof_check(
    socket: &mut Socket,
    chains: &[Chain],
    reference: &Reference,
) -> Result<(Changes, Vec<String>), Refusal> {
    let id = names::spoof_id(&reference.container_id, &reference.ifname);
    let comment = format!("macspoofchk-{id}");
    let is_ours = |rule: &Rule| rule.comment.as_ref() == Some(&comment);
    let (mut changes, mut notes) = rules_of(socket, SPOOF, chains, is_ours)?;
    let (family, table, _) = SPOOF;
    // The first jumps to the second.
    for chain in [format!("cni-br-iface-{id}"), format!("cni-br-iface-{id}-mac")] {
        if chains.iter().any(|found| found.is(family, table, &chain)) {
            changes.remove_chain(family, table, &chain);
            notes.push(format!("removed chain bridge {table} {chain}"));
        }
    }
    Ok((changes, notes))
}

/// The same of ip_tables, by its tool. The accepts of the firewall plugin are removed with ours.
fn clear_legacy(family: legacy::Family, reference: &Reference) -> Result<Vec<String>, Error> {
    let Some(tool) = Tool::of(family, NAT)? else { return Ok(Vec::new()) };
    let there = tool.list()?;
    let mut notes = vec![format!("ran {}, as the kernel has ip_tables", tool.shown())];
    let removal = choose::nat(&there, reference);
    if !removal.is_empty() {
        let mut lines: Vec<String> =
            removal.rules.iter().map(|line| legacy::deleting(line)).collect();
        lines.extend(removal.chains.iter().map(|chain| format!("-F {chain}")));
        lines.extend(removal.chains.iter().map(|chain| format!("-X {chain}")));
        tool.change(&lines)?;
        notes.extend(removal.chains.iter().map(|chain| format!("removed chain {chain} of {NAT}")));
    }
    Ok(notes)
}

/// The device of the bandwidth plugin.
fn clear_ifb(session: &mut Session<'_>, reference: &Reference) -> Result<Vec<String>, Error> {
    let wanted = LinkRef::host(names::ifb(&reference.network, &reference.container_id));
    let Some(found) = session.find(&wanted)?.filter(|found| found.kind == IFB) else {
        return Ok(Vec::new());
    };
    link::remove(session.route(Place::Host)?, found.index)
        .map_err(|refusal| refused("remove", format!("link {wanted}"), refusal))?;
    Ok(vec![format!("removed link {wanted}")])
}
