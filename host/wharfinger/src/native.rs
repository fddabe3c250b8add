//! host-local's logic without a sandbox: for `cargo xtask bench`, which measures what the sandbox
//! costs. Never part of a release: the feature `native-host-local` is off.

use std::net::IpAddr;

use host_local::choose::{self, Given, Ledger, Refused};
use host_local::config::{self, Config, Problem as Found};
use host_local::net::Range;
use wharfinger_cni::{Dns, Route};
use wharfinger_wasm::{
    Book, Error, Ipam, Lease, LeasedAddress, Node, Pool, Problem, Reason, Request,
};

const NAME: &str = "host-local@native";

/// The logic, called directly.
pub(crate) struct Native;

impl Ipam for Native {
    fn identity(&self) -> &str {
        NAME
    }

    fn validate(&self, _: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let problem = |p: Found| Problem { pointer: p.pointer, message: p.message };
        Ok(read(config).err().unwrap_or_default().into_iter().map(problem).collect())
    }

    fn pools(&self, _: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        let config = read(config).map_err(|problems| invalid("pools", &problems))?;
        let ranges = config.sets.iter().flat_map(|set| &set.members);
        let ranges = ranges.map(|member| (member.range.first, member.range.last)).collect();
        Ok(vec![Pool { name: NAME.to_owned(), ranges }])
    }

    fn allocate(&self, _: &Node, request: &Request, book: &mut dyn Book) -> Result<Lease, Error> {
        let network = serde_json::from_str(&request.network_config).unwrap_or_default();
        let config =
            read(&request.config).and_then(|config| config::with_runtime(config, &network));
        let config = config.map_err(|problems| invalid("allocate", &problems))?;
        let mut host = Host { book };
        let given = choose::allocate(&config, &request.wanted, &mut host).map_err(refused)?;
        Ok(lease(config, &given))
    }
}

fn read(config: &str) -> Result<Config, Vec<Found>> {
    config::read(&serde_json::from_str(config).unwrap_or_default())
}

fn failed(call: &'static str, reason: Reason, message: String) -> Error {
    Error::Failed { plugin: NAME.to_owned(), call, reason, message, detail: None }
}

fn invalid(call: &'static str, problems: &[Found]) -> Error {
    let message = problems.first().map(|p| format!("{}: {}", p.pointer, p.message));
    failed(call, Reason::InvalidConfig, message.unwrap_or_default())
}

fn refused(refused: Refused) -> Error {
    match refused {
        Refused::Exhausted(message) => failed("allocate", Reason::Exhausted, message),
        Refused::Conflict(message) => failed("allocate", Reason::Conflict, message),
    }
}

struct Host<'a> {
    book: &'a mut dyn Book,
}

impl Ledger for Host<'_> {
    fn take(&mut self, address: IpAddr) -> Result<(), String> {
        match self.book.take(address) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refusal)) => Err(format!("{refusal:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn take_free(&mut self, ranges: &[Range], excluded: &[Range]) -> Option<IpAddr> {
        let ends = |ranges: &[Range]| ranges.iter().map(|r| (r.first, r.last)).collect::<Vec<_>>();
        self.book.take_free(&ends(ranges), &ends(excluded), None).ok().flatten()
    }
}

fn lease(config: Config, given: &[Given]) -> Lease {
    let net = |address, prefix| ipnet::IpNet::new(address, prefix).ok();
    let addresses = given.iter().filter_map(|given| {
        let address = net(given.address.address, given.address.prefix)?;
        Some(LeasedAddress { address, gateway: given.gateway })
    });
    let routes = config.routes.iter().filter_map(|route| {
        Some(Route {
            dst: net(route.destination.address, route.destination.prefix)?,
            gw: route.gateway,
            mtu: route.mtu,
            advmss: route.advmss,
            priority: route.priority,
            table: route.table,
            scope: route.scope,
        })
    });
    Lease {
        addresses: addresses.collect(),
        routes: routes.collect(),
        dns: Dns {
            nameservers: config.dns.nameservers.iter().map(IpAddr::to_string).collect(),
            domain: config.dns.domain.unwrap_or_default(),
            search: config.dns.search,
            options: config.dns.options,
        },
    }
}
