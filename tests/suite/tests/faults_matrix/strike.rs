//! How each fault comes about around one call.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use wharfinger_suite::{Call, Output};

use crate::cells::{Cell, Fault, Harm, Verb};
use crate::ground::{Ground, Pod};
use crate::long;

/// The tool that does something to a program at its Nth system call.
const INJECT: &str = env!("CARGO_BIN_EXE_inject");

/// So many points of a cell, beside one of every step.
const SOME: usize = 2;

const HARMS: [Harm; 5] = [Harm::Removed, Harm::Emptied, Harm::Cut, Harm::Overwritten, Harm::Within];

/// Where a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// The system call, or the way.
    pub(crate) at: usize,
    /// What the program was about.
    pub(crate) step: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Struck {
    pub(crate) output: Output,
    pub(crate) time: Duration,
    /// What the program was about when it was hit; none where it was not.
    pub(crate) step: Option<String>,
}

/// The points of a cell at which it is tried.
pub(crate) fn points(ground: &mut Ground, cell: &Cell) -> Vec<Point> {
    let named = |count: usize| (0..count).map(|at| Point { at, step: String::new() }).collect();
    match cell.fault {
        Fault::At(deed) => some(listed(ground, cell.verb, deed), SOME),
        Fault::NamespaceGoes => {
            let mut all = some(listed(ground, cell.verb, "kill"), 2);
            all.insert(0, Point { at: 0, step: "before".to_owned() });
            all
        }
        Fault::KilledThenReboot => some(listed(ground, cell.verb, "kill"), 2),
        // Each waits for another's deadline: of every step some, in the long form too.
        Fault::Held => spread(&listed(ground, Verb::Add, "kill"), if long() { 12 } else { 0 }),
        Fault::Slow => {
            let all = listed(ground, Verb::Add, "kill").into_iter();
            all.filter(|point| point.step == "ledger").nth(12).into_iter().collect()
        }
        Fault::Code if !long() => named(1),
        Fault::Book | Fault::Code => named(HARMS.len()),
        Fault::Clock | Fault::ConfCut => named(4),
        Fault::Reboot | Fault::ReplyLost | Fault::SettingsCut => named(2),
    }
}

/// The first of each step, and some more, spread; all in the long form.
fn some(all: Vec<Point>, more: usize) -> Vec<Point> {
    if long() { all } else { spread(&all, more) }
}

fn spread(all: &[Point], more: usize) -> Vec<Point> {
    let stride = (all.len() / (more + 1)).max(1);
    let chosen = all.iter().enumerate().filter(|(index, point)| {
        let first = all.iter().position(|other| other.step == point.step);
        first == Some(*index) || more > 0 && index % stride == stride - 1
    });
    chosen.map(|(_, point)| point.clone()).collect()
}

/// The calls of a verb that a deed counts, in order: nothing is done to them.
fn listed(ground: &mut Ground, verb: Verb, deed: &str) -> Vec<Point> {
    let pod = prepared(ground, verb);
    let report = ground.world.text_path("report");
    let list = format!("list:{}", deed.trim_end_matches('+'));
    let call = ground.call(verb.command(), &pod).under(&[INJECT, &list, "0", &report, "--"]);
    let _ = crate::ground::said(verb, &call.run());
    let _ = ground.call("DEL", &pod).ok();
    ground.spare = Some(pod.container);
    let text = std::fs::read_to_string(report).expect("a report");
    let lines = text.lines().enumerate();
    lines.map(|(index, line)| Point { at: index + 1, step: step(line) }).collect()
}

/// What the verb is tried on.
pub(crate) fn prepared(ground: &mut Ground, verb: Verb) -> Pod {
    match verb {
        Verb::First | Verb::Add | Verb::Status => {
            Pod { container: ground.container(), result: serde_json::Value::Null }
        }
        Verb::Check | Verb::Del | Verb::Gc => ground.attach(),
    }
}

/// What the program is about, from the line of a call.
fn step(line: &str) -> String {
    let mut words = line.splitn(3, ' ');
    let (call, program) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let object = words.next().unwrap_or_default();
    let has = |part: &str| object.contains(part);
    let step = if program == "exe" {
        "component"
    } else if program != "wharfinger" {
        "delegate"
    } else if object == "netlink" || call == "socket" {
        "netlink"
    } else if has("ledger.db") || has("lasting.db") {
        "ledger"
    } else if has("/proc/sys/net") {
        "sysctl"
    } else if has("/locks") {
        "lock"
    } else if has("/calls") || has("events.jsonl") {
        "records"
    } else if has("pipe:") {
        "reply"
    } else if ["clone", "fork", "vfork", "pipe2", "socketpair", "fcntl"].contains(&call)
        || has("self/exe")
        || has("socket:")
    {
        "plugin start"
    } else {
        "program"
    };
    step.to_owned()
}

