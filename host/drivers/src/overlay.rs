//! `overlay`: a bridge with a port that leads to the same network on other nodes, a VXLAN.
//!
//! Bridge and VXLAN are of the network: they are made by the node's first attachment and stay.
//! Who is where on other nodes is not in a plan: `wharfinger serve --agent` tells the kernel, or,
//! with `group`, nodes learn it from frames. So that what others were told stays true, the
//! container's link-layer address follows from its first address, and the gateway, which is on
//! every node's bridge, has the same link-layer address everywhere.

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_plan::{
    Action, Encryption, Group, Link, LinkFacts, LinkKind, LinkRef, Port, Query, Step, Vxlan,
};

use crate::bridge::Bridge;
use crate::draft::Draft;
use crate::lease::Lease;
use crate::{Error, Facts, PlanError, names, read, wire};

/// Those of `bridge` that are sensible for a segment across nodes, and our own.
pub(crate) const KEYS: &[&str] = &[
    "vni",
    "underlay",
    "port",
    "group",
    "mtu",
    "encrypt",
    "isGateway",
    "isDefaultGateway",
    "ipMasq",
    "ipMasqBackend",
    "hairpinMode",
    "macspoofchk",
    "antiSpoofing",
];

/// As IANA has it.
const PORT: u16 = 4789;
/// Of an encrypted segment: what is demanded of one port holds for all segments on it.
const ENCRYPTED_PORT: u16 = 4790;
const LARGEST_VNI: u32 = 0x00ff_ffff;
/// Ethernet, VXLAN and UDP, each inside the next, without the header of the underlay's IP.
const OVERHEAD: u32 = 14 + 8 + 8;
/// ESP in transport mode with AES-GCM: number and sequence, initialization vector, padding at its
/// most, its trailer, and the check.
const ESP: u32 = 8 + 8 + 3 + 2 + 16;
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;

/// The configuration of `overlay`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// All but what follows from the segment.
    bridge: Bridge,
    network: String,
    vni: Option<u32>,
    underlay: Underlay,
    port: u16,
    group: Option<IpAddr>,
    encrypt: bool,
    mtu: Option<u32>,
}

/// Which address of the node the others reach it by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Underlay {
    /// Of the link that the default route leaves by.
    DefaultRoute,
    /// Of this link of the host.
    Link(String),
    /// The one in this network.
    Within(IpNet),
}

/// The segment of one network on this node.
struct Segment<'a> {
    vni: u32,
    local: IpAddr,
    dev: &'a LinkFacts,
    mtu: u32,
}

impl Overlay {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        read::require_ipam(fields, "overlay")?;
        let encrypt = fields.bool("encrypt")?.unwrap_or(false);
        if encrypt && group(fields)?.is_some() {
            let allowed = "false, or no group: keys go to the nodes that the agents know of";
            return Err(fields.error("encrypt", allowed).into());
        }
        let overlay = Self {
            bridge: Bridge::of_overlay(fields, read::mac(call)?)?,
            network: call.conf.name.clone(),
            vni: vni(fields)?,
            underlay: Underlay::parse(fields)?,
            port: port(fields, encrypt)?,
            group: group(fields)?,
            encrypt,
            mtu: read::mtu(fields)?,
        };
        Ok(overlay)
    }

    /// Whether somebody else is to choose the segment's number.
    pub(crate) fn wants_vni(&self) -> bool {
        self.vni.is_none()
    }

    pub(crate) fn set_vni(&mut self, vni: u32) {
        self.vni = Some(vni);
    }

    /// Where hosts are no gateways the network is a world of its own, on all nodes.
    pub(crate) fn domain(&self) -> String {
        if self.bridge.is_gateway() {
            "host".to_owned()
        } else {
            format!("overlay:{}", self.network)
        }
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        let of_segment = self.vni.map(|vni| [bridge_link(vni), vxlan_link(vni)]);
        let underlay = match &self.underlay {
            Underlay::Link(name) => Some(LinkRef::host(name)),
            Underlay::DefaultRoute | Underlay::Within(_) => None,
        };
        let own = LinkRef::container(&id.ifname);
        of_segment.into_iter().flatten().chain(underlay).chain([own]).collect()
    }

    pub(crate) fn asks(&self) -> Option<Query> {
        match &self.underlay {
            Underlay::DefaultRoute => Some(Query::DefaultRoute(wharfinger_plan::Place::Host)),
            Underlay::Within(network) => Some(Query::Within(*network)),
            Underlay::Link(_) => None,
        }
    }

    pub(crate) fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        wire::absent(id, facts)?;
        let segment = self.segment(facts)?;
        let links = [(bridge_link(segment.vni), "bridge"), (vxlan_link(segment.vni), "vxlan")];
        for (link, kind) in links {
            let Some(found) = facts.get(&link) else { continue };
            let differs = |what, found: String, wanted: String| PlanError::SegmentDiffers {
                link: link.name.clone(),
                what,
                found,
                wanted,
            };
            if found.kind != kind {
                return Err(differs("kind", found.kind.clone(), kind.to_owned()));
            }
            if found.mtu != segment.mtu {
                return Err(differs("mtu", found.mtu.to_string(), segment.mtu.to_string()));
            }
        }
        Ok(())
    }

    pub(crate) fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        answer: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        let segment = self.segment(facts)?;
        let first = Lease::new(answer)?.addresses().first().map(IpNet::addr);
        let mac = first.map(names::address_mac);
        let bridge = self.bridge.on_segment(bridge_link(segment.vni), segment.mtu, mac);
        let mut draft = bridge.plan(id, domain, answer, facts)?;
        let steps = &mut draft.plan.steps;
        for step in steps.iter_mut() {
            if let Action::Link(link) = &mut step.action
                && link.link == bridge_link(segment.vni)
            {
                link.mac = Some(names::segment_mac(segment.vni));
            }
        }
        // Behind the bridge.
        let vxlan = self.vxlan(&segment);
        let silent = Step::shared(wire::no_ipv6(&vxlan.link));
        steps.splice(1..1, [Step::shared(Action::Link(vxlan)), silent]);
        if self.encrypt {
            // Before there is anything that could send.
            let encryption = Encryption { local: segment.local, port: self.port };
            steps.insert(0, Step::shared(Action::Encryption(encryption)));
        }
        Ok(draft)
    }

    fn vxlan(&self, segment: &Segment<'_>) -> Link {
        let dev = segment.dev.link.clone();
        let learns = self.group.is_some();
        Link {
            link: vxlan_link(segment.vni),
            kind: LinkKind::Vxlan(Vxlan {
                vni: segment.vni,
                local: segment.local,
                port: self.port,
                group: self.group.map(|address| Group { address, dev }),
            }),
            mtu: Some(segment.mtu),
            mac: None,
            alias: None,
            port: Some(Port {
                bridge: bridge_link(segment.vni).name,
                nolearning: !learns,
                neigh_suppress: !learns,
                ..Port::default()
            }),
            promisc: None,
            up: true,
        }
    }

    fn segment<'a>(&self, facts: &'a Facts) -> Result<Segment<'a>, PlanError> {
        let vni = self.vni.ok_or(PlanError::NoVni)?;
        let dev = self.underlay.link(facts)?;
        let local = self.local(dev)?;
        let header = if local.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
        let esp = if self.encrypt { ESP } else { 0 };
        let most = dev.mtu.saturating_sub(OVERHEAD + header + esp);
        let mtu = self.mtu.unwrap_or(most);
        if mtu > most {
            let master = dev.link.clone();
            return Err(PlanError::MtuAboveUnderlay { wanted: mtu, master, found: dev.mtu, most });
        }
        Ok(Segment { vni, local, dev, mtu })
    }

    /// Of the addresses that others can reach the first of IPv4, else of IPv6; where there is a
    /// group, of its family.
    fn local(&self, dev: &LinkFacts) -> Result<IpAddr, PlanError> {
        let fits = |address: &IpAddr| match (&self.underlay, self.group) {
            (Underlay::Within(network), _) if !network.contains(address) => false,
            (_, Some(group)) => group.is_ipv4() == address.is_ipv4(),
            _ => true,
        };
        let all = || dev.addresses.iter().map(IpNet::addr).filter(is_reachable).filter(fits);
        let first = all().find(IpAddr::is_ipv4).or_else(|| all().next());
        first.ok_or_else(|| PlanError::NoUnderlay {
            what: format!("link {} has no address that fits", dev.link),
        })
    }
}

