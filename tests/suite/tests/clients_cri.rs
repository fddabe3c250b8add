//! containerd's CRI, as kubelet speaks to it: pod sandboxes with ports of the host and annotated
//! bandwidth, on lists of the reference plugins' names, which are ours; reached by packets; stopped and
//! removed; nothing is left. The client of the socket is `tests/cri`.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_suite::side::{inside, inside_at};
use wharfinger_suite::{Mounts, Netns, Subject, World, cri_client, run};

const CONFIG: &str = r#"version = 2
root = "@/containerd/root"
state = "@/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "@/containerd/sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:test"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
"#;

/// containerd with directories of its own, and an image of busybox for the sandboxes.
struct Cri<'w> {
    world: &'w World,
    mounts: Mounts<'w>,
    daemon: Child,
}

impl<'w> Cri<'w> {
    /// With this list as the network.
    fn start(world: &'w World, plugins: &Value) -> Self {
        world.rootfs();
        let mounts = Mounts::new(world);
        // containerd 1.6 knows nothing newer.
        let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": plugins });
        mounts.configure("10-pods.conflist", &list);
        let root = world.text_path("");
        std::fs::create_dir_all(world.path("containerd")).expect("a directory");
        let config = CONFIG.replace('@', root.trim_end_matches('/'));
        let config = world.write("containerd.toml", &config).display().to_string();
        let log = std::fs::File::create(world.path("containerd.log")).expect("a log");
        let mut command = mounts.command(&["containerd", "--config", &config]);
        let daemon = command.stdout(Stdio::null()).stderr(log).spawn().expect("containerd");
        let this = Self { world, mounts, daemon };
        this.cri_within("ready");
        let image = pause(world);
        let socket = world.text_path("containerd/sock");
        let ctr = ["ctr", "--address", &socket, "-n", "k8s.io", "images", "import"];
        let import: Vec<&str> = ctr.into_iter().chain(["--no-unpack", &image]).collect();
        this.mounts.run(&import);
        this.cri(&["image", "localhost/pause:test"]);
        this
    }

    #[track_caller]
    fn cri(&self, words: &[&str]) -> String {
        let (client, socket) = (cri_client(), self.world.text_path("containerd/sock"));
        let all: Vec<&str> =
            [&*client, &*socket].into_iter().chain(words.iter().copied()).collect();
        self.mounts.run(&all).trim().to_owned()
    }

    /// The socket takes its time.
    fn cri_within(&self, word: &str) {
        let (client, socket) = (cri_client(), self.world.text_path("containerd/sock"));
        let once = || self.mounts.try_run(&[&client, &socket, word]);
        let ready = (0..40).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            once().status.success()
        });
        assert!(ready, "containerd is not ready: {:?}", once());
    }

    /// A pod sandbox; its id and how it stands.
    #[track_caller]
    fn pod(&self, name: &str, ports: &Value, annotations: &Value) -> Pod {
        let config = json!({
            "metadata": { "name": name, "uid": format!("uid-{name}"), "namespace": "default" },
            "hostname": name, "log_directory": self.world.path("data"),
            "port_mappings": ports, "annotations": annotations, "linux": {},
        });
        let file = self.world.write(&format!("{name}.json"), &config.to_string());
        let id = self.cri(&["run", &file.display().to_string()]);
        let status: Value = serde_json::from_str(&self.cri(&["status", &id])).expect("JSON");
        let pid = status.pointer("/info/pid").and_then(Value::as_u64).expect("a process");
        let addresses = status.get("addresses").and_then(Value::as_array).expect("addresses");
        let addresses = addresses.iter().filter_map(|a| Some(a.as_str()?.to_owned())).collect();
        Pod { id, netns: format!("/proc/{pid}/ns/net"), addresses }
    }

    /// Stops and removes them, twice over; nothing of them is left.
    #[track_caller]
    fn remove(&self, pods: &[&Pod]) {
        for pod in pods {
            for word in ["stop", "stop", "remove", "remove"] {
                self.cri(&[word, &pod.id]);
            }
        }
        let rules = self.world.rules();
        for address in pods.iter().flat_map(|pod| &pod.addresses) {
            let word = |c: char| !(c.is_ascii_alphanumeric() || ".:".contains(c));
            assert!(!rules.split(word).any(|w| w == address), "of {address} is left: {rules}");
        }
        let files = self.mounts.run(&["ls", "/var/lib/cni/networks/pods"]);
        let left: Vec<&str> =
            files.lines().filter(|f| *f != "lock" && !f.starts_with("last_")).collect();
        assert!(left.is_empty(), "reservations are left: {left:?}");
        let links = self.world.links();
        assert!(links.iter().all(|link| !link.name.starts_with("bwp")), "{links:?}");
        self.world.assert_nothing_left();
    }
}

/// A pod sandbox.
struct Pod {
    id: String,
    netns: String,
    addresses: Vec<String>,
}

