//! A network of Docker's as one of ours: its configuration, and what its endpoints get.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wharfinger_cni::Success;

use crate::options::{self, GENERIC, Gateway, Options};
use crate::wire::{About, CreateNetwork, Interface, InterfaceName, IpamData, Joined, StaticRoute};
use crate::{Id, Refused, interface, refuse};

/// Options of libnetwork itself.
const IPV6: &str = "com.docker.network.enable_ipv6";
const INTERNAL: &str = "com.docker.network.internal";
const ENDPOINT: &str = "com.docker.network.endpoint.";
const PORTS: &str = "com.docker.network.portmap";

/// What is known of a network; kept as JSON for as long as Docker has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Docker's id of it.
    pub id: Id,
    /// `none`, or one of our drivers.
    pub driver: String,
    /// Subnets of both families.
    pub subnets: Vec<Subnet>,
    /// The host had no such bridge: it goes with the network.
    #[serde(default)]
    pub made_bridge: bool,
    /// When it was made, in seconds since the Unix epoch.
    #[serde(default)]
    pub made: u64,
    /// The configuration of an attachment, less what is one endpoint's.
    conf: Map<String, Value>,
    internal: bool,
    gateway: Gateway,
    prefix: String,
    /// Where ports are published that name no address of the host.
    pub binding: Option<IpAddr>,
    /// The options as they came, for policies and people.
    options: Map<String, Value>,
}

/// A subnet of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// All of it.
    pub pool: IpNet,
    /// Where there is one.
    pub gateway: Option<IpAddr>,
}

