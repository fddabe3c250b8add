//! What `cargo xtask dist` made, for whichever processor: whole, what it says it is, and described.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use wharfinger_suite::{packed, run};

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// What the Debian package installs.
fn installed(dir: &TempDir) -> PathBuf {
    let tree = dir.path().join("deb");
    run(&["dpkg-deb", "--extract", &text(&packed(".deb")), &text(&tree)]);
    tree
}

/// Each archive has its checksum, and no other has: what is of another processor has its own folder.
#[test]
fn all_that_is_published_has_its_checksum() {
    let sums = packed("SHA256SUMS");
    let folder = text(sums.parent().expect("a folder"));
    run(&["env", "--chdir", &folder, "sha256sum", "--check", "--strict", "SHA256SUMS"]);
    let sums = fs::read_to_string(sums).expect("SHA256SUMS");
    assert_eq!(sums.lines().count(), 3, "{sums}");
    for end in [".deb", ".tar.gz", ".cdx.json"] {
        assert!(sums.lines().any(|line| line.ends_with(end)), "{end}: {sums}");
    }
}

/// The tarball has what the package has, below a folder of its name.
#[test]
fn the_tarball_has_what_the_package_has() {
    let dir = TempDir::new().expect("a folder");
    let archive = packed(".tar.gz");
    run(&["tar", "--extract", "--directory", &text(dir.path()), "--file", &text(&archive)]);
    let name = archive.file_name().expect("a name").to_string_lossy().into_owned();
    let folder = dir.path().join(name.strip_suffix(".tar.gz").expect("a tarball"));
    let tree = installed(&dir);
    run(&["diff", "--recursive", "--no-dereference", &text(&folder), &text(&tree)]);
}

/// ELF (elf(5)): what an executable is for, and that it asks the machine for nothing to load it.
#[test]
fn the_executable_is_static_and_of_the_processor_that_the_package_names() {
    const INTERPRETER: u32 = 3;
    let dir = TempDir::new().expect("a folder");
    let file = fs::read(installed(&dir).join("opt/cni/bin/wharfinger")).expect("the executable");
    let half = |at: usize| u16::from_le_bytes([file[at], file[at + 1]]);
    let field = run(&["dpkg-deb", "--field", &text(&packed(".deb")), "Architecture"]);
    let (machine, cpu) = match field.trim() {
        "amd64" => (62, "x86_64"),
        "arm64" => (183, "aarch64"),
        other => panic!("a package for {other}"),
    };
    // 64 bits, little-endian, at a fixed address.
    assert_eq!(file[..6], *b"\x7fELF\x02\x01");
    assert_eq!((half(16), half(18)), (2, machine));
    let at = u64::from_le_bytes(file[32..40].try_into().expect("e_phoff"));
    let at = usize::try_from(at).expect("an offset");
    let (size, count) = (usize::from(half(54)), usize::from(half(56)));
    let segments = file[at..at + size * count].chunks(size);
    let mut kinds =
        segments.map(|segment| u32::from_le_bytes(segment[..4].try_into().expect("p_type")));
    assert!(count > 0 && kinds.all(|kind| kind != INTERPRETER), "it is not static");
    for end in [".tar.gz", ".cdx.json"] {
        assert!(text(&packed(end)).ends_with(&format!("-{cpu}{end}")), "{end}");
    }
}

#[test]
fn each_part_of_others_is_named_with_its_licence_and_its_checksum() {
    let bom = fs::read(packed(".cdx.json")).expect("an SBOM");
    let bom: Value = serde_json::from_slice(&bom).expect("JSON");
    let components = bom["components"].as_array().expect("components");
    let named = |name: &str| components.iter().any(|component| component["name"] == name);
    assert!(components.len() > 150);
    assert!(named("wasmtime") && named("rusqlite") && named("wit-bindgen"));
    for component in components {
        let sum = component["hashes"][0]["content"].as_str().unwrap_or_default();
        let licence = component["licenses"][0]["expression"].as_str().unwrap_or_default();
        assert!(sum.len() == 64 && !licence.is_empty(), "{component}");
    }
}
