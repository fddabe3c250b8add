//! Who holds which address, in this network and those that share its address space: the host's
//! own book, which plugins read and none can break. For [`allocate`](crate::Ipam::allocate)
//! alone; what it takes and does not return in the lease stays free.

use std::net::IpAddr;

use crate::host;
use crate::{AttachmentId, Failure, Range};

/// An address that cannot be taken; with `?` it is a [conflict](crate::Reason::Conflict).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub address: IpAddr,
    /// Why.
    pub why: Refusal,
}

/// Why an address cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Another attachment holds it.
    Held(AttachmentId),
    /// The operator reserved it, or a stranger answers to it: the text says which.
    Reserved(String),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let address = refused.address;
        match refused.why {
            Refusal::Held(id) => Self::conflict(format!("{address} is held by {id}")),
            Refusal::Reserved(why) => Self::conflict(format!("{address} is reserved: {why}")),
        }
    }
}

/// Takes this address. One that the attachment holds already, or that rests after its release, is
/// granted.
pub fn take(address: IpAddr) -> Result<(), Refused> {
    host::take(address).map_err(|why| Refused { address, why })
}

/// Takes a free address of the ranges, less the excluded ones; none where all are taken. The
/// search goes up from `start` (itself included), range after range, and wraps round once;
/// without a `start` within the ranges, from above the last one taken. First of all comes what
/// the attachment holds from an earlier ADD: asked again, it gets the same. Last come addresses
/// that rest, then those that are remembered. The cost grows with the number of ranges, not with
/// their size.
pub fn take_free(ranges: &[Range], excluded: &[Range], start: Option<IpAddr>) -> Option<IpAddr> {
    host::take_free(ranges, excluded, start)
}

/// What was last remembered for `identity`, in its lease's order: not taken by this, and perhaps
/// held by somebody else.
pub fn remembered(identity: &str) -> Vec<IpAddr> {
    host::remembered(identity)
}

/// Remembers the addresses of this call's lease for `identity` (any name, a pod's say) in place
/// of earlier ones: past release and reboot, until an operator forgets them.
pub fn remember(identity: &str) {
    host::remember(identity);
}

/// How full ranges are. Counts stop at 2^53.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Addresses in the ranges.
    pub total: u64,
    /// Held by attachments.
    pub held: u64,
    /// Resting after a release.
    pub resting: u64,
    /// Kept for an identity that does not hold them now.
    pub remembered: u64,
}

/// How full these ranges are now: to choose between pools by. Unlike what is taken it is not held
/// on to: others may take an address before this call lands.
pub fn usage(ranges: &[Range]) -> Usage {
    host::usage(ranges)
}
