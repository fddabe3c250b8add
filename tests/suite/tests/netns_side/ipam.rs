//! `host-local` and `static`, asked as a main plugin asks them.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Pod, Side, case, differs, run};

use super::{CODES, DELETES, NO_FILES};

#[test]
#[ignore = "needs root: ring netns"]
fn side_ipam() {
    run(CASES, &[&[CODES, NO_FILES]]);
}

/// What asks it: no plugin that is run.
fn conf(s: &Side, ipam: &Value) -> Value {
    let mut all = json!({ "type": s.plugin() });
    if s.plugin() == "host-local" {
        merge(&mut all, &json!({ "dataDir": s.world.path("data") }));
    }
    merge(&mut all, ipam);
    json!({ "type": s.plugin(), "ipam": all })
}

fn ask(s: &mut Side, ipam: &Value) -> Pod {
    let conf = conf(s, ipam);
    s.pod(conf)
}

fn life(s: &mut Side, ipam: &Value) {
    let mut pod = ask(s, ipam);
    s.life(&mut pod);
}

fn sets() -> Value {
    json!([[{ "subnet": "10.1.0.0/24" }, { "subnet": "10.2.0.0/24" }], [{ "subnet": "fd00:1::/64" }]])
}

const CASES: &[Case] = &[
    case("host-local", &[], |s| {
        let routes = json!([{ "dst": "0.0.0.0/0" }, { "dst": "192.0.2.0/24", "gw": "10.1.0.9",
            "mtu": 1400, "advmss": 1300, "priority": 7, "table": 5, "scope": 0 }]);
        life(s, &json!({ "ranges": sets(), "routes": routes }));
    }),
    case("host-local: subnet, rangeStart, rangeEnd, gateway", &[], |s| {
        let range = json!({ "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10",
            "rangeEnd": "10.1.0.11", "gateway": "10.1.0.99" });
        let mut pods: Vec<Pod> = (0..3).map(|_| ask(s, &range)).collect();
        for (number, pod) in pods.iter_mut().enumerate() {
            s.add(&format!("add {number}"), pod);
        }
        for (number, pod) in pods.iter().enumerate() {
            s.del(&format!("del {number}"), pod);
        }
    }),
    case("host-local: a released address waits its turn", &[], |s| {
        let range = json!({ "subnet": "10.1.0.0/24" });
        let mut pods: Vec<Pod> = (0..3).map(|_| ask(s, &range)).collect();
        s.add("add", &mut pods[0]);
        s.del("del", &pods[0]);
        s.add("add the next", &mut pods[1]);
        s.add("add one more", &mut pods[2]);
    }),
    case("host-local: both old keys and ranges", &[], |s| {
        life(s, &json!({ "subnet": "10.3.0.0/24", "ranges": sets() }));
    }),
    case(
        "host-local: gateway and broadcast may be in the range",
        &[
            differs("network-address", "add 0/result/ips", "*10.1.0.0/30*", "*10.1.0.2/30*"),
            differs("network-address", "*", "*", "*"),
        ],
        |s| {
            let range = json!({ "subnet": "10.1.0.0/30", "rangeStart": "10.1.0.0" });
            let mut pods: Vec<Pod> = (0..4).map(|_| ask(s, &range)).collect();
            for (number, pod) in pods.iter_mut().enumerate() {
                s.add(&format!("add {number}"), pod);
            }
        },
    ),
    case("host-local: resolvConf", &[], |s| {
        let text =
            "domain a.test\nnameserver 10.9.9.9\nsearch a.test b.test\noptions ndots:2 rotate\n";
        let file = s.world.write("resolv.conf", text);
        life(s, &json!({ "subnet": "10.1.0.0/24", "resolvConf": file }));
    }),
    case("host-local: a resolvConf that is not there", &[], |s| {
        life(s, &json!({ "subnet": "10.1.0.0/24", "resolvConf": "/not/there" }));
    }),
    case("host-local: no ranges", &[DELETES], |s| life(s, &json!({ "ranges": [] }))),
    case("host-local: no subnet", &[DELETES], |s| life(s, &json!({ "ranges": [[{}]] }))),
    case("host-local: an empty set", &[DELETES], |s| life(s, &json!({ "ranges": [[]] }))),
    case("host-local: host bits", &[DELETES], |s| life(s, &json!({ "subnet": "10.1.0.1/24" }))),
    case(
        "host-local: a /31",
        &[
            differs("tiny-subnets", "add/error", "*999*", ""),
            differs("tiny-subnets", "*", "*", "*"),
        ],
        |s| life(s, &json!({ "subnet": "10.1.0.0/31" })),
    ),
    case(
        "host-local: a /32",
        &[
            differs("tiny-subnets", "add/error", "*999*", ""),
            differs("tiny-subnets", "*", "*", "*"),
        ],
        |s| life(s, &json!({ "subnet": "10.1.0.7/32" })),
    ),
    case("host-local: a start outside", &[DELETES], |s| {
        life(s, &json!({ "subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1" }));
    }),
    case("host-local: a start behind the end", &[DELETES], |s| {
        life(
            s,
            &json!({ "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.5" }),
        );
    }),
    case("host-local: families mixed in a set", &[DELETES], |s| {
        life(s, &json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }, { "subnet": "fd00:1::/64" }]] }));
    }),
    case("host-local: overlap", &[DELETES], |s| {
        life(
            s,
            &json!({ "ranges": [[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.1.0.0/25" }]] }),
        );
    }),
    case("host-local: IP in CNI_ARGS", &[], |s| {
        let mut pod = ask(s, &json!({ "ranges": sets() })).args("IP=10.2.0.50");
        s.life(&mut pod);
    }),
    case(
        "host-local: IP in CNI_ARGS, in no range",
        &[differs("failed-add", "after */files/pods", "*", "")],
        |s| {
            let mut pod = ask(s, &json!({ "ranges": sets() })).args("IP=10.9.0.50");
            s.life(&mut pod);
        },
    ),
    case("host-local: IP in CNI_ARGS, the gateway", &[], |s| {
        let mut pod = ask(s, &json!({ "ranges": sets() })).args("IP=10.1.0.1");
        s.life(&mut pod);
    }),
    case("host-local: IP in CNI_ARGS, another's", &[], |s| {
        let mut one = ask(s, &json!({ "ranges": sets() })).args("IP=10.1.0.50");
        let mut two = ask(s, &json!({ "ranges": sets() })).args("IP=10.1.0.50");
        s.add("add", &mut one);
        s.add("add another", &mut two);
        s.del("del", &one);
    }),
    case("host-local: ips in args.cni", &[], |s| {
        let mut conf = conf(s, &json!({ "ranges": sets() }));
        merge(&mut conf, &json!({ "args": { "cni": { "ips": ["10.1.0.50", "fd00:1::50"] } } }));
        let mut pod = s.pod(conf);
        s.life(&mut pod);
    }),
    case("host-local: the capability ips", &[], |s| {
        let mut conf = conf(s, &json!({ "ranges": sets() }));
        merge(&mut conf, &json!({ "capabilities": { "ips": true } }));
        let mut pod = s.pod(conf).capabilities(json!({ "ips": ["10.1.0.60/24", "fd00:1::60"] }));
        s.life(&mut pod);
    }),
    case("host-local: the capability ipRanges", &[], |s| {
        let mut conf = conf(s, &json!({ "subnet": "10.1.0.0/24" }));
        merge(&mut conf, &json!({ "capabilities": { "ipRanges": true } }));
        let ranges = json!([[{ "subnet": "10.7.0.0/24" }]]);
        let mut pod = s.pod(conf).capabilities(json!({ "ipRanges": ranges }));
        s.life(&mut pod);
    }),
    case("host-local: a second ADD", &[], |s| {
        let mut pod = ask(s, &json!({ "subnet": "10.1.0.0/24" }));
        s.add("add", &mut pod);
        s.add("add again", &mut pod);
        s.del("del", &pod);
    }),
    case("host-local: CHECK without a reservation", &[], |s| {
        let mut pod = ask(s, &json!({ "subnet": "10.1.0.0/24" }));
        s.check("check", &pod);
        s.add("add", &mut pod);
        s.del("del", &pod);
        s.check("check after del", &pod);
    }),
    case(
        "host-local: the configuration is bad at DEL",
        &[DELETES, differs("del-always", "after del/files/pods/is/10.1.0.2", "*", "")],
        |s| {
            let mut pod = ask(s, &json!({ "subnet": "10.1.0.0/24" }));
            s.add("add", &mut pod);
            let broken = conf(s, &json!({ "subnet": "nonsense" }));
            pod.list = vec![broken];
            s.del("del", &pod);
        },
    ),
    case(
        "host-local: an old reservation, of one line",
        &[differs("ipam-check", "check", "\"well\"", "*error*")],
        |s| {
            std::fs::create_dir_all(s.world.path("data/pods")).expect("a directory");
            let mut pod = ask(s, &json!({ "subnet": "10.1.0.0/24" }));
            let id = pod.container.id.clone();
            s.world.write("data/pods/10.1.0.2", &id);
            s.add("add", &mut pod);
            s.check("check", &pod);
            s.del("del", &pod);
        },
    ),
    case(
        "host-local: an empty reservation, as a crash leaves it",
        &[
            differs("empty-reservation", "add/result/ips", "*10.1.0.3/24*", "*10.1.0.2/24*"),
            differs("empty-reservation", "after */files/pods/*", "*", "*"),
        ],
        |s| {
            std::fs::create_dir_all(s.world.path("data/pods")).expect("a directory");
            s.world.write("data/pods/10.1.0.2", "");
            life(s, &json!({ "subnet": "10.1.0.0/24" }));
        },
    ),
    case("host-local: a foreign file", &[], |s| {
        std::fs::create_dir_all(s.world.path("data/pods")).expect("a directory");
        s.world.write("data/pods/README", "not an address");
        life(s, &json!({ "subnet": "10.1.0.0/24" }));
    }),
    case("host-local: version 0.2.0, two sets of a family", &[DELETES], |s| {
        let ranges = json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "10.2.0.0/24" }]]);
        let mut conf = conf(s, &json!({ "ranges": ranges }));
        merge(&mut conf, &json!({ "cniVersion": "0.2.0" }));
        let mut pod = s.pod(conf);
        s.life(&mut pod);
    }),
    case("host-local: no ipam", &[DELETES], |s| {
        let mut pod = s.pod(json!({ "type": "host-local" }));
        s.life(&mut pod);
    }),
    case("static", &[], |s| {
        life(
            s,
            &json!({
                "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" },
                    { "address": "fd00:1::5/64" }],
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "192.0.2.0/24", "gw": "10.1.0.9" }],
                "dns": { "nameservers": ["10.9.9.9"], "domain": "a.test", "search": ["b.test"],
                    "options": ["ndots:1"] },
            }),
        );
    }),
    case("static: no addresses", &[], |s| life(s, &json!({}))),
    case("static: no length", &[], |s| {
        life(s, &json!({ "addresses": [{ "address": "10.1.0.5" }] }));
    }),
    case("static: IP and GATEWAY in CNI_ARGS", &[], |s| {
        let mut pod = ask(s, &json!({ "addresses": [{ "address": "10.1.0.5/24" }] }))
            .args("IP=10.2.0.5/24,fd00:1::5/64;GATEWAY=10.2.0.1,fd00:1::1");
        s.life(&mut pod);
    }),
    case("static: ips in args.cni", &[], |s| {
        let ipam = json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }] });
        let mut conf = conf(s, &ipam);
        merge(&mut conf, &json!({ "args": { "cni": { "ips": ["10.1.0.6/24"] } } }));
        let mut pod = s.pod(conf);
        s.life(&mut pod);
    }),
    case("static: the capability ips", &[], |s| {
        let mut conf = conf(s, &json!({ "addresses": [{ "address": "10.1.0.5/24" }] }));
        merge(&mut conf, &json!({ "capabilities": { "ips": true } }));
        let mut pod = s.pod(conf).capabilities(json!({ "ips": ["10.1.0.7/24"] }));
        s.life(&mut pod);
    }),
    case(
        "static: an address that another has",
        &[
            differs("static-held", "add another/result", "*", ""),
            differs("static-held", "add another/error", "", "*106*"),
        ],
        |s| {
            let ipam = json!({ "addresses": [{ "address": "10.1.0.5/24" }] });
            let (mut one, mut two) = (ask(s, &ipam), ask(s, &ipam));
            s.add("add", &mut one);
            s.add("add another", &mut two);
            s.del("del", &one);
        },
    ),
    case("static: version 0.2.0, two of a family", &[], |s| {
        let addresses = json!([{ "address": "10.1.0.5/24" }, { "address": "10.1.0.6/24" }]);
        let mut conf = conf(s, &json!({ "addresses": addresses }));
        merge(&mut conf, &json!({ "cniVersion": "0.2.0" }));
        let mut pod = s.pod(conf);
        s.life(&mut pod);
    }),
];
