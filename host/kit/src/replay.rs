//! A recorded call again: by the same plugin or another, wherever.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use wharfinger_wasm::record::{Answer, Import, Record, Replay};
use wharfinger_wasm::{Grants, HttpGrant, Level};

use crate::Target;

/// What came of it.
#[derive(Debug)]
pub struct Replayed {
    /// What the plugin answered then.
    pub then: Answer,
    /// And now.
    pub now: Answer,
    /// Where it asked something that the record does not have.
    pub departure: Option<String>,
    /// What it asked then and did not ask now.
    pub unasked: Option<String>,
    /// What it logged now.
    pub lines: Vec<(Level, String)>,
    /// How long it took now.
    pub took: Duration,
}

/// Makes the recorded call; the error says that the plugin is of another world.
pub fn replay(target: Target<'_>, record: &Record) -> Result<Replayed, String> {
    let mut book = Replay::new(&record.imports);
    let made = target.make(&record.node, &record.call, &mut book)?;
    Ok(Replayed {
        then: record.answer.clone(),
        now: made.answer,
        departure: book.departure().map(str::to_owned),
        unasked: book.unasked(),
        lines: book.lines().to_vec(),
        took: made.took,
    })
}

impl Replayed {
    /// Whether the answer is the same, and was come to without asking anything else.
    pub fn is_same(&self) -> bool {
        self.departure.is_none() && self.then == self.now
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(departure) = &self.departure {
            writeln!(f, "it departs from the record: it {departure}")?;
        }
        if self.then == self.now {
            writeln!(f, "the answer is the same:\n{}", pretty(&self.now))?;
        } else {
            writeln!(f, "the answer differs (- then, + now):")?;
            f.write_str(&difference(&pretty(&self.then), &pretty(&self.now)))?;
        }
        if let Some(unasked) = &self.unasked {
            writeln!(f, "then it asked {unasked}; now it did not")?;
        }
        Ok(())
    }
}

fn pretty(answer: &Answer) -> String {
    serde_json::to_string_pretty(answer).unwrap_or_default()
}

/// Lines that are in one of both, in order, between those that are in both.
fn difference(then: &str, now: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (then.lines().collect(), now.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let left = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(a, b)| a == b);
    let tail = tail.count();
    let middle = |lines: &[&str], sign: &str| -> String {
        let changed = lines.iter().take(lines.len() - tail).skip(head);
        changed.flat_map(|line| [sign, line, "\n"]).collect()
    };
    let same = |lines: &mut dyn Iterator<Item = &&str>| -> String {
        lines.flat_map(|line| ["  ", line, "\n"]).collect()
    };
    format!(
        "{}{}{}{}",
        same(&mut old.iter().take(head)),
        middle(&old, "- "),
        middle(&new, "+ "),
        same(&mut old.iter().skip(old.len() - tail))
    )
}

/// Grants for all that the record has an answer of: nothing is sent, but the plugin must get as far
/// as asking.
pub fn grants(record: &Record) -> Grants {
    let http = record.imports.iter().filter_map(|import| match import {
        Import::Http { request, .. } => place(&request.url, &[&request.method]),
        _ => None,
    });
    let pod = record.imports.iter().any(|import| matches!(import, Import::Pod { .. }));
    Grants { http: http.collect(), pod }
}

/// A grant for the place of a URL, on this very machine too: for tests and replays, where who
/// names the place is who runs the plugin. None where it is no URL.
pub fn place(url: &str, methods: &[&str]) -> Option<HttpGrant> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = scheme == "https";
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, if tls { 443 } else { 80 }),
    };
    Some(HttpGrant {
        tls,
        host: host.trim_matches(['[', ']']).to_lowercase(),
        port,
        methods: methods.iter().map(|method| method.to_uppercase()).collect(),
        timeout: Duration::from_secs(5),
        size: 1 << 20,
        addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        authorities: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_what_changed_between_what_did_not() {
        assert_eq!(difference("{\n1\n2\n}", "{\n1\n3\n4\n}"), "  {\n  1\n- 2\n+ 3\n+ 4\n  }\n");
        assert_eq!(difference("a", "a"), "  a\n");
        assert_eq!(difference("a\na", "a"), "  a\n- a\n");
    }

    #[test]
    fn a_url_becomes_a_grant() {
        let of = |url| place(url, &["get"]).map(|grant| (grant.tls, grant.host, grant.port));
        assert_eq!(of("https://IPAM.example/api?x=1"), Some((true, "ipam.example".into(), 443)));
        assert_eq!(of("http://10.0.0.1:8080"), Some((false, "10.0.0.1".into(), 8080)));
        assert_eq!(of("http://[fd00::1]/x"), Some((false, "fd00::1".into(), 80)));
        assert_eq!(of("http://[fd00::1]:81/x"), Some((false, "fd00::1".into(), 81)));
        assert_eq!(of("nonsense"), None);
    }
}
