//! What of a table of iptables is one attachment's: pure, and the same for both back ends.
//!
//! Chains are named after network and container, without the interface, so that two interfaces
//! of a container on one network share them: a chain goes with the last that uses it.

use std::net::IpAddr;

use super::{Reference, names};
use crate::foreign::rule::Rule;
use crate::foreign::saved::{Line, Saved};

/// The chains that the jumps to a container's chains are in.
pub(super) const POSTROUTING: &str = "POSTROUTING";
pub(super) const DNAT: &str = "CNI-HOSTPORT-DNAT";
pub(super) const SNAT: &str = "CNI-HOSTPORT-SNAT";

/// What is to go, rules before chains.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Removal<'a> {
    pub(super) rules: Vec<&'a Line>,
    pub(super) chains: Vec<String>,
}

impl Removal<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.chains.is_empty()
    }
}

/// The chains of table nat that have to be looked at for an attachment.
pub(super) fn of_interest(reference: &Reference) -> [(String, &'static str); 3] {
    let (network, container) = (&reference.network, &reference.container_id);
    [
        (names::masquerade_chain(network, container), POSTROUTING),
        (names::dnat_chain(network, container), DNAT),
        (names::snat_chain(network, container), SNAT),
    ]
}

/// What of table nat is an attachment's.
pub(super) fn nat<'a>(there: &'a Saved, reference: &Reference) -> Removal<'a> {
    let [masquerade, dnat, snat] = of_interest(reference);
    let mut removal = Removal::default();
    if there.has_chain(&masquerade.0) {
        masquerades(there, reference, &masquerade.0, &mut removal);
    }
    for (chain, entries) in [dnat, snat] {
        if there.has_chain(&chain) {
            mappings(there, reference, (&chain, entries), &mut removal);
        }
    }
    removal
}

fn masquerades<'a>(
    there: &'a Saved,
    reference: &Reference,
    chain: &str,
    removal: &mut Removal<'a>,
) {
    let jumps = there.of(POSTROUTING).filter(|line| line.rule.goes_to(chain));
    // Old versions wrote the subnet instead of the address.
    let is_ours = |line: &&Line| {
        line.rule.source.is_none_or(|source| reference.has(|address| source.contains(&address)))
    };
    let (ours, others): (Vec<&Line>, Vec<&Line>) = jumps.partition(is_ours);
    removal.rules.extend(ours);
    if others.is_empty() {
        removal.chains.push(chain.to_owned());
    }
}

/// Each mapping is some rules that mark, and then one that has the container's address.
fn mappings<'a>(
    there: &'a Saved,
    reference: &Reference,
    (chain, entries): (&str, &str),
    removal: &mut Removal<'a>,
) {
    let (mut ours, mut mapping, mut others) = (Vec::new(), Vec::new(), false);
    for line in there.of(chain) {
        mapping.push(line);
        match target(&line.rule) {
            None => {}
            Some(address) if reference.has(|own| own == address) => ours.append(&mut mapping),
            Some(_) => {
                others = true;
                mapping.clear();
            }
        }
    }
    if others {
        // The entries may be those of the others' ports.
        removal.rules.extend(ours);
    } else {
        removal.rules.extend(there.of(entries).filter(|line| line.rule.goes_to(chain)));
        removal.chains.push(chain.to_owned());
    }
}

/// The container that a rule sends to, or that it is about: of a rule which marks, none.
fn target(rule: &Rule) -> Option<IpAddr> {
    let is_marking = rule.goes_to("CNI-HOSTPORT-SETMARK");
    let about = rule.destination.filter(|_| !is_marking).map(|network| network.addr());
    rule.dnat.or(about)
}

/// Whether a rule of the reference's table for host ports is an attachment's: it has the
/// container's name alone, and is told from those of its other interfaces by the address.
pub(super) fn is_host_port(rule: &Rule, reference: &Reference) -> bool {
    let is_container = rule.comment.as_deref() == Some(reference.container_id.as_str());
    let address = rule.dnat.or_else(|| rule.destination.map(|network| network.addr()));
    is_container && address.is_none_or(|address| reference.has(|own| own == address))
}

/// Whether a rule of the reference's table for masquerade is an attachment's.
pub(super) fn is_masquerade(rule: &Rule, reference: &Reference) -> bool {
    let Reference { network, container_id, ifname, .. } = reference;
    let hashes = names::masquerade_comment(network, container_id, ifname);
    let rest = rule.comment.as_deref().and_then(|comment| comment.strip_prefix(&hashes));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(addresses: &[&str]) -> Reference {
        Reference {
            network: "net".to_owned(),
            container_id: "abc".to_owned(),
            ifname: "eth0".to_owned(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            given_on: Vec::new(),
            zone: "trusted".to_owned(),
        }
    }

    /// Two interfaces of one container on one network, and somebody else's chain.
    const SHARED: &str = r#"-N CNI-3ce8a0924fdef86d56ad1df1
-N CNI-DN-3ce8a0924fdef86d56ad1
-N CNI-HOSTPORT-DNAT
-N CNI-other
-A POSTROUTING -s 10.1.0.5/32 -m comment --comment "name: \"net\" id: \"abc\"" -j CNI-3ce8a0924fdef86d56ad1df1
-A POSTROUTING -s 10.1.0.6/32 -m comment --comment "name: \"net\" id: \"abc\"" -j CNI-3ce8a0924fdef86d56ad1df1
-A POSTROUTING -s 10.1.0.7/32 -j CNI-other
-A CNI-3ce8a0924fdef86d56ad1df1 -d 10.1.0.0/24 -j ACCEPT
-A CNI-DN-3ce8a0924fdef86d56ad1 -s 10.1.0.0/24 -p tcp -m tcp --dport 1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-3ce8a0924fdef86d56ad1 -d 10.9.9.9/32 -p tcp -m tcp --dport 1 -j DNAT --to-destination 10.1.0.5:80
-A CNI-DN-3ce8a0924fdef86d56ad1 -s 10.1.0.0/24 -d 10.9.9.9/32 -p tcp -m tcp --dport 2 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-3ce8a0924fdef86d56ad1 -p tcp -m tcp --dport 2 -j DNAT --to-destination 10.1.0.6:80
-A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports 1 -j CNI-DN-3ce8a0924fdef86d56ad1
"#;

    #[test]
    fn what_two_interfaces_share_goes_with_the_second() {
        let there = Saved::parse(SHARED);
        let first = nat(&there, &reference(&["10.1.0.5"]));
        assert_eq!(first.chains, [""; 0]);
        let words: Vec<&str> = first.rules.iter().map(|line| line.words.as_str()).collect();
        assert_eq!(words.len(), 3, "{words:?}");
        assert!(words[0].starts_with("-s 10.1.0.5/32") && words[2].contains("10.1.0.5:80"));
        let mut rest = there.clone();
        rest.rules.retain(|line| !first.rules.contains(&line));
        let second = nat(&rest, &reference(&["10.1.0.6"]));
        assert_eq!(second.chains.len(), 2);
        assert_eq!(second.rules.len(), 2, "a jump and an entry: {second:?}");
        // With no address known, all of the container's goes, as with the reference.
        assert_eq!(nat(&there, &reference(&[])).chains.len(), 2);
    }
}
