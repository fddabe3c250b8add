//! A component that misbehaves meets its named error, in time, and the next call works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use support::{MemBook, guest, ipam, node, request};
use wharfinger_wasm::{Error, Grants, Ipam, IpamPlugin, Level, Limits, Plugin, Reason};

static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| guest("tests/hostile"));

fn hostile(limits: &Limits) -> IpamPlugin {
    ipam("hostile", &WASM, limits)
}

/// A shorter deadline, for what meets it.
fn quick() -> Limits {
    Limits { deadline: Duration::from_millis(200), ..Limits::default() }
}

/// A longer one, for what meets another limit, on a machine that is busy.
fn patient() -> Limits {
    Limits { deadline: Duration::from_secs(5), ..Limits::default() }
}

/// The misdeed's error; and the same plugin must work right afterwards.
fn misdeed(plugin: &IpamPlugin, name: &str) -> Error {
    let started = Instant::now();
    let answer = plugin.allocate(&node(), &request(name, &[]), &mut MemBook::default());
    let took = started.elapsed();
    assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    let good = plugin.allocate(&node(), &request("good", &[]), &mut MemBook::default());
    assert!(good.is_ok(), "after {name}: {good:?}");
    answer.expect_err(name)
}

#[test]
fn pain_c7_an_endless_loop_ends_at_the_deadline_and_delays_nobody_else() {
    let looping = hostile(&Limits::default());
    let other = std::thread::spawn(|| {
        let plugin = hostile(&Limits::default());
        let started = Instant::now();
        for _ in 0..100 {
            plugin.allocate(&node(), &request("good", &[]), &mut MemBook::default()).unwrap();
        }
        started.elapsed()
    });
    let started = Instant::now();
    let error = looping.allocate(&node(), &request("loop", &[]), &mut MemBook::default());
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(995) && took < Duration::from_millis(1_300), "{took:?}");
    let said = error.unwrap_err().to_string();
    assert!(said.starts_with("hostile@sha256:"), "{said}");
    assert!(
        said.contains(": allocate: the deadline of 1000 ms exceeded (setting limits.deadline)"),
        "{said}"
    );
    assert!(other.join().unwrap() < Duration::from_millis(500));
}

#[test]
fn several_calls_in_one_process_keep_their_own_deadlines() {
    let calls = [100_u64, 400, 250].map(|ms| {
        std::thread::spawn(move || {
            let deadline = Duration::from_millis(ms);
            let plugin = hostile(&Limits { deadline, ..Limits::default() });
            let started = Instant::now();
            let answer = plugin.allocate(&node(), &request("loop", &[]), &mut MemBook::default());
            assert!(
                matches!(answer, Err(Error::Limit { limit: "the deadline", .. })),
                "{answer:?}"
            );
            (deadline, started.elapsed())
        })
    });
    for call in calls {
        let (deadline, took) = call.join().unwrap();
        assert!(took + Duration::from_millis(5) >= deadline, "{took:?} before {deadline:?}");
        assert!(took < deadline + Duration::from_millis(250), "{took:?} after {deadline:?}");
    }
}

/// A cluster's book may be away for seconds: the verb's deadline bounds that.
#[test]
fn the_time_that_the_book_takes_is_not_the_plugins() {
    let limits = quick();
    let plugin = hostile(&limits);
    let slow = limits.deadline * 2;
    let mut book = MemBook { slow, ..MemBook::default() };
    let answer = plugin.allocate(&node(), &request("good", &[]), &mut book);
    assert!(answer.is_ok(), "{answer:?}");
}

