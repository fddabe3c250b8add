//! Published ports: Docker's list, as the capability `portMappings`.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::wire::PortMap;
use crate::{Refused, refuse};

/// Where Docker has the list.
const KEY: &str = "com.docker.network.portmap";

/// A port to be published: on one of some ports of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
    /// The container's.
    pub container: u16,
    /// None: any address of the host.
    pub host_ip: Option<IpAddr>,
    /// First and last of the host's; none: any.
    pub host: Option<(u16, u16)>,
}

/// What is to be published, in a fixed order: Docker's is random. `binding` is for those that name
/// no address of the host.
pub fn choices(
    options: &Map<String, Value>,
    binding: Option<IpAddr>,
) -> Result<Vec<Choice>, Refused> {
    let list = options.get(KEY).filter(|list| !list.is_null()).cloned();
    let list = serde_json::from_value(list.unwrap_or_else(|| json!([])));
    let list: Vec<PortMap> =
        list.map_err(|error| Refused(format!("{KEY} is no list of ports: {error}")))?;
    let mut choices =
        list.iter().map(|port| choice(port, binding)).collect::<Result<Vec<_>, _>>()?;
    // Those that can be chosen come last, so that they are not given what others name.
    choices.sort_by_key(|it| {
        let wide = it.host.is_none_or(|(first, last)| first != last);
        (wide, it.protocol, it.container, it.host, it.host_ip)
    });
    choices.dedup();
    Ok(choices)
}

fn choice(port: &PortMap, binding: Option<IpAddr>) -> Result<Choice, Refused> {
    let protocol = match port.proto {
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        other => {
            return refuse(format!("port {}: protocol {other} cannot be published", port.port));
        }
    };
    if port.port == 0 {
        return refuse("port 0 of a container cannot be published");
    }
    let host_ip = match port.host_ip.as_str() {
        "" => binding,
        text => Some(text.parse().map_err(|_| {
            Refused(format!("port {}: {text:?} is no address of the host", port.port))
        })?),
    };
    let last = port.host_port_end.max(port.host_port);
    let host = (port.host_port != 0).then_some((port.host_port, last));
    Ok(Choice { protocol, container: port.port, host_ip, host })
}

/// The capability `portMappings` for ports of which each is known; what is to be chosen yet is 0.
pub fn mappings(ports: &[(Choice, u16)]) -> Value {
    let mapping = |(choice, host): &(Choice, u16)| {
        let mut mapping = json!({
            "protocol": choice.protocol, "containerPort": choice.container, "hostPort": host,
        });
        if let Some(ip) = choice.host_ip {
            mapping["hostIP"] = json!(ip.to_string());
        }
        mapping
    };
    ports.iter().map(mapping).collect()
}
