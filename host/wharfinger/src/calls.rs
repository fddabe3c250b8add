//! Where records of component calls are kept, in the run directory: the last ones, and those that
//! failed. Writing one never fails a verb.
//!
//! The run directory is memory, so the whole is bounded; and every ADD writes, so that must cost
//! little. Ordinary calls go round in a ring of files, `last-NN.json`, whose turn is the length of
//! a file that each writer makes longer by a byte. What failed (and what is long) has a file of
//! its own, `SECONDS.MICROSECONDS-PID.N-EXPORT-BYTES[-failed].json`; the oldest go, by their
//! names, which takes a look into the directory: ten times as much.

mod recorded;

use std::cell::{Cell, RefCell};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use recorded::Recorded;
use wharfinger_wasm::record::Record;
use wharfinger_wasm::{Ipam, Policy};

/// The directory's name in the run directory.
pub(crate) const DIRECTORY: &str = "calls";
/// Files of the ring.
const RING: u64 = 64;
/// Bytes of a record that goes into the ring: a mebibyte in all.
const SHORT: u64 = 16 << 10;
/// Whose turn it is.
const TURN: &str = "turn";
/// The file of turns begins anew at this length.
const TURNS: u64 = 1 << 12;
/// Files of their own, at most.
const OWN: usize = 256;
/// Bytes of all files of their own: with the ring, 4 MiB.
const BYTES: u64 = (4 << 20) - RING * SHORT - TURNS * 2;
/// A longer record is not kept: it would push out all others.
const LONGEST: u64 = 1 << 20;
/// The end of a name of a call that failed.
const FAILED_END: &str = "-failed.json";

/// Keeps records; shared by all components of a process.
#[derive(Clone)]
pub(crate) struct Calls(Rc<Kept>);

struct Kept {
    directory: PathBuf,
    on: Cell<bool>,
    /// Files of their own that are there, oldest first; looked up when one is written.
    names: RefCell<Option<Vec<Name>>>,
    count: Cell<u32>,
    last_failure: RefCell<Option<PathBuf>>,
}

/// A file, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    text: String,
    bytes: u64,
    failed: bool,
}

impl Name {
    /// None for what is no such file.
    fn parse(text: String) -> Option<Self> {
        // Those of the ring begin with a word.
        text.starts_with(|first: char| first.is_ascii_digit()).then_some(())?;
        let failed = text.ends_with(FAILED_END);
        let stem = text.strip_suffix(FAILED_END).or_else(|| text.strip_suffix(".json"))?;
        let bytes = stem.rsplit_once('-')?.1.parse().ok()?;
        Some(Self { text, bytes, failed })
    }
}

/// Takes from `names`, sorted by age, what must go so that one more of `bytes` fits: first what
/// did not fail, the oldest of it first.
fn surplus(names: &mut Vec<Name>, bytes: u64) -> Vec<Name> {
    let mut gone = Vec::new();
    loop {
        let total: u64 = names.iter().map(|name| name.bytes).sum();
        if names.len() < OWN && total.saturating_add(bytes) <= BYTES {
            return gone;
        }
        let well = names.iter().position(|name| !name.failed);
        if names.is_empty() {
            return gone;
        }
        gone.push(names.remove(well.unwrap_or_default()));
    }
}

impl Calls {
    /// In this run directory.
    pub(crate) fn new(run: &Path) -> Self {
        Self(Rc::new(Kept {
            directory: run.join(DIRECTORY),
            on: Cell::new(true),
            names: RefCell::default(),
            count: Cell::new(0),
            last_failure: RefCell::default(),
        }))
    }

    /// From now on nothing is written: for what is to leave no trace.
    pub(crate) fn stop(&self) {
        self.0.on.set(false);
    }

    /// The record of the last call of this process that failed, once.
    pub(crate) fn take_failure(&self) -> Option<PathBuf> {
        self.0.last_failure.borrow_mut().take()
    }

    /// The same plugin, recorded.
    pub(crate) fn ipam(&self, inner: Box<dyn Ipam>) -> Box<dyn Ipam> {
        Box::new(Recorded { inner, calls: self.clone() })
    }

    /// The same plugin, recorded.
    pub(crate) fn policy(&self, inner: Box<dyn Policy>) -> Box<dyn Policy> {
        Box::new(Recorded { inner, calls: self.clone() })
    }

    /// Whether records are written.
    fn is_on(&self) -> bool {
        self.0.on.get()
    }

    /// Writes a record, as far as that can be done.
    fn keep(&self, record: &Record) {
        let Some(text) = record.to_json().ok().filter(|_| self.is_on()) else { return };
        let bytes = text.len() as u64;
        if bytes > LONGEST {
            return;
        }
        let failed = record.answer.is_refusal();
        if failed || bytes > SHORT {
            self.alone(record.call.export(), failed, &text);
        } else if self.ring(&text).is_err() && self.made() {
            // The first of all.
            let _ = self.ring(&text);
        }
    }

