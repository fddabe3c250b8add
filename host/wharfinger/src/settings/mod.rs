//! Where things are, and what the operator set for the whole node.

mod cluster;
mod kubernetes;
mod limits;
mod paths;
mod plugins;
mod policies;
mod trace;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use wharfinger_attach::{GcMode, Settings};
use wharfinger_kube::Kube;
use wharfinger_wasm::Limits;

pub(crate) use self::cluster::{Cluster, Place};
use self::cluster::{EtcdSection, Kind};
use self::kubernetes::KubernetesSection;
use self::limits::LimitsSection;
pub(crate) use self::paths::Paths;
pub(crate) use self::plugins::Plugins;
use self::policies::{AllowSection, PolicySection};
use self::trace::TraceSection;

/// Seconds that a verb may take where the node's file says nothing: below what runtimes wait.
const DEADLINE: u64 = 30;
/// What it may say.
const DEADLINES: RangeInclusive<u64> = 1..=3600;

/// The node's TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    gc: Option<Gc>,
    deadline: Option<u64>,
    #[serde(default)]
    detach_only: bool,
    #[serde(default)]
    ledger: Kind,
    etcd: Option<EtcdSection>,
    kubernetes: Option<KubernetesSection>,
    #[serde(default)]
    node: NodeSection,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    plugins: BTreeMap<String, plugins::Section>,
    #[serde(default)]
    policies: Vec<PolicySection>,
    #[serde(default)]
    allow: AllowSection,
    trace: Option<TraceSection>,
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
    /// What single components may have.
    pub(crate) plugins: Plugins,
    /// Nothing is attached any more: the node is being left.
    pub(crate) detach_only: bool,
    /// The book is the cluster's.
    pub(crate) cluster: Option<Cluster>,
    /// Kubernetes' API server; nothing is asked of it before something is needed.
    pub(crate) kubernetes: Option<Kube>,
    /// Where spans of verbs are sent; none: there are none.
    pub(crate) trace: Option<SocketAddr>,
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

/// Whether this would be a node's file.
pub(crate) fn check(text: &str) -> Result<()> {
    parse(text).map(drop)
}

/// What counts where the node's file cannot be read: for a DEL, which is not kept up by that.
pub(crate) fn defaults() -> Configured {
    Configured {
        settings: Settings::default(),
        deadline: Duration::from_secs(DEADLINE),
        limits: Limits::default(),
        plugins: Plugins::default(),
        cluster: None,
        kubernetes: None,
        detach_only: false,
        trace: None,
    }
}

