//! The Debian package that `cargo xtask dist` made: installed, upgraded, rolled back and removed on a root of
//! its own, of which nothing is left behind.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use wharfinger_suite::{packed, run};

/// The package.
fn package() -> String {
    packed(".deb").display().to_string()
}

#[track_caller]
fn ok(program: &str, arguments: &[&str]) -> String {
    run(&[&[program], arguments].concat())
}

/// A root with a shell, the tools that scripts of the package call, and a package manager that knows of
/// nothing.
fn root() -> TempDir {
    let root = TempDir::new().expect("a folder");
    let path = |name: &str| root.path().join(name);
    for folder in ["bin", "etc", "tmp", "run", "var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(path(folder)).expect("a folder");
    }
    fs::copy("/bin/busybox", path("bin/busybox")).expect("busybox-static");
    for tool in ["sh", "rm"] {
        symlink("busybox", path(&format!("bin/{tool}"))).expect("a link");
    }
    fs::write(path("var/lib/dpkg/status"), "").expect("a file");
    root
}

fn dpkg(root: &TempDir, arguments: &[&str]) -> Output {
    let root = format!("--root={}", root.path().display());
    let log = "--log=/dev/null";
    let mut command = Command::new("dpkg");
    command.args([&root, log, "--force-not-root"]).args(arguments);
    // Scripts run inside the root, where tools are in /bin alone.
    command.env("PATH", "/bin:/usr/bin:/sbin:/usr/sbin").output().expect("dpkg")
}

#[track_caller]
fn dpkg_ok(root: &TempDir, arguments: &[&str]) {
    let output = dpkg(root, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// All paths of a root but the package manager's own.
fn paths(root: &TempDir) -> BTreeSet<String> {
    let find = ["-path", "*/var/lib/dpkg/*", "-prune", "-o", "-printf", "%P\n"];
    let said = ok("find", &[&[root.path().to_str().expect("a path")], &find[..]].concat());
    said.lines().map(str::to_owned).collect()
}

/// What the installed executable says.
fn said(root: &TempDir, arguments: &[&str]) -> String {
    let at = root.path().to_str().expect("a path");
    ok("chroot", &[&[at, "/usr/bin/wharfinger"], arguments].concat())
}

/// The package as a later version has it.
fn later(dir: &Path) -> String {
    let tree = dir.join("later");
    let package = package();
    ok("dpkg-deb", &["--raw-extract", &package, tree.to_str().expect("a path")]);
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).expect("control");
    let line = text.lines().find(|line| line.starts_with("Version: ")).expect("a version");
    fs::write(&control, text.replace(line, "Version: 999.0.0")).expect("control");
    fs::write(tree.join("usr/share/doc/wharfinger/LATER"), "later").expect("a file");
    fs::remove_file(tree.join("usr/share/doc/wharfinger/README.md")).expect("a file");
    let package = dir.join("later.deb").display().to_string();
    ok(
        "dpkg-deb",
        &["--build", "--root-owner-group", "-Zgzip", tree.to_str().expect("a path"), &package],
    );
    package
}

#[test]
#[ignore = "needs root: ring operate"]
fn the_package_is_installed_upgraded_rolled_back_and_removed() {
    let (root, dir) = (root(), TempDir::new().expect("a folder"));
    let before = paths(&root);
    let first = package();
    dpkg_ok(&root, &["--install", &first]);
    let installed = paths(&root);
    for path in [
        "opt/cni/bin/wharfinger",
        "usr/lib/systemd/system/wharfinger-dhcp.socket",
        "usr/share/man/man1/wharfinger.1",
        "usr/share/bash-completion/completions/wharfinger",
        "usr/share/doc/wharfinger/SECURITY.md",
    ] {
        assert!(installed.contains(path), "{path} is not installed");
    }
    assert!(said(&root, &["version"]).starts_with("wharfinger "));
    assert_eq!(said(&root, &["ls", "--json"]).trim(), "[]");
    let later = later(dir.path());
    dpkg_ok(&root, &["--install", &later]);
    let upgraded = paths(&root);
    assert!(upgraded.contains("usr/share/doc/wharfinger/LATER"));
    assert!(!upgraded.contains("usr/share/doc/wharfinger/README.md"));
    dpkg_ok(&root, &["--install", &first]);
    // The executable wrote something by then.
    let mut back = paths(&root);
    back.retain(|path| !path.starts_with("run/"));
    assert_eq!(back, installed, "the way back");
    // What a node has by then.
    for folder in ["var/lib/wharfinger/plugins", "run/wharfinger", "etc/wharfinger"] {
        fs::create_dir_all(root.path().join(folder)).expect("a folder");
    }
    fs::write(root.path().join("etc/wharfinger/config.toml"), "deadline = 20\n").expect("a file");
    dpkg_ok(&root, &["--remove", "wharfinger"]);
    let removed = paths(&root);
    assert!(removed.contains("etc/wharfinger/config.toml"), "settings stay until a purge");
    assert!(!removed.contains("opt/cni/bin/wharfinger"));
    dpkg_ok(&root, &["--purge", "wharfinger"]);
    assert_eq!(paths(&root), before, "nothing is left behind");
}

#[test]
#[ignore = "needs root: ring operate"]
fn pain_e7_the_package_is_not_removed_under_what_is_attached() {
    let root = root();
    dpkg_ok(&root, &["--install", &package()]);
    // Whatever the executable, what it says of attachments decides.
    let program = root.path().join("opt/cni/bin/wharfinger");
    let kept = fs::read(&program).expect("the executable");
    fs::write(&program, "#!/bin/sh\necho '[{}]'\n").expect("the executable");
    let output = dpkg(&root, &["--remove", "wharfinger"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("containers are attached"), "{said}");
    fs::write(&program, kept).expect("the executable");
    dpkg_ok(&root, &["--remove", "wharfinger"]);
}
