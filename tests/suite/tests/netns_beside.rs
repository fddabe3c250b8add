//! Beside other plugins: behind and around the reference plugins, lists of them by hand, and our part
//! of the packet filter after somebody emptied it.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{World, eventually, merge, strings};

fn reference_bridge(world: &World) -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true,
        "ipam": {
            "type": "host-local", "dataDir": world.text_path("data"),
            "ranges": [[{ "subnet": "10.1.0.0/16" }]], "routes": [{ "dst": "0.0.0.0/0" }],
        }
    })
}

fn entry(more: &Value) -> Value {
    let mut conf = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" });
    merge(&mut conf, more);
    conf
}

fn first(result: &Value) -> String {
    let addresses = strings(result, &["ips"], "address");
    let address = addresses.first().expect("an address");
    address.split('/').next().expect("a part").to_owned()
}

/// The reference `bridge` with its `host-local`, wrapped: attached, checked, and deleted though its
/// configuration has changed.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a10_around_the_reference_bridge() {
    let world = World::new();
    let conf = entry(&json!({ "delegate": reference_bridge(&world) }));
    let container = world.container();
    let path = world.long_cni_path();
    let call =
        |verb: &str, conf: &Value| world.call(verb, conf).of(&container).env("CNI_PATH", &path);
    assert_eq!(call("STATUS", &conf).ok(), Value::Null);
    let result = call("ADD", &conf).ok();
    assert!(container.ns.pings("10.1.0.1"));
    let mut with_result = conf.clone();
    merge(&mut with_result, &json!({ "prevResult": result }));
    assert_eq!(call("CHECK", &with_result).ok(), Value::Null);
    assert_eq!(world.reservations("pods").len(), 1);
    // Its configuration is gone: the ledger has it.
    assert_eq!(call("DEL", &entry(&json!({}))).ok(), Value::Null);
    assert!(world.reservations("pods").is_empty(), "{:?}", world.reservations("pods"));
    assert!(container.ns.links().iter().all(|link| link.name != "eth0"));
    assert_eq!(call("DEL", &conf).ok(), Value::Null);
    world.assert_nothing_left();
}

/// A list is wrapped whole: policies amend its plugins, and a DEL reaches both by what was run,
/// though the ledger was lost and the configuration is gone: the runtime kept it.
#[test]
#[ignore = "needs root: ring netns"]
fn a_list_that_is_wrapped_is_amended_and_known_again_after_the_ledger_was_lost() {
    let mut world = World::new();
    world.own_runtime();
    let ours = json!({
        "type": "wharfinger",
        "delegate": { "plugins": [reference_bridge(&world), { "type": "tuning", "promisc": true }] },
        "policies": [{ "plugin": "rules", "config": { "rules": [{ "set": { "mtu": 1400 } }] } }],
    });
    // Behind it another's, for which the result is kept.
    let plugins = json!([ours, { "type": "portmap" }]);
    let list = json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": plugins });
    let file = world.write("conf/10-pods.conflist", &list.to_string()).display().to_string();
    let container = world.container();
    let (path, netns) = (world.long_cni_path(), container.ns.path());
    let of = ["--cni-path", &path, "--container", &container.id, "--netns", &netns];
    let cli = |words: &[&str]| world.cli_ok(&[words, &of].concat());
    let _ = cli(&["add", &file]);
    let promisc = || container.ns.link("eth0").raw["promiscuity"] != json!(0);
    assert_eq!(container.ns.link("eth0").mtu, 1400);
    assert!(promisc() && container.ns.pings("10.1.0.1"));
    std::fs::remove_dir_all(world.path("run")).expect("removed");
    let _ = cli(&["check", &file]);
    let known = world.ledger();
    assert!(known.iter().any(|row| row["ifname"] == "eth0:wrapped:bridge+tuning"), "{known:?}");
    let del = world.call("DEL", &entry(&json!({}))).of(&container).env("CNI_PATH", &path);
    assert_eq!(del.ok(), Value::Null);
    assert!(container.ns.links().iter().all(|link| link.name != "eth0"));
    assert!(world.reservations("pods").is_empty());
    world.assert_nothing_left();
}

