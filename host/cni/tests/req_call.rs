//! Requirements of the specification on how a plugin is called (cni-spec.md, sections 1, 4, 5),
//! by number.
mod common;

use common::{Answer, Call, NETNS, OWN_NETNS, Recorder, conf, conf_with_prev, paths};
use serde_json::{Value, json};
use wharfinger_cni::{CniError, NetConf, Version, code};

const ATTACHMENT_VERBS: [&str; 3] = ["ADD", "DEL", "CHECK"];
const VERBS_WITH_CONF: [&str; 5] = ["ADD", "DEL", "CHECK", "STATUS", "GC"];

#[test]
fn req_01_parameters_from_the_environment_configuration_from_stdin() {
    let call = Call::new("ADD")
        .var("CNI_ARGS", "IgnoreUnknown=1;IP=10.0.0.9")
        .var("CNI_PATH", "/opt/cni/bin:/usr/lib/cni")
        .conf(&json!({ "cniVersion": "1.0.0", "name": "pods", "type": "test", "mtu": 1400 }))
        .seen();
    assert_eq!(call.id.to_string(), "pods/c1/eth0");
    assert_eq!(call.netns.unwrap().to_str(), Some(NETNS));
    assert_eq!(call.args[1], ("IP".to_owned(), "10.0.0.9".to_owned()));
    assert_eq!(call.path, paths(&["/opt/cni/bin", "/usr/lib/cni"]));
    assert_eq!((call.conf.version, call.conf.plugin_type.as_str()), (Version::V1_0_0, "test"));
    assert_eq!(call.conf.raw["mtu"], 1400);
}

#[test]
fn req_02_status_0_on_success_and_another_on_failure() {
    for verb in VERBS_WITH_CONF {
        assert_eq!(Call::new(verb).run(&Recorder::default()).status, 0, "{verb}");
        let error = CniError::new(code::TRY_AGAIN, "later");
        let plugin = Recorder::answering(Answer::Fails(error));
        assert_ne!(Call::new(verb).run(&plugin).status, 0, "{verb}");
    }
}

#[test]
fn req_03_a_failure_is_one_error_object_on_stdout() {
    for verb in VERBS_WITH_CONF {
        let error = CniError::new(code::TRY_AGAIN, "two\n  lines").with_details("why");
        let out = Call::new(verb).run(&Recorder::answering(Answer::Fails(error)));
        let error = out.error();
        assert_eq!((error.code, error.msg.as_str()), (11, "two lines"), "{verb}");
        assert_eq!((error.version.as_str(), error.details.as_str()), ("1.1.0", "why"));
    }
}

#[test]
fn req_04_only_the_result_is_on_stdout_and_notes_are_on_stderr() {
    let out = Call::new("ADD").run(&Recorder::default());
    assert_eq!(out.object()["cniVersion"], "1.1.0");
    assert_eq!(out.stderr, "");
    let out = Call::new("DEL").var("CNI_NETNS", OWN_NETNS).run(&Recorder::default());
    out.assert_silent();
    assert!(out.stderr.contains("our own namespace"), "{}", out.stderr);
}

#[test]
fn req_05_every_verb_is_known_and_only_those() {
    for verb in VERBS_WITH_CONF {
        let plugin = Recorder::default();
        Call::new(verb).run(&plugin);
        assert_eq!(plugin.asked(), [verb]);
    }
    assert!(
        Call::new("VERSION").run(&Recorder::default()).object()["supportedVersions"].is_array()
    );
    for verb in ["add", "UPDATE", "ADD ", "INIT"] {
        let error = Call::new(verb).refused();
        assert_eq!(error.code, 4, "{verb}");
        assert!(error.msg.contains("CNI_COMMAND"), "{}", error.msg);
    }
}

#[test]
fn req_08_69_an_unsupported_version_is_error_1_before_anything_on_every_verb() {
    for verb in VERBS_WITH_CONF {
        for version in ["0.5.0", "1.2.0", "1.1", "nonsense", "1.1.0 "] {
            let error = Call::new(verb).conf(&conf_with_prev(version)).refused();
            assert_eq!(error.code, 1, "{verb} {version}");
            assert!(error.msg.contains(version) && error.msg.contains("0.1.0, 0.2.0, 0.3.0"));
            let details: Value = serde_json::from_str(&error.details).unwrap();
            assert_eq!(details["cniVersion"], version);
            assert_eq!(details["supportedVersions"].as_array().unwrap().len(), 7);
        }
    }
}

#[test]
fn req_08_a_plugin_may_speak_fewer_versions() {
    let plugin =
        Recorder { versions: Some(vec![Version::V0_4_0, Version::V1_0_0]), ..Recorder::default() };
    for version in ["0.3.1", "1.1.0"] {
        assert_eq!(Call::new("ADD").conf(&conf(version)).run(&plugin).error().code, 1);
    }
    assert_eq!(Call::new("ADD").conf(&conf("0.4.0")).run(&plugin).status, 0);
}

