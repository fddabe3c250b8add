//! Binds the logic to the contract: text in, text out, nothing decided here.

use std::net::IpAddr;

use serde_json::Value;

use crate::choose::{self, Given, Ledger, Refused};
use crate::config::{self, Config, Set};
use crate::net::{Range, parse_address};

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, reason = "generated")]
mod contract {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        world: "ipam-plugin",
        generate_all,
    });
}
use contract::exports::wharfinger::plugin::ipam::{Guest, Pool, Request};
use contract::wharfinger::plugin::ledger;
use contract::wharfinger::plugin::types::{
    AddressRange, Dns, Failure, Lease, LeasedAddress, Problem, Reason, Route,
};

struct Plugin;
contract::export!(Plugin with_types_in contract);

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        let problem = |p: config::Problem| Problem { pointer: p.pointer, message: p.message };
        read(&config).err().unwrap_or_default().into_iter().map(problem).collect()
    }

    fn pools(config: String) -> Result<Vec<Pool>, Failure> {
        let config = read(&config).map_err(invalid)?;
        Ok(config.sets.iter().map(pool).collect())
    }

    fn allocate(request: Request) -> Result<Lease, Failure> {
        let config = whole(&request).map_err(invalid)?;
        let wanted: Vec<IpAddr> =
            request.wanted.iter().filter_map(|wanted| parse_address(wanted)).collect();
        let given = choose::allocate(&config, &wanted, &mut Host).map_err(refused)?;
        Ok(lease(config, &given))
    }
}

fn read(config: &str) -> Result<Config, Vec<config::Problem>> {
    config::read(&json(config)?)
}

fn json(text: &str) -> Result<Value, Vec<config::Problem>> {
    serde_json::from_str(text).map_err(|error| {
        vec![config::Problem { pointer: String::new(), message: format!("not JSON: {error}") }]
    })
}

/// The configuration with what the runtime asked for in this call.
fn whole(request: &Request) -> Result<Config, Vec<config::Problem>> {
    let network = json(&request.network_config)?;
    let config = config::with_runtime(read(&request.config)?, &network)?;
    let problem = |pointer: &str, message: &str| config::Problem {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
    };
    if config.sets.is_empty() {
        return Err(vec![problem("/ranges", "no ranges: give ranges, subnet or ipRanges")]);
    }
    match config::too_many_for(&config, &network) {
        Some(problem) => Err(vec![problem]),
        None => Ok(config),
    }
}

/// The first problem, and how many more.
#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn invalid(problems: Vec<config::Problem>) -> Failure {
    let lines: Vec<String> =
        problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect();
    let message = lines.first().cloned().unwrap_or_default();
    let detail = (lines.len() > 1).then(|| lines.join("\n"));
    Failure { reason: Reason::InvalidConfig, message, detail }
}

fn refused(refused: Refused) -> Failure {
    let (reason, message) = match refused {
        Refused::Exhausted(message) => (Reason::Exhausted, message),
        Refused::Conflict(message) => (Reason::Conflict, message),
    };
    Failure { reason, message, detail: None }
}

/// The host's ledger.
struct Host;

impl Ledger for Host {
    fn take(&mut self, address: IpAddr) -> Result<(), String> {
        ledger::take(&address.to_string()).map_err(|refusal| match refusal {
            ledger::Refusal::Held(id) => {
                format!("is held by {}/{}/{}", id.network, id.container, id.ifname)
            }
            ledger::Refusal::Reserved(why) => format!("is reserved: {why}"),
        })
    }

    fn take_free(&mut self, ranges: &[Range], excluded: &[Range]) -> Option<IpAddr> {
        let text = |ranges: &[Range]| ranges.iter().map(range).collect::<Vec<_>>();
        let taken = ledger::take_free(&text(ranges), &text(excluded), None)?;
        parse_address(&taken)
    }
}

fn range(range: &Range) -> AddressRange {
    AddressRange { first: range.first.to_string(), last: range.last.to_string() }
}

fn pool(set: &Set) -> Pool {
    let names: Vec<String> = set.members.iter().map(|member| member.subnet.to_string()).collect();
    let ranges = set.members.iter().map(|member| range(&member.range)).collect();
    Pool { name: names.join(", "), ranges }
}

fn lease(config: Config, given: &[Given]) -> Lease {
    let text = |address: IpAddr| address.to_string();
    let addresses = given.iter().map(|given| LeasedAddress {
        address: given.address.to_string(),
        gateway: given.gateway.map(text),
    });
    let routes = config.routes.iter().map(|route| Route {
        destination: route.destination.to_string(),
        gateway: route.gateway.map(text),
        mtu: route.mtu,
        advmss: route.advmss,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
    });
    Lease {
        addresses: addresses.collect(),
        routes: routes.collect(),
        dns: Dns {
            nameservers: config.dns.nameservers.into_iter().map(text).collect(),
            domain: config.dns.domain,
            search: config.dns.search,
            options: config.dns.options,
        },
    }
}
