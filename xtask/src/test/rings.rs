//! The rings: which test executables each runs, where, and what it takes.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::binaries::Binary;
use super::table::{Counts, Row};
use super::{Options, emulated, lab};
use crate::command::{
    UNSHARE, UNSHARED, can_unshare, capture, cargo, complain, find, is_root, must, program, say,
    target, two_at_a_time, workspace,
};
use crate::cpu::Cpu;
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
    /// What the crate for the kernel does, and each driver, under one older than any that is supported.
    Older,
    /// The release for the other processor, built here, and tests of it that need no root, under emulation.
    Emulated,
    /// Plugins of other people: each language, each version of the contract, the authors' guide.
    Languages,
    /// What operators see, and live with: findings, measures, pictures, packages.
    Operate,
    /// Real callers: containerd, cnitool, the reference plugins.
    Clients,
    /// A real dockerd, which has us as its network driver and its IPAM driver.
    Docker,
    /// Nodes that share one book, on members of etcd that the tests start.
    Cluster,
    /// Real kubelets, and the cluster's book in a real API server.
    Kubernetes,
}

/// Where a ring's executables run.
pub(super) enum Place {
    Here,
    /// Here too, but the executables are of another processor.
    Emulated(Cpu),
    /// Here, against the release for another processor: its executable, and what is packed of it.
    Against(PathBuf, PathBuf),
    /// As root, or as root of a user namespace.
    Root,
    /// Inside the lab's kernel.
    Lab(PathBuf),
    /// As root, in namespaces of its own, with the programs of Kubernetes in this directory.
    Kubernetes(PathBuf),
}

impl Ring {
    /// In the order in which they run.
    pub(crate) const ALL: [Self; 15] = [
        Self::Build,
        Self::Lint,
        Self::Unit,
        Self::Conformance,
        Self::Netns,
        Self::Faults,
        Self::Lab,
        Self::Older,
        Self::Emulated,
        Self::Operate,
        Self::Clients,
        Self::Docker,
        Self::Cluster,
        Self::Kubernetes,
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
            Self::Older => "older",
            Self::Emulated => "emulated",
            Self::Operate => "operate",
            Self::Clients => "clients",
            Self::Docker => "docker",
            Self::Cluster => "cluster",
            Self::Kubernetes => "kubernetes",
            Self::Languages => "languages",
        }
    }

    /// How many minutes it may take on a machine of two cores.
    pub(crate) fn budget(self) -> u64 {
        match self {
            Self::Build => 22,
            Self::Lint | Self::Unit | Self::Faults => 3,
            Self::Conformance => 2,
            Self::Operate => 4,
            Self::Netns | Self::Lab | Self::Docker => 6,
            // Of the long form.
            Self::Older => 15,
            Self::Emulated => 60,
            Self::Clients | Self::Cluster | Self::Kubernetes => 8,
            Self::Languages => 10,
        }
    }

    /// Whether it runs with `--long`, or where it is named, alone: its minutes are more than there are.
    pub(crate) fn waits_for_long(self) -> bool {
        matches!(self, Self::Older | Self::Emulated)
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
        let kube = binary.package.starts_with("wharfinger-kube");
        let model = binary.package == "wharfinger-ledger" && binary.target == "model";
        match self {
            Self::Build | Self::Lint => false,
            Self::Netns if daemons || etcd || kube || model => false,
            Self::Lab if daemons || remains => false,
            Self::Older => {
                let own = ["attach", "links", "lab_links", "routing", "tables", "masquerade"];
                let more =
                    ["ports", "reach", "overlay", "packets", "pains", "foreign", "lab_encryption"];
                let of_kernel = binary.package == "wharfinger-kernel";
                (of_kernel && own.iter().chain(&more).any(|name| binary.target == *name))
                    || of_suite(&["lab_drivers", "netns_life"])
            }
            Self::Unit => !suite,
            Self::Conformance | Self::Emulated => of_suite(&["conformance_", "plugins_"]),
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
            Self::Operate => of_suite(&["operate_"]),
            Self::Clients => daemons || of_suite(&["clients_"]),
            Self::Docker => of_suite(&["docker_"]),
            Self::Cluster => etcd || model || of_suite(&["cluster_"]),
            Self::Kubernetes => kube || of_suite(&["kube_"]),
            Self::Languages => of_suite(&["languages_"]),
        }
    }

    /// Whether its tests are the ignored ones.
    fn ignored(self) -> bool {
        !matches!(self, Self::Unit | Self::Conformance | Self::Emulated)
    }
}

