//! What `bridge` and `ptp` have in common: a veth whose other end is in the container, with
//! addresses, routes and masquerade.

use wharfinger_cni::AttachmentId;
use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Mac, Masquerade, Others, Peer, Place, Port, Route,
    Step, Sysctl,
};

use crate::lease::{Family, Lease};
use crate::{Facts, PlanError, names};

/// The smallest MTU of a link that carries IPv6 (RFC 8200, section 5).
const IPV6_MTU: u32 = 1280;

/// A veth between host and container.
pub(crate) struct Wire<'a> {
    pub(crate) id: &'a AttachmentId,
    domain: &'a str,
    pub(crate) host: LinkRef,
    pub(crate) inside: LinkRef,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(id: &'a AttachmentId, domain: &'a str) -> Self {
        let host = LinkRef::host(names::host_link_name(id));
        Self { id, domain, host, inside: LinkRef::container(&id.ifname) }
    }

    /// The two ends. One MTU for both; the host's end is up at once, and has the alias.
    pub(crate) fn veth(&self, ends: Ends, lease: &Lease) -> Step {
        let mac = ends.mac.unwrap_or_else(|| names::container_mac(self.id));
        let peer = Peer { link: self.inside.clone(), mac: Some(mac) };
        Step::owned(Action::Link(Link {
            link: self.host.clone(),
            kind: LinkKind::Veth { peer },
            mtu: ends.mtu,
            mac: Some(names::host_mac(self.id)),
            alias: Some(names::alias(self.id, self.domain, &lease.addresses())),
            port: ends.port,
            promisc: None,
            up: true,
        }))
    }

    /// The host's routes of the link are ours alone: no router advertisement adds to them.
    pub(crate) fn host_sysctl(&self) -> Step {
        Step::owned(ignore_advertisements(&self.host))
    }

    /// Settings of the container's end, before it has an address. With `dad`, duplicate address
    /// detection stays on; else an address is usable at once, as nobody but us has the other end.
    /// Both `notify` announce the addresses when the link comes up, so that neighbours forget
    /// who had them before.
    pub(crate) fn container_sysctls(&self, lease: &Lease, dad: bool) -> Vec<Step> {
        let name = &self.inside.name;
        let on_link = |family: &str, key: &str| format!("net/{family}/conf/{name}/{key}");
        let mut settings = Vec::new();
        if lease.has(Family::V6) {
            // A container may start with IPv6 off; the kernel then refuses any address.
            settings.push(("net/ipv6/conf/lo/disable_ipv6".to_owned(), "0"));
            settings.push((on_link("ipv6", "disable_ipv6"), "0"));
            settings.push((on_link("ipv6", "keep_addr_on_down"), "1"));
        }
        if dad {
            settings.push((on_link("ipv6", "enhanced_dad"), "1"));
        }
        settings.push((on_link("ipv6", "accept_dad"), if dad { "1" } else { "0" }));
        settings.push((on_link("ipv4", "arp_notify"), "1"));
        settings.push((on_link("ipv6", "ndisc_notify"), "1"));
        let step = |(key, value)| Step::owned(sysctl(Place::Container, key, value, true));
        settings.into_iter().map(step).collect()
    }

    /// The container's addresses.
    pub(crate) fn addresses(&self, lease: &Lease, dad: bool, prefix_route: bool) -> Vec<Step> {
        let address = |ip: &wharfinger_cni::Ip| {
            Step::owned(Action::Address(Address {
                link: self.inside.clone(),
                address: ip.address,
                nodad: !dad && Family::of(ip.address.addr()) == Family::V6,
                prefix_route,
                others: Others::Keep,
            }))
        };
        lease.ips.iter().map(address).collect()
    }

    /// The container's end up.
    pub(crate) fn up(&self) -> Step {
        Step::owned(Action::Up { link: self.inside.clone() })
    }

    /// The lease's routes, each once.
    pub(crate) fn routes(&self, lease: &Lease) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for route in &lease.routes {
            let step = Step::owned(Action::Route(self.route(route, lease)));
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        steps
    }

    /// To the kernel, table 0 is the main one, and for the other numbers 0 is as good as none.
    /// IPv6 routes have no scope.
    fn route(&self, route: &wharfinger_cni::Route, lease: &Lease) -> Route {
        let set = |number: Option<u32>| number.filter(|number| *number != 0);
        Route {
            link: self.inside.clone(),
            destination: route.dst.trunc(),
            gateway: lease.next_hop(route),
            source: None,
            scope: route.scope.filter(|_| Family::of(route.dst.addr()) == Family::V4),
            table: set(route.table),
            priority: set(route.priority),
            mtu: set(route.mtu),
            advmss: set(route.advmss),
        }
    }

    /// What leaves the host from the container's addresses carries the host's.
    pub(crate) fn masquerades(&self, lease: &Lease) -> Vec<Step> {
        lease.addresses().into_iter().map(|address| masquerade(self.id, address)).collect()
    }
}

/// What one driver wants of a veth and the other not.
pub(crate) struct Ends {
    /// Of both.
    pub(crate) mtu: Option<u32>,
    /// The container's, where one is asked for.
    pub(crate) mac: Option<Mac>,
    /// The host's end is a port.
    pub(crate) port: Option<Port>,
}

/// The masquerade of one address.
pub(crate) fn masquerade(id: &AttachmentId, address: ipnet::IpNet) -> Step {
    Step::owned(Action::Masquerade(Masquerade {
        address: address.addr(),
        network: address.trunc(),
        comment: names::key(id),
    }))
}

/// The host forwards for the lease's families. Never put back: others rely on it.
pub(crate) fn forwarding(lease: &Lease) -> Vec<Step> {
    let keys = [(Family::V4, "net/ipv4/ip_forward"), (Family::V6, "net/ipv6/conf/all/forwarding")];
    let wanted = keys.into_iter().filter(|(family, _)| lease.has(*family));
    wanted.map(|(_, key)| Step::shared(sysctl(Place::Host, key.to_owned(), "1", false))).collect()
}

/// No router advertisement changes this link of the host.
pub(crate) fn ignore_advertisements(link: &LinkRef) -> Action {
    sysctl(Place::Host, format!("net/ipv6/conf/{}/accept_ra", link.name), "0", true)
}

/// A port of a bridge has no use for addresses of its own, and tells nobody of any.
pub(crate) fn no_ipv6(link: &LinkRef) -> Action {
    sysctl(Place::Host, format!("net/ipv6/conf/{}/disable_ipv6", link.name), "1", true)
}

fn sysctl(place: Place, key: String, value: &str, optional: bool) -> Action {
    Action::Sysctl(Sysctl { place, key, value: value.to_owned(), optional })
}

/// An ADD fails where the container has the interface already (spec section 2).
pub(crate) fn absent(id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
    match facts.get(&LinkRef::container(&id.ifname)) {
        Some(_) => Err(PlanError::Exists(id.ifname.clone())),
        None => Ok(()),
    }
}

/// Below 1280 the kernel turns IPv6 off on the link, and refuses the address with `EINVAL`.
pub(crate) fn carries(mtu: Option<u32>, lease: &Lease) -> Result<(), PlanError> {
    let Some(mtu) = mtu.filter(|mtu| *mtu < IPV6_MTU) else { return Ok(()) };
    let of_v6 = |address: &ipnet::IpNet| Family::of(address.addr()) == Family::V6;
    match lease.addresses().into_iter().find(of_v6) {
        Some(address) => Err(PlanError::MtuBelowIpv6 { address, mtu }),
        None => Ok(()),
    }
}
