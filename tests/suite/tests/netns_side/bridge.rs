//! `bridge`.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Proto, Side, Who, case, differs, lab, run};

use super::{BRIDGE_MAC, CODES, DELETES, FORWARDS, LEFT, LINKS, NO_DAD, NO_FILES, NO_LEAK};

#[test]
#[ignore = "needs root: ring netns"]
fn side_bridge() {
    run(CASES, &[LINKS, &[CODES, NO_FILES, NO_DAD, BRIDGE_MAC]]);
}

/// A network of `bridge`; what is null is left out.
fn conf(s: &Side, more: &Value) -> Value {
    let mut conf =
        json!({ "type": "bridge", "bridge": "cni0", "ipam": s.world.ipam(&["10.1.0.0/16"]) });
    if more.get("ipam").is_some() {
        merge(&mut conf, &json!({ "ipam": null }));
    }
    merge(&mut conf, more);
    conf
}

/// A life with this.
fn life(s: &mut Side, more: &Value) {
    let conf = conf(s, more);
    let mut pod = s.pod(conf);
    s.life(&mut pod);
}

const CASES: &[Case] = &[
    case("bridge", &[], |s| life(s, &json!({ "bridge": null }))),
    case("bridge: another name", &[], |s| life(s, &json!({ "bridge": "br-x" }))),
    case("bridge: isGateway", &[], gateway),
    case("bridge: isDefaultGateway", &[], |s| {
        let ranges = json!([[{ "subnet": "10.1.0.0/16" }]]);
        let ipam =
            json!({ "type": "host-local", "ranges": ranges, "dataDir": s.world.path("data") });
        life(s, &json!({ "isDefaultGateway": true, "ipam": ipam }));
    }),
    case(
        "bridge: isDefaultGateway beside a default route of IPAM's",
        &[
            differs("default-route-twice", "add/error", "*999*", ""),
            differs("default-route-twice", "*", "*", "*"),
        ],
        |s| {
            life(s, &json!({ "isDefaultGateway": true }));
        },
    ),
    case("bridge: IPv6", &[], |s| {
        let ipam = s.world.ipam(&["fd00:1::/64"]);
        life(s, &json!({ "isGateway": true, "ipam": ipam }));
    }),
    case("bridge: both families", &[], both_families),
    case("bridge: enabledad", &[], |s| {
        let ipam = s.world.ipam(&["fd00:1::/64"]);
        life(s, &json!({ "isGateway": true, "enabledad": true, "ipam": ipam }));
    }),
    case(
        "bridge: forceAddress",
        &[differs("bridge-of-others", "after del/host/links/cni0/mac", "\"chance\"", "*00:00:00*")],
        |s| {
            s.world.host.ip("link add cni0 type bridge");
            s.world.host.ip("address add 10.1.255.254/16 dev cni0");
            life(s, &json!({ "isGateway": true, "forceAddress": true }));
        },
    ),
    case(
        "bridge: another address is on the bridge",
        &[LEFT, FORWARDS, differs("failed-add", "after */host/links/cni0/tso_max_size", "*", "*")],
        |s| {
            s.world.host.ip("link add cni0 type bridge");
            s.world.host.ip("address add 10.1.255.254/16 dev cni0");
            life(s, &json!({ "isGateway": true }));
        },
    ),
    case("bridge: the name is another link's", &[], |s| {
        s.world.host.ip("link add cni0 type veth peer name other");
        life(s, &json!({}));
    }),
    case("bridge: ipMasq", &[], |s| masquerade(s, &json!({}))),
    case("bridge: ipMasqBackend iptables", &[], |s| {
        masquerade(s, &json!({ "ipMasqBackend": "iptables" }));
    }),
    case("bridge: ipMasqBackend nftables", &[], |s| {
        masquerade(s, &json!({ "ipMasqBackend": "nftables" }));
    }),
    case("bridge: ipMasqBackend of nobody", &[LEFT, FORWARDS], |s| {
        life(s, &json!({ "isGateway": true, "ipMasq": true, "ipMasqBackend": "pf" }));
    }),
    case("bridge: ipMasq, the namespace gone before DEL", &[NO_LEAK], |s| {
        let mut pod = s.pod(conf(s, &json!({ "isGateway": true, "ipMasq": true })));
        s.add("add", &mut pod);
        pod.container.ns.delete();
        s.world.settle();
        s.del("del", &pod);
    }),
    case(
        "bridge: mtu",
        &[differs("bridge-mtu", "after del/host/*/mtu", "*1500*", "*1400*")],
        |s| life(s, &json!({ "mtu": 1400 })),
    ),
    case("bridge: hairpinMode", &[], |s| life(s, &json!({ "hairpinMode": true }))),
    case("bridge: promiscMode", &[], |s| life(s, &json!({ "promiscMode": true }))),
    case("bridge: hairpinMode and promiscMode", &[], |s| {
        life(s, &json!({ "hairpinMode": true, "promiscMode": true }));
    }),
    case("bridge: portIsolation", &[], |s| {
        let list = conf(s, &json!({ "isGateway": true, "portIsolation": true }));
        two(s, &list);
    }),
    case("bridge: layer 2", &[differs("check-layer-2", "check", "*999*", "\"well\"")], |s| {
        life(s, &json!({ "ipam": null }));
    }),
    case(
        "bridge: disableContainerInterface",
        &[differs("check-layer-2", "check", "*999*", "\"well\"")],
        |s| {
            life(s, &json!({ "ipam": null, "disableContainerInterface": true }));
        },
    ),
    case("bridge: disableContainerInterface with ipam", &[], |s| {
        life(s, &json!({ "disableContainerInterface": true }));
    }),
    case("bridge: dns", &[], |s| {
        life(s, &json!({ "dns": { "nameservers": ["10.1.0.1"], "search": ["x.test"] } }));
    }),
    case("bridge: macspoofchk", &[], spoofing),
    case("bridge: MAC in CNI_ARGS", &[], |s| {
        let mut pod = s.pod(conf(s, &json!({}))).args("IgnoreUnknown=1;MAC=02:00:00:00:00:01");
        s.life(&mut pod);
    }),
    case(
        "bridge: an unknown key in CNI_ARGS",
        &[
            differs("args-unknown", "add/error", "*999*", ""),
            differs("args-unknown", "*", "*", "*"),
        ],
        |s| {
            let mut pod = s.pod(conf(s, &json!({}))).args("K8S_POD_NAME=x");
            s.life(&mut pod);
        },
    ),
    case("bridge: an unknown key in CNI_ARGS, IgnoreUnknown", &[], |s| {
        let mut pod = s.pod(conf(s, &json!({}))).args("IgnoreUnknown=true;K8S_POD_NAME=x");
        s.life(&mut pod);
    }),
    case("bridge: mac in args.cni, over CNI_ARGS", &[], |s| {
        let args = json!({ "cni": { "mac": "02:00:00:00:00:02" } });
        let mut pod =
            s.pod(conf(s, &json!({ "args": args }))).args("IgnoreUnknown=1;MAC=02:00:00:00:00:01");
        s.life(&mut pod);
    }),
    case("bridge: the capability mac, over args.cni", &[], |s| {
        let args = json!({ "cni": { "mac": "02:00:00:00:00:02" } });
        let more = json!({ "args": args, "capabilities": { "mac": true } });
        let mut pod = s.pod(conf(s, &more)).capabilities(json!({ "mac": "02:00:00:00:00:03" }));
        s.life(&mut pod);
    }),
    case("bridge: no MAC", &[LEFT, DELETES], |s| {
        let mut pod = s.pod(conf(s, &json!({}))).args("MAC=nonsense");
        s.life(&mut pod);
    }),
    case(
        "bridge: keys in other letters",
        &[differs("bridge-mtu", "after del/host/*/mtu", "*1500*", "*1300*")],
        |s| {
            life(s, &json!({ "ISGATEWAY": true, "hairpinmode": true, "MTU": 1300 }));
        },
    ),
    case("bridge: an unknown key near to one of its own", &[], |s| {
        life(s, &json!({ "isGatewy": true }));
    }),
    case("bridge: a number where text belongs", &[DELETES], |s| life(s, &json!({ "bridge": 7 }))),
    case("bridge: a second ADD", &[], |s| {
        let mut pod = s.pod(conf(s, &json!({})));
        s.add("add", &mut pod);
        s.add("add again", &mut pod);
        s.del("del", &pod);
    }),
    case("bridge: a namespace that is not there", &[LEFT], |s| {
        let mut pod = s.pod(conf(s, &json!({})));
        pod.container.ns.delete();
        s.add("add", &mut pod);
        s.del("del", &pod);
    }),
    case("bridge: an empty pool", &[LEFT], |s| {
        let mut one = s.pod(conf(s, &json!({ "ipam": s.world.ipam(&["10.1.0.0/30"]) })));
        let mut two = s.pod(json!(one.list));
        s.add("add", &mut one);
        s.add("add to the full pool", &mut two);
        s.del("del", &one);
    }),
    case("bridge: STATUS", &[], |s| {
        let pod = s.pod(conf(s, &json!({})));
        s.status("status", &pod);
        let without = s.pod(conf(s, &json!({ "ipam": { "type": "not-there" } })));
        s.status("status without its ipam", &without);
    }),
    case("bridge: vlan below 0", &[DELETES], |s| life(s, &json!({ "vlan": -1 }))),
    case("bridge: vlan above 4094", &[DELETES], |s| life(s, &json!({ "vlan": 4095 }))),
    case("bridge: vlanTrunk, max below min", &[DELETES], |s| {
        life(s, &json!({ "vlanTrunk": [{ "minID": 20, "maxID": 10 }] }));
    }),
    case("bridge: vlanTrunk, min alone", &[DELETES], |s| {
        life(s, &json!({ "vlanTrunk": [{ "minID": 20 }] }));
    }),
    lab("bridge: vlan", &[differs("gateway-port", "after */host/*", "*", "*")], |s| {
        life(s, &json!({ "vlan": 100, "isGateway": true }));
    }),
    lab("bridge: vlan, layer 2", &[differs("check-layer-2", "check", "*999*", "\"well\"")], |s| {
        life(s, &json!({ "vlan": 100, "ipam": null }));
    }),
    lab("bridge: vlanTrunk", &[differs("check-layer-2", "check", "*999*", "\"well\"")], |s| {
        life(
            s,
            &json!({ "vlanTrunk": [{ "minID": 10, "maxID": 12 }, { "id": 20 }], "ipam": null }),
        );
    }),
    lab("bridge: vlan and preserveDefaultVlan", &[], |s| {
        life(s, &json!({ "vlan": 100, "preserveDefaultVlan": true }));
    }),
];

