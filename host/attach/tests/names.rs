//! The verbs under the reference plugins' names: addresses in a directory of the reference's.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod world;

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Value, json};
use wharfinger_attach::{Error, check, dry, gc};
use wharfinger_cni::{Attach, Node, Success, ValidAttachment, code};
use world::{NETNS, World, call_of};

/// A call under a reference plugin's name.
fn called(name: &str, conf: &Value, container: &str, netns: &str) -> Attach {
    let mut call = call_of(conf, container, netns);
    name.clone_into(&mut call.conf.called);
    call
}

fn conf(dir: &Path) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "isGateway": true,
        "ipam": { "type": "host-local", "dataDir": dir, "first": "10.1.0.2", "last": "10.1.0.9" }
    })
}

/// The addresses that have files, and whose they are.
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(dir.join("pods"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            name.parse::<IpAddr>().ok()?;
            Some((name, fs::read_to_string(&path).unwrap()))
        })
        .collect();
    files.sort();
    files
}

fn file(address: &str, text: &str) -> (String, String) {
    (address.to_owned(), text.to_owned())
}

fn code_of(error: &Error) -> u32 {
    error.to_cni("pods").code
}

#[test]
fn a_main_plugin_keeps_its_addresses_in_the_directory_and_the_rest_in_the_ledger() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let call = called("bridge", &conf(dir.path()), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.ips[0].address.to_string(), "10.1.0.2/16");
    assert_eq!(files(dir.path()), [file("10.1.0.2", "c1\r\neth0")]);
    assert!(world.addresses(&call.id).is_empty(), "the directory alone holds them");
    let checked = Attach { prev_result: Some(success), ..call.clone() };
    world.with(|host| check::check(host, &checked)).unwrap();
    // Taken away behind our back: CHECK says so.
    fs::write(dir.path().join("pods/10.1.0.2"), "c9\r\neth0").unwrap();
    let error = world.with(|host| check::check(host, &checked)).unwrap_err();
    assert_eq!(code_of(&error), code::DRIFT, "{error}");
    fs::write(dir.path().join("pods/10.1.0.2"), "c1\r\neth0").unwrap();
    world.del(&call).unwrap();
    assert!(files(dir.path()).is_empty());
    world.assert_empty();
    // No rest: the next one is next only because the turn moved on.
    let next = world.add(&called("bridge", &conf(dir.path()), "c2", NETNS[1])).unwrap();
    assert_eq!(next.ips[0].address.to_string(), "10.1.0.3/16");
}

#[test]
fn defect_16_an_add_that_fails_leaves_no_reservation() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let call = called("bridge", &conf(dir.path()), "c1", NETNS[0]);
    world.kernel.fail_at(3);
    assert!(world.add(&call).is_err());
    assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()));
    world.assert_empty();
    world.add(&call).unwrap();
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn what_looking_decides_is_written_nowhere() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let call = called("bridge", &conf(dir.path()), "c1", NETNS[0]);
    let dry = world.with(|host| dry::dry(host, &call.conf, "c1", "eth0")).unwrap();
    assert_eq!(dry.lease.ips[0].address.to_string(), "10.1.0.2/16");
    assert!(world.with(|host| dry::status(host, &call.conf, &[])).is_ok());
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_del_of_what_the_reference_made_gives_back_its_address() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    fs::create_dir(dir.path().join("pods")).unwrap();
    fs::write(dir.path().join("pods/10.1.0.7"), "c1\r\neth0").unwrap();
    fs::write(dir.path().join("pods/10.1.0.8"), "c2\r\neth0").unwrap();
    world.del(&called("bridge", &conf(dir.path()), "c1", NETNS[0])).unwrap();
    assert_eq!(files(dir.path()), [file("10.1.0.8", "c2\r\neth0")]);
}

