//! What the drivers read alike out of a configuration.

use wharfinger_cni::args::{POD_ARGS, refuse_unknown_args, wanted_mac};
use wharfinger_cni::conf::{ConfError, Fields, PROTOCOL_KEYS};
use wharfinger_cni::{Attach, Dns};
use wharfinger_plan::Mac;

use crate::Error;

/// The `type` under which the executable has its own configuration.
pub(crate) const OUR_TYPE: &str = "wharfinger";

/// Our own keys beside a driver's.
const OWN_KEYS: &[&str] = &["driver", "policies", "features", "delegate"];

/// Refuses keys that look like misspelled ones of ours or of this driver; under a reference
/// plugin's `type` unknown keys pass, as there.
pub(crate) fn refuse_near_misses(fields: &Fields<'_>, driver: &[&str]) -> Result<(), Error> {
    if fields.str("type")?.is_some_and(|name| name != OUR_TYPE) {
        return Ok(());
    }
    let known = [PROTOCOL_KEYS, OWN_KEYS, driver].concat();
    Ok(fields.refuse_near_misses(&known)?)
}

/// A switch that is off unless it is set.
pub(crate) fn switch(fields: &Fields<'_>, key: &str) -> Result<bool, ConfError> {
    Ok(fields.bool(key)?.unwrap_or(false))
}

/// `mtu`: none for the kernel's default. The bounds are the kernel's for a veth.
pub(crate) fn mtu(fields: &Fields<'_>) -> Result<Option<u32>, ConfError> {
    let bad = || fields.error("mtu", "0 for the default, or a whole number from 68 to 65535");
    match fields.i64("mtu").map_err(|_| bad())? {
        None | Some(0) => Ok(None),
        Some(mtu @ 68..=65535) => u32::try_from(mtu).map(Some).map_err(|_| bad()),
        Some(_) => Err(bad()),
    }
}

/// `ipMasq`. `ipMasqBackend` is heeded so far that a wrong one is refused: both that the
/// reference plugins know are served by nftables.
pub(crate) fn masquerade(fields: &Fields<'_>) -> Result<bool, ConfError> {
    match fields.str("ipMasqBackend")? {
        None | Some("" | "iptables" | "nftables") => switch(fields, "ipMasq"),
        Some(_) => Err(fields.error("ipMasqBackend", "\"iptables\" or \"nftables\"")),
    }
}

/// Whether `ipam` has a `type`; without one there is no delegation (spec section 5).
pub(crate) fn has_ipam(fields: &Fields<'_>) -> Result<bool, ConfError> {
    let Some(ipam) = fields.object("ipam")? else { return Ok(false) };
    Ok(ipam.str("type")?.is_some_and(|name| !name.is_empty()))
}

/// `dns`, if any field of it is set.
pub(crate) fn dns(fields: &Fields<'_>) -> Result<Option<Dns>, ConfError> {
    let dns = fields.object("dns")?.map(|fields| Dns::parse(&fields)).transpose()?;
    Ok(dns.filter(|dns| !dns.is_empty()))
}

/// The container's link-layer address, where one is asked for. Keys of CNI_ARGS that nobody
/// knows are refused, as the reference does.
pub(crate) fn mac(call: &Attach) -> Result<Option<Mac>, ConfError> {
    let known = [&["IP", "GATEWAY", "MAC"], POD_ARGS].concat();
    refuse_unknown_args(&call.args, &known)?;
    // What is not a MAC address was refused there.
    Ok(wanted_mac(call)?.and_then(|text| text.parse().ok()))
}

/// A name that the kernel takes for a link: 1 to 15 bytes, no `/`, `:` or white space, not `.`
/// or `..`.
pub(crate) fn is_link_name(name: &str) -> bool {
    let bad = |letter: char| letter == '/' || letter == ':' || letter.is_whitespace();
    (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad)
}
