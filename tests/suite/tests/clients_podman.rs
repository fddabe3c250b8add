//! A real podman, whose back end is CNI, with our executable under the names of the reference
//! plugins: its own default network, and one of both families; ports of the host, reached by packets.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::process::Output;

use serde_json::Value;
use wharfinger_suite::{Mounts, Subject, World};

const CONTAINERS: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
apparmor_profile = ""
seccomp_profile = "unconfined"
log_driver = "k8s-file"
default_sysctls = []
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
network_config_dir = "/etc/cni/net.d"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "none"
lock_type = "file"
static_dir = "@/podman/static"
volume_path = "@/podman/volumes"
tmp_dir = "@/podman/tmp"
"#;

const STORAGE: &str = r#"
[storage]
driver = "vfs"
graphroot = "@/podman/root"
runroot = "@/podman/run"
"#;

/// podman with directories of its own, and an image of busybox.
struct Podman<'w> {
    world: &'w World,
    mounts: Mounts<'w>,
}

impl<'w> Podman<'w> {
    fn new(world: &'w World) -> Self {
        world.rootfs();
        let root = world.text_path("");
        for (name, text) in [("containers.conf", CONTAINERS), ("storage.conf", STORAGE)] {
            world.write(name, &text.replace('@', root.trim_end_matches('/')));
        }
        let this = Self { world, mounts: Mounts::new(world) };
        let (rootfs, image) = (world.text_path("rootfs"), world.text_path("image.tar"));
        wharfinger_suite::run(&["tar", "-C", &rootfs, "-cf", &image, "."]);
        this.ok(&["import", &image, "localhost/busybox:test"]);
        this
    }

    fn try_run(&self, words: &[&str]) -> Output {
        let mut all = vec!["podman"];
        all.extend(words);
        let mut command = self.mounts.command(&all);
        command.env("CONTAINERS_CONF", self.world.path("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.world.path("storage.conf"));
        command.output().expect("podman")
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        let output = self.try_run(words);
        assert!(output.status.success(), "podman {words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A container that serves a page on port 80.
    #[track_caller]
    fn serve(&self, name: &str, options: &[&str]) {
        let mut words = vec!["run", "-d", "--name", name];
        words.extend(options);
        words.extend(["localhost/busybox:test", "/bin/httpd", "-f", "-p", "80", "-h", "/www"]);
        self.ok(&words);
    }

    /// What podman believes: the addresses of a container, its network's and IPv6's.
    fn addresses(&self, name: &str) -> Vec<String> {
        let shown: Value = serde_json::from_str(&self.ok(&["inspect", name])).expect("JSON");
        let networks = shown.pointer("/0/NetworkSettings/Networks").and_then(Value::as_object);
        let networks = networks.expect("networks");
        let of = |network: &Value, key: &str| Some(network.get(key)?.as_str()?.to_owned());
        networks
            .values()
            .flat_map(|network| [of(network, "IPAddress"), of(network, "GlobalIPv6Address")])
            .flatten()
            .filter(|address| !address.is_empty())
            .collect()
    }

    /// The page by HTTP, from the host.
    #[track_caller]
    fn fetch(&self, at: &str) {
        let page = self.world.host.fetch(at, "/hello");
        let rules = || self.world.rules();
        assert!(page.contains("hello from the wharf"), "{at}: {page:?}\n{}", rules());
    }

    /// Removes them; nothing of them is left.
    #[track_caller]
    fn remove(&self, names: &[&str], networks: &[&str]) {
        let addresses: Vec<String> = names.iter().flat_map(|name| self.addresses(name)).collect();
        for name in names {
            self.ok(&["rm", "--force", "--time", "0", name]);
        }
        let rules = self.world.rules();
        for address in &addresses {
            assert!(!rules.contains(address), "a rule of {address} is left: {rules}");
        }
        for network in networks {
            let dir = format!("/var/lib/cni/networks/{network}");
            let files = self.mounts.run(&["ls", &dir]);
            let left: Vec<&str> =
                files.lines().filter(|f| *f != "lock" && !f.starts_with("last_")).collect();
            assert!(left.is_empty(), "reservations are left: {left:?}");
        }
        self.world.assert_nothing_left();
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let _ = self.try_run(&["rm", "--force", "--all", "--time", "0"]);
    }
}

#[test]
#[ignore = "needs root and podman: ring clients"]
fn podmans_default_network() {
    let world = World::of(Subject::named());
    let podman = Podman::new(&world);
    podman.serve("one", &["-p", "8080:80"]);
    podman.serve("two", &["-p", "127.0.0.1:8081:80/tcp"]);
    let addresses: Vec<String> = ["one", "two"].iter().flat_map(|n| podman.addresses(n)).collect();
    assert_eq!(addresses, ["10.88.0.2", "10.88.0.3"]);
    podman.fetch("127.0.0.1:8080");
    podman.fetch("127.0.0.1:8081");
    let by_name = "http://10.88.0.2/hello";
    let inside = podman.ok(&["exec", "two", "/bin/wget", "-q", "-O", "-", by_name]);
    assert_eq!(inside, "hello from the wharf");
    let hairpin = "http://10.88.0.1:8080/hello";
    let inside = podman.ok(&["exec", "one", "/bin/wget", "-q", "-O", "-", hairpin]);
    assert_eq!(inside, "hello from the wharf", "by the host's port, from the pod itself");
    podman.remove(&["one", "two"], &["podman"]);
}

#[test]
#[ignore = "needs root and podman: ring clients"]
fn podman_with_both_families() {
    let world = World::of(Subject::named());
    let podman = Podman::new(&world);
    let subnets = ["--subnet", "10.89.7.0/24", "--subnet", "fd00:89::/64"];
    let mut words = vec!["network", "create", "--ipv6"];
    words.extend(subnets);
    words.push("dual");
    podman.ok(&words);
    let fixed = ["--network", "dual", "--ip", "10.89.7.77", "-p", "8080:80"];
    podman.serve("one", &fixed);
    let addresses = podman.addresses("one");
    assert!(addresses.contains(&"10.89.7.77".to_owned()), "{addresses:?}");
    let v6 = addresses.iter().find(|address| address.contains(':')).expect("an IPv6 address");
    podman.fetch(&format!("[{v6}]:80"));
    podman.fetch("127.0.0.1:8080");
    podman.ok(&["restart", "--time", "0", "one"]);
    podman.fetch("127.0.0.1:8080");
    podman.ok(&["network", "disconnect", "dual", "one"]);
    podman.ok(&["network", "connect", "--ip", "10.89.7.78", "dual", "one"]);
    podman.fetch("10.89.7.78:80");
    podman.remove(&["one"], &["dual"]);
    podman.ok(&["network", "rm", "dual"]);
}
