use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::{AttachmentId, Version};

fn call(args: &str, conf: Value) -> Attach {
    let Value::Object(raw) = conf else { panic!("an object") };
    Attach {
        id: AttachmentId { network: "n".into(), container: "c".into(), ifname: "eth0".into() },
        netns: Some(PathBuf::from("/run/netns/x")),
        args: parse_args(args).unwrap(),
        path: Vec::new(),
        netns_override: false,
        conf: NetConf {
            version: Version::V1_1_0,
            name: "n".into(),
            plugin_type: String::new(),
            called: String::new(),
            raw,
        },
        prev_result: None,
    }
}

#[test]
fn pairs_have_one_equals_sign_each() {
    assert_eq!(parse_args("").unwrap(), []);
    assert_eq!(
        parse_args("A=1;B=").unwrap(),
        [("A".to_owned(), "1".to_owned()), ("B".to_owned(), String::new())]
    );
    for bad in ["A", "A=1;", "A=1=2;IgnoreUnknown=1", ";"] {
        assert!(parse_args(bad).is_err(), "{bad}");
    }
    assert_eq!(parse_args_leniently("A=1;;B;C=2=3"), [("A".to_owned(), "1".to_owned())]);
}

#[test]
fn unknown_keys_are_an_error_unless_ignored() {
    let refused = |text: &str| refuse_unknown_args(&parse_args(text).unwrap(), &["IP"]).is_err();
    assert!(!refused("IP=10.0.0.1"));
    assert!(refused("ip=10.0.0.1"), "keys are case-sensitive");
    assert!(refused("IgnoreUnknown=0;X=1"));
    assert!(refused("IgnoreUnknown=maybe"));
    for yes in ["1", "true", "TRUE", "True"] {
        assert!(!refused(&format!("X=1;IgnoreUnknown={yes}")), "{yes}");
    }
    let error = refuse_unknown_args(&parse_args("X=1;Y=2").unwrap(), &["IP"]).unwrap_err();
    assert_eq!(error.found, "the unknown keys X, Y");
}

#[test]
fn addresses_come_by_three_routes_and_each_counts_once() {
    let conf = json!({
        "args": {"cni": {"ips": ["10.0.0.2", "10.0.0.1/24"]}},
        "RuntimeConfig": {"IPs": ["10.0.0.2/24", "fd00::5/64", "10.0.0.3"]},
    });
    let call = call("IP=10.0.0.1, 10.0.0.9", conf);
    let found: Vec<String> = wanted(&call).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(found, ["10.0.0.1/24", "10.0.0.9", "10.0.0.2/24", "fd00::5/64", "10.0.0.3"]);
    assert_eq!(wanted_ips(&call).unwrap().len(), 5);
}

#[test]
fn a_malformed_request_is_an_error_on_every_route() {
    let routes = [
        ("IP=10.0.0", json!({}), "CNI_ARGS IP"),
        ("", json!({"args": {"cni": {"ips": ["x"]}}}), "/args/cni/ips/0"),
        ("", json!({"runtimeConfig": {"ips": "10.0.0.1"}}), "/runtimeConfig/ips"),
    ];
    for (args, conf, pointer) in routes {
        assert_eq!(wanted(&call(args, conf)).unwrap_err().pointer, pointer);
    }
}

#[test]
fn args_of_another_shape_are_ignored() {
    for conf in [json!({"args": []}), json!({"args": {"cni": 1}}), json!({"args": {"other": 1}})] {
        assert_eq!(wanted(&call("", conf)).unwrap(), []);
    }
}

#[test]
fn the_mac_has_the_bridges_precedence() {
    let low = "MAC=02:00:00:00:00:01";
    let middle = json!({"args": {"cni": {"mac": "02-00-00-00-00-02"}}});
    let mut high = middle.clone();
    high["runtimeConfig"] = json!({"Mac": "0200.0000.000A"});
    let mac = |args, conf| wanted_mac(&call(args, conf)).unwrap();
    assert_eq!(mac("", json!({})), None);
    assert_eq!(mac(low, json!({})).unwrap(), "02:00:00:00:00:01");
    assert_eq!(mac(low, middle).unwrap(), "02:00:00:00:00:02");
    assert_eq!(mac(low, high).unwrap(), "02:00:00:00:00:0a");
    assert_eq!(mac("", json!({"runtimeConfig": {"mac": ""}})), None);
    for bad in ["01:00:00:00:00:01", "00:00:00:00:00:00", "02:00:00:00:01", "2:0:0:0:0:1", "x"] {
        let error = wanted_mac(&call("", json!({"runtimeConfig": {"mac": bad}}))).unwrap_err();
        assert_eq!(error.pointer, "/runtimeConfig/mac", "{bad}");
        assert!(wanted_mac(&call(&format!("MAC={bad}"), json!({}))).is_err(), "{bad}");
    }
}

#[test]
fn a_pod_is_a_namespace_and_a_name() {
    let args = parse_args("K8S_POD_NAME=p;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_UID=u");
    let found = pod(&args.unwrap()).unwrap();
    assert_eq!((found.namespace.as_str(), found.name.as_str()), ("ns", "p"));
    assert_eq!(found.uid.as_deref(), Some("u"));
    assert_eq!(found.infra_container, None);
    assert_eq!(pod(&parse_args("K8S_POD_NAME=podmans").unwrap()), None);
}

#[test]
fn strings_of_args_cni_follow_cni_args() {
    let call = call("A=1", json!({"args": {"cni": {"A": "2", "ips": ["10.0.0.1"], "n": 3}}}));
    let expected = [("A", "1"), ("A", "2")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(arg_strings(&call), expected);
}
