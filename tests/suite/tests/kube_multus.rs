//! Multus itself, built from its Go module, which runs us once for each of a pod's networks: those are objects that
//! people make, a pod names them in an annotation, and which device it was lent Multus reads from the file that we
//! write. `kube_pods/several.rs` has the same with a small meta-plugin of our own, in each run of the tests.
#![allow(clippy::panic, reason = "a failed expectation is a failed test")]

use serde_json::{Value, json};
use wharfinger_suite::{Kube, Pod, must};

const DEVICE: &str = "0000:0a:00.0";

/// An entry of ours, as it would stand in a conflist.
fn entry(name: &str, driver: &str, subnet: &str, more: &Value) -> Value {
    let ipam = json!({ "type": "host-local", "ranges": [[{ "subnet": subnet }]] });
    let mut entry = json!({
        "cniVersion": "1.0.0", "name": name, "type": "wharfinger", "driver": driver, "ipam": ipam,
    });
    wharfinger_suite::merge(&mut entry, more);
    entry
}

/// The kind of object that Multus knows, who may read it, and two networks.
fn objects() -> Value {
    let network = |config: &Value| {
        json!({
            "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": { "name": config["name"] }, "spec": { "config": config.to_string() },
        })
    };
    let capabilities = json!({ "deviceID": true, "CNIDeviceInfoFile": true });
    let lent = json!({ "probe": "none", "capabilities": capabilities });
    let items = [
        network(&entry("lent", "host-device", "10.45.0.0/24", &lent)),
        network(&entry("side", "bridge", "10.46.0.0/24", &json!({ "bridge": "side0" }))),
    ];
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

/// What Multus' own manifest brings to a cluster, for a user of that name.
fn installed() -> Value {
    let properties = json!({ "spec": {
        "type": "object", "properties": { "config": { "type": "string" } } } });
    let schema = json!({ "openAPIV3Schema": { "type": "object", "properties": properties } });
    let of = "rbac.authorization.k8s.io";
    let items = json!([{
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "network-attachment-definitions.k8s.cni.cncf.io" },
        "spec": {
            "group": "k8s.cni.cncf.io", "scope": "Namespaced",
            "names": { "plural": "network-attachment-definitions",
                       "singular": "network-attachment-definition",
                       "kind": "NetworkAttachmentDefinition" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": schema }],
        },
    }, {
        "apiVersion": format!("{of}/v1"), "kind": "ClusterRole", "metadata": { "name": "multus" },
        "rules": [
            { "apiGroups": ["k8s.cni.cncf.io"], "resources": ["*"], "verbs": ["*"] },
            { "apiGroups": [""], "resources": ["pods", "pods/status"],
              "verbs": ["get", "update"] },
            { "apiGroups": ["", "events.k8s.io"], "resources": ["events"],
              "verbs": ["create", "patch", "update"] },
        ],
    }, {
        "apiVersion": format!("{of}/v1"), "kind": "ClusterRoleBinding",
        "metadata": { "name": "multus" },
        "roleRef": { "apiGroup": of, "kind": "ClusterRole", "name": "multus" },
        "subjects": [{ "kind": "User", "name": "multus", "apiGroup": of }],
    }]);
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

#[track_caller]
fn apply(kube: &Kube, objects: &Value) {
    must(kube.lab.kubectl_with(&["create", "-f", "-"], &objects.to_string()), "make objects");
}

/// Multus before our own network, which is each pod's `eth0`.
fn install(kube: &Kube, pods: &Value) {
    let Some(program) = std::env::var_os("WHARFINGER_TEST_MULTUS") else {
        panic!("WHARFINGER_TEST_MULTUS names no Multus: `cargo xtask test --long` builds one");
    };
    must(std::fs::copy(program, kube.lab.file("n1", "/opt/cni/bin/multus")), "Multus");
    apply(kube, &installed());
    let crd = "crd/network-attachment-definitions.k8s.cni.cncf.io";
    must(kube.lab.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", crd]), crd);
    apply(kube, &objects());
    let access = must(kube.lab.user("multus", ""), "a user");
    let list = json!({ "cniVersion": "1.0.0", "name": "multus", "plugins": [{
        "type": "multus", "kubeconfig": access, "delegates": [pods],
        "capabilities": { "portMappings": true },
    }] });
    kube.network_in("n1", "00-multus.conflist", &list);
}

#[test]
#[ignore = "needs root: ring kubernetes, with --long"]
fn at_length_multus_gives_a_pod_three_networks_and_tells_of_its_device() {
    let kube = Kube::new();
    let bridge = json!({ "bridge": "cni0", "isGateway": true, "features": { "portmap": {} },
        "capabilities": { "portMappings": true } });
    let pods = entry("pods", "bridge", "10.44.0.0/24", &bridge);
    let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [pods] });
    kube.node("n1", &list, "");
    install(&kube, &pods);
    let device = format!(
        "mount -t tmpfs tmpfs /sys/bus/pci/devices && ip link add dev0 type veth peer name dev1 && \
         mkdir -p /sys/bus/pci/devices/{DEVICE}/net/dev0"
    );
    kube.on("n1", &["bash", "-c", &device]);
    let wanted = json!([{ "name": "lent", "deviceID": DEVICE }, { "name": "side" }]).to_string();
    let wanted =
        json!({ "metadata": { "annotations": { "k8s.v1.cni.cncf.io/networks": wanted } } });
    kube.create(&[Pod::new("faces", "n1").port(8081, 80).with(&wanted)]);
    let _ = kube.running("faces");
    let pod = must(kube.lab.get(&["pod", "faces"]), "the pod");
    let told = &pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"];
    let told: Value = must(serde_json::from_str(told.as_str().unwrap_or_default()), "its networks");
    for (at, (link, begin)) in
        [("eth0", "10.44.0."), ("net1", "10.45.0."), ("net2", "10.46.0.")].into_iter().enumerate()
    {
        let address = told[at]["ips"][0].as_str().unwrap_or_default();
        assert_eq!((&told[at]["interface"], address.starts_with(begin)), (&json!(link), true));
        let said = kube.in_pod("faces", &["ip", "-o", "-4", "addr", "show", "dev", link]);
        assert!(said.contains(address), "{link} has {said:?}, not {address}");
    }
    assert_eq!(told[1]["device-info"]["pci"]["pci-address"], DEVICE, "{told}");
    let books: Value = must(serde_json::from_str(&kube.cli("n1", &["ls", "--json"])), "the book");
    let networks = books.as_array().into_iter().flatten().map(|it| it["network"].as_str());
    // The first is containerd's own, by the name of the reference's plugin.
    let four = ["cni-loopback", "lent", "pods", "side"].map(Some);
    assert_eq!(networks.collect::<Vec<_>>(), four, "{books}");
    // The device is lent: who asks for it too is told, and nothing of his is left.
    kube.create(&[Pod::new("again", "n1").with(&wanted)]);
    let refused = kube.refused("again");
    assert!(refused.contains(DEVICE), "{refused}");
    kube.delete(&["again"]);
    kube.delete(&["faces"]);
    let files = "ls /var/run/k8s.cni.cncf.io/devinfo/cni; ip -o link show dev0";
    let left = kube.on("n1", &["bash", "-c", files]);
    assert!(left.contains("dev0") && left.lines().count() == 1, "{left}");
    kube.on("n1", &["bash", "-c", "umount /sys/bus/pci/devices && ip link del dev0"]);
    kube.nothing_left("n1");
}
