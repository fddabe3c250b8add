//! What Docker does not send again: networks and pools, in the half of the ledger that outlives a
//! reboot.

use anyhow::{Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use wharfinger_attach::{Host, share};
use wharfinger_docker::{Network, Pool};
use wharfinger_ledger::Owner;

use super::Server;
use super::calls::{Failure, conf, with};
use super::ipam::hold_named;
use crate::events;
use crate::program::Program;

const NETWORK: &str = "network/";
const POOL: &str = "pool/";

fn owner() -> Owner {
    Owner::of_host("docker")
}

fn all<T: DeserializeOwned>(program: &Program, kind: &str) -> Result<Vec<T>, Failure> {
    let kept = with(program, |host: &Host| Ok(host.ledger.kept(&owner())?))?;
    Ok(of_kind(&kept, kind)?)
}

fn of_kind<T: DeserializeOwned>(kept: &[(String, String)], kind: &str) -> Result<Vec<T>> {
    let ours = kept.iter().filter(|(key, _)| key.starts_with(kind));
    let read = ours.map(|(key, text)| {
        serde_json::from_str(text).map_err(|error| anyhow!("what is kept as {key}: {error}"))
    });
    read.collect()
}

/// All networks and pools, for people to look at.
pub(crate) fn look(host: &Host) -> Result<(Vec<Network>, Vec<Pool>)> {
    let kept = host.ledger.kept(&owner())?;
    Ok((of_kind(&kept, NETWORK)?, of_kind(&kept, POOL)?))
}

fn keep<T: Serialize>(program: &Program, key: &str, value: Option<&T>) -> Result<(), Failure> {
    let text = value.map(serde_json::to_string).transpose().map_err(|error| anyhow!(error))?;
    with(program, |host: &Host| Ok(host.ledger.keep(&owner(), key, text.as_deref())?))
}

/// All networks.
pub(super) fn networks(program: &Program) -> Result<Vec<Network>, Failure> {
    all(program, NETWORK)
}

/// Keeps a network.
pub(super) fn keep_network(program: &Program, network: &Network) -> Result<(), Failure> {
    keep(program, &format!("{NETWORK}{}", network.id), Some(network))
}

/// Forgets a network.
pub(super) fn forget_network(program: &Program, network: &Network) -> Result<(), Failure> {
    keep::<Network>(program, &format!("{NETWORK}{}", network.id), None)
}

/// All pools.
pub(super) fn pools(program: &Program) -> Result<Vec<Pool>, Failure> {
    all(program, POOL)
}

/// Keeps a pool.
pub(super) fn keep_pool(program: &Program, pool: &Pool) -> Result<(), Failure> {
    keep(program, &format!("{POOL}{}", pool.id), Some(pool))
}

/// Forgets a pool.
pub(super) fn forget_pool(program: &Program, pool: &Pool) -> Result<(), Failure> {
    keep::<Pool>(program, &format!("{POOL}{}", pool.id), None)
}

/// Makes again what a reboot took: bridges, and addresses that were asked for by name. What does not
/// succeed is noted, and tried again by the calls that need it.
pub(super) fn restore(server: &Server) -> Result<()> {
    let program = server.program()?;
    let said = |failure: Failure| anyhow!("what is kept for Docker: {failure:?}");
    for pool in pools(&program).map_err(said)? {
        note(server, &format!("addresses of {}", pool.id), hold_named(&program, &pool));
    }
    for network in networks(&program).map_err(said)? {
        if network.bridge().is_some() {
            note(server, &format!("bridge of {}", network.name()), shared(&program, &network));
        }
    }
    Ok(())
}

/// Makes what attachments of a network share.
pub(super) fn shared(program: &Program, network: &Network) -> Result<(), Failure> {
    let conf = conf(&network.conf())?;
    with(program, |host: &Host| share::make(host, &conf))
}

fn note(server: &Server, what: &str, done: Result<(), Failure>) {
    if let Err(failure) = done {
        let what = json!({ "what": what, "error": format!("{failure:?}") });
        events::happened(&server.paths.run, "not made again for Docker", &what);
    }
}
