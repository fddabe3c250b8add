//! The store of the cluster's book, of either kind: for the ledger, and to hear of what changes.

use std::collections::BTreeSet;
use std::time::Duration;

use wharfinger_etcd::{Etcd, Event, Seen};
use wharfinger_kube::{Book, BookWatch, Heard};
use wharfinger_ledger::cluster::{Beside, Fault, NodeAt, NodeSeen, Remote};

use crate::settings::Place;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    Etcd(Etcd),
    Kubernetes(Book),
}

/// What is written after some version.
#[derive(Debug)]
pub(crate) enum Watch {
    Etcd(wharfinger_etcd::Watch),
    Kubernetes(BookWatch),
}

impl Store {
    /// Nothing is done yet, but to look at the settings. The text says what is wrong with them.
    pub(crate) fn new(place: &Place) -> Result<Self, String> {
        Ok(match place {
            Place::Etcd(etcd) => {
                Self::Etcd(Etcd::new(etcd.clone()).map_err(|error| error.to_string())?)
            }
            Place::Kubernetes(kube) => Self::Kubernetes(Book::new(kube.clone())),
        })
    }

    /// As the ledger has it.
    pub(crate) fn remote(&self) -> &dyn Remote {
        match self {
            Self::Etcd(etcd) => etcd,
            Self::Kubernetes(book) => book,
        }
    }

    /// Whether what is written there is read by nobody but those who share the book.
    pub(crate) fn keeps_secrets(&self) -> bool {
        matches!(self, Self::Etcd(_))
    }

    /// The same, to be kept.
    pub(crate) fn into_remote(self) -> Box<dyn Remote> {
        match self {
            Self::Etcd(etcd) => Box::new(etcd),
            Self::Kubernetes(book) => Box::new(book),
        }
    }

    /// Who of these lives, where the store knows that better than the book: on Kubernetes a node
    /// whose object is there, in the boot that it told of. Those who hold something and told of
    /// nothing are added.
    pub(crate) fn living(
        &self,
        nodes: Vec<NodeAt>,
        holders: &BTreeSet<String>,
        wait: Duration,
    ) -> Result<Vec<NodeAt>, Fault> {
        let Self::Kubernetes(book) = self else { return Ok(nodes) };
        Ok(alive(nodes, holders, &book.kube().nodes(wait)?))
    }

    /// What the cluster says of its nodes and pods; none where the book is not in it.
    pub(crate) fn beside(&self, wait: Duration) -> Result<Option<Beside>, Fault> {
        let Self::Kubernetes(book) = self else { return Ok(None) };
        book.kube().beside(wait).map(Some)
    }

    /// Everything that is written after this.
    pub(crate) fn watch(&self, upto: u64) -> Watch {
        match self {
            Self::Etcd(etcd) => Watch::Etcd(etcd.watch("", upto)),
            Self::Kubernetes(book) => Watch::Kubernetes(book.watch(upto)),
        }
    }
}

impl Watch {
    /// Waits for what happens next.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Seen, Fault> {
        let watch = match self {
            Self::Etcd(watch) => return watch.next(wait),
            Self::Kubernetes(watch) => watch,
        };
        Ok(match watch.next(wait)? {
            Heard::Nothing => Seen::Nothing,
            Heard::Resync(why) => Seen::Resync(why),
            Heard::Changes(changes) => {
                let event = |(key, version, value)| Event { key, version, value };
                Seen::Events(changes.into_iter().map(event).collect())
            }
        })
    }
}

fn alive(mut nodes: Vec<NodeAt>, holders: &BTreeSet<String>, seen: &[NodeSeen]) -> Vec<NodeAt> {
    let unknown = holders.iter().filter(|name| !nodes.iter().any(|node| node.name == **name));
    let new: Vec<NodeAt> = unknown
        .map(|name| NodeAt { name: name.clone(), facts: None, version: 0, alive: false })
        .collect();
    nodes.extend(new);
    for node in &mut nodes {
        let told = node.facts.as_ref().map(|facts| facts.boot.as_str());
        node.alive = seen.iter().any(|seen| seen.name == node.name && seen.is_in(told));
    }
    nodes
}

#[cfg(test)]
mod tests {
    use wharfinger_ledger::cluster::NodeFacts;

    use super::*;

    #[test]
    fn a_node_lives_whose_object_is_there_in_the_boot_that_it_told_of() {
        let node = |name: &str, boot: &str| NodeAt {
            name: name.into(),
            facts: Some(NodeFacts { boot: boot.into(), ..NodeFacts::default() }),
            version: 1,
            alive: false,
        };
        let object =
            |name: &str, boot: &str| NodeSeen { name: name.into(), boot: Some(boot.into()) };
        let nodes = vec![node("same", "b1"), node("other", "b1"), node("gone", "b1")];
        let holders = BTreeSet::from(["quiet".to_owned(), "lost".to_owned()]);
        let listed = [object("same", "b1"), object("other", "b2"), object("quiet", "b1")];
        let all = alive(nodes, &holders, &listed);
        let living: Vec<_> = all.iter().map(|node| (node.name.as_str(), node.alive)).collect();
        let wanted =
            [("same", true), ("other", false), ("gone", false), ("lost", false), ("quiet", true)];
        assert_eq!(living, wanted);
    }
}
