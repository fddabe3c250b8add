//! Plans as people read them: one line a step, in the words of `ip(8)` and `nft(8)`.

use std::fmt;

use crate::{
    Action, Address, Link, LinkKind, Masquerade, Others, Owner, Plan, Route, Step, Sysctl,
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
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.link.name)?;
        match &self.kind {
            LinkKind::Bridge => f.write_str(" type bridge")?,
            LinkKind::Veth { peer } => {
                write!(f, " type veth peer {}", peer.link)?;
                if let Some(mac) = peer.mac {
                    write!(f, " address {mac}")?;
                }
            }
            LinkKind::Ifb => f.write_str(" type ifb")?,
            LinkKind::Vrf { table } => write!(f, " type vrf table {table}")?,
            LinkKind::Existing => {}
        }
        optional(f, "address", self.mac)?;
        optional(f, "mtu", self.mtu)?;
        if let Some(port) = &self.port {
            write!(f, " master {}", port.bridge)?;
            flag(f, "hairpin", port.hairpin)?;
            flag(f, "isolated", port.isolated)?;
        }
        flag(f, "promisc", self.promisc == Some(true))?;
        flag(f, "up", self.up)
    }
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
