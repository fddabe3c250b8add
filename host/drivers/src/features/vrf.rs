//! `vrf`: the container's link belongs to a VRF, which is made where it is not there.

use wharfinger_cni::Attach;
use wharfinger_cni::conf::Fields;
use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Member, Step};

use super::{Subject, refuse_near_misses};
use crate::{Error, Facts, PlanError, read};

pub(crate) const KEYS: &[&str] = &["vrfname", "table"];

/// The configuration of `vrf`.
#[derive(Debug, Clone, PartialEq)]
pub struct Vrf {
    name: String,
    /// None for the VRF's own, or the lowest that no VRF has.
    table: Option<u32>,
}

impl Vrf {
    pub(crate) fn parse(fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        refuse_near_misses(fields, call, KEYS)?;
        let name = fields.str("vrfname")?.unwrap_or_default();
        if !read::is_link_name(name) {
            let allowed = "the name of a link: 1 to 15 bytes, no '/', ':' or white space";
            return Err(fields.error("vrfname", allowed).into());
        }
        let table = fields.u32("table")?.filter(|table| *table != 0);
        Ok(Some(Self { name: name.to_owned(), table }))
    }

    pub(crate) fn plan(
        &self,
        subject: &Subject<'_>,
        facts: &Facts,
    ) -> Result<Vec<Step>, PlanError> {
        let vrfs = &facts.routing.vrfs;
        let there = vrfs.iter().find(|(name, _)| *name == self.name).map(|(_, table)| *table);
        let table = match (there, self.table) {
            (Some(there), Some(wanted)) if there != wanted => {
                let what = format!("VRF {} is there with table {there}, not {wanted}", self.name);
                return Err(PlanError::Unfit { feature: "vrf", what });
            }
            (Some(there), _) => there,
            (None, Some(wanted)) => wanted,
            (None, None) => {
                let is_free = |table: &u32| vrfs.iter().all(|(_, taken)| taken != table);
                (1..u32::MAX).find(is_free).unwrap_or(u32::MAX)
            }
        };
        let member = Member { link: subject.inside.clone(), vrf: self.name.clone() };
        Ok(vec![Step::owned(Action::Link(self.link(table))), Step::owned(Action::Member(member))])
    }

    /// It goes with the last link that belongs to it.
    fn link(&self, table: u32) -> Link {
        Link {
            link: LinkRef::container(&self.name),
            kind: LinkKind::Vrf { table },
            mtu: None,
            mac: None,
            alias: None,
            port: None,
            promisc: None,
            up: true,
        }
    }
}
