//! The kernel itself, by netlink.
//!
//! Each call works in the namespace of the thread that makes it, and opens its own sockets:
//! that costs some microseconds, and nothing is left open between calls.

use std::path::Path;

use wharfinger_plan::{Action, LinkRef, Place, Plan, Routing};

use crate::session::Session;
use crate::{
    Answer, Association, AtPath, Cleared, Drift, Encryption, Error, ForwardDrop, Kernel, LinkFacts,
    Netns, PeerChange, Peers, Query, Reference, Segment, Survey, Way, apply, ask, filter, foreign,
    link, netns, peers, refused, remains, survey, undo, verify, vrf, xfrm,
};

/// The kernel of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Netlink;

impl Netlink {
    /// Opens nothing yet.
    pub fn new() -> Self {
        Self
    }
}

impl Kernel for Netlink {
    fn netns(&self, path: &Path) -> Result<AtPath, Error> {
        let opened = netns::open(path);
        let opened =
            opened.map_err(|e| refused("open", format!("namespace {}", path.display()), e))?;
        Ok(opened.map_or(AtPath::Gone, |(cookie, inside)| {
            AtPath::Netns(Netns { cookie, inside: Some(inside) })
        }))
    }

    fn host_cookie(&self) -> Result<u64, Error> {
        netns::own_cookie().map_err(|error| refused("look up", "the own namespace", error))
    }

    fn links(
        &self,
        wanted: &[LinkRef],
        netns: Option<&Netns>,
    ) -> Result<Vec<Option<LinkFacts>>, Error> {
        let mut session = Session::new(netns)?;
        let one = |link: &LinkRef| match (link.place, netns) {
            (Place::Container, None) => Ok(None),
            _ => session.facts(link),
        };
        wanted.iter().map(one).collect()
    }

    fn routing(&self, netns: &Netns) -> Result<Routing, Error> {
        vrf::routing(&mut Session::new(Some(netns))?)
    }

    fn ask(&self, query: &Query, netns: Option<&Netns>) -> Result<Option<Answer>, Error> {
        match (query, netns) {
            (Query::DefaultRoute(Place::Container), None) => Ok(None),
            _ => ask::ask(&mut Session::new(netns)?, query),
        }
    }

    fn apply(&self, plan: &Plan, netns: &Netns) -> Result<Vec<LinkFacts>, Error> {
        apply::apply(&mut Session::new(Some(netns))?, plan)
    }

    fn verify(&self, plan: &Plan, netns: &Netns) -> Result<Vec<Drift>, Error> {
        verify::verify(&mut Session::new(Some(netns))?, plan)
    }

    fn undo(&self, plan: &Plan, netns: Option<&Netns>) -> Vec<Error> {
        match Session::new(netns) {
            Ok(mut session) => undo::undo(&mut session, plan, netns.is_some()),
            Err(error) => vec![error],
        }
    }

    fn survey(&self) -> Result<Survey, Error> {
        survey::survey(&mut Session::new(None)?, link::all)
    }

    fn seen(&self) -> Result<Survey, Error> {
        survey::survey(&mut Session::new(None)?, link::seen)
    }

    fn reload(&self, all: &[Action]) -> Result<(), Error> {
        let all: Vec<&Action> = all.iter().collect();
        let mut session = Session::new(None)?;
        let ours = filter::reload(session.netfilter()?, &all);
        ours.and(foreign::reload(&mut session, &all))
    }

    fn forward_drops(&self) -> Result<Vec<ForwardDrop>, Error> {
        foreign::forward_drops(&mut Session::new(None)?)
    }

    fn clear_reference(&self, reference: &Reference) -> Cleared {
        match Session::new(None) {
            Ok(mut session) => remains::clear(&mut session, reference),
            Err(error) => Cleared { notes: Vec::new(), errors: vec![error] },
        }
    }

    fn resync_peers(&self, segment: &Segment, wanted: &Peers) -> Result<usize, Error> {
        peers::resync(&mut Session::new(None)?, segment, wanted)
    }

    fn change_peers(&self, segment: &Segment, changes: &[PeerChange]) -> Result<(), Error> {
        peers::change(&mut Session::new(None)?, segment, changes)
    }

    fn encryptions(&self) -> Result<Vec<Encryption>, Error> {
        xfrm::encryptions()
    }

    fn ways(&self) -> Result<Vec<Way>, Error> {
        xfrm::ways()
    }

    fn add_association(&self, wanted: &Association) -> Result<(), Error> {
        xfrm::add(wanted)
    }

    fn remove_way(&self, unwanted: &Way) -> Result<(), Error> {
        xfrm::remove(unwanted)
    }

    fn missing(&self, plan: &Plan) -> Result<Vec<String>, Error> {
        survey::missing(&mut Session::new(None)?, plan)
    }
}
