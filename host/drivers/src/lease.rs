//! What IPAM answered, checked as far as plans rely on it: somebody else wrote it.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::{Dns, Ip, Route, Success};

use crate::PlanError;

/// Scopes from here on (253 link, 254 host) tell that the destination is on the link itself.
const SCOPE_LINK: u8 = 253;

/// Addresses with their gateways, routes, name servers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lease {
    pub(crate) ips: Vec<Ip>,
    pub(crate) routes: Vec<Route>,
    pub(crate) dns: Dns,
}

impl Lease {
    /// Takes an abbreviated result over; one without addresses is refused (spec section 6).
    pub(crate) fn new(answer: &Success) -> Result<Self, PlanError> {
        if answer.ips.is_empty() {
            return Err(PlanError::NoAddress);
        }
        answer.ips.iter().try_for_each(check_ip)?;
        check_distinct(&answer.ips)?;
        answer.routes.iter().try_for_each(check_route)?;
        let Success { ips, routes, dns, .. } = answer.clone();
        Ok(Self { ips, routes, dns })
    }

    /// The configuration's own name servers win over IPAM's.
    pub(crate) fn with_dns(mut self, own: Option<&Dns>) -> Self {
        if let Some(own) = own {
            self.dns.clone_from(own);
        }
        self
    }

    pub(crate) fn addresses(&self) -> Vec<IpNet> {
        self.ips.iter().map(|ip| ip.address).collect()
    }

    pub(crate) fn has(&self, family: Family) -> bool {
        self.ips.iter().any(|ip| Family::of(ip.address.addr()) == family)
    }

    /// The next hop of a route: its own, or the first gateway of its family. A route of a scope
    /// that ends at the link has none.
    pub(crate) fn next_hop(&self, route: &Route) -> Option<IpAddr> {
        let on_link = route.scope.is_some_and(|scope| scope >= SCOPE_LINK);
        let family = Family::of(route.dst.addr());
        let gateway =
            || self.ips.iter().filter_map(|ip| ip.gateway).find(|ip| Family::of(*ip) == family);
        route.gw.or_else(|| if on_link { None } else { gateway() })
    }
}

/// The families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

fn check_ip(ip: &Ip) -> Result<(), PlanError> {
    let address = ip.address;
    let host = address.addr();
    if host.is_unspecified() || host.is_multicast() || host.is_loopback() {
        let what = format!("{address}, which is not an address of one container");
        return Err(PlanError::BadLease { what });
    }
    let Some(gateway) = ip.gateway else { return Ok(()) };
    if Family::of(gateway) != Family::of(address.addr()) {
        return Err(PlanError::BadLease { what: format!("gateway {gateway} for {address}") });
    }
    not_itself(address, gateway)
}

fn check_distinct(ips: &[Ip]) -> Result<(), PlanError> {
    let mut seen = HashSet::new();
    match ips.iter().find(|ip| !seen.insert(ip.address.addr())) {
        Some(twice) => Err(PlanError::BadLease { what: format!("{} twice", twice.address) }),
        None => Ok(()),
    }
}

/// A container cannot be its own gateway.
pub(crate) fn not_itself(address: IpNet, gateway: IpAddr) -> Result<(), PlanError> {
    if address.addr() != gateway {
        return Ok(());
    }
    Err(PlanError::BadLease { what: format!("{address}, whose gateway is that address itself") })
}

/// Spec section 2: all addresses in a route are of one family.
fn check_route(route: &Route) -> Result<(), PlanError> {
    let family = Family::of(route.dst.addr());
    match route.gw {
        Some(gw) if Family::of(gw) != family => {
            Err(PlanError::BadLease { what: format!("a route to {} via {gw}", route.dst) })
        }
        _ => Ok(()),
    }
}
