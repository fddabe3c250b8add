//! The VLANs of a bridge's port: `vlan`, `vlanTrunk`, `preserveDefaultVlan`.

use std::collections::BTreeSet;

use wharfinger_cni::conf::{ConfError, Field, Fields};
use wharfinger_plan::PortVlan;

use crate::{read, vlan};

/// The VLAN that the kernel gives to every port.
const DEFAULT: u16 = 1;

/// What a port is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PortVlans {
    /// 0: none.
    pub(crate) access: u16,
    trunk: BTreeSet<u16>,
    pub(crate) keep_default: bool,
}

impl PortVlans {
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, ConfError> {
        let mut trunk = BTreeSet::new();
        for item in fields.list("vlanTrunk")?.unwrap_or_default() {
            trunk.extend(ids(&item)?);
        }
        Ok(Self {
            access: vlan::tag(fields, "vlan")?,
            trunk,
            keep_default: read::switch(fields, "preserveDefaultVlan")?,
        })
    }

    /// Whether the bridge has to heed VLANs.
    pub(crate) fn any(&self) -> bool {
        self.access != 0 || !self.trunk.is_empty()
    }

    /// The container's port: the access VLAN, and beside it those of the trunk, tagged. A trunk
    /// alone has the default VLAN for frames without a tag, as the reference gives it.
    pub(crate) fn port(&self) -> Vec<PortVlan> {
        if !self.any() {
            return Vec::new();
        }
        let untagged = if self.access == 0 { DEFAULT } else { self.access };
        let tagged = self.trunk.iter().copied().filter(|id| *id != untagged);
        std::iter::once(plain(untagged)).chain(ranges(tagged)).collect()
    }

    /// The port by which the host is a gateway of the access VLAN.
    pub(crate) fn gateway_port(&self) -> Vec<PortVlan> {
        vec![plain(self.access)]
    }
}

fn plain(id: u16) -> PortVlan {
    PortVlan { first: id, last: id, pvid: true, untagged: true }
}

/// Ids that follow each other are one range.
fn ranges(ids: impl Iterator<Item = u16>) -> Vec<PortVlan> {
    let mut all: Vec<PortVlan> = Vec::new();
    for id in ids {
        match all.last_mut() {
            Some(range) if range.last.checked_add(1) == Some(id) => range.last = id,
            _ => all.push(PortVlan { first: id, last: id, pvid: false, untagged: false }),
        }
    }
    all
}

/// `minID` and `maxID`, `id`, or all three.
fn ids(item: &Field<'_>) -> Result<BTreeSet<u16>, ConfError> {
    let fields = item.object()?;
    let tag = |key: &str| -> Result<Option<u16>, ConfError> {
        if fields.get(key).is_none() {
            return Ok(None);
        }
        match vlan::tag(&fields, key)? {
            0 => Err(fields.error(key, "a whole number from 1 to 4094")),
            id => Ok(Some(id)),
        }
    };
    let mut ids: BTreeSet<u16> = match (tag("minID")?, tag("maxID")?) {
        (Some(min), Some(max)) if min <= max => (min..=max).collect(),
        (Some(_), Some(_)) => return Err(fields.error("maxID", "a number not below minID")),
        (Some(_), None) => return Err(fields.error("maxID", "a number beside minID")),
        (None, Some(_)) => return Err(fields.error("minID", "a number beside maxID")),
        (None, None) => BTreeSet::new(),
    };
    ids.extend(tag("id")?);
    Ok(ids)
}
