//! Finds a network's configuration as a runtime would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use wharfinger_attach::conf::OUR_TYPE;
use wharfinger_cni::{NetConf, Version};

/// The network `wanted`: a path where it has a separator or a known ending, otherwise a name in
/// `dir`. Its one plugin must be ours.
pub(super) fn load(wanted: &str, dir: &Path) -> Result<NetConf> {
    let list = find(wanted, dir)?;
    let plugin = only_plugin(&list)?;
    conf(plugin)
}

/// Checked as the protocol checks what comes on standard input.
pub(super) fn conf(plugin: Map<String, Value>) -> Result<NetConf> {
    let json = Value::Object(plugin).to_string();
    NetConf::parse(json.as_bytes(), &Version::ALL).map_err(super::explained)
}

fn find(wanted: &str, dir: &Path) -> Result<Map<String, Value>> {
    let path = Path::new(wanted);
    if wanted.contains('/') || known_ending(path) {
        return read(path);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("configuration directory {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| known_ending(path))
        .collect();
    files.sort();
    // A broken file is another network's trouble, unless ours is nowhere else.
    let mut broken = Vec::new();
    let named =
        |list: &Map<String, Value>| list.get("name").and_then(Value::as_str) == Some(wanted);
    for path in &files {
        match read(path) {
            Ok(list) if named(&list) => return Ok(list),
            Ok(_) => {}
            Err(error) => broken.push(format!("; {error:#}")),
        }
    }
    bail!("no network {wanted:?} in {}{}", dir.display(), broken.concat())
}

fn known_ending(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "conflist" || e == "conf" || e == "json")
}

fn read(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a JSON object", path.display()))
}

/// The plugin's object with what the list says for all: name and version.
fn only_plugin(list: &Map<String, Value>) -> Result<Map<String, Value>> {
    let Some(plugins) = list.get("plugins") else { return Ok(list.clone()) };
    let plugins = plugins.as_array().context("\"plugins\" is not a list")?;
    let [Value::Object(plugin)] = plugins.as_slice() else {
        bail!(
            "only lists of one plugin are run by hand in this version; this one has {}",
            plugins.len()
        );
    };
    let mut plugin = plugin.clone();
    for key in ["name", "cniVersion"] {
        if let Some(value) = list.get(key) {
            plugin.insert(key.to_owned(), value.clone());
        }
    }
    match plugin.get("type").and_then(Value::as_str) {
        Some(OUR_TYPE) => Ok(plugin),
        other => bail!(
            "only plugins of type {OUR_TYPE:?} are run by hand in this version, not {other:?}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_is_nowhere_names_the_files_that_cannot_be_read() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let pods =
            r#"{"name": "pods", "cniVersion": "1.1.0", "plugins": [{"type": "wharfinger"}]}"#;
        std::fs::write(dir.path().join("10-pods.conflist"), pods)?;
        std::fs::write(dir.path().join("05-web.conflist"), "{,")?;
        assert!(find("pods", dir.path()).is_ok(), "another's trouble");
        let error = find("web", dir.path()).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("05-web.conflist is not a JSON object"), "{error}");
        assert!(!error.contains("10-pods"), "{error}");
        Ok(())
    }
}
