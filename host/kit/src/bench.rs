//! How long things take: many times, and the shape of it.

use std::fmt;
use std::time::{Duration, Instant};

/// Times of one thing.
#[derive(Debug, Clone)]
pub struct Timed {
    /// What it is.
    pub what: String,
    /// Sorted.
    samples: Vec<Duration>,
}

impl Timed {
    /// Does it `rounds` times, after a tenth as many that do not count; ends at the first failure.
    pub fn of<E>(
        what: &str,
        rounds: usize,
        mut act: impl FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        for _ in 0..rounds / 10 {
            act()?;
        }
        let mut samples = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let began = Instant::now();
            act()?;
            samples.push(began.elapsed());
        }
        Ok(Self::new(what, samples))
    }

    /// Of times that were taken elsewhere.
    pub fn new(what: &str, mut samples: Vec<Duration>) -> Self {
        samples.sort_unstable();
        Self { what: what.to_owned(), samples }
    }

    /// How often.
    pub fn rounds(&self) -> usize {
        self.samples.len()
    }

    /// The time below which this many of a hundred lie.
    pub fn percentile(&self, of_hundred: usize) -> Duration {
        let last = self.samples.len().saturating_sub(1);
        self.samples.get(last * of_hundred / 100).copied().unwrap_or_default()
    }
}

/// Times, one to a line.
#[derive(Debug, Clone)]
pub struct Table(pub Vec<Timed>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28} {:>7} {:>11} {:>11} {:>11}", "", "rounds", "p50", "p90", "longest")?;
        for timed in &self.0 {
            let at = |of_hundred| milliseconds(timed.percentile(of_hundred));
            let (what, rounds) = (&timed.what, timed.rounds());
            writeln!(f, "{what:<28} {rounds:>7} {:>11} {:>11} {:>11}", at(50), at(90), at(100))?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (1..=101).rev().map(Duration::from_millis).collect();
        let row = Timed::new("x", times);
        assert_eq!(row.percentile(50), Duration::from_millis(51));
        assert_eq!(row.percentile(90), Duration::from_millis(91));
        assert_eq!(row.percentile(100), Duration::from_millis(101));
        assert!(Table(vec![row]).to_string().contains("51.000 ms"));
        assert_eq!(Timed::new("none", vec![]).percentile(50), Duration::ZERO);
    }
}
