//! Routes by netlink.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_bindings::rt_route::{
    Metrics, OpDelrouteDo, OpGetrouteDump, OpNewrouteDo, PushRouteAttrs, RouteAttrs, Rtmsg,
};
use netlink_bindings::utils::Pusher;
use wharfinger_plan::{LinkRef, MAIN_TABLE as MAIN, Route};

use crate::address::family;
use crate::socket::{CHANGE, ENSURE, MAKE, Refusal, Socket};

/// The table of own addresses.
pub(crate) const LOCAL: u32 = 255;
const PROTOCOL_ANY: u8 = 0;
const PROTOCOL_KERNEL: u8 = 2;
const PROTOCOL_BOOT: u8 = 3;
const UNICAST: u8 = 1;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_NOWHERE: u8 = 255;
/// The metric that an IPv6 route has when none is given.
const IPV6_METRIC: u32 = 1024;

/// A route that the kernel tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) destination: IpNet,
    pub(crate) index: Option<u32>,
    pub(crate) gateway: Option<IpAddr>,
    source: Option<IpAddr>,
    scope: u8,
    table: u32,
    priority: u32,
    mtu: Option<u32>,
    advmss: Option<u32>,
    /// It leads to a link, and not to nowhere or to the host itself.
    unicast: bool,
    /// The kernel made it, for an address.
    by_kernel: bool,
}

impl Found {
    /// As a step wants it.
    pub(crate) fn route(&self, link: &LinkRef) -> Route {
        Route {
            link: link.clone(),
            destination: self.destination,
            gateway: self.gateway,
            source: self.source,
            scope: self.destination.addr().is_ipv4().then_some(self.scope),
            table: Some(self.table),
            priority: Some(self.priority).filter(|priority| *priority != 0),
            mtu: self.mtu,
            advmss: self.advmss,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        match self.index {
            Some(index) => write!(f, " by link number {index}"),
            None => Ok(()),
        }
    }
}

/// Adds a route by the link with this index, unless there is one to the same destination.
pub(crate) fn add(socket: &mut Socket, index: u32, wanted: &Route) -> Result<(), Refusal> {
    request(socket, MAKE, index, wanted)
}

/// Adds a route by the link with this index beside those by other links: of IPv4 it comes before
/// them, of IPv6 it shares with them.
pub(crate) fn add_beside(socket: &mut Socket, index: u32, wanted: &Route) -> Result<(), Refusal> {
    request(socket, ENSURE, index, wanted)
}

fn request(socket: &mut Socket, how: u16, index: u32, wanted: &Route) -> Result<(), Refusal> {
    socket.change(libc::RTM_NEWROUTE, how, |bytes| {
        let request = OpNewrouteDo::encode_request(bytes, &header(wanted));
        let request = describe(request, index, wanted);
        if wanted.mtu.is_none() && wanted.advmss.is_none() {
            return;
        }
        let mut metrics = request.nested_metrics();
        if let Some(mtu) = wanted.mtu {
            metrics = metrics.push_mtu(mtu);
        }
        if let Some(advmss) = wanted.advmss {
            metrics = metrics.push_advmss(advmss);
        }
        drop(metrics);
    })
}

/// Removes a route; one that is gone is fine.
pub(crate) fn remove(socket: &mut Socket, index: u32, route: &Route) -> Result<(), Refusal> {
    let done = socket.change(libc::RTM_DELROUTE, CHANGE, |bytes| {
        // Whoever made it.
        let mut header = Rtmsg { rtm_protocol: PROTOCOL_ANY, ..header(route) };
        if route.scope.is_none() {
            header.rtm_scope = SCOPE_NOWHERE;
        }
        describe(OpDelrouteDo::encode_request(bytes, &header), index, route);
    });
    match done {
        Err(Refusal { errno: libc::ESRCH | libc::ENODEV, .. }) => Ok(()),
        done => done,
    }
}

/// All routes by links, but not those of own addresses.
pub(crate) fn all(socket: &mut Socket) -> Result<Vec<Found>, Refusal> {
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let family = u8::try_from(family).unwrap_or_default();
        let asked = Rtmsg { rtm_family: family, ..Rtmsg::default() };
        let write = |bytes: &mut Vec<u8>| {
            OpGetrouteDump::encode_request(bytes, &asked);
        };
        let wanted = |found: &Found| found.unicast && found.table != LOCAL;
        all.extend(socket.dump(libc::RTM_GETROUTE, write, |payload| read(payload).filter(wanted))?);
    }
    Ok(all)
}

