//! Results that a runtime keeps (libcni's cache): what its files are, and what they tell when the
//! ledger is lost.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wharfinger_attach::conf;
use wharfinger_attach::recover::Cached;
use wharfinger_cni::{Attach, AttachmentId, NetConf, Success, Version};
use wharfinger_kernel::{AtPath, Kernel};

/// Where libcni keeps them, unless the runtime moved it.
pub(crate) const DIRECTORY: &str = "/var/lib/cni/results";

/// How libcni marks such a file.
const KIND: &str = "cniCacheV1";

/// A file of the cache (libcni, `cachedInfo`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kept {
    kind: String,
    container_id: String,
    /// The whole list, in base64.
    config: String,
    if_name: String,
    pub(crate) network_name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) netns: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) cni_args: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) capability_args: Map<String, Value>,
    #[serde(default)]
    pub(crate) result: Value,
}

impl Kept {
    /// Of this attachment, by this list.
    pub(crate) fn new(id: &AttachmentId, list: &Map<String, Value>) -> Self {
        Self {
            kind: KIND.to_owned(),
            container_id: id.container.clone(),
            config: BASE64_STANDARD.encode(Value::Object(list.clone()).to_string()),
            if_name: id.ifname.clone(),
            network_name: id.network.clone(),
            netns: String::new(),
            cni_args: Vec::new(),
            capability_args: Map::new(),
            result: Value::Null,
        }
    }

    /// Whose it is.
    pub(crate) fn id(&self) -> AttachmentId {
        AttachmentId {
            network: self.network_name.clone(),
            container: self.container_id.clone(),
            ifname: self.if_name.clone(),
        }
    }

    /// The list by which it was attached.
    pub(crate) fn list(&self) -> Option<Map<String, Value>> {
        serde_json::from_slice(&BASE64_STANDARD.decode(&self.config).ok()?).ok()
    }

    /// What a file has; what cannot be read is as good as nothing.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let kept: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (kept.kind == KIND).then_some(kept)
    }

    /// What is kept of an attachment.
    pub(crate) fn of(directory: &Path, id: &AttachmentId) -> Option<Self> {
        Self::read(&path(directory, id)).filter(|kept| kept.id() == *id)
    }
}

/// The file of an attachment.
pub(crate) fn path(directory: &Path, id: &AttachmentId) -> PathBuf {
    directory.join(format!("{}-{}-{}", id.network, id.container, id.ifname))
}

/// The attachments of ours whose namespaces are there. A file that cannot be read tells nothing.
pub(crate) fn attachments(directory: &Path, kernel: &dyn Kernel) -> Vec<Cached> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| of_file(&entry.path(), kernel)).flatten().collect()
}

/// What a file tells of each plugin of its list.
fn of_file(path: &Path, kernel: &dyn Kernel) -> Option<Vec<Cached>> {
    let file = Kept::read(path)?;
    let confs = confs(&file)?;
    let version = confs.first()?.version;
    let success = Success::parse(version, &file.result).ok()?;
    let path = netns_of(&file, &success)?;
    let AtPath::Netns(netns) = kernel.netns(Path::new(&path)).ok()? else { return None };
    let call = |conf| Attach {
        id: file.id(),
        netns: Some(PathBuf::from(&path)),
        args: file.cni_args.clone(),
        path: Vec::new(),
        netns_override: false,
        conf,
        prev_result: Some(success.clone()),
    };
    Some(confs.into_iter().filter_map(|conf| Cached::of(&call(conf), Some(netns.cookie))).collect())
}

/// Where an attachment's namespace is, by the runtime's file of it.
pub(crate) fn netns(directory: &Path, id: &AttachmentId) -> Option<PathBuf> {
    let file = Kept::of(directory, id)?;
    let success = Success::parse(Version::V1_1_0, &file.result).unwrap_or_default();
    netns_of(&file, &success).map(PathBuf::from)
}

/// Where the namespace is: older releases of libcni tell only by the interfaces.
fn netns_of(file: &Kept, success: &Success) -> Option<String> {
    let sandboxes = success.interfaces.iter().map(|interface| &interface.sandbox);
    std::iter::once(&file.netns).chain(sandboxes).find(|path| !path.is_empty()).cloned()
}

/// Each plugin of the list as it was called: name and version put in, and what the runtime gave
/// for the capabilities that it asks for.
fn confs(file: &Kept) -> Option<Vec<NetConf>> {
    let list = file.list()?;
    let plugins = match list.get("plugins").and_then(Value::as_array) {
        Some(plugins) => plugins.clone(),
        None => vec![Value::Object(list.clone())],
    };
    Some(plugins.into_iter().filter_map(|plugin| conf(file, &list, plugin)).collect())
}

