//! `rules`: who may reach the container, and whom it may reach.
//!
//! A key of our own. A direction that is listed is closed but for what is listed; one that is
//! not stays open. Only where the host sees what comes and goes: behind a veth or a bridge. It is
//! not the NetworkPolicy of Kubernetes, which knows pods by their labels.

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::Attach;
use wharfinger_cni::conf::{ConfError, Field, Fields};
use wharfinger_plan::{Action, Allow, Ports, Protocol, Step};

use super::{Subject, guard, refuse_near_misses};
use crate::{Error, PlanError, names};

pub(crate) const KEYS: &[&str] = &["ingress", "egress"];
const PORTS: &str =
    "a list of protocols and ports: \"tcp/80\", \"udp/1000-2000\", \"sctp\", \"icmp\"";
/// Peers and ports are multiplied out into rules.
const MOST_RULES: usize = 1000;

/// The configuration of `rules`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    ingress: Option<Vec<Allow>>,
    egress: Option<Vec<Allow>>,
}

impl Rules {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        let ingress = direction(fields, "ingress", "from")?;
        let egress = direction(fields, "egress", "to")?;
        let any = ingress.is_some() || egress.is_some();
        Ok(any.then_some(Self { ingress, egress }))
    }

    pub(crate) fn plan(&self, subject: &Subject<'_>) -> Result<Vec<Step>, PlanError> {
        let unfit = |what: String| PlanError::Unfit { feature: "rules", what };
        let Some(host) = subject.host else {
            let inside = &subject.inside.name;
            return Err(unfit(format!(
                "what reaches and leaves {inside} goes past the host, as with macvlan, ipvlan and \
                 host-device: use bridge or ptp, or take the rules out"
            )));
        };
        let addresses = subject.addresses();
        if addresses.is_empty() {
            return Err(unfit("the attachment has no address to know its packets by".to_owned()));
        }
        let mut steps = Vec::new();
        if self.egress.is_some() {
            // Or rules would be evaded by another source.
            let is_port = subject.bridge.is_some();
            steps.push(guard(subject.id, host, is_port, None, Some(&addresses)));
        }
        steps.push(Step::owned(Action::Rules(wharfinger_plan::Rules {
            group: names::short_digest(&format!("{self:?}")),
            bridge: subject.bridge.map(|bridge| bridge.name.clone()),
            addresses: addresses.iter().map(IpNet::addr).collect(),
            ingress: self.ingress.clone(),
            egress: self.egress.clone(),
            comment: names::key(subject.id),
        })));
        Ok(steps)
    }
}

fn direction(
    fields: &Fields<'_>,
    key: &str,
    peers: &'static str,
) -> Result<Option<Vec<Allow>>, ConfError> {
    let Some(entries) = fields.list(key)? else { return Ok(None) };
    let all: Vec<Allow> =
        entries.iter().map(|entry| allow(entry, peers)).collect::<Result<_, _>>()?;
    let count: usize = all.iter().map(|it| it.peers.len().max(1) * it.ports.len().max(1)).sum();
    if count > MOST_RULES {
        let allowed = format!("at most {MOST_RULES} combinations of peers and ports");
        return Err(fields.error(key, allowed));
    }
    Ok(Some(all))
}

/// What is not understood is refused, as it may be meant to close something.
fn allow(entry: &Field<'_>, peers: &'static str) -> Result<Allow, ConfError> {
    let fields = entry.object()?;
    for key in fields.map().keys() {
        if ![peers, "ports"].iter().any(|known| known.eq_ignore_ascii_case(key)) {
            return Err(fields.error(key, format!("no key but \"{peers}\" and \"ports\"")));
        }
    }
    let listed = |key| fields.list(key).map(|list| list.filter(|_| fields.get(key).is_some()));
    let peer_list = listed(peers)?;
    let port_list = listed("ports")?;
    let empty = |list: &Option<Vec<Field<'_>>>| list.as_ref().is_some_and(Vec::is_empty);
    if empty(&peer_list) || empty(&port_list) {
        let key = if empty(&peer_list) { peers } else { "ports" };
        return Err(fields.error(key, "at least one entry; leave the key out to allow all"));
    }
    Ok(Allow {
        peers: peer_list.iter().flatten().map(network).collect::<Result<_, _>>()?,
        ports: port_list.iter().flatten().map(ports).collect::<Result<_, _>>()?,
    })
}

/// A network, or an address.
fn network(field: &Field<'_>) -> Result<IpNet, ConfError> {
    let text = field.str()?;
    let parsed =
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = parsed.map(|network| network.trunc());
    network.ok_or_else(|| field.error("a network such as 10.0.0.0/8, or an address"))
}

fn ports(field: &Field<'_>) -> Result<Ports, ConfError> {
    let bad = || field.error(PORTS);
    let text = field.str()?;
    let (protocol, range) = match text.split_once('/') {
        Some((protocol, range)) => (protocol, Some(range)),
        None => (text, None),
    };
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        "icmp" if range.is_none() => Protocol::Icmp,
        _ => return Err(bad()),
    };
    let Some(range) = range else { return Ok(Ports { protocol, range: None }) };
    let (from, to) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (from, to) = port(from).zip(port(to)).filter(|(from, to)| from <= to).ok_or_else(bad)?;
    Ok(Ports { protocol, range: Some((from, to)) })
}
