//! Features: what is added to an attachment whose interface is there, whoever made it.
//!
//! The same feature stands in `features` of a configuration of ours, behind other plugins of a
//! list, and under its reference plugin's name: only where its keys are read from differs. Like
//! a driver, it decides and does nothing. Start reading at [`Feature`]; one file a feature.

pub(crate) mod bandwidth;
mod firewall;
mod guard;
mod portmap;
mod rules;
mod sbr;
mod tuning;
mod vrf;

pub use bandwidth::{Bandwidth, left_by_reference, redirection_name};
pub use firewall::Firewall;
pub(crate) use guard::guard;
pub use guard::settle;
pub use portmap::PortMap;
pub use rules::Rules;
pub use sbr::Sbr;
pub use tuning::{Tuning, backup_of_reference, restored_from};
pub use vrf::Vrf;

use wharfinger_cni::conf::Fields;
use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_plan::{LinkFacts, LinkRef, Step};

use crate::{Draft, Error, Facts, PlanError, read};

/// The names that `features` may have, in the order in which they are carried out: what changes
/// the link comes before what refers to it.
pub const FEATURES: &[&str] =
    &["tuning", "vrf", "sbr", "bandwidth", "firewall", "portmap", "rules"];

/// The keys that a feature reads; none of what is no feature.
pub fn keys_of(feature: &str) -> Option<&'static [&'static str]> {
    Some(match feature {
        "tuning" => tuning::KEYS,
        "vrf" => vrf::KEYS,
        "sbr" => sbr::KEYS,
        "bandwidth" => bandwidth::KEYS,
        "firewall" => firewall::KEYS,
        "portmap" => portmap::KEYS,
        "rules" => rules::KEYS,
        _ => return None,
    })
}

/// A feature's configuration, parsed and valid.
#[derive(Debug, Clone, PartialEq)]
pub enum Feature {
    /// Settings of the container's link, and kernel parameters of its namespace.
    Tuning(Tuning),
    /// The container's link belongs to a VRF.
    Vrf(Vrf),
    /// Routing by source address.
    Sbr(Sbr),
    /// Rates.
    Bandwidth(Bandwidth),
    /// What the host forwards for the attachment.
    Firewall(Firewall),
    /// Ports of the host.
    PortMap(PortMap),
    /// What may come to the container, and leave it.
    Rules(Rules),
}

/// An attachment as features see it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Whose it is.
    pub id: &'a AttachmentId,
    /// What has been answered of it so far.
    pub result: &'a Success,
    /// The container's link.
    pub inside: &'a LinkRef,
    /// Its other end on the host, where it has one.
    pub host: Option<&'a LinkRef>,
    /// The bridge of the host that it is a port of, or the result names.
    pub bridge: Option<&'a LinkRef>,
    /// What our own driver does for it; nothing where another plugin made the interface.
    pub steps: &'a [Step],
}

impl Subject<'_> {
    /// The container's addresses: those of its interface, and those that the result gives to none.
    pub(crate) fn addresses(&self) -> Vec<ipnet::IpNet> {
        let own = self.result.interfaces.iter().position(|interface| {
            !interface.sandbox.is_empty() && interface.name == self.inside.name
        });
        let ips = self.result.ips.iter();
        let is_own = |ip: &&wharfinger_cni::Ip| ip.interface.is_none() || ip.interface == own;
        ips.filter(is_own).map(|ip| ip.address).collect()
    }
}

impl Feature {
    /// Reads a feature out of `fields`: its own object in `features`, or, under a reference
    /// plugin's name, the whole configuration. `None` where nothing is asked for.
    pub fn parse(name: &str, fields: &Fields<'_>, call: &Attach) -> Result<Option<Self>, Error> {
        match name {
            "tuning" => Tuning::parse(fields, call).map(|it| it.map(Self::Tuning)),
            "vrf" => Vrf::parse(fields, call).map(|it| it.map(Self::Vrf)),
            "sbr" => Sbr::parse(fields, call).map(|it| it.map(Self::Sbr)),
            "bandwidth" => Bandwidth::parse(fields, call).map(|it| it.map(Self::Bandwidth)),
            "firewall" => Firewall::parse(fields, call).map(|it| it.map(Self::Firewall)),
            "portmap" => PortMap::parse(fields, call).map(|it| it.map(Self::PortMap)),
            "rules" => Rules::parse(fields, call).map(|it| it.map(Self::Rules)),
            _ => {
                let allowed = format!("one of {}", FEATURES.join(", "));
                Err(Error::Invalid(fields.error(name, allowed)))
            }
        }
    }

    /// All that `features` of a configuration of ours asks for, in the order of [`FEATURES`].
    /// Under a reference plugin's name the whole configuration is that feature's, and `features`
    /// is no key.
    pub fn all(call: &Attach) -> Result<Vec<Self>, Error> {
        let fields = call.conf.fields();
        if !call.conf.called.is_empty() && call.conf.called != read::OUR_TYPE {
            let own = FEATURES.iter().filter(|name| **name == call.conf.called);
            let parsed = own.map(|name| Self::parse(name, &fields, call));
            return Ok(parsed.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect());
        }
        let Some(features) = fields.object("features")? else { return Ok(Vec::new()) };
        for key in features.map().keys() {
            if !FEATURES.iter().any(|name| name.eq_ignore_ascii_case(key)) {
                let allowed = format!("one of {}", FEATURES.join(", "));
                return Err(Error::Invalid(features.error(key, allowed)));
            }
        }
        let mut all = Vec::new();
        for name in FEATURES {
            if let Some(fields) = features.object(name)? {
                all.extend(Self::parse(name, &fields, call)?);
            }
        }
        Ok(all)
    }

