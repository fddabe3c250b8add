//! Reading a result: of any version, by its own label, as leniently as callers and plugins write.
//!
//! Real plugins leave out labels and the `version` of addresses, and print empty objects (seen);
//! all of that is understood. Values that would be guessed at are errors.
use serde_json::Value;

use super::{Dns, Interface, Ip, Route, Success};
use crate::conf::{ConfError, Field, Fields};
use crate::netconf::{decoding, unsupported};
use crate::{CniError, Version};

impl Success {
    /// A result as its own `cniVersion` has it; without one, as `conf`, the configuration's.
    ///
    /// Errors: 1 where the label is of no released version, 6 where the rest does not fit.
    pub fn parse(conf: Version, value: &Value) -> Result<Self, CniError> {
        Self::parse_at("", conf, value)
    }

    /// The same, of a result that stands at `pointer`.
    pub(crate) fn parse_at(pointer: &str, conf: Version, value: &Value) -> Result<Self, CniError> {
        let place = Field { value, pointer: pointer.to_owned() };
        let fields = place.object().map_err(decoding)?;
        let version = label(&fields, conf)?;
        let success = if version <= Version::V0_2_0 {
            parse_single(&fields)
        } else {
            parse_lists(&fields, version)
        };
        success.map_err(decoding)
    }
}

fn label(fields: &Fields<'_>, conf: Version) -> Result<Version, CniError> {
    match fields.str("cniVersion").map_err(decoding)?.filter(|text| !text.is_empty()) {
        None => Ok(conf),
        Some(text) => text.parse().map_err(|_| unsupported(text, "of a result", &Version::ALL)),
    }
}

/// 0.1.0 and 0.2.0: `ip4`, then `ip6`, with the routes of each.
fn parse_single(fields: &Fields<'_>) -> Result<Success, ConfError> {
    let mut success = Success { dns: dns(fields)?, ..Success::default() };
    for key in ["ip4", "ip6"] {
        if let Some(family) = fields.object(key)? {
            let address = required(&family, "ip", family.net("ip")?)?;
            success.ips.push(Ip { interface: None, address, gateway: family.ip("gateway")? });
            success.routes.extend(routes(&family)?);
        }
    }
    Ok(success)
}

fn parse_lists(fields: &Fields<'_>, version: Version) -> Result<Success, ConfError> {
    Ok(Success {
        interfaces: items(fields, "interfaces", |item| interface(item, version))?,
        ips: items(fields, "ips", ip)?,
        routes: routes(fields)?,
        dns: dns(fields)?,
    })
}

fn items<T>(
    fields: &Fields<'_>,
    key: &str,
    parse: impl Fn(&Fields<'_>) -> Result<T, ConfError>,
) -> Result<Vec<T>, ConfError> {
    let list = fields.list(key)?.unwrap_or_default();
    list.iter().map(|item| parse(&item.object()?)).collect()
}

fn required<T>(fields: &Fields<'_>, key: &str, value: Option<T>) -> Result<T, ConfError> {
    value.ok_or_else(|| fields.error(key, "an IP address with its prefix"))
}

/// Before 1.0.0 an interface has no more than a name, an address and a sandbox.
fn interface(fields: &Fields<'_>, version: Version) -> Result<Interface, ConfError> {
    let text = |key| fields.str(key).map(|text| text.unwrap_or_default().to_owned());
    let basic = Interface {
        name: text("name")?,
        mac: text("mac")?,
        sandbox: text("sandbox")?,
        ..Interface::default()
    };
    if version < Version::V1_0_0 {
        return Ok(basic);
    }
    Ok(Interface {
        mtu: above_zero(fields, "mtu")?,
        socket_path: text("socketPath")?,
        pci_id: text("pciID")?,
        ..basic
    })
}

/// `version` is not read: the address says it. An index below 0 is none.
fn ip(fields: &Fields<'_>) -> Result<Ip, ConfError> {
    Ok(Ip {
        interface: fields.i64("interface")?.and_then(|index| usize::try_from(index).ok()),
        address: required(fields, "address", fields.net("address")?)?,
        gateway: fields.ip("gateway")?,
    })
}

fn routes(fields: &Fields<'_>) -> Result<Vec<Route>, ConfError> {
    items(fields, "routes", route)
}

/// For `mtu`, `advmss` and `priority`, 0 is as good as absent; `table` and `scope` 0 mean something.
fn route(fields: &Fields<'_>) -> Result<Route, ConfError> {
    Ok(Route {
        dst: required(fields, "dst", fields.net("dst")?)?,
        gw: fields.ip("gw")?,
        mtu: above_zero(fields, "mtu")?,
        advmss: above_zero(fields, "advmss")?,
        priority: above_zero(fields, "priority")?,
        table: fields.u32("table")?,
        scope: scope(fields)?,
    })
}

fn above_zero(fields: &Fields<'_>, key: &str) -> Result<Option<u32>, ConfError> {
    Ok(fields.u32(key)?.filter(|number| *number > 0))
}

fn scope(fields: &Fields<'_>) -> Result<Option<u8>, ConfError> {
    let Some(number) = fields.u32("scope")? else { return Ok(None) };
    match u8::try_from(number) {
        Ok(scope) => Ok(Some(scope)),
        Err(_) => Err(fields.error("scope", "a whole number from 0 to 255")),
    }
}

fn dns(fields: &Fields<'_>) -> Result<Dns, ConfError> {
    match fields.object("dns")? {
        Some(fields) => Dns::parse(&fields),
        None => Ok(Dns::default()),
    }
}

impl Dns {
    /// A `dns` object, of a result or of a configuration (spec section 5, well-known keys).
    pub fn parse(fields: &Fields<'_>) -> Result<Self, ConfError> {
        let strings = |key| -> Result<Vec<String>, ConfError> {
            let list = fields.strings(key)?.unwrap_or_default();
            Ok(list.into_iter().map(str::to_owned).collect())
        };
        Ok(Self {
            nameservers: strings("nameservers")?,
            domain: fields.str("domain")?.unwrap_or_default().to_owned(),
            search: strings("search")?,
            options: strings("options")?,
        })
    }
}
