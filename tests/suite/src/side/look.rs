//! What is there, by names that are alike on both sides.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::inside;
use crate::{Netns, World};

/// Names that chance made, in the order in which they came up.
#[derive(Debug, Default)]
pub(super) struct Names {
    veths: Vec<String>,
    paths: Vec<(String, String)>,
}

impl Names {
    /// Takes up the names of links that chance made.
    pub(super) fn learn<'a>(&mut self, links: impl IntoIterator<Item = &'a str>) {
        for name in links {
            let digits = name.strip_prefix("veth").unwrap_or_default();
            let random = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if random && !self.veths.iter().any(|known| known == name) {
                self.veths.push(name.to_owned());
            }
        }
    }

    /// Takes up a path, and what it is called in accounts.
    pub(super) fn path(&mut self, path: String, called: String) {
        self.paths.push((path, called));
    }

    /// Puts the names that are alike for those that are not.
    pub(super) fn apply(&self, world: &World, value: &mut Value) {
        let mut text = value.to_string().replace(&world.text_path(""), "WORLD/");
        for (path, called) in &self.paths {
            text = text.replace(path, called);
        }
        for (number, name) in self.veths.iter().enumerate() {
            text = text.replace(name, &format!("veth#{}", number + 1));
        }
        if let Ok(new) = serde_json::from_str(&text) {
            *value = new;
        }
    }
}

/// What is seen of a namespace.
pub(super) struct Look {
    /// To be compared.
    pub value: Value,
    /// Its links in the order in which they were made, and their addresses.
    pub links: Vec<(String, String)>,
}

/// Everything in one process: starting them is what costs.
const SCRIPT: &str = "ip -j -d address; echo; ip -j -d -4 route show table all; echo; \
    ip -j -d -6 route show table all; echo; ip -j -4 rule; echo; ip -j -6 rule; echo; \
    tc -j -d qdisc";

/// Looks at it.
#[track_caller]
pub(super) fn look(ns: &Netns) -> Look {
    let text = ns.run(&["sh", "-c", SCRIPT]);
    let documents: Vec<Value> =
        serde_json::Deserializer::from_str(&text).into_iter::<Value>().flatten().collect();
    let [links, v4, v6, rules4, rules6, qdiscs] = documents.as_slice() else {
        panic!("not six documents: {text}")
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let named: Vec<Value> =
        list(links).into_iter().filter(|link| link.get("ifname").is_some()).collect();
    let mut routes: Vec<Value> = list(v4).iter().chain(&list(v6)).filter_map(route).collect();
    routes.sort_by_key(Value::to_string);
    let rules: Vec<Value> = list(rules4).into_iter().chain(list(rules6)).collect();
    let qdiscs: Vec<Value> = list(qdiscs).iter().filter_map(qdisc).collect();
    let value = json!({
        "links": named.iter().map(|l| (text(l, "ifname"), link(l))).collect::<Map<_, _>>(),
        "routes": routes.into_iter().map(keyed).collect::<Map<_, _>>(),
        "rules": rules.into_iter().map(keyed).collect::<Map<_, _>>(),
        "qdiscs": qdiscs.into_iter().map(keyed).collect::<Map<_, _>>(),
        "sysctl": sysctls(ns),
    });
    let links = named.iter().map(|l| (text(l, "ifname"), text(l, "address"))).collect();
    Look { value, links }
}

/// As a key of its own: what only one side has is named, whatever comes before it.
fn keyed(value: Value) -> (String, Value) {
    let Value::Object(map) = value else { return (value.to_string(), json!(true)) };
    let words: Vec<String> = map
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => format!("{key} {text}"),
            other => format!("{key} {other}"),
        })
        .collect();
    (words.join(", "), json!(true))
}

/// Numbers that are each kernel's own, and what runs on.
const OWN: [&str; 40] = [
    "ifindex",
    "link_index",
    "link_netnsid",
    "broadcast",
    "addr_info",
    "ifname",
    "address",
    "permaddr",
    "altnames",
    "stats",
    "stats64",
    "bridge_id",
    "root_id",
    "root_port",
    "root_path_cost",
    "topology_change",
    "topology_change_detected",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "gc_timer",
    "id",
    "no",
    "designated_port",
    "designated_cost",
    "hold_timer",
    "message_age_timer",
    "forward_delay_timer",
    "config_pending",
    "fdb_n_learned",
    "port_guid",
    "operstate",
    "carrier_up_count",
    "carrier_down_count",
    "cost",
    "priority",
    "fdb_max_learned",
    "designated_bridge",
    "designated_root",
    "state",
];