/// Policies admit and amend what is wrapped; a refusal after it ran deletes what it did.
#[test]
#[ignore = "needs root: ring netns"]
fn policies_amend_and_refuse_what_is_wrapped() {
    let world = World::new();
    let path = world.long_cni_path();
    let with = |rules: Value| {
        entry(&json!({
            "delegate": reference_bridge(&world),
            "policies": [{ "plugin": "rules", "config": { "rules": rules } }],
        }))
    };
    let container = world.container();
    let call =
        |verb: &str, conf: &Value| world.call(verb, conf).of(&container).env("CNI_PATH", &path);
    let conf = with(json!([{ "set": { "mtu": 1400 } }]));
    let _ = call("ADD", &conf).ok();
    assert_eq!(container.ns.link("eth0").mtu, 1400);
    let _ = call("DEL", &conf).ok();
    let conf =
        with(json!([{ "match": { "planned": { "address": "10.1.0.0/16" } }, "deny": "no" }]));
    assert_eq!(call("ADD", &conf).fails().code, 101);
    assert!(container.ns.links().iter().all(|link| link.name != "eth0"));
    assert!(world.reservations("pods").is_empty());
    world.assert_nothing_left();
}

/// Features behind the reference `bridge`, by its result, and a DEL without it.
#[test]
#[ignore = "needs root: ring netns"]
fn features_behind_the_reference_bridge() {
    let world = World::new();
    let path = world.long_cni_path();
    let mut main = reference_bridge(&world);
    merge(&mut main, &json!({ "cniVersion": "1.1.0", "name": "pods" }));
    let ours = entry(&json!({
        "capabilities": { "portMappings": true },
        "runtimeConfig": { "portMappings": [
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }
        ] },
        "features": { "portmap": {}, "tuning": { "mtu": 1300 } },
    }));
    let container = world.container();
    let call =
        |verb: &str, conf: &Value| world.call(verb, conf).of(&container).env("CNI_PATH", &path);
    let result = call("ADD", &main).ok();
    let mut behind = ours.clone();
    merge(&mut behind, &json!({ "prevResult": result }));
    let passed = call("ADD", &behind).ok();
    assert_eq!(first(&passed), first(&result), "passed on");
    assert_eq!(container.ns.link("eth0").mtu, 1300);
    assert!(world.rules().contains("8080"), "{}", world.rules());
    let mut again = ours.clone();
    merge(&mut again, &json!({ "prevResult": passed }));
    assert_eq!(call("CHECK", &again).ok(), Value::Null);
    // A second container wants the port: it is told whose it is.
    let other = world.container();
    let of_other =
        |verb: &str, conf: &Value| world.call(verb, conf).of(&other).env("CNI_PATH", &path);
    let result = of_other("ADD", &main).ok();
    let mut behind = ours.clone();
    merge(&mut behind, &json!({ "prevResult": result }));
    let failure = of_other("ADD", &behind).fails();
    assert_eq!(failure.code, 106, "{failure:?}");
    assert!(failure.msg.contains(&container.id) && failure.msg.contains("8080"), "{failure:?}");
    assert_eq!(of_other("DEL", &ours).ok(), Value::Null);
    assert_eq!(of_other("DEL", &main).ok(), Value::Null);
    assert_eq!(call("DEL", &ours).ok(), Value::Null);
    assert!(!world.rules().contains("8080"), "{}", world.rules());
    assert_eq!(call("DEL", &main).ok(), Value::Null);
    world.assert_nothing_left();
}

