//! `wharfinger events`: what happened on this node, Docker's calls included. Reads the file that verbs
//! append to, and the one before it; a verb that begins a new file while this goes on loses nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::Value;
use wharfinger_view::forecast::Move;

use super::table::plain;
use super::{Answer, Output, is_read};
use crate::events::{DETACHED, FILE};
use crate::program::Program;

/// Between two looks for more.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Only this network's
    #[arg(long)]
    network: Option<String>,
    /// Only this container's: its id, or 12 letters of it at least; Docker's endpoint
    #[arg(long)]
    container: Option<String>,
    /// Only what failed, and what happened beside the verbs
    #[arg(long)]
    failed: bool,
    /// Only this verb
    #[arg(long, ignore_case = true, value_parser = ["ADD", "DEL", "CHECK", "STATUS", "GC"])]
    verb: Option<String>,
    /// Go on with what happens, until interrupted
    #[arg(long, short)]
    follow: bool,
}

impl Events {
    pub(super) fn run(&self, program: &Program, output: Output) -> Result<Answer> {
        let mut files = Files::new(&program.paths.run);
        let at = || format!("read the events in {}", program.paths.run.display());
        loop {
            let lines = files.read(self.follow).with_context(at)?;
            let text: Vec<u8> = lines.iter().flat_map(|line| self.line(line, output)).collect();
            let goes_on = text.is_empty() || is_read(&text)?;
            if !self.follow || !goes_on {
                return Ok(Answer::printed());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// What is shown of a line of the file: nothing, where it is not asked for.
    fn line(&self, line: &[u8], output: Output) -> Vec<u8> {
        let Ok(event @ Value::Object(_)) = serde_json::from_slice(line) else {
            // Nobody listens: no reason to fail.
            let _ = writeln!(io::stderr(), "skipped: a line of {FILE} that is no JSON object");
            return Vec::new();
        };
        if !self.is_wanted(&event) {
            return Vec::new();
        }
        let mut shown = if output.json { line.to_vec() } else { sentence(&event).into_bytes() };
        shown.push(b'\n');
        shown
    }

    fn is_wanted(&self, event: &Value) -> bool {
        let container = |wanted: &String| {
            let id = text(event, "container");
            id == *wanted || (wanted.len() >= 12 && id.starts_with(wanted.as_str()))
        };
        let of_verb = |wanted: &String| text(event, "verb").eq_ignore_ascii_case(wanted);
        let fine = event.get("verb").is_some() && event.get("code").is_none();
        (!self.failed || !fine)
            && self.verb.as_ref().is_none_or(of_verb)
            && self.network.as_ref().is_none_or(|wanted| text(event, "network") == *wanted)
            && self.container.as_ref().is_none_or(container)
    }
}

/// The events that are there of a container, by its id or the beginning of it.
pub(super) fn of_container(program: &Program, container: &str) -> Vec<Value> {
    let lines = Files::new(&program.paths.run).read(false).unwrap_or_default();
    let events = lines.iter().filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    events.filter(|event| text(event, "container").starts_with(container)).collect()
}

/// All that came and went, by network: for forecasts.
pub(super) fn moves(program: &Program) -> BTreeMap<String, Vec<Move>> {
    let lines = Files::new(&program.paths.run).read(false).unwrap_or_default();
    let mut all: BTreeMap<String, Vec<Move>> = BTreeMap::new();
    for event in lines.iter().filter_map(|line| serde_json::from_slice::<Value>(line).ok()) {
        let came = match (text(&event, "verb"), event.get("code")) {
            ("ADD", None) => true,
            ("DEL", None) => false,
            _ if text(&event, "event") == DETACHED => false,
            _ => continue,
        };
        let time = event.get("time").and_then(Value::as_f64).unwrap_or_default();
        all.entry(text(&event, "network").to_owned()).or_default().push(Move { time, came });
    }
    all
}

/// A text of an event, or of what happened beside the verbs.
fn text<'e>(event: &'e Value, key: &str) -> &'e str {
    let inside = || event.get("what").and_then(|what| what.get(key));
    event.get(key).or_else(inside).and_then(Value::as_str).unwrap_or_default()
}

/// An event for people.
fn sentence(event: &Value) -> String {
    let time = event.get("time").and_then(Value::as_f64).and_then(utc);
    let time = time.unwrap_or_else(|| "-".to_owned());
    if let Some(happened) = event.get("event").and_then(Value::as_str) {
        let what = event.get("what").map(Value::to_string).unwrap_or_default();
        return plain(&format!("{time}  {happened}  {what}"));
    }
    let part = |key: &str| match text(event, key) {
        "" => "-".to_owned(),
        text => text.to_owned(),
    };
    let outcome = match (event.get("code"), event.get("error")) {
        (None, None) => "ok".to_owned(),
        (code, _) => format!("failed:{}", code.unwrap_or(&Value::Null)),
    };
    let mut words = vec![time];
    words.extend(["verb", "network", "container", "ifname"].map(part));
    words.push(outcome);
    let took = event.get("milliseconds").and_then(Value::as_f64);
    words.extend(took.map(|took| format!("{took:.1} ms")));
    words.extend(event.get("error").and_then(Value::as_str).map(str::to_owned));
    plain(&words.join("  "))
}

/// Seconds since the Unix epoch as RFC 3339 has them, in UTC, to a millisecond.
fn utc(seconds: f64) -> Option<String> {
    let millis = Duration::try_from_secs_f64(seconds).ok()?.as_millis();
    let millis = i64::try_from(millis).ok()?;
    let (days, of_day) = (millis / 86_400_000, millis % 86_400_000);
    let (year, month, day) = date(days).filter(|(year, ..)| *year < 10_000)?;
    let (of_hour, hour) = (of_day % 3_600_000, of_day / 3_600_000);
    let (minute, second, milli) = (of_hour / 60_000, of_hour / 1000 % 60, of_hour % 1000);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

/// The day of the Gregorian calendar, so many days after 1970-01-01. Years begin in March here, so
/// that the day that some of them have more is their last; 400 of them have 146097 days.
pub(crate) fn date(days: i64) -> Option<(i64, i64, i64)> {
    let shifted = days.checked_add(719_468)?;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    Some((era * 400 + year + next, month, day))
}

/// The file of events, and the one before it.
struct Files {
    now: PathBuf,
    before: PathBuf,
    /// What is being read.
    open: Option<Open>,
}

/// A file that is read as it grows.
struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Files {
    fn new(run: &Path) -> Self {
        Self { now: run.join(FILE), before: run.join(format!("{FILE}.1")), open: None }
    }

    /// The lines that are new since the last call; all, in the first. What has no end yet is a line
    /// where nobody waits for it.
    fn read(&mut self, wait: bool) -> io::Result<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        let now = open(&self.now)?;
        // After `now`: one that has been put aside meanwhile is the same file.
        let before = open(&self.before)?;
        let id = now.as_ref().map(|open| open.id);
        let was = self.open.as_ref().map(|open| open.id);
        if let Some(open) = &mut self.open {
            open.lines(&mut lines)?;
        }
        if was.is_none() || (now.is_some() && was != id) {
            let before = before.filter(|it| Some(it.id) != id && Some(it.id) != was);
            for next in [before, now].into_iter().flatten() {
                self.end(&mut lines);
                self.open.insert(next).lines(&mut lines)?;
            }
        }
        if !wait {
            self.end(&mut lines);
        }
        Ok(lines)
    }

    fn end(&mut self, lines: &mut Vec<Vec<u8>>) {
        lines.extend(self.open.as_mut().and_then(Open::end));
    }
}

/// None where it is not there.
fn open(path: &Path) -> io::Result<Option<Open>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    Ok(Some(Open { file, id: (meta.dev(), meta.ino()), rest: Vec::new() }))
}

