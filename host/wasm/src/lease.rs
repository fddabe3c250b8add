//! Checks what `allocate` answered: input from a stranger, whatever the plugin.

use std::net::IpAddr;

use crate::address;
use crate::answer::{Weigh, shown};
use crate::bindings::v0_3::wharfinger::plugin::types;
use crate::{Dns, Lease, LeasedAddress, Route};

/// Addresses of a lease.
const ADDRESSES: usize = 256;
/// Routes of a lease.
const ROUTES: usize = 1_024;
/// Name servers, search domains and options, each.
const DNS: usize = 64;
/// Bytes of a domain name (RFC 1035), and of an option.
const NAME: usize = 253;

/// Turns an answer into a lease; `taken` in this call, `wanted` by name. Says what is wrong.
pub(crate) fn check(
    lease: types::Lease,
    taken: &[IpAddr],
    wanted: &[IpAddr],
) -> Result<Lease, String> {
    bounded("addresses", lease.addresses.len(), ADDRESSES)?;
    bounded("routes", lease.routes.len(), ROUTES)?;
    let addresses = addresses(&lease.addresses, taken)?;
    if let Some(missing) = wanted.iter().find(|w| addresses.iter().all(|a| a.address.addr() != **w))
    {
        return Err(format!("it returned a lease without {missing}, which was asked for by name"));
    }
    let routes: Result<_, _> = lease.routes.iter().map(route).collect();
    Ok(Lease { addresses, routes: routes?, dns: dns(lease.dns)? })
}

fn bounded(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most {
        return Ok(());
    }
    Err(format!("it returned {count} {what}; at most {most} are allowed"))
}

fn addresses(
    given: &[types::LeasedAddress],
    taken: &[IpAddr],
) -> Result<Vec<LeasedAddress>, String> {
    let mut checked: Vec<LeasedAddress> = Vec::with_capacity(given.len());
    for one in given {
        let one = leased(one)?;
        let address = one.address.addr();
        if !taken.contains(&address) {
            return Err(format!("it returned {address}, which it did not take in this call"));
        }
        if checked.iter().any(|other| other.address.addr() == address) {
            return Err(format!("it returned {address} twice"));
        }
        checked.push(one);
    }
    Ok(checked)
}

/// A gateway may lie outside the prefix, as the reference allows; it may not be of the other
/// family, nor the address itself.
fn leased(given: &types::LeasedAddress) -> Result<LeasedAddress, String> {
    let address = address::parse_interface(&given.address).map_err(returned)?;
    if let Some(why) = address::unfit(address.addr()) {
        return Err(format!("it returned {}, which {why}", address.addr()));
    }
    let gateway = next_hop(given.gateway.as_deref(), address.addr(), "gateway")?;
    if gateway == Some(address.addr()) {
        return Err(format!("it returned {} as its own gateway", address.addr()));
    }
    Ok(LeasedAddress { address, gateway })
}

/// A next hop for `what`, of its family.
fn next_hop(given: Option<&str>, of: IpAddr, role: &str) -> Result<Option<IpAddr>, String> {
    let Some(given) = given else { return Ok(None) };
    let hop = address::parse(given).map_err(returned)?;
    if hop.is_ipv4() != of.is_ipv4() {
        return Err(format!("it returned the {role} {hop} for {of}: another family"));
    }
    match address::unfit(hop) {
        Some(why) => Err(format!("it returned the {role} {hop}, which {why}")),
        None => Ok(Some(hop)),
    }
}

fn route(given: &types::Route) -> Result<Route, String> {
    let dst = address::parse_network(&given.destination).map_err(returned)?;
    Ok(Route {
        dst,
        gw: next_hop(given.gateway.as_deref(), dst.addr(), "next hop")?,
        mtu: given.mtu,
        advmss: given.advmss,
        priority: given.priority,
        table: given.table,
        scope: given.scope,
    })
}

fn dns(given: types::Dns) -> Result<Dns, String> {
    bounded("name servers", given.nameservers.len(), DNS)?;
    bounded("search domains", given.search.len(), DNS)?;
    bounded("resolver options", given.options.len(), DNS)?;
    let nameservers: Result<_, _> = given
        .nameservers
        .iter()
        .map(|server| address::parse(server).map(|a| a.to_string()).map_err(returned))
        .collect();
    let domain = given.domain.unwrap_or_default();
    for word in given.search.iter().chain(&given.options).chain([&domain]) {
        resolver_word(word)?;
    }
    Ok(Dns { nameservers: nameservers?, domain, search: given.search, options: given.options })
}

