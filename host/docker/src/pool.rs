//! Pools of Docker's IPAM: ranges of one of our components.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::wire::RequestPool;
use crate::{Refused, SPACES, options, refuse};

/// Where pools come from that nobody names.
const ANY_V4: (&str, u8) = ("10.176.0.0/12", 24);
const ANY_V6: (&str, u8) = ("fd77:6861:7266::/48", 64);

/// The component that gives addresses where nobody names one.
const HOST_LOCAL: &str = "host-local";

/// What is known of a pool; kept as JSON for as long as Docker has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pool {
    /// What Docker calls it by.
    pub id: String,
    /// The address space.
    pub space: String,
    /// All of it.
    pub pool: IpNet,
    /// `--ip-range`.
    pub range: Option<IpNet>,
    /// The name under which the book has its addresses: those of a network of the same name are of
    /// one pool with it.
    pub network: String,
    /// The address space of the book.
    pub domain: String,
    /// How often it was asked for and not released.
    pub uses: u32,
    /// Addresses that were asked for by name: gateways, and those that users chose. Docker does not
    /// ask again after a reboot.
    #[serde(default)]
    pub named: Vec<IpAddr>,
    /// That of the network, which each node of a cluster has.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The `ipam` object of the component.
    ipam: Map<String, Value>,
}

/// Who gives an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The component chooses.
    Any,
    /// The component is asked for this one.
    Asked(IpAddr),
    /// Held as it is: the component has no say.
    Held(IpAddr),
}

impl Pool {
    /// Reads a request; `there` are the pools that there are.
    pub fn read(request: &RequestPool, there: &[Self]) -> Result<Self, Refused> {
        let space = match request.address_space.as_str() {
            "" => SPACES[0],
            text => *SPACES.iter().find(|space| **space == text).ok_or_else(|| {
                Refused(format!("address space {text:?} is none of {}", SPACES.join(", ")))
            })?,
        };
        let taken: Vec<IpNet> =
            there.iter().filter(|pool| pool.space == space).map(|pool| pool.pool).collect();
        let pool = match request.pool.as_str() {
            "" => any(request.v6, &taken)?,
            text => network("Pool", text)?,
        };
        let range = match request.sub_pool.as_str() {
            "" => None,
            text => Some(network("SubPool", text)?),
        };
        if let Some(range) = range.filter(|range| !pool.contains(range)) {
            return refuse(format!("range {range} is not in subnet {pool}"));
        }
        let read = Self::new(space, pool, range, &request.options)?;
        if let Some(same) = there.iter().find(|it| it.id == read.id) {
            return same.again(&read);
        }
        let overlaps = |it: &&IpNet| it.contains(&pool) || pool.contains(*it);
        match taken.iter().find(overlaps) {
            Some(other) => {
                refuse(format!("subnet {pool} overlaps with {other} of another network"))
            }
            None => Ok(read),
        }
    }

    fn new(
        space: &str,
        pool: IpNet,
        range: Option<IpNet>,
        options: &std::collections::BTreeMap<String, String>,
    ) -> Result<Self, Refused> {
        let global = space != SPACES[0];
        let word = pool.to_string().replace([':', '/'], "-");
        let id = if global { format!("global-{pool}") } else { pool.to_string() };
        let network = match options.get("network") {
            Some(name) => name.clone(),
            None if global => format!("docker-global-{word}"),
            None => format!("docker-{word}"),
        };
        if !is_name(&network) {
            return refuse(format!("IPAM option network: {network:?} is no name of a network"));
        }
        let domain = options.get("domain").cloned();
        let domain =
            domain.unwrap_or_else(|| if global { "docker-global" } else { "host" }.to_owned());
        let ipam = ipam(pool, range, &domain, options)?;
        let (id, space) = (format!("wharfinger/{id}"), space.to_owned());
        let (uses, named, gateway) = (1, Vec::new(), None);
        Ok(Self { id, space, pool, range, network, domain, uses, named, gateway, ipam })
    }

    /// The same pool once more.
    fn again(&self, read: &Self) -> Result<Self, Refused> {
        if self.ipam != read.ipam || self.network != read.network {
            return refuse(format!("subnet {} is there with other options", self.pool));
        }
        Ok(Self { uses: self.uses.saturating_add(1), ..self.clone() })
    }

    /// Who gives this address: text as Docker sent it.
    pub fn wanted(&self, address: &str, gateway: bool) -> Result<Wanted, Refused> {
        if address.is_empty() {
            let first = self.first().filter(|_| gateway);
            return Ok(first.map_or(Wanted::Any, Wanted::Held));
        }
        let ip = self.contained(address)?;
        let inside = self.range.unwrap_or(self.pool).contains(&ip);
        Ok(if gateway || !inside { Wanted::Held(ip) } else { Wanted::Asked(ip) })
    }

