//! `planted`, which goes wrong in every language in the same four ways: the error names the plugin
//! and what it met, the place where the toolchain knows it, and nothing is left.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Failure, Language, World, in_each_language};

in_each_language! {
    pain_d6_an_exception_is_told_with_its_message_and_its_place
    a_loop_ends_at_the_deadline
    memory_without_end_ends
    a_recursion_without_end_ends
}

/// Plants, and looks at what is there afterwards: the error, and all that was told besides.
#[track_caller]
fn plant(language: Language, plant: &str) -> (Failure, String) {
    let world = World::new();
    world.install_compiled(&language.component("planted"), "planted");
    world.install_compiled(&language.component("pool"), "pool");
    let ipam = |more: &Value| world.conf("ptp", &json!({ "ipam": more }));
    let pool = json!({ "subnet": "10.1.0.0/24" });
    let bad = ipam(&json!({ "type": "planted", "pool": pool, "plant": plant }));
    let failure = world.call("ADD", &bad).of(&world.container()).fails();
    world.assert_nothing_left();
    let named = failure.msg.contains("planted@sha256:") && failure.msg.contains("allocate");
    assert!(named, "{failure:?}");
    let events = world.events();
    let told = format!("{failure:?} {events:?}");
    assert!(told.contains(&format!("planting {plant}")), "its log is there: {told}");
    // The next call, of another plugin of the language, is fine.
    let good = world.attach(&ipam(&json!({ "type": "pool", "ranges": [[pool]] })));
    good.del();
    world.assert_nothing_left();
    (failure, told)
}

/// The file that it goes wrong in.
fn file(language: Language) -> &'static str {
    match language.lang {
        "rust" => "src/lib.rs:",
        "c" => "planted.c:",
        "go" => ".go:",
        "python" => ".py",
        _ => ".js",
    }
}

fn pain_d6_an_exception_is_told_with_its_message_and_its_place(language: Language) {
    let (failure, told) = plant(language, "exception");
    assert_eq!(failure.code, 102, "{failure:?}");
    for word in ["an attachment without a pod", file(language)] {
        assert!(told.contains(word), "{word} is not told: {told}");
    }
    // A line, and the function, as far as names survive the toolchain.
    assert!(told.contains("address_of") || told.contains("addressOf"), "{told}");
}

fn a_loop_ends_at_the_deadline(language: Language) {
    let (failure, _) = plant(language, "loop");
    assert_eq!(failure.code, 103, "{failure:?}");
    assert!(failure.msg.contains("limits.deadline"), "{failure:?}");
}

/// The host's limit, or the language's own error of it, or time.
#[track_caller]
fn met_a_limit(failure: &Failure, told: &str, words: &[&str]) {
    assert!([102, 103].contains(&failure.code), "{failure:?}");
    let told = told.to_lowercase();
    assert!(words.iter().any(|word| told.contains(word)), "none of {words:?} is told: {told}");
}

fn memory_without_end_ends(language: Language) {
    let (failure, told) = plant(language, "memory");
    met_a_limit(&failure, &told, &["limits.memory", "memory", "limits.deadline"]);
}

fn a_recursion_without_end_ends(language: Language) {
    let (failure, told) = plant(language, "stack");
    met_a_limit(&failure, &told, &["limits.stack", "stack", "recursion", "out of bounds"]);
}
