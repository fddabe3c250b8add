//! A lease, as a server's answer gives it: checked, and bounded.

use std::net::Ipv4Addr;

use dhcproto::v4::DhcpOption;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::Hardware;
use crate::asked::option;
use crate::message::Theirs;

/// How many of each a server may give: of more, the first.
const MOST_ROUTERS: usize = 16;
const MOST_SERVERS: usize = 16;
const MOST_NAMES: usize = 32;
const MOST_ROUTES: usize = 128;
/// The longest name of the DNS.
const LONGEST_NAME: usize = 253;
/// Where the server does not say, in seconds: the reference plugin's.
const DEFAULT_SECONDS: u32 = 3600;
/// A shorter lease is refused: it would be nothing but renewals. In seconds.
const SHORTEST: u32 = 5;
const FOREVER: u32 = u32::MAX;

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address, with the network's prefix length.
    pub address: Ipv4Net,
    /// By which the server calls itself.
    pub server: Ipv4Addr,
    /// Where its answers come from on the link: the server, or what relays for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<Hardware>,
    /// In the server's order of preference.
    #[serde(default)]
    pub routers: Vec<Ipv4Addr>,
    /// All of them: where the server gives classless routes these alone, else its static routes
    /// and a default route by its first router.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// Name servers.
    #[serde(default)]
    pub dns: Vec<Ipv4Addr>,
    /// The domain's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Names to search in.
    #[serde(default)]
    pub search: Vec<String>,
    /// None: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// A route that comes with a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Host bits zero.
    pub destination: Ipv4Net,
    /// None: it is on the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Ipv4Addr>,
}

/// When to do what about a lease, in milliseconds of the clock that the caller goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// T1: the server is asked to extend it.
    pub renew: u64,
    /// T2: any server is asked.
    pub rebind: u64,
    /// It ends.
    pub end: u64,
}

impl Lease {
    /// Whether it has ended.
    pub fn has_ended(&self, now: u64) -> bool {
        self.times.is_some_and(|times| now >= times.end)
    }

    /// What an answer gives to those who asked at `asked`; why it cannot be used.
    pub(crate) fn read(
        answer: &Theirs,
        hardware: Option<Hardware>,
        asked: u64,
    ) -> Result<Self, String> {
        let address = address(answer)?;
        let server = answer.address(option::SERVER_ID).filter(|server| is_host(*server));
        let server = server.ok_or("it does not say who the server is (option 54)")?;
        let mut routers = answer.addresses(option::ROUTERS, MOST_ROUTERS);
        routers.retain(|router| is_host(*router) && *router != address.addr());
        Ok(Self {
            routes: routes(answer, &routers),
            times: times(answer, asked)?,
            dns: dns(answer),
            domain: domain(answer),
            search: search(answer),
            address,
            server,
            hardware,
            routers,
        })
    }
}

fn address(answer: &Theirs) -> Result<Ipv4Net, String> {
    let given = answer.gives;
    if !is_host(given) {
        return Err(format!("it gives {given}, which is no address of a host"));
    }
    let mask = answer.address(option::SUBNET_MASK).ok_or("it has no subnet mask (option 1)")?;
    let network = Ipv4Net::with_netmask(given, mask);
    match network {
        Ok(network) if network.prefix_len() > 0 => Ok(network),
        _ => Err(format!("its subnet mask is {mask}")),
    }
}

/// Whether it can be the address of one host.
fn is_host(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first != 127 && first < 224
}

