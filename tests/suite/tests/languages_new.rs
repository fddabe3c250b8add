//! From nothing: `plugin new` into an empty folder far from the checkout, then `plugin build` and
//! `plugin test`, for what no page of the guides begins with. Their pages, which are run as they stand
//! (`languages_authors.rs`), do the same for every other language and kind, and go on to an attached
//! container.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::Path;
use std::process::{Command, Stdio};

use wharfinger_suite::{Language, World};

mod in_js {
    use wharfinger_suite::Language;

    #[test]
    #[ignore = "needs root and the language's tools: ring languages"]
    fn pain_h18_a_policy_in_javascript() {
        crate::from_nothing(Language::JS, "js", "policy");
    }

    #[test]
    #[ignore = "needs root and the language's tools: ring languages"]
    fn pain_h18_an_ipam_plugin_in_typescript() {
        crate::from_nothing(Language::JS, "ts", "ipam");
    }
}

/// Our command line as an author has it: in a folder of his own, with his language's tools.
#[track_caller]
fn author(world: &World, language: Language, folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(world.path("bin/wharfinger"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.envs(world.variables()).env_remove("CARGO_MANIFEST_DIR");
    language.tools(&mut command);
    let output = command.output().expect("our executable");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}\n{complained}");
    said.into_owned()
}

/// What a project pins: by the command that `plugin new` says.
#[track_caller]
fn install_packages(project: &Path) {
    let mut command = Command::new("npm");
    command.args(["ci", "--silent", "--no-audit", "--no-fund"]);
    let output = command.current_dir(project).stdin(Stdio::null()).output().expect("npm");
    assert!(output.status.success(), "npm ci: {output:?}");
}

/// The template has what the toolchain needs of the contract, and the one command that works.
fn from_nothing(language: Language, lang: &str, kind: &str) {
    let world = World::without_namespaces();
    let folder = tempfile::tempdir().expect("an empty folder");
    let name = format!("my-{lang}-{kind}");
    let new = ["plugin", "new", &name, "--lang", lang, "--kind", kind];
    let _ = author(&world, language, folder.path(), &new);
    let project = folder.path().join(&name);
    install_packages(&project);
    let _ = author(&world, language, &project, &["plugin", "build"]);
    let wasm = project.join("dist").join(&name).with_extension("wasm");
    assert!(wasm.is_file(), "no {}", wasm.display());
    let said = author(&world, language, &project, &["plugin", "test", "--attachments", "100"]);
    assert!(said.contains(" passed, 0 failed, "), "{said}");
}
