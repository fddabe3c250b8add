//! What a plan says about its own links: which there are, and which undoing needs a request.
//! Pure, and common to the kernel and to its double.

use wharfinger_plan::{Action, Link, LinkKind, LinkRef, Mac, Owner, Place, Plan, Step};

use crate::link;

/// The links of a plan in its order, each peer after its link.
pub(crate) fn links(plan: &Plan) -> Vec<&LinkRef> {
    plan.steps.iter().filter_map(link_of).flat_map(ends).collect()
}

/// The steps whose undoing is more than that of another step, from last to first.
///
/// An address, a route or a state goes with its link, so that only the link itself is removed;
/// a link that the kernel made, and all on it, is left as it is; a kernel parameter has no
/// value to go back to.
pub(crate) fn to_undo(plan: &Plan, with_container: bool) -> Vec<&Step> {
    let going = links_that_go(plan);
    // A lent link comes home by itself where the namespace ends.
    let lent =
        |step: &Step| matches!(&step.action, Action::Link(Link { kind: LinkKind::Device(_), .. }));
    let reachable = |step: &Step| with_container || step.place() == Place::Host || lent(step);
    plan.steps
        .iter()
        .rev()
        .filter(|step| step.owner == Owner::Attachment)
        .filter(|step| reachable(step))
        .filter(|step| match &step.action {
            Action::Link(link) => !matches!(link.kind, LinkKind::Existing),
            Action::Address(address) => !going.contains(&&address.link),
            Action::Route(route) | Action::NoRoute(route) => !going.contains(&&route.link),
            Action::Shape(shape) => !going.contains(&&shape.link),
            Action::Redirect(redirect) => !going.contains(&&redirect.link),
            Action::Settings(settings) => !going.contains(&&settings.link),
            // While a link that goes is in a VRF, the VRF would stay.
            Action::Rule(_)
            | Action::Member(_)
            | Action::Masquerade(_)
            | Action::Forward(_)
            | Action::PortMap(_)
            | Action::Isolation(_)
            | Action::Guard(_)
            | Action::Rules(_)
            | Action::DeviceFile(_) => true,
            Action::Up { .. }
            | Action::Sysctl(_)
            | Action::Probe(_)
            | Action::Announce(_)
            | Action::Encryption(_) => false,
        })
        .collect()
}

/// Owned links, which take with them what is on them, and those that are left as they are.
fn links_that_go(plan: &Plan) -> Vec<&LinkRef> {
    let goes = |step: &&Step| {
        let existing = matches!(&step.action, Action::Link(Link { kind: LinkKind::Existing, .. }));
        step.owner == Owner::Attachment || existing
    };
    plan.steps.iter().filter(goes).filter_map(link_of).flat_map(ends).collect()
}

fn link_of(step: &Step) -> Option<&Link> {
    match &step.action {
        Action::Link(link) => Some(link),
        _ => None,
    }
}

/// A link and its peer, where it has one.
pub(crate) fn ends(link: &Link) -> impl Iterator<Item = &LinkRef> {
    let peer = match &link.kind {
        LinkKind::Veth { peer } => Some(&peer.link),
        _ => None,
    };
    std::iter::once(&link.link).chain(peer)
}

/// Whether a link that was found is the one that a plan made.
///
/// By the first word of its alias, which is its attachment's key: what stands behind it a DEL
/// without any record does not know. Where there is no alias yet, as its maker was killed
/// between making and naming it, by the MAC address it was made with; a link inside that has none of
/// its own, by its kind.
pub(crate) fn is_ours(alias: Option<&str>, mac: Option<Mac>, kind: &str, wanted: &Link) -> bool {
    let key = |alias: &str| alias.split(' ').next().map(str::to_owned);
    match (alias, &wanted.alias) {
        (None, Some(_)) => match wanted.mac {
            Some(_) => mac == wanted.mac,
            None => {
                wanted.link.place == Place::Container && link::kind_name(&wanted.kind) == Some(kind)
            }
        },
        (found, wanted) => found.and_then(key) == wanted.as_deref().and_then(key),
    }
}

/// What a step is about, for people.
pub(crate) fn object(action: &Action) -> String {
    match action {
        Action::Link(link) => format!("link {}", link.link),
        Action::Up { link } => format!("link {link}"),
        Action::Address(address) => format!("address {} dev {}", address.address, address.link),
        Action::Route(route) => format!("route {} dev {}", route.destination, route.link),
        Action::Sysctl(sysctl) => format!("sysctl {}", sysctl.key),
        Action::Masquerade(masquerade) => format!("masquerade {}", masquerade.address),
        Action::Forward(_) | Action::PortMap(_) | Action::Encryption(_) => action.to_string(),
        Action::Isolation(isolation) => format!("isolation on {}", isolation.bridge),
        Action::Guard(guard) => format!("guard of {}", guard.link),
        Action::Rules(rules) => format!("rules of {}", rules.comment),
        Action::Shape(shape) => format!("rate of link {}", shape.link),
        Action::Redirect(redirect) => format!("redirection of link {}", redirect.link),
        Action::Settings(settings) => format!("link {}", settings.link),
        Action::Rule(rule) => rule.to_string(),
        Action::NoRoute(route) => {
            format!("unwanted route {} dev {}", route.destination, route.link)
        }
        Action::Member(member) => format!("link {}", member.link),
        Action::Probe(probe) => format!("addresses on the segment of {}", probe.link),
        Action::Announce(announce) => format!("announcement on {}", announce.link),
        Action::DeviceFile(file) => format!("file {}", file.path),
    }
}
