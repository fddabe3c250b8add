//! A plugin in a language that we have nothing for, made from the contract alone: `tests/zig`.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

mod in_zig {
    use serde_json::{Value, json};
    use wharfinger_suite::World;

    fn config() -> Value {
        json!({ "ranges": [[{ "subnet": "10.1.0.0/27" }], [{ "subnet": "10.2.0.0/30" }]] })
    }

    #[test]
    #[ignore = "needs root and Zig: ring languages"]
    fn it_passes_the_conformance_kit() {
        let world = World::without_namespaces();
        let skip = json!({ "deadline": "other tests run beside it" });
        let ranges = json!([[{ "subnet": "10.1.0.0/27" }]]);
        let settings =
            json!({ "config": { "ranges": ranges }, "attachments": 1_000, "skip": skip });
        let settings = world.write("settings.json", &settings.to_string()).display().to_string();
        let wasm = World::component("zig");
        let said = world.cli_ok(&["plugin", "test", &wasm, "--settings", &settings]);
        assert!(said.contains(" passed, 0 failed, "), "{said}");
        let said = world.cli_ok(&["plugin", "inspect", &wasm]);
        assert!(!said.contains("wasi:"), "{said}");
    }

    #[test]
    #[ignore = "needs root and Zig: ring languages"]
    fn it_attaches_and_says_why_not() {
        let world = World::new();
        world.install_compiled("zig", "zig");
        let conf = |config: &Value| {
            let mut ipam = config.clone();
            ipam["type"] = json!("zig");
            world.conf("ptp", &json!({ "ipam": ipam }))
        };
        let one = world.attach(&conf(&config()));
        assert_eq!(one.addresses(), ["10.1.0.2", "10.2.0.2"]);
        one.check();
        let full = world.call("ADD", &conf(&config())).of(&world.container()).fails();
        assert_eq!(full.code, 100, "{full:?}");
        one.del();
        let wrong = json!({ "ranges": [[{ "subnet": "10.1.0.7/24" }]] });
        let failure = world.call("ADD", &conf(&wrong)).of(&world.container()).fails();
        let said = format!("{} {}", failure.msg, failure.details);
        assert!(failure.code == 7 && said.contains("/ranges/0/0/subnet"), "{failure:?}");
        world.assert_nothing_left();
    }
}
