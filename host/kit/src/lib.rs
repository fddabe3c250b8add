//! For those who write plugins and those who run them: one call by hand, a recorded call again,
//! how long calls take, and the conformance checks.
//!
//! All of it runs without root, against a ledger in memory; it must never touch the node. Plugins
//! come in as the traits of the engine, so that the checks are tested without it. Start reading at
//! [`conform::ipam`] and [`conform::policy`].
#![forbid(unsafe_code)]

pub mod bench;
pub mod conform;
mod dice;
pub mod once;
pub mod replay;
mod sim;

use std::time::{Duration, Instant};

use wharfinger_attach::SessionBook;
use wharfinger_ledger::{Owner, Session};
use wharfinger_wasm::record::{Answer, Call, Import, Recorder};
use wharfinger_wasm::{Book, Ipam, Node, Policy};

/// Whose store it is.
fn owner() -> Owner {
    Owner::of_network("kit", "plugin")
}

/// The ledger of a session, as plugins see it.
fn book<'a, 'l>(session: &'a mut (dyn Session + 'l)) -> SessionBook<'a, 'l> {
    SessionBook::new(session, owner())
}

/// A plugin of either world.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// World `ipam-plugin`.
    Ipam(&'a dyn Ipam),
    /// World `policy-plugin`.
    Policy(&'a dyn Policy),
}

/// A call that was made.
#[derive(Debug)]
pub struct Made {
    /// What it came to.
    pub answer: Answer,
    /// What the plugin asked back.
    pub imports: Vec<Import>,
    /// How long it took.
    pub took: Duration,
}

impl Target<'_> {
    /// Its name and digest.
    pub fn identity(&self) -> &str {
        match self {
            Self::Ipam(plugin) => plugin.identity(),
            Self::Policy(plugin) => plugin.identity(),
        }
    }

    /// Makes a call; the error says that the plugin's world has no such export.
    pub fn make(&self, node: &Node, call: &Call, book: &mut dyn Book) -> Result<Made, String> {
        let mut recorder = Recorder::new(book);
        let began = Instant::now();
        let answer = match self {
            Self::Ipam(plugin) => of_ipam(*plugin, node, call, &mut recorder),
            Self::Policy(plugin) => of_policy(*plugin, node, call, &mut recorder),
        };
        let took = began.elapsed();
        let answer = answer.ok_or_else(|| {
            let export = call.export();
            format!("{} is of a world without {export:?}", self.identity())
        })?;
        Ok(Made { answer, took, imports: recorder.imports() })
    }
}

fn of_ipam(plugin: &dyn Ipam, node: &Node, call: &Call, book: &mut dyn Book) -> Option<Answer> {
    Some(match call {
        Call::Validate { config } => {
            Answer::of(&plugin.validate(node, config), |all| Answer::Problems(all.clone()))
        }
        Call::Pools { config } => {
            Answer::of(&plugin.pools(node, config), |all| Answer::Pools(all.clone()))
        }
        Call::Allocate { request } => {
            let lease = plugin.allocate(node, request, book);
            Answer::of(&lease, |lease| Answer::Lease(lease.clone()))
        }
        Call::Released { config, attachment, lease } if plugin.remote() => {
            let done = plugin.released(node, config, attachment, lease.as_ref(), book);
            Answer::of(&done, |()| Answer::Released(()))
        }
        Call::Released { .. } | Call::Admit { .. } | Call::Review { .. } => return None,
    })
}

fn of_policy(plugin: &dyn Policy, node: &Node, call: &Call, book: &mut dyn Book) -> Option<Answer> {
    let said = match call {
        Call::Validate { config } => {
            let problems = plugin.validate(node, config);
            return Some(Answer::of(&problems, |all| Answer::Problems(all.clone())));
        }
        Call::Admit { request } => plugin.admit(node, request, book),
        Call::Review { request, plan, result } => plugin.review(node, request, plan, result, book),
        Call::Pools { .. } | Call::Allocate { .. } | Call::Released { .. } => return None,
    };
    Some(Answer::of(&said, |verdict| Answer::Verdict(verdict.clone())))
}
