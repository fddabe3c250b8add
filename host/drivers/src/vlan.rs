//! `vlan`: the container's link is the frames of a link of the host that have a tag.

use wharfinger_cni::conf::{ConfError, Fields};
use wharfinger_cni::{Attach, AttachmentId, Dns, Success};
use wharfinger_plan::{LinkKind, LinkRef, Plan, Vlan as Kind};

use crate::draft::Draft;
use crate::lease::Lease;
use crate::read::Mtu;
use crate::segment::{self, Master, Probing};
use crate::wire::{self, Wire};
use crate::{Error, Facts, PlanError, read};

pub(crate) const KEYS: &[&str] =
    &["master", "vlanId", "mtu", "mtuFrom", "linkInContainer", "probe"];

/// The configuration of `vlan`; the keys are the reference plugin's, and ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    master: Master,
    id: u16,
    mtu: Mtu,
    probing: Probing,
    dns: Option<Dns>,
}

impl Vlan {
    pub(crate) fn parse(call: &Attach) -> Result<Self, Error> {
        let fields = &call.conf.fields();
        read::refuse_near_misses(call, KEYS)?;
        read::require_ipam(fields, "vlan")?;
        let master = Master::parse(fields)?;
        if master.name.is_none() {
            return Err(fields.error("master", "a link's name").into());
        }
        Ok(Self {
            master,
            id: tag(fields, "vlanId")?,
            mtu: Mtu::parse(fields)?,
            probing: Probing::parse(fields, call)?,
            dns: read::dns(fields)?,
        })
    }

    /// Each tag is a segment.
    pub(crate) fn domain(&self) -> String {
        format!("{}.{}", self.master.domain(), self.id)
    }

    pub(crate) fn observes(&self, id: &AttachmentId) -> Vec<LinkRef> {
        segment::observes(id, &self.master, &self.mtu)
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
        let lease = Lease::new(answer)?.with_dns(self.dns.as_ref());
        let (master, mtu) = (self.master.of(facts)?, self.mtu.of(facts)?);
        wire::carries(mtu.or(Some(master.mtu)), &lease)?;
        let wire = Wire::new(id, domain);
        let kind = LinkKind::Vlan(Kind { master: master.link.clone(), id: self.id });
        let link = segment::link(id, kind, mtu, None);
        let steps = segment::steps(&wire, link, &lease, self.probing, None);
        Ok(Draft::new(Plan::new(steps), vec![wire.inside], lease))
    }
}

/// 0 to 4094; 0 where it is not set.
pub(crate) fn tag(fields: &Fields<'_>, key: &str) -> Result<u16, ConfError> {
    let number = fields.i64(key)?.unwrap_or(0);
    let tag = u16::try_from(number).ok().filter(|tag| *tag <= 4094);
    tag.ok_or_else(|| fields.error(key, "a whole number from 0 to 4094"))
}
