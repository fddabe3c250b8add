//! The wire protocol without dockerd: what 20.10 and newer send, as it was recorded, sent again; and what
//! nobody should send.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod docker_side;

use docker_side::Lab;
use serde_json::{Value, json};
use wharfinger_suite::World;

const NETWORK: &str = "def765f0a1b2c3d4e5f60718293a4b5c6d7e8f901122334455667788990011aa";
const ENDPOINT: &str = "67aa96f0a1b2c3d4e5f60718293a4b5c6d7e8f901122334455667788990011bb";

/// One call that succeeds; its answer.
#[track_caller]
fn call(lab: &Lab<'_>, method: &str, body: &Value) -> Value {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = lab.answers(method, &text);
    assert_eq!(status, 200, "{method}: {answer}");
    assert!(answer.get("Err").is_none() && answer.get("Error").is_none(), "{method}: {answer}");
    answer
}

/// One call that is refused, under both roles' keys; why.
#[track_caller]
fn refused(lab: &Lab<'_>, method: &str, body: &Value) -> String {
    let (status, answer) = lab.answers(method, &body.to_string());
    assert_eq!(status, 200, "{method}: {answer}");
    assert_eq!(answer["Err"], answer["Error"]);
    answer["Err"].as_str().expect("an error").to_owned()
}

fn pool() -> Value {
    json!({
        "AddressSpace": "wharfinger-local", "Pool": "10.90.0.0/24", "SubPool": "10.90.0.128/25",
        "Options": null, "V6": false,
    })
}

fn gateway() -> Value {
    json!({ "RequestAddressType": "com.docker.network.gateway" })
}

fn network() -> Value {
    json!({
        "NetworkID": NETWORK,
        "Options": {
            "com.docker.network.enable_ipv6": false,
            "com.docker.network.generic": { "com.docker.network.driver.mtu": "1400" },
        },
        "IPv4Data": [{
            "AddressSpace": "wharfinger-local", "AuxAddresses": { "router": "10.90.0.130/24" },
            "Gateway": "10.90.0.1/24", "Pool": "10.90.0.0/24",
        }],
        "IPv6Data": [],
    })
}

