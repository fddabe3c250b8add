//! Plugins in Rust, as authors make them: the examples of the SDK against the executable, and one
//! that panics.
#![allow(clippy::expect_used, clippy::panic, reason = "a failed expectation is a failed test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use wharfinger_suite::{World, pod};

fn ipam(world: &World, ipam: &Value) -> Value {
    world.conf("ptp", &json!({ "ipam": ipam }))
}

fn policy(world: &World, plugin: &str, config: &Value) -> Value {
    world.conf("ptp", &json!({ "policies": [{ "plugin": plugin, "config": config }] }))
}

#[track_caller]
fn refused(world: &World, conf: &Value, args: &str, code: u64, words: &[&str]) {
    let container = world.container();
    let failure = world.call("ADD", conf).of(&container).env("CNI_ARGS", args).fails();
    assert_eq!(failure.code, code, "{failure:?}");
    for word in words {
        assert!(failure.msg.contains(word), "{word} is not said: {failure:?}");
    }
}

#[test]
#[ignore = "needs root: ring languages"]
fn sticky_gives_a_pod_that_is_made_anew_its_address() {
    let world = World::new();
    world.install("sticky", "sticky");
    let conf = ipam(&world, &json!({ "type": "sticky", "pool": { "subnet": "10.1.0.0/24" } }));
    let first = world.attach_with(&conf, &pod("db", "db-0"));
    let own = first.v4();
    first.check();
    first.del();
    let other = world.attach_with(&conf, &pod("db", "db-1"));
    assert_ne!(other.v4(), own);
    let again = world.attach_with(&conf, &pod("db", "db-0"));
    assert_eq!(again.v4(), own);
    other.del();
    again.del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring languages"]
fn by_namespace_chooses_the_pool() {
    let world = World::new();
    world.install("by-namespace", "by-namespace");
    let pools = json!([
        { "name": "a", "namespaces": ["team-a"], "subnets": [{ "subnet": "10.1.0.0/24" }] },
        { "name": "rest", "subnets": [{ "subnet": "10.2.0.0/24" }] },
    ]);
    let conf = ipam(&world, &json!({ "type": "by-namespace", "pools": pools }));
    for (namespace, beginning) in [("team-a", "10.1.0."), ("team-b", "10.2.0.")] {
        let attached = world.attach_with(&conf, &pod(namespace, "web"));
        assert!(attached.v4().starts_with(beginning), "{namespace}: {}", attached.v4());
        attached.del();
    }
    let bad = json!([{ "name": "a", "subnets": [{ "subnet": "10.1.0.7/24" }] }]);
    let bad = ipam(&world, &json!({ "type": "by-namespace", "pools": bad }));
    refused(&world, &bad, "", 7, &["/pools/0/subnets/0/subnet", "10.1.0.0/24"]);
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring languages"]
fn quota_counts_what_is_attached() {
    let world = World::new();
    world.install("quota", "quota");
    let conf = policy(&world, "quota", &json!({ "default": 1 }));
    let first = world.attach_with(&conf, &pod("web", "a"));
    let full = ["quota", "namespace web has 1 attachments, and may have 1"];
    refused(&world, &conf, &pod("web", "b"), 101, &full);
    world.attach_with(&conf, &pod("db", "c")).del();
    first.del();
    world.attach_with(&conf, &pod("web", "b")).del();
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring languages"]
fn ports_refuses_a_port_of_the_host() {
    let world = World::new();
    world.install("ports", "ports");
    let mut conf = policy(&world, "ports", &json!({ "namespaces": { "web": ["8000-8100"] } }));
    let mapping = |port: u16| json!({ "portMappings": [{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }] });
    conf["runtimeConfig"] = mapping(22);
    let said = ["ports", "namespace web may not have port 22 of the host"];
    refused(&world, &conf, &pod("web", "a"), 101, &said);
    conf["runtimeConfig"] = mapping(8080);
    world.attach_with(&conf, &pod("web", "a")).del();
    world.assert_nothing_left();
}

/// A NetBox on the machine of a world.
struct Netbox<'w> {
    world: &'w World,
    child: Child,
    address: String,
}

impl<'w> Netbox<'w> {
    const PROGRAM: &'static str = env!("CARGO_BIN_EXE_netbox");

    fn new(world: &'w World) -> Self {
        let mut child = Command::new("nsenter")
            .arg(format!("--net={}", world.host.path()))
            .args([Self::PROGRAM, "127.0.0.1:0", "10.1.0.0/24", "t0ken"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter");
        let mut address = String::new();
        let out = child.stdout.take().expect("its standard output");
        BufReader::new(out).read_line(&mut address).expect("its address");
        Self { world, child, address: address.trim().to_owned() }
    }

    /// Tells it what to be: "down"; or asks for its "log".
    #[track_caller]
    fn tell(&self, what: &str) -> String {
        self.world.host.run(&[Self::PROGRAM, "tell", &self.address, what])
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }

    /// The node grants it, and a network uses it.
    fn network(&self) -> Value {
        let port = self.port();
        self.world.settings(&format!(
            "[[plugins.netbox.http]]\nscheme = \"http\"\nhost = \"127.0.0.1\"\nport = {port}\n\
             methods = [\"GET\", \"POST\", \"DELETE\"]\naddresses = [\"127.0.0.1\"]\n"
        ));
        let url = format!("http://{}", self.address);
        let object = json!({
            "type": "netbox", "url": url, "token": "t0ken", "secrets": ["/token"], "prefix": 7,
            "subnet": { "subnet": "10.1.0.0/24" }
        });
        ipam(self.world, &object)
    }
}

impl Drop for Netbox<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "needs root: ring languages"]
fn netbox_gives_an_address_and_has_it_back() {
    let world = World::new();
    world.install("netbox", "netbox");
    let netbox = Netbox::new(&world);
    let conf = netbox.network();
    let attached = world.attach_with(&conf, "");
    assert_eq!(attached.v4(), "10.1.0.2");
    attached.del();
    let log = netbox.tell("log");
    assert!(log.contains("POST /api/ipam/prefixes/7/available-ips/ 201"), "{log}");
    assert!(log.contains("DELETE /api/ipam/ip-addresses/1/ 204"), "{log}");
    world.assert_nothing_left();
    let told = std::fs::read_dir(world.path("run/calls")).expect("records");
    for record in told {
        let path = record.expect("a record").path();
        let text = std::fs::read_to_string(&path).expect("a record");
        assert!(!text.contains("t0ken"), "{} shows the token", path.display());
    }
}

#[test]
#[ignore = "needs root: ring languages"]
fn while_netbox_is_down_an_add_is_to_be_tried_again_and_a_del_needs_it_not() {
    let world = World::new();
    world.install("netbox", "netbox");
    let netbox = Netbox::new(&world);
    let conf = netbox.network();
    let attached = world.attach_with(&conf, "");
    netbox.tell("down");
    refused(&world, &conf, "", 11, &["netbox", "NetBox gives no answer"]);
    attached.del();
    world.assert_nothing_left();
    netbox.tell("up");
    // The outbox is looked at by later calls of the network.
    world.attach_with(&conf, "").del();
    let log = netbox.tell("log");
    assert!(log.contains("DELETE /api/ipam/ip-addresses/1/ 204"), "{log}");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring languages"]
fn without_its_grant_netbox_is_refused_with_the_lines_that_would_grant_it() {
    let world = World::new();
    world.install("netbox", "netbox");
    let netbox = Netbox::new(&world);
    let conf = netbox.network();
    world.settings("");
    let container = world.container();
    let failure = world.call("ADD", &conf).of(&container).fails();
    let said = format!("{failure:?}");
    let lines = said.contains("[[plugins.") && said.contains(".http]]");
    assert!(lines && said.contains(netbox.port()), "{said}");
    world.assert_nothing_left();
}

#[test]
#[ignore = "needs root: ring languages"]
fn pain_d6_a_panic_in_rust_is_told_by_its_message_and_its_functions() {
    let world = World::new();
    world.install_compiled("rust-planted", "planted");
    let pool = json!({ "subnet": "10.1.0.0/24" });
    let conf = ipam(&world, &json!({ "type": "planted", "pool": pool, "plant": "exception" }));
    let container = world.container();
    let failure = world.call("ADD", &conf).of(&container).fails();
    assert_eq!(failure.code, 102, "{failure:?}");
    for word in ["planted@sha256:", "allocate", "address_of"] {
        assert!(failure.msg.contains(word), "{word} is not said: {failure:?}");
    }
    let told = format!("{failure:?}{:?}", world.events());
    for word in ["src/lib.rs:", "an attachment without a pod"] {
        assert!(told.contains(word), "{word} is not told: {told}");
    }
    world.assert_nothing_left();
}
