//! `bridge`: the container's link is a port of a bridge of the host, which may be its gateway.

use std::net::IpAddr;

use ipnet::{IpAdd, IpNet};
use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Dns, Ip, Route, Success};
use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Mac, Others, Peer, Plan, Port, Step,
};

use crate::draft::Draft;
use crate::features::guard;
use crate::lease::{Family, Lease, not_itself};
use crate::read::Mtu;
use crate::vlans::PortVlans;
use crate::wire::{self, Ends, Wire};
use crate::{Error, Facts, PlanError, names, read};

pub(crate) const KEYS: &[&str] = &[
    "bridge",
    "isGateway",
    "isDefaultGateway",
    "forceAddress",
    "ipMasq",
    "ipMasqBackend",
    "mtu",
    "mtuFrom",
    "hairpinMode",
    "promiscMode",
    "enabledad",
    "portIsolation",
    "disableContainerInterface",
    "vlan",
    "vlanTrunk",
    "preserveDefaultVlan",
    "macspoofchk",
    "antiSpoofing",
];

/// The configuration of `bridge`; the keys are the reference plugin's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct Bridge {
    name: String,
    is_gateway: bool,
    is_default_gateway: bool,
    force_address: bool,
    ip_masq: bool,
    mtu: Mtu,
    hairpin_mode: bool,
    promisc_mode: bool,
    enabledad: bool,
    port_isolation: bool,
    vlans: PortVlans,
    container_up: bool,
    mac: Option<Mac>,
    has_ipam: bool,
    guard_mac: bool,
    guard_addresses: bool,
    dns: Option<Dns>,
}

