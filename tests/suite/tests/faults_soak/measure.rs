//! What is measured while it goes on, in ten parts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wharfinger_suite::World;

const PARTS: usize = 10;
const VERBS: [&str; 5] = ["ADD", "CHECK", "DEL", "GC", "STATUS"];

/// Of one part.
#[derive(Debug, Default, Clone)]
struct Part {
    took: BTreeMap<&'static str, Vec<Duration>>,
    /// The most memory that one process had of its own, KiB.
    resident: u64,
    /// At its end.
    rows: usize,
    ledger: u64,
    files: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Measures<'w> {
    world: &'w World,
    begun: Instant,
    length: Duration,
    parts: Mutex<Vec<Part>>,
    /// Bytes of the ledger with all containers that there may be.
    full: AtomicU64,
}

impl<'w> Measures<'w> {
    pub(crate) fn new(world: &'w World, length: Duration) -> Self {
        let parts = Mutex::new(vec![Part::default(); PARTS]);
        Self { world, begun: Instant::now(), length, parts, full: AtomicU64::new(0) }
    }

    fn part(&self) -> usize {
        let share = self.begun.elapsed().as_millis() * 10 / self.length.as_millis().max(1);
        usize::try_from(share).unwrap_or(PARTS)
    }

    fn with(&self, change: impl FnOnce(&mut Part)) {
        let at = self.part();
        if let Some(part) = self.parts.lock().expect("no other failed").get_mut(at) {
            change(part);
        }
    }

    /// A call has ended.
    pub(crate) fn took(&self, verb: &'static str, time: Duration) {
        self.with(|part| part.took.entry(verb).or_default().push(time));
    }

    /// Looks at it for as long as it goes on.
    pub(crate) fn watch(&self, goes_on: impl Fn() -> bool) {
        let mut known = 0;
        while goes_on() {
            std::thread::sleep(Duration::from_millis(50));
            let resident = resident(&self.world.text_path("bin"));
            self.with(|part| part.resident = part.resident.max(resident));
            let part = self.part();
            if part != known {
                self.look(known);
                known = part;
            }
        }
        self.look(known.min(PARTS - 1));
    }

    fn look(&self, at: usize) {
        let rows = self.world.ledger().len();
        let (ledger, files) = (self.ledger(), count(&self.world.path("run")));
        if let Some(part) = self.parts.lock().expect("no other failed").get_mut(at) {
            (part.rows, part.ledger, part.files) = (rows, ledger, files);
        }
    }

    fn ledger(&self) -> u64 {
        let boots = std::fs::read_dir(self.world.path("run")).expect("the run directory");
        let of = |boot: std::io::Result<std::fs::DirEntry>| {
            let file = boot.expect("an entry").path().join("ledger.db");
            std::fs::metadata(file).map(|meta| meta.len()).unwrap_or_default()
        };
        boots.map(of).max().unwrap_or_default()
    }

    /// It has run for as long as it should; nothing has gone yet.
    pub(crate) fn full(&self) {
        self.full.store(self.ledger(), Ordering::Relaxed);
    }

    /// What grew although there were no more containers: nothing, or not by much.
    pub(crate) fn judge(&self) {
        let parts = self.parts.lock().expect("no other failed");
        let peak = parts.iter().max_by_key(|part| part.rows).expect("ten parts");
        let full = self.full.load(Ordering::Relaxed);
        let bound = peak.ledger * 3 / 2 + (1 << 20);
        assert!(full <= bound, "the ledger has {full} bytes; it had {}", peak.ledger);
        // Records of calls go round, and each call that is under way has a lock's file.
        let last = parts.last().expect("ten parts");
        assert!(last.files < peak.files + 400, "{} files, then {}", peak.files, last.files);
        let first = parts.iter().map(|part| part.resident).find(|most| *most > 0).expect("one");
        let most = parts.iter().map(|part| part.resident).max().expect("ten parts");
        assert!(most <= first * 2 + (16 << 10), "{first} KiB, then {most}");
    }
}

/// The most memory that one of the processes that run now, of those in this folder, has had, KiB.
fn resident(folder: &str) -> u64 {
    let processes = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
    let of = |process: std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        if !line.starts_with(folder.as_bytes()) {
            return None;
        }
        let status = std::fs::read_to_string(process.path().join("status")).ok()?;
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        most.split_whitespace().next()?.parse().ok()
    };
    processes.filter_map(of).max().unwrap_or_default()
}

fn count(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let of = |path: std::path::PathBuf| if path.is_dir() { count(&path) } else { 1 };
    entries.filter_map(Result::ok).map(|entry| of(entry.path())).sum()
}

impl fmt::Display for Measures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts.lock().expect("no other failed");
        let median = |part: &Part, verb: &str| {
            let mut times = part.took.get(verb).cloned().unwrap_or_default();
            times.sort();
            times.get(times.len() / 2).map_or(String::new(), |time| time.as_millis().to_string())
        };
        writeln!(
            f,
            "| part | calls | {} | peak KiB | rows | ledger KiB | files |",
            VERBS.join(" | ")
        )?;
        writeln!(f, "| --- |{}", " --- |".repeat(5 + VERBS.len()))?;
        for (number, part) in parts.iter().enumerate() {
            let calls: usize = part.took.values().map(Vec::len).sum();
            let medians: Vec<String> = VERBS.iter().map(|verb| median(part, verb)).collect();
            writeln!(
                f,
                "| {} | {calls} | {} | {} | {} | {} | {} |",
                number + 1,
                medians.join(" | "),
                part.resident,
                part.rows,
                part.ledger >> 10,
                part.files
            )?;
        }
        Ok(())
    }
}
