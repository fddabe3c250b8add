//! Components that misbehave, installed as an operator would, against the executable: the error
//! says which limit or rule, the next call is fine, ledger and kernel are as before.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};
use wharfinger_suite::{Failure, World};

/// Far above any limit of time that is set here, far below "never".
const IN_TIME: Duration = Duration::from_secs(12);
/// The default memory limit is 64 MiB, and a process is more than its plugin's memory.
const MEMORY_KIB: i64 = 200 << 10;

/// `(mode, code, words)`.
type Misdeed = (&'static str, u64, &'static [&'static str]);

/// What an IPAM component does in `allocate`, and what is said of it.
const IPAM: &[Misdeed] = &[
    ("loop", 103, &["deadline", "limits.deadline"]),
    ("loop-of-host-calls", 103, &["deadline", "limits.deadline"]),
    ("memory", 103, &["memory", "64 MiB", "limits.memory"]),
    ("table", 103, &["table", "limits.table-elements"]),
    ("recursion", 103, &["stack", "512 KiB", "limits.stack"]),
    ("trap", 102, &["trapped", "unreachable", "innermost_misdeed"]),
    ("trap-after-taking", 102, &["trapped", "innermost_misdeed"]),
    ("divide", 102, &["trapped", "allocate"]),
    ("call-flood", 103, &["1000", "limits.ledger-calls"]),
    ("store-flood", 103, &["1000", "limits.ledger-calls"]),
    ("store-over-quota", 103, &["1 MiB", "limits.store"]),
    ("log-flood", 103, &["64 KiB", "limits.log"]),
    ("huge-log", 103, &["4 MiB", "limits.hostcall-bytes"]),
    ("returns-300k", 103, &["256 KiB", "limits.returned"]),
    ("returns-8m", 103, &["4 MiB", "limits.hostcall-bytes"]),
    ("family", 102, &["another family"]),
    ("unspecified", 102, &["0.0.0.0", "unspecified"]),
    ("not-taken", 102, &["10.0.0.77", "did not take"]),
    ("twice", 102, &["10.0.0.5", "twice"]),
    ("own-gateway", 102, &["10.0.0.5", "its own gateway"]),
    ("many", 102, &["300 addresses", "256"]),
    ("invalid-text", 102, &["allocate"]),
    ("wild-text", 102, &["[31m b"]),
    ("takes-nonsense", 102, &["ledger.take", "10.0.0.05"]),
    ("long-key", 102, &["store.put"]),
];

/// The configuration with the hostile component as IPAM, on a bridge of its own: its addresses are
/// not the neighbour's.
fn ipam(world: &World, mode: &str) -> Value {
    let ipam = json!({ "type": "hostile", "mode": mode });
    world.conf("bridge", &json!({ "bridge": "cni1", "ipam": ipam }))
}

fn fails(world: &World, conf: &Value) -> Failure {
    let start = Instant::now();
    let failure = world.call("ADD", conf).of(&world.container()).fails();
    assert!(start.elapsed() < IN_TIME, "{:?}: {failure:?}", start.elapsed());
    failure
}

#[track_caller]
fn says(failure: &Failure, plugin: &str, (mode, code, words): &Misdeed) {
    assert_eq!(failure.code, *code, "{mode}: {failure:?}");
    let all = format!("{} {}", failure.msg, failure.details);
    for word in words.iter().chain(&[plugin, "pods"]) {
        assert!(all.contains(word), "{mode}: {word} is not said: {failure:?}");
    }
    assert!(!all.chars().any(|c| c.is_control() && c != '\n'), "{mode}: {failure:?}");
}

/// What tells of an attachment, on the books and in the kernel.
fn state(world: &World) -> (Vec<Value>, String, Vec<String>) {
    let links = world.links().into_iter().map(|link| format!("{} {}", link.name, link.alias));
    (world.ledger(), world.rules(), links.collect())
}

fn small(world: &World) {
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage").max_rss();
    assert!(peak < MEMORY_KIB, "a process had {peak} KiB");
    let _ = world;
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_d7_pain_d8_pain_h13_an_ipam_component_can_break_nothing() {
    let world = World::new();
    world.install("hostile", "hostile");
    // Somebody lives there, and must go on living.
    let neighbour = world.attach(&world.conf("bridge", &json!({})));
    let before = state(&world);
    for misdeed in IPAM {
        says(&fails(&world, &ipam(&world, misdeed.0)), "hostile@sha256:", misdeed);
        assert_eq!(state(&world), before, "after {}", misdeed.0);
    }
    small(&world);
    // Next call, same component: fine. Its address is free for it.
    let good = world.attach(&ipam(&world, "good"));
    assert_eq!(good.v4(), "10.0.0.5");
    // Somebody else's address is not to be had: the component is told, and says so.
    let taken = fails(&world, &ipam(&world, "good"));
    assert!([102, 106].contains(&taken.code), "{taken:?}");
    good.del();
    neighbour.check();
    neighbour.del();
    world.assert_nothing_left();
}

/// The process of a component that a call has started.
fn guest_of(call: &std::process::Child) -> String {
    let is_guest = |pid: &String| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.ends_with("internal\0guest\0")
    };
    let start = Instant::now();
    while start.elapsed() < IN_TIME {
        let mut all = vec![call.id().to_string()];
        let mut next = 0;
        // `ip netns exec` and the like may stand between.
        while let Some(pid) = all.get(next) {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            let children = children.unwrap_or_default();
            all.extend(children.split_whitespace().map(str::to_owned));
            next += 1;
        }
        if let Some(pid) = all.into_iter().find(is_guest) {
            return pid;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no process of a component");
}

/// A line of /proc/PID/status.
fn status(pid: &str, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim().to_owned()
}

#[test]
#[ignore = "needs root: ring netns"]
fn a_component_is_in_a_process_that_may_do_nothing() {
    let world = World::new();
    world.install("hostile", "hostile");
    world.settings("[limits]\ndeadline = 60.0\n");
    let container = world.container();
    let call = world.call("ADD", &ipam(&world, "loop")).of(&container);
    let started = call.start();
    let guest = guest_of(&started);
    let start = Instant::now();
    while status(&guest, "Seccomp:") != "2" {
        assert!(start.elapsed() < IN_TIME, "it was never confined");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(status(&guest, "NoNewPrivs:"), "1");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(status(&guest, set), "0".repeat(16), "{set}");
    }
    assert_eq!(status(&guest, "Threads:"), "1");
    let variables = std::fs::read_to_string(format!("/proc/{guest}/environ")).expect("root may");
    assert!(!variables.contains("CNI_"), "{variables}");
    // The socket, its code, and nowhere: no ledger, no lock, no netlink.
    let open = std::fs::read_dir(format!("/proc/{guest}/fd")).expect("root may");
    for file in open.flatten() {
        let file = std::fs::read_link(file.path()).expect("a link");
        let file = file.to_string_lossy().into_owned();
        let known = ["socket:", "/dev/null"].iter().any(|start| file.starts_with(start));
        assert!(known || file.contains(".cwasm"), "{file}");
    }
    // Whatever ends it: the call fails, and leaves nothing.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(guest.parse().expect("a number")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("root may");
    let failure = call.finish(started).fails();
    assert_eq!(failure.code, 102, "{failure:?}");
    assert!(failure.msg.contains("its process ended with signal: 9"), "{failure:?}");
    world.assert_nothing_left();
    // A verb that is killed takes its component with it.
    let mut started = call.start();
    let guest = guest_of(&started);
    started.kill().expect("kill the verb");
    started.wait().expect("its end");
    let start = Instant::now();
    while std::path::Path::new(&format!("/proc/{guest}")).exists() {
        assert!(start.elapsed() < IN_TIME, "it lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a policy does in `admit`, and what is said of it.
const POLICY: &[Misdeed] = &[
    ("loop", 103, &["deadline", "limits.deadline"]),
    ("memory", 103, &["limits.memory"]),
    ("table", 103, &["limits.table-elements"]),
    ("recursion", 103, &["limits.stack"]),
    ("trap", 102, &["trapped"]),
    ("call-flood", 103, &["limits.ledger-calls"]),
    ("log-flood", 103, &["limits.log"]),
    ("huge-deny", 103, &["limits.returned"]),
    ("huge-patch", 103, &["limits.returned"]),
    ("patch-not-json", 102, &["JSON"]),
    ("patch-not-object", 102, &["object"]),
    ("patch-type", 101, &["/type"]),
    ("patch-bridge", 101, &["/bridge"]),
    ("patch-ipam-type", 101, &["/ipam/type"]),
    ("invalid-text", 102, &["admit"]),
    ("store-over-quota", 103, &["1 MiB", "limits.store"]),
    ("put-then-trap", 102, &["trapped"]),
    ("put-then-deny", 101, &["hostile-policy"]),
    ("long-key", 102, &["store.put"]),
    ("wild-deny", 101, &["hostile-policy"]),
];

#[test]
#[ignore = "needs root: ring netns"]
fn pain_d7_pain_h13_a_policy_can_break_nothing() {
    let world = World::new();
    world.install("hostile-policy", "hostile-policy");
    let neighbour = world.attach(&world.conf("bridge", &json!({})));
    let before = state(&world);
    let with = |mode: &str, on_error: &str| {
        let policy = json!({
            "plugin": "hostile-policy", "config": { "mode": mode }, "onError": on_error,
        });
        world.conf("bridge", &json!({ "policies": [policy] }))
    };
    for misdeed in POLICY {
        says(&fails(&world, &with(misdeed.0, "deny")), "hostile-policy", misdeed);
        assert_eq!(state(&world), before, "after {}", misdeed.0);
    }
    small(&world);
    // An advisory one is passed where it fails, and never where it refuses.
    let passed = world.attach(&with("trap", "allow"));
    let event = world.events().pop().expect("an event");
    assert!(event.to_string().contains("trapped"), "{event}");
    assert_eq!(fails(&world, &with("put-then-deny", "allow")).code, 101);
    // What a refused call put into the store is not there: the count of an honest one is.
    let counted = world.attach(&with("count", "deny"));
    for attached in [passed, counted, neighbour] {
        attached.check();
        attached.del();
    }
    world.assert_nothing_left();
}

/// What a component tries by WASI without a grant, and what is said of it.
const WASI: &[Misdeed] = &[
    ("sleep", 103, &["deadline", "limits.deadline"]),
    ("block", 103, &["deadline", "limits.deadline"]),
    ("spin", 103, &["deadline", "limits.deadline"]),
    ("exit", 102, &["ended itself", "wasi:cli/exit"]),
    ("panic", 102, &["trapped", "allocate"]),
    ("flood", 103, &["limits.log"]),
    ("print", 102, &["printed"]),
    ("handles", 102, &["trapped"]),
    ("random 99999999999", 102, &["trapped"]),
    ("environment", 102, &["([], [], 0)"]),
    ("read", 102, &["Ok(\"\")"]),
    ("file /etc/passwd", 102, &["Err("]),
    ("list /", 102, &["Err("]),
    ("write /tmp/x", 102, &["Err("]),
    ("connect 127.0.0.1:22", 102, &["Err("]),
    ("listen 127.0.0.1:0", 102, &["Err("]),
    ("udp 127.0.0.1:0", 102, &["Err("]),
    ("lookup localhost:80", 102, &["Err("]),
    (
        "http GET http://127.0.0.1:80/",
        102,
        &["wasi:http/outgoing-handler", "not granted", "host = \\\"127.0.0.1\\\""],
    ),
];

#[test]
#[ignore = "needs root: ring netns"]
fn pain_d2_pain_h5_pain_h15_a_component_reaches_nothing_by_wasi() {
    let world = World::new();
    world.install("hostile-wasi", "hostile-wasi");
    for misdeed in WASI {
        let ipam = json!({ "type": "hostile-wasi", "mode": misdeed.0 });
        let failure = fails(&world, &world.conf("bridge", &json!({ "ipam": ipam })));
        says(&failure, "hostile-wasi@sha256:", misdeed);
        world.assert_nothing_left();
    }
    small(&world);
    // What was tried with sockets is in the events, by the function's name.
    let events = world.events();
    let tried = |event: &Value| event.to_string().contains("wasi:sockets/ip-name-lookup");
    assert!(events.iter().any(tried), "{events:?}");
    // What was printed is there too: the reply was one object, as of all others.
    let printed = |event: &Value| event.to_string().contains("not ended");
    assert!(events.iter().any(printed), "{events:?}");
}
