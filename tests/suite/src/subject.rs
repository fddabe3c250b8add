//! What is under test: our executable and what is packed of it, or (to try the tests themselves) the reference
//! plugins.

use std::path::{Path, PathBuf};

/// Which executables the tests drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Ours: one executable, `"type": "wharfinger"`.
    Ours,
    /// Ours under the names of the reference plugins, with their configurations.
    Named,
    /// The reference plugins, each an executable of its own. Chosen by
    /// `WHARFINGER_TEST_SUBJECT=reference`; it shows that a test asks for what plugins do at all.
    Reference,
}

/// The names of the reference plugins.
pub const NAMES: [&str; 18] = [
    "bandwidth",
    "bridge",
    "dhcp",
    "dummy",
    "firewall",
    "host-device",
    "host-local",
    "ipvlan",
    "loopback",
    "macvlan",
    "portmap",
    "ptp",
    "sbr",
    "static",
    "tap",
    "tuning",
    "vlan",
    "vrf",
];

impl Subject {
    /// Ours under the names of the reference plugins, unless the environment names those.
    pub fn named() -> Self {
        if Self::current() == Self::Reference { Self::Reference } else { Self::Named }
    }

    /// The one that the environment names.
    pub fn current() -> Self {
        match std::env::var("WHARFINGER_TEST_SUBJECT").as_deref() {
            Ok("reference") => Self::Reference,
            _ => Self::Ours,
        }
    }
}

/// The executable under test: `WHARFINGER_TEST_BIN`, or the release that `cargo xtask build` makes.
#[track_caller]
pub fn executable() -> PathBuf {
    let path = std::env::var_os("WHARFINGER_TEST_BIN")
        .map_or_else(|| workspace().join("target/release/wharfinger"), PathBuf::from);
    assert!(path.is_file(), "no executable at {}: `cargo xtask build` makes it", path.display());
    path
}

/// The reference plugins and cnitool: `WHARFINGER_TEST_REF`, or where `cargo xtask test` puts them.
#[track_caller]
pub fn reference() -> PathBuf {
    let path = std::env::var_os("WHARFINGER_TEST_REF")
        .map_or_else(|| workspace().join("target/ref"), PathBuf::from);
    assert!(path.join("bridge").is_file(), "no reference plugins in {}", path.display());
    path
}

/// The client of the CRI socket, beside the reference plugins.
#[track_caller]
pub fn cri_client() -> String {
    let path = reference().join("cri");
    assert!(path.is_file(), "no {}: `cargo xtask test` builds it", path.display());
    path.display().to_string()
}

/// What `cargo xtask dist` made whose name ends so; in `WHARFINGER_TEST_DIST`, or for this machine's processor.
#[track_caller]
pub fn packed(end: &str) -> PathBuf {
    let dist = std::env::var_os("WHARFINGER_TEST_DIST").map_or_else(
        || workspace().join("target/dist").join(std::env::consts::ARCH),
        PathBuf::from,
    );
    let mut entries = std::fs::read_dir(&dist).into_iter().flatten().flatten();
    match entries.find(|entry| entry.file_name().to_string_lossy().ends_with(end)) {
        Some(entry) => entry.path(),
        None => panic!("no {end} in {}: `cargo xtask dist` makes it", dist.display()),
    }
}

/// The repository.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().and_then(Path::parent).unwrap_or(here).to_owned()
}

/// Fails where the test may not make namespaces.
#[track_caller]
pub fn need_root() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let root = uid.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0");
    assert!(root, "needs root, or a user namespace: `cargo xtask test` starts it so");
}
