//! What is asked of a component before anybody attaches anything with it: the conformance kit, what
//! it imports, and that a node's defaults admit it.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Language, World, in_each_language};

in_each_language! {
    pool_passes_the_conformance_kit
    guard_passes_the_conformance_kit
    pain_h12_its_component_is_admitted_by_the_defaults
    nothing_of_wasi_is_imported
}

/// The kit's report of an example with this configuration: all that applies is passed.
#[track_caller]
fn kit(language: Language, example: &str, config: &Value) {
    let world = World::without_namespaces();
    // No test asserts a time: the machine may be busy.
    let skip = json!({ "deadline": "other tests run beside it" });
    let attachments = language.attachments;
    let settings = json!({ "config": config, "attachments": attachments, "skip": skip });
    let settings = world.write("settings.json", &settings.to_string()).display().to_string();
    let wasm = World::component(&language.component(example));
    let output = world.cli(&["plugin", "test", &wasm, "--settings", &settings, "--seed", "7"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{output:?}");
    assert!(said.contains(" passed, 0 failed, "), "{said}");
}

fn pool_passes_the_conformance_kit(language: Language) {
    let ranges = json!([[{ "subnet": "10.1.0.0/24" }], [{ "subnet": "fd00::/120" }]]);
    kit(language, "pool", &json!({ "ranges": ranges, "sticky": true }));
}

fn guard_passes_the_conformance_kit(language: Language) {
    let config = json!({
        "namespaces": ["default"], "hostPorts": ["80", "20000-29999"], "quota": 5, "mtu": 1400,
    });
    kit(language, "guard", &config);
}

/// The largest of them is Python's: 18 MiB, and some seconds to compile.
fn pain_h12_its_component_is_admitted_by_the_defaults(language: Language) {
    let world = World::without_namespaces();
    let wasm = World::component(&language.component("pool"));
    let size = std::fs::metadata(&wasm).expect("the component").len();
    assert!(size < 40 << 20, "{wasm}: {size} bytes");
    // Without settings of the node, and compiled here.
    let _ = world.cli_ok(&["plugin", "install", &wasm, "--name", "pool"]);
}

/// What a component imports, by name.
#[track_caller]
fn imports(world: &World, wasm: &str) -> Vec<String> {
    let said = world.cli_ok(&["plugin", "inspect", wasm, "--json"]);
    let about: Value = serde_json::from_str(&said).expect("JSON");
    let all = about["imports"].as_array().expect("imports");
    let name = |import: &Value| import["name"].as_str().map(str::to_owned);
    all.iter().map(|import| name(import).expect("a name")).collect()
}

/// But by Rust's standard library, which the host refuses all of it.
fn nothing_of_wasi_is_imported(language: Language) {
    let world = World::without_namespaces();
    for example in ["pool", "guard", "planted"] {
        let imports = imports(&world, &World::component(&language.component(example)));
        assert!(!imports.is_empty(), "it asks the host for something");
        let foreign: Vec<&String> =
            imports.iter().filter(|name| !name.starts_with("wharfinger:plugin/")).collect();
        let wasi = foreign.iter().all(|name| name.starts_with("wasi:"));
        let allowed = language == Language::RUST_STD && wasi;
        assert!(foreign.is_empty() || allowed, "{}: {foreign:?}", language.name);
    }
}
