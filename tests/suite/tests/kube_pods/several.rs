//! Several networks for one pod: our executable as the delegate of another CNI meta-plugin.

use serde_json::{Value, json};
use wharfinger_suite::{Kube, Pod, must};

use crate::nothing_left;

const DEVICE: &str = "0000:0a:00.0";
const FILES: &str = "/var/run/k8s.cni.cncf.io/devinfo/cni";

/// `eth0` of the cluster's network, `net1` a device of PCI that the node lends, `net2` on a bridge.
fn conflist(kube: &Kube) -> Value {
    let list = must(std::fs::read(kube.lab.file("n1", "/etc/cni/net.d/10-pods.conflist")), "pods");
    let pods: Value = must(serde_json::from_slice(&list), "pods");
    let mut first = pods["plugins"][0].clone();
    first["name"] = json!("pods");
    let of = |name: &str, driver: &str, subnet: &str| {
        let ipam = json!({ "type": "host-local", "ranges": [[{ "subnet": subnet }]] });
        json!({ "name": name, "type": "wharfinger", "driver": driver, "ipam": ipam })
    };
    let mut lent = of("lent", "host-device", "10.45.0.0/24");
    lent["pciBusID"] = json!(DEVICE);
    lent["probe"] = json!("none");
    let mut side = of("side", "bridge", "10.46.0.0/24");
    side["bridge"] = json!("side0");
    let mut delegates = [first, lent, side];
    for delegate in &mut delegates {
        delegate["cniVersion"] = json!("1.0.0");
        delegate["capabilities"]["CNIDeviceInfoFile"] = json!(true);
    }
    json!({ "cniVersion": "1.0.0", "name": "several", "plugins": [{
        "type": "meta", "delegates": delegates, "capabilities": { "portMappings": true },
    }] })
}

pub(crate) fn one_pod_on_three_networks_tells_which_device_it_has(kube: &Kube) {
    let meta = kube.lab.file("n1", "/opt/cni/bin/meta");
    must(std::fs::copy(env!("CARGO_BIN_EXE_meta"), meta), "the meta-plugin");
    let device = format!(
        "mount -t tmpfs tmpfs /sys/bus/pci/devices && ip link add dev0 type veth peer name dev1 && \
         mkdir -p /sys/bus/pci/devices/{DEVICE}/net/dev0"
    );
    kube.on("n1", &["bash", "-c", &device]);
    kube.network_in("n1", "00-several.conflist", &conflist(kube));
    kube.create(&[Pod::new("faces", "n1").port(8081, 80)]);
    let mut all = kube.running("faces");
    for (link, begin) in [("net1", "10.45.0."), ("net2", "10.46.0.")] {
        let said = kube.in_pod("faces", &["ip", "-o", "-4", "addr", "show", "dev", link]);
        let address = said.split_whitespace().find(|word| word.starts_with(begin));
        let address = address.and_then(|address| address.split('/').next());
        all.push(address.unwrap_or_else(|| panic!("{link} has {said:?}")).to_owned());
    }
    kube.holds(&all);
    let said = kube.on("n1", &["bash", "-c", &format!("cat {FILES}/*")]);
    let said: Value = must(serde_json::from_str(&said), "one file alone");
    assert_eq!(said["pci"]["pci-address"], DEVICE, "{said}");
    // The device is lent: nothing is left of what came before it.
    kube.create(&[Pod::new("again", "n1")]);
    let refused = kube.refused("again");
    assert!(refused.contains("network lent: ") && refused.contains(DEVICE), "{refused}");
    kube.delete(&["again"]);
    kube.holds(&all);
    kube.delete(&["faces"]);
    let left = kube.on("n1", &["bash", "-c", &format!("ls {FILES}; ip -o link show dev0")]);
    assert!(left.contains("dev0") && left.lines().count() == 1, "{left}");
    kube.on("n1", &["rm", "/etc/cni/net.d/00-several.conflist"]);
    kube.on("n1", &["bash", "-c", "umount /sys/bus/pci/devices && ip link del dev0"]);
    nothing_left(kube);
}
