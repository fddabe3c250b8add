//! What a rule sets: read, laid over what earlier rules set, and made into a merge patch (RFC
//! 7396) over the network configuration.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::config::Place;
use crate::facts::{self, Mapping};
use crate::json::{At, Problem, Unreadable};
use crate::net::{Net, address};
use crate::test::{keep, net, number, object, text};

const KEYS: [&str; 10] = [
    "pool",
    "address",
    "mtu",
    "ingressRate",
    "ingressBurst",
    "egressRate",
    "egressBurst",
    "routes",
    "portMappings",
    "dns",
];
/// Members of `bandwidth`, each with the place of the rate that a burst belongs to.
const BANDWIDTH: [&str; 4] = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"];
/// Bits. The kernel's shaper holds no more bytes than this.
const LARGEST_BURST: u64 = u32::MAX as u64;

/// What is to be set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Set {
    pool: Option<Pool>,
    address: Option<Vec<IpAddr>>,
    mtu: Option<u32>,
    bandwidth: [Option<u64>; 4],
    routes: Option<Value>,
    port_mappings: Option<Value>,
    dns: Option<Value>,
}

/// Networks to choose the configured ranges by.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pool {
    /// Of the rule that sets it.
    place: Place,
    nets: Vec<Net>,
}

/// Why a set comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unset {
    /// The network configuration cannot be read there.
    Unreadable(Unreadable),
    /// No configured range lies within the pool: what was configured, and what there is.
    NoPool(String),
}

impl From<Unreadable> for Unset {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl Set {
    /// Reads it.
    pub(crate) fn read(at: &At<'_>, place: Place, problems: &mut Vec<Problem>) -> Self {
        let mut set = Self::default();
        if !object(at, &KEYS, problems) {
            return set;
        }
        if at.is_empty() {
            problems.push(at.problem(&format!("sets nothing; there are {}", KEYS.join(", "))));
        }
        set.pool = at.get("pool").map(|at| pool(&at, place, problems));
        set.address = at.get("address").map(|at| addresses(&at, problems));
        set.mtu = at.get("mtu").and_then(|at| keep(mtu(&at), problems));
        for (rate, name) in set.bandwidth.iter_mut().zip(BANDWIDTH) {
            *rate = at.get(name).and_then(|at| keep(rate_of(&at), problems));
        }
        set.routes = list(at, "routes", problems, route);
        set.port_mappings = list(at, "portMappings", problems, port_mapping);
        set.dns = at.get("dns").map(|at| dns(&at, problems));
        set
    }

    /// What a later rule sets counts.
    pub(crate) fn over(self, earlier: Self) -> Self {
        let mut bandwidth = earlier.bandwidth;
        for (rate, later) in bandwidth.iter_mut().zip(self.bandwidth) {
            *rate = later.or(*rate);
        }
        Self {
            pool: self.pool.or(earlier.pool),
            address: self.address.or(earlier.address),
            mtu: self.mtu.or(earlier.mtu),
            bandwidth,
            routes: self.routes.or(earlier.routes),
            port_mappings: self.port_mappings.or(earlier.port_mappings),
            dns: self.dns.or(earlier.dns),
        }
    }

    /// The addresses it asks for.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        self.address.as_deref().unwrap_or_default()
    }

    /// The port mappings that it leaves, where it says so.
    pub(crate) fn mappings(&self) -> Option<Vec<Mapping>> {
        let list = self.port_mappings.as_ref()?;
        Some(At::root(list).items().filter_map(|at| facts::mapping(&at).ok()).collect())
    }