/// Two of a network, and whether they reach each other and the gateway.
fn two(s: &mut Side, list: &Value) {
    let (mut one, mut two) = (s.pod(list.clone()), s.pod(list.clone()));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    let to = two.address(false);
    s.pings("one to the other", Who::Pod(&one), &to);
    s.pings("one to the gateway", Who::Pod(&one), "10.1.0.1");
    s.speaks("tcp", Who::Pod(&one), &format!("{to}:80"), Who::Pod(&two), 80, Proto::Tcp);
    s.check("check", &one);
    s.del("del", &one);
    s.check("check of the other", &two);
    s.del("del of the other", &two);
}

fn gateway(s: &mut Side) {
    let list = conf(s, &json!({ "isGateway": true }));
    two(s, &list);
}

fn both_families(s: &mut Side) {
    let ipam = s.world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let list = conf(s, &json!({ "isGateway": true, "ipam": ipam }));
    let (mut one, mut two) = (s.pod(list.clone()), s.pod(list));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    for (what, to) in [("v4", two.address(false)), ("v6", format!("[{}]", two.address(true)))] {
        let to = format!("{to}:80");
        s.speaks(&format!("tcp {what}"), Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Tcp);
        s.speaks(&format!("udp {what}"), Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Udp);
    }
    s.del("del", &one);
    s.del("del of the other", &two);
}

