//! Write an IPAM or a policy plugin of [wharfinger](https://github.com/wharfinger/wharfinger) in
//! Rust: a component that decides which addresses an attachment gets, or whether there may be one.
//!
//! A plugin is its configuration: a type that serde reads, and that answers.
//!
//! ```
//! use serde::Deserialize;
//! use wharfinger_sdk::{Failure, Ipam, Lease, Pool, Request, Subnet, export_ipam};
//!
//! #[derive(Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct OnePool {
//!     pool: Subnet,
//! }
//!
//! impl Ipam for OnePool {
//!     fn pools(&self) -> Result<Vec<Pool>, Failure> {
//!         Ok(vec![self.pool.pool()])
//!     }
//!
//!     fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
//!         let leased = match request.wanted.first() {
//!             Some(wanted) => self.pool.take(*wanted)?,
//!             None => self.pool.take_free()?,
//!         };
//!         Ok(Lease::of([leased]))
//!     }
//! }
//!
//! export_ipam!(OnePool);
//!
//! // In a unit test a host in memory answers.
//! # #[cfg(not(target_family = "wasm"))] {
//! # use wharfinger_sdk::{Attachment, testing::Host};
//! # use serde_json::json;
//! let mut host = Host::new();
//! let web = Attachment::new("pods", "web", "eth0");
//! let lease = host.add::<OnePool>(&json!({"pool": {"subnet": "10.1.0.0/24"}}), &web).unwrap();
//! assert_eq!(lease.addresses[0].address.to_string(), "10.1.0.2/24");
//! # }
//! ```
//!
//! All calls of one ADD are one transaction of the host: a failure, a panic or a missed deadline
//! leaves nothing behind. After a conflict with another node the host calls again. Each call may
//! meet a fresh instance: a plugin depends on its arguments and on what [`ledger`], [`store`] and
//! [`node`] answer, and keeps nothing itself. What it prints or panics with reaches the log.
//!
//! Start reading at [`Ipam`] or [`Policy`].

mod address;
mod attachment;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod call;
mod config;
mod failure;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod guest;
#[cfg(feature = "http")]
pub mod http;
mod ipam;
mod lease;
pub mod ledger;
pub mod log;
pub mod node;
pub mod plan;
mod policy;
pub mod store;
mod subnet;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod workload;

pub use address::Range;
pub use attachment::{Attachment, AttachmentId, Pod};
pub use config::Problem;
pub use failure::{Explain, Failure, Reason};
pub use ipam::{Ipam, Pool, Remote, Request};
pub use ipnet::{self, IpNet};
pub use lease::{Dns, Lease, LeasedAddress, Route};
pub use policy::{Policy, PolicyRequest, Sources, Verdict};
pub use serde_json;
pub use subnet::Subnet;

// Who answers what the plugin asks: the host, or its double.
#[cfg(target_family = "wasm")]
use guest::host;
#[cfg(not(target_family = "wasm"))]
use testing::current as host;

/// Makes the crate an IPAM plugin: `export_ipam!(Plugin)`, where `Plugin` implements [`Ipam`]; or
/// `export_ipam!(Plugin, remote)`, where it implements [`Remote`] too.
#[macro_export]
macro_rules! export_ipam {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::IpamExport<$plugin>;
    $crate::bindings::ipam::export!(Exported with_types_in $crate::bindings::ipam);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = $crate::testing::is_ipam::<$plugin>;
    };
    ($plugin:ty, remote) => {
        $crate::export_ipam!($plugin);
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::IpamExport<$plugin>;
    $crate::bindings::remote::export!(Exported with_types_in $crate::bindings::remote);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = $crate::testing::is_remote::<$plugin>;
    };
}

/// Makes the crate a policy plugin: `export_policy!(Plugin)`, where `Plugin` implements [`Policy`].
#[macro_export]
macro_rules! export_policy {
    ($plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            type Exported = $crate::guest::PolicyExport<$plugin>;
    $crate::bindings::policy::export!(Exported with_types_in $crate::bindings::policy);
        };
        #[cfg(not(target_family = "wasm"))]
        const _: fn() = $crate::testing::is_policy::<$plugin>;
    };
}
