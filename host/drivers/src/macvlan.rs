//! `macvlan`: the container's link is a station of its own on the segment of a link of the host.

use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Dns, Success};
use wharfinger_plan::{
    Action, Link, LinkFacts, LinkKind, LinkRef, Mac, Macvlan as Kind, MacvlanMode, Place, Plan,
    Query, Route, Step, Sysctl,
};

use crate::draft::Draft;
use crate::lease::{Family, Lease};
use crate::read::Mtu;
use crate::segment::{self, Master, Probing};
use crate::wire::{self, Wire};
use crate::{Error, Facts, PlanError, names, read};

pub(crate) const KEYS: &[&str] = &[
    "master",
    "mode",
    "mtu",
    "mtuFrom",
    "mac",
    "linkInContainer",
    "bcqueuelen",
    "hostAccess",
    "probe",
];

/// The number of `ip route` for the scope of a link.
const SCOPE_LINK: u8 = 253;

/// The configuration of `macvlan`; the keys are the reference plugin's, and ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Macvlan {
    master: Master,
    mode: MacvlanMode,
    mtu: Mtu,
    mac: Option<Mac>,
    bcqueuelen: Option<u32>,
    host_access: bool,
    probing: Probing,
    has_ipam: bool,
    dns: Option<Dns>,
}

impl Macvlan {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        let mac = read::mac_or_key(call)?;
        let conf = Self {
            master: Master::parse(fields)?,
            mode: mode(fields)?,
            mtu: Mtu::parse(fields)?,
            mac,
            bcqueuelen: fields.u32("bcqueuelen")?.filter(|packets| *packets != 0),
            host_access: read::switch(fields, "hostAccess")?,
            probing: Probing::parse(fields, call)?,
            has_ipam: read::has_ipam(fields)?,
            dns: read::dns(fields)?,
        };
        conf.check(fields)?;
        Ok(conf)
    }

    /// The host is reached by a station of its own on the same master, and so only where stations
    /// reach each other.
    fn check(&self, fields: &Fields<'_>) -> Result<(), ConfError> {
        if !self.host_access {
            return Ok(());
        }
        let refuse = |allowed: &str| Err(fields.error("hostAccess", allowed));
        match (self.mode, self.master.is_inside(), self.has_ipam) {
            (MacvlanMode::Bridge, false, true) => Ok(()),
            (MacvlanMode::Bridge, false, false) => refuse("false, or ipam beside it"),
            (MacvlanMode::Bridge, true, _) => refuse("false, or a master of the host"),
            _ => refuse("false, or mode bridge: in the others stations do not reach each other"),
        }
    }

    pub(crate) fn has_ipam(&self) -> bool {
        self.has_ipam
    }

    pub(crate) fn domain(&self) -> String {
        self.master.domain()
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        segment::observes(id, &self.master, &self.mtu)
    }

    pub(crate) fn asks(&self) -> Option<Query> {
        self.master.asks()
    }

    pub(crate) fn check_facts(&self, id: &AttachmentId, facts: &Facts) -> Result<(), PlanError> {
        segment::check_facts(id, &self.master, &self.mtu, facts)
    }

    pub(crate) fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        answer: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        let lease = self.lease(answer)?;
        let (master, mtu) = (self.master.of(facts)?, self.mtu.of(facts)?);
        wire::carries(mtu.or(Some(master.mtu)), &lease)?;
        let wire = Wire::new(id, domain);
        let mut steps = self.host_side(master, &lease)?;
        let link = segment::link(id, self.kind(master), mtu, self.mac(id));
        steps.extend(segment::steps(&wire, link, &lease, self.probing, None));
        Ok(Draft::new(Plan::new(steps), vec![wire.inside], lease))
    }

    fn lease(&self, answer: &Success) -> Result<Lease, PlanError> {
        let lease = if self.has_ipam { Lease::new(answer)? } else { Lease::default() };
        Ok(lease.with_dns(self.dns.as_ref()))
    }

    fn kind(&self, master: &LinkFacts) -> LinkKind {
        LinkKind::Macvlan(Kind {
            master: master.link.clone(),
            mode: self.mode,
            bcqueuelen: self.bcqueuelen,
        })
    }

    /// In passthru it is the master's, unless another is asked for.
    fn mac(&self, id: &AttachmentId) -> Option<Mac> {
        match self.mode {
            MacvlanMode::Passthru => self.mac,
            _ => Some(self.mac.unwrap_or_else(|| names::container_mac(id))),
        }
    }

    /// A station of the host's, and by it the way to the container.
    fn host_side(&self, master: &LinkFacts, lease: &Lease) -> Result<Vec<Step>, PlanError> {
        if !self.host_access {
            return Ok(Vec::new());
        }
        if !lease.has(Family::V4) {
            return Err(PlanError::NoHostAccess);
        }
        let host = LinkRef::host(names::station_name(&master.link.name));
        let kind = LinkKind::Macvlan(Kind {
            master: master.link.clone(),
            mode: MacvlanMode::Bridge,
            bcqueuelen: None,
        });
        let station = Link {
            link: host.clone(),
            kind,
            mtu: None,
            mac: None,
            alias: None,
            port: None,
            promisc: None,
            up: true,
        };
        let mut steps = vec![
            Step::shared(Action::Link(station)),
            Step::shared(wire::ignore_advertisements(&host)),
            // Only containers are answered here: to all others the master answers.
            Step::shared(Action::Sysctl(Sysctl {
                place: Place::Host,
                key: format!("net/ipv4/conf/{}/arp_filter", host.name),
                value: "1".to_owned(),
                optional: false,
            })),
        ];
        steps.extend(ways(&host, lease));
        Ok(steps)
    }

    /// What may be left of the host's side by an attachment of which nothing but its addresses is
    /// known.
    pub(crate) fn leftovers(&self, lease: &Lease) -> Vec<Step> {
        match &self.master.name {
            Some(master) if self.host_access => {
                ways(&LinkRef::host(names::station_name(master)), lease).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The way to each IPv4 address, by the host's own station.
fn ways<'a>(host: &'a LinkRef, lease: &'a Lease) -> impl Iterator<Item = Step> + 'a {
    let v4 = lease.addresses().into_iter().filter(|ip| Family::of(ip.addr()) == Family::V4);
    v4.map(|address| {
        let way = Route::new(host.clone(), address.addr().into());
        Step::owned(Action::Route(Route { scope: Some(SCOPE_LINK), ..way }))
    })
}

fn mode(fields: &Fields<'_>) -> Result<MacvlanMode, ConfError> {
    match fields.str("mode")? {
        None | Some("" | "bridge") => Ok(MacvlanMode::Bridge),
        Some("private") => Ok(MacvlanMode::Private),
        Some("vepa") => Ok(MacvlanMode::Vepa),
        Some("passthru") => Ok(MacvlanMode::Passthru),
        Some(_) => Err(fields.error("mode", "bridge, private, vepa or passthru")),
    }
}
