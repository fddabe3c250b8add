//! Binds the logic to the contract: text in, text out, nothing decided here.

use std::net::IpAddr;

use serde_json::Value;

use crate::Given;
use crate::config::{self, Dns as Resolver, Problem as Found, Route as Way};

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
    Dns, Failure, Lease, LeasedAddress, Problem, Reason, Route,
};

struct Plugin;
contract::export!(Plugin with_types_in contract);

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        let read = |config: &Value| {
            let mut found = crate::configured(config).err().unwrap_or_default();
            found.extend(config::extras(config).err().unwrap_or_default());
            found
        };
        let found = json(&config).map_or_else(|problems| problems, |config| read(&config));
        found.into_iter().map(|p| Problem { pointer: p.pointer, message: p.message }).collect()
    }

    /// None: what an attachment names is taken by name, and may lie in another network's range.
    fn pools(config: String) -> Result<Vec<Pool>, Failure> {
        json(&config).and_then(|config| crate::configured(&config)).map_err(invalid)?;
        Ok(Vec::new())
    }

    fn allocate(request: Request) -> Result<Lease, Failure> {
        let (given, routes, dns) = whole(&request).map_err(invalid)?;
        for one in &given {
            take(one.address.address)?;
        }
        Ok(lease(&given, routes, dns))
    }
}

fn json(text: &str) -> Result<Value, Vec<Found>> {
    serde_json::from_str(text).map_err(|error| {
        vec![Found { pointer: String::new(), message: format!("not JSON: {error}") }]
    })
}

type Whole = (Vec<Given>, Vec<Way>, Resolver);

fn whole(request: &Request) -> Result<Whole, Vec<Found>> {
    let (config, network) = (json(&request.config)?, json(&request.network_config)?);
    let args = request.attachment.args.iter();
    let args: Vec<(String, String)> =
        args.map(|pair| (pair.name.clone(), pair.value.clone())).collect();
    let (routes, dns) = config::extras(&config)?;
    Ok((crate::addresses(&config, &network, &args)?, routes, dns))
}

fn take(address: IpAddr) -> Result<(), Failure> {
    ledger::take(&address.to_string()).map_err(|refusal| {
        let why = match refusal {
            ledger::Refusal::Held(id) => {
                format!("is held by {}/{}/{}", id.network, id.container, id.ifname)
            }
            ledger::Refusal::Reserved(why) => format!("is reserved: {why}"),
        };
        let message = format!("{address} is to be given, but {why}");
        Failure { reason: Reason::Conflict, message, detail: None }
    })
}

/// The first problem, and how many more.
#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn invalid(problems: Vec<Found>) -> Failure {
    let lines: Vec<String> =
        problems.iter().map(|p| format!("{}: {}", p.pointer, p.message)).collect();
    let message = lines.first().cloned().unwrap_or_default();
    let detail = (lines.len() > 1).then(|| lines.join("\n"));
    Failure { reason: Reason::InvalidConfig, message, detail }
}

fn lease(given: &[Given], routes: Vec<Way>, dns: Resolver) -> Lease {
    let text = |address: IpAddr| address.to_string();
    let addresses = given.iter().map(|given| LeasedAddress {
        address: given.address.to_string(),
        gateway: given.gateway.map(text),
    });
    let routes = routes.into_iter().map(|route| Route {
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
            nameservers: dns.nameservers.into_iter().map(text).collect(),
            domain: dns.domain,
            search: dns.search,
            options: dns.options,
        },
    }
}
