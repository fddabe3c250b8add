//! `ptp`.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Differs, Proto, Side, Who, case, differs, run};

use super::{CODES, DELETES, FORWARDS, LEFT, LINKS, NO_DAD, NO_LEAK};

#[test]
#[ignore = "needs root: ring netns"]
fn side_ptp() {
    run(CASES, &[LINKS, COMMON]);
}

/// What differs in any life.
const COMMON: &[Differs] = &[
    CODES,
    NO_DAD,
    differs("announced", "after */pod/sysctl/ipv4/*/arp_notify", "\"0\"", "\"1\""),
    differs("no-dad", "after */pod/sysctl/ipv6/*/accept_dad", "\"1\"", "\"0\""),
    differs("own-routes", "after */pod/links/*/addresses/*/noprefixroute", "", "true"),
];

fn conf(s: &Side, more: &Value) -> Value {
    let mut conf = json!({ "type": "ptp", "ipam": s.world.ipam(&["10.1.0.0/16", "fd00:1::/64"]) });
    if more.get("ipam").is_some() {
        merge(&mut conf, &json!({ "ipam": null }));
    }
    merge(&mut conf, more);
    conf
}

fn life(s: &mut Side, more: &Value) {
    let conf = conf(s, more);
    let mut pod = s.pod(conf);
    s.life(&mut pod);
}

const CASES: &[Case] = &[
    case("ptp", &[], two),
    case("ptp: mtu", &[], |s| life(s, &json!({ "mtu": 1400 }))),
    case("ptp: dns", &[], |s| life(s, &json!({ "dns": { "nameservers": ["10.9.9.9"] } }))),
    case("ptp: ipMasq", &[], masquerade),
    case("ptp: ipMasqBackend of nobody", &[LEFT, FORWARDS], |s| {
        life(s, &json!({ "ipMasq": true, "ipMasqBackend": "pf" }));
    }),
    case("ptp: no ipam", &[DELETES], |s| life(s, &json!({ "ipam": null }))),
    case("ptp: a second ADD", &[], |s| {
        let mut pod = s.pod(conf(s, &json!({})));
        s.add("add", &mut pod);
        s.add("add again", &mut pod);
        s.del("del", &pod);
    }),
    case("ptp: STATUS", &[], |s| {
        let pod = s.pod(conf(s, &json!({})));
        s.status("status", &pod);
        let without = s.pod(conf(s, &json!({ "ipam": null })));
        s.status("status without ipam", &without);
    }),
    case("ptp: ipMasq, the namespace gone before DEL", &[NO_LEAK], |s| {
        let mut pod = s.pod(conf(s, &json!({ "ipMasq": true })));
        s.add("add", &mut pod);
        pod.container.ns.delete();
        s.world.settle();
        s.del("del", &pod);
    }),
];

fn two(s: &mut Side) {
    let list = conf(s, &json!({}));
    let (mut one, mut two) = (s.pod(list.clone()), s.pod(list));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    s.check("check", &one);
    for (what, to) in [("v4", two.address(false)), ("v6", format!("[{}]", two.address(true)))] {
        let to = format!("{to}:80");
        s.speaks(&format!("tcp {what}"), Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Tcp);
        s.speaks(&format!("udp {what}"), Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Udp);
    }
    s.pings("the gateway", Who::Pod(&one), "10.1.0.1");
    s.del("del", &one);
    s.del("del of the other", &two);
}

fn masquerade(s: &mut Side) {
    s.outside();
    let mut pod = s.pod(conf(s, &json!({ "ipMasq": true })));
    s.add("add", &mut pod);
    for (family, wan) in [("v4", "203.0.113.2:80"), ("v6", "[2001:db8::2]:80")] {
        for (name, proto) in [("tcp", Proto::Tcp), ("udp", Proto::Udp)] {
            s.speaks(&format!("{name} {family}"), Who::Pod(&pod), wan, Who::Outside, 80, proto);
        }
    }
    s.del("del", &pod);
}
