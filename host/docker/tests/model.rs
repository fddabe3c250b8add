//! What Docker's calls mean: requests as dockerd 20.10 sent them, and what is made of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use wharfinger_cni::{Success, Version};
use wharfinger_docker::wire::{self, About, AddressOf, CreateNetwork, RequestPool};
use wharfinger_docker::{Id, Network, Pool, Wanted, choices, interface, mappings};

const NETWORK: &str = "def765f0a1b2c3d4e5f60718293a4b5c6d7e8f901122334455667788990011aa";
const ENDPOINT: &str = "67aa96f0a1b2c3d4e5f60718293a4b5c6d7e8f901122334455667788990011bb";

fn request(options: &Value, v4: &Value) -> CreateNetwork {
    let body = json!({
        "NetworkID": NETWORK,
        "Options": {
            "com.docker.network.enable_ipv6": false,
            "com.docker.network.generic": options,
        },
        "IPv4Data": v4,
        "IPv6Data": [],
    });
    wire::read(body.to_string().as_bytes()).unwrap()
}

fn subnet() -> Value {
    json!([{
        "AddressSpace": "wharfinger-local",
        "AuxAddresses": { "router": "10.90.0.130/24" },
        "Gateway": "10.90.0.1/24",
        "Pool": "10.90.0.0/24",
    }])
}

fn network(options: &Value) -> Network {
    Network::read(&request(options, &subnet())).unwrap()
}

fn refused(options: &Value) -> String {
    Network::read(&request(options, &subnet())).unwrap_err().to_string()
}

fn endpoint() -> About {
    let body = json!({
        "NetworkID": NETWORK,
        "EndpointID": ENDPOINT,
        "Interface": { "Address": "10.90.0.128/24", "AddressIPv6": "", "MacAddress": "" },
        "Options": {
            "com.docker.network.endpoint.exposedports": [{ "Proto": 6, "Port": 80 }],
            "com.docker.network.portmap": [
                { "Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 18080, "HostPortEnd": 18080 },
            ],
            "my.ep": "1",
        },
    });
    wire::read(body.to_string().as_bytes()).unwrap()
}

fn made() -> Success {
    let result = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            { "name": "wh-def765f0a1b2", "mac": "02:00:00:00:00:01" },
            { "name": "wd67aa96f0a1b2", "mac": "02:42:0a:5a:00:80", "sandbox": "/proc/self/ns/net" },
        ],
        "ips": [{ "address": "10.90.0.128/24", "gateway": "10.90.0.1", "interface": 1 }],
    });
    Success::parse(Version::V1_1_0, &result).unwrap()
}

fn id() -> Id {
    Id::parse("EndpointID", ENDPOINT).unwrap()
}

#[test]
fn docker_options_become_keys_of_ours() {
    let network = network(&json!({
        "com.docker.network.bridge.name": "br7",
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.bridge.enable_icc": "F",
        "com.docker.network.bridge.enable_ip_masquerade": "0",
        "hairpinMode": "true",
        "policies": r#"[{"plugin": "rules"}]"#,
    }));
    assert_eq!(network.bridge(), Some("br7"));
    let conf = network.endpoint(&endpoint()).unwrap();
    let expected = json!({
        "cniVersion": "1.1.0", "name": "docker-def765f0a1b2", "type": "wharfinger",
        "driver": "bridge", "hostHalf": true, "bridge": "br7", "isGateway": true, "ipMasq": false,
        "features": { "firewall": { "ingressPolicy": "same-bridge" } },
        "mtu": 1400, "portIsolation": true, "hairpinMode": true,
        "policies": [{ "plugin": "rules" }],
        "ipam": {
            "type": "static", "domain": "docker-def765f0a1b2", "coolDown": 0,
            "addresses": [{ "address": "10.90.0.128/24", "gateway": "10.90.0.1" }],
        },
        "runtimeConfig": {
            "portMappings": [{ "protocol": "tcp", "containerPort": 80, "hostPort": 18080 }],
            "mac": "02:42:0a:5a:00:80",
        },
        "capabilities": { "portMappings": true, "mac": true },
        "args": { "cni": { "my.ep": "1" } },
    });
    let mut conf = conf;
    let mark = conf.as_object_mut().unwrap().remove("docker").unwrap();
    assert_eq!(conf, expected);
    assert_eq!((&mark["network"], &mark["endpoint"]), (&json!(NETWORK), &json!(ENDPOINT)));
}

