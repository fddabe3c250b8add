//! `conditionsV4` and `conditionsV6`: matches as nft(8) writes them, as far as they are about
//! where a packet comes from and goes to.

use std::net::IpAddr;

use ipnet::IpNet;
use wharfinger_cni::conf::Fields;
use wharfinger_plan::{Condition, Ports, Protocol, Span, Values};

use crate::{Error, read};

/// What one match may say.
const ALLOWED: &str = "matches as nft writes them: `ip saddr|daddr`, `ip6 saddr|daddr`, `iifname`, \
                       `meta mark`, `meta l4proto`, `tcp|udp|sctp sport|dport`, each with one \
                       value, a prefix, a range, or { several }, and != before it to negate";
/// Conditions are multiplied out into rules.
const MOST_WAYS: usize = 256;

/// The conditions of one family.
pub(super) fn read(fields: &Fields<'_>, v4: bool) -> Result<Vec<Condition>, Error> {
    let key = if v4 { "conditionsV4" } else { "conditionsV6" };
    let Some(words) = fields.strings(key)? else { return Ok(Vec::new()) };
    if words.first().is_some_and(|word| word.starts_with(['-', '!'])) {
        let example = if v4 { "ip saddr != 10.0.0.0/8" } else { "ip6 saddr != fd00::/8" };
        let instead = format!("write it as nft does and not as iptables, as in {example:?}");
        return Err(super::unsupported(fields, key, instead));
    }
    let tokens = tokens(&words.join(" "));
    let mut rest = tokens.iter().map(String::as_str).collect::<Vec<_>>();
    rest.reverse();
    let mut conditions = Vec::new();
    while !rest.is_empty() {
        let condition = one(&mut rest, v4).ok_or_else(|| fields.error(key, ALLOWED))?;
        conditions.push(condition);
    }
    let positive = conditions.iter().filter(|condition| !condition.negated);
    let ways = positive.map(|condition| count(&condition.values)).product::<usize>();
    if ways > MOST_WAYS {
        let allowed = format!("at most {MOST_WAYS} combinations of values");
        return Err(fields.error(key, allowed).into());
    }
    Ok(conditions)
}

/// Words, and braces and commas as words of their own.
fn tokens(text: &str) -> Vec<String> {
    let spaced = ['{', '}', ',', '"'].iter().fold(text.to_owned(), |text, mark| {
        let with = if *mark == '"' { " ".to_owned() } else { format!(" {mark} ") };
        text.replace(*mark, &with)
    });
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// What a match is about.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Source,
    Destination,
    Link,
    Mark,
    Transport,
    SourcePort(Protocol),
    DestinationPort(Protocol),
}

/// The next match; the words stand in reverse.
fn one(rest: &mut Vec<&str>, v4: bool) -> Option<Condition> {
    let kind = kind(rest, v4)?;
    let negated = rest.pop_if(|word| *word == "!=").is_some();
    rest.pop_if(|word| *word == "==");
    let values = parsed(kind, &values(rest)?, v4)?;
    Some(Condition { v4, negated, values })
}

fn kind(rest: &mut Vec<&str>, v4: bool) -> Option<Kind> {
    let first = rest.pop()?;
    let transport = |word: &str| match word {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "sctp" => Some(Protocol::Sctp),
        _ => None,
    };
    if let Some(protocol) = transport(first) {
        return match rest.pop()? {
            "sport" => Some(Kind::SourcePort(protocol)),
            "dport" => Some(Kind::DestinationPort(protocol)),
            _ => None,
        };
    }
    match (first, v4) {
        ("iifname" | "iif", _) => Some(Kind::Link),
        ("mark", _) => Some(Kind::Mark),
        ("meta", _) => match rest.pop()? {
            "iifname" | "iif" => Some(Kind::Link),
            "mark" => Some(Kind::Mark),
            "l4proto" => Some(Kind::Transport),
            _ => None,
        },
        ("ip", true) | ("ip6", false) => match rest.pop()? {
            "saddr" => Some(Kind::Source),
            "daddr" => Some(Kind::Destination),
            "protocol" if v4 => Some(Kind::Transport),
            _ => None,
        },
        _ => None,
    }
}

/// One word, or several in braces.
fn values<'a>(rest: &mut Vec<&'a str>) -> Option<Vec<&'a str>> {
    let first = rest.pop()?;
    if first != "{" {
        return (!["}", ","].contains(&first)).then(|| vec![first]);
    }
    let mut values = Vec::new();
    loop {
        match rest.pop()? {
            "}" => return (!values.is_empty()).then_some(values),
            "," => {}
            "{" => return None,
            value => values.push(value),
        }
    }
}

