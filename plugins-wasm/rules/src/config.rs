//! The policy's configuration, read and checked: every problem at once, each with its pointer.

use std::fmt;

use serde_json::Value;

use crate::glob::Glob;
use crate::json::At;
pub use crate::json::Problem;
use crate::message::Message;
use crate::set::Set;
use crate::test::{self, Test, glob, number, object, test};
use crate::when::Match;

/// A checked configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// In their order: first those of the short `deny`.
    pub(crate) rules: Vec<Rule>,
    /// All that fit a namespace count.
    pub(crate) quotas: Vec<Quota>,
    /// A rule that looks at what the cluster's API does not tell is passed over.
    pub(crate) ignores_unknown: bool,
}

/// Where something of a list stands: as text, its pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    list: &'static str,
    index: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.list, self.index)
    }
}

/// When, and then what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// Where it stands.
    pub(crate) place: Place,
    /// When.
    pub(crate) when: Match,
    /// What.
    pub(crate) effect: Effect,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Refuses the attachment.
    Deny(Message),
    /// Changes the network configuration.
    Set(Box<Set>),
}

/// How much each namespace may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Where it stands.
    pub(crate) place: Place,
    /// Which namespaces; all where none is named.
    pub(crate) namespace: Option<Test<Glob>>,
    /// Attachments at once.
    pub(crate) attachments: Option<u64>,
    /// Addresses at once.
    pub(crate) addresses: Option<u64>,
    /// Ports of the host at once.
    pub(crate) host_ports: Option<u64>,
}

/// Problems beyond these are not looked for: nobody reads them.
const ENOUGH: usize = 100;

/// Reads it from its text.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        vec![Problem { pointer: String::new(), message: format!("is not JSON: {error}") }]
    })?;
    read(&value)
}

/// Reads it; every problem if there are any.
pub fn read(config: &Value) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let root = At::root(config);
    object(&root, &["deny", "rules", "quotas", "unknownPod"], &mut problems);
    let mut rules = list(&root, "deny", &mut problems, short);
    rules.extend(list(&root, "rules", &mut problems, rule));
    let quotas = list(&root, "quotas", &mut problems, quota);
    let ignores_unknown = root.get("unknownPod").is_some_and(|at| match at.value.as_str() {
        Some("ignore") => true,
        Some("deny") => false,
        _ => {
            problems.push(at.wanted("\"deny\" or \"ignore\""));
            false
        }
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Config { rules, quotas, ignores_unknown })
}

fn list<T>(
    root: &At<'_>,
    name: &'static str,
    problems: &mut Vec<Problem>,
    read: fn(&At<'_>, Place, &mut Vec<Problem>) -> T,
) -> Vec<T> {
    let Some(at) = root.get(name) else { return Vec::new() };
    if !at.value.is_array() {
        problems.push(at.wanted("a list"));
    }
    let mut all = Vec::new();
    for (index, item) in at.items().enumerate() {
        all.push(read(&item, Place { list: name, index }, problems));
        if problems.len() >= ENOUGH {
            break;
        }
    }
    all
}

/// A `match` alone, which is denied.
fn short(at: &At<'_>, place: Place, problems: &mut Vec<Problem>) -> Rule {
    if at.is_empty() {
        problems.push(at.problem("would deny everything; if that is meant, write it as a rule"));
    }
    let when = Match::read(at, problems);
    Rule { place, when, effect: Effect::Deny(Message::usual()) }
}

fn rule(at: &At<'_>, place: Place, problems: &mut Vec<Problem>) -> Rule {
    object(at, &["match", "deny", "set"], problems);
    let when = at.get("match").map(|at| Match::read(&at, problems)).unwrap_or_default();
    let effect = match (at.get("deny"), at.get("set")) {
        (Some(deny), None) => Effect::Deny(Message::read(&deny, problems)),
        (None, Some(set)) => {
            if when.is_of_plan() {
                let why = "cannot be set by what is planned: then it is too late";
                problems.push(set.problem(why));
            }
            Effect::Set(Box::new(Set::read(&set, place, problems)))
        }
        _ => {
            problems.extend(at.value.is_object().then(|| at.problem("needs one of deny, set")));
            Effect::Deny(Message::usual())
        }
    };
    Rule { place, when, effect }
}

fn quota(at: &At<'_>, place: Place, problems: &mut Vec<Problem>) -> Quota {
    const COUNTED: [&str; 3] = ["attachments", "addresses", "hostPorts"];
    let known = object(at, &["namespace", "attachments", "addresses", "hostPorts"], problems);
    if known && !COUNTED.iter().any(|name| at.get(name).is_some()) {
        problems.push(at.problem("needs one of attachments, addresses, hostPorts"));
    }
    let [attachments, addresses, host_ports] =
        COUNTED.map(|name| at.get(name).and_then(|at| test::keep(number(&at), problems)));
    let namespace = at.get("namespace").and_then(|at| test(&at, problems, glob));
    Quota { place, namespace, attachments, addresses, host_ports }
}
