//! What the drivers read alike out of a configuration.

use wharfinger_cni::conf::{ConfError, Fields, PROTOCOL_KEYS};
use wharfinger_cni::{Args, Dns};
use wharfinger_plan::Mac;

use crate::Error;

/// Our own keys beside a driver's.
const OWN_KEYS: &[&str] = &["driver", "policies", "features", "delegate"];

/// Refuses keys that look like misspelled ones of ours or of this driver.
pub(crate) fn refuse_near_misses(fields: &Fields<'_>, driver: &[&str]) -> Result<(), Error> {
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
    let Some(fields) = fields.object("dns")? else { return Ok(None) };
    let strings = |key| -> Result<Vec<String>, ConfError> {
        Ok(fields.strings(key)?.unwrap_or_default().into_iter().map(str::to_owned).collect())
    };
    let dns = Dns {
        nameservers: strings("nameservers")?,
        domain: fields.str("domain")?.unwrap_or_default().to_owned(),
        search: strings("search")?,
        options: strings("options")?,
    };
    Ok(Some(dns).filter(|dns| !dns.is_empty()))
}

/// The container's link-layer address, by the first of the three routes that has one:
/// `runtimeConfig.mac`, `args.cni.mac`, `MAC` of CNI_ARGS.
pub(crate) fn mac(fields: &Fields<'_>, args: &Args) -> Result<Option<Mac>, Error> {
    let runtime = fields.object("runtimeConfig")?;
    let cni = match fields.object("args")? {
        Some(args) => args.object("cni")?,
        None => None,
    };
    for place in [runtime, cni].into_iter().flatten() {
        if let Some(text) = place.str("mac")?.filter(|text| !text.is_empty()) {
            let mac = parse_mac(text).ok_or_else(|| place.error("mac", MAC_FORM))?;
            return Ok(Some(mac));
        }
    }
    let arg = args.iter().rfind(|(key, value)| key == "MAC" && !value.is_empty());
    arg.map(|(_, text)| parse_mac(text).ok_or_else(|| Error::BadMacArg(text.clone()))).transpose()
}

const MAC_FORM: &str = "the MAC address of one station, such as 02:00:0a:01:00:05";

/// The kernel refuses group addresses and zero.
fn parse_mac(text: &str) -> Option<Mac> {
    let mac: Mac = text.parse().ok()?;
    let [first, ..] = mac.0;
    (first & 1 == 0 && mac.0 != [0; 6]).then_some(mac)
}

/// A name that the kernel takes for a link: 1 to 15 bytes, no `/`, `:` or white space, not `.`
/// or `..`.
pub(crate) fn is_link_name(name: &str) -> bool {
    let bad = |letter: char| letter == '/' || letter == ':' || letter.is_whitespace();
    (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad)
}