    /// The patch that makes a network configuration so; none where nothing is to be changed.
    pub(crate) fn patch(self, network: &At<'_>) -> Result<Option<Value>, Unset> {
        let whose = Whose::of(network)?;
        let of = whose.configuration(network);
        let (mut top, mut own) = (Patch::of(network), Patch::of(&of));
        if let Some(pool) = &self.pool {
            let ranges = choose(&of, pool)?;
            ranges.map_or(Ok(()), |ranges| own.put(&["ipam", "ranges"], ranges))?;
        }
        if let Some(addresses) = &self.address {
            let texts = addresses.iter().map(|address| Value::from(address.to_string()));
            top.put(&["runtimeConfig", "ips"], texts.collect())?;
        }
        if let Some(mtu) = self.mtu {
            own.put(&["mtu"], mtu.into())?;
        }
        self.rates(&mut top, &of)?;
        if let Some(mappings) = self.port_mappings {
            top.put(&["runtimeConfig", "portMappings"], mappings)?;
        }
        for (path, value) in [(&["ipam", "routes"][..], self.routes), (&["dns"], self.dns)] {
            value.map_or(Ok(()), |value| own.put(path, value))?;
        }
        whose.put(&mut top, own.map)?;
        Ok((!top.map.is_empty()).then_some(Value::Object(top.map)))
    }

    /// The runtime's `bandwidth` counts before the configuration's, whole: so all four numbers
    /// are written there. A rate without a burst gets that of one second.
    fn rates(&self, patch: &mut Patch<'_>, own: &At<'_>) -> Result<(), Unset> {
        if self.bandwidth.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut numbers = [0; 4];
        for (number, (name, set)) in numbers.iter_mut().zip(BANDWIDTH.iter().zip(self.bandwidth)) {
            *number = match set {
                Some(number) => number,
                None => standing(patch.network, own, name)?,
            };
        }
        let [ingress, ingress_burst, egress, egress_burst] = numbers;
        let burst = |rate: u64, burst| if burst == 0 { rate.min(LARGEST_BURST) } else { burst };
        let numbers = [ingress, burst(ingress, ingress_burst), egress, burst(egress, egress_burst)];
        for (name, number) in BANDWIDTH.iter().zip(numbers) {
            if number != 0 {
                patch.put(&["runtimeConfig", "bandwidth", name], number.into())?;
            }
        }
        Ok(())
    }
}

/// A number of the bandwidth as it stands: the runtime's, else the configuration's; 0 is none.
fn standing(network: &At<'_>, own: &At<'_>, name: &str) -> Result<u64, Unset> {
    if let Some(runtime) = network.path(&["runtimeConfig", "bandwidth"])? {
        return Ok(runtime.folded(name)?.map_or(Ok(0), |at| at.number())?);
    }
    let paths: [&[&str]; 2] = [&["features", "bandwidth", name], &[name]];
    for path in paths {
        if let Some(at) = own.path(path)? {
            return Ok(at.number()?);
        }
    }
    Ok(0)
}

/// Whose configuration says what the interface is like.
enum Whose<'a> {
    Own,
    Delegate(At<'a>),
    /// The first of a list makes it.
    List(At<'a>, Vec<At<'a>>),
}

impl<'a> Whose<'a> {
    fn of(network: &At<'a>) -> Result<Self, Unset> {
        let Some(delegate) = network.path(&["delegate"])?.filter(|at| at.value.is_object()) else {
            return Ok(Self::Own);
        };
        let plugins: Vec<At<'a>> = delegate.folded("plugins")?.iter().flat_map(At::items).collect();
        Ok(match plugins.first() {
            Some(first) => Self::List(*first, plugins),
            None => Self::Delegate(delegate),
        })
    }

    fn configuration(&self, network: &At<'a>) -> At<'a> {
        match self {
            Self::Own => *network,
            Self::Delegate(at) | Self::List(at, _) => *at,
        }
    }

    /// Puts a patch of that configuration into the whole.
    fn put(self, top: &mut Patch<'_>, own: Map<String, Value>) -> Result<(), Unset> {
        if own.is_empty() {
            return Ok(());
        }
        match self {
            Self::Own => top.map.extend(own),
            Self::Delegate(_) => top.put(&["delegate"], Value::Object(own))?,
            Self::List(_, plugins) => {
                let nothing = || Value::Object(Map::new());
                let rest = plugins.iter().skip(1).map(|_| nothing());
                let all = std::iter::once(Value::Object(own)).chain(rest).collect();
                top.put(&["delegate", "plugins"], Value::Array(all))?;
            }
        }
        Ok(())
    }
}

/// A merge patch that grows.
struct Patch<'a> {
    network: &'a At<'a>,
    map: Map<String, Value>,
}

