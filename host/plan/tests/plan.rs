//! A plan survives JSON, and reads well.
use std::error::Error;

use wharfinger_plan::{
    Action, Address, Allow, Condition, Forward, Guard, HostPort, IngressPolicy, Isolation, Link,
    LinkKind, LinkRef, Mac, Masquerade, Others, Peer, Place, Plan, Port, PortMap, Ports, Protocol,
    Route, Rules, Span, Step, Sysctl, Values,
};

fn sample() -> Result<Plan, Box<dyn Error>> {
    let bridge = LinkRef::host("cni0");
    let inside = LinkRef::container("eth0");
    let link = |link, kind| Link {
        link,
        kind,
        mtu: Some(1450),
        mac: None,
        alias: None,
        port: None,
        promisc: None,
        up: true,
    };
    let peer = Peer { link: inside.clone(), mac: Some("02:00:0a:01:00:05".parse()?) };
    Ok(Plan::new(vec![
        Step::shared(Action::Link(link(bridge.clone(), LinkKind::Bridge))),
        Step::owned(Action::Link(Link {
            port: Some(Port { bridge: "cni0".into(), hairpin: true, ..Port::default() }),
            alias: Some("pods/c1/eth0".into()),
            ..link(LinkRef::host("veth0a1b2c3d"), LinkKind::Veth { peer })
        })),
        Step::owned(Action::Sysctl(Sysctl {
            place: Place::Container,
            key: "net/ipv6/conf/eth0/accept_dad".into(),
            value: "0".into(),
            optional: true,
        })),
        Step::owned(Action::Address(Address {
            link: inside.clone(),
            address: "10.1.0.5/16".parse()?,
            nodad: true,
            prefix_route: true,
            others: Others::Keep,
        })),
        Step::owned(Action::Up { link: inside.clone() }),
        Step::owned(Action::Route(Route {
            link: inside,
            destination: "0.0.0.0/0".parse()?,
            gateway: Some("10.1.0.1".parse()?),
            source: None,
            scope: None,
            table: None,
            priority: Some(10),
            mtu: None,
            advmss: None,
        })),
        Step::owned(Action::Masquerade(Masquerade {
            address: "10.1.0.5".parse()?,
            network: "10.1.0.0/16".parse()?,
            comment: "pods/c1/eth0".into(),
        })),
    ]))
}

#[test]
fn survives_json() -> Result<(), Box<dyn Error>> {
    let plan = sample()?;
    let text = serde_json::to_string(&plan)?;
    assert_eq!(serde_json::from_str::<Plan>(&text)?, plan);
    Ok(())
}

fn allow() -> Result<Allow, Box<dyn Error>> {
    let ports = |protocol, range| Ports { protocol, range };
    Ok(Allow {
        peers: vec!["10.0.0.0/8".parse()?],
        ports: vec![
            ports(Protocol::Tcp, Some((80, 80))),
            ports(Protocol::Udp, Some((1, 9))),
            ports(Protocol::Icmp, None),
        ],
    })
}

fn filter() -> Result<Plan, Box<dyn Error>> {
    let comment = || "pods/c1/eth0".to_owned();
    let addresses = vec!["10.1.0.5".parse()?, "fd00:1::5".parse()?];
    let http = HostPort {
        protocol: Protocol::Tcp,
        host: None,
        port: 8080,
        to: "10.1.0.5".parse()?,
        to_port: 80,
    };
    let v6 = HostPort { host: Some("::1".parse()?), to: "fd00:1::5".parse()?, ..http.clone() };
    let from = Span::from("192.0.2.0/24".parse::<ipnet::IpNet>()?);
    Ok(Plan::new(
        [
            Action::Forward(Forward {
                addresses: addresses.clone(),
                admin_chain: Some("CNI-ADMIN".into()),
                zone: Some("trusted".into()),
                comment: comment(),
            }),
            Action::PortMap(PortMap {
                ports: vec![http, v6],
                networks: vec!["10.1.0.0/16".parse()?],
                snat: true,
                masq_all: false,
                conditions: vec![Condition {
                    v4: true,
                    negated: true,
                    values: Values::Source(vec![from]),
                }],
                group: Some("d1".into()),
                comment: comment(),
            }),
            Action::Isolation(Isolation {
                bridge: "cni0".into(),
                port: Some("veth1".into()),
                addresses: addresses.clone(),
                policy: IngressPolicy::SameBridge,
                comment: comment(),
            }),
            Action::Guard(Guard {
                link: "veth1".into(),
                port: true,
                mac: Some("02:00:0a:01:00:05".parse()?),
                addresses: Some(addresses.clone()),
                comment: comment(),
            }),
            Action::Rules(Rules {
                group: "d2".into(),
                bridge: Some("cni0".into()),
                addresses,
                ingress: Some(vec![allow()?, Allow::default()]),
                egress: Some(Vec::new()),
                comment: comment(),
            }),
        ]
        .map(Step::owned)
        .into(),
    ))
}

#[test]
fn the_packet_filter_survives_json_and_reads_well() -> Result<(), Box<dyn Error>> {
    let plan = filter()?;
    let text = serde_json::to_string(&plan)?;
    assert_eq!(serde_json::from_str::<Plan>(&text)?, plan);
    let want = "\
\x20 1. host       forward 10.1.0.5,fd00:1::5 but as CNI-ADMIN says zone trusted
  2. host       ports tcp/8080->10.1.0.5:80,tcp/::1:8080->[fd00:1::5]:80 if ip saddr != 192.0.2.0-192.0.2.255 masquerade neighbours
  3. host       ingress of 10.1.0.5,fd00:1::5 same-bridge cni0
  4. host       from veth1 only 02:00:0a:01:00:05 10.1.0.5,fd00:1::5
  5. host       rules of 10.1.0.5,fd00:1::5 ingress [10.0.0.0/8 tcp/80,udp/1-9,icmp,any] egress []
";
    assert_eq!(plan.to_string(), want);
    Ok(())
}

#[test]
fn a_port_map_claims_each_port_of_the_host_once() -> Result<(), Box<dyn Error>> {
    let plan = filter()?;
    let Some(Action::PortMap(map)) = plan.steps.get(1).map(|step| &step.action) else {
        return Err("no port map".into());
    };
    let claims: Vec<String> = map.claims().iter().map(ToString::to_string).collect();
    assert_eq!(claims, ["tcp/0.0.0.0:8080", "tcp/[::1]:8080"]);
    Ok(())
}

#[test]
fn reads_well() -> Result<(), Box<dyn Error>> {
    let want = "\
\x20 1. host       link cni0 type bridge mtu 1450 up  (shared)
  2. host       link veth0a1b2c3d type veth peer container:eth0 address 02:00:0a:01:00:05 mtu 1450 master cni0 hairpin up
  3. container  sysctl net/ipv6/conf/eth0/accept_dad = 0 (if there)
  4. container  address 10.1.0.5/16 dev eth0 nodad
  5. container  link eth0 up
  6. container  route default via 10.1.0.1 dev eth0 metric 10
  7. host       masquerade 10.1.0.5 but to 10.1.0.0/16
";
    assert_eq!(sample()?.to_string(), want);
    Ok(())
}

#[test]
fn mac_addresses_parse_strictly() {
    assert!("02:00:0a:01:00:05".parse::<Mac>().is_ok());
    for bad in ["", "02:00:0a:01:00", "02:00:0a:01:00:05:06", "2:0:a:1:0:5", "02:00:0a:01:00:+5"] {
        assert!(bad.parse::<Mac>().is_err(), "{bad}");
    }
}
