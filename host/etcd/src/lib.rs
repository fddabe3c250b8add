//! The cluster's book on etcd.
#![forbid(unsafe_code)]
pub use etcd_client as client;
