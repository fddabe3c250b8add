//! Our accepts in the base chains of other people's nf_tables, iptables-nft's among them.
//!
//! ```text
//! -A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
//! -A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
//! -A CNI-FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
//! -A CNI-FORWARD -s 10.1.0.5/32 -j ACCEPT
//! ```
//!
//! The layout and the names are those of the reference firewall plugin, so that either removes
//! what the other made. What is shared is made in the transaction that first needs it; that
//! transaction names the state of the ruleset it was decided on, so that two which are first at
//! once make one. Only rules for the addresses asked for are ever removed.

use std::net::IpAddr;

use super::expressions::{self, Dialect};
use super::rule::Rule;
use super::wire::{self, Chain, Changes, INET, IPV4, IPV6, Place};
use super::{Accept, Accepts, ForwardDrop};
use crate::socket::{Refusal, Socket};

/// The chains and comments of the reference firewall plugin.
pub(super) const CHAIN: &str = "CNI-FORWARD";
pub(super) const COMMENT: &str = "CNI firewall plugin rules";
pub(super) const ADMIN_COMMENT: &str = "CNI firewall plugin admin overrides";
/// Its isolation, which has to be gone through before anything is accepted.
pub(super) const ISOLATION: &str = "CNI-ISOLATION-STAGE-1";
/// iptables' table and chain.
const FILTER: &str = "filter";
const FORWARD: &str = "FORWARD";
/// Ours: its drops are meant.
const OWN_TABLE: &str = "wharfinger";
/// How often another transaction may come in between: each lets somebody get on.
const ATTEMPTS: u32 = 100;
/// Accepts for one chain in one transaction: a socket takes some hundred requests at once.
const LARGEST: usize = 100;

/// A base chain of somebody's that drops what is forwarded.
pub(super) struct Target {
    chain: Chain,
    drops: &'static str,
    rules: Vec<Rule>,
}

impl Target {
    fn family(&self) -> u8 {
        self.chain.family
    }

    fn takes(&self, address: IpAddr) -> bool {
        match self.family() {
            IPV4 => address.is_ipv4(),
            IPV6 => address.is_ipv6(),
            family => family == INET,
        }
    }

    fn dialect(&self) -> Dialect {
        let is_iptables =
            self.family() != INET && self.chain.table == FILTER && self.chain.name == FORWARD;
        if is_iptables { Dialect::Xtables } else { Dialect::Native(self.family()) }
    }

    /// "chain ip filter FORWARD".
    fn name(&self) -> String {
        let Chain { family, table, name, .. } = &self.chain;
        format!("chain {} {table} {name}", family_name(*family))
    }
}

/// The chains that there are, and the number of the ruleset that they are of.
pub(super) struct Look {
    generation: u32,
    pub(super) chains: Vec<Chain>,
}

impl Look {
    pub(super) fn at(socket: &mut Socket) -> Result<Self, Refusal> {
        Ok(Self { generation: wire::generation(socket)?, chains: wire::chains(socket)? })
    }
}

/// Makes sure of the accepts in each chain that drops; answers whether any was not there.
pub(super) fn ensure(
    socket: &mut Socket,
    first: &Look,
    wanted: &Accepts<'_>,
) -> Result<bool, Refusal> {
    let mut done = once(socket, first, wanted);
    let (mut made, mut attempts) = (false, 0);
    loop {
        attempts += 1;
        match done {
            Ok(Done::Nothing) => return Ok(made),
            Ok(Done::All) => return Ok(true),
            Ok(Done::Some) => made = true,
            Err(refusal) if is_race(&refusal) && attempts < ATTEMPTS => {}
            Err(refusal) => return Err(refusal),
        }
        done = Look::at(socket).and_then(|look| once(socket, &look, wanted));
    }
}

/// What one look and one transaction came to.
enum Done {
    Nothing,
    Some,
    All,
}

/// Whether the ruleset was changed between looking at it and changing it.
fn is_race(refusal: &Refusal) -> bool {
    [libc::ERESTART, libc::ENOENT, libc::EINTR].contains(&refusal.errno)
}

fn once(socket: &mut Socket, look: &Look, wanted: &Accepts<'_>) -> Result<Done, Refusal> {
    let targets = targets(socket, &look.chains)?;
    let mut plans = Vec::new();
    for target in &targets {
        let own = (target.family(), target.chain.table.as_str(), CHAIN);
        let there = rules(socket, own)?;
        plans.push((target, lacks(target, &there, wanted)));
    }
    // What is of one address alone needs no agreement with others.
    let shares = plans.iter().any(|(_, lacks)| lacks.jump || lacks.admin);
    let mut changes = Changes::default();
    for (target, lacks) in &plans {
        write(&mut changes, target, lacks, wanted);
    }
    let (all, count) = (plans.iter().map(|(_, l)| l.accepts.len()).sum::<usize>(), changes.len());
    changes.commit(socket, shares.then_some(look.generation))?;
    Ok(match count {
        0 => Done::Nothing,
        _ if all > LARGEST => Done::Some,
        _ => Done::All,
    })
}

fn rules(socket: &mut Socket, of: (u8, &str, &str)) -> Result<Vec<Rule>, Refusal> {
    wire::rules(socket, of, |bytes| Rule::read(of.0, bytes))
}

