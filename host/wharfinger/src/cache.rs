//! Results that a runtime keeps (libcni's cache): read when the ledger is lost, never written.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};
use wharfinger_attach::conf::{self, Place};
use wharfinger_attach::recover::Cached;
use wharfinger_cni::{AttachmentId, NetConf, Success, Version};
use wharfinger_kernel::{AtPath, Kernel};

/// Where libcni keeps them, unless the runtime moved it.
pub(crate) const DIRECTORY: &str = "/var/lib/cni/results";

/// A file of the cache (libcni, `cachedInfo`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    container_id: String,
    if_name: String,
    network_name: String,
    /// The whole list, in base64.
    config: String,
    #[serde(default)]
    netns: String,
    #[serde(default)]
    result: Value,
}

/// The attachments of ours whose namespaces are there. A file that cannot be read tells nothing.
pub(crate) fn attachments(directory: &Path, kernel: &dyn Kernel) -> Vec<Cached> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().filter_map(|entry| attachment(&entry.path(), kernel)).collect()
}

fn attachment(path: &Path, kernel: &dyn Kernel) -> Option<Cached> {
    let file: File = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let conf = our_conf(&file)?;
    let success = Success::parse(conf.version, &file.result).ok()?;
    let path = netns_of(&file, &success)?;
    let AtPath::Netns(netns) = kernel.netns(Path::new(&path)).ok()? else { return None };
    Some(Cached {
        id: AttachmentId {
            network: file.network_name,
            container: file.container_id,
            ifname: file.if_name,
        },
        netns: path,
        cookie: Some(netns.cookie),
        domain: conf::domain_of(&conf).ok()?,
        addresses: success.ips.iter().map(|ip| ip.address.addr()).collect(),
        conf: serde_json::json!({ "network": conf.raw, "args": "", "path": [] }),
        result: Some(file.result),
    })
}

/// Where an attachment's namespace is, by the runtime's file of it.
pub(crate) fn netns(directory: &Path, id: &AttachmentId) -> Option<PathBuf> {
    let name = format!("{}-{}-{}", id.network, id.container, id.ifname);
    let file: File = serde_json::from_slice(&fs::read(directory.join(name)).ok()?).ok()?;
    let success = Success::parse(Version::V1_1_0, &file.result).unwrap_or_default();
    netns_of(&file, &success).map(PathBuf::from)
}

/// Where the namespace is: older releases of libcni tell only by the interfaces.
fn netns_of(file: &File, success: &Success) -> Option<String> {
    let sandboxes = success.interfaces.iter().map(|interface| &interface.sandbox);
    std::iter::once(&file.netns).chain(sandboxes).find(|path| !path.is_empty()).cloned()
}

/// The first plugin of the list that is ours, or asks us for addresses.
fn our_conf(file: &File) -> Option<NetConf> {
    let list = BASE64_STANDARD.decode(&file.config).ok()?;
    let list: Map<String, Value> = serde_json::from_slice(&list).ok()?;
    let plugins = match list.get("plugins").and_then(Value::as_array) {
        Some(plugins) => plugins.clone(),
        None => vec![Value::Object(list.clone())],
    };
    plugins.into_iter().find_map(|plugin| {
        let Value::Object(mut plugin) = plugin else { return None };
        for key in ["name", "cniVersion"] {
            if let Some(value) = list.get(key) {
                plugin.insert(key.to_owned(), value.clone());
            }
        }
        let bytes = serde_json::to_vec(&plugin).ok()?;
        let conf = NetConf::parse(&bytes, &Version::ALL).ok()?;
        matches!(conf::place(&conf).ok()?, Place::Main { .. } | Place::Ipam).then_some(conf)
    })
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
}
