//! One call of a plugin by hand, against a ledger that is empty or given as a file.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wharfinger_cni::AttachmentId;
use wharfinger_ledger::{Ledger, Scope};
use wharfinger_plan::Plan;
use wharfinger_wasm::record::{Call, FORMAT, Record};
use wharfinger_wasm::{Attachment, Node, Pod, PolicyRequest, Request, Sources};

use crate::sim::{About, NETWORK, NOW};
use crate::{Made, Target};

/// What a call is made with: a file that people write. All but `config` may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// The plugin's own configuration: for IPAM the "ipam" object.
    pub config: Value,
    /// The network configuration; the plugin's configuration is put into it as "ipam" where it
    /// has none.
    pub network: Map<String, Value>,
    /// The pod.
    pub pod: Option<Pod>,
    /// The container's id.
    pub container: Option<String>,
    /// The interface's name in it.
    pub ifname: Option<String>,
    /// CNI_ARGS.
    pub args: BTreeMap<String, String>,
    /// Addresses asked for by name.
    pub wanted: Vec<IpAddr>,
    /// `runtimeConfig`.
    pub runtime: Map<String, Value>,
    /// The pod's annotations.
    pub annotations: Map<String, Value>,
    /// What `review` is shown: steps as `wharfinger explain --json` prints them.
    pub plan: Option<Plan>,
    /// The CNI result that `review` is shown.
    pub result: Option<Value>,
    /// What the plugin may know of the node.
    pub node: Option<Node>,
}

impl Input {
    /// One to begin with.
    pub fn example(call: &str) -> Value {
        let ipam = json!({
            "type": "my-plugin", "ranges": [[{ "subnet": "10.1.0.0/24" }]],
        });
        let mut all = json!({
            "config": ipam,
            "pod": { "namespace": "default", "name": "web-0", "uid": "1234" },
            "container": "c1", "ifname": "eth0", "args": { "K8S_POD_NAME": "web-0" },
            "wanted": ["10.1.0.9"],
            "node": { "name": "node-1", "labels": { "zone": "west" }, "now": NOW },
        });
        let Some(object) = all.as_object_mut() else { return all };
        if matches!(call, "admit" | "review") {
            object.insert("config".to_owned(), json!({ "max": 3 }));
            object.insert(
                "network".to_owned(),
                json!({ "cniVersion": "1.1.0", "name": NETWORK, "type": "wharfinger",
                        "driver": "bridge", "mtu": 1500, "ipam": ipam }),
            );
            object.insert("runtime".to_owned(), json!({ "ips": ["10.1.0.9"] }));
            object.insert("annotations".to_owned(), json!({ "example.org/team": "a" }));
            object.remove("wanted");
        }
        if matches!(call, "validate" | "pools") {
            object.retain(|key, _| key == "config" || key == "node");
        }
        if call == "review" {
            object.insert("plan".to_owned(), json!({ "format": 1, "steps": [] }));
            object.insert("result".to_owned(), json!({ "ips": [{ "address": "10.1.0.9/24" }] }));
        }
        all
    }

    fn node(&self) -> Node {
        let unnamed = Node { name: "node-1".to_owned(), now: NOW, ..Node::default() };
        self.node.clone().unwrap_or(unnamed)
    }

    fn attachment(&self) -> Attachment {
        let or = |text: &Option<String>, fallback: &str| {
            text.clone().unwrap_or_else(|| fallback.to_owned())
        };
        let network = self.network.get("name").and_then(Value::as_str).unwrap_or(NETWORK);
        Attachment {
            id: AttachmentId {
                network: network.to_owned(),
                container: or(&self.container, "c1"),
                ifname: or(&self.ifname, "eth0"),
            },
            pod: self.pod.clone(),
            args: self.args.clone().into_iter().collect(),
        }
    }

