//! The rings: which test executables each runs, where, and what it takes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Options;
use super::binaries::Binary;
use super::table::{Counts, Row};
use crate::command::{
    UNSHARE, UNSHARED, can_unshare, capture, cargo, complain, find, is_root, say, target,
    two_at_a_time, workspace,
};
use crate::languages::{self, Language, Outcome};
use crate::tools;

/// A kind of test with its own needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ring {
    /// Tools, the release, the test executables.
    Build,
    /// Formatting and clippy.
    Lint,
    /// The crates' own tests that need nothing.
    Unit,
    /// The finished executable, without root.
    Conformance,
    /// Real namespaces.
    Netns,
    /// Kills and failing system calls.
    Faults,
    /// Namespaces under the lab's kernel.
    Lab,
    /// Plugins of other people: each language, each version of the contract, the authors' guide.
    Languages,
    /// Real callers: containerd, cnitool, the reference plugins.
    Clients,
    /// A real dockerd, which has us as its network driver and its IPAM driver.
    Docker,
    /// Nodes that share one book, on members of etcd that the tests start.
    Cluster,
}

/// Where a ring's executables run.
enum Place {
    Here,
    /// As root, or as root of a user namespace.
    Root,
    /// Inside the lab's kernel.
    Lab(PathBuf),
}

impl Ring {
    /// In the order in which they run.
    pub(crate) const ALL: [Self; 11] = [
        Self::Build,
        Self::Lint,
        Self::Unit,
        Self::Conformance,
        Self::Netns,
        Self::Faults,
        Self::Lab,
        Self::Clients,
        Self::Docker,
        Self::Cluster,
        Self::Languages,
    ];

    /// As `--only` takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Lint => "lint",
            Self::Unit => "unit",
            Self::Conformance => "conformance",
            Self::Netns => "netns",
            Self::Faults => "faults",
            Self::Lab => "lab",
            Self::Clients => "clients",
            Self::Docker => "docker",
            Self::Cluster => "cluster",
            Self::Languages => "languages",
        }
    }

    /// How many minutes it may take on a machine of two cores.
    pub(crate) fn budget(self) -> u64 {
        match self {
            Self::Build => 22,
            Self::Lint | Self::Unit => 3,
            Self::Conformance | Self::Faults => 2,
            Self::Netns | Self::Lab | Self::Docker => 6,
            Self::Clients | Self::Cluster => 8,
            Self::Languages => 10,
        }
    }

    /// Whether it runs this executable.
    fn has(self, binary: &Binary) -> bool {
        let suite = binary.package == "wharfinger-suite";
        let of_suite = |prefixes: &[&str]| {
            suite && prefixes.iter().any(|prefix| binary.target.starts_with(prefix))
        };
        // firewalld and dockerd beside us: with the other callers.
        let daemons = binary.package == "wharfinger-kernel" && binary.target == "daemons";
        // Some hundred processes of the reference plugins, of which no kernel has another view.
        let remains = binary.package == "wharfinger-kernel" && binary.target == "remains";
        let etcd = binary.package.starts_with("wharfinger-etcd");
        let model = binary.package == "wharfinger-ledger" && binary.target == "model";
        match self {
            Self::Build | Self::Lint => false,
            Self::Netns if daemons || etcd || model => false,
            Self::Lab if daemons || remains => false,
            Self::Unit => !suite,
            Self::Conformance => of_suite(&["conformance_", "plugins_"]),
            Self::Netns => {
                let of_lab = binary.target.starts_with("lab_");
                (!suite && !of_lab) || of_suite(&["netns_", "plugins_"])
            }
            Self::Faults => of_suite(&["faults_"]),
            // Starting processes is what costs there: the kernel's own tests and few of ours.
            Self::Lab => {
                binary.package == "wharfinger-kernel"
                    || of_suite(&[
                        "lab_",
                        "netns_life",
                        "netns_check",
                        "netns_side",
                        "docker_networks",
                    ])
            }
            Self::Clients => daemons || of_suite(&["clients_"]),
            Self::Docker => of_suite(&["docker_"]),
            Self::Cluster => etcd || model || of_suite(&["cluster_"]),
            Self::Languages => of_suite(&["languages_"]),
        }
    }

    /// Whether its tests are the ignored ones.
    fn ignored(self) -> bool {
        !matches!(self, Self::Unit | Self::Conformance)
    }
}

/// Runs a ring.
pub(crate) fn run(ring: Ring, binaries: &[Binary], options: &Options) -> Row {
    say(&format!("\n== ring {} ==", ring.name()));
    let start = Instant::now();
    if ring == Ring::Lint {
        return Row::done(ring, super::linted(), start.elapsed());
    }
    let mine: Vec<&Binary> = binaries.iter().filter(|binary| ring.has(binary)).collect();
    let place = match place(ring, options) {
        Ok(place) => place,
        Err(reason) => return Row::skipped(ring, count(ring, &mine), &format!("{reason:#}")),
    };
    let mut counts = Counts::default();
    let mut lacking = Lacking::default();
    if ring == Ring::Languages {
        lacking = Lacking::after(languages::build(|_| true), &mut counts);
    }
    counts.add(run_all(ring, &place, &mine, &lacking, options));
    if ring == Ring::Unit {
        counts.add(doc_tests());
        counts.add(component_tests());
    }
    Row::counted(ring, counts, start.elapsed()).without(lacking.count(&mine), &lacking.reasons)
}

