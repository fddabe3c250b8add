//! From nothing: `plugin new` into an empty folder far from the checkout, then `plugin build` and
//! `plugin test`, for each language and kind. The guides' pages, which are run as they stand, go on to
//! an attached container.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::path::Path;
use std::process::{Command, Stdio};

use wharfinger_suite::{Language, World};

/// What `plugin new` offers, in modules of the language whose tools it needs.
macro_rules! from_nothing {
    ($($module:ident $language:ident { $($lang:ident)* })*) => {
        $(mod $module {
            $(mod $lang {
                use wharfinger_suite::Language;

                #[test]
                #[ignore = "needs root and the language's tools: ring languages"]
                fn an_ipam_plugin() {
                    crate::pain_h18_from_nothing(Language::$language, stringify!($lang), "ipam");
                }

                #[test]
                #[ignore = "needs root and the language's tools: ring languages"]
                fn a_policy() {
                    crate::pain_h18_from_nothing(Language::$language, stringify!($lang), "policy");
                }
            })*
        })*
    };
}

from_nothing! {
    in_rust RUST { rust }
    in_c C { c }
    in_js JS { js ts }
    in_go GO { go }
    in_python PYTHON { python }
}

/// Our command line as an author has it: in a folder of his own, with his language's tools.
#[track_caller]
fn author(world: &World, language: Language, folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(world.path("bin/wharfinger"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.envs(world.variables()).env_remove("CARGO_MANIFEST_DIR");
    // The crates are the same for both kinds: they are built once.
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/languages/cargo");
    command.env("CARGO_TARGET_DIR", target);
    language.tools(&mut command);
    let output = command.output().expect("our executable");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}\n{complained}");
    said.into_owned()
}

/// What a project pins, as that ecosystem brings it: by the command that `plugin new` says.
#[track_caller]
fn install_packages(project: &Path) {
    let by = [
        ("package-lock.json", "npm ci --silent --no-audit --no-fund"),
        ("pyproject.toml", "python3 -m venv .venv && .venv/bin/pip install --quiet ./sdk"),
    ];
    for (_, words) in by.iter().filter(|(marker, _)| project.join(marker).is_file()) {
        let mut command = Command::new("sh");
        command.args(["-c", words]).current_dir(project).stdin(Stdio::null());
        let output = command.output().expect("sh");
        assert!(output.status.success(), "{words}: {output:?}");
    }
}

/// The template has what the toolchain needs of the contract, and the one command that works.
fn pain_h18_from_nothing(language: Language, lang: &str, kind: &str) {
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
