//! What attachments share in our tables: sets, the chains that the kernel goes through, and their
//! rules. A part is made by whoever needs it first, as one transaction.
//!
//! ```text
//! table inet wharfinger                         table bridge wharfinger
//!   masquerade-out nat postrouting srcnat         guard      filter prerouting -300
//!   ports-in    nat prerouting  dstnat - 1        neighbours filter forward    filter
//!   ports-out   nat output      dstnat - 1
//!   ports-back  nat postrouting srcnat - 1
//!   forward     filter forward  filter
//!   input       filter input    filter
//!   guard       filter prerouting raw
//! ```
//!
//! Nothing here depends on how many attachments there are. No element of a set says where to go
//! on: the kernel would go through all of them at every change, to see that no chain leads to
//! itself.

use wharfinger_plan::Protocol;

use super::words::{ETHER_ARP, ETHER_V4, ETHER_V6, Field, When};
use crate::nft::expr::{How, Verdict};
use crate::nft::{Chain, Family, Hook, Rule, Set, Type};

/// What an attachment may need of what is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Masquerade,
    Ports,
    Forward,
    Input,
    Guard,
    BridgeGuard,
    Neighbours,
}

impl Part {
    pub(super) const ALL: [Self; 7] = [
        Self::Masquerade,
        Self::Ports,
        Self::Forward,
        Self::Input,
        Self::Guard,
        Self::BridgeGuard,
        Self::Neighbours,
    ];
}

/// A part's sets and chains; a chain comes before those that jump to it.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) sets: Vec<Set>,
    pub(super) chains: Vec<Chain>,
}

pub(super) const MASQUERADE: &str = "masquerade-out";
pub(super) const PORTS_IN: &str = "ports-in";
pub(super) const PORTS_OUT: &str = "ports-out";
const PORTS_BACK: &str = "ports-back";
pub(super) const PORTS_NEAR: &str = "ports-near";
pub(super) const FORWARD: &str = "forward";
const ISOLATION: &str = "isolation";
pub(super) const INGRESS: &str = "ingress";
pub(super) const EGRESS: &str = "egress";
const INPUT: &str = "input";
const GUARD: &str = "guard";
const GUARD_MAC: &str = "guard-mac";
const GUARD_IP: &str = "guard-ip";
const NEIGHBOURS: &str = "neighbours";

/// Links with an isolation, and links of guarded attachments.
pub(super) const ISOLATED: &str = "isolated";
pub(super) const GUARDED: &str = "guarded";
pub(super) const GUARDED_MAC: &str = "guarded-mac";
pub(super) const MACS: &str = "macs";
pub(super) const ALONE: &str = "alone";

/// The chain of the administrator's that the reference consults, and so do we.
pub(super) const ADMIN: &str = "CNI-ADMIN";

/// Hooks and priorities of linux/netfilter.h and its likes, and what nft(8) calls them.
const PREROUTING: u32 = 0;
const INPUT_HOOK: u32 = 1;
const FORWARD_HOOK: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;
const RAW: i32 = -300;
const DSTNAT: i32 = -100;
const FILTER: i32 = 0;
const SRCNAT: i32 = 100;
const BRIDGE_FILTER: i32 = -200;

/// A set of each family of addresses has this name and 4 or 6.
pub(super) fn of(name: &str, v4: bool) -> String {
    format!("{name}{}", if v4 { 4 } else { 6 })
}

pub(super) fn address(v4: bool) -> Type {
    if v4 { Type::V4 } else { Type::V6 }
}

pub(super) fn shared(part: Part) -> Shared {
    match part {
        Part::Masquerade => masquerade(),
        Part::Ports => ports(),
        Part::Forward => forward(),
        Part::Input => Shared {
            sets: Vec::new(),
            chains: vec![Chain {
                hook: Some(hook("filter", INPUT_HOOK, FILTER)),
                ..chain(INPUT, [established(), When::always().jump(EGRESS)])
            }],
        },
        Part::Guard => guard(),
        Part::BridgeGuard => bridge_guard(),
        Part::Neighbours => neighbours(),
    }
}