#[test]
fn what_cannot_be_is_refused_with_the_option() {
    for (options, text) in [
        (json!({ "driver": "host" }), "docker run --network host"),
        (json!({ "driver": "host-device" }), "that half is Docker's own"),
        (json!({ "driver": "brigde" }), "is none of bridge, overlay, ptp"),
        (json!({ "com.docker.network.bridge.enable_icc": "yes" }), "allowed: true or false"),
        (json!({ "com.docker.network.driver.mtu": "big" }), "allowed: a number"),
        (json!({ "com.docker.network.host_ipv4": "1.2.3.4" }), "is not known"),
        (json!({ "com.docker.network.container_iface_prefix": "a/b" }), "1 to 10 letters"),
        (json!({ "runtimeConfig": "{}" }), "not for users to set"),
        (json!({ "HOSTHALF": "false" }), "not for users to set"),
        (json!({ "gateway": "10.0.0.1" }), "network, docker or none"),
        (json!({ "ipam": "{\"type\": \"host-local\"}" }), "--ipam-driver null"),
        (json!({ "mtu": 1400 }), "a text is expected"),
    ] {
        let said = refused(&options);
        assert!(said.contains(text), "{options}: {said}");
    }
    let bad = CreateNetwork { network: "a/b".to_owned(), ..request(&json!({}), &subnet()) };
    assert!(Network::read(&bad).is_err());
}

#[test]
fn an_endpoint_gets_what_docker_did_not_say() {
    let network = network(&json!({}));
    let created = network.created(&endpoint(), &made());
    assert_eq!((created.address.as_str(), created.mac_address.as_str()), ("", "02:42:0a:5a:00:80"));
    let mut asked = endpoint();
    asked.interface.mac_address = "02:aa:bb:cc:dd:01".to_owned();
    assert_eq!(network.created(&asked, &made()), wire::Interface::default());
    let conf = network.endpoint(&asked).unwrap();
    assert_eq!(conf["runtimeConfig"]["mac"], "02:aa:bb:cc:dd:01");
}

#[test]
fn a_join_names_the_link_and_the_way_out() {
    let joined = serde_json::to_value(network(&json!({})).joined(&id(), &made())).unwrap();
    let expected = json!({
        "InterfaceName": { "SrcName": "wd67aa96f0a1b2", "DstPrefix": "eth" },
        "Gateway": "10.90.0.1", "StaticRoutes": [], "DisableGatewayService": false,
    });
    assert_eq!(joined, expected);
    assert!(interface(&id()).len() <= 15);
    let by_docker = network(&json!({ "gateway": "docker" })).joined(&id(), &made());
    assert!(by_docker.gateway.is_empty() && !by_docker.disable_gateway_service);
    let nobody = network(&json!({ "gateway": "none" })).joined(&id(), &made());
    assert!(nobody.gateway.is_empty() && nobody.disable_gateway_service);
    let none = network(&json!({ "driver": "none" })).joined(&id(), &Success::default());
    assert!(none.interface_name.is_none() && none.disable_gateway_service);
    let l3 = network(&json!({ "driver": "ipvlan", "ipvlan_mode": "l3", "parent": "eth9" }));
    let routes = l3.joined(&id(), &made());
    assert_eq!(routes.static_routes[0].destination, "0.0.0.0/0");
    assert!(routes.gateway.is_empty() && routes.disable_gateway_service);
}

#[test]
fn an_internal_network_leads_nowhere() {
    let mut request = request(&json!({}), &subnet());
    request.options.insert("com.docker.network.internal".to_owned(), true.into());
    let network = Network::read(&request).unwrap();
    let conf = network.endpoint(&endpoint()).unwrap();
    assert!(conf.get("isGateway").is_none() && conf.get("ipMasq").is_none());
    assert!(conf["ipam"]["addresses"][0].get("gateway").is_none());
    assert!(network.joined(&id(), &made()).gateway.is_empty());
}