/// Languages that are not there: their tests are left out.
#[derive(Debug, Default)]
struct Lacking {
    /// The modules that their tests are in, as a test's name has them.
    modules: Vec<String>,
    /// Why, of those whose tools cannot be had.
    reasons: Vec<String>,
}

impl Lacking {
    /// What was not built; where the tools were there, that is a failure.
    fn after(outcomes: Vec<(Language, Outcome)>, counts: &mut Counts) -> Self {
        let mut lacking = Self::default();
        for (language, outcome) in outcomes {
            match outcome {
                Outcome::Built => continue,
                Outcome::Failed(_) => counts.add(Counts::failure()),
                Outcome::Lacking(why) => lacking.reasons.push(format!("{}: {why}", language.name)),
            }
            lacking.modules.push(format!("in_{}::", language.name.replace('-', "_")));
        }
        lacking
    }

    /// How many tests that leaves out.
    fn count(&self, binaries: &[&Binary]) -> usize {
        if self.modules.is_empty() {
            return 0;
        }
        let names = binaries.iter().flat_map(|binary| tests(Ring::Languages, binary));
        names.filter(|name| self.modules.iter().any(|module| name.contains(module))).count()
    }
}

/// Each executable to its end. The lab's machines have a processor each, and what builds plugins waits
/// for one compiler, which does one thing at a time: two run at once.
fn run_all(
    ring: Ring,
    place: &Place,
    binaries: &[&Binary],
    lacking: &Lacking,
    options: &Options,
) -> Counts {
    let run = |binary: &&Binary| run_binary(ring, place, binary, lacking, options);
    let all = match ring {
        Ring::Lab => two_at_a_time(binaries, run),
        Ring::Languages => {
            let mut binaries = binaries.to_vec();
            binaries.sort_by_key(|binary| binary.target != LONGEST);
            two_at_a_time(&binaries, run)
        }
        _ => binaries.iter().map(run).collect(),
    };
    let mut counts = Counts::default();
    for of_one in all {
        counts.add(of_one);
    }
    counts
}

/// The guides: what takes as long as all others together begins first.
const LONGEST: &str = "languages_authors";

/// How many tests a ring has that is not run.
fn count(ring: Ring, binaries: &[&Binary]) -> usize {
    binaries.iter().map(|binary| tests(ring, binary).len()).sum()
}

/// The names of the tests that a ring has in an executable.
fn tests(ring: Ring, binary: &Binary) -> Vec<String> {
    let mut command = Command::new(&binary.path);
    command.args(["--list", "--format=terse"]).args(ring.ignored().then_some("--ignored"));
    let output = capture(&mut command).map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect()
}

/// Where it runs, or why it cannot.
fn place(ring: Ring, options: &Options) -> Result<Place> {
    match ring {
        Ring::Build | Ring::Lint | Ring::Unit | Ring::Conformance => Ok(Place::Here),
        Ring::Netns | Ring::Faults | Ring::Cluster => {
            if !is_root() && !can_unshare() {
                bail!("not root, and this kernel allows no user namespaces");
            }
            needs(&["ip", "nft", "iptables", "iptables-legacy", "nsenter", "ping"])?;
            let more: &[&str] = match ring {
                Ring::Netns => &["dnsmasq", "dhcpd", "strace", "conntrack", "python3"],
                Ring::Cluster => &["etcd", "etcdctl", "openssl"],
                _ => &["strace"],
            };
            needs(more)?;
            Ok(Place::Root)
        }
        Ring::Clients => {
            if !is_root() {
                bail!("not root: containerd needs it");
            }
            needs(&[
                "containerd",
                "ctr",
                "runc",
                "busybox",
                "podman",
                "firewalld",
                "dbus-daemon",
                "dockerd",
            ])?;
            tools::reference()?;
            Ok(Place::Root)
        }
        Ring::Docker => {
            if !is_root() {
                bail!("not root: dockerd needs it");
            }
            needs(&[
                "dockerd",
                "docker",
                "containerd",
                "runc",
                "busybox",
                "ip",
                "nft",
                "python3",
                "wget",
            ])?;
            tools::reference()?;
            Ok(Place::Root)
        }
        Ring::Languages => {
            if !is_root() {
                bail!("not root: plugins are installed and attached");
            }
            needs(&["ip", "cargo"])?;
            Ok(Place::Root)
        }
        Ring::Lab => Ok(Place::Lab(lab_kernel(options)?)),
    }
}

fn needs(programs: &[&str]) -> Result<()> {
    match programs.iter().find(|name| find(name).is_none()) {
        Some(name) => bail!("no {name} on this machine"),
        None => Ok(()),
    }
}

