//! Two accounts, place by place.

use std::fmt::Write as _;

use serde_json::Value;

/// A difference that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Differs {
    /// Its row in `docs/reference-differences.md`.
    pub id: &'static str,
    /// The place in the account: keys with `/` between them, `*` stands for anything.
    pub at: &'static str,
    /// What the reference's side has there, as JSON; `*` stands for anything, empty for nothing.
    pub theirs: &'static str,
    /// What our side has there.
    pub ours: &'static str,
}

/// A difference: its id, where, what the reference has there, what ours has.
pub const fn differs(
    id: &'static str,
    at: &'static str,
    theirs: &'static str,
    ours: &'static str,
) -> Differs {
    Differs { id, at, theirs, ours }
}

impl Differs {
    fn explains(&self, found: &Found) -> bool {
        matches(self.at, &found.at)
            && matches(self.theirs, &found.theirs)
            && matches(self.ours, &found.ours)
    }
}

/// A difference that was seen.
struct Found {
    at: String,
    theirs: String,
    ours: String,
}

/// The ids in `common` that are shown; or all that is wrong.
pub(super) fn compare(
    theirs: &Value,
    ours: &Value,
    wanted: &[Differs],
    common: &[Differs],
) -> Result<Vec<&'static str>, String> {
    let mut found = Vec::new();
    collect("", Some(theirs), Some(ours), &mut found);
    let mut wrong = String::new();
    let mut shown = Vec::new();
    for difference in &found {
        let mut all = wanted.iter().chain(common);
        if let Some(known) = all.find(|differs| differs.explains(difference)) {
            shown.push(known.id);
        } else {
            let Found { at, theirs, ours } = difference;
            let _ = writeln!(wrong, "  {at}\n    reference: {theirs}\n    ours:      {ours}");
        }
    }
    for unseen in wanted.iter().filter(|w| !found.iter().any(|f| w.explains(f))) {
        let _ = writeln!(wrong, "  {} is not seen at {}", unseen.id, unseen.at);
    }
    if wrong.is_empty() { Ok(shown) } else { Err(wrong) }
}

fn collect(at: &str, theirs: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Found>) {
    if theirs == ours {
        return;
    }
    if let (Some(Value::Object(one)), Some(Value::Object(two))) = (theirs, ours) {
        let mut keys: Vec<&String> = one.keys().chain(two.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            collect(&format!("{at}/{key}"), one.get(key), two.get(key), found);
        }
        return;
    }
    let text = |value: Option<&Value>| value.map(Value::to_string).unwrap_or_default();
    let at = at.trim_start_matches('/').to_owned();
    found.push(Found { at, theirs: text(theirs), ours: text(ours) });
}

/// Whether `*` and letters cover all of a text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{compare, differs, matches};

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches("a/*/c", "a/b/b/c") && matches("*", "") && matches("a*", "a"));
        assert!(!matches("a/*/c", "a/b/d") && !matches("a", "ab") && !matches("a*a", "a"));
    }

    #[test]
    fn what_is_not_named_is_wrong_and_so_is_what_is_not_seen() {
        let (theirs, ours) = (json!({ "a": { "b": 1 } }), json!({ "a": { "b": 2, "c": 3 } }));
        let both = [differs("1", "a/b", "1", "2"), differs("2", "a/c", "", "*")];
        assert_eq!(compare(&theirs, &ours, &both, &[]), Ok(vec!["1", "2"]));
        assert!(compare(&theirs, &ours, &both[..1], &[]).is_err_and(|text| text.contains("a/c")));
        assert!(
            compare(&ours, &ours, &both[..1], &[]).is_err_and(|text| text.contains("not seen"))
        );
        assert_eq!(compare(&theirs, &ours, &[], &both), Ok(vec!["1", "2"]));
    }
}
