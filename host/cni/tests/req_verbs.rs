//! Requirements of the specification on each verb (cni-spec.md, sections 2, 3 and 12), by number.
mod common;

use common::{Answer, Call, NETNS, Recorder, conf, conf_with_prev, dual_stack};
use serde_json::{Value, json};
use wharfinger_cni::{CniError, Success, ValidAttachment, Version, code};

fn adding(result: Success) -> Recorder {
    Recorder { result, ..Recorder::default() }
}

#[test]
fn req_20_the_result_has_the_configurations_version() {
    for version in Version::ALL {
        let out = Call::new("ADD").conf(&conf(version.as_str())).run(&adding(dual_stack()));
        assert_eq!((out.status, &out.object()["cniVersion"]), (0, &json!(version.as_str())));
    }
}

#[test]
fn req_21_a_previous_result_passes_through_whole() {
    let prev = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            { "name": "tap0", "mac": "02:00:00:00:00:01", "mtu": 1500, "sandbox": NETNS,
              "socketPath": "/run/s", "pciID": "0000:00:1f.6" },
            { "name": "other" },
        ],
        "ips": [
            { "interface": 0, "address": "10.1.0.5/16", "gateway": "10.1.0.1" },
            { "address": "fd00::5/64" },
        ],
        "routes": [
            { "dst": "0.0.0.0/0", "gw": "10.1.0.1", "mtu": 1400, "advmss": 1300,
              "priority": 5, "table": 0, "scope": 0 },
        ],
        "dns": { "nameservers": ["10.1.0.53"], "domain": "d", "search": ["s"], "options": ["o"] },
    });
    let mut conf = conf("1.1.0");
    conf["prevResult"] = prev.clone();
    let call = Call::new("ADD").conf(&conf);
    let passed = call.seen().prev_result.unwrap();
    assert_eq!(call.run(&adding(passed)).object(), prev);
}

#[test]
fn req_21_a_previous_result_that_cannot_be_read_is_an_error() {
    for prev in [json!(1), json!({ "ips": [{ "address": "x" }] }), json!({ "interfaces": {} })] {
        let mut conf = conf("1.1.0");
        conf["prevResult"] = prev;
        for verb in ["ADD", "CHECK"] {
            let error = Call::new(verb).conf(&conf).refused();
            assert_eq!(error.code, 6, "{verb}");
            assert!(error.msg.contains("prevResult of network pods"), "{}", error.msg);
            assert!(error.details.contains("/prevResult"), "{}", error.details);
        }
        conf["prevResult"] = json!({ "cniVersion": "7.0.0" });
        assert_eq!(Call::new("ADD").conf(&conf).refused().code, 1);
    }
}

#[test]
fn req_26_a_result_that_the_version_cannot_say_is_to_be_undone() {
    for version in ["0.1.0", "0.2.0"] {
        let plugin = Recorder::default();
        let out = Call::new("ADD").conf(&conf(version)).run(&plugin);
        let error = out.error();
        assert_eq!((error.code, error.version.as_str()), (1, version));
        assert_eq!(plugin.delivered.take(), [false]);
    }
}

#[test]
fn req_26_the_plugin_learns_once_whether_its_result_was_written() {
    let plugin = Recorder::default();
    Call::new("ADD").run(&plugin);
    assert_eq!(plugin.delivered.take(), [true]);
    for verb in ["DEL", "CHECK", "STATUS", "GC", "VERSION"] {
        Call::new(verb).run(&plugin);
    }
    let failing = Recorder::answering(Answer::Fails(CniError::new(code::KERNEL, "no")));
    Call::new("ADD").run(&failing);
    assert_eq!((plugin.delivered.take(), failing.delivered.take()), (vec![], vec![]));
}

#[test]
fn req_31_success_of_add_is_status_0_and_a_json_object() {
    for result in [Success::default(), dual_stack()] {
        let out = Call::new("ADD").run(&adding(result));
        assert_eq!(out.status, 0);
        assert!(out.object().is_object());
    }
}

#[test]
fn req_34_a_del_goes_on_without_namespace_and_prev_result() {
    for netns in ["", "/run/netns/gone"] {
        let seen = Call::new("DEL").var("CNI_NETNS", netns).seen();
        assert_eq!(seen.netns.is_none(), netns.is_empty());
    }
    assert_eq!(Call::new("DEL").unset("CNI_NETNS").seen().netns, None);
    let prevs = [
        json!(null),
        json!({}),
        json!(1),
        json!({ "cniVersion": "7.0.0" }),
        json!({ "ips": [{ "address": "x" }] }),
    ];
    for prev in prevs {
        let mut conf = conf("1.1.0");
        conf["prevResult"] = prev.clone();
        let seen = Call::new("DEL").conf(&conf).seen();
        assert_eq!(seen.prev_result.is_some(), prev == json!({}), "{prev}");
    }
    assert_eq!(Call::new("DEL").conf(&conf("1.1.0")).seen().prev_result, None);
}

