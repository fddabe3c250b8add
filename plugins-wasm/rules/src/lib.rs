//! The built-in policy `rules`: what most people need without code, as data.
//!
//! Rules match an attachment by what it asks for, and deny it or set parts of its network
//! configuration; quotas count what each namespace has. It only decides; the host holds a patch to
//! what a policy may amend, and keeps the book that quotas are counted in. Start reading at
//! [`decide`]. All of it but the thin `guest` is plain Rust, tested natively.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

pub mod config;
pub mod decide;
pub mod facts;
mod glob;
mod json;
mod message;
mod net;
pub mod plan;
pub mod quota;
mod set;
mod test;
mod when;

#[cfg(target_family = "wasm")]
mod guest;
