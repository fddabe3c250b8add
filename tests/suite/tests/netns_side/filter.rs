//! `firewall`: by packets, on a host that forwards nothing of its own accord.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Pod, Proto, Side, Who, case, differs, run};

use super::{CODES, DELETES, GOES, LINKS, NO_DAD, NO_LEAK};

#[test]
#[ignore = "needs root: ring netns"]
fn side_firewall() {
    run(CASES, &[LINKS, &[CODES, NO_DAD]]);
}

fn list(s: &Side, bridge: u8, more: &Value) -> Value {
    let subnets = [format!("10.{bridge}.0.0/16"), format!("fd00:{bridge}::/64")];
    let ipam = s.world.ipam(&[&subnets[0], &subnets[1]]);
    let main = json!({
        "type": "bridge", "bridge": format!("cni{bridge}"), "isGateway": true, "ipMasq": true,
        "ipam": ipam, "name": format!("net{bridge}"),
    });
    let mut firewall = json!({ "type": "firewall", "name": format!("net{bridge}") });
    merge(&mut firewall, more);
    json!([main, firewall])
}

/// A host whose FORWARD drops, as Docker has it.
fn closed(s: &mut Side) {
    s.outside();
    for program in ["iptables", "ip6tables"] {
        s.world.host.run(&[program, "-P", "FORWARD", "DROP"]);
    }
}

/// Whom a pod reaches.
fn reach(s: &mut Side, when: &str, from: &Pod, others: &[(&str, &Pod)]) {
    for (family, wan) in [("v4", "203.0.113.2:80"), ("v6", "[2001:db8::2]:80")] {
        let what = format!("{when}: to the outside, {family}");
        s.speaks(&what, Who::Pod(from), wan, Who::Outside, 80, Proto::Tcp);
    }
    for (name, other) in others {
        let to = format!("{}:80", other.address(false));
        let what = format!("{when}: to {name}");
        s.speaks(&what, Who::Pod(from), &to, Who::Pod(other), 80, Proto::Tcp);
    }
}

/// One of a network with these policies, its neighbour, and one of another network.
fn policies(s: &mut Side, more: &Value) {
    closed(s);
    let (first, second) = (list(s, 1, more), list(s, 2, more));
    let (mut one, mut two, mut far) = (s.pod(first.clone()), s.pod(first), s.pod(second));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    s.add("add one of another network", &mut far);
    reach(s, "attached", &one, &[("its neighbour", &two), ("another network", &far)]);
    s.check("check", &one);
    s.del("del", &one);
    s.del("del of the other", &two);
    s.del("del of another network's", &far);
}

const CASES: &[Case] = &[
    case("firewall: ingressPolicy open", &[], |s| policies(s, &json!({ "ingressPolicy": "open" }))),
    case("firewall: ingressPolicy same-bridge", &[], |s| {
        policies(s, &json!({ "ingressPolicy": "same-bridge" }));
    }),
    case("firewall: ingressPolicy isolated", &[], |s| {
        policies(s, &json!({ "ingressPolicy": "isolated" }));
    }),
    case(
        "firewall: ingressPolicy of nobody",
        &[DELETES, GOES, differs("failed-add", "attached: *", "*", "\"nothing\"")],
        |s| {
            policies(s, &json!({ "ingressPolicy": "closed" }));
        },
    ),
    case("firewall: backend iptables", &[], |s| {
        closed(s);
        let list = list(s, 1, &json!({ "backend": "iptables" }));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        reach(s, "attached", &pod, &[]);
        s.check("check", &pod);
        s.del("del", &pod);
    }),
    case("firewall: backend of nobody", &[], |s| {
        let list = list(s, 1, &json!({ "backend": "pf" }));
        let mut pod = s.pod(list);
        s.life(&mut pod);
    }),
    case(
        "firewall: after isolated, same-bridge",
        &[differs("isolation-undone", "attached: to its neighbour", "\"nothing\"", "\"10.1.0.3\"")],
        |s| {
            closed(s);
            let before = list(s, 1, &json!({ "ingressPolicy": "isolated" }));
            let mut first = s.pod(before);
            s.add("add", &mut first);
            s.del("del", &first);
            let list = list(s, 1, &json!({ "ingressPolicy": "same-bridge" }));
            let (mut one, mut two) = (s.pod(list.clone()), s.pod(list));
            s.add("add one", &mut one);
            s.add("add two", &mut two);
            s.world.host.run(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
            reach(s, "attached", &one, &[("its neighbour", &two)]);
            s.del("del of one", &one);
            s.del("del of two", &two);
        },
    ),
    case("firewall: the namespace gone before DEL", &[NO_LEAK], |s| {
        let list = list(s, 1, &json!({}));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        pod.container.ns.delete();
        s.world.settle();
        s.del("del", &pod);
    }),
    case("firewall: DEL without a previous result", &[], |s| {
        let list = list(s, 1, &json!({}));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        let firewall = pod.list[1].clone();
        s.verb("del", "DEL", &pod, &firewall, &Value::Null);
        let bridge = pod.list[0].clone();
        s.verb("del of the bridge", "DEL", &pod, &bridge, &Value::Null);
        s.del("del at last", &pod);
    }),
    case("firewall: no previous result", &[], |s| {
        let mut pod = s.pod(json!({ "type": "firewall" }));
        s.add("add", &mut pod);
    }),
];
