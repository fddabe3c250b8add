//! The "ipam" object, read and checked: every problem at once, each with its pointer.

use std::net::IpAddr;

use serde_json::Value;

use crate::json::At;
pub use crate::json::Problem;
use crate::net::{Net, Range, parse_address};

/// A checked configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// One address is given from each.
    pub sets: Vec<Set>,
    /// Never given.
    pub excluded: Vec<Range>,
    /// Copied to the lease.
    pub routes: Vec<Route>,
    /// Copied to the lease.
    pub dns: Dns,
}

/// Alternatives, in their order, of one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// At least one.
    pub members: Vec<Member>,
}

/// A part of a subnet to give addresses from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Gives the prefix length.
    pub subnet: Net,
    /// As configured: what belongs to the set.
    pub range: Range,
    /// None in subnets of one or two addresses unless configured.
    pub gateway: Option<IpAddr>,
}

/// A route of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Host bits zero.
    pub destination: Net,
    /// Next hop.
    pub gateway: Option<IpAddr>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// Bytes.
    pub advmss: Option<u32>,
    /// Metric.
    pub priority: Option<u32>,
    /// Table.
    pub table: Option<u32>,
    /// Scope.
    pub scope: Option<u8>,
}

/// Resolver settings: `dns` of the configuration (the host puts there what `resolvConf` names;
/// a component reads no files).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Servers.
    pub nameservers: Vec<IpAddr>,
    /// Local domain.
    pub domain: Option<String>,
    /// Search list.
    pub search: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

/// The problems met so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    /// The value, or none with the problem noted.
    fn keep<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.0.push(problem)).ok()
    }
}

/// Reads the "ipam" object; every problem if there are any.
pub fn read(config: &Value) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let root = At::root(config);
    problems.keep(root.object());
    let mut sets: Vec<_> = old_form(&root, &mut problems).into_iter().collect();
    sets.extend(ranges(&root, "ranges", &mut problems));
    sets.extend(families(&root, &mut problems));
    problems.0.extend(overlaps(&sets));
    let config = Config {
        sets: sets.into_iter().map(|(_, set)| set).collect(),
        excluded: list(&root, "exclude", &mut problems, |at| excluded(&at)),
        routes: list(&root, "routes", &mut problems, |at| route(&at)),
        dns: dns(&root, &mut problems),
    };
    if problems.0.is_empty() { Ok(config) } else { Err(problems.0) }
}

/// Reads what the reference's IPAM plugins have alike: `routes` and `dns`.
pub fn extras(config: &Value) -> Result<(Vec<Route>, Dns), Vec<Problem>> {
    let mut problems = Problems::default();
    let root = At::root(config);
    problems.keep(root.object());
    let extras = (list(&root, "routes", &mut problems, |at| route(&at)), dns(&root, &mut problems));
    if problems.0.is_empty() { Ok(extras) } else { Err(problems.0) }
}

/// Reads the whole network configuration for `runtimeConfig.ipRanges`: sets that come before
/// all others.
pub fn with_runtime(mut config: Config, network: &Value) -> Result<Config, Vec<Problem>> {
    let Some(runtime) = At::root(network).get("runtimeConfig") else { return Ok(config) };
    let mut problems = Problems::default();
    let mut sets = ranges(&runtime, "ipRanges", &mut problems);
    sets.extend(config.sets.drain(..).map(|set| ("/ipam".to_owned(), set)));
    problems.0.extend(overlaps(&sets));
    config.sets = sets.into_iter().map(|(_, set)| set).collect();
    if problems.0.is_empty() { Ok(config) } else { Err(problems.0) }
}

/// Before 0.3.0 a result holds one address of each family, so more sets than that cannot be
/// answered. Says so if it is the case.
pub fn too_many_for(config: &Config, network: &Value) -> Option<Problem> {
    let version = At::root(network).get("cniVersion")?;
    let old = matches!(version.value.as_str(), Some("0.1.0" | "0.2.0"));
    let v4 = config.sets.iter().filter(|set| set.is_ipv4()).count();
    let most = v4.max(config.sets.len().saturating_sub(v4));
    (old && most > 1).then(|| Problem {
        pointer: "/ranges".to_owned(),
        message: format!(
            "{most} range sets of one family, but cniVersion below 0.3.0 has room for one address"
        ),
    })
}

