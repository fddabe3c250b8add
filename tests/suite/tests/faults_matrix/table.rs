//! What was tried, as it is printed, and as it stands in the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::cells::{AROUND, AT_STEPS, Cell, Fault, VERBS, Verb, fits};
use crate::long;
use crate::trial::Outcome;

/// The steps of a verb, in order.
const STEPS: [&str; 10] = [
    "program",
    "lock",
    "ledger",
    "plugin start",
    "component",
    "delegate",
    "netlink",
    "sysctl",
    "records",
    "reply",
];

type Outcomes = BTreeMap<Outcome, usize>;

/// By verb, step (none: the whole call) and fault.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<(Verb, String, String), Outcomes>);

impl Table {
    /// A point that was tried.
    pub(crate) fn note(&mut self, cell: &Cell, step: &str, outcome: &Outcome) {
        let step = if cell.fault.at_steps() { step } else { "" };
        let key = (cell.verb, step.to_owned(), cell.fault.to_string());
        *self.0.entry(key).or_default().entry(outcome.clone()).or_default() += 1;
    }

    fn of(&self, verb: Verb, step: &str, fault: Fault) -> Option<&Outcomes> {
        self.0.get(&(verb, step.to_owned(), fault.to_string()))
    }

    /// Two tables: at the steps of each verb, and around whole calls.
    fn rendered(&self, cell: impl Fn(&Outcomes) -> String) -> String {
        let mut text = String::new();
        let columns: Vec<String> = AT_STEPS.iter().map(Fault::to_string).collect();
        let _ = writeln!(text, "| verb | step | {} |", columns.join(" | "));
        let _ = writeln!(text, "| --- | --- |{}", " --- |".repeat(columns.len()));
        for (verb, step) in VERBS.iter().flat_map(|verb| STEPS.map(|step| (*verb, step))) {
            let all: Vec<Option<&Outcomes>> =
                AT_STEPS.iter().map(|fault| self.of(verb, step, *fault)).collect();
            if all.iter().any(Option::is_some) {
                let texts: Vec<String> =
                    all.iter().map(|one| one.map(&cell).unwrap_or_default()).collect();
                let _ = writeln!(text, "| {verb} | {step} | {} |", texts.join(" | "));
            }
        }
        let verbs: Vec<Verb> = VERBS.into_iter().filter(|verb| *verb != Verb::First).collect();
        let names: Vec<String> = verbs.iter().map(Verb::to_string).collect();
        let _ = writeln!(text, "\n| fault | {} |", names.join(" | "));
        let _ = writeln!(text, "| --- |{}", " --- |".repeat(names.len()));
        for fault in AROUND {
            let texts: Vec<String> = verbs
                .iter()
                .map(|verb| match self.of(*verb, "", fault) {
                    Some(outcomes) => cell(outcomes),
                    None if fits(fault, *verb) => "?".to_owned(),
                    None => String::new(),
                })
                .collect();
            let _ = writeln!(text, "| {fault} | {} |", texts.join(" | "));
        }
        text
    }

    /// Fails where a cell was not tried. Of the long form also unless what came about is what the documentation
    /// says: its rows and columns, and no outcome that it does not know.
    #[track_caller]
    pub(crate) fn compare(&self) {
        let ours = self.rendered(words);
        let path = page();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let (before, after) = (format!("{BEGIN}\n\n"), format!("\n{END}"));
        let parts = text.split_once(&before).and_then(|(head, rest)| {
            let (theirs, tail) = rest.split_once(&after)?;
            Some((head.to_owned(), theirs.to_owned(), tail.to_owned()))
        });
        let (head, theirs, tail) = parts.expect("the page has the marks around its tables");
        if std::env::var("WHARFINGER_GOLDEN").is_ok_and(|what| what == "update") {
            // Some points are not all: what others came to stays.
            let ours = if long() { ours } else { joined(&ours, &cells(&theirs)) };
            let new = format!("{head}{before}{ours}{after}{tail}");
            return std::fs::write(&path, new).expect("written");
        }
        let (ours, theirs) = (cells(&ours), cells(&theirs));
        if long() {
            let (mine, documented): (Vec<_>, Vec<_>) =
                (ours.keys().collect(), theirs.keys().collect());
            assert_eq!(mine, documented, "rows and columns of {}", path.display());
        }
        for (place, words) in &ours {
            // Some points are not all, and where they fall moves by a call or two.
            let known = theirs.get(place).filter(|known| words.is_subset(known));
            assert!(!long() || known.is_some(), "{place:?}: {words:?} is not documented");
        }
        self.every_cell_was_tried();
    }
}

impl Table {
    /// No verb was left out under any fault.
    fn every_cell_was_tried(&self) {
        for cell in crate::cells::all() {
            let fault = cell.fault.to_string();
            let tried = self.0.keys().any(|(verb, _, of)| *verb == cell.verb && *of == fault);
            assert!(tried, "nothing of {} under {fault}", cell.verb);
        }
    }
}

const BEGIN: &str = "<!-- tables: written by the test -->";
const END: &str = "<!-- end of tables -->";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md")
}

fn words(outcomes: &Outcomes) -> String {
    let words: BTreeSet<&str> = outcomes.keys().map(Outcome::word).collect();
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// By row and column: words.
type Cells = BTreeMap<(String, usize), BTreeSet<String>>;

/// A row's name and its cells; none of what is no row.
fn row(line: &str) -> Option<(String, Vec<&str>)> {
    if !line.starts_with('|') || line.starts_with("| ---") {
        return None;
    }
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let parts: Vec<&str> = inner.split('|').map(str::trim).collect();
    // The first table's rows have two names.
    let (name, cells) = parts.split_at(if parts.len() > VERBS.len() { 2 } else { 1 });
    Some((name.join(" | "), cells.to_vec()))
}

fn words_in(cell: &str) -> BTreeSet<String> {
    cell.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn cells(text: &str) -> Cells {
    let mut all = BTreeMap::new();
    for (name, cells) in text.lines().filter_map(row) {
        for (column, cell) in cells.iter().enumerate() {
            all.insert((name.clone(), column), words_in(cell));
        }
    }
    all
}

/// The tables with what was known before.
fn joined(text: &str, known: &Cells) -> String {
    let line = |line: &str| {
        let Some((name, cells)) = row(line) else { return line.to_owned() };
        let each = cells.iter().enumerate().map(|(column, cell)| {
            let mut words = words_in(cell);
            words.extend(known.get(&(name.clone(), column)).into_iter().flatten().cloned());
            words.into_iter().collect::<Vec<_>>().join(", ")
        });
        format!("| {name} | {} |", each.collect::<Vec<_>>().join(" | "))
    };
    text.lines().map(|one| line(one) + "\n").collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered(|outcomes| {
            let each = outcomes.iter().map(|(outcome, count)| match outcome {
                Outcome::Error(code) => format!("{count} error {code}"),
                other => format!("{count} {}", other.word()),
            });
            each.collect::<Vec<_>>().join(", ")
        }))
    }
}
