//! What the tests need from the machine: programs by the distribution's packages, and the
//! reference plugins by the Go module proxy.

use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use crate::command::{complain, find, is_root, must, program, say, text, within, workspace};

/// A program, and the Debian package that has it.
const PROGRAMS: [(&str, &str); 40] = [
    ("musl-gcc", "musl-tools"),
    ("protoc", "protobuf-compiler"),
    (PROTOS, "libprotobuf-dev"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("iptables-legacy", "iptables"),
    // The older version of the reference plugins, which nodes change over from as well.
    ("/usr/lib/cni/firewall", "containernetworking-plugins"),
    ("dbus-daemon", "dbus-daemon"),
    ("firewalld", "firewalld"),
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("wget", "wget"),
    ("curl", "curl"),
    ("ping", "iputils-ping"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("strace", "strace"),
    ("conntrack", "conntrack"),
    ("busybox", "busybox-static"),
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("podman", "podman"),
    ("python3", "python3"),
    ("timeout", "coreutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("dhcpd", "isc-dhcp-server"),
    ("promtool", "prometheus"),
    ("dpkg-deb", "dpkg"),
    ("/usr/lib/python3/dist-packages/jsonschema/__init__.py", "python3-jsonschema"),
    ("etcd", "etcd-server"),
    ("etcdctl", "etcd-client"),
    ("openssl", "openssl"),
    // Plugins in C.
    ("clang-19", "clang-19"),
    ("wasm-ld-19", "lld-19"),
    (WASI_LIBC, "wasi-libc"),
    (CLANG_RT, "libclang-rt-19-dev-wasm32"),
    ("make", "make"),
    ("cc", "gcc"),
    // The largest of the corpus.
    ("xz", "xz-utils"),
];

/// What etcd's messages are made of, which a bare `protoc` is without.
pub(crate) const PROTOS: &str = "/usr/include/google/protobuf/descriptor.proto";

/// By these files the packages are known that have no program: a libc for Wasm, and what its compiler
/// calls.
pub(crate) const WASI_LIBC: &str = "/usr/lib/wasm32-wasi/libc.a";
pub(crate) const CLANG_RT: &str =
    "/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a";

/// The reference plugins' release, and that of libcni's cnitool.
const PLUGINS: &str = "v1.9.1";
const CNITOOL: &str = "v1.3.0";
/// That of Whereabouts.
pub(crate) const WHEREABOUTS: &str = "v0.9.2";
/// That of Multus.
const MULTUS: &str = "v4.2.4";

/// Their packages.
const REFERENCE: [&str; 18] = [
    "main/bridge",
    "main/ptp",
    "main/macvlan",
    "main/ipvlan",
    "main/vlan",
    "main/host-device",
    "main/dummy",
    "main/tap",
    "main/loopback",
    "ipam/host-local",
    "ipam/static",
    "ipam/dhcp",
    "meta/portmap",
    "meta/bandwidth",
    "meta/firewall",
    "meta/tuning",
    "meta/sbr",
    "meta/vrf",
];

/// Their names.
pub(crate) fn plugin_names() -> impl Iterator<Item = &'static str> {
    REFERENCE.iter().filter_map(|package| Some(package.split_once('/')?.1))
}

/// Installs what is missing, as root; otherwise says what is missing. Whether all is there.
pub(crate) fn install(wanted: &[&str]) -> Result<bool> {
    let missing: Vec<(&str, &str)> = PROGRAMS
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(name))
        .filter(|(name, _)| find(name).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(true);
    }
    let mut wanted: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    wanted.dedup();
    Ok(packages(&wanted)? && missing.iter().all(|(name, _)| find(name).is_some()))
}

/// Installs Debian's packages, as root; otherwise says that they are missing. Whether it did.
pub(crate) fn packages(packages: &[&str]) -> Result<bool> {
    if !is_root() || find("apt-get").is_none() {
        complain(&format!("missing here: Debian's packages {}", packages.join(" ")));
        return Ok(false);
    }
    within(&APT, |()| {
        say(&format!("installing {}", packages.join(" ")));
        apt(packages)
    })?;
    Ok(true)
}

/// It refuses a second one.
static APT: Mutex<()> = Mutex::new(());

fn apt(packages: &[&str]) -> Result<()> {
    let install = "apt-get install -y -q --no-install-recommends";
    let once = || {
        let mut command = program(install);
        command.args(packages).env("DEBIAN_FRONTEND", "noninteractive");
        must(&mut command)
    };
    if once().is_err() {
        must(&mut program("apt-get update -q"))?;
        once()?;
    }
    Ok(())
}

/// The directory of the reference plugins, of cnitool and of our client of the CRI socket: built
/// once.
pub(crate) fn reference() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("WHARFINGER_TEST_REF") {
        return Ok(PathBuf::from(dir));
    }
    let dir = workspace().join("target/ref");
    let stamp = dir.join(".release");
    let client = workspace().join("tests/cri");
    let source = |name: &str| std::fs::read_to_string(client.join(name)).unwrap_or_default();
    let (modules, main) = (source("go.mod"), source("main.go"));
    let all = REFERENCE.len();
    let release = format!("{all} plugins {PLUGINS}, cnitool {CNITOOL}, cri:\n{modules}{main}");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == release) {
        return Ok(dir);
    }
    if find("go").is_none() {
        bail!("no `go` here to build the reference plugins {PLUGINS} with");
    }
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    say(&format!("building the reference plugins {PLUGINS} and cnitool {CNITOOL}"));
    let module = "github.com/containernetworking/plugins";
    let flag = format!("-s -w -X {module}/pkg/utils/buildversion.BuildVersion={PLUGINS}");
    let mut plugins = program("go install -ldflags");
    plugins.arg(flag).args(REFERENCE.map(|name| format!("{module}/plugins/{name}@{PLUGINS}")));
    must(plugins.env("GOBIN", &dir).env("CGO_ENABLED", "0"))?;
    let tool = format!("github.com/containernetworking/cni/cnitool@{CNITOOL}");
    must(program("go install").arg(tool).env("GOBIN", &dir))?;
    let mut build = program("go build -o");
    build.arg(dir.join("cri")).arg(".").current_dir(&client);
    must(build.env("CGO_ENABLED", "0"))?;
    std::fs::write(&stamp, release).with_context(|| stamp.display().to_string())?;
    Ok(dir)
}

