//! Who wrote what of a network configuration. A part that is moved to the wrong author would let
//! a pod speak as the operator: each key goes to one author, in whatever case it is spelled.

use serde_json::{Map, Value, json};
use wharfinger_cni::Attach;
use wharfinger_cni::conf::fold_eq;
use wharfinger_wasm::Sources;

/// The capability under which a runtime passes a pod's annotations on.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// The configuration of a call by who wrote it.
pub(crate) fn sources(call: &Attach) -> Sources {
    let raw = &call.conf.raw;
    let runtime = object(call.conf.fields().get("runtimeConfig").map(|field| field.value));
    let args = object(call.conf.fields().get("args").map(|field| field.value));
    let variables = call.args.iter().map(|(key, value)| (key.clone(), json!(value)));
    let pod = json!({
        "CNI_ARGS": variables.collect::<Map<_, _>>(),
        "args": last(&args, "cni").unwrap_or_else(|| json!({})),
        "annotations": last(&runtime, ANNOTATIONS).unwrap_or_else(|| json!({})),
    });
    Sources {
        network: less(raw, &["runtimeConfig", "args", "prevResult"]).to_string(),
        runtime: less(&runtime, &[ANNOTATIONS]).to_string(),
        pod: pod.to_string(),
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// As the host itself reads it: of several spellings the last.
fn last(map: &Map<String, Value>, key: &str) -> Option<Value> {
    let found = map.iter().rfind(|(spelled, value)| !value.is_null() && fold_eq(spelled, key));
    found.map(|(_, value)| value.clone())
}

fn less(map: &Map<String, Value>, keys: &[&str]) -> Value {
    let other = |spelled: &&String| !keys.iter().any(|key| fold_eq(spelled, key));
    let kept = map.iter().filter(|(spelled, _)| other(spelled));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}