impl Bridge {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        let bridge = Self::read(fields, read::mac(call)?)?;
        bridge.check(fields)?;
        Ok(bridge)
    }

    fn read(fields: &Fields<'_>, mac: Option<Mac>) -> Result<Self, ConfError> {
        let is_default_gateway = read::switch(fields, "isDefaultGateway")?;
        Ok(Self {
            name: fields.str("bridge")?.unwrap_or("cni0").to_owned(),
            is_gateway: read::switch(fields, "isGateway")? || is_default_gateway,
            is_default_gateway,
            force_address: read::switch(fields, "forceAddress")?,
            ip_masq: read::masquerade(fields)?,
            mtu: Mtu::parse(fields)?,
            hairpin_mode: read::switch(fields, "hairpinMode")?,
            promisc_mode: read::switch(fields, "promiscMode")?,
            enabledad: read::switch(fields, "enabledad")?,
            port_isolation: read::switch(fields, "portIsolation")?,
            vlans: PortVlans::parse(fields)?,
            container_up: !read::switch(fields, "disableContainerInterface")?,
            mac,
            has_ipam: read::has_ipam(fields)?,
            guard_mac: read::switch(fields, "macspoofchk")?,
            guard_addresses: read::switch(fields, "antiSpoofing")?,
            dns: read::dns(fields)?,
        })
    }

    fn check(&self, fields: &Fields<'_>) -> Result<(), ConfError> {
        if !read::is_link_name(&self.name) {
            return Err(fields.error("bridge", read::LINK_NAME));
        }
        if self.hairpin_mode && self.promisc_mode {
            return Err(fields.error("hairpinMode", "false, or no promiscMode beside it"));
        }
        if self.has_gateway_link() && !read::is_link_name(&self.gateway_link().name) {
            let allowed = "a shorter name: the gateway of its vlan is named after both";
            return Err(fields.error("bridge", allowed));
        }
        if self.guard_addresses && !self.has_ipam() {
            let allowed = "false without ipam, as no address is known; macspoofchk guards the \
                           link-layer address alone";
            return Err(fields.error("antiSpoofing", allowed));
        }
        if self.has_ipam() && !self.container_up {
            let allowed = "false, or no ipam: a link that is down has no use for addresses";
            return Err(fields.error("disableContainerInterface", allowed));
        }
        Ok(())
    }

    /// As the bridge of a segment across nodes has it, which is named and sized by that. What would
    /// be true of one node's ports alone is off.
    pub(crate) fn of_overlay(fields: &Fields<'_>, mac: Option<Mac>) -> Result<Self, ConfError> {
        Ok(Self {
            vlans: PortVlans::default(),
            mtu: Mtu::Default,
            force_address: false,
            promisc_mode: false,
            enabledad: false,
            port_isolation: false,
            container_up: true,
            ..Self::read(fields, mac)?
        })
    }

    /// With the name and size of its segment, and the container's link-layer address, where nobody
    /// asks for another.
    pub(crate) fn on_segment(&self, link: LinkRef, mtu: u32, mac: Option<Mac>) -> Self {
        let mac = self.mac.or(mac);
        Self { name: link.name, mtu: Mtu::Bytes(mtu), mac, ..self.clone() }
    }

    pub(crate) fn is_gateway(&self) -> bool {
        self.is_gateway
    }

    pub(crate) fn has_ipam(&self) -> bool {
        self.has_ipam
    }

    pub(crate) fn link(&self) -> LinkRef {
        LinkRef::host(&self.name)
    }

    /// Whether the host is a gateway in a VLAN, for which it has a port of its own.
    fn has_gateway_link(&self) -> bool {
        self.is_gateway && self.vlans.access != 0
    }

    /// The host's link that has the gateway's addresses.
    fn gateway_link(&self) -> LinkRef {
        if self.has_gateway_link() {
            LinkRef::host(format!("{}.{}", self.name, self.vlans.access))
        } else {
            self.link()
        }
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        let both = [self.link(), LinkRef::container(&id.ifname)];
        both.into_iter().chain(self.mtu.observes()).collect()
    }

    pub(crate) fn domain(&self) -> String {
        if self.is_gateway { "host".to_owned() } else { format!("bridge:{}", self.name) }
    }

    pub(crate) fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        wire::absent(id, facts)?;
        self.mtu.of(facts)?;
        let Some(found) = facts.get(&self.link()) else { return Ok(()) };
        let name = self.name.clone();
        if found.kind != "bridge" {
            let found = if found.kind.is_empty() { "a device" } else { &found.kind };
            return Err(PlanError::NotABridge { name, found: found.to_owned() });
        }
        match self.mtu.of(facts)? {
            Some(wanted) if wanted != found.mtu => {
                Err(PlanError::BridgeMtu { name, found: found.mtu, wanted })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        answer: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        let lease = self.lease(answer)?;
        // One MTU for the bridge and all its ports: a frame that is too long for one of them is
        // dropped without a word.
        let wanted = self.mtu.of(facts)?;
        let mtu = wanted.or_else(|| facts.get(&self.link()).map(|bridge| bridge.mtu));
        wire::carries(mtu, &lease)?;
        let wire = Wire::new(id, domain);
        let mut steps = self.shared_steps(&lease, wanted, mtu);
        steps.push(wire.veth(Ends { mtu, mac: self.mac, port: Some(self.port()) }, &lease));
        steps.push(wire.host_sysctl());
        steps.extend(self.container_steps(&wire, &lease));
        if self.ip_masq {
            steps.extend(wire.masquerades(&lease));
        }
        if self.guard_mac || self.guard_addresses {
            let mac = self.mac.unwrap_or_else(|| names::container_mac(id));
            let addresses = lease.addresses();
            let addresses = self.guard_addresses.then_some(addresses.as_slice());
            steps.push(guard(id, &wire.host, true, Some(mac), addresses));
        }
        let links = vec![self.link(), wire.host, wire.inside];
        let behind = if self.has_gateway_link() { vec![self.gateway_link()] } else { Vec::new() };
        Ok(Draft::new(Plan::new(steps), links, lease).with_behind(behind))
    }

    fn container_steps(&self, wire: &Wire<'_>, lease: &Lease) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.has_ipam() {
            steps.extend(wire.container_sysctls(lease, self.enabledad));
            steps.extend(wire.addresses(lease, self.enabledad, true));
        }
        if self.container_up {
            steps.push(wire.up());
        }
        steps.extend(wire.routes(lease));
        steps
    }

    /// The bridge, and the host as its gateway.
    fn shared_steps(&self, lease: &Lease, wanted: Option<u32>, mtu: Option<u32>) -> Vec<Step> {
        let mut steps = vec![
            Step::shared(Action::Link(self.bridge_link(wanted))),
            Step::shared(wire::ignore_advertisements(&self.link())),
        ];
        if self.is_gateway {
            steps.extend(wire::forwarding(lease));
            if self.has_gateway_link() {
                steps.push(Step::shared(Action::Link(self.gateway_veth(mtu))));
            }
            steps.extend(self.gateway_addresses(lease));
        }
        steps
    }

    /// A port of the VLAN whose other end is the host's, with the gateway's addresses.
    fn gateway_veth(&self, mtu: Option<u32>) -> Link {
        let end = self.gateway_link();
        let vlans = self.vlans.gateway_port();
        Link {
            link: LinkRef::host(names::port_name(&end.name)),
            kind: LinkKind::Veth { peer: Peer { link: end, mac: None } },
            mtu,
            mac: None,
            alias: None,
            port: Some(Port { bridge: self.name.clone(), vlans, ..Port::default() }),
            promisc: None,
            up: true,
        }
    }

    fn bridge_link(&self, mtu: Option<u32>) -> Link {
        let kind = if self.vlans.any() { LinkKind::VlanBridge } else { LinkKind::Bridge };
        Link {
            link: self.link(),
            kind,
            mtu,
            mac: None,
            alias: None,
            port: None,
            promisc: self.promisc_mode.then_some(true),
            up: true,
        }
    }

    fn port(&self) -> Port {
        Port {
            bridge: self.name.clone(),
            hairpin: self.hairpin_mode,
            isolated: self.port_isolation,
            vlans: self.vlans.port(),
            keep_default_vlan: self.vlans.any() && self.vlans.keep_default,
            ..Port::default()
        }
    }

    /// The gateway of each network, each once.
    fn gateway_addresses(&self, lease: &Lease) -> Vec<Step> {
        let mut gateways: Vec<IpNet> = Vec::new();
        for ip in &lease.ips {
            let prefix = ip.address.prefix_len();
            let gateway = ip.gateway.and_then(|gateway| IpNet::new(gateway, prefix).ok());
            gateways.extend(gateway.filter(|gateway| !gateways.contains(gateway)));
        }
        // IPv4 addresses of one lease must not refuse or replace each other.
        let several = gateways.iter().filter(|gateway| matches!(gateway, IpNet::V4(_))).count() > 1;
        gateways.iter().map(|gateway| self.gateway_address(*gateway, several)).collect()
    }

    fn gateway_address(&self, address: IpNet, several: bool) -> Step {
        let v4 = Family::of(address.addr()) == Family::V4;
        let others = match (v4 && several, self.force_address) {
            (true, _) => Others::Keep,
            (false, true) => Others::Replace,
            (false, false) => Others::Refuse,
        };
        let link = self.gateway_link();
        Step::shared(Action::Address(Address {
            link,
            address,
            nodad: !v4,
            prefix_route: true,
            others,
        }))
    }

    /// The lease with what the bridge adds to it: gateways, default routes, name servers.
    fn lease(&self, answer: &Success) -> Result<Lease, PlanError> {
        if !self.has_ipam() {
            return Ok(Lease::default().with_dns(self.dns.as_ref()));
        }
        let mut lease = Lease::new(answer)?.with_dns(self.dns.as_ref());
        if self.is_gateway {
            lease.ips.iter_mut().try_for_each(give_gateway)?;
        }
        if self.is_default_gateway {
            add_default_routes(&mut lease);
        }
        Ok(lease)
    }
}