fn parsed(kind: Kind, values: &[&str], v4: bool) -> Option<Values> {
    Some(match kind {
        Kind::Source => Values::Source(each(values, |it| span(it, v4))?),
        Kind::Destination => Values::Destination(each(values, |it| span(it, v4))?),
        Kind::Link => {
            Values::Link(each(values, |it| read::is_link_name(it).then(|| it.to_owned()))?)
        }
        Kind::Mark => Values::Mark(each(values, mark)?),
        Kind::Transport => Values::Protocol(each(values, |it| match it {
            "tcp" | "6" => Some(Protocol::Tcp),
            "udp" | "17" => Some(Protocol::Udp),
            "sctp" | "132" => Some(Protocol::Sctp),
            _ => None,
        })?),
        Kind::SourcePort(protocol) => Values::SourcePort(each(values, |it| ports(protocol, it))?),
        Kind::DestinationPort(protocol) => {
            Values::DestinationPort(each(values, |it| ports(protocol, it))?)
        }
    })
}

fn each<T>(values: &[&str], read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(|value| read(value)).collect()
}

/// An address, a prefix, or two addresses with a dash between.
fn span(text: &str, v4: bool) -> Option<Span> {
    let span = match (text.split_once('-'), text.contains('/')) {
        (Some((from, to)), _) => Span { from: from.parse().ok()?, to: to.parse().ok()? },
        (None, true) => Span::from(text.parse::<IpNet>().ok()?),
        (None, false) => Span::from(IpNet::from(text.parse::<IpAddr>().ok()?)),
    };
    let of_family = span.from.is_ipv4() == v4 && span.to.is_ipv4() == v4;
    (of_family && span.from <= span.to).then_some(span)
}

fn mark(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A port, or two with a dash between.
fn ports(protocol: Protocol, text: &str) -> Option<Ports> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let range = (from.parse::<u16>().ok()?, to.parse::<u16>().ok()?);
    (range.0 <= range.1).then_some(Ports { protocol, range: Some(range) })
}

fn count(values: &Values) -> usize {
    match values {
        Values::Source(all) | Values::Destination(all) => all.len(),
        Values::Link(all) => all.len(),
        Values::Mark(all) => all.len(),
        Values::Protocol(all) => all.len(),
        Values::SourcePort(all) | Values::DestinationPort(all) => all.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, v4: bool) -> Option<Vec<String>> {
        let tokens = tokens(text);
        let mut rest: Vec<&str> = tokens.iter().map(String::as_str).rev().collect();
        let mut all = Vec::new();
        while !rest.is_empty() {
            all.push(one(&mut rest, v4)?.to_string());
        }
        Some(all)
    }

    #[test]
    fn what_nft_writes_is_read() {
        for (text, v4, want) in [
            ("ip saddr 10.0.0.0/8", true, vec!["ip saddr 10.0.0.0-10.255.255.255"]),
            ("ip daddr != 10.0.0.1", true, vec!["ip daddr != 10.0.0.1"]),
            (
                "iifname \"eth0\" ip saddr { 10.0.0.1, 10.1.0.0-10.1.0.9 }",
                true,
                vec!["iifname eth0", "ip saddr 10.0.0.1,10.1.0.0-10.1.0.9"],
            ),
            ("meta mark 0x10", true, vec!["mark 16"]),
            ("tcp sport {1-9,80}", false, vec!["sport tcp/1-9,tcp/80"]),
            (
                "ip6 saddr != fd00::/8",
                false,
                vec!["ip6 saddr != fd00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
            ),
            ("meta l4proto { tcp, udp }", true, vec!["meta l4proto tcp,udp"]),
        ] {
            let want: Vec<String> = want.into_iter().map(str::to_owned).collect();
            assert_eq!(said(text, v4), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "ip saddr",
            "ip saddr fd00::1",
            "ip6 saddr fd00::1",
            "ip saddr { }",
            "ip saddr { 10.0.0.1",
            "ip saddr 10.0.0.9-10.0.0.1",
            "tcp dport 9-1",
            "tcp flags syn",
            "ct state new",
            "iifname a/b",
            "meta mark x",
            "nonsense",
        ] {
            assert_eq!(said(text, true), None, "{text}");
        }
    }
}