/// The routes of a table by the link with this index that the kernel does not make itself: those
/// to what is on the link before those by way of it.
pub(crate) fn of_link(socket: &mut Socket, index: u32, table: u32) -> Result<Vec<Found>, Refusal> {
    let is = |found: &Found| found.index == Some(index) && found.table == table && !found.by_kernel;
    let mut routes: Vec<Found> = all(socket)?.into_iter().filter(is).collect();
    routes.sort_by_key(|found| found.gateway.is_some());
    Ok(routes)
}

/// Whether a table has a route to exactly this address.
pub(crate) fn leads_to(socket: &mut Socket, table: u32, address: IpAddr) -> Result<bool, Refusal> {
    let asked = Rtmsg { rtm_family: family(address), ..Rtmsg::default() };
    let write = |bytes: &mut Vec<u8>| {
        OpGetrouteDump::encode_request(bytes, &asked).push_table(table);
    };
    let is = |found: &Found| found.table == table && found.destination == IpNet::from(address);
    match socket.dump(libc::RTM_GETROUTE, write, |payload| read(payload).filter(is)) {
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(false),
        done => done.map(|found| !found.is_empty()),
    }
}

/// Whether the wanted route, of the main table, stands in another one: who routes by source, or
/// by VRF, moves it there.
pub(crate) fn is_elsewhere(
    socket: &mut Socket,
    index: u32,
    wanted: &Route,
) -> Result<bool, Refusal> {
    if wanted.table.is_some_and(|table| table != MAIN) {
        return Ok(false);
    }
    let is = |found: &Found| {
        found.table != MAIN && found.destination == wanted.destination && is(found, index, wanted)
    };
    Ok(all(socket)?.iter().any(is))
}

/// The routes to the same destination, in the same table, with the same metric.
pub(crate) fn rivals(socket: &mut Socket, wanted: &Route) -> Result<Vec<Found>, Refusal> {
    let table = wanted.table.unwrap_or(MAIN);
    let asked = Rtmsg { rtm_family: family(wanted.destination.addr()), ..Rtmsg::default() };
    let write = |bytes: &mut Vec<u8>| {
        OpGetrouteDump::encode_request(bytes, &asked).push_table(table);
    };
    let is_rival = |found: &Found| {
        (found.destination, found.table, found.priority)
            == (wanted.destination, table, priority(wanted))
    };
    match socket.dump(libc::RTM_GETROUTE, write, |payload| read(payload).filter(is_rival)) {
        // A table in which there never was a route.
        Err(refusal) if refusal.errno == libc::ENOENT => Ok(Vec::new()),
        done => done,
    }
}

/// The index of the link by which the default route leaves: of IPv4, else of IPv6; of several the
/// one with the lowest metric.
pub(crate) fn default_link(socket: &mut Socket) -> Result<Option<u32>, Refusal> {
    for family in [libc::AF_INET, libc::AF_INET6] {
        let family = u8::try_from(family).unwrap_or_default();
        let asked = Rtmsg { rtm_family: family, ..Rtmsg::default() };
        let write = |bytes: &mut Vec<u8>| {
            OpGetrouteDump::encode_request(bytes, &asked).push_table(MAIN);
        };
        let is_default = |found: &Found| {
            found.destination.prefix_len() == 0 && found.table == MAIN && found.index.is_some()
        };
        let read = |payload: &[u8]| read(payload).filter(is_default);
        let found = match socket.dump(libc::RTM_GETROUTE, write, read) {
            // A table in which there never was a route.
            Err(refusal) if refusal.errno == libc::ENOENT => Vec::new(),
            done => done?,
        };
        if let Some(first) = found.into_iter().min_by_key(|found| found.priority) {
            return Ok(first.index);
        }
    }
    Ok(None)
}

