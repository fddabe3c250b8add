//! What operators are shown of a node: measures, pictures, one container, pools.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wharfinger_suite::World;

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace")
}

/// promtool, which must find nothing wrong.
fn promtool(arguments: &[&str], folder: &Path, input: Stdio) {
    let mut command = Command::new("promtool");
    let output =
        command.args(arguments).current_dir(folder).stdin(input).output().expect("promtool");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

fn metric(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|it| it.strip_prefix(line));
    let value = found.unwrap_or_else(|| panic!("no {line} in\n{text}"));
    value.trim().parse().expect("a number")
}

#[test]
#[ignore = "needs root: ring operate"]
fn measures_count_what_happened_and_prometheus_reads_them() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({}));
    let attached = world.attach(&conf);
    let conf_dir = world.text_path("conf");
    let ask = || world.cli_ok(&["metrics", "--conf-dir", &conf_dir]);
    let text = ask();
    let ok = r#"wharfinger_verbs_total{verb="ADD",outcome="ok",cause=""}"#;
    assert!((metric(&text, ok) - 1.0).abs() < 0.1, "{text}");
    assert!(text.contains(r#"state="attached"} 1"#), "{text}");
    assert!(text.ends_with("# EOF\n"));
    attached.del();
    let text = ask();
    assert!(
        metric(&text, r#"wharfinger_verb_seconds_count{verb="DEL",phase="all"}"#) > 0.9,
        "{text}"
    );
    assert!((metric(&text, ok) - 1.0).abs() < 0.1, "what was counted is not counted again");
    let file = world.path("measures.prom");
    world.cli_ok(&["metrics", "--conf-dir", &conf_dir, "--textfile", &file.display().to_string()]);
    promtool(&["check", "metrics"], workspace(), Stdio::from(File::open(&file).expect("it")));
}

#[test]
#[ignore = "needs root: ring operate"]
fn alerts_go_off_when_they_should_and_name_what_is_measured() {
    let folder = workspace().join("packaging/monitoring");
    promtool(&["check", "rules", "wharfinger.rules.yml"], &folder, Stdio::null());
    promtool(&["test", "rules", "wharfinger.rules.test.yml"], &folder, Stdio::null());
    // The dashboard asks for what there is.
    let source = workspace().join("host/view/src/metrics.rs");
    let known = std::fs::read_to_string(source).expect("the source");
    let text = std::fs::read_to_string(folder.join("wharfinger.dashboard.json")).expect("it");
    let board: Value = serde_json::from_str(&text).expect("JSON");
    for panel in board["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let asked = target["expr"].as_str().expect("an expression");
            let name = asked.split(|c: char| c != '_' && !c.is_alphanumeric());
            let name =
                name.into_iter().find(|word| word.starts_with("wharfinger_")).expect("a name");
            let name = ["_total", "_bucket", "_sum"]
                .iter()
                .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
            assert!(known.contains(&format!("\"{name}\"")), "{asked}");
        }
    }
}

#[test]
#[ignore = "needs root: ring operate"]
fn a_node_is_drawn_and_one_container_is_shown() {
    let world = World::new();
    let conf = world.conf("bridge", &json!({ "ipMasq": true }));
    let all: Vec<_> = (0..15).map(|_| world.attach(&conf)).collect();
    let text = world.cli_ok(&["explain"]);
    assert!(text.contains("15 attachments") && text.contains("bridge cni0"), "{text}");
    assert!(text.contains("and 4 more") && text.contains("masquerade 15"), "{text}");
    for (format, word) in [
        ("svg", "</svg>"),
        ("dot", "graph wharfinger {"),
        ("mermaid", "flowchart"),
        ("json", "\"hubs\""),
    ] {
        assert!(world.cli_ok(&["explain", "--format", format]).contains(word), "{format}");
    }
    let one = &all[0];
    let id = one.container.id.as_str();
    let shown = world.cli_ok(&["show", id]);
    assert!(shown.contains(&one.v4()) && shown.contains("none: all is as it was made"), "{shown}");
    one.container.ns.run(&["ip", "address", "flush", "dev", "eth0"]);
    let shown = world.cli_ok(&["show", id]);
    assert!(shown.contains("drift") && shown.contains("missing"), "{shown}");
    let json: Value = serde_json::from_str(&world.cli_ok(&["show", id, "--json"])).expect("JSON");
    assert_eq!(json[0]["events"][0]["verb"], "ADD");
    assert_eq!(world.cli(&["show", "nobody"]).status.code(), Some(1));
    let failed = world.cli_ok(&["events", "--failed", "--verb", "add"]);
    assert_eq!(failed, "", "nothing failed");
    for attached in all {
        attached.del();
    }
}

#[test]
#[ignore = "needs root: ring operate"]
fn a_first_network_is_written_without_asking_and_is_one_that_works() {
    let world = World::new();
    let file = world.text_path("conf/10-first.conflist");
    let words = [
        "conf",
        "init",
        "--name",
        "first",
        "--subnet",
        "10.9.0.0/24",
        "--link",
        "br9",
        "--driver",
        "bridge",
        "--out",
        &file,
    ];
    world.cli_ok(&words);
    assert_eq!(world.cli_ok(&["conf", "lint", &file]), "nothing was found\n");
    assert_ne!(world.cli(&words).status.code(), Some(0), "nothing is written over");
    let container = world.container();
    let path = format!("/run/netns/{}", container.ns.name());
    let result = world.cli_ok(&["add", &file, "--netns", &path]);
    assert!(result.contains("10.9.0."), "{result}");
    let bars = world.cli_ok(&["pools", "--conf-dir", &world.text_path("conf")]);
    assert!(bars.contains("[#...................]"), "{bars}");
    world.cli_ok(&["del", &file, "--netns", &path]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.cli_ok(&["completions", shell]).contains("doctor"), "{shell}");
    }
}