impl Network {
    /// Makes a network's configuration of its options.
    pub fn read(request: &CreateNetwork) -> Result<Self, Refused> {
        let id = Id::parse("NetworkID", &request.network)?;
        let generic = match request.options.get(GENERIC) {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(generic)) => generic.clone(),
            Some(_) => return refuse(format!("{GENERIC} is no object")),
        };
        let options = options::read(&generic)?;
        check_driver(&options.driver)?;
        let internal = switch(&request.options, INTERNAL)?;
        let subnets = request.v4.iter().chain(&request.v6).map(Subnet::read);
        let subnets: Vec<Subnet> =
            subnets.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        if switch(&request.options, IPV6)? && subnets.iter().all(|it| it.pool.addr().is_ipv4()) {
            return refuse("IPv6 is enabled, and the IPAM driver gave no IPv6 subnet");
        }
        if options.ipam.is_some() && !subnets.is_empty() {
            return refuse(
                "option ipam: addresses are Docker's to give already; use --ipam-driver null",
            );
        }
        let mut network = Self {
            driver: options.driver.clone(),
            subnets,
            made_bridge: false,
            made: 0,
            conf: Map::new(),
            internal,
            gateway: options.gateway,
            prefix: options.prefix.clone().unwrap_or_else(|| "eth".to_owned()),
            binding: options.binding,
            options: generic,
            id,
        };
        network.conf = network.configuration(options);
        Ok(network)
    }

    /// Under what name the book has its attachments.
    pub fn name(&self) -> String {
        format!("docker-{}", self.id.short())
    }

    /// Whether containers have a link of it at all.
    pub fn has_links(&self) -> bool {
        self.driver != "none"
    }

    /// Whether its addresses are its own to give, and not Docker's IPAM's.
    pub fn gives_addresses(&self) -> bool {
        self.conf.contains_key("ipam")
    }

    /// The bridge that attachments share, where they do.
    pub fn bridge(&self) -> Option<&str> {
        let bridge = self.conf.get("bridge").and_then(Value::as_str);
        bridge.filter(|_| self.driver == "bridge")
    }

    /// Whether containers have the network's own gateway as their way out.
    fn leads_out(&self) -> bool {
        !self.internal && self.gateway == Gateway::Network && self.driver != "dummy"
    }

    fn configuration(&self, options: Options) -> Map<String, Value> {
        let mut conf = Map::new();
        let mut put = |key: &str, value: Value| drop(conf.insert(key.to_owned(), value));
        put("cniVersion", "1.1.0".into());
        put("name", self.name().into());
        put("type", "wharfinger".into());
        put("driver", options.driver.as_str().into());
        put("hostHalf", true.into());
        if let Some(ipam) = options.ipam {
            put("ipam", ipam);
        }
        let has_gateway =
            conf.contains_key("ipam") || self.subnets.iter().any(|it| it.gateway.is_some());
        let routed = has_gateway && self.leads_out();
        let masquerade = options.masquerade.unwrap_or(true);
        let mut put = |key: &str, value: Value| drop(conf.insert(key.to_owned(), value));
        match options.driver.as_str() {
            driver @ ("bridge" | "overlay") => {
                // An overlay's is named after its number, the same on all nodes.
                if driver == "bridge" {
                    put("bridge", format!("wh-{}", self.id.short()).into());
                }
                if routed {
                    put("isGateway", (!options.inhibit).into());
                    put("ipMasq", masquerade.into());
                    // As between Docker's own bridges.
                    put("features", json!({ "firewall": { "ingressPolicy": "same-bridge" } }));
                }
            }
            "ptp" if routed => {
                put("ipMasq", masquerade.into());
                put("features", json!({ "firewall": {} }));
            }
            _ => {}
        }
        conf.extend(options.conf);
        conf
    }

    /// The configuration of an attachment that is nobody's, for what all share.
    pub fn conf(&self) -> Value {
        let mut conf = self.conf.clone();
        let addresses: Vec<Value> =
            self.subnets.iter().filter_map(|it| Some(it.entry(it.nobodys()?))).collect();
        self.give(&mut conf, &addresses);
        conf.insert("docker".to_owned(), json!({ "network": self.id }));
        Value::Object(conf)
    }

    /// Addresses that Docker gave.
    fn give(&self, conf: &mut Map<String, Value>, addresses: &[Value]) {
        if conf.contains_key("ipam") || addresses.is_empty() {
            return;
        }
        // Each is one container's already: the network's own space says so once more.
        let ipam = json!({
            "type": "static", "addresses": addresses, "domain": self.name(), "coolDown": 0
        });
        conf.insert("ipam".to_owned(), ipam);
    }

    /// The configuration of an endpoint's attachment.
    pub fn endpoint(&self, request: &About) -> Result<Value, Refused> {
        let given = Given::read(&request.interface)?;
        let mut conf = self.conf.clone();
        let addresses = given.addresses.iter().map(|address| self.entry(*address));
        self.give(&mut conf, &addresses.collect::<Vec<_>>());
        let ports = crate::choices(&request.options, self.binding)?;
        let ports: Vec<_> = ports.into_iter().map(|it| (it.clone(), fixed(&it))).collect();
        let mut runtime = json!({ "portMappings": crate::mappings(&ports) });
        let mut capabilities = json!({ "portMappings": true, "mac": true });
        match (self.mac(&given), self.has_own_mac()) {
            (Some(mac), true) => runtime["mac"] = mac.into(),
            (_, false) if given.mac.is_some() => {
                return refuse(
                    "an ipvlan has the MAC address of its parent: take --mac-address out",
                );
            }
            _ => drop(capabilities.as_object_mut().and_then(|it| it.remove("mac"))),
        }
        conf.insert("runtimeConfig".to_owned(), runtime);
        conf.insert("capabilities".to_owned(), capabilities);
        let own = |key: &&String| !key.starts_with(ENDPOINT) && *key != PORTS;
        let said: Map<_, _> = request
            .options
            .iter()
            .filter(|(key, _)| own(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if !said.is_empty() {
            conf.insert("args".to_owned(), json!({ "cni": said }));
        }
        conf.insert("docker".to_owned(), self.mark(&request.endpoint));
        // Ports are published when Docker says so, by an attachment of their own.
        if let Some(Value::Object(features)) = conf.get_mut("features") {
            features.remove("portmap");
        }
        Ok(Value::Object(conf))
    }

    /// What says to policies that an attachment is Docker's.
    fn mark(&self, endpoint: &str) -> Value {
        json!({ "network": self.id, "endpoint": endpoint, "options": self.options })
    }

    fn entry(&self, address: IpNet) -> Value {
        let subnet = self.subnets.iter().find(|it| it.pool.contains(&address.addr()));
        match subnet {
            Some(subnet) if self.leads_out() => subnet.entry(address),
            _ => json!({ "address": address }),
        }
    }

    fn has_own_mac(&self) -> bool {
        self.driver != "ipvlan"
    }

    /// The MAC address of an endpoint: as asked for, else by its address, so that neighbours need
    /// not learn a new one when the address has a new container.
    fn mac(&self, given: &Given) -> Option<String> {
        let passthru = self.conf.get("mode").and_then(Value::as_str) == Some("passthru");
        let chooses =
            matches!(self.driver.as_str(), "bridge" | "overlay" | "ptp" | "macvlan") && !passthru;
        let by_address = || match given.addresses.iter().find(|it| it.addr().is_ipv4())?.addr() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                Some(format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
            }
            IpAddr::V6(_) => None,
        };
        given.mac.clone().or_else(|| by_address().filter(|_| chooses)).filter(|_| chooses)
    }

    /// The configuration under which an endpoint's ports are published, behind its attachment.
    pub fn published(&self, endpoint: &Id, mappings: &Value) -> Value {
        let mut conf = Map::new();
        for key in ["cniVersion", "name", "type", "policies"] {
            conf.extend(self.conf.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        let features = self.conf.get("features").and_then(|features| features.get("portmap"));
        let portmap = features.cloned().unwrap_or_else(|| json!({}));
        conf.insert("features".to_owned(), json!({ "portmap": portmap }));
        conf.insert("capabilities".to_owned(), json!({ "portMappings": true }));
        conf.insert("runtimeConfig".to_owned(), json!({ "portMappings": mappings }));
        conf.insert("docker".to_owned(), self.mark(endpoint.as_str()));
        Value::Object(conf)
    }

    /// What `CreateEndpoint` answers: what Docker did not say itself.
    pub fn created(&self, request: &About, made: &Success) -> Interface {
        let asked = &request.interface;
        let of = |v4: bool| {
            let found = made.ips.iter().find(|ip| ip.address.addr().is_ipv4() == v4);
            found.map(|ip| ip.address.to_string()).unwrap_or_default()
        };
        let new = |asked: &str, found: String| if asked.is_empty() { found } else { String::new() };
        let own = made.interfaces.iter().rev().find(|it| !it.sandbox.is_empty());
        let mac = own.filter(|_| self.has_own_mac()).map(|it| it.mac.clone()).unwrap_or_default();
        Interface {
            address: new(&asked.address, of(true)),
            address_v6: new(&asked.address_v6, of(false)),
            mac_address: new(&asked.mac_address, mac),
        }
    }

    /// What `Join` answers for an attachment that was made.
    pub fn joined(&self, endpoint: &Id, made: &Success) -> Joined {
        if !self.has_links() {
            return Joined { disable_gateway_service: true, ..Joined::default() };
        }
        let name = InterfaceName { src_name: interface(endpoint), dst_prefix: self.prefix.clone() };
        let mut joined = Joined { interface_name: Some(name), ..Joined::default() };
        if self.routes_on_link() {
            joined.static_routes = on_link(made);
            joined.disable_gateway_service = self.gateway != Gateway::Docker;
            return joined;
        }
        if self.leads_out() {
            let gateway = |v4: bool| {
                let gateways = made.ips.iter().filter_map(|ip| ip.gateway);
                gateways.into_iter().find(|ip| ip.is_ipv4() == v4)
            };
            let text = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
            (joined.gateway, joined.gateway_v6) = (text(gateway(true)), text(gateway(false)));
            joined.static_routes = routes(made);
        }
        // 20.10 does not take an IPv6 gateway for a way out.
        joined.disable_gateway_service =
            joined.gateway.is_empty() && self.gateway != Gateway::Docker;
        joined
    }

    /// An ipvlan of layer 3 has no neighbours to be its gateway.
    fn routes_on_link(&self) -> bool {
        let mode = self.conf.get("mode").and_then(Value::as_str).unwrap_or_default();
        self.driver == "ipvlan" && mode.starts_with("l3") && self.leads_out()
    }
}

/// Default routes on the link itself, of the families that there are.
fn on_link(made: &Success) -> Vec<StaticRoute> {
    let has = |v4: bool| made.ips.iter().any(|ip| ip.address.addr().is_ipv4() == v4);
    let route = |to: &str| StaticRoute {
        destination: to.to_owned(),
        route_type: 1,
        next_hop: String::new(),
    };
    let families = [("0.0.0.0/0", has(true)), ("::/0", has(false))];
    families.into_iter().filter(|(_, has)| *has).map(|(to, _)| route(to)).collect()
}

/// Routes that address management gave, beside the default ones.
fn routes(made: &Success) -> Vec<StaticRoute> {
    let beside = made.routes.iter().filter(|route| route.dst.prefix_len() > 0);
    beside
        .filter_map(|route| {
            Some(StaticRoute {
                destination: route.dst.to_string(),
                route_type: 0,
                next_hop: route.gw?.to_string(),
            })
        })
        .collect()
}

impl Subnet {
    /// None of Docker's null IPAM, which has a pool of everything.
    fn read(data: &IpamData) -> Result<Option<Self>, Refused> {
        let pool: IpNet = parse("Pool", &data.pool)?;
        if pool.prefix_len() == 0 {
            return Ok(None);
        }
        let gateway = match data.gateway.as_str() {
            "" => None,
            text => Some(parse::<IpNet>("Gateway", text)?.addr()),
        };
        Ok(Some(Self { pool: pool.trunc(), gateway }))
    }

    fn entry(&self, address: IpNet) -> Value {
        match self.gateway {
            Some(gateway) => json!({ "address": address, "gateway": gateway }),
            None => json!({ "address": address }),
        }
    }

    /// An address of the subnet that is not its gateway.
    fn nobodys(&self) -> Option<IpNet> {
        let own = |ip: &IpAddr| Some(*ip) != self.gateway && *ip != self.pool.network();
        let address = match self.pool {
            IpNet::V4(pool) => pool.hosts().map(IpAddr::V4).take(3).find(own),
            IpNet::V6(pool) => pool.hosts().map(IpAddr::V6).take(3).find(own),
        };
        IpNet::new(address?, self.pool.prefix_len()).ok()
    }
}

/// What Docker gave an endpoint.
struct Given {
    addresses: Vec<IpNet>,
    mac: Option<String>,
}

impl Given {
    fn read(interface: &Interface) -> Result<Self, Refused> {
        let both = [("Address", &interface.address), ("AddressIPv6", &interface.address_v6)];
        let given = both.into_iter().filter(|(_, text)| !text.is_empty());
        let addresses = given.map(|(key, text)| parse(key, text)).collect::<Result<_, _>>()?;
        let mac = Some(interface.mac_address.clone()).filter(|mac| !mac.is_empty());
        Ok(Self { addresses, mac })
    }
}

fn parse<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, Refused> {
    let shown: String = text.chars().take(80).collect();
    text.parse().map_err(|_| Refused(format!("{key}: {shown:?} is no address with prefix length")))
}

/// Of a port that is to be chosen yet: 0.
fn fixed(choice: &crate::Choice) -> u16 {
    choice.host.map_or(0, |(first, _)| first)
}

fn switch(options: &Map<String, Value>, key: &str) -> Result<bool, Refused> {
    match options.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::String(text)) => options::flag(key, text),
        Some(_) => refuse(format!("{key}: true or false is expected")),
    }
}

/// Drivers that there are, or why not.
fn check_driver(driver: &str) -> Result<(), Refused> {
    match driver {
        "bridge" | "overlay" | "ptp" | "macvlan" | "ipvlan" | "vlan" | "dummy" | "none" => Ok(()),
        "host" => refuse(
            "driver host: Docker itself gives a container the host's network, and asks no driver \
             for it: docker run --network host",
        ),
        "host-device" | "tap" | "loopback" => refuse(format!(
            "driver {driver}: it does its work inside the container, and that half is Docker's own"
        )),
        other => refuse(format!(
            "driver {other:?} is none of bridge, overlay, ptp, macvlan, ipvlan, vlan, dummy, none"
        )),
    }
}
