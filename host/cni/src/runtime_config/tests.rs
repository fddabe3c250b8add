use serde_json::{Value, json};

use super::*;
use crate::Version;

fn conf(runtime_config: &Value) -> NetConf {
    let Value::Object(raw) = json!({ "runtimeConfig": runtime_config }) else {
        unreachable!("an object")
    };
    NetConf {
        version: Version::V1_1_0,
        name: "n".into(),
        plugin_type: String::new(),
        called: String::new(),
        raw,
    }
}

#[test]
fn nothing_sent_is_nothing_found() {
    for empty in [Value::Null, json!({})] {
        let conf = conf(&empty);
        let found = RuntimeConfig::of(&conf).unwrap();
        assert_eq!(found.ips().unwrap(), []);
        assert_eq!(found.mac().unwrap(), None);
        assert_eq!(found.port_mappings().unwrap(), []);
        assert_eq!(found.bandwidth().unwrap(), None);
        assert_eq!(found.ip_ranges().unwrap(), Vec::<Vec<IpRange>>::new());
        assert_eq!(found.dns().unwrap(), None);
        assert!(found.annotations().unwrap().is_empty());
    }
    assert!(RuntimeConfig::of(&conf(&json!([]))).is_err());
}

#[test]
fn what_go_cni_sends_without_tags_is_understood() {
    let conf = conf(&json!({
        "portMappings": [
            {"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""},
            {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "0.0.0.0"},
            {"hostPort": 9, "containerPort": 9}
        ],
        "bandwidth": {"IngressRate": 1000, "IngressBurst": 4_294_967_295_u32, "EgressRate": 0},
        "ipRanges": [[{"Subnet": "10.1.0.0/16", "RangeStart": "", "RangeEnd": "10.1.0.9",
                       "Gateway": ""}]],
        "dns": {"Servers": ["10.0.0.53"], "Searches": null, "Options": ["ndots:5"]},
        "io.kubernetes.cri.pod-annotations": {"a/b": "c"}
    }));
    let found = RuntimeConfig::of(&conf).unwrap();
    let ports = found.port_mappings().unwrap();
    assert_eq!((ports[0].host_port, ports[0].container_port, ports[0].host_ip), (8080, 80, None));
    assert_eq!((ports[1].protocol, ports[1].host_ip), (Protocol::Udp, "0.0.0.0".parse().ok()));
    assert_eq!(ports[2].protocol, Protocol::Tcp);
    let bandwidth = found.bandwidth().unwrap().unwrap();
    assert_eq!((bandwidth.ingress_rate, bandwidth.ingress_burst), (1000, u64::from(u32::MAX)));
    let ranges = found.ip_ranges().unwrap();
    assert_eq!((ranges[0][0].range_start, ranges[0][0].range_end), (None, "10.1.0.9".parse().ok()));
    assert_eq!(found.dns().unwrap().unwrap().nameservers, ["10.0.0.53"]);
    assert_eq!(found.annotations().unwrap()["a/b"], "c");
}

#[test]
fn a_malformed_part_troubles_only_who_reads_it() {
    let conf = conf(&json!({
        "portMappings": [{"hostPort": 65536, "containerPort": 80}],
        "ips": ["10.0.0.1"],
        "io.kubernetes.cri.pod-annotations": {"a/b": 1}
    }));
    let found = RuntimeConfig::of(&conf).unwrap();
    assert_eq!(found.ips().unwrap().len(), 1);
    let error = found.port_mappings().unwrap_err();
    assert_eq!(error.pointer, "/runtimeConfig/portMappings/0/hostPort");
    let error = found.annotations().unwrap_err();
    assert_eq!(error.pointer, "/runtimeConfig/io.kubernetes.cri.pod-annotations/a~1b");
}
