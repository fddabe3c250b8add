//! What the cluster's API says of a pod: two reads of the API server, of the pod and of its
//! namespace, and nothing else of the API. Only labels and annotations go on to whoever asked.
//!
//! Which pod it is comes from the runtime's arguments, which a stranger may have written: they are
//! no part of a path before they were found to be names, and the uid must be the API's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use wharfinger_kube::Kube;
use wharfinger_wasm::{NoPod, ObjectMeta, Pod, PodFacts};

/// So long both reads take at most; and no more than a quarter of what the verb has left.
const MOST: Duration = Duration::from_secs(2);
/// Bytes of one object's labels and annotations.
const SIZE: usize = 512 << 10;
/// What kubelet writes into a static pod's mirror: the static pod's own uid.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Reads an object of the API by its path; none: it is not there.
type Get<'g> = &'g dyn Fn(&str, Duration) -> Result<Option<Value>, String>;

/// Asks this API server, for a verb that has so much time left.
pub(crate) fn ask(kube: &Kube, pod: &Pod, left: Duration) -> Result<PodFacts, NoPod> {
    let get = |path: &str, wait| kube.get(path, wait).map_err(|fault| fault.to_string());
    facts(&get, pod, Instant::now() + (left / 4).min(MOST))
}

fn facts(get: Get<'_>, pod: &Pod, until: Instant) -> Result<PodFacts, NoPod> {
    let Pod { namespace, name, uid } = pod;
    if !is_name(namespace, 63) || !is_name(name, 253) {
        let shown: String = format!("{namespace}/{name}").chars().take(100).collect();
        return Err(NoPod::Stale(format!("{shown:?}, as the runtime says, is no name of a pod")));
    }
    let Some(uid) = uid else {
        let what = "the runtime says no K8S_POD_UID: which pod of that name it is, is not known";
        return Err(NoPod::Stale(format!("pod {namespace}/{name}: {what}")));
    };
    let read = |path: &str| match get(path, until.saturating_duration_since(Instant::now())) {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(NoPod::Stale(format!("{path} is not there, says the API server"))),
        Err(why) => Err(NoPod::Unreachable(why)),
    };
    let place = format!("/api/v1/namespaces/{namespace}");
    let path = format!("{place}/pods/{name}");
    let object = read(&path)?;
    let of_pod = metadata(&object, &path)?;
    let there = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    if there != uid && of_pod.annotations.get(MIRROR) != Some(uid) {
        return Err(NoPod::Stale(format!(
            "pod {namespace}/{name} is another one in the API by now (uid {there:.64}, here {uid:.64})"
        )));
    }
    let of_namespace = metadata(&read(&place)?, &place)?;
    let (namespace, name, uid) = (namespace.clone(), name.clone(), there.to_owned());
    Ok(PodFacts { namespace, name, uid, of_pod, of_namespace })
}

/// A DNS name, as the API's names are (RFC 1123).
fn is_name(text: &str, most: usize) -> bool {
    let part = |part: &str| {
        let ends = part.starts_with('-') || part.ends_with('-');
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !part.is_empty() && !ends && part.bytes().all(fine)
    };
    text.len() <= most && text.split('.').all(part)
}

