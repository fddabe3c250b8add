//! What is to be done to the kernel, as data: an ordered list of steps, each of which can be
//! applied, verified against the kernel, undone, shown to people and kept as JSON.
//!
//! A plan is made by a driver and carried out by the kernel crate; this crate does neither, and
//! must never do I/O. Start reading at [`Plan`], then [`Action`].
//!
//! Steps are declarative: "this link is there, with these parameters". What is there already
//! with the same parameters is fine; with others it is an error that names both values.
#![forbid(unsafe_code)]

mod device_file;
mod encryption;
mod facts;
mod filter;
mod kinds;
mod overlay;
mod part;
mod peers;
mod render;
mod routing;
mod traffic;

pub use device_file::DeviceFile;
pub use encryption::{Association, Encryption, KEY, Key, Way};
pub use facts::{Answer, LinkFacts, Query};
pub use filter::{
    Allow, Claim, Condition, Forward, Guard, HostPort, IngressPolicy, Isolation, PortMap, Ports,
    Protocol, Rules, Span, Values,
};
pub use kinds::{
    Device, Group, Ipvlan, IpvlanMode, Macvlan, MacvlanMode, PortVlan, Tap, Vlan, Vxlan,
};
pub use peers::{PeerChange, Peers, Segment};
pub use routing::{MAIN_TABLE, Member, Routing, Rule};
pub use traffic::{Change, PeerIs, Redirect, Settings, Shape, Sparing};

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The format number that this version writes into [`Plan::format`].
///
/// Any later version reads every earlier format, so that an upgraded executable undoes what an
/// older one made.
pub const FORMAT: u32 = 1;

/// An ordered list of steps. ADD applies it from first to last, DEL undoes it from last to
/// first, CHECK verifies each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// See [`FORMAT`].
    pub format: u32,
    /// In the order in which they are applied.
    pub steps: Vec<Step>,
}

impl Plan {
    /// A plan of the current format.
    pub fn new(steps: Vec<Step>) -> Self {
        Self { format: FORMAT, steps }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// One step: what to do, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Whether it goes with the attachment.
    pub owner: Owner,
    /// What is to be so.
    #[serde(flatten)]
    pub action: Action,
}

impl Step {
    /// A step that goes when its attachment goes.
    pub fn owned(action: Action) -> Self {
        Self { owner: Owner::Attachment, action }
    }

    /// A step that other attachments rely on too.
    pub fn shared(action: Action) -> Self {
        Self { owner: Owner::Shared, action }
    }

    /// Where it happens.
    pub fn place(&self) -> Place {
        self.action.place()
    }
}

/// Whose a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// This attachment's: undone with it.
    Attachment,
    /// Everybody's: ensured, and never undone by one attachment.
    Shared,
}

/// On which side of the attachment a step happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The namespace the executable was started in.
    Host,
    /// The container's namespace.
    Container,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Container => "container",
        })
    }
}

/// A link by its name, in one of the two namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkRef {
    /// Which namespace.
    pub place: Place,
    /// As `ip link` shows it: 1 to 15 bytes.
    pub name: String,
}

impl LinkRef {
    /// A link of the host's namespace.
    pub fn host(name: impl Into<String>) -> Self {
        Self { place: Place::Host, name: name.into() }
    }

    /// A link of the container's namespace.
    pub fn container(name: impl Into<String>) -> Self {
        Self { place: Place::Container, name: name.into() }
    }
}

impl fmt::Display for LinkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Host => f.write_str(&self.name),
            Place::Container => write!(f, "container:{}", self.name),
        }
    }
}

/// A link-layer address of six octets, as text `02:00:0a:01:00:05`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.map(|octet| format!("{octet:02x}")).join(":"))
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

/// The text was no address of six octets in hexadecimal, separated by `:` or `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadMac(pub String);

impl fmt::Display for BadMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a MAC address such as 02:00:0a:01:00:05", self.0)
    }
}

impl std::error::Error for BadMac {}

impl std::str::FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Self, BadMac> {
        let bad = || BadMac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let two_digits = |p: &&str| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit());
            let part = parts.next().filter(two_digits).ok_or_else(bad)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Self(octets))
    }
}

impl TryFrom<String> for Mac {
    type Error = BadMac;

