//! What is said of a refusal: text, with a few names in braces.

use crate::config::Place;
use crate::facts::Attachment;
use crate::json::{At, Problem, cut};
use crate::test::{keep, text};

const NAMES: [&str; 5] = ["namespace", "pod", "network", "interface", "found"];
/// What is found where a rule asks for nothing.
const EVERYTHING: &str = "every attachment";
/// Characters of one value.
const SHOWN: usize = 200;

/// A message: its text as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message(String);

impl Message {
    /// Where nothing is configured.
    pub(crate) fn usual() -> Self {
        Self("not allowed: {found}".to_owned())
    }

    /// Reads it. Braces around a word that is not ours are a problem.
    pub(crate) fn read(at: &At<'_>, problems: &mut Vec<Problem>) -> Self {
        let text = keep(text(at), problems).unwrap_or_default();
        for name in names(text).filter(|name| !NAMES.contains(name)) {
            let known = NAMES.join(", ");
            problems.push(at.problem(&format!("has {{{name}}}; in braces there are {known}")));
        }
        if at.value.is_string() && text.trim().is_empty() {
            problems.push(at.problem("is empty: say why"));
        }
        Self(text.to_owned())
    }

    /// The text for this attachment, and the rule that says so.
    pub(crate) fn said(&self, of: &Attachment, found: &[String], place: Place) -> String {
        let (namespace, pod) = match &of.pod {
            Some((namespace, name)) => (namespace.as_str(), name.as_str()),
            None => ("", ""),
        };
        let found = if found.is_empty() { EVERYTHING.to_owned() } else { found.join(", ") };
        let values = [namespace, pod, of.network.as_str(), of.interface.as_str(), found.as_str()];
        let mut said = String::new();
        let mut rest = self.0.as_str();
        while let Some((before, name, after)) = next(rest) {
            let value = NAMES.iter().position(|known| *known == name).and_then(|i| values.get(i));
            said.push_str(before);
            said.push_str(&value.map_or_else(String::new, |value| cut(value, SHOWN)));
            rest = after;
        }
        format!("{said}{rest} ({place})")
    }
}

/// The words in braces.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, name, after) = next(rest)?;
        rest = after;
        Some(name)
    })
}

/// The text before the first word in braces, the word, and the text behind it.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('{')?;
        let inner = text.get(open + 1..)?;
        let close = inner.find('}')?;
        let name = inner.get(..close)?;
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Some((text.get(..open)?, name, inner.get(close + 1..)?));
        }
        from = open + 1;
    }
}
