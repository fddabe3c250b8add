//! DHCPv4 leases (RFC 2131): what is asked of a server, what it answers, and how far a lease has
//! come. A state machine without sockets and without a clock: packets and times come in, packets
//! go out.
//!
//! It must never do I/O, and never trust what it hears: a server's answer is a stranger's bytes.
//! Start reading at [`Client`]; `message` has the wire's form, `packet` what is around it.
#![forbid(unsafe_code)]

mod asked;
mod client;
mod dice;
mod lease;
mod message;
mod packet;

pub use asked::{Asked, client_id};
pub use client::{Client, Outgoing, Resend, So, Step, Why};
pub use lease::{Lease, Route, Times};

/// A link's address.
pub type Hardware = [u8; 6];