fn without_own(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !OWN.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key.clone(), without_own(value))).collect())
        }
        other => other.clone(),
    }
}

fn link(raw: &Value) -> Value {
    let mut value = without_own(raw);
    let mac = raw.get("address").and_then(Value::as_str).unwrap_or_default();
    let chosen = mac.starts_with("02:00:00:00:") || mac.starts_with("00:00:00");
    if let Some(map) = value.as_object_mut() {
        map.insert("mac".to_owned(), json!(if chosen { mac } else { "chance" }));
        let flags = raw.get("flags").and_then(Value::as_array).into_iter().flatten();
        // The carrier comes and goes in its own time.
        let flags = flags.filter(|f| !["NO-CARRIER", "LOWER_UP"].iter().any(|own| f == own));
        let flags = flags.filter_map(|f| Some((f.as_str()?.to_owned(), json!(true))));
        map.insert("flags".to_owned(), Value::Object(flags.collect()));
        map.insert("addresses".to_owned(), Value::Object(addresses(raw)));
    }
    value
}

fn addresses(raw: &Value) -> Map<String, Value> {
    let infos = raw.get("addr_info").and_then(Value::as_array).into_iter().flatten();
    infos
        .filter_map(|info| {
            let local = info.get("local")?.as_str()?;
            let mut kept = info.as_object()?.clone();
            // Detection of duplicates takes its time.
            for key in ["local", "label", "tentative"] {
                kept.remove(key);
            }
            let length = kept.remove("prefixlen")?;
            // A link-local address comes with the carrier, in its own time.
            let named = || (format!("{local}/{length}"), Value::Object(kept));
            (!local.starts_with("fe80:")).then(named)
        })
        .collect()
}

/// A route that somebody made.
fn route(raw: &Value) -> Option<Value> {
    let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
    let kernels = ["local", "broadcast", "multicast", "anycast"];
    let link_local = text("dst").starts_with("fe80:") || text("dst") == "ff00::/8";
    if kernels.contains(&text("type")) || text("table") == "local" || link_local {
        return None;
    }
    let mut kept = raw.as_object()?.clone();
    for key in ["pref", "flags"] {
        kept.remove(key);
    }
    Some(Value::Object(kept))
}

fn qdisc(raw: &Value) -> Option<Value> {
    let kind = raw.get("kind")?.as_str()?;
    let usual = ["noqueue", "pfifo_fast", "fq_codel", "pfifo", "fq"];
    let mut kept = raw.as_object()?.clone();
    // Of its own accord the kernel counts them.
    if kind != "ingress" && kind != "clsact" {
        kept.remove("handle");
    }
    (!usual.contains(&kind)).then_some(Value::Object(kept))
}

/// All of IPv4's and IPv6's kernel parameters of links, and forwarding.
fn sysctls(ns: &Netns) -> Value {
    inside(ns, || {
        let of = |family: &str| read_below(&Path::new("/proc/sys/net").join(family).join("conf"));
        let forward = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap_or_default();
        json!({ "ipv4": of("ipv4"), "ipv6": of("ipv6"), "ip_forward": forward.trim() })
    })
}

fn read_below(dir: &Path) -> Value {
    let mut found = Map::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            found.insert(name, read_below(&entry.path()));
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.insert(name, json!(text.trim()));
        }
    }
    Value::Object(found)
}

/// The files below a directory: their modes and what is in them.
pub(super) fn files(dir: &Path) -> Value {
    let mut found = Map::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mode = entry.metadata().map_or(0, |meta| meta.permissions().mode() & 0o7777);
        let what = if entry.path().is_dir() {
            files(&entry.path())
        } else {
            json!(without_chance(&fs::read_to_string(entry.path()).unwrap_or_default()))
        };
        found.insert(name, json!({ "mode": format!("{mode:o}"), "is": what }));
    }
    Value::Object(found)
}

/// A text without those MAC addresses that chance made.
fn without_chance(text: &str) -> String {
    let is_mac = |part: &str| {
        part.len() == 17
            && part.split(':').count() == 6
            && part.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
            && !part.starts_with("02:00:00:00:")
    };
    let parts = text.split('"').map(|part| if is_mac(part) { "chance" } else { part });
    parts.collect::<Vec<_>>().join("\"")
}
