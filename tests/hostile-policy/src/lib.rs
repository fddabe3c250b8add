//! A policy component that misbehaves: its configuration's "mode" names the misdeed, and "in" the
//! call that does it ("admit" where it is absent, "review", "validate"). In other calls, and in
//! modes that are not known, it allows.
//!
//! The honest modes: "allow", "deny" (with "reason"), "amend" (with "patch", any JSON), "count" (no
//! more than "most" attachments of this network, by entries that go with them), "fail".

wit_bindgen::generate!({ path: "../../wit/0.1.0", world: "policy-plugin", generate_all });

use std::hint::black_box;

use exports::wharfinger::plugin::policy::{Guest, Request, Step, Verdict};
use serde_json::{Value, json};
use wharfinger::plugin::types::{AttachmentId, Failure, Problem, Reason};
use wharfinger::plugin::{logger, node, store};

struct Plugin;
export!(Plugin);

impl Guest for Plugin {
    fn validate(config: String) -> Vec<Problem> {
        let Ok(config) = serde_json::from_str::<Value>(&config) else {
            return vec![problem("", "is not JSON")];
        };
        if place(&config) != "validate" {
            return vec![];
        }
        match mode(&config) {
            "problem" => return vec![problem("/mode", "is a problem")],
            "wild-problem" => return vec![problem("/a\u{1b}[2J", "b\nc\u{7}")],
            "many-problems" => return vec![problem("/mode", &"x".repeat(100)); 10_000],
            other => drop(misdeed(other, &config)),
        }
        vec![]
    }

    fn admit(request: Request) -> Result<Verdict, Failure> {
        act("admit", &request)
    }

    fn review(request: Request, _: Vec<Step>, _: String) -> Result<Verdict, Failure> {
        act("review", &request)
    }
}

fn text<'a>(config: &'a Value, name: &str) -> Option<&'a str> {
    config.get(name).and_then(Value::as_str)
}

fn mode(config: &Value) -> &str {
    text(config, "mode").unwrap_or("allow")
}

fn place(config: &Value) -> &str {
    text(config, "in").unwrap_or("admit")
}

fn problem(pointer: &str, message: &str) -> Problem {
    Problem { pointer: pointer.into(), message: message.into() }
}

fn act(call: &str, request: &Request) -> Result<Verdict, Failure> {
    let config: Value = serde_json::from_str(&request.config).unwrap_or_default();
    if place(&config) != call {
        return Ok(Verdict::Allow);
    }
    if mode(&config) == "count" {
        return Ok(count(&config, &request.attachment.id));
    }
    misdeed(mode(&config), &config)
}

/// Does it. What it answers is for the calls that may answer so.
fn misdeed(mode: &str, config: &Value) -> Result<Verdict, Failure> {
    match mode {
        "loop" => spin(),
        "loop-of-host-calls" => loop {
            black_box(node::now());
        },
        "memory" => memory(),
        "table" => table(),
        "recursion" => drop(black_box(deep(black_box(1)))),
        "trap" => trap(),
        "call-flood" => (0..2_000).for_each(|_| drop(black_box(store::get("k")))),
        "log-flood" => loop {
            logger::log(logger::Level::Info, &"x".repeat(1_000));
        },
        "wild-log" => logger::log(logger::Level::Warn, "a\u{1b}[2Jb\nc"),
        "store-over-quota" => put("big", &"x".repeat((1 << 20) + 1)),
        "store-over-in-parts" => {
            (0..80).for_each(|n| put(&format!("part-{n}"), &"x".repeat(16 << 10)))
        }
        "put-then-trap" => {
            put("left", "behind");
            trap();
        }
        "long-key" => put(&"k".repeat(2_000), "v"),
        other => return answer(other, config),
    }
    Ok(Verdict::Allow)
}

