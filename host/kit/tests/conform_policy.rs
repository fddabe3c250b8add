//! The checks of policies find what is wrong with one, and nothing wrong with a good one.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;

use serde_json::{Map, Value, json};
use wharfinger_kit::conform::{self, Settings};
use wharfinger_plan::Plan;
use wharfinger_wasm::{Book, Error, Node, Policy, PolicyRequest, Problem, Reason, Verdict};

/// A policy with `{"max": 3, "mtu": 1400}`: so many attachments for a namespace, with that MTU.
/// What it does wrong has a name.
struct Double {
    misdeed: &'static str,
    calls: Cell<u64>,
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn read(config: &str) -> Result<(u64, u64), (&'static str, &'static str)> {
    let value: Value = serde_json::from_str(config).map_err(|_| ("", "is no JSON"))?;
    let object = value.as_object().ok_or(("", "is no object"))?;
    let max = object.get("max").ok_or(("/max", "is missing"))?;
    let max = max.as_u64().ok_or(("/max", "is no count"))?;
    let mtu = object.get("mtu").map_or(Some(1_500), Value::as_u64);
    Ok((max, mtu.ok_or(("/mtu", "is no count of bytes"))?))
}

impl Double {
    fn does(&self, misdeed: &str) -> bool {
        self.misdeed == misdeed
    }

    fn error(reason: Reason, message: &str) -> Error {
        Error::Failed {
            plugin: "double".into(),
            call: "admit",
            reason,
            message: message.into(),
            detail: None,
        }
    }

    fn key(&self, request: &PolicyRequest, count: u64) -> String {
        let namespace =
            request.attachment.pod.as_ref().map(|pod| pod.namespace.as_str()).unwrap_or_default();
        match self.misdeed {
            "counts-retries" => format!("{namespace}/{count}"),
            _ => format!("{namespace}/{}", request.attachment.id),
        }
    }

    fn counted(
        &self,
        request: &PolicyRequest,
        max: u64,
        book: &mut dyn Book,
    ) -> Result<bool, Error> {
        let prefix = self.key(request, 0);
        let prefix = format!("{}/", prefix.split('/').next().unwrap_or_default());
        let count = book.store_count(&prefix).map_err(Error::Book)?;
        let key = self.key(request, count);
        if book.store_get(&key).map_err(Error::Book)?.is_some() {
            return Ok(true);
        }
        book.store_put(&key, "", !self.does("leaks")).map_err(Error::Book)?;
        Ok(count < max)
    }
}

impl Policy for Double {
    fn identity(&self) -> &'static str {
        "double@sha256:0"
    }

    fn validate(&self, _: &Node, config: &str) -> Result<Vec<Problem>, Error> {
        let Err((pointer, message)) = read(config) else { return Ok(vec![]) };
        let pointer = if self.does("wrong-pointer") { "nowhere" } else { pointer };
        let problem = Problem { pointer: pointer.into(), message: message.into() };
        Ok(if self.does("admits-anything") { vec![] } else { vec![problem] })
    }

    fn admit(
        &self,
        _: &Node,
        request: &PolicyRequest,
        book: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        let (max, mtu) = match read(&request.config) {
            Ok(read) => read,
            Err(_) if self.does("admits-anything") => return Ok(Verdict::Allow),
            Err((pointer, message)) => {
                let text = format!("{pointer}: {message}");
                return Err(Self::error(Reason::InvalidConfig, &text));
            }
        };
        let network: Result<Value, _> = serde_json::from_str(&request.network_config);
        if network.is_err() && self.does("traps-on-hostile") {
            let message = "unreachable".into();
            return Err(Error::Trapped { plugin: "double".into(), call: "admit", message });
        }
        let turn = self.calls.replace(self.calls.get() + 1);
        if self.does("random") && turn % 2 == 1 {
            return Ok(Verdict::Deny("odd".into()));
        }
        if !self.counted(request, max, book)? {
            let reason = if self.does("no-reason") { "" } else { "too many in the namespace" };
            return Ok(Verdict::Deny(reason.into()));
        }
        Ok(Verdict::Amend(object(&match self.misdeed {
            "changes-type" => json!({ "mtu": mtu, "ipam": { "type": "mine" } }),
            "drops-policies" => json!({ "policies": null }),
            _ => json!({ "mtu": mtu }),
        })))
    }

    fn review(
        &self,
        _: &Node,
        _: &PolicyRequest,
        _: &Plan,
        _: &str,
        _: &mut dyn Book,
    ) -> Result<Verdict, Error> {
        Ok(match self.misdeed {
            "changes-result" => Verdict::Amend(object(&json!({ "ips": [] }))),
            _ => Verdict::Amend(object(&json!({ "dns": { "search": ["a.example"] } }))),
        })
    }
}

fn settings() -> Settings {
    let config = json!({ "max": 5, "mtu": 1_400 });
    Settings { config, deadline: 60_000, ..Settings::default() }
}

fn check(misdeed: &'static str, settings: &Settings) -> conform::Report {
    conform::policy(&Double { misdeed, calls: Cell::new(0) }, settings)
}

#[test]
fn a_good_policy_passes_every_check() {
    let report = check("", &settings());
    assert!(report.passed(), "{report}");
    let text = report.to_string();
    assert!(text.contains("5 pods are admitted, however it is asked"), "{text}");
    assert!(text.contains("/mtu\n"), "{text}");
    let namespaces = vec!["a".to_owned(), "b".to_owned()];
    let report = check("", &Settings { namespaces, ..settings() });
    assert!(report.passed(), "{report}");
}

#[test]
fn every_misdeed_is_found_by_the_check_for_it() {
    for (misdeed, check_for_it) in [
        ("random", "same-answer"),
        ("no-reason", "repeats"),
        ("changes-type", "patches"),
        ("drops-policies", "patches"),
        ("changes-result", "patches"),
        ("counts-retries", "repeats"),
        ("leaks", "returns"),
        ("wrong-pointer", "bad-config"),
        ("admits-anything", "bad-config"),
        ("traps-on-hostile", "hostile-input"),
    ] {
        let report = check(misdeed, &settings());
        let found = report.faults().any(|(name, _)| name == check_for_it);
        assert!(found, "{misdeed}: {report}");
    }
}

#[test]
fn a_policy_that_admits_nobody_is_told_so() {
    let report = check("", &Settings { config: json!({ "max": 0 }), ..settings() });
    assert!(report.passed(), "{report}");
    assert!(report.to_string().contains("it admits no pod"), "{report}");
}
