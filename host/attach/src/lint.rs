//! What of a configuration keeps every ADD from working, whatever is on the node: read, and asked of the
//! components that it names. Neither the kernel nor the ledger's contents are looked at.

use std::path::PathBuf;

use serde_json::{Value, json};
use wharfinger_cni::{Attach, NetConf};
use wharfinger_wasm::Reason;

use crate::network::{Network, pretended};
use crate::policy::Policies;
use crate::{Error, Host, add, ipam};

/// What the runtime may ask for, where a configuration lets it: an address of the networks for
/// documentation (RFC 5737).
const ASKED_FOR: &str = "192.0.2.2/24";

/// Says what is wrong with it, where something is. `path` is `CNI_PATH`.
pub fn lint(host: &Host, conf: &NetConf, path: &[PathBuf]) -> Result<(), Error> {
    let mut call = pretended(conf, "eth0", "lint");
    call.path = path.to_vec();
    let network = Network::read(host, &call)?;
    components(host, &call, &network)?;
    let Some(asked) = asking(call) else { return Ok(()) };
    allocates(host, &asked, &network)
}

/// Every problem that the components find in their own parts.
pub(crate) fn components(host: &Host, call: &Attach, network: &Network) -> Result<(), Error> {
    if let Some(ipam) = &network.ipam {
        ipam::valid(host, ipam)?;
    }
    let problems = Policies::load(host, &call.conf, &network.place)?.problems()?;
    if problems.is_empty() { Ok(()) } else { Err(Error::Problems(problems)) }
}

/// The call, with what the runtime would ask for; none where it brings the ranges themselves.
fn asking(mut call: Attach) -> Option<Attach> {
    let may = |key: &str| {
        let capabilities = call.conf.raw.get("capabilities");
        capabilities.and_then(|all| all.get(key)).and_then(Value::as_bool).unwrap_or_default()
    };
    if may("ipRanges") {
        return None;
    }
    if may("ips") {
        let asked = json!({ "ips": [ASKED_FOR] });
        call.conf.raw.insert("runtimeConfig".to_owned(), asked);
    }
    Some(call)
}

/// Some of what is wrong, a component says when it is asked for addresses alone. That they are held by
/// others is none of that; and one that asks an outside system would take some.
fn allocates(host: &Host, call: &Attach, network: &Network) -> Result<(), Error> {
    let Some(allocator) = network.allocator(host, call)?.filter(|it| !it.remote()) else {
        return Ok(());
    };
    let mut session = host.ledger.session(add::scope(host, &call.id, &network.domain))?;
    match allocator.allocate(host, &mut *session) {
        Err(Error::Plugin(error)) if ipam::failed(&error) == Some(Reason::InvalidConfig) => {
            Err(Error::Plugin(error))
        }
        _ => Ok(()),
    }
}
