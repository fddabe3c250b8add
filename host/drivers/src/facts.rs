//! What is observed of the kernel, as far as drivers look at it.

use wharfinger_plan::{LinkFacts, LinkRef, Routing};

/// What the observed links are like. A link that is not here does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// In any order.
    pub links: Vec<LinkFacts>,
    /// How the container's namespace routes, where a feature asked
    /// ([`Feature::observes_routing`](crate::features::Feature::observes_routing)).
    pub routing: Routing,
}

impl Facts {
    /// The facts of one link.
    pub fn get(&self, link: &LinkRef) -> Option<&LinkFacts> {
        self.links.iter().find(|facts| facts.link == *link)
    }
}