fn masquerade() -> Shared {
    let multicast = |v4: bool, network: &str| {
        let when = When::family(v4);
        let when = match network.parse() {
            Ok(network) => when.inside(Field::Destination(v4), network, How::Equal),
            Err(_) => when,
        };
        when.say(Verdict::Return, &format!("multicast of IPv{}", if v4 { 4 } else { 6 }))
    };
    let rules = [multicast(true, "224.0.0.0/4"), multicast(false, "ff00::/8")];
    let hook = Some(hook("nat", POSTROUTING, SRCNAT));
    Shared { sets: Vec::new(), chains: vec![Chain { hook, ..chain(MASQUERADE, rules) }] }
}

/// The fields of a key that finds a port of the host; with the host's address in between, where
/// the port is of that address only.
pub(super) fn port_key(v4: bool, with_address: bool) -> Vec<Field> {
    let address = with_address.then_some(Field::Destination(v4));
    [Some(Field::Transport), address, Some(Field::DestinationPort)].into_iter().flatten().collect()
}

/// The two maps of mapped ports: of one address of the host, and of all.
pub(super) fn port_maps(v4: bool, suffix: &str) -> [Set; 2] {
    let map = |name: String, key| Set {
        family: Family::Inet,
        name,
        key,
        data: vec![address(v4), Type::Port],
    };
    [
        map(of("address-ports", v4) + suffix, vec![Type::Protocol, address(v4), Type::Port]),
        map(of("ports", v4) + suffix, vec![Type::Protocol, Type::Port]),
    ]
}

/// Where packets to mapped ports are sent on to.
pub(super) fn redirects(v4: bool, suffix: &str, when: &When) -> [Rule; 2] {
    let [one, all] = port_maps(v4, suffix);
    [
        when.clone().redirect(&port_key(v4, true), &one.name, v4),
        when.clone().redirect(&port_key(v4, false), &all.name, v4),
    ]
}

/// A mapped port behind the redirection: container, protocol, and the port of the host.
pub(super) fn near_key(v4: bool) -> [Field; 3] {
    [Field::Destination(v4), Field::Transport, Field::OriginalPort]
}

fn ports() -> Shared {
    let near =
        |name: &str, v4: bool| set(of(name, v4), vec![address(v4), Type::Protocol, Type::Port]);
    let both = [true, false];
    let mut sets: Vec<Set> = both.iter().flat_map(|v4| port_maps(*v4, "")).collect();
    sets.extend(both.map(|v4| near("masquerade-all", v4)));
    sets.push(near("masquerade-local", true));
    let to_host = || {
        let elsewhere = both.iter().flat_map(|v4| redirects(*v4, "", &When::family(*v4).local()));
        elsewhere.collect::<Vec<_>>()
    };
    let chains = vec![
        chain(PORTS_NEAR, near_rules()),
        Chain { hook: Some(hook("nat", PREROUTING, DSTNAT - 1)), ..chain(PORTS_IN, to_host()) },
        Chain { hook: Some(hook("nat", OUTPUT, DSTNAT - 1)), ..chain(PORTS_OUT, to_host()) },
        Chain {
            hook: Some(hook("nat", POSTROUTING, SRCNAT - 1)),
            ..chain(PORTS_BACK, [When::always().redirected().jump(PORTS_NEAR)])
        },
    ];
    Shared { sets, chains }
}

/// Who would be answered past the host comes with the host's address.
fn near_rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for v4 in [true, false] {
        let all = of("masquerade-all", v4);
        rules.extend(near_rules_of(&all, v4, |when| when.found(&near_key(v4), &all)));
    }
    if let Ok(loopback) = "127.0.0.0/8".parse() {
        let local = of("masquerade-local", true);
        rules.extend(near_rules_of(&local, true, |when| {
            let when = when.inside(Field::Source(true), loopback, How::Equal);
            when.found(&near_key(true), &local)
        }));
    }
    rules
}

/// A rule for each protocol that has ports: by that nft(8) knows what the port of a connection is.
pub(super) fn near_rules_of(name: &str, v4: bool, on: impl Fn(When) -> When) -> Vec<Rule> {
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let one = |protocol: Protocol| {
        let when = on(When::always().transport(protocol, v4).and(When::family(v4)));
        when.masquerade(&format!("{name} {protocol}"))
    };
    protocols.map(one).into()
}

