//! Nodes and pods, as Kubernetes has them, for those who compare the book with them. Of both only
//! what is compared is kept. What cannot be read of one is as if it did not say it.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;
use wharfinger_ledger::cluster::{Beside, Fault, NodeSeen, PodSeen};

use crate::kube::Kube;

/// What kubelet writes into a static pod's mirror: the static pod's own uid.
const MIRROR: &str = "/metadata/annotations/kubernetes.io~1config.mirror";

impl Kube {
    /// All nodes, and all pods that have one. Within `wait`.
    pub fn beside(&self, wait: Duration) -> Result<Beside, Fault> {
        let nodes = self.nodes(wait)?;
        let pods = self.list_of("/api/v1/pods", "fieldSelector=spec.nodeName%21%3D", wait, pod)?;
        Ok(Beside { nodes, pods })
    }

    /// All nodes. Within `wait`.
    pub fn nodes(&self, wait: Duration) -> Result<Vec<NodeSeen>, Fault> {
        self.list_of("/api/v1/nodes", "", wait, node)
    }
}

fn text(object: &Value, place: &str) -> String {
    object.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn node(object: &Value) -> NodeSeen {
    let boot = Some(text(object, "/status/nodeInfo/bootID")).filter(|boot| !boot.is_empty());
    NodeSeen { name: text(object, "/metadata/name"), boot }
}

fn pod(object: &Value) -> PodSeen {
    let (space, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let uids = ["/metadata/uid", MIRROR].map(|place| text(object, place));
    let all = object.pointer("/status/podIPs").and_then(Value::as_array);
    let ip = |one: &Value| one.get("ip")?.as_str()?.parse::<IpAddr>().ok();
    let ended = matches!(text(object, "/status/phase").as_str(), "Succeeded" | "Failed");
    let goes = object.pointer("/metadata/deletionTimestamp").is_some();
    let of_host = object.pointer("/spec/hostNetwork") == Some(&Value::Bool(true));
    PodSeen {
        name: format!("{space}/{name}"),
        uids: uids.into_iter().filter(|uid| !uid.is_empty()).collect(),
        node: text(object, "/spec/nodeName"),
        addresses: all.into_iter().flatten().filter_map(ip).collect(),
        attached: !ended && !goes && !of_host,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_pod_it_is_kept_what_the_book_says_too() {
        let mut object = json!({
            "metadata": { "namespace": "default", "name": "web-0", "uid": "u", "annotations": {
                "kubernetes.io/config.mirror": "s" } },
            "spec": { "nodeName": "n1", "containers": [{}] },
            "status": { "phase": "Running", "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] },
        });
        let seen = pod(&object);
        assert_eq!((seen.name.as_str(), seen.node.as_str()), ("default/web-0", "n1"));
        assert_eq!(seen.uids, ["u", "s"]);
        let wanted: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(seen.addresses, wanted);
        assert!(seen.attached);
        object["spec"]["hostNetwork"] = json!(true);
        assert!(!pod(&object).attached);
        object["spec"] = json!({ "nodeName": "n1" });
        object["status"] = json!({ "phase": "Succeeded", "podIPs": [{ "ip": "nonsense" }] });
        let seen = pod(&object);
        assert!(!seen.attached && seen.addresses.is_empty());
        let boot =
            json!({ "metadata": { "name": "n" }, "status": { "nodeInfo": { "bootID": "" } } });
        assert_eq!(node(&boot), NodeSeen { name: "n".into(), boot: None });
    }
}
