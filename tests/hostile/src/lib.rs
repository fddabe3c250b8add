//! An IPAM component that misbehaves: its configuration is the name of a misdeed.

wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "ipam-plugin", generate_all });

use std::hint::black_box;

use exports::wharfinger::plugin::ipam::{Guest, Pool, Request};
use wharfinger::plugin::types::{
    AddressRange, Dns, Failure, Lease, LeasedAddress, Problem, Reason, Route,
};
use wharfinger::plugin::{ledger, logger, node, store};

struct Plugin;
export!(Plugin);

/// What to do wrong: the whole configuration, or its "mode" where it is an object.
fn mode(config: &str) -> &str {
    member(config, r#""mode":""#).unwrap_or(config)
}

/// The text that follows, up to the next quote.
fn member<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = config.split_once(key)?;
    rest.split_once('"').map(|(text, _)| text)
}

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        match mode(&config) {
            "ledger" => drop(ledger::take("10.0.0.5")),
            "loop" => spin(),
            _ => {}
        }
        vec![]
    }

    fn pools(config: String) -> Result<Vec<Pool>, Failure> {
        let (first, last) = match mode(&config) {
            "upside-down" => ("10.0.0.9", "10.0.0.1"),
            "mixed" => ("10.0.0.9", "fd00::1"),
            _ => ("10.0.0.1", "10.0.0.9"),
        };
        let range = AddressRange { first: first.into(), last: last.into() };
        Ok(vec![Pool { name: "p".into(), ranges: vec![range] }])
    }

    fn allocate(request: Request) -> Result<Lease, Failure> {
        match mode(&request.config) {
            "loop" => spin(),
            "loop-of-host-calls" => loop {
                black_box(node::now());
            },
            "memory" => memory(),
            "table" => table(),
            "recursion" => drop(black_box(deep(black_box(1)))),
            "trap" => trap(),
            "trap-after-taking" => {
                take("10.0.0.5");
                trap();
            }
            "put-then-trap" => {
                put("left", "behind");
                trap();
            }
            "store-over-quota" => put("big", &"x".repeat((1 << 20) + 1)),
            "store-over-in-parts" => {
                (0..80).for_each(|n| put(&format!("part-{n}"), &"x".repeat(16 << 10)));
            }
            // The address of "address", whatever the ledger says of it.
            "anyway" => {
                let address = member(&request.config, r#""address":""#).unwrap_or("10.0.0.5");
                take(address);
                return Ok(lease(&[(&format!("{address}/24"), None)]));
            }
            "divide" => drop(black_box(1 / black_box(0_u32))),
            "call-flood" => (0..2_000).for_each(|_| drop(black_box(ledger::take("10.0.0.5")))),
            "store-flood" => (0..2_000).for_each(|_| drop(black_box(store::get("k")))),
            "log-flood" => loop {
                logger::log(logger::Level::Info, &"x".repeat(1_000));
            },
            "huge-log" => logger::log(logger::Level::Info, &"x".repeat(8 << 20)),
            "empty-log-flood" => loop {
                logger::log(logger::Level::Info, "");
            },
            "wild-log" => logger::log(logger::Level::Warn, "a\u{1b}[2Jb\nc"),
            "returns-300k" => return failure("x".repeat(300 << 10)),
            "returns-8m" => return failure("x".repeat(8 << 20)),
            "invalid-text" => return failure(invalid_text()),
            "wild-text" => return failure("a\u{1b}[31m\nb".into()),
            "takes-nonsense" => drop(ledger::take("10.0.0.05")),
            "takes-zone" => drop(ledger::take("fe80::1%eth0")),
            "takes-mapped" => drop(ledger::take("::ffff:10.0.0.5")),
            "upside-down" => drop(take_free("10.0.0.9", "10.0.0.1")),
            "mixed-range" => drop(take_free("10.0.0.9", "fd00::1")),
            "many-ranges" => {
                drop(ledger::take_free(&vec![range("10.0.0.1", "10.0.0.1"); 5_000], &[], None))
            }
            "long-key" => store::put(&"k".repeat(2_000), "v", store::Lifetime::Permanent),
            other => return answer(other),
        }
        Ok(lease(&[("10.0.0.5/24", None)]))
    }
}