impl Set {
    /// Its family.
    pub fn is_ipv4(&self) -> bool {
        self.members.first().is_some_and(|member| member.range.first.is_ipv4())
    }
}

type Placed<T> = (String, T);

/// `subnet`, `rangeStart`, `rangeEnd`, `gateway` beside `ranges`.
fn old_form(root: &At<'_>, problems: &mut Problems) -> Option<Placed<Set>> {
    root.get("subnet")?;
    let member = member(root, problems)?;
    Some((format!("{}/subnet", root.pointer), Set { members: vec![member] }))
}

/// A list of lists of ranges.
fn ranges(at: &At<'_>, key: &str, problems: &mut Problems) -> Vec<Placed<Set>> {
    list_of(at, key, problems)
        .into_iter()
        .filter_map(|set| {
            let items = problems.keep(set.items())?;
            self::set(&set, &items, problems)
        })
        .collect()
}

/// The same by names that say which is which: each of `families` gives one address, from the
/// first of its `pools` that has room.
fn families(root: &At<'_>, problems: &mut Problems) -> Vec<Placed<Set>> {
    list_of(root, "families", problems)
        .into_iter()
        .filter_map(|family| {
            problems.keep(family.object())?;
            let pools = family.get("pools");
            let pools = problems.keep(pools.ok_or_else(|| family.problem("has no pools")))?;
            let items = problems.keep(pools.items())?;
            self::set(&pools, &items, problems)
        })
        .collect()
}

fn set(at: &At<'_>, items: &[At<'_>], problems: &mut Problems) -> Option<Placed<Set>> {
    if items.is_empty() {
        problems.0.push(at.problem("is empty: it needs at least one range"));
    }
    let mut members: Vec<Member> = Vec::new();
    for item in items {
        let Some(member) = pool_member(item, problems) else { continue };
        if members.first().is_some_and(|m| m.range.first.is_ipv4() != member.range.first.is_ipv4())
        {
            problems.0.push(item.problem("is of another family than the first range of its set"));
        }
        if let Some(other) = members.iter().find(|m| m.range.overlaps(&member.range)) {
            problems.0.push(item.problem(overlap(&member, other)));
        }
        members.push(member);
    }
    (!members.is_empty()).then(|| (at.pointer.clone(), Set { members }))
}

/// A range object; or a network or single address as text.
fn pool_member(at: &At<'_>, problems: &mut Problems) -> Option<Member> {
    let Some(text) = at.value.as_str() else {
        problems.keep(at.object())?;
        return member(at, problems);
    };
    let net = parse_address(text).map(Net::single).or_else(|| Net::parse(text));
    let net = problems.keep(net.ok_or_else(|| at.wanted("a network or an address")))?;
    let subnet = problems.keep(without_host_bits(at, net))?;
    Some(Member { subnet, range: subnet.usable(), gateway: subnet.second() })
}

fn member(at: &At<'_>, problems: &mut Problems) -> Option<Member> {
    let subnet = problems.keep(subnet(at))?;
    let usable = subnet.usable();
    let first = end(at, "rangeStart", &subnet, problems).unwrap_or(usable.first);
    let last = end(at, "rangeEnd", &subnet, problems).unwrap_or(usable.last);
    if first > last {
        problems.0.push(at.problem(format!("starts at {first}, above its end {last}")));
        return None;
    }
    let gateway = match at.get("gateway") {
        Some(gateway) => problems.keep(address_like(&gateway, &subnet)),
        None => subnet.second(),
    };
    Some(Member { subnet, range: Range { first, last }, gateway })
}

fn subnet(at: &At<'_>) -> Result<Net, Problem> {
    let at = at.get("subnet").ok_or_else(|| at.problem("has no subnet"))?;
    let net = Net::parse(at.text()?).ok_or_else(|| at.wanted("a network, as 10.1.0.0/16"))?;
    without_host_bits(&at, net)
}

