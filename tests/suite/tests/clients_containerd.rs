//! A real containerd: two containers by `ctr run --cni`, which reach each other; both are removed;
//! nothing is left.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use wharfinger_suite::{Mounts, World};

const CONFIG: &str = r#"version = 2
root = "@/containerd/root"
state = "@/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "@/containerd/sock"
"#;

/// containerd with directories of its own.
struct Containerd<'w> {
    world: &'w World,
    mounts: Mounts<'w>,
    daemon: Child,
}

impl<'w> Containerd<'w> {
    fn start(world: &'w World) -> Self {
        let mounts = Mounts::new(world);
        let root = world.text_path("");
        std::fs::create_dir_all(world.path("containerd")).expect("a directory");
        let config =
            world.write("containerd.toml", &CONFIG.replace('@', root.trim_end_matches('/')));
        let log = std::fs::File::create(world.path("containerd.log")).expect("a log");
        let daemon = mounts
            .command(&["containerd", "--config", &config.display().to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("containerd starts");
        let this = Self { world, mounts, daemon };
        let start = Instant::now();
        while !this.ctr(&["version"]).output().expect("ctr").status.success() {
            assert!(start.elapsed() < Duration::from_secs(30), "containerd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        this
    }

    fn ctr(&self, words: &[&str]) -> std::process::Command {
        let socket = self.world.text_path("containerd/sock");
        let mut all = vec!["ctr", "--address", &socket];
        all.extend(words);
        self.mounts.command(&all)
    }

    /// `ctr run --cni`, in the foreground: only then does ctr detach the container itself.
    fn run(&self, id: &str) -> Child {
        let rootfs = self.world.text_path("rootfs");
        let child = self
            .ctr(&["run", "--rm", "--cni", "--rootfs", &rootfs, id, "/bin/sleep", "1000"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("ctr");
        let start = Instant::now();
        while !self.exec(id, &["/bin/ip", "address"]).contains("10.1.") {
            assert!(start.elapsed() < Duration::from_secs(30), "{id} has no address");
            std::thread::sleep(Duration::from_millis(50));
        }
        child
    }

    /// A program in a container; what it wrote, also where it failed.
    fn exec(&self, id: &str, words: &[&str]) -> String {
        let name = format!("exec-{:?}", Instant::now()).replace(|c: char| !c.is_alphanumeric(), "");
        let mut all = vec!["task", "exec", "--exec-id", &name, id];
        all.extend(words);
        let output = self.ctr(&all).output().expect("ctr task exec");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn address(&self, id: &str) -> String {
        let shown = self.exec(id, &["/bin/ip", "-4", "-o", "address", "show", "eth0"]);
        let with_prefix = shown.split_whitespace().nth(3).expect("an address");
        with_prefix.split('/').next().expect("an address").to_owned()
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        // Also of a container that was refused: its process waits to be started.
        let tasks = self.ctr(&["task", "ls", "--quiet"]).output().map(|output| output.stdout);
        for id in String::from_utf8_lossy(&tasks.unwrap_or_default()).lines() {
            let _ = self.ctr(&["task", "rm", "--force", id]).output();
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.world.path("containerd.log"));
            println!("{}", log.unwrap_or_default());
        }
    }
}

#[test]
#[ignore = "needs root and containerd: ring clients"]
fn two_containers_of_containerd() {
    let world = World::new();
    world.rootfs();
    let containerd = Containerd::start(&world);
    let plugin = world.conf("bridge", &json!({ "ipMasq": true }));
    // containerd 1.6 knows nothing newer.
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
    let runs = [containerd.run("one"), containerd.run("two")];
    let (one, two) = (containerd.address("one"), containerd.address("two"));
    assert_ne!(one, two);
    assert_eq!(world.ledger().len(), 2);
    for (from, to) in [("one", &two), ("two", &one)] {
        let answer = containerd.exec(from, &["/bin/ping", "-c", "1", "-W", "2", to]);
        assert!(answer.contains("1 packets received"), "{from} to {to}: {answer}");
    }
    for (id, run) in ["one", "two"].into_iter().zip(runs) {
        let killed = containerd.ctr(&["task", "kill", "--signal", "SIGKILL", id]).output();
        assert!(killed.expect("ctr").status.success());
        let ended = run.wait_with_output().expect("ctr run ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!said.contains("CNI") && !said.contains("network"), "{said}");
    }
    let rules = world.rules();
    assert!(!rules.contains(&one) && !rules.contains(&two), "{rules}");
    world.assert_nothing_left();
}

/// `ctr run --cni` of a pod that a policy refuses: what the runtime itself says.
fn refused(containerd: &Containerd<'_>, id: &str) -> String {
    let rootfs = containerd.world.text_path("rootfs");
    let output = containerd
        .ctr(&["run", "--rm", "--cni", "--rootfs", &rootfs, id, "/bin/sleep", "1000"])
        .output()
        .expect("ctr");
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "needs root and containerd: ring clients"]
fn a_pod_that_a_policy_refuses_shows_name_and_reason() {
    let world = World::new();
    world.rootfs();
    let containerd = Containerd::start(&world);
    let config = json!({ "rules": [{ "match": {}, "deny": "the quay is closed" }] });
    let policy = json!({ "plugin": "rules", "config": config });
    let plugin = world.conf("bridge", &json!({ "policies": [policy] }));
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
    let said = refused(&containerd, "refused-one");
    assert!(said.contains("rules") && said.contains("the quay is closed"), "{said}");
    world.assert_nothing_left();

    // The same by the node's own settings, and a conflist that names no policy.
    let plugin = world.conf("bridge", &json!({}));
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [plugin] });
    containerd.mounts.configure("10-pods.conflist", &list);
    world.settings(
        "[[policies]]\nplugin = \"rules\"\n[policies.config]\n\
         rules = [{ match = {}, deny = \"closed by the node\" }]\n",
    );
    let said = refused(&containerd, "refused-two");
    assert!(said.contains("rules") && said.contains("closed by the node"), "{said}");
    world.assert_nothing_left();
}
