//! What an ADD comes to: policies, then addresses and plan, then policies again, all of it in one
//! session of the book, so that what they read still stands when it is written down.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use wharfinger_cni::{Attach, AttachmentId, Success};
use wharfinger_drivers::Facts;
use wharfinger_kernel::Netns;
use wharfinger_ledger::Session;

use crate::ipam::Allocator;
use crate::network::{Asked, Decided, Network};
use crate::policy::{Amended, Policies};
use crate::{Error, Host, chain, outbox, ports};

/// All that is heard of one call, as given.
pub(crate) struct Hearing<'a> {
    pub(crate) host: &'a Host<'a>,
    pub(crate) call: &'a Attach,
    pub(crate) network: &'a Network,
    pub(crate) facts: &'a Facts,
    /// None where nothing is to be attached.
    pub(crate) netns: Option<&'a Netns>,
    pub(crate) policies: Policies,
    /// Under what the book has the attachment.
    pub(crate) id: AttachmentId,
    /// Asked for addresses by the configuration as given: made when it is first needed.
    allocator: OnceCell<Option<Allocator>>,
    /// Somebody outside may have heard of the attachment.
    pub(crate) posted: Cell<bool>,
}

/// The call as policies left it, and what is there.
pub(crate) struct View<'v> {
    pub(crate) call: &'v Attach,
    pub(crate) network: &'v Network,
    facts: Cow<'v, Facts>,
}

impl View<'_> {
    /// What is made before addresses are asked for.
    pub(crate) fn bare(&self) -> Result<wharfinger_plan::Plan, Error> {
        self.network.bare(self.call, &self.facts)
    }
}

/// What is to be written down, and of which call.
pub(crate) struct Settled {
    pub(crate) decided: Decided,
    /// Where policies changed it.
    pub(crate) amended: Option<Amended>,
    /// The notice of its end, in the outbox.
    pub(crate) notice: Option<u64>,
}

impl View<'_> {
    /// The same, after others made what is to be looked at now.
    pub(crate) fn observing(&self, facts: Facts) -> View<'_> {
        View { call: self.call, network: self.network, facts: Cow::Owned(facts) }
    }
}

impl<'a> Hearing<'a> {
    pub(crate) fn new(
        host: &'a Host<'a>,
        call: &'a Attach,
        network: &'a Network,
        facts: &'a Facts,
        netns: Option<&'a Netns>,
    ) -> Result<Self, Error> {
        let policies = Policies::load(host, &call.conf, &network.place)?;
        let (allocator, posted) = (OnceCell::new(), Cell::new(false));
        let id = chain::key(&call.id, &call.conf);
        Ok(Self { host, call, network, facts, netns, policies, id, allocator, posted })
    }

    /// Asks the policies. None: nobody changed anything.
    pub(crate) fn admit(&self, session: &mut dyn Session) -> Result<Option<Amended>, Error> {
        self.policies.admit(self.host, self.call, self.network, session)
    }

    /// What an admitted call is planned from.
    pub(crate) fn view<'v>(&'v self, amended: Option<&'v Amended>) -> Result<View<'v>, Error> {
        let Some(Amended { call, network }) = amended else {
            let facts = Cow::Borrowed(self.facts);
            return Ok(View { call: self.call, network: self.network, facts });
        };
        let facts = if network.observes_as(self.network, call) {
            Cow::Borrowed(self.facts)
        } else {
            Cow::Owned(network.observe(self.host, call, self.netns)?)
        };
        network.check_facts(call, &facts)?;
        Ok(View { call, network, facts })
    }

    /// One decision by policies and component, in one session.
    pub(crate) fn settle(&self, session: &mut dyn Session) -> Result<Settled, Error> {
        let amended = self.admit(session)?;
        let view = self.view(amended.as_ref())?;
        let other;
        let allocator = if amended.is_some() {
            other = view.network.allocator(self.host, view.call)?;
            other.as_ref()
        } else {
            self.given()?
        };
        let notice = match allocator {
            Some(allocator) if self.netns.is_some() && allocator.remote() => {
                Some(self.post(allocator)?)
            }
            _ => None,
        };
        let asked = Asked { call: view.call, id: &self.id, allocator, facts: &view.facts };
        let decided = view.network.decide(self.host, asked, session);
        let decided = decided.map_err(|error| match allocator {
            Some(allocator) => allocator.explain(self.host, &view.network.domain, error),
            None => error,
        })?;
        let decided = self.review(&view, decided, session)?;
        let decided = claimed(decided, session)?;
        Ok(Settled { decided, amended, notice })
    }

    /// Before the component can tell anybody outside; what earlier attachments left is told first.
    fn post(&self, allocator: &Allocator) -> Result<u64, Error> {
        if !self.posted.replace(true) {
            if matches!(self.host.ledger.get(&self.call.id), Ok(None)) {
                outbox::tell(self.host, &self.call.id);
            } else {
                outbox::tell_network(self.host, &self.call.id.network);
            }
        }
        outbox::post(self.host, allocator)
    }

    fn given(&self) -> Result<Option<&Allocator>, Error> {
        if let Some(allocator) = self.allocator.get() {
            return Ok(allocator.as_ref());
        }
        let allocator = self.network.allocator(self.host, self.call)?;
        Ok(self.allocator.get_or_init(|| allocator).as_ref())
    }

    /// What follows from a lease that somebody else gave.
    pub(crate) fn conclude(
        &self,
        view: &View<'_>,
        lease: Success,
        session: &mut dyn Session,
    ) -> Result<Decided, Error> {
        let decided = view.network.draft(view.call, &self.id, lease, &view.facts)?;
        claimed(self.review(view, decided, session)?, session)
    }

    /// Shows the policies what is about to happen.
    fn review(
        &self,
        view: &View<'_>,
        decided: Decided,
        session: &mut dyn Session,
    ) -> Result<Decided, Error> {
        if self.policies.is_empty() {
            return Ok(decided);
        }
        let result = decided.foretold(&view.facts, view.call);
        let dns = self.policies.review(self.host, view.call, &decided.plan, result, session)?;
        Ok(Decided { dns, ..decided })
    }
}

/// The decision with the ports of the host that it takes.
fn claimed(decided: Decided, session: &mut dyn Session) -> Result<Decided, Error> {
    let ports = ports::claim(&decided.plan, session)?;
    Ok(Decided { ports, ..decided })
}
