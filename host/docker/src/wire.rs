//! The messages, as dockerd sends and takes them: JSON, its keys as written here.
//!
//! A key that is not there, `null` and an unknown key are all fine (20.10 and 29 differ in that); a
//! value of the wrong kind is not. What has no body is as good as `{}`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// `null` is as good as absent.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// Reads a request; no body at all is an empty one.
pub fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, serde_json::Error> {
    let empty = body.iter().all(u8::is_ascii_whitespace);
    // An object: serde would take a list for one, too.
    let object: Map<String, Value> = serde_json::from_slice(if empty { b"{}" } else { body })?;
    serde_json::from_value(Value::Object(object))
}

/// `NetworkDriver.CreateNetwork`, and, less the addresses, `AllocateNetwork`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateNetwork {
    /// `NetworkID`.
    #[serde(rename = "NetworkID", default, deserialize_with = "nullable")]
    pub network: String,
    /// What libnetwork itself reads, and in `com.docker.network.generic` the user's `-o`.
    #[serde(default, deserialize_with = "nullable")]
    pub options: Map<String, Value>,
    /// Subnets.
    #[serde(rename = "IPv4Data", default, deserialize_with = "nullable")]
    pub v4: Vec<IpamData>,
    /// Subnets.
    #[serde(rename = "IPv6Data", default, deserialize_with = "nullable")]
    pub v6: Vec<IpamData>,
}

/// A subnet, as the IPAM driver gave it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IpamData {
    /// With its prefix length; `0.0.0.0/0` of the null IPAM.
    #[serde(default, deserialize_with = "nullable")]
    pub pool: String,
    /// With its prefix length, or empty.
    #[serde(default, deserialize_with = "nullable")]
    pub gateway: String,
}

/// A call about a network or an endpoint: `DeleteNetwork`, `Leave`, and the like.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct About {
    /// Which network.
    #[serde(rename = "NetworkID", default, deserialize_with = "nullable")]
    pub network: String,
    /// Which endpoint.
    #[serde(rename = "EndpointID", default, deserialize_with = "nullable")]
    pub endpoint: String,
    /// Where the container's namespace is.
    #[serde(rename = "SandboxKey", default, deserialize_with = "nullable")]
    pub sandbox: String,
    /// Of the endpoint or of its sandbox.
    #[serde(rename = "Options", default, deserialize_with = "nullable")]
    pub options: Map<String, Value>,
    /// Of `CreateEndpoint`.
    #[serde(rename = "Interface", default, deserialize_with = "nullable")]
    pub interface: Interface,
}

/// What an endpoint's interface has; empty where it has not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Interface {
    /// With its prefix length.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// With its prefix length.
    #[serde(
        rename = "AddressIPv6",
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub address_v6: String,
    /// As text.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
}

impl Interface {
    /// The addresses that can be read, without their prefix lengths.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let both = [&self.address, &self.address_v6];
        both.into_iter().filter_map(|text| Some(text.parse::<IpNet>().ok()?.addr())).collect()
    }
}

/// What `Join` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Joined {
    /// The link that Docker moves; none: the sandbox has `lo` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface_name: Option<InterfaceName>,
    /// Empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// Empty where there is none.
    #[serde(rename = "GatewayIPv6", skip_serializing_if = "String::is_empty")]
    pub gateway_v6: String,
    /// Routes beside it.
    pub static_routes: Vec<StaticRoute>,
    /// Docker is not to add its own bridge as the way out.
    pub disable_gateway_service: bool,
}

/// The names of a link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InterfaceName {
    /// In the host's namespace.
    pub src_name: String,
    /// In the container's, before a number that Docker chooses.
    pub dst_prefix: String,
}

/// A route of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StaticRoute {
    /// With its prefix length.
    pub destination: String,
    /// 0: by `NextHop`; 1: on the interface itself.
    pub route_type: u8,
    /// An address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next_hop: String,
}

/// An entry of `com.docker.network.portmap`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortMap {
    /// 6, 17 or 132.
    #[serde(default, deserialize_with = "nullable")]
    pub proto: u8,
    /// The container's.
    #[serde(default, deserialize_with = "nullable")]
    pub port: u16,
    /// Empty: any.
    #[serde(rename = "HostIP", default, deserialize_with = "nullable")]
    pub host_ip: String,
    /// 0: to be chosen.
    #[serde(default, deserialize_with = "nullable")]
    pub host_port: u16,
    /// One of those from `host_port` to here, where it is higher.
    #[serde(default, deserialize_with = "nullable")]
    pub host_port_end: u16,
}

/// `IpamDriver.RequestPool`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestPool {
    /// One of ours.
    #[serde(default, deserialize_with = "nullable")]
    pub address_space: String,
    /// `--subnet`; empty: any.
    #[serde(default, deserialize_with = "nullable")]
    pub pool: String,
    /// `--ip-range`.
    #[serde(default, deserialize_with = "nullable")]
    pub sub_pool: String,
    /// `--ipam-opt`.
    #[serde(default, deserialize_with = "nullable")]
    pub options: BTreeMap<String, String>,
    /// Of which family, where any will do.
    #[serde(default, deserialize_with = "nullable")]
    pub v6: bool,
}

/// `IpamDriver.RequestAddress`, `ReleaseAddress` and `ReleasePool`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AddressOf {
    /// Which pool.
    #[serde(rename = "PoolID", default, deserialize_with = "nullable")]
    pub pool: String,
    /// Which address; empty: any.
    #[serde(default, deserialize_with = "nullable")]
    pub address: String,
    /// Hints.
    #[serde(default, deserialize_with = "nullable")]
    pub options: BTreeMap<String, String>,
}

impl AddressOf {
    /// Whether it is the gateway's.
    pub fn is_gateway(&self) -> bool {
        let kind = self.options.get("RequestAddressType").map(String::as_str);
        kind == Some("com.docker.network.gateway")
    }
}
