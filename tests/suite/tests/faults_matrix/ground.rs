//! The machine on which a verb is tried: a network, and a container that lives through all of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wharfinger_suite::{Call, Container, Output, Picture, World, merge, strings};

use crate::cells::{Kind, Verb};

/// Settings beside a verb's deadline. Whoever is traced cannot be sent the signal by which a component's
/// time ends: longer than any verb.
const LIMITS: &str = "[limits]\ndeadline = 60.0\n";

/// A container that is, or may be, attached.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) container: Container,
    /// Of its ADD; null where there was none.
    pub(crate) result: Value,
}

impl Pod {
    /// Its addresses, as its result has them.
    pub(crate) fn addresses(&self) -> BTreeSet<String> {
        addresses(&self.result)
    }
}

/// Without prefix lengths.
pub(crate) fn addresses(result: &Value) -> BTreeSet<String> {
    strings(result, &["ips"], "address").iter().map(|text| bare(text)).collect()
}

fn bare(address: &str) -> String {
    address.split('/').next().unwrap_or(address).to_owned()
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) world: World,
    pub(crate) conf: Value,
    pub(crate) settings: String,
    /// The one that lives through all of it.
    pub(crate) neighbour: Option<Pod>,
    /// One that a reboot ended, of which the runtime still knows.
    pub(crate) forgotten: Option<Pod>,
    /// What is there while it alone is attached.
    pub(crate) quiet: Picture,
    /// A container that was tried and is free again.
    pub(crate) spare: Option<Container>,
}

impl Ground {
    /// With a neighbour.
    pub(crate) fn new(kind: Kind) -> Self {
        let mut ground = Self::empty(kind);
        ground.settle();
        ground
    }

    /// Nothing was attached in this boot.
    pub(crate) fn empty(kind: Kind) -> Self {
        let world = World::new();
        let deadline = if kind == Kind::Hurried { 4 } else { 30 };
        let settings = format!("deadline = {deadline}\n{LIMITS}");
        world.settings(&settings);
        let conf = conf(&world, kind);
        Self {
            world,
            conf,
            settings,
            neighbour: None,
            forgotten: None,
            quiet: Picture::default(),
            spare: None,
        }
    }

    /// The neighbour moves in, and it is looked at what is there then.
    pub(crate) fn settle(&mut self) {
        self.neighbour = Some(self.attach());
        self.quiet = self.world.picture();
    }

    pub(crate) fn container(&mut self) -> Container {
        self.spare.take().unwrap_or_else(|| self.world.container())
    }

    pub(crate) fn attach(&mut self) -> Pod {
        let container = self.container();
        let result = self.world.call("ADD", &self.conf).of(&container).ok();
        Pod { container, result }
    }

    /// A call of this verb about this container.
    pub(crate) fn call(&self, verb: &str, pod: &Pod) -> Call<'_> {
        let mut conf = self.conf.clone();
        match verb {
            "CHECK" | "DEL" if !pod.result.is_null() => {
                merge(&mut conf, &json!({ "prevResult": pod.result }));
            }
            "GC" => {
                let valid: Vec<Value> = self.neighbour.iter().map(entry).collect();
                merge(&mut conf, &json!({ "cni.dev/valid-attachments": valid }));
            }
            _ => {}
        }
        let call = self.world.call(verb, &conf);
        if ["GC", "STATUS"].contains(&verb) { call } else { call.of(&pod.container) }
    }

    /// The neighbour is as it was.
    #[track_caller]
    pub(crate) fn neighbour_is_well(&self) {
        if let Some(pod) = &self.neighbour {
            let _ = self.call("CHECK", pod).ok();
            assert!(pod.container.ns.pings("10.1.0.1"), "{pod:?} does not reach its gateway");
        }
    }
}

/// As GC's list has it.
fn entry(pod: &Pod) -> Value {
    json!({ "containerID": pod.container.id, "ifname": "eth0" })
}

fn conf(world: &World, kind: Kind) -> Value {
    let nets = ["10.1.0.0/24", "fd00:1::/64"];
    let mut ipam = world.ipam(&nets);
    if kind == Kind::Around {
        for name in ["bridge", "host-local"] {
            world.link_executable(name);
        }
        merge(&mut ipam, &json!({ "dataDir": world.path("data") }));
        let bridge = json!({
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipam": ipam,
        });
        return json!({
            "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "delegate": bridge,
        });
    }
    if kind == Kind::Fresh {
        return world.conf("bridge", &json!({ "ipMasq": true, "ipam": ipam }));
    }
    world.install("host-local", "mine");
    merge(&mut ipam, &json!({ "type": "wharfinger", "plugin": "mine" }));
    world.conf("bridge", &json!({ "ipMasq": true, "ipam": ipam }))
}

/// Whether the verb's success says something.
pub(crate) fn said(verb: Verb, output: &Output) -> Value {
    let value = output.ok();
    let empty = addresses(&value).is_empty();
    assert_eq!(verb.command() == "ADD", !empty, "{verb}: {output:?}");
    value
}
