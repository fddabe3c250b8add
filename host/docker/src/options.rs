//! The user's `-o KEY=VALUE` of a network, as Docker users know the keys, and our own.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::{Refused, refuse};

/// What libnetwork puts the user's options under.
pub(crate) const GENERIC: &str = "com.docker.network.generic";

/// Keys that an attachment's configuration has from us alone.
const OURS: &[&str] = &[
    "args",
    "capabilities",
    "cniVersion",
    "delegate",
    "docker",
    "hostHalf",
    "name",
    "prevResult",
    "runtimeConfig",
    "type",
];

/// Keys whose value is a text, whatever it looks like.
const TEXTS: &[&str] = &["bridge", "master", "mode", "mtuFrom", "underlay", "group"];

/// All options of a network, read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Options {
    /// `driver`; `bridge` where it is not set.
    pub(crate) driver: String,
    /// The configuration's keys.
    pub(crate) conf: Map<String, Value>,
    pub(crate) masquerade: Option<bool>,
    /// The bridge has no address.
    pub(crate) inhibit: bool,
    pub(crate) prefix: Option<String>,
    pub(crate) binding: Option<IpAddr>,
    pub(crate) gateway: Gateway,
    /// `ipam`: who gives addresses where Docker's null IPAM gives none.
    pub(crate) ipam: Option<Value>,
}

/// Who is a container's way out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Gateway {
    /// The network's own gateway.
    #[default]
    Network,
    /// A bridge of Docker's own beside it, which publishes ports, too.
    Docker,
    /// Nobody.
    None,
}

/// Reads the user's options.
pub(crate) fn read(generic: &Map<String, Value>) -> Result<Options, Refused> {
    let mut options = Options { driver: "bridge".to_owned(), ..Options::default() };
    for (key, value) in generic {
        let Some(text) = value.as_str() else {
            return refuse(format!("option {key}: a text is expected"));
        };
        one(&mut options, key, text.trim())?;
    }
    Ok(options)
}

fn one(to: &mut Options, key: &str, text: &str) -> Result<(), Refused> {
    let put = |to: &mut Options, key: &str, value: Value| drop(to.conf.insert(key.into(), value));
    match key {
        "driver" => text.clone_into(&mut to.driver),
        "com.docker.network.bridge.name" => put(to, "bridge", text.into()),
        "com.docker.network.driver.mtu" | "mtu" => put(to, "mtu", number(key, text)?.into()),
        "com.docker.network.bridge.enable_ip_masquerade" => to.masquerade = Some(flag(key, text)?),
        "com.docker.network.bridge.enable_icc" => {
            put(to, "portIsolation", (!flag(key, text)?).into());
        }
        "com.docker.network.bridge.inhibit_ipv4" => to.inhibit = flag(key, text)?,
        "com.docker.network.bridge.host_binding_ipv4" => {
            let ip = text.parse().map_err(|_| bad(key, text, "an address of the host"))?;
            to.binding = Some(ip);
        }
        "com.docker.network.bridge.gateway_mode_ipv4"
        | "com.docker.network.bridge.gateway_mode_ipv6" => match text {
            "nat" => to.masquerade = Some(true),
            "routed" => to.masquerade = Some(false),
            _ => return Err(bad(key, text, "nat or routed")),
        },
        "com.docker.network.container_iface_prefix" => to.prefix = Some(prefix(key, text)?),
        "com.docker.network.bridge.default_bridge" => {
            if flag(key, text)? {
                return refuse(format!("option {key}: Docker's default bridge is Docker's own"));
            }
        }
        "parent" => put(to, "master", text.into()),
        "macvlan_mode" | "ipvlan_mode" => put(to, "mode", text.into()),
        "ipvlan_flag" if text == "bridge" => {}
        "ipvlan_flag" => return Err(bad(key, text, "bridge, which is what there is")),
        "gateway" => to.gateway = gateway(key, text)?,
        "ipam" => to.ipam = Some(object(key, text)?),
        _ if key.starts_with("com.docker.") => {
            return refuse(format!(
                "option {key} is not known; docs/docker.md lists those of Docker that are"
            ));
        }
        _ if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(key)) => {
            return refuse(format!("option {key} is not for users to set"));
        }
        _ => put(to, key, value(key, text)),
    }
    Ok(())
}

fn bad(key: &str, text: &str, allowed: &str) -> Refused {
    Refused(format!("option {key}: found {text:?}, allowed: {allowed}"))
}

/// As Go's `strconv.ParseBool`.
pub(crate) fn flag(key: &str, text: &str) -> Result<bool, Refused> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(bad(key, text, "true or false")),
    }
}

fn number(key: &str, text: &str) -> Result<u32, Refused> {
    text.parse().map_err(|_| bad(key, text, "a number"))
}

fn prefix(key: &str, text: &str) -> Result<String, Refused> {
    let letter = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if (1..=10).contains(&text.len()) && text.bytes().all(letter) {
        return Ok(text.to_owned());
    }
    Err(bad(key, text, "1 to 10 letters, digits, '.', '_' or '-'"))
}

fn gateway(key: &str, text: &str) -> Result<Gateway, Refused> {
    match text {
        "network" => Ok(Gateway::Network),
        "docker" => Ok(Gateway::Docker),
        "none" => Ok(Gateway::None),
        _ => Err(bad(key, text, "network, docker or none")),
    }
}

fn object(key: &str, text: &str) -> Result<Value, Refused> {
    match serde_json::from_str::<Value>(text) {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(bad(key, text, "a JSON object")),
        Err(error) => Err(bad(key, text, &format!("a JSON object ({error})"))),
    }
}

/// What is JSON is taken as such, what is not as a text.
pub(crate) fn value(key: &str, text: &str) -> Value {
    let own = TEXTS.iter().any(|texts| texts.eq_ignore_ascii_case(key));
    let parsed = if own { None } else { serde_json::from_str(text).ok() };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}
