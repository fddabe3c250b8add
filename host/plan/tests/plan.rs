//! A plan survives JSON, and reads well.
use std::error::Error;

use wharfinger_plan::{
    Action, Address, Link, LinkKind, LinkRef, Mac, Masquerade, Others, Peer, Place, Plan, Port,
    Route, Step, Sysctl,
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
            port: Some(Port { bridge: "cni0".into(), hairpin: true, isolated: false }),
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
