//! `bandwidth`, `tuning`, `sbr`; in the lab `vrf`.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Differs, Pod, Proto, Side, Who, case, differs, lab, run};

use super::{CODES, DELETES, GOES, LINKS};

#[test]
#[ignore = "needs root: ring netns"]
fn side_traffic() {
    run(CASES, &[LINKS, &[CODES]]);
}

/// How frames are counted.
const FRAMES: Differs = differs("shaped-frames", "after add/host/qdiscs/kind tbf*", "*", "*");

/// The route to the subnet in the new table.
const MOVED: Differs =
    differs("route-protocol", "after add/pod/routes/*dst 10.1.0.0/16*table 100*", "*", "*");

/// What is to be put back is in the ledger.
const BACKUP: Differs = differs("no-backup-file", "after *add*/files/tuning", "*", "");
const NO_BACKUPS: Differs = differs("no-backup-file", "after *del*/files/tuning", "*", "");

/// A bridge, and the plugin that the case is about.
fn list(s: &Side, more: &Value) -> Value {
    let ipam = s.world.ipam(&["10.1.0.0/16"]);
    let bridge = json!({ "type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam });
    let mut last = json!({ "type": s.plugin() });
    if s.plugin() == "tuning" {
        merge(&mut last, &json!({ "dataDir": s.world.path("data/tuning") }));
    }
    merge(&mut last, more);
    json!([bridge, last])
}

fn life(s: &mut Side, more: &Value) {
    let list = list(s, more);
    let mut pod = s.pod(list);
    s.life(&mut pod);
}

/// A Mbit/s, and bits of burst.
const SHAPE: (f64, f64) = (1_000_000.0, 160_000.0);

/// What arrives in both directions.
fn shaped(s: &mut Side, pod: &mut Pod) {
    s.add("add", pod);
    let to = format!("{}:99", pod.address(false));
    s.rate("into the pod", Who::Host, &to, Who::Pod(pod), SHAPE);
    s.rate("out of the pod", Who::Pod(pod), "10.1.0.1:99", Who::Host, SHAPE);
    s.check("check", pod);
    s.del("del", pod);
}

fn both() -> Value {
    json!({ "ingressRate": 1_000_000, "ingressBurst": 160_000, "egressRate": 1_000_000,
        "egressBurst": 160_000 })
}

fn tuned(s: &mut Side, more: &Value, args: &str, capabilities: Value) {
    let list = list(s, more);
    let mut pod = s.pod(list).args(args).capabilities(capabilities);
    s.life(&mut pod);
}

/// The case's plugin on a second interface: how the pod's packets leave by it.
fn second(s: &mut Side, more: &Value) {
    let mut pod = s.pod(json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "name": "first",
        "ipam": s.world.ipam(&["10.2.0.0/16"]),
    }));
    s.add("add the first", &mut pod);
    let first = (pod.list.clone(), pod.result.clone());
    let mut list = list(s, more);
    merge(&mut list[0], &json!({ "bridge": "cni1" }));
    pod.list = list.as_array().cloned().unwrap_or_default();
    pod.by("net1");
    s.add("add", &mut pod);
    s.world.host.run(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    s.speaks("to the pod by it", Who::Host, "10.1.0.2:80", Who::Pod(&pod), 80, Proto::Tcp);
    s.check("check", &pod);
    s.del("del", &pod);
    (pod.list, pod.result) = first;
    pod.by("eth0");
    s.del("del of the first", &pod);
}

const CASES: &[Case] = &[
    case("bandwidth: both directions", &[FRAMES], |s| {
        let list = list(s, &both());
        let mut pod = s.pod(list);
        shaped(s, &mut pod);
    }),
    case("bandwidth: the capability", &[FRAMES], |s| {
        let list = list(s, &json!({ "capabilities": { "bandwidth": true } }));
        let mut pod = s.pod(list).capabilities(json!({ "bandwidth": both() }));
        shaped(s, &mut pod);
    }),
    case("bandwidth: the capability beside keys", &[FRAMES], |s| {
        let more = json!({ "capabilities": { "bandwidth": true }, "ingressRate": 5_000_000,
            "ingressBurst": 400_000 });
        let list = list(s, &more);
        let mut pod = s.pod(list).capabilities(json!({ "bandwidth": both() }));
        s.life(&mut pod);
    }),
    case("bandwidth: ingress alone", &[FRAMES], |s| {
        life(s, &json!({ "ingressRate": 1_000_000, "ingressBurst": 160_000 }));
    }),
    case("bandwidth: egress alone", &[FRAMES], |s| {
        life(s, &json!({ "egressRate": 1_000_000, "egressBurst": 160_000 }));
    }),
    case("bandwidth: nothing", &[], |s| life(s, &json!({}))),
    case("bandwidth: a rate without a burst", &[DELETES, GOES], |s| {
        life(s, &json!({ "ingressRate": 1_000_000 }));
    }),
    case("bandwidth: a burst without a rate", &[DELETES, GOES], |s| {
        life(s, &json!({ "egressBurst": 160_000 }));
    }),
    case("bandwidth: a burst above 4 GiB", &[DELETES, GOES], |s| {
        life(s, &json!({ "ingressRate": 1_000_000, "ingressBurst": 40_000_000_000_u64 }));
    }),
    case(
        "bandwidth: nothing, and no previous result",
        &[
            differs("no-crash", "add/error/code", "\"none\"", "7"),
            differs("no-crash", "add/error/status", "2", "1"),
        ],
        |s| {
            let mut pod = s.pod(json!({ "type": "bandwidth" }));
            s.add("add", &mut pod);
        },
    ),
    case(
        "bandwidth: DEL, and ADD again",
        &[FRAMES, differs("add-again", "add again", "*999*", "\"well\"")],
        |s| {
            let list = list(s, &both());
            let mut pod = s.pod(list);
            s.add("add", &mut pod);
            let plugin = pod.list[1].clone();
            let result = pod.result.clone();
            s.verb("del", "DEL", &pod, &plugin, &result);
            s.verb("add again", "ADD", &pod, &plugin, &result);
            s.del("del at last", &pod);
        },
    ),
    case("bandwidth: the namespace gone before DEL", &[FRAMES], |s| {
        let list = list(s, &both());
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        pod.container.ns.delete();
        s.world.settle();
        s.del("del", &pod);
    }),
    case("tuning: sysctl", &[], |s| {
        life(
            s,
            &json!({ "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1",
            "net.core.somaxconn": "500" } }),
        );
    }),
    case("tuning: a sysctl outside net", &[], |s| {
        life(s, &json!({ "sysctl": { "kernel.domainname": "x" } }));
    }),
    case("tuning: a sysctl that climbs", &[], |s| {
        life(s, &json!({ "sysctl": { "net/../kernel/domainname": "x" } }));
    }),
    case("tuning: a sysctl that is not there", &[], |s| {
        life(s, &json!({ "sysctl": { "net.ipv4.conf.IFNAME.not_there": "1" } }));
    }),
    case(
        "tuning: the same sysctl twice",
        &[differs("sysctl-twice", "add/error", "", "*7*"), differs("sysctl-twice", "*", "*", "*")],
        |s| {
            life(
                s,
                &json!({ "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1",
            "net.ipv4.conf.IFNAME.arp_filter": "1" } }),
            );
        },
    ),
    case("tuning: mac", &[BACKUP, NO_BACKUPS], |s| {
        tuned(s, &json!({ "mac": "02:00:00:00:00:01" }), "", json!({}));
    }),
    case("tuning: MAC in CNI_ARGS, over mac", &[BACKUP, NO_BACKUPS], |s| {
        let args = "IgnoreUnknown=1;MAC=02:00:00:00:00:02";
        tuned(s, &json!({ "mac": "02:00:00:00:00:01" }), args, json!({}));
    }),
    case("tuning: the capability mac", &[BACKUP, NO_BACKUPS], |s| {
        let more = json!({ "mac": "02:00:00:00:00:01", "capabilities": { "mac": true } });
        tuned(s, &more, "", json!({ "mac": "02:00:00:00:00:03" }));
    }),
    case("tuning: mac in args.cni, over the capability", &[BACKUP, NO_BACKUPS], |s| {
        let more = json!({ "args": { "cni": { "mac": "02:00:00:00:00:04" } },
            "capabilities": { "mac": true } });
        tuned(s, &more, "", json!({ "mac": "02:00:00:00:00:03" }));
    }),
    case("tuning: promisc", &[BACKUP, NO_BACKUPS], |s| life(s, &json!({ "promisc": true }))),
    case("tuning: mtu", &[BACKUP, NO_BACKUPS], |s| life(s, &json!({ "mtu": 1400 }))),
    case("tuning: txQLen", &[BACKUP, NO_BACKUPS], |s| life(s, &json!({ "txQLen": 500 }))),
    case("tuning: allmulti", &[BACKUP, NO_BACKUPS], |s| life(s, &json!({ "allmulti": true }))),
    case("tuning: all of args.cni", &[BACKUP, NO_BACKUPS], |s| {
        let cni = json!({ "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" }, "mtu": 1400,
            "promisc": true, "allmulti": true, "txQLen": 500 });
        life(s, &json!({ "sysctl": {}, "args": { "cni": cni } }));
    }),
    case(
        "tuning: sysctl in args.cni alone",
        &[differs("no-crash", "add/error", "*none*", ""), differs("no-crash", "*", "*", "*")],
        |s| {
            let cni = json!({ "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" } });
            life(s, &json!({ "args": { "cni": cni } }));
        },
    ),
    case("tuning: nothing", &[], |s| life(s, &json!({}))),
    case("tuning: DEL alone puts all back", &[BACKUP, NO_BACKUPS], |s| {
        let list = list(
            s,
            &json!({ "mtu": 1400, "promisc": true, "allmulti": true, "txQLen": 500,
            "mac": "02:00:00:00:00:01" }),
        );
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        let plugin = pod.list[1].clone();
        let result = pod.result.clone();
        s.verb("del", "DEL", &pod, &plugin, &result);
        let link = pod.container.ns.link("eth0");
        s.tell("mtu", link.mtu);
        s.tell("promisc", link.raw.get("promiscuity").cloned().unwrap_or_default());
        s.tell("allmulti", link.raw.get("allmulti").cloned().unwrap_or_default());
        s.tell("txqlen", link.raw.get("txqlen").cloned().unwrap_or_default());
        s.tell("mac", if link.mac == "02:00:00:00:00:01" { "still" } else { "back" });
        s.del("del at last", &pod);
    }),
    case("tuning: CHECK after a change", &[], |s| {
        let list = list(s, &json!({ "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" } }));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        pod.container.ns.run(&["sysctl", "-qw", "net.ipv4.conf.eth0.arp_filter=0"]);
        s.check("check", &pod);
        s.del("del", &pod);
    }),
    case("tuning: the namespace gone before DEL", &[BACKUP, NO_BACKUPS], |s| {
        let list = list(s, &json!({ "mtu": 1400 }));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        pod.container.ns.delete();
        s.world.settle();
        s.del("del", &pod);
    }),
    case("tuning: no previous result", &[], |s| {
        let mut pod = s.pod(json!({ "type": "tuning", "mtu": 1400 }));
        s.add("add", &mut pod);
    }),
    case("sbr", &[MOVED, differs("sbr-check", "check", "*999*", "\"well\"")], |s| {
        second(s, &json!({}));
    }),
    case("sbr: table", &[], |s| second(s, &json!({ "table": 250 }))),
    case(
        "sbr: the namespace gone before DEL",
        &[
            differs("sbr-netns", "a file in place of the namespace", "true", "false"),
            DELETES,
            differs("sbr-netns", "after del/files/pods/is/10.1.0.2", "*", ""),
            MOVED,
        ],
        |s| {
            let list = list(s, &json!({}));
            let mut pod = s.pod(list);
            s.add("add", &mut pod);
            pod.container.ns.delete();
            s.world.settle();
            s.del("del", &pod);
            let path = pod.container.ns.path();
            s.tell("a file in place of the namespace", std::path::Path::new(&path).exists());
            let _ = std::fs::remove_file(path);
        },
    ),
    case("sbr: no previous result", &[], |s| {
        let mut pod = s.pod(json!({ "type": "sbr" }));
        s.add("add", &mut pod);
    }),
    lab("vrf", &[differs("vrf-check", "check", "*999*", "\"well\"")], |s| {
        second(s, &json!({ "vrfname": "blue" }));
    }),
    lab("vrf: table", &[differs("vrf-check", "check", "*999*", "\"well\"")], |s| {
        second(s, &json!({ "vrfname": "blue", "table": 77 }));
    }),
    lab("vrf: no name", &[DELETES, GOES], |s| life(s, &json!({}))),
    lab(
        "vrf: another table is there",
        &[differs("vrf-of-others", "after del/pod/*", "", "*")],
        |s| {
            let list = list(s, &json!({ "vrfname": "blue", "table": 77 }));
            let mut pod = s.pod(list);
            pod.container.ns.ip("link add blue type vrf table 78");
            s.life(&mut pod);
        },
    ),
    lab("vrf: the interface gone before DEL", &[DELETES, GOES], |s| {
        let list = list(s, &json!({ "vrfname": "blue" }));
        let mut pod = s.pod(list);
        s.add("add", &mut pod);
        pod.container.ns.ip("link del eth0");
        s.del("del", &pod);
    }),
];
