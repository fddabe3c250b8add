//! A plan, and the result that goes with it once it is applied.

use ipnet::IpNet;
use wharfinger_cni::{Dns, Interface, Ip, Route, Success};
use wharfinger_plan::{Action, Link, LinkFacts, LinkKind, LinkRef, Mac, Owner, Place, Plan};

use crate::Facts;
use crate::lease::Lease;

/// What an ADD does, and what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What is to be done.
    pub plan: Plan,
    /// The result's interfaces in their order; the last is the container's.
    links: Vec<LinkRef>,
    /// More interfaces of the result, behind the container's.
    behind: Vec<LinkRef>,
    /// The answer stands in the place of what earlier plugins answered.
    instead: bool,
    answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// What IPAM gave.
    Lease { ips: Vec<Ip>, routes: Vec<Route>, dns: Dns },
    /// The addresses that the kernel itself put on the link.
    Observed,
}

impl Draft {
    /// A draft whose addresses are the lease's.
    pub(crate) fn new(plan: Plan, links: Vec<LinkRef>, lease: Lease) -> Self {
        let Lease { ips, routes, dns } = lease;
        let answer = Answer::Lease { ips, routes, dns };
        Self { plan, links, behind: Vec::new(), instead: false, answer }
    }

    /// With these interfaces behind the container's.
    pub(crate) fn with_behind(mut self, links: Vec<LinkRef>) -> Self {
        self.behind = links;
        self
    }

    /// The addresses are those of earlier plugins: what is answered stands in their answer's place.
    pub(crate) fn instead(mut self) -> Self {
        self.instead = true;
        self
    }

    /// A draft for a link that the kernel gives its addresses.
    pub(crate) fn observing(plan: Plan, link: LinkRef) -> Self {
        let (links, behind) = (vec![link], Vec::new());
        Self { plan, links, behind, instead: false, answer: Answer::Observed }
    }

    /// The CNI result. `applied` is what the links are like after the plan was applied; of a link
    /// that is not there the plan's own values are taken. `netns` is CNI_NETNS as it came. What
    /// earlier plugins of the list answered (`prev`) stays, and ours comes behind it.
    pub fn result(&self, applied: &Facts, netns: &str, prev: Option<&Success>) -> Success {
        if let (Answer::Observed, Some(prev)) = (&self.answer, prev) {
            return prev.clone();
        }
        let kept = prev.filter(|_| !self.instead);
        let mut result = kept.cloned().unwrap_or_default();
        let interfaces = self.links.iter().map(|link| self.interface(link, applied, netns));
        result.interfaces.extend(interfaces);
        let own = result.interfaces.len().checked_sub(1);
        let behind = self.behind.iter().map(|link| self.interface(link, applied, netns));
        result.interfaces.extend(behind);
        match &self.answer {
            Answer::Lease { ips, routes, dns } => {
                result.ips.extend(ips.iter().map(|ip| Ip { interface: own, ..ip.clone() }));
                result.routes.extend(routes.iter().cloned());
                if !dns.is_empty() {
                    result.dns.clone_from(dns);
                }
            }
            Answer::Observed => result.ips.extend(self.observed(applied, own)),
        }
        result
    }

    /// The link of the host that the driver makes for the attachment, where it makes one.
    pub(crate) fn host_link(&self) -> Option<&Link> {
        self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Link(link)
                if step.owner == Owner::Attachment && link.link.place == Place::Host =>
            {
                Some(link)
            }
            _ => None,
        })
    }

    fn interface(&self, link: &LinkRef, applied: &Facts, netns: &str) -> Interface {
        let facts = applied.get(link);
        let mac = match facts {
            Some(facts) => facts.mac.or_else(|| no_mac(facts)),
            None => planned_mac(&self.plan, link),
        };
        Interface {
            name: link.name.clone(),
            mac: mac.map(|mac| mac.to_string()).unwrap_or_default(),
            mtu: facts.map(|facts| facts.mtu),
            sandbox: if link.place == Place::Container { netns.to_owned() } else { String::new() },
            ..Interface::default()
        }
    }

    /// The first address of each family.
    fn observed(&self, applied: &Facts, interface: Option<usize>) -> Vec<Ip> {
        let facts = self.links.last().and_then(|link| applied.get(link));
        let addresses = facts.map(|facts| facts.addresses.as_slice()).unwrap_or_default();
        let first = |v4: bool| {
            addresses.iter().find(|address| matches!(address, IpNet::V4(_)) == v4).copied()
        };
        let ip = |address| Ip { interface, address, gateway: None };
        [first(true), first(false)].into_iter().flatten().map(ip).collect()
    }
}

/// A loopback link has no address of this kind, or zeros: the reference answers zeros.
fn no_mac(facts: &LinkFacts) -> Option<Mac> {
    (facts.link.name == "lo").then_some(Mac([0; 6]))
}

fn planned_mac(plan: &Plan, wanted: &LinkRef) -> Option<Mac> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Link(link) if link.link == *wanted => link.mac,
        Action::Link(link) => match &link.kind {
            LinkKind::Veth { peer } if peer.link == *wanted => peer.mac,
            _ => None,
        },
        _ => None,
    })
}
