//! The process boundary: exactly one JSON object on stdout, whatever comes in. No root needed.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wharfinger_suite::{Call, World, strings};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// A call whose environment is complete, for a container that does not exist.
fn call<'w>(world: &'w World, verb: &str) -> Call<'w> {
    world
        .call(verb, &world.conf("bridge", &json!({})))
        .env("CNI_CONTAINERID", "nobody")
        .env("CNI_NETNS", "/run/netns/no-such-namespace")
        .env("CNI_IFNAME", "eth0")
}

#[test]
fn req_60_61_version() {
    let world = World::without_namespaces();
    for stdin in ["", "{}", r#"{"cniVersion":"0.4.0"}"#, "not json"] {
        let answer = world
            .call("VERSION", &Value::Null)
            .stdin(stdin)
            .env("CNI_NETNS", "dummy")
            .env("CNI_IFNAME", "dummy")
            .env("CNI_PATH", "dummy")
            .env("CNI_CONTAINERID", "")
            .ok();
        let listed = answer.get("supportedVersions").and_then(Value::as_array).expect("a list");
        let listed: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        assert_eq!(listed, VERSIONS);
        assert!(answer.get("cniVersion").is_some());
    }
}

#[test]
fn req_13_all_variables_that_are_missing_are_named() {
    let world = World::without_namespaces();
    let failure = world.call("ADD", &world.conf("bridge", &json!({}))).without("CNI_PATH").fails();
    assert_eq!(failure.code, 4);
    let text = format!("{} {}", failure.msg, failure.details);
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        assert!(text.contains(name), "{failure:?}");
    }
}

#[test]
fn req_10_11_12_names_that_are_none() {
    let world = World::without_namespaces();
    for id in ["", "../x", "a b", "-x", "a/b"] {
        assert_eq!(call(&world, "ADD").env("CNI_CONTAINERID", id).fails().code, 4, "{id:?}");
    }
    for ifname in ["", ".", "..", "a/b", "a:b", "a b", "sixteen-bytes-ab"] {
        assert_eq!(call(&world, "ADD").env("CNI_IFNAME", ifname).fails().code, 4, "{ifname:?}");
    }
    for name in ["", "../x", "a/b", ".x"] {
        let conf = world.conf("bridge", &json!({ "name": name }));
        assert_eq!(call(&world, "ADD").stdin(conf.to_string()).fails().code, 7, "{name:?}");
    }
}

#[test]
fn req_5_an_unknown_command() {
    let world = World::without_namespaces();
    for verb in ["add", "UPDATE", "ADD "] {
        assert_eq!(call(&world, verb).fails().code, 4, "{verb:?}");
    }
}

/// One error object for whatever comes on stdin.
#[test]
fn pain_d1_anything_on_stdin() {
    let world = World::without_namespaces();
    let deep = "[".repeat(200_000);
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    let cases: [&[u8]; 13] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"7",
        b"\"text\"",
        b"{",
        b"{}",
        b"\xff\xfe",
        b"{\"name\":\"\xc3\x28\"}",
        b"{\"cniVersion\":7,\"name\":\"pods\"}",
        deep.as_bytes(),
        long.as_bytes(),
    ];
    for verb in ["ADD", "CHECK", "DEL", "STATUS", "GC"] {
        for stdin in cases {
            let output = call(&world, verb).stdin(stdin).run();
            // A DEL needs no more than the name.
            if verb == "DEL" && output.succeeded() {
                assert!(output.stdout.is_empty(), "{output:?}");
                continue;
            }
            let failure = output.fails();
            assert!((1..999).contains(&failure.code), "{verb}: {failure:?}");
        }
    }
}

