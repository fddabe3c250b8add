//! The built-in IPAM component `static`: the addresses that the configuration, or the caller, names.
//!
//! The keys are those of the reference plugin. Unlike there the host keeps the book: an address
//! that another attachment holds is refused. Start reading at [`addresses`]; the thin `guest`
//! binds it to the contract.
#![cfg_attr(not(target_family = "wasm"), forbid(unsafe_code))]

// Read as host-local reads it, by the same source: a component that another one links is built
// in two ways under one name.
#[path = "../../host-local/src/config.rs"]
pub mod config;
#[cfg(target_family = "wasm")]
mod guest;
#[path = "../../host-local/src/json.rs"]
pub mod json;
#[path = "../../host-local/src/net.rs"]
pub mod net;

use std::net::IpAddr;

use serde_json::Value;

use crate::json::{At, Problem};
use crate::net::{Net, parse_address};

/// An address, and the gateway of its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// With its prefix length.
    pub address: Net,
    /// Where one is known.
    pub gateway: Option<IpAddr>,
}

/// What the `ipam` object itself names.
pub fn configured(config: &Value) -> Result<Vec<Given>, Vec<Problem>> {
    let root = At::root(config);
    root.object().map_err(one)?;
    let Some(list) = root.get("addresses") else { return Ok(Vec::new()) };
    let (mut given, mut problems) = (Vec::new(), Vec::new());
    for item in list.items().map_err(one)? {
        match entry(&item) {
            Ok(entry) => given.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(doubled(&given));
    if problems.is_empty() { Ok(given) } else { Err(problems) }
}

/// All that is to be given: what is configured and, behind it, `IP` of `CNI_ARGS` with `GATEWAY`;
/// in place of both what `args.cni.ips` names, and in place of that the capability `ips`.
/// `network` is the whole configuration.
pub fn addresses(
    config: &Value,
    network: &Value,
    args: &[(String, String)],
) -> Result<Vec<Given>, Vec<Problem>> {
    let root = At::root(network);
    let asked = |outer: &str, inner: Option<&str>| {
        let object = root.get(outer)?;
        let object = match inner {
            Some(inner) => object.get(inner)?,
            None => object,
        };
        object.get("ips")
    };
    let mut given = configured(config)?;
    if let Some(list) = asked("runtimeConfig", None).or_else(|| asked("args", Some("cni"))) {
        let items = list.items().map_err(one)?;
        if !items.is_empty() {
            given = items.iter().map(net).collect::<Result<_, _>>().map_err(one)?;
        }
    }
    if asked("runtimeConfig", None).is_none() && asked("args", Some("cni")).is_none() {
        given.extend(of_args(args)?);
        gateways(&mut given, args)?;
    }
    let mut problems = doubled(&given);
    problems.extend(too_many_for(&given, &root));
    if problems.is_empty() { Ok(given) } else { Err(problems) }
}

fn one(problem: Problem) -> Vec<Problem> {
    vec![problem]
}

fn entry(at: &At<'_>) -> Result<Given, Problem> {
    at.object()?;
    let address = at.get("address").ok_or_else(|| at.problem("has no address"))?;
    let Given { address, .. } = net(&address)?;
    let gateway = at.get("gateway").filter(|gateway| gateway.value != "");
    let gateway = gateway.map(|gateway| {
        let found = parse_address(gateway.text()?);
        let found = found.ok_or_else(|| gateway.wanted("an IP address"))?;
        if found.is_ipv4() == address.address.is_ipv4() {
            return Ok(found);
        }
        Err(gateway.problem(format!("{found} is of another family than {address}")))
    });
    Ok(Given { address, gateway: gateway.transpose()? })
}

fn net(at: &At<'_>) -> Result<Given, Problem> {
    let address = Net::parse(at.text()?);
    let address = address.ok_or_else(|| at.wanted("an address with its prefix, as 10.1.0.5/24"))?;
    Ok(Given { address, gateway: None })
}

/// The last of `CNI_ARGS` that has this name: what stands in `args.cni` comes behind, and is no list
/// of text.
fn arg<'a>(args: &'a [(String, String)], key: &str) -> impl Iterator<Item = &'a str> {
    let value = args.iter().rfind(|(name, value)| name == key && !value.is_empty());
    value.into_iter().flat_map(|(_, list)| list.split(',').map(str::trim))
}

fn of_args(args: &[(String, String)]) -> Result<Vec<Given>, Vec<Problem>> {
    let read = |text: &str| {
        let address = Net::parse(text).ok_or_else(|| {
            let message = format!("must be addresses with their prefixes, found {text:?}");
            vec![Problem { pointer: "CNI_ARGS IP".to_owned(), message }]
        })?;
        Ok(Given { address, gateway: None })
    };
    arg(args, "IP").map(read).collect()
}

/// Each gateway is for the addresses whose network has it.
fn gateways(given: &mut [Given], args: &[(String, String)]) -> Result<(), Vec<Problem>> {
    for text in arg(args, "GATEWAY") {
        let gateway = parse_address(text).ok_or_else(|| {
            let message = format!("must be addresses, found {text:?}");
            vec![Problem { pointer: "CNI_ARGS GATEWAY".to_owned(), message }]
        })?;
        for one in given.iter_mut().filter(|one| one.address.contains(gateway)) {
            one.gateway = Some(gateway);
        }
    }
    Ok(())
}

fn doubled(given: &[Given]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, one) in given.iter().enumerate() {
        let earlier = given.iter().take(index);
        if earlier.into_iter().any(|other| other.address.address == one.address.address) {
            let message = format!("{} comes twice", one.address.address);
            problems.push(Problem { pointer: "/addresses".to_owned(), message });
        }
    }
    problems
}

/// Before 0.3.0 a result holds one address of each family.
fn too_many_for(given: &[Given], network: &At<'_>) -> Option<Problem> {
    let version = network.get("cniVersion")?;
    let old = matches!(version.value.as_str(), Some("0.1.0" | "0.2.0"));
    let v4 = given.iter().filter(|given| given.address.address.is_ipv4()).count();
    let most = v4.max(given.len().saturating_sub(v4));
    (old && most > 1).then(|| Problem {
        pointer: "/addresses".to_owned(),
        message: format!(
            "{most} addresses of one family, but cniVersion below 0.3.0 has room for one"
        ),
    })
}
