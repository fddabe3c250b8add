//! A network's configuration, read: who makes the interface, who decides on addresses, and what
//! follows from both for one attachment.

use wharfinger_cni::{Attach, Dns, NetConf, Success};
use wharfinger_drivers::{Conf, Draft, Facts};
use wharfinger_kernel::{LinkFacts, Netns};
use wharfinger_ledger::Session;

use crate::conf::{self, IpamConf, Place, Source};
use crate::ipam::{self, Allocator};
use crate::{Error, Host, allow};

/// See the module.
pub(crate) struct Network {
    /// Where we stand.
    pub(crate) place: Place,
    /// None where another plugin makes the interface.
    driver: Option<Conf>,
    /// None where there are no addresses.
    pub(crate) ipam: Option<IpamConf>,
    /// The address space.
    pub(crate) domain: String,
}

/// What was decided for an attachment.
#[derive(Default)]
pub(crate) struct Decided {
    /// What IPAM answered.
    pub(crate) lease: Success,
    /// None where another plugin makes the interface.
    pub(crate) draft: Option<Draft>,
    /// The component that decided.
    pub(crate) plugin: Option<String>,
    /// Name servers, where a policy changed them.
    pub(crate) dns: Option<Dns>,
    /// The component's own answer, where it is to be told of the attachment's end.
    pub(crate) remote: Option<wharfinger_wasm::Lease>,
}

impl Decided {
    /// What the runtime is told, once the links are made.
    pub(crate) fn success(self, links: &[LinkFacts], call: &Attach) -> Success {
        let mut success = self.foretold(&facts(links), call);
        if let Some(dns) = self.dns {
            success.dns = dns;
        }
        success
    }

    /// What the runtime will be told, as far as `facts` tell; a policy's own changes are not in it.
    pub(crate) fn foretold(&self, facts: &Facts, call: &Attach) -> Success {
        let Some(draft) = &self.draft else { return self.lease.clone() };
        let sandbox = call.netns.as_ref().map(|path| path.display().to_string());
        draft.result(facts, &sandbox.unwrap_or_default(), call.prev_result.as_ref())
    }
}

/// What a driver may know of links.
fn facts<'a>(links: impl IntoIterator<Item = &'a LinkFacts>) -> Facts {
    Facts { links: links.into_iter().cloned().collect(), ..Facts::default() }
}

impl Network {
    pub(crate) fn read(host: &Host, call: &Attach) -> Result<Self, Error> {
        let place = conf::place(&call.conf)?;
        let ipam = conf::ipam(&call.conf, host.engine)?;
        allow::check(host, &call.conf, &place, ipam.as_ref())?;
        let driver = match &place {
            Place::Main { driver } => Some(Conf::parse(driver, call)?),
            Place::Ipam | Place::Chained => None,
        };
        let set = ipam.as_ref().and_then(|ipam| ipam.domain.clone());
        let domain = match (set, &driver) {
            (Some(domain), _) => domain,
            (None, Some(driver)) => driver.domain(),
            (None, None) if place == Place::Chained => conf::CHAINED.to_owned(),
            (None, None) => conf::foreign_domain(&call.conf)?,
        };
        Ok(Self { place, driver, ipam, domain })
    }

    /// The executable that decides on addresses, where one does.
    pub(crate) fn executable(&self) -> Option<&str> {
        match self.ipam.as_ref().map(|ipam| &ipam.source) {
            Some(Source::Executable(name)) => Some(name),
            _ => None,
        }
    }

    /// The component that decides on addresses, where one does.
    pub(crate) fn allocator(&self, host: &Host, call: &Attach) -> Result<Option<Allocator>, Error> {
        match self.ipam.as_ref().map(|ipam| (ipam, &ipam.source)) {
            Some((ipam, Source::Component(name))) => {
                Allocator::new(host, call, ipam, name).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What the driver needs to know of what is there.
    pub(crate) fn observe(
        &self,
        host: &Host,
        call: &Attach,
        netns: Option<&Netns>,
    ) -> Result<Facts, Error> {
        let Some(driver) = &self.driver else { return Ok(Facts::default()) };
        let wanted = driver.observes(&call.id);
        let links = host.kernel.links(&wanted, netns)?;
        let mut facts = facts(links.iter().flatten());
        for query in driver.asks() {
            let answer = host.kernel.ask(&query, netns)?;
            facts.answers.extend(answer.map(|answer| (query, answer)));
        }
        Ok(facts)
    }

    /// Whether an ADD can succeed on what is there: asked before an address is taken.
    pub(crate) fn check_facts(&self, call: &Attach, facts: &Facts) -> Result<(), Error> {
        match &self.driver {
            Some(driver) => Ok(driver.check_facts(&call.id, facts)?),
            None => Ok(()),
        }
    }

    /// Whether the other knows of the same links: then what was observed for one serves both.
    pub(crate) fn observes_as(&self, other: &Self, call: &Attach) -> bool {
        let known = |network: &Self| {
            network.driver.as_ref().map(|driver| (driver.observes(&call.id), driver.asks()))
        };
        known(self) == known(other)
    }

    /// Whether we make the interface.
    pub(crate) fn makes_interface(&self) -> bool {
        self.driver.is_some()
    }

    /// What follows from a lease.
    pub(crate) fn draft(
        &self,
        call: &Attach,
        lease: Success,
        facts: &Facts,
    ) -> Result<Decided, Error> {
        let draft = match &self.driver {
            Some(driver) => Some(driver.plan(&call.id, &self.domain, &lease, facts)?),
            None => None,
        };
        Ok(Decided { lease, draft, ..Decided::default() })
    }

    /// One decision, in one session: where a component decides, one call of it.
    pub(crate) fn decide(
        &self,
        host: &Host,
        call: &Attach,
        allocator: Option<&Allocator>,
        facts: &Facts,
        session: &mut dyn Session,
    ) -> Result<Decided, Error> {
        let Some(allocator) = allocator else {
            // What others made is passed through.
            let lease = call.prev_result.clone().filter(|_| self.place == Place::Chained);
            return self.draft(call, lease.unwrap_or_default(), facts);
        };
        let lease = allocator.allocate(host, session)?;
        let decided = self.draft(call, ipam::success(lease.clone()), facts)?;
        let plugin = Some(allocator.identity().to_owned());
        Ok(Decided { plugin, remote: allocator.remote().then_some(lease), ..decided })
    }
}

/// An attachment that nobody asked for: what would come of one, for verbs that are about a
/// network.
pub(crate) fn pretended(conf: &NetConf, ifname: &str, container: &str) -> Attach {
    Attach {
        id: wharfinger_cni::AttachmentId {
            network: conf.name.clone(),
            container: container.to_owned(),
            ifname: ifname.to_owned(),
        },
        netns: None,
        args: Vec::new(),
        path: Vec::new(),
        netns_override: false,
        conf: conf.clone(),
        prev_result: None,
    }
}
