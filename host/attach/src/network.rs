//! A network's configuration, read: who makes the interface, who decides on addresses, and what
//! follows from both for one attachment.

use wharfinger_cni::{Attach, AttachmentId, Dns, NetConf, Success};
use wharfinger_drivers::features::{Ends, Feature, settle};
use wharfinger_drivers::{Conf, Draft, Facts};
use wharfinger_kernel::{LinkFacts, Netns};
use wharfinger_ledger::{HostPort, Session};
use wharfinger_plan::{LinkRef, Plan};

use crate::conf::{self, IpamConf, Place, Source};
use crate::ipam::{self, Allocator};
use crate::wrap::Wrapped;
use crate::{Error, Host, allow, dhcp, half};

/// See the module.
pub(crate) struct Network {
    /// Where we stand.
    pub(crate) place: Place,
    /// None where another plugin makes the interface.
    driver: Option<Conf>,
    /// None where there are no addresses.
    pub(crate) ipam: Option<IpamConf>,
    /// What we stand around.
    pub(crate) wrapped: Option<Wrapped>,
    /// What is added, whoever makes the interface.
    features: Vec<Feature>,
    /// The address space.
    pub(crate) domain: String,
    /// Our half alone is made: see [`half`](crate::half).
    half: bool,
}

/// What was decided for an attachment.
#[derive(Default)]
pub(crate) struct Decided {
    /// What IPAM answered.
    pub(crate) lease: Success,
    /// None where another plugin makes the interface.
    pub(crate) draft: Option<Draft>,
    /// What is to be done: the driver's, then the features'.
    pub(crate) plan: Plan,
    /// The ports of the host that it takes.
    pub(crate) ports: Vec<HostPort>,
    /// What features add to the answer.
    pub(crate) added: Option<Added>,
    /// The component that decided.
    pub(crate) plugin: Option<String>,
    /// Name servers, where a policy changed them.
    pub(crate) dns: Option<Dns>,
    /// What was made before the addresses were known.
    pub(crate) made: Made,
    /// The component's own answer, where it is to be told of the attachment's end.
    pub(crate) remote: Option<wharfinger_wasm::Lease>,
}

/// Features of one attachment.
pub(crate) struct Added {
    features: Vec<Feature>,
    ends: Ends,
    /// Under what the book and the kernel have it.
    id: AttachmentId,
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
        let mut result = before_features(self.draft.as_ref(), &self.lease, facts, call);
        if let Some(Added { features, ends, id }) = &self.added {
            for feature in features {
                let so_far = result.clone();
                feature.amend(&ends.subject(id, &so_far, &self.plan.steps), &mut result);
            }
        }
        result
    }
}

/// What a driver answers, or those that made the interface in its place.
fn before_features(
    draft: Option<&Draft>,
    lease: &Success,
    facts: &Facts,
    call: &Attach,
) -> Success {
    let Some(draft) = draft else { return lease.clone() };
    let sandbox = call.netns.as_ref().map(|path| path.display().to_string());
    draft.result(facts, &sandbox.unwrap_or_default(), call.prev_result.as_ref())
}

/// What was made of an attachment before its addresses were known: the link that they are asked
/// for on.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) plan: Plan,
    /// What its links are like.
    pub(crate) links: Vec<LinkFacts>,
}

impl Made {
    /// What all links are like, once the rest was made too.
    pub(crate) fn with(&self, mut later: Vec<LinkFacts>) -> Vec<LinkFacts> {
        for link in &self.links {
            if !later.iter().any(|known| known.link == link.link) {
                later.push(link.clone());
            }
        }
        later
    }
}

/// What a driver may know of links.
fn facts<'a>(links: impl IntoIterator<Item = &'a LinkFacts>) -> Facts {
    Facts { links: links.into_iter().cloned().collect(), ..Facts::default() }
}

