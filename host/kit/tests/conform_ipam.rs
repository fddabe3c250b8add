//! The checks of IPAM plugins find what is wrong with a plugin, and nothing wrong with a good one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::cell::Cell;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kit::conform::{self, Outcome, Settings};
use wharfinger_wasm::{
    Book, Error, Ipam, Lease, LeasedAddress, Node, Pool, Problem, Reason, Request,
};

type Range = (IpAddr, IpAddr);

/// A plugin with `{"ranges": [[first, last], ...]}`: one address of each; the last one of a range
/// is its gateway. What it does wrong has a name.
struct Double {
    misdeed: &'static str,
    calls: Cell<u64>,
}

fn failed(reason: Reason, message: &str) -> Error {
    Error::Failed {
        plugin: "double".into(),
        call: "allocate",
        reason,
        message: message.into(),
        detail: None,
    }
}

fn trapped() -> Error {
    Error::Trapped { plugin: "double".into(), call: "validate", message: "unreachable".into() }
}

fn range(value: &Value) -> Option<Range> {
    let ends = value.as_array().filter(|ends| ends.len() == 2)?;
    let end = |at: usize| ends[at].as_str()?.parse().ok();
    let (first, last): Range = (end(0)?, end(1)?);
    (first.is_ipv4() == last.is_ipv4() && first < last).then_some((first, last))
}

impl Double {
    fn does(&self, misdeed: &str) -> bool {
        self.misdeed == misdeed
    }

    fn read(config: &str) -> Result<Vec<Range>, (String, String)> {
        let bad = |pointer: &str, message: &str| (pointer.to_owned(), message.to_owned());
        let value: Value = serde_json::from_str(config).map_err(|e| bad("", &e.to_string()))?;
        let object = value.as_object().ok_or_else(|| bad("", "is no object"))?;
        let ranges = object.get("ranges").ok_or_else(|| bad("/ranges", "is missing"))?;
        let ranges = ranges.as_array().ok_or_else(|| bad("/ranges", "is no list"))?;
        if ranges.is_empty() {
            return Err(bad("/ranges", "is empty"));
        }
        let one =
            |(at, value)| range(value).ok_or_else(|| bad(&format!("/ranges/{at}"), "is no range"));
        ranges.iter().enumerate().map(one).collect()
    }

    fn ranges(&self, config: &str) -> Result<Vec<Range>, Error> {
        match Self::read(config) {
            Ok(ranges) => Ok(ranges),
            Err(_) if self.does("takes-anything") => {
                Ok(vec![("10.1.0.1".parse().unwrap(), "10.1.0.60".parse().unwrap())])
            }
            Err(_) if self.does("no-pointer") => Err(failed(Reason::InvalidConfig, "it is bad")),
            Err((pointer, message)) => {
                Err(failed(Reason::InvalidConfig, &format!("{pointer}: {message}")))
            }
        }
    }

    fn one(
        &self,
        range: Range,
        request: &Request,
        book: &mut dyn Book,
    ) -> Result<Option<IpAddr>, Error> {
        let (first, last) = range;
        let inside =
            |ip: &&IpAddr| first.is_ipv4() == ip.is_ipv4() && first <= **ip && **ip <= last;
        if let Some(wanted) = request.wanted.iter().find(inside)
            && !self.does("ignores-wanted")
        {
            if *wanted == last && !self.does("gives-gateway") {
                return Err(failed(Reason::Conflict, "it is the gateway"));
            }
            return match book.take(*wanted).map_err(Error::Book)? {
                Ok(()) => Ok(Some(*wanted)),
                Err(_) if self.does("other-instead") => {
                    book.take_free(&[range], &[(last, last)], None).map_err(Error::Book)
                }
                Err(_) => Err(failed(Reason::Conflict, "it is held")),
            };
        }
        if self.does("untaken") {
            return Ok(Some(first));
        }
        if self.does("own-count")
            && let IpAddr::V4(first) = first
        {
            return by_own_count(first, book).map(Some);
        }
        let turn = u32::try_from(self.calls.replace(self.calls.get() + 1) % 40).unwrap();
        let start = match first {
            IpAddr::V4(v4) if self.does("random") => {
                Some(IpAddr::V4((u32::from(v4) + turn).into()))
            }
            _ => None,
        };
        book.take_free(&[range], &[(last, last)], start).map_err(Error::Book)
    }
}

/// Up and up: neither does who asks again get the same, nor is anything free again.
fn by_own_count(first: std::net::Ipv4Addr, book: &mut dyn Book) -> Result<IpAddr, Error> {
    let next = book.store_get("next").map_err(Error::Book)?.unwrap_or_default();
    let next: u32 = next.parse().unwrap_or_default();
    book.store_put("next", &(next + 1).to_string(), false).map_err(Error::Book)?;
    let address = IpAddr::V4((u32::from(first) + next % 59).into());
    match book.take(address).map_err(Error::Book)? {
        Ok(()) => Ok(address),
        Err(_) => Err(failed(Reason::Exhausted, "taken")),
    }
}