fn metadata(object: &Value, path: &str) -> Result<ObjectMeta, NoPod> {
    let unusable =
        |what: &str| NoPod::Unreachable(format!("{path}: the API server's answer {what}"));
    let meta = object.get("metadata").ok_or_else(|| unusable("has no metadata"))?;
    let of = |key| meta.get(key).filter(|all| !all.is_null()).cloned();
    let all = |key| of(key).map_or_else(|| Ok(BTreeMap::new()), serde_json::from_value);
    let (Ok(labels), Ok(annotations)) = (all("labels"), all("annotations")) else {
        return Err(unusable("has labels or annotations that are no text"));
    };
    let meta = ObjectMeta { labels, annotations };
    let pairs = meta.labels.iter().chain(&meta.annotations);
    if pairs.map(|(name, value)| name.len() + value.len()).sum::<usize>() > SIZE {
        return Err(unusable(&format!("has more than {SIZE} bytes of labels and annotations")));
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;
    use std::cell::RefCell;

    const UID: &str = "6a5e1c2f";

    fn pod(namespace: &str, name: &str, uid: Option<&str>) -> Pod {
        Pod { namespace: namespace.into(), name: name.into(), uid: uid.map(str::to_owned) }
    }

    fn asked(pod: &Pod, object: &Value, space: &Value) -> (Result<PodFacts, NoPod>, Vec<String>) {
        let paths = RefCell::new(Vec::new());
        let get = |path: &str, _| {
            paths.borrow_mut().push(path.to_owned());
            let object = if path.contains("/pods/") { object } else { space };
            Ok(Some(object.clone()).filter(|object| !object.is_null()))
        };
        (facts(&get, pod, Instant::now() + MOST), paths.into_inner())
    }

    fn api(uid: &str) -> Value {
        json!({
            "metadata": { "uid": uid, "labels": { "app": "web" } },
            "spec": { "containers": [{ "env": [{ "value": "secret" }] }] },
        })
    }

    #[test]
    fn a_pod_and_its_namespace_are_read_once_each_and_nothing_else() {
        let space = json!({ "metadata": { "annotations": { "owner": "ops" }, "labels": null } });
        let (found, paths) = asked(&pod("team-a", "web-0", Some(UID)), &api(UID), &space);
        let found = found.unwrap();
        assert_eq!(found.of_pod.labels.get("app").unwrap(), "web");
        assert_eq!(found.of_namespace.annotations.get("owner").unwrap(), "ops");
        assert!(!serde_json::to_string(&found).unwrap().contains("secret"));
        assert_eq!(paths, ["/api/v1/namespaces/team-a/pods/web-0", "/api/v1/namespaces/team-a"]);
    }

    #[test]
    fn what_is_no_name_is_never_part_of_a_path() {
        for (namespace, name) in [
            ("team-a", "../../secrets"),
            ("..", "web"),
            ("team-a", "web/log"),
            ("team-a", "web?watch=1"),
            ("team-a", "WEB"),
            ("team-a", ""),
            ("", "web"),
            ("team-a", "-web"),
            ("team-a", "a..b"),
            ("team.a\n", "web"),
        ] {
            let (found, paths) = asked(&pod(namespace, name, Some(UID)), &api(UID), &json!({}));
            assert!(matches!(found, Err(NoPod::Stale(_))), "{namespace}/{name}: {found:?}");
            assert_eq!(paths, [""; 0]);
        }
    }

    #[test]
    fn another_pod_of_the_same_name_is_not_this_one() {
        let space = json!({ "metadata": {} });
        let (found, paths) = asked(&pod("a", "b", Some("old")), &api(UID), &space);
        let Err(NoPod::Stale(why)) = found else { panic!("{found:?}") };
        assert!(why.contains("another one"), "{why}");
        assert_eq!(paths.len(), 1, "its namespace is not asked about");
        assert!(matches!(
            asked(&pod("a", "b", Some("x")), &json!(null), &space).0,
            Err(NoPod::Stale(_))
        ));
        assert!(matches!(asked(&pod("a", "b", None), &api(UID), &space).0, Err(NoPod::Stale(_))));
        // A static pod's own uid stands in its mirror.
        let mut mirror = api("of-the-mirror");
        mirror["metadata"]["annotations"] = json!({ MIRROR: UID });
        let found = asked(&pod("a", "b", Some(UID)), &mirror, &space).0.unwrap();
        assert_eq!(found.uid, "of-the-mirror");
    }

    #[test]
    fn an_answer_that_cannot_be_used_is_none() {
        let huge = json!({ "metadata": { "uid": UID, "annotations": { "a": "x".repeat(SIZE) } } });
        let odd = json!({ "metadata": { "uid": UID, "labels": { "a": 7 } } });
        for object in [huge, odd, json!({}), json!([])] {
            let found = asked(&pod("a", "b", Some(UID)), &object, &json!({ "metadata": {} })).0;
            assert!(matches!(found, Err(NoPod::Unreachable(_))), "{found:?}");
        }
        let get = |_: &str, _| Err("no answer".to_owned());
        let found = facts(&get, &pod("a", "b", Some(UID)), Instant::now());
        assert_eq!(found, Err(NoPod::Unreachable("no answer".to_owned())));
    }
}
