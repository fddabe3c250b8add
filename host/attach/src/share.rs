//! What attachments of a network share, such as its bridge: made before there is any, and taken
//! away behind the last.

use std::path::Path;

use wharfinger_cni::NetConf;
use wharfinger_kernel::AtPath;
use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Owner, Plan, Step};

use crate::{Error, Host, del, dry, half};

/// Makes what an attachment would find made by an earlier one. The configuration is that of an
/// attachment whose address nobody has.
pub fn make(host: &Host, conf: &NetConf) -> Result<(), Error> {
    let plan = dry::for_nobody(host, conf)?;
    let shared = plan.steps.into_iter().filter(|step| step.owner == Owner::Shared);
    let AtPath::Netns(own) = host.kernel.netns(Path::new(half::NETNS))? else {
        return Err(Error::NoNetns { path: half::NETNS.to_owned() });
    };
    host.kernel.apply(&Plan::new(shared.collect()), &own)?;
    Ok(())
}

/// Whether the host has a link of this name.
pub fn has_link(host: &Host, name: &str) -> Result<bool, Error> {
    let links = host.kernel.links(&[LinkRef::host(name)], None)?;
    Ok(links.iter().any(Option::is_some))
}

/// Removes a bridge, with its addresses; that there is none is fine.
pub fn remove_bridge(host: &Host, name: &str) -> Result<(), Error> {
    let bridge = Link {
        link: LinkRef::host(name),
        kind: LinkKind::Bridge,
        mtu: None,
        mac: None,
        alias: None,
        port: None,
        promisc: None,
        up: false,
    };
    let plan = Plan::new(vec![Step::owned(Action::Link(bridge))]);
    del::several(host.kernel.undo(&plan, None).into_iter().map(Error::from).collect())
}