    fn try_from(text: String) -> Result<Self, BadMac> {
        text.parse()
    }
}

/// What is to be so in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Action {
    /// A link is there, with these settings.
    Link(Link),
    /// A link is up.
    Up {
        /// Which link.
        link: LinkRef,
    },
    /// A link has an address.
    Address(Address),
    /// A route is there.
    Route(Route),
    /// A kernel parameter has a value.
    Sysctl(Sysctl),
    /// What leaves the host from an address carries the host's own.
    Masquerade(Masquerade),
    /// What is forwarded from and to addresses passes.
    Forward(Forward),
    /// Ports of the host lead to the container.
    PortMap(PortMap),
    /// Who of this host may not reach the container.
    Isolation(Isolation),
    /// What comes from the container carries its own addresses.
    Guard(Guard),
    /// Who may reach the container, and whom it may reach.
    Rules(Rules),
    /// What leaves by a link is held to a rate.
    Shape(Shape),
    /// What comes in by a link leaves by another one.
    Redirect(Redirect),
    /// A link that is there has these settings.
    Settings(Settings),
    /// What comes from an address is routed by a table.
    Rule(Rule),
    /// A route is not there.
    NoRoute(Route),
    /// A link belongs to a VRF.
    Member(Member),
    /// Nobody else on a segment has some addresses.
    Probe(Probe),
    /// The segment hears who has some addresses.
    Announce(Announce),
    /// What nodes say to each other by a port is encrypted.
    Encryption(Encryption),
    /// A file tells which device the attachment has.
    DeviceFile(DeviceFile),
}

impl Action {
    /// Where it happens.
    pub fn place(&self) -> Place {
        match self {
            Self::Link(link) => link.link.place,
            Self::Up { link } => link.place,
            Self::Address(address) => address.link.place,
            Self::Route(route) | Self::NoRoute(route) => route.link.place,
            Self::Sysctl(sysctl) => sysctl.place,
            Self::Masquerade(_)
            | Self::Forward(_)
            | Self::PortMap(_)
            | Self::Isolation(_)
            | Self::Guard(_)
            | Self::Rules(_)
            | Self::Encryption(_)
            | Self::DeviceFile(_) => Place::Host,
            Self::Shape(shape) => shape.link.place,
            Self::Redirect(redirect) => redirect.link.place,
            Self::Settings(settings) => settings.link.place,
            Self::Rule(rule) => rule.place,
            Self::Member(member) => member.link.place,
            Self::Probe(probe) => probe.link.place,
            Self::Announce(announce) => announce.link.place,
        }
    }
}

impl Action {
    /// The key of the attachment that a step of the packet filter is for; none for other steps.
    pub fn comment(&self) -> Option<&str> {
        match self {
            Self::Masquerade(it) => Some(&it.comment),
            Self::Forward(it) => Some(&it.comment),
            Self::PortMap(it) => Some(&it.comment),
            Self::Isolation(it) => Some(&it.comment),
            Self::Guard(it) => Some(&it.comment),
            Self::Rules(it) => Some(&it.comment),
            _ => None,
        }
    }
}

/// A link is there, with these settings. A setting that is `None` is the kernel's default on
/// creation, and not looked at where the link is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name and place.
    pub link: LinkRef,
    /// What it is.
    #[serde(flatten)]
    pub kind: LinkKind,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Set in the request that makes it: udev rewrites one that the kernel chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The link's alias, by which its owner is known when all else is lost. Of a veth it stands
    /// on the end that [`Link::link`] names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The bridge it is a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Promiscuous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promisc: Option<bool>,
    /// Up as soon as it is made.
    #[serde(default)]
    pub up: bool,
}

/// The kinds of link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LinkKind {
    /// A bridge. Its MAC address is pinned, so that it does not follow that of its lowest port.
    Bridge,
    /// A bridge that heeds the VLANs of its ports, which another may not.
    VlanBridge,
    /// A pair of links: this one, and its peer, made in the peer's own namespace.
    Veth {
        /// The other end; its MTU is this end's.
        peer: Peer,
    },
    /// What is redirected to it comes out of it at a rate.
    Ifb,
    /// A routing table for links that belong to it. Not undone while any does.
    Vrf {
        /// The table's number.
        table: u32,
    },
    /// A station of its own on the segment of another link.
    Macvlan(Macvlan),
    /// A link that shares the MAC address of another.
    Ipvlan(Ipvlan),
    /// The frames of another link that have a tag.
    Vlan(Vlan),
    /// A segment across nodes, carried in UDP.
    Vxlan(Vxlan),
    /// A link that leads nowhere.
    Dummy,
    /// A link whose other end is a program.
    Tap(Tap),
    /// A link of the host, lent.
    Device(Device),
    /// A link that the kernel made, such as `lo`: looked at and set, never made or removed.
    Existing,
}

