//! Running programs, and writing for people. The only module that does either.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, bail};

/// Writes a line for people.
#[expect(clippy::print_stdout, reason = "a person's tool")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Writes a line of complaint.
#[expect(clippy::print_stderr, reason = "a person's tool")]
pub(crate) fn complain(text: &str) {
    eprintln!("{text}");
}

/// The root of the checkout.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The triple that all is built for: static, so that a build runs on any Linux of its CPU.
pub(crate) fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// What `cargo xtask build` makes.
pub(crate) fn executable() -> PathBuf {
    workspace().join("target/release/wharfinger")
}

/// A program in the checkout, words split at white space.
pub(crate) fn program(words: &str) -> Command {
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(workspace());
    command
}

/// The cargo that runs us.
pub(crate) fn cargo(words: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What `cargo run` says of this program is nothing of what is built: crates that look at such
    // variables would be built anew each time that cargo is called once from here and once by hand.
    for (name, _) in std::env::vars_os() {
        let of_us =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_us) {
            command.env_remove(name);
        }
    }
    command.args(words.split_whitespace()).current_dir(workspace());
    command
}

/// Runs it, its output being ours; it must succeed.
pub(crate) fn must(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| shown.clone())?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs it to its end, without input.
pub(crate) fn capture(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))
}

/// Runs it; it must succeed. What it wrote.
pub(crate) fn text(command: &mut Command) -> Result<String> {
    let output = capture(command)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?}: {}: {stdout}{stderr}", output.status);
    }
    Ok(stdout)
}

/// Does the work for each, two at a time, and begins in their order. What came of each, in that order.
pub(crate) fn two_at_a_time<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(all.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let worker = || {
        while let Some((at, one)) = within(&next, Iterator::next) {
            let outcome = work(one);
            within(&done, |done| done.push((at, outcome)));
        }
    };
    thread::scope(|scope| {
        scope.spawn(worker);
        worker();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Does something with what others want too.
pub(crate) fn within<T, R>(shared: &Mutex<T>, work: impl FnOnce(&mut T) -> R) -> R {
    work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Where PATH has a program.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let usual = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Whether we are root, or root of a user namespace.
pub(crate) fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// Words that make us root of a user namespace with its own network and mounts, where the
/// kernel allows it.
pub(crate) const UNSHARE: [&str; 7] =
    ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c"];

/// The script for [`UNSHARE`]: `ip netns` wants a `/run` that it may write.
pub(crate) const UNSHARED: &str = "mount -t tmpfs tmpfs /run && exec \"$@\"";

/// Whether [`UNSHARE`] works here.
pub(crate) fn can_unshare() -> bool {
    let Some((first, rest)) = UNSHARE.split_first() else { return false };
    let mut command = Command::new(first);
    command.args(rest).args([UNSHARED, "sh", "true"]);
    capture(&mut command).is_ok_and(|output| output.status.success())
}
