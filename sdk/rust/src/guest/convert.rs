//! The contract's records and ours.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::bindings::host::wharfinger::plugin::{plan as wit_plan, types as wit};
use crate::bindings::ipam::exports::wharfinger::plugin::ipam;
use crate::bindings::policy::exports::wharfinger::plugin::policy;
use crate::plan::{Direction, ForwardStep, Link, LinkStep, Place, Step};
use crate::{
    Attachment, AttachmentId, Dns, Failure, Lease, LeasedAddress, Pod, PolicyRequest, Pool,
    Problem, Range, Reason, Request, Route, Sources, Verdict, call,
};

fn address(text: &str) -> Result<IpAddr, Failure> {
    Ok(text.parse::<IpAddr>()?)
}

fn maybe_address(text: Option<&String>) -> Result<Option<IpAddr>, Failure> {
    text.map(|text| address(text)).transpose()
}

fn net(text: &str) -> Result<IpNet, Failure> {
    Ok(text.parse::<IpNet>()?)
}

fn pairs(pairs: Vec<wit::Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

pub(super) fn range(range: Range) -> wit::AddressRange {
    wit::AddressRange { first: range.first().to_string(), last: range.last().to_string() }
}

pub(super) fn pool(pool: Pool) -> ipam::Pool {
    ipam::Pool { name: pool.name, ranges: pool.ranges.into_iter().map(range).collect() }
}

pub(super) fn problems(problems: Vec<Problem>) -> Vec<wit::Problem> {
    let problem = |p: Problem| wit::Problem { pointer: p.pointer, message: p.message };
    problems.into_iter().map(problem).collect()
}

pub(super) fn failure(failure: Failure) -> wit::Failure {
    let reason = match failure.reason {
        Reason::InvalidConfig => wit::Reason::InvalidConfig,
        Reason::Exhausted => wit::Reason::Exhausted,
        Reason::Conflict => wit::Reason::Conflict,
        Reason::TryAgain => wit::Reason::TryAgain,
        Reason::Other => wit::Reason::Other,
    };
    wit::Failure { reason, message: failure.message, detail: failure.detail }
}

pub(super) fn attachment(given: wit::Attachment) -> Attachment {
    let wit::AttachmentId { network, container, ifname } = given.id;
    let pod = |p: wit::Pod| Pod { namespace: p.namespace, name: p.name, uid: p.uid };
    Attachment {
        id: AttachmentId { network, container, ifname },
        pod: given.pod.map(pod),
        args: pairs(given.args),
    }
}

/// The configuration apart: it is read into the plugin.
pub(super) fn request(given: ipam::Request) -> Result<(String, Request), Failure> {
    let wanted = given.wanted.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
    let network = call::json(&given.network_config)?;
    Ok((given.config, Request { attachment: attachment(given.attachment), network, wanted }))
}

pub(super) fn policy_request(given: policy::Request) -> Result<(String, PolicyRequest), Failure> {
    let written = Sources {
        network: call::json(&given.written.network)?,
        runtime: call::json(&given.written.runtime)?,
        pod: call::json(&given.written.pod)?,
    };
    let network = call::json(&given.network_config)?;
    let attachment = attachment(given.attachment);
    Ok((given.config, PolicyRequest { attachment, network, written }))
}

pub(super) fn verdict(verdict: Verdict) -> policy::Verdict {
    match verdict {
        Verdict::Allow => policy::Verdict::Allow,
        Verdict::Deny(reason) => policy::Verdict::Deny(reason),
        Verdict::Amend(patch) => policy::Verdict::Amend(patch.to_string()),
    }
}

pub(super) fn lease(lease: &Lease) -> wit::Lease {
    let text = |address: IpAddr| address.to_string();
    let leased = |leased: &LeasedAddress| wit::LeasedAddress {
        address: leased.address.to_string(),
        gateway: leased.gateway.map(text),
    };
    wit::Lease {
        addresses: lease.addresses.iter().map(leased).collect(),
        routes: lease.routes.iter().map(route).collect(),
        dns: wit::Dns {
            nameservers: lease.dns.nameservers.iter().copied().map(text).collect(),
            domain: lease.dns.domain.clone(),
            search: lease.dns.search.clone(),
            options: lease.dns.options.clone(),
        },
    }
}

fn route(route: &Route) -> wit::Route {
    wit::Route {
        destination: route.destination.to_string(),
        gateway: route.gateway.map(|address| address.to_string()),
        mtu: route.mtu,
        advmss: route.advmss,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
    }
}

pub(super) fn lease_read(given: wit::Lease) -> Result<Lease, Failure> {
    let leased = |leased: &wit::LeasedAddress| {
        let gateway = maybe_address(leased.gateway.as_ref())?;
        Ok(LeasedAddress { address: net(&leased.address)?, gateway })
    };
    let servers = given.dns.nameservers.iter().map(|text| address(text));
    let dns = Dns {
        nameservers: servers.collect::<Result<_, _>>()?,
        domain: given.dns.domain,
        search: given.dns.search,
        options: given.dns.options,
    };
    Ok(Lease {
        addresses: given.addresses.iter().map(leased).collect::<Result<_, Failure>>()?,
        routes: given.routes.iter().map(route_read).collect::<Result<_, _>>()?,
        dns,
    })
}

fn route_read(given: &wit::Route) -> Result<Route, Failure> {
    Ok(Route {
        destination: net(&given.destination)?,
        gateway: maybe_address(given.gateway.as_ref())?,
        mtu: given.mtu,
        advmss: given.advmss,
        priority: given.priority,
        table: given.table,
        scope: given.scope,
    })
}

fn place(place: wit_plan::Place) -> Place {
    match place {
        wit_plan::Place::Host => Place::Host,
        wit_plan::Place::Container => Place::Container,
    }
}

fn link(link: wit_plan::LinkRef) -> Link {
    Link { place: place(link.place), name: link.name }
}

pub(super) fn step(step: policy::Step) -> Result<Step, Failure> {
    Ok(match step {
        wit_plan::Step::Link(step) => Step::Link(link_step(step)),
        wit_plan::Step::Address(step) => {
            Step::Address { link: link(step.link), address: net(&step.address)? }
        }
        wit_plan::Step::Route(step) => {
            Step::Route { link: link(step.link), route: route_read(&step.route)? }
        }
        wit_plan::Step::Sysctl(step) => {
            Step::Sysctl { place: place(step.place), key: step.key, value: step.value }
        }
        wit_plan::Step::Firewall(step) => Step::Firewall {
            place: place(step.place),
            family: step.family,
            table: step.table,
            chain: step.chain,
            rule: step.rule,
        },
        wit_plan::Step::Forward(step) => Step::Forward(forward(step)?),
        wit_plan::Step::Shaping(step) => Step::Shaping {
            link: link(step.link),
            direction: direction(step.direction),
            rate: step.rate,
            burst: step.burst,
        },
        wit_plan::Step::Other(step) => Step::Other {
            place: place(step.place),
            kind: step.kind,
            detail: call::json(&step.detail)?,
        },
    })
}

fn direction(direction: wit_plan::Direction) -> Direction {
    match direction {
        wit_plan::Direction::Ingress => Direction::Ingress,
        wit_plan::Direction::Egress => Direction::Egress,
    }
}

fn link_step(step: wit_plan::LinkStep) -> LinkStep {
    LinkStep {
        link: link(step.link),
        kind: step.kind,
        peer: step.peer.map(link),
        id: step.id,
        mtu: step.mtu,
        mac: step.mac,
        master: step.master,
        settings: pairs(step.settings),
    }
}

fn forward(step: wit_plan::ForwardStep) -> Result<ForwardStep, Failure> {
    Ok(ForwardStep {
        host_address: maybe_address(step.host_address.as_ref())?,
        address: address(&step.address)?,
        protocol: step.protocol,
        host_port: step.host_port,
        port: step.port,
    })
}
