//! `macvlan`, `host-device`, `tap`, `loopback`; in the lab `ipvlan`, `vlan`, `dummy`.

use serde_json::{Value, json};
use wharfinger_suite::merge;
use wharfinger_suite::side::{Case, Differs, Proto, Side, Who, case, differs, lab, run};

use super::{BRIDGE_MAC, CODES, DELETES, LEFT, NO_FILES};

#[test]
#[ignore = "needs root: ring netns"]
fn side_links() {
    run(CASES, &[COMMON]);
}

/// What differs in any life.
const COMMON: &[Differs] = &[
    CODES,
    NO_FILES,
    differs("result-mtu", "add*/result/interfaces/*/mtu", "", "*"),
    differs("alias", "after */pod/links/*/ifalias", "", "*"),
    differs("announced", "after */pod/sysctl/ipv6/*/ndisc_notify", "\"0\"", "\"1\""),
    differs("announced", "after */pod/sysctl/ipv4/*/arp_notify", "\"0\"", "\"1\""),
    differs("no-dad", "after */addresses/*:*/nodad", "", "true"),
    differs("no-dad", "after */pod/sysctl/ipv6/*/accept_dad", "\"1\"", "\"0\""),
];

/// What differs where a bridge comes first.
const BEHIND: &[Differs] = &[
    differs("alias", "after add/host/links/*/ifalias", "", "*"),
    differs("queue-length", "after add/host/links/veth*/txqlen", "", "1000"),
    BRIDGE_MAC,
    differs("loopback-up", "after del/pod/links/lo/*", "", "*"),
];

/// A network of the plugin that the case is about, with addresses.
fn conf(s: &Side, more: &Value) -> Value {
    let mut conf = json!({ "type": s.plugin(), "ipam": s.world.ipam(&["10.1.0.0/16"]) });
    if more.get("ipam").is_some() {
        merge(&mut conf, &json!({ "ipam": null }));
    }
    merge(&mut conf, more);
    conf
}

fn life(s: &mut Side, more: &Value) {
    let conf = conf(s, more);
    let mut pod = s.pod(conf);
    s.life(&mut pod);
}

/// A link of the host to make others upon, which leads nowhere.
fn uplink(s: &Side) {
    let host = &s.world.host;
    host.ip("link add up0 type veth peer name up1");
    host.ip("link set up0 mtu 1450 up");
    host.ip("link set up1 up");
}

/// A life upon `up0`.
fn upon(s: &mut Side, more: &Value) {
    uplink(s);
    let mut all = json!({ "master": "up0" });
    merge(&mut all, more);
    life(s, &all);
}

/// The link that is master is the container's own.
fn inner_master(s: &mut Side, more: &Value) {
    let mut all = json!({ "master": "in0", "linkInContainer": true });
    merge(&mut all, more);
    let mut pod = s.pod(conf(s, &all));
    pod.container.ns.ip("link add in0 type veth peer name in1");
    pod.container.ns.ip("link set in0 up");
    pod.container.ns.ip("link set in1 up");
    s.life(&mut pod);
}

/// Two upon `up0`, that reach each other.
fn two(s: &mut Side, more: &Value) {
    uplink(s);
    let mut all = json!({ "master": "up0" });
    merge(&mut all, more);
    let list = conf(s, &all);
    let (mut one, mut two) = (s.pod(list.clone()), s.pod(list));
    s.add("add", &mut one);
    s.add("add another", &mut two);
    let to = format!("{}:80", two.address(false));
    s.speaks("tcp", Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Tcp);
    s.speaks("udp", Who::Pod(&one), &to, Who::Pod(&two), 80, Proto::Udp);
    s.check("check", &one);
    s.del("del", &one);
    s.del("del of the other", &two);
}

