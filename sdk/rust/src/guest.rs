//! Binds a plugin to the contract: text to types and back, and nothing decided.

mod convert;
pub(crate) mod host;
#[cfg(feature = "http")]
pub(crate) mod web;

use std::marker::PhantomData;
use std::sync::Once;

use crate::bindings::host::wharfinger::plugin::types as wit;
use crate::bindings::ipam::exports::wharfinger::plugin::ipam;
use crate::bindings::policy::exports::wharfinger::plugin::policy;
use crate::bindings::remote::exports::wharfinger::plugin::ipam_remote;
use crate::log::Level;
use crate::{Ipam, Policy, Remote, Request, call};

/// The exports of an IPAM plugin.
pub struct IpamExport<P>(PhantomData<P>);

impl<P: Ipam> ipam::Guest for IpamExport<P> {
    fn validate(config: String) -> Vec<wit::Problem> {
        told();
        call::ipam::<P>(&config).err().map(convert::problems).unwrap_or_default()
    }

    fn pools(config: String) -> Result<Vec<ipam::Pool>, wit::Failure> {
        told();
        let pools = call::ipam_or::<P>(&config).and_then(|plugin| plugin.pools());
        Ok(pools.map_err(convert::failure)?.into_iter().map(convert::pool).collect())
    }

    fn allocate(request: ipam::Request) -> Result<wit::Lease, wit::Failure> {
        told();
        let lease = convert::request(request).and_then(|(config, request): (String, Request)| {
            call::allocate::<P>(&config, &request)
        });
        lease.map(|lease| convert::lease(&lease)).map_err(convert::failure)
    }
}

impl<P: Remote> ipam_remote::Guest for IpamExport<P> {
    fn released(
        config: String,
        attachment: wit::Attachment,
        lease: Option<wit::Lease>,
    ) -> Result<(), wit::Failure> {
        told();
        let done = || {
            let lease = lease.map(convert::lease_read).transpose()?;
            let plugin = call::ipam_or::<P>(&config)?;
            plugin.released(&convert::attachment(attachment), lease.as_ref())
        };
        done().map_err(convert::failure)
    }
}

/// The exports of a policy plugin.
pub struct PolicyExport<P>(PhantomData<P>);

impl<P: Policy> policy::Guest for PolicyExport<P> {
    fn validate(config: String) -> Vec<wit::Problem> {
        told();
        call::policy::<P>(&config).err().map(convert::problems).unwrap_or_default()
    }

    fn admit(request: policy::Request) -> Result<policy::Verdict, wit::Failure> {
        told();
        let done = || {
            let (config, request) = convert::policy_request(request)?;
            call::policy_or::<P>(&config)?.admit(&request)
        };
        done().map(convert::verdict).map_err(convert::failure)
    }

    fn review(
        request: policy::Request,
        steps: Vec<policy::Step>,
        cni_result: String,
    ) -> Result<policy::Verdict, wit::Failure> {
        told();
        let done = || {
            let (config, request) = convert::policy_request(request)?;
            let steps = steps.into_iter().map(convert::step).collect::<Result<Vec<_>, _>>()?;
            let result = call::json(&cni_result)?;
            call::policy_or::<P>(&config)?.review(&request, &steps, &result)
        };
        done().map(convert::verdict).map_err(convert::failure)
    }
}

/// From here on a panic says in the log what went wrong: the trap that it ends in does not.
fn told() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| host::log(Level::Error, &panic.to_string())));
    });
}
