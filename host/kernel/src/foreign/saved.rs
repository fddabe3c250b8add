//! What `iptables -S` prints, read: policies, chains, and rules with their own words, by which
//! they are deleted.

use std::net::IpAddr;

use ipnet::IpNet;

use super::rule::{End, Rule, State};

/// A table as it is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// (chain, policy) of what the kernel itself goes through.
    pub(crate) policies: Vec<(String, String)>,
    pub(crate) chains: Vec<String>,
    pub(crate) rules: Vec<Line>,
}

/// A rule, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) chain: String,
    /// What stands behind the chain.
    pub(crate) words: String,
    pub(crate) rule: Rule,
}

impl Saved {
    /// Lines that are none of these are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut saved = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ' ');
            match (parts.next(), parts.next(), parts.next()) {
                (Some("-P"), Some(chain), Some(policy)) => {
                    let policy = policy.split(' ').next().unwrap_or_default();
                    saved.policies.push((chain.to_owned(), policy.to_owned()));
                }
                (Some("-N"), Some(chain), _) => saved.chains.push(chain.to_owned()),
                (Some("-A"), Some(chain), words) => saved.rules.push(Line {
                    chain: chain.to_owned(),
                    words: words.unwrap_or_default().to_owned(),
                    rule: rule(words.unwrap_or_default()),
                }),
                _ => {}
            }
        }
        saved
    }

    /// The rules of a chain, in order.
    pub(crate) fn of(&self, chain: &str) -> impl Iterator<Item = &Line> {
        self.rules.iter().filter(move |line| line.chain == chain)
    }

    pub(crate) fn has_chain(&self, name: &str) -> bool {
        self.chains.iter().any(|chain| chain == name)
    }
}

fn rule(text: &str) -> Rule {
    let mut rule = Rule::default();
    let mut words = words(text).into_iter();
    let mut inverted = false;
    while let Some(word) = words.next() {
        if word == "!" {
            (inverted, rule.others) = (true, rule.others + 1);
            continue;
        }
        let is_known = KNOWN.contains(&word.as_str());
        let value = if is_known { words.next().unwrap_or_default() } else { String::new() };
        if !inverted {
            rule.read_option(&word, &value);
        }
        inverted = false;
    }
    rule
}

/// The options that are read, each of which has one value.
const KNOWN: [&str; 9] =
    ["-s", "-d", "-m", "-j", "-g", "--comment", "--ctstate", "--to-destination", "--reject-with"];

impl Rule {
    fn read_option(&mut self, option: &str, value: &str) {
        match option {
            "-s" => self.source = network(value),
            "-d" => self.destination = network(value),
            "-j" | "-g" => {
                self.end = match value {
                    "ACCEPT" => End::Accept,
                    "DROP" | "REJECT" => End::Drop,
                    chain => End::Chain(chain.to_owned()),
                };
            }
            "--comment" => self.comment = Some(value.to_owned()),
            "--ctstate" => {
                let state = match value {
                    "RELATED,ESTABLISHED" | "ESTABLISHED,RELATED" => Some(State::Answers),
                    "DNAT" => Some(State::Mapped),
                    _ => None,
                };
                self.others += usize::from(!self.limit(state));
            }
            "--to-destination" => self.dnat = destination(value),
            "-m" | "--reject-with" => {}
            _ => self.others += 1,
        }
    }
}

fn network(value: &str) -> Option<IpNet> {
    value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from))
}

/// "10.1.0.5:80", "[fd00::5]:80", or without a port.
fn destination(value: &str) -> Option<IpAddr> {
    if let Some((address, _)) = value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse().ok();
    }
    let address = value.parse().ok();
    address.or_else(|| value.split_once(':')?.0.parse().ok())
}

/// Words as iptables quotes them: in double quotes, with backslashes before what is meant as
/// it is.
fn words(text: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => word.extend(characters.next()),
            ' ' if !quoted => {
                if begun {
                    all.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            character => {
                word.push(character);
                begun = true;
            }
        }
    }
    if begun {
        all.push(word);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::Accept;
    use super::*;

    const TEXT: &str = r#"-P INPUT ACCEPT
-P FORWARD DROP -c 0 0
-N CNI-FORWARD
-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A CNI-FORWARD -d 10.1.0.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 10.1.0.5/32 -j ACCEPT
-A CNI-FORWARD ! -s 10.1.0.6/32 -j ACCEPT
-A CNI-FORWARD -s fd00::5/128 -i br0 -j ACCEPT
-A X -p tcp -m comment --comment "dnat name: \"a b\" id: \"c\"" -j DNAT --to-destination [fd00::5]:80
-A X -j DNAT --to-destination 10.1.0.5:80
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
"#;

    #[test]
    fn a_printed_table_is_read() {
        let saved = Saved::parse(TEXT);
        assert_eq!(saved.policies[1], ("FORWARD".to_owned(), "DROP".to_owned()));
        assert!(saved.has_chain("CNI-FORWARD") && !saved.has_chain("FORWARD"));
        let forward: Vec<_> = saved.of("FORWARD").map(|line| &line.rule).collect();
        assert!(forward[0].jumps_to("CNI-FORWARD") && forward[1].drops_all());
        let address = "10.1.0.5".parse().unwrap();
        let accept = |address: &str, is_source, state| Accept {
            address: address.parse().unwrap(),
            is_source,
            state,
        };
        let answers = accept("10.1.0.5", false, State::Answers);
        let from = accept("10.1.0.5", true, State::Any);
        let own: Vec<_> = saved.of("CNI-FORWARD").map(|line| &line.rule).collect();
        assert!(own[0].accepts(answers) && !own[0].accepts(from));
        assert!(own[1].accepts(from) && !own[1].accepts(answers));
        // What has a condition more is another rule.
        assert!(!own[2].accepts(accept("10.1.0.6", true, State::Any)));
        assert!(!own[3].accepts(accept("fd00::5", true, State::Any)));
        let x: Vec<_> = saved.of("X").map(|line| &line.rule).collect();
        assert_eq!(x[0].comment.as_deref(), Some(r#"dnat name: "a b" id: "c""#));
        assert_eq!(x[0].dnat, "fd00::5".parse().ok());
        assert_eq!(x[1].dnat, Some(address));
    }
}
