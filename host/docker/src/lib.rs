//! Docker's container network model (CNM): what dockerd sends to a remote network driver and a
//! remote IPAM driver, and what that means for networks and attachments of ours.
//!
//! Pure: requests and what is known come in, configurations and answers go out. It must never do
//! I/O, and decides on no address. A network of Docker's is one of ours, with a configuration made
//! from its options; an endpoint is an attachment. Start reading at [`Network::read`], then
//! [`Pool::read`]; the messages themselves are in [`wire`].
#![forbid(unsafe_code)]

mod ids;
mod network;
mod options;
mod pool;
mod ports;
pub mod wire;

pub use ids::{Id, SPACES, interface};
pub use network::{Network, Subnet};
pub use pool::{Pool, Wanted};
pub use ports::{Choice, choices, mappings};

/// What Docker asks for cannot be; the text is for its user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Shorthand: a refusal with this text.
pub(crate) fn refuse<T>(text: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(text.into()))
}
