//! The state of the kernel in memory, and what a step does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use wharfinger_plan::{
    Action, Address, Device, DeviceFile, Encryption, Key, Link, LinkKind, LinkRef, Mac, Masquerade,
    Others, Peer, Place, Port, Probe, Redirect, Route, Rule, Shape, Sysctl, Vxlan, Way,
};

use super::{HOST_COOKIE, MemDevice, Paths, refused};
use crate::{Error, LinkFacts, Peers, Segment, link, steps};

/// Everything there is.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) paths: Paths,
    pub(super) spaces: BTreeMap<u64, Space>,
    pub(super) masquerades: BTreeMap<IpAddr, Masquerade>,
    /// The other steps of the packet filter.
    pub(super) filter: Vec<Action>,
    /// What is known of other nodes, by the name of the VXLAN.
    pub(super) peers: BTreeMap<String, Peers>,
    /// What must not leave in clear.
    pub(super) encrypted: BTreeSet<Encryption>,
    /// That tell which device an attachment has.
    pub(super) files: BTreeSet<DeviceFile>,
    /// Associations between nodes.
    pub(super) associations: BTreeMap<Way, Key>,
    /// What others on the segments of links have.
    pub(super) held: BTreeMap<IpAddr, Mac>,
    pub(super) devices: BTreeMap<String, MemDevice>,
    /// Counts up, for MAC addresses that nobody chose.
    made: u32,
}

/// One namespace.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) links: BTreeMap<String, MemLink>,
    pub(super) routes: Vec<Route>,
    pub(super) sysctls: BTreeMap<String, String>,
    pub(super) rules: Vec<Rule>,
}

/// A link, and what is not among its facts.
#[derive(Debug)]
pub(super) struct MemLink {
    pub(super) facts: LinkFacts,
    /// The cookie and name of the other end.
    peer: Option<(u64, String)>,
    port: Option<Port>,
    promisc: bool,
    pub(super) shape: Option<Shape>,
    pub(super) redirect: Option<Redirect>,
    /// The table of a VRF.
    pub(super) table: Option<u32>,
    /// What it was made as, of a VXLAN.
    vxlan: Option<Vxlan>,
    /// The VRF that it belongs to.
    pub(super) vrf: Option<String>,
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Made,
    WasThere,
}

impl Default for Space {
    fn default() -> Self {
        let lo = LinkFacts { mtu: 65536, ..LinkFacts::new(LinkRef::container("lo"), "") };
        let links = BTreeMap::from([("lo".to_owned(), MemLink::new(lo))]);
        Self { links, routes: Vec::new(), sysctls: BTreeMap::new(), rules: Vec::new() }
    }
}

impl MemLink {
    fn new(facts: LinkFacts) -> Self {
        Self {
            facts,
            peer: None,
            port: None,
            promisc: false,
            shape: None,
            redirect: None,
            table: None,
            vxlan: None,
            vrf: None,
        }
    }
}

impl State {
    pub(super) fn space(&mut self, cookie: u64) -> &mut Space {
        self.spaces.entry(cookie).or_default()
    }

    pub(super) fn facts(&mut self, cookie: u64, link: &LinkRef) -> Option<LinkFacts> {
        let found = self.space(cookie).links.get(&link.name)?;
        Some(LinkFacts { link: link.clone(), ..found.facts.clone() })
    }

    pub(super) fn add_link(&mut self, cookie: u64, facts: LinkFacts) {
        let name = facts.link.name.clone();
        self.space(cookie).links.insert(name, MemLink::new(facts));
    }

    pub(super) fn remove_link(&mut self, cookie: u64, name: &str) {
        let space = self.space(cookie);
        let Some(link) = space.links.remove(name) else { return };
        space.routes.retain(|route| route.link.name != name);
        if cookie == HOST_COOKIE {
            self.peers.remove(name);
        }
        if let Some((cookie, name)) = link.peer {
            self.remove_link(cookie, &name);
        }
    }

