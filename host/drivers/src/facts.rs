//! What is observed of the kernel, as far as drivers look at it.

use wharfinger_plan::{Answer, LinkFacts, LinkRef, Query, Routing};

/// What the observed links are like. A link that is not here does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// In any order.
    pub links: Vec<LinkFacts>,
    /// How the container's namespace routes, where a feature asked
    /// ([`Feature::observes_routing`](crate::features::Feature::observes_routing)).
    pub routing: Routing,
    /// What was found for each query that anything was found for.
    pub answers: Vec<(Query, Answer)>,
}

impl Facts {
    /// The facts of one link.
    pub fn get(&self, link: &LinkRef) -> Option<&LinkFacts> {
        self.links.iter().find(|facts| facts.link == *link)
    }

    /// What was found for a query.
    pub fn answer(&self, query: &Query) -> Option<&Answer> {
        self.answers.iter().find(|(asked, _)| asked == query).map(|(_, answer)| answer)
    }

    /// The facts of the link that was found for a query.
    pub fn link(&self, query: &Query) -> Option<&LinkFacts> {
        match self.answer(query)? {
            Answer::Link(facts) => Some(facts),
            Answer::Userspace(_) => None,
        }
    }
}