/// Whether this is the wanted route, by the link with this index.
pub(crate) fn is(found: &Found, index: u32, wanted: &Route) -> bool {
    let same = |found: Option<u32>, wanted: Option<u32>| wanted.is_none() || found == wanted;
    found.index == Some(index)
        && found.gateway == wanted.gateway
        && (wanted.source.is_none() || found.source == wanted.source)
        && (wanted.destination.addr().is_ipv6() || found.scope == scope(wanted))
        && same(found.mtu, wanted.mtu)
        && same(found.advmss, wanted.advmss)
}

fn header(route: &Route) -> Rtmsg {
    let table = u8::try_from(route.table.unwrap_or(MAIN));
    Rtmsg {
        rtm_family: family(route.destination.addr()),
        rtm_dst_len: route.destination.prefix_len(),
        // A larger one stands in its own attribute.
        rtm_table: table.unwrap_or(0),
        rtm_protocol: PROTOCOL_BOOT,
        rtm_scope: scope(route),
        rtm_type: UNICAST,
        ..Rtmsg::default()
    }
}

/// As ip-route(8) chooses it where none is given. IPv6 knows none.
fn scope(route: &Route) -> u8 {
    let chosen = match (route.destination, route.gateway) {
        (IpNet::V4(_), None) => SCOPE_LINK,
        _ => SCOPE_UNIVERSE,
    };
    route.scope.unwrap_or(chosen)
}

fn priority(route: &Route) -> u32 {
    let default = if route.destination.addr().is_ipv6() { IPV6_METRIC } else { 0 };
    route.priority.unwrap_or(default)
}

fn describe<P: Pusher>(
    mut request: PushRouteAttrs<P>,
    index: u32,
    route: &Route,
) -> PushRouteAttrs<P> {
    if route.destination.prefix_len() > 0 {
        request = request.push_dst(route.destination.addr());
    }
    request = request.push_oif(index).push_table(route.table.unwrap_or(MAIN));
    if let Some(gateway) = route.gateway {
        request = request.push_gateway(gateway);
    }
    if let Some(source) = route.source {
        request = request.push_prefsrc(source);
    }
    if let Some(priority) = route.priority {
        request = request.push_priority(priority);
    }
    request
}

fn read(payload: &[u8]) -> Option<Found> {
    let (header, attributes) = OpNewrouteDo::decode_request(payload);
    let mut found = Found {
        destination: default_route(header.rtm_family)?,
        index: None,
        gateway: None,
        source: None,
        scope: header.rtm_scope,
        table: header.rtm_table.into(),
        priority: 0,
        mtu: None,
        advmss: None,
        unicast: header.rtm_type == UNICAST,
        by_kernel: header.rtm_protocol == PROTOCOL_KERNEL,
    };
    for attribute in attributes.map_while(Result::ok) {
        match attribute {
            RouteAttrs::Dst(address) => {
                found.destination = IpNet::new(address, header.rtm_dst_len).ok()?;
            }
            RouteAttrs::Oif(index) => found.index = Some(index),
            RouteAttrs::Gateway(address) => found.gateway = Some(address),
            RouteAttrs::Prefsrc(address) => found.source = Some(address),
            RouteAttrs::Priority(priority) => found.priority = priority,
            RouteAttrs::Table(table) => found.table = table,
            RouteAttrs::Metrics(metrics) => {
                for metric in metrics.map_while(Result::ok) {
                    match metric {
                        Metrics::Mtu(mtu) => found.mtu = Some(mtu),
                        Metrics::Advmss(advmss) => found.advmss = Some(advmss),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Some(found)
}

fn default_route(family: u8) -> Option<IpNet> {
    let zero: IpAddr = match i32::from(family) {
        libc::AF_INET => std::net::Ipv4Addr::UNSPECIFIED.into(),
        libc::AF_INET6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    IpNet::new(zero, 0).ok()
}
