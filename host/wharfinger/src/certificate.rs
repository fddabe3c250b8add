//! How long a certificate that this node is known by is good: read out of its file, so that its end
//! is told before connections fail. Trusts nothing and verifies nothing: who we connect to does.
//!
//! Start reading at [`standing`].

use std::path::Path;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use wharfinger_kube::{Expiry, Kube};

use crate::events;

/// So long before its end a certificate is spoken of, in seconds.
const EARLY: u64 = 30 * DAY;
const DAY: u64 = 24 * 3600;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// How a certificate stands; both texts are for people, and say what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// It ends soon.
    Ends(String),
    /// It is of no use: over, not begun, or not to be read.
    Useless(String),
}

/// When a certificate begins and ends, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Term {
    from: u64,
    until: u64,
}

/// Of the certificate in this file (PEM), with those of authorities behind it, if there are any.
/// `what` is whose it is: "etcd's client certificate".
pub(crate) fn standing(what: &str, path: &Path) -> Standing {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.map(|since| since.as_secs()).unwrap_or_default();
    let what = format!("{what} {}", path.display());
    match std::fs::read_to_string(path) {
        Ok(pem) => of_pem(&what, &pem, now),
        Err(error) => Standing::Useless(format!("{what} cannot be read: {error}")),
    }
}

/// The same of a certificate that is at hand.
pub(crate) fn of_pem(what: &str, pem: &str, now: u64) -> Standing {
    let Some(term) = terms(pem) else {
        return Standing::Useless(format!("{what} is no X.509 certificate (PEM)"));
    };
    let (from, until) = (date(term.from), date(term.until));
    if now > term.until {
        Standing::Useless(format!("{what} ended on {until}: put a new one in its place"))
    } else if now < term.from {
        Standing::Useless(format!(
            "{what} is good from {from} on only: is this node's clock right?"
        ))
    } else if term.until - now < EARLY {
        let days = (term.until - now) / DAY;
        Standing::Ends(format!(
            "{what} ends on {until}, in {days} days: put a new one in its place before that"
        ))
    } else {
        Standing::Good
    }
}

/// Of what Kubernetes knows this node by: a token, which is made anew long before its end, or a
/// certificate.
pub(crate) fn of_kubernetes(kube: &Kube) -> Standing {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = since.map(|since| since.as_secs()).unwrap_or_default();
    match kube.expires() {
        Ok(None) => Standing::Good,
        Ok(Some(expiry)) => of_expiry(&expiry, now),
        Err(error) => Standing::Useless(error.to_string()),
    }
}

/// The last tenth of its time is late to be made anew.
fn of_expiry(expiry: &Expiry, now: u64) -> Standing {
    let Expiry { what, from, until } = expiry;
    let early = from.map_or(EARLY, |from| until.saturating_sub(from) / 10).min(EARLY);
    let left = until.saturating_sub(now);
    let what = format!("the {what} that Kubernetes knows this node by");
    let end = date(*until);
    let advice = "see what keeps the credentials of [kubernetes] in the node's file fresh";
    if left == 0 {
        Standing::Useless(format!("{what} ended on {end}: {advice}"))
    } else if left < early {
        Standing::Ends(format!("{what} ends on {end}, in {} minutes: {advice}", left / 60))
    } else {
        Standing::Good
    }
}

/// Writes an event that it ends soon: once a day, however often it is looked at.
pub(crate) fn warn(run: &Path, text: &str) -> bool {
    let mark = run.join("certificate.warned");
    let age = std::fs::metadata(&mark).and_then(|found| found.modified());
    let age = age.ok().and_then(|then| SystemTime::now().duration_since(then).ok());
    if age.is_some_and(|age| age.as_secs() < DAY) {
        return false;
    }
    events::happened(run, "certificate ends", &json!({ "warning": text }));
    // Without the mark it is told again: no reason to fail.
    let _ = std::fs::write(&mark, text);
    true
}