#[test]
fn req_09_no_version_is_the_oldest() {
    for version in [json!(null), json!("")] {
        let call = Call::new("DEL").conf(&json!({ "cniVersion": version, "name": "pods" }));
        assert_eq!(call.seen().conf.version, Version::V0_1_0);
    }
    let call = Call::new("DEL").conf(&json!({ "name": "pods" }));
    assert_eq!(call.seen().conf.version, Version::V0_1_0);
}

#[test]
fn req_10_a_network_name_must_be_well_formed() {
    for name in ["", "-a", ".a", "_a", "a/b", "a b", "a\u{e9}", "..", "a\n"] {
        for verb in VERBS_WITH_CONF {
            let conf = json!({ "cniVersion": "1.1.0", "name": name });
            assert_eq!(Call::new(verb).conf(&conf).refused().code, 7, "{verb} {name:?}");
        }
    }
    assert_eq!(Call::new("ADD").conf(&json!({ "cniVersion": "1.1.0" })).refused().code, 7);
    let error = Call::new("ADD").conf(&json!({ "name": "a/b" })).refused();
    assert!(error.details.contains("a/b"), "{}", error.details);
    for name in ["a", "0", "a.b_c-D"] {
        let conf = json!({ "cniVersion": "1.1.0", "name": name });
        assert_eq!(Call::new("ADD").conf(&conf).seen().id.network, name);
    }
}

#[test]
fn req_11_a_container_id_must_be_well_formed() {
    for id in ["-a", ".a", "a/b", "a b", "\u{e9}", ".."] {
        for verb in ATTACHMENT_VERBS {
            let error = Call::new(verb).var("CNI_CONTAINERID", id).refused();
            assert_eq!(error.code, 4, "{verb} {id}");
            assert!(error.msg.contains("CNI_CONTAINERID") && error.msg.contains(id));
        }
    }
    assert_eq!(
        Call::new("ADD").var("CNI_CONTAINERID", "default-x.1_").seen().id.container,
        "default-x.1_"
    );
}

#[test]
fn req_12_an_interface_name_must_be_usable() {
    for name in ["a23456789012345x", ".", "..", "a/b", "a:b", "a b", "a\t", "a\u{a0}b"] {
        for verb in ATTACHMENT_VERBS {
            let error = Call::new(verb).var("CNI_IFNAME", name).refused();
            assert_eq!(error.code, 4, "{verb} {name:?}");
            assert!(error.msg.contains("CNI_IFNAME"), "{}", error.msg);
        }
    }
    for name in ["a", "a23456789012345", "eth0.100", "...", "-"] {
        assert_eq!(Call::new("ADD").var("CNI_IFNAME", name).seen().id.ifname, name);
    }
}

#[test]
fn req_13_error_4_names_every_variable_that_is_missing_or_wrong() {
    let error = Call::new("ADD")
        .unset("CNI_CONTAINERID")
        .var("CNI_NETNS", "")
        .var("CNI_IFNAME", "a/b")
        .var("CNI_ARGS", "x")
        .refused();
    assert_eq!(error.code, 4);
    let details: Value = serde_json::from_str(&error.details).unwrap();
    assert_eq!(details["missing"], json!(["CNI_CONTAINERID", "CNI_NETNS"]));
    assert_eq!(details["wrong"], json!(["CNI_IFNAME", "CNI_ARGS"]));
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"] {
        assert!(error.msg.contains(name), "{}", error.msg);
    }
}

#[test]
fn req_13_each_verb_needs_its_own_variables_and_no_more() {
    let needed: [(&str, &[&str]); 5] = [
        ("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
        ("CHECK", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
        ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"]),
        ("STATUS", &[]),
        ("GC", &["CNI_PATH"]),
    ];
    let names = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"];
    for (verb, needed) in needed {
        for name in names {
            for call in [Call::new(verb).unset(name), Call::new(verb).var(name, "")] {
                let out = call.run(&Recorder::default());
                assert_eq!(out.status != 0, needed.contains(&name), "{verb} without {name}");
                if out.status != 0 {
                    let error = out.error();
                    assert!(error.code == 4 && error.msg.contains(name), "{error:?}");
                }
            }
        }
    }
}

#[test]
fn req_15_unknown_fields_pass() {
    let mut conf = conf("1.1.0");
    conf["capabilities"] = json!({ "portMappings": true });
    conf["cni.dev/attachments"] = json!([]);
    conf["cni.dev/something"] = json!(1);
    conf["args"] = json!({ "cni": { "labels": [] }, "org.example": 1 });
    conf["ourOwnFuture"] = json!({});
    assert_eq!(Value::Object(Call::new("ADD").conf(&conf).seen().conf.raw), conf);
}

#[test]
fn req_16_required_fields_are_required() {
    assert_eq!(Call::new("ADD").conf(&json!({ "type": "test" })).refused().code, 7);
    let entries = json!([{ "containerID": "c1" }]);
    let conf = json!({ "cniVersion": "1.1.0", "name": "n", "cni.dev/valid-attachments": entries });
    assert_eq!(Call::new("GC").conf(&conf).refused().code, 7);
}

#[test]
fn req_17_an_attachments_key_has_network_container_and_interface() {
    let id = Call::new("DEL").seen().id;
    assert_eq!(
        (id.network.as_str(), id.container.as_str(), id.ifname.as_str()),
        ("pods", "c1", "eth0")
    );
}

#[test]
fn req_18_fields_of_a_later_minor_are_tolerated() {
    let mut conf = conf("1.1.0");
    conf["prevResult"] = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{ "name": "eth0", "speed": 10 }],
        "later": {},
    });
    let prev = Call::new("ADD").conf(&conf).seen().prev_result.unwrap();
    assert_eq!(prev.interfaces[0].name, "eth0");
}

