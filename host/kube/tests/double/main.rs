//! The client against a server that answers as a real one seldom does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod server;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use server::{PKI, Reply, Server};
use wharfinger_kube::{Access, Kube, Seen, Settings, Written};
use wharfinger_ledger::cluster::Fault;

const WAIT: Duration = Duration::from_secs(20);

fn kube(path: PathBuf) -> Kube {
    let timeout = Duration::from_secs(5);
    Kube::new(Settings { access: Access::Kubeconfig(path), timeout }).unwrap()
}

fn ca() -> String {
    format!("    certificate-authority: {PKI}/ca.pem\n")
}

/// A client of the server, by a token.
fn client(server: &Server) -> Kube {
    kube(server.kubeconfig(&ca(), "    token: secret\n"))
}

fn says(status: u16, value: &Value) -> Reply {
    Reply::Says(status, value.to_string())
}

fn object(version: u64) -> Value {
    json!({ "metadata": { "name": "a", "resourceVersion": version.to_string() } })
}

fn said<T: std::fmt::Debug>(result: Result<T, Fault>) -> String {
    match result.unwrap_err() {
        Fault::Refused(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_go_over_one_connection() {
    let absent = json!({ "details": { "name": "b" } });
    let replies =
        [says(200, &object(1)), says(404, &absent), says(201, &object(2)), says(409, &json!({}))];
    let server = Server::new(replies);
    let client = client(&server);
    assert_eq!(client.get("/x/a", WAIT), Ok(Some(object(1))));
    assert_eq!(client.get("/x/b", WAIT), Ok(None));
    assert_eq!(client.create("/x", &object(0), WAIT), Ok(Written::Done(object(2))));
    assert_eq!(client.update("/x/a", &object(1), WAIT), Ok(Written::Conflict));
    assert_eq!(server.connections(), 1);
    let asked = server.asked();
    let lines: Vec<&str> = asked.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(lines, ["GET /x/a", "GET /x/b", "POST /x", "PUT /x/a"]);
    assert_eq!(asked[2].body, object(0).to_string());
    assert!(asked.iter().all(|one| one.token.as_deref() == Some("secret")));
}

#[test]
fn a_token_is_read_at_each_call_and_once_more_where_it_is_not_taken() {
    let none = json!({ "message": "Unauthorized" });
    let ok = || says(200, &object(1));
    let server =
        Server::new([ok(), ok(), says(401, &none), ok(), says(401, &none), says(401, &none)]);
    let client = kube(server.kubeconfig(&ca(), "    tokenFile: token\n"));
    let token = server.dir.path().join("token");
    assert!(said(client.get("/x/a", WAIT)).contains("token"), "it is named where it is not there");
    for text in ["first\n", "second\n", "third\n"] {
        std::fs::write(&token, text).unwrap();
        client.get("/x/a", WAIT).unwrap();
    }
    let refused = said(client.get("/x/a", WAIT));
    assert!(refused.contains("does not take our credentials"), "{refused}");
    let tokens: Vec<_> = server.asked().into_iter().map(|one| one.token.unwrap()).collect();
    assert_eq!(tokens, ["first", "second", "third", "third", "third", "third"]);
}

#[test]
fn a_write_without_an_answer_is_not_sent_again() {
    let server = Server::new([Reply::Hangs, says(504, &json!({})), says(200, &object(1))]);
    let client = client(&server);
    for _ in 0..2 {
        let lost = client.update("/x/a", &object(1), WAIT);
        assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
    }
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_write_that_nobody_answers_is_waited_for_and_not_known() {
    let server = Server::new([Reply::Silent]);
    let lost = client(&server).create("/x", &object(1), Duration::from_millis(300));
    assert!(matches!(lost, Err(Fault::Unknown(_))), "{lost:?}");
}

#[test]
fn a_read_is_asked_again_until_it_is_answered() {
    let replies =
        [Reply::Hangs, says(500, &json!({})), says(429, &json!({})), says(200, &object(1))];
    let server = Server::new(replies);
    assert_eq!(client(&server).get("/x/a", WAIT), Ok(Some(object(1))));
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_write_that_was_not_taken_up_is_sent_again() {
    let server = Server::new([says(429, &json!({})), says(503, &json!({})), says(200, &object(2))]);
    let written = client(&server).update("/x/a", &object(1), WAIT);
    assert_eq!(written, Ok(Written::Done(object(2))));
}

#[test]
fn who_is_not_there_is_unavailable_and_named() {
    let server = Server::new([]);
    let client = client(&server);
    let port = server.port;
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::copy(server.dir.path().join("kubeconfig"), path.path()).unwrap();
    drop((client, server));
    let gone = kube(path.path().to_owned()).create("/x", &object(1), Duration::from_millis(400));
    let Err(Fault::Unavailable(text)) = gone else { panic!("{gone:?}") };
    assert!(text.contains(&format!("https://127.0.0.1:{port}")), "{text}");
}

#[test]
fn a_server_is_verified_always() {
    let server = Server::new([]);
    let refused = |cluster: &str, user: &str| {
        let text = said(kube(server.kubeconfig(cluster, user)).get("/x/a", WAIT));
        assert!(!text.contains("secret"), "{text}");
        text
    };
    let token = "    token: secret\n";
    let other = format!("    certificate-authority: {PKI}/client.pem\n");
    assert!(refused(&other, token).contains("do not trust each other"));
    let name = format!("{}    tls-server-name: other.example\n", ca());
    assert!(refused(&name, token).contains("do not trust each other"));
    let insecure = format!("{}    insecure-skip-tls-verify: true\n", ca());
    assert!(refused(&insecure, token).contains("insecure-skip-tls-verify"));
    let plain = format!("{}    server: http://127.0.0.1\n", ca());
    assert!(refused(&plain, token).contains("twice"));
    let run = "    exec: {command: /bin/sh}\n";
    assert!(refused(&ca(), run).contains("exec is not understood"));
    assert!(refused(&ca(), "    username: a\n").contains("username"));
    assert_eq!(server.asked().len(), 0);
}

#[test]
fn a_client_certificate_is_shown_and_its_end_is_known() {
    let server = Server::with([says(200, &object(1))], true);
    let user =
        format!("    client-certificate: {PKI}/client.pem\n    client-key: {PKI}/client.key\n");
    let client = kube(server.kubeconfig(&ca(), &user));
    assert_eq!(client.get("/x/a", WAIT), Ok(Some(object(1))));
    let ends = client.expires().unwrap().unwrap();
    assert_eq!((ends.what, ends.until), ("client certificate", CLIENT_ENDS));
}

/// `openssl x509 -enddate`.
const CLIENT_ENDS: u64 = 4_906_421_164;

#[test]
fn a_mounted_service_account_is_used() {
    let server = Server::new([says(200, &object(1))]);
    let directory = server.dir.path().to_owned();
    std::fs::copy(format!("{PKI}/ca.pem"), directory.join("ca.crt")).unwrap();
    std::fs::write(directory.join("token"), "mounted").unwrap();
    let access =
        Access::Mounted { directory, server: format!("https://localhost:{}", server.port) };
    let kube = Kube::new(Settings { access, timeout: WAIT }).unwrap();
    assert_eq!(kube.get("/x/a", WAIT), Ok(Some(object(1))));
    assert_eq!(server.asked()[0].token.as_deref(), Some("mounted"));
}

#[test]
fn a_listing_is_taken_page_by_page_and_begun_anew_where_it_is_forgotten() {
    let page = |version: &str, more: &str, name: &str| {
        let items = [json!({ "metadata": { "name": name } })];
        json!({ "metadata": { "resourceVersion": version, "continue": more }, "items": items })
    };
    let replies = [
        says(200, &page("5", "a/b=", "a")),
        says(410, &json!({ "message": "expired" })),
        says(200, &page("9", "next", "a")),
        says(200, &page("9", "", "b")),
    ];
    let server = Server::new(replies);
    let listing = client(&server).list("/x", "", WAIT).unwrap();
    let names: Vec<_> = listing.items.iter().map(|item| item["metadata"]["name"].clone()).collect();
    assert_eq!((listing.version, names), (9, vec![json!("a"), json!("b")]));
    let lines: Vec<String> = server.asked().into_iter().map(|one| one.line).collect();
    assert_eq!(lines[1], "GET /x?limit=500&continue=a%2Fb%3D");
    assert_eq!(lines[3], "GET /x?limit=5000&continue=next");
}

#[test]
fn a_watch_goes_on_where_its_stream_ended() {
    let line =
        |kind: &str, version: u64| json!({ "type": kind, "object": object(version) }).to_string();
    let gone = json!({ "type": "ERROR", "object": { "code": 410, "message": "too old" } });
    let replies = [
        Reply::Lines(vec![line("ADDED", 6), line("MODIFIED", 7), line("BOOKMARK", 9)]),
        Reply::Lines(vec![line("DELETED", 8), line("DELETED", 11)]),
        Reply::Lines(vec![gone.to_string()]),
    ];
    let server = Server::new(replies);
    let mut watch = client(&server).watch("/x", 5);
    let mut seen = Vec::new();
    loop {
        match watch.next(WAIT).unwrap() {
            Seen::Events(events) => {
                seen.extend(events.into_iter().map(|event| (event.version, event.removed)));
            }
            Seen::Nothing => panic!("nothing within {WAIT:?}"),
            Seen::Resync(why) => {
                assert_eq!(why, "too old");
                break;
            }
        }
    }
    assert_eq!(seen, [(6, false), (7, false), (11, true)]);
    let asked = server.asked();
    let from = |at: usize| asked[at].line.split("resourceVersion=").nth(1).unwrap().to_owned();
    assert!(from(1).starts_with("9&") && from(2).starts_with("11&"), "{asked:?}");
}
