//! What components were asked and what they said during one verb, for its event. Bounded: a
//! plugin that talks much crowds out its own later words alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use wharfinger_attach::{Answer, Notes};
use wharfinger_cni::AttachmentId;
use wharfinger_wasm::Level;

use crate::cli::Progress;
use crate::events;
use crate::phases::{Begun, Phase, Phases};
use crate::spans::{Parent, Traced};

/// Calls of one verb that are told one by one.
const CALLS: usize = 64;
/// Bytes of log lines of one verb.
const LOG: usize = 16 << 10;
/// Bytes of one reason or line.
const LINE: usize = 1 << 10;

/// See the module.
#[derive(Default)]
pub(crate) struct Heard {
    notes: RefCell<Kept>,
    progress: RefCell<Progress>,
    phases: Phases,
    /// Where events are.
    run: PathBuf,
    /// Whose trace the verbs are of.
    parent: Option<Parent>,
    traced: RefCell<Vec<Traced>>,
}

#[derive(Default)]
struct Kept {
    calls: Vec<Value>,
    log: Vec<Value>,
    /// Bytes of the log.
    logged: usize,
    /// Calls and lines that are not told.
    left_out: u64,
    /// How often all was asked again.
    again: u64,
    asked: Option<Asked>,
}

/// A call that is not answered yet.
struct Asked {
    plugin: String,
    call: &'static str,
    at: Instant,
    begun: Begun,
}

impl Heard {
    /// With events in this directory, and within this trace, where there is one.
    pub(crate) fn new(run: &Path, parent: Option<Parent>) -> Self {
        Self { run: run.to_owned(), parent, ..Self::default() }
    }

    /// Where the time goes.
    pub(crate) fn phases(&self) -> &Phases {
        &self.phases
    }

    /// What was left to do after the event of the last verb is done.
    pub(crate) fn goes_on(&self) {
        if let Some(verb) = self.traced.borrow_mut().last_mut() {
            verb.goes_on(self.phases.take().0);
        }
    }

    /// The verbs since the last time, where there is a trace.
    pub(crate) fn traced(&self) -> Option<(&Parent, Vec<Traced>)> {
        self.parent.as_ref().map(|parent| (parent, self.traced.take()))
    }

    /// From now on, how far a verb is is shown.
    pub(crate) fn show(&self, progress: Progress) {
        self.progress.replace(progress);
    }

    /// What shows how far long work is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Puts what was heard into an event, and forgets it.
    pub(crate) fn tell(&self, event: &mut Value) {
        let kept = self.notes.take();
        let mut put = |key: &str, value: Value, said: bool| {
            if said {
                event[key] = value;
            }
        };
        put("calls", json!(kept.calls), !kept.calls.is_empty());
        put("log", json!(kept.log), !kept.log.is_empty());
        put("leftOut", json!(kept.left_out), kept.left_out > 0);
        put("again", json!(kept.again), kept.again > 0);
        let (spans, sums) = self.phases.take();
        // Those of components are with their calls.
        let sums = sums.iter().filter(|(phase, _)| *phase != Phase::Plugins);
        let sums = sums.map(|(phase, sum)| (phase.name().to_owned(), sum.as_secs_f64() * 1e3));
        let sums: BTreeMap<String, f64> = sums.collect();
        put("phases", json!(sums), !sums.is_empty());
        if self.parent.is_some() {
            self.traced.borrow_mut().push(Traced::new(event, spans));
        }
    }
}

impl Notes for Heard {
    fn asked(&self, plugin: &str, call: &'static str) {
        let (plugin, at, begun) = (plugin.to_owned(), Instant::now(), self.phases.begins());
        self.notes.borrow_mut().asked = Some(Asked { plugin, call, at, begun });
    }

    fn answered(&self, answer: &Answer<'_>) {
        let mut kept = self.notes.borrow_mut();
        let Some(Asked { plugin, call, at, begun }) = kept.asked.take() else { return };
        self.phases.ends(begun, Phase::Plugins, Some(format!("{plugin} {call}")));
        if kept.calls.len() >= CALLS {
            kept.left_out += 1;
            return;
        }
        let mut line = json!({
            "plugin": plugin,
            "call": call,
            "milliseconds": at.elapsed().as_secs_f64() * 1e3,
        });
        match answer {
            Answer::Fine => line["decision"] = json!("allow"),
            Answer::Denied(reason) => {
                line["decision"] = json!("deny");
                line["reason"] = json!(short(reason));
            }
            Answer::Amended(pointers) => {
                line["decision"] = json!("amend");
                line["pointers"] = json!(pointers.iter().take(CALLS).collect::<Vec<_>>());
            }
            Answer::Failed { error, passed } => {
                line["decision"] = json!(if *passed { "passed" } else { "failed" });
                line["error"] = json!(short(error));
            }
        }
        kept.calls.push(line);
    }

    fn said(&self, plugin: &str, level: Level, text: &str) {
        let mut kept = self.notes.borrow_mut();
        let text = short(text);
        if kept.logged + text.len() > LOG {
            kept.left_out += 1;
            return;
        }
        kept.logged += text.len();
        kept.log.push(json!({ "plugin": plugin, "level": level, "text": text }));
    }

    fn again(&self) {
        let mut kept = self.notes.borrow_mut();
        let again = kept.again + 1;
        *kept = Kept { again, ..Kept::default() };
    }

    fn went(&self, done: usize, all: usize) {
        self.progress.borrow().at(done, all, "attachments");
    }

    fn detached(&self, id: &AttachmentId, why: &'static str) {
        events::detached(&self.run, id, why);
    }
}

/// Cut at a letter's border.
fn short(text: &str) -> &str {
    let end = (0..=LINE.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_each_decision_and_what_was_said() {
        let heard = Heard::default();
        heard.asked("rules@sha256:00", "admit");
        heard.said("rules@sha256:00", Level::Warn, "close to the quota");
        heard.answered(&Answer::Amended(&["/mtu".to_owned()]));
        heard.asked("quota@sha256:00", "admit");
        heard.answered(&Answer::Denied("9 of 9"));
        heard.asked("odd@sha256:00", "review");
        heard.answered(&Answer::Failed { error: "it trapped", passed: true });
        let mut event = json!({});
        heard.tell(&mut event);
        assert_eq!(event["calls"][0]["pointers"], json!(["/mtu"]));
        assert_eq!(event["calls"][1]["reason"], "9 of 9");
        assert_eq!(event["calls"][2]["decision"], "passed");
        let line =
            json!({ "plugin": "rules@sha256:00", "level": "warn", "text": "close to the quota" });
        assert_eq!(event["log"], json!([line]));
        assert!(event.get("again").is_none() && event.get("leftOut").is_none());
        let mut next = json!({});
        heard.tell(&mut next);
        assert_eq!(next, json!({}), "what was told is forgotten");
    }

    #[test]
    fn what_is_said_is_bounded_and_counted() {
        let heard = Heard::default();
        for _ in 0..100 {
            heard.asked("p", "admit");
            heard.said("p", Level::Info, &"é".repeat(4000));
            heard.answered(&Answer::Fine);
        }
        let mut event = json!({});
        heard.tell(&mut event);
        assert!(event.to_string().len() < 40_000, "{}", event.to_string().len());
        assert_eq!(event["leftOut"], (100 - 64) + (100 - 16));
        heard.asked("p", "admit");
        heard.again();
        let mut event = json!({});
        heard.tell(&mut event);
        assert_eq!(event, json!({ "again": 1 }));
    }
}
