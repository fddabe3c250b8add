//! udev's rules that would do something to links of ours. What a rule matches on is read as far as it can
//! be told of a link beforehand; a rule that matches on anything else (an address, a driver of hardware)
//! is taken for one of other links.

/// Programs that are run for every link, and touch those alone that somebody named to them.
const HARMLESS: [&str; 2] = ["systemd-sysctl", "ifupdown-hotplug"];

/// What a rule does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Does {
    /// In words.
    pub(super) what: String,
    /// It runs a program, which may know better.
    pub(super) runs: bool,
    /// The rule.
    pub(super) rule: String,
}

/// What a rule of this file would do to one of these links; the first one alone.
pub(super) fn touching(text: &str, links: &[String]) -> Option<Does> {
    let joined = text.replace("\\\n", " ");
    let rules = joined.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    rules.map(|line| (line, terms(line))).find_map(|(line, terms)| {
        let (what, runs) = terms.iter().find_map(Term::does)?;
        let of_links = terms.iter().any(Term::is_of_links);
        let ours = |link: &String| terms.iter().all(|term| term.may_be(link));
        (of_links && links.iter().any(ours)).then(|| Does { what, runs, rule: line.to_owned() })
    })
}

/// `KERNEL=="veth*"`
struct Term {
    key: String,
    sign: String,
    value: String,
}

fn terms(line: &str) -> Vec<Term> {
    let mut all = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('"') {
        let Some((value, after)) = after.split_once('"') else { break };
        let head = before.trim_matches(|c: char| c == ',' || c.is_whitespace());
        let end = head.find(['=', '!', '+', '-', ':']).unwrap_or(head.len());
        let (key, sign) = head.split_at_checked(end).unwrap_or((head, ""));
        let (key, sign) = (key.trim().to_owned(), sign.trim().to_owned());
        all.push(Term { key, sign, value: value.to_owned() });
        rest = after;
    }
    all
}

impl Term {
    fn matches(&self) -> bool {
        matches!(self.sign.as_str(), "==" | "!=")
    }

    fn is_of_links(&self) -> bool {
        self.key == "SUBSYSTEM" && self.sign == "==" && self.value == "net"
    }

    /// What it does, in words, and whether that is to run a program; none where it does nothing to a link.
    fn does(&self) -> Option<(String, bool)> {
        if self.matches() {
            return None;
        }
        match self.key.split('{').next() {
            Some("NAME") => Some((format!("gives it the name {}", self.value), false)),
            Some("RUN") if HARMLESS.iter().any(|name| self.value.contains(name)) => None,
            Some("RUN") => Some((format!("runs {}", self.value), true)),
            Some("ATTR" | "SYSCTL") => {
                Some((format!("sets {} to {}", self.key, self.value), false))
            }
            _ => None,
        }
    }

    /// Whether it lets this link pass: a new one, of the kinds that we make.
    fn may_be(&self, link: &str) -> bool {
        if !self.matches() {
            return true;
        }
        let any = |of: &[&str]| {
            let one = |pattern: &str| of.iter().any(|text| fits(pattern, text));
            self.value.split('|').any(one)
        };
        let is = match self.key.as_str() {
            "SUBSYSTEM" => any(&["net"]),
            "ACTION" => any(&["add", "move", "change"]),
            "KERNEL" | "NAME" | "ENV{INTERFACE}" => any(&[link]),
            "ENV{ID_NET_DRIVER}" => any(&["veth", "bridge"]),
            "ATTR{type}" => any(&["1"]),
            "DEVPATH" => {
                let path = ["/devices/virtual/net/", link].concat();
                any(&[&path])
            }
            // It has none of hardware.
            _ => false,
        };
        is == (self.sign == "==")
    }
}

/// As udev matches: `*`, `?`, and `[...]`.
fn fits(pattern: &str, text: &str) -> bool {
    let mut of_pattern = pattern.chars();
    match of_pattern.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = of_pattern.as_str();
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.filter_map(|at| text.get(at..)).any(|text| fits(rest, text))
        }
        Some('[') => {
            let Some((set, rest)) = of_pattern.as_str().split_once(']') else { return false };
            let mut of_text = text.chars();
            of_text.next().is_some_and(|letter| holds(set, letter)) && fits(rest, of_text.as_str())
        }
        Some(wanted) => {
            let mut of_text = text.chars();
            let found = of_text.next();
            let same = if wanted == '?' { found.is_some() } else { found == Some(wanted) };
            same && fits(of_pattern.as_str(), of_text.as_str())
        }
    }
}

/// `0-9a-f`, `!lo`
fn holds(set: &str, letter: char) -> bool {
    let (inside, set) = match set.strip_prefix(['!', '^']) {
        Some(set) => (false, set),
        None => (true, set),
    };
    let letters: Vec<char> = set.chars().collect();
    let range =
        |three: &[char]| matches!(three, [from, '-', to] if (*from..=*to).contains(&letter));
    (letters.contains(&letter) || letters.windows(3).any(range)) == inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<String> {
        let links = ["cni0".to_owned(), "veth0a1b2c3d".to_owned()];
        touching(text, &links).map(|does| does.what)
    }

    #[test]
    fn what_is_done_to_our_links_is_found() {
        for (rule, does) in [
            (
                r#"SUBSYSTEM=="net", KERNEL=="veth*", RUN+="/bin/tune $name""#,
                "runs /bin/tune $name",
            ),
            (
                r#"SUBSYSTEM=="net", ACTION=="add", KERNEL!="lo", ATTR{mtu}="9000""#,
                "sets ATTR{mtu} to 9000",
            ),
            (r#"SUBSYSTEM=="net",KERNEL=="eth*|cni[0-9]", NAME="lan0""#, "gives it the name lan0"),
            ("# one\nACTION==\"add\", SUBSYSTEM==\"net\", \\\n  RUN+=\"/bin/x\"", "runs /bin/x"),
            (r#"SUBSYSTEM=="net", ENV{ID_NET_DRIVER}=="veth", RUN+="x""#, "runs x"),
        ] {
            assert_eq!(found(rule).as_deref(), Some(does), "{rule}");
        }
    }

    #[test]
    fn what_is_of_other_links_or_does_nothing_is_not() {
        for rule in [
            r#"SUBSYSTEM=="net", KERNEL=="eth*", RUN+="/bin/tune""#,
            r#"SUBSYSTEM=="net", KERNEL!="veth*", KERNEL!="cni0", RUN+="/bin/tune""#,
            r#"SUBSYSTEM=="net", ATTR{address}=="02:00:00:00:00:01", NAME="lan0""#,
            r#"SUBSYSTEM=="net", DRIVERS=="?*", ACTION=="add", NAME="lan0""#,
            r#"SUBSYSTEM=="net", ACTION=="remove", RUN+="/bin/x""#,
            r#"SUBSYSTEM=="net", TAG+="systemd", ENV{X}="1""#,
            // What systemd brings.
            r#"NAME=="", ENV{ID_NET_NAME}!="", NAME="$env{ID_NET_NAME}""#,
            r#"SUBSYSTEM!="net", GOTO="end""#,
            r#"ACTION=="add", SUBSYSTEM=="net", KERNEL!="lo", RUN+="/lib/systemd/systemd-sysctl --prefix=/x""#,
            r#"SUBSYSTEM=="net", ACTION=="add|remove", RUN+="ifupdown-hotplug""#,
            r#"SUBSYSTEM=="block", RUN+="/bin/x""#,
            r#"SUBSYSTEM=="net", KERNEL=="veth"#,
            "",
        ] {
            assert_eq!(found(rule), None, "{rule}");
        }
    }
}