    /// Makes the directory.
    fn made(&self) -> bool {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.0.directory).is_ok()
    }

    /// Into the ring.
    fn ring(&self, text: &str) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let mut turns = options.open(self.0.directory.join(TURN))?;
        turns.write_all(b".")?;
        // Where this byte ended, whoever else writes.
        let turn = turns.stream_position()?;
        if turn >= TURNS {
            turns.set_len(0)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let path = self.0.directory.join(format!("last-{:02}.json", turn % RING));
        options.open(path)?.write_all(text.as_bytes())
    }

    /// Into a file of its own.
    fn alone(&self, export: &str, failed: bool, text: &str) {
        let name = self.name(export, text.len() as u64, failed);
        self.make_room(name.bytes);
        let path = self.0.directory.join(&name.text);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        if file.and_then(|mut file| file.write_all(text.as_bytes())).is_err() {
            return;
        }
        self.0.names.borrow_mut().get_or_insert_default().push(name);
        if failed {
            self.0.last_failure.replace(Some(path));
        }
    }

    fn name(&self, export: &str, bytes: u64, failed: bool) -> Name {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, micros) = (since.as_secs(), since.subsec_micros());
        let count = self.0.count.replace(self.0.count.get() + 1);
        let end = if failed { FAILED_END } else { ".json" };
        let pid = std::process::id();
        let text = format!("{seconds}.{micros:06}-{pid}.{count}-{export}-{bytes}{end}");
        Name { text, bytes, failed }
    }

    fn make_room(&self, bytes: u64) {
        let mut slot = self.0.names.borrow_mut();
        let names = slot.get_or_insert_with(|| look(&self.0.directory));
        for gone in surplus(names, bytes) {
            // Another process may have been faster.
            let _ = std::fs::remove_file(self.0.directory.join(gone.text));
        }
    }
}

/// The files of their own that are there, oldest first; makes the directory where there is none.
fn look(directory: &Path) -> Vec<Name> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        return Vec::new();
    };
    let text = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
    let mut names: Vec<Name> = entries.flatten().filter_map(text).filter_map(Name::parse).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use wharfinger_wasm::Node;
    use wharfinger_wasm::record::{Answer, Call, FORMAT, Failure};

    use super::*;

    fn record(answer: Answer, padding: usize) -> Record {
        let call = Call::Validate { config: "x".repeat(padding) };
        Record {
            format: FORMAT,
            time: 1,
            took: 1,
            plugin: "p".into(),
            node: Node::default(),
            call,
            imports: vec![],
            answer,
        }
    }

    fn well(padding: usize) -> Record {
        record(Answer::Problems(vec![]), padding)
    }

    fn failed(padding: usize) -> Record {
        record(Answer::Error(Failure::Book { what: "w".into() }), padding)
    }

    fn there(run: &Path) -> Vec<Name> {
        look(&run.join(DIRECTORY))
    }

    /// Bytes of all files.
    fn bytes(run: &Path) -> u64 {
        let entries = std::fs::read_dir(run.join(DIRECTORY)).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
    }

    #[test]
    fn the_last_calls_are_kept_and_failures_longer() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        Calls::new(dir.path()).keep(&failed(1));
        for process in 0..3 {
            let calls = Calls::new(dir.path());
            (0..40).for_each(|count| calls.keep(&well(100 * process + count)));
        }
        let names = there(dir.path());
        assert_eq!(names.len(), 1);
        let entries = std::fs::read_dir(dir.path().join(DIRECTORY))?.flatten();
        let mut found = 0;
        for path in entries.map(|entry| entry.path()).filter(|path| !path.ends_with(TURN)) {
            let text = std::fs::read_to_string(path)?;
            let record = Record::read(&text).map_err(std::io::Error::other)?;
            if let Call::Validate { config } = record.call {
                found += usize::from(config.len() >= 100);
            }
        }
        // The last 64 of 120: 40 of the last process, 24 of the one before.
        assert_eq!(found, 64);
        Ok(())
    }

    #[test]
    fn all_of_it_is_bounded_and_failures_go_last() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let calls = Calls::new(dir.path());
        (0..100).for_each(|_| calls.keep(&well(15 << 10)));
        (0..10).for_each(|_| calls.keep(&well(400 << 10)));
        (0..4).for_each(|_| calls.keep(&failed(400 << 10)));
        let names = there(dir.path());
        assert_eq!(names.iter().filter(|name| name.failed).count(), 4);
        assert_eq!(names.iter().filter(|name| !name.failed).count(), 3);
        (0..20).for_each(|_| calls.keep(&failed(400 << 10)));
        (0..300).for_each(|_| calls.keep(&failed(4)));
        let names = there(dir.path());
        assert!(bytes(dir.path()) <= 4 << 20, "{}", bytes(dir.path()));
        assert!(names.len() <= OWN);
        calls.keep(&failed(2 << 20));
        assert_eq!(there(dir.path()), names, "too long a record is not kept");
        for name in &names {
            let path = dir.path().join(DIRECTORY).join(&name.text);
            assert_eq!(path.metadata()?.len(), name.bytes);
        }
        Ok(())
    }

    #[test]
    fn a_failure_names_its_file_once() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let calls = Calls::new(dir.path());
        calls.keep(&well(1));
        assert_eq!(calls.take_failure(), None);
        calls.keep(&failed(1));
        assert!(calls.take_failure().is_some_and(|path| path.is_file()));
        assert_eq!(calls.take_failure(), None);
        calls.stop();
        calls.keep(&failed(1));
        assert_eq!(there(dir.path()).len(), 1);
        Ok(())
    }

    #[test]
    fn nothing_fails_where_nothing_can_be_written() {
        Calls::new(Path::new("/proc/nonexistent")).keep(&well(1));
    }

    /// The bound is far above what it takes, so that a busy machine does not fail it.
    #[test]
    fn a_call_that_is_kept_costs_microseconds() -> std::io::Result<()> {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let full = Calls::new(dir.path());
        (0..100).for_each(|_| full.keep(&well(1_500)));
        (0..100).for_each(|_| full.keep(&failed(1_500)));
        let began = Instant::now();
        // A process each.
        (0..200).for_each(|_| Calls::new(dir.path()).keep(&well(1_500)));
        let each = began.elapsed() / 200;
        println!("{each:?} for a record kept by a fresh process");
        assert!(each < std::time::Duration::from_millis(5), "{each:?}");
        Ok(())
    }
}