    /// An address of the pool, by its text.
    pub fn contained(&self, address: &str) -> Result<IpAddr, Refused> {
        let shown: String = address.chars().take(80).collect();
        let ip: IpAddr =
            address.parse().map_err(|_| Refused(format!("{shown:?} is no address")))?;
        if self.pool.contains(&ip) {
            return Ok(ip);
        }
        refuse(format!("{ip} is not in subnet {}", self.pool))
    }

    /// The usual gateway.
    fn first(&self) -> Option<IpAddr> {
        match self.pool {
            IpNet::V4(pool) => pool.hosts().next().map(IpAddr::V4),
            IpNet::V6(pool) => pool.hosts().find(|ip| *ip != pool.network()).map(IpAddr::V6),
        }
    }

    /// With the pool's prefix length.
    pub fn with_length(&self, address: IpAddr) -> String {
        format!("{address}/{}", self.pool.prefix_len())
    }

    /// The configuration under which an address is asked for: that of a network whose interfaces
    /// are another's.
    pub fn conf(&self, wanted: Option<IpAddr>) -> Value {
        let mut conf = json!({
            "cniVersion": "1.1.0", "name": self.network, "type": "docker", "ipam": self.ipam,
            "docker": { "pool": self.id },
        });
        let ours = self.ipam.get("plugin").is_some_and(|plugin| plugin == HOST_LOCAL);
        if let (true, Some(gateway)) = (ours, self.gateway)
            && let Some(Value::Object(member)) = conf.pointer_mut("/ipam/ranges/0/0")
        {
            // So no node's component gives it.
            member.entry("gateway").or_insert_with(|| json!(gateway));
        }
        if let Some(address) = wanted {
            conf["runtimeConfig"] = json!({ "ips": [self.with_length(address)] });
            conf["capabilities"] = json!({ "ips": true });
        }
        conf
    }

    /// The name under which an address of its own is held: one word that is no container's.
    pub fn holder(&self) -> String {
        self.id.replace([':', '/'], "-")
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && name.len() <= 100
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn network(key: &str, text: &str) -> Result<IpNet, Refused> {
    let shown: String = text.chars().take(80).collect();
    let net: IpNet = text.parse().map_err(|_| Refused(format!("{key}: {shown:?} is no subnet")))?;
    Ok(net.trunc())
}

/// The component's configuration: the ranges, and what `--ipam-opt` says.
fn ipam(
    pool: IpNet,
    range: Option<IpNet>,
    domain: &str,
    options: &std::collections::BTreeMap<String, String>,
) -> Result<Map<String, Value>, Refused> {
    let mut ipam = Map::new();
    match options.get("config") {
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(config)) => ipam = config,
            _ => return refuse("IPAM option config: a JSON object is expected"),
        },
        None => drop(ipam.insert("ranges".to_owned(), json!([[ranged(pool, range)]]))),
    }
    for (key, text) in options {
        match key.as_str() {
            "config" | "plugin" | "network" | "domain" | "type" => {}
            key => drop(ipam.insert(key.to_owned(), options::value(key, text))),
        }
    }
    let plugin = options.get("plugin").map_or(HOST_LOCAL, String::as_str);
    ipam.insert("type".to_owned(), "wharfinger".into());
    ipam.insert("plugin".to_owned(), plugin.into());
    ipam.insert("domain".to_owned(), domain.into());
    Ok(ipam)
}

/// The subnet with the ends of `--ip-range`, where these are not the subnet's own.
fn ranged(pool: IpNet, range: Option<IpNet>) -> Value {
    let mut member = json!({ "subnet": pool });
    let Some(range) = range else { return member };
    if range.network() != pool.network() {
        member["rangeStart"] = json!(range.network());
    }
    if range.broadcast() != pool.broadcast() {
        member["rangeEnd"] = json!(range.broadcast());
    }
    member
}

/// The first that is free. Docker asks again, and keeps this one meanwhile, where the host has a
/// route to it.
fn any(v6: bool, taken: &[IpNet]) -> Result<IpNet, Refused> {
    let free = |net: &IpNet| !taken.iter().any(|it| it.contains(net) || net.contains(it));
    let none = || Refused("no subnet is free: name one with --subnet".to_owned());
    let bad = |_| none();
    if v6 {
        let all: Ipv6Net = ANY_V6.0.parse().map_err(|_| none())?;
        return all.subnets(ANY_V6.1).map_err(bad)?.map(IpNet::V6).find(free).ok_or_else(none);
    }
    let all: Ipv4Net = ANY_V4.0.parse().map_err(|_| none())?;
    all.subnets(ANY_V4.1).map_err(bad)?.map(IpNet::V4).find(free).ok_or_else(none)
}