/// When to renew, rebind and end, of which the server may say the first two (RFC 2131, 4.4.5).
fn times(answer: &Theirs, asked: u64) -> Result<Option<Times>, String> {
    let seconds = answer.seconds(option::LEASE_TIME).unwrap_or(DEFAULT_SECONDS);
    if seconds == FOREVER {
        return Ok(None);
    }
    if seconds < SHORTEST {
        return Err(format!("its lease is for {seconds} s"));
    }
    let end = u64::from(seconds) * 1000;
    let said = |number| answer.seconds(number).map(|seconds| u64::from(seconds) * 1000);
    let (mut t1_at, mut t2_at) = (end / 2, end / 8 * 7);
    if let Some(t2) = said(option::REBINDING_TIME).filter(|t2| *t2 > 0 && *t2 < end) {
        t2_at = t2;
        t1_at = t1_at.min(t2_at);
    }
    if let Some(t1) = said(option::RENEWAL_TIME).filter(|t1| *t1 > 0 && *t1 <= t2_at) {
        t1_at = t1;
    }
    let at = |after: u64| asked.saturating_add(after);
    Ok(Some(Times { renew: at(t1_at), rebind: at(t2_at), end: at(end) }))
}

/// RFC 3442: where there are classless routes, the others do not count.
fn routes(answer: &Theirs, routers: &[Ipv4Addr]) -> Vec<Route> {
    let mut all = classless(answer);
    if all.is_empty() {
        all = classful(answer);
        let default = |via: &Ipv4Addr| Route { destination: Ipv4Net::default(), via: Some(*via) };
        all.extend(routers.first().map(default));
    }
    let mut seen: Vec<Route> = Vec::new();
    for route in all {
        if !seen.iter().any(|known| known.destination == route.destination) {
            seen.push(route);
        }
    }
    seen
}

fn classless(answer: &Theirs) -> Vec<Route> {
    let Some(DhcpOption::ClasslessStaticRoute(routes)) = answer.parsed(option::CLASSLESS_ROUTES)
    else {
        return Vec::new();
    };
    let good = |via: &Ipv4Addr| via.is_unspecified() || is_host(*via);
    let routes = routes.into_iter().filter(|(_, via)| good(via)).take(MOST_ROUTES);
    let route = |(destination, via): (Ipv4Net, Ipv4Addr)| Route {
        destination: destination.trunc(),
        via: Some(via).filter(|via| !via.is_unspecified()),
    };
    routes.map(route).collect()
}

/// Pairs of a network of one of the old classes and its router; a default route may not be among
/// them (RFC 2132, section 5.8).
fn classful(answer: &Theirs) -> Vec<Route> {
    let addresses = answer.addresses(option::STATIC_ROUTES, 2 * MOST_ROUTES);
    let pairs = addresses.chunks_exact(2).filter_map(|pair| match pair {
        [network, via] if is_host(*network) && is_host(*via) => Some((*network, *via)),
        _ => None,
    });
    let whole = |(network, via): (Ipv4Addr, Ipv4Addr)| {
        let length = match network.octets()[0] {
            0..128 => 8,
            128..192 => 16,
            _ => 24,
        };
        Ipv4Net::new(network, length)
            .ok()
            .map(|to| Route { destination: to.trunc(), via: Some(via) })
    };
    pairs.filter_map(whole).collect()
}

fn dns(answer: &Theirs) -> Vec<Ipv4Addr> {
    let mut servers = answer.addresses(option::DNS_SERVERS, MOST_SERVERS);
    servers.retain(|server| is_host(*server) || server.is_loopback());
    servers
}

/// A name as it may stand in a resolv.conf: whatever else a server sends, it is left out.
fn name(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['.', '\0']);
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let fits = (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(good);
    fits.then(|| text.to_owned())
}

fn domain(answer: &Theirs) -> Option<String> {
    name(std::str::from_utf8(answer.bytes(option::DOMAIN_NAME)?).ok()?)
}

fn search(answer: &Theirs) -> Vec<String> {
    let Some(DhcpOption::DomainSearch(names)) = answer.parsed(option::DOMAIN_SEARCH) else {
        return Vec::new();
    };
    let mut found: Vec<String> = Vec::new();
    for text in names.iter().filter_map(|one| name(&one.to_ascii())).take(MOST_NAMES) {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}
