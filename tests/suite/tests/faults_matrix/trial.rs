//! One cell: at each point the verb under its fault, then what must hold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wharfinger_suite::Output;

use crate::cells::{Cell, Fault, Kind, Verb};
use crate::ground::{Ground, Pod, addresses, said};
use crate::long;
use crate::strike::{Point, Struck, points, prepared, strike};

/// What a verb may take: its 30 seconds, and some for a busy machine.
const BOUND: Duration = Duration::from_secs(75);

/// Machines that were made, to be used again.
#[derive(Debug, Default)]
pub(crate) struct Grounds(BTreeMap<Kind, Ground>);

impl Grounds {
    fn take(&mut self, cell: &Cell) -> Ground {
        if cell.verb == Verb::First {
            return Ground::empty(cell.kind);
        }
        self.0.remove(&cell.kind).unwrap_or_else(|| Ground::new(cell.kind))
    }
}

/// What came of the verb.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Done,
    Error(u64),
    /// It did not live to say anything.
    Dead,
    /// It lived, and what it had to say could not be written.
    Mute,
}

impl Outcome {
    /// As the documentation has it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error(_) => "error",
            Self::Dead => "dead",
            Self::Mute => "mute",
        }
    }
}

/// What is done about it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repair {
    Del,
    Gc,
    Again,
    Gone,
}

const REPAIRS: [Repair; 4] = [Repair::Del, Repair::Gc, Repair::Again, Repair::Gone];

/// All points of a cell: at which step each was, and what came of it.
pub(crate) fn cell(grounds: &mut Grounds, cell: &Cell) -> Vec<(String, Outcome)> {
    let mut tried = Vec::new();
    let mut ground = grounds.take(cell);
    let points = points(&mut ground, cell);
    for (turn, point) in points.iter().enumerate() {
        let repairs: &[Repair] = match cell.verb {
            Verb::Status => &[Repair::Del],
            _ if long() && cell.fault == Fault::At("kill") => &REPAIRS,
            _ => &[REPAIRS[(turn + point.at) % REPAIRS.len()]],
        };
        for repair in repairs {
            if cell.verb == Verb::First {
                ground = Ground::empty(cell.kind);
            }
            let (step, outcome) = one(&mut ground, cell, point, *repair);
            // A call may make fewer than the one that was listed.
            tried.extend(step.map(|step| (step, outcome)));
        }
    }
    ground.neighbour_is_well();
    if matches!(cell.fault, Fault::Book | Fault::Clock) {
        // What was set aside stays, for some days.
        ground.quiet = ground.world.picture();
    }
    if cell.verb != Verb::First {
        grounds.0.insert(cell.kind, ground);
    }
    tried
}

/// One point.
fn one(
    ground: &mut Ground,
    cell: &Cell,
    point: &Point,
    repair: Repair,
) -> (Option<String>, Outcome) {
    let mut pod = prepared(ground, cell.verb);
    let struck = strike(ground, cell, point, &mut pod);
    let at = format!("{} under {} at {point:?}, then {repair:?}", cell.verb, cell.fault);
    let outcome = judged(cell, &struck, &at);
    // No lock is held while the kernel works, or a component.
    let may_wait = cell.fault != Fault::Held || struck.step.as_deref() == Some("ledger");
    assert!(may_wait || outcome == Outcome::Done, "{at}: {:?}", struck.output);
    if outcome == Outcome::Done && cell.verb.command() == "ADD" && struck.output.stdout.len() > 2 {
        pod.result = said(cell.verb, &struck.output);
        lives(ground, cell, &pod, &at);
    }
    let rebooted = matches!(cell.fault, Fault::Reboot | Fault::KilledThenReboot);
    let alive = !rebooted && cell.fault != Fault::NamespaceGoes;
    let pod = match repair {
        Repair::Again if alive && cell.verb != Verb::Status => {
            again(ground, cell, pod, &outcome, &at);
            None
        }
        _ => Some((pod, repair)),
    };
    if let Some((pod, repair)) = pod {
        put_right(ground, pod, repair, alive, &at);
    }
    if rebooted {
        return (struck.step, began_anew(ground, outcome, &at));
    }
    same_as_before(ground, cell, &at);
    (struck.step, outcome)
}

/// One JSON object and its status fit, in time.
#[track_caller]
fn judged(cell: &Cell, struck: &Struck, at: &str) -> Outcome {
    let Struck { output, time, .. } = struck;
    assert!(*time < BOUND, "{at}: took {time:?}: {output:?}");
    let mute = output.stdout.is_empty();
    let killed = output.signal.is_some() || output.status.is_some_and(|status| status >= 128);
    if killed {
        assert!(mute || output.succeeded() || is_one(output), "{at}: {output:?}");
        return Outcome::Dead;
    }
    if output.succeeded() {
        let lost = cell.fault == Fault::ReplyLost;
        assert!(lost || cell.verb.command() != "ADD" || !mute, "{at}: {output:?}");
        if !lost {
            let _ = said(cell.verb, output);
        }
        return Outcome::Done;
    }
    if mute {
        let reply = cell.fault == Fault::ReplyLost
            || matches!(cell.fault, Fault::At(_)) && may_be_mute(struck);
        assert!(reply, "{at}: says nothing: {output:?}");
        return Outcome::Mute;
    }
    let failure = output.fails();
    assert!(failure.code != 999, "{at}: {failure:?}");
    Outcome::Error(failure.code)
}

