//! The ring `emulated`: the release for the other processor, built and packed here, and what of its tests needs
//! no root, under emulation.
//!
//! The crates' own tests are of that processor. The suite's are of this one, and drive an executable of that
//! one: a script in its place hands it to the emulator by name, so no kernel has to know of emulators.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::Options;
use super::binaries::{self, Binary};
use super::rings::{Lacking, Place, Ring, count, run_all};
use super::table::{Counts, Row};
use crate::command::complain;
use crate::cpu::Cpu;
use crate::{build, dist};

/// The crates whose own tests run: all without the Wasm compiler. With it they are a hundred more executables,
/// of which each is linked with the compiler and translated anew: hours. What it makes for that processor is
/// run all the same, by the suite: the executable compiles components, and calls them.
const CRATES: [&str; 12] = [
    "cni", "plan", "drivers", "dhcp", "docker", "view", "delegate", "kernel", "ledger", "speaker",
    "etcd", "kube",
];

const NOT_STARTED: &str = "it starts an executable by itself (what was installed, a compiler of its own, or itself), \
    and this kernel starts none of the other processor";
const NOT_THE_FILE: &str = "it looks at the executable's file, in whose place a script is";

/// Tests that mean nothing under emulation, and why; each by its whole name. Those need no root, as all here.
const BEYOND: [(&str, &str); 11] = [
    ("install_takes_names_over_and_uninstall_gives_them_back", NOT_STARTED),
    ("pain_e3_what_is_running_is_replaced_by_a_rename_and_again", NOT_STARTED),
    ("a_components_life_on_a_node", NOT_STARTED),
    ("a_grant_by_name_is_asked_of_who_changes_what_the_name_stands_for", NOT_STARTED),
    ("pain_d7_a_compile_bomb_meets_its_limit_and_leaves_nothing", NOT_STARTED),
    ("pain_h10_verify_names_what_was_changed", NOT_STARTED),
    ("pain_b4_64_processes_begin_one_book_and_share_a_range", NOT_STARTED),
    ("pain_a4_no_acknowledged_commit_is_lost_to_kill_9", NOT_STARTED),
    ("pain_a4_a_log_left_by_a_killed_process_can_be_lost", NOT_STARTED),
    ("pain_g3_one_executable_is_smaller_than_the_directory_it_replaces", NOT_THE_FILE),
    ("pain_h7_a_new_executable_compiles_before_it_takes_its_place", NOT_THE_FILE),
];

/// Builds, packs, and tests.
pub(super) fn run(of_suite: &[&Binary], options: &Options) -> Row {
    let start = Instant::now();
    let ring = Ring::Emulated;
    let cpu = match Cpu::other().and_then(|cpu| cpu.prepare().map(|()| cpu)) {
        Ok(cpu) => cpu,
        Err(reason) => return Row::skipped(ring, count(ring, of_suite), &format!("{reason:#}")),
    };
    let counts = tested(cpu, of_suite, options).unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        Counts::failure()
    });
    Row::counted(ring, counts, start.elapsed()).beyond(BEYOND.len(), &beyond().reasons)
}

fn tested(cpu: Cpu, of_suite: &[&Binary], options: &Options) -> Result<Counts> {
    build::release(cpu)?;
    dist::pack(cpu)?;
    let release = Place::Against(starter(cpu)?, dist::folder(cpu));
    let mut counts = run_all(Ring::Emulated, &release, of_suite, &beyond(), options);
    let of_crates = of_crates(cpu)?;
    let of_crates: Vec<&Binary> = of_crates.iter().collect();
    counts.add(run_all(Ring::Emulated, &Place::Emulated(cpu), &of_crates, &beyond(), options));
    Ok(counts)
}

/// A script that is to the suite what the executable is: it goes by the name that it is called by.
fn starter(cpu: Cpu) -> Result<PathBuf> {
    let executable = cpu.executable();
    let emulator = cpu.emulator().context("an emulator")?;
    let script =
        format!("#!/bin/sh\nexec {emulator} -0 \"$0\" '{}' \"$@\"\n", executable.display());
    let path = executable.with_file_name("emulated");
    fs::write(&path, script).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The crates' test executables, without examples in documentation: those are of no processor.
fn of_crates(cpu: Cpu) -> Result<Vec<Binary>> {
    let packages = CRATES.map(|name| format!("--package=wharfinger-{name}"));
    let words =
        format!("test --release --locked --quiet --tests --no-run --target {}", cpu.target());
    binaries::of(cpu.cargo(&words)?.args(packages))
}

/// What is left out, and the reasons, each once.
fn beyond() -> Lacking {
    let mut reasons: Vec<String> = BEYOND.iter().map(|(_, why)| (*why).to_owned()).collect();
    reasons.dedup();
    Lacking { modules: BEYOND.iter().map(|(name, _)| (*name).to_owned()).collect(), reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::workspace;

    #[test]
    fn what_is_left_out_is_there_and_each_reason_is_said_once() {
        let read = |folder: &str| {
            let entries = fs::read_dir(workspace().join(folder)).expect(folder);
            let files = entries.map(|entry| entry.expect("an entry").path());
            let sources = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
            sources.map(|path| fs::read_to_string(path).expect("a source")).collect::<String>()
        };
        let tests = read("tests/suite/tests") + &read("host/ledger/tests");
        for (name, _) in BEYOND {
            assert_eq!(tests.matches(&format!("fn {name}(")).count(), 1, "{name}");
        }
        assert_eq!(beyond().reasons, [NOT_STARTED, NOT_THE_FILE]);
        for name in CRATES {
            assert!(workspace().join("host").join(name).is_dir(), "{name}");
        }
    }
}