/// Runs a ring.
pub(crate) fn run(ring: Ring, binaries: &[Binary], options: &Options) -> Row {
    say(&format!("\n== ring {} ==", ring.name()));
    let start = Instant::now();
    if ring == Ring::Lint {
        return Row::done(ring, super::linted(options), start.elapsed());
    }
    let mine: Vec<&Binary> = binaries.iter().filter(|binary| ring.has(binary)).collect();
    if ring == Ring::Emulated {
        return emulated::run(&mine, options);
    }
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

/// Tests that are left out: those of languages that are not there, or what no emulator can do.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// The modules that they are in, or what else their names have.
    pub modules: Vec<String>,
    /// Why; of languages, those whose tools cannot be had.
    pub reasons: Vec<String>,
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

/// Each executable to its end. The lab's machines have a processor each, what builds plugins waits
/// for one compiler, which does one thing at a time, and kubelets wait for each other: two run at once.
pub(super) fn run_all(
    ring: Ring,
    place: &Place,
    binaries: &[&Binary],
    lacking: &Lacking,
    options: &Options,
) -> Counts {
    let run = |binary: &&Binary| run_binary(ring, place, binary, lacking, options);
    let all = match ring {
        Ring::Lab | Ring::Older => two_at_a_time(binaries, run),
        Ring::Languages | Ring::Kubernetes => {
            let mut binaries = binaries.to_vec();
            binaries.sort_by_key(|binary| !LONGEST.contains(&&*binary.target));
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

/// What takes as long as all others of its ring together begins first.
const LONGEST: [&str; 2] = ["languages_authors", "kube_pods"];

/// How many tests a ring has that is not run.
pub(super) fn count(ring: Ring, binaries: &[&Binary]) -> usize {
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
        Ring::Build | Ring::Lint | Ring::Unit | Ring::Conformance | Ring::Emulated => {
            Ok(Place::Here)
        }
        Ring::Netns | Ring::Faults | Ring::Operate | Ring::Cluster => {
            if !is_root() && !can_unshare() {
                bail!("not root, and this kernel allows no user namespaces");
            }
            needs(&["ip", "nft", "iptables", "iptables-legacy", "nsenter", "ping"])?;
            let more: &[&str] = match ring {
                Ring::Netns => &["dnsmasq", "dhcpd", "strace", "conntrack", "python3", "xz"],
                Ring::Operate => &["promtool", "dpkg-deb", "busybox", "chroot"],
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
            needs(&OF_DOCKER)?;
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
        Ring::Kubernetes => {
            if options.long {
                tools::multus()?;
            }
            Ok(Place::Kubernetes(kubernetes(options.long)?))
        }
        Ring::Lab | Ring::Older => Ok(Place::Lab(lab_kernel(ring, options)?)),
    }
}

/// The kernel that a ring of the lab's runs on.
fn lab_kernel(ring: Ring, options: &Options) -> Result<PathBuf> {
    // Of encrypted networks across machines.
    needs(&["python3", "etcd", "etcdctl"])?;
    let kernel = if ring == Ring::Lab { lab::usual() } else { lab::older() };
    // Who names the ring wants it built.
    let named = ring == Ring::Older && !options.only.is_empty();
    kernel.have(options.long || named)
}

/// The programs of Kubernetes: named by a variable, built or unpacked before, or kept beside the checkout.
/// What else nodes need of this machine, the lab itself knows.
pub(crate) fn kubernetes(long: bool) -> Result<PathBuf> {
    if !is_root() {
        bail!("not root: nodes are made of namespaces");
    }
    let build = |words: &str| program(&format!("tests/kube/build {words}"));
    let place = || -> Result<PathBuf> {
        let said = capture(&mut build("--where"))?.stdout;
        Ok(PathBuf::from(String::from_utf8_lossy(&said).trim()))
    };
    let have = || capture(&mut build("--have")).is_ok_and(|output| output.status.success());
    let directory = match std::env::var_os("WHARFINGER_KUBE_PROGRAMS") {
        Some(path) => PathBuf::from(path),
        None if have() => place()?,
        None => {
            if let Some(archive) = beside("lab/kube/programs.tar.xz") {
                must(build("--unpack").arg(archive))?;
            } else if long {
                must(&mut build(""))?;
            } else {
                bail!("no programs in {}; `--long` builds them (11 minutes)", place()?.display());
            }
            place()?
        }
    };
    let checked = capture(program("tests/kube/kube check --bin").arg(&directory))?;
    if !checked.status.success() {
        let said = [checked.stdout, checked.stderr].concat();
        bail!("{}", String::from_utf8_lossy(&said).trim());
    }
    Ok(directory)
}

/// A file that is kept in a folder beside the checkout.
pub(super) fn beside(path: &str) -> Option<PathBuf> {
    let parent = std::fs::read_dir(workspace().parent()?).ok()?;
    parent.filter_map(|entry| Some(entry.ok()?.path().join(path))).find(|path| path.is_file())
}

/// What dockerd's tests run.
const OF_DOCKER: [&str; 11] = [
    "dockerd",
    "docker",
    "containerd",
    "runc",
    "busybox",
    "ip",
    "nft",
    "python3",
    "wget",
    // Of a swarm with one book.
    "etcd",
    "etcdctl",
];

fn needs(programs: &[&str]) -> Result<()> {
    match programs.iter().find(|name| find(name).is_none()) {
        Some(name) => bail!("no {name} on this machine"),
        None => Ok(()),
    }
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
pub(super) const DEADLINE: Duration = Duration::from_mins(20);

/// What the names of tests begin with that run with `--long` alone.
const AT_LENGTH: &str = "at_length_";

fn command(ring: Ring, place: &Place, binary: &Binary, options: &Options) -> Command {
    let deadline = if options.long { 3 * DEADLINE } else { DEADLINE };
    let mut words: Vec<String> = vec!["timeout".into(), deadline.as_secs().to_string()];
    match place {
        Place::Here | Place::Against(..) => {}
        Place::Emulated(cpu) => words.extend(cpu.emulator()),
        Place::Root => {
            if !is_root() {
                words.extend(UNSHARE.map(str::to_owned));
                words.extend([UNSHARED.to_owned(), "sh".to_owned()]);
            }
        }
        Place::Lab(kernel) => words = lab::words(kernel),
        Place::Kubernetes(_) => {
            let kube = workspace().join("tests/kube/kube").display().to_string();
            words.extend([kube, "world".to_owned()]);
        }
    }
    words.push(binary.path.display().to_string());
    let (first, rest) = words.split_first().map_or(("", &[][..]), |(f, r)| (f.as_str(), r));
    let mut command = Command::new(first);
    command.args(rest).args(ring.ignored().then_some("--ignored"));
    // What this machine's kernel may not have.
    match place {
        Place::Lab(_) if binary.target.starts_with("docker_") => _ = command.arg("lab_"),
        Place::Lab(_) => {}
        _ => _ = command.args(["--skip", "lab_"]),
    }
    command.current_dir(&binary.folder).env("CARGO_MANIFEST_DIR", &binary.folder);
    if let Ok(dir) = tools::reference() {
        command.env("WHARFINGER_TEST_REF", dir);
    }
    match place {
        Place::Kubernetes(programs) => _ = command.env("WHARFINGER_KUBE_PROGRAMS", programs),
        Place::Against(executable, dist) => {
            command.env("WHARFINGER_TEST_BIN", executable).env("WHARFINGER_TEST_DIST", dist);
        }
        _ => {}
    }
    if !options.long {
        command.args(["--skip", AT_LENGTH]);
        return command;
    }
    command.env("WHARFINGER_TEST_LONG", "1");
    if ring == Ring::Kubernetes
        && let Ok(program) = tools::multus()
    {
        command.env("WHARFINGER_TEST_MULTUS", program);
    }
    command
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
