//! What an ADD would do, without doing it: for `explain` and for STATUS.

use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::{IpNet, Ipv4Net};
use wharfinger_cni::{Attach, Interface, Ip, NetConf, Success};
use wharfinger_drivers::Facts;
use wharfinger_kernel::{AtPath, LinkFacts};
use wharfinger_plan::{LinkRef, Owner, Plan};

use crate::conf::Place;
use crate::hearing::Hearing;
use crate::network::{Asked, Network, pretended};
use crate::{Error, Host, add, deputy, dhcp, error, lint, recover};

/// What an ADD would come to now.
pub struct Dry {
    /// What it would do.
    pub plan: Plan,
    /// What IPAM would answer.
    pub lease: Success,
}

/// Decides as an ADD of this container and interface would, and writes nothing down.
pub fn dry(host: &Host, conf: &NetConf, container: &str, ifname: &str) -> Result<Dry, Error> {
    let call = pretended(conf, ifname, container);
    let network = Network::read(host, &call)?;
    if let Some(name) = network.runs() {
        return Err(Error::Undecided(format!("the executable {name}")));
    }
    if network.asks_a_server() {
        return Err(Error::Undecided("a DHCP server".to_owned()));
    }
    if network.place == Place::Chained && network.has_features() {
        return Err(Error::NoPrevResult);
    }
    decide(host, &call, &network)
}

fn decide(host: &Host, call: &Attach, network: &Network) -> Result<Dry, Error> {
    let facts = network.observe(host, call, None)?;
    let hearing = Hearing::new(host, call, network, &facts, None)?;
    let mut session = host.ledger.session(add::scope(host, &call.id, &network.domain))?;
    let decided = hearing.settle(&mut *session)?.decided;
    Ok(Dry { plan: decided.plan, lease: decided.lease })
}

/// As [`decide`], for nobody: policies are not asked, since what they say of nobody says nothing.
fn decide_for_nobody(host: &Host, call: &Attach, network: &Network) -> Result<Dry, Error> {
    let facts = network.observe(host, call, None)?;
    let allocator = network.allocator(host, call)?;
    let mut session = host.ledger.session(add::scope(host, &call.id, &network.domain))?;
    let asked = Asked { call, id: &call.id, allocator: allocator.as_ref(), facts: &facts };
    let decided = network.decide(host, asked, &mut *session);
    let decided = decided.map_err(|error| match &allocator {
        Some(allocator) => allocator.explain(host, &network.domain, error),
        None => error,
    })?;
    Ok(Dry { plan: decided.plan, lease: decided.lease })
}

/// What an attachment of nobody would do; policies are not asked.
pub(crate) fn for_nobody(host: &Host, conf: &NetConf) -> Result<Plan, Error> {
    let call = pretended(conf, "eth0", "none");
    let network = Network::read(host, &call)?;
    decide_for_nobody(host, &call, &network).map(|dry| dry.plan)
}

/// Why STATUS is not well.
pub enum Unwell {
    /// An ADD would fail (code 50).
    NotAvailable(Box<Error>),
    /// What is attached may be impaired (code 51): by what is shared, which an ADD makes again where it
    /// is missing; or as leases end, and an ADD would fail.
    Impaired(Box<Error>),
}

fn not_available(error: impl Into<Error>) -> Unwell {
    Unwell::NotAvailable(Box::new(error.into()))
}

/// Says why an ADD would fail now.
pub fn status(host: &Host, conf: &NetConf, path: &[std::path::PathBuf]) -> Result<(), Unwell> {
    let mut call = pretended(conf, "eth0", "status");
    call.path = path.to_vec();
    let network = Network::read(host, &call).map_err(not_available)?;
    let plan = available(host, &call, &network).map_err(not_available)?;
    impaired(host, conf, &plan)?;
    renewed(host, conf)
}

