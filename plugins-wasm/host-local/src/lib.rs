//! The built-in IPAM component: configuration and choices of the reference plugin `host-local`.
//!
//! It only chooses; the host keeps the book. What is released, checked and collected needs no
//! plugin. Start reading at [`choose::allocate`]; [`config`] reads the configuration, [`net`]
//! has the arithmetic. All of it but the thin `guest` is plain Rust, tested natively.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

pub mod choose;
pub mod config;
pub mod json;
pub mod net;

#[cfg(target_family = "wasm")]
mod guest;
