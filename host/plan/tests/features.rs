//! The steps of features: how they are written, which never changes, and how they read.

use std::error::Error;

use wharfinger_plan::{
    Action, Change, Link, LinkKind, LinkRef, Member, PeerIs, Place, Plan, Redirect, Route, Rule,
    Settings, Shape, Sparing, Step,
};

fn link(link: LinkRef, kind: LinkKind) -> Action {
    let (mtu, mac, alias, port, promisc) = (None, None, None, None, None);
    Action::Link(Link { link, kind, mtu, mac, alias, port, promisc, up: true })
}

fn sample() -> Result<Plan, Box<dyn Error>> {
    let eth0 = LinkRef::container("eth0");
    let spared =
        Sparing { peer: PeerIs::Source, unshaped: vec!["10.0.0.0/8".parse()?], shaped: Vec::new() };
    let shape = |link: LinkRef, sparing| {
        Action::Shape(Shape { link, rate: 4_000_000, burst: 65_536, limit: 165_536, sparing })
    };
    let redirect =
        Redirect { link: LinkRef::host("veth1"), to: "bwp1".into(), sparing: Sparing::default() };
    let settings = Settings {
        mac: Some(Change { to: "02:00:00:00:00:01".parse()?, was: None }),
        mtu: Some(Change { to: 1400, was: Some(1500) }),
        promisc: Some(Change { to: true, was: Some(false) }),
        ..Settings::none(eth0.clone())
    };
    let route = Route {
        link: eth0.clone(),
        destination: "10.1.0.0/16".parse()?,
        gateway: None,
        source: Some("10.1.0.5".parse()?),
        scope: Some(253),
        table: None,
        priority: None,
        mtu: None,
        advmss: None,
    };
    let rule = Rule { place: Place::Container, from: "10.1.0.5".parse()?, table: 100 };
    let actions = [
        shape(LinkRef::host("veth1"), spared),
        link(LinkRef::host("bwp1"), LinkKind::Ifb),
        shape(LinkRef::host("bwp1"), Sparing::default()),
        Action::Redirect(redirect),
        Action::Settings(settings),
        Action::Rule(rule),
        Action::NoRoute(route),
        link(LinkRef::container("red"), LinkKind::Vrf { table: 9 }),
        Action::Member(Member { link: eth0, vrf: "red".into() }),
    ];
    Ok(Plan::new(actions.map(Step::owned).into()))
}

/// Plans of this release are read by every later one.
#[test]
fn the_way_they_are_written_stays() -> Result<(), Box<dyn Error>> {
    let eth0 = r#""link":{"place":"container","name":"eth0"}"#;
    let (veth1, bwp1) =
        (r#""link":{"place":"host","name":"veth1"}"#, r#""link":{"place":"host","name":"bwp1"}"#);
    let owner = r#""owner":"attachment""#;
    let rate = r#""rate":4000000,"burst":65536,"limit":165536"#;
    let written = [
        format!(
            r#"{{{owner},"kind":"shape",{veth1},{rate},"sparing":{{"peer":"source","unshaped":["10.0.0.0/8"]}}}}"#
        ),
        format!(r#"{{{owner},"kind":"link",{bwp1},"type":"ifb","up":true}}"#),
        format!(r#"{{{owner},"kind":"shape",{bwp1},{rate}}}"#),
        format!(r#"{{{owner},"kind":"redirect",{veth1},"to":"bwp1"}}"#),
        format!(
            r#"{{{owner},"kind":"settings",{eth0},"mac":{{"to":"02:00:00:00:00:01"}},"mtu":{{"to":1400,"was":1500}},"promisc":{{"to":true,"was":false}}}}"#
        ),
        format!(r#"{{{owner},"kind":"rule","place":"container","from":"10.1.0.5","table":100}}"#),
        format!(
            r#"{{{owner},"kind":"no-route",{eth0},"destination":"10.1.0.0/16","source":"10.1.0.5","scope":253}}"#
        ),
        format!(
            r#"{{{owner},"kind":"link","link":{{"place":"container","name":"red"}},"type":"vrf","table":9,"up":true}}"#
        ),
        format!(r#"{{{owner},"kind":"member",{eth0},"vrf":"red"}}"#),
    ];
    let plan = sample()?;
    for (step, written) in plan.steps.iter().zip(&written) {
        assert_eq!(serde_json::to_string(step)?, *written);
        assert_eq!(serde_json::from_str::<Step>(written)?, *step);
    }
    assert_eq!(plan.steps.len(), written.len());
    Ok(())
}

#[test]
fn they_read_well() -> Result<(), Box<dyn Error>> {
    assert_eq!(
        sample()?.to_string(),
        "  1. host       qdisc dev veth1 root htb rate 4000000bps burst 65536 limit 165536 \
         not src 10.0.0.0/8\n  \
           2. host       link bwp1 type ifb up\n  \
           3. host       qdisc dev bwp1 root tbf rate 4000000bps burst 65536 limit 165536\n  \
           4. host       qdisc dev veth1 ingress redirect dev bwp1\n  \
           5. container  link eth0 address 02:00:00:00:00:01 mtu 1400 (was 1500) \
         promisc true (was false)\n  \
           6. container  rule from 10.1.0.5 lookup 100\n  \
           7. container  no route 10.1.0.0/16 dev eth0 src 10.1.0.5 scope 253\n  \
           8. container  link red type vrf table 9 up\n  \
           9. container  link eth0 vrf red\n"
    );
    Ok(())
}
