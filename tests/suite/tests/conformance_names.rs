//! The executable under the reference plugins' names, as far as no namespace is needed.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use wharfinger_suite::World;

const NAMES: [&str; 18] = [
    "bridge",
    "ptp",
    "macvlan",
    "ipvlan",
    "vlan",
    "host-device",
    "dummy",
    "tap",
    "loopback",
    "host-local",
    "static",
    "dhcp",
    "portmap",
    "bandwidth",
    "firewall",
    "tuning",
    "sbr",
    "vrf",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Links under all names, as `install` makes them.
fn names(world: &World) -> PathBuf {
    let bin = world.path("bin");
    for name in NAMES {
        symlink("wharfinger", bin.join(name)).expect("a link");
    }
    bin
}

fn start(world: &World, program: &Path, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(world.variables()).envs(variables.iter().copied());
    command.output().expect("it starts")
}

#[test]
fn each_name_says_what_it_is_as_callers_read_it() {
    let world = World::without_namespaces();
    let bin = names(&world);
    for name in NAMES {
        let output = start(&world, &bin.join(name), &[], &[]);
        assert!(output.status.success() && output.stdout.is_empty(), "{name}: {output:?}");
        let about = text(&output.stderr);
        let mut lines = about.lines();
        assert_eq!(lines.next(), Some(format!("CNI {name} plugin v1.9.1").as_str()), "{about}");
        let versions = lines.next().unwrap_or_default();
        assert!(versions.starts_with("CNI protocol versions supported: "), "{about}");
        assert!(about.contains("served by wharfinger v"), "and who it is: {about}");
    }
    // Arguments count for nothing, as with the reference: it is no tool there.
    let output = start(&world, &bin.join("bridge"), &["ls"], &[]);
    assert!(text(&output.stderr).starts_with("CNI bridge plugin"), "{output:?}");
    // Under its own name it is one.
    let output = start(&world, &bin.join("wharfinger"), &[], &[]);
    assert!(text(&output.stderr).starts_with("CNI wharfinger plugin v"), "{output:?}");
}

#[test]
fn each_name_speaks_the_versions_of_its_plugin() {
    let world = World::without_namespaces();
    let bin = names(&world);
    for name in NAMES {
        let output = start(&world, &bin.join(name), &[], &[("CNI_COMMAND", "VERSION")]);
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let all = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
        let from = match name {
            "bandwidth" => 2,
            "vrf" => 3,
            "firewall" => 4,
            _ => 0,
        };
        let expected = json!({ "cniVersion": "1.1.0", "supportedVersions": all[from..] });
        assert_eq!(said, expected, "{name}");
    }
    // A list of an older version is refused, with the code that callers know.
    let conf = json!({ "cniVersion": "0.3.1", "name": "n", "type": "firewall" });
    let call = world.call("ADD", &conf).program(&bin.join("firewall").display().to_string());
    let call = call.env("CNI_CONTAINERID", "c").env("CNI_NETNS", "/x").env("CNI_IFNAME", "eth0");
    assert_eq!(call.fails().code, 1);
}

#[test]
fn install_takes_names_over_and_uninstall_gives_them_back() {
    let world = World::without_namespaces();
    let opt = world.path("opt");
    fs::create_dir(&opt).expect("a directory");
    fs::write(opt.join("bridge"), "#!/bin/sh\nexit 3\n").expect("a file");
    let dir = world.text_path("opt");
    let refused = world.cli(&["install", "--bin-dir", &dir, "--names", "all"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("--take-over"));
    assert_eq!(fs::read_dir(&opt).expect("opt").count(), 1, "nothing was changed");
    let take = ["install", "--bin-dir", &dir, "--names", "all", "--take-over"];
    world.cli_ok(&take);
    for name in NAMES {
        let output = start(&world, &opt.join(name), &[], &[]);
        assert!(text(&output.stderr).starts_with(&format!("CNI {name} plugin")), "{output:?}");
    }
    let before: BTreeSet<_> = listed(&opt);
    let again = world.cli_ok(&take);
    assert!(again.contains("already") && listed(&opt) == before, "{again}");
    // An upgrade while one runs, by the executable that is replaced.
    let own = opt.join("wharfinger");
    let output = start(&world, &own, &["install", "--bin-dir", &dir], &[("PATH", "/usr/bin:/bin")]);
    assert!(output.status.success(), "{output:?}");
    world.cli_ok(&["uninstall", "--bin-dir", &dir]);
    assert_eq!(listed(&opt), BTreeSet::from(["bridge".to_owned()]));
    let back = fs::read_to_string(opt.join("bridge")).expect("it is back");
    assert!(back.contains("exit 3"), "{back}");
}

/// A file that somebody runs cannot be written; a name can be given to another file at any time. What ran
/// goes on with what it began with.
#[test]
fn pain_e3_what_is_running_is_replaced_by_a_rename_and_again() {
    let world = World::without_namespaces();
    let opt = world.path("opt");
    fs::create_dir(&opt).expect("a directory");
    let own = opt.join("wharfinger");
    // Another program of that name, in the middle of a call.
    fs::copy("/bin/sleep", &own).expect("an executable");
    let mut older = Command::new(&own).arg("600").spawn().expect("it runs");
    assert!(File::options().write(true).open(&own).is_err(), "as `cp` would find it: busy");
    let dir = world.text_path("opt");
    let install = ["install", "--bin-dir", &dir];
    world.cli_ok(&install);
    // And this one, while it runs too, twice at once.
    let follow = ["events", "--follow"];
    let mut newer = Command::new(&own)
        .args(follow)
        .envs(world.variables())
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let both = [world.start_cli(&install), world.start_cli(&install)];
    for one in both {
        let output = one.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    }
    for running in [&mut older, &mut newer] {
        assert!(running.try_wait().expect("a process").is_none(), "it goes on");
        running.kill().expect("kill");
        running.wait().expect("wait");
    }
    assert_eq!(listed(&opt), BTreeSet::from(["wharfinger".to_owned()]), "nothing half done");
    let ours = fs::read(world.path("bin/wharfinger")).expect("the executable");
    assert!(fs::read(&own).expect("what was installed") == ours, "all of it");
}

fn listed(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn pain_g3_one_executable_is_smaller_than_the_directory_it_replaces() {
    /// The 18 reference plugins of v1.9.1, stripped, are 66 MiB.
    const THEIRS: u64 = 66 << 20;
    let world = World::without_namespaces();
    let ours = fs::metadata(world.path("bin/wharfinger")).expect("the executable").len();
    assert!(ours < THEIRS, "{ours} bytes: {} MiB", ours >> 20);
}

#[test]
fn a_list_of_the_reference_is_converted_and_explained() {
    let world = World::without_namespaces();
    let list = json!({
        "cniVersion": "1.0.0", "name": "pods",
        "plugins": [{
            "type": "bridge", "isGateway": true, "ipMasq": true,
            "ipam": { "type": "host-local", "subnet": "10.1.0.0/16", "dataDir": "/data" }
        }]
    });
    let path = world.write("conf/10-pods.conflist", &list.to_string());
    let output = world.cli(&["conf", "convert", &path.display().to_string()]);
    assert!(output.status.success(), "{output:?}");
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON alone on stdout");
    let plugin = &made["plugins"][0];
    assert_eq!((&plugin["type"], &plugin["driver"]), (&json!("wharfinger"), &json!("bridge")));
    assert_eq!(plugin["ipam"]["dataDir"], "/data");
    assert!(text(&output.stderr).contains("type bridge -> type wharfinger"), "{output:?}");
}

/// Inputs that make one or another reference plugin panic, and their like.
#[test]
fn defect_18_no_input_ends_without_an_answer() {
    let world = World::without_namespaces();
    let bin = names(&world);
    let odd = [
        json!({}),
        json!({ "ipam": null, "prevResult": null }),
        json!({ "ipam": {}, "args": { "cni": { "sysctl": { "net.core.somaxconn": "1" } } } }),
        json!({ "ipam": [], "runtimeConfig": 7 }),
        json!({ "ipam": { "type": 3 }, "runtimeConfig": { "bandwidth": {} } }),
        json!({ "sysctl": 1, "master": [], "vlanId": "x", "vrfname": {}, "table": -1 }),
    ];
    for name in NAMES {
        for verb in ["ADD", "CHECK", "DEL", "STATUS", "GC"] {
            for more in &odd {
                let mut conf = json!({ "cniVersion": "1.1.0", "name": "n", "type": name });
                wharfinger_suite::merge(&mut conf, more);
                let program = bin.join(name).display().to_string();
                let call = world.call(verb, &conf).program(&program);
                let call = call.env("CNI_CONTAINERID", "c").env("CNI_NETNS", "/no/such/netns");
                let output = call.env("CNI_IFNAME", "eth9").run();
                if output.succeeded() {
                    output.ok();
                } else {
                    output.fails();
                }
                assert_eq!(output.signal, None, "{name} {verb} {more}");
            }
        }
    }
}
