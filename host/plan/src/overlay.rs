//! What a plan says of the segment across nodes that its attachment is on.

use crate::{Action, Encryption, Link, LinkKind, Mac, Place, Plan, Segment, Vxlan};

impl Plan {
    /// The segment across nodes, and its link.
    pub fn overlay(&self) -> Option<(&Link, &Vxlan)> {
        self.links().find_map(|link| match &link.kind {
            LinkKind::Vxlan(vxlan) => Some((link, vxlan)),
            _ => None,
        })
    }

    /// The links of a segment of which this node is to be told who is where; none where nodes
    /// learn that by themselves.
    pub fn segment(&self) -> Option<Segment> {
        let (link, _) = self.overlay().filter(|(_, vxlan)| vxlan.group.is_none())?;
        let bridge = link.port.as_ref()?.bridge.clone();
        Some(Segment { bridge, vxlan: link.link.name.clone() })
    }

    /// What of the segment's is encrypted, where it is.
    pub fn encryption(&self) -> Option<Encryption> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Encryption(it) => Some(*it),
            _ => None,
        })
    }

    /// The link-layer address of the container's link, which other nodes are told where the plan
    /// has a segment across nodes: the one that it has in the end.
    pub fn announced_mac(&self) -> Option<Mac> {
        self.overlay()?;
        let peers = self.links().filter_map(|link| match &link.kind {
            LinkKind::Veth { peer } if peer.link.place == Place::Container => Some(peer),
            _ => None,
        });
        let inside = peers.last()?;
        let changed = self.steps.iter().rev().find_map(|step| match &step.action {
            Action::Settings(settings) if settings.link == inside.link => {
                settings.mac.as_ref().map(|change| change.to)
            }
            _ => None,
        });
        changed.or(inside.mac)
    }

    fn links(&self) -> impl Iterator<Item = &Link> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Link(link) => Some(link),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Group, LinkRef, Port, Step};

    #[test]
    fn a_plan_of_an_overlay_is_read_as_it_was_written() {
        let group = Group { address: [239, 1, 1, 1].into(), dev: LinkRef::host("ens3") };
        for group in [None, Some(group)] {
            let kind = Vxlan { vni: 4096, local: [10, 0, 0, 1].into(), port: 4789, group };
            let bridge = "wh-br4096".to_owned();
            let plan = Plan::new(vec![Step::shared(Action::Link(Link {
                link: LinkRef::host("wh-vx4096"),
                kind: LinkKind::Vxlan(kind),
                mtu: Some(1450),
                mac: None,
                alias: None,
                port: Some(Port { bridge, nolearning: true, ..Port::default() }),
                promisc: None,
                up: true,
            }))]);
            let written = serde_json::to_string(&plan).unwrap_or_default();
            assert_eq!(serde_json::from_str::<Plan>(&written).ok(), Some(plan), "{written}");
        }
    }
}
