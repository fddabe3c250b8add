//! What the drivers have in common whose link is on somebody else's segment: `macvlan`, `ipvlan`,
//! `vlan`, `host-device`.
//!
//! There others may have our address already. So the link goes up without any, the segment is
//! asked, and only then is the address put on, usable at once; then the segment is told.

use std::net::IpAddr;

use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId};
use wharfinger_plan::{
    Action, Announce, Link, LinkFacts, LinkKind, LinkRef, Mac, Place, Probe, Query, Step,
};

use crate::lease::Lease;
use crate::read::Mtu;
use crate::wire::{self, Wire};
use crate::{Facts, PlanError, names, read};

/// Whose addresses are asked for before they are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Probing {
    v4: bool,
    v6: bool,
    /// The gateways have to answer.
    gateways: bool,
}

impl Probing {
    /// Nobody else can be there.
    pub(crate) const NONE: Self = Self { v4: false, v6: false, gateways: false };
    const DUPLICATE: Self = Self { v4: true, v6: true, gateways: false };
    /// The reference plugins wait for the kernel to ask for IPv6 addresses, and ask for no others.
    const REFERENCE: Self = Self { v4: false, v6: true, gateways: false };

    /// `probe`.
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Self, ConfError> {
        match fields.str("probe")? {
            None if call.conf.plugin_type == read::OUR_TYPE => Ok(Self::DUPLICATE),
            None => Ok(Self::REFERENCE),
            Some("duplicate") => Ok(Self::DUPLICATE),
            Some("gateway") => Ok(Self { gateways: true, ..Self::DUPLICATE }),
            Some("none") => Ok(Self::NONE),
            Some(_) => Err(fields.error("probe", "\"duplicate\", \"gateway\" or \"none\"")),
        }
    }

    fn asks(self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.v4 } else { self.v6 }
    }
}

/// The link that another stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Master {
    /// Without a name that of the default route.
    pub(crate) name: Option<String>,
    place: Place,
}

impl Master {
    /// `master` and `linkInContainer`.
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, ConfError> {
        let name = fields.str("master")?.filter(|name| !name.is_empty());
        if name.is_some_and(|name| !read::is_link_name(name)) {
            return Err(fields.error("master", read::LINK_NAME));
        }
        let inside = read::switch(fields, "linkInContainer")?;
        let place = if inside { Place::Container } else { Place::Host };
        Ok(Self { name: name.map(str::to_owned), place })
    }

    pub(crate) fn is_inside(&self) -> bool {
        self.place == Place::Container
    }

    pub(crate) fn observes(&self) -> Option<LinkRef> {
        let name = self.name.clone()?;
        Some(LinkRef { place: self.place, name })
    }

    pub(crate) fn asks(&self) -> Option<Query> {
        self.name.is_none().then_some(Query::DefaultRoute(self.place))
    }

    /// What it is like.
    pub(crate) fn of<'a>(&self, facts: &'a Facts) -> Result<&'a LinkFacts, PlanError> {
        let found = match (self.observes(), self.asks()) {
            (Some(link), _) => facts.get(&link),
            (None, Some(query)) => facts.link(&query),
            (None, None) => None,
        };
        found.ok_or_else(|| PlanError::NoMaster { name: self.name.clone(), place: self.place })
    }

    /// The address space of a segment: the master's where that is named, else the host's, whose
    /// default route leaves by it.
    pub(crate) fn domain(&self) -> String {
        match &self.name {
            Some(name) => format!("master:{name}"),
            None => "host".to_owned(),
        }
    }
}

/// The links that a plan of a link on a master looks at.
pub(crate) fn observes(id: &AttachmentId, master: &Master, mtu: &Mtu) -> Vec<LinkRef> {
    let own = LinkRef::container(&id.ifname);
    [Some(own), master.observes(), mtu.observes()].into_iter().flatten().collect()
}

/// Whether a link on a master can be made.
pub(crate) fn check_facts(
    id: &AttachmentId,
    master: &Master,
    mtu: &Mtu,
    facts: &Facts,
) -> Result<(), PlanError> {
    wire::absent(id, facts)?;
    fits(mtu.of(facts)?, master.of(facts)?)
}

/// A link cannot carry more than its master does.
fn fits(mtu: Option<u32>, master: &LinkFacts) -> Result<(), PlanError> {
    match mtu {
        Some(wanted) if wanted > master.mtu => Err(PlanError::MtuAboveMaster {
            wanted,
            master: master.link.clone(),
            found: master.mtu,
        }),
        _ => Ok(()),
    }
}

/// The container's link, whose alias tells whose it is to those who find it there.
pub(crate) fn link(id: &AttachmentId, kind: LinkKind, mtu: Option<u32>, mac: Option<Mac>) -> Link {
    Link {
        link: LinkRef::container(&id.ifname),
        kind,
        mtu,
        mac,
        alias: Some(names::key(id)),
        port: None,
        promisc: None,
        up: false,
    }
}

/// The link's steps from its making to its use. Questions are asked `on` a segment; where that
/// is not the link itself, it is the one whose segment it shares.
pub(crate) fn steps(
    wire: &Wire<'_>,
    link: Link,
    lease: &Lease,
    probing: Probing,
    on: Option<&LinkRef>,
) -> Vec<Step> {
    let mut steps = vec![Step::owned(Action::Link(link))];
    if lease.ips.is_empty() {
        steps.push(wire.up());
        return steps;
    }
    // Only the kernel's own address is for it to ask about, and it does as it is set to.
    steps.extend(wire.container_sysctls(lease, true));
    steps.push(wire.up());
    steps.extend(probe(wire, lease, probing, on));
    steps.extend(lease.ips.iter().flat_map(|ip| {
        let one = Lease { ips: vec![ip.clone()], ..Lease::default() };
        wire.addresses(&one, !probing.asks(ip.address.addr()), true)
    }));
    steps.extend(wire.routes(lease));
    let addresses = lease.addresses().iter().map(ipnet::IpNet::addr).collect();
    steps.push(Step::owned(Action::Announce(Announce { link: wire.inside.clone(), addresses })));
    steps
}

fn probe(wire: &Wire<'_>, lease: &Lease, probing: Probing, on: Option<&LinkRef>) -> Option<Step> {
    let all = lease.ips.iter().map(|ip| ip.address.addr());
    let addresses: Vec<IpAddr> = all.filter(|address| probing.asks(*address)).collect();
    let mut gateways: Vec<IpAddr> = Vec::new();
    if probing.gateways {
        gateways.extend(lease.ips.iter().filter_map(|ip| ip.gateway));
        gateways.sort_unstable();
        gateways.dedup();
    }
    let link = on.unwrap_or(&wire.inside).clone();
    let nothing = addresses.is_empty() && gateways.is_empty();
    let probe = Probe { link, addresses, gateways };
    (!nothing).then(|| Step::owned(Action::Probe(probe)))
}
