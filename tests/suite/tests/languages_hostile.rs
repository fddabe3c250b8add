//! What a configuration or a pod may bring, in every language: odd names, lists of ten thousand,
//! documents that are deep or huge, numbers at their edges. It is taken, or refused in words; no
//! plugin traps over it.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Failure, Language, World, in_each_language, pod};

in_each_language! {
    names_of_any_letters_are_the_same_on_both_sides
    lists_of_ten_thousand_are_read
    what_is_deep_or_huge_is_refused_by_its_pointer
    numbers_at_their_edges_are_taken_or_refused_in_words
    numbers_of_the_contract_at_their_edges_are_read
}

/// Letters that some toolchain takes for something else.
const NAMES: [&str; 9] = [
    "Ünïcödé-日本語",
    "🦀🦀-\u{10ffff}",
    "e\u{301}-is-not-é",
    "\u{feff}bom",
    "\u{202e}thgir-ot-tfel",
    "\"quoted\"\\n\\u0041",
    "tab\tand\u{7f}",
    "%s%n{}${0}",
    " spaces  ",
];

fn world(language: Language) -> World {
    let world = World::new();
    // Time is not what is tried here.
    world.settings("[limits]\ndeadline = 20.0\n");
    for example in ["pool", "guard"] {
        world.install_compiled(&language.component(example), example);
    }
    world
}

fn guard(world: &World, config: &Value) -> Value {
    world.conf("ptp", &json!({ "policies": [{ "plugin": "guard", "config": config }] }))
}

fn pool(world: &World, ipam: &Value) -> Value {
    let mut ipam = ipam.clone();
    ipam["type"] = json!("pool");
    world.conf("ptp", &json!({ "ipam": ipam }))
}

/// An ADD and its DEL, or why not.
#[track_caller]
fn tried(world: &World, conf: &Value, args: &str) -> Result<(), Failure> {
    let container = world.container();
    let output = world.call("ADD", conf).of(&container).env("CNI_ARGS", args).run();
    if !output.succeeded() {
        let failure = output.fails();
        world.assert_nothing_left();
        return Err(failure);
    }
    let result = output.ok();
    world.attached(container, conf, result).del();
    Ok(())
}

#[track_caller]
fn passes(world: &World, conf: &Value, args: &str) {
    if let Err(failure) = tried(world, conf, args) {
        panic!("{failure:?}");
    }
}

#[track_caller]
fn refused(world: &World, conf: &Value, args: &str, code: u64) -> Failure {
    let failure = tried(world, conf, args).expect_err("it is refused");
    assert_eq!(failure.code, code, "{failure:?}");
    failure
}

fn names_of_any_letters_are_the_same_on_both_sides(language: Language) {
    let world = world(language);
    let all = guard(&world, &json!({ "namespaces": NAMES }));
    let ranges = json!([[{ "subnet": "10.1.0.0/24" }]]);
    let mut sticky = pool(&world, &json!({ "ranges": ranges, "sticky": true }));
    sticky["policies"] = all["policies"].clone();
    for name in NAMES {
        passes(&world, &sticky, &pod(name, name));
        let near = format!("{name}\u{301}");
        let failure = refused(&world, &all, &pod(&near, name), 101);
        assert!(failure.msg.contains("is not attached"), "{failure:?}");
        // What is safe to print is said letter by letter.
        if name.chars().all(|c| c.is_alphanumeric() || "-%{}$".contains(c)) {
            assert!(failure.msg.contains(&near), "{near} is not said: {failure:?}");
        }
    }
    let long = "n".repeat(60_000);
    let longest = guard(&world, &json!({ "namespaces": [long] }));
    passes(&world, &longest, &pod(&long, "a"));
    world.assert_nothing_left();
}

fn lists_of_ten_thousand_are_read(language: Language) {
    let world = world(language);
    world.settings("[limits]\ndeadline = 20.0\nreturned = 4194304\n");
    let names: Vec<String> = (0..10_000).map(|n| format!("namespace-{n}")).collect();
    let ports: Vec<String> = (1..=10_000).map(|n| n.to_string()).collect();
    let conf = guard(&world, &json!({ "namespaces": names, "hostPorts": ports }));
    passes(&world, &conf, &pod("namespace-9999", "a"));
    refused(&world, &conf, &pod("namespace-10000", "a"), 101);
    let mapping = |n: u32| json!({ "hostPort": 1000 + n, "containerPort": 80, "protocol": "tcp" });
    let mappings: Vec<Value> = (0..10_000).map(mapping).collect();
    let mut many = guard(&world, &json!({ "hostPorts": ["1000-10998"] }));
    many["runtimeConfig"] = json!({ "portMappings": mappings });
    let failure = refused(&world, &many, "", 101);
    assert!(failure.msg.contains("port 10999 of the host"), "{failure:?}");
    let range = |n: u32| json!({ "subnet": format!("10.{}.{}.0/30", 1 + n / 256, n % 256) });
    // The book is asked for at most 4096 ranges at once, and for as many that are left out: three of
    // a subnet.
    let ranges: Vec<Value> = (0..1_365).map(range).collect();
    passes(&world, &pool(&world, &json!({ "ranges": [ranges] })), "");
    world.assert_nothing_left();
}

