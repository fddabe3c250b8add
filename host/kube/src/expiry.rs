//! Until when credentials are good: what they say themselves. Pure; reads no more of a token or a
//! certificate than that.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What ends, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// `token` or `client certificate`.
    pub what: &'static str,
    /// Since when it was good, if that is said; in seconds since the Unix epoch.
    pub from: Option<u64>,
    /// Until when it is, in seconds since the Unix epoch.
    pub until: u64,
}

/// Of a JSON Web Token, as those of service accounts are; none where it does not say.
pub(crate) fn of_token(token: &str) -> Option<Expiry> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let until = claims.get("exp")?.as_u64()?;
    let from = claims.get("iat").and_then(serde_json::Value::as_u64);
    Some(Expiry { what: "token", from, until })
}

impl Expiry {
    /// Of a certificate (X.509, DER: RFC 5280, section 4.1), whose time always has a begin.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (SEQUENCE, certificate, _) = element(der)? else { return None };
        let (SEQUENCE, mut rest, _) = element(certificate)? else { return None };
        // The version, which may be left out; serial number, algorithm, issuer.
        if let (VERSION, _, after) = element(rest)? {
            rest = after;
        }
        for _ in 0..3 {
            rest = element(rest)?.2;
        }
        let (SEQUENCE, validity, _) = element(rest)? else { return None };
        let (kind, from, after) = element(validity)?;
        let from = time(kind, from)?;
        let (kind, until, _) = element(after)?;
        Some(Self { what: "client certificate", from: Some(from), until: time(kind, until)? })
    }
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const DAY: u64 = 24 * 3600;

/// Its tag, what is in it, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (inside, after) = rest.split_at_checked(length)?;
    Some((*tag, inside, after))
}

/// UTCTime or GeneralizedTime, as RFC 5280 has them: to the second, in UTC.
fn time(tag: u8, text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| number(rest.get(at..at + 2)?);
    let days = days(year, part(0)?, part(2)?)?;
    Some(days * DAY + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// From the epoch on; what was before that is the epoch.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    // Years that begin in March: the day that some years lack is the last.
    let year = if month > 2 { year } else { year.checked_sub(1)? };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let before = year * 365 + year / 4 - year / 100 + year / 400;
    valid.then(|| (before + of_year).saturating_sub(719_468))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_when_it_ends() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1764000000,"iat":1763996400,"sub":"x"}"#);
        let ends = of_token(&format!("e30.{claims}.c2ln")).unwrap();
        assert_eq!((ends.from, ends.until), (Some(1_763_996_400), 1_764_000_000));
        for none in ["", "opaque", "a.b.c", "e30.e30.x"] {
            assert_eq!(of_token(none), None);
        }
    }

    #[test]
    fn times_of_both_kinds_are_those_of_the_calendar() {
        let zulu = |tag, text: &str| time(tag, text.as_bytes());
        assert_eq!(zulu(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(zulu(UTC_TIME, "240229123456Z"), Some(1_709_210_096));
        assert_eq!(zulu(UTC_TIME, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(zulu(GENERALIZED_TIME, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(zulu(GENERALIZED_TIME, "99991231235959Z"), Some(253_402_300_799));
        for wrong in ["", "Z", "2402291234Z", "240229123456", "241329123456Z", "24+229123456Z"] {
            assert_eq!(zulu(UTC_TIME, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_passed_over() {
        for text in [&b""[..], &[0x30], &[0x30, 0x84, 1, 1, 1, 1], &[0x30, 2, 0x30, 9], &[0x30; 64]]
        {
            assert_eq!(Expiry::of_certificate(text), None);
        }
    }
}
