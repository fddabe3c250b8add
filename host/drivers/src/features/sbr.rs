//! `sbr`: what comes from an address of the interface is routed by a table of its own, so that
//! several interfaces of a container each answer by the way that they were asked.
//!
//! The interface's routes stand in those tables, and not in the main one. Those that our own driver
//! plans are put there at once ([`Sbr::revise`]); those that others made are moved. Start reading at
//! [`Sbr::plan`].

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, Ip, Success};
use wharfinger_plan::{Action, LinkRef, MAIN_TABLE, Place, Route, Rule, Step};

use super::{Subject, refuse_near_misses};
use crate::{Error, Facts, PlanError};

pub(crate) const KEYS: &[&str] = &["table", "gateways", "addSourceHints"];
const FIRST_TABLE: u32 = 100;
const SCOPE_LINK: u8 = 253;
/// The metric of a route that the kernel makes for an IPv6 address.
const KERNEL_METRIC: u32 = 256;

/// The configuration of `sbr`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sbr {
    /// The rules lead there, and no route is touched.
    table: Option<u32>,
    /// One of a family, in place of those of the addresses.
    gateways: Vec<IpAddr>,
    /// The networks of the addresses stay in the main table.
    source_hints: bool,
}

impl Sbr {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        let table = fields.u32("table")?;
        if table == Some(0) {
            return Err(fields.error("table", "the number of a table, from 1").into());
        }
        let source_hints = fields.bool("addSourceHints")?.unwrap_or(false);
        Ok(Some(Self { table, gateways: gateways(fields)?, source_hints }))
    }

    pub(crate) fn plan(
        &self,
        subject: &Subject<'_>,
        facts: &Facts,
    ) -> Result<Vec<Step>, PlanError> {
        let ips = own_ips(subject.result, subject.inside);
        if ips.is_empty() {
            let what = format!(
                "{} has no address: it stands behind what gives the interface one",
                subject.inside.name
            );
            return Err(PlanError::Unfit { feature: "sbr", what });
        }
        if let Some(table) = self.table {
            return Ok(ips.iter().map(|ip| rule(ip, table)).collect());
        }
        let routes = main_routes(subject, facts);
        let mut steps = Vec::new();
        let mut table = FIRST_TABLE;
        for ip in &ips {
            table = free_table(table, subject, facts);
            steps.extend(self.routes_of(ip, table, subject.inside, &routes));
            steps.push(rule(ip, table));
            table = table.saturating_add(1);
        }
        let leaving = routes.iter().filter(|route| !(self.source_hints && is_network(route, &ips)));
        steps.extend(leaving.map(|route| Step::owned(Action::NoRoute(route.clone()))));
        if self.source_hints {
            steps.extend(ips.iter().map(|ip| hint(ip, subject.inside)));
        }
        Ok(steps)
    }

    /// What our own driver was to put into the main table is not put there: another interface may
    /// have its default route there.
    pub(crate) fn revise(&self, inside: &LinkRef, steps: &mut Vec<Step>) {
        if self.table.is_some() {
            return;
        }
        let is_main = |route: &Route| route.link == *inside && in_main(route);
        steps.retain(|step| !matches!(&step.action, Action::Route(route) if is_main(route)));
        for step in steps {
            if let Action::Address(address) = &mut step.action
                && address.link == *inside
                && !self.source_hints
            {
                address.prefix_route = false;
            }
        }
    }

    /// The routes of one address: what is on the link before what lies behind it.
    fn routes_of(&self, ip: &Ip, table: u32, link: &LinkRef, routes: &[Route]) -> Vec<Step> {
        let v4 = ip.address.addr().is_ipv4();
        let static_gateway = self.gateways.iter().find(|gateway| gateway.is_ipv4() == v4);
        let gateway = static_gateway.copied().or(ip.gateway);
        let network = ip.address.trunc();
        let within = |address: &IpAddr| network.contains(address);
        let fits = |route: &&Route| {
            let any = route.source.is_none() && route.gateway.is_none();
            route.destination.addr().is_ipv4() == v4
                && (any || route.source.iter().chain(&route.gateway).any(within))
        };
        let mut own: Vec<Route> = routes.iter().filter(fits).cloned().collect();
        if let Some(gateway) = gateway {
            // In place of a copied one, which may have another gateway.
            own.retain(|route| route.destination.prefix_len() > 0);
            let everything = if v4 { "0.0.0.0/0" } else { "::/0" };
            let destination = everything.parse().unwrap_or(network);
            own.push(Route { gateway: Some(gateway), ..Route::new(link.clone(), destination) });
        }
        own.sort_by_key(|route| route.gateway.is_some());
        let into = |route| Step::owned(Action::Route(Route { table: Some(table), ..route }));
        own.into_iter().map(into).collect()
    }
}

