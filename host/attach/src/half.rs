//! Attachments of which we make the host's half, and whose other half is somebody else's.
//!
//! Docker moves the container's link into the container itself, renames it and gives it its addresses
//! and routes. So the link is made in the host's namespace, where its plan's `container` is, and what
//! a driver would do inside is left out. Start reading at [`cut`].

use wharfinger_cni::conf::ConfError;
use wharfinger_cni::{Attach, NetConf};
use wharfinger_drivers::Conf;
use wharfinger_drivers::features::Feature;
use wharfinger_plan::{Action, Place, Plan};

use crate::Error;
use crate::conf::{IpamConf, Source};

/// The key of a configuration that asks for it.
pub const KEY: &str = "hostHalf";

/// The host's own namespace, where such a link is made.
pub const NETNS: &str = "/proc/thread-self/ns/net";

/// Whether the configuration asks for it.
pub fn asked(conf: &NetConf) -> Result<bool, ConfError> {
    Ok(conf.fields().bool(KEY)?.unwrap_or(false))
}

/// Leaves out what happens in the container, but that its link is made, with its settings.
pub(crate) fn cut(plan: &mut Plan) {
    plan.steps.retain(|step| {
        step.place() == Place::Host || matches!(step.action, Action::Link(_) | Action::Settings(_))
    });
}

/// Refuses what cannot be done from outside the container.
pub(crate) fn check(
    call: &Attach,
    driver: Option<&Conf>,
    ipam: Option<&IpamConf>,
    features: &[Feature],
) -> Result<(), Error> {
    let fields = call.conf.fields();
    let refuse = |key: &str, allowed: &str| Err(fields.error(key, allowed).into());
    if matches!(driver, Some(Conf::HostDevice(_) | Conf::Tap(_) | Conf::Loopback)) {
        let allowed = "another driver: this one does its work inside the container, which is \
                       not ours to enter here";
        return refuse("driver", allowed);
    }
    if ipam.is_some_and(|ipam| ipam.source == Source::Dhcp) {
        return refuse("ipam", "another: the lease of a link that is not ours cannot be renewed");
    }
    for feature in features {
        let name = match feature {
            Feature::Vrf(_) => "vrf",
            Feature::Sbr(_) => "sbr",
            Feature::Tuning(_) if feature.sets_sysctls() => "tuning",
            _ => continue,
        };
        if let Some(features) = fields.object("features")? {
            let allowed = "nothing: it works inside the container, which is not ours to enter here";
            return Err(features.error(name, allowed).into());
        }
    }
    Ok(())
}
