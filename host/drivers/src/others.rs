//! Plans for what another plugin made: there is no record of it, and its result is all that tells.

use ipnet::IpNet;
use wharfinger_cni::{AttachmentId, Interface, Success};
use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Mac, Others, Peer, Plan, Route, Step,
};

use crate::names;

/// What a CHECK can verify of the container's side: the link, its addresses, its routes.
pub fn told(id: &AttachmentId, result: &Success) -> Plan {
    let inside = LinkRef::container(&id.ifname);
    let link = Link {
        kind: LinkKind::Existing,
        mac: interface(id, result).and_then(mac),
        ..link(&inside)
    };
    let mut steps = vec![Step::owned(Action::Link(link))];
    let here = |index: Option<usize>| {
        let named = index.and_then(|index| result.interfaces.get(index));
        named.is_none_or(|named| named.name == id.ifname && !named.sandbox.is_empty())
    };
    let ips = result.ips.iter().filter(|ip| here(ip.interface));
    steps.extend(ips.map(|ip| {
        Step::owned(Action::Address(Address {
            link: inside.clone(),
            address: ip.address,
            nodad: false,
            prefix_route: true,
            others: Others::Keep,
        }))
    }));
    steps.extend(result.routes.iter().map(|route| {
        let destination = route.dst.trunc();
        let gateway = route.gw.or_else(|| gateway(result, destination));
        Step::owned(Action::Route(Route {
            gateway,
            table: route.table.filter(|table| *table != 0),
            priority: route.priority.filter(|priority| *priority != 0),
            ..Route::new(inside.clone(), destination)
        }))
    }));
    Plan::new(steps)
}

/// The reference plugins lead a route without a next hop by the gateway of its family.
fn gateway(result: &Success, destination: IpNet) -> Option<std::net::IpAddr> {
    let gateways = result.ips.iter().filter_map(|ip| ip.gateway);
    gateways.into_iter().find(|gateway| gateway.is_ipv4() == destination.addr().is_ipv4())
}

/// What removes the container's link, as undoing it does. By the address in the result, where
/// there is one: the name may be another's by now. A link with an alias has an owner of its own.
pub fn link_of(id: &AttachmentId, result: Option<&Success>) -> Option<Plan> {
    let inside = LinkRef::container(&id.ifname);
    let mac = match result {
        Some(result) => Some(interface(id, result).and_then(mac)?),
        None => None,
    };
    let alias = mac.is_some().then(|| names::key(id));
    let kind = LinkKind::Veth { peer: Peer { link: LinkRef::host(""), mac: None } };
    let link = Link { kind, mac, alias, ..link(&inside) };
    Some(Plan::new(vec![Step::owned(Action::Link(link))]))
}

fn interface<'a>(id: &AttachmentId, result: &'a Success) -> Option<&'a Interface> {
    let inside =
        |interface: &&Interface| !interface.sandbox.is_empty() && interface.name == id.ifname;
    result.interfaces.iter().find(inside)
}

fn mac(interface: &Interface) -> Option<Mac> {
    interface.mac.parse().ok()
}

fn link(of: &LinkRef) -> Link {
    Link {
        link: of.clone(),
        kind: LinkKind::Existing,
        mtu: None,
        mac: None,
        alias: None,
        port: None,
        promisc: None,
        up: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharfinger_cni::Version;

    use super::*;

    fn id() -> AttachmentId {
        AttachmentId { network: "pods".into(), container: "c".into(), ifname: "eth0".into() }
    }

    fn result(mac: &str) -> Success {
        let result = json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                { "name": "cni0", "mac": "02:00:00:00:00:01" },
                { "name": "eth0", "mac": mac, "sandbox": "/run/netns/a" }
            ],
            "ips": [
                { "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1 },
                { "address": "10.9.0.1/16", "interface": 0 }
            ],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "10.2.0.0/16", "gw": "10.1.0.9" }]
        });
        Success::parse(Version::V1_1_0, &result).unwrap()
    }

    #[test]
    fn a_result_tells_what_to_look_for() {
        let plan = told(&id(), &result("02:00:00:00:00:05"));
        let steps: Vec<String> = plan.steps.iter().map(|step| step.action.to_string()).collect();
        assert_eq!(steps.len(), 4, "{steps:?}");
        assert!(
            steps[2].contains("via 10.1.0.1") && steps[3].contains("via 10.1.0.9"),
            "{steps:?}"
        );
    }

    #[test]
    fn a_link_is_removed_by_its_address() {
        let plan = link_of(&id(), Some(&result("02:00:00:00:00:05"))).unwrap();
        let Action::Link(link) = &plan.steps[0].action else { panic!("no link") };
        assert!(link.mac.is_some() && link.alias.is_some());
        assert_eq!(link_of(&id(), Some(&result(""))), None, "nothing says which it is");
        let plan = link_of(&id(), None).unwrap();
        let Action::Link(link) = &plan.steps[0].action else { panic!("no link") };
        assert!(link.mac.is_none() && link.alias.is_none());
    }
}
