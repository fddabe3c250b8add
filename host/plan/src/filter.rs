//! What the packet filter does for an attachment, as data.
//!
//! Each part names its attachment by its key, which the kernel keeps beside every rule and every
//! element as a comment. Start reading at [`PortMap`]; `masquerade` is in the crate's root.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Mac;

/// What a port belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP or ICMPv6, by the family of the packet; it has no ports.
    Icmp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
        })
    }
}

/// Packets from and to these addresses are forwarded, whatever others drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The container's.
    pub addresses: Vec<IpAddr>,
    /// The chain of our own table whose rules come first, and which is the administrator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_chain: Option<String>,
    /// The zone of firewalld that the addresses belong to, where firewalld runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The attachment's key.
    pub comment: String,
}

/// Ports of the host lead to the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortMap {
    /// Each port of the host, and where it leads.
    pub ports: Vec<HostPort>,
    /// The networks that the container's addresses are of. To whoever is of the same, the
    /// container would answer directly, past the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
    /// Who is of those networks, and the host's own programs, come with the host's address.
    #[serde(default)]
    pub snat: bool,
    /// Everybody comes with the host's address.
    #[serde(default)]
    pub masq_all: bool,
    /// All of these hold, for the family that each is of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The digest of the conditions, where there are any: attachments with the same share one
    /// chain of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The attachment's key.
    pub comment: String,
}

/// A port of the host, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPort {
    /// Not ICMP.
    pub protocol: Protocol,
    /// The address of the host, of the container's family; any of the family where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<IpAddr>,
    /// The port of the host.
    pub port: u16,
    /// The container's address.
    pub to: IpAddr,
    /// The container's port.
    pub to_port: u16,
}

/// A port of the host that an attachment needs for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Not ICMP.
    pub protocol: Protocol,
    /// 0.0.0.0 or :: for every address of the family.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl PortMap {
    /// The ports of the host that these mappings take, each once.
    pub fn claims(&self) -> Vec<Claim> {
        let mut claims: Vec<Claim> = self.ports.iter().map(HostPort::claim).collect();
        claims.sort_unstable();
        claims.dedup();
        claims
    }
}

impl HostPort {
    fn claim(&self) -> Claim {
        let any = if self.to.is_ipv4() {
            IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)
        };
        Claim { protocol: self.protocol, address: self.host.unwrap_or(any), port: self.port }
    }
}

/// What has to hold of a packet. One of several values is enough; negated, none may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// For packets of IPv4, else for those of IPv6.
    pub v4: bool,
    /// None of the values may hold.
    #[serde(default)]
    pub negated: bool,
    /// The values.
    #[serde(flatten)]
    pub values: Values,
}

/// What a condition is about, and the values of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", content = "values", rename_all = "kebab-case")]
pub enum Values {
    /// Where the packet comes from.
    Source(Vec<Span>),
    /// Where it is sent to.
    Destination(Vec<Span>),
    /// The link it came in by.
    Link(Vec<String>),
    /// Its mark.
    Mark(Vec<u32>),
    /// Its protocol.
    Protocol(Vec<Protocol>),
    /// The port it comes from.
    SourcePort(Vec<Ports>),
    /// The port it is sent to.
    DestinationPort(Vec<Ports>),
}

/// Addresses of one family, from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first.
    pub from: IpAddr,
    /// The last.
    pub to: IpAddr,
}

impl From<IpNet> for Span {
    fn from(network: IpNet) -> Self {
        Self { from: network.network(), to: network.broadcast() }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{}-{}", self.from, self.to)
        }
    }
}

/// Ports of a protocol, from one to another, both included; or all that the protocol carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ports {
    /// Whose.
    pub protocol: Protocol,
    /// The first and the last; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(u16, u16)>,
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            None => self.protocol.fmt(f),
            Some((from, to)) if from == to => write!(f, "{}/{from}", self.protocol),
            Some((from, to)) => write!(f, "{}/{from}-{to}", self.protocol),
        }
    }
}

/// Who may not reach the container, of those on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// The link that it shares with its neighbours: a bridge; its own where it shares none.
    pub bridge: String,
    /// Its own port of the bridge, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The container's.
    pub addresses: Vec<IpAddr>,
    /// Whether neighbours may.
    pub policy: IngressPolicy,
    /// The attachment's key.
    pub comment: String,
}

