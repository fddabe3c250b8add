//! `bandwidth`: what goes to the container and what leaves it is held to a rate.
//!
//! What a link sends can be made to wait, what comes in cannot: so what goes to the container is
//! held where the host sends it, and what leaves the container comes into the host, is redirected
//! to a link of its own, and held where that one sends it. Where the attachment has no end on the
//! host (macvlan, ipvlan, host-device), the same is done the other way round in the container's
//! namespace. Start reading at [`Bandwidth::plan`].

use sha2::{Digest, Sha512};
use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Bandwidth as Rates, Interface, RuntimeConfig, Success};
use wharfinger_plan::{
    Action, Link, LinkKind, LinkRef, PeerIs, Place, Redirect, Shape, Sparing, Step,
};

use super::{Subject, refuse_near_misses};
use crate::{Error, Facts, names};

const RATES: &[&str] = &["ingressRate", "ingressBurst", "egressRate", "egressBurst"];
pub(crate) const KEYS: &[&str] = &[
    "ingressRate",
    "ingressBurst",
    "egressRate",
    "egressBurst",
    "unshapedSubnets",
    "shapedSubnets",
];

/// How long a packet may wait, as the reference plugin has it: 25 ms, a fortieth of a second.
const LATENCIES_A_SECOND: u64 = 40;
/// What a frame has beside what its MTU counts: Ethernet's header, and a VLAN's.
const FRAME: u64 = 18;
/// The kernel counts a burst by time, and loses up to two microseconds of it.
const LOSSES_A_SECOND: u64 = 500_000;
const DEFAULT_MTU: u32 = 1500;
/// The interface whose redirection has the reference plugin's name.
const FIRST: &str = "eth0";

/// The configuration of `bandwidth`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bandwidth {
    to_container: Option<Rate>,
    from_container: Option<Rate>,
    unshaped: Vec<ipnet::IpNet>,
    shaped: Vec<ipnet::IpNet>,
}

/// Bytes a second, and bytes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    rate: u64,
    burst: u32,
}

impl Bandwidth {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        let runtime = RuntimeConfig::of(&call.conf)?.bandwidth()?;
        let is_set = RATES.iter().any(|key| fields.get(key).is_some());
        let rates = match runtime.filter(|_| !is_set) {
            Some(rates) => rates,
            None => configured(fields)?,
        };
        let to_container = rate(fields, "ingress", rates.ingress_rate, rates.ingress_burst)?;
        let from_container = rate(fields, "egress", rates.egress_rate, rates.egress_burst)?;
        let unshaped = networks(fields, "unshapedSubnets")?;
        let shaped = networks(fields, "shapedSubnets")?;
        if !unshaped.is_empty() && !shaped.is_empty() {
            let allowed = "none where there are unshapedSubnets: one of the two says it all";
            return Err(fields.error("shapedSubnets", allowed).into());
        }
        let any = to_container.is_some() || from_container.is_some();
        Ok(any.then_some(Self { to_container, from_container, unshaped, shaped }))
    }

    pub(crate) fn plan(&self, subject: &Subject<'_>, facts: &Facts) -> Vec<Step> {
        let link = subject.host.unwrap_or(subject.inside);
        let mtu = mtu(link, subject, facts);
        let mut steps = Vec::new();
        if let Some((rate, peer)) = self.sent(subject) {
            let sparing = self.sparing(peer);
            steps.push(rate.shape(link.clone(), mtu, sparing));
        }
        if let Some((rate, peer)) = self.received(subject) {
            let ifb = redirection(subject);
            steps.push(ifb_step(&ifb, subject.id, Some(mtu)));
            steps.push(rate.shape(ifb.clone(), mtu, Sparing::default()));
            let sparing = self.sparing(peer);
            let redirect = Redirect { link: link.clone(), to: ifb.name, sparing };
            steps.push(Step::owned(Action::Redirect(redirect)));
        }
        steps
    }

    /// The link that packets are redirected to is an interface of the result, as the reference
    /// plugin has it.
    pub(crate) fn amend(&self, subject: &Subject<'_>, result: &mut Success) {
        if self.received(subject).is_none() {
            return;
        }
        let ifb = redirection(subject);
        let own = |it: &&Interface| it.name == subject.inside.name && !it.sandbox.is_empty();
        let sandbox = match ifb.place {
            Place::Host => String::new(),
            Place::Container => {
                result.interfaces.iter().find(own).map(|it| it.sandbox.clone()).unwrap_or_default()
            }
        };
        if result.interfaces.iter().any(|it| it.name == ifb.name && it.sandbox == sandbox) {
            return;
        }
        let mac = names::redirection_mac(subject.id).to_string();
        result.interfaces.push(Interface { name: ifb.name, mac, sandbox, ..Interface::default() });
    }

    /// The rate of what the shaped link sends, and which address is the container's peer's.
    fn sent(&self, subject: &Subject<'_>) -> Option<(Rate, PeerIs)> {
        match subject.host {
            Some(_) => self.to_container.map(|rate| (rate, PeerIs::Source)),
            None => self.from_container.map(|rate| (rate, PeerIs::Destination)),
        }
    }

    /// The rate of what comes into the shaped link.
    fn received(&self, subject: &Subject<'_>) -> Option<(Rate, PeerIs)> {
        match subject.host {
            Some(_) => self.from_container.map(|rate| (rate, PeerIs::Destination)),
            None => self.to_container.map(|rate| (rate, PeerIs::Source)),
        }
    }

    fn sparing(&self, peer: PeerIs) -> Sparing {
        Sparing { peer, unshaped: self.unshaped.clone(), shaped: self.shaped.clone() }
    }
}