    /// What is known of other nodes by the links of a segment, which have to be there.
    pub(super) fn peers(&mut self, segment: &Segment) -> Result<&mut Peers, Error> {
        self.existing("look up", HOST_COOKIE, &segment.bridge)?;
        self.existing("look up", HOST_COOKIE, &segment.vxlan)?;
        Ok(self.peers.entry(segment.vxlan.clone()).or_default())
    }

    pub(super) fn end_namespace(&mut self, path: &Path) {
        let Some(cookie) = self.paths.get(path).copied() else { return };
        self.paths.retain(|_, at| *at != cookie);
        let Some(space) = self.spaces.get(&cookie) else { return };
        let names: Vec<String> = space.links.keys().cloned().collect();
        // What has no kind is a device, which the kernel brings home.
        let device = |link: &MemLink| link.facts.kind.is_empty() && link.facts.link.name != "lo";
        let devices: Vec<String> = space
            .links
            .iter()
            .filter(|(_, link)| device(link))
            .map(|(name, _)| name.clone())
            .collect();
        for name in devices {
            self.move_link((cookie, &name), (HOST_COOKIE, &name));
        }
        for name in names {
            self.remove_link(cookie, &name);
        }
        self.spaces.remove(&cookie);
    }

    pub(super) fn apply(&mut self, action: &Action, netns: u64) -> Result<Done, Error> {
        let cookie = place(action.place(), netns);
        match action {
            Action::Link(link) => self.link(link, netns),
            Action::Up { link } => {
                let link = self.existing("set up", cookie, &link.name)?;
                let was = std::mem::replace(&mut link.facts.up, true);
                Ok(if was { Done::WasThere } else { Done::Made })
            }
            Action::Address(address) => self.address(address, cookie),
            Action::Route(route) => self.route(route, cookie),
            Action::Sysctl(Sysctl { key, value, .. }) => {
                self.space(cookie).sysctls.insert(key.clone(), value.clone());
                Ok(Done::Made)
            }
            Action::Masquerade(wanted) => self.masquerade(wanted),
            Action::Forward(_)
            | Action::PortMap(_)
            | Action::Isolation(_)
            | Action::Guard(_)
            | Action::Rules(_) => Ok(self.filter(action)),
            Action::Probe(wanted) => self.probe(wanted),
            Action::Announce(_) => Ok(Done::WasThere),
            other => self.feature(other, cookie),
        }
    }

    fn probe(&self, wanted: &Probe) -> Result<Done, Error> {
        let held = |address: &IpAddr| Some((*address, *self.held.get(address)?));
        match wanted.addresses.iter().find_map(held) {
            Some((address, mac)) => {
                Err(Error::Taken { address, link: wanted.link.to_string(), mac })
            }
            None => Ok(Done::WasThere),
        }
    }

    pub(super) fn existing(
        &mut self,
        operation: &'static str,
        cookie: u64,
        name: &str,
    ) -> Result<&mut MemLink, Error> {
        let none = || refused(operation, format!("link {name}"), os_error(libc::ENODEV));
        self.space(cookie).links.get_mut(name).ok_or_else(none)
    }

