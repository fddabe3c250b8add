//! What an IPAM plugin owes its host.

mod full;
mod life;
mod single;

use std::net::IpAddr;

use serde_json::{Value, json};
use wharfinger_cni::AttachmentId;
use wharfinger_wasm::{Error, Ipam, Lease, Pool, Reason, Request};

use super::{CONFIG, Checked, Report, Settings, Slowest, Stop, fault, idle, run};
use crate::sim::{Called, NETWORK, Sim};

/// Makes every check. Without a configuration that the plugin takes, little can be checked: the
/// report says what it asked for.
pub fn ipam(plugin: &dyn Ipam, settings: &Settings) -> Report {
    let subject = Subject::new(plugin, settings);
    run(
        plugin.identity(),
        "ipam",
        settings,
        &[
            (CONFIG, "takes the configuration it is tried with", &|| single::config(&subject)),
            ("pools", "says what it allocates from", &|| single::pools(&subject)),
            ("lease", "gives what it took, from its pools", &|| single::lease(&subject)),
            ("same-answer", "answers one request always alike", &|| single::same(&subject)),
            ("asked-again", "an attachment asked again gets the same", &|| single::again(&subject)),
            ("wanted", "gives an address asked for by name, or refuses", &|| {
                single::wanted(&subject)
            }),
            ("exhaustion", "says so where all is taken, and recovers", &|| {
                full::exhaustion(&subject)
            }),
            ("dual-stack", "both families or none", &|| full::dual(&subject)),
            ("life", "thousands come and go, with conflicts and crashes", &|| life::life(&subject)),
            ("bad-config", "refuses what is wrong, with a pointer", &|| single::bad(&subject)),
            ("hostile-input", "survives strange pods and networks", &|| single::hostile(&subject)),
            ("deadline", "is done in half its time", &|| subject.slowest.check(settings)),
        ],
    )
}

/// A plugin, and what is known of it.
struct Subject<'a> {
    plugin: &'a dyn Ipam,
    settings: &'a Settings,
    config: String,
    pools: Result<Vec<Pool>, Error>,
    slowest: Slowest,
}

impl<'a> Subject<'a> {
    fn new(plugin: &'a dyn Ipam, settings: &'a Settings) -> Self {
        let config = settings.config.to_string();
        let pools = plugin.pools(&settings.node(), &config);
        Self { plugin, settings, config, pools, slowest: Slowest::default() }
    }

    fn ranges(&self) -> Vec<(IpAddr, IpAddr)> {
        let pools = self.pools.as_ref().map(Vec::as_slice).unwrap_or_default();
        pools.iter().flat_map(|pool| pool.ranges.iter().copied()).collect()
    }

    fn within(&self, address: IpAddr) -> bool {
        self.ranges().iter().any(|(first, last)| {
            first.is_ipv4() == address.is_ipv4() && *first <= address && address <= *last
        })
    }

    fn sim(&self) -> Sim {
        Sim::new(self.settings.node(), &self.ranges())
    }

    fn request(&self, pod: usize, life: usize) -> Request {
        self.request_with(pod, life, &self.settings.config)
    }

    fn request_with(&self, pod: usize, life: usize, config: &Value) -> Request {
        let mut network = json!({
            "cniVersion": "1.1.0", "name": NETWORK, "type": "wharfinger", "driver": "bridge",
            "ipam": config,
        });
        if let Some(object) = network.as_object_mut() {
            object.extend(self.settings.network.clone());
        }
        Request {
            attachment: self.settings.attachment(pod, life),
            config: config.to_string(),
            network_config: network.to_string(),
            wanted: Vec::new(),
        }
    }

    /// A call that comes to nothing; anything but a lease or a typed failure is a fault.
    fn crash(&self, sim: &Sim, request: &Request) -> Result<Called<Lease>, Stop> {
        let called = self.slowest.note(sim.crash(self.plugin, request)?);
        judged(request, called)
    }

    fn add(&self, sim: &Sim, request: &Request) -> Result<Called<Lease>, Stop> {
        self.add_amid(sim, request, &mut || Ok(()))
    }