/// Where its own reply is what cannot be written, its exit status alone can tell.
fn may_be_mute(struck: &Struck) -> bool {
    struck.step.as_deref() == Some("reply") || struck.output.stderr.contains("reply")
}

fn is_one(output: &Output) -> bool {
    serde_json::from_str::<serde_json::Value>(&output.stdout).is_ok_and(|value| value.is_object())
}

/// A container whose ADD said that all is well.
#[track_caller]
fn lives(ground: &Ground, cell: &Cell, pod: &Pod, at: &str) {
    if let Some(neighbour) = &ground.neighbour {
        let common = neighbour.addresses().intersection(&pod.addresses()).next().cloned();
        assert_eq!(common, None, "{at}: an address of its neighbour");
    }
    if !matches!(cell.fault, Fault::NamespaceGoes | Fault::KilledThenReboot) {
        let checked = ground.call("CHECK", pod).run();
        assert!(checked.succeeded(), "{at}: what was added is not there: {checked:?}");
    }
}

/// The runtime repeats ADD: leftovers are undone, and it has the addresses that it had.
#[track_caller]
fn again(ground: &mut Ground, cell: &Cell, mut pod: Pod, outcome: &Outcome, at: &str) {
    let held = held(ground, &pod);
    let output = ground.call("ADD", &pod).run();
    if output.succeeded() {
        let given = said(Verb::Add, &output);
        assert!(held.is_empty() || held == addresses(&given), "{at}: {held:?}, then {given}");
        pod.result = given;
        lives(ground, cell, &pod, at);
    } else {
        let undone = matches!((cell.verb, outcome), (Verb::Del | Verb::Gc, Outcome::Done))
            || matches!((cell.verb, outcome), (Verb::Add | Verb::First, Outcome::Error(_)));
        let failure = output.fails();
        assert!(failure.code == 105 && !undone, "{at}: {failure:?}");
    }
    put_right(ground, pod, Repair::Del, true, at);
}

/// What the book has for it.
fn held(ground: &Ground, pod: &Pod) -> std::collections::BTreeSet<String> {
    let rows = ground.world.ledger();
    let mine = rows.iter().filter(|row| row["container"] == pod.container.id.as_str());
    let texts = mine.flat_map(|row| row["addresses"].as_array().cloned().unwrap_or_default());
    let bare = |text: &str| text.split('/').next().unwrap_or(text).to_owned();
    texts.filter_map(|text| text.as_str().map(bare)).collect()
}

/// DEL, twice, or GC, or DEL without the namespace.
#[track_caller]
fn put_right(ground: &mut Ground, mut pod: Pod, repair: Repair, alive: bool, at: &str) {
    let run = |verb: &str, call: wharfinger_suite::Call<'_>| {
        let output = call.run();
        let silent = output.succeeded() && output.stdout.trim().is_empty();
        assert!(silent, "{at}: the {verb} after it: {output:?}");
    };
    match repair {
        Repair::Gc => run("GC", ground.call("GC", &pod)),
        Repair::Gone if alive => {
            pod.container.ns.delete();
            run("DEL", ground.call("DEL", &pod).netns(""));
        }
        _ => run("DEL", ground.call("DEL", &pod)),
    }
    run("DEL", ground.call("DEL", &pod));
    if alive && repair != Repair::Gone {
        let links: Vec<String> = pod.container.ns.links().into_iter().map(|l| l.name).collect();
        assert_eq!(links, ["lo"], "{at}: left inside");
        ground.spare = Some(pod.container);
    }
}

/// Nothing is left, and the neighbour has what it had.
#[track_caller]
fn same_as_before(ground: &mut Ground, cell: &Cell, at: &str) {
    if cell.verb == Verb::First {
        if let Some(left) = ground.world.leftovers() {
            panic!("{at}: left: {left}");
        }
        ground.settle();
        return;
    }
    // A book that was harmed is set aside, and stays there for some days.
    let aside = matches!(cell.fault, Fault::Book | Fault::Clock);
    let compared = |picture: wharfinger_suite::Picture| {
        if aside { picture.without_damaged() } else { picture }
    };
    let quiet = compared(ground.quiet.clone());
    let begun = Instant::now();
    loop {
        let Some(difference) = compared(ground.world.picture()).difference(&quiet) else { return };
        // The kernel removes namespaces in its own time.
        assert!(begun.elapsed() < Duration::from_secs(20), "{at}: {difference}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// After a reboot: the runtime forgets the neighbour too, and the next ones come.
#[track_caller]
fn began_anew(ground: &mut Ground, outcome: Outcome, at: &str) -> Outcome {
    if let Some(pod) = ground.forgotten.take() {
        let _ = ground.call("DEL", &pod).ok();
    }
    if let Some(left) = ground.world.leftovers() {
        panic!("{at}: left: {left}");
    }
    ground.settle();
    outcome
}
