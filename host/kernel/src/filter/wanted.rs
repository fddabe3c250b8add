//! What a step is in our tables: elements of its attachment, and what they rely on. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_plan::{
    Action, Allow, Condition, Forward, Guard, HostPort, IngressPolicy, Isolation, Masquerade,
    PortMap, Ports, Protocol, Rules, Span, Values,
};

use super::old;
use super::parts::{self, Part, of};
use super::words::{self, Field, Key, When};
use crate::nft::expr::{How, Verdict};
use crate::nft::{Chain, Element, Family, Rule, Set, Type};

/// What one or more steps need.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) parts: BTreeSet<Part>,
    pub(super) groups: Vec<Group>,
    pub(super) elements: Vec<Element>,
}

/// What the attachments of one network, or of one configuration, share: sets of their addresses,
/// a chain, and the rules that lead to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) sets: Vec<Set>,
    pub(super) chain: Option<Chain>,
    /// In which chain of what all share, which rule, and whether it comes first there.
    pub(super) calls: Vec<(&'static str, Rule, bool)>,
    pub(super) elements: Vec<Element>,
    /// Whether it goes with its last member. What costs a network one rule stays: making it again
    /// would cost its next first container more.
    pub(super) goes: bool,
}

/// The name of the sets of one network's addresses begins so.
pub(super) const MASQ: &str = "masq-";
/// The addresses whose network has no others.
pub(super) const MASQ_SINGLE: &str = "masq-single";
/// As with masquerade, for mapped ports.
pub(super) const NEAR: &str = "near-";
const NEAR_SINGLE: &str = "near-single";
pub(super) const BRIDGE: &str = "bridge-";
pub(super) const ADMIN_OF: &str = "admin-";
pub(super) const INGRESS_OF: &str = "ingress";
pub(super) const EGRESS_OF: &str = "egress";

/// Whether a chain of our tables that has this name is ours: else it is an administrator's. Of each
/// network there was one in the first version.
pub(crate) fn is_our_chain(name: &str) -> bool {
    let has = |part: Part| parts::shared(part).chains.iter().any(|chain| chain.name == name);
    let is_shared = || name != parts::ADMIN && Part::ALL.into_iter().any(has);
    of_configuration(name, &["ports", INGRESS_OF, EGRESS_OF])
        || named_network(MASQ, name).is_some()
        || is_shared()
}

/// As [`is_our_chain`], of a set.
pub(super) fn is_our_set(name: &str) -> bool {
    let has = |part: Part| parts::shared(part).sets.iter().any(|set| set.name == name);
    of_configuration(name, &["ports", "address-ports", INGRESS_OF, EGRESS_OF])
        || [MASQ, NEAR, BRIDGE, ADMIN_OF].iter().any(|prefix| name.starts_with(prefix))
        || old::MAPS.contains(&name)
        || Part::ALL.into_iter().any(has)
}

/// Whether it is one of these words, a family of addresses, and a configuration's digest.
fn of_configuration(name: &str, words: &[&str]) -> bool {
    const DIGITS: usize = 32;
    let is_digest = |text: &str| {
        text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut beginnings = words.iter().flat_map(|word| [true, false].map(|v4| of(word, v4) + "-"));
    beginnings.any(|beginning| name.strip_prefix(&beginning).is_some_and(is_digest))
}

/// What these steps need.
pub(super) fn wanted<'a>(actions: impl IntoIterator<Item = &'a Action>) -> Wanted {
    let mut all = Wanted::default();
    for action in actions {
        match action {
            Action::Masquerade(it) => all.masquerade(it),
            Action::Forward(it) => all.forward(it),
            Action::PortMap(it) => all.ports(it),
            Action::Isolation(it) => all.isolation(it),
            Action::Guard(it) => all.guard(it),
            Action::Rules(it) => all.rules(it),
            _ => {}
        }
    }
    all.elements.sort_by(|a, b| (a.family, &a.set, &a.key).cmp(&(b.family, &b.set, &b.key)));
    all.elements.dedup();
    all
}