/// Without a record, what an ADD may not name is nobody's to touch: not at a DEL, and not at a GC.
#[test]
fn a_directory_that_the_node_does_not_allow_is_left_alone() {
    let (mut world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let [good, secret] = ["good", "secret"].map(|name| dir.path().join(name));
    world.settings.allow.directories = Some(vec![good.clone()]);
    world.machine.now.set(4_000_000_000);
    let mut own = conf(&secret);
    own["type"] = json!("wharfinger");
    own["driver"] = json!("bridge");
    for (name, conf) in
        [("bridge", conf(&secret)), ("host-local", conf(&secret)), ("wharfinger", own)]
    {
        fs::create_dir_all(secret.join("pods")).unwrap();
        fs::write(secret.join("pods/10.1.0.7"), "c1\r\neth0").unwrap();
        let call = called(name, &conf, "c1", NETNS[0]);
        assert_eq!(code_of(&world.add(&call).unwrap_err()), code::DENIED, "{name}");
        world.del(&call).unwrap();
        let node = Node { path: Vec::new(), conf: call.conf };
        world.with(|host| gc::gc(host, &node, &[])).unwrap();
        assert_eq!(fs::read_dir(secret.join("pods")).unwrap().count(), 1, "{name}: no lock");
        assert_eq!(files(&secret), [file("10.1.0.7", "c1\r\neth0")], "{name}");
        fs::create_dir_all(good.join("pods")).unwrap();
        fs::write(good.join("pods/10.1.0.7"), "c1\r\neth0").unwrap();
        let mut conf = conf;
        conf["ipam"]["dataDir"] = json!(good);
        world.del(&called(name, &conf, "c1", NETNS[0])).unwrap();
        assert!(files(&good).is_empty(), "{name}");
    }
}

#[test]
fn a_backup_that_the_node_does_not_allow_is_neither_read_nor_removed() {
    let mut world = World::new();
    world.settings.allow.directories = Some(vec!["/good".into()]);
    let left = |folder: &str| {
        let file = Path::new(folder).join("c1_eth0.json");
        world.machine.files.borrow_mut().insert(file.clone(), "{}".to_owned());
        let conf = json!({
            "cniVersion": "1.1.0", "name": "pods", "type": "tuning", "dataDir": folder,
        });
        world.del(&called("tuning", &conf, "c1", NETNS[0])).unwrap();
        world.machine.files.borrow().contains_key(&file)
    };
    assert_eq!((left("/secret"), left("/good")), (true, false));
}

/// As another main plugin calls it.
fn alone(dir: &Path, container: &str) -> Attach {
    called("host-local", &conf(dir), container, "/nowhere")
}

#[test]
fn as_ipam_of_another_plugin_the_directory_is_all_there_is() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let call = alone(dir.path(), "c1");
    let success = world.add(&call).unwrap();
    assert!(success.interfaces.is_empty() && success.ips.len() == 1);
    assert_eq!(files(dir.path()), [file("10.1.0.2", "c1\r\neth0")]);
    assert!(world.with(|host| host.ledger.list(None)).unwrap().is_empty());
    let error = world.add(&call).unwrap_err();
    assert_eq!(code_of(&error), code::EXISTS);
    assert!(error.to_string().contains("10.1.0.2"), "{error}");
    assert_eq!(files(dir.path()).len(), 1, "and the first one's stays");
    world.del(&call).unwrap();
    world.del(&call).unwrap();
    assert!(files(dir.path()).is_empty());
    // The lock of the attachment may be held by the main plugin, if that is ours as well.
    let _hold = world.with(|host| host.node.try_lock(&call.id)).unwrap().unwrap();
    world.add(&call).unwrap();
}

#[test]
fn a_reply_that_cannot_be_written_gives_the_address_back() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let call = alone(dir.path(), "c1");
    world.with(|host| {
        let added = wharfinger_attach::add::add(host, &call).unwrap();
        wharfinger_attach::add::finish(host, &call, &added, false).unwrap();
    });
    assert!(files(dir.path()).is_empty());
}

#[test]
fn defect_7_check_compares_the_address_with_prev_result() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let success = world.add(&alone(dir.path(), "c1")).unwrap();
    let check = |result: &Success| {
        let call = Attach { prev_result: Some(result.clone()), ..alone(dir.path(), "c1") };
        world.with(|host| check::check(host, &call))
    };
    check(&success).unwrap();
    let mut other = success.clone();
    other.ips[0].address = "10.1.0.8/16".parse().unwrap();
    assert_eq!(code_of(&check(&other).unwrap_err()), code::DRIFT);
    world.del(&alone(dir.path(), "c1")).unwrap();
    assert_eq!(code_of(&check(&success).unwrap_err()), code::DRIFT);
}

#[test]
fn defect_3_and_15_a_configuration_that_went_bad_keeps_no_address() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    world.add(&alone(dir.path(), "c1")).unwrap();
    let mut bad = conf(dir.path());
    bad["ipam"]["coolDown"] = json!("soon");
    bad["ipam"]["ranges"] = json!("none");
    world.del(&called("host-local", &bad, "c1", "")).unwrap();
    assert!(files(dir.path()).is_empty());
}

