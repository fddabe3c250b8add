//! Patterns of text: `*` is any run of characters, `?` is one, all else is itself.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<char>);

impl Glob {
    /// Reads a pattern; why not, where it is none. What other dialects have is refused rather
    /// than taken by the letter.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a pattern that is not empty");
        }
        if text.chars().any(char::is_control) {
            return Err("a pattern without control characters");
        }
        if text.contains(['[', ']', '{', '}', '\\']) {
            return Err("a pattern of * and ? alone: [ ] { } \\ have no meaning");
        }
        Ok(Self(text.chars().collect()))
    }

    /// Whether it fits the whole text. Takes at most the product of both lengths.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut of) = (0, 0);
        // The last star, and how much of the text it has eaten so far.
        let mut star: Option<(usize, usize)> = None;
        while let Some(letter) = text.get(at) {
            match self.0.get(of) {
                Some('*') => {
                    star = Some((of, at));
                    of += 1;
                }
                Some(wanted) if *wanted == '?' || wanted == letter => {
                    of += 1;
                    at += 1;
                }
                _ => {
                    let Some((back, eaten)) = star else { return false };
                    star = Some((back, eaten + 1));
                    of = back + 1;
                    at = eaten + 1;
                }
            }
        }
        self.0.iter().skip(of).all(|rest| *rest == '*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        for (pattern, text, fits) in [
            ("team-*", "team-a", true),
            ("team-*", "team-", true),
            ("team-*", "tea", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "ä", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("**a", "ba", true),
            ("a", "ab", false),
            ("*.*.ip_forward", "net.ipv4.ip_forward", true),
            ("Team", "team", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().fits(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let glob = Glob::parse(&"a*".repeat(200)).unwrap();
        assert!(!glob.fits(&format!("{}b", "a".repeat(150))));
    }

    #[test]
    fn other_dialects_are_refused() {
        for bad in ["", "[a-z]", "{a,b}", "a\\*", "a\nb"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }
}