/// A list of the reference plugins with an entry of ours among them, by hand: what is kept is where
/// runtimes look for it.
#[test]
#[ignore = "needs root: ring netns"]
fn a_list_of_others_is_run_by_hand() {
    let world = World::new();
    let list = json!({
        "cniVersion": "1.1.0", "name": "pods",
        "plugins": [
            reference_bridge(&world),
            { "type": "tuning", "mtu": 1350 },
            { "type": "wharfinger", "policies": [{ "plugin": "rules", "config": {} }] },
        ]
    });
    let file = world.write("conf/10-pods.conflist", &list.to_string());
    let (file, cache) = (file.display().to_string(), world.text_path("data/cache"));
    let path = world.long_cni_path();
    let container = world.container();
    let netns = container.ns.path();
    let id = container.id.clone();
    let cli = |verb: &str, more: &[&str]| {
        let common = [verb, file.as_str(), "--cni-path", &path, "--cache-dir", &cache];
        world.cli_ok(&[&common, more].concat())
    };
    let of = ["--container", id.as_str(), "--netns", netns.as_str()];
    let _ = cli("status", &[]);
    let result: Value = serde_json::from_str(&cli("add", &of)).expect("a result");
    assert_eq!(container.ns.link("eth0").mtu, 1350);
    assert!(container.ns.pings("10.1.0.1"));
    let kept = world.path("data/cache/results").join(format!("pods-{id}-eth0"));
    let kept: Value = serde_json::from_slice(&std::fs::read(&kept).expect("kept")).expect("JSON");
    assert_eq!(kept["kind"], "cniCacheV1");
    assert_eq!(kept["result"], result);
    let _ = cli("check", &of);
    let _ = cli("gc", &["--keep", &id]);
    let _ = cli("check", &of);
    // The list is gone: what is kept has it.
    std::fs::remove_file(&file).expect("removed");
    let name = ["del", "pods", "--cni-path", &path, "--cache-dir", &cache];
    let _ = world.cli_ok(&[&name[..], &of[..]].concat());
    assert!(world.reservations("pods").is_empty());
    world.assert_nothing_left();
    // And what nobody keeps goes with a GC.
    world.write("conf/10-pods.conflist", &list.to_string());
    let _ = cli("add", &of);
    let _ = cli("gc", &["--all"]);
    assert!(world.reservations("pods").is_empty());
    assert!(container.ns.links().iter().all(|link| link.name != "eth0"));
    world.assert_nothing_left();
}

/// A plugin that fails in the middle: those before it are deleted.
#[test]
#[ignore = "needs root: ring netns"]
fn a_list_that_fails_half_way_leaves_nothing() {
    let world = World::new();
    let odd = "#!/bin/sh\nif [ \"$CNI_COMMAND\" = ADD ]; then printf 'no \\033[31mJSON'; fi\n";
    let file = world.write("bin/odd", odd);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, mode).expect("executable");
    let list = json!({
        "cniVersion": "1.1.0", "name": "pods",
        "plugins": [reference_bridge(&world), { "type": "odd" }]
    });
    let file = world.write("conf/10-pods.conflist", &list.to_string()).display().to_string();
    let (path, cache) = (world.long_cni_path(), world.text_path("data/cache"));
    let container = world.container();
    let netns = container.ns.path();
    let words = ["add", &file, "--cni-path", &path, "--cache-dir", &cache, "--netns", &netns];
    let output = world.cli(&words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("delegate odd") && said.contains("no \\u{1b}[31mJSON"), "{said}");
    assert!(world.reservations("pods").is_empty());
    assert!(!world.path("data/cache/results").join("pods").exists());
    world.assert_nothing_left();
}

fn script(world: &World, name: &str, body: &str) {
    let file = world.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{body}\n"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, mode).expect("executable");
}

/// Gone, or nobody has asked how it ended.
fn is_dead(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
    status.map_or(true, |status| status.contains("State:\tZ"))
}

/// A plugin, or the executable that gives addresses, hangs: it and what it started are killed at the
/// deadline, and asked to delete what it did.
#[test]
#[ignore = "needs root: ring netns"]
fn one_that_hangs_is_killed_with_what_it_started_and_deleted() {
    let world = World::new();
    world.settings("deadline = 1\n");
    let (log, child) = (world.text_path("data/log"), world.text_path("data/child"));
    let body = format!(
        "echo $CNI_COMMAND >> {log}\n\
         if [ $CNI_COMMAND = ADD ]; then sleep 1000 & echo $! > {child}; echo thinking; wait; fi"
    );
    script(&world, "slow", &body);
    let around = entry(&json!({ "delegate": { "type": "slow" } }));
    let addresses = world.conf("bridge", &json!({ "ipam": { "type": "slow" } }));
    for conf in [around, addresses] {
        let container = world.container();
        let failure = world.call("ADD", &conf).of(&container).fails();
        assert_eq!(failure.code, 109, "{failure:?}");
        assert!(failure.msg.contains("slow") && failure.msg.contains("killed"), "{failure:?}");
        assert!(failure.msg.contains("thinking"), "{failure:?}");
        let said = std::fs::read_to_string(&log).expect("a log");
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["ADD", "DEL"]);
        let pid = std::fs::read_to_string(&child).expect("a child");
        assert!(is_dead(&pid), "what it started is dead");
        std::fs::remove_file(&log).expect("removed");
        world.assert_nothing_left();
    }
}

