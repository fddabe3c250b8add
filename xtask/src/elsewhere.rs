//! `cargo xtask lint`, as to other systems: wharfinger runs on Linux alone, but the crates without I/O, and
//! what authors write plugins with, compile for what developers sit at.

use anyhow::Result;

use crate::build::add_targets;
use crate::command::{cargo, must, say, workspace};

/// The crates that know no system.
const PURE: [&str; 6] = ["cni", "plan", "drivers", "dhcp", "docker", "view"];

/// The systems, and the other processor.
const SYSTEMS: [&str; 3] =
    ["x86_64-pc-windows-msvc", "x86_64-apple-darwin", "aarch64-unknown-linux-musl"];

/// What talks to the kernel, which has its own numbers and sizes on the other processor. It takes minutes.
const OF_LINUX: [&str; 2] = ["kernel", "delegate"];

/// Compiles them, without linking; with `long`, also what only Linux has.
pub(crate) fn check(long: bool) -> Result<()> {
    say(&format!("lint: cargo check for {}", SYSTEMS.join(", ")));
    add_targets(&SYSTEMS)?;
    for target in SYSTEMS {
        let more = OF_LINUX.iter().filter(|_| long && target.contains("linux"));
        let packages = PURE.iter().chain(more).map(|name| format!("--package=wharfinger-{name}"));
        let mut check = cargo("check --quiet --locked --target");
        must(check.arg(target).args(packages))?;
        let mut check = cargo("check --quiet --locked --all-features --manifest-path");
        check.arg(workspace().join("sdk/rust/Cargo.toml")).arg("--target-dir");
        must(check.arg(workspace().join("target/guests")).args(["--target", target]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pain_e8_pure_crates_compile_for_other_systems() {
        // The compilation itself is a part of lint; here, that it leaves no crate out that could be in.
        for of_host in std::fs::read_dir(workspace().join("host")).expect("host/") {
            let of_host = of_host.expect("an entry").path();
            let name = of_host.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let manifest = std::fs::read_to_string(of_host.join("Cargo.toml")).expect("a manifest");
            let ordinary = manifest.split("[dev-dependencies]").next().unwrap_or_default();
            let of_unix =
                ["libc", "rustix", "tokio", "rusqlite", "wharfinger-ledger", "wharfinger-kernel"];
            let known = of_unix.iter().any(|of_unix| {
                ordinary.lines().any(|line| line.split([' ', '=']).next() == Some(of_unix))
            });
            assert_eq!(PURE.contains(&name.as_str()), !known, "{name}");
        }
    }
}
