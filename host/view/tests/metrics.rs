//! What events add up to, and how it is written.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::json;
use wharfinger_view::metrics::{Format, Now, Tally, render};

fn tally() -> Tally {
    let mut tally = Tally::default();
    let calls = json!([{ "plugin": "rules@sha256:00", "call": "admit", "decision": "deny", "milliseconds": 4.0 }]);
    for event in [
        json!({ "verb": "ADD", "network": "n", "milliseconds": 12.0, "phases": { "kernel": 8.0, "lock": 1.0 } }),
        json!({ "verb": "ADD", "network": "n", "milliseconds": 30.0, "code": 101, "error": "no", "calls": calls }),
        json!({ "verb": "ADD", "network": "n", "milliseconds": 40000.0, "code": 100, "error": "full" }),
        json!({ "event": "ledger begun", "what": {} }),
        json!({ "verb": "X\" 1\nevil 2", "network": "n", "milliseconds": 1.0 }),
    ] {
        tally.add(event.to_string().as_bytes());
    }
    tally.add(b"{ \"verb\": \"AD");
    tally
}

fn now() -> Now {
    Now {
        version: "0.1.0".into(),
        pools: vec![("pods".into(), "0".into(), [254, 3, 1, 0])],
        attachments: [(("pods".to_owned(), "attached".to_owned()), 3)].into(),
        ledger: true,
        ledger_bytes: 4096,
        components: (1, 0),
        store: None,
    }
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
}

#[test]
fn events_add_up_by_outcome_cause_and_phase() {
    let text = render(&tally(), &now(), Format::OpenMetrics);
    has(&text, r#"wharfinger_verbs_total{verb="ADD",outcome="ok",cause=""} 1"#);
    has(&text, r#"wharfinger_verbs_total{verb="ADD",outcome="failed",cause="denied"} 1"#);
    has(&text, r#"wharfinger_verbs_total{verb="ADD",outcome="failed",cause="exhausted"} 1"#);
    has(&text, r#"wharfinger_verb_seconds_bucket{verb="ADD",phase="all",le="0.02"} 1"#);
    has(&text, r#"wharfinger_verb_seconds_bucket{verb="ADD",phase="all",le="30.0"} 2"#);
    has(&text, r#"wharfinger_verb_seconds_bucket{verb="ADD",phase="all",le="+Inf"} 3"#);
    has(&text, r#"wharfinger_verb_seconds_count{verb="ADD",phase="plugins"} 1"#);
    has(&text, r#"wharfinger_verb_seconds_sum{verb="ADD",phase="kernel"} 0.008"#);
    has(&text, r#"wharfinger_verb_seconds_bucket{verb="ADD",phase="rest",le="0.005"} 1"#);
    has(
        &text,
        r#"wharfinger_plugin_decisions_total{plugin="rules",call="admit",decision="deny"} 1"#,
    );
    has(&text, r#"wharfinger_happened_total{event="ledger begun"} 1"#);
    has(&text, "wharfinger_events_skipped_total 1");
    has(&text, r#"wharfinger_pool_addresses{network="pods",pool="0",state="held"} 3"#);
    has(&text, r#"wharfinger_verbs_total{verb="X\" 1 evil 2",outcome="ok",cause=""} 1"#);
}

#[test]
fn the_two_formats_differ_in_what_they_must() {
    let open = render(&tally(), &now(), Format::OpenMetrics);
    has(&open, "# TYPE wharfinger_verbs counter");
    assert!(open.ends_with("# EOF\n"));
    let plain = render(&tally(), &now(), Format::Prometheus);
    has(&plain, "# TYPE wharfinger_verbs_total counter");
    assert!(!plain.contains("# EOF"));
}

#[test]
fn a_tally_is_kept_and_read_again() {
    let kept = serde_json::to_string(&tally()).expect("JSON");
    assert_eq!(serde_json::from_str::<Tally>(&kept).expect("a tally"), tally());
}

#[test]
fn names_from_outside_do_not_make_series_without_end() {
    let mut tally = Tally::default();
    for number in 0..2000 {
        let event = json!({ "event": format!("e{number}"), "what": {} });
        tally.add(event.to_string().as_bytes());
    }
    let text = render(&tally, &Now::default(), Format::OpenMetrics);
    assert!(
        text.lines().filter(|line| line.starts_with("wharfinger_happened_total")).count() <= 501
    );
    has(&text, r#"wharfinger_happened_total{event="other"} 1500"#);
}
