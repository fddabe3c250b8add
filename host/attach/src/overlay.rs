//! Who is where on overlays, told to this node's kernel: what the agent does of them.
//!
//! It hears of each block of the cluster's book that changes ([`Overlays::seen`]), and tells the
//! kernel of networks that this node has a container on. A network begins with a resync, and so
//! does one of which the kernel refused a change; otherwise changes go one by one. That a
//! segment's links are not there yet is no failure: an attachment is in the book before it is made.
//! What the kernel knows stays when the agent ends.

use std::collections::{BTreeMap, BTreeSet};

use wharfinger_kernel::Kernel;
use wharfinger_ledger::Ledger;
use wharfinger_ledger::cluster::Whereabouts;
use wharfinger_plan::{PeerChange, Peers, Segment};

use crate::Error;

/// The overlays of one node.
#[derive(Debug)]
pub struct Overlays {
    all: Whereabouts,
    /// Networks of which this node has a container.
    here: BTreeMap<String, Known>,
}

/// What is known of a network's segment.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum Known {
    /// All that the kernel knows is to be compared first.
    #[default]
    Nothing,
    /// Its links; the kernel knows all.
    Told(Segment),
    /// Nodes find each other by themselves.
    Alone,
}

impl Overlays {
    /// Of the node of this name; nothing was heard yet.
    pub fn new(node: &str) -> Self {
        Self { all: Whereabouts::new(node), here: BTreeMap::new() }
    }

    /// All blocks as they are now, after which [`Overlays::seen`] tells what changes: whatever was
    /// known before counts no more. Blocks that cannot be read are left out, and told.
    pub fn begin<'a>(
        &mut self,
        blocks: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Vec<String> {
        self.all = Whereabouts::new(self.all.node());
        let mut unreadable = Vec::new();
        for (key, value) in blocks {
            let done = self.all.put(key, Some(value));
            unreadable.extend(done.err().map(|error| format!("{key}: {error}")));
        }
        self.here = self.all.here().into_iter().map(|network| (network, Known::Nothing)).collect();
        unreadable
    }

    /// A block says this now, or is gone. What is to be told to the kernel is told at once, where
    /// the segment is known; the answer is what could not be.
    pub fn seen(&mut self, kernel: &dyn Kernel, key: &str, value: Option<&str>) -> Vec<String> {
        let changes = match self.all.put(key, value) {
            Ok(changes) => changes,
            Err(error) => return vec![format!("{key}: {error}")],
        };
        let mut failures = self.follow(kernel);
        for (network, changes) in changes {
            failures.extend(self.tell(kernel, &network, &changes).err());
        }
        failures
    }

    /// Networks come and go with this node's containers. Of one that went the kernel knows nobody any
    /// more, though its links stay.
    fn follow(&mut self, kernel: &dyn Kernel) -> Vec<String> {
        let here: BTreeSet<String> = self.all.here();
        let gone: Vec<(String, Known)> =
            self.here.extract_if(.., |network, _| !here.contains(network)).collect();
        for network in here {
            self.here.entry(network).or_default();
        }
        let forget = |(network, known)| {
            let Known::Told(segment) = known else { return None };
            let forgotten = kernel.resync_peers(&segment, &Peers::default());
            let failed = forgotten.err().filter(|error| !error.is_no_link());
            failed.map(|error| format!("overlay {network}: {error}"))
        };
        gone.into_iter().filter_map(forget).collect()
    }

    fn tell(
        &mut self,
        kernel: &dyn Kernel,
        network: &str,
        changes: &[PeerChange],
    ) -> Result<(), String> {
        let Some(known) = self.here.get_mut(network) else { return Ok(()) };
        let Known::Told(segment) = known else { return Ok(()) };
        kernel.change_peers(segment, changes).map_err(|error| {
            // Nobody knows what of them was done.
            *known = Known::Nothing;
            format!("overlay {network}: {error}")
        })
    }

    /// Brings the kernel to what is known, for each network of which it is not known to be so;
    /// answers what failed. Networks whose links are not there yet are tried again at the next
    /// call, and are no failure.
    pub fn settle(&mut self, kernel: &dyn Kernel, ledger: &dyn Ledger) -> Vec<String> {
        let mut failures = Vec::new();
        for (network, known) in self.here.iter_mut().filter(|(_, known)| **known == Known::Nothing)
        {
            match resync(kernel, ledger, &self.all, network) {
                Ok(found) => *known = found,
                Err(error) => failures.push(format!("overlay {network}: {error}")),
            }
        }
        failures
    }

    /// Compares everything anew at the next [`Overlays::settle`]: somebody else may have changed
    /// what the kernel knows.
    pub fn doubt(&mut self) {
        for known in self.here.values_mut() {
            *known = Known::Nothing;
        }
    }

    /// Whether a network waits for [`Overlays::settle`].
    pub fn is_settled(&self) -> bool {
        self.here.values().all(|known| *known != Known::Nothing)
    }
}

/// Nothing is known where the links are not there yet.
fn resync(
    kernel: &dyn Kernel,
    ledger: &dyn Ledger,
    all: &Whereabouts,
    network: &str,
) -> Result<Known, Error> {
    let entries = ledger.list(Some(network))?;
    let mut plans = entries.iter().map(|entry| &entry.record.plan);
    let Some(plan) = plans.find(|plan| plan.overlay().is_some()) else {
        return Ok(Known::Nothing);
    };
    let Some(segment) = plan.segment() else { return Ok(Known::Alone) };
    match kernel.resync_peers(&segment, &all.peers(network)) {
        Ok(_) => Ok(Known::Told(segment)),
        Err(error) if error.is_no_link() => Ok(Known::Nothing),
        Err(error) => Err(error.into()),
    }
}
