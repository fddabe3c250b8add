//! What the cluster's API says of the pod: looked at where a rule asks for it, once, and last.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use rules::config::parse;
use rules::decide::Verdict;
use rules::facts::Known;
use serde_json::{Value, json};
use support::{Add, add, reason};

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A pod that the API knows.
fn known() -> Add {
    let mut it = add(json!({}));
    it.api.says = Ok(Known {
        labels: pairs(&[("app", "web"), ("tier", ""), ("example.com/zone", "a-1")]),
        annotations: pairs(&[("example.com/rate", "10M")]),
        namespace_labels: pairs(&[("kubernetes.io/metadata.name", "team-a"), ("env", "prod")]),
        namespace_annotations: pairs(&[("example.com/owner", "ops")]),
    });
    it
}

fn denies(when: &Value) -> Value {
    json!({"rules": [{"match": when, "deny": "no: {found}"}]})
}

#[test]
fn labels_and_annotations_of_pod_and_namespace_are_matched() {
    for (when, found) in [
        (json!({"podLabels": {"app": "web"}}), Some("pod label app web")),
        (json!({"podLabels": {"app": ["db", "web"]}}), Some("pod label app web")),
        (json!({"podLabels": {"app": "db"}}), None),
        (json!({"podLabels": {"app": {"not": "db"}}}), Some("pod label app web")),
        // It is there, whatever it says.
        (json!({"podLabels": {"tier": "*"}}), Some("pod label tier ")),
        (json!({"podLabels": {"role": "*"}}), None),
        (json!({"not": {"podLabels": {"role": "*"}}}), Some("every attachment")),
        (json!({"podLabels": {"app": "web", "example.com/zone": "b-*"}}), None),
        // Of the pod alone.
        (json!({"podLabels": {"env": "prod"}}), None),
        (
            json!({"podAnnotations": {"example.com/rate": "*M"}}),
            Some("pod annotation example.com/rate 10M"),
        ),
        (json!({"namespaceLabels": {"env": ["prod", "stage"]}}), Some("namespace label env prod")),
        (json!({"namespaceLabels": {"app": "web"}}), None),
        (
            json!({"namespaceAnnotations": {"example.com/owner": "ops"}}),
            Some("namespace annotation example.com/owner ops"),
        ),
    ] {
        let verdict = known().admit(&denies(&when));
        match found {
            None => assert_eq!(verdict, Verdict::Allow, "{when}"),
            Some(found) => {
                assert_eq!(reason(verdict).trim_end(), format!("no: {found}").trim_end(), "{when}");
            }
        }
    }
}

#[test]
fn the_api_is_asked_once_and_only_where_all_else_holds() {
    let it = known();
    let config = json!({"rules": [
        {"match": {"podLabels": {"app": "web"}, "namespace": "team-b"}, "deny": "a"},
        {"match": {"namespaceLabels": {"env": "x"}, "hostPort": 80}, "deny": "b"},
    ]});
    assert_eq!(it.admit(&config), Verdict::Allow);
    assert_eq!(it.api.asked.get(), 0, "nothing else held");
    let config = json!({"rules": [
        {"match": {"podLabels": {"app": "x"}, "namespace": "team-a"}, "deny": "a"},
        {"match": {"namespaceLabels": {"env": "x"}}, "deny": "b"},
        {"match": {"podLabels": {"app": "web"}}, "set": {"mtu": 1400}},
    ]});
    assert!(matches!(it.admit(&config), Verdict::Amend(_)));
    assert_eq!(it.api.asked.get(), 1, "once a call");
}

#[test]
fn what_the_api_does_not_tell_is_denied_or_passed_over() {
    let mut it = known();
    it.api.says = Err("read pod: no answer within 2s".to_owned());
    for when in
        [json!({"podLabels": {"app": "web"}}), json!({"not": {"namespaceLabels": {"env": "prod"}}})]
    {
        let mut config = denies(&when);
        let said = reason(it.admit(&config));
        assert_eq!(
            said,
            "pod team-a/web-0 is not known to this policy: read pod: no answer within 2s, and \
             /rules/0 looks at it"
        );
        assert_eq!(reason(it.review(&config)), said);
        config["unknownPod"] = json!("deny");
        assert_eq!(reason(it.admit(&config)), said);
        config["unknownPod"] = json!("ignore");
        assert_eq!(it.admit(&config), Verdict::Allow, "{when}");
        assert_eq!(it.review(&config), Verdict::Allow, "{when}");
    }
    // Nothing else is passed over.
    let config = json!({"unknownPod": "ignore", "deny": [{"hostPortBelow": 1024}]});
    let mut odd = add(json!({"runtimeConfig": {"portMappings": [{"hostPort": "80"}]}}));
    odd.api.says = Err("away".to_owned());
    assert!(matches!(odd.admit(&config), Verdict::Deny(_)));
}

#[test]
fn what_is_no_pods_has_no_labels_and_nobody_is_asked() {
    let mut it = known();
    it.attachment.pod = None;
    assert_eq!(it.admit(&denies(&json!({"podLabels": {"app": "*"}}))), Verdict::Allow);
    let lacks = denies(&json!({"not": {"podLabels": {"app": "*"}}}));
    assert!(matches!(it.admit(&lacks), Verdict::Deny(_)));
    assert_eq!(it.api.asked.get(), 0);
}

#[test]
fn mistakes_are_named() {
    for (config, pointer) in [
        (json!({"unknownPod": "allow"}), "/unknownPod"),
        (json!({"deny": [{"podLabels": ["app"]}]}), "/deny/0/podLabels"),
        (json!({"deny": [{"podLabels": {"app": 7}}]}), "/deny/0/podLabels/app"),
        (json!({"deny": [{"podLabel": {"app": "x"}}]}), "/deny/0/podLabel"),
        (json!({"deny": [{"planned": {"podLabels": {"app": "x"}}}]}), "/deny/0/planned/podLabels"),
    ] {
        let problems = parse(&config.to_string()).unwrap_err();
        assert_eq!(problems[0].pointer, pointer, "{problems:?}");
    }
}
