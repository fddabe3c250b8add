//! What a policy may change: never what could raise anybody's privilege.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use wharfinger_attach::can_be_granted;
use wharfinger_wasm::Verdict;

use super::{Subject, calls};
use crate::conform::{Checked, fault, idle};

pub(super) fn patches(subject: &Subject<'_>) -> Checked {
    let mut changed = BTreeSet::new();
    for request in calls::varied(subject) {
        let Ok(said) = subject.ask(&subject.sim(), &request, false)?.answer else { continue };
        if let Verdict::Amend(patch) = &said.admit {
            changed.extend(pointers(patch));
        }
        if let Some(Verdict::Amend(patch)) = &said.review
            && let Some(key) = patch.keys().find(|key| *key != "dns")
        {
            return fault(format!("review changes /{key} of the result: only /dns may change"));
        }
    }
    if let Some(pointer) = changed.iter().find(|pointer| !can_be_granted(pointer)) {
        return fault(format!("admit changes {pointer}, which no policy may"));
    }
    if changed.is_empty() {
        return idle("it changed nothing");
    }
    Ok(changed.into_iter().collect::<Vec<_>>().join(", "))
}

/// Every place that a merge patch writes to.
fn pointers(patch: &Map<String, Value>) -> Vec<String> {
    let mut all = Vec::new();
    for (key, value) in patch {
        let key = key.replace('~', "~0").replace('/', "~1");
        match value {
            Value::Object(object) if !object.is_empty() => {
                all.extend(pointers(object).into_iter().map(|below| format!("/{key}{below}")));
            }
            _ => all.push(format!("/{key}")),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_is_taken_apart_into_places() {
        let patch = json!({ "mtu": 1400, "ipam": { "type": null, "ranges": [1] }, "a/b": {} });
        let found = pointers(patch.as_object().unwrap());
        assert_eq!(found, ["/mtu", "/ipam/type", "/ipam/ranges", "/a~1b"]);
    }
}