    /// Whether [`Feature::plan`] looks at [`Facts::routing`].
    pub fn observes_routing(&self) -> bool {
        matches!(self, Self::Sbr(_) | Self::Vrf(_))
    }

    /// The steps of the feature, and what it changes of the answer. `facts` has the subject's
    /// links as they are; of a link that our own driver is about to make it has nothing.
    pub fn plan(&self, subject: &Subject<'_>, facts: &Facts) -> Result<Vec<Step>, PlanError> {
        match self {
            Self::Tuning(feature) => Ok(feature.plan(subject, facts)),
            Self::Vrf(feature) => feature.plan(subject, facts),
            Self::Sbr(feature) => feature.plan(subject, facts),
            Self::Bandwidth(feature) => Ok(feature.plan(subject, facts)),
            Self::Firewall(feature) => feature.plan(subject),
            Self::PortMap(feature) => feature.plan(subject),
            Self::Rules(feature) => feature.plan(subject),
        }
    }

    /// Changes steps of our own driver that the feature does in another way: to be called behind
    /// [`Feature::plan`], with the steps that it was asked with.
    pub fn revise(&self, inside: &LinkRef, steps: &mut Vec<Step>) {
        if let Self::Sbr(feature) = self {
            feature.revise(inside, steps);
        }
    }

    /// Whether it sets kernel parameters by their names.
    pub fn sets_sysctls(&self) -> bool {
        matches!(self, Self::Tuning(feature) if feature.sysctls().next().is_some())
    }

    /// Whether what is asked for is on a list of kernel parameters that are allowed: the text of
    /// `/etc/cni/tuning/allowlist.conf`. Without such a file, all of the namespace's own are.
    pub fn check_sysctls(&self, list: &str) -> Result<(), Error> {
        match self {
            Self::Tuning(feature) => feature.check_allowed(list),
            _ => Ok(()),
        }
    }

    /// What the feature changes of the answer, once its steps are done.
    pub fn amend(&self, subject: &Subject<'_>, result: &mut Success) {
        match self {
            Self::Tuning(feature) => feature.amend(subject, result),
            Self::Bandwidth(feature) => feature.amend(subject, result),
            Self::Vrf(_) | Self::Sbr(_) | Self::Firewall(_) | Self::PortMap(_) | Self::Rules(_) => {
            }
        }
    }
}

/// Keys of a feature that look like misspelled ones are refused under our own type, and pass
/// under a reference plugin's name, as there.
pub(crate) fn refuse_near_misses(
    fields: &Fields<'_>,
    call: &Attach,
    keys: &[&str],
) -> Result<(), Error> {
    if call.conf.plugin_type == read::OUR_TYPE {
        fields.refuse_near_misses(keys)?;
    }
    Ok(())
}

/// The links of an attachment, as [`Subject`] borrows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The container's.
    pub inside: LinkRef,
    /// The host's, where there is one.
    pub host: Option<LinkRef>,
    /// The bridge, where there is one.
    pub bridge: Option<LinkRef>,
}

impl Ends {
    /// Of an attachment that our own driver makes.
    pub fn of_draft(id: &AttachmentId, draft: &Draft) -> Self {
        let made = draft.host_link();
        Self {
            inside: LinkRef::container(&id.ifname),
            host: made.map(|link| link.link.clone()),
            bridge: made
                .and_then(|link| link.port.as_ref())
                .map(|port| LinkRef::host(&port.bridge)),
        }
    }

    /// The links to look at for [`Ends::behind`]: the container's, and those of the host that the
    /// result names.
    pub fn candidates(id: &AttachmentId, result: &Success) -> Vec<LinkRef> {
        let named = result.interfaces.iter().filter(|interface| interface.sandbox.is_empty());
        let host = named.map(|interface| LinkRef::host(&interface.name));
        std::iter::once(LinkRef::container(&id.ifname)).chain(host).collect()
    }

    /// Of an attachment that other plugins made, from what [`Ends::candidates`] are like: the
    /// host's end is known by the indexes that the two ends of a veth have of each other.
    pub fn behind(id: &AttachmentId, facts: &Facts) -> Self {
        let inside = LinkRef::container(&id.ifname);
        let host = |facts: &&LinkFacts| facts.link.place == wharfinger_plan::Place::Host;
        let peer_of = |own: &LinkFacts| {
            let is = |it: &&LinkFacts| Some(it.index) == own.peer && it.peer == Some(own.index);
            facts.links.iter().filter(host).find(is).map(|it| it.link.clone())
        };
        let bridges = facts.links.iter().filter(host).find(|it| it.kind == "bridge");
        Self {
            host: facts.get(&inside).and_then(peer_of),
            bridge: bridges.map(|it| it.link.clone()),
            inside,
        }
    }

    /// The attachment as features see it.
    pub fn subject<'a>(
        &'a self,
        id: &'a AttachmentId,
        result: &'a Success,
        steps: &'a [Step],
    ) -> Subject<'a> {
        Subject {
            id,
            result,
            inside: &self.inside,
            host: self.host.as_ref(),
            bridge: self.bridge.as_ref(),
            steps,
        }
    }
}
