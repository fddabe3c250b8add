//! What a person reads of a pod that is not attached: one line of its events says which network, which
//! plugin, and why.
#![allow(clippy::panic, reason = "a failed expectation is a failed test")]

use std::time::Duration;

use serde_json::{Value, json};
use wharfinger_kube_lab::eventually;
use wharfinger_suite::{Kube, Pod, World};

fn network(ipam: &Value) -> Value {
    json!({ "cniVersion": "1.1.0", "name": "pods", "plugins": [{
        "type": "wharfinger", "driver": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam,
        "features": { "portmap": {} }, "capabilities": { "portMappings": true },
    }] })
}

/// A line of the pod's events that says why it has no network has all of these words.
#[track_caller]
fn refused(kube: &Kube, pod: &str, words: &[&str]) {
    // The second is what STATUS said; its first line may still be of the network before.
    let why = ["FailedCreatePodSandBox", "NetworkNotReady"];
    let says = |line: &str| {
        why.iter().any(|why| line.contains(why)) && words.iter().all(|word| line.contains(word))
    };
    let ask = || {
        let events = kube.events(pod);
        let said = events.lines().any(says);
        said.then_some(()).ok_or_else(|| anyhow::anyhow!("{words:?} of {pod}: {events}"))
    };
    if let Err(error) = eventually(Duration::from_mins(1), ask) {
        panic!("{error:#}");
    }
}

#[test]
#[ignore = "needs root: ring kubernetes"]
fn a_pods_event_says_network_plugin_and_reason() {
    let kube = Kube::new();
    let small = json!({ "type": "host-local", "ranges": [[{ "subnet": "10.61.0.0/30" }]] });
    let settings =
        "[[policies]]\nplugin = \"rules\"\n[policies.config]\ndeny = [{ hostPortBelow = 1024 }]\n";
    kube.node("n1", &network(&small), settings);
    kube.create(&[Pod::new("low", "n1").port(80, 80)]);
    refused(&kube, "low", &["network pods", "rules", "hostPort 80"]);
    kube.create(&[Pod::new("first", "n1")]);
    let _ = kube.running("first");
    kube.create(&[Pod::new("second", "n1")]);
    refused(&kube, "second", &["network pods", "host-local", "10.61.0.0/30"]);
    kube.delete(&["low", "second"]);
    // A component that may not reach what it asks.
    let file = World::component("netbox");
    kube.cli("n1", &["plugin", "install", &file, "--name", "netbox"]);
    let ipam = json!({ "type": "netbox", "url": "http://127.0.0.1:1", "token": "t", "prefix": 7,
        "subnet": { "subnet": "10.61.0.0/24" } });
    kube.network("n1", &network(&ipam));
    kube.create(&[Pod::new("third", "n1")]);
    refused(&kube, "third", &["network pods", "netbox", "grant"]);
    kube.delete(&["first", "third"]);
    kube.nothing_left("n1");
}
