//! The verbs, as libcni makes its calls: a list of plugins, each with the results of those before.

use std::os::unix::fs::MetadataExt as _;

use serde_json::{Map, Value, json};

use super::Side;
use super::look::{files, look};
use crate::{Container, Output, Subject, merge};

/// A container, and how it was attached.
#[derive(Debug)]
pub struct Pod {
    /// It.
    pub container: Container,
    /// The plugins of the network.
    pub list: Vec<Value>,
    /// What the runtime says for capabilities.
    pub capabilities: Value,
    /// `CNI_ARGS`.
    pub args: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// The result of the ADD, as it came.
    pub result: Value,
}

impl Pod {
    /// With these capabilities.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// With these `CNI_ARGS`.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        args.clone_into(&mut self.args);
        self
    }

    /// From now on it is about this interface.
    pub fn by(&mut self, ifname: &str) {
        ifname.clone_into(&mut self.ifname);
    }

    /// Its first address of this family, without the length; the unspecified one where it has none.
    pub fn address(&self, v6: bool) -> String {
        let all = crate::strings(&self.result, &["ips"], "address");
        let mine = all.iter().find(|address| address.contains(':') == v6);
        let text = mine.and_then(|address| address.split('/').next()).map(str::to_owned);
        text.unwrap_or_else(|| if v6 { "::".to_owned() } else { "0.0.0.0".to_owned() })
    }

    /// The name of the host's end of its link.
    #[track_caller]
    pub fn host_link(&self) -> String {
        let all = crate::strings(&self.result, &["interfaces"], "name");
        let mut all = all.into_iter().filter(|name| name.starts_with("veth"));
        match all.next() {
            Some(name) => name,
            None => panic!("no veth in {}", self.result),
        }
    }
}

impl Side {
    /// A new container on this network.
    #[track_caller]
    pub fn pod(&mut self, list: Value) -> Pod {
        let container = self.world.container();
        self.names.path(container.ns.path(), format!("netns of {}", container.id));
        Pod {
            container,
            list: match list {
                Value::Array(list) => list,
                one => vec![one],
            },
            capabilities: Value::Null,
            args: String::new(),
            ifname: "eth0".to_owned(),
            result: Value::Null,
        }
    }

    /// ADD. Told as `what`: its result or its error; and what is there after it. Whether it
    /// succeeded.
    #[track_caller]
    pub fn add(&mut self, what: &str, pod: &mut Pod) -> bool {
        let mut previous = Value::Null;
        for plugin in pod.list.clone() {
            let output = self.call("ADD", pod, &plugin, &previous);
            if !output.succeeded() {
                self.tell(what, ended(&output));
                self.tell_all(&format!("after {what}"), pod);
                return false;
            }
            previous = output.ok();
        }
        pod.result = previous;
        let macs = self.tell_all(&format!("after {what}"), pod);
        let result = alike(&pod.result, &macs);
        self.tell(what, json!({ "result": result }));
        true
    }

    /// CHECK. Told: what came of it.
    #[track_caller]
    pub fn check(&mut self, what: &str, pod: &Pod) {
        let ended = self.each("CHECK", pod, &pod.list);
        self.tell(what, ended);
    }

    /// STATUS and GC, whose valid attachments are these. Told: what came of them.
    #[track_caller]
    pub fn status(&mut self, what: &str, pod: &Pod) {
        let ended = self.each("STATUS", pod, &pod.list);
        self.tell(what, ended);
    }

    /// DEL. Told: what came of it, and what is left.
    #[track_caller]
    pub fn del(&mut self, what: &str, pod: &Pod) {
        let backwards: Vec<Value> = pod.list.iter().rev().cloned().collect();
        let ended = self.each("DEL", pod, &backwards);
        self.tell(what, ended);
        self.tell_all(&format!("after {what}"), pod);
    }

    /// ADD, CHECK, DEL, and DEL again.
    #[track_caller]
    pub fn life(&mut self, pod: &mut Pod) {
        if self.add("add", pod) {
            self.check("check", pod);
        }
        self.del("del", pod);
        let again = self.each("DEL", pod, &pod.list.iter().rev().cloned().collect::<Vec<_>>());
        self.tell("del again", again);
    }

    /// One verb of one plugin. Told: the error, or that it went well.
    #[track_caller]
    pub fn verb(&mut self, what: &str, verb: &str, pod: &Pod, plugin: &Value, previous: &Value) {
        let output = self.call(verb, pod, plugin, previous);
        self.tell(what, ended(&output));
    }

    fn each(&self, verb: &str, pod: &Pod, list: &[Value]) -> Value {
        for plugin in list {
            let output = self.call(verb, pod, plugin, &pod.result);
            if !output.succeeded() {
                return ended(&output);
            }
            assert!(output.stdout.trim().is_empty(), "{verb} says nothing: {output:?}");
        }
        json!("well")
    }

