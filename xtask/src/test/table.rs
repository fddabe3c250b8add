//! What ran, what was skipped and why: counts, and the table at the end.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};

use super::rings::Ring;
use crate::command::complain;

/// Tests by their outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
}

impl Counts {
    /// What did not even run.
    pub(crate) fn failure() -> Self {
        Self { passed: 0, failed: 1 }
    }

    /// From the lines "test result: ok. 3 passed; 0 failed; ..." that Rust's test harness ends
    /// with. Ignored ones belong to another ring.
    pub(crate) fn parse(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines().filter(|line| line.starts_with("test result:")) {
            let words: Vec<&str> = line.split([' ', ';']).filter(|word| !word.is_empty()).collect();
            for pair in words.windows(2) {
                match pair {
                    [number, "passed"] => counts.passed += number.parse().unwrap_or(0),
                    [number, "failed"] => counts.failed += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        counts
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// One ring's line.
#[derive(Debug)]
pub(crate) struct Row {
    ring: Ring,
    counts: Counts,
    skipped: usize,
    /// Tests that no machine of this ring can run.
    beyond: usize,
    time: Duration,
    note: String,
}

impl Row {
    /// A ring that is one thing: it passed or failed.
    pub(crate) fn done(ring: Ring, outcome: Result<()>, time: Duration) -> Self {
        let counts = Counts { passed: outcome.is_ok().into(), failed: outcome.is_err().into() };
        let note = outcome.err().map(|error| format!("{error:#}")).unwrap_or_default();
        Self { ring, counts, skipped: 0, beyond: 0, time, note }
    }

    /// A ring of many tests. One without any did not run.
    pub(crate) fn counted(ring: Ring, counts: Counts, time: Duration) -> Self {
        let idle = counts == Counts::default();
        let note = if idle { "has no tests" } else { "" }.to_owned();
        Self { ring, counts, skipped: 0, beyond: 0, time, note }
    }

    /// A ring that was not asked for.
    pub(crate) fn left(ring: Ring) -> Self {
        let note = "left to --long".to_owned();
        Self::idle(ring, 0, note)
    }

    /// A ring that did not run, of this many tests.
    pub(crate) fn skipped(ring: Ring, skipped: usize, reason: &str) -> Self {
        let note = format!("skipped: {reason}");
        Self::idle(ring, skipped, note)
    }

    fn idle(ring: Ring, skipped: usize, note: String) -> Self {
        let (counts, time) = (Counts::default(), Duration::ZERO);
        Self { ring, counts, skipped, beyond: 0, time, note }
    }

    /// The same, where this many of its tests were left out.
    pub(crate) fn without(mut self, skipped: usize, reasons: &[String]) -> Self {
        self.skipped += skipped;
        if !reasons.is_empty() {
            self.note = format!("skipped: {}", reasons.join("; "));
        }
        self
    }

    /// The same, where that is no lack of this machine's: they are skipped, and it is whole.
    pub(crate) fn beyond(mut self, tests: usize, reasons: &[String]) -> Self {
        self.beyond = tests;
        self.without(0, reasons)
    }

    /// Whether anything of it did not run.
    fn lacks(&self) -> bool {
        (!self.ran() && !self.ring.waits_for_long()) || self.skipped > 0
    }

    fn ran(&self) -> bool {
        self.counts != Counts::default()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = Duration::from_secs(60 * self.ring.budget());
        let over = if self.time > budget { " over its budget" } else { "" };
        write!(
            f,
            "{:<12} {:>7} {:>7} {:>8}   {:>6.0} s of {:>4} s{over}  {}",
            self.ring.name(),
            self.counts.passed,
            self.counts.failed,
            self.skipped + self.beyond,
            self.time.as_secs_f64(),
            budget.as_secs(),
            self.note
        )
    }
}

/// All rings.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// In the order in which they ran.
    pub rows: Vec<Row>,
}

impl Table {
    /// Tests that failed so far.
    pub(crate) fn failed(&self) -> usize {
        self.rows.iter().map(|row| row.counts.failed).sum()
    }

    /// Whether there is nothing to test.
    pub(crate) fn build_failed(&self) -> bool {
        self.rows.iter().any(|row| row.ring == Ring::Build && row.counts.failed > 0)
    }

    /// An error where a test failed, or, on CI, where a ring, or a language of one, did not run.
    pub(crate) fn verdict(&self, ci: bool) -> Result<()> {
        let idle: Vec<&str> =
            self.rows.iter().filter(|row| row.lacks()).map(|row| row.ring.name()).collect();
        if !idle.is_empty() {
            complain(&format!("did not run, or not whole: {}", idle.join(", ")));
        }
        match self.failed() {
            0 if ci && !idle.is_empty() => bail!("rings did not run on CI: {}", idle.join(", ")),
            0 => Ok(()),
            failed => bail!("{failed} failed"),
        }
    }

    /// "N passed, N failed, N skipped".
    pub(crate) fn last_line(&self) -> String {
        let passed: usize = self.rows.iter().map(|row| row.counts.passed).sum();
        let skipped: usize = self.rows.iter().map(|row| row.skipped + row.beyond).sum();
        format!("{passed} passed, {} failed, {skipped} skipped", self.failed())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nring          passed  failed  skipped         time")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Row, Table};
    use crate::test::rings::Ring;

    #[test]
    fn counts_are_read_off_the_harness() {
        let text = "running 2 tests\n\ntest result: FAILED. 12 passed; 3 failed; 4 ignored; 0 \
                    measured; 0 filtered out; finished in 0.5s\n\
                    test result: ok. 1 passed; 0 failed; 0 ignored\n";
        assert_eq!(Counts::parse(text), Counts { passed: 13, failed: 3 });
    }

    #[test]
    fn a_ring_that_did_not_run_fails_on_ci_alone() {
        let rows = vec![Row::skipped(Ring::Lab, 7, "no kernel")];
        let table = Table { rows };
        assert!(table.verdict(false).is_ok());
        assert!(table.verdict(true).is_err());
        assert_eq!(table.last_line(), "0 passed, 0 failed, 7 skipped");
    }

    #[test]
    fn one_that_waits_to_be_asked_for_fails_nowhere_and_is_named() {
        let table = Table { rows: vec![Row::left(Ring::Older)] };
        assert!(table.verdict(true).is_ok());
        assert!(table.to_string().contains("left to --long"), "{table}");
        let wanted = Table { rows: vec![Row::skipped(Ring::Older, 7, "no kernel")] };
        assert!(wanted.verdict(true).is_err());
    }

    #[test]
    fn so_does_one_that_a_language_was_left_out_of() {
        let counts = Counts { passed: 9, failed: 0 };
        let row = |reasons: &[String]| {
            let row = Row::counted(Ring::Languages, counts, std::time::Duration::ZERO);
            Table { rows: vec![row.without(reasons.len(), reasons)] }
        };
        assert!(row(&[]).verdict(true).is_ok());
        let table = row(&["go: no `go` here".to_owned()]);
        assert!(table.verdict(false).is_ok() && table.verdict(true).is_err());
        assert_eq!(table.last_line(), "9 passed, 0 failed, 1 skipped");
        assert!(table.to_string().contains("skipped: go: no `go` here"), "{table}");
    }

    #[test]
    fn what_no_machine_can_run_is_counted_and_is_no_lack() {
        let counts = Counts { passed: 9, failed: 0 };
        let row = Row::counted(Ring::Emulated, counts, std::time::Duration::ZERO);
        let table = Table { rows: vec![row.beyond(2, &["no seccomp".to_owned()])] };
        assert!(table.verdict(true).is_ok());
        assert_eq!(table.last_line(), "9 passed, 0 failed, 2 skipped");
        assert!(table.to_string().contains("skipped: no seccomp"), "{table}");
    }
}
