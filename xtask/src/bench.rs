//! `cargo xtask bench`: whole processes, side by side with the reference plugins and with the
//! floor, a bare program that sends the kernel the same messages. In one run and interleaved, so
//! that what else the machine does meets all alike. Figures are printed, never judged.
//!
//! All of it happens in namespaces that are thrown away.

mod chain;
mod cluster;
mod component;
mod docker;
mod kubernetes;
mod languages;
mod machine;
mod overlay;
mod parts;
mod process;
mod report;
mod subject;
mod whereabouts;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::command::{capture, is_root, must, program, say};
use crate::{build, test, tools};
use machine::Machine;

/// How much is measured.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Counted rounds; one before them is not counted.
    rounds: usize,
    /// Rounds of many at once.
    crowds: usize,
    /// How many attachments are on the books.
    books: Vec<usize>,
    /// How many pods have rules in the tables.
    pods: Vec<usize>,
    /// These parts alone.
    only: Vec<String>,
    /// An earlier executable of ours, beside this one.
    before: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let inside = args.first().is_some_and(|arg| arg == "--inside");
    let options = parse(args.get(usize::from(inside)..).unwrap_or_default())?;
    if inside {
        return parts::run(&Machine::new(executables(&options)?)?, &options);
    }
    if !is_root() {
        bail!("bench needs root");
    }
    if !tools::install(&[&build::NEEDED[..], &["ip", "nft", "iptables"]].concat())? {
        bail!("the benchmark needs these packages");
    }
    let wanted: [(&str, &[&str]); 3] = [
        ("docker", &docker::PROGRAMS),
        ("cluster", &cluster::PROGRAMS),
        ("overlay", &overlay::PROGRAMS),
    ];
    for (part, programs) in wanted {
        if options.only.iter().any(|name| name == part) && !tools::install(programs)? {
            bail!("the benchmark of {part} needs these packages");
        }
    }
    let packages = ["etcd", "openssl", "python3", "curl"];
    let named = options.only.iter().any(|name| name == kubernetes::NAME);
    if named && !tools::install(&packages)? {
        bail!("the benchmark of Kubernetes needs these packages");
    }
    let programs = if named { Some(test::kubernetes(false)?) } else { None };
    // The release comes last: both are built in one place.
    let languages = options.only.iter().any(|name| name == parts::LANGUAGES);
    if !languages {
        build::native()?;
    }
    build::run()?;
    if languages {
        crate::languages::run(&[])?;
    }
    test::build_suite()?;
    executables(&options)?;
    let host = format!("wharfinger-bench-{}", std::process::id());
    must(program("ip netns add").arg(&host))?;
    let me = std::env::current_exe().context("the path of this program")?;
    let mut inside = program("ip netns exec");
    inside.arg(&host).arg(me).args(["bench", "--inside"]).args(args);
    inside.envs(programs.map(|path| ("WHARFINGER_KUBE_PROGRAMS", path)));
    let outcome = must(&mut inside);
    capture(program("ip netns del").arg(&host))?;
    outcome
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options {
        rounds: 31,
        crowds: 5,
        books: vec![10, 1_000, 10_000],
        pods: vec![1, 1_000, 10_000],
        only: Vec::new(),
        before: None,
    };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // By itself: `cargo xtask bench languages`.
            parts::LANGUAGES => options.only.push(arg.clone()),
            "--quick" => {
                options.rounds = 7;
                options.crowds = 2;
                options.books = vec![10, 1_000];
                options.pods = vec![1, 1_000];
            }
            "--only" => {
                let Some(names) = args.next() else { bail!("--only PART,...") };
                options.only.extend(names.split(',').map(str::to_owned));
            }
            "--pods" => {
                let counts = args.next().map(|counts| counts.split(',').map(str::parse).collect());
                let Some(Ok(counts)) = counts else { bail!("--pods COUNT,...") };
                options.pods = counts;
            }
            "--before" => {
                let Some(path) = args.next() else { bail!("--before EXECUTABLE") };
                let path = std::fs::canonicalize(path).with_context(|| path.clone())?;
                options.before = Some(path);
            }
            other => bail!(
                "bench: no option {other:?}; there are languages, --quick, --only PART,..., \
                 --pods COUNT,... and --before EXECUTABLE"
            ),
        }
    }
    if let Some(name) = options.only.iter().find(|name| !parts::NAMES.contains(&name.as_str())) {
        bail!("no part {name:?}; there are: {}", parts::NAMES.join(", "));
    }
    Ok(options)
}

/// What is measured.
#[derive(Debug, Clone)]
pub(crate) struct Executables {
    /// Ours.
    ours: PathBuf,
    /// The directory of the reference plugins.
    reference: PathBuf,
    /// The floor.
    floor: PathBuf,
    /// Ours, with host-local outside the sandbox.
    native: PathBuf,
    /// An earlier one of ours.
    before: Option<PathBuf>,
}

fn executables(options: &Options) -> Result<Executables> {
    let ours = crate::command::executable();
    let reference = tools::reference()?;
    let floor = test::suite_program("floor");
    for path in [&ours, &reference.join("bridge")] {
        if !path.is_file() {
            bail!("no {}", path.display());
        }
    }
    if !floor.is_file() {
        say(&format!("no {}: measured without the floor", floor.display()));
    }
    let native = ours.with_file_name("wharfinger-native");
    Ok(Executables { ours, reference, floor, native, before: options.before.clone() })
}