/// Masquerade as the machine beyond the host sees it.
fn masquerade(s: &mut Side, more: &Value) {
    s.outside();
    let ipam = s.world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let mut all = json!({ "isGateway": true, "ipMasq": true, "ipam": ipam });
    merge(&mut all, more);
    let list = conf(s, &all);
    let (mut one, mut two) = (s.pod(list.clone()), s.pod(list));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    for (family, wan) in [("v4", "203.0.113.2:80"), ("v6", "[2001:db8::2]:80")] {
        for (name, proto) in [("tcp", Proto::Tcp), ("udp", Proto::Udp)] {
            let what = format!("{name} {family} to the outside");
            s.speaks(&what, Who::Pod(&one), wan, Who::Outside, 80, proto);
        }
    }
    let to = format!("{}:80", two.address(false));
    s.speaks("to the neighbour", Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Tcp);
    s.check("check", &one);
    s.del("del", &one);
    s.speaks("the other still", Who::Pod(&two), "203.0.113.2:80", Who::Outside, 80, Proto::Tcp);
    s.del("del of the other", &two);
}

/// A pod that takes another MAC address is not heard.
fn spoofing(s: &mut Side) {
    let list = conf(s, &json!({ "isGateway": true, "macspoofchk": true }));
    let mut pod = s.pod(list);
    s.add("add", &mut pod);
    s.check("check", &pod);
    s.pings("with its own address", Who::Pod(&pod), "10.1.0.1");
    pod.container.ns.ip("link set eth0 address 02:00:00:00:00:99");
    s.pings("with another's", Who::Pod(&pod), "10.1.0.1");
    s.del("del", &pod);
}