fn gateways(fields: &Fields<'_>) -> Result<Vec<IpAddr>, ConfError> {
    let list = fields.list("gateways")?.unwrap_or_default();
    let mut all: Vec<IpAddr> = Vec::new();
    for field in list {
        let gateway = field.ip()?;
        if all.iter().any(|other| other.is_ipv4() == gateway.is_ipv4()) {
            return Err(field.error("one IPv4 address and one IPv6 address at most"));
        }
        all.push(gateway);
    }
    Ok(all)
}

/// The addresses of the interface; one of no interface in particular is taken for its.
fn own_ips(result: &Success, link: &LinkRef) -> Vec<Ip> {
    let own = |ip: &&Ip| {
        let interface = ip.interface.and_then(|index| result.interfaces.get(index));
        interface.is_none_or(|interface| interface.name == link.name)
    };
    result.ips.iter().filter(own).cloned().collect()
}

fn rule(ip: &Ip, table: u32) -> Step {
    let from = ip.address.addr();
    Step::owned(Action::Rule(Rule { place: Place::Container, from, table }))
}

/// The first from this one on that nobody uses.
fn free_table(from: u32, subject: &Subject<'_>, facts: &Facts) -> u32 {
    let planned = |table: u32| {
        subject.steps.iter().any(|step| match &step.action {
            Action::Route(route) => route.table == Some(table),
            Action::Rule(rule) => rule.table == table,
            _ => false,
        })
    };
    let is_main = |table: u32| (253..=255).contains(&table);
    (from..u32::MAX)
        .find(|table| !is_main(*table) && !planned(*table) && !facts.routing.uses(*table))
        .unwrap_or(from)
}

fn in_main(route: &Route) -> bool {
    route.table.is_none_or(|table| table == MAIN_TABLE)
}

/// The interface's routes in the main table, as they are or as our own driver plans them. Those to
/// link-local neighbours stay where they are: nobody is reached from afar by them.
fn main_routes(subject: &Subject<'_>, facts: &Facts) -> Vec<Route> {
    let observed = facts.routing.routes.iter().cloned();
    let planned = subject.steps.iter().filter_map(|step| match &step.action {
        Action::Route(route) => Some(route.clone()),
        Action::Address(address) if address.prefix_route => {
            Some(prefix_route(&address.link, address.address))
        }
        _ => None,
    });
    let ours = |route: &Route| {
        route.link == *subject.inside && in_main(route) && !is_link_local(route.destination)
    };
    observed.chain(planned).filter(ours).map(|route| Route { table: None, ..route }).collect()
}

fn is_link_local(network: IpNet) -> bool {
    matches!(network, IpNet::V6(network) if network.addr().is_unicast_link_local())
}

/// The route that the kernel makes for an address.
fn prefix_route(link: &LinkRef, address: IpNet) -> Route {
    let bare = Route::new(link.clone(), address.trunc());
    match address {
        IpNet::V4(v4) => Route { source: Some(v4.addr().into()), scope: Some(SCOPE_LINK), ..bare },
        IpNet::V6(_) => Route { priority: Some(KERNEL_METRIC), ..bare },
    }
}

/// Whether it leads to the network of one of the addresses, and IPv4: there it has its source
/// already.
fn is_network(route: &Route, ips: &[Ip]) -> bool {
    let is = |ip: &Ip| ip.address.trunc() == route.destination && route.source.is_some();
    route.gateway.is_none() && ips.iter().any(is)
}

/// The network of an address, and that the address is to be the source.
fn hint(ip: &Ip, link: &LinkRef) -> Step {
    let scope = ip.address.addr().is_ipv4().then_some(SCOPE_LINK);
    let source = Some(ip.address.addr());
    Step::owned(Action::Route(Route {
        source,
        scope,
        ..Route::new(link.clone(), ip.address.trunc())
    }))
}