impl Underlay {
    /// `underlay`.
    fn parse(fields: &Fields<'_>) -> Result<Self, ConfError> {
        let Some(text) = fields.str("underlay")?.filter(|text| !text.is_empty()) else {
            return Ok(Self::DefaultRoute);
        };
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Within(network.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Within(address.into()));
        }
        if read::is_link_name(text) {
            return Ok(Self::Link(text.to_owned()));
        }
        Err(fields.error("underlay", "a link's name, an address of this node, or a network"))
    }

    /// The link that has the address.
    fn link<'a>(&self, facts: &'a Facts) -> Result<&'a LinkFacts, PlanError> {
        let (found, what) = match self {
            Self::DefaultRoute => (
                facts.link(&Query::DefaultRoute(wharfinger_plan::Place::Host)),
                "the host has no default route, and the configuration names no underlay".to_owned(),
            ),
            Self::Link(name) => {
                (facts.get(&LinkRef::host(name)), format!("the host has no link {name}"))
            }
            Self::Within(network) => (
                facts.link(&Query::Within(*network)),
                format!("no link of the host has an address in {network}"),
            ),
        };
        found.ok_or(PlanError::NoUnderlay { what })
    }
}

/// The bridge of a segment.
fn bridge_link(vni: u32) -> LinkRef {
    LinkRef::host(format!("wh-br{vni}"))
}

/// The way of a segment to other nodes.
fn vxlan_link(vni: u32) -> LinkRef {
    LinkRef::host(format!("wh-vx{vni}"))
}

fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    }
}

fn vni(fields: &Fields<'_>) -> Result<Option<u32>, ConfError> {
    match fields.u32("vni") {
        Ok(None) => Ok(None),
        Ok(Some(vni @ 1..=LARGEST_VNI)) => Ok(Some(vni)),
        _ => Err(fields.error("vni", "a number from 1 to 16777215, the same on all nodes")),
    }
}

fn port(fields: &Fields<'_>, encrypt: bool) -> Result<u16, ConfError> {
    let bad = || fields.error("port", "a UDP port from 1 to 65535, the same on all nodes");
    match fields.u32("port").map_err(|_| bad())? {
        None => Ok(if encrypt { ENCRYPTED_PORT } else { PORT }),
        Some(port) => u16::try_from(port).ok().filter(|port| *port != 0).ok_or_else(bad),
    }
}

fn group(fields: &Fields<'_>) -> Result<Option<IpAddr>, ConfError> {
    let bad = || fields.error("group", "a multicast address of the underlay, such as 239.1.1.1");
    match fields.str("group")?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            let group: IpAddr = text.parse().map_err(|_| bad())?;
            if group.is_multicast() { Ok(Some(group)) } else { Err(bad()) }
        }
    }
}
