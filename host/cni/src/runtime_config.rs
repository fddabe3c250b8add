//! `runtimeConfig`: what the runtime offers by capability (conventions of the specification).
//!
//! Read case-blind, as everything: go-cni sends `HostPort` for `hostPort`, and the empty string
//! for what is not set. Each part is read when it is asked for, so that a malformed one troubles
//! only who uses it. It must never supply what the caller did not send.
use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::{mac_field, not_empty};
use crate::conf::{Address, ConfError, Field, Fields};
use crate::{Dns, NetConf};

/// `runtimeConfig` of a configuration; empty where it has none.
#[derive(Debug, Clone)]
pub struct RuntimeConfig<'a>(Option<Fields<'a>>);

/// An entry of `portMappings`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// `hostPort`.
    pub host_port: u16,
    /// `containerPort`.
    pub container_port: u16,
    /// `protocol`; TCP where absent.
    pub protocol: Protocol,
    /// `hostIP`. 0.0.0.0 and :: are kept: the caller may have meant every address.
    pub host_ip: Option<IpAddr>,
}

/// What a port belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// `bandwidth`, seen from the container. 0 is as good as absent. CRI sends a burst of 2^32 - 1
/// where only a rate was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bits a second.
    pub ingress_rate: u64,
    /// Bits.
    pub ingress_burst: u64,
    /// Bits a second.
    pub egress_rate: u64,
    /// Bits.
    pub egress_burst: u64,
}

/// An entry of `ipRanges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpRange {
    /// `subnet`, host bits as given.
    pub subnet: IpNet,
    /// `rangeStart`.
    pub range_start: Option<IpAddr>,
    /// `rangeEnd`.
    pub range_end: Option<IpAddr>,
    /// `gateway`.
    pub gateway: Option<IpAddr>,
}

impl<'a> RuntimeConfig<'a> {
    /// Of this configuration. An error where it is something else than an object.
    pub fn of(conf: &'a NetConf) -> Result<Self, ConfError> {
        conf.fields().object("runtimeConfig").map(Self)
    }

    fn list(&self, key: &str) -> Result<Vec<Field<'a>>, ConfError> {
        let list = self.0.as_ref().map(|fields| fields.list(key)).transpose()?;
        Ok(list.flatten().unwrap_or_default())
    }

    fn object(&self, key: &str) -> Result<Option<Fields<'a>>, ConfError> {
        Ok(self.0.as_ref().map(|fields| fields.object(key)).transpose()?.flatten())
    }

    /// `ips`: addresses asked for.
    pub fn ips(&self) -> Result<Vec<Address>, ConfError> {
        self.list("ips")?.iter().map(Field::address).collect()
    }

    /// `mac`, as `02:00:0a:01:00:05`.
    pub fn mac(&self) -> Result<Option<String>, ConfError> {
        let field = self.0.as_ref().and_then(|fields| fields.get("mac"));
        field.filter(not_empty).map(|field| mac_field(&field)).transpose()
    }

    /// `portMappings`.
    pub fn port_mappings(&self) -> Result<Vec<PortMapping>, ConfError> {
        self.list("portMappings")?.iter().map(port_mapping).collect()
    }

    /// `bandwidth`.
    pub fn bandwidth(&self) -> Result<Option<Bandwidth>, ConfError> {
        let Some(fields) = self.object("bandwidth")? else { return Ok(None) };
        let number = |key| fields.u64(key).map(Option::unwrap_or_default);
        Ok(Some(Bandwidth {
            ingress_rate: number("ingressRate")?,
            ingress_burst: number("ingressBurst")?,
            egress_rate: number("egressRate")?,
            egress_burst: number("egressBurst")?,
        }))
    }

    /// `ipRanges`: one inner list for each address wanted.
    pub fn ip_ranges(&self) -> Result<Vec<Vec<IpRange>>, ConfError> {
        let sets = self.list("ipRanges")?;
        sets.iter().map(|set| set.list()?.iter().map(ip_range).collect()).collect()
    }

    /// `dns`, whose keys there are `servers`, `searches` and `options`.
    pub fn dns(&self) -> Result<Option<Dns>, ConfError> {
        let Some(fields) = self.object("dns")? else { return Ok(None) };
        let strings = |key| -> Result<Vec<String>, ConfError> {
            let list = fields.strings(key)?.unwrap_or_default();
            Ok(list.into_iter().map(str::to_owned).collect())
        };
        Ok(Some(Dns {
            nameservers: strings("servers")?,
            domain: String::new(),
            search: strings("searches")?,
            options: strings("options")?,
        }))
    }

    /// `io.kubernetes.cri.pod-annotations`.
    pub fn annotations(&self) -> Result<BTreeMap<String, String>, ConfError> {
        let Some(fields) = self.object("io.kubernetes.cri.pod-annotations")? else {
            return Ok(BTreeMap::new());
        };
        let pair = |(key, value): (&String, &'a Value)| {
            let field = Field { value, pointer: fields.pointer_of(key) };
            Ok((key.clone(), field.str()?.to_owned()))
        };
        fields.map().iter().map(pair).collect()
    }
}

fn port_mapping(item: &Field<'_>) -> Result<PortMapping, ConfError> {
    let fields = item.object()?;
    Ok(PortMapping {
        host_port: port(&fields, "hostPort")?,
        container_port: port(&fields, "containerPort")?,
        protocol: protocol(&fields)?,
        host_ip: fields.ip("hostIP")?,
    })
}

fn port(fields: &Fields<'_>, key: &str) -> Result<u16, ConfError> {
    let number = fields.u32(key)?.and_then(|number| u16::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or_else(|| fields.error(key, "a port from 1 to 65535"))
}

fn protocol(fields: &Fields<'_>) -> Result<Protocol, ConfError> {
    let text = fields.str("protocol")?.unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "" | "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(fields.error("protocol", "\"tcp\", \"udp\" or \"sctp\"")),
    }
}

fn ip_range(item: &Field<'_>) -> Result<IpRange, ConfError> {
    let fields = item.object()?;
    let subnet = fields.net("subnet")?;
    Ok(IpRange {
        subnet: subnet.ok_or_else(|| fields.error("subnet", "an IP network"))?,
        range_start: fields.ip("rangeStart")?,
        range_end: fields.ip("rangeEnd")?,
        gateway: fields.ip("gateway")?,
    })
}

#[cfg(test)]
mod tests;