#[test]
fn an_ipvlan_has_no_mac_address_of_its_own() {
    let network = network(&json!({ "driver": "ipvlan", "parent": "eth9" }));
    assert!(network.created(&endpoint(), &made()).mac_address.is_empty());
    let mut asked = endpoint();
    asked.interface.mac_address = "02:aa:bb:cc:dd:01".to_owned();
    assert!(network.endpoint(&asked).is_err());
}

#[test]
fn a_network_without_docker_s_addresses_may_name_a_component() {
    let null = json!([{ "AddressSpace": "null", "Pool": "0.0.0.0/0" }]);
    let ipam = r#"{"type": "host-local", "ranges": [[{"subnet": "10.7.0.0/24"}]]}"#;
    let network = Network::read(&request(&json!({ "ipam": ipam }), &null)).unwrap();
    let mut asked = endpoint();
    asked.interface = wire::Interface::default();
    let conf = network.endpoint(&asked).unwrap();
    assert_eq!(conf["ipam"]["type"], "host-local");
    assert_eq!(conf["isGateway"], true);
    assert_eq!(network.created(&asked, &made()).address, "10.90.0.128/24");
    let bare = Network::read(&request(&json!({}), &null)).unwrap();
    assert!(bare.endpoint(&asked).unwrap().get("ipam").is_none());
}

#[test]
fn a_network_is_kept_as_json() {
    let network = network(&json!({ "policies": "[]", "com.docker.network.driver.mtu": "1400" }));
    let kept = serde_json::to_string(&network).unwrap();
    assert_eq!(serde_json::from_str::<Network>(&kept).unwrap(), network);
}

#[test]
fn ports_are_read_in_a_fixed_order() {
    let port = |proto: u8, port: u16, ip: &str, host: u16, end: u16| json!({ "Proto": proto, "IP": "", "Port": port, "HostIP": ip, "HostPort": host, "HostPortEnd": end });
    let list = json!([
        port(6, 90, "", 0, 0),
        port(17, 53, "127.0.0.1", 18053, 18053),
        port(6, 80, "", 18080, 18080),
        port(6, 81, "", 9000, 9010),
    ]);
    let options = json!({ "com.docker.network.portmap": list });
    let found = choices(options.as_object().unwrap(), "10.0.0.1".parse().ok()).unwrap();
    let hosts: Vec<_> = found.iter().map(|it| it.host).collect();
    assert_eq!(hosts[..2], [Some((18080, 18080)), Some((18053, 18053))]);
    assert!(hosts[2..].contains(&Some((9000, 9010))) && hosts[2..].contains(&None));
    let chosen = [(found[0].clone(), 18080)];
    let expected = json!([{
        "protocol": "tcp", "containerPort": 80, "hostPort": 18080, "hostIP": "10.0.0.1"
    }]);
    assert_eq!(mappings(&chosen), expected);
    for bad in [json!([port(1, 80, "", 1, 1)]), json!([port(6, 0, "", 1, 1)]), json!("x")] {
        let options = json!({ "com.docker.network.portmap": bad });
        assert!(choices(options.as_object().unwrap(), None).is_err());
    }
}

fn pool(request: &Value, there: &[Pool]) -> Result<Pool, String> {
    let request: RequestPool = wire::read(request.to_string().as_bytes()).unwrap();
    Pool::read(&request, there).map_err(|error| error.to_string())
}