    /// One call. What it is given: name and version, the previous result, the capabilities that
    /// it asks for.
    #[track_caller]
    pub fn call(&self, verb: &str, pod: &Pod, plugin: &Value, previous: &Value) -> Output {
        let mut conf = json!({ "cniVersion": "1.1.0", "name": "pods" });
        if self.world.subject == Subject::Ours {
            merge(&mut conf, &under_our_type(plugin));
        } else {
            merge(&mut conf, plugin);
        }
        if !previous.is_null() {
            merge(&mut conf, &json!({ "prevResult": previous }));
        }
        let asked = plugin.get("capabilities").and_then(Value::as_object);
        let granted: Map<String, Value> = asked
            .into_iter()
            .flatten()
            .filter(|(_, wanted)| wanted.as_bool() == Some(true))
            .filter_map(|(name, _)| Some((name.clone(), pod.capabilities.get(name)?.clone())))
            .collect();
        if !granted.is_empty() {
            merge(&mut conf, &json!({ "runtimeConfig": granted }));
        }
        let call = self.world.call(verb, &conf).of(&pod.container).env("CNI_IFNAME", &pod.ifname);
        let call = if pod.args.is_empty() { call } else { call.env("CNI_ARGS", &pod.args) };
        call.run()
    }

    /// Pod and host, files and rules. The links, with their addresses.
    #[track_caller]
    fn tell_all(&mut self, what: &str, pod: &Pod) -> Vec<(String, String)> {
        let host = look(&self.world.host);
        let there = is_namespace(&pod.container.ns.path());
        let inner = if there { Some(look(&pod.container.ns)) } else { None };
        let named = crate::strings(&pod.result, &["interfaces"], "name");
        self.names.learn(named.iter().map(String::as_str));
        self.names.learn(host.links.iter().map(|(name, _)| name.as_str()));
        let told = json!({
            "host": host.value,
            "pod": inner.as_ref().map(|inner| &inner.value),
            "rules": self.rules_of(pod),
            "files": files(&self.world.path("data")),
        });
        self.tell(what, told);
        host.links.into_iter().chain(inner.into_iter().flat_map(|inner| inner.links)).collect()
    }

    /// Whether the packet filter has something of a pod: its id, or an address of its.
    fn rules_of(&self, pod: &Pod) -> bool {
        // Without a result it is not known which addresses a failed ADD was about.
        if pod.result.is_null() {
            return false;
        }
        let saved = "nft list ruleset; iptables-save; ip6tables-save";
        let rules = self.world.host.run(&["sh", "-c", saved]);
        let addresses = [pod.address(false), pod.address(true)];
        let mut all = addresses.iter().filter(|text| !["::", "0.0.0.0"].contains(&text.as_str()));
        rules.contains(&pod.container.id)
            || all.any(|address| crate::look::mentions(&rules, address))
    }
}

/// Whether a namespace is bound there; a plugin may have left a file in its place.
fn is_namespace(path: &str) -> bool {
    let device = |path: &str| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    device(path).is_some() && device(path) == device("/proc/self/ns/net")
}

/// The same of ours under our own type: a driver, or a feature behind another plugin.
fn under_our_type(plugin: &Value) -> Value {
    let name = plugin.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let chained = ["portmap", "firewall", "bandwidth", "tuning", "sbr", "vrf"];
    let mut ours = plugin.clone();
    if chained.contains(&name.as_str()) {
        let keys = json!({ "type": null, "capabilities": null, "args": null, "name": null });
        let mut feature = plugin.clone();
        merge(&mut feature, &keys);
        ours = json!({ "features": { name: feature } });
        for key in ["capabilities", "args", "name"] {
            if let (Some(value), Some(ours)) = (plugin.get(key), ours.as_object_mut()) {
                ours.insert(key.to_owned(), value.clone());
            }
        }
    } else {
        merge(&mut ours, &json!({ "driver": name }));
    }
    merge(&mut ours, &json!({ "type": "wharfinger" }));
    ours
}

/// Success, or the code of the error.
fn ended(output: &Output) -> Value {
    if output.succeeded() {
        return json!("well");
    }
    if output.stdout.trim().is_empty() {
        return json!({ "error": { "code": "none", "status": output.status } });
    }
    match serde_json::from_str::<Value>(&output.stdout) {
        Ok(error) => json!({ "error": { "code": error.get("code"), "status": output.status } }),
        Err(error) => panic!("no error object: {error}: {output:?}"),
    }
}

/// A result whose MAC addresses say whether they are those of the links; its interfaces by their
/// number and name.
fn alike(result: &Value, links: &[(String, String)]) -> Value {
    let mut result = result.clone();
    let interfaces = result.get("interfaces").and_then(Value::as_array).cloned();
    let mut named = Map::new();
    for (number, mut interface) in interfaces.into_iter().flatten().enumerate() {
        let text = |key: &str| interface.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, mac) = (text("name").to_owned(), text("mac"));
        let own = links.iter().any(|(link, address)| *link == name && address == mac);
        if own
            && !mac.starts_with("02:00:00:00:")
            && !mac.starts_with("00:00:00")
            && let Some(map) = interface.as_object_mut()
        {
            map.insert("mac".to_owned(), json!("its own"));
        }
        named.insert(format!("{number} {name}"), interface);
    }
    if let Some(map) = result.as_object_mut().filter(|_| !named.is_empty()) {
        map.insert("interfaces".to_owned(), Value::Object(named));
    }
    result
}
