//! The verbs with each driver, over a machine in memory.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod world;

use serde_json::{Value, json};
use wharfinger_attach::recover::{self, Cached};
use wharfinger_attach::{Error, check, dry};
use wharfinger_cni::code;
use wharfinger_kernel::Kernel;
use wharfinger_kernel::mem::{HOST_COOKIE, MemDevice};
use wharfinger_ledger::MemLedger;
use wharfinger_plan::{LinkFacts, LinkRef, Mac};
use world::{NETNS, World, call_of};

fn ipam() -> Value {
    json!({ "type": "pool", "first": "10.1.0.2", "last": "10.1.0.2" })
}

fn conf(driver: &str, keys: &Value) -> Value {
    let mut conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": driver, "ipam": ipam()
    });
    for (key, value) in keys.as_object().unwrap() {
        conf[key] = value.clone();
    }
    conf
}

/// A configuration of each driver that makes a link inside.
fn all() -> Vec<Value> {
    vec![
        conf("macvlan", &json!({ "master": "ens3", "hostAccess": true })),
        conf("ipvlan", &json!({ "master": "ens3" })),
        conf("vlan", &json!({ "master": "ens3", "vlanId": 100 })),
        conf("host-device", &json!({ "device": "ens5" })),
        conf("dummy", &json!({})),
        conf("tap", &json!({})),
        conf("bridge", &json!({ "vlan": 7, "isGateway": true })),
        conf("overlay", &json!({ "vni": 4096, "underlay": "ens3" })),
    ]
}

/// A host with a link for masters and one to lend.
fn world() -> World {
    let world = World::new();
    for (number, name) in (1..).zip(["ens3", "ens5"]) {
        let mac = Some(Mac([2, 0, 0, 0, 0, number]));
        let addresses = vec![format!("10.0.0.{number}/24").parse().unwrap()];
        let facts = LinkFacts { mac, addresses, ..LinkFacts::new(LinkRef::host(name), "") };
        world.kernel.add_link(HOST_COOKIE, facts);
    }
    world
}

#[track_caller]
fn assert_as_before(world: &World) {
    world.assert_empty();
    let lent = world.kernel.link(HOST_COOKIE, "ens5");
    assert_eq!(lent.map(|lent| lent.alias), Some(None), "the device is home");
    assert_eq!(world.kernel.routes_of(HOST_COOKIE), []);
}

#[test]
fn pain_a8_each_driver_adds_checks_refuses_a_second_and_leaves_nothing() {
    for conf in all() {
        let world = world();
        let mut call = call_of(&conf, "c1", NETNS[0]);
        let success = world.add(&call).unwrap();
        let own = success.interfaces.iter().position(|it| it.name == "eth0");
        assert_eq!(success.ips[0].interface, own, "{conf}");
        assert_eq!(world.add(&call).unwrap_err().to_cni("pods").code, code::EXISTS, "{conf}");
        call.prev_result = Some(success);
        world.with(|host| check::check(host, &call)).unwrap();
        for _ in 0..2 {
            world.del(&call).unwrap();
            assert_as_before(&world);
            assert!(world.kernel.link(100, "eth0").is_none(), "{conf}");
        }
    }
}

/// Also defect 15 of the reference plugins: DEL with namespace, master or configuration gone.
#[test]
fn pain_a2_defect_15_a_del_of_each_driver_without_the_namespace_frees_the_address() {
    for conf in all() {
        for path in ["", "/run/netns/gone"] {
            let world = world();
            let mut call = call_of(&conf, "c1", NETNS[0]);
            world.add(&call).unwrap();
            world.kernel.remove_netns(NETNS[0]);
            world.kernel.delete_link(HOST_COOKIE, "ens3");
            call.netns = (!path.is_empty()).then(|| path.into());
            world.del(&call).unwrap();
            assert_as_before(&world);
        }
    }
}

