//! What our tables tell of attachments, and how people are told of an element.

use std::collections::BTreeMap;

use ipnet::IpNet;
use wharfinger_plan::{
    Action, Forward, Guard, HostPort, IngressPolicy, Isolation, Masquerade, PortMap, Protocol,
    Rules,
};

use super::parts;
use super::wanted::{ADMIN_OF, EGRESS_OF, INGRESS_OF, MASQ, NEAR, named_network};
use super::words::Fields;
use super::{FAMILIES, TABLE, old};
use crate::nft::{self, Element, Family};
use crate::socket::Socket;
use crate::{Error, refused};

/// What the tables tell.
#[derive(Debug, Default)]
pub(crate) struct Surveyed {
    pub(crate) masquerades: Vec<Masquerade>,
    /// The other steps, as far as undoing them needs it.
    pub(crate) filter: Vec<Action>,
}

/// What all elements tell.
pub(crate) fn survey(socket: &mut Socket) -> Result<Surveyed, Error> {
    let refuse = |refusal| refused("list", "our tables of the packet filter", refusal);
    let mut surveyed = Surveyed::default();
    let mut owners: BTreeMap<String, Owner> = BTreeMap::new();
    for family in FAMILIES {
        for set in nft::sets(socket, TABLE, family).map_err(refuse)? {
            for element in nft::elements(socket, TABLE, family, &set).map_err(refuse)? {
                if let Some(masquerade) = masquerade(&element) {
                    surveyed.masquerades.push(masquerade);
                } else if !element.comment.is_empty() {
                    let owner = owners.entry(element.comment.clone()).or_default();
                    let _ = owner.learn(&element);
                }
            }
        }
    }
    surveyed.filter = owners.into_iter().flat_map(|(key, owner)| owner.actions(&key)).collect();
    Ok(surveyed)
}

/// What a foreign hand put there without a network has none.
fn masquerade(element: &Element) -> Option<Masquerade> {
    let [old4, old6] = old::MAPS;
    let v4 = element.key.len() == 4;
    let address = || Fields(&element.key).address(v4);
    let network = if element.set == old4 || element.set == old6 {
        let chain = String::from_utf8_lossy(&element.data).into_owned();
        named_network(MASQ, &chain).unwrap_or(IpNet::from(address()?))
    } else if element.set.starts_with(super::wanted::MASQ_SINGLE) {
        IpNet::from(address()?)
    } else {
        named_network(MASQ, &element.set)?
    };
    Some(Masquerade { address: address()?, network, comment: element.comment.clone() })
}

/// What is known of one attachment.
#[derive(Debug, Default)]
struct Owner {
    forward: Option<Forward>,
    ports: BTreeMap<Option<String>, PortMap>,
    near: Vec<IpNet>,
    local: bool,
    all: bool,
    isolation: Option<Isolation>,
    alone: Option<String>,
    guards: BTreeMap<(String, bool), Guard>,
    rules: BTreeMap<String, Rules>,
}

impl Owner {
    /// Nothing where the element is of no kind that is known.
    fn learn(&mut self, element: &Element) -> Option<()> {
        let set = element.set.as_str();
        let mut key = Fields(&element.key);
        match (element.family, set) {
            (_, "guarded" | "guarded-mac" | "macs" | "sources4" | "sources6") => {
                self.learn_guard(element)?;
            }
            (Family::Bridge, parts::ALONE) => self.alone = key.link(),
            (Family::Bridge, _) => return None,
            (_, "forward4" | "forward6") => {
                let address = key.address(set.ends_with('4'))?;
                self.forward(&element.comment).addresses.push(address);
            }
            (_, "isolated4" | "isolated6" | "neighbours4" | "neighbours6") => {
                self.learn_isolation(element)?;
            }
            (_, "masquerade-all4" | "masquerade-all6") => self.all = true,
            (_, "masquerade-local4") => self.local = true,
            _ if set.starts_with(NEAR) => {
                let own = || key.address(set.ends_with('4')).map(IpNet::from);
                let network = named_network(NEAR, set).or_else(own)?;
                if !self.near.contains(&network) {
                    self.near.push(network);
                }
            }
            _ if set.starts_with("ports") || set.starts_with("address-ports") => {
                self.learn_port(element)?;
            }
            _ if set.starts_with(ADMIN_OF) => {
                let chain = set.strip_prefix(ADMIN_OF)?.get(..set.len() - ADMIN_OF.len() - 1)?;
                self.forward(&element.comment).admin_chain = Some(chain.to_owned());
            }
            _ => self.learn_rules(element)?,
        }
        Some(())
    }

    fn forward(&mut self, key: &str) -> &mut Forward {
        self.forward.get_or_insert_with(|| Forward {
            addresses: Vec::new(),
            admin_chain: None,
            zone: None,
            comment: key.to_owned(),
        })
    }