#[test]
fn req_34_a_del_goes_on_with_malformed_arguments() {
    let seen = Call::new("DEL").var("CNI_ARGS", "A;B=1;C=2=3;").seen();
    assert_eq!(seen.args, [("B".to_owned(), "1".to_owned())]);
}

#[test]
fn req_36_what_a_prev_result_says_arrives_in_the_newest_shape() {
    for version in Version::ALL {
        let mut conf = conf(version.as_str());
        let prev = dual_stack().render(version).unwrap();
        for label in [json!(null), json!(version.as_str())] {
            conf["prevResult"] = prev.clone();
            conf["prevResult"]["cniVersion"] = label;
            let seen = Call::new("DEL").conf(&conf).seen().prev_result.unwrap();
            assert_eq!(seen.ips[1].address.to_string(), "fd00::5/64", "{version}");
        }
    }
}

#[test]
fn req_38_48_49_58_success_without_result_is_silent() {
    for verb in ["DEL", "CHECK", "STATUS", "GC"] {
        Call::new(verb).run(&Recorder::default()).assert_silent();
    }
}

#[test]
fn req_40_check_came_with_0_4_0() {
    for version in Version::ALL {
        let out =
            Call::new("CHECK").conf(&conf_with_prev(version.as_str())).run(&Recorder::default());
        if version < Version::V0_4_0 {
            let error = out.error();
            assert_eq!((error.code, error.version.as_str()), (1, version.as_str()));
            assert!(error.msg.contains("CHECK") && error.msg.contains("0.4.0"), "{}", error.msg);
        } else {
            out.assert_silent();
        }
    }
}

#[test]
fn req_41_check_without_prev_result_is_error_7() {
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        assert_eq!(Call::new("CHECK").conf(&conf(version)).refused().code, 7);
    }
    assert_eq!(Call::new("CHECK").seen().prev_result, Some(Success::default()));
}

#[test]
fn req_49_54_status_and_gc_came_with_1_1_0() {
    for verb in ["STATUS", "GC"] {
        for version in Version::ALL {
            let out = Call::new(verb).conf(&conf(version.as_str())).run(&Recorder::default());
            if version < Version::V1_1_0 {
                assert_eq!(out.error().code, 1, "{verb} {version}");
            } else {
                out.assert_silent();
            }
        }
    }
}

#[test]
fn req_49_a_bad_status_says_why_on_stdout() {
    for code in [code::NOT_AVAILABLE, code::LIMITED_CONNECTIVITY] {
        let plugin = Recorder::answering(Answer::Fails(CniError::new(code, "full")));
        let error = Call::new("STATUS").run(&plugin).error();
        assert_eq!((error.code, error.msg.as_str()), (u64::from(code), "full"));
    }
}

#[test]
fn req_53_status_needs_nothing_but_a_configuration() {
    let plugin = Recorder::default();
    let call = Call::new("STATUS").unset("CNI_PATH").conf(&conf("1.1.0"));
    call.var("CNI_CONTAINERID", "").var("CNI_NETNS", "").run(&plugin).assert_silent();
    assert_eq!(plugin.node.take().unwrap().conf.name, "pods");
}

fn gc(keys: &[(&str, Value)]) -> (u8, Option<Vec<ValidAttachment>>) {
    let mut conf = conf("1.1.0");
    for (key, value) in keys {
        conf[*key] = value.clone();
    }
    let plugin = Recorder::default();
    let status = Call::new("GC").conf(&conf).run(&plugin).status;
    (status, plugin.valid.take())
}

fn entry(container: &str) -> Value {
    json!({ "containerID": container, "ifname": "eth0" })
}

#[test]
fn req_59_the_list_of_gc_comes_under_two_names() {
    let list = |container: &str| {
        let container = container.to_owned();
        (0, Some(vec![ValidAttachment { container, ifname: "eth0".to_owned() }]))
    };
    let (new, old) = ("cni.dev/valid-attachments", "cni.dev/attachments");
    assert_eq!(gc(&[(new, json!([entry("a")]))]), list("a"));
    assert_eq!(gc(&[(old, json!([entry("b")]))]), list("b"));
    assert_eq!(gc(&[(old, json!([entry("b")])), (new, json!([entry("a")]))]), list("a"));
    assert_eq!(gc(&[(new, json!(null)), (old, json!([entry("b")]))]), list("b"));
    let folded = json!([{ "ContainerID": "a", "IfName": "eth0", "later": 1 }]);
    assert_eq!(gc(&[(new, folded)]), list("a"));
}