impl Pod {
    /// Whether what is sent to `to` from `from` arrives in the pod at this port, by TCP and UDP.
    #[track_caller]
    fn hears(&self, from: &Netns, to: &str, (tcp, udp): (u16, u16)) {
        let listener = inside_at(&self.netns, || TcpListener::bind("[::]:80")).expect("a port");
        let page = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut request = [0; 256];
            let _ = std::io::Read::read(&mut stream, &mut request);
            std::io::Write::write_all(&mut stream, b"HTTP/1.0 200 OK\r\n\r\nfrom the pod")
        });
        let answer = from.fetch(&format!("{to}:{tcp}"), "/");
        assert!(answer.contains("from the pod"), "{to}:{tcp}: {answer:?}");
        page.join().expect("served").expect("sent");

        let socket = inside_at(&self.netns, || UdpSocket::bind("[::]:53")).expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit");
        let to = format!("{to}:{udp}");
        inside(from, || {
            let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            UdpSocket::bind(any).and_then(|client| client.send_to(b"hello", &to)).expect("sent");
        });
        let mut buffer = [0; 16];
        let (length, _) = socket.recv_from(&mut buffer).unwrap_or_else(|e| panic!("{to}: {e}"));
        assert_eq!(buffer.get(..length), Some(&b"hello"[..]));
    }
}

impl Drop for Cri<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.world.path("containerd.log"));
            println!("{}", log.unwrap_or_default());
        }
    }
}

/// An image whose process sleeps, as `docker save` writes one.
fn pause(world: &World) -> String {
    let dir = world.text_path("image");
    std::fs::create_dir_all(&dir).expect("a directory");
    run(&["tar", "-C", &world.text_path("rootfs"), "-cf", &format!("{dir}/layer.tar"), "."]);
    let sum = run(&["sha256sum", &format!("{dir}/layer.tar")]);
    let digest = sum.split_whitespace().next().expect("a digest");
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": arch, "os": "linux",
        "config": { "Entrypoint": ["/bin/sleep", "100000"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = json!([{
        "Config": "config.json", "RepoTags": ["localhost/pause:test"], "Layers": ["layer.tar"],
    }]);
    world.write("image/config.json", &config.to_string());
    world.write("image/manifest.json", &manifest.to_string());
    let image = world.text_path("pause.tar");
    run(&["tar", "-C", &dir, "-cf", &image, "manifest.json", "config.json", "layer.tar"]);
    image
}

/// TCP 0 and UDP 1 are CRI's numbers.
fn ports(tcp: u16, udp: u16) -> Value {
    json!([
        { "protocol": 0, "container_port": 80, "host_port": tcp },
        { "protocol": 1, "container_port": 53, "host_port": udp },
    ])
}

fn bridge() -> Value {
    json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.1.0.0/16" }], [{ "subnet": "fd00:1::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    })
}

fn portmap() -> Value {
    json!({ "type": "portmap", "capabilities": { "portMappings": true } })
}

/// Two pods on this network, by every way to their ports.
fn two_pods(plugins: &Value, annotations: &Value) {
    let world = World::of(Subject::named());
    let cri = Cri::start(&world, plugins);
    let one = cri.pod("one", &ports(8080, 5353), annotations);
    let two = cri.pod("two", &ports(8081, 5354), &json!({}));
    assert_eq!(one.addresses.len(), 2, "{:?}", one.addresses);
    let wan = Netns::new("wan");
    world.host.ip(&format!("link add wan0 type veth peer name wan0 netns {}", wan.name()));
    for (side, address) in [(&world.host, "203.0.113.1/24"), (&wan, "203.0.113.2/24")] {
        side.ip(&format!("address add {address} dev wan0"));
        side.ip("link set wan0 up");
    }
    for (from, to) in [(&wan, "203.0.113.1"), (&world.host, "127.0.0.1"), (&world.host, "10.1.0.1")]
    {
        one.hears(from, to, (8080, 5353));
        two.hears(from, to, (8081, 5354));
    }
    one.hears(&world.host, &one.addresses[0], (80, 53));
    one.hears(&world.host, &format!("[{}]", one.addresses[1]), (80, 53));
    cri.remove(&[&one, &two]);
}

#[test]
#[ignore = "needs root and containerd: ring clients"]
fn pods_with_ports_and_bandwidth() {
    let bandwidth = json!({ "type": "bandwidth", "capabilities": { "bandwidth": true } });
    let annotations = json!({
        "kubernetes.io/ingress-bandwidth": "10M", "kubernetes.io/egress-bandwidth": "10M",
    });
    two_pods(&json!([bridge(), portmap(), bandwidth]), &annotations);
}

#[test]
#[ignore = "needs root and containerd: ring clients"]
fn pods_with_firewall_and_tuning() {
    let more = [json!({ "type": "firewall" }), json!({ "type": "tuning", "mtu": 1400 })];
    let [firewall, tuning] = more;
    two_pods(&json!([bridge(), portmap(), firewall, tuning]), &json!({}));
}