    fn learn_guard(&mut self, element: &Element) -> Option<()> {
        let mut key = Fields(&element.key);
        let (link, port) = (key.link()?, element.family == Family::Bridge);
        let guard = self.guards.entry((link.clone(), port)).or_insert_with(|| Guard {
            link,
            port,
            mac: None,
            addresses: None,
            comment: element.comment.clone(),
        });
        match element.set.as_str() {
            "macs" => guard.mac = key.mac(),
            "sources4" | "sources6" => {
                let address = key.address(element.set.ends_with('4'))?;
                guard.addresses.get_or_insert_default().push(address);
            }
            "guarded" => drop(guard.addresses.get_or_insert_default()),
            _ => {}
        }
        Some(())
    }

    fn learn_isolation(&mut self, element: &Element) -> Option<()> {
        let mut key = Fields(&element.key);
        let bridge = key.link()?;
        let address = key.address(element.set.ends_with('4'))?;
        let isolation = self.isolation.get_or_insert_with(|| Isolation {
            bridge,
            port: None,
            addresses: Vec::new(),
            policy: IngressPolicy::Isolated,
            comment: element.comment.clone(),
        });
        if !isolation.addresses.contains(&address) {
            isolation.addresses.push(address);
        }
        if element.set.starts_with("neighbours") {
            isolation.policy = IngressPolicy::SameBridge;
        }
        Some(())
    }

    fn learn_port(&mut self, element: &Element) -> Option<()> {
        let (family, group) = match element.set.split_once("ports")?.1.split_once('-') {
            Some((family, group)) => (family, Some(group.to_owned())),
            None => (element.set.split_once("ports")?.1, None),
        };
        let v4 = family == "4";
        let mut key = Fields(&element.key);
        let (protocol, host, port) = if element.set.starts_with("address") {
            let protocol = key.protocol()?;
            (protocol, Some(key.address(v4)?), key.service()?)
        } else {
            let (protocol, port) = key.port()?;
            (protocol, None, port)
        };
        let mut data = Fields(&element.data);
        let (to, to_port) = (data.address(v4)?, data.service()?);
        let map = self.ports.entry(group.clone()).or_insert_with(|| PortMap {
            ports: Vec::new(),
            networks: Vec::new(),
            snat: false,
            masq_all: false,
            conditions: Vec::new(),
            group,
            comment: element.comment.clone(),
        });
        map.ports.push(HostPort { protocol, host, port, to, to_port });
        Some(())
    }

    fn learn_rules(&mut self, element: &Element) -> Option<()> {
        let (direction, group) = element.set.split_once('-')?;
        let inwards = direction.starts_with(INGRESS_OF);
        if !inwards && !direction.starts_with(EGRESS_OF) {
            return None;
        }
        let address = Fields(&element.key).address(direction.ends_with('4'))?;
        let rules = self.rules.entry(group.to_owned()).or_insert_with(|| Rules {
            group: group.to_owned(),
            bridge: None,
            addresses: Vec::new(),
            ingress: None,
            egress: None,
            comment: element.comment.clone(),
        });
        if !rules.addresses.contains(&address) {
            rules.addresses.push(address);
        }
        let listed = if inwards { &mut rules.ingress } else { &mut rules.egress };
        listed.get_or_insert_default();
        Some(())
    }

    /// The steps that undo all of it.
    fn actions(self, key: &str) -> Vec<Action> {
        let mut actions: Vec<Action> = self.forward.map(Action::Forward).into_iter().collect();
        let networks = self.near;
        let snat = self.local || !networks.is_empty();
        actions.extend(self.ports.into_values().map(|map| {
            Action::PortMap(PortMap { networks: networks.clone(), snat, masq_all: self.all, ..map })
        }));
        if let Some(isolation) = self.isolation {
            actions.push(Action::Isolation(Isolation { port: self.alone, ..isolation }));
        } else if let Some(port) = self.alone {
            actions.push(Action::Isolation(Isolation {
                bridge: port.clone(),
                port: Some(port),
                addresses: Vec::new(),
                policy: IngressPolicy::Isolated,
                comment: key.to_owned(),
            }));
        }
        actions.extend(self.guards.into_values().map(Action::Guard));
        actions.extend(self.rules.into_values().map(Action::Rules));
        actions
    }
}

/// How people are told of an element: what it is about, and in which set.
pub(super) fn shown(element: &Element) -> String {
    let [old4, old6] = old::MAPS;
    let is_masquerade = element.set.starts_with("masq-") || [old4, old6].contains(&&*element.set);
    let key = shown_key(element).unwrap_or_else(|| "an element".to_owned());
    if is_masquerade { format!("masquerade {key}") } else { format!("{key} of {}", element.set) }
}

/// A part of a key, as people are told of it.
#[derive(Debug, Clone, Copy)]
enum Told {
    Link,
    Mac,
    Address(bool),
    Port,
    AddressPort(bool),
    /// Said again further on.
    Nothing(bool),
}

