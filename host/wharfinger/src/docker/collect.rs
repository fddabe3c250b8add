//! `wharfinger gc --docker`: what we have for Docker that Docker does not have any more. Asks Docker,
//! and so is never part of a call of Docker's. What is young stays: Docker may be about to list it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow};
use bollard::models::NetworkInspect;
use bollard::{API_DEFAULT_VERSION, Docker};
use wharfinger_attach::Host;
use wharfinger_docker::wire::About;
use wharfinger_docker::{Id, Network, Pool, SPACES};
use wharfinger_ledger::Record;

use super::calls::{Failure, with};
use super::ipam::Ipam;
use super::network::Networks;
use super::{Server, state};
use crate::program::Program;

/// Seconds that Docker may take to answer.
const PATIENCE: u64 = 30;

/// What Docker has.
struct Theirs {
    networks: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    subnets: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

/// Collects what is older than so many seconds; answers what went, a line each.
pub(crate) fn collect(server: &Server, socket: &str, young: u64) -> Result<Vec<String>> {
    let program = server.program()?;
    // Ours are read first: what comes later is not looked at.
    let networks = state::networks(&program).map_err(told)?;
    let pools = state::pools(&program).map_err(told)?;
    let (before, old) = old(&program, young).map_err(told)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let theirs = runtime.block_on(ask(socket))?;
    let mut gone = Vec::new();
    for network in networks.iter().filter(|network| network.made <= before) {
        collect_network(server, &program, network, &theirs, &old, &mut gone).map_err(told)?;
    }
    for pool in &pools {
        collect_pool(server, &program, pool, &theirs, &old, &mut gone).map_err(told)?;
    }
    Ok(gone)
}

fn told(failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Refused(text) | Failure::Undecodable(text) => anyhow!(text),
        Failure::Unknown => anyhow!("not known"),
    }
}

/// Records that are not young, and until when they were made.
fn old(program: &Program, young: u64) -> Result<(u64, Vec<Record>), Failure> {
    with(program, |host: &Host| {
        let before = host.node.now().saturating_sub(young);
        let entries = host.ledger.list(None)?.into_iter().map(|entry| entry.record);
        Ok((before, entries.filter(|record| record.created <= before).collect()))
    })
}

async fn ask(socket: &str) -> Result<Theirs> {
    let at = || {
        format!(
            "nothing is collected: ask Docker at {socket} what it has (is it running? \
             --docker=SOCKET names another)"
        )
    };
    let docker = Docker::connect_with_unix(socket, PATIENCE, API_DEFAULT_VERSION);
    let docker = docker.with_context(at)?.negotiate_version().await.with_context(at)?;
    let mut theirs = Theirs {
        networks: BTreeSet::new(),
        endpoints: BTreeSet::new(),
        subnets: BTreeSet::new(),
        addresses: BTreeSet::new(),
    };
    for network in docker.list_networks(None).await.with_context(at)? {
        let Some(id) = network.id else { continue };
        match docker.inspect_network(&id, None).await {
            Ok(network) => theirs.add(network),
            // It was removed meanwhile: its endpoints are gone, too.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(error) => return Err(error).with_context(at),
        }
    }
    Ok(theirs)
}

impl Theirs {
    fn add(&mut self, network: NetworkInspect) {
        self.networks.extend(network.id);
        let subnets = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        for subnet in subnets {
            self.subnets.extend(subnet.subnet);
            let auxiliary = subnet.auxiliary_addresses.unwrap_or_default().into_values();
            let named = auxiliary.chain(subnet.gateway);
            self.addresses.extend(named.filter_map(|text| address(&text)));
        }
        for endpoint in network.containers.unwrap_or_default().into_values() {
            self.endpoints.extend(endpoint.endpoint_id);
            let both = [endpoint.ipv4_address, endpoint.ipv6_address];
            self.addresses.extend(both.into_iter().flatten().filter_map(|text| address(&text)));
        }
    }
}

/// With or without a prefix length.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

fn collect_network(
    server: &Server,
    program: &Program,
    network: &Network,
    theirs: &Theirs,
    old: &[Record],
    gone: &mut Vec<String>,
) -> Result<(), Failure> {
    let networks = Networks { server, program };
    let name = network.name();
    if !theirs.networks.contains(network.id.as_str()) {
        let about = About { network: network.id.to_string(), ..About::default() };
        networks.delete(&about)?;
        gone.push(format!("network {name}"));
        return Ok(());
    }
    let ours = old.iter().filter(|record| record.id.network == name);
    let ids: BTreeSet<&str> = ours.map(|record| record.id.container.as_str()).collect();
    for id in ids.into_iter().filter(|id| !theirs.endpoints.contains(*id)) {
        if let Ok(endpoint) = Id::parse("endpoint", id) {
            networks.remove(network, &endpoint)?;
            gone.push(format!("endpoint {name}/{id}"));
        }
    }
    Ok(())
}

fn collect_pool(
    server: &Server,
    program: &Program,
    pool: &Pool,
    theirs: &Theirs,
    old: &[Record],
    gone: &mut Vec<String>,
) -> Result<(), Failure> {
    let ipam = Ipam { server, program };
    let holder = pool.holder();
    let ours = old.iter().filter(|it| it.id.container == holder && it.id.network == pool.network);
    if !theirs.subnets.contains(&pool.pool.to_string()) {
        // Its gateway is the first that is held of a pool: a pool without any that is old may be
        // one that Docker is making a network of.
        let ours: Vec<_> = ours.collect();
        if !ours.is_empty() {
            ipam.drop_pool(pool)?;
            gone.push(format!("pool {}", pool.id));
        }
        return Ok(());
    }
    // Of a swarm's, Docker lists what is on this node alone.
    if pool.space != SPACES[0] {
        return Ok(());
    }
    // What no component gave is a gateway, most often, and Docker tells only of those that users name.
    for record in ours.filter(|record| record.plugin.is_some()) {
        if record.addresses.iter().any(|address| theirs.addresses.contains(address)) {
            continue;
        }
        ipam.free(pool, record)?;
        let addresses: Vec<_> = record.addresses.iter().map(ToString::to_string).collect();
        gone.push(format!("address {} of pool {}", addresses.join(","), pool.id));
    }
    Ok(())
}
