//! Text of a plugin on its way to people: never a control character, never without end.

use crate::adapt::{GivenPool, GivenVerdict};
use crate::bindings::v0_3::wharfinger::plugin::types::{Failure, Problem};

/// Characters of a one-line message.
const LINE: usize = 1_000;
/// Characters of a detail.
const DETAIL: usize = 8_000;

/// A plugin's value inside an error message: quoted, escaped, cut at 64 characters.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", cut.escape_debug())
}

/// One line: control characters (and those that reorder text) become spaces.
pub(crate) fn line(text: &str) -> String {
    clean(text, LINE, disturbs)
}

/// Several lines: as [`line`], but newlines stay.
pub(crate) fn detail(text: &str) -> String {
    clean(text, DETAIL, |c| c != '\n' && disturbs(c))
}

fn clean(text: &str, most: usize, bad: impl Fn(char) -> bool) -> String {
    let out: String = text.chars().take(most).map(|c| if bad(c) { ' ' } else { c }).collect();
    let more = if text.chars().nth(most).is_some() { "…" } else { "" };
    format!("{}{more}", out.trim())
}

/// Control characters, line separators, and marks that reorder what is shown.
fn disturbs(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Bytes that an answer takes, about: its strings, and the records that hold them.
pub(crate) trait Weigh {
    fn weight(&self) -> usize;
}

impl<T: Weigh, E: Weigh> Weigh for Result<T, E> {
    fn weight(&self) -> usize {
        match self {
            Ok(value) => value.weight(),
            Err(error) => error.weight(),
        }
    }
}

impl<T: Weigh> Weigh for Vec<T> {
    fn weight(&self) -> usize {
        self.iter().map(|item| size_of::<T>() + item.weight()).sum()
    }
}

impl<T: Weigh> Weigh for Option<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, Weigh::weight)
    }
}

impl Weigh for String {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Weigh for Failure {
    fn weight(&self) -> usize {
        self.message.weight() + self.detail.weight()
    }
}

impl Weigh for Problem {
    fn weight(&self) -> usize {
        self.pointer.weight() + self.message.weight()
    }
}

impl Weigh for () {
    fn weight(&self) -> usize {
        0
    }
}

impl Weigh for GivenVerdict {
    fn weight(&self) -> usize {
        match self {
            Self::Allow => 0,
            Self::Deny(text) | Self::Amend(text) => text.len(),
        }
    }
}

impl Weigh for GivenPool {
    fn weight(&self) -> usize {
        let ranges = self.ranges.iter().map(|r| size_of_val(r) + r.first.len() + r.last.len());
        self.name.len() + ranges.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_reaches_people() {
        assert_eq!(line("a\u{1b}[31m\nb\u{202e}c\u{7}"), "a [31m b c");
        assert_eq!(detail("a\nb\rc"), "a\nb c");
        assert_eq!(shown("x\ny\u{0}"), "\"x\\ny\\0\"");
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(line(&"ü".repeat(5_000)).chars().count(), 1_001);
        assert_eq!(line(&"ü".repeat(1_000)).chars().count(), 1_000);
        assert!(shown(&"a".repeat(100)).ends_with("a…\""));
    }
}
