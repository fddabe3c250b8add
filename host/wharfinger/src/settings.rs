//! Where things are, and what the operator set for the whole node.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use wharfinger_attach::{GcMode, Settings};
use wharfinger_wasm::Limits;

/// How long a verb may take where the node's file says nothing: below what runtimes wait.
const DEADLINE: u64 = 30;

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

/// The node's TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    gc: Option<Gc>,
    deadline: Option<u64>,
    #[serde(default)]
    node: NodeSection,
    #[serde(default)]
    limits: LimitsSection,
}

/// What is not said is the default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LimitsSection {
    deadline: Option<f64>,
    memory: Option<usize>,
    stack: Option<usize>,
    table_elements: Option<usize>,
    instances: Option<usize>,
    hostcall_bytes: Option<usize>,
    ledger_calls: Option<u32>,
    log: Option<usize>,
    returned: Option<usize>,
}

impl LimitsSection {
    fn limits(&self) -> Result<Limits> {
        let default = Limits::default();
        let deadline = self.deadline.map(Duration::try_from_secs_f64).transpose();
        Ok(Limits {
            deadline: deadline.context("limits.deadline")?.unwrap_or(default.deadline),
            memory: self.memory.unwrap_or(default.memory),
            stack: self.stack.unwrap_or(default.stack),
            table_elements: self.table_elements.unwrap_or(default.table_elements),
            instances: self.instances.unwrap_or(default.instances),
            hostcall_bytes: self.hostcall_bytes.unwrap_or(default.hostcall_bytes),
            ledger_calls: self.ledger_calls.unwrap_or(default.ledger_calls),
            log: self.log.unwrap_or(default.log),
            returned: self.returned.unwrap_or(default.returned),
        })
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Gc {
    Listed,
    DeadOnly,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NodeSection {
    name: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// What the node's file says, with defaults for the rest.
pub(crate) struct Configured {
    pub(crate) settings: Settings,
    /// For one verb.
    pub(crate) deadline: Duration,
    /// For one call of a component.
    pub(crate) limits: Limits,
}

/// Reads the node's file; one that is not there says nothing.
pub(crate) fn read(path: &Path) -> Result<Configured> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    parse(&text).with_context(|| format!("node settings {}", path.display()))
}

/// What counts where the node's file cannot be read: for a DEL, which is not kept up by that.
pub(crate) fn defaults() -> Configured {
    Configured {
        settings: Settings::default(),
        deadline: Duration::from_secs(DEADLINE),
        limits: Limits::default(),
    }
}

fn parse(text: &str) -> Result<Configured> {
    let file: File = toml::from_str(text)?;
    let gc = match file.gc {
        Some(Gc::DeadOnly) => GcMode::DeadOnly,
        Some(Gc::Listed) | None => GcMode::Listed,
    };
    let name = file.node.name.or_else(hostname).unwrap_or_default();
    let node = wharfinger_wasm::Node { name, labels: file.node.labels, now: 0 };
    Ok(Configured {
        settings: Settings { gc, node },
        limits: file.limits.limits()?,
        deadline: Duration::from_secs(file.deadline.unwrap_or(DEADLINE)),
    })
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() -> Result<()> {
        let configured = parse("")?;
        assert_eq!(configured.settings.gc, GcMode::Listed);
        assert_eq!(configured.deadline, Duration::from_secs(30));
        Ok(())
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = parse("gcc = \"dead-only\"").err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("gcc"), "{error}");
    }

    #[test]
    fn a_limit_that_is_not_set_is_the_default() -> Result<()> {
        let configured = parse("[limits]\ndeadline = 0.25\nmemory = 1048576\n")?;
        assert_eq!(configured.limits.deadline, Duration::from_millis(250));
        assert_eq!(configured.limits.memory, 1 << 20);
        assert_eq!(configured.limits.stack, Limits::default().stack);
        assert!(parse("[limits]\ndeadline = -1.0\n").is_err());
        Ok(())
    }

    #[test]
    fn labels_reach_the_plugins() -> Result<()> {
        let text = "gc = \"dead-only\"\n[node]\nname = \"n1\"\n[node.labels]\nzone = \"a\"\n";
        let configured = parse(text)?;
        assert_eq!(configured.settings.gc, GcMode::DeadOnly);
        assert_eq!(configured.settings.node.name, "n1");
        assert_eq!(configured.settings.node.labels.get("zone").map(String::as_str), Some("a"));
        Ok(())
    }
}