    /// The lease of an ADD that must succeed.
    fn given(&self, sim: &Sim, request: &Request) -> Result<Lease, Stop> {
        let id = &request.attachment.id;
        self.add(sim, request)?.answer.or_else(|error| refused(id, &error))
    }

    fn add_amid(
        &self,
        sim: &Sim,
        request: &Request,
        meanwhile: &mut dyn FnMut() -> Result<(), wharfinger_ledger::Error>,
    ) -> Result<Called<Lease>, Stop> {
        // What is not taken cannot be committed: looked at before, so that the fault is named.
        self.crash(sim, request)?;
        let called = self.slowest.note(sim.add(self.plugin, request, meanwhile)?);
        judged(request, called)
    }
}

fn judged(request: &Request, called: Called<Lease>) -> Result<Called<Lease>, Stop> {
    let taken = called.taken();
    match &called.answer {
        Err(error) if super::lacks_http(error) => super::needs_http(error),
        Err(error) if super::crashed(error) => fault(error.to_string()),
        Err(_) => Ok(called),
        Ok(lease) => match wrong_lease(lease, &taken, &request.wanted) {
            Some(what) => fault(format!("{}: {what}", request.attachment.id)),
            None => Ok(called),
        },
    }
}

/// What is wrong with a lease by itself. The engine looks for the same; a plugin may also be
/// tried without it.
fn wrong_lease(lease: &Lease, taken: &[IpAddr], wanted: &[IpAddr]) -> Option<String> {
    let given = addresses(lease);
    let untaken = given.iter().find(|address| !taken.contains(address));
    let missing = wanted.iter().find(|address| !given.contains(address));
    let twice = given
        .iter()
        .enumerate()
        .find(|(at, address)| given.iter().take(*at).any(|a| a == *address));
    let strange = lease.addresses.iter().find(|leased| {
        let own = leased.address.addr();
        leased.gateway.is_some_and(|gateway| gateway == own || gateway.is_ipv4() != own.is_ipv4())
    });
    untaken
        .map(|address| format!("the lease has {address}, which it did not take in this call"))
        .or_else(|| missing.map(|a| format!("the lease lacks {a}, which was asked for by name")))
        .or_else(|| twice.map(|(_, address)| format!("the lease has {address} twice")))
        .or_else(|| strange.map(|leased| format!("the gateway of {} is wrong", leased.address)))
}

fn addresses(lease: &Lease) -> Vec<IpAddr> {
    lease.addresses.iter().map(|leased| leased.address.addr()).collect()
}

/// As people read them.
fn spelled(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "no address".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn refused<T>(id: &AttachmentId, error: &Error) -> Result<T, Stop> {
    fault(format!("ADD of {id} failed where nearly all is free: {error}"))
}

/// The plugin's own reason, where it gave one.
fn reason(error: &Error) -> Option<Reason> {
    match error {
        Error::Failed { reason, .. } => Some(*reason),
        _ => None,
    }
}

/// The lease of the very first attachment; without one there is nothing to check.
fn first(subject: &Subject<'_>) -> Result<Lease, Stop> {
    let request = subject.request(0, 0);
    let called = subject.crash(&subject.sim(), &request)?;
    called.answer.or_else(|error| idle(format!("the first ADD came to nothing: {error}")))
}

/// An ADD must be refused for this reason.
fn must_refuse(answer: &Result<Lease, Error>, wanted: Reason, when: &str) -> Result<(), Stop> {
    match answer {
        Ok(lease) => fault(format!("{when}, it gave {}", spelled(&addresses(lease)))),
        Err(error) if reason(error) == Some(wanted) => match error {
            Error::Failed { message, .. } if message.is_empty() => {
                fault(format!("{when}, it refused without a message"))
            }
            _ => Ok(()),
        },
        Err(error) => fault(format!(
            "{when}, it should refuse with the reason {wanted:?}, but: {error} ({:?})",
            reason(error)
        )),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as checks end")]
fn passed(note: impl Into<String>) -> Checked {
    Ok(note.into())
}
