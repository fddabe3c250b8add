//! `portmap`: ports of the host lead to the container.
//!
//! The keys are the reference plugin's. Both of its back ends are served by nftables; what can
//! only be said to iptables is refused, with what to write instead. Start reading at
//! [`PortMap::plan`]; `conditions` reads what `conditionsV4` and `conditionsV6` say.

mod conditions;

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::conf::Fields;

use wharfinger_cni::{Attach, PortMapping, Protocol, RuntimeConfig};
use wharfinger_plan::{Action, Condition, HostPort, LinkRef, Place, Step, Sysctl};

use super::{Subject, refuse_near_misses};
use crate::{Error, PlanError, names, read};

pub(crate) const KEYS: &[&str] = &[
    "backend",
    "snat",
    "masqAll",
    "markMasqBit",
    "externalSetMarkChain",
    "conditionsV4",
    "conditionsV6",
];

/// The configuration of `portmap`, and what the runtime wants mapped.
#[derive(Debug, Clone, PartialEq)]
pub struct PortMap {
    mappings: Vec<PortMapping>,
    snat: bool,
    masq_all: bool,
    conditions: Vec<Condition>,
}

impl PortMap {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        check_backend(fields)?;
        let mut conditions = conditions::read(fields, true)?;
        conditions.extend(conditions::read(fields, false)?);
        let mappings = RuntimeConfig::of(&call.conf)?.port_mappings()?;
        let read = Self {
            mappings,
            snat: fields.bool("snat")?.unwrap_or(true),
            masq_all: read::switch(fields, "masqAll")?,
            conditions,
        };
        Ok((!read.mappings.is_empty()).then_some(read))
    }

    pub(crate) fn plan(&self, subject: &Subject<'_>) -> Result<Vec<Step>, PlanError> {
        let addresses = subject.addresses();
        let ports = self.ports(&addresses)?;
        if ports.is_empty() {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        if self.snat && ports.iter().any(|port| port.to.is_ipv4()) {
            steps.extend(way_in(subject).map(|link| route_localnet(&link)));
        }
        let conditions = self.conditions.clone();
        let group =
            (!conditions.is_empty()).then(|| names::short_digest(&format!("{conditions:?}")));
        steps.push(Step::owned(Action::PortMap(wharfinger_plan::PortMap {
            ports,
            networks: addresses.iter().map(IpNet::trunc).collect(),
            snat: self.snat,
            masq_all: self.masq_all,
            conditions,
            group,
            comment: names::key(subject.id),
        })));
        Ok(steps)
    }

    /// Each mapping for each family that the container has an address of, by the first of it. A
    /// mapping of one address of the host is for that address's family.
    fn ports(&self, addresses: &[IpNet]) -> Result<Vec<HostPort>, PlanError> {
        let mut ports: Vec<HostPort> = Vec::new();
        for v4 in [true, false] {
            let Some(to) = addresses.iter().find(|it| it.addr().is_ipv4() == v4) else { continue };
            let of_family = |it: &&PortMapping| it.host_ip.is_none_or(|host| host.is_ipv4() == v4);
            for mapping in self.mappings.iter().filter(of_family) {
                let port = host_port(mapping, to.addr());
                match ports.iter().find(|it| same_claim(it, &port)) {
                    None => ports.push(port),
                    Some(found) if *found == port => {}
                    Some(found) => return Err(twice(found, &port)),
                }
            }
        }
        Ok(ports)
    }
}

fn host_port(mapping: &PortMapping, to: IpAddr) -> HostPort {
    HostPort {
        protocol: match mapping.protocol {
            Protocol::Tcp => wharfinger_plan::Protocol::Tcp,
            Protocol::Udp => wharfinger_plan::Protocol::Udp,
            Protocol::Sctp => wharfinger_plan::Protocol::Sctp,
        },
        host: mapping.host_ip.filter(|host| !host.is_unspecified()),
        port: mapping.host_port,
        to,
        to_port: mapping.container_port,
    }
}

fn same_claim(one: &HostPort, other: &HostPort) -> bool {
    let claim = |it: &HostPort| (it.protocol, it.host, it.port, it.to.is_ipv4());
    claim(one) == claim(other)
}

fn twice(found: &HostPort, port: &HostPort) -> PlanError {
    let what = format!("portMappings has {found} and {port}: a port of the host leads to one");
    PlanError::Unfit { feature: "portmap", what }
}

/// The link by which the host reaches the container. Of a bridge with a VLAN for the container,
/// the gateway has a link of its own, which the result names.
fn way_in(subject: &Subject<'_>) -> Option<LinkRef> {
    let Some(bridge) = subject.bridge else { return subject.host.cloned() };
    let prefix = format!("{}.", bridge.name);
    let of_vlan = subject
        .result
        .interfaces
        .iter()
        .find(|it| it.sandbox.is_empty() && it.name.starts_with(&prefix));
    Some(of_vlan.map_or_else(|| bridge.clone(), |it| LinkRef::host(&it.name)))
}

/// What comes from the host's 127.0.0.1 may leave by this link. Never put back: others rely on it.
fn route_localnet(link: &LinkRef) -> Step {
    Step::shared(Action::Sysctl(Sysctl {
        place: Place::Host,
        key: format!("net/ipv4/conf/{}/route_localnet", link.name),
        value: "1".to_owned(),
        optional: false,
    }))
}

fn check_backend(fields: &Fields<'_>) -> Result<(), Error> {
    match fields.str("backend")? {
        None | Some("" | "iptables" | "nftables") => {}
        Some(_) => return Err(fields.error("backend", "\"iptables\" or \"nftables\"").into()),
    }
    // A bit of the packet's mark is what the reference tells itself by; we need none.
    if fields.i64("markMasqBit")?.is_some_and(|bit| !(0..=31).contains(&bit)) {
        return Err(fields.error("markMasqBit", "a whole number from 0 to 31").into());
    }
    if fields.str("externalSetMarkChain")?.is_some_and(|chain| !chain.is_empty()) {
        let instead = "take the key out. No mark is needed, as who comes to a mapped port is \
                       masqueraded by our own nftables rules; to have everybody masqueraded, \
                       write \"masqAll\": true";
        return Err(unsupported(fields, "externalSetMarkChain", instead.to_owned()));
    }
    Ok(())
}

/// A key that nothing but iptables can serve.
fn unsupported(fields: &Fields<'_>, key: &str, instead: String) -> Error {
    let (pointer, value) = match fields.get(key) {
        Some(field) => (field.pointer, format!("{key} {}", field.value)),
        None => (fields.pointer_of(key), key.to_owned()),
    };
    Error::Unsupported { pointer, value, instead }
}
