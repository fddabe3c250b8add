//! Addresses that two have.

use std::net::IpAddr;

use super::facts::{Network, Route};
use super::{Facts, Finding, Kind, Level};

/// Drivers whose containers stand on the host's own segment: its addresses are theirs too.
const ON_SEGMENT: [&str; 5] = ["macvlan", "ipvlan", "vlan", "host-device", ""];

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = overlaps(&facts.networks);
    for network in &facts.networks {
        if !ON_SEGMENT.contains(&network.driver.as_str()) {
            all.extend(facts.routes.iter().filter_map(|route| conflict(network, route)));
        }
    }
    all
}

type Span = (IpAddr, IpAddr);

fn meet(a: Span, b: Span) -> bool {
    a.0.is_ipv4() == b.0.is_ipv4() && a.0 <= b.1 && b.0 <= a.1
}

/// Networks of one address space that have addresses in common.
pub fn overlaps(networks: &[Network]) -> Vec<Finding> {
    let mut all = Vec::new();
    for (place, one) in networks.iter().enumerate() {
        let later = networks.iter().skip(place + 1).filter(|other| other.name != one.name);
        for other in later.filter(|other| other.domain == one.domain) {
            let both = one.ranges.iter().flat_map(|a| other.ranges.iter().map(move |b| (*a, *b)));
            if let Some((a, b)) = both.into_iter().find(|(a, b)| meet(*a, *b)) {
                let object = format!("networks {} and {}", one.name, other.name);
                let what = format!("share addresses: {}-{} and {}-{}", a.0, a.1, b.0, b.1);
                let cure = "give one of them other ranges; where they are apart, a \"domain\" each";
                all.push(Finding::new((Kind::Overlap, Level::Error), object, what, cure));
            }
        }
    }
    all
}

/// A route to the network's addresses that is not by its own links. One to far more than them, such as
/// a default route, is none of theirs.
fn conflict(network: &Network, route: &Route) -> Option<Finding> {
    let own = route.ours || network.bridge.as_deref() == Some(route.link.as_str());
    if own || route.to.prefix_len() < 4 || route.link == "lo" {
        return None;
    }
    let there = (route.to.network(), route.to.broadcast());
    let (first, last) = network.ranges.iter().find(|range| meet(**range, there))?;
    let what = format!(
        "its addresses {first}-{last} are also at {}, by the host's link {}",
        route.to, route.link
    );
    let cure = "take ranges that are free on this site, or remove that route or address";
    let object = format!("network {}", network.name);
    Some(Finding::new((Kind::RouteConflict, Level::Error), object, what, cure))
}