    fn link(&mut self, link: &Link, netns: u64) -> Result<Done, Error> {
        let cookie = place(link.link.place, netns);
        let is_there = self.space(cookie).links.contains_key(&link.link.name);
        match &link.kind {
            LinkKind::Veth { peer } => {
                self.veth(link, peer, netns)?;
                Ok(Done::Made)
            }
            LinkKind::Bridge | LinkKind::Ifb | LinkKind::Vrf { .. } if !is_there => {
                let kind = kind(link).unwrap_or_default();
                let facts = self.fresh(link, kind, link.link.clone(), link.mac);
                self.add_link(cookie, facts);
                if let LinkKind::Vrf { table } = link.kind {
                    self.existing("add", cookie, &link.link.name)?.table = Some(table);
                }
                self.set(link, cookie)?;
                Ok(Done::Made)
            }
            LinkKind::Device(device) => self.lend(link, device, netns),
            LinkKind::VlanBridge if !is_there => self.make(link, cookie),
            LinkKind::Vxlan(wanted) if !is_there => {
                let done = self.make(link, cookie)?;
                self.existing("add", cookie, &link.link.name)?.vxlan = Some(wanted.clone());
                Ok(done)
            }
            LinkKind::Macvlan(_)
            | LinkKind::Ipvlan(_)
            | LinkKind::Vlan(_)
            | LinkKind::Dummy
            | LinkKind::Tap(_)
                if is_there && link.alias.is_some() =>
            {
                Err(refused("add", format!("link {}", link.link), os_error(libc::EEXIST)))
            }
            LinkKind::Macvlan(_)
            | LinkKind::Ipvlan(_)
            | LinkKind::Vlan(_)
            | LinkKind::Dummy
            | LinkKind::Tap(_)
                if !is_there =>
            {
                if let Some(master) = crate::kind::master(&link.kind) {
                    self.existing("look up", place(master.place, netns), &master.name)?;
                }
                self.make(link, cookie)
            }
            _ => {
                let found = self.existing("look at", cookie, &link.link.name)?;
                conflict(&found.facts, link)?;
                vxlan_conflict(found, link)?;
                self.set(link, cookie)?;
                Ok(Done::WasThere)
            }
        }
    }

    fn make(&mut self, link: &Link, cookie: u64) -> Result<Done, Error> {
        let kind = kind(link).unwrap_or_default();
        let facts = self.fresh(link, kind, link.link.clone(), link.mac);
        self.add_link(cookie, facts);
        let done = self.set(link, cookie);
        if done.is_err() {
            self.remove_link(cookie, &link.link.name);
        }
        done.map(|()| Done::Made)
    }

    /// A link of the host moves, and is known by its alias from then on.
    fn lend(&mut self, link: &Link, device: &Device, netns: u64) -> Result<Done, Error> {
        let from = device.from.clone().unwrap_or_default();
        let name = &link.link.name;
        if self.space(netns).links.contains_key(name) {
            return Err(refused("move", format!("link {}", link.link), os_error(libc::EEXIST)));
        }
        self.existing("move", HOST_COOKIE, &from)?.facts.alias = Some(from.clone());
        self.move_link((HOST_COOKIE, &from), (netns, name));
        Ok(Done::Made)
    }

    fn give_back(&mut self, link: &Link, device: &Device, netns: Option<u64>) {
        let from = device.from.as_deref();
        let lent = |found: &MemLink| {
            found.facts.alias.clone().filter(|alias| from.is_none_or(|from| from == alias))
        };
        let inside = netns.map(|cookie| (cookie, link.link.name.clone()));
        let is_back = |name: &str, it: &MemLink| {
            let is_as_brought_home =
                || crate::device::is_as_brought_home(name, it.facts.up, &link.link.name);
            lent(it).is_some() && (!device.unrecorded || is_as_brought_home())
        };
        let at_home = from.and_then(|_| {
            let mut links = self.space(HOST_COOKIE).links.iter();
            links.find(|(name, it)| is_back(name, it)).map(|(name, _)| (HOST_COOKIE, name.clone()))
        });
        for (cookie, name) in inside.into_iter().chain(at_home) {
            let Some(was) = self.space(cookie).links.get(&name).and_then(lent) else { continue };
            self.move_link((cookie, &name), (HOST_COOKIE, &was));
            if let Some(link) = self.space(HOST_COOKIE).links.get_mut(&was) {
                link.facts.alias = None;
            }
            return;
        }
    }

    fn move_link(&mut self, (from, name): (u64, &str), (to, new): (u64, &str)) {
        let Some(mut link) = self.space(from).links.remove(name) else { return };
        self.space(from).routes.retain(|route| route.link.name != name);
        link.facts.addresses.clear();
        link.facts.up = false;
        new.clone_into(&mut link.facts.link.name);
        self.space(to).links.insert(new.to_owned(), link);
    }