/// What all of a file's certificates have in common: a chain is as good as its weakest link.
fn terms(pem: &str) -> Option<Term> {
    let mut all = None;
    for block in pem.split(BEGIN).skip(1) {
        let (body, _) = block.split_once(END)?;
        let body: String = body.split_whitespace().collect();
        let Expiry { from, until, .. } = Expiry::of_certificate(&STANDARD.decode(body).ok()?)?;
        let term = Term { from: from?, until };
        let of: Term = all.unwrap_or(term);
        all = Some(Term { from: of.from.max(term.from), until: of.until.min(term.until) });
    }
    all
}

fn date(seconds: u64) -> String {
    let days = i64::try_from(seconds / DAY).ok();
    let date = days.and_then(crate::cli::date);
    date.map(|(year, month, day)| format!("{year}-{month:02}-{day:02}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `openssl ca` made them: of version 1, from 2024-02-29 (UTCTime) to 2050-01-01
    /// (GeneralizedTime); and of version 3, from 2020 to 2055.
    const PEM: &str = include_str!("../tests/certificate.pem");

    #[test]
    fn a_token_is_spoken_of_in_the_last_tenth_of_its_time() {
        let token = Expiry { what: "token", from: Some(10_000), until: 13_600 };
        assert_eq!(of_expiry(&token, 13_000), Standing::Good);
        let ends = of_expiry(&token, 13_300);
        assert!(matches!(&ends, Standing::Ends(text) if text.contains("in 5 minutes")), "{ends:?}");
        assert!(matches!(of_expiry(&token, 13_600), Standing::Useless(_)));
    }

    #[test]
    fn dates_are_those_of_people() {
        let dates = [
            (0, "1970-01-01"),
            (1_709_210_096, "2024-02-29"),
            (1_735_603_200, "2024-12-31"),
            (2_524_607_999, "2049-12-31"),
            (253_402_300_799, "9999-12-31"),
        ];
        for (seconds, text) in dates {
            assert_eq!(date(seconds), text);
        }
    }

    #[test]
    fn a_certificate_is_good_ends_soon_or_is_of_no_use() {
        let term = terms(PEM).expect("a certificate");
        assert_eq!((date(term.from), date(term.until)), ("2024-02-29".into(), "2050-01-01".into()));
        let at = |now| of_pem("it", PEM, now);
        assert_eq!(at(term.until - 31 * DAY), Standing::Good);
        let Standing::Ends(text) = at(term.until - 5 * DAY) else { panic!("it ends") };
        assert!(text.starts_with("it ends on 2050-01-01, in 5 days"), "{text}");
        let Standing::Useless(text) = at(term.until + 1) else { panic!("it ended") };
        assert!(text.starts_with("it ended on 2050-01-01"), "{text}");
        let Standing::Useless(text) = at(term.from - 1) else { panic!("it has not begun") };
        assert!(text.contains("from 2024-02-29 on"), "{text}");
        assert_eq!(terms(&format!("{PEM}{PEM}")), Some(term));
    }

    #[test]
    fn what_is_no_certificate_is_told_and_cut_anywhere_is_no_panic() {
        for cut in 0..PEM.len() {
            let _ = terms(&PEM[..cut]);
        }
        for block in PEM.split(BEGIN).skip(1) {
            let body: String = block.replace(END, "").split_whitespace().collect();
            let der = STANDARD.decode(body).expect("base64");
            for cut in 0..der.len() {
                let _ = Expiry::of_certificate(&der[..cut]);
                let mut other = der.clone();
                other[cut] ^= 0xff;
                let _ = Expiry::of_certificate(&other);
            }
        }
        assert!(matches!(of_pem("it", "no", 0), Standing::Useless(_)));
        assert!(matches!(standing("it", Path::new("/nowhere")), Standing::Useless(_)));
    }

    #[test]
    fn it_is_warned_of_once_a_day() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(warn(dir.path(), "it ends"));
        assert!(!warn(dir.path(), "it ends"));
    }
}
