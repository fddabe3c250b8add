//! `cargo xtask fuzz`: what comes from outside, changed at random, for as long as is asked for. The tests do
//! the same with a fixed number of inputs. What is found fails, and is left in `tests/corpus/fuzz`.

use anyhow::{Context as _, Result, bail};

use crate::command::{capture, cargo, must, target};

/// Each test of this name is a target; two run at once.
const NAME: &str = "fuzz_";

/// Runs them.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let minutes: u64 = match args {
        [] => 10,
        [flag, count] if flag == "--minutes" => count.parse().context("--minutes COUNT")?,
        _ => bail!("usage: cargo xtask fuzz [--minutes COUNT]"),
    };
    let tests = |words: &str| {
        // With the executable, so that the compiler is not built in another way.
        let packages = "-p wharfinger -p wharfinger-fuzz -p wharfinger-wasm -p wharfinger-attach -p wharfinger-kube";
        let mut command =
            cargo(&format!("test --quiet --release --target {} {packages}", target()));
        command.args(words.split_whitespace());
        command
    };
    let listed = capture(&mut tests(&format!("-- --list --format=terse {NAME}")))?.stdout;
    let targets = String::from_utf8_lossy(&listed).lines().count().max(1);
    let seconds = (minutes * 120 / u64::try_from(targets)?).max(1);
    let mut command = tests(&format!("-- --nocapture --test-threads=2 {NAME}"));
    must(command.env("WHARFINGER_FUZZ_SECONDS", seconds.to_string()))
}