    fn veth(&mut self, link: &Link, peer: &Peer, netns: u64) -> Result<(), Error> {
        let (at, peer_at) = (place(link.link.place, netns), place(peer.link.place, netns));
        for (cookie, end) in [(at, &link.link), (peer_at, &peer.link)] {
            if self.space(cookie).links.contains_key(&end.name) {
                return Err(refused("add", format!("link {end}"), os_error(libc::EEXIST)));
            }
        }
        let facts = self.fresh(link, "veth", link.link.clone(), link.mac);
        let mut peer_facts = self.fresh(link, "veth", peer.link.clone(), peer.mac);
        (peer_facts.alias, peer_facts.up) = (None, false);
        self.add_link(at, facts);
        self.add_link(peer_at, peer_facts);
        self.existing("add", at, &link.link.name)?.peer = Some((peer_at, peer.link.name.clone()));
        self.existing("add", peer_at, &peer.link.name)?.peer = Some((at, link.link.name.clone()));
        let done = self.set(link, at);
        if done.is_err() {
            self.remove_link(at, &link.link.name);
        }
        done
    }

    /// The settings that a link keeps, wherever it came from.
    fn set(&mut self, link: &Link, cookie: u64) -> Result<(), Error> {
        if let Some(port) = &link.port {
            let bridge = self.existing("add port to", cookie, &port.bridge)?;
            if bridge.facts.kind != "bridge" {
                return Err(not_a("bridge", &bridge.facts));
            }
        }
        let found = self.existing("set", cookie, &link.link.name)?;
        found.port = link.port.clone().or_else(|| found.port.clone());
        found.promisc = link.promisc.unwrap_or(found.promisc);
        found.facts.up |= link.up;
        if link.alias.is_some() {
            found.facts.alias.clone_from(&link.alias);
        }
        Ok(())
    }

    fn fresh(&mut self, link: &Link, kind: &str, name: LinkRef, mac: Option<Mac>) -> LinkFacts {
        self.made += 1;
        let [a, b, c, d] = self.made.to_be_bytes();
        LinkFacts {
            mac: mac.or(Some(Mac([0x06, 0, a, b, c, d]))),
            mtu: link.mtu.unwrap_or(1500),
            alias: link.alias.clone(),
            up: link.up,
            index: self.made,
            ..LinkFacts::new(name, kind)
        }
    }

    fn address(&mut self, wanted: &Address, cookie: u64) -> Result<Done, Error> {
        let link = self.existing("add address to", cookie, &wanted.link.name)?;
        let addresses = &mut link.facts.addresses;
        let is_other = |other: &IpNet| *other != wanted.address && clashes(*other, wanted.address);
        match wanted.others {
            Others::Keep => {}
            Others::Replace => addresses.retain(|other| !is_other(other)),
            Others::Refuse => {
                if let Some(other) = addresses.iter().find(|other| is_other(other)) {
                    return Err(Error::Differs {
                        object: format!("link {}", wanted.link),
                        what: "address",
                        found: other.to_string(),
                        wanted: wanted.address.to_string(),
                    });
                }
            }
        }
        if addresses.contains(&wanted.address) {
            return Ok(Done::WasThere);
        }
        addresses.push(wanted.address);
        Ok(Done::Made)
    }

    fn route(&mut self, wanted: &Route, cookie: u64) -> Result<Done, Error> {
        self.existing("add route to", cookie, &wanted.link.name)?;
        let key =
            |route: &Route| (route.link.clone(), route.destination, route.table, route.priority);
        let routes = &mut self.space(cookie).routes;
        match routes.iter().find(|route| key(route) == key(wanted)) {
            None => {
                routes.push(wanted.clone());
                Ok(Done::Made)
            }
            Some(found) if found == wanted => Ok(Done::WasThere),
            Some(found) => Err(Error::Differs {
                object: format!("route {}", wanted.destination),
                what: "route",
                found: Action::Route(found.clone()).to_string(),
                wanted: Action::Route(wanted.clone()).to_string(),
            }),
        }
    }

    fn filter(&mut self, wanted: &Action) -> Done {
        if self.filter.contains(wanted) {
            return Done::WasThere;
        }
        self.filter.push(wanted.clone());
        Done::Made
    }