impl Network {
    pub(crate) fn read(host: &Host, call: &Attach) -> Result<Self, Error> {
        let place = conf::place(&call.conf)?;
        let ipam = conf::ipam(&call.conf, host, &call.path)?;
        allow::check(host, &call.conf, &place, ipam.as_ref())?;
        let mut driver = match &place {
            Place::Main { driver } => Some(Conf::parse(driver, call)?),
            Place::Ipam | Place::Chained | Place::Wrapper => None,
        };
        if let Some(driver) = driver.as_mut().filter(|driver| driver.wants_vni()) {
            // Where nothing is to be attached, nothing is written.
            let kept = call.netns.is_some();
            let chosen = host.ledger.vni(&call.conf.name, host.node.now(), kept)?;
            if let Some(vni) = chosen {
                driver.set_vni(vni);
            }
        }
        let wrapped = match &place {
            Place::Wrapper => Some(Wrapped::read(&call.conf)?),
            _ => None,
        };
        if ipam.as_ref().is_some_and(|ipam| ipam.source == Source::Dhcp) {
            check_dhcp(call, driver.as_ref())?;
        }
        let set = ipam.as_ref().and_then(|ipam| ipam.domain.clone());
        let domain = match (set, &driver) {
            (Some(domain), _) => domain,
            (None, Some(driver)) => driver.domain(),
            (None, None) if place == Place::Ipam => conf::foreign_domain(&call.conf)?,
            (None, None) => conf::CHAINED.to_owned(),
        };
        let features = match place {
            Place::Ipam => Vec::new(),
            _ => Feature::all(call)?,
        };
        allow::listed_sysctls(host, &features)?;
        let half = half::asked(&call.conf)?;
        if half {
            half::check(call, driver.as_ref(), ipam.as_ref(), &features)?;
        }
        Ok(Self { place, driver, ipam, wrapped, features, domain, half })
    }

    /// Whether the interface and its addresses are others', and we stand behind or around them.
    pub(crate) fn is_beside(&self) -> bool {
        matches!(self.place, Place::Chained | Place::Wrapper)
    }

    /// Whether anything is added to the attachment.
    pub(crate) fn has_features(&self) -> bool {
        !self.features.is_empty()
    }

    /// The executable that decides on addresses, where one does.
    pub(crate) fn executable(&self) -> Option<&str> {
        match self.ipam.as_ref().map(|ipam| &ipam.source) {
            Some(Source::Executable(name)) => Some(name),
            _ => None,
        }
    }

    /// The first executable that an ADD runs, where it runs any.
    pub(crate) fn runs(&self) -> Option<&str> {
        let wrapped = self.wrapped.as_ref().and_then(|wrapped| wrapped.names().next());
        wrapped.map(|(name, _)| name).or_else(|| self.executable())
    }

    /// Whether the ledger holds what is given: not where an executable has a book of its own, nor
    /// where it is a directory of the reference's.
    pub(crate) fn in_ledger(&self) -> bool {
        let in_directory = self.ipam.as_ref().is_some_and(IpamConf::in_directory);
        self.executable().is_none() && !in_directory
    }

    /// Whether a DHCP server decides on addresses.
    pub(crate) fn asks_a_server(&self) -> bool {
        self.ipam.as_ref().is_some_and(|ipam| ipam.source == Source::Dhcp)
    }

    /// What is made before addresses are asked for; nothing where another plugin makes the
    /// interface, or the driver asks first.
    pub(crate) fn bare(&self, call: &Attach, facts: &Facts) -> Result<Plan, Error> {
        match &self.driver {
            Some(driver) => Ok(driver.bare(&call.id, &self.domain, facts)?),
            None => Ok(Plan::default()),
        }
    }

    /// What the driver would have found before it made the interface that is there now.
    pub(crate) fn observe_before(
        &self,
        host: &Host,
        call: &Attach,
        netns: &Netns,
    ) -> Result<Facts, Error> {
        let mut facts = self.observe(host, call, Some(netns))?;
        facts.links.retain(|found| found.link != LinkRef::container(&call.id.ifname));
        Ok(facts)
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

    /// What driver and features need to know of what is there. Behind others, that is what the
    /// previous result names.
    pub(crate) fn observe(
        &self,
        host: &Host,
        call: &Attach,
        netns: Option<&Netns>,
    ) -> Result<Facts, Error> {
        let nothing = Success::default();
        let wanted = match (&self.driver, &call.prev_result) {
            (Some(driver), _) => driver.observes(&call.id),
            (None, previous) if self.has_features() => {
                Ends::candidates(&call.id, previous.as_ref().unwrap_or(&nothing))
            }
            (None, _) => return Ok(Facts::default()),
        };
        let links = host.kernel.links(&wanted, netns)?;
        let mut facts = facts(links.iter().flatten());
        for query in self.driver.iter().flat_map(Conf::asks) {
            let answer = host.kernel.ask(&query, netns)?;
            facts.answers.extend(answer.map(|answer| (query, answer)));
        }
        match netns.filter(|_| self.observes_routing()) {
            Some(netns) => Ok(Facts { routing: host.kernel.routing(netns)?, ..facts }),
            None => Ok(facts),
        }
    }

    /// Whether what it plans follows from the container's routing tables.
    pub(crate) fn observes_routing(&self) -> bool {
        self.features.iter().any(Feature::observes_routing)
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
            let driver = network.driver.as_ref();
            let driver = driver.map(|driver| (driver.observes(&call.id), driver.asks()));
            (driver, network.has_features(), network.observes_routing())
        };
        known(self) == known(other)
    }

