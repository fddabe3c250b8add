//! `wharfinger conf convert`: a list of reference plugins as one entry of ours.
//!
//! Nothing is dropped in silence: each change is said, and what cannot be said in our own
//! configuration is refused. Pure but for reading the file.

mod init;
mod lint;
mod schema;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use wharfinger_attach::conf::{self, OUR_TYPE};
use wharfinger_attach::names::{self, Kind};
use wharfinger_cni::conf::fold_eq;

#[cfg(test)]
pub(crate) use self::schema::NODE as NODE_SCHEMA;
use super::{Answer, Output, network, told};
use crate::program::Program;

/// Where the reference `host-local` keeps reservations unless it is told otherwise.
const DATA_DIR: &str = "/var/lib/cni/networks";

#[derive(Debug, Subcommand)]
pub(super) enum Conf {
    /// Print a list of reference plugins as one entry of wharfinger, and what changes by that
    #[command(after_help = "With --json: an object of `network`, the list, and `changes`")]
    Convert(Convert),
    /// Print a new network; asks for what is not given, where it runs on a terminal
    #[command(
        after_help = "With --json: an object of `network`, the list, and `file`; nothing is asked"
    )]
    Init(init::Init),
    /// Say what is wrong with networks' files, and their components' own parts
    #[command(
        after_help = "With --json: a list of findings; one whose `level` is `notice` is no trouble"
    )]
    Lint(lint::Lint),
    /// Print the JSON Schema of a network's configuration, or of the node's settings, for editors
    #[command(after_help = "With --json: as without")]
    Schema(schema::Schema),
}

#[derive(Debug, Args)]
pub(super) struct Convert {
    /// The conflist
    #[arg(value_name = "CONFLIST")]
    path: PathBuf,
}

impl Conf {
    pub(super) fn run(&self, program: &Program, output: Output) -> Result<Answer> {
        let path = match self {
            Self::Convert(Convert { path }) => path,
            Self::Init(init) => return init.run(output),
            Self::Lint(lint) => return Ok(lint.run(program)),
            Self::Schema(schema) => return schema.run(),
        };
        let list = network::read(path)?;
        let Converted { list, said } =
            convert(&list).with_context(|| format!("{} cannot be converted", path.display()))?;
        for line in said.iter().filter(|_| !output.json) {
            // Nobody listens: the configuration is what was asked for.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        let list = Value::Object(list);
        Ok(Answer::new(format!("{list:#}\n"), json!({ "network": list, "changes": said })))
    }
}

/// A list, and how it differs from what it was made of.
struct Converted {
    list: Map<String, Value>,
    said: Vec<String>,
}

type Object = Map<String, Value>;

/// What of an entry is the list's, or is said otherwise.
const NOT_KEYS: &[&str] = &["type", "name", "cniVersion", "capabilities"];

fn convert(list: &Object) -> Result<Converted> {
    let plugins = plugins(list)?;
    let (first, rest) = plugins.split_first().context("the list has no plugins")?;
    let mut said = Vec::new();
    let mut entry = main(first, &mut said)?;
    let mut features = Map::new();
    for plugin in rest {
        let (name, feature) = feature(plugin, &mut entry, &mut said)?;
        if features.insert(name.clone(), Value::Object(feature)).is_some() {
            bail!("{name} comes twice in the list: one entry of ours has it once");
        }
    }
    if !features.is_empty() {
        entry.insert("features".to_owned(), Value::Object(features));
    }
    let capabilities = capabilities(&plugins, &mut said)?;
    if !capabilities.is_empty() {
        entry.insert("capabilities".to_owned(), Value::Object(capabilities));
    }
    let list = whole(list, &entry);
    valid(&list, &entry)?;
    Ok(Converted { list, said })
}

/// The entries of a list, or the one that a single configuration is.
fn plugins(list: &Object) -> Result<Vec<Object>> {
    let Some(plugins) = get(list, "plugins") else { return Ok(vec![list.clone()]) };
    let plugins = plugins.as_array().context("\"plugins\" is not a list")?;
    let object = |plugin: &Value| plugin.as_object().cloned().context("a plugin is no object");
    plugins.iter().map(object).collect()
}

fn get<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.iter().rfind(|(known, value)| !value.is_null() && fold_eq(known, key)).map(|(_, v)| v)
}

