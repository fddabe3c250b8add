//! Records of calls: written, read, replayed; without what is secret.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use serde_json::{Value, json};
use support::{MemBook, node, request};
use wharfinger_wasm::record::{Answer, BadRecord, Call, FORMAT, Import, Record, Recorder, Replay};
use wharfinger_wasm::{
    Book, Error, HttpAnswer, HttpRequest, Lease, Level, ObjectMeta, PodFacts, Reason, Verdict,
};

fn record(config: &str, imports: Vec<Import>) -> Record {
    Record {
        format: FORMAT,
        time: 1_795_000_000,
        took: 250,
        plugin: "p@sha256:00".to_owned(),
        node: node(),
        call: Call::Allocate { request: request(config, &["10.1.0.9"]) },
        imports,
        answer: Answer::Lease(Lease::default()),
    }
}

fn http(url: &str, headers: &[(&str, &str)], body: &str) -> HttpRequest {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: headers.iter().map(own).collect(),
        body: body.to_owned(),
    }
}

fn answered(body: &str) -> HttpAnswer {
    HttpAnswer { status: 200, headers: vec![], body: body.to_owned() }
}

/// Asks every question once; answers what it was told, as text.
fn ask_all(book: &mut dyn Book) -> Vec<String> {
    let ip = |text: &str| text.parse().unwrap();
    let ranges = [(ip("10.1.0.1"), ip("10.1.0.9"))];
    book.log(Level::Info, "hello");
    let request = http("https://ipam.example/api", &[], "");
    let known = book.http_known(&request).unwrap_or_else(|| {
        let answer = answered("[]");
        book.http_done(&request, &answer);
        answer
    });
    vec![
        format!("{:?}", book.take(ip("10.1.0.3")).unwrap()),
        format!("{:?}", book.take(ip("10.1.0.4")).unwrap()),
        format!("{:?}", book.take_free(&ranges, &ranges[..0], None).unwrap()),
        format!("{:?}", book.remembered("web").unwrap()),
        format!("{:?}", book.remember("web").unwrap()),
        format!("{:?}", book.store_put("k", "v", true).unwrap()),
        format!("{:?}", book.store_size().unwrap()),
        format!("{:?}", book.store_get("k").unwrap()),
        format!("{:?}", book.store_remove("k").unwrap()),
        format!("{:?}", book.store_scan("a/", Some("a/b"), 10).unwrap()),
        format!("{:?}", book.store_count("a/").unwrap()),
        format!("{:?}", book.usage(&ranges).unwrap()),
        format!("{:?}", book.pod().unwrap()),
        format!("{:?}", book.pod().unwrap()),
        format!("{known:?}"),
    ]
}

#[test]
fn every_import_is_noted_written_read_and_answered_again() {
    let labels = [("app".to_owned(), "web".to_owned())].into();
    let of_pod = ObjectMeta { labels, ..ObjectMeta::default() };
    let known = PodFacts { name: "web-0".to_owned(), of_pod, ..PodFacts::default() };
    let mut book = MemBook { pod: Some(Ok(known)), ..MemBook::default() };
    book.held.insert("10.1.0.3".parse().unwrap());
    let mut recorder = Recorder::new(&mut book);
    let told = ask_all(&mut recorder);
    let imports = recorder.imports();
    assert_eq!(imports.len(), 16);
    let written = record("{}", imports).to_json().unwrap();
    let read = Record::read(&written).unwrap();
    let mut replay = Replay::new(&read.imports);
    assert_eq!(ask_all(&mut replay), told);
    assert_eq!((replay.departure(), replay.unasked()), (None, None));
    assert_eq!(replay.lines(), [(Level::Info, "hello".to_owned())]);
    assert_eq!(Record::read(&read.to_json().unwrap()).unwrap(), read);
}

#[test]
fn a_plugin_that_asks_otherwise_is_told_what_the_record_has() {
    let mut book = MemBook::default();
    let mut recorder = Recorder::new(&mut book);
    let ranges = [("10.1.0.1".parse().unwrap(), "10.1.0.254".parse().unwrap())];
    recorder.take_free(&ranges, &[], None).unwrap();
    let imports = recorder.imports();
    let mut replay = Replay::new(&imports);
    let error = replay.take("10.1.0.9".parse().unwrap()).unwrap_err().to_string();
    assert_eq!(
        error,
        "asked ledger.take 10.1.0.9 where the record has ledger.take-free of 10.1.0.1 - 10.1.0.254"
    );
    assert_eq!(replay.departure(), Some(error.as_str()));
    let mut replay = Replay::new(&imports);
    replay.take_free(&ranges, &[], None).unwrap();
    let error = replay.store_get("k").unwrap_err().to_string();
    assert_eq!(error, "asked store.get k where the record ends");
    assert_eq!(Replay::new(&imports).unasked().unwrap(), imports[0].to_string());
}

#[test]
fn a_request_that_the_record_has_not_is_answered_and_never_sent() {
    let first = Import::Http { request: http("http://a/1", &[], ""), answer: answered("one") };
    let second = Import::Http { request: http("http://a/2", &[], ""), answer: answered("two") };
    let mut replay = Replay::new(&[first, second]);
    // Two under way together end in any order.
    assert_eq!(replay.http_known(&http("http://a/2", &[], "")).unwrap().body, "two");
    let other = replay.http_known(&http("http://a/3", &[], "")).unwrap();
    assert_eq!(other.status, 0);
    assert_eq!(other.body, "asked GET http://a/3 where the record has GET http://a/1");
}