/// The base chains that drop what is forwarded. firewalld's own are firewalld's business.
pub(super) fn targets(socket: &mut Socket, chains: &[Chain]) -> Result<Vec<Target>, Refusal> {
    let mut targets = Vec::new();
    for chain in
        chains.iter().filter(|c| ![OWN_TABLE, super::firewalld::TABLE].contains(&c.table.as_str()))
    {
        let Some(base) = chain.forward else { continue };
        let rules = rules(socket, (chain.family, &chain.table, &chain.name))?;
        let drops = match base.drops {
            true => "policy drop",
            false if rules.iter().any(Rule::drops_all) => "a rule that drops all",
            false => continue,
        };
        targets.push(Target { chain: chain.clone(), drops, rules });
    }
    Ok(targets)
}

/// What a chain has not.
#[derive(Debug, Default)]
struct Lacks {
    jump: bool,
    admin: bool,
    accepts: Vec<Accept>,
}

fn lacks(target: &Target, there: &[Rule], wanted: &Accepts<'_>) -> Lacks {
    let accepts = wanted.all().filter(|accept| target.takes(accept.address));
    let missing = accepts.filter(|accept| !there.iter().any(|rule| rule.accepts(*accept)));
    let is_about = wanted.addresses.iter().any(|address| target.takes(*address));
    let has_admin = |chain| there.iter().any(|rule| rule.jumps_to(chain));
    Lacks {
        accepts: missing.collect(),
        jump: is_about && !target.rules.iter().any(|rule| rule.jumps_to(CHAIN)),
        admin: is_about && wanted.admin_chain.is_some_and(|chain| !has_admin(chain)),
    }
}

fn write(changes: &mut Changes, target: &Target, lacks: &Lacks, wanted: &Accepts<'_>) {
    let (family, table, dialect) = (target.family(), &target.chain.table, target.dialect());
    let own = (family, table.as_str(), CHAIN);
    if lacks.jump || lacks.admin {
        changes.ensure_chain(family, table, CHAIN);
    }
    if let Some(admin) = wanted.admin_chain.filter(|_| lacks.admin) {
        changes.ensure_chain(family, table, admin);
        changes.rule(own, Place::First, |bytes| {
            expressions::jump(bytes, dialect, admin, ADMIN_COMMENT);
        });
    }
    for accept in lacks.accepts.iter().take(LARGEST) {
        changes.rule(own, Place::Last, |bytes| expressions::accept(bytes, dialect, *accept));
    }
    if lacks.jump {
        let isolation = target.rules.iter().rev().find(|rule| rule.jumps_to(ISOLATION));
        let place = isolation.map_or(Place::First, |rule| Place::After(rule.handle));
        let base = (family, table.as_str(), target.chain.name.as_str());
        changes.rule(base, place, |bytes| expressions::jump(bytes, dialect, CHAIN, COMMENT));
    }
}

/// Removes the accepts from every table of others; what is shared stays.
pub(super) fn remove(
    socket: &mut Socket,
    chains: &[Chain],
    wanted: &Accepts<'_>,
) -> Result<(), Refusal> {
    let mut done = removed_once(socket, chains, wanted);
    for _ in 0..ATTEMPTS {
        match &done {
            // A rule went in between: the next look does not see it.
            Err(refusal) if is_race(refusal) => done = removed_once(socket, chains, wanted),
            _ => break,
        }
    }
    done
}

fn removed_once(
    socket: &mut Socket,
    chains: &[Chain],
    wanted: &Accepts<'_>,
) -> Result<(), Refusal> {
    let mut found = Vec::new();
    for chain in chains.iter().filter(|chain| is_accepting(chain)) {
        let of = (chain.family, chain.table.as_str(), CHAIN);
        let is_about = |rule: &Rule| wanted.all().any(|accept| rule.accepts(accept));
        let rules = rules(socket, of)?.into_iter().filter(is_about);
        found.extend(rules.map(|rule| (of, rule.handle)));
    }
    let mut changes = Changes::default();
    for (of, handle) in found {
        changes.remove_rule(of, handle);
    }
    changes.commit(socket, None)
}

fn is_accepting(chain: &Chain) -> bool {
    chain.name == CHAIN && chain.table != OWN_TABLE && [INET, IPV4, IPV6].contains(&chain.family)
}

/// Each chain that drops and lacks an accept, in words.
pub(super) fn differences(
    socket: &mut Socket,
    targets: &[Target],
    wanted: &Accepts<'_>,
) -> Result<Vec<String>, Refusal> {
    let mut all = Vec::new();
    for target in targets {
        let there = rules(socket, (target.family(), &target.chain.table, CHAIN))?;
        let lacks = lacks(target, &there, wanted);
        let (name, drops) = (target.name(), target.drops);
        let mut missing: Vec<String> = lacks.accepts.iter().map(Accept::to_string).collect();
        missing.extend(lacks.jump.then(|| format!("its jump to {CHAIN}")));
        if !missing.is_empty() {
            all.push(format!("{name} ({drops}) lacks {}", missing.join(", ")));
        }
    }
    Ok(all)
}

/// The same, for people.
pub(super) fn shown(target: &Target) -> ForwardDrop {
    ForwardDrop {
        family: family_name(target.family()).to_owned(),
        table: target.chain.table.clone(),
        chain: target.chain.name.clone(),
        priority: target.chain.forward.map_or(0, |base| base.priority),
        drops: target.drops.to_owned(),
    }
}

pub(super) fn family_name(family: u8) -> &'static str {
    match family {
        INET => "inet",
        IPV4 => "ip",
        IPV6 => "ip6",
        _ => "bridge",
    }
}