#[test]
fn a_del_of_each_driver_needs_no_more_than_the_name() {
    for conf in all() {
        let world = world();
        let call = call_of(&conf, "c1", NETNS[0]);
        world.add(&call).unwrap();
        let bare = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" });
        world.del(&call_of(&bare, "c1", NETNS[0])).unwrap();
        assert_as_before(&world);
        assert!(world.kernel.link(100, "eth0").is_none(), "{conf}");
    }
}

/// Links inside carry the attachment's key, and a lent one its name.
#[test]
fn a_del_of_each_driver_without_a_record_undoes_what_carries_its_marks() {
    for conf in all() {
        let mut world = world();
        let mut call = call_of(&conf, "c1", NETNS[0]);
        call.prev_result = Some(world.add(&call).unwrap());
        world.ledger = MemLedger::new();
        world.del(&call).unwrap();
        assert_as_before(&world);
        assert!(world.kernel.link(100, "eth0").is_none(), "{conf}");
    }
}

/// The administrator's alias, taken for the name by whoever wrote the configuration.
#[test]
fn a_del_of_an_add_that_found_no_device_leaves_a_link_with_that_alias_alone() {
    let call = call_of(&conf("host-device", &json!({ "device": "uplink" })), "c1", NETNS[0]);
    // Also one that has by chance the name of a container's link, or is not up.
    for (name, up) in [("ens3", true), ("eth0", true), ("ens3", false)] {
        let world = world();
        let alias = Some("uplink".to_owned());
        let uplink = LinkFacts { alias, up, ..LinkFacts::new(LinkRef::host(name), "") };
        world.kernel.add_link(HOST_COOKIE, uplink.clone());
        let error = world.add(&call).unwrap_err().to_string();
        assert!(error.contains("link uplink"), "{error}");
        world.del(&call).unwrap();
        assert_eq!(world.kernel.link(HOST_COOKIE, name), Some(uplink));
    }
}

#[test]
fn without_a_record_a_device_that_the_kernel_brought_home_gets_its_name_back() {
    let mut world = world();
    let call = call_of(&conf("host-device", &json!({ "device": "ens5" })), "c1", NETNS[0]);
    world.add(&call).unwrap();
    world.ledger = MemLedger::new();
    world.kernel.remove_netns(NETNS[0]);
    world.del(&call).unwrap();
    assert_as_before(&world);
}

#[test]
fn a_del_without_a_record_leaves_anothers_link_alone() {
    for conf in all() {
        let world = world();
        let other = LinkFacts {
            alias: Some("pods/c9/eth0".to_owned()),
            ..LinkFacts::new(LinkRef::container("eth0"), "dummy")
        };
        world.kernel.add_link(100, other);
        world.del(&call_of(&conf, "c1", NETNS[0])).unwrap();
        assert!(world.kernel.link(100, "eth0").is_some(), "{conf}");
    }
}

/// An attachment whose only link is inside its namespace lives as long as that does.
#[test]
fn an_attachment_without_a_host_link_is_not_taken_for_dead() {
    let world = world();
    let conf = conf("macvlan", &json!({ "master": "ens3" }));
    world.add(&call_of(&conf, "c1", NETNS[0])).unwrap();
    let error = world.add(&call_of(&conf, "c2", NETNS[1])).unwrap_err();
    assert!(matches!(error, Error::Exhausted { .. }), "{error}");
    world.kernel.remove_netns(NETNS[0]);
    world.add(&call_of(&conf, "c2", NETNS[1])).unwrap();
}

/// A route has nobody's name on it.
#[test]
fn a_late_del_leaves_the_hosts_way_to_who_has_the_address_now() {
    let world = world();
    let conf = conf("macvlan", &json!({ "master": "ens3", "hostAccess": true }));
    let mut dead = call_of(&conf, "c1", NETNS[0]);
    dead.prev_result = Some(world.add(&dead).unwrap());
    world.kernel.remove_netns(NETNS[0]);
    world.add(&call_of(&conf, "c2", NETNS[1])).unwrap();
    let ways = world.kernel.routes_of(HOST_COOKIE);
    assert_eq!(ways.len(), 1, "{ways:?}");
    world.del(&dead).unwrap();
    assert_eq!(world.kernel.routes_of(HOST_COOKIE), ways);
}