    fn masquerade(&mut self, wanted: &Masquerade) -> Result<Done, Error> {
        match self.masquerades.get(&wanted.address) {
            None => {
                self.masquerades.insert(wanted.address, wanted.clone());
                Ok(Done::Made)
            }
            Some(found) if found == wanted => Ok(Done::WasThere),
            Some(found) => Err(Error::Differs {
                object: format!("masquerade {}", wanted.address),
                what: "owner",
                found: found.comment.clone(),
                wanted: wanted.comment.clone(),
            }),
        }
    }

    pub(super) fn undo(&mut self, action: &Action, netns: Option<u64>) {
        match action {
            Action::Link(link) => self.undo_link(link, netns),
            Action::Address(address) => {
                let Some(cookie) = place_of(address.link.place, netns) else { return };
                if let Some(link) = self.space(cookie).links.get_mut(&address.link.name) {
                    link.facts.addresses.retain(|found| *found != address.address);
                }
            }
            Action::Route(route) => {
                let Some(cookie) = place_of(route.link.place, netns) else { return };
                self.space(cookie).routes.retain(|found| found != route);
            }
            Action::Masquerade(rule) => {
                let ours =
                    self.masquerades.get(&rule.address).is_some_and(|r| r.comment == rule.comment);
                if ours {
                    self.masquerades.remove(&rule.address);
                }
            }
            Action::Forward(_)
            | Action::PortMap(_)
            | Action::Isolation(_)
            | Action::Guard(_)
            | Action::Rules(_) => self.filter.retain(|found| found != action),
            Action::Up { .. }
            | Action::Sysctl(_)
            | Action::Probe(_)
            | Action::Announce(_)
            | Action::Encryption(_) => {}
            other => self.undo_feature(other, netns),
        }
    }

    fn undo_link(&mut self, link: &Link, netns: Option<u64>) {
        if let LinkKind::Device(device) = &link.kind {
            return self.give_back(link, device, netns);
        }
        let Some(cookie) = place_of(link.link.place, netns) else { return };
        let name = &link.link.name;
        let is_used = |link: &MemLink| link.vrf.as_ref() == Some(name);
        if self.space(cookie).links.values().any(is_used) {
            return;
        }
        let found = self.space(cookie).links.get(name);
        let ours = found.map(|found| &found.facts).is_some_and(|found| {
            steps::is_ours(found.alias.as_deref(), found.mac, &found.kind, link)
        });
        if ours {
            self.remove_link(cookie, name);
        }
    }

    pub(super) fn differences(&mut self, action: &Action, netns: u64) -> Vec<String> {
        let cookie = place(action.place(), netns);
        let missing = || vec!["is missing".to_owned()];
        match action {
            Action::Link(link) => match self.space(cookie).links.get(&link.link.name) {
                None => missing(),
                Some(found) => link_differences(found, link),
            },
            Action::Up { link } => match self.space(cookie).links.get(&link.name) {
                None => missing(),
                Some(found) if found.facts.up => Vec::new(),
                Some(_) => vec!["is down".to_owned()],
            },
            Action::Address(address) => {
                let link = self.space(cookie).links.get(&address.link.name);
                let there = link.is_some_and(|l| l.facts.addresses.contains(&address.address));
                if there { Vec::new() } else { missing() }
            }
            Action::Route(route) => {
                let moved = |found: &Route| Route { table: None, ..found.clone() } == *route;
                let there = self.space(cookie).routes.iter().any(|r| r == route || moved(r));
                if there { Vec::new() } else { missing() }
            }
            Action::Sysctl(sysctl) => match self.space(cookie).sysctls.get(&sysctl.key) {
                _ if sysctl.optional => Vec::new(),
                Some(found) if *found == sysctl.value => Vec::new(),
                Some(found) => vec![format!("is {found}, not {}", sysctl.value)],
                None => missing(),
            },
            Action::Masquerade(rule) => match self.masquerades.get(&rule.address) {
                Some(found) if found == rule => Vec::new(),
                Some(found) => vec![format!("is of {}, not {}", found.comment, rule.comment)],
                None => missing(),
            },
            Action::Forward(_)
            | Action::PortMap(_)
            | Action::Isolation(_)
            | Action::Guard(_)
            | Action::Rules(_) => {
                if self.filter.contains(action) {
                    Vec::new()
                } else {
                    missing()
                }
            }
            Action::Encryption(it) if !self.encrypted.contains(it) => missing(),
            Action::Probe(_) | Action::Announce(_) | Action::Encryption(_) => Vec::new(),
            other => self.feature_differences(other, cookie),
        }
    }
}

