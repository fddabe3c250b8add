//! Verbs as spans of the caller's trace: kept after the reply, sent to a collector on this node.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharfinger_suite::World;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Far above what anything here takes, on a busy machine.
const LONG: Duration = Duration::from_mins(1);

/// A request, answered with this status: its path and its body.
fn taken(stream: TcpStream, status: u16) -> (String, Value) {
    stream.set_read_timeout(Some(LONG)).expect("a limit");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut long = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).expect("a header");
        let header = header.trim_end().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(length) = header.strip_prefix("content-length: ") {
            long = length.parse().expect("a length");
        }
    }
    let mut body = vec![0; long];
    reader.read_exact(&mut body).expect("the body");
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
    // Who has lost patience comes again.
    let _ = reader.get_mut().write_all(answer.as_bytes());
    (path, serde_json::from_slice(&body).expect("JSON"))
}

fn next(collector: &TcpListener) -> TcpStream {
    let began = Instant::now();
    loop {
        match collector.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("a stream that waits");
                return stream;
            }
            Err(_) => assert!(began.elapsed() < LONG, "nobody comes"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text<'v>(span: &'v Value, key: &str) -> &'v str {
    let all = span["attributes"].as_array().expect("attributes");
    let found = all.iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key}: {span:#}"))["value"];
    value["stringValue"].as_str().or(value["intValue"].as_str()).expect("a value")
}

/// The sender, ended with this.
struct Sender(std::process::Child);

impl Sender {
    fn of(world: &World) -> Self {
        let mut command = std::process::Command::new(world.path("bin/wharfinger"));
        let child = command.args(["serve", "--spans"]).envs(world.variables()).spawn();
        Self(child.expect("the sender"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node that has a collector.
fn traced_world() -> (World, TcpListener) {
    let world = World::new();
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    collector.set_nonblocking(true).expect("one that does not wait");
    let address = collector.local_addr().expect("its address");
    world.settings(&format!("[trace]\nendpoint = \"http://{address}\"\n"));
    (world, collector)
}

fn parent() -> String {
    format!("00-{TRACE}-{PARENT}-01")
}

fn nanos(span: &Value, key: &str) -> u128 {
    span[key].as_str().and_then(|text| text.parse().ok()).expect("a time")
}

/// The verb's phases are its children, and within it.
fn has_phases(verb: &Value, spans: &[Value]) {
    let children: Vec<&Value> =
        spans.iter().filter(|span| span["parentSpanId"] == verb["spanId"]).collect();
    for phase in ["lock", "ledger", "plugins", "kernel", "reply"] {
        let child = children.iter().find(|span| span["name"] == phase);
        let child = child.unwrap_or_else(|| panic!("no {phase}: {children:#?}"));
        let (began, ended) = (nanos(child, "startTimeUnixNano"), nanos(child, "endTimeUnixNano"));
        assert!(began <= ended && ended <= nanos(verb, "endTimeUnixNano"), "{phase}: {verb:#}");
    }
}

#[test]
#[ignore = "needs root: ring operate"]
fn a_verb_is_a_span_of_its_callers_trace_and_its_phases_are_its_children() {
    let (world, collector) = traced_world();
    let conf = world.conf("bridge", &json!({}));
    let container = world.container();
    // Nobody listens yet: no verb cares.
    let traced = |verb: &str, parent: &str| {
        world.call(verb, &conf).of(&container).env("TRACEPARENT", parent)
    };
    traced("ADD", &parent()).ok();
    assert_eq!(traced("ADD", &parent()).fails().code, 105, "it stands already");
    // What is no trace, or not kept, is none.
    traced("ADD", "nonsense").fails();
    traced("ADD", &format!("00-{TRACE}-{PARENT}-00")).fails();
    let kept = std::fs::read_to_string(world.path("run/spans.jsonl")).expect("spans");
    assert_eq!(kept.lines().count(), 2, "{kept}");
    let _sender = Sender::of(&world);
    // One that has no time gets them again.
    let _ = taken(next(&collector), 503);
    let (path, body) = taken(next(&collector), 200);
    assert_eq!(path, "/v1/traces");
    let resource = &body["resourceSpans"][0];
    assert_eq!(text(&resource["resource"], "service.name"), "wharfinger");
    let spans = resource["scopeSpans"][0]["spans"].as_array().expect("spans");
    assert!(spans.iter().all(|span| span["traceId"] == TRACE), "{spans:#?}");
    let verbs: Vec<&Value> = spans.iter().filter(|span| span["parentSpanId"] == PARENT).collect();
    let [first, second] = verbs[..] else { panic!("two verbs: {spans:#?}") };
    assert_eq!((&first["name"], &first["status"]["code"]), (&json!("ADD"), &json!(1)));
    assert_eq!(text(first, "container.id"), container.id);
    assert_eq!((text(first, "cni.ifname"), text(first, "cni.command")), ("eth0", "ADD"));
    assert_eq!((&second["status"]["code"], text(second, "cni.code")), (&json!(2), "105"));
    has_phases(first, spans);
}

#[test]
#[ignore = "needs root: ring operate"]
fn a_collector_that_hangs_keeps_no_verb() {
    let (world, collector) = traced_world();
    let _sender = Sender::of(&world);
    let conf = world.conf("bridge", &json!({}));
    let container = world.container();
    let traced = |verb: &str| {
        world.call(verb, &conf).of(&container).env("TRACEPARENT", &parent()).ok();
    };
    traced("ADD");
    let hanging = next(&collector);
    traced("DEL");
    drop(hanging);
    let name = || {
        let (_, body) = taken(next(&collector), 200);
        body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"].clone()
    };
    // What it did not take comes again, until it is taken.
    assert_eq!(name(), "ADD");
    while name() != "DEL" {}
}

#[test]
#[ignore = "needs root: ring operate"]
fn without_a_collector_in_the_settings_nothing_is_kept() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let container = world.container();
    let traced = |verb: &str| {
        let call = world.call(verb, &conf).of(&container);
        call.env("TRACEPARENT", &parent())
    };
    traced("ADD").ok();
    traced("DEL").ok();
    assert!(!world.path("run/spans.jsonl").exists());
    // The phases are in the events all the same.
    let events = world.events();
    let add = events.iter().find(|event| event["verb"] == "ADD").expect("its event");
    assert!(add["phases"]["kernel"].is_number(), "{add:#}");
}