#[test]
fn defect_3_gc_collects_what_is_not_listed() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    for container in ["c1", "c2", "c3"] {
        world.add(&alone(dir.path(), container)).unwrap();
    }
    let valid = [ValidAttachment { container: "c2".into(), ifname: "eth0".into() }];
    let node = |name: &str| {
        let call = called(name, &conf(dir.path()), "c", "");
        Node { path: call.path, conf: call.conf }
    };
    for name in ["host-local", "bridge"] {
        world.with(|host| gc::gc(host, &node(name), &valid)).unwrap();
        assert_eq!(files(dir.path()).len(), 3, "what is young may be of an ADD under way");
    }
    let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    world.machine.now.set(soon.as_secs() + 100);
    world.with(|host| gc::gc(host, &node("bridge"), &valid)).unwrap();
    assert_eq!(files(dir.path()), [file("10.1.0.3", "c2\r\neth0")]);
}

#[test]
fn under_our_own_type_the_ledger_has_it() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let mut own = conf(dir.path());
    own["type"] = json!("wharfinger");
    own["driver"] = json!("bridge");
    let call = call_of(&own, "c1", NETNS[0]);
    world.add(&call).unwrap();
    assert!(files(dir.path()).is_empty() && world.addresses(&call.id).len() == 1);
    // And where a component is named under a reference plugin's name.
    let mut component = conf(dir.path());
    component["name"] = json!("others");
    component["bridge"] = json!("cni1");
    component["ipam"]["type"] = json!("wharfinger");
    component["ipam"]["plugin"] = json!("pool");
    component["ipam"]["domain"] = json!("others");
    let call = called("bridge", &component, "c2", NETNS[1]);
    world.add(&call).unwrap();
    assert_eq!(world.addresses(&call.id).len(), 1);
}

fn own(dir: &Path) -> Value {
    let mut own = conf(dir);
    own["type"] = json!("wharfinger");
    own["driver"] = json!("bridge");
    own
}

#[test]
fn a_network_that_moved_gives_no_running_containers_address_again() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    fs::create_dir(dir.path().join("pods")).unwrap();
    for (address, text) in
        [("10.1.0.2", "c7\r\neth0"), ("10.1.0.3", "c8"), ("10.1.0.5", "c7\r\neth1")]
    {
        fs::write(dir.path().join("pods").join(address), text).unwrap();
    }
    let call = call_of(&own(dir.path()), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.ips[0].address.to_string(), "10.1.0.4/16");
    assert_eq!(world.with(|host| host.ledger.list(None)).unwrap().len(), 4);
    let next = world.add(&call_of(&own(dir.path()), "c2", NETNS[1])).unwrap();
    assert_eq!(next.ips[0].address.to_string(), "10.1.0.6/16");
    // Their DELs clean up what the reference made, and the directory with it.
    for container in ["c7", "c8"] {
        world.del(&call_of(&own(dir.path()), container, NETNS[2])).unwrap();
    }
    assert_eq!(files(dir.path()), [file("10.1.0.5", "c7\r\neth1")]);
    let cleared = world.kernel.cleared();
    assert_eq!(cleared.len(), 2);
    assert_eq!((cleared[0].container_id.as_str(), cleared[0].ifname.as_str()), ("c7", "eth0"));
    assert_eq!(world.with(|host| host.ledger.list(None)).unwrap().len(), 3);
}

#[test]
fn a_network_that_moved_from_our_own_names_goes_on_with_its_addresses() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let before = called("bridge", &conf(dir.path()), "c1", NETNS[0]);
    world.add(&before).unwrap();
    let own = |container, netns| call_of(&own(dir.path()), container, netns);
    let success = world.add(&own("c2", NETNS[1])).unwrap();
    assert_eq!(success.ips[0].address.to_string(), "10.1.0.3/16");
    assert_eq!(world.addresses(&before.id).len(), 1, "the ledger has it now");
    world.add(&own("c3", NETNS[2])).unwrap();
    for (container, netns) in [("c1", NETNS[0]), ("c2", NETNS[1]), ("c3", NETNS[2])] {
        world.del(&own(container, netns)).unwrap();
    }
    assert!(files(dir.path()).is_empty());
    world.assert_empty();
}

#[test]
fn a_del_of_what_the_reference_made_clears_its_rules_and_its_link() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let eth0 = wharfinger_plan::LinkRef::container("eth0");
    world.kernel.add_link(100, wharfinger_kernel::LinkFacts::new(eth0, "veth"));
    let call = called("bridge", &conf(dir.path()), "c1", NETNS[0]);
    world.del(&call).unwrap();
    assert_eq!(world.kernel.cleared().len(), 1);
    assert!(world.kernel.link(100, "eth0").is_none());
    // As the IPAM of another plugin, that is that plugin's.
    world.del(&alone(dir.path(), "c1")).unwrap();
    assert_eq!(world.kernel.cleared().len(), 1);
}