/// Each setting of a link that is not as wanted.
fn link_differences(found: &MemLink, wanted: &Link) -> Vec<String> {
    let mut all = Vec::new();
    let facts = &found.facts;
    let mut compare = |what: &str, found: String, wanted: Option<String>| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            all.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    compare("kind", facts.kind.clone(), kind(wanted).map(str::to_owned));
    compare("mtu", facts.mtu.to_string(), wanted.mtu.map(|mtu| mtu.to_string()));
    let mac = facts.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    compare("mac", mac, wanted.mac.map(|mac| mac.to_string()));
    compare("alias", facts.alias.clone().unwrap_or_default(), wanted.alias.clone());
    compare(
        "port",
        format!("{:?}", found.port),
        wanted.port.as_ref().map(|p| format!("{:?}", Some(p))),
    );
    compare("promisc", found.promisc.to_string(), wanted.promisc.map(|p| p.to_string()));
    if let LinkKind::Vxlan(wanted) = &wanted.kind {
        compare("vxlan", vxlan_text(found.vxlan.as_ref()), Some(vxlan_text(Some(wanted))));
    }
    compare("up", facts.up.to_string(), wanted.up.then(|| "true".to_owned()));
    all
}

/// A link that is there already, with other settings than wanted.
fn conflict(found: &LinkFacts, wanted: &Link) -> Result<(), Error> {
    if let Some(kind) = kind(wanted).filter(|kind| *kind != found.kind) {
        return Err(not_a(kind, found));
    }
    match wanted.mtu {
        Some(mtu) if mtu != found.mtu => Err(Error::Differs {
            object: format!("link {}", found.link.name),
            what: "mtu",
            found: found.mtu.to_string(),
            wanted: mtu.to_string(),
        }),
        _ => Ok(()),
    }
}

fn vxlan_text(vxlan: Option<&Vxlan>) -> String {
    vxlan.map(ToString::to_string).unwrap_or_default()
}

fn vxlan_conflict(found: &MemLink, wanted: &Link) -> Result<(), Error> {
    let LinkKind::Vxlan(vxlan) = &wanted.kind else { return Ok(()) };
    let object = format!("link {}", wanted.link);
    let (found, wanted) = (vxlan_text(found.vxlan.as_ref()), vxlan_text(Some(vxlan)));
    if found == wanted {
        return Ok(());
    }
    Err(Error::Differs { object, what: "vxlan", found, wanted })
}

fn kind(link: &Link) -> Option<&'static str> {
    link::kind_name(&link.kind)
}

fn not_a(kind: &str, found: &LinkFacts) -> Error {
    Error::Differs {
        object: format!("link {}", found.link.name),
        what: "kind",
        found: found.kind.clone(),
        wanted: kind.to_owned(),
    }
}

/// Whether an address counts as "another one" beside the wanted: any of IPv4, an overlapping
/// one of IPv6.
fn clashes(other: IpNet, wanted: IpNet) -> bool {
    match (other, wanted) {
        (IpNet::V4(_), IpNet::V4(_)) => true,
        (IpNet::V6(other), IpNet::V6(wanted)) => {
            other.contains(&wanted.network()) || wanted.contains(&other.network())
        }
        _ => false,
    }
}

fn place(place: Place, netns: u64) -> u64 {
    match place {
        Place::Host => HOST_COOKIE,
        Place::Container => netns,
    }
}

pub(super) fn place_of(at: Place, netns: Option<u64>) -> Option<u64> {
    match at {
        Place::Host => Some(HOST_COOKIE),
        Place::Container => netns,
    }
}

fn os_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