#[test]
fn req_18a_our_own_namespace_is_refused_before_the_work() {
    for verb in ["ADD", "CHECK"] {
        let error = Call::new(verb).var("CNI_NETNS", OWN_NETNS).refused();
        assert_eq!(error.code, 8, "{verb}");
        assert!(error.msg.contains(OWN_NETNS), "{}", error.msg);
    }
    for yes in ["1", "true", "TRUE"] {
        let call = Call::new("ADD").var("CNI_NETNS", OWN_NETNS).var("CNI_NETNS_OVERRIDE", yes);
        let seen = call.seen();
        assert!(seen.netns_override && seen.netns.is_some());
    }
    let call = Call::new("ADD").var("CNI_NETNS", OWN_NETNS).var("CNI_NETNS_OVERRIDE", "0");
    assert_eq!(call.refused().code, 8);
}

#[test]
fn req_18a_a_del_in_our_own_namespace_goes_on_without_one() {
    assert_eq!(Call::new("DEL").var("CNI_NETNS", OWN_NETNS).seen().netns, None);
    let call = Call::new("DEL").var("CNI_NETNS", OWN_NETNS).var("CNI_NETNS_OVERRIDE", "1");
    assert!(call.seen().netns.is_some());
}

#[test]
fn faults_are_reported_in_the_references_order() {
    let everything_wrong = json!({ "cniVersion": "9", "name": "a/b", "prevResult": 1 });
    let mut call = Call::new("CHECK").conf(&everything_wrong);
    call = call.var("CNI_NETNS", OWN_NETNS).unset("CNI_IFNAME").stdin("{");
    assert_eq!(call.refused().code, 4);
    call = call.var("CNI_IFNAME", "eth0");
    assert_eq!(call.refused().code, 6);
    call = call.conf(&everything_wrong);
    assert_eq!(call.refused().code, 7);
    call = call.conf(&json!({ "cniVersion": "9", "name": "a", "prevResult": 1 }));
    assert_eq!(call.refused().code, 1);
    call = call.conf(&json!({ "cniVersion": "0.4.0", "name": "a", "prevResult": 1 }));
    assert_eq!(call.refused().code, 8);
    call = call.var("CNI_NETNS", NETNS);
    assert_eq!(call.refused().code, 6);
}

#[test]
fn what_cannot_be_decoded_is_error_6() {
    for stdin in ["", " \n", "{", "[]", "null", "7", "{} {}", "\u{feff}{}", "{\"name\":1}"] {
        assert_eq!(Call::new("ADD").stdin(stdin).refused().code, 6, "{stdin:?}");
    }
    assert_eq!(Call::new("ADD").stdin(b"{\"name\":\"a\xff\"}".to_vec()).refused().code, 6);
    assert_eq!(Call::new("ADD").stdin("[".repeat(100_000)).refused().code, 6);
    let conf = json!({ "name": "a", "cniVersion": 1 });
    assert_eq!(Call::new("ADD").conf(&conf).refused().code, 6);
}

#[test]
fn a_long_configuration_is_read_whole() {
    let mut conf = conf("1.1.0");
    conf["rules"] = json!(vec!["x".repeat(1000); 2000]);
    assert_eq!(Call::new("ADD").conf(&conf).seen().conf.raw["rules"][1999], "x".repeat(1000));
}

#[test]
fn a_plugin_type_is_a_files_name() {
    for plugin_type in ["a/b", "a\\b", "/bin/sh"] {
        assert!(
            NetConf::parse(
                json!({ "name": "a", "type": plugin_type }).to_string().as_bytes(),
                &Version::ALL
            )
            .is_err()
        );
    }
}

#[test]
fn req_64_the_configuration_is_kept_whole_for_the_delegates() {
    let conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "test", "args": { "cni": {} },
        "ipam": { "type": "host-local", "x": [1, 2.5, null] }, "runtimeConfig": { "ips": [] },
        "prevResult": { "cniVersion": "1.1.0", "later": 1 }, "cni.dev/valid-attachments": [],
    });
    for verb in ATTACHMENT_VERBS {
        assert_eq!(Value::Object(Call::new(verb).conf(&conf).seen().conf.raw), conf, "{verb}");
    }
    let plugin = Recorder::default();
    Call::new("GC").conf(&conf).run(&plugin);
    assert_eq!(Value::Object(plugin.node.take().unwrap().conf.raw), conf);
}