fn forward() -> Shared {
    let by_link = |name: &str, v4| set(of(name, v4), vec![Type::Link, address(v4)]);
    let mut sets = vec![set(ISOLATED.to_owned(), vec![Type::Link])];
    let mut isolation = vec![
        When::always().not_found(&[Field::InName], ISOLATED).say(Verdict::Return, "from elsewhere"),
    ];
    let mut passes = Vec::new();
    for v4 in [true, false] {
        sets.push(set(of("forward", v4), vec![address(v4)]));
        sets.push(by_link("isolated", v4));
        sets.push(by_link("neighbours", v4));
        let field = Field::Destination(v4);
        let (near, isolated) = (of("neighbours", v4), of("isolated", v4));
        let neighbours = When::family(v4).found(&[Field::InName, field], &near);
        isolation.push(neighbours.say(Verdict::Return, &near));
        let to_isolated = When::family(v4).found(&[Field::OutName, field], &isolated);
        isolation.push(to_isolated.say(Verdict::Drop, &isolated));
        for (field, word) in [(Field::Source(v4), "from"), (field, "to")] {
            let set = of("forward", v4);
            let passing = When::family(v4).found(&[field], &set);
            passes.push(passing.say(Verdict::Accept, &format!("{word} {set}")));
        }
    }
    let mut rules = vec![When::always().jump(ADMIN), established(), When::always().jump(ISOLATION)];
    rules.extend([INGRESS, EGRESS].map(|chain| When::always().jump(chain)));
    rules.extend(passes);
    let chains = vec![
        chain(ADMIN, []),
        chain(ISOLATION, isolation),
        chain(INGRESS, [discovery()]),
        chain(EGRESS, [discovery()]),
        Chain { hook: Some(hook("filter", FORWARD_HOOK, FILTER)), ..chain(FORWARD, rules) },
    ];
    Shared { sets, chains }
}

fn established() -> Rule {
    When::always().established().say(Verdict::Accept, "established")
}

/// Without neighbour discovery there is no IPv6.
fn discovery() -> Rule {
    When::family(false).icmpv6(133, 137).say(Verdict::Return, "neighbour discovery")
}

fn sources(family: Family) -> Vec<Set> {
    let both = [true, false];
    let mut sets = vec![Set { family, ..set(GUARDED.to_owned(), vec![Type::Link]) }];
    sets.extend(
        both.map(|v4| Set { family, ..set(of("sources", v4), vec![Type::Link, address(v4)]) }),
    );
    sets
}

/// What comes in by a link that is no port of a bridge.
fn guard() -> Shared {
    let mut rules = Vec::new();
    for v4 in [true, false] {
        rules.extend(allowed_sources(v4, &When::family(v4)));
        rules.push(When::family(v4).say(Verdict::Drop, dropped(v4)));
    }
    let entry = When::always().found(&[Field::InName], GUARDED).jump(GUARD_IP);
    Shared {
        sets: sources(Family::Inet),
        chains: vec![
            chain(GUARD_IP, rules),
            Chain { hook: Some(hook("filter", PREROUTING, RAW)), ..chain(GUARD, [entry]) },
        ],
    }
}

fn dropped(v4: bool) -> &'static str {
    if v4 { "other sources of IPv4" } else { "other sources of IPv6" }
}

/// Its own addresses; what asks for an address; of IPv6 those of the link.
fn allowed_sources(v4: bool, when: &When) -> Vec<Rule> {
    let source = Field::Source(v4);
    let own = of("sources", v4);
    let mut rules =
        vec![when.clone().found(&[Field::InName, source], &own).say(Verdict::Return, &own)];
    let from = |network: &str| {
        network.parse().map(|network| when.clone().inside(source, network, How::Equal))
    };
    if v4 {
        let dhcp = from("0.0.0.0/32").map(|when| {
            let when = when.transport(Protocol::Udp, true).ports(true, (68, 68));
            when.ports(false, (67, 67)).say(Verdict::Return, "dhcp")
        });
        rules.extend(dhcp);
    } else {
        rules.extend(from("fe80::/10").map(|when| when.say(Verdict::Return, "link-local")));
        rules.extend(from("::/128").map(|when| {
            when.transport(Protocol::Icmp, false).say(Verdict::Return, "no address yet")
        }));
    }
    rules
}

