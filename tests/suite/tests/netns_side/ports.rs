//! `portmap`: by packets from beyond the host, from the host itself, from the pod and from its
//! neighbour.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Pod, Proto, Side, Who, case, differs, run};

use super::{CODES, DELETES, FORWARDS, GOES, LINKS, NO_DAD};

#[test]
#[ignore = "needs root: ring netns"]
fn side_portmap() {
    run(CASES, &[LINKS, &[CODES, NO_DAD]]);
}

/// A bridge whose ports are hairpins, and portmap.
fn list(s: &Side, more: &Value) -> Value {
    let ipam = s.world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": ipam,
    });
    let mut portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    merge(&mut portmap, more);
    json!([bridge, portmap])
}

fn pod(s: &mut Side, more: &Value, mappings: impl Into<Value>) -> Pod {
    let mappings = mappings.into();
    let list = list(s, more);
    s.pod(list).capabilities(json!({ "portMappings": mappings }))
}

fn web() -> Value {
    json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 5353, "containerPort": 53, "protocol": "udp" },
    ])
}

/// All ways to the two ports of [`web`].
fn reach(s: &mut Side, when: &str, one: &Pod, two: &Pod) {
    let ways: [(&str, Who<'_>, &str); 7] = [
        ("outside", Who::Outside, "203.0.113.1"),
        ("outside, v6", Who::Outside, "[2001:db8::1]"),
        ("host", Who::Host, "203.0.113.1"),
        ("localhost", Who::Host, "127.0.0.1"),
        ("neighbour", Who::Pod(two), "203.0.113.1"),
        ("hairpin", Who::Pod(one), "203.0.113.1"),
        ("hairpin, v6", Who::Pod(one), "[2001:db8::1]"),
    ];
    for (way, from, to) in ways {
        let (tcp, udp) = (format!("{to}:8080"), format!("{to}:5353"));
        s.speaks(&format!("{when}: tcp from {way}"), from, &tcp, Who::Pod(one), 80, Proto::Tcp);
        s.speaks(&format!("{when}: udp from {way}"), from, &udp, Who::Pod(one), 53, Proto::Udp);
    }
}

fn ways(s: &mut Side, more: &Value) {
    s.outside();
    let mut one = pod(s, more, web());
    let mut two = pod(s, more, json!([]));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    reach(s, "attached", &one, &two);
    s.check("check", &one);
    s.del("del", &one);
    s.speaks("after", Who::Outside, "203.0.113.1:8080", Who::Host, 80, Proto::Tcp);
    s.del("del of the other", &two);
}

/// One mapping, reached from beyond the host.
fn outside(s: &mut Side, more: &Value, mapping: &Value) {
    s.outside();
    let mut one = pod(s, more, json!([mapping]));
    s.add("add", &mut one);
    for (what, to) in [("v4", "203.0.113.1:8080"), ("v6", "[2001:db8::1]:8080")] {
        s.speaks(&format!("tcp {what}"), Who::Outside, to, Who::Pod(&one), 80, Proto::Tcp);
    }
    s.speaks("tcp localhost", Who::Host, "127.0.0.1:8080", Who::Pod(&one), 80, Proto::Tcp);
    s.check("check", &one);
    s.del("del", &one);
}

fn life(s: &mut Side, more: &Value, mappings: Value) {
    let mut one = pod(s, more, mappings);
    s.life(&mut one);
}

fn tcp(more: &Value) -> Value {
    let mut mapping = json!({ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" });
    merge(&mut mapping, more);
    mapping
}

const CASES: &[Case] = &[
    case("portmap: backend iptables", &[], |s| ways(s, &json!({ "backend": "iptables" }))),
    case(
        "portmap: backend nftables",
        &[differs("one-back-end", "attached: * from neighbour", "\"10.1.0.3\"", "\"10.1.0.1\"")],
        |s| ways(s, &json!({ "backend": "nftables" })),
    ),
    case("portmap: backend of nobody", &[DELETES, GOES], |s| {
        life(s, &json!({ "backend": "pf" }), web());
    }),
    case("portmap: no mappings", &[], |s| life(s, &json!({}), json!([]))),
    case("portmap: snat false", &[], |s| ways(s, &json!({ "snat": false, "backend": "iptables" }))),
    case("portmap: masqAll", &[], |s| {
        outside(s, &json!({ "masqAll": true, "backend": "iptables" }), &tcp(&json!({})));
    }),
    case("portmap: markMasqBit", &[], |s| {
        outside(s, &json!({ "markMasqBit": 17, "backend": "iptables" }), &tcp(&json!({})));
    }),
    case("portmap: markMasqBit above 31", &[DELETES, GOES], |s| {
        life(s, &json!({ "markMasqBit": 32 }), web());
    }),
    case("portmap: markMasqBit and externalSetMarkChain", &[DELETES, GOES], |s| {
        life(s, &json!({ "markMasqBit": 3, "externalSetMarkChain": "X" }), web());
    }),
    case(
        "portmap: externalSetMarkChain",
        &[
            differs("iptables-words", "add/error", "", "*2*"),
            differs("iptables-words", "*", "*", "*"),
        ],
        |s| {
            s.world.host.run(&["iptables", "-t", "nat", "-N", "KUBE-MARK-MASQ"]);
            s.world.host.run(&["ip6tables", "-t", "nat", "-N", "KUBE-MARK-MASQ"]);
            life(
                s,
                &json!({ "externalSetMarkChain": "KUBE-MARK-MASQ", "backend": "iptables" }),
                web(),
            );
        },
    ),
    case(
        "portmap: conditionsV4 in iptables' words",
        &[
            differs("iptables-words", "add/error", "", "*2*"),
            differs("iptables-words", "*", "*", "*"),
        ],
        |s| {
            let more =
                json!({ "conditionsV4": ["!", "-d", "192.0.2.0/24"], "backend": "iptables" });
            outside(s, &more, &tcp(&json!({})));
        },
    ),
    case("portmap: conditionsV4 in nft's words, met", &[], |s| {
        let more =
            json!({ "conditionsV4": ["ip", "saddr", "203.0.113.0/24"], "backend": "nftables" });
        outside(s, &more, &tcp(&json!({})));
    }),
    case("portmap: conditionsV4 in nft's words, not met", &[], |s| {
        let more =
            json!({ "conditionsV4": ["ip", "saddr", "192.0.2.0/24"], "backend": "nftables" });
        outside(s, &more, &tcp(&json!({})));
    }),
    case("portmap: hostIP", &[], |s| {
        outside(s, &json!({}), &tcp(&json!({ "hostIP": "203.0.113.1" })));
    }),
    case("portmap: hostIP, another of the host's", &[], |s| {
        outside(s, &json!({}), &tcp(&json!({ "hostIP": "10.1.0.1" })));
    }),
    case(
        "portmap: hostIP of IPv6",
        &[differs(
            "route-localnet",
            "after */host/sysctl/ipv4/cni0/route_localnet",
            "\"1\"",
            "\"0\"",
        )],
        |s| {
            outside(s, &json!({}), &tcp(&json!({ "hostIP": "2001:db8::1" })));
        },
    ),
    case("portmap: hostIP 0.0.0.0", &[], |s| {
        outside(s, &json!({}), &tcp(&json!({ "hostIP": "0.0.0.0" })));
    }),
    case("portmap: hostPort 0", &[DELETES, GOES], |s| {
        life(s, &json!({}), json!([tcp(&json!({ "hostPort": 0 }))]));
    }),
    case("portmap: hostPort above 65535", &[], |s| {
        life(s, &json!({}), json!([tcp(&json!({ "hostPort": 70000 }))]));
    }),
    case(
        "portmap: no protocol",
        &[
            differs("default-protocol", "add/error", "*999*", ""),
            differs("default-protocol", "*", "*", "*"),
        ],
        |s| {
            life(s, &json!({}), json!([tcp(&json!({ "protocol": null }))]));
        },
    ),
    case("portmap: protocol in capitals", &[], |s| {
        outside(s, &json!({}), &tcp(&json!({ "protocol": "TCP" })));
    }),
    case("portmap: a hostIP that is none", &[FORWARDS], |s| {
        life(s, &json!({}), json!([tcp(&json!({ "hostIP": "nonsense" }))]));
    }),
    case(
        "portmap: the port is another's",
        &[
            differs("port-held", "add another/error", "", "*106*"),
            differs("port-held", "*", "*", "*"),
        ],
        |s| {
            s.outside();
            let mut one = pod(s, &json!({}), json!([tcp(&json!({}))]));
            let mut two = pod(s, &json!({}), json!([tcp(&json!({}))]));
            s.add("add", &mut one);
            s.add("add another", &mut two);
            s.speaks("tcp", Who::Outside, "203.0.113.1:8080", Who::Pod(&one), 80, Proto::Tcp);
            s.del("del of the other", &two);
            s.speaks("tcp still", Who::Outside, "203.0.113.1:8080", Who::Pod(&one), 80, Proto::Tcp);
            s.del("del", &one);
        },
    ),
    case("portmap: sixteen ports of a protocol", &[], |s| {
        let mappings: Vec<Value> = (0..16)
            .map(|n| tcp(&json!({ "hostPort": 8080 + n, "containerPort": 80 + n })))
            .collect();
        s.outside();
        let mut one = pod(s, &json!({}), json!(mappings));
        s.add("add", &mut one);
        s.speaks("the last", Who::Outside, "203.0.113.1:8095", Who::Pod(&one), 95, Proto::Tcp);
        s.del("del", &one);
    }),
    case(
        "portmap: DEL without mappings",
        &[differs("del-without-mappings", "after del/rules", "true", "false")],
        |s| {
            let mut one = pod(s, &json!({}), web());
            s.add("add", &mut one);
            one.capabilities = json!({});
            s.del("del", &one);
        },
    ),
    case("portmap: the namespace gone before DEL", &[], |s| {
        let mut one = pod(s, &json!({}), web());
        s.add("add", &mut one);
        one.container.ns.delete();
        s.world.settle();
        s.del("del", &one);
    }),
    case("portmap: no previous result", &[], |s| {
        let mut one = s
            .pod(json!({ "type": "portmap", "capabilities": { "portMappings": true } }))
            .capabilities(json!({ "portMappings": web() }));
        s.add("add", &mut one);
    }),
    case("portmap: sctp, backend iptables", &[], |s| sctp(s, &json!({ "backend": "iptables" }))),
    case(
        "portmap: sctp, backend nftables",
        &[differs("one-back-end", "attached: * from neighbour", "\"10.1.0.3\"", "\"10.1.0.1\"")],
        |s| sctp(s, &json!({ "backend": "nftables" })),
    ),
];

/// All ways to a port of SCTP's.
fn sctp(s: &mut Side, more: &Value) {
    s.outside();
    let mut one = pod(s, more, json!([tcp(&json!({ "protocol": "sctp" }))]));
    let mut two = pod(s, more, json!([]));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    let ways: [(&str, Who<'_>, &str); 6] = [
        ("outside", Who::Outside, "203.0.113.1"),
        ("outside, v6", Who::Outside, "[2001:db8::1]"),
        ("host", Who::Host, "203.0.113.1"),
        ("localhost", Who::Host, "127.0.0.1"),
        ("neighbour", Who::Pod(&two), "203.0.113.1"),
        ("hairpin", Who::Pod(&one), "203.0.113.1"),
    ];
    for (way, from, to) in ways {
        let (what, to) = (format!("attached: sctp from {way}"), format!("{to}:8080"));
        s.speaks(&what, from, &to, Who::Pod(&one), 80, Proto::Sctp);
    }
    s.speaks("tcp", Who::Outside, "203.0.113.1:8080", Who::Pod(&one), 80, Proto::Tcp);
    s.check("check", &one);
    s.del("del", &one);
    s.speaks("after", Who::Outside, "203.0.113.1:8080", Who::Pod(&one), 80, Proto::Sctp);
    s.del("del of the other", &two);
}
