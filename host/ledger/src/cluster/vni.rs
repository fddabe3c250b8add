//! The numbers of segments across nodes: one a network, of the whole cluster.
//!
//! Asked for at each use and never taken from the cache: a number that was given back may be
//! another network's.

use serde::{Deserialize, Serialize};

use super::remote::{Guard, Put};
use super::sending::End;
use super::{ClusterLedger, OwnBook, failed, keys, unavailable};
use crate::Error;

/// Below this people choose numbers in configurations, and others begin to count: Docker's own
/// overlays from 4096, on the same port, and a machine has a number on a port once.
pub const FIRST_VNI: u32 = 65_536;
const LAST: u32 = 0x00ff_ffff;
/// How long a number stays a network's that has no ranges: an attachment may be about to be made.
const KEPT: u64 = 3600;

/// What is known of a network's segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Overlay {
    vni: u32,
    /// Seconds since the Unix epoch.
    since: u64,
}

impl<S: OwnBook> ClusterLedger<S> {
    /// The number of a network's segment: the lowest that is free, where it has none yet.
    pub(super) fn number(&self, network: &str, now: u64, kept: bool) -> Result<u32, Error> {
        let key = keys::overlay(network);
        loop {
            let found = self.remote.get(&[&key], (self.remaining)());
            if let Some(object) = found.map_err(|fault| failed(&fault))?.first() {
                return read(&object.key, &object.value).map(|overlay| overlay.vni);
            }
            let free = self.free_number()?;
            if !kept || self.take_number(free, network, now)? {
                return Ok(free);
            }
            if (self.remaining)().is_zero() {
                return Err(self.contended());
            }
        }
    }

    fn free_number(&self) -> Result<u32, Error> {
        let taken = self.remote.changes(keys::VNIS, 0, (self.remaining)());
        let mut taken: Vec<u32> = taken
            .map_err(|fault| failed(&fault))?
            .objects
            .iter()
            .filter_map(|object| object.key.strip_prefix(keys::VNIS)?.parse().ok())
            .collect();
        taken.sort_unstable();
        let free = (FIRST_VNI..=LAST).find(|vni| taken.binary_search(vni).is_err());
        free.ok_or_else(|| {
            let what = "all numbers of overlays are taken; set \"vni\" in the configuration";
            unavailable(what.to_owned())
        })
    }

    /// False where somebody else chose at the same time.
    fn take_number(&self, vni: u32, network: &str, now: u64) -> Result<bool, Error> {
        let (key, number) = (keys::overlay(network), keys::vni(vni));
        let value = serde_json::json!(Overlay { vni, since: now }).to_string();
        let network = serde_json::json!({ "network": network }).to_string();
        let guards = [&key, &number].map(|key| Guard { key: key.clone(), version: 0 });
        let puts = [Put { key, value: Some(value) }, Put { key: number, value: Some(network) }];
        let sent = self.send_commit(&guards, &puts, &self.remaining);
        match sent.end {
            End::Done => Ok(true),
            End::Conflict(_) => {
                // The number without its network, where the store has no transactions.
                for (Put { key, .. }, version) in sent.written {
                    let guard = Guard { key: key.clone(), version };
                    let gone = self.remote.commit(
                        &[guard],
                        &[Put { key, value: None }],
                        (self.remaining)(),
                    );
                    gone.map_err(|fault| failed(&fault))?;
                }
                Ok(false)
            }
            // Also where it may have been written: the next look tells.
            End::Failed(fault) => Err(failed(&fault)),
        }
    }

    /// Gives back the numbers of networks that have no ranges any more; answers which.
    pub fn free_vnis(&self, now: u64) -> Result<Vec<(String, u32)>, Error> {
        let ranges = self.survey()?.ranges;
        let listed = self.remote.changes(keys::OVERLAYS, 0, (self.remaining)());
        let mut freed = Vec::new();
        for object in listed.map_err(|fault| failed(&fault))?.objects {
            let Some(network) = keys::of_overlay(&object.key) else { continue };
            let overlay = read(&object.key, &object.value)?;
            let is_used = ranges.iter().any(|of| of.network == network && !of.ranges.is_empty());
            if is_used || now < overlay.since.saturating_add(KEPT) {
                continue;
            }
            let guards = [Guard { key: object.key.clone(), version: object.version }];
            let gone = [object.key, keys::vni(overlay.vni)];
            let puts = gone.map(|key| Put { key, value: None });
            if self.send_all(&guards, &puts, &self.remaining)? {
                freed.push((network, overlay.vni));
            }
        }
        Ok(freed)
    }
}

fn read(key: &str, value: &str) -> Result<Overlay, Error> {
    let overlay: Option<Overlay> = serde_json::from_str(value).ok();
    let valid = overlay.filter(|overlay| (1..=LAST).contains(&overlay.vni));
    valid.ok_or_else(|| unavailable(format!("{key} is not as this program writes it: {value:?}")))
}
