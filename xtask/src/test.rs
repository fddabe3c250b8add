//! `cargo xtask test`: installs what the tests need, builds, runs every ring, prints a table.
//!
//! A ring is a kind of test with its own needs. A ring that cannot run here is skipped, with its
//! reason in the table; where `CI` is `true` that is a failure.

mod binaries;
mod emulated;
pub(crate) mod lab;
mod rings;
mod table;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::command::{complain, is_root, say};
use crate::cpu::Cpu;
use crate::{build, dist, lint, tools};
use rings::Ring;

pub(crate) use rings::kubernetes;
use table::{Row, Table};

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// These rings alone.
    only: Vec<String>,
    /// Also what takes long.
    long: bool,
}

/// Runs it. The last line that is written is "N passed, N failed, N skipped".
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = parse(args)?;
    let mut table = Table::default();
    prepare(&options, &mut table)?;
    let binaries = if table.failed() == 0 { binaries::all()? } else { Vec::new() };
    for ring in Ring::ALL {
        if ring == Ring::Build || !options.wants(ring) {
            continue;
        }
        let row = if ring.waits_for_long() && !options.long && options.only.is_empty() {
            Row::left(ring)
        } else if table.build_failed() {
            Row::skipped(ring, 0, "the build failed")
        } else {
            rings::run(ring, &binaries, &options)
        };
        say(&row.to_string());
        table.rows.push(row);
    }
    say(&table.to_string());
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let verdict = table.verdict(ci);
    if let Err(error) = &verdict {
        complain(&format!("xtask test: {error:#}"));
    }
    say(&table.last_line());
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Tools and build: the first row.
fn prepare(options: &Options, table: &mut Table) -> Result<()> {
    let start = Instant::now();
    if !is_root() {
        say("not root: rings that need it run in a user namespace where the kernel allows it");
    }
    tools::install(&[])?;
    let reference = tools::reference();
    if let Err(error) = &reference {
        say(&format!("the reference plugins: {error:#}"));
    }
    let built = if options.needs_build() { build_all() } else { Ok(()) };
    table.rows.push(Row::done(Ring::Build, built, start.elapsed()));
    Ok(())
}

/// Components that the suite runs, each the crate of a folder: what does wrong, and what is meant to
/// be read.
const GUESTS: [&str; 10] = [
    "tests/hostile",
    "tests/hostile-policy",
    "tests/hostile-wasi",
    "tests/faulty",
    "tests/faulty-policy",
    "sdk/rust/examples/sticky",
    "sdk/rust/examples/by-namespace",
    "sdk/rust/examples/netbox",
    "sdk/rust/examples/quota",
    "sdk/rust/examples/ports",
];

fn build_all() -> Result<()> {
    build::run()?;
    for guest in GUESTS {
        build::component(guest)?;
    }
    build::bomb("tests/hostile")?;
    dist::pack(Cpu::here()?)?;
    binaries::build()
}

impl Options {
    fn wants(&self, ring: Ring) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == ring.name())
    }

    /// Formatting and clippy alone need nothing built.
    fn needs_build(&self) -> bool {
        Ring::ALL.into_iter().any(|ring| ring != Ring::Lint && self.wants(ring))
    }
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--long" => options.long = true,
            "--only" => {
                let Some(names) = args.next() else { bail!("--only RING,...") };
                options.only.extend(names.split(',').map(str::to_owned));
            }
            other => bail!("test: no option {other:?}; there are --only RING,... and --long"),
        }
    }
    let known = Ring::ALL.map(Ring::name);
    if let Some(name) = options.only.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no ring {name:?}; there are: {}", known.join(", "));
    }
    Ok(options)
}

/// Lint as a ring.
fn linted(options: &Options) -> Result<()> {
    lint::run(options.long)
}

/// A program of the suite's, once [`build_suite`] ran.
pub(crate) fn suite_program(name: &str) -> std::path::PathBuf {
    crate::command::target_dir().join(crate::command::target()).join("release").join(name)
}

/// Builds the suite's programs.
pub(crate) fn build_suite() -> Result<()> {
    let target = crate::command::target();
    let words =
        format!("build --quiet --package wharfinger-suite --bins --release --target {target}");
    crate::command::must(&mut crate::command::cargo(&words))
}