fn shown_key(element: &Element) -> Option<String> {
    let mut key = Fields(&element.key);
    let mut words = Vec::new();
    for part in layout(&element.set, element.key.len()) {
        words.extend(match part {
            Told::Link => Some(key.link()?),
            Told::Mac => Some(key.mac()?.to_string()),
            Told::Address(v4) => Some(key.address(v4)?.to_canonical().to_string()),
            Told::Port => {
                let (protocol, port) = key.port()?;
                Some(format!("{protocol}/{port}"))
            }
            Told::AddressPort(v4) => {
                let (protocol, address): (Protocol, _) = (key.protocol()?, key.address(v4)?);
                Some(format!("{protocol}/{}", std::net::SocketAddr::new(address, key.service()?)))
            }
            Told::Nothing(v4) => key.address(v4).and(None),
        });
    }
    Some(words.join(" "))
}

/// What the keys of a set are made of.
fn layout(set: &str, length: usize) -> Vec<Told> {
    let v4 = match named_network(NEAR, set) {
        Some(network) => network.addr().is_ipv4(),
        None => set.split('-').any(|part| part.ends_with('4')),
    };
    let begins = |prefix: &str| set.starts_with(prefix);
    if [parts::ISOLATED, parts::GUARDED, parts::GUARDED_MAC, parts::ALONE].contains(&set) {
        vec![Told::Link]
    } else if set == parts::MACS {
        vec![Told::Link, Told::Mac]
    } else if begins("address-ports") {
        vec![Told::AddressPort(v4)]
    } else if begins("ports") {
        vec![Told::Port]
    } else if begins("near-single") {
        vec![Told::Nothing(v4), Told::Address(v4), Told::Port]
    } else if begins(NEAR) || begins("masquerade-") {
        vec![Told::Address(v4), Told::Port]
    } else if begins("isolated") || begins("neighbours") || begins("sources") {
        vec![Told::Link, Told::Address(v4)]
    } else {
        vec![Told::Address(length == 4)]
    }
}

/// Where a mapped port leads to.
pub(super) fn shown_data(element: &Element) -> String {
    let mut data = Fields(&element.data);
    let v4 = element.data.len() == 8;
    let target = data.address(v4).zip(data.service());
    target.map_or_else(
        || "nothing".to_owned(),
        |(address, port)| std::net::SocketAddr::new(address, port).to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::wanted::wanted;
    use wharfinger_plan::{Allow, Mac};

    fn sample() -> Vec<Action> {
        let comment = || "pods/c1/eth0".to_owned();
        let addresses = || vec!["10.1.0.5".parse().unwrap(), "fd00:1::5".parse().unwrap()];
        let port = |port, host: Option<&str>, to: &str| HostPort {
            protocol: Protocol::Tcp,
            host: host.map(|host| host.parse().unwrap()),
            port,
            to: to.parse().unwrap(),
            to_port: 80,
        };
        vec![
            Action::Forward(Forward {
                addresses: addresses(),
                admin_chain: Some("MY-ADMIN".to_owned()),
                zone: None,
                comment: comment(),
            }),
            Action::PortMap(PortMap {
                ports: vec![
                    port(81, Some("192.0.2.1"), "10.1.0.5"),
                    port(80, None, "10.1.0.5"),
                    port(80, None, "fd00:1::5"),
                ],
                networks: vec!["10.1.0.0/16".parse().unwrap(), "fd00:1::/64".parse().unwrap()],
                snat: true,
                masq_all: true,
                conditions: Vec::new(),
                group: None,
                comment: comment(),
            }),
            Action::Isolation(Isolation {
                bridge: "cni0".to_owned(),
                port: Some("veth1".to_owned()),
                addresses: addresses(),
                policy: IngressPolicy::Isolated,
                comment: comment(),
            }),
            Action::Guard(Guard {
                link: "veth1".to_owned(),
                port: true,
                mac: Some(Mac([2, 0, 0, 0, 0, 1])),
                addresses: Some(addresses()),
                comment: comment(),
            }),
            Action::Rules(Rules {
                group: "d1".to_owned(),
                bridge: None,
                addresses: addresses(),
                ingress: Some(Vec::<Allow>::new()),
                egress: None,
                comment: comment(),
            }),
        ]
    }

    #[test]
    fn what_elements_tell_is_enough_to_undo_them() {
        let elements = wanted(&sample()).elements;
        let mut owner = Owner::default();
        for element in &elements {
            let known = element.set.starts_with("bridge-") || owner.learn(element).is_some();
            assert!(known, "{element:?}");
        }
        let told = owner.actions("pods/c1/eth0");
        assert_eq!(told, sample());
        assert_eq!(wanted(&told).elements, elements);
    }

    #[test]
    fn people_are_told_what_an_element_is_about() {
        let shown: Vec<String> = wanted(&sample()).elements.iter().map(super::shown).collect();
        for part in [
            "tcp/192.0.2.1:81 of address-ports4",
            "tcp/80 of ports6",
            "10.1.0.5 tcp/80 of near-10.1.0.0-16",
            "fd00:1::5 tcp/80 of masquerade-all6",
            "cni0 fd00:1::5 of isolated6",
            "10.1.0.5 of bridge-cni0",
            "veth1 02:00:00:00:00:01 of macs",
            "fd00:1::5 of ingress6-d1",
            "10.1.0.5 of admin-MY-ADMIN4",
        ] {
            assert!(shown.iter().any(|it| it == part), "{part}: {shown:?}");
        }
    }
}