fn without_host_bits(at: &At<'_>, net: Net) -> Result<Net, Problem> {
    if net.first() == net.address {
        return Ok(net);
    }
    let network = Net { address: net.first(), prefix: net.prefix };
    Err(at.problem(format!("has host bits set: the network is {network}")))
}

/// `rangeStart` or `rangeEnd`: inside the subnet.
fn end(at: &At<'_>, key: &str, subnet: &Net, problems: &mut Problems) -> Option<IpAddr> {
    let at = at.get(key)?;
    let address = problems.keep(address_like(&at, subnet))?;
    if !subnet.contains(address) {
        problems.0.push(at.problem(format!("{address} is not in {subnet}")));
        return None;
    }
    Some(address)
}

fn address(at: &At<'_>) -> Result<IpAddr, Problem> {
    parse_address(at.text()?).ok_or_else(|| at.wanted("an IP address"))
}

/// An address of the subnet's family.
fn address_like(at: &At<'_>, subnet: &Net) -> Result<IpAddr, Problem> {
    let address = address(at)?;
    if address.is_ipv4() != subnet.address.is_ipv4() {
        return Err(at.problem(format!("{address} is of another family than {subnet}")));
    }
    Ok(address)
}

/// Overlaps between sets; those inside a set are found where it is read.
fn overlaps(sets: &[Placed<Set>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (i, (pointer, set)) in sets.iter().enumerate() {
        let earlier = sets.iter().take(i).flat_map(|(_, set)| &set.members);
        let clash = earlier
            .flat_map(|other| set.members.iter().map(move |member| (member, other)))
            .find(|(member, other)| member.range.overlaps(&other.range));
        if let Some((member, other)) = clash {
            let message = overlap(member, other);
            problems.push(Problem { pointer: pointer.clone(), message });
        }
    }
    problems
}

fn overlap(member: &Member, other: &Member) -> String {
    format!("{} overlaps {}", member.range, other.range)
}

fn excluded(at: &At<'_>) -> Result<Range, Problem> {
    let text = at.text()?;
    let single = parse_address(text).map(Range::single);
    let range = single.or_else(|| Net::parse(text).map(|net| net.as_range()));
    range.ok_or_else(|| at.wanted("a network or an address"))
}

fn route(at: &At<'_>) -> Result<Route, Problem> {
    at.object()?;
    let dst = at.get("dst").ok_or_else(|| at.problem("has no dst"))?;
    let net = Net::parse(dst.text()?).ok_or_else(|| dst.wanted("a network, as 0.0.0.0/0"))?;
    let destination = without_host_bits(&dst, net)?;
    let gateway = at.get("gw").map(|gw| address_like(&gw, &destination)).transpose()?;
    let number = |key| at.get(key).map(|value| value.u32()).transpose();
    Ok(Route {
        destination,
        gateway,
        mtu: number("mtu")?,
        advmss: number("advmss")?,
        priority: number("priority")?,
        table: number("table")?,
        scope: at.get("scope").map(|value| value.u8()).transpose()?,
    })
}

fn dns(root: &At<'_>, problems: &mut Problems) -> Dns {
    let Some(at) = root.get("dns") else { return Dns::default() };
    problems.keep(at.object());
    let text = |at: At<'_>| at.text().map(str::to_owned);
    Dns {
        nameservers: list(&at, "nameservers", problems, |at| address(&at)),
        domain: at.get("domain").and_then(|domain| problems.keep(text(domain))),
        search: list(&at, "search", problems, text),
        options: list(&at, "options", problems, text),
    }
}

/// The items of a list; none where it is absent.
fn list_of<'a>(at: &At<'a>, key: &str, problems: &mut Problems) -> Vec<At<'a>> {
    at.get(key).and_then(|list| problems.keep(list.items())).unwrap_or_default()
}

fn list<T>(
    at: &At<'_>,
    key: &str,
    problems: &mut Problems,
    mut read: impl FnMut(At<'_>) -> Result<T, Problem>,
) -> Vec<T> {
    let items = list_of(at, key, problems);
    items.into_iter().filter_map(|item| problems.keep(read(item))).collect()
}
