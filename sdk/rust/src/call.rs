//! One call of a plugin: configuration in, answer out, the same on Wasm and in unit tests.

use serde_json::Value;

use crate::config;
use crate::{Failure, Ipam, Lease, Policy, Problem, Request};

/// The plugin of this configuration; every problem if there are any.
pub(crate) fn ipam<P: Ipam>(config: &str) -> Result<P, Vec<Problem>> {
    checked(config, P::check)
}

/// As [`ipam`], on the way to another function.
pub(crate) fn ipam_or<P: Ipam>(config: &str) -> Result<P, Failure> {
    ipam(config).map_err(|problems| config::failure(&problems))
}

/// As [`ipam`].
pub(crate) fn policy<P: Policy>(config: &str) -> Result<P, Vec<Problem>> {
    checked(config, P::check)
}

/// As [`ipam_or`].
pub(crate) fn policy_or<P: Policy>(config: &str) -> Result<P, Failure> {
    policy(config).map_err(|problems| config::failure(&problems))
}

fn checked<P: serde::de::DeserializeOwned>(
    config: &str,
    check: impl Fn(&P) -> Vec<Problem>,
) -> Result<P, Vec<Problem>> {
    let plugin = config::read(config).map_err(|problem| vec![problem])?;
    match check(&plugin) {
        problems if problems.is_empty() => Ok(plugin),
        problems => Err(problems),
    }
}

/// A lease with all that was asked for by name, which the host insists on: an author who does not
/// look at it has a plugin that refuses it, and not one that is broken.
pub(crate) fn allocate<P: Ipam>(config: &str, request: &Request) -> Result<Lease, Failure> {
    let lease = ipam_or::<P>(config)?.allocate(request)?;
    let given = |wanted| lease.addresses.iter().any(|leased| leased.address.addr() == wanted);
    match request.wanted.iter().find(|wanted| !given(**wanted)) {
        None => Ok(lease),
        Some(missing) => Err(Failure::conflict(format!(
            "{missing} was asked for, but this plugin does not give it"
        ))),
    }
}

/// JSON that the host wrote.
#[cfg_attr(not(target_family = "wasm"), expect(dead_code, reason = "tests hand values over"))]
pub(crate) fn json(text: &str) -> Result<Value, Failure> {
    Ok(serde_json::from_str(text)?)
}
