//! Results that a runtime keeps (libcni's cache): read when the ledger is lost, never written.

use std::fs;
use std::path::Path;

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
    let AtPath::Netns(netns) = kernel.netns(Path::new(&file.netns)).ok()? else { return None };
    let success = Success::parse(conf.version, &file.result).ok()?;
    Some(Cached {
        id: AttachmentId {
            network: file.network_name,
            container: file.container_id,
            ifname: file.if_name,
        },
        netns: file.netns,
        cookie: Some(netns.cookie),
        domain: conf::domain_of(&conf).ok()?,
        addresses: success.ips.iter().map(|ip| ip.address.addr()).collect(),
        conf: serde_json::json!({ "network": conf.raw, "args": [], "path": [] }),
        result: Some(file.result),
    })
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