impl Ipam for Double {
    fn identity(&self) -> &'static str {
        "double@sha256:0"
    }

    fn validate(&self, _: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        if config == "{}" && self.does("traps-on-empty") {
            return Err(trapped());
        }
        if self.does("takes-anything") || self.does("no-pointer") {
            return Ok(vec![]);
        }
        let Err((pointer, message)) = Self::read(config) else { return Ok(vec![]) };
        let pointer = if self.does("wrong-pointer") { "/x/y/z".into() } else { pointer };
        Ok(vec![Problem { pointer, message }])
    }

    fn pools(&self, _: &Node, config: &str) -> Result<Vec<Pool>, Error> {
        if self.does("other-pools") {
            let range = ("10.9.0.1".parse().unwrap(), "10.9.0.9".parse().unwrap());
            return Ok(vec![Pool { name: "other".into(), ranges: vec![range] }]);
        }
        let pool = |range: Range| Pool { name: range.0.to_string(), ranges: vec![range] };
        Ok(self.ranges(config)?.into_iter().map(pool).collect())
    }

    fn allocate(&self, _: &Node, request: &Request, book: &mut dyn Book) -> Result<Lease, Error> {
        if self.does("slow") {
            std::thread::sleep(Duration::from_millis(2));
        }
        if self.does("traps-without-pod") && request.attachment.pod.is_none() {
            return Err(trapped());
        }
        if self.does("leaks") {
            let key = &request.attachment.id.container;
            book.store_put(key, "", false).map_err(Error::Book)?;
        }
        let ranges = self.ranges(&request.config)?;
        let mut lease = Lease::default();
        for range in &ranges {
            match self.one(*range, request, book)? {
                Some(address) => lease.addresses.push(LeasedAddress {
                    address: ipnet::IpNet::new(address, if address.is_ipv4() { 24 } else { 64 })
                        .unwrap(),
                    gateway: Some(range.1),
                }),
                None if self.does("half") && !lease.addresses.is_empty() => {}
                None if self.does("wrong-reason") => return Err(failed(Reason::Other, "full")),
                None => return Err(failed(Reason::Exhausted, "full")),
            }
        }
        let given = |ip: &IpAddr| lease.addresses.iter().any(|a| a.address.addr() == *ip);
        if !request.wanted.iter().all(given)
            && !self.does("ignores-wanted")
            && !self.does("other-instead")
        {
            return Err(failed(Reason::Conflict, "it lies in no range"));
        }
        Ok(lease)
    }
}

fn settings() -> Settings {
    let config = json!({ "ranges": [["10.1.0.1", "10.1.0.60"], ["fd00::1", "fd00::60"]] });
    // A busy machine is no fault of the plugin's.
    Settings { config, attachments: 600, seed: 7, deadline: 60_000, ..Settings::default() }
}

fn check(misdeed: &'static str, settings: &Settings) -> conform::Report {
    conform::ipam(&Double { misdeed, calls: Cell::new(0) }, settings)
}

#[test]
fn a_good_plugin_passes_every_check() {
    let report = check("", &settings());
    assert!(report.passed(), "{report}");
    let all = report.checks.iter();
    let idle: Vec<_> =
        all.filter(|check| matches!(check.outcome, Outcome::NotApplicable { .. })).collect();
    assert!(idle.is_empty(), "{report}");
    assert_eq!(check("", &settings()).checks[..11], report.checks[..11], "a seed makes one run");
}

#[test]
fn every_misdeed_is_found_by_the_check_for_it() {
    for (misdeed, check_for_it) in [
        ("random", "same-answer"),
        ("ignores-wanted", "wanted"),
        ("other-instead", "wanted"),
        ("gives-gateway", "wanted"),
        ("untaken", "lease"),
        ("other-pools", "lease"),
        ("own-count", "asked-again"),
        ("half", "dual-stack"),
        ("wrong-reason", "exhaustion"),
        ("leaks", "life"),
        ("traps-on-empty", "bad-config"),
        ("wrong-pointer", "bad-config"),
        ("no-pointer", "bad-config"),
        ("takes-anything", "bad-config"),
        ("traps-without-pod", "hostile-input"),
    ] {
        let report = check(misdeed, &settings());
        let found = report.faults().any(|(name, _)| name == check_for_it);
        assert!(found, "{misdeed}: {report}");
    }
    let slow = check("slow", &Settings { deadline: 3, attachments: 10, ..settings() });
    assert!(slow.faults().any(|(name, _)| name == "deadline"), "{slow}");
}

#[test]
fn what_cannot_be_checked_is_said_with_what_is_needed() {
    let report = check("", &Settings { config: json!({}), ..settings() });
    assert_eq!(report.faults().count(), 0, "{report}");
    assert!(!report.passed(), "nothing is known of it: {report}");
    let text = report.to_string();
    assert!(text.ends_with("give it what it needs, as the check `config` says\n"), "{text}");
    assert!(text.contains("it needs another configuration than {}: /ranges: is missing"), "{text}");
    let one = json!({ "ranges": [["10.0.0.1", "10.9.0.1"]] });
    let report = check("", &Settings { config: one, ..settings() });
    let text = report.to_string();
    assert!(text.contains("its leases are of one family"), "{text}");
    assert!(text.contains("give a configuration with pools of at most 65536 addresses"), "{text}");
}

#[test]
fn a_check_can_be_left_out_with_a_reason_and_the_report_is_json() {
    let skip = [("wanted".to_owned(), "not meant to".to_owned())].into();
    let report = check("ignores-wanted", &Settings { skip, ..settings() });
    assert!(report.passed(), "{report}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["kind"], "ipam");
    let wanted = json["checks"].as_array().unwrap().iter().find(|c| c["name"] == "wanted").unwrap();
    assert_eq!(wanted["outcome"], "not-applicable");
    assert_eq!(wanted["why"], "left out: not meant to");
}
