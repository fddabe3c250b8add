//! What a plan says of the segment across nodes that its attachment is on.

use crate::{Action, Link, LinkKind, Mac, Place, Plan, Segment, Vxlan};

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