fn conf(file: &Kept, list: &Map<String, Value>, plugin: Value) -> Option<NetConf> {
    let Value::Object(mut plugin) = plugin else { return None };
    for key in ["name", "cniVersion"] {
        if let Some(value) = list.get(key) {
            plugin.insert(key.to_owned(), value.clone());
        }
    }
    let asks = plugin.get("capabilities").and_then(Value::as_object);
    let asks = |name: &str| asks.and_then(|all| all.get(name)) == Some(&Value::Bool(true));
    let given = file.capability_args.iter().filter(|(name, _)| asks(name));
    let given: Map<String, Value> = given.map(|(name, v)| (name.clone(), v.clone())).collect();
    if !given.is_empty() {
        plugin.insert("runtimeConfig".to_owned(), Value::Object(given));
    }
    let mut conf = NetConf::parse(&serde_json::to_vec(&plugin).ok()?, &Version::ALL).ok()?;
    // By another's name it may be ours all the same; but not where it asks us for addresses.
    if conf::place(&conf).is_err() {
        conf.called.clone_from(&conf.plugin_type);
    }
    Some(conf)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharfinger_kernel::mem::MemKernel;

    use super::*;

    fn file(netns: Option<&str>) -> Value {
        let list = json!({
            "cniVersion": "1.0.0", "name": "pods",
            "plugins": [{ "type": "bridge", "ipam": { "type": "wharfinger", "plugin": "x" } }]
        });
        let mut file = json!({
            "kind": "cniCacheV1", "containerId": "c1", "ifName": "eth0", "networkName": "pods",
            "config": BASE64_STANDARD.encode(list.to_string()),
            "result": {
                "cniVersion": "1.0.0",
                "interfaces": [{ "name": "cni0" }, { "name": "eth0", "sandbox": "/run/netns/a" }],
                "ips": [{ "address": "10.1.0.5/16", "interface": 1 }]
            }
        });
        if let Some(netns) = netns {
            file["netns"] = json!(netns);
        }
        file
    }

    #[test]
    fn an_attachment_whose_interface_another_made_is_known_by_the_cache()
    -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let kernel = MemKernel::new();
        kernel.add_netns("/run/netns/a", 100);
        for netns in [Some("/run/netns/a"), None] {
            fs::write(dir.path().join("pods-c1-eth0"), file(netns).to_string())?;
            let found = attachments(dir.path(), &kernel);
            assert_eq!(found.len(), 1, "{netns:?}");
            assert_eq!(found[0].addresses, ["10.1.0.5".parse::<std::net::IpAddr>()?]);
            assert_eq!((found[0].cookie, found[0].domain.as_str()), (Some(100), "bridge:cni0"));
        }
        kernel.remove_netns("/run/netns/a");
        assert!(attachments(dir.path(), &kernel).is_empty(), "it is dead");
        fs::write(dir.path().join("torn"), "{")?;
        assert!(attachments(dir.path(), &kernel).is_empty());
        Ok(())
    }

    fn with(plugins: &Value) -> Value {
        let mut file = file(Some("/run/netns/a"));
        let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": plugins });
        file["config"] = json!(BASE64_STANDARD.encode(list.to_string()));
        file["cniArgs"] = json!([["IgnoreUnknown", "1"], ["K8S_POD_NAME", "web"]]);
        file["capabilityArgs"] = json!({ "mac": "02:00:00:00:00:01", "ips": [] });
        file
    }

    #[test]
    fn what_stands_around_others_is_known_with_what_it_was_given()
    -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let kernel = MemKernel::new();
        kernel.add_netns("/run/netns/a", 100);
        let plugins = json!([
            { "type": "wharfinger", "delegate": { "type": "macvlan" }, "capabilities": { "mac": true } },
            { "type": "wharfinger", "features": { "tuning": { "mtu": 1400 } } },
            { "type": "portmap" },
        ]);
        fs::write(dir.path().join("pods-c1-eth0"), with(&plugins).to_string())?;
        let found = attachments(dir.path(), &kernel);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].id.ifname, "eth0:wrapped:macvlan");
        assert!(found[0].sure && found[0].addresses.is_empty());
        let kept = &found[0].conf;
        let given = json!({ "mac": "02:00:00:00:00:01" });
        assert_eq!(kept["network"]["runtimeConfig"], given);
        assert_eq!(kept["network"]["name"], "pods");
        assert_eq!(kept["args"], "IgnoreUnknown=1;K8S_POD_NAME=web");
        Ok(())
    }

    #[test]
    fn a_lease_is_known_by_its_address_under_a_reference_name_too()
    -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let kernel = MemKernel::new();
        kernel.add_netns("/run/netns/a", 100);
        for (plugin, sure) in [
            (json!({ "type": "wharfinger", "driver": "bridge", "ipam": { "type": "dhcp" } }), true),
            (json!({ "type": "bridge", "ipam": { "type": "dhcp" } }), false),
            (json!({ "type": "x", "ipam": { "type": "wharfinger", "plugin": "dhcp" } }), true),
        ] {
            fs::write(dir.path().join("pods-c1-eth0"), with(&json!([plugin])).to_string())?;
            let found = attachments(dir.path(), &kernel);
            assert_eq!(found.len(), 1, "{plugin}");
            assert_eq!(found[0].sure, sure, "{plugin}");
            assert_eq!(found[0].conf["dhcp"]["had"], "10.1.0.5/16");
        }
        // Whose addresses a directory has are known from there.
        let other = json!([{ "type": "bridge", "ipam": { "type": "host-local" } }]);
        fs::write(dir.path().join("pods-c1-eth0"), with(&other).to_string())?;
        assert!(attachments(dir.path(), &kernel).is_empty());
        Ok(())
    }
}