impl Rate {
    /// A burst that has no room for one whole frame would drop every whole frame: it has at least
    /// that.
    fn shape(self, link: LinkRef, mtu: u32, sparing: Sparing) -> Step {
        let frame = u64::from(mtu) + FRAME + self.rate / LOSSES_A_SECOND;
        let burst = u32::try_from(frame).unwrap_or(u32::MAX).max(self.burst);
        let limit = (self.rate / LATENCIES_A_SECOND).saturating_add(burst.into());
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Step::owned(Action::Shape(Shape { link, rate: self.rate, burst, limit, sparing }))
    }
}

fn configured(fields: &Fields<'_>) -> Result<Rates, ConfError> {
    let number = |key| fields.u64(key).map(Option::unwrap_or_default);
    Ok(Rates {
        ingress_rate: number("ingressRate")?,
        ingress_burst: number("ingressBurst")?,
        egress_rate: number("egressRate")?,
        egress_burst: number("egressBurst")?,
    })
}

/// A rate and its burst, in bits; both or none.
fn rate(fields: &Fields<'_>, way: &str, rate: u64, burst: u64) -> Result<Option<Rate>, ConfError> {
    let (rate_key, burst_key) = (format!("{way}Rate"), format!("{way}Burst"));
    match (rate, burst) {
        (0, 0) => Ok(None),
        (0, _) => {
            Err(fields.error(&rate_key, format!("bits a second, since there is {burst_key}")))
        }
        (_, 0) => Err(fields.error(&burst_key, format!("bits, since there is {rate_key}"))),
        (1..=7, _) => Err(fields.error(&rate_key, "at least 8 bits a second")),
        (rate, burst) => {
            let too_long = || fields.error(&burst_key, "less than 34359738360 bits (4 GiB)");
            let burst = u32::try_from(burst / 8).ok().filter(|burst| *burst < u32::MAX);
            Ok(Some(Rate { rate: rate / 8, burst: burst.ok_or_else(too_long)? }))
        }
    }
}

fn networks(fields: &Fields<'_>, key: &str) -> Result<Vec<ipnet::IpNet>, ConfError> {
    let list = fields.list(key)?.unwrap_or_default();
    list.iter().map(|field| field.net().map(|network| network.trunc())).collect()
}

/// As the link is, or as our own driver is about to make it.
fn mtu(link: &LinkRef, subject: &Subject<'_>, facts: &Facts) -> u32 {
    let made = subject.steps.iter().find_map(|step| match &step.action {
        Action::Link(made) if made.link == *link => made.mtu,
        _ => None,
    });
    made.or_else(|| facts.get(link).map(|facts| facts.mtu)).unwrap_or(DEFAULT_MTU)
}

fn redirection(subject: &Subject<'_>) -> LinkRef {
    let place = subject.host.map_or(Place::Container, |host| host.place);
    LinkRef { place, name: redirection_name(subject.id) }
}

/// The name of the link that packets of an attachment are redirected to. That of `eth0` is the
/// reference plugin's, which has no interface in it, so that either of us finds the other's;
/// that of another interface has the interface in it, so that two of a container do not clash.
pub fn redirection_name(id: &AttachmentId) -> String {
    // An id that the book has for a plugin behind others has a mark after the interface.
    let ifname = id.ifname.split(':').next().unwrap_or_default();
    let mut text = format!("{}{}", id.network, id.container);
    if ifname != FIRST {
        text = format!("{text}/{ifname}");
    }
    let digest: [u8; 64] = Sha512::digest(text).into();
    let digits = names::hex(&digest);
    format!("bwp{}", digits.get(..12).unwrap_or_default())
}

/// The link that packets are redirected to.
pub(crate) fn ifb_step(link: &LinkRef, id: &AttachmentId, mtu: Option<u32>) -> Step {
    Step::owned(Action::Link(Link {
        link: link.clone(),
        kind: LinkKind::Ifb,
        mtu,
        mac: Some(names::redirection_mac(id)),
        alias: Some(names::key(id)),
        port: None,
        promisc: None,
        up: true,
    }))
}

/// What the reference plugin made for an attachment whose end on the host is `host`, to be undone
/// by a DEL: it has no alias, and so is told from ours.
pub fn left_by_reference(id: &AttachmentId, host: Option<&LinkRef>) -> Vec<Step> {
    let first = AttachmentId { ifname: FIRST.to_owned(), ..id.clone() };
    let ifb = LinkRef::host(redirection_name(&first));
    let nothing = Sparing::default();
    let on_host = host.into_iter().flat_map(|host| {
        let (link, to, sparing) = (host.clone(), ifb.name.clone(), nothing.clone());
        let redirect = Action::Redirect(Redirect { link, to, sparing });
        let (link, sparing) = (host.clone(), nothing.clone());
        let shape = Action::Shape(Shape { link, rate: 1, burst: 1, limit: 1, sparing });
        [Step::owned(shape), Step::owned(redirect)]
    });
    let mut steps: Vec<Step> = on_host.collect();
    let Step { owner, mut action } = ifb_step(&ifb, id, None);
    if let Action::Link(link) = &mut action {
        (link.alias, link.mac) = (None, None);
    }
    steps.push(Step { owner, action });
    steps
}
