//! A plan in two parts: a link that is there before its addresses are known, and what comes once
//! they are.

use crate::{Action, Link, LinkKind, LinkRef, Owner, Plan, Step};

impl Plan {
    /// What of this plan is still to be done where `made` was done before. Of a link that was
    /// made, only what it is known by may differ, and is set.
    #[must_use]
    pub fn after(&self, made: &Self) -> Self {
        let left = self.steps.iter().filter(|step| !made.steps.contains(step));
        let step = |step: &Step| match own_link(step) {
            Some(link) if made.makes(&link.link) => Step::owned(Action::Link(known_by(link))),
            _ => step.clone(),
        };
        Self { format: self.format, steps: left.map(step).collect() }
    }

    /// What of this plan is to be undone so that no more than `made` is left.
    #[must_use]
    pub fn beyond(&self, made: &Self) -> Self {
        let links = |step: &&Step| own_link(step).is_none_or(|link| !made.makes(&link.link));
        let steps = self.steps.iter().filter(|step| !made.steps.contains(step)).filter(links);
        Self { format: self.format, steps: steps.cloned().collect() }
    }

    fn makes(&self, wanted: &LinkRef) -> bool {
        self.steps.iter().filter_map(own_link).any(|link| link.link == *wanted)
    }
}

fn own_link(step: &Step) -> Option<&Link> {
    match &step.action {
        Action::Link(link) if step.owner == Owner::Attachment => Some(link),
        _ => None,
    }
}

fn known_by(link: &Link) -> Link {
    Link {
        kind: LinkKind::Existing,
        mtu: None,
        mac: None,
        port: None,
        promisc: None,
        up: false,
        ..link.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Others, Peer};

    fn veth(alias: &str) -> Step {
        let peer = Peer { link: LinkRef::container("eth0"), mac: None };
        Step::owned(Action::Link(Link {
            link: LinkRef::host("veth1"),
            kind: LinkKind::Veth { peer },
            mtu: Some(1400),
            mac: None,
            alias: Some(alias.to_owned()),
            port: None,
            promisc: None,
            up: true,
        }))
    }

    fn address(text: &str) -> Step {
        Step::owned(Action::Address(Address {
            link: LinkRef::container("eth0"),
            address: text.parse().unwrap_or_default(),
            nodad: false,
            prefix_route: true,
            others: Others::Keep,
        }))
    }

    fn up() -> Step {
        Step::owned(Action::Up { link: LinkRef::container("eth0") })
    }

    #[test]
    fn the_second_part_makes_no_link_and_names_it_anew() {
        let made = Plan::new(vec![veth("key"), up()]);
        let whole = Plan::new(vec![veth("key 10.0.0.2/24"), address("10.0.0.2/24"), up()]);
        let rest = whole.after(&made);
        let [Step { action: Action::Link(link), .. }, then] = rest.steps.as_slice() else {
            unreachable!("{rest:?}")
        };
        assert_eq!(link.kind, LinkKind::Existing);
        assert_eq!((link.mtu, link.alias.as_deref()), (None, Some("key 10.0.0.2/24")));
        assert_eq!(*then, address("10.0.0.2/24"));
        assert_eq!(whole.beyond(&made), Plan::new(vec![address("10.0.0.2/24")]));
        assert_eq!(made.after(&made), Plan::default());
        assert_eq!(whole.after(&Plan::default()), whole);
    }
}
