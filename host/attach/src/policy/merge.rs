//! A merge patch (RFC 7396) applied to a configuration, and what it changed. Pure.
//!
//! A configuration's keys are read in any case, so a patch is applied in any case: what it names
//! is replaced under the spelling that is there. Where the configuration has a key in several
//! spellings, or the patch has, nobody can tell which one counts to whom: such a patch is refused.

use serde_json::{Map, Value};
use wharfinger_cni::conf::{fold_eq, pointer_token};

/// A key that stands in several spellings: its pointer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous(pub(crate) String);

/// The configuration with the patch applied.
pub(crate) fn merge(
    target: &Map<String, Value>,
    patch: &Map<String, Value>,
    pointer: &str,
) -> Result<Map<String, Value>, Ambiguous> {
    let mut merged = target.clone();
    for (key, to) in patch {
        let here = format!("{pointer}/{}", pointer_token(key));
        let spelled = the_one(target, key).ok_or_else(|| Ambiguous(here.clone()))?;
        the_one(patch, key).ok_or_else(|| Ambiguous(here.clone()))?;
        let name = spelled.unwrap_or(key);
        match to {
            Value::Null => {
                merged.shift_remove(name);
            }
            Value::Object(to) => {
                let nothing = Map::new();
                let before = target.get(name).and_then(Value::as_object).unwrap_or(&nothing);
                merged.insert(name.clone(), Value::Object(merge(before, to, &here)?));
            }
            other => {
                merged.insert(name.clone(), other.clone());
            }
        }
    }
    Ok(merged)
}

/// The one spelling of a key; none inside: it is not there; none: there are several.
#[expect(clippy::option_option, reason = "three answers")]
fn the_one<'m>(map: &'m Map<String, Value>, key: &str) -> Option<Option<&'m String>> {
    let mut found = map.keys().filter(|spelled| fold_eq(spelled, key));
    match (found.next(), found.next()) {
        (first, None) => Some(first),
        _ => None,
    }
}

/// Pointers of what differs, as deep as objects go: a list is one thing.
pub(crate) fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut pointers = Vec::new();
    differences(before, after, "", &mut pointers);
    pointers
}

fn differences(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    pointer: &str,
    pointers: &mut Vec<String>,
) {
    let new = after.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(new) {
        let here = format!("{pointer}/{}", pointer_token(key));
        let nothing = Map::new();
        match (before.get(key), after.get(key)) {
            (was, is) if was == is => {}
            // An object that comes or goes is all that is in it.
            (Some(Value::Object(was)), Some(Value::Object(is))) => {
                differences(was, is, &here, pointers);
            }
            (None, Some(Value::Object(is))) if !is.is_empty() => {
                differences(&nothing, is, &here, pointers);
            }
            (Some(Value::Object(was)), None) if !was.is_empty() => {
                differences(was, &nothing, &here, pointers);
            }
            (Some(Value::Object(was)), Some(_)) => {
                differences(was, &nothing, &here, pointers);
                pointers.push(here);
            }
            (_, Some(Value::Object(is))) => {
                differences(&nothing, is, &here, pointers);
                pointers.push(here);
            }
            _ => pointers.push(here),
        }
    }
}
