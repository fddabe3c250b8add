//! What a policy may change: never what could raise anybody's privilege.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use wharfinger_wasm::Verdict;

use super::{Subject, calls};
use crate::conform::{Checked, fault, idle};

/// What no policy may change, by RFC 6901 pointer: with it, all below.
const NEVER: [&str; 14] = [
    "/cniVersion",
    "/name",
    "/type",
    "/driver",
    "/delegate/type",
    "/ipam/type",
    "/ipam/plugin",
    "/policies",
    "/ipam/policies",
    "/prevResult",
    "/capabilities",
    "/bridge",
    "/master",
    "/device",
];
/// What any policy may change.
const FREE: [&str; 10] = [
    "/ipam/ranges",
    "/ipam/routes",
    "/mtu",
    "/dns",
    "/runtimeConfig/ips",
    "/runtimeConfig/bandwidth",
    "/runtimeConfig/portMappings",
    "/delegate/mtu",
    "/delegate/dns",
    "/delegate/ipam",
];

pub(super) fn patches(subject: &Subject<'_>) -> Checked {
    let (mut changed, mut to_grant) = (BTreeSet::new(), BTreeSet::new());
    for request in calls::varied(subject) {
        let Ok(said) = subject.ask(&subject.sim(), &request, false)?.answer else { continue };
        if let Verdict::Amend(patch) = &said.admit {
            for pointer in pointers(patch) {
                if under(&pointer, &NEVER) {
                    return fault(format!("admit changes {pointer}, which no policy may"));
                }
                if !under(&pointer, &FREE) {
                    to_grant.insert(pointer.clone());
                }
                changed.insert(pointer);
            }
        }
        if let Some(Verdict::Amend(patch)) = &said.review
            && let Some(key) = patch.keys().find(|key| *key != "dns")
        {
            return fault(format!("review changes /{key} of the result: only /dns may change"));
        }
    }
    if changed.is_empty() {
        return idle("it changed nothing");
    }
    let words = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(", ");
    let grant = match to_grant.is_empty() {
        true => String::new(),
        false => format!("; to be granted (`amend`): {}", words(to_grant)),
    };
    Ok(format!("{}{grant}", words(changed)))
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

/// Whether it is one of these, or lies below one. Keys are
/// read as they are by others: whatever the case of their letters.
fn under(pointer: &str, list: &[&str]) -> bool {
    let pointer = pointer.to_lowercase();
    let covers = |a: &str, b: &str| a == b || a.strip_prefix(b).is_some_and(|r| r.starts_with('/'));
    list.iter().map(|known| known.to_lowercase()).any(|known| covers(&pointer, &known))
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
        assert!(under("/ipam/type", &NEVER) && under("/IPAM/Type", &NEVER));
        assert!(under("/policies/0", &NEVER) && !under("/policiesx", &NEVER));
    }
}