fn available(host: &Host, call: &Attach, network: &Network) -> Result<Plan, Error> {
    host.ledger.writable()?;
    // A kernel too old to tell a namespace from the next one has no answer.
    host.kernel.host_cookie()?;
    lint::components(host, call, network)?;
    deputy::status(host, call)?;
    let beside = matches!(network.place, Place::Chained | Place::Wrapper);
    let plan = if beside {
        about_others(call, network)
    } else if network.runs().is_some() || network.asks_a_server() {
        // What others answer, only an ADD tells.
        Plan::default()
    } else {
        match decide_for_nobody(host, call, network) {
            Ok(dry) => dry.plan,
            Err(Error::Plan(error)) if error.is_of_one_attachment() => Plan::default(),
            Err(error) if fine_when_full(host, call, network, &error)? => Plan::default(),
            Err(error) => return Err(error),
        }
    };
    let missing = host.kernel.missing(&plan)?;
    if !missing.is_empty() {
        return Err(Error::Features(missing));
    }
    // What is shared follows from what is there, not from what is pretended.
    Ok(if beside { Plan::default() } else { plan })
}

/// What would be done about an attachment that others make, as most do: a veth with an address. What
/// does not fit that is for the ADD to tell.
fn about_others(call: &Attach, network: &Network) -> Plan {
    let interface = |name: &str, sandbox: &str| Interface {
        name: name.to_owned(),
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    };
    // Of the networks for documentation (RFC 5737).
    let address = IpNet::from(Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 2), 24));
    let made = Success {
        interfaces: vec![interface("veth", ""), interface(&call.id.ifname, "/")],
        ips: vec![Ip { address, gateway: None, interface: Some(1) }],
        ..Success::default()
    };
    let veth = |link, index, peer| LinkFacts { index, peer, ..LinkFacts::new(link, "veth") };
    let inside = veth(LinkRef::container(&call.id.ifname), 2, Some(3));
    let host = veth(LinkRef::host("veth"), 3, Some(2));
    let facts = Facts { links: vec![inside, host], ..Facts::default() };
    network.draft(call, &call.id, made, &facts).map(|decided| decided.plan).unwrap_or_default()
}

/// Exhaustion is no reason where the operator says so, or where an ADD would find the dead.
fn fine_when_full(
    host: &Host,
    call: &Attach,
    network: &Network,
    error: &Error,
) -> Result<bool, Error> {
    if !error::for_want_of_addresses(error) {
        return Ok(false);
    }
    if network.ipam.as_ref().is_some_and(|ipam| ipam.ok_when_full) {
        return Ok(true);
    }
    recover::any_dead(host, &network.domain, &call.id)
}

/// What attachments of the network share is to be as it was made, where there are any.
fn impaired(host: &Host, conf: &NetConf, plan: &Plan) -> Result<(), Unwell> {
    let shared =
        Plan::new(plan.steps.iter().filter(|step| step.owner == Owner::Shared).cloned().collect());
    let attached = host.ledger.list(Some(&conf.name)).map_err(not_available)?;
    if attached.is_empty() || shared.steps.is_empty() {
        return Ok(());
    }
    let drifts = drifts(host, &shared).map_err(not_available)?;
    if drifts.is_empty() { Ok(()) } else { Err(Unwell::Impaired(Box::new(Error::Shared(drifts)))) }
}

/// A lease that nobody renews ends, and with it the container's address.
fn renewed(host: &Host, conf: &NetConf) -> Result<(), Unwell> {
    let Err(error) = dhcp::status(host, conf) else { return Ok(()) };
    let attached = host.ledger.list(Some(&conf.name)).map_err(not_available)?;
    let error = Box::new(error);
    Err(if attached.is_empty() { Unwell::NotAvailable(error) } else { Unwell::Impaired(error) })
}

fn drifts(host: &Host, plan: &Plan) -> Result<Vec<String>, Error> {
    let AtPath::Netns(own) = host.kernel.netns(Path::new("/proc/self/ns/net"))? else {
        return Ok(Vec::new());
    };
    let found = host.kernel.verify(plan, &own)?;
    Ok(found.iter().map(|drift| format!("{} {}", drift.object, drift.found)).collect())
}
