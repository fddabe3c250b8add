//! What a caller asks for beside the configuration: CNI_ARGS, `args.cni`, `runtimeConfig`.
//!
//! The three routes say the same things in three ways (conventions of the specification). This
//! module must never take a malformed request for none: who asked for an address and got another
//! would not learn of it.
use std::net::IpAddr;

use serde_json::Value;

use crate::conf::{Address, ConfError, Field, Fields, parse_address, shorten};
use crate::mac::{parse_mac, render_mac};
use crate::{Args, Attach, NetConf, RuntimeConfig};

/// The keys by which Kubernetes runtimes name the pod.
pub const POD_ARGS: &[&str] =
    &["K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"];

/// Says what about unknown keys; known to everybody.
const IGNORE_UNKNOWN: &str = "IgnoreUnknown";

/// A Kubernetes pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// K8S_POD_NAMESPACE.
    pub namespace: String,
    /// K8S_POD_NAME.
    pub name: String,
    /// K8S_POD_UID: some runtimes leave it out.
    pub uid: Option<String>,
    /// K8S_POD_INFRA_CONTAINER_ID.
    pub infra_container: Option<String>,
}

/// CNI_ARGS as pairs, in their order. Each pair has exactly one `=`; an error names the pair.
pub fn parse_args(text: &str) -> Result<Args, ConfError> {
    if text.is_empty() {
        return Ok(Args::new());
    }
    text.split(';').map(parse_pair).collect()
}

/// The pairs of CNI_ARGS that are any: for a DEL, which does what it can.
pub fn parse_args_leniently(text: &str) -> Args {
    text.split(';').filter_map(|pair| parse_pair(pair).ok()).collect()
}

fn parse_pair(pair: &str) -> Result<(String, String), ConfError> {
    match pair.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.to_owned(), value.to_owned())),
        _ => Err(ConfError {
            pointer: "CNI_ARGS".to_owned(),
            found: format!("{:?}", shorten(pair)),
            allowed: "KEY=VALUE pairs, separated by ';', each with one '='".to_owned(),
        }),
    }
}

/// The value of a key; the last one where it comes twice; an empty one is none.
pub fn arg<'a>(args: &'a Args, key: &str) -> Option<&'a str> {
    let (_, value) = args.iter().rfind(|(name, _)| name == key)?;
    Some(value.as_str()).filter(|value| !value.is_empty())
}

/// Unknown keys are an error, unless IgnoreUnknown is true. Keys are case-sensitive.
pub fn refuse_unknown_args(args: &Args, known: &[&str]) -> Result<(), ConfError> {
    if ignore_unknown(args)? {
        return Ok(());
    }
    let known_key = |key: &str| key == IGNORE_UNKNOWN || known.contains(&key);
    let unknown: Vec<&str> =
        args.iter().map(|(key, _)| key.as_str()).filter(|key| !known_key(key)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ConfError {
        pointer: "CNI_ARGS".to_owned(),
        found: format!("the unknown keys {}", shorten(&unknown.join(", "))),
        allowed: format!("{}, or any with IgnoreUnknown=1", known.join(", ")),
    })
}

fn ignore_unknown(args: &Args) -> Result<bool, ConfError> {
    let value = arg(args, IGNORE_UNKNOWN).unwrap_or("false");
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(arg_error(IGNORE_UNKNOWN, value, "1, true, 0 or false")),
    }
}

fn arg_error(key: &str, value: &str, allowed: &str) -> ConfError {
    ConfError {
        pointer: format!("CNI_ARGS {key}"),
        found: format!("{:?}", shorten(value)),
        allowed: allowed.to_owned(),
    }
}

/// The Kubernetes pod; none where a runtime of another kind names something else.
pub fn pod(args: &Args) -> Option<Pod> {
    let text = |key| arg(args, key).map(str::to_owned);
    Some(Pod {
        namespace: text("K8S_POD_NAMESPACE")?,
        name: text("K8S_POD_NAME")?,
        uid: text("K8S_POD_UID"),
        infra_container: text("K8S_POD_INFRA_CONTAINER_ID"),
    })
}

/// `args.cni`, if it is there and an object. Anything else is not ours to judge (conventions:
/// `args` may be ignored, and must not be an error).
pub fn args_cni(conf: &NetConf) -> Option<Fields<'_>> {
    conf.fields().object("args").ok()??.object("cni").ok()?
}

/// CNI_ARGS, then the strings of `args.cni`, as given. A name may come twice.
pub fn arg_strings(call: &Attach) -> Args {
    let strings = args_cni(&call.conf)
        .into_iter()
        .flat_map(|fields| fields.map().iter())
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    call.args.iter().cloned().chain(strings).collect()
}

/// The addresses asked for: CNI_ARGS `IP` (a list with commas), `args.cni.ips`,
/// `runtimeConfig.ips`, in this order, each address once; a prefix given anywhere is kept.
pub fn wanted(call: &Attach) -> Result<Vec<Address>, ConfError> {
    let mut wanted = Vec::new();
    for text in arg(&call.args, "IP").into_iter().flat_map(|list| list.split(',')) {
        let address = parse_address(text.trim())
            .ok_or_else(|| arg_error("IP", text, "addresses, with or without prefix"))?;
        add_once(&mut wanted, address);
    }
    if let Some(items) = args_cni(&call.conf).map(|fields| fields.list("ips")).transpose()? {
        for item in items.unwrap_or_default() {
            add_once(&mut wanted, item.address()?);
        }
    }
    for address in RuntimeConfig::of(&call.conf)?.ips()? {
        add_once(&mut wanted, address);
    }
    Ok(wanted)
}

/// [`wanted`], without the prefixes.
pub fn wanted_ips(call: &Attach) -> Result<Vec<IpAddr>, ConfError> {
    Ok(wanted(call)?.into_iter().map(|address| address.ip).collect())
}

fn add_once(wanted: &mut Vec<Address>, address: Address) {
    match wanted.iter_mut().find(|one| one.ip == address.ip) {
        Some(one) => one.prefix = one.prefix.or(address.prefix),
        None => wanted.push(address),
    }
}

/// The link-layer address asked for, as `02:00:0a:01:00:05`: `runtimeConfig.mac`, else
/// `args.cni.mac`, else CNI_ARGS `MAC`. A malformed one is an error even where a better route
/// has another.
pub fn wanted_mac(call: &Attach) -> Result<Option<String>, ConfError> {
    let low = arg(&call.args, "MAC").map(parse_arg_mac).transpose()?;
    let middle = args_cni(&call.conf).and_then(|fields| fields.get("mac"));
    let middle = middle.filter(not_empty).map(|field| mac_field(&field)).transpose()?;
    let high = RuntimeConfig::of(&call.conf)?.mac()?;
    Ok(high.or(middle).or(low))
}

fn parse_arg_mac(text: &str) -> Result<String, ConfError> {
    parse_mac(text).map(render_mac).ok_or_else(|| arg_error("MAC", text, MAC_ALLOWED))
}

const MAC_ALLOWED: &str = "the address of one device, such as \"02:00:0a:01:00:05\"";

/// A link-layer address of a configuration, as `02:00:0a:01:00:05`.
pub fn mac_field(field: &Field<'_>) -> Result<String, ConfError> {
    parse_mac(field.str()?).map(render_mac).ok_or_else(|| field.error(MAC_ALLOWED))
}

/// Whether it is another value than the empty text, which some send for none.
pub fn not_empty(field: &Field<'_>) -> bool {
    *field.value != Value::String(String::new())
}

#[cfg(test)]
mod tests;