/// The executable of Whereabouts, and the directory of its kinds: built once.
pub(crate) fn whereabouts() -> Result<(PathBuf, PathBuf)> {
    let module = format!("github.com/k8snetworkplumbingwg/whereabouts@{WHEREABOUTS}");
    let executable = of_module(&format!("whereabouts-{WHEREABOUTS}"), &module, "./cmd")?;
    Ok((executable, source(&module)?.join("doc/crds")))
}

/// Multus, the plugin without a daemon, which runs us as one of several: built once, in minutes.
pub(crate) fn multus() -> Result<PathBuf> {
    let module = format!("gopkg.in/k8snetworkplumbingwg/multus-cni.v4@{MULTUS}");
    of_module(&format!("multus-{MULTUS}"), &module, "./cmd/multus")
}

/// An executable that is built once of a module of Go's.
fn of_module(name: &str, module: &str, main: &str) -> Result<PathBuf> {
    let executable = workspace().join("target/tools").join(name);
    if !executable.is_file() {
        say(&format!("building {name}"));
        let mut build = program("go build -o");
        build.arg(&executable).arg(main).current_dir(source(module)?);
        must(build.env("CGO_ENABLED", "0"))?;
    }
    Ok(executable)
}

/// Where the source of a module of Go's is.
fn source(module: &str) -> Result<PathBuf> {
    if find("go").is_none() {
        bail!("no `go` here to get {module} with");
    }
    let said = text(program("go mod download -json").arg(module))?;
    let said: serde_json::Value =
        serde_json::from_str(&said).context("what go says of a module")?;
    let source = said.get("Dir").and_then(serde_json::Value::as_str);
    Ok(PathBuf::from(source.context("the directory of a module")?))
}
