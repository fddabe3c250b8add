//! What every plugin does before it does anything.

use serde_json::{Value, json};
use wharfinger_suite::side::{Case, Differs, Side, case, differs, run};

use super::{LINKS, NO_DAD};

#[test]
#[ignore = "needs root: ring netns"]
fn side_protocol() {
    run(CASES, &[LINKS, &[NO_DAD]]);
}

/// What differs under every name.
const PROTOCOL: &[Differs] = &[
    differs("about", "no command/stderr", "*", "*served by wharfinger*"),
    differs("no-path", "no path/code", "4", "null"),
    differs("no-path", "no path/status", "1", "0"),
];

const CASES: &[Case] = &[
    case("bandwidth: protocol", PROTOCOL, protocol),
    case("bridge: protocol", PROTOCOL, protocol),
    case("dhcp: protocol", PROTOCOL, protocol),
    case("dummy: protocol", PROTOCOL, protocol),
    case("firewall: protocol", PROTOCOL, protocol),
    case("host-device: protocol", PROTOCOL, protocol),
    case("host-local: protocol", PROTOCOL, protocol),
    case("ipvlan: protocol", PROTOCOL, protocol),
    case("loopback: protocol", PROTOCOL, protocol),
    case("macvlan: protocol", PROTOCOL, protocol),
    case("portmap: protocol", PROTOCOL, protocol),
    case("ptp: protocol", PROTOCOL, protocol),
    case("sbr: protocol", PROTOCOL, protocol),
    case("static: protocol", PROTOCOL, protocol),
    case("tap: protocol", PROTOCOL, protocol),
    case("tuning: protocol", PROTOCOL, protocol),
    case("vlan: protocol", PROTOCOL, protocol),
    case("vrf: protocol", PROTOCOL, protocol),
    case("bridge: version 0.1.0", &[], |s| version(s, "0.1.0")),
    case("bridge: version 0.2.0", &[], |s| version(s, "0.2.0")),
    case("bridge: version 0.3.0", &[], |s| version(s, "0.3.0")),
    case("bridge: version 0.3.1", &[], |s| version(s, "0.3.1")),
    case("bridge: version 0.4.0", &[], |s| version(s, "0.4.0")),
    case("bridge: version 1.0.0", &[], |s| version(s, "1.0.0")),
    case("bridge: no version", &[], |s| version(s, "")),
];

/// A life in an older version.
fn version(s: &mut Side, version: &str) {
    let ipam = s.world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
    let mut conf = json!({ "type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam });
    if let Some(conf) = conf.as_object_mut() {
        conf.insert("cniVersion".to_owned(), json!(version));
    }
    let mut pod = s.pod(conf);
    s.life(&mut pod);
}

fn protocol(s: &mut Side) {
    let pod = s.pod(json!({ "type": s.plugin() }));
    let conf = json!({ "cniVersion": "1.1.0", "name": "pods", "type": s.plugin() });
    let ended = |output: wharfinger_suite::Output| {
        let error = serde_json::from_str::<Value>(&output.stdout).ok();
        let code = error.as_ref().and_then(|error| error.get("code").cloned());
        json!({ "status": output.status, "code": code })
    };
    let mut told = Vec::new();
    {
        let call = |verb: &str, conf: &Value| s.world.call(verb, conf).of(&pod.container);
        let with = |more: Value| {
            let mut conf = conf.clone();
            wharfinger_suite::merge(&mut conf, &more);
            conf
        };
        let version = call("VERSION", &conf).run();
        let stated: Value = serde_json::from_str(&version.stdout).expect("JSON");
        told.push(("VERSION", json!({ "stdout": version.stdout, "is": stated })));
        let about = call("VERSION", &conf).stdin("").about();
        told.push(("no command", json!({ "stderr": about.stderr, "status": about.status })));
        let calls = [
            ("no container id", call("ADD", &conf).without("CNI_CONTAINERID")),
            ("no namespace", call("ADD", &conf).without("CNI_NETNS")),
            ("no interface", call("DEL", &conf).without("CNI_IFNAME")),
            ("no path", call("DEL", &conf).without("CNI_PATH")),
            ("a bad container id", call("ADD", &conf).env("CNI_CONTAINERID", "../x")),
            ("a bad interface", call("ADD", &conf).env("CNI_IFNAME", "a/b")),
            ("a long interface", call("ADD", &conf).env("CNI_IFNAME", "sixteen-letters-")),
            ("a verb of nobody", call("PAUSE", &conf)),
            ("a verb in small letters", call("add", &conf)),
            ("no JSON", call("ADD", &conf).stdin("{")),
            ("nothing", call("ADD", &conf).stdin("")),
            ("a list", call("ADD", &conf).stdin("[]")),
            ("no name", call("ADD", &with(json!({ "name": null })))),
            ("a bad name", call("ADD", &with(json!({ "name": "a b" })))),
            ("a version of nobody", call("ADD", &with(json!({ "cniVersion": "9.9.9" })))),
            ("an old CHECK", call("CHECK", &with(json!({ "cniVersion": "0.3.1" })))),
            ("an old STATUS", call("STATUS", &with(json!({ "cniVersion": "1.0.0" })))),
            ("an old GC", call("GC", &with(json!({ "cniVersion": "1.0.0" })))),
            ("GC", call("GC", &with(json!({ "cni.dev/valid-attachments": [] })))),
        ];
        for (what, call) in calls {
            told.push((what, ended(call.run())));
        }
    }
    for (what, value) in told {
        s.tell(what, value);
    }
}