fn type_of(plugin: &Object) -> Result<&str> {
    get(plugin, "type").and_then(Value::as_str).context("a plugin has no type")
}

fn keys(plugin: &Object) -> Object {
    let of_entry = |key: &&String| !NOT_KEYS.iter().any(|known| fold_eq(known, key));
    let kept = plugin.iter().filter(|(key, _)| of_entry(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The plugin that makes the interface.
fn main(plugin: &Object, said: &mut Vec<String>) -> Result<Object> {
    let name = type_of(plugin)?;
    match names::kind(name) {
        Some(Kind::Main) => {}
        _ if name == OUR_TYPE => bail!("its first plugin is {OUR_TYPE} already"),
        _ => bail!(
            "its first plugin is {name}, which is none of {}: keep it, and put wharfinger behind \
             it or around it (\"delegate\")",
            names::MAIN.join(", ")
        ),
    }
    said.push(format!("type {name} -> type {OUR_TYPE}, driver {name}"));
    let mut entry = Map::new();
    entry.insert("type".to_owned(), OUR_TYPE.into());
    entry.insert("driver".to_owned(), name.into());
    entry.extend(keys(plugin));
    if let Some(ipam) = entry.iter_mut().find(|(key, _)| fold_eq(key, "ipam")).map(|(_, v)| v) {
        addresses(ipam, said);
    }
    Ok(entry)
}

/// Who decides on addresses goes by the same name; who holds them changes.
fn addresses(ipam: &mut Value, said: &mut Vec<String>) {
    let Some(object) = ipam.as_object_mut() else { return };
    let name = get(object, "type").and_then(Value::as_str).unwrap_or_default().to_owned();
    match name.as_str() {
        "host-local" => {
            let dir = get(object, "dataDir").and_then(Value::as_str).unwrap_or_default();
            let dir = if dir.is_empty() { DATA_DIR } else { dir }.to_owned();
            said.push(format!(
                "ipam host-local: wharfinger's ledger holds the addresses; what {dir} has is taken \
                 over at first use (\"dataDir\"), and a released address rests for a minute \
                 (\"coolDown\": 0 for none)"
            ));
            object.retain(|key, _| !fold_eq(key, "dataDir"));
            object.insert("dataDir".to_owned(), dir.into());
        }
        "static" => {
            said.push("ipam static: an address that somebody holds already is refused".to_owned());
        }
        "" => {}
        name => said.push(format!("ipam {name} goes on as it is")),
    }
}

/// A plugin behind the first, as a feature.
fn feature(
    plugin: &Object,
    entry: &mut Object,
    said: &mut Vec<String>,
) -> Result<(String, Object)> {
    let name = type_of(plugin)?.to_owned();
    if names::kind(&name) != Some(Kind::Chained) {
        bail!(
            "it has {name}, which is no feature of ours ({}): keep the list, or put {name} into \
             one of its own",
            names::CHAINED.join(", ")
        );
    }
    let mut feature = keys(plugin);
    // What the runtime is asked for stands once in an entry.
    for key in ["args", "dns"] {
        let Some(value) = feature.remove(key) else { continue };
        if get(entry, key).is_some_and(|known| *known != value) {
            bail!("two of its plugins have different {key:?}: one entry of ours has it once");
        }
        entry.insert(key.to_owned(), value);
    }
    said.push(format!("plugin {name} -> features.{name}"));
    if name == "tuning" {
        feature.retain(|key, _| !fold_eq(key, "dataDir"));
    }
    if let Some(backend) = get(&feature, "backend").and_then(Value::as_str) {
        said.push(format!("features.{name}.backend {backend}: served by nftables in any case"));
    }
    Ok((name, feature))
}

/// What any of the plugins takes.
fn capabilities(plugins: &[Object], said: &mut Vec<String>) -> Result<Object> {
    let mut all = Map::new();
    for plugin in plugins {
        let Some(capabilities) = get(plugin, "capabilities") else { continue };
        let capabilities = capabilities.as_object().context("\"capabilities\" is no object")?;
        for (key, value) in capabilities {
            let before = all.get(key) == Some(&Value::Bool(true));
            if before && *value == Value::Bool(true) {
                said.push(format!("capability {key}: given once, to driver and features alike"));
            }
            all.insert(key.clone(), Value::Bool(before || *value == Value::Bool(true)));
        }
    }
    Ok(all)
}

/// The list with the one entry in it.
fn whole(list: &Object, entry: &Object) -> Object {
    let mut whole = Map::new();
    for key in ["cniVersion", "cniVersions", "name", "disableCheck", "disableGC"] {
        if let Some(value) = get(list, key) {
            whole.insert(key.to_owned(), value.clone());
        }
    }
    whole.insert("plugins".to_owned(), json!([entry]));
    whole
}

/// The entry is one that we would take.
fn valid(list: &Object, entry: &Object) -> Result<()> {
    let mut plugin = entry.clone();
    for key in ["name", "cniVersion"] {
        if let Some(value) = list.get(key) {
            plugin.insert(key.to_owned(), value.clone());
        }
    }
    let conf = network::conf(plugin)?;
    conf::readable(&conf).map_err(|error| told(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(list: &Value) -> Result<(Value, String)> {
        let Converted { list, said } = convert(list.as_object().context("an object")?)?;
        Ok((Value::Object(list), said.join("\n")))
    }

    fn refused(list: &Value) -> String {
        converted(list).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn a_bridge_becomes_a_driver() -> Result<()> {
        let (list, said) = converted(&json!({
            "cniVersion": "1.0.0", "name": "pods", "disableCheck": true,
            "plugins": [{
                "type": "bridge", "Bridge": "cni0", "isGateway": true,
                "capabilities": { "ips": true, "mac": true },
                "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/16" }]] }
            }]
        }))?;
        assert_eq!(
            list,
            json!({
                "cniVersion": "1.0.0", "name": "pods", "disableCheck": true,
                "plugins": [{
                    "type": "wharfinger", "driver": "bridge", "Bridge": "cni0", "isGateway": true,
                    "ipam": {
                        "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/16" }]],
                        "dataDir": "/var/lib/cni/networks"
                    },
                    "capabilities": { "ips": true, "mac": true }
                }]
            })
        );
        assert!(said.contains("driver bridge") && said.contains("at first use"), "{said}");
        Ok(())
    }

    #[test]
    fn a_chain_becomes_features() -> Result<()> {
        let (list, said) = converted(&json!({
            "cniVersion": "1.0.0", "name": "pods",
            "plugins": [
                { "type": "ptp", "ipMasq": true, "ipam": { "type": "static" } },
                { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true },
                { "type": "firewall", "backend": "iptables" },
                { "type": "bandwidth", "capabilities": { "bandwidth": true } },
                { "type": "tuning", "sysctl": { "net.core.somaxconn": "512" }, "dataDir": "/x" }
            ]
        }))?;
        let entry = &list["plugins"][0];
        assert_eq!(
            entry["features"],
            json!({
                "portmap": { "snat": true }, "firewall": { "backend": "iptables" },
                "bandwidth": {}, "tuning": { "sysctl": { "net.core.somaxconn": "512" } }
            })
        );
        assert_eq!(entry["capabilities"], json!({ "portMappings": true, "bandwidth": true }));
        assert!(said.contains("backend iptables: served by nftables"), "{said}");
        Ok(())
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        let list =
            |plugins: Value| json!({ "cniVersion": "1.0.0", "name": "n", "plugins": plugins });
        assert!(refused(&list(json!([{ "type": "wharfinger" }]))).contains("already"));
        assert!(refused(&list(json!([{ "type": "calico" }]))).contains("delegate"));
        assert!(refused(&list(json!([]))).contains("no plugins"));
        let bridge = json!({ "type": "bridge" });
        let istio = refused(&list(json!([bridge, { "type": "istio-cni" }])));
        assert!(istio.contains("istio-cni") && istio.contains("portmap"), "{istio}");
        let typo = refused(&list(json!([{ "type": "bridge", "isGatway": true }])));
        assert!(typo.contains("isGateway"), "a key that the reference would ignore: {typo}");
        let twice = json!([bridge, { "type": "portmap" }, { "type": "portmap" }]);
        assert!(refused(&list(twice)).contains("comes twice"));
        let foreign = json!([bridge, { "type": "portmap", "externalSetMarkChain": "KUBE-MARK" }]);
        let foreign = refused(&list(foreign));
        assert!(foreign.contains("externalSetMarkChain"), "{foreign}");
    }
}