/// We are killed while an executable gives an address, and the DEL comes before it has ended: it
/// gives nothing any more.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_a1_what_runs_on_after_a_kill_keeps_nothing() {
    let world = World::new();
    let [pid, go, kept] =
        ["pid", "go", "kept"].map(|name| world.text_path(&format!("data/{name}")));
    let body = format!(
        "case $CNI_COMMAND in\n\
         ADD) echo $$ > {pid}; until [ -e {go} ]; do sleep 0.05; done; echo kept > {kept} ;;\n\
         DEL) rm -f {kept} ;;\nesac"
    );
    script(&world, "slow", &body);
    let conf = world.conf("bridge", &json!({ "ipam": { "type": "slow" } }));
    let container = world.container();
    let mut killed = world.call("ADD", &conf).of(&container).start();
    let pid = || std::fs::read_to_string(&pid).unwrap_or_default();
    eventually("it runs", || pid().ends_with('\n'));
    killed.kill().expect("killed");
    killed.wait().expect("it ended");
    world.call("DEL", &conf).of(&container).ok();
    std::fs::write(&go, "").expect("a file");
    eventually("it is gone", || is_dead(&pid()));
    assert!(!std::fs::exists(&kept).expect("the folder"), "it gave an address after the DEL");
    world.assert_nothing_left();
}

/// A plugin that runs us again with our own configuration: it ends, and says so.
#[test]
#[ignore = "needs root: ring netns"]
fn a_circle_ends_at_its_depth() {
    let world = World::new();
    let around = entry(&json!({ "delegate": { "type": "again" } }));
    let conf = world.write("data/conf", &around.to_string());
    let (us, conf) = (world.text_path("bin/wharfinger"), conf.display());
    script(&world, "again", &format!("CNI_CONTAINERID=x$CNI_CONTAINERID exec {us} < {conf}"));
    let container = world.container();
    let failure = world.call("ADD", &around).of(&container).fails();
    assert!(failure.msg.contains("circle"), "{failure:?}");
    world.assert_nothing_left();
}

/// Somebody empties the packet filter: `wharfinger reload` makes ours as it was, beside what others
/// have, however often, and while others attach.
#[test]
#[ignore = "needs root: ring netns"]
fn pain_f3_reload_makes_our_rules_as_they_were() {
    let world = World::new();
    let conf = |port: u16| {
        let mappings = json!([{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }]);
        world.conf(
            "bridge",
            &json!({
                "ipMasq": true,
                "capabilities": { "portMappings": true },
                "runtimeConfig": { "portMappings": mappings },
                "features": { "portmap": {}, "firewall": { "ingressPolicy": "same-bridge" } },
            }),
        )
    };
    let one = world.attach(&conf(8081));
    let two = world.attach(&conf(8082));
    let before = ours(&world.rules());
    assert!(before.iter().any(|line| line.contains("8081")), "{before:?}");
    world.host.run(&["nft", "flush", "ruleset"]);
    let failure = one.call("CHECK").fails();
    assert_eq!(failure.code, 107, "CHECK names what is missing: {failure:?}");
    world.host.run(&["nft", "add", "table", "inet", "others"]);
    let said = world.cli_ok(&["reload"]);
    assert!(said.contains("2 attachments"), "{said}");
    assert_eq!(ours(&world.rules()), before);
    let _ = world.cli_ok(&["reload"]);
    assert_eq!(ours(&world.rules()), before, "and once more");
    assert!(world.rules().contains("table inet others"));
    one.check();
    two.check();
    std::thread::scope(|scope| {
        let reloads = scope.spawn(|| (0..10).for_each(|_| drop(world.cli_ok(&["reload"]))));
        for port in 8090..8100 {
            let attached = world.attach(&conf(port));
            attached.check();
            attached.del();
        }
        reloads.join().expect("no reload failed");
    });
    assert_eq!(ours(&world.rules()), before);
    one.del();
    two.del();
    world.assert_nothing_left();
}

/// The lines of our tables, in an order of their own: a set lists its elements as its hash has them.
fn ours(rules: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in rules.lines() {
        if line.starts_with("table ") {
            inside = line.contains(" wharfinger ");
        }
        if inside {
            let mut words: Vec<&str> = line.split([',', ' ', '\t']).collect();
            words.retain(|word| !word.is_empty());
            lines.push(words.join(" "));
        }
    }
    lines.sort();
    lines
}
