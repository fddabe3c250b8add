//! Finds a network's configuration as a runtime would.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Map, Value};
use wharfinger_attach::conf::OUR_TYPE;
use wharfinger_cni::{NetConf, Version};

/// Where runtimes have executables: all of the places that they come with.
#[derive(Debug, Args)]
pub(super) struct Folders {
    /// Where executables of plugins are, separated by colons
    #[arg(
        long,
        env = "CNI_PATH",
        default_value = "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni:/usr/local/libexec/cni"
    )]
    cni_path: String,
}

impl Folders {
    pub(super) fn all(&self) -> Vec<PathBuf> {
        std::env::split_paths(&self.cni_path).collect()
    }
}

/// The network `wanted`: a path where it has a separator or a known ending, otherwise a name in
/// `dir`. The entry of it that is ours.
pub(super) fn load(wanted: &str, dir: &Path) -> Result<NetConf> {
    let list = find(wanted, dir)?;
    let plugin = only_plugin(&list)?;
    conf(plugin)
}

/// A list as it is written.
pub(super) struct List {
    pub(super) map: Map<String, Value>,
    pub(super) plugins: Vec<Map<String, Value>>,
}

/// The list `wanted`: a path, or a name in `dir`.
pub(super) fn list(wanted: &str, dir: &Path) -> Result<List> {
    List::read(find(wanted, dir)?)
}

impl List {
    /// One plugin alone is a list of it.
    pub(super) fn read(map: Map<String, Value>) -> Result<Self> {
        let plugins = match map.get("plugins") {
            None => vec![map.clone()],
            Some(plugins) => {
                let plugins = plugins.as_array().context("\"plugins\" is not a list")?;
                let object = |plugin: &Value| plugin.as_object().cloned();
                let all: Option<Vec<_>> = plugins.iter().map(object).collect();
                all.context("\"plugins\" has what is no object")?
            }
        };
        if plugins.is_empty() {
            bail!("\"plugins\" is empty");
        }
        Ok(Self { map, plugins })
    }

    /// Whether it is one entry of ours, and nobody else's.
    pub(super) fn is_ours(&self) -> bool {
        let ours = |plugin: &Map<String, Value>| {
            plugin.get("type").and_then(Value::as_str) == Some(OUR_TYPE)
        };
        self.plugins.len() == 1 && self.plugins.iter().all(ours)
    }

    /// The plugins that are ours, or that ask us for addresses, each as it is configured.
    pub(super) fn ours(&self) -> Vec<Map<String, Value>> {
        let is = |object: &Map<String, Value>| {
            object.get("type").and_then(Value::as_str) == Some(OUR_TYPE)
        };
        let ours = |plugin: &&Map<String, Value>| {
            is(plugin) || plugin.get("ipam").and_then(Value::as_object).is_some_and(is)
        };
        self.plugins.iter().filter(ours).map(|plugin| within(&self.map, plugin)).collect()
    }

    /// The network's name.
    pub(super) fn name(&self) -> &str {
        self.map.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The version of the protocol.
    pub(super) fn version(&self) -> Version {
        let text = self.map.get("cniVersion").and_then(Value::as_str).unwrap_or_default();
        text.parse().unwrap_or(Version::V0_1_0)
    }

    /// libcni takes a boolean, or its name as a text.
    pub(super) fn flag(&self, key: &str) -> bool {
        match self.map.get(key) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }
    }
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
    let files = files(dir)?;
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

/// The files of a configuration directory, in the order in which runtimes read them.
pub(super) fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .with_context(|| format!("configuration directory {}", dir.display()))?
        .flatten()
        .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| known_ending(path))
        .collect();
    files.sort();
    Ok(files)
}

fn known_ending(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "conflist" || e == "conf" || e == "json")
}

pub(super) fn read(path: &Path) -> Result<Map<String, Value>> {
    // Of a directory's file nobody waits for who writes into it; of what is named by hand (`<(...)`) he does.
    if known_ending(path) && std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        bail!("{} is no regular file", path.display());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a JSON object", path.display()))
}

/// The list of a file, where its form is what runtimes take.
pub(super) fn formed(path: &Path) -> Result<List> {
    let map = read(path)?;
    let is_list = map.contains_key("plugins");
    if known_ending(path) && is_list != path.extension().is_some_and(|end| end == "conflist") {
        bail!(
            "the ending .conflist is for lists (\"plugins\"), the others for one plugin (\"type\")"
        );
    }
    let list = List::read(map)?;
    if list.name().is_empty() {
        bail!("it has no \"name\"");
    }
    let named = |plugin: &Map<String, Value>| {
        plugin.get("type").and_then(Value::as_str).is_some_and(|name| !name.is_empty())
    };
    if !list.plugins.iter().all(named) {
        bail!("a plugin of it has no \"type\"");
    }
    Ok(list)
}

/// The plugin's object with what the list says for all: name and version.
fn only_plugin(list: &Map<String, Value>) -> Result<Map<String, Value>> {
    let Some(plugins) = list.get("plugins") else { return Ok(list.clone()) };
    let plugins = plugins.as_array().context("\"plugins\" is not a list")?;
    let ours = |plugin: &&Value| plugin.get("type").and_then(Value::as_str) == Some(OUR_TYPE);
    let mut ours = plugins.iter().filter(ours).filter_map(Value::as_object);
    let (Some(plugin), None) = (ours.next(), ours.next()) else {
        bail!(
            "the list has no entry of type {OUR_TYPE:?}, or several: `wharfinger conf convert` makes \
             one of a list of the reference plugins"
        );
    };
    Ok(within(list, plugin))
}

fn within(list: &Map<String, Value>, plugin: &Map<String, Value>) -> Map<String, Value> {
    let mut plugin = plugin.clone();
    for key in ["name", "cniVersion"] {
        if let Some(value) = list.get(key) {
            plugin.insert(key.to_owned(), value.clone());
        }
    }
    plugin
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_ours_by_their_type_or_by_whom_they_ask() -> Result<()> {
        let list = json!({ "name": "pods", "cniVersion": "1.1.0", "plugins": [
            { "type": "wharfinger", "driver": "bridge" },
            { "type": "bridge", "ipam": { "type": "host-local" } },
            { "type": "macvlan", "ipam": { "type": "wharfinger", "plugin": "host-local" } },
        ] });
        let ours = List::read(list.as_object().cloned().unwrap_or_default())?.ours();
        let types: Vec<_> = ours.iter().map(|plugin| &plugin["type"]).collect();
        assert_eq!(types, ["wharfinger", "macvlan"]);
        assert!(ours.iter().all(|plugin| plugin["name"] == "pods"));
        Ok(())
    }

    #[test]
    fn nobody_waits_for_what_is_no_file() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let pipe = dir.path().join("10-pipe.conflist");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)?;
        std::fs::create_dir(dir.path().join("20-folder.conf"))?;
        assert_eq!(files(dir.path())?, [pipe.as_path()], "runtimes pass over directories");
        let error = read(&pipe).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.ends_with("10-pipe.conflist is no regular file"), "{error}");
        Ok(())
    }

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