#[test]
fn a_pool_is_a_range_of_a_component() {
    let request = json!({
        "AddressSpace": "wharfinger-local", "Pool": "10.90.0.0/24", "SubPool": "10.90.0.128/25",
        "Options": { "plugin": "sticky", "network": "pods", "sticky": "true" }, "V6": false,
    });
    let read = pool(&request, &[]).unwrap();
    let conf = read.conf(Some("10.90.0.200".parse().unwrap()));
    assert_eq!((&conf["name"], &conf["type"]), (&json!("pods"), &json!("docker")));
    let expected = json!({
        "type": "wharfinger", "plugin": "sticky", "domain": "host", "sticky": true,
        "ranges": [[{ "subnet": "10.90.0.0/24", "rangeStart": "10.90.0.128" }]],
    });
    assert_eq!(conf["ipam"], expected);
    assert_eq!(conf["runtimeConfig"]["ips"], json!(["10.90.0.200/24"]));
    let ip = |text: &str| text.parse().unwrap();
    assert_eq!(read.wanted("", false), Ok(Wanted::Any));
    assert_eq!(read.wanted("", true), Ok(Wanted::Held(ip("10.90.0.1"))));
    assert_eq!(read.wanted("10.90.0.200", false), Ok(Wanted::Asked(ip("10.90.0.200"))));
    assert_eq!(read.wanted("10.90.0.9", false), Ok(Wanted::Held(ip("10.90.0.9"))));
    assert!(read.wanted("10.91.0.9", false).is_err());
}

#[test]
fn the_gateway_is_nobody_s_to_give_on_any_node() {
    let request = |options: Value| {
        json!({
            "AddressSpace": "wharfinger-local", "Pool": "10.90.0.0/24", "Options": options,
        })
    };
    let gateway = Some("10.90.0.254".parse().unwrap());
    let conf = |options: Value| {
        let mut read = pool(&request(options), &[]).unwrap();
        read.gateway = gateway;
        read.conf(None)["ipam"]["ranges"][0][0].clone()
    };
    assert_eq!(conf(json!({})), json!({ "subnet": "10.90.0.0/24", "gateway": "10.90.0.254" }));
    // Of a component that is not ours nobody knows how it would be said.
    assert_eq!(conf(json!({ "plugin": "sticky" })), json!({ "subnet": "10.90.0.0/24" }));
    let config = r#"{"ranges": [[{ "subnet": "10.90.0.0/24", "gateway": "10.90.0.9" }]]}"#;
    assert_eq!(conf(json!({ "config": config }))["gateway"], json!("10.90.0.9"));
}

#[test]
fn pools_of_one_space_do_not_overlap() {
    let of = |space: &str, net: &str| json!({ "AddressSpace": space, "Pool": net });
    let first = pool(&of("wharfinger-local", "10.90.0.0/24"), &[]).unwrap();
    let there = [first.clone()];
    let error = pool(&of("wharfinger-local", "10.90.0.128/25"), &there).unwrap_err();
    assert!(error.contains("overlaps with 10.90.0.0/24"), "{error}");
    let global = pool(&of("wharfinger-global", "10.90.0.0/24"), &there).unwrap();
    assert_ne!((&global.id, &global.domain), (&first.id, &first.domain));
    let again = pool(&of("wharfinger-local", "10.90.0.0/24"), &there).unwrap();
    assert_eq!((again.uses, &again.id), (2, &first.id));
    assert!(pool(&of("elsewhere", "10.90.0.0/24"), &[]).is_err());
}

#[test]
fn nobody_s_subnet_is_another_each_time() {
    for v6 in [false, true] {
        let request = json!({ "AddressSpace": "", "Pool": "", "V6": v6, "Options": null });
        let mut there: Vec<Pool> = Vec::new();
        for _ in 0..20 {
            let next = pool(&request, &there).unwrap();
            assert_eq!(next.uses, 1);
            there.push(next);
        }
    }
}

#[test]
fn a_gateway_is_known_by_its_hint() {
    let body = br#"{"PoolID":"P1","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}}"#;
    assert!(wire::read::<AddressOf>(body).unwrap().is_gateway());
    let body = br#"{"PoolID":"P1","Address":"","Options":null,"New":[1]}"#;
    assert!(!wire::read::<AddressOf>(body).unwrap().is_gateway());
    assert!(wire::read::<AddressOf>(b"").unwrap().pool.is_empty());
    assert!(wire::read::<AddressOf>(br#"{"PoolID":1}"#).is_err());
}
