//! Where things are: by the environment, or the usual places.

use std::ffi::OsString;
use std::path::PathBuf;

/// The directories and the file that belong to the executable.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// What a reboot ends: the ledger, locks, events.
    pub(crate) run: PathBuf,
    /// What outlives a reboot.
    pub(crate) lib: PathBuf,
    /// The node's TOML file, which may be absent.
    pub(crate) config: PathBuf,
}

impl Paths {
    /// By the environment; outside the initial user namespace, by default, the user's own places.
    pub(crate) fn from_env(var: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| var(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let fallback = default_paths(&path);
        Self {
            run: path("WHARFINGER_RUN_DIR").unwrap_or(fallback.run),
            lib: path("WHARFINGER_LIB_DIR").unwrap_or(fallback.lib),
            config: path("WHARFINGER_CONFIG").unwrap_or(fallback.config),
        }
    }
}

fn default_paths(path: &impl Fn(&str) -> Option<PathBuf>) -> Paths {
    if initial_user_namespace() {
        return Paths {
            run: "/run/wharfinger".into(),
            lib: "/var/lib/wharfinger".into(),
            config: "/etc/wharfinger/config.toml".into(),
        };
    }
    let home = path("HOME").unwrap_or_else(|| "/root".into());
    let run = path("XDG_RUNTIME_DIR").unwrap_or_else(|| "/run".into());
    let lib = path("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
    let config = path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
    Paths {
        run: run.join("wharfinger"),
        lib: lib.join("wharfinger"),
        config: config.join("wharfinger/config.toml"),
    }
}

/// user_namespaces(7): the initial one maps all users to themselves.
fn initial_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]))
}