/// Answers that are wrong, or right.
fn answer(mode: &str, config: &Value) -> Result<Verdict, Failure> {
    let amend = |patch: &str| Verdict::Amend(patch.to_owned());
    Ok(match mode {
        "deny" => Verdict::Deny(text(config, "reason").unwrap_or("because").to_owned()),
        "amend" => amend(&config.get("patch").unwrap_or(&Value::Null).to_string()),
        "put-then-deny" => {
            put("left", "behind");
            Verdict::Deny("after a put".to_owned())
        }
        "put-then-fail" => {
            put("left", "behind");
            return Err(failure("after a put"));
        }
        "put" => {
            put("left", "behind");
            Verdict::Allow
        }
        "fail" => return Err(failure(text(config, "reason").unwrap_or("it fails"))),
        "huge-deny" => Verdict::Deny("x".repeat(300 << 10)),
        "long-deny" => Verdict::Deny("x".repeat(20 << 10)),
        "empty-deny" => Verdict::Deny(String::new()),
        "wild-deny" => Verdict::Deny("a\u{1b}[31mb\r\nc\u{0}d\u{9b}e\u{202e}f".to_owned()),
        "invalid-text" => Verdict::Deny(invalid_text()),
        "huge-patch" => amend(&json!({"mtu": 1400, "x": "x".repeat(300 << 10)}).to_string()),
        "deep-patch" => amend(&format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000))),
        "patch-not-json" => amend("{\"mtu\": 1400"),
        "patch-not-object" => amend("[1400]"),
        "patch-null" => amend("null"),
        "patch-twice" => amend(r#"{"mtu": 1400, "mtu": 9000}"#),
        "patch-type" => amend(r#"{"type": "host-device"}"#),
        "patch-bridge" => amend(r#"{"bridge": "br-admin"}"#),
        "patch-ipam-type" => amend(r#"{"ipam": {"type": "/tmp/evil"}}"#),
        "patch-in-capitals" => amend(r#"{"BRIDGE": "br-admin"}"#),
        "patch-removes-policies" => amend(r#"{"policies": null}"#),
        "patch-of-the-result" => amend(r#"{"ips": []}"#),
        "patch-of-dns" => amend(r#"{"dns": {"nameservers": ["10.0.0.53"]}}"#),
        _ => Verdict::Allow,
    })
}

/// At most "most" attachments, each by an entry of its own.
fn count(config: &Value, id: &AttachmentId) -> Verdict {
    let most = config.get("most").and_then(Value::as_u64).unwrap_or(1);
    let own = format!("counted/{}/{}/{}", id.network, id.container, id.ifname);
    let all = store::scan("counted/", None, 1_000);
    let others = all.iter().filter(|entry| entry.name != own).count() as u64;
    if others >= most {
        return Verdict::Deny(format!("{others} of {most} attachments are there"));
    }
    put(&own, "");
    Verdict::Allow
}

fn put(key: &str, value: &str) {
    store::put(key, value, store::Lifetime::Attachment);
}

fn failure(message: &str) -> Failure {
    Failure { reason: Reason::Other, message: message.to_owned(), detail: None }
}

fn spin() {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn memory() {
    let mut all = Vec::new();
    loop {
        all.push(black_box(vec![1_u8; 1 << 20]));
    }
}

// SAFETY: it is what build.rs links in: without arguments, and all it touches is the table.
unsafe extern "C" {
    safe fn grow_table() -> i32;
}

fn table() {
    loop {
        black_box(grow_table());
    }
}

/// No tail call, nothing on the shadow stack: only the engine's stack grows.
#[inline(never)]
fn deep(n: u64) -> u64 {
    if n == 0 { 1 } else { deep(n.wrapping_add(1)).wrapping_mul(n | 1).rotate_left(3) }
}

#[inline(never)]
fn trap() {
    innermost_misdeed();
}

#[inline(never)]
fn innermost_misdeed() {
    core::arch::wasm32::unreachable()
}

fn invalid_text() -> String {
    // SAFETY: it is not safe: that is the misdeed. Nothing here reads the text.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
}