    /// The network's own part.
    fn own(&self, ipam: Option<&Value>) -> Map<String, Value> {
        let mut own = self.network.clone();
        for (key, value) in [("cniVersion", "1.1.0"), ("name", NETWORK), ("type", "wharfinger")] {
            own.entry(key).or_insert_with(|| value.into());
        }
        if let Some(ipam) = ipam {
            own.entry("ipam").or_insert_with(|| ipam.clone());
        }
        own
    }

    fn whole(&self, ipam: Option<&Value>) -> String {
        let mut whole = self.own(ipam);
        if !self.runtime.is_empty() {
            whole.insert("runtimeConfig".to_owned(), self.runtime.clone().into());
        }
        Value::Object(whole).to_string()
    }

    fn request(&self) -> Request {
        Request {
            attachment: self.attachment(),
            config: self.config.to_string(),
            network_config: self.whole(Some(&self.config)),
            wanted: self.wanted.clone(),
        }
    }

    fn policy_request(&self) -> PolicyRequest {
        PolicyRequest {
            attachment: self.attachment(),
            config: self.config.to_string(),
            network_config: self.whole(None),
            written: Sources {
                network: Value::Object(self.own(None)).to_string(),
                runtime: Value::Object(self.runtime.clone()).to_string(),
                pod: json!({
                    "CNI_ARGS": self.args, "args": {}, "annotations": self.annotations,
                })
                .to_string(),
            },
        }
    }

    fn about(&self) -> About {
        let result = self.result.clone().unwrap_or_else(|| json!({ "ips": [] }));
        About { plan: self.plan.clone().unwrap_or_default(), result: result.to_string() }
    }

    /// The call of this name.
    pub fn call(&self, name: &str) -> Option<Call> {
        let config = self.config.to_string();
        let About { plan, result } = self.about();
        Some(match name {
            "validate" => Call::Validate { config },
            "pools" => Call::Pools { config },
            "allocate" => Call::Allocate { request: self.request() },
            "admit" => Call::Admit { request: self.policy_request() },
            "review" => Call::Review { request: self.policy_request(), plan, result },
            _ => return None,
        })
    }
}

/// Attachments that the ledger is to have before the call: a list of them, as a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Whose.
    #[serde(flatten)]
    pub id: AttachmentId,
    /// What it holds.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

/// Makes one call, and writes down all of it. Nothing is committed.
pub fn once(
    target: Target<'_>,
    name: &str,
    input: &Input,
    given: &[Given],
) -> Result<Record, String> {
    let Some(call) = input.call(name) else {
        return Err(format!(
            "no call {name:?}: there are validate, pools and allocate of IPAM plugins, \
             validate, admit and review of policies"
        ));
    };
    let ledger = wharfinger_ledger::MemLedger::new();
    let attachment = input.attachment();
    for one in given {
        hold(&ledger, one).map_err(|e| format!("the ledger: {e}"))?;
    }
    let node = input.node();
    let id = attachment.id;
    let scope = Scope { domain: id.network.clone(), id, now: node.now };
    let mut session = ledger.session(scope).map_err(|e| e.to_string())?;
    let mut book = crate::book(&mut *session);
    let Made { answer, imports, took } = target.make(&node, &call, &mut book)?;
    Ok(Record {
        format: FORMAT,
        time: node.now,
        took: micros(took),
        plugin: target.identity().to_owned(),
        node,
        call,
        imports,
        answer,
    })
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Enters an attachment.
fn hold(ledger: &dyn Ledger, given: &Given) -> Result<(), Box<dyn std::error::Error>> {
    let Given { id, addresses } = given;
    let scope = Scope { id: id.clone(), domain: id.network.clone(), now: NOW };
    let mut session = ledger.session(scope)?;
    for address in addresses {
        if let Err(refusal) = session.take(*address)? {
            return Err(format!("{address} of {id}: {refusal:?}").into());
        }
    }
    session.commit(&crate::sim::record(id, addresses.clone()))?;
    Ok(())
}
