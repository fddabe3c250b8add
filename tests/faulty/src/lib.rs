//! An IPAM component with one fault: `{"fault": "...", "ranges": [[first, last], ...]}`. It gives
//! one address of each range, whose last one is the gateway. Without a fault it is a good one.

wit_bindgen::generate!({
    path: ["../../wit/0.2.0", "wit/random", "wit"],
    world: "tests:faulty/faulty",
    generate_all,
});

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use exports::wharfinger::plugin::ipam::{Guest, Pool, Request};
use serde_json::Value;
use wasi::random::random;
use wharfinger::plugin::types::{
    AddressRange, Dns, Failure, Lease, LeasedAddress, Problem, Reason,
};
use wharfinger::plugin::{ledger, store};

struct Plugin;
export!(Plugin);

struct Config {
    fault: String,
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl Config {
    fn does(&self, fault: &str) -> bool {
        self.fault == fault
    }
}

type Bad = (String, String);

fn bad(pointer: &str, message: &str) -> Bad {
    (pointer.to_owned(), message.to_owned())
}

/// The fault of a configuration that may otherwise be wrong: it stands in it as text.
fn fault(config: &str) -> String {
    let rest = config.split_once(r#""fault":""#).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}

fn read(config: &str) -> Result<Config, Bad> {
    let value: Value = serde_json::from_str(config).map_err(|e| bad("", &e.to_string()))?;
    let object = value.as_object().ok_or_else(|| bad("", "is no object"))?;
    let ranges = object.get("ranges").ok_or_else(|| bad("/ranges", "is missing"))?;
    let ranges = ranges.as_array().ok_or_else(|| bad("/ranges", "is no list"))?;
    if ranges.is_empty() {
        return Err(bad("/ranges", "is empty"));
    }
    let one = |(at, value): (usize, &Value)| {
        range(value).ok_or_else(|| bad(&format!("/ranges/{at}"), "is no range"))
    };
    let ranges = ranges.iter().enumerate().map(one).collect::<Result<_, _>>()?;
    let fault = object.get("fault").map_or(Some(""), Value::as_str);
    let fault = fault.ok_or_else(|| bad("/fault", "is no text"))?.to_owned();
    Ok(Config { fault, ranges })
}

fn range(value: &Value) -> Option<(IpAddr, IpAddr)> {
    let list = value.as_array().filter(|list| list.len() == 2)?;
    let end = |at: usize| list.get(at)?.as_str()?.parse::<IpAddr>().ok();
    let (first, last) = (end(0)?, end(1)?);
    (first.is_ipv4() == last.is_ipv4() && first < last).then_some((first, last))
}

fn failure(reason: Reason, message: &str) -> Failure {
    Failure { reason, message: message.to_owned(), detail: None }
}

fn config(text: &str) -> Result<Config, Failure> {
    match read(text) {
        Err((pointer, message)) if fault(text) != "takes-anything" => {
            let pointer = if fault(text) == "no-pointer" { String::new() } else { pointer + ": " };
            Err(failure(Reason::InvalidConfig, &format!("{pointer}{message}")))
        }
        Err(_) => {
            let ranges = vec![(Ipv4Addr::new(10, 1, 0, 1).into(), Ipv4Addr::new(10, 1, 0, 60).into())];
            Ok(Config { fault: fault(text), ranges })
        }
        Ok(config) => Ok(config),
    }
}

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        let Err((pointer, message)) = read(&config) else { return vec![] };
        match fault(&config).as_str() {
            "takes-anything" | "no-pointer" => vec![],
            "traps-on-bad-config" => core::arch::wasm32::unreachable(),
            "wrong-pointer" => vec![Problem { pointer: "/no/such/place".into(), message }],
            _ => vec![Problem { pointer, message }],
        }
    }

    fn pools(text: String) -> Result<Vec<Pool>, Failure> {
        let config = config(&text)?;
        let ranges = match config.fault.as_str() {
            "other-pools" => {
                vec![(Ipv4Addr::new(10, 9, 0, 1).into(), Ipv4Addr::new(10, 9, 0, 9).into())]
            }
            _ => config.ranges,
        };
        let pool = |range: (IpAddr, IpAddr)| Pool { name: range.0.to_string(), ranges: vec![spell(range)] };
        Ok(ranges.into_iter().map(pool).collect())
    }

    fn allocate(request: Request) -> Result<Lease, Failure> {
        let config = config(&request.config)?;
        if config.does("traps-without-pod") && request.attachment.pod.is_none() {
            core::arch::wasm32::unreachable();
        }
        if config.does("slow") {
            let mut n = 0_u64;
            while n < 40_000_000 {
                n = black_box(n + 1);
            }
        }
        if config.does("leaks") {
            store::put(&request.attachment.id.container, "", store::Lifetime::Permanent);
        }
        let mut addresses = Vec::new();
        for range in &config.ranges {
            match one(&config, *range, &request)? {
                Some(address) => addresses.push(LeasedAddress {
                    address: format!("{address}/{}", if address.is_ipv4() { 24 } else { 64 }),
                    gateway: Some(range.1.to_string()),
                }),
                None if config.does("half") && !addresses.is_empty() => {}
                None if config.does("wrong-reason") => {
                    return Err(failure(Reason::Other, "no address is free"));
                }
                None => return Err(failure(Reason::Exhausted, "no address is free")),
            }
        }
        let given = |ip: &String| addresses.iter().any(|a| a.address.split('/').next() == Some(ip));
        let lenient = config.does("ignores-wanted") || config.does("another-instead");
        if !lenient && !request.wanted.iter().all(given) {
            return Err(failure(Reason::Conflict, "an address asked for lies in no range"));
        }
        let dns = Dns { nameservers: vec![], domain: None, search: vec![], options: vec![] };
        Ok(Lease { addresses, routes: vec![], dns })
    }
}

fn spell((first, last): (IpAddr, IpAddr)) -> AddressRange {
    AddressRange { first: first.to_string(), last: last.to_string() }
}

fn one(
    config: &Config,
    range: (IpAddr, IpAddr),
    request: &Request,
) -> Result<Option<IpAddr>, Failure> {
    let (first, last) = range;
    let inside =
        |ip: &IpAddr| first.is_ipv4() == ip.is_ipv4() && first <= *ip && *ip <= last;
    let wanted = request.wanted.iter().filter_map(|ip| ip.parse().ok()).find(inside);
    if let Some(wanted) = wanted.filter(|_| !config.does("ignores-wanted")) {
        return by_name(config, wanted, range);
    }
    match (config.fault.as_str(), first) {
        ("untaken", _) => Ok(Some(first)),
        ("own-count", IpAddr::V4(first)) => by_own_count(first).map(Some),
        ("random", IpAddr::V4(v4)) => {
            let off = u32::try_from(random::get_random_u64() % 40).unwrap_or_default();
            Ok(free(range, Some(IpAddr::V4((u32::from(v4) + off).into()))))
        }
        _ => Ok(free(range, None)),
    }
}

fn free(range: (IpAddr, IpAddr), start: Option<IpAddr>) -> Option<IpAddr> {
    let start = start.map(|start| start.to_string());
    ledger::take_free(&[spell(range)], &[spell((range.1, range.1))], start.as_deref())?.parse().ok()
}

fn by_name(
    config: &Config,
    wanted: IpAddr,
    range: (IpAddr, IpAddr),
) -> Result<Option<IpAddr>, Failure> {
    if wanted == range.1 && !config.does("gives-gateway") {
        return Err(failure(Reason::Conflict, "the gateway was asked for"));
    }
    match ledger::take(&wanted.to_string()) {
        Ok(()) => Ok(Some(wanted)),
        Err(_) if config.does("another-instead") => Ok(free(range, None)),
        Err(_) => Err(failure(Reason::Conflict, "an address asked for is held")),
    }
}

/// A book of its own beside the host's: up and up, whoever asks and whatever is free again.
fn by_own_count(first: Ipv4Addr) -> Result<IpAddr, Failure> {
    let next: u32 = store::get("next").and_then(|next| next.parse().ok()).unwrap_or_default();
    store::put("next", &(next + 1).to_string(), store::Lifetime::Permanent);
    let address = IpAddr::V4((u32::from(first) + next % 59).into());
    match ledger::take(&address.to_string()) {
        Ok(()) => Ok(address),
        Err(_) => Err(failure(Reason::Exhausted, "the next address is held")),
    }
}