/// The gateway that IPAM left out is the network's first address.
fn give_gateway(ip: &mut Ip) -> Result<(), PlanError> {
    if ip.gateway.is_some() {
        return Ok(());
    }
    let address = ip.address;
    let gateway = first_address(address)
        .ok_or(PlanError::NoGateway { address, why: "its network has room for none" })?;
    not_itself(address, gateway)?;
    ip.gateway = Some(gateway);
    Ok(())
}

/// The network's own address plus one, if that is in the network.
fn first_address(network: IpNet) -> Option<IpAddr> {
    let next = match network.network() {
        IpAddr::V4(address) => IpAddr::V4(address.saturating_add(1)),
        IpAddr::V6(address) => IpAddr::V6(address.saturating_add(1)),
    };
    (network.contains(&next) && next != network.network()).then_some(next)
}

/// A default route by the first gateway of each family that has none from IPAM.
fn add_default_routes(lease: &mut Lease) {
    for ip in lease.ips.clone() {
        let family = Family::of(ip.address.addr());
        let is_default =
            |route: &Route| route.dst.prefix_len() == 0 && Family::of(route.dst.addr()) == family;
        if !lease.routes.iter().any(is_default) {
            lease.routes.push(default_route(family, ip.gateway));
        }
    }
}

fn default_route(family: Family, gw: Option<IpAddr>) -> Route {
    let dst = match family {
        Family::V4 => IpNet::V4(ipnet::Ipv4Net::default()),
        Family::V6 => IpNet::V6(ipnet::Ipv6Net::default()),
    };
    Route { dst, gw, mtu: None, advmss: None, priority: None, table: None, scope: None }
}
