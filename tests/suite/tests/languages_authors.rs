//! The authors' guides, as they stand: every `sh` block of a page of `docs/authors`, in order, in an
//! empty directory, on a machine that has the executable and the language's own tools.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::path::{Path, PathBuf};

use wharfinger_suite::{Mounts, World};

/// The commands of a guide: the lines of its `sh` blocks.
fn commands(guide: &str) -> String {
    let mut inside = false;
    let mut commands = String::new();
    for line in guide.lines() {
        match line.trim_end() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside => {
                commands.push_str(command);
                commands.push('\n');
            }
            _ => {}
        }
    }
    commands
}

/// `/run` is the guide's own: namespaces, ledger, events.
const MACHINE: &str = "\
mount -t tmpfs tmpfs /run && mkdir /run/netns && \
mkdir -p \"$1\" && cd \"$1\" && exec bash -euxo pipefail \"$2\"";

/// A page for each language, and a test for each page, in a module of the language.
macro_rules! pages {
    ($($module:ident: $page:ident)*) => {
        const PAGES: &[&str] = &[$(stringify!($page)),*];

        $(mod $module {
            #[test]
            #[ignore = "needs root and the language's tools: ring languages"]
            fn $page() {
                crate::pain_h18_from_nothing_to_an_attached_plugin(stringify!($page));
            }
        })*
    };
}

pages! { in_c: c in_go: go in_js: javascript in_python: python in_rust: rust }

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/authors")
}

#[test]
fn no_page_is_without_its_test() {
    let entries = std::fs::read_dir(folder()).expect("docs/authors");
    let names = entries.map(|entry| entry.expect("a page").file_name().into_string());
    let mut pages: Vec<String> = names
        .filter_map(|name| name.expect("a name").strip_suffix(".md").map(str::to_owned))
        .filter(|page| page != "README")
        .collect();
    pages.sort();
    let mut tested = PAGES.to_vec();
    tested.sort_unstable();
    assert_eq!(pages, tested, "pages! in this file names every page");
}

fn pain_h18_from_nothing_to_an_attached_plugin(page: &str) {
    let world = World::new();
    let mounts = Mounts::new(&world);
    let guide = std::fs::read_to_string(folder().join(page).with_extension("md")).expect(page);
    let commands = commands(&guide);
    assert!(commands.contains("wharfinger plugin install"), "the guide installs: {commands}");
    let script = world.write("guide.sh", &commands).display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command =
        mounts.command(&["sh", "-c", MACHINE, "sh", &world.text_path("guide"), &script]);
    for (name, _) in world.variables() {
        command.env_remove(name);
    }
    command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_MANIFEST_DIR");
    // The machine of the guide reaches no registry: cargo, npm and Go have kept what they fetched.
    let wheels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python/wheels");
    let output = command
        .env("PATH", format!("{}:{path}", world.text_path("bin")))
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", wheels)
        .envs([("npm_config_audit", "false"), ("npm_config_prefer_offline", "true")])
        .output()
        .expect("the guide's commands");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    world.assert_nothing_left();
}