impl<'a> Patch<'a> {
    fn of(network: &'a At<'a>) -> Self {
        Self { network, map: Map::new() }
    }

    /// Puts a value at a path, whose keys are spelled as the configuration has them.
    fn put(&mut self, path: &[&str], value: Value) -> Result<(), Unset> {
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        let mut here = Some(*self.network);
        let mut map = &mut self.map;
        for name in parents {
            let (key, next) = spelled(here, name)?;
            here = next;
            let entry = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
            let Some(inner) = entry.as_object_mut() else { return Ok(()) };
            map = inner;
        }
        map.insert(spelled(here, last)?.0, value);
        Ok(())
    }
}

/// A member, and its key as it stands in the configuration; ours where it is not there.
fn spelled<'a>(at: Option<At<'a>>, name: &str) -> Result<(String, Option<At<'a>>), Unreadable> {
    let found = at.map_or(Ok(None), |at| at.spelled(name))?;
    Ok(match found {
        Some((key, member)) => (key.to_owned(), Some(member)),
        None => (name.to_owned(), None),
    })
}

/// The configured ranges that lie within the pool: of each set of a family that the pool names.
/// None where that is all of them.
fn choose(network: &At<'_>, pool: &Pool) -> Result<Option<Value>, Unset> {
    let ipam = network.path(&["ipam"])?;
    let ranges = ipam.map_or(Ok(None), |ipam| ipam.folded("ranges"))?;
    let (mut kept, mut there, mut changed) = (Vec::new(), Vec::new(), false);
    if let Some(at) = ranges {
        drop(at.list()?);
    }
    for set in ranges.iter().flat_map(At::items) {
        let mut inner = Vec::new();
        let items = set.list()?;
        let all = items.len();
        for item in items {
            let ends = ends(&item)?;
            there.push(ends);
            if pool.takes(ends) {
                inner.push(item.value.clone());
            }
        }
        changed |= inner.len() < all;
        if !inner.is_empty() {
            kept.push(Value::Array(inner));
        }
    }
    if let Some(one) = ipam.as_ref().filter(|ipam| has_subnet(ipam)) {
        there.push(ends(one)?);
    }
    match pool.missing(&there) {
        Some(net) => Err(Unset::NoPool(format!("{}/set/pool: no range of {net}", pool.place))),
        None => Ok(changed.then_some(Value::Array(kept))),
    }
}

fn has_subnet(ipam: &At<'_>) -> bool {
    !matches!(ipam.folded("subnet"), Ok(None))
}

/// The first and the last address of a range: its ends, else its subnet's.
fn ends(range: &At<'_>) -> Result<(Net, Net), Unset> {
    let subnet = range.folded("subnet")?.ok_or_else(|| range.unreadable("has no subnet"))?;
    let subnet = Net::parse(subnet.text()?).ok_or_else(|| subnet.unreadable("is no network"))?;
    let end = |name, usual| -> Result<Net, Unreadable> {
        let Some(at) = range.folded(name)? else { return Ok(Net::single(usual)) };
        let end = address(at.text()?).map(Net::single);
        end.ok_or_else(|| at.unreadable("is not an address"))
    };
    let (first, last) = subnet.ends();
    Ok((end("rangeStart", first)?, end("rangeEnd", last)?))
}

impl Pool {
    /// Whether a range is to be given from: within one of the networks, or of a family that
    /// none of them is of.
    fn takes(&self, (first, last): (Net, Net)) -> bool {
        let within = |net: &&Net| net.covers(&first) && net.covers(&last);
        self.nets.iter().any(|net| within(&net))
            || !self.nets.iter().any(|net| net.is_ipv4() == first.is_ipv4())
    }

    /// A network of a family that would be left without any range.
    fn missing(&self, there: &[(Net, Net)]) -> Option<Net> {
        let same = |net: &Net, first: &Net| net.is_ipv4() == first.is_ipv4();
        let lost = |net: &&Net| !there.iter().any(|ends| same(net, &ends.0) && self.takes(*ends));
        self.nets.iter().find(lost).copied()
    }
}

