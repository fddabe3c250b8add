//! `ipvlan`: the container's link shares the MAC address of a link of the host. It may stand on the
//! one interface that a plugin before it made, and have its addresses.

use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Dns, Success};
use wharfinger_plan::{
    Action, Ipvlan as Kind, IpvlanMode, LinkFacts, LinkKind, LinkRef, Plan, Query,
};

use crate::draft::Draft;
use crate::lease::Lease;
use crate::read::Mtu;
use crate::segment::{self, Master, Probing};
use crate::wire::{self, Wire};
use crate::{Error, Facts, PlanError, read};

pub(crate) const KEYS: &[&str] = &["master", "mode", "mtu", "mtuFrom", "linkInContainer", "probe"];

/// The configuration of `ipvlan`; the keys are the reference plugin's, and ours.
#[derive(Debug, Clone, PartialEq)]
pub struct Ipvlan {
    master: Master,
    mode: IpvlanMode,
    mtu: Mtu,
    probing: Probing,
    has_ipam: bool,
    /// What the plugins before it made.
    prev: Option<Success>,
    dns: Option<Dns>,
}

impl Ipvlan {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        let mut master = Master::parse(fields)?;
        let prev = call.prev_result.clone();
        if let (None, Some(prev)) = (&master.name, &prev) {
            master.name = Some(only_interface(fields, prev)?);
        }
        Ok(Self {
            master,
            mode: mode(fields)?,
            mtu: Mtu::parse(fields)?,
            probing: Probing::parse(fields, call)?,
            has_ipam: read::has_ipam(fields)?,
            prev,
            dns: read::dns(fields)?,
        })
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
        if !self.has_ipam && self.taken_over().is_none() {
            return Err(PlanError::NoAddresses);
        }
        segment::check_facts(id, &self.master, &self.mtu, facts)
    }

    pub(crate) fn plan(
        &self,
        id: &AttachmentId,
        domain: &str,
        answer: &Success,
        facts: &Facts,
    ) -> Result<Draft, PlanError> {
        let lease = match self.taken_over() {
            Some(prev) if !self.has_ipam => Lease::new(prev)?,
            _ => Lease::new(answer)?,
        };
        let lease = lease.with_dns(self.dns.as_ref());
        let (master, mtu) = (self.master.of(facts)?, self.mtu.of(facts)?);
        wire::carries(mtu.or(Some(master.mtu)), &lease)?;
        let wire = Wire::new(id, domain);
        let link = segment::link(id, self.kind(master), mtu, None);
        // Of frames to the common address only the master hears those that are about nobody's.
        let (probing, on) = match self.mode {
            // What is taken over may be there already, and is.
            IpvlanMode::L2 if !self.has_ipam => (Probing::NONE, None),
            IpvlanMode::L2 => (self.probing, Some(&master.link)),
            IpvlanMode::L3 | IpvlanMode::L3s => (Probing::NONE, None),
        };
        let mut steps = segment::steps(&wire, link, &lease, probing, on);
        if self.mode != IpvlanMode::L2 {
            steps.retain(|step| !matches!(step.action, Action::Announce(_)));
        }
        let draft = Draft::new(Plan::new(steps), vec![wire.inside], lease);
        Ok(if self.has_ipam { draft } else { draft.instead() })
    }

    /// The addresses of the plugin before it.
    fn taken_over(&self) -> Option<&Success> {
        self.prev.as_ref().filter(|prev| !prev.ips.is_empty())
    }

    fn kind(&self, master: &LinkFacts) -> LinkKind {
        LinkKind::Ipvlan(Kind { master: master.link.clone(), mode: self.mode })
    }
}

fn only_interface(fields: &Fields<'_>, prev: &Success) -> Result<String, ConfError> {
    match prev.interfaces.as_slice() {
        [only] if read::is_link_name(&only.name) => Ok(only.name.clone()),
        all => {
            let allowed = format!("a link's name: prevResult has {} interfaces", all.len());
            Err(fields.error("master", allowed))
        }
    }
}

fn mode(fields: &Fields<'_>) -> Result<IpvlanMode, ConfError> {
    match fields.str("mode")? {
        None | Some("" | "l2") => Ok(IpvlanMode::L2),
        Some("l3") => Ok(IpvlanMode::L3),
        Some("l3s") => Ok(IpvlanMode::L3s),
        Some(_) => Err(fields.error("mode", "l2, l3 or l3s")),
    }
}
