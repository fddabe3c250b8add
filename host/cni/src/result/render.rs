//! Writing a result: exactly in the shape of one version, whatever it came from.
//!
//! The rules are the reference library's. Up to 0.4.0 `dns` is always there; from 1.0.0 only when
//! it says something. This module must never write a field that the version's readers choke on.
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Dns, Ip, Route, Success};
use crate::{CniError, Version, code};

impl Success {
    /// This result in the shape of `version`, labelled with it.
    ///
    /// Error 1 where the version cannot say it: 0.1.0 and 0.2.0 have no result without address.
    pub fn render(&self, version: Version) -> Result<Value, CniError> {
        match version {
            Version::V0_1_0 | Version::V0_2_0 => to_json(&Single::new(self, version)?),
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => {
                to_json(&Lists::new(self, version))
            }
            Version::V1_0_0 | Version::V1_1_0 => {
                to_json(&Labelled { cni_version: version.as_str(), success: self })
            }
        }
    }
}

fn to_json(shape: &impl Serialize) -> Result<Value, CniError> {
    serde_json::to_value(shape).map_err(|error| {
        CniError::new(code::INTERNAL, format!("the result cannot be written as JSON: {error}"))
    })
}

/// 1.0.0 and 1.1.0: our own shape. 1.1.0's fields stay in 1.0.0, as in the library.
#[derive(Serialize)]
struct Labelled<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'static str,
    #[serde(flatten)]
    success: &'a Success,
}

/// 0.3.0, 0.3.1 and 0.4.0.
#[derive(Serialize)]
struct Lists<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<VersionedIp<'a>>,
    #[serde(skip_serializing_if = "<[Route]>::is_empty")]
    routes: &'a [Route],
    dns: &'a Dns,
}

#[derive(Serialize)]
struct VersionedIp<'a> {
    version: &'static str,
    #[serde(flatten)]
    ip: &'a Ip,
}

impl<'a> Lists<'a> {
    fn new(success: &'a Success, version: Version) -> Self {
        Self {
            cni_version: version.as_str(),
            interfaces: success.interfaces.iter().map(basic_interface).collect(),
            ips: success.ips.iter().map(versioned).collect(),
            routes: &success.routes,
            dns: &success.dns,
        }
    }
}

/// Name, link-layer address and sandbox, the latter two where they are.
fn basic_interface(interface: &super::Interface) -> Value {
    let mut object = json!({ "name": interface.name });
    for (key, text) in [("mac", &interface.mac), ("sandbox", &interface.sandbox)] {
        if let (false, Some(map)) = (text.is_empty(), object.as_object_mut()) {
            map.insert(key.to_owned(), Value::String(text.clone()));
        }
    }
    object
}

fn versioned(ip: &Ip) -> VersionedIp<'_> {
    let version = if matches!(ip.address, IpNet::V4(_)) { "4" } else { "6" };
    VersionedIp { version, ip }
}

/// 0.1.0 and 0.2.0: the first address of each family, the routes filed by family, no interfaces.
#[derive(Serialize)]
struct Single<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<Family>,
    dns: &'a Dns,
}

#[derive(Serialize)]
struct Family {
    ip: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<BareRoute>,
}

#[derive(Serialize)]
struct BareRoute {
    dst: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<IpAddr>,
}

impl<'a> Single<'a> {
    fn new(success: &'a Success, version: Version) -> Result<Self, CniError> {
        let ip4 = family(success, |net| matches!(net, IpNet::V4(_)));
        let ip6 = family(success, |net| matches!(net, IpNet::V6(_)));
        if ip4.is_none() && ip6.is_none() {
            return Err(no_address(version));
        }
        Ok(Self { cni_version: version.as_str(), ip4, ip6, dns: &success.dns })
    }
}

fn no_address(version: Version) -> CniError {
    CniError::new(
        code::INCOMPATIBLE_VERSION,
        format!("the attachment has no IP address, and CNI {version} has no result without one"),
    )
    .with_details("set \"cniVersion\" to 0.3.0 or newer, or configure IPAM")
}

fn family(success: &Success, ours: impl Fn(&IpNet) -> bool) -> Option<Family> {
    let ip = success.ips.iter().find(|ip| ours(&ip.address))?;
    let bare = |route: &Route| BareRoute { dst: route.dst, gw: route.gw };
    let routes = success.routes.iter().filter(|route| ours(&route.dst)).map(bare).collect();
    Some(Family { ip: ip.address, gateway: ip.gateway, routes })
}