fn pool(at: &At<'_>, place: Place, problems: &mut Vec<Problem>) -> Pool {
    let mut nets = Vec::new();
    for item in one_or_more(at, problems) {
        nets.extend(net(&item, problems));
    }
    Pool { place, nets }
}

fn addresses(at: &At<'_>, problems: &mut Vec<Problem>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for item in one_or_more(at, problems) {
        addresses.extend(keep(ip(&item), problems));
    }
    addresses
}

/// The items of a list, or what stands in its place.
fn one_or_more<'a>(at: &At<'a>, problems: &mut Vec<Problem>) -> Vec<At<'a>> {
    if at.is_empty() {
        problems.push(at.problem("is empty"));
    }
    if at.value.is_array() { at.items().collect() } else { vec![*at] }
}

fn ip(at: &At<'_>) -> Result<IpAddr, Problem> {
    address(text(at)?).ok_or_else(|| at.wanted("an IP address"))
}

fn mtu(at: &At<'_>) -> Result<u32, Problem> {
    let mtu = u32::try_from(number(at)?).ok().filter(|mtu| (68..=65_535).contains(mtu));
    mtu.ok_or_else(|| at.wanted("an MTU from 68 to 65535"))
}

fn rate_of(at: &At<'_>) -> Result<u64, Problem> {
    match number(at)? {
        0 => Err(at.problem("must not be 0, which is no limit")),
        rate => Ok(rate),
    }
}

/// A list whose items are read for their problems, and then copied.
fn list(
    at: &At<'_>,
    name: &str,
    problems: &mut Vec<Problem>,
    read: fn(&At<'_>, &mut Vec<Problem>),
) -> Option<Value> {
    let at = at.get(name)?;
    if !at.value.is_array() {
        problems.push(at.wanted("a list"));
    }
    for item in at.items() {
        read(&item, problems);
    }
    Some(at.value.clone())
}

fn route(at: &At<'_>, problems: &mut Vec<Problem>) {
    const NUMBERS: [&str; 5] = ["mtu", "advmss", "priority", "table", "scope"];
    if !object(at, &["dst", "gw", "mtu", "advmss", "priority", "table", "scope"], problems) {
        return;
    }
    match at.get("dst") {
        Some(dst) => drop(net(&dst, problems)),
        None => problems.push(at.problem("has no dst")),
    }
    at.get("gw").and_then(|gw| keep(ip(&gw), problems));
    for name in NUMBERS {
        at.get(name).and_then(|at| keep(number(&at), problems));
    }
}

fn port_mapping(at: &At<'_>, problems: &mut Vec<Problem>) {
    if !object(at, &["hostPort", "containerPort", "protocol", "hostIP"], problems) {
        return;
    }
    for name in ["hostPort", "containerPort"] {
        match at.get(name) {
            Some(port) => {
                let fits = port.value.as_u64().is_some_and(|n| (1..=65_535).contains(&n));
                problems.extend((!fits).then(|| port.wanted("a port from 1 to 65535")));
            }
            None => problems.push(at.problem(&format!("has no {name}"))),
        }
    }
    if let Some(protocol) = at.get("protocol") {
        let known = matches!(protocol.value.as_str(), Some("tcp" | "udp" | "sctp"));
        problems.extend((!known).then(|| protocol.wanted("tcp, udp or sctp")));
    }
    at.get("hostIP").and_then(|at| keep(ip(&at), problems));
}

fn dns(at: &At<'_>, problems: &mut Vec<Problem>) -> Value {
    if object(at, &["nameservers", "domain", "search", "options"], problems) {
        let strings = |name| list(at, name, &mut Vec::new(), |_, _| ()).is_some();
        for name in ["nameservers", "search", "options"].into_iter().filter(|name| strings(name)) {
            let read = if name == "nameservers" { server } else { word };
            list(at, name, problems, read);
        }
        at.get("domain").and_then(|domain| keep(text(&domain), problems).map(drop));
    }
    at.value.clone()
}

fn server(at: &At<'_>, problems: &mut Vec<Problem>) {
    keep(ip(at), problems);
}

fn word(at: &At<'_>, problems: &mut Vec<Problem>) {
    keep(text(at), problems);
}
