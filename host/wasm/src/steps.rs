//! A plan in the contract's words, as policies review it.

use serde_json::Value;
use wharfinger_plan::{
    Action, Address, HostPort, Link, LinkKind, LinkRef, Place, Plan, Route, Step, Sysctl,
};

use crate::bindings::v0_3::wharfinger::plugin::{plan as wit, types};

/// Its steps, in their order.
pub(crate) fn steps(plan: &Plan) -> Vec<wit::Step> {
    plan.steps.iter().flat_map(all).collect()
}

/// A port map is a step for each of its ports.
fn all(step: &Step) -> Vec<wit::Step> {
    match &step.action {
        Action::PortMap(map) => map.ports.iter().map(forward).map(wit::Step::Forward).collect(),
        _ => vec![self::step(step)],
    }
}

fn forward(port: &HostPort) -> wit::ForwardStep {
    wit::ForwardStep {
        protocol: port.protocol.to_string(),
        host_address: port.host.map(|host| host.to_string()),
        host_port: port.port,
        address: port.to.to_string(),
        port: port.to_port,
    }
}

fn step(step: &Step) -> wit::Step {
    match &step.action {
        Action::Link(link) => wit::Step::Link(self::link(link)),
        Action::Address(address) => wit::Step::Address(self::address(address)),
        Action::Route(route) => wit::Step::Route(self::route(route)),
        Action::Sysctl(sysctl) => wit::Step::Sysctl(self::sysctl(sysctl)),
        // The rest have no arm of their own: as they are written in a plan.
        _ => wit::Step::Other(other(&step.action)),
    }
}

fn place(place: Place) -> wit::Place {
    match place {
        Place::Host => wit::Place::Host,
        Place::Container => wit::Place::Container,
    }
}

fn reference(link: &LinkRef) -> wit::LinkRef {
    wit::LinkRef { place: place(link.place), name: link.name.clone() }
}

fn link(link: &Link) -> wit::LinkStep {
    let (kind, peer, id) = match &link.kind {
        LinkKind::Bridge | LinkKind::VlanBridge => ("bridge", None, None),
        LinkKind::Veth { peer } => ("veth", Some(reference(&peer.link)), None),
        LinkKind::Macvlan(it) => ("macvlan", Some(reference(&it.master)), None),
        LinkKind::Ipvlan(it) => ("ipvlan", Some(reference(&it.master)), None),
        LinkKind::Vlan(it) => ("vlan", Some(reference(&it.master)), Some(u32::from(it.id))),
        LinkKind::Vxlan(it) => ("vxlan", None, Some(it.vni)),
        LinkKind::Ifb => ("ifb", None, None),
        LinkKind::Vrf { table } => ("vrf", None, Some(*table)),
        LinkKind::Dummy => ("dummy", None, None),
        LinkKind::Tap(_) => ("tap", None, None),
        LinkKind::Device(device) => {
            let from = device.from.as_ref().map(|from| reference(&LinkRef::host(from)));
            ("existing", from, None)
        }
        LinkKind::Existing => ("existing", None, None),
    };
    wit::LinkStep {
        link: reference(&link.link),
        kind: kind.to_owned(),
        peer,
        id,
        mtu: link.mtu,
        mac: link.mac.map(|mac| mac.to_string()),
        master: link.port.as_ref().map(|port| port.bridge.clone()),
        settings: settings(link),
    }
}

fn settings(link: &Link) -> Vec<types::Pair> {
    let mut settings = Vec::new();
    let mut set = |name: &str, value: String| {
        settings.push(types::Pair { name: name.to_owned(), value });
    };
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    if let Some(alias) = &link.alias {
        set("alias", alias.clone());
    }
    if let LinkKind::Veth { peer } = &link.kind
        && let Some(mac) = peer.mac
    {
        set("peer-address", mac.to_string());
    }
    match &link.kind {
        LinkKind::Macvlan(it) => set("mode", it.mode.to_string()),
        LinkKind::Ipvlan(it) => set("mode", it.mode.to_string()),
        LinkKind::VlanBridge => set("vlan_filtering", on(true)),
        LinkKind::Vxlan(it) => {
            set("local", it.local.to_string());
            set("port", it.port.to_string());
            if let Some(group) = &it.group {
                set("group", group.address.to_string());
            }
        }
        _ => {}
    }
    if let Some(port) = &link.port {
        for vlan in &port.vlans {
            set("vlan", vlan.to_string());
        }
        set("hairpin", on(port.hairpin));
        set("isolated", on(port.isolated));
    }
    if let Some(promisc) = link.promisc {
        set("promisc", on(promisc));
    }
    if link.up {
        set("up", on(true));
    }
    settings
}