/// Answers that are wrong, or right.
fn answer(misdeed: &str) -> Result<Lease, Failure> {
    for address in ["10.0.0.5", "fd00::5", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
        take(address);
    }
    Ok(match misdeed {
        "not-taken" => lease(&[("10.0.0.77/24", None)]),
        "twice" => lease(&[("10.0.0.5/24", None), ("10.0.0.5/16", None)]),
        "twice-spelled" => lease(&[("fd00::5/64", None), ("FD00:0::5/64", None)]),
        "family" => lease(&[("10.0.0.5/24", Some("fd00::1"))]),
        "own-gateway" => lease(&[("10.0.0.5/24", Some("10.0.0.5"))]),
        "prefix" => lease(&[("10.0.0.5/33", None)]),
        "no-prefix" => lease(&[("10.0.0.5", None)]),
        "zeros" => lease(&[("10.0.0.05/24", None)]),
        "zone" => lease(&[("fe80::1%eth0/64", None)]),
        "mapped" => lease(&[("::ffff:10.0.0.5/120", None)]),
        "unspecified" => lease(&[("0.0.0.0/0", None)]),
        "loopback" => lease(&[("127.0.0.1/8", None)]),
        "multicast" => lease(&[("224.0.0.1/24", None)]),
        "broadcast" => lease(&[("255.255.255.255/24", None)]),
        "many" => lease(&vec![("10.0.0.5/24", None); 300]),
        "many-routes" => Lease { routes: vec![route("10.9.0.0/16", None); 2_000], ..good() },
        "bad-route" => Lease { routes: vec![route("10.9.0.1/16", None)], ..good() },
        "hop-family" => Lease { routes: vec![route("::/0", Some("10.0.0.1"))], ..good() },
        "dns-server" => Lease { dns: Dns { nameservers: vec!["x".into()], ..no_dns() }, ..good() },
        "dns-search" => Lease {
            dns: Dns { search: vec!["a\nnameserver 6.6.6.6".into()], ..no_dns() },
            ..good()
        },
        _ => good(),
    })
}

fn good() -> Lease {
    lease(&[("10.0.0.5/24", Some("10.0.0.1"))])
}

fn no_dns() -> Dns {
    Dns { nameservers: vec![], domain: None, search: vec![], options: vec![] }
}

fn lease(addresses: &[(&str, Option<&str>)]) -> Lease {
    let one = |(address, gateway): &(&str, Option<&str>)| LeasedAddress {
        address: (*address).into(),
        gateway: gateway.map(Into::into),
    };
    Lease { addresses: addresses.iter().map(one).collect(), routes: vec![], dns: no_dns() }
}

fn route(destination: &str, gateway: Option<&str>) -> Route {
    Route {
        destination: destination.into(),
        gateway: gateway.map(Into::into),
        mtu: None,
        advmss: None,
        priority: None,
        table: None,
        scope: None,
    }
}

fn range(first: &str, last: &str) -> AddressRange {
    AddressRange { first: first.into(), last: last.into() }
}

fn put(key: &str, value: &str) {
    store::put(key, value, store::Lifetime::Attachment);
}

fn take(address: &str) {
    drop(black_box(ledger::take(address)));
}

fn take_free(first: &str, last: &str) -> Option<String> {
    ledger::take_free(&[range(first, last)], &[], None)
}

fn failure(message: String) -> Result<Lease, Failure> {
    Err(Failure { reason: Reason::Other, message, detail: None })
}

fn spin() {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn memory() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

// SAFETY: it is what build.rs links in: without arguments, and all it touches is the table.
unsafe extern "C" {
    safe fn grow_table() -> i32;
}

fn table() {
    loop {
        black_box(grow_table());
    }
}

/// No tail call, nothing on the shadow stack: only the engine's stack grows.
#[inline(never)]
fn deep(n: u64) -> u64 {
    if n == 0 { 1 } else { deep(n.wrapping_add(1)).wrapping_mul(n | 1).rotate_left(3) }
}

#[inline(never)]
fn trap() {
    innermost_misdeed();
}

#[inline(never)]
fn innermost_misdeed() {
    core::arch::wasm32::unreachable()
}

fn invalid_text() -> String {
    // SAFETY: it is not safe: that is the misdeed. Nothing here reads the text.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
}
