//! A merge patch (RFC 7396) applied to a configuration, and what it changed. Pure.
//!
//! A configuration's keys are read in any case, so a patch is applied in any case: what it names
//! is replaced under the spelling that is there. Where the configuration has a key in several
//! spellings, or the patch has, nobody can tell which one counts to whom: such a patch is refused.
//!
//! One list is no single thing: the plugins of a delegate. A patch that has as many members as the
//! list is merged member by member, and so are the differences told.

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
            Value::Array(to) => {
                let members = target.get(name).and_then(|was| members(&here, was, to));
                let merged_list = match members {
                    Some(was) => merge_members(was, to, &here)?,
                    None => to.clone(),
                };
                merged.insert(name.clone(), Value::Array(merged_list));
            }
            other => {
                merged.insert(name.clone(), other.clone());
            }
        }
    }
    Ok(merged)
}

/// The members of the list before, where the list at this pointer goes by its members: the plugins
/// of a delegate, as many after as before.
fn members<'v>(pointer: &str, was: &'v Value, is: &[Value]) -> Option<&'v [Value]> {
    let mut parts = pointer.split('/').skip(1);
    let of_plugins = ["delegate", "plugins"].iter().all(|name| {
        let part = parts.next();
        part.is_some_and(|part| fold_eq(part, name))
    });
    let was = was.as_array().filter(|was| was.len() == is.len());
    was.filter(|_| of_plugins && parts.next().is_none()).map(Vec::as_slice)
}

fn merge_members(was: &[Value], to: &[Value], pointer: &str) -> Result<Vec<Value>, Ambiguous> {
    let pairs = was.iter().zip(to).enumerate();
    let merged = pairs.map(|(index, pair)| match pair {
        (Value::Object(was), Value::Object(to)) => {
            merge(was, to, &format!("{pointer}/{index}")).map(Value::Object)
        }
        (_, to) => Ok(to.clone()),
    });
    merged.collect()
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

/// Pointers of what differs, as deep as objects go: a list is one thing, but for the plugins of a
/// delegate.
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
            (Some(list), Some(Value::Array(is))) if members(&here, list, is).is_some() => {
                let was = members(&here, list, is).unwrap_or_default();
                differences_of_members(was, is, &here, pointers);
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

fn differences_of_members(was: &[Value], is: &[Value], at: &str, pointers: &mut Vec<String>) {
    for (index, pair) in was.iter().zip(is).enumerate() {
        let here = format!("{at}/{index}");
        match pair {
            (was, is) if was == is => {}
            (Value::Object(was), Value::Object(is)) => differences(was, is, &here, pointers),
            _ => pointers.push(here),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a patch changes is told.
    #[test]
    fn fuzz_amendments() {
        wharfinger_fuzz::fuzz("amend", 3000, |input| {
            let whole: Value = serde_json::from_slice(input).unwrap_or_default();
            let object = |key: &str| whole.get(key).and_then(Value::as_object).cloned();
            let (Some(conf), Some(patch)) = (object("conf"), object("patch")) else {
                return "nothing to amend".to_owned();
            };
            let Ok(merged) = merge(&conf, &patch, "") else { return "ambiguous".to_owned() };
            let told = changed(&conf, &merged);
            assert_eq!(told.is_empty(), conf == merged, "{told:?}");
            assert!(changed(&merged, &merged).is_empty());
            format!("{} changes", told.len().min(9))
        });
    }
}
