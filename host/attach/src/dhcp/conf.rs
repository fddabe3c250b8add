//! The `ipam` object of `dhcp`, with the reference plugin's keys: what is asked of a server.

use std::path::PathBuf;

use wharfinger_cni::conf::{ConfError, Field, Fields};
use wharfinger_cni::{Attach, Dns, Ip, NetConf, Route, Success};
use wharfinger_dhcp::{Asked, Lease, client_id};

/// A route of this scope ends on the link (`ip route` calls it `link`).
const SCOPE_LINK: u8 = 253;

/// What an option may be.
const OPTION: &str = "a number up to 255 that is no option of the protocol's own, or one of \
    dhcp-client-identifier, subnet-mask, routers, host-name, user-class, vendor-class-identifier";

/// What the configuration and the call ask of a server.
pub(crate) fn asked(call: &Attach) -> Result<Asked, ConfError> {
    let id = &call.id;
    let mut asked = Asked::new(client_id(&id.container, &id.network, &id.ifname));
    let Some(ipam) = call.conf.fields().object("ipam")? else { return Ok(asked) };
    for item in ipam.list("provide")?.unwrap_or_default() {
        provide(&mut asked, call, &item.object()?)?;
    }
    request(&mut asked, &ipam)?;
    asked.broadcast = ipam.bool("broadcast")?.unwrap_or_default();
    Ok(asked)
}

/// `value`, or what CNI_ARGS has under the name that `fromArg` says; neither: nothing.
fn provide(asked: &mut Asked, call: &Attach, item: &Fields<'_>) -> Result<(), ConfError> {
    let number = option(item)?.ok_or_else(|| item.error("option", OPTION))?;
    let from_arg = item.str("fromArg")?;
    let arg = call.args.iter().rev().find(|(key, _)| Some(key.as_str()) == from_arg);
    let value = item.str("value")?.filter(|value| !value.is_empty());
    let (key, value) = match (arg, value) {
        (Some((_, value)), _) => ("fromArg", value.as_str()),
        (None, Some(value)) => ("value", value),
        (None, None) => return Ok(()),
    };
    if value.len() > 255 {
        return Err(item.error(key, "at most 255 bytes, as an option has"));
    }
    if asked.provide(number, value.as_bytes()) {
        return Ok(());
    }
    Err(item.error("option", OPTION))
}

fn request(asked: &mut Asked, ipam: &Fields<'_>) -> Result<(), ConfError> {
    let (mut options, mut defaults) = (Vec::new(), true);
    for item in ipam.list("request")?.unwrap_or_default() {
        let item = item.object()?;
        defaults &= !item.bool("skipDefault")?.unwrap_or_default();
        options.extend(option(&item)?);
    }
    asked.request(&options, defaults);
    Ok(())
}

/// Names and numbers are text to the reference plugin; a number that is one is understood too.
fn option(item: &Fields<'_>) -> Result<Option<u8>, ConfError> {
    let named = match item.get("option") {
        None => return Ok(None),
        Some(Field { value: serde_json::Value::Number(number), .. }) => number.to_string(),
        Some(_) => item.str("option")?.unwrap_or_default().to_owned(),
    };
    if named.is_empty() {
        return Ok(None);
    }
    Asked::option(&named).map(Some).ok_or_else(|| item.error("option", OPTION))
}

/// Where somebody is to be told that there is a lease to be renewed, if the configuration says.
pub(crate) fn socket(conf: &NetConf) -> Option<PathBuf> {
    let ipam = conf.fields().object("ipam").ok()??;
    let path = ipam.str("daemonSocketPath").ok()??;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

/// A lease as the abbreviated result that it is. `priority` of the configuration is the metric of
/// all its routes.
pub(crate) fn success(conf: &NetConf, lease: &Lease) -> Result<Success, ConfError> {
    let ipam = conf.fields().object("ipam")?;
    let priority = ipam.map(|ipam| ipam.u32("priority")).transpose()?.flatten();
    let priority = priority.filter(|priority| *priority != 0);
    let route = |route: &wharfinger_dhcp::Route| Route {
        dst: route.destination.into(),
        gw: route.via.map(Into::into),
        mtu: None,
        advmss: None,
        priority,
        table: None,
        scope: route.via.is_none().then_some(SCOPE_LINK),
    };
    let ip = Ip {
        interface: None,
        address: lease.address.into(),
        gateway: lease.routers.first().map(|router| (*router).into()),
    };
    let mut routes: Vec<Route> = lease.routes.iter().map(route).collect();
    // By one that is on the link another's router may be reached.
    routes.sort_by_key(|route| route.gw.is_some());
    Ok(Success { interfaces: Vec::new(), ips: vec![ip], routes, dns: dns(lease) })
}

fn dns(lease: &Lease) -> Dns {
    Dns {
        nameservers: lease.dns.iter().map(ToString::to_string).collect(),
        domain: lease.domain.clone().unwrap_or_default(),
        search: lease.search.clone(),
        options: Vec::new(),
    }
}