impl Open {
    /// The lines that have an end, from where the last look ended.
    fn lines(&mut self, lines: &mut Vec<Vec<u8>>) -> io::Result<()> {
        // Somebody emptied it.
        if self.file.metadata()?.len() < self.file.stream_position()? {
            self.file.rewind()?;
            self.rest.clear();
        }
        self.file.read_to_end(&mut self.rest)?;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        let texts = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.extend(texts.map(<[u8]>::to_vec));
        Ok(())
    }

    /// What has no end, and gets none any more.
    fn end(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.rest)).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn events() -> Events {
        Events { network: None, container: None, failed: false, verb: None, follow: false }
    }

    const TEXT: Output = Output { json: false, quiet: false };
    const JSON: Output = Output { json: true, quiet: false };

    #[test]
    fn an_event_is_a_line_for_people() {
        let mut event = json!({
            "time": 951_782_399.25, "verb": "ADD", "network": "pods", "container": "c1",
            "ifname": "eth0", "milliseconds": 12.34, "code": 100, "error": "set 0\nis full",
        });
        let line =
            "2000-02-28T23:59:59.250Z  ADD  pods  c1  eth0  failed:100  12.3 ms  set 0 is full";
        assert_eq!(sentence(&event), line);
        event = json!({ "time": 951_782_400, "verb": "GC", "network": "pods" });
        assert_eq!(sentence(&event), "2000-02-29T00:00:00.000Z  GC  pods  -  -  ok");
        event = json!({ "time": 1e300, "event": "ledger begun", "what": { "attachments": 2 } });
        assert_eq!(sentence(&event), "-  ledger begun  {\"attachments\":2}");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let of = |seconds: f64| utc(seconds).unwrap_or_default();
        assert_eq!(of(0.0), "1970-01-01T00:00:00.000Z");
        assert_eq!(of(4_107_542_400.0), "2100-03-01T00:00:00.000Z");
        assert_eq!(of(1_735_689_599.999), "2024-12-31T23:59:59.999Z");
        assert_eq!(of(253_402_300_799.0), "9999-12-31T23:59:59.000Z");
        for nonsense in [-1.0, f64::NAN, 253_402_300_800.0, 1e18] {
            assert_eq!(utc(nonsense), None);
        }
    }

    #[test]
    fn only_what_is_asked_for_is_shown_and_json_as_it_is() {
        let id = "0123456789abcdef";
        let line = format!("{{ \"verb\": \"ADD\", \"network\":\"n\", \"container\": \"{id}\"}}");
        let shown = |events: &Events| !events.line(line.as_bytes(), TEXT).is_empty();
        let of = |text: &str| Some(text.to_owned());
        assert!(shown(&Events { network: of("n"), container: of(id), ..events() }));
        assert!(shown(&Events { container: of("0123456789ab"), ..events() }));
        assert!(!shown(&Events { container: of("01234"), ..events() }));
        assert!(!shown(&Events { network: of("m"), ..events() }));
        let json = events().line(line.as_bytes(), JSON);
        assert_eq!(json, format!("{line}\n").into_bytes());
        assert!(!shown(&Events { failed: true, ..events() }));
        assert!(shown(&Events { verb: of("add"), ..events() }));
        assert!(!shown(&Events { verb: of("DEL"), ..events() }));
        assert!(events().line(b"{ \"verb\": \"AD", TEXT).is_empty());
        let pool = json!({ "event": "docker pool requested", "what": { "network": "n" } });
        assert!(Events { network: of("n"), ..events() }.is_wanted(&pool));
    }

    #[test]
    fn a_new_file_meanwhile_loses_nothing_and_repeats_nothing() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (now, before) = (dir.path().join(FILE), dir.path().join(format!("{FILE}.1")));
        let append = |text: &str| {
            File::options().append(true).create(true).open(&now)?.write_all(text.as_bytes())
        };
        let mut files = Files::new(dir.path());
        let mut read = || -> io::Result<String> {
            let lines = files.read(true)?;
            Ok(lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join(","))
        };
        assert_eq!(read()?, "");
        std::fs::write(&before, "0\n")?;
        assert_eq!(read()?, "0");
        assert_eq!(read()?, "", "once, though there is no other file");
        append("1\n2")?;
        assert_eq!(read()?, "1");
        append("2\n3\n")?;
        std::fs::rename(&now, &before)?;
        assert_eq!(read()?, "22,3", "there is no new one yet");
        append("4\n")?;
        assert_eq!(read()?, "4");
        append("5\n")?;
        std::fs::rename(&now, &before)?;
        append("6\n")?;
        std::fs::rename(&now, &before)?;
        append("7\n")?;
        assert_eq!(read()?, "5,6,7", "two since the last look");
        std::fs::write(&now, "8\n")?;
        assert_eq!(read()?, "", "as long as it was: what is new begins behind it");
        std::fs::write(&now, "")?;
        assert_eq!(read()?, "");
        append("9\n")?;
        assert_eq!(read()?, "9");
        Ok(())
    }
}