fn about() -> Value {
    json!({ "NetworkID": NETWORK, "EndpointID": ENDPOINT })
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

fn ports() -> Value {
    json!({
        "com.docker.network.endpoint.exposedports": [{ "Proto": 6, "Port": 80 }],
        "com.docker.network.portmap": [
            { "Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 18080, "HostPortEnd": 18080 },
            { "Proto": 6, "IP": "", "Port": 90, "HostIP": "", "HostPort": 0, "HostPortEnd": 0 },
        ],
    })
}

#[test]
#[ignore = "needs root: ring docker"]
#[expect(clippy::cognitive_complexity, reason = "one life, told from its beginning to its end")]
fn a_container_s_life_as_20_10_tells_it_and_each_call_twice() {
    let world = World::new();
    let lab = Lab::bare(&world);
    // A call whose answer was lost is sent again: each here, where Docker can repeat it.
    let twice = |method: &str, body: &Value| {
        let first = call(&lab, method, body);
        assert_eq!(call(&lab, method, body), first, "{method}");
        first
    };
    let implements = twice("Plugin.Activate", &Value::Null);
    assert_eq!(implements["Implements"], json!(["NetworkDriver", "IpamDriver"]));
    assert_eq!(twice("NetworkDriver.GetCapabilities", &Value::Null)["Scope"], "local");
    let replay = twice("IpamDriver.GetCapabilities", &Value::Null);
    assert_eq!(replay["RequiresRequestReplay"], false);
    let spaces = twice("IpamDriver.GetDefaultAddressSpaces", &Value::Null);
    assert_eq!(spaces["LocalDefaultAddressSpace"], "wharfinger-local");

    let given = call(&lab, "IpamDriver.RequestPool", &pool());
    assert_eq!(given["Pool"], "10.90.0.0/24");
    let of = |address: &str, options: Value| json!({ "PoolID": given["PoolID"], "Address": address, "Options": options });
    let address = twice("IpamDriver.RequestAddress", &of("10.90.0.1", gateway()));
    assert_eq!(address["Address"], "10.90.0.1/24");
    call(&lab, "IpamDriver.RequestAddress", &of("10.90.0.130", Value::Null));
    let said = refused(&lab, "IpamDriver.RequestAddress", &of("10.90.0.130", Value::Null));
    assert!(said.contains("in use"), "{said}");
    // Outside of the range, inside the subnet.
    call(&lab, "IpamDriver.RequestAddress", &of("10.90.0.7", Value::Null));
    twice("NetworkDriver.CreateNetwork", &network());

    let address = call(&lab, "IpamDriver.RequestAddress", &of("", Value::Null));
    let address = address["Address"].as_str().expect("an address").to_owned();
    assert!(address.starts_with("10.90.0.1") && address != "10.90.0.130/24", "{address}");
    let interface = json!({ "Address": address, "AddressIPv6": "", "MacAddress": "" });
    let create = with(with(about(), "Interface", interface), "Options", ports());
    let created = twice("NetworkDriver.CreateEndpoint", &create);
    assert!(created["Interface"]["MacAddress"].as_str().expect("a MAC").starts_with("02:42:0a:5a"));
    assert!(created["Interface"].get("Address").is_none(), "what Docker said is not repeated");
    let join =
        with(with(about(), "SandboxKey", json!("/x/netns/a9944e5f9ce3")), "Options", ports());
    let joined = twice("NetworkDriver.Join", &join);
    assert_eq!(joined["Gateway"], "10.90.0.1");
    let source = joined["InterfaceName"]["SrcName"].as_str().expect("a name").to_owned();
    assert!(lab.run(&["ip", "link", "show", &source]).contains("mtu 1400"));
    assert!(lab.run(&["ip", "-4", "addr", "show", &source]).is_empty(), "addresses are Docker's");
    let publish = with(about(), "Options", ports());
    twice("NetworkDriver.ProgramExternalConnectivity", &publish);
    twice("NetworkDriver.EndpointOperInfo", &about());
    let rules = lab.run(&["nft", "list", "ruleset"]);
    assert!(rules.contains("18080"), "{rules}");

    twice("NetworkDriver.RevokeExternalConnectivity", &about());
    assert!(!lab.run(&["nft", "list", "ruleset"]).contains("18080"));
    twice("NetworkDriver.Leave", &about());
    twice("NetworkDriver.DeleteEndpoint", &about());
    let plain = address.split('/').next().expect("an address");
    twice("IpamDriver.ReleaseAddress", &of(plain, Value::Null));
    for address in ["10.90.0.1", "10.90.0.130", "10.90.0.7"] {
        twice("IpamDriver.ReleaseAddress", &of(address, Value::Null));
    }
    twice("IpamDriver.ReleasePool", &of("", Value::Null));
    twice("NetworkDriver.DeleteNetwork", &json!({ "NetworkID": NETWORK }));
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring docker"]
fn what_newer_docker_adds_is_taken() {
    let world = World::new();
    let lab = Lab::bare(&world);
    let mut create = network();
    create["Options"]["com.docker.network.enable_ipv4"] = json!(true);
    create["Options"]["com.docker.network.generic"] = Value::Null;
    create["IPv6Data"] = Value::Null;
    create["Something"] = json!({ "new": [1] });
    call(&lab, "NetworkDriver.CreateNetwork", &create);
    let interface = json!({ "Address": "10.90.0.9/24", "AddressIPv6": null, "MacAddress": null });
    let endpoint = with(with(about(), "Interface", interface), "Options", Value::Null);
    call(&lab, "NetworkDriver.CreateEndpoint", &endpoint);
    let mut publish = with(about(), "Options", ports());
    publish["Options"]["com.docker.network.driver.private.no_proxy_6to4"] = json!(true);
    call(&lab, "NetworkDriver.ProgramExternalConnectivity", &publish);
    // After a live restore no Revoke comes.
    call(&lab, "NetworkDriver.Leave", &about());
    assert!(!lab.run(&["nft", "list", "ruleset"]).contains("18080"));
    // The network goes with an endpoint that Docker forgot.
    call(&lab, "NetworkDriver.DeleteNetwork", &json!({ "NetworkID": NETWORK }));
    // Two address spaces have one subnet each.
    let mut pools = ["wharfinger-local", "wharfinger-global"].map(|space| {
        let pool = json!({ "AddressSpace": space, "Pool": "10.90.0.0/24" });
        let pool = call(&lab, "IpamDriver.RequestPool", &pool);
        let first = json!({ "PoolID": pool["PoolID"], "Options": {
            "RequestAddressType": "com.docker.network.gateway", "com.docker.network.ipam.serial": "true",
        } });
        let address = call(&lab, "IpamDriver.RequestAddress", &first);
        assert_eq!(address["Address"], "10.90.0.1/24");
        pool["PoolID"].clone()
    });
    let overlap = json!({ "AddressSpace": "wharfinger-local", "Pool": "10.90.0.0/25" });
    assert!(refused(&lab, "IpamDriver.RequestPool", &overlap).contains("overlaps"));
    pools.sort_by_key(ToString::to_string);
    for pool in pools {
        call(&lab, "IpamDriver.ReleasePool", &json!({ "PoolID": pool }));
    }
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring docker"]
fn what_a_component_cannot_do_is_said_when_the_pool_is_asked_for() {
    let world = World::new();
    let lab = Lab::bare(&world);
    for (options, text) in [
        (json!({ "plugin": "nobody" }), "name of a component"),
        (json!({ "config": "{\"ranges\": [[]]}" }), "/ipam"),
        (json!({ "config": "[]" }), "a JSON object is expected"),
        (json!({ "network": "a/b" }), "is no name of a network"),
        (json!({ "domain": "a b" }), "domain"),
    ] {
        let body = with(pool(), "Options", options.clone());
        let said = refused(&lab, "IpamDriver.RequestPool", &body);
        assert!(said.contains(text), "{options}: {said}");
    }
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring docker"]
fn a_ledger_that_is_lost_gives_no_address_twice() {
    let world = World::new();
    let lab = Lab::bare(&world);
    let request = json!({ "AddressSpace": "wharfinger-local", "Pool": "10.90.0.0/24" });
    let pool = call(&lab, "IpamDriver.RequestPool", &request)["PoolID"].clone();
    let of = |address: &str, options: Value| json!({ "PoolID": pool, "Address": address, "Options": options });
    call(&lab, "IpamDriver.RequestAddress", &of("10.90.0.2", gateway()));
    let mut create = network();
    create["IPv4Data"][0]["Gateway"] = json!("10.90.0.2/24");
    call(&lab, "NetworkDriver.CreateNetwork", &create);
    let given = call(&lab, "IpamDriver.RequestAddress", &of("", Value::Null))["Address"].clone();
    assert_eq!(given, "10.90.0.1/24", "the gateway is another");
    let endpoint = with(about(), "Interface", json!({ "Address": given }));
    call(&lab, "NetworkDriver.CreateEndpoint", &endpoint);
    lab.sh("rm -rf /run/wf/run/*-*-*", &[]);
    let other = call(&lab, "IpamDriver.RequestAddress", &of("", Value::Null))["Address"].clone();
    assert_eq!(other, "10.90.0.3/24", "neither the gateway nor what the link's alias has");
    call(&lab, "NetworkDriver.DeleteEndpoint", &about());
    for address in ["10.90.0.1", "10.90.0.2", "10.90.0.3"] {
        call(&lab, "IpamDriver.ReleaseAddress", &of(address, Value::Null));
    }
    call(&lab, "IpamDriver.ReleasePool", &json!({ "PoolID": pool }));
    call(&lab, "NetworkDriver.DeleteNetwork", &json!({ "NetworkID": NETWORK }));
    lab.assert_nothing_left();
}

/// A service manager that has the socket, and what it starts when somebody comes.
const ACTIVATED: &str = r#"
import os, socket, sys
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen(9)
os.dup2(listener.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp("wharfinger", ["wharfinger", "serve", "--docker", "--state", "/run/wf/state"])
"#;

#[test]
#[ignore = "needs root: ring docker"]
fn a_service_manager_s_socket_is_served_and_left() {
    let world = World::new();
    let lab = Lab::bare(&world);
    lab.kill_server("TERM");
    let socket = docker_side::SOCKET;
    lab.sh("python3 -c \"$1\" \"$2\" >>/run/wf/log 2>&1 &", &[ACTIVATED, socket]);
    docker_side::until("it answers", || lab.answers("Plugin.Activate", "").0 == 200);
    call(&lab, "IpamDriver.RequestPool", &pool());
    lab.run(&["test", "-d", "/run/wf/state/lib"]);
    lab.kill_server("TERM");
    lab.run(&["test", "-S", socket]);
}

/// All methods with a body.
const METHODS: [&str; 15] = [
    "NetworkDriver.AllocateNetwork",
    "NetworkDriver.FreeNetwork",
    "NetworkDriver.CreateNetwork",
    "NetworkDriver.DeleteNetwork",
    "NetworkDriver.CreateEndpoint",
    "NetworkDriver.DeleteEndpoint",
    "NetworkDriver.EndpointOperInfo",
    "NetworkDriver.Join",
    "NetworkDriver.Leave",
    "NetworkDriver.ProgramExternalConnectivity",
    "NetworkDriver.RevokeExternalConnectivity",
    "IpamDriver.RequestPool",
    "IpamDriver.ReleasePool",
    "IpamDriver.RequestAddress",
    "IpamDriver.ReleaseAddress",
];

#[test]
#[ignore = "needs root: ring docker"]
fn what_nobody_should_send_is_refused_and_changes_nothing() {
    let world = World::new();
    let lab = Lab::bare(&world);
    for method in
        ["NetworkDriver.GwAllocCheck", "NetworkDriver.New", "IpamDriver.New", "X", "", "A.B"]
    {
        assert_eq!(lab.answers(method, "{}").0, 404, "{method}");
    }
    let bad = [
        "{",
        "[]",
        "1",
        "\"x\"",
        "{\"NetworkID\": 1, \"PoolID\": 1, \"AddressSpace\": 1}",
        "{\"NetworkID\": {}, \"PoolID\": [], \"Pool\": true}",
        "\u{0}",
    ];
    for method in METHODS {
        for body in bad {
            assert_eq!(lab.answers(method, body).0, 400, "{method} {body:?}");
        }
    }
    let odd = [
        json!({}),
        json!({ "NetworkID": "../../etc", "EndpointID": "a b", "PoolID": "x" }),
        json!({ "NetworkID": "a".repeat(10_000), "EndpointID": "b", "Pool": "10.0.0.0/99" }),
        json!({ "NetworkID": "a", "EndpointID": "b", "Pool": "10.0.0.0/24", "SubPool": "11.0.0.0/24" }),
        json!({ "NetworkID": "a", "EndpointID": "b", "IPv4Data": [{ "Pool": "nonsense" }], "Pool": "x" }),
        json!({ "NetworkID": "a", "EndpointID": "b", "AddressSpace": "else", "Pool": "",
            "Options": { "com.docker.network.generic": 7 } }),
    ];
    for method in METHODS {
        for body in &odd {
            let (status, answer) = lab.answers(method, &body.to_string());
            assert!(status == 200 || status == 400, "{method} {body}: {status} {answer}");
        }
    }
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring docker"]
fn many_calls_at_once_have_an_address_each() {
    let world = World::new();
    let lab = Lab::bare(&world);
    let request = json!({ "AddressSpace": "wharfinger-local", "Pool": "10.90.0.0/24" });
    let pool = call(&lab, "IpamDriver.RequestPool", &request);
    let wanted = json!({ "PoolID": pool["PoolID"], "Address": "" });
    let named = json!({ "PoolID": pool["PoolID"], "Address": "10.90.0.200" });
    let (mut given, won) = std::thread::scope(|scope| {
        let any: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| call(&lab, "IpamDriver.RequestAddress", &wanted)))
            .collect();
        let one: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| lab.answers("IpamDriver.RequestAddress", &named.to_string())))
            .collect();
        let given: Vec<String> =
            any.into_iter().map(|it| it.join().expect("a call")["Address"].to_string()).collect();
        let won = one.into_iter().map(|it| it.join().expect("a call").1);
        (given, won.filter(|answer| answer.get("Err").is_none()).count())
    });
    given.sort();
    given.dedup();
    assert_eq!((given.len(), won), (24, 1));
    call(&lab, "IpamDriver.ReleasePool", &json!({ "PoolID": pool["PoolID"] }));
    lab.assert_nothing_left();
}

/// An endpoint by its id, at an address, with ports that are published.
fn published(lab: &Lab<'_>, endpoint: &str, address: &str) -> Value {
    let about = with(about(), "EndpointID", json!(endpoint));
    let interface = json!({ "Address": address, "AddressIPv6": "", "MacAddress": "" });
    let create = with(with(about.clone(), "Interface", interface), "Options", ports());
    call(lab, "NetworkDriver.CreateEndpoint", &create);
    call(
        lab,
        "NetworkDriver.ProgramExternalConnectivity",
        &with(about.clone(), "Options", ports()),
    );
    about
}

#[test]
#[ignore = "needs root: ring docker"]
fn a_bridge_that_went_is_made_again_and_no_link_takes_another_s_name() {
    let world = World::new();
    let lab = Lab::bare(&world);
    call(&lab, "NetworkDriver.CreateNetwork", &network());
    let bridge = format!("wh-{}", &NETWORK[..12]);
    lab.run(&["ip", "link", "del", &bridge]);
    let about = published(&lab, ENDPOINT, "10.90.0.9/24");
    let joined = call(&lab, "NetworkDriver.Join", &with(about.clone(), "SandboxKey", json!("/x")));
    assert!(lab.run(&["ip", "-4", "addr", "show", &bridge]).contains("10.90.0.1/24"));
    let link = joined["InterfaceName"]["SrcName"].as_str().expect("a name");
    assert!(link.len() <= 15, "{link}");
    // As many digits of it as a name has room for are another's.
    let alike = format!("{}{}", &ENDPOINT[..32], &"0".repeat(32));
    let interface = json!({ "Address": "10.90.0.10/24" });
    let other = with(with(about.clone(), "EndpointID", json!(alike)), "Interface", interface);
    let said = refused(&lab, "NetworkDriver.CreateEndpoint", &other);
    assert!(said.contains(link), "{said}");
    lab.run(&["ip", "link", "show", link]);
    // Neither Revoke nor Leave comes: the ports go all the same.
    assert!(lab.run(&["nft", "list", "ruleset"]).contains("18080"));
    call(&lab, "NetworkDriver.DeleteEndpoint", &about);
    assert!(!lab.run(&["nft", "list", "ruleset"]).contains("18080"));
    call(&lab, "NetworkDriver.DeleteNetwork", &json!({ "NetworkID": NETWORK }));
    lab.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring docker"]
fn a_pool_goes_with_the_last_that_asked_for_it() {
    let world = World::new();
    let lab = Lab::bare(&world);
    let first = call(&lab, "IpamDriver.RequestPool", &pool());
    assert_eq!(call(&lab, "IpamDriver.RequestPool", &pool()), first);
    let about = json!({ "PoolID": first["PoolID"] });
    let any = with(about.clone(), "Address", json!(""));
    call(&lab, "IpamDriver.RequestAddress", &any);
    call(&lab, "IpamDriver.ReleasePool", &about);
    assert_eq!(lab.ledger().len(), 1, "the other one's");
    call(&lab, "IpamDriver.RequestAddress", &any);
    call(&lab, "IpamDriver.ReleasePool", &about);
    let said = refused(&lab, "IpamDriver.RequestAddress", &any);
    assert!(said.contains("not known"), "{said}");
    lab.assert_nothing_left();
}