#[test]
fn req_59_no_list_is_an_empty_one() {
    let none = (0, Some(vec![]));
    let (new, old) = ("cni.dev/valid-attachments", "cni.dev/attachments");
    assert_eq!(gc(&[]), none);
    assert_eq!(gc(&[(new, json!(null)), (old, json!(null))]), none);
    assert_eq!(gc(&[(new, json!([]))]), none);
    assert_eq!(gc(&[(new, json!([])), (old, json!([entry("b")]))]), none);
}

#[test]
fn req_59_a_list_that_cannot_be_read_removes_nothing() {
    let lists = [
        json!({}),
        json!("all"),
        json!([1]),
        json!([null]),
        json!([{}]),
        json!([{ "containerID": "a" }]),
        json!([{ "containerID": "", "ifname": "eth0" }]),
        json!([entry("a"), { "containerID": 1, "ifname": "eth0" }]),
    ];
    for list in lists {
        assert_eq!(gc(&[("cni.dev/valid-attachments", list.clone())]), (1, None), "{list}");
    }
}

#[test]
fn req_60_version_needs_no_configuration() {
    let expected = json!({
        "cniVersion": "1.1.0",
        "supportedVersions": ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    });
    for stdin in ["", "{", "{\"cniVersion\":\"0.1.0\"}", "\u{0}"] {
        let mut call = Call::new("VERSION").stdin(stdin);
        for name in ["CNI_NETNS", "CNI_IFNAME", "CNI_PATH"] {
            call = call.var(name, "dummy");
        }
        let out = call.run(&Recorder::default());
        assert_eq!((out.status, out.object()), (0, expected.clone()));
    }
}

#[test]
fn req_61_version_is_truthful() {
    let versions = vec![Version::V0_4_0, Version::V1_0_0];
    let plugin = Recorder { versions: Some(versions), ..Recorder::default() };
    let said = Call::new("VERSION").run(&plugin).object();
    assert_eq!(said, json!({ "cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"] }));
    for version in Version::ALL {
        let taken = Call::new("ADD").conf(&conf(version.as_str())).run(&adding(dual_stack()));
        assert_eq!(taken.status, 0);
        let taken = Call::new("ADD").conf(&conf(version.as_str())).run(&plugin).status == 0;
        let said = said["supportedVersions"].as_array().unwrap().contains(&json!(version.as_str()));
        assert_eq!(said, taken, "{version}");
    }
}

#[test]
fn req_67_a_delegates_result_is_abbreviated_and_of_the_same_version() {
    let lease = json!({ "ips": [{ "address": "10.1.0.5/16", "gateway": "10.1.0.1" }] });
    let plugin = adding(Success::parse(Version::V1_1_0, &lease).unwrap());
    for version in Version::ALL {
        let said = Call::new("ADD").conf(&conf(version.as_str())).run(&plugin).object();
        assert_eq!(said["cniVersion"], version.as_str());
        assert!(said.get("interfaces").is_none(), "{said}");
        assert!(said["ips"][0].get("interface").is_none(), "{said}");
    }
}

#[test]
fn trap_12_9_without_a_command_it_says_on_stderr_what_it_is() {
    for call in [Call::new("ADD").unset("CNI_COMMAND"), Call::new("")] {
        let out = call.run(&Recorder::default());
        out.assert_silent();
        assert_eq!(
            out.stderr,
            "CNI firewall plugin v1.2.3\nCNI protocol versions supported: \
             0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
        );
    }
}

#[test]
fn trap_12_13_results_are_read_leniently() {
    let texts = [
        (r#"{"ips":[{"address":"127.0.0.1/8"}],"dns":{}}"#, "0.3.1"),
        (
            r#"{"IPs":[{"Version":"4","Address":"127.0.0.1/8","gateway":"","interface":null}]}"#,
            "1.0.0",
        ),
        (r#"{"cniVersion":"","ips":[{"address":"::ffff:127.0.0.1/104"}],"routes":null}"#, "0.4.0"),
        (r#"{"cniVersion":"0.2.0","ip4":{"ip":"127.0.0.1/8"},"ip6":null}"#, "1.1.0"),
        (r#"{"ip4":{"ip":"127.0.0.1/8"}}"#, "0.1.0"),
    ];
    for (text, version) in texts {
        let value = serde_json::from_str(text).unwrap();
        let read = Success::parse(version.parse().unwrap(), &value).unwrap();
        assert_eq!(read.ips[0].address.to_string(), "127.0.0.1/8", "{text}");
        assert_eq!((read.ips[0].interface, read.ips[0].gateway), (None, None));
        assert!(read.dns.is_empty());
    }
}