#[test]
fn pain_b7_a_squatter_fails_the_add_leaves_nothing_and_its_address_rests() {
    let world = world();
    let mut conf = conf("macvlan", &json!({ "master": "ens3" }));
    conf["ipam"]["last"] = "10.1.0.3".into();
    let squatter = Mac([2, 0, 0, 0, 0, 0xee]);
    world.kernel.hold_address("10.1.0.2".parse().unwrap(), squatter);
    let call = call_of(&conf, "c1", NETNS[0]);
    let error = world.add(&call).unwrap_err().to_cni("pods");
    assert_eq!(error.code, code::KERNEL);
    assert!(error.msg.contains("10.1.0.2") && error.msg.contains("02:00:00:00:00:ee"), "{error:?}");
    assert!(error.details.contains("probe"));
    assert_as_before(&world);
    assert!(world.kernel.link(100, "eth0").is_none());
    let second = world.add(&call).unwrap();
    assert_eq!(second.ips[0].address.addr().to_string(), "10.1.0.3");
}

#[test]
fn a_device_that_a_program_drives_is_not_moved() {
    let world = world();
    world.kernel.add_device("0000:01:00.1", MemDevice::Userspace("vfio-pci".to_owned()));
    world.kernel.add_device("0000:01:00.2", MemDevice::Link("ens5".to_owned()));
    let runtime = |id: &str| json!({ "runtimeConfig": { "deviceID": id } });
    let call = call_of(&conf("host-device", &runtime("0000:01:00.1")), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!((success.interfaces.len(), success.ips.len()), (1, 1));
    assert!(world.kernel.link(100, "eth0").is_none());
    world.del(&call).unwrap();
    // One that the kernel drives is.
    let call = call_of(&conf("host-device", &runtime("0000:01:00.2")), "c1", NETNS[0]);
    world.add(&call).unwrap();
    assert!(world.kernel.link(100, "eth0").is_some());
    world.del(&call).unwrap();
    assert_as_before(&world);
    let call = call_of(&conf("host-device", &runtime("0000:01:00.3")), "c1", NETNS[0]);
    let error = world.add(&call).unwrap_err().to_string();
    assert!(error.contains("0000:01:00.3"), "{error}");
    assert_as_before(&world);
}

/// For as long as it is lent, and whatever step fails or kills.
#[test]
fn which_device_it_is_is_told_where_the_caller_asks() {
    let file = "/run/k8s.cni.cncf.io/devinfo/cni/c1-net1";
    let keys =
        json!({ "pciBusID": "0000:01:00.2", "runtimeConfig": { "CNIDeviceInfoFile": file } });
    let mut call = call_of(&conf("host-device", &keys), "c1", NETNS[0]);
    for step in 0..12 {
        let world = world();
        world.kernel.add_device("0000:01:00.2", MemDevice::Link("ens5".to_owned()));
        world.kernel.crash_at(step, wharfinger_kernel::mem::Crash::Error);
        let _ = world.add(&call);
        world.del(&call).unwrap();
        assert_eq!(world.kernel.device_files(), []);
        call.prev_result = Some(world.add(&call).unwrap());
        let [told] = &world.kernel.device_files()[..] else { panic!("one file") };
        assert_eq!((told.path.as_str(), told.pci.as_str()), (file, "0000:01:00.2"));
        world.with(|host| check::check(host, &call)).unwrap();
        call.prev_result = None;
        world.del(&call).unwrap();
        assert_eq!(world.kernel.device_files(), []);
        assert_as_before(&world);
    }
}

/// Whatever step fails or kills: the device is not lost, and nothing is left.
#[test]
fn a_device_survives_a_failure_and_a_crash_at_each_step() {
    let conf = conf("host-device", &json!({ "device": "ens5" }));
    for step in 0..10 {
        let world = world();
        let call = call_of(&conf, "c1", NETNS[0]);
        world.kernel.fail_at(step);
        if world.add(&call).is_err() {
            assert_as_before(&world);
        }
        world.del(&call).unwrap();
        world.kernel.crash_at(step, wharfinger_kernel::mem::Crash::Error);
        let _ = world.add(&call);
        world.del(&call).unwrap();
        assert_as_before(&world);
    }
}

/// Defect 17 of the reference plugins: CHECK of a layer-2 network fails.
#[test]
fn defect_17_a_check_of_a_layer_2_network_succeeds() {
    for (driver, keys) in [
        ("bridge", json!({})),
        ("macvlan", json!({ "master": "ens3" })),
        ("host-device", json!({ "device": "ens5" })),
        ("tap", json!({})),
    ] {
        let world = world();
        let mut conf = conf(driver, &keys);
        conf.as_object_mut().unwrap().remove("ipam");
        let mut call = call_of(&conf, "c1", NETNS[0]);
        call.prev_result = Some(world.add(&call).unwrap());
        world.with(|host| check::check(host, &call)).unwrap();
        world.del(&call).unwrap();
        assert_as_before(&world);
    }
}

#[test]
fn check_names_a_changed_mac_of_a_station() {
    let world = world();
    let mut call = call_of(&conf("macvlan", &json!({ "master": "ens3" })), "c1", NETNS[0]);
    call.prev_result = Some(world.add(&call).unwrap());
    world.kernel.change_link(100, "eth0", |link| link.mac = Some(Mac([2, 0, 0, 0, 0, 7])));
    let error = world.with(|host| check::check(host, &call)).unwrap_err().to_string();
    assert!(error.contains("mac is 02:00:00:00:00:07"), "{error}");
}

/// What only an ADD can tell does not make a node unready.
#[test]
fn status_of_each_driver_is_well_also_while_its_device_is_lent() {
    let mut all = all();
    all.push(conf("macvlan", &json!({ "master": "net1", "linkInContainer": true })));
    all.push(conf("host-device", &json!({ "capabilities": { "deviceID": true } })));
    all.push(conf("tap", &json!({ "bridge": "br0" })));
    for conf in all {
        let mut conf = conf.clone();
        conf["ipam"]["last"] = "10.1.0.9".into();
        let world = world();
        let call = call_of(&conf, "c1", NETNS[0]);
        let well = || world.with(|host| dry::status(host, &call.conf, &[])).is_ok();
        assert!(well(), "{conf}");
        if world.add(&call).is_ok() {
            assert!(well(), "{conf} with an attachment");
        }
    }
    let gone = conf("macvlan", &json!({ "master": "ens9" }));
    let world = world();
    let call = call_of(&gone, "c1", NETNS[0]);
    assert!(world.with(|host| dry::status(host, &call.conf, &[])).is_err());
}

/// Of links inside, a book that is made anew has but what the runtime kept: that is enough.
#[test]
fn a_del_of_each_driver_after_the_book_was_lost_leaves_nothing() {
    for conf in all() {
        let mut world = world();
        let mut call = call_of(&conf, "c1", NETNS[0]);
        let success = world.add(&call).unwrap();
        let cached = Cached {
            id: call.id.clone(),
            netns: NETNS[0].to_owned(),
            cookie: Some(100),
            domain: "host".to_owned(),
            addresses: success.ips.iter().map(|ip| ip.address.addr()).collect(),
            conf: Value::Null,
            result: None,
            sure: true,
        };
        let survey = world.kernel.survey().unwrap();
        let records = recover::records(&survey, &[cached], 0);
        world.ledger = MemLedger::rebuilt(&records, 1).unwrap().0;
        assert_eq!(world.addresses(&call.id).len(), 1, "{conf}");
        call.prev_result = Some(success);
        world.del(&call).unwrap();
        assert_as_before(&world);
        assert!(world.kernel.link(100, "eth0").is_none(), "{conf}");
    }
}
