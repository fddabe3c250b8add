//! Whole-program tests: the finished executable in real namespaces, under real runtimes.
//!
//! A [`World`] is a machine to be thrown away: a network namespace that stands for the host, with
//! its own run, state and configuration directories. Containers are namespaces too. Nothing of
//! the machine that runs the tests is touched. Start reading at [`World`], then [`Call`].
//!
//! A failure here is a failed test, so this crate panics, with the place of the caller.
#![forbid(unsafe_code)]
#![expect(clippy::panic, reason = "a failed expectation is a failed test")]

mod call;
mod chance;
mod cluster;
mod containerd;
mod deployed;
mod kube;
mod lan;
mod languages;
mod look;
mod mounts;
mod netns;
mod picture;
mod rootfs;
pub mod side;
mod site;
mod subject;
mod words;
mod world;

pub use call::{Call, Failure, Output};
pub use chance::Chance;
pub use cluster::{Agent, Cluster, Peer, Segment, assert_all_reach};
pub use containerd::Containerd;
pub use deployed::{Deployed, Wanted};
pub use kube::{Kube, Pod};
pub use lan::{Lan, Renewer};
pub use languages::{Language, pod};
pub use look::{Link, strings};
pub use mounts::Mounts;
pub use netns::{Netns, run, try_run};
pub use picture::Picture;
pub use site::Site;
pub use subject::{
    NAMES, Subject, cri_client, executable, need_root, packed, reference, workspace,
};
pub use words::{eventually, must};
pub use world::{Attached, Container, World, merge};