#[test]
fn a_book_that_failed_fails_again() {
    let mut book = MemBook { broken: Some("disk on fire"), ..MemBook::default() };
    let mut recorder = Recorder::new(&mut book);
    recorder.store_get("k").unwrap_err();
    let mut replay = Replay::new(&recorder.imports());
    assert_eq!(replay.store_get("k").unwrap_err().to_string(), "disk on fire");
}

#[test]
fn what_a_configuration_marks_is_nowhere_in_the_record() {
    let config = json!({
        "token": "s3cr\"et/ü", "deep": {"pass": "xy", "user": "u"},
        "secrets": ["/token", "/deep/pass", "/absent", 7],
    });
    let request = http(
        "https://ipam.example/?q=plain",
        &[("Authorization", "Token abcdef"), ("X-Note", "s3cr\"et/ü!")],
        &json!({ "password": "s3cr\"et/ü" }).to_string(),
    );
    let mut answer = answered("your token is s3cr\"et/ü");
    answer.headers.push(("Set-Cookie".to_owned(), "id=abcdef".to_owned()));
    let message = "with s3cr\"et/ü".to_owned();
    let imports = vec![
        Import::Log { level: Level::Debug, message },
        Import::Get { key: "xylophone".to_owned(), answer: Some("xy".to_owned()) },
        Import::Http { request, answer },
    ];
    let text = record(&config.to_string(), imports).to_json().unwrap();
    assert!(!text.contains("s3cr") && !text.contains("abcdef"), "{text}");
    assert!(!text.contains("\\\"xy\\\"") && !text.contains("\"xy\""), "{text}");
    assert!(text.contains("xylophone"), "a short secret hides no other word: {text}");
    let Call::Allocate { request } = Record::read(&text).unwrap().call else { panic!("{text}") };
    let config: Value = serde_json::from_str(&request.config).unwrap();
    assert_eq!(config["token"], "(secret)");
    assert_eq!(config["deep"], json!({ "pass": "(secret)", "user": "u" }));
    let network: Value = serde_json::from_str(&request.network_config).unwrap();
    assert_eq!(network["ipam"]["token"], "(secret)");
}

#[test]
fn a_replay_compares_without_the_secret() {
    let config = r#"{"token": "abcdef", "secrets": ["/token"]}"#;
    let headers = [("Authorization", "Token abcdef")];
    let request = http("https://h/?token=abcdef", &headers, "abcdef");
    let imports = vec![
        Import::Http { request, answer: answered("ok") },
        Import::Remember { identity: "abcdef".to_owned() },
    ];
    let read = Record::read(&record(config, imports).to_json().unwrap()).unwrap();
    let mut replay = Replay::new(&read.imports);
    let headers = [("Authorization", "Token (secret)")];
    let request = http("https://h/?token=%28secret%29", &headers, "(secret)");
    assert_eq!(replay.http_known(&request).unwrap().body, "ok");
    replay.remember("(secret)").unwrap();
}

#[test]
fn another_format_is_named() {
    let mut value: Value = serde_json::from_str(&record("{}", vec![]).to_json().unwrap()).unwrap();
    value["format"] = json!(7);
    let error = Record::read(&value.to_string()).unwrap_err();
    assert!(matches!(error, BadRecord::Format { found: 7 }), "{error}");
    assert!(matches!(Record::read("{}"), Err(BadRecord::Json(_))));
}

#[test]
fn answers_of_every_kind_are_read_as_they_were_written() {
    let failed = Error::Failed {
        plugin: "p".to_owned(),
        call: "admit",
        reason: Reason::TryAgain,
        message: "later".to_owned(),
        detail: Some("much later".to_owned()),
    };
    let amend = json!({ "mtu": 1400 }).as_object().cloned().unwrap();
    for answer in [
        Answer::Verdict(Verdict::Allow),
        Answer::Verdict(Verdict::Deny("no".to_owned())),
        Answer::Verdict(Verdict::Amend(amend)),
        Answer::Released(()),
        Answer::of(&Err::<(), _>(failed), |()| Answer::Released(())),
    ] {
        let written = Record { answer, ..record("{}", vec![]) };
        assert_eq!(Record::read(&written.to_json().unwrap()).unwrap(), written);
    }
}

/// A record is made in every ADD: it must cost next to nothing. The bound is far above what it
/// takes (a few microseconds), so that a busy machine does not fail it.
#[test]
fn noting_and_writing_costs_microseconds() {
    let config = r#"{"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}]]}"#;
    let started = std::time::Instant::now();
    for _ in 0..1_000 {
        let mut book = MemBook::default();
        let mut recorder = Recorder::new(&mut book);
        let range = ("10.1.0.1".parse().unwrap(), "10.1.0.254".parse().unwrap());
        recorder.take_free(&[range], &[], None).unwrap();
        let text = record(config, recorder.imports()).to_json().unwrap();
        assert!(text.len() < 4_096);
    }
    let each = started.elapsed() / 1_000;
    println!("{each:?} for noting and writing a record");
    assert!(each < std::time::Duration::from_micros(500), "{each:?}");
}
