//! Figures: medians, spread, ratios, as tables.

use std::collections::BTreeMap;
use std::time::Duration;

use super::process::Took;
use crate::command::say;

/// All that was measured of one part, by (what, whose).
#[derive(Debug, Default)]
pub(crate) struct Figures {
    order: Vec<(String, String)>,
    samples: BTreeMap<(String, String), Vec<Took>>,
}

impl Figures {
    /// One more sample.
    pub(crate) fn add(&mut self, what: &str, whose: &str, took: Took) {
        let key = (what.to_owned(), whose.to_owned());
        if !self.samples.contains_key(&key) {
            self.order.push(key.clone());
        }
        self.samples.entry(key).or_default().push(took);
    }

    /// The median of what the clock said, in milliseconds.
    pub(crate) fn median(&self, what: &str, whose: &str) -> Option<f64> {
        let took = self.samples.get(&(what.to_owned(), whose.to_owned()))?;
        Some(quantile(took.iter().map(|took| millis(took.wall)), 0.5))
    }

    /// The medians with their spread, and the ratio of `mine` to each of the others. `aims` are the
    /// ratios that are aimed at, by (what, whose).
    pub(crate) fn print(&self, title: &str, mine: &str, aims: &[(&str, &str, f64)]) {
        self.print_these(title, mine, aims, &[]);
    }

    /// The same of these alone; of all where there are none.
    pub(crate) fn print_these(
        &self,
        title: &str,
        mine: &str,
        aims: &[(&str, &str, f64)],
        these: &[&str],
    ) {
        say(&format!("\n### {title}\n"));
        say(
            "| what | whose | n | median ms | quarter to three quarters | cpu ms | ours is | aim |",
        );
        say("|---|---|---|---|---|---|---|---|");
        let wanted = |what: &String| these.is_empty() || these.contains(&what.as_str());
        for (what, whose) in self.order.iter().filter(|(what, _)| wanted(what)) {
            self.line(what, whose, mine, aims);
        }
    }

    fn line(&self, what: &str, whose: &str, mine: &str, aims: &[(&str, &str, f64)]) {
        let Some(took) = self.samples.get(&(what.to_owned(), whose.to_owned())) else { return };
        let wall = |q: f64| quantile(took.iter().map(|took| millis(took.wall)), q);
        let cpu = quantile(took.iter().map(|took| millis(took.cpu)), 0.5);
        let ratio = match self.median(what, mine) {
            Some(ours) if whose != mine => format!("{:.2} of it", ours / wall(0.5)),
            _ => String::new(),
        };
        let aim = aims.iter().find(|(w, o, _)| *w == what && *o == whose);
        let aim = aim.map(|(_, _, aim)| format!("{aim:.2}")).unwrap_or_default();
        say(&format!(
            "| {what} | {whose} | {} | {:.2} | {:.2} to {:.2} | {cpu:.2} | {ratio} | {aim} |",
            took.len(),
            wall(0.5),
            wall(0.25),
            wall(0.75),
        ));
    }

    /// The median of `what` of each of `whose`, beside its first.
    pub(crate) fn print_growth(&self, title: &str, books: &[usize], whose: &[&str]) {
        say(&format!("\n### {title}\n"));
        let columns: Vec<String> = books.iter().map(|n| format!("{n} on the books")).collect();
        say(&format!("| what | whose | {} | growth |", columns.join(" | ")));
        say(&format!("|---|---|{}---|", "---|".repeat(columns.len())));
        for verb in ["ADD", "CHECK", "DEL"] {
            for name in whose {
                let medians: Vec<Option<f64>> =
                    books.iter().map(|n| self.median(&format!("{verb} at {n}"), name)).collect();
                if medians.iter().all(Option::is_none) {
                    continue;
                }
                let cell = |m: &Option<f64>| m.map_or_else(String::new, |ms| format!("{ms:.2} ms"));
                let cells: Vec<String> = medians.iter().map(cell).collect();
                let growth = match (medians.first(), medians.last()) {
                    (Some(Some(first)), Some(Some(last))) => format!("{:.2}", last / first),
                    _ => String::new(),
                };
                say(&format!("| {verb} | {name} | {} | {growth} |", cells.join(" | ")));
            }
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The sample below which so much of all is.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into a handful of samples"
)]
pub(crate) fn quantile(samples: impl Iterator<Item = f64>, q: f64) -> f64 {
    let mut sorted: Vec<f64> = samples.collect();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_are_samples() {
        let times = || [3.0, 1.0, 2.0, 5.0, 4.0].into_iter();
        assert!((quantile(times(), 0.5) - 3.0).abs() < 1e-9);
        assert!((quantile(times(), 0.25) - 2.0).abs() < 1e-9);
        assert!((quantile(times(), 1.0) - 5.0).abs() < 1e-9);
        assert!(quantile(std::iter::empty(), 0.5).is_nan());
    }
}