impl Wanted {
    fn element(&mut self, set: String, key: Key, comment: &str) {
        self.add(Family::Inet, set, key, Key::default(), comment);
    }

    fn add(&mut self, family: Family, set: String, key: Key, data: Key, comment: &str) {
        let (key, data) = (key.done(), data.done());
        self.elements.push(Element { family, set, key, data, comment: comment.to_owned() });
    }

    fn group(&mut self, group: Group) {
        if !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    fn masquerade(&mut self, it: &Masquerade) {
        self.parts.insert(Part::Masquerade);
        let group = masquerade_group(it.network);
        self.element(group.name.clone(), Key::default().address(it.address), &it.comment);
        self.group(group);
    }

    fn forward(&mut self, it: &Forward) {
        self.parts.insert(Part::Forward);
        for address in &it.addresses {
            let key = || Key::default().address(*address);
            self.element(of("forward", address.is_ipv4()), key(), &it.comment);
            if let Some(chain) = it.admin_chain.as_deref().filter(|name| *name != parts::ADMIN) {
                let group = admin_group(chain, address.is_ipv4());
                self.element(group.name.clone(), key(), &it.comment);
                self.group(group);
            }
        }
    }

    fn ports(&mut self, it: &PortMap) {
        if it.ports.is_empty() {
            return;
        }
        self.parts.insert(Part::Ports);
        for port in &it.ports {
            let v4 = port.to.is_ipv4();
            let suffix = suffix(it.group.as_deref());
            let [one, all] = parts::port_maps(v4, &suffix);
            let (set, key) = match port.host {
                Some(host) => (one.name, address_key(port, host)),
                None => (all.name, Key::default().port(port.protocol, port.port)),
            };
            let data = Key::default().address(port.to).service(port.to_port);
            self.add(Family::Inet, set, key, data, &it.comment);
            if it.group.is_some() {
                let group = ports_group(v4, &suffix, &it.conditions);
                self.group(group);
            }
            self.answers(it, port);
        }
    }

    /// Whose answers would go past the host.
    fn answers(&mut self, it: &PortMap, port: &HostPort) {
        let v4 = port.to.is_ipv4();
        let behind = |key: Key| key.address(port.to).port(port.protocol, port.port);
        if it.masq_all {
            self.element(of("masquerade-all", v4), behind(Key::default()), &it.comment);
        }
        if !it.snat {
            return;
        }
        if v4 {
            self.element(of("masquerade-local", v4), behind(Key::default()), &it.comment);
        }
        let Some(network) = it.networks.iter().find(|it| it.contains(&port.to)) else { return };
        let group = near_group(network.trunc());
        let own = is_single(*network).then_some(port.to);
        let key = own.into_iter().fold(Key::default(), Key::address);
        self.element(group.name.clone(), behind(key), &it.comment);
        self.group(group);
    }

    fn isolation(&mut self, it: &Isolation) {
        self.parts.insert(Part::Forward);
        let group = bridge_group(&it.bridge);
        for address in &it.addresses {
            let v4 = address.is_ipv4();
            let key = || Key::default().link(&it.bridge).address(*address);
            self.element(of("isolated", v4), key(), &it.comment);
            if it.policy == IngressPolicy::SameBridge {
                self.element(of("neighbours", v4), key(), &it.comment);
            }
            let member = Key::default().address(IpAddr::V6(as_v6(*address)));
            self.element(group.name.clone(), member, &it.comment);
        }
        self.group(group);
        if let Some(port) = it.port.as_ref().filter(|_| it.policy == IngressPolicy::Isolated) {
            self.parts.insert(Part::Neighbours);
            let key = Key::default().link(port);
            self.add(Family::Bridge, parts::ALONE.to_owned(), key, Key::default(), &it.comment);
        }
    }

    fn guard(&mut self, it: &Guard) {
        let family = if it.port { Family::Bridge } else { Family::Inet };
        self.parts.insert(if it.port { Part::BridgeGuard } else { Part::Guard });
        let link = || Key::default().link(&it.link);
        let mut add = |set: String, key: Key| {
            self.add(family, set, key, Key::default(), &it.comment);
        };
        if let Some(mac) = it.mac.filter(|_| it.port) {
            add(parts::GUARDED_MAC.to_owned(), link());
            add(parts::MACS.to_owned(), link().mac(mac));
        }
        if let Some(addresses) = &it.addresses {
            add(parts::GUARDED.to_owned(), link());
            for address in addresses {
                add(of("sources", address.is_ipv4()), link().address(*address));
            }
        }
    }

    fn rules(&mut self, it: &Rules) {
        self.parts.insert(Part::Forward);
        if it.egress.is_some() {
            self.parts.insert(Part::Input);
        }
        for address in &it.addresses {
            for (inwards, rules) in [(true, &it.ingress), (false, &it.egress)] {
                let Some(rules) = rules else { continue };
                let group = rules_group(&it.group, inwards, address.is_ipv4(), rules);
                let key = Key::default().address(*address);
                self.element(group.name.clone(), key, &it.comment);
                self.group(group);
            }
        }
    }
}

fn address_key(port: &HostPort, host: IpAddr) -> Key {
    Key::default().protocol(port.protocol).address(host).service(port.port)
}

/// IPv4 as IPv6 writes it.
fn as_v6(address: IpAddr) -> std::net::Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn suffix(group: Option<&str>) -> String {
    group.map(|group| format!("-{group}")).unwrap_or_default()
}

fn set(name: &str, key: Type) -> Set {
    Set { family: Family::Inet, name: name.to_owned(), key: vec![key], data: Vec::new() }
}

fn masquerade_group(network: IpNet) -> Group {
    let v4 = network.addr().is_ipv4();
    let single = is_single(network);
    let name = if single { of(MASQ_SINGLE, v4) } else { network_name(MASQ, network) };
    let when = When::family(v4).found(&[Field::Source(v4)], &name);
    let when =
        if single { when } else { when.inside(Field::Destination(v4), network, How::Different) };
    Group {
        sets: vec![set(&name, parts::address(v4))],
        chain: None,
        calls: vec![(parts::MASQUERADE, when.masquerade(&name), false)],
        elements: Vec::new(),
        goes: false,
        name,
    }
}

/// Who of a network comes to a mapped port of it. A network of one address has but itself.
fn near_group(network: IpNet) -> Group {
    let v4 = network.addr().is_ipv4();
    let single = is_single(network);
    let name = if single { of(NEAR_SINGLE, v4) } else { network_name(NEAR, network) };
    let source = single.then_some(Field::Source(v4));
    let fields: Vec<Field> = source.into_iter().chain(parts::near_key(v4)).collect();
    let mut key = vec![parts::address(v4), Type::Protocol, Type::Port];
    if single {
        key.insert(0, parts::address(v4));
    }
    let set = Set { key, ..set(&name, parts::address(v4)) };
    let rules = parts::near_rules_of(&name, v4, |when| {
        let when = if single { when } else { when.inside(Field::Source(v4), network, How::Equal) };
        when.found(&fields, &name)
    });
    Group {
        sets: vec![set],
        chain: None,
        calls: rules.into_iter().map(|rule| (parts::PORTS_NEAR, rule, false)).collect(),
        elements: Vec::new(),
        goes: false,
        name,
    }
}

fn is_single(network: IpNet) -> bool {
    network.prefix_len() == network.max_prefix_len()
}

/// A network as a name. nft(8) takes no colons in names, so IPv6 has dots, and all of its eight
/// groups.
fn network_name(prefix: &str, network: IpNet) -> String {
    let length = network.prefix_len();
    match network.network() {
        IpAddr::V4(address) => format!("{prefix}{address}-{length}"),
        IpAddr::V6(address) => {
            let groups: Vec<String> =
                address.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("{prefix}{}-{length}", groups.join("."))
        }
    }
}

/// The network that a name is of.
pub(super) fn named_network(prefix: &str, name: &str) -> Option<IpNet> {
    let (address, prefix) = name.strip_prefix(prefix)?.rsplit_once('-')?;
    let v4 = address.parse::<std::net::Ipv4Addr>().map(IpAddr::V4);
    let v6 = || address.replace('.', ":").parse::<std::net::Ipv6Addr>().map(IpAddr::V6);
    IpNet::new(v4.or_else(|_| v6()).ok()?, prefix.parse().ok()?).ok()
}

/// Another chain of the administrator's than the usual one. The chain stays, as it is his.
fn admin_group(chain: &str, v4: bool) -> Group {
    let name = of(&words::name(ADMIN_OF, chain), v4);
    let call = |field, word: &str| {
        let when = When::family(v4).found(&[field], &name);
        let comment = format!("{word} {name}");
        (parts::FORWARD, when.say(Verdict::Jump(chain.to_owned()), &comment), true)
    };
    Group {
        sets: vec![set(&name, parts::address(v4))],
        chain: Some(parts::chain(chain, [])),
        calls: vec![call(Field::Source(v4), "from"), call(Field::Destination(v4), "to")],
        elements: Vec::new(),
        goes: true,
        name,
    }
}

fn bridge_group(bridge: &str) -> Group {
    let name = words::name(BRIDGE, bridge);
    let isolated = Element {
        family: Family::Inet,
        set: parts::ISOLATED.to_owned(),
        key: Key::default().link(bridge).done(),
        data: Vec::new(),
        comment: name.clone(),
    };
    Group {
        sets: vec![set(&name, Type::V6)],
        chain: None,
        calls: Vec::new(),
        elements: vec![isolated],
        goes: true,
        name,
    }
}

fn ports_group(v4: bool, suffix: &str, conditions: &[Condition]) -> Group {
    let name = of("ports", v4) + suffix;
    let conditions: Vec<&Condition> = conditions.iter().filter(|it| it.v4 == v4).collect();
    let mut rules = Vec::new();
    for condition in conditions.iter().filter(|it| it.negated) {
        let each = alternatives(condition, &When::family(v4));
        let returned = each.into_iter().map(|when| when.say(Verdict::Return, ""));
        rules.extend(returned);
    }
    let mut ways = vec![When::family(v4).local()];
    for condition in conditions.iter().filter(|it| !it.negated) {
        ways = ways.iter().flat_map(|when| alternatives(condition, when)).collect();
    }
    rules.extend(ways.iter().flat_map(|when| parts::redirects(v4, suffix, when)));
    let call = |chain| (chain, When::family(v4).jump(&name), false);
    Group {
        sets: parts::port_maps(v4, suffix).into(),
        chain: Some(parts::chain(&name, numbered(rules))),
        calls: vec![call(parts::PORTS_IN), call(parts::PORTS_OUT)],
        elements: Vec::new(),
        goes: true,
        name,
    }
}

/// Goes on from `when` where a value holds; one for each value.
fn alternatives(condition: &Condition, when: &When) -> Vec<When> {
    let v4 = condition.v4;
    let each = || when.clone();
    let spans = |spans: &[Span], field| spans.iter().map(|it| each().span(field, *it)).collect();
    let ports = |ports: &[Ports], of_source| {
        ports.iter().map(|it| port_of(each(), *it, v4, of_source)).collect()
    };
    match &condition.values {
        Values::Source(values) => spans(values, Field::Source(v4)),
        Values::Destination(values) => spans(values, Field::Destination(v4)),
        Values::Link(values) => values.iter().map(|it| each().link(it)).collect(),
        Values::Mark(values) => values.iter().map(|it| each().mark(*it)).collect(),
        Values::Protocol(values) => values.iter().map(|it| each().transport(*it, v4)).collect(),
        Values::SourcePort(values) => ports(values, true),
        Values::DestinationPort(values) => ports(values, false),
    }
}

fn port_of(when: When, ports: Ports, v4: bool, of_source: bool) -> When {
    let when = when.transport(ports.protocol, v4);
    match ports.range.filter(|_| ports.protocol != Protocol::Icmp) {
        Some(range) => when.ports(of_source, range),
        None => when,
    }
}

fn rules_group(digest: &str, inwards: bool, v4: bool, rules: &[Allow]) -> Group {
    let (direction, chain, member, peer) = if inwards {
        (INGRESS_OF, parts::INGRESS, Field::Destination(v4), Field::Source(v4))
    } else {
        (EGRESS_OF, parts::EGRESS, Field::Source(v4), Field::Destination(v4))
    };
    let name = format!("{}-{digest}", of(direction, v4));
    let allowed = rules.iter().flat_map(|allow| allowed(allow, v4, peer));
    let mut all: Vec<Rule> = allowed.map(|when| when.say(Verdict::Return, "")).collect();
    all.push(When::always().say(Verdict::Drop, ""));
    let call = When::family(v4).found(&[member], &name).jump(&name);
    Group {
        sets: vec![set(&name, parts::address(v4))],
        chain: Some(parts::chain(&name, numbered(all))),
        calls: vec![(chain, call, false)],
        elements: Vec::new(),
        goes: true,
        name,
    }
}

/// One for each peer of the family, with each of the ports.
fn allowed(allow: &Allow, v4: bool, peer: Field) -> Vec<When> {
    let of_family = |network: &&IpNet| network.addr().is_ipv4() == v4;
    let peers: Vec<When> = if allow.peers.is_empty() {
        vec![When::family(v4)]
    } else {
        let networks = allow.peers.iter().filter(of_family);
        networks.map(|it| When::family(v4).inside(peer, *it, How::Equal)).collect()
    };
    if allow.ports.is_empty() {
        return peers;
    }
    let with_ports = |when: &When| {
        let ports = allow.ports.iter();
        ports.map(|it| port_of(when.clone(), *it, v4, false)).collect::<Vec<_>>()
    };
    peers.iter().flat_map(with_ports).collect()
}

/// Rules of a group's chain are told apart by their number.
fn numbered(rules: Vec<Rule>) -> Vec<Rule> {
    let numbered = |(number, rule): (usize, Rule)| Rule { comment: number.to_string(), ..rule };
    (1..).zip(rules).map(numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_network() {
        for (network, name) in [
            ("10.1.0.0/16", "masq-10.1.0.0-16"),
            ("0.0.0.0/0", "masq-0.0.0.0-0"),
            ("fd00:1::/64", "masq-fd00.1.0.0.0.0.0.0-64"),
        ] {
            let network: IpNet = network.parse().unwrap();
            assert_eq!(network_name(MASQ, network), name);
            assert_eq!(named_network(MASQ, name), Some(network));
        }
        assert_eq!(named_network(MASQ, "masq-single4"), None);
        assert_eq!(named_network(MASQ, "masq-10.1.0.0-99"), None);
    }

    #[test]
    fn what_is_not_exactly_ours_is_an_administrators() {
        let digest = "0123456789abcdef0123456789abcdef";
        for name in ["ports-in", "guard-mac", "egress", "masq-10.1.0.0-16"].map(str::to_owned) {
            assert!(is_our_chain(&name), "{name}");
        }
        for word in ["ports4", "ingress6", "egress4"] {
            let name = format!("{word}-{digest}");
            assert!(is_our_chain(&name) && is_our_set(&name), "{name}");
        }
        for name in ["CNI-ADMIN", "egress-policy", "egress4-policy", "masq-office", "portscan"] {
            assert!(!is_our_chain(name), "{name}");
        }
        for name in ["forward4", "masq4", "near-single6", "bridge-cni0", "admin-MINE4"] {
            assert!(is_our_set(name), "{name}");
        }
        for name in ["blocked", "ports", "forwarded", "ingress4-office"] {
            assert!(!is_our_set(name), "{name}");
        }
    }

    #[test]
    fn other_octets_in_a_name_are_written_out() {
        assert_eq!(words::name(BRIDGE, "cni0.5"), "bridge-cni0.2e5");
        assert_eq!(words::name(BRIDGE, "br@\"x"), "bridge-br.40.22x");
    }
}