/// Who on this host reaches a container, as the reference's `firewall` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IngressPolicy {
    /// Neighbours on the same bridge, but nobody on another bridge with such a policy.
    SameBridge,
    /// Nor its neighbours.
    Isolated,
}

impl fmt::Display for IngressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameBridge => "same-bridge",
            Self::Isolated => "isolated",
        })
    }
}

/// What comes in by a link of the host carries these addresses as its own, or is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The host's end of the container's link.
    pub link: String,
    /// Whether it is a port of a bridge; else the host routes what comes in by it.
    #[serde(default)]
    pub port: bool,
    /// The link-layer address; not looked at where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The container's addresses; not looked at where absent. The link's own of IPv6, and what is
    /// sent to ask for an address, pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<IpAddr>>,
    /// The attachment's key.
    pub comment: String,
}

/// Who may reach the container, and whom it may reach. What belongs to a connection that was
/// allowed passes, and what the host itself sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The digest of the rules: attachments with the same share chains of that name.
    pub group: String,
    /// The bridge between the container and its neighbours, where there is one: what it passes
    /// from port to port is looked at as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// The container's.
    pub addresses: Vec<IpAddr>,
    /// To the container only this; everything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Vec<Allow>>,
    /// From the container only this; everything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress: Option<Vec<Allow>>,
    /// The attachment's key.
    pub comment: String,
}

/// What is allowed: one of the peers, and one of the ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// The other side; anybody where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<IpNet>,
    /// Of the side that is spoken to; anything where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Ports>,
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forward {}", joined(&self.addresses))?;
        if let Some(chain) = &self.admin_chain {
            write!(f, " but as {chain} says")?;
        }
        self.zone.as_ref().map_or(Ok(()), |zone| write!(f, " zone {zone}"))
    }
}

impl fmt::Display for PortMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ports {}", joined(&self.ports))?;
        for condition in &self.conditions {
            write!(f, " if {condition}")?;
        }
        f.write_str(match (self.masq_all, self.snat) {
            (true, _) => " masquerade all",
            (false, true) => " masquerade neighbours",
            (false, false) => "",
        })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.protocol)?;
        if let Some(host) = self.host {
            write!(f, "{host}:")?;
        }
        write!(f, "{}->{}", self.port, std::net::SocketAddr::new(self.to, self.to_port))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = std::net::SocketAddr::new(self.address, self.port);
        write!(f, "{}/{at}", self.protocol)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = if self.v4 { "ip" } else { "ip6" };
        let (what, values) = match &self.values {
            Values::Source(values) => (format!("{ip} saddr"), joined(values)),
            Values::Destination(values) => (format!("{ip} daddr"), joined(values)),
            Values::Link(values) => ("iifname".to_owned(), joined(values)),
            Values::Mark(values) => ("mark".to_owned(), joined(values)),
            Values::Protocol(values) => ("meta l4proto".to_owned(), joined(values)),
            Values::SourcePort(values) => ("sport".to_owned(), joined(values)),
            Values::DestinationPort(values) => ("dport".to_owned(), joined(values)),
        };
        write!(f, "{what} {}{values}", if self.negated { "!= " } else { "" })
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ingress of {} {} {}", joined(&self.addresses), self.policy, self.bridge)
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} only", self.link)?;
        if let Some(mac) = self.mac {
            write!(f, " {mac}")?;
        }
        self.addresses.as_ref().map_or(Ok(()), |all| write!(f, " {}", joined(all)))
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rules of {}", joined(&self.addresses))?;
        for (direction, rules) in [("ingress", &self.ingress), ("egress", &self.egress)] {
            if let Some(rules) = rules {
                write!(f, " {direction} [{}]", joined(rules))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peers = if self.peers.is_empty() { "any".to_owned() } else { joined(&self.peers) };
        f.write_str(&peers)?;
        if self.ports.is_empty() { Ok(()) } else { write!(f, " {}", joined(&self.ports)) }
    }
}

fn joined<T: fmt::Display>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}