/// A misdeed must meet the limit of this setting, of this size.
fn meets(plugin: &IpamPlugin, name: &str, wanted: &str, said: &str) {
    match misdeed(plugin, name) {
        Error::Limit { setting, allowed, call: "allocate", plugin, .. } => {
            assert_eq!((setting, &*allowed), (wanted, said), "{name}");
            assert!(plugin.starts_with("hostile@sha256:"));
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn pain_d7_each_limit_is_its_own_error_with_its_setting() {
    let hasty = hostile(&quick());
    meets(&hasty, "loop", "limits.deadline", "200 ms");
    meets(&hasty, "loop-of-host-calls", "limits.deadline", "200 ms");
    let plugin = hostile(&patient());
    for (name, wanted, said) in [
        ("memory", "limits.memory", "64 MiB"),
        ("recursion", "limits.stack", "512 KiB"),
        ("call-flood", "limits.ledger-calls", "1000"),
        ("store-flood", "limits.ledger-calls", "1000"),
        ("log-flood", "limits.log", "64 KiB"),
        ("empty-log-flood", "limits.log", "64 KiB"),
        ("huge-log", "limits.hostcall-bytes", "4 MiB"),
        ("returns-300k", "limits.returned", "256 KiB"),
        ("returns-8m", "limits.hostcall-bytes", "4 MiB"),
    ] {
        meets(&plugin, name, wanted, said);
    }
}

#[test]
fn tables_and_instances_are_limited() {
    for (limits, wanted) in [
        (Limits { table_elements: 1, ..Limits::default() }, "limits.table-elements"),
        (Limits { instances: 0, ..Limits::default() }, "limits.instances"),
        (Limits { memory: 64 << 10, ..Limits::default() }, "limits.memory"),
    ] {
        let plugin = hostile(&limits);
        match plugin.allocate(&node(), &request("good", &[]), &mut MemBook::default()) {
            Err(Error::Limit { setting, .. }) => assert_eq!(setting, wanted),
            other => panic!("{wanted}: {other:?}"),
        }
    }
}

#[test]
fn pain_d8_a_trap_names_plugin_export_and_innermost_functions() {
    let plugin = hostile(&patient());
    for name in ["trap", "trap-after-taking"] {
        let error = misdeed(&plugin, name);
        assert!(matches!(error, Error::Trapped { call: "allocate", .. }), "{name}: {error:?}");
        let said = error.to_string();
        assert!(said.starts_with("hostile@sha256:"), "{said}");
        assert!(said.contains("unreachable"), "{said}");
        assert!(said.contains("innermost_misdeed"), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

#[test]
fn every_wrong_answer_is_refused_with_what_is_wrong() {
    let plugin = hostile(&patient());
    for (name, wanted) in [
        ("not-taken", "it returned 10.0.0.77, which it did not take in this call"),
        ("twice", "it returned 10.0.0.5 twice"),
        ("twice-spelled", "it returned fd00::5 twice"),
        ("family", "it returned the gateway fd00::1 for 10.0.0.5: another family"),
        ("own-gateway", "it returned 10.0.0.5 as its own gateway"),
        ("prefix", "is not an address with a prefix length"),
        ("no-prefix", "is not an address with a prefix length"),
        ("zeros", "\"10.0.0.05\" is not an IP address"),
        ("zone", "\"fe80::1%eth0\" is not an IP address"),
        ("mapped", "is an IPv4 address inside an IPv6 one"),
        ("unspecified", "0.0.0.0, which is the unspecified address"),
        ("loopback", "127.0.0.1, which is a loopback address"),
        ("multicast", "224.0.0.1, which is a multicast address"),
        ("broadcast", "255.255.255.255, which is the broadcast address"),
        ("many", "it returned 300 addresses; at most 256 are allowed"),
        ("many-routes", "it returned 2000 routes; at most 1024 are allowed"),
        ("bad-route", "10.9.0.1/16 has host bits: the network is 10.9.0.0/16"),
        ("hop-family", "the next hop 10.0.0.1 for ::: another family"),
        ("dns-server", "\"x\" is not an IP address"),
        ("dns-search", "for the resolver"),
        ("takes-nonsense", "it called ledger.take wrongly: \"10.0.0.05\" is not an IP address"),
        ("takes-zone", "it called ledger.take wrongly"),
        ("takes-mapped", "is an IPv4 address inside an IPv6 one"),
        ("upside-down", "a range from 10.0.0.9 to 10.0.0.1 is upside down"),
        ("mixed-range", "a range from 10.0.0.9 to fd00::1 mixes families"),
        ("many-ranges", "5000 ranges, at most 4096"),
        ("long-key", "a name of 2000 bytes"),
    ] {
        match misdeed(&plugin, name) {
            Error::BadAnswer { what, .. } => assert!(what.contains(wanted), "{name}: {what}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn wanted_addresses_that_the_lease_lacks_are_a_wrong_answer() {
    let plugin = hostile(&patient());
    let request = request("good", &["10.0.0.6"]);
    match plugin.allocate(&node(), &request, &mut MemBook::default()) {
        Err(Error::BadAnswer { what, .. }) => assert!(what.contains("without 10.0.0.6"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn text_of_a_plugin_is_cleaned_and_invalid_text_ends_the_call() {
    let plugin = hostile(&patient());
    match misdeed(&plugin, "wild-text") {
        Error::Failed { message, reason: Reason::Other, .. } => assert_eq!(message, "a [31m b"),
        other => panic!("{other:?}"),
    }
    let error = misdeed(&plugin, "invalid-text");
    assert!(matches!(error, Error::Trapped { .. }), "{error:?}");
    assert!(error.to_string().contains("utf-8"), "{error}");
    let mut book = MemBook::default();
    let _ = plugin.allocate(&node(), &request("wild-log", &[]), &mut book);
    assert_eq!(book.lines, [(Level::Warn, "a [2Jb c".to_owned())]);
}

#[test]
fn validate_and_pools_are_limited_and_checked_too() {
    let plugin = hostile(&quick());
    let error = plugin.validate(&node(), "ledger").unwrap_err().to_string();
    assert!(
        error.contains("validate: it called ledger.take, which is for allocate alone"),
        "{error}"
    );
    let error = plugin.validate(&node(), "loop").unwrap_err();
    assert!(matches!(error, Error::Limit { call: "validate", .. }), "{error:?}");
    for bad in ["upside-down", "mixed"] {
        let error = plugin.pools(&node(), bad).unwrap_err();
        assert!(matches!(error, Error::BadAnswer { call: "pools", .. }), "{error:?}");
    }
    assert_eq!(plugin.pools(&node(), "good").unwrap().len(), 1);
}

#[test]
fn pain_d5_failures_of_plugin_book_engine_and_limits_differ() {
    let plugin = hostile(&patient());
    let mut book = MemBook { broken: Some("the disk is full"), ..MemBook::default() };
    let error = plugin.allocate(&node(), &request("good", &[]), &mut book).unwrap_err();
    assert!(matches!(&error, Error::Book(_)), "{error:?}");
    assert_eq!(error.to_string(), "the disk is full");
    assert!(matches!(misdeed(&plugin, "wild-text"), Error::Failed { .. }));
    assert!(matches!(misdeed(&plugin, "divide"), Error::Trapped { .. }));
    assert!(matches!(misdeed(&plugin, "memory"), Error::Limit { .. }));
    assert!(matches!(misdeed(&plugin, "twice"), Error::BadAnswer { .. }));
}

#[test]
fn what_is_no_component_of_ours_is_said_in_plain_words() {
    let loaded = |wasm: &[u8]| Plugin::compiled("x", wasm, &Limits::default(), &Grants::default());
    let said = loaded(b"\0asm\x0d\0\x01\0").err().unwrap().to_string();
    assert!(
        said.contains("an IPAM plugin exports wharfinger:plugin/ipam@0.1.0, @0.2.0, @0.3.0"),
        "{said}"
    );
    let said = loaded(b"no wasm").err().unwrap().to_string();
    assert!(said.starts_with("plugin x@sha256:"), "{said}");
}