/// What comes in by a port of a bridge: frames, before the bridge looks at them.
fn bridge_guard() -> Shared {
    let in_bridge = |chain: Chain| Chain { family: Family::Bridge, ..chain };
    let (mac, arp_mac) = ([Field::InName, Field::LinkSource], [Field::InName, Field::ArpMac]);
    let arp = || When::ether(ETHER_ARP);
    let macs = [
        When::always().not_found(&mac, MACS).say(Verdict::Drop, "other senders"),
        arp().not_found(&arp_mac, MACS).say(Verdict::Drop, "other senders of ARP"),
    ];
    let mut ip = Vec::new();
    ip.extend(allowed_sources(true, &When::ether(ETHER_V4)));
    ip.push(When::ether(ETHER_V4).say(Verdict::Drop, dropped(true)));
    let own = of("sources", true);
    let arp_own = arp().found(&[Field::InName, Field::ArpAddress], &own);
    ip.push(arp_own.say(Verdict::Return, "own addresses in ARP"));
    if let Ok(none) = "0.0.0.0/32".parse() {
        let probe = arp().inside(Field::ArpAddress, none, How::Equal);
        ip.push(probe.say(Verdict::Return, "probes of ARP"));
    }
    ip.push(arp().say(Verdict::Drop, "other addresses in ARP"));
    ip.extend(advertised());
    ip.extend(allowed_sources(false, &When::ether(ETHER_V6)));
    ip.push(When::ether(ETHER_V6).say(Verdict::Drop, dropped(false)));
    let entries = [
        When::always().found(&[Field::InName], GUARDED_MAC).jump(GUARD_MAC),
        When::always().found(&[Field::InName], GUARDED).jump(GUARD_IP),
    ];
    let mut sets = sources(Family::Bridge);
    sets.push(Set { family: Family::Bridge, ..set(GUARDED_MAC.to_owned(), vec![Type::Link]) });
    let key = vec![Type::Link, Type::Mac];
    sets.push(Set { family: Family::Bridge, ..set(MACS.to_owned(), key) });
    let hook = Some(hook("filter", PREROUTING, RAW));
    Shared {
        sets,
        chains: vec![
            in_bridge(chain(GUARD_MAC, macs)),
            in_bridge(chain(GUARD_IP, ip)),
            in_bridge(Chain { hook, ..chain(GUARD, entries) }),
        ],
    }
}

/// Neighbour advertisements about others' addresses.
fn advertised() -> Option<Rule> {
    let own = [Field::InName, Field::NdTarget];
    let link_local = "fe80::/10".parse().ok()?;
    let when = When::ether(ETHER_V6).icmpv6(136, 136);
    let when = when.inside(Field::NdTarget, link_local, How::Different);
    Some(when.not_found(&own, &of("sources", false)).say(Verdict::Drop, "other advertisements"))
}

/// What a bridge passes from port to port, to a port that has no neighbours.
fn neighbours() -> Shared {
    let rule = |ether, comment: &str| {
        When::ether(ether).found(&[Field::OutName], ALONE).say(Verdict::Drop, comment)
    };
    let rules = [rule(ETHER_V4, "IPv4 of neighbours"), rule(ETHER_V6, "IPv6 of neighbours")];
    let hook = Some(hook("filter", FORWARD_HOOK, BRIDGE_FILTER));
    Shared {
        sets: vec![Set { family: Family::Bridge, ..set(ALONE.to_owned(), vec![Type::Link]) }],
        chains: vec![Chain { family: Family::Bridge, hook, ..chain(NEIGHBOURS, rules) }],
    }
}

fn hook(kind: &'static str, number: u32, priority: i32) -> Hook {
    Hook { kind, number, priority }
}

fn set(name: String, key: Vec<Type>) -> Set {
    Set { family: Family::Inet, name, key, data: Vec::new() }
}

pub(super) fn chain(name: &str, rules: impl IntoIterator<Item = Rule>) -> Chain {
    Chain {
        family: Family::Inet,
        name: name.to_owned(),
        hook: None,
        rules: rules.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_a_chain_a_comment_tells_a_rule_from_the_others() {
        for chain in Part::ALL.into_iter().flat_map(|part| shared(part).chains) {
            let mut comments: Vec<&str> =
                chain.rules.iter().map(|rule| rule.comment.as_str()).collect();
            let count = comments.len();
            comments.sort_unstable();
            comments.dedup();
            assert_eq!(comments.len(), count, "{}: {comments:?}", chain.name);
        }
    }
}