/// The lab's kernel: named by a variable, built here before, or kept beside the checkout.
fn lab_kernel(options: &Options) -> Result<PathBuf> {
    needs(&["python3"])?;
    if let Some(path) = std::env::var_os("WHARFINGER_LAB_KERNEL") {
        return Ok(PathBuf::from(path));
    }
    let own = workspace().join("tests/lab/linux");
    let beside = || {
        let parent = std::fs::read_dir(workspace().parent()?).ok()?;
        let kernels = parent.filter_map(|entry| Some(entry.ok()?.path().join("lab/linux")));
        kernels.into_iter().find(|path| path.is_file())
    };
    if own.is_file() {
        return Ok(own);
    }
    if let Some(path) = beside() {
        return Ok(path);
    }
    if !options.long {
        bail!("no kernel at tests/lab/linux; `--long` builds it (15 minutes)");
    }
    crate::command::must(&mut crate::command::program("tests/lab/build-kernel"))?;
    Ok(own)
}

/// One executable to its end; what it said is shown where something failed.
fn run_binary(
    ring: Ring,
    place: &Place,
    binary: &Binary,
    lacking: &Lacking,
    options: &Options,
) -> Counts {
    let start = Instant::now();
    let mut command = command(ring, place, binary, options);
    command.args(lacking.modules.iter().flat_map(|module| ["--skip", module]));
    let output = match capture(&mut command) {
        Ok(output) => output,
        Err(error) => {
            complain(&format!("{error:#}"));
            return Counts::failure();
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut counts = Counts::parse(&text);
    if !output.status.success() && counts.failed == 0 {
        counts.failed = 1;
    }
    if counts.failed > 0 {
        say(&text);
        complain(&String::from_utf8_lossy(&output.stderr));
        complain(&format!("{command:?}: {}", output.status));
    }
    if counts.passed + counts.failed > 0 {
        let name = format!("{} {}", binary.package, binary.target);
        say(&format!("{name:<45} {counts}, {:.1} s", start.elapsed().as_secs_f64()));
    }
    counts
}

/// A hung test ends with its executable after this long; with `--long`, three times as long.
const DEADLINE: Duration = Duration::from_mins(20);

fn command(ring: Ring, place: &Place, binary: &Binary, options: &Options) -> Command {
    let deadline = if options.long { 3 * DEADLINE } else { DEADLINE };
    let mut words: Vec<String> = vec!["timeout".into(), deadline.as_secs().to_string()];
    match place {
        Place::Here => {}
        Place::Root => {
            if !is_root() {
                words.extend(UNSHARE.map(str::to_owned));
                words.extend([UNSHARED.to_owned(), "sh".to_owned()]);
            }
        }
        Place::Lab(kernel) => words = lab_words(kernel),
    }
    words.push(binary.path.display().to_string());
    let (first, rest) = words.split_first().map_or(("", &[][..]), |(f, r)| (f.as_str(), r));
    let mut command = Command::new(first);
    command.args(rest).args(ring.ignored().then_some("--ignored"));
    // What this machine's kernel may not have.
    match place {
        Place::Lab(_) if binary.target.starts_with("docker_") => _ = command.arg("lab_"),
        Place::Lab(_) => {}
        Place::Here | Place::Root => _ = command.args(["--skip", "lab_"]),
    }
    command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder);
    if let Ok(dir) = tools::reference() {
        command.env("WHARFINGER_TEST_REF", dir);
    }
    if options.long {
        command.env("WHARFINGER_TEST_LONG", "1");
    }
    command
}

fn lab_words(kernel: &Path) -> Vec<String> {
    let run = workspace().join("tests/lab/run").display().to_string();
    let seconds = DEADLINE.as_secs().to_string();
    let kernel = kernel.display().to_string();
    ["--kernel", &kernel, "--mem", "1G", "--timeout", &seconds, "--"].into_iter().fold(
        vec![run],
        |mut words, word| {
            words.push(word.to_owned());
            words
        },
    )
}

/// The examples in the documentation.
fn doc_tests() -> Counts {
    let words =
        format!("test --workspace --exclude xtask --doc --release --target {} --quiet", target());
    by_cargo(&mut cargo(&words))
}

/// The tests of the components, as ordinary programs, and those of the crate for their authors:
/// they are outside the workspace, which is not built for Wasm.
fn component_tests() -> Counts {
    let mut counts = Counts::default();
    for folder in crate::build::guests() {
        let mut command = cargo("test --locked --quiet --all-features --manifest-path");
        command.arg(folder.join("Cargo.toml"));
        command.arg("--target-dir").arg(workspace().join("target/guests"));
        counts.add(by_cargo(&mut command));
    }
    counts
}

/// Tests that cargo runs itself.
fn by_cargo(command: &mut Command) -> Counts {
    match capture(command) {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let mut counts = Counts::parse(&text);
            if !output.status.success() {
                counts.failed = counts.failed.max(1);
                say(&text);
                complain(&String::from_utf8_lossy(&output.stderr));
            }
            counts
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            Counts::failure()
        }
    }
}