/// The other end of a veth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name and place.
    pub link: LinkRef,
    /// Set in the request that makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
}

/// How a link is a port of a bridge, as `bridge -d link` names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "they are the kernel's own flags")]
pub struct Port {
    /// The bridge, in the same namespace.
    pub bridge: String,
    /// Frames may leave by the port they came in by.
    #[serde(default)]
    pub hairpin: bool,
    /// It reaches no other isolated port.
    #[serde(default)]
    pub isolated: bool,
    /// Who is behind it is told to the bridge, which does not learn it from frames.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nolearning: bool,
    /// The bridge answers for neighbours that it knows behind it, and does not ask there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub neigh_suppress: bool,
    /// Its VLANs; where there are none it has what the kernel gives it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlans: Vec<PortVlan>,
    /// The VLAN that the kernel gives every port stays beside those.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_default_vlan: bool,
}

/// A link has an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Which link.
    pub link: LinkRef,
    /// With its prefix length, host bits kept.
    pub address: IpNet,
    /// IPv6: usable at once, without duplicate address detection. Set where nobody but us can
    /// be at the other end.
    #[serde(default)]
    pub nodad: bool,
    /// Whether the kernel makes the route to the address's own network.
    #[serde(default = "yes")]
    pub prefix_route: bool,
    /// What to do where the link has another address of the family (IPv4), or one that overlaps
    /// (IPv6).
    #[serde(default)]
    pub others: Others,
}

fn yes() -> bool {
    true
}

/// What to do with addresses of a link that are not the wanted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Others {
    /// They may stay.
    #[default]
    Keep,
    /// They are an error.
    Refuse,
    /// They are removed.
    Replace,
}

/// A route is there. Another route to the same destination with the same metric is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The link it leaves by.
    pub link: LinkRef,
    /// A network, host bits zero.
    pub destination: IpNet,
    /// The next hop; without one the destination is on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// The source address that the host prefers on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// As `ip route` numbers it: 0 global, 253 link, 254 host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<u8>,
    /// The routing table; main (254) by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// The metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advmss: Option<u32>,
}

impl Route {
    /// A destination on the link, and all else the kernel's default.
    pub fn new(link: LinkRef, destination: IpNet) -> Self {
        Self {
            link,
            destination,
            gateway: None,
            source: None,
            scope: None,
            table: None,
            priority: None,
            mtu: None,
            advmss: None,
        }
    }
}

/// A kernel parameter has a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// In which namespace.
    pub place: Place,
    /// Below `/proc/sys`: `net/ipv4/ip_forward`.
    pub key: String,
    /// Written, and compared, without white space at the ends.
    pub value: String,
    /// A kernel that does not have it, or refuses it, is no failure.
    #[serde(default)]
    pub optional: bool,
}

/// What leaves the host from `address` for another network than its own carries the host's
/// address. Multicast is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Masquerade {
    /// The container's.
    pub address: IpAddr,
    /// The network it is of, host bits zero: what goes there keeps its source.
    pub network: IpNet,
    /// The attachment's key, kept with the rule.
    pub comment: String,
}

/// Nobody else on the segment of a link has these addresses, which are not put on yet: asked by
/// ARP and neighbour solicitation, by way of nobody's caches. It holds when it is carried out; there
/// is nothing to verify or undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Where it is asked.
    pub link: LinkRef,
    /// Who answers for one of these is named, and the step fails.
    pub addresses: Vec<IpAddr>,
    /// These have to answer, after nobody did for the addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<IpAddr>,
}

/// The segment of a link hears that it has these addresses, so that neighbours forget who had them
/// before. There is nothing to verify or undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announce {
    /// Whose they are.
    pub link: LinkRef,
    /// Which.
    pub addresses: Vec<IpAddr>,
}
