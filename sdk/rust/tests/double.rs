//! The double behaves as the host does: conflicts, exhaustion, remembered addresses, the store's
//! lifetimes, failures that leave nothing.
#![allow(clippy::indexing_slicing, reason = "a failed expectation is a failed test")]

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Value, json};
use wharfinger_sdk::testing::Host;
use wharfinger_sdk::{
    Attachment, Failure, Ipam, Lease, Policy, PolicyRequest, Pool, Reason, Request, Subnet,
    Verdict, export_ipam, export_policy, ledger, log, node, store,
};

/// Keeps a pod's address for it, and counts in the store.
#[derive(Deserialize)]
struct Sticky {
    pool: Subnet,
    #[serde(default)]
    fail: bool,
    #[serde(default)]
    steal: Option<IpAddr>,
}

export_ipam!(Sticky);

impl Ipam for Sticky {
    fn pools(&self) -> Result<Vec<Pool>, Failure> {
        Ok(vec![self.pool.pool()])
    }

    fn allocate(&self, request: &Request) -> Result<Lease, Failure> {
        let id = &request.attachment.id;
        store::put(&format!("on/{id}"), &node::name(), store::Lifetime::Attachment);
        store::put("ever", "yes", store::Lifetime::Permanent);
        log::info(format!("{id}"));
        let kept = ledger::remembered(&id.container);
        let leased = match request.wanted.first().or(kept.first()) {
            Some(address) => self.pool.take(*address)?,
            None => self.pool.take_free()?,
        };
        ledger::remember(&id.container);
        if self.fail {
            return Err(Failure::try_again("not now"));
        }
        match self.steal {
            Some(address) => Ok(Lease::of([self.pool.leased(address)])),
            None => Ok(Lease::of([leased])),
        }
    }
}

fn config() -> Value {
    json!({"pool": {"subnet": "10.1.0.0/29"}})
}

fn container(name: &str) -> Attachment {
    Attachment::new("pods", name, "eth0")
}

fn address(lease: &Lease) -> String {
    lease.addresses[0].address.addr().to_string()
}

#[test]
fn an_address_is_given_once_until_none_is_left() {
    let mut host = Host::new();
    let mut given: Vec<String> = ["a", "b", "c", "d", "e"]
        .into_iter()
        .map(|name| address(&host.add::<Sticky>(&config(), &container(name)).unwrap()))
        .collect();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), 5);
    let full = host.add::<Sticky>(&config(), &container("f")).unwrap_err();
    assert_eq!(full.reason, Reason::Exhausted);
}

#[test]
fn an_address_of_another_is_a_conflict_that_names_it() {
    let mut host = Host::new();
    let lease = host.add::<Sticky>(&config(), &container("a")).unwrap();
    let wanted = lease.addresses[0].address.addr();
    let request = Request::new(container("b")).wanting([wanted]);
    let refused = host.allocate::<Sticky>(&config(), &request).unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    assert_eq!(refused.message, "10.1.0.2 is held by pods/a/eth0");
    host.reserve("10.1.0.4".parse().unwrap(), "a printer");
    let request = Request::new(container("b")).wanting(["10.1.0.4".parse().unwrap()]);
    let refused = host.allocate::<Sticky>(&config(), &request).unwrap_err();
    assert_eq!(refused.message, "10.1.0.4 is reserved: a printer");
}

#[test]
fn what_is_remembered_outlives_release_and_reboot() {
    let mut host = Host::new();
    let first = address(&host.add::<Sticky>(&config(), &container("a")).unwrap());
    host.del(&container("a"));
    assert_ne!(address(&host.add::<Sticky>(&config(), &container("b")).unwrap()), first);
    host.reboot();
    assert_eq!(address(&host.add::<Sticky>(&config(), &container("a")).unwrap()), first);
}

#[test]
fn a_failure_leaves_nothing_but_its_log() {
    let mut host = Host::new();
    let failing = json!({"pool": {"subnet": "10.1.0.0/29"}, "fail": true});
    host.add::<Sticky>(&failing, &container("a")).unwrap_err();
    assert!(host.holds(&container("a")).is_empty());
    assert_eq!(host.stored("ever"), None);
    assert_eq!(host.log().len(), 1);
}

#[test]
fn entries_of_the_store_live_as_long_as_they_say() {
    let mut host = Host::new();
    host.name("n1");
    host.add::<Sticky>(&config(), &container("a")).unwrap();
    assert_eq!(host.stored("on/pods/a/eth0").as_deref(), Some("n1"));
    host.del(&container("a"));
    assert_eq!(host.stored("on/pods/a/eth0"), None);
    assert_eq!(host.stored("ever").as_deref(), Some("yes"));
}

#[test]
#[should_panic(expected = "10.1.0.6, which it did not take in this call")]
fn an_address_that_was_not_taken_ends_the_call() {
    let steal = json!({"pool": {"subnet": "10.1.0.0/29"}, "steal": "10.1.0.6"});
    let _ = Host::new().add::<Sticky>(&steal, &container("a"));
}

#[test]
#[should_panic(expected = "outside a call of testing::Host")]
fn nobody_answers_outside_a_call() {
    store::get("x");
}

/// At most so many at once.
#[derive(Deserialize)]
struct AtMost {
    most: u64,
    #[serde(default)]
    meddles: bool,
}

export_policy!(AtMost);

impl Policy for AtMost {
    fn admit(&self, request: &PolicyRequest) -> Result<Verdict, Failure> {
        if self.meddles {
            let _ = ledger::remembered("a");
        }
        store::put(&request.attachment.id.to_string(), "", store::Lifetime::Attachment);
        if store::count("") > self.most {
            return Ok(Verdict::deny("no more"));
        }
        Ok(Verdict::Allow)
    }
}

#[test]
fn a_refusal_leaves_nothing_in_the_store() {
    let mut host = Host::new();
    let mut admit = |name| {
        let request = PolicyRequest::new(container(name), json!({}));
        host.admit::<AtMost>(&json!({"most": 1}), &request).unwrap()
    };
    assert_eq!(admit("a"), Verdict::Allow);
    assert_eq!(admit("a"), Verdict::Allow);
    assert_eq!(admit("b"), Verdict::deny("no more"));
    assert_eq!(admit("c"), Verdict::deny("no more"));
    assert_eq!(host.stored("pods/b/eth0"), None);
    host.del(&container("a"));
    let request = PolicyRequest::new(container("b"), json!({}));
    assert_eq!(host.admit::<AtMost>(&json!({"most": 1}), &request).unwrap(), Verdict::Allow);
}

#[test]
#[should_panic(expected = "where the contract does not offer it")]
fn a_policy_has_no_ledger() {
    let request = PolicyRequest::new(container("a"), json!({}));
    let _ = Host::new().admit::<AtMost>(&json!({"most": 1, "meddles": true}), &request);
}
