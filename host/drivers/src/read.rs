//! What the drivers read alike out of a configuration.

use wharfinger_cni::args::{POD_ARGS, refuse_unknown_args, wanted_mac};
use wharfinger_cni::conf::{ConfError, Fields, PROTOCOL_KEYS};
use wharfinger_cni::{Attach, Dns};
use wharfinger_plan::{LinkRef, Mac};

use crate::{Error, Facts, PlanError};

/// The `type` under which the executable has its own configuration.
pub(crate) const OUR_TYPE: &str = "wharfinger";

/// Our own keys beside a driver's.
const OWN_KEYS: &[&str] = &["driver", "policies", "features", "delegate"];

/// What a link's name may be.
pub(crate) const LINK_NAME: &str = "a link's name: 1 to 15 bytes, no slash, colon or white space";

/// Refuses keys that look like misspelled ones of ours or of this driver. Under a reference
/// plugin's name they pass, as there.
pub(crate) fn refuse_near_misses(call: &Attach, driver: &[&str]) -> Result<(), Error> {
    if call.conf.plugin_type != OUR_TYPE {
        return Ok(());
    }
    let known = [PROTOCOL_KEYS, OWN_KEYS, driver].concat();
    Ok(call.conf.fields().refuse_near_misses(&known)?)
}

/// An error where there is no IPAM, for a driver that needs addresses.
pub(crate) fn require_ipam(fields: &Fields<'_>, driver: &str) -> Result<(), ConfError> {
    if has_ipam(fields)? {
        return Ok(());
    }
    Err(fields.error("ipam", format!("an object with a type: {driver} needs addresses")))
}

/// What a link's MTU is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Mtu {
    /// As the kernel, or the bridge, has it.
    #[default]
    Default,
    /// So many bytes.
    Bytes(u32),
    /// That of this link of the host.
    From(String),
}

impl Mtu {
    /// `mtu`, or `mtuFrom`, which is ours.
    pub(crate) fn parse(fields: &Fields<'_>) -> Result<Self, ConfError> {
        let from = fields.str("mtuFrom")?.filter(|name| !name.is_empty());
        match (mtu(fields)?, from) {
            (None, None) => Ok(Self::Default),
            (Some(bytes), None) => Ok(Self::Bytes(bytes)),
            (None, Some(name)) if is_link_name(name) => Ok(Self::From(name.to_owned())),
            (None, Some(_)) => Err(fields.error("mtuFrom", LINK_NAME)),
            (Some(_), Some(_)) => Err(fields.error("mtuFrom", "nothing, or no mtu beside it")),
        }
    }

    /// The link to look at.
    pub(crate) fn observes(&self) -> Option<LinkRef> {
        match self {
            Self::From(name) => Some(LinkRef::host(name)),
            Self::Default | Self::Bytes(_) => None,
        }
    }

    /// The number; none for the default.
    pub(crate) fn of(&self, facts: &Facts) -> Result<Option<u32>, PlanError> {
        match (self, self.observes()) {
            (Self::Bytes(bytes), _) => Ok(Some(*bytes)),
            (_, Some(link)) => match facts.get(&link) {
                Some(found) => Ok(Some(found.mtu)),
                None => Err(PlanError::NoMtu(link.name)),
            },
            (_, None) => Ok(None),
        }
    }
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

/// As [`mac`], and where nobody asks for one the configuration's own `mac`.
pub(crate) fn mac_or_key(call: &Attach) -> Result<Option<Mac>, ConfError> {
    let asked = mac(call)?;
    let fields = call.conf.fields();
    let Some(text) = fields.str("mac")?.filter(|text| !text.is_empty()) else { return Ok(asked) };
    let bad = |_| fields.error("mac", "an address such as \"02:00:0a:01:00:05\"");
    let own: Mac = text.parse().map_err(bad)?;
    Ok(asked.or(Some(own)))
}

/// A name that the kernel takes for a link: 1 to 15 bytes, no `/`, `:` or white space, not `.`
/// or `..`.
pub(crate) fn is_link_name(name: &str) -> bool {
    let bad = |letter: char| letter == '/' || letter == ':' || letter.is_whitespace();
    (1..=15).contains(&name.len()) && name != "." && name != ".." && !name.contains(bad)
}