/// Random damage to a good configuration: an answer each time, and never the code of a bug.
#[test]
fn pain_d1_damaged_configurations() {
    let world = World::without_namespaces();
    let good = world.conf("bridge", &json!({ "ipMasq": true })).to_string().into_bytes();
    let mut state: u64 = 0x5eed;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    for _ in 0..200 {
        let mut bytes = good.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = u8::try_from(random(256)).expect("a byte"),
                _ => bytes.insert(at, b"{}[]\",:0\\"[random(9)]),
            }
        }
        let output = call(&world, "ADD").stdin(bytes.clone()).run();
        let failure = output.fails();
        assert_ne!(failure.code, 999, "{failure:?}: {}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn pain_d1_environment_that_is_no_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let world = World::without_namespaces();
    let bad = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS", "CNI_COMMAND"] {
        let output = Command::new(world.path("bin/wharfinger"))
            .env_clear()
            .envs(world.variables())
            .envs([("CNI_COMMAND", "ADD"), ("CNI_CONTAINERID", "c"), ("CNI_IFNAME", "eth0")])
            .envs([("CNI_NETNS", "/run/netns/none"), ("CNI_PATH", "/opt/cni/bin")])
            .env(name, bad)
            .stdin(Stdio::null())
            .output()
            .expect("runs");
        assert!(!output.status.success(), "{name}");
        let error: Value = serde_json::from_slice(&output.stdout).expect("one object");
        assert!(error.get("code").is_some() && error.get("msg").is_some(), "{error}");
    }
}

/// A closed stdout is no crash, and nothing is said elsewhere instead of an exit status.
#[test]
fn pain_d1_closed_stdout() {
    let world = World::without_namespaces();
    let script = "exec \"$0\" <&- >&-";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(world.path("bin/wharfinger"))
        .envs(world.variables())
        .env("CNI_COMMAND", "ADD")
        .output()
        .expect("runs");
    assert!(output.status.code().is_some_and(|code| code != 0), "{output:?}");
    let full = Command::new("sh")
        .args(["-c", "exec \"$0\" </dev/null >/dev/full"])
        .arg(world.path("bin/wharfinger"))
        .envs(world.variables())
        .env("CNI_COMMAND", "VERSION")
        .output()
        .expect("runs");
    assert!(full.status.code().is_some_and(|code| code != 0), "{full:?}");
}

/// DEL for a stranger is success, whatever is missing.
#[test]
fn req_33_34_del_of_a_stranger() {
    let world = World::without_namespaces();
    assert_eq!(call(&world, "DEL").ok(), Value::Null);
    assert_eq!(call(&world, "DEL").netns("").ok(), Value::Null);
    assert_eq!(call(&world, "DEL").without("CNI_NETNS").ok(), Value::Null);
}

/// `explain` prints the plan and touches nothing.
#[test]
fn explain_shows_the_plan() {
    let world = World::without_namespaces();
    let list = json!({
        "cniVersion": "1.1.0", "name": "pods",
        "plugins": [world.conf("bridge", &json!({ "ipMasq": true }))],
    });
    let file = world.write("conf/pods.conflist", &list.to_string()).display().to_string();
    let shown = world.cli(&["explain", &file, "--ifname", "net7", "--container", "abc"]);
    assert!(shown.status.success(), "{shown:?}");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    for word in ["cni0", "veth", "net7", "10.1.0.", "masquerade"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let json = world.cli(&["explain", &file, "--json"]);
    assert!(json.status.success(), "{json:?}");
    let _: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(world.ledger().is_empty());
    assert!(strings(&list, &["plugins"], "type").contains(&"wharfinger".to_owned()));
}

#[test]
fn version_for_people() {
    let world = World::without_namespaces();
    let shown = world.cli(&["version"]);
    assert!(shown.status.success() && !shown.stdout.is_empty(), "{shown:?}");
}

/// nerdctl reads this line on stderr.
#[test]
fn req_5_the_about_line() {
    let world = World::without_namespaces();
    let output = Command::new(world.path("bin/wharfinger"))
        .env_clear()
        .envs(world.variables())
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("CNI wharfinger plugin v"), "{text}");
}
