//! The Wasm compiler, by far the largest thing to build, is built once: the executable and all
//! tests must ask every shared dependency for the same features.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What cargo would build for a selection of packages: names, versions, features.
fn resolved(selection: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--prefix", "none", "--no-dedupe", "--format", "{p} {f}", "--target"])
        .arg(format!("{}-unknown-linux-musl", std::env::consts::ARCH))
        .args(selection)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_compiler_is_built_once() {
    let executable = resolved(&["-e", "normal", "-p", "wharfinger"]);
    let tests = resolved(&["-e", "normal,dev", "--workspace", "--exclude", "xtask"]);
    let twice: Vec<_> = executable.difference(&tests).collect();
    assert!(twice.is_empty(), "built a second time, with other features, for the tests: {twice:?}");
}
