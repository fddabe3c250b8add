//! Plans as people read them: one line a step, in the words of `ip(8)` and `nft(8)`.

use std::fmt;

use crate::{
    Action, Address, Announce, Link, LinkKind, LinkRef, Masquerade, Others, Owner, Place, Plan,
    Port, Probe, Route, Step, Sysctl,
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", number + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owner = match self.owner {
            Owner::Attachment => "",
            Owner::Shared => "  (shared)",
        };
        write!(f, "{:<9}  {}{owner}", self.place().to_string(), self.action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => link.fmt(f),
            Self::Up { link } => write!(f, "link {} up", link.name),
            Self::Address(address) => address.fmt(f),
            Self::Route(route) => route.fmt(f),
            Self::Sysctl(sysctl) => sysctl.fmt(f),
            Self::Masquerade(masquerade) => masquerade.fmt(f),
            Self::Forward(forward) => forward.fmt(f),
            Self::PortMap(ports) => ports.fmt(f),
            Self::Isolation(isolation) => isolation.fmt(f),
            Self::Guard(guard) => guard.fmt(f),
            Self::Rules(rules) => rules.fmt(f),
            Self::Shape(shape) => shape.fmt(f),
            Self::Redirect(redirect) => redirect.fmt(f),
            Self::Settings(settings) => settings.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
            Self::NoRoute(route) => write!(f, "no {route}"),
            Self::Member(member) => member.fmt(f),
            Self::Probe(probe) => probe.fmt(f),
            Self::Announce(announce) => announce.fmt(f),
            Self::Encryption(encryption) => encryption.fmt(f),
            Self::DeviceFile(file) => file.fmt(f),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.link.name)?;
        self.kind.fmt(f)?;
        optional(f, "address", self.mac)?;
        optional(f, "mtu", self.mtu)?;
        if let Some(port) = &self.port {
            port.fmt(f)?;
        }
        flag(f, "promisc", self.promisc == Some(true))?;
        flag(f, "up", self.up)
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str(" type bridge"),
            Self::VlanBridge => f.write_str(" type bridge vlan_filtering"),
            Self::Veth { peer } => {
                write!(f, " type veth peer {}", peer.link)?;
                optional(f, "address", peer.mac)
            }
            Self::Macvlan(it) => {
                write!(f, " type macvlan mode {} on {}", it.mode, on(&it.master))?;
                optional(f, "bcqueuelen", it.bcqueuelen)
            }
            Self::Ipvlan(it) => write!(f, " type ipvlan mode {} on {}", it.mode, on(&it.master)),
            Self::Vlan(it) => write!(f, " type vlan id {} on {}", it.id, on(&it.master)),
            Self::Vxlan(it) => write!(f, " type vxlan{it}"),
            Self::Dummy => f.write_str(" type dummy"),
            Self::Tap(tap) => write!(f, " type tap{tap}"),
            Self::Device(device) => {
                let from = device.from.as_deref().unwrap_or("the host");
                write!(f, " moved from {from}")
            }
            Self::Ifb => f.write_str(" type ifb"),
            Self::Vrf { table } => write!(f, " type vrf table {table}"),
            Self::Existing => Ok(()),
        }
    }
}

/// A master, with its place: it is often the other one.
fn on(master: &LinkRef) -> String {
    match master.place {
        Place::Host => format!("host:{}", master.name),
        Place::Container => master.to_string(),
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " master {}", self.bridge)?;
        flag(f, "hairpin", self.hairpin)?;
        flag(f, "isolated", self.isolated)?;
        flag(f, "nolearning", self.nolearning)?;
        flag(f, "neigh_suppress", self.neigh_suppress)?;
        self.vlans.iter().try_for_each(|vlan| write!(f, " vlan {vlan}"))?;
        flag(f, "beside the default vlan", self.keep_default_vlan)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody has {} dev {}", list(&self.addresses), self.link.name)?;
        if self.gateways.is_empty() {
            return Ok(());
        }
        write!(f, ", and {} answers", list(&self.gateways))
    }
}

impl fmt::Display for Announce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "announce {} dev {}", list(&self.addresses), self.link.name)
    }
}

fn list(addresses: &[std::net::IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} dev {}", self.address, self.link.name)?;
        flag(f, "nodad", self.nodad)?;
        flag(f, "noprefixroute", !self.prefix_route)?;
        flag(f, "replacing others", self.others == Others::Replace)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.destination.prefix_len() == 0 {
            f.write_str("route default")?;
        } else {
            write!(f, "route {}", self.destination)?;
        }
        optional(f, "via", self.gateway)?;
        write!(f, " dev {}", self.link.name)?;
        optional(f, "src", self.source)?;
        optional(f, "scope", self.scope)?;
        optional(f, "table", self.table)?;
        optional(f, "metric", self.priority)?;
        optional(f, "mtu", self.mtu)?;
        optional(f, "advmss", self.advmss)
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysctl {} = {}", self.key, self.value)?;
        flag(f, "(if there)", self.optional)
    }
}

impl fmt::Display for Masquerade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "masquerade {} but to {}", self.address, self.network)
    }
}

fn optional(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<impl fmt::Display>,
) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name} {value}"))
}

fn flag(f: &mut fmt::Formatter<'_>, name: &str, set: bool) -> fmt::Result {
    if set { write!(f, " {name}") } else { Ok(()) }
}