/// `[[[...]]]`, or objects in objects.
fn nested(levels: usize, by: fn(Value) -> Value) -> Value {
    (0..levels).fold(Value::Null, |inner, _| by(inner))
}

fn what_is_deep_or_huge_is_refused_by_its_pointer(language: Language) {
    let world = world(language);
    let deep = |levels| {
        [nested(levels, |inner| json!([inner])), nested(levels, |inner| json!({ "a": inner }))]
    };
    for deep in deep(60) {
        for (key, pointer) in [("deep", "/deep"), ("namespaces", "/namespaces"), ("mtu", "/mtu")] {
            let failure = refused(&world, &guard(&world, &json!({ key: deep })), "", 7);
            let said = format!("{} {}", failure.msg, failure.details);
            assert!(said.contains(pointer), "{pointer}: {failure:?}");
        }
    }
    // Near what the host itself reads a parser may give up, in words.
    for deep in deep(120) {
        let failure = tried(&world, &guard(&world, &json!({ "deep": deep })), "");
        let failure = failure.expect_err("it is no key");
        assert!(!failure.msg.contains("trapped"), "{failure:?}");
    }
    let huge = "x".repeat(1 << 20);
    let conf = guard(&world, &json!({ "huge": huge }));
    refused(&world, &conf, "", 7);
    // Who repeats all of it in his words is told of the limit for that.
    let conf = pool(&world, &json!({ "ranges": [[{ "subnet": huge }]] }));
    let failure = tried(&world, &conf, "").expect_err("it is no subnet");
    let told = failure.code == 7 || failure.msg.contains("limits.returned");
    assert!(told, "{}: {}", failure.code, failure.msg.chars().take(300).collect::<String>());
    world.assert_nothing_left();
}

fn numbers_at_their_edges_are_taken_or_refused_in_words(language: Language) {
    let world = world(language);
    let quota = |number: &Value| guard(&world, &json!({ "quota": number }));
    for good in ["1", "2147483648", "4294967295", "4294967296", "9007199254740991"] {
        let number: Value = serde_json::from_str(good).expect("a number");
        passes(&world, &quota(&number), &pod("web", "a"));
    }
    for bad in ["0", "-1", "-2147483649", "1.5", "-9007199254740993", "\"1\"", "true", "[1]"] {
        let number: Value = serde_json::from_str(bad).expect("a value");
        let failure = refused(&world, &quota(&number), &pod("web", "a"), 7);
        let said = format!("{} {}", failure.msg, failure.details);
        assert!(said.contains("/quota"), "{bad}: {failure:?}");
    }
    // Whether it counts so far is the language's affair; that it ends in words is not.
    for odd in ["9007199254740993", "18446744073709551615", "1e30", "1.0", "-0.0", "1e-7"] {
        let number: Value = serde_json::from_str(odd).expect("a number");
        if let Err(failure) = tried(&world, &quota(&number), &pod("web", "a")) {
            assert_eq!(failure.code, 7, "{odd}: {failure:?}");
        }
    }
    for (mtu, code) in [(68_i64, 0), (65_535, 0), (65_604, 7), (4_294_967_364, 7), (-1, 7)] {
        let outcome = tried(&world, &guard(&world, &json!({ "mtu": mtu })), "");
        assert_eq!(outcome.map_or_else(|failure| failure.code, |()| 0), code, "mtu {mtu}");
    }
    world.assert_nothing_left();
}

/// A u32 above 2^31 and a u64 above 2^53, in steps that a policy is shown.
fn numbers_of_the_contract_at_their_edges_are_read(language: Language) {
    let world = World::without_namespaces();
    let link = json!({ "place": "container", "name": "eth0" });
    let (most, half) = (u32::MAX, 1_u32 << 31);
    let route = |edge: u32| {
        json!({ "owner": "attachment", "kind": "route", "link": link, "destination": "10.9.0.0/16",
                "mtu": edge, "advmss": edge, "priority": edge, "table": edge, "scope": 255 })
    };
    let shape = |rate: u64| {
        json!({ "owner": "attachment", "kind": "shape", "link": link, "rate": rate,
                "burst": most, "limit": most })
    };
    let steps = [route(half), route(most), shape((1 << 50) + 1), shape(u64::MAX >> 3)];
    let input = json!({ "config": {}, "plan": { "format": 1, "steps": steps }, "result": {} });
    let input = world.write("review.json", &input.to_string()).display().to_string();
    let wasm = World::component(&language.component("guard"));
    let said = world.cli_ok(&["plugin", "run", &wasm, "--call", "review", "--input", &input]);
    assert!(said.contains("allow"), "{said}");
}
