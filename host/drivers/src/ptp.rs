//! `ptp`: the container has a link of its own to the host, which routes all its traffic, that to
//! the container's own network included.

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::{Attach, AttachmentId, Dns, Ip, Success};
use wharfinger_plan::{Action, Address, LinkRef, Others, Plan, Route, Step};

use crate::draft::Draft;
use crate::features::guard;
use crate::lease::{Family, Lease};
use crate::read::Mtu;
use crate::wire::{self, Ends, Wire};
use crate::{Error, Facts, PlanError, read};

pub(crate) const KEYS: &[&str] = &["ipMasq", "ipMasqBackend", "mtu", "mtuFrom", "antiSpoofing"];

/// The numbers of `ip route` for scopes.
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;

/// The configuration of `ptp`; the keys are the reference plugin's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ptp {
    ip_masq: bool,
    guard_addresses: bool,
    mtu: Mtu,
    dns: Option<Dns>,
}

impl Ptp {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        read::require_ipam(fields, "ptp")?;
        Ok(Self {
            ip_masq: read::masquerade(fields)?,
            guard_addresses: read::switch(fields, "antiSpoofing")?,
            mtu: Mtu::parse(fields)?,
            dns: read::dns(fields)?,
        })
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        let own = LinkRef::container(&id.ifname);
        std::iter::once(own).chain(self.mtu.observes()).collect()
    }

    pub(crate) fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        wire::absent(id, facts)?;
        self.mtu.of(facts).map(drop)
    }

    pub(crate) fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        answer: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        let lease = Lease::new(answer)?.with_dns(self.dns.as_ref());
        let mtu = self.mtu.of(facts)?;
        wire::carries(mtu, &lease)?;
        let pairs = lease.ips.iter().map(Pair::new).collect::<Result<Vec<_>, _>>()?;
        let wire = Wire::new(id, domain);
        let mut steps = wire::forwarding(&lease);
        steps.push(wire.veth(Ends { mtu, mac: None, port: None }, &lease));
        steps.push(wire.host_sysctl());
        steps.extend(wire.container_sysctls(&lease, false));
        steps.extend(wire.addresses(&lease, false, false));
        steps.push(wire.up());
        push_new(&mut steps, pairs.iter().flat_map(|pair| pair.container(&wire.inside)));
        push_new(&mut steps, wire.routes(&lease));
        push_new(&mut steps, pairs.iter().flat_map(|pair| pair.host(&wire.host)));
        if self.ip_masq {
            steps.extend(wire.masquerades(&lease));
        }
        if self.guard_addresses {
            steps.push(guard(id, &wire.host, false, None, Some(&lease.addresses())));
        }
        Ok(Draft::new(Plan::new(steps), vec![wire.host, wire.inside], lease))
    }
}

/// An address and its gateway, which the host's end has.
struct Pair {
    address: IpNet,
    gateway: IpAddr,
}

impl Pair {
    fn new(ip: &Ip) -> Result<Self, PlanError> {
        let address = ip.address;
        let why = "ptp sends everything through it";
        let gateway = ip.gateway.ok_or(PlanError::NoGateway { address, why })?;
        Ok(Self { address, gateway })
    }

    /// The way to the gateway, and by it to the rest of the network.
    fn container(&self, link: &LinkRef) -> Vec<Step> {
        let source = Some(self.address.addr());
        let to_gateway = Route {
            source,
            scope: self.scope(SCOPE_LINK),
            ..Route::new(link.clone(), IpNet::from(self.gateway))
        };
        let network = self.address.trunc();
        let to_network =
            Route { source, gateway: Some(self.gateway), ..Route::new(link.clone(), network) };
        let alone = network.prefix_len() == network.max_prefix_len();
        let routes = [Some(to_gateway), Some(to_network).filter(|_| !alone)];
        routes.into_iter().flatten().map(|route| Step::owned(Action::Route(route))).collect()
    }

    /// The gateway's address on the host's end, and the way to the container.
    fn host(&self, link: &LinkRef) -> Vec<Step> {
        let address = Address {
            link: link.clone(),
            address: IpNet::from(self.gateway),
            nodad: self.gateway.is_ipv6(),
            prefix_route: true,
            others: Others::Keep,
        };
        let destination = IpNet::from(self.address.addr());
        let back = Route { scope: self.scope(SCOPE_HOST), ..Route::new(link.clone(), destination) };
        vec![Step::owned(Action::Address(address)), Step::owned(Action::Route(back))]
    }

    /// IPv6 routes have no scope.
    fn scope(&self, scope: u8) -> Option<u8> {
        (Family::of(self.gateway) == Family::V4).then_some(scope)
    }
}

/// Adds steps, but none to a destination that has one in the same table already: two addresses
/// may have one gateway or one network.
fn push_new(steps: &mut Vec<Step>, new: impl IntoIterator<Item = Step>) {
    for step in new {
        if !steps.iter().any(|old| same_object(&old.action, &step.action)) {
            steps.push(step);
        }
    }
}

fn same_object(left: &Action, right: &Action) -> bool {
    match (left, right) {
        (Action::Route(left), Action::Route(right)) => {
            let place = |route: &Route| {
                (route.link.clone(), route.destination, route.table, route.priority)
            };
            place(left) == place(right)
        }
        (left, right) => left == right,
    }
}