/// The verb under its fault, at a point.
pub(crate) fn strike(ground: &mut Ground, cell: &Cell, point: &Point, pod: &mut Pod) -> Struck {
    let verb = cell.verb.command();
    match cell.fault {
        Fault::At(deed) => injected(ground, &ground.call(verb, pod), deed, point.at),
        Fault::KilledThenReboot => {
            let struck = injected(ground, &ground.call(verb, pod), "kill", point.at);
            reboot(ground, pod, true);
            struck
        }
        Fault::NamespaceGoes if point.at == 0 => {
            pod.container.ns.delete();
            plain(&ground.call(verb, pod))
        }
        Fault::NamespaceGoes => {
            let deed = format!("run:ip netns del {}", pod.container.ns.name());
            injected(ground, &ground.call(verb, pod), &deed, point.at)
        }
        Fault::Reboot => {
            reboot(ground, pod, point.at == 0);
            if cell.verb == Verb::Add {
                pod.container = ground.world.container();
            }
            plain(&ground.call(verb, pod))
        }
        Fault::ReplyLost => {
            let to = ["exec \"$0\" >&-", "exec \"$0\" > /dev/full"][point.at];
            plain(&ground.call(verb, pod).under(&["sh", "-c", to]))
        }
        Fault::Held => beside(ground, point.at, &ground.call(verb, pod), None),
        Fault::Slow => {
            beside(ground, point.at, &ground.call(verb, pod), Some(Duration::from_secs(1)))
        }
        Fault::Book => {
            for file in books(&ground.world.path("run")) {
                harm(&file, HARMS[point.at]);
            }
            plain(&ground.call(verb, pod))
        }
        Fault::Code => {
            for file in all_in(&ground.world.path("lib/plugins/compiled")) {
                harm(&file, HARMS[point.at]);
            }
            plain(&ground.call(verb, pod))
        }
        Fault::ConfCut => {
            let text = ground.conf.to_string();
            let length = [0, 1, text.len() / 2, text.len() - 1][point.at];
            plain(&ground.call(verb, pod).stdin(&text.as_bytes()[..length]))
        }
        Fault::SettingsCut => {
            ground.world.settings(["dead", "deadline = 30\n[lim"][point.at]);
            let struck = plain(&ground.call(verb, pod));
            ground.world.settings(&ground.settings);
            struck
        }
        Fault::Clock => {
            let by = if point.at.is_multiple_of(2) { 400 } else { -400 } * 86_400;
            // From the beginning, or from the middle of what even STATUS changes.
            let from = if point.at < 2 { 0 } else { 12 };
            injected(ground, &ground.call(verb, pod), &format!("skew:{by}"), from)
        }
    }
}

fn plain(call: &Call<'_>) -> Struck {
    let begun = Instant::now();
    let output = call.run();
    Struck { output, time: begun.elapsed(), step: Some(String::new()) }
}

fn injected(ground: &Ground, call: &Call<'_>, deed: &str, at: usize) -> Struck {
    let report = ground.world.text_path("report");
    let mut struck = plain(&call.clone().under(&[INJECT, deed, &at.to_string(), &report, "--"]));
    assert_ne!(struck.output.status, Some(125), "the tool failed: {:?}", struck.output);
    let text = std::fs::read_to_string(&report).expect("a report");
    if !deed.starts_with("skew") {
        struck.step = text.lines().next().map(step);
    }
    struck
}

/// The call while an ADD of another container is stopped at its Nth change; that is killed in the end, or
/// after some time.
fn beside(ground: &Ground, at: usize, call: &Call<'_>, after: Option<Duration>) -> Struck {
    let other = Pod { container: ground.world.container(), result: serde_json::Value::Null };
    let report = ground.world.text_path("report-of-other");
    let _ = std::fs::remove_file(&report);
    let add = ground.call("ADD", &other);
    let add = add.under(&[INJECT, "stop", &at.to_string(), &report, "--"]);
    let mut child = add.start();
    let begun = Instant::now();
    let ended = |child: &mut Child| child.try_wait().expect("the other call").is_some();
    while std::fs::read_to_string(&report).unwrap_or_default().is_empty() && !ended(&mut child) {
        assert!(begun.elapsed() < Duration::from_mins(1), "not stopped at {at}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let line = std::fs::read_to_string(&report).expect("a report");
    let begun = Instant::now();
    let caller = call.start();
    let wait = |child: &mut Child| {
        child.kill().expect("killed");
    };
    if let Some(after) = after {
        std::thread::sleep(after);
        wait(&mut child);
    }
    let output = call.finish(caller);
    let time = begun.elapsed();
    if after.is_none() {
        wait(&mut child);
    }
    let _ = add.finish(child);
    let _ = ground.call("DEL", &other).ok();
    // It may have made fewer calls than the one that was listed.
    let step = Some(line.trim()).filter(|line| !line.is_empty()).map(step);
    Struck { output, time, step }
}

/// Every container is gone, the network too, and what was in memory.
fn reboot(ground: &mut Ground, pod: &mut Pod, emptied: bool) {
    for one in ground.neighbour.iter_mut().chain([pod]) {
        one.container.ns.delete();
    }
    ground.forgotten = ground.neighbour.take();
    ground.world.reboot();
    if emptied {
        let run = ground.world.path("run");
        std::fs::remove_dir_all(&run).expect("removed");
        std::fs::create_dir(&run).expect("made");
    }
}

fn books(dir: &Path) -> Vec<PathBuf> {
    let is_book = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("ledger.db") && !name.contains(".damaged-")
    };
    all_in(dir).into_iter().filter(is_book).collect()
}

fn all_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { all_in(&path) } else { vec![path] }).collect()
}

fn harm(file: &Path, how: Harm) {
    let mut bytes = std::fs::read(file).expect("read");
    match how {
        Harm::Removed => return std::fs::remove_file(file).expect("removed"),
        Harm::Emptied => bytes.clear(),
        Harm::Cut => bytes.truncate(bytes.len() / 2),
        Harm::Overwritten => {
            for (at, byte) in bytes.iter_mut().enumerate() {
                *byte = at.wrapping_mul(2_654_435_761).to_le_bytes()[1];
            }
        }
        Harm::Within => {
            let from = 4096.min(bytes.len());
            bytes[from..].fill(0xa5);
        }
    }
    std::fs::write(file, bytes).expect("written");
}