fn address(address: &Address) -> wit::AddressStep {
    wit::AddressStep { link: reference(&address.link), address: address.address.to_string() }
}

fn route(route: &Route) -> wit::RouteStep {
    wit::RouteStep {
        link: reference(&route.link),
        route: types::Route {
            destination: route.destination.to_string(),
            gateway: route.gateway.map(|gateway| gateway.to_string()),
            mtu: route.mtu,
            advmss: route.advmss,
            priority: route.priority,
            table: route.table,
            scope: route.scope,
        },
    }
}

fn sysctl(sysctl: &Sysctl) -> wit::SysctlStep {
    wit::SysctlStep {
        place: place(sysctl.place),
        key: sysctl.key.clone(),
        value: sysctl.value.clone(),
    }
}

fn other(action: &Action) -> wit::OtherStep {
    let detail = serde_json::to_value(action).unwrap_or(Value::Null);
    let kind = detail.get("kind").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    wit::OtherStep { place: place(action.place()), kind, detail: detail.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharfinger_plan::{Masquerade, Others, Peer, Port};

    fn shown(action: Action) -> String {
        format!("{:?}", step(&Step::owned(action)))
    }

    #[test]
    fn a_link_has_all_that_a_policy_may_judge_by() {
        let said = shown(Action::Link(Link {
            link: LinkRef::host("veth1"),
            kind: LinkKind::Veth { peer: Peer { link: LinkRef::container("eth0"), mac: None } },
            mtu: Some(1400),
            mac: Some("02:00:0a:01:00:05".parse().unwrap()),
            alias: Some("pods/c1/eth0".to_owned()),
            port: Some(Port { bridge: "cni0".to_owned(), hairpin: true, ..Port::default() }),
            promisc: None,
            up: true,
        }));
        for part in [
            "Step::Link",
            "kind: \"veth\"",
            "name: \"eth0\"",
            "mtu: Some(1400)",
            "mac: Some(\"02:00:0a:01:00:05\")",
            "master: Some(\"cni0\")",
            "name: \"hairpin\", value: \"on\"",
            "name: \"isolated\", value: \"off\"",
            "name: \"up\", value: \"on\"",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn what_has_no_arm_is_as_it_is_in_a_plan() {
        let said = shown(Action::Masquerade(Masquerade {
            address: "10.1.0.5".parse().unwrap(),
            network: "10.1.0.0/16".parse().unwrap(),
            comment: "k".to_owned(),
        }));
        assert!(said.contains("kind: \"masquerade\""), "{said}");
        assert!(said.contains("10.1.0.0/16"), "{said}");
        let up = shown(Action::Up { link: LinkRef::container("lo") });
        assert!(up.contains("Place::Container") && up.contains("kind: \"up\""), "{up}");
    }

    #[test]
    fn addresses_routes_and_parameters_have_their_own() {
        let link = LinkRef::container("eth0");
        let address = shown(Action::Address(Address {
            link: link.clone(),
            address: "10.1.0.5/16".parse().unwrap(),
            nodad: false,
            prefix_route: true,
            others: Others::Keep,
        }));
        assert!(address.contains("10.1.0.5/16"), "{address}");
        let sysctl = shown(Action::Sysctl(Sysctl {
            place: Place::Host,
            key: "net/ipv4/ip_forward".to_owned(),
            value: "1".to_owned(),
            optional: false,
        }));
        assert!(sysctl.contains("net/ipv4/ip_forward"), "{sysctl}");
    }
}
