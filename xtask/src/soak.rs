//! `cargo xtask soak`: a node under load for as long as is asked for. The tests do the same, for half a minute.

use anyhow::{Context as _, Result, bail};

use crate::command::{UNSHARE, UNSHARED, can_unshare, cargo, is_root, must, program, target};
use crate::{build, tools};

/// Runs it.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let minutes: u64 = match args {
        [] => 60,
        [flag, count] if flag == "--minutes" => count.parse().context("--minutes COUNT")?,
        _ => bail!("usage: cargo xtask soak [--minutes COUNT]"),
    };
    if !tools::install(&["ip", "nft", "nsenter", "ping"])? {
        bail!("the soak needs these packages");
    }
    build::run()?;
    // Made by whoever owns the checkout, and then run as root of a namespace.
    let words = format!(
        "test --quiet --release --target {} -p wharfinger-suite --test faults_soak",
        target()
    );
    must(cargo(&words).arg("--no-run"))?;
    let mut command = cargo(&words);
    if !is_root() {
        if !can_unshare() {
            bail!("the soak needs root, or a kernel that allows user namespaces");
        }
        let inside = command;
        let (first, rest) = UNSHARE.split_first().context("words")?;
        command = program(first);
        command.args(rest).args([UNSHARED, "sh"]).arg(inside.get_program()).args(inside.get_args());
        for (name, value) in inside.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
    command.args(["--", "--ignored", "--nocapture"]);
    must(command.env("WHARFINGER_SOAK_MINUTES", minutes.to_string()))
}
