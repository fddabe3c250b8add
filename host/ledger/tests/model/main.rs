//! A cluster in one process: thousands of nodes on one store that delays, reorders and loses what
//! it is asked, in an order that a seed decides. A failure names its seed; `WHARFINGER_MODEL_SEED`
//! runs that seed alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod check;
mod claims;
mod store;
mod turns;