/// These end up as words of a resolv.conf: no white space, nothing that is not shown.
fn resolver_word(word: &str) -> Result<(), String> {
    if word.len() > NAME || word.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("it returned {} for the resolver", shown(word)));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn returned(what: String) -> String {
    format!("it returned a wrong value: {what}")
}

/// A lease in the contract's words, for a plugin that is told of its end.
pub(crate) fn given(lease: &Lease) -> types::Lease {
    let address = |leased: &LeasedAddress| types::LeasedAddress {
        address: leased.address.to_string(),
        gateway: leased.gateway.map(|gateway| gateway.to_string()),
    };
    let route = |route: &Route| types::Route {
        destination: route.dst.to_string(),
        gateway: route.gw.map(|gateway| gateway.to_string()),
        mtu: route.mtu,
        advmss: route.advmss,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
    };
    let domain = Some(&lease.dns.domain).filter(|domain| !domain.is_empty());
    types::Lease {
        addresses: lease.addresses.iter().map(address).collect(),
        routes: lease.routes.iter().map(route).collect(),
        dns: types::Dns {
            nameservers: lease.dns.nameservers.clone(),
            domain: domain.cloned(),
            search: lease.dns.search.clone(),
            options: lease.dns.options.clone(),
        },
    }
}

impl Weigh for types::Lease {
    fn weight(&self) -> usize {
        let addresses = self
            .addresses
            .iter()
            .map(|a| size_of_val(a) + a.address.len() + a.gateway.weight())
            .sum::<usize>();
        let routes = self
            .routes
            .iter()
            .map(|r| size_of_val(r) + r.destination.len() + r.gateway.weight())
            .sum::<usize>();
        let dns = &self.dns;
        let words = dns.nameservers.weight() + dns.search.weight() + dns.options.weight();
        addresses + routes + words + dns.domain.weight()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn text(of: &Value, key: &str) -> Option<String> {
        of.get(key)?.as_str().map(str::to_owned)
    }

    fn list<T>(of: &Value, key: &str, one: impl Fn(&Value) -> T) -> Vec<T> {
        of.get(key).and_then(Value::as_array).into_iter().flatten().map(one).collect()
    }

    fn number<T: TryFrom<u64>>(of: &Value, key: &str) -> Option<T> {
        T::try_from(of.get(key)?.as_u64()?).ok()
    }

    /// As it comes from a component: text, whatever it says.
    fn from_component(of: &Value) -> types::Lease {
        let word = |word: &Value| word.as_str().unwrap_or_default().to_owned();
        let dns = of.get("dns").unwrap_or(&Value::Null);
        types::Lease {
            addresses: list(of, "addresses", |one| types::LeasedAddress {
                address: text(one, "address").unwrap_or_default(),
                gateway: text(one, "gateway"),
            }),
            routes: list(of, "routes", |one| types::Route {
                destination: text(one, "destination").unwrap_or_default(),
                gateway: text(one, "gateway"),
                mtu: number(one, "mtu"),
                advmss: number(one, "advmss"),
                priority: number(one, "priority"),
                table: number(one, "table"),
                scope: number(one, "scope"),
            }),
            dns: types::Dns {
                nameservers: list(dns, "nameservers", word),
                domain: text(dns, "domain"),
                search: list(dns, "search", word),
                options: list(dns, "options", word),
            },
        }
    }

    /// What is accepted is what can be said again, and is accepted again.
    #[test]
    fn fuzz_leases() {
        wharfinger_fuzz::fuzz("lease", 3000, |input| {
            let whole: Value = serde_json::from_slice(input).unwrap_or_default();
            let word = |word: &Value| word.as_str().and_then(|text| text.parse().ok());
            let taken: Vec<IpAddr> = list(&whole, "taken", word).into_iter().flatten().collect();
            let wanted: Vec<IpAddr> = list(&whole, "wanted", word).into_iter().flatten().collect();
            match check(from_component(&whole), &taken, &wanted) {
                Err(what) => {
                    assert!(!what.chars().any(char::is_control), "{what:?}");
                    what
                }
                Ok(lease) => {
                    let mut given: Vec<_> =
                        lease.addresses.iter().map(|a| a.address.addr()).collect();
                    assert!(given.iter().all(|address| taken.contains(address)), "{lease:?}");
                    assert!(wanted.iter().all(|address| given.contains(address)), "{lease:?}");
                    given.sort();
                    given.dedup();
                    assert_eq!(given.len(), lease.addresses.len(), "{lease:?}");
                    assert_eq!(check(super::given(&lease), &taken, &wanted), Ok(lease));
                    "accepted".to_owned()
                }
            }
        });
    }
}