    /// Whether we make the interface, or have it made.
    pub(crate) fn makes_interface(&self) -> bool {
        self.driver.is_some() || self.wrapped.is_some()
    }

    /// What follows from a lease, or from the result of who made the interface; `id` is under what
    /// the book has the attachment.
    pub(crate) fn draft(
        &self,
        call: &Attach,
        id: &AttachmentId,
        lease: Success,
        facts: &Facts,
    ) -> Result<Decided, Error> {
        let draft = match &self.driver {
            Some(driver) => Some(driver.plan(&call.id, &self.domain, &lease, facts)?),
            None => None,
        };
        let mut plan = draft.as_ref().map(|draft| draft.plan.clone()).unwrap_or_default();
        let added = self.add_features(call, id, draft.as_ref(), &lease, facts, &mut plan)?;
        if self.half {
            half::cut(&mut plan);
        }
        Ok(Decided { lease, draft, plan, added, ..Decided::default() })
    }

    /// Puts the features' steps behind the driver's.
    fn add_features(
        &self,
        call: &Attach,
        id: &AttachmentId,
        draft: Option<&Draft>,
        lease: &Success,
        facts: &Facts,
        plan: &mut Plan,
    ) -> Result<Option<Added>, Error> {
        if !self.has_features() {
            return Ok(None);
        }
        let ends = match draft {
            Some(draft) => Ends::of_draft(&call.id, draft),
            None => Ends::behind(&call.id, facts),
        };
        let mut result = before_features(draft, lease, facts, call);
        for feature in &self.features {
            let so_far = result.clone();
            let subject = ends.subject(id, &so_far, &plan.steps);
            let steps = feature.plan(&subject, facts)?;
            feature.amend(&subject, &mut result);
            feature.revise(&ends.inside, &mut plan.steps);
            plan.steps.extend(steps);
        }
        settle(&mut plan.steps);
        Ok(Some(Added { features: self.features.clone(), ends, id: id.clone() }))
    }

    /// One decision, in one session: where a component decides, one call of it.
    pub(crate) fn decide(
        &self,
        host: &Host,
        asked: Asked<'_>,
        session: &mut dyn Session,
    ) -> Result<Decided, Error> {
        let Asked { call, id, allocator, facts } = asked;
        let Some(allocator) = allocator else {
            // What others made is passed through.
            let lease = call.prev_result.clone().filter(|_| self.driver.is_none());
            return self.draft(call, id, lease.unwrap_or_default(), facts);
        };
        let lease = allocator.allocate(host, session)?;
        let decided = self.draft(call, id, ipam::success(lease.clone()), facts)?;
        let plugin = Some(allocator.identity().to_owned());
        Ok(Decided { plugin, remote: allocator.remote().then_some(lease), ..decided })
    }
}

/// What a decision is about.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) call: &'a Attach,
    /// Under what the book has it.
    pub(crate) id: &'a AttachmentId,
    pub(crate) allocator: Option<&'a Allocator>,
    pub(crate) facts: &'a Facts,
}

/// What can be known to be wrong before anything is made.
fn check_dhcp(call: &Attach, driver: Option<&Conf>) -> Result<(), Error> {
    let _ = dhcp::conf::asked(call)?;
    if driver.is_some_and(Conf::asks_first) {
        let fields = call.conf.fields();
        let ipam = fields.object("ipam")?.unwrap_or(fields);
        let allowed =
            "another, or a driver whose link leads to a DHCP server: bridge, macvlan, ipvlan";
        return Err(ipam.error("type", allowed).into());
    }
    Ok(())
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
