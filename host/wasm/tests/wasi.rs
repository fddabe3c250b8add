//! WASI without a grant: it is all there, and all of it refuses; what waits ends at the deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use support::{MemBook, guest, ipam, node, request};
use wharfinger_wasm::{Error, Ipam, IpamPlugin, Level, Limits};

static WASM: LazyLock<Vec<u8>> = LazyLock::new(|| guest("tests/hostile-wasi"));

fn plugin(milliseconds: u64) -> IpamPlugin {
    let deadline = Duration::from_millis(milliseconds);
    ipam("hostile-wasi", &WASM, &Limits { deadline, ..Limits::default() })
}

fn call(plugin: &IpamPlugin, what: &str) -> (Error, Vec<(Level, String)>) {
    let mut book = MemBook::default();
    let answer = plugin.allocate(&node(), &request(what, &[]), &mut book);
    (answer.expect_err(what), book.lines)
}

/// What the guest says came of it, and what is in the log.
fn said(plugin: &IpamPlugin, what: &str) -> (String, Vec<(Level, String)>) {
    match call(plugin, what) {
        (Error::Failed { message, .. }, lines) => (message, lines),
        (other, _) => panic!("{what}: {other:?}"),
    }
}

#[test]
fn pain_h5_what_a_toolchain_imports_is_there_and_empty() {
    let plugin = plugin(5_000);
    assert_eq!(said(&plugin, "environment").0, "([], [], 0)");
    assert_eq!(said(&plugin, "read").0, "Ok(\"\")");
    assert_eq!(said(&plugin, "clock").0, "true");
    assert_eq!(said(&plugin, "random").0, "8");
    for file in ["file /etc/passwd", "list /", "write /tmp/x", "file etc/passwd"] {
        let (message, _) = said(&plugin, file);
        assert!(message.starts_with("Err("), "{file}: {message}");
    }
}

#[test]
fn pain_h5_a_refused_call_is_in_the_log_by_its_functions_name() {
    let plugin = plugin(5_000);
    for (what, function) in [
        ("connect 127.0.0.1:80", "wasi:sockets/tcp-create-socket.create-tcp-socket"),
        ("listen 127.0.0.1:0", "wasi:sockets/tcp-create-socket.create-tcp-socket"),
        ("udp 127.0.0.1:0", "wasi:sockets/udp-create-socket.create-udp-socket"),
        (
            "lookup ipam.example:80",
            "wasi:sockets/ip-name-lookup.resolve-addresses of \"ipam.example\"",
        ),
    ] {
        let (message, lines) = said(&plugin, what);
        assert!(message.starts_with("Err("), "{what}: {message}");
        let line = format!("it called {function}: refused, as no plugin has sockets");
        assert_eq!(lines, [(Level::Warn, line)], "{what}");
    }
}

#[test]
fn output_is_the_operators_log_line_by_line_and_counted() {
    let plugin = plugin(5_000);
    let (_, lines) = said(&plugin, "print");
    let lines: Vec<(Level, &str)> = lines.iter().map(|(level, line)| (*level, &**line)).collect();
    assert_eq!(
        lines,
        [(Level::Info, "one"), (Level::Info, "two  [31m"), (Level::Warn, "not ended")]
    );
    for flood in ["flood", "flood-without-newline", "connect-flood 127.0.0.1:80"] {
        let (error, _) = call(&plugin, flood);
        assert!(matches!(error, Error::Limit { setting: "limits.log", .. }), "{flood}: {error:?}");
    }
}

#[test]
fn pain_c7_what_waits_or_loops_ends_at_the_deadline() {
    let plugin = plugin(300);
    for what in ["sleep", "block", "spin"] {
        let started = Instant::now();
        let (error, _) = call(&plugin, what);
        let took = started.elapsed();
        assert!(
            matches!(error, Error::Limit { setting: "limits.deadline", .. }),
            "{what}: {error:?}"
        );
        assert!(took >= Duration::from_millis(295), "{what}: {took:?}");
        assert!(took < Duration::from_secs(3), "{what}: {took:?}");
    }
}

#[test]
fn ending_itself_is_no_answer() {
    let (error, _) = call(&plugin(5_000), "exit");
    match &error {
        Error::BadAnswer { call: "allocate", what, .. } => {
            assert_eq!(what, "it ended itself (wasi:cli/exit, status 1) in place of answering");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pain_d6_a_panic_is_in_the_log_and_its_trap_names_the_plugins_function() {
    let (error, lines) = call(&plugin(5_000), "panic");
    assert!(matches!(error, Error::Trapped { .. }), "{error:?}");
    assert!(lines.iter().any(|(_, line)| line.contains("on purpose")), "{lines:?}");
}

#[test]
fn handles_and_random_numbers_are_bounded() {
    let plugin = plugin(5_000);
    for what in ["handles", "random 99999999999"] {
        let (error, _) = call(&plugin, what);
        assert!(matches!(error, Error::Trapped { .. }), "{what}: {error:?}");
    }
}

#[test]
fn pain_h2_http_without_a_grant_ends_the_call_with_the_lines_that_grant_it() {
    let plugin = plugin(5_000);
    for what in ["http GET https://ipam.example/x", "http-unread GET https://ipam.example/x"] {
        match call(&plugin, what) {
            (Error::Refused { import, grant, plugin: shown, .. }, _) => {
                assert_eq!(
                    import,
                    "wasi:http/outgoing-handler handle of GET https://ipam.example:443"
                );
                assert!(shown.starts_with("hostile-wasi@sha256:"), "{shown}");
                let digest = plugin.identity().split_once('@').unwrap().1;
                let wanted = format!(
                    "[[plugins.\"{digest}\".http]]\nscheme = \"https\"\nhost = \"ipam.example\"\n\
                     port = 443\nmethods = [\"GET\"]"
                );
                assert_eq!(grant, wanted);
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}
