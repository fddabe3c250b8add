//! Docker's guide, as it stands: every `sh` block of `docs/docker.md`, in order, on a machine that has
//! Docker.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use std::path::Path;

use docker_side::Lab;
use wharfinger_suite::World;

/// The lines of the guide's `sh` blocks.
fn commands(guide: &str) -> Vec<&str> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in guide.lines() {
        match line.trim_end() {
            "```sh" => inside = true,
            "```" => inside = false,
            command if inside => commands.push(command),
            _ => {}
        }
    }
    commands
}

#[test]
#[ignore = "needs root and dockerd: ring docker"]
fn five_commands_from_nothing_to_a_network_with_a_policy() {
    let world = World::new();
    let lab = Lab::new(&world, "--iptables=false");
    lab.docker("tag box busybox");
    lab.kill_server("TERM");
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/docker.md");
    let guide = std::fs::read_to_string(guide).expect("docs/docker.md");
    let commands = commands(&guide);
    assert_eq!(commands.len(), 5, "{commands:?}");
    // A server in the background holds what the test reads from.
    let script =
        format!("{{ {}; }} 2>&1", commands.join("\n").replacen('&', "> /run/wf/log 2>&1 &", 1));
    let said = lab.run(&["bash", "-euxo", "pipefail", "-c", &script]);
    assert!(said.contains("hello from the wharf"), "{said}");
    assert!(said.contains("ports below 1024 are the node's"), "{said}");
    assert!(said.contains("refused, as the policy says"), "{said}");
    lab.sh("docker rm -f $(docker ps -aq)", &[]);
    lab.docker("network rm web");
    lab.assert_nothing_left();
}
