//! A good configuration, made wrong in every way that people make it wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use wharfinger_wasm::{Error, Problem};

use super::{Checked, Stop, fault, good_problem};

/// More places than this are not tried: a configuration of thousands of ranges is wrong in the
/// same ways at each.
const PLACES: usize = 48;

/// Keys of an "ipam" object that the host reads, and the plugin need not.
const HOST: [&str; 8] =
    ["type", "plugin", "policies", "coolDown", "statusWhenFull", "domain", "secrets", "resolvConf"];

/// A wrong configuration.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wrong {
    /// The key at the top that it is wrong at or below; none where all of it is wrong.
    pub(super) key: Option<String>,
    /// In words: "/ranges/0 as a number".
    pub(super) what: String,
    /// The configuration, JSON or not.
    pub(super) text: String,
}

/// Every one. Some are not wrong to every plugin: a key that it does not know, say.
fn wrongs(config: &Value) -> Vec<Wrong> {
    let mut all = texts();
    let mut places = Vec::new();
    walk(config, "", &mut places);
    for pointer in places.iter().take(PLACES) {
        let Some(there) = config.pointer(pointer) else { continue };
        for (what, instead) in replacements(there) {
            let mut wrong = config.clone();
            if let Some(place) = wrong.pointer_mut(pointer) {
                *place = instead;
                let what = format!("{} {what}", shown(pointer));
                all.push(Wrong { key: key(pointer), what, text: wrong.to_string() });
            }
        }
        if let Some(text) = without(config, pointer) {
            let what = format!("{} left out", shown(pointer));
            all.push(Wrong { key: key(pointer), what, text });
        }
    }
    all
}

/// "ranges" of "/ranges/0/subnet".
fn key(pointer: &str) -> Option<String> {
    pointer.split('/').nth(1).map(str::to_owned)
}

/// Tries every wrong way of a configuration; `refuses` says whether the plugin refused it.
pub(super) fn tried(
    config: &Value,
    mut refuses: impl FnMut(&Wrong) -> Result<bool, Stop>,
) -> Checked {
    let mut tally = Tally::default();
    for wrong in wrongs(config) {
        let no = refuses(&wrong)?;
        tally.note(&wrong, no);
    }
    tally.check()
}

/// The problems that a plugin found in a wrong configuration: each must be one that a person can
/// act on.
pub(super) fn problems(
    wrong: &Wrong,
    found: Result<Vec<Problem>, Error>,
) -> Result<Vec<Problem>, Stop> {
    let Wrong { what, text, .. } = wrong;
    let problems = found.or_else(|error| fault(format!("{what}: validate: {error}")))?;
    for problem in &problems {
        good_problem(text, problem).map_err(|why| Stop::Fault(format!("{what}: {why}")))?;
    }
    Ok(problems)
}

/// What a plugin refuses of the wrong ways.
#[derive(Default)]
struct Tally {
    tried: usize,
    refused: usize,
    /// By key: whether anything there is refused.
    keys: BTreeMap<String, bool>,
}

impl Tally {
    /// One more.
    fn note(&mut self, wrong: &Wrong, refused: bool) {
        self.tried += 1;
        self.refused += usize::from(refused);
        if let Some(key) = wrong.key.as_ref().filter(|key| !HOST.contains(&key.as_str())) {
            *self.keys.entry(key.clone()).or_default() |= refused;
        }
    }

    /// A plugin that takes anything for a key of its own does not look at it.
    fn check(&self) -> Checked {
        let Self { tried, refused, keys } = self;
        match keys.iter().find(|(_, refused)| !**refused) {
            Some((key, _)) => fault(format!("it takes anything at /{key}, and finds no fault")),
            None => Ok(format!("{tried} wrong configurations, {refused} refused")),
        }
    }
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "the configuration" } else { pointer }
}

/// What is no object, or no JSON.
fn texts() -> Vec<Wrong> {
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let wide = json!({ "unknown-key": "x".repeat(100_000) }).to_string();
    let texts: [(&str, &str); 11] = [
        ("nothing", ""),
        ("an unfinished object", "{"),
        ("an object without keys", "{}"),
        ("a list", "[]"),
        ("null", "null"),
        ("a number", "7"),
        ("a text", r#""text""#),
        ("two documents", "{} {}"),
        ("a key twice", r#"{"a": 1, "a": {}}"#),
        ("lists, 2,000 deep", &deep),
        ("a text of 100,000 letters", &wide),
    ];
    let wrong = |(what, text): (&str, &str)| Wrong {
        key: None,
        what: format!("{what} as the configuration"),
        text: text.to_owned(),
    };
    texts.map(wrong).into()
}

fn walk(value: &Value, at: &str, places: &mut Vec<String>) {
    places.push(at.to_owned());
    match value {
        Value::Object(object) => {
            for (key, part) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                walk(part, &format!("{at}/{key}"), places);
            }
        }
        Value::Array(list) => {
            for (index, part) in list.iter().enumerate() {
                walk(part, &format!("{at}/{index}"), places);
            }
        }
        _ => {}
    }
}

/// Other kinds, and wrong values of the same kind.
fn replacements(there: &Value) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("as null", Value::Null),
        ("as a boolean", json!(true)),
        ("as a number", json!(-1)),
        ("as a huge number", json!(1.0e300)),
        ("as a text", json!("nonsense \u{0}\u{202e}")),
        ("as a list", json!([])),
        ("as a list of a list", json!([[[[null]]]])),
        ("as an object", json!({})),
    ];
    if let Value::String(text) = there {
        all.extend([
            ("as an address that is none", json!("10.0.0.256")),
            ("as a network that is none", json!("10.0.0.0/33")),
            ("as an address of another family", json!(other_family(text))),
            ("as a text without letters", json!("")),
            ("as a text of 10,000 letters", json!("x".repeat(10_000))),
        ]);
    }
    if let Value::Array(list) = there {
        let mut twice = list.clone();
        twice.extend(list.clone());
        all.push(("twice over", Value::Array(twice)));
    }
    all.retain(|(_, value)| value != there);
    all
}

fn other_family(text: &str) -> &'static str {
    match (text.contains(':'), text.contains('/')) {
        (true, true) => "10.77.0.0/24",
        (true, false) => "10.77.0.7",
        (false, true) => "fd77::/64",
        (false, false) => "fd77::7",
    }
}

fn without(config: &Value, pointer: &str) -> Option<String> {
    let (parent, key) = pointer.rsplit_once('/')?;
    let mut wrong = config.clone();
    let object: &mut Map<String, Value> = wrong.pointer_mut(parent)?.as_object_mut()?;
    object.remove(&key.replace("~1", "/").replace("~0", "~"))?;
    Some(wrong.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_made_wrong() {
        let config = json!({ "ranges": [[{ "subnet": "10.1.0.0/16" }]], "a/b": 1 });
        let all = wrongs(&config);
        for place in ["/ranges as null", "/ranges/0/0/subnet as a number", "/a~1b left out"] {
            assert!(all.iter().any(|wrong| wrong.what == place), "{place}");
        }
        let right = config.to_string();
        assert!(all.iter().all(|wrong| wrong.text != right));
        let family = all.iter().find(|wrong| wrong.what.contains("another family")).unwrap();
        assert!(family.text.contains("fd77::/64"), "{}", family.text);
    }

    #[test]
    fn there_are_not_too_many() {
        let list: Vec<Value> = (0..10_000).map(Value::from).collect();
        assert!(wrongs(&json!({ "list": list })).len() < PLACES * 20);
    }
}