fn parse(text: &str) -> Result<Configured> {
    let file: File = toml::from_str(text)?;
    let deadline = file.deadline.unwrap_or(DEADLINE);
    ensure!(DEADLINES.contains(&deadline), "deadline is {deadline}: 1 to 3600 seconds");
    let gc = match file.gc {
        Some(Gc::DeadOnly) => GcMode::DeadOnly,
        Some(Gc::Listed) | None => GcMode::Listed,
    };
    let name = file.node.name.or_else(hostname).unwrap_or_default();
    let node = wharfinger_wasm::Node { name, labels: file.node.labels, now: 0 };
    let limits = file.limits.over(&Limits::default(), "limits")?;
    let plugins = Plugins::new(file.limits, file.plugins)?;
    let amend = plugins.amend();
    policies::check_amend(&amend)?;
    let policies = PolicySection::all(file.policies)?;
    let size = file.kubernetes.as_ref().and_then(|section| section.block_size);
    let kubernetes = file.kubernetes.map(KubernetesSection::kube).transpose()?;
    let cluster = Cluster::read(file.ledger, file.etcd, kubernetes.as_ref(), size)?;
    if cluster.is_some() && node.name.is_empty() {
        anyhow::bail!("a node of a cluster needs a name: [node] name, or a host name");
    }
    let no_keys = cluster.as_ref().and_then(Cluster::no_keys);
    Ok(Configured {
        settings: Settings { gc, node, policies, allow: file.allow.allow()?, amend, no_keys },
        limits,
        plugins,
        cluster,
        kubernetes,
        detach_only: file.detach_only,
        trace: file.trace.map(|trace| trace.collector()).transpose()?,
        deadline: Duration::from_secs(deadline),
    })
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() -> Result<()> {
        let configured = parse("")?;
        assert_eq!(configured.settings.gc, GcMode::Listed);
        assert_eq!(configured.deadline, Duration::from_secs(30));
        Ok(())
    }

    #[test]
    fn a_clusters_book_is_named_and_checked() -> Result<()> {
        let etcd = "ledger = \"etcd\"\n[etcd]\nendpoints = [\"http://127.0.0.1:2379\"]\n";
        let cluster = parse(etcd)?.cluster.ok_or_else(|| anyhow::anyhow!("no cluster"))?;
        assert!(matches!(&cluster.place, Place::Etcd(etcd) if etcd.prefix == "wharfinger"));
        assert_eq!((cluster.lease, cluster.dead_after), (Duration::from_secs(15), None));
        assert!(parse("")?.cluster.is_none());
        let says = |text: String, what: &str| {
            let error = parse(&text).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(what), "{error}");
        };
        says("ledger = \"etcd\"".into(), "needs [etcd]");
        says(etcd.replace("ledger", "# "), "ledger = \"etcd\" is not");
        says(format!("{etcd}block-size = 3\n"), "a power of two");
        says(format!("{etcd}dead-after = 20\n"), "at least four leases");
        says(format!("{etcd}cert = \"/a\"\n"), "cert and key go together");
        Ok(())
    }

    #[test]
    fn a_book_in_kubernetes_needs_credentials() -> Result<()> {
        let kubernetes = "ledger = \"kubernetes\"\n[kubernetes]\n";
        let ok = format!("{kubernetes}kubeconfig = \"/k\"\n");
        let cluster = parse(&ok)?.cluster.ok_or_else(|| anyhow::anyhow!("no cluster"))?;
        assert!(matches!(cluster.place, Place::Kubernetes(_)));
        let says = |text: &str, what: &str| {
            let error = parse(text).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(what), "{error}");
        };
        says(kubernetes, "needs kubeconfig");
        says("ledger = \"kubernetes\"", "needs [kubernetes]");
        says(&format!("{kubernetes}block-size = 4\n").replace("ledger", "#"), "needs kubeconfig");
        says(&format!("{ok}block-size = 5\n"), "kubernetes.block-size is 5");
        says(&format!("{ok}insecure = true\n"), "insecure");
        Ok(())
    }

    #[test]
    fn a_misspelt_key_is_named() {
        let error = parse("gcc = \"dead-only\"").err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("gcc"), "{error}");
    }

    #[test]
    fn a_deadline_that_no_clock_has_is_refused() -> Result<()> {
        for seconds in [0, 3601, i64::MAX] {
            let error = parse(&format!("deadline = {seconds}")).err().map(|e| e.to_string());
            let said = format!("deadline is {seconds}: 1 to 3600 seconds");
            assert_eq!(error.as_deref(), Some(&*said));
        }
        assert_eq!(parse("deadline = 3600")?.deadline, Duration::from_hours(1));
        Ok(())
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

    /// What serde would take in a section: it says so where a key is not known.
    fn keys_of(section: &str) -> BTreeSet<String> {
        let text = format!("{section}\nno-such-key = 1\n");
        let error = toml::from_str::<File>(&text).expect_err(section).to_string();
        let (_, listed) = error.split_once("expected").expect("what is expected");
        listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_schema_knows_each_key() -> Result<()> {
        let schema: Value = serde_json::from_str(crate::cli::NODE_SCHEMA)?;
        let http = "[[plugins.a.http]]\nscheme = \"http\"\nhost = \"h\"\nmethods = [\"GET\"]";
        for (section, place) in [
            ("", "/properties"),
            ("[node]", "/properties/node/properties"),
            ("[limits]", "/definitions/limits/properties"),
            ("[plugins.a.limits]", "/definitions/limits/properties"),
            ("[plugins.a]", "/definitions/plugin/properties"),
            (http, "/definitions/http/properties"),
            ("[etcd]\nendpoints = []", "/definitions/etcd/properties"),
            ("[kubernetes]", "/definitions/kubernetes/properties"),
            ("[[policies]]\nplugin = \"a\"", "/definitions/policy/properties"),
            ("[allow]", "/definitions/allow/properties"),
            ("[trace]\nendpoint = \"\"", "/properties/trace/properties"),
        ] {
            let described = schema.pointer(place).and_then(Value::as_object).context(place)?;
            let described: BTreeSet<String> = described.keys().cloned().collect();
            assert_eq!(described, keys_of(section), "{section}");
        }
        Ok(())
    }
}
