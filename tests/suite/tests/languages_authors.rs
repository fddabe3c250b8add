//! The authors' guide, as it stands: every `sh` block of `docs/authors.md`, in order, in an empty
//! directory, on a machine that has the executable and cargo.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::path::Path;

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

#[test]
#[ignore = "needs root and cargo: ring languages"]
fn from_nothing_to_an_attached_plugin_as_the_guide_says() {
    let world = World::new();
    let mounts = Mounts::new(&world);
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/authors.md");
    let guide = std::fs::read_to_string(guide).expect("docs/authors.md");
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
    let output = command
        .env("PATH", format!("{}:{path}", world.text_path("bin")))
        .output()
        .expect("the guide's commands");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    world.assert_nothing_left();
}