/// ADD, the namespace goes, DEL.
fn orphan(s: &mut Side, more: &Value) {
    uplink(s);
    let mut all = json!({ "master": "up0" });
    merge(&mut all, more);
    let mut pod = s.pod(conf(s, &all));
    s.add("add", &mut pod);
    pod.container.ns.delete();
    // The kernel takes what was in it in its own time; then nobody listens on the master.
    let listens = || s.world.host.link("up0").raw.get("promiscuity") != Some(&json!(0));
    for _ in 0..500 {
        if !listens() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    s.del("del", &pod);
}

/// ADD, the master goes, DEL.
fn without_master(s: &mut Side, more: &Value) {
    uplink(s);
    let mut all = json!({ "master": "up0" });
    merge(&mut all, more);
    let mut pod = s.pod(conf(s, &all));
    s.add("add", &mut pod);
    s.world.host.ip("link del up0");
    s.del("del", &pod);
}

/// A device to be moved.
fn device(s: &Side) {
    let host = &s.world.host;
    host.ip("link add dev0 address 02:00:00:00:00:55 type veth peer name dev1");
    host.ip("link set dev1 up");
}

/// What differs where a device goes back to the host.
const AGAIN: &[Differs] = &[differs("del-again", "del again", "*999*", "\"well\"")];

/// Devices: `dev0` is one of PCI, and of the auxiliary bus, `dev1` one of virtio, at two more
/// addresses are one without a link and one that a program drives.
fn sys(s: &mut Side) {
    device(s);
    let driven = |address: &str| format!("bus/pci/devices/{address}/driver");
    let [net, virtio, bare, vfio] = ["03", "04", "05", "06"].map(|n| format!("0000:00:{n}.0"));
    let directories = [
        "devices/pci0000:00/0000:00:03.0/net/dev0".to_owned(),
        "devices/pci0000:00/0000:00:05.0/net".to_owned(),
        format!("bus/pci/devices/{net}/net/dev0"),
        format!("bus/pci/devices/{virtio}/virtio0/net/dev1"),
        format!("bus/pci/devices/{bare}"),
        format!("bus/pci/devices/{vfio}"),
        "bus/auxiliary/devices/mlx5_core.sf.4/net/dev0".to_owned(),
        "bus/pci/drivers/e1000".to_owned(),
        "bus/pci/drivers/vfio-pci".to_owned(),
    ];
    let kernels = [&net, &virtio, &bare].map(|address| (driven(address), "e1000"));
    let links: Vec<(String, String)> = kernels
        .into_iter()
        .chain([(driven(&vfio), "vfio-pci")])
        .map(|(link, driver)| (link, format!("../../drivers/{driver}")))
        .collect();
    let links: Vec<(&str, &str)> = links.iter().map(|(link, to)| (&**link, &**to)).collect();
    s.world.devices(&directories.each_ref().map(|path| &**path), &links);
}

/// The runtime names the device.
fn by_device_id(s: &mut Side, more: &Value, id: &str) {
    let mut all = json!({ "capabilities": { "deviceID": true } });
    merge(&mut all, more);
    let mut pod = s.pod(conf(s, &all)).capabilities(json!({ "deviceID": id }));
    s.life(&mut pod);
}

const BAD_IPAM: &str = r#"{ "type": "host-local", "ranges": [] }"#;

fn bad_ipam() -> Value {
    serde_json::from_str(BAD_IPAM).expect("JSON")
}

const CASES: &[Case] = &[
    case("macvlan", &[], |s| two(s, &json!({}))),
    case("macvlan: mode private", &[], |s| two(s, &json!({ "mode": "private" }))),
    case("macvlan: mode vepa", &[], |s| upon(s, &json!({ "mode": "vepa" }))),
    case("macvlan: mode passthru", &[], |s| upon(s, &json!({ "mode": "passthru" }))),
    case("macvlan: mode of nobody", &[], |s| upon(s, &json!({ "mode": "l2" }))),
    case("macvlan: mtu", &[], |s| upon(s, &json!({ "mtu": 1400 }))),
    case("macvlan: mtu above the master's", &[], |s| upon(s, &json!({ "mtu": 1500 }))),
    case("macvlan: mac", &[], |s| upon(s, &json!({ "mac": "02:00:00:00:00:01" }))),
    case("macvlan: MAC in CNI_ARGS, over mac", &[], |s| {
        uplink(s);
        let more = json!({ "master": "up0", "mac": "02:00:00:00:00:01" });
        let mut pod = s.pod(conf(s, &more)).args("IgnoreUnknown=1;MAC=02:00:00:00:00:02");
        s.life(&mut pod);
    }),
    case("macvlan: the capability mac, over CNI_ARGS", &[], |s| {
        uplink(s);
        let more = json!({ "master": "up0", "capabilities": { "mac": true } });
        let mut pod = s.pod(conf(s, &more)).args("IgnoreUnknown=1;MAC=02:00:00:00:00:02");
        pod = pod.capabilities(json!({ "mac": "02:00:00:00:00:03" }));
        s.life(&mut pod);
    }),
    case("macvlan: bcqueuelen", &[], |s| upon(s, &json!({ "bcqueuelen": 2000 }))),
    case("macvlan: linkInContainer", &[], |s| inner_master(s, &json!({}))),
    case("macvlan: layer 2", &[], |s| upon(s, &json!({ "ipam": null }))),
    case("macvlan: dns", &[], |s| upon(s, &json!({ "dns": { "nameservers": ["10.9.9.9"] } }))),
    case("macvlan: master by the default route", &[], |s| {
        uplink(s);
        s.world.host.ip("address add 192.0.2.2/24 dev up0");
        s.world.host.ip("route add default via 192.0.2.1");
        life(s, &json!({}));
    }),
    case("macvlan: no master", &[], |s| life(s, &json!({}))),
    case("macvlan: a master that is not there", &[], |s| life(s, &json!({ "master": "not0" }))),
    case("macvlan: both families", &[], |s| {
        let ipam = s.world.ipam(&["10.1.0.0/16", "fd00:1::/64"]);
        upon(s, &json!({ "ipam": ipam }));
    }),
    case("macvlan: IPAM fails", &[LEFT, DELETES], |s| upon(s, &json!({ "ipam": bad_ipam() }))),
    case("macvlan: the namespace gone before DEL", &[], |s| orphan(s, &json!({}))),
    case("macvlan: the master gone before DEL", &[], |s| without_master(s, &json!({}))),
    case("macvlan: STATUS", &[differs("status", "status", "\"well\"", "*50*")], |s| {
        let pod = s.pod(conf(s, &json!({ "master": "up0" })));
        s.status("status", &pod);
    }),
    case("host-device: device", AGAIN, |s| {
        device(s);
        life(s, &json!({ "device": "dev0" }));
    }),
    case("host-device: hwaddr", AGAIN, |s| {
        device(s);
        life(s, &json!({ "hwaddr": "02:00:00:00:00:55" }));
    }),
    case("host-device: no ipam", AGAIN, |s| {
        device(s);
        life(s, &json!({ "device": "dev0", "ipam": null }));
    }),
    case("host-device: a device that is not there", &[DELETES], |s| {
        life(s, &json!({ "device": "not0" }));
    }),
    case("host-device: no selector", &[DELETES], |s| life(s, &json!({}))),
    case("host-device: kernelpath outside /sys/devices", &[DELETES], |s| {
        life(s, &json!({ "kernelpath": "/proc" }));
    }),
    case("host-device: a pciBusID that is not there", &[DELETES], |s| {
        life(s, &json!({ "pciBusID": "0000:99:00.0" }));
    }),
    case("host-device: kernelpath, as the kernel has it", AGAIN, |s| {
        device(s);
        s.world.own_sysfs();
        life(s, &json!({ "kernelpath": "/sys/devices/virtual" }));
    }),
    case("host-device: kernelpath of a device", AGAIN, |s| {
        sys(s);
        life(s, &json!({ "kernelpath": "/sys/devices/pci0000:00/0000:00:03.0" }));
    }),
    case("host-device: a kernelpath that is not there", &[DELETES], |s| {
        sys(s);
        life(s, &json!({ "kernelpath": "/sys/devices/not" }));
    }),
    case("host-device: kernelpath of a device without a link", &[DELETES], |s| {
        sys(s);
        life(s, &json!({ "kernelpath": "/sys/devices/pci0000:00/0000:00:05.0" }));
    }),
    case("host-device: pciBusID", AGAIN, |s| {
        sys(s);
        life(s, &json!({ "pciBusID": "0000:00:03.0" }));
    }),
    case("host-device: pciBusID of a virtio device", AGAIN, |s| {
        sys(s);
        life(s, &json!({ "pciBusID": "0000:00:04.0" }));
    }),
    case("host-device: pciBusID of a device without a link", &[DELETES], |s| {
        sys(s);
        life(s, &json!({ "pciBusID": "0000:00:05.0" }));
    }),
    case("host-device: pciBusID of a device that is left to a program", &[], |s| {
        sys(s);
        life(s, &json!({ "pciBusID": "0000:00:06.0" }));
    }),
    case("host-device: deviceID of PCI, over pciBusID", AGAIN, |s| {
        sys(s);
        by_device_id(s, &json!({ "pciBusID": "0000:99:00.0" }), "0000:00:03.0");
    }),
    case("host-device: deviceID of the auxiliary bus, over pciBusID", AGAIN, |s| {
        sys(s);
        by_device_id(s, &json!({ "pciBusID": "0000:00:04.0" }), "mlx5_core.sf.4");
    }),
    case("host-device: deviceID alone", AGAIN, |s| {
        sys(s);
        by_device_id(s, &json!({}), "0000:00:03.0");
    }),
    case("host-device: a deviceID that is not there, alone", &[DELETES], |s| {
        sys(s);
        by_device_id(s, &json!({}), "0000:99:00.0");
    }),
    case("host-device: hwaddr over kernelpath", AGAIN, |s| {
        sys(s);
        life(s, &json!({ "hwaddr": "02:00:00:00:00:55", "kernelpath": "/sys/devices/not" }));
    }),
    case("host-device: kernelpath over pciBusID", AGAIN, |s| {
        sys(s);
        let path = "/sys/devices/pci0000:00/0000:00:03.0";
        life(s, &json!({ "kernelpath": path, "pciBusID": "0000:00:04.0" }));
    }),
    case(
        "host-device: a deviceID that is not there",
        &[differs("selectors", "add/error", "*999*", ""), differs("selectors", "*", "*", "*")],
        |s| {
            let more = json!({ "device": "dev0", "capabilities": { "deviceID": true } });
            device(s);
            let mut pod = s.pod(conf(s, &more)).capabilities(json!({ "deviceID": "0000:99:00.0" }));
            s.life(&mut pod);
        },
    ),
    case(
        "host-device: IPAM fails",
        &[LEFT, differs("failed-add", "after */host/*", "", "*"), DELETES],
        |s| {
            device(s);
            life(s, &json!({ "device": "dev0", "ipam": bad_ipam() }));
        },
    ),
    case(
        "host-device: DEL with the namespace gone",
        &[DELETES, differs("del-without-namespace", "after del/files/pods/is/10.1.0.2", "*", "")],
        |s| {
            device(s);
            let mut pod = s.pod(conf(s, &json!({ "device": "dev0" })));
            s.add("add", &mut pod);
            pod.container.ns.delete();
            // The device ends with its namespace, in the kernel's own time; and its peer with it.
            let gone = || s.world.links().iter().all(|link| link.name != "dev1");
            for _ in 0..500 {
                if gone() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            s.del("del", &pod);
        },
    ),
    case("tap", &[], |s| life(s, &json!({}))),
    case("tap: multiQueue", &[], |s| life(s, &json!({ "multiQueue": true }))),
    case("tap: mtu", &[], |s| life(s, &json!({ "mtu": 1400 }))),
    case("tap: mac", &[], |s| life(s, &json!({ "mac": "02:00:00:00:00:01" }))),
    case(
        "tap: owner and group",
        &[
            differs(
                "tap-frames",
                "after add/pod/links/eth0/linkinfo/info_data/pi",
                "true",
                "false",
            ),
            differs(
                "tap-frames",
                "after add/pod/links/eth0/linkinfo/info_data/vnet_hdr",
                "true",
                "false",
            ),
        ],
        |s| life(s, &json!({ "owner": 1000, "group": 1000 })),
    ),
    case(
        "tap: owner, group and mac",
        &[
            differs(
                "tap-frames",
                "after add/pod/links/eth0/linkinfo/info_data/pi",
                "true",
                "false",
            ),
            differs(
                "tap-frames",
                "after add/pod/links/eth0/linkinfo/info_data/vnet_hdr",
                "true",
                "false",
            ),
            differs(
                "tap-mac",
                "add/result/interfaces/0 eth0/mac",
                "\"its own\"",
                "\"02:00:00:00:00:01\"",
            ),
            differs(
                "tap-mac",
                "after add/pod/links/eth0/mac",
                "\"chance\"",
                "\"02:00:00:00:00:01\"",
            ),
        ],
        |s| {
            life(s, &json!({ "owner": 1000, "group": 1000, "mac": "02:00:00:00:00:01" }));
        },
    ),
    case("tap: owner alone", &[], |s| life(s, &json!({ "owner": 1000 }))),
    case("tap: bridge", &[], |s| {
        let mut pod = s.pod(conf(s, &json!({ "bridge": "br-in" })));
        pod.container.ns.ip("link add br-in type bridge");
        s.life(&mut pod);
    }),
    case("tap: no ipam", &[], |s| life(s, &json!({ "ipam": null }))),
    case("tap: MAC in CNI_ARGS", &[], |s| {
        let mut pod = s.pod(conf(s, &json!({}))).args("IgnoreUnknown=1;MAC=02:00:00:00:00:02");
        s.life(&mut pod);
    }),
    case("tap: IPAM fails", &[LEFT, DELETES], |s| life(s, &json!({ "ipam": bad_ipam() }))),
    case(
        "loopback",
        &[
            differs("loopback-up", "after del/pod/links/lo/addresses/::1/128", "", "*"),
            differs("loopback-up", "after del/pod/links/lo/flags/UP", "", "true"),
        ],
        |s| loopback(s, false),
    ),
    case("loopback: after another plugin", BEHIND, |s| loopback(s, true)),
    case(
        "loopback: another address is on it",
        &[
            differs("loopback-up", "after del/pod/links/lo/addresses/::1/128", "", "*"),
            differs("loopback-up", "after del/pod/links/lo/flags/UP", "", "true"),
        ],
        |s| {
            let mut pod = s.pod(json!({ "type": "loopback" }));
            pod.by("lo");
            pod.container.ns.ip("address add 192.0.2.1/32 dev lo");
            s.life(&mut pod);
        },
    ),
    lab("ipvlan", &[], |s| two(s, &json!({}))),
    lab("ipvlan: mode l3", &[], |s| two(s, &json!({ "mode": "l3" }))),
    lab("ipvlan: mode l3s", &[], |s| upon(s, &json!({ "mode": "l3s" }))),
    lab("ipvlan: mode of nobody", &[], |s| upon(s, &json!({ "mode": "vepa" }))),
    lab("ipvlan: mtu", &[], |s| upon(s, &json!({ "mtu": 1400 }))),
    lab("ipvlan: linkInContainer", &[], |s| inner_master(s, &json!({}))),
    lab("ipvlan: dns", &[], |s| upon(s, &json!({ "dns": { "nameservers": ["10.9.9.9"] } }))),
    lab("ipvlan: no ipam", &[], |s| upon(s, &json!({ "ipam": null }))),
    lab("ipvlan: IPAM fails", &[LEFT, DELETES], |s| upon(s, &json!({ "ipam": bad_ipam() }))),
    lab("ipvlan: the namespace gone before DEL", &[], |s| orphan(s, &json!({}))),
    lab("vlan", &[], |s| upon(s, &json!({ "vlanId": 100 }))),
    lab("vlan: vlanId 0", &[], |s| upon(s, &json!({}))),
    lab("vlan: vlanId above 4094", &[DELETES], |s| upon(s, &json!({ "vlanId": 4095 }))),
    lab("vlan: mtu", &[], |s| upon(s, &json!({ "vlanId": 100, "mtu": 1400 }))),
    lab("vlan: mtu above the master's", &[DELETES], |s| {
        upon(s, &json!({ "vlanId": 100, "mtu": 9000 }));
    }),
    lab("vlan: linkInContainer", &[], |s| inner_master(s, &json!({ "vlanId": 100 }))),
    lab("vlan: no master", &[DELETES], |s| life(s, &json!({ "vlanId": 100 }))),
    lab("vlan: IPAM fails", &[LEFT, DELETES], |s| {
        upon(s, &json!({ "vlanId": 100, "ipam": bad_ipam() }));
    }),
    lab(
        "vlan: the master gone before DEL",
        &[DELETES, differs("del-always", "after del/files/pods/is/10.1.0.2", "*", "")],
        |s| without_master(s, &json!({ "vlanId": 100 })),
    ),
    lab(
        "dummy",
        &[differs("no-dad", "after add/pod/sysctl/ipv6/eth0/accept_dad", "\"-1\"", "\"0\"")],
        |s| life(s, &json!({})),
    ),
    lab(
        "dummy: dns",
        &[differs("no-dad", "after add/pod/sysctl/ipv6/eth0/accept_dad", "\"-1\"", "\"0\"")],
        |s| life(s, &json!({ "dns": { "nameservers": ["10.9.9.9"] } })),
    ),
    lab("dummy: no ipam", &[DELETES], |s| life(s, &json!({ "ipam": null }))),
    lab("dummy: IPAM fails", &[DELETES], |s| life(s, &json!({ "ipam": bad_ipam() }))),
];

fn loopback(s: &mut Side, after: bool) {
    let first = json!({
        "type": "bridge", "bridge": "cni0", "ipam": s.world.ipam(&["10.1.0.0/16"]),
    });
    let last = json!({ "type": "loopback" });
    let mut pod = s.pod(if after { json!([first, last]) } else { last });
    if !after {
        pod.by("lo");
    }
    pod.container.ns.ip("link set lo down");
    s.life(&mut pod);
}
