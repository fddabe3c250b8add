//! Rows D1, D2, D4 and A8 as far as the protocol can hold them: exactly one JSON object or
//! silence whatever happens, written in one piece; errors that a person can read; no verb that
//! succeeds for want of code.
#![allow(clippy::panic, reason = "on purpose")]
mod common;

use common::{Answer, Broken, Call, OWN_NETNS, Recorder, conf, dual_stack, quiet_panics, run_into};
use serde_json::json;
use wharfinger_cni::{Io, Verb, Version, run};

#[test]
fn pain_d1_a_panic_is_one_error_object() {
    quiet_panics();
    for verb in ["ADD", "DEL", "CHECK", "STATUS", "GC"] {
        let plugin = Recorder::answering(Answer::Panics("on purpose".into()));
        let error = Call::new(verb).run(&plugin).error();
        assert_eq!((error.code, error.version.as_str()), (999, "1.1.0"), "{verb}");
        assert!(error.msg.contains("on purpose"), "{}", error.msg);
        assert!(plugin.delivered.take().is_empty(), "nothing came back, so nothing is told");
        let error = Call::new(verb).run(&Recorder::answering(Answer::PanicsOddly)).error();
        assert_eq!(error.code, 999, "{verb}");
    }
}

/// A stream that fails, or an environment that panics.
struct Hostile;

impl std::io::Read for Hostile {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("no such stream"))
    }
}

impl wharfinger_cni::Env for Hostile {
    fn var(&self, _: &str) -> Option<std::ffi::OsString> {
        panic!("on purpose: environment")
    }

    fn same_netns(&self, _: &std::path::Path) -> bool {
        false
    }
}

fn run_with(
    env: &dyn wharfinger_cni::Env,
    stdin: &mut dyn std::io::Read,
    plugin: &Recorder,
) -> common::Out {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let io = Io { stdin, stdout: &mut stdout, stderr: &mut stderr };
    let status = run(env, io, plugin);
    common::Out { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

#[test]
fn pain_d1_an_unreadable_stdin_is_error_5() {
    for verb in ["ADD", "DEL", "CHECK", "STATUS", "GC"] {
        let out = run_with(&Call::new(verb).env, &mut Hostile, &Recorder::default());
        assert_eq!(out.error().code, 5, "{verb}");
    }
}

#[test]
fn pain_d1_a_panic_outside_of_the_plugin_is_one_error_object_too() {
    quiet_panics();
    let out = run_with(&Hostile, &mut std::io::empty(), &Recorder::default());
    assert_eq!(out.error().code, 999);
}

#[test]
fn pain_d1_an_endless_stdin_ends() {
    let plugin = Recorder::default();
    let out = run_with(&Call::new("ADD").env, &mut std::io::repeat(b' '), &plugin);
    assert_eq!(out.error().code, 6);
}

#[test]
fn pain_d1_a_stdout_that_fails_is_a_failure_and_the_attachment_is_undone() {
    let plugin = Recorder { result: dual_stack(), ..Recorder::default() };
    let whole = Call::new("ADD").run(&plugin).stdout.len();
    assert_eq!(plugin.delivered.take(), [true]);
    for room in 0..whole {
        let mut stdout = Broken { room, ..Broken::default() };
        assert_eq!(run_into(&Call::new("ADD"), &mut stdout, &plugin), 1, "{room}");
        assert_eq!(plugin.delivered.take(), [false], "{room}");
    }
    let mut stdout = Broken { room: whole, ..Broken::default() };
    assert_eq!(run_into(&Call::new("ADD"), &mut stdout, &plugin), 0);
    assert_eq!(plugin.delivered.take(), [true]);
    for verb in ["VERSION", "NONSENSE"] {
        assert_eq!(run_into(&Call::new(verb), &mut Broken::default(), &plugin), 1);
    }
}

#[test]
fn pain_d1_a_failing_stderr_changes_nothing() {
    let call = Call::new("DEL").var("CNI_NETNS", OWN_NETNS);
    let (mut stdout, mut stderr) = (Vec::new(), Broken::default());
    let mut stdin = call.stdin.as_slice();
    let io = Io { stdin: &mut stdin, stdout: &mut stdout, stderr: &mut stderr };
    assert_eq!(run(&call.env, io, &Recorder::default()), 0);
    assert!(stderr.writes > 0 && stdout.is_empty());
}

#[cfg(unix)]
#[test]
fn pain_d1_variables_that_are_not_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let bad = OsStr::from_bytes(b"a\xff");
    for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_ARGS", "CNI_NETNS"] {
        let error = Call::new("ADD").var(name, bad).refused();
        assert!(error.code == 4 && error.msg.contains(name), "{error:?}");
    }
    let seen = Call::new("DEL").var("CNI_NETNS", bad).var("CNI_ARGS", bad).seen();
    assert_eq!(seen.netns.unwrap().as_os_str(), bad);
    Call::new("ADD").var("CNI_PATH", bad).var("CNI_NETNS_OVERRIDE", bad).seen();
}

#[test]
fn pain_d2_the_reply_is_written_in_one_piece() {
    let plugin = Recorder { result: dual_stack(), ..Recorder::default() };
    for verb in ["ADD", "VERSION", "NONSENSE"] {
        let mut stdout = Broken { room: usize::MAX, ..Broken::default() };
        run_into(&Call::new(verb), &mut stdout, &plugin);
        assert_eq!(stdout.writes, 1, "{verb}");
        assert!(stdout.taken.ends_with(b"}\n"));
    }
    for verb in ["DEL", "CHECK", "STATUS", "GC"] {
        let mut stdout = Broken::default();
        run_into(&Call::new(verb), &mut stdout, &plugin);
        assert_eq!(stdout.writes, 0, "{verb}");
    }
}

#[test]
fn pain_d4_the_protocols_errors_are_one_readable_line_each() {
    let of = |call: Call| {
        let error = call.refused();
        format!("{} {}", error.code, error.msg)
    };
    let add = || Call::new("ADD");
    let lines = [
        of(add().conf(&conf("2.0.0"))),
        of(Call::new("GC").conf(&conf("0.4.0"))),
        of(Call::new("CREATE")),
        of(add().unset("CNI_NETNS").var("CNI_IFNAME", "a/b")),
        of(add().stdin("")),
        of(add().stdin("{\"name\":")),
        of(add().conf(&json!({}))),
        of(add().conf(&json!({ "name": "a b" }))),
        of(add().conf(&json!({ "name": "n", "cniVersion": "0.3.1", "prevResult": {
            "ips": [{ "address": "x" }] } }))),
        of(Call::new("CHECK").conf(&conf("1.0.0"))),
        of(add().var("CNI_NETNS", OWN_NETNS)),
    ];
    let golden: Vec<&str> = include_str!("golden/errors.txt").lines().collect();
    assert_eq!(lines.join("\n"), golden.join("\n"));
}

#[test]
fn pain_a8_no_verb_succeeds_without_the_plugin() {
    for verb in Verb::ALL.into_iter().filter(|verb| *verb != Verb::Version) {
        for version in Version::ALL {
            let plugin = Recorder { result: dual_stack(), ..Recorder::default() };
            let call = Call::new(verb.as_str()).conf(&common::conf_with_prev(version.as_str()));
            let succeeded = call.run(&plugin).status == 0;
            assert_eq!(succeeded, plugin.asked() == [verb.as_str()], "{verb} {version}");
        }
    }
}
