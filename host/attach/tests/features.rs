//! Features on any attachment: our own driver's, another plugin's behind which we stand, and one that
//! we stand around.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value, json};
use wharfinger_attach::{Error, PolicyConf, chain, check, dry, gc, reload};
use wharfinger_cni::{Attach, Node, Success, ValidAttachment, Version, code};
use wharfinger_kernel::LinkFacts;
use wharfinger_kernel::mem::{Crash, HOST_COOKIE};
use wharfinger_plan::LinkRef;
use world::{NETNS, TestPolicy, World, bridge, call_of};

fn with_features(features: &Value) -> Value {
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["features"] = features.clone();
    conf["capabilities"] = json!({ "portMappings": true });
    conf
}

fn mapped(port: u16) -> Value {
    let mut conf = with_features(&json!({ "portmap": {} }));
    conf["runtimeConfig"] = json!({
        "portMappings": [{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }]
    });
    conf
}

fn rates() -> Value {
    json!({ "bandwidth": { "egressRate": 8_000_000, "egressBurst": 8_000_000 } })
}

fn told(error: &Error) -> (u32, String) {
    let cni = error.to_cni("pods");
    (cni.code, format!("{} {}", cni.msg, cni.details))
}

/// A veth that another plugin made for `eth0` of the first namespace.
fn made_by_another(world: &World) {
    let end = |link: LinkRef, index: u32, peer: u32| LinkFacts {
        index,
        peer: Some(peer),
        ..LinkFacts::new(link, "veth")
    };
    world.kernel.add_link(100, end(LinkRef::container("eth0"), 2, 7));
    world.kernel.add_link(HOST_COOKIE, end(LinkRef::host("vethx"), 7, 2));
}

fn previous() -> Success {
    let result = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            { "name": "vethx" },
            { "name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": NETNS[0] },
        ],
        "ips": [{ "address": "10.9.0.5/16", "interface": 1 }],
    });
    Success::parse(Version::V1_1_0, &result).unwrap()
}

fn behind(features: &Value) -> Attach {
    let conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "features": features
    });
    Attach { prev_result: Some(previous()), ..call_of(&conf, "c1", NETNS[0]) }
}

fn steps(world: &World) -> Vec<String> {
    let entries = world.with(|host| host.ledger.list(None)).unwrap();
    let steps = entries.into_iter().flat_map(|entry| entry.record.plan.steps);
    steps.map(|step| step.action.to_string()).collect()
}

#[test]
fn features_of_our_own_entry_are_one_plan_with_the_driver() {
    let mut world = World::new();
    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    let counter = std::rc::Rc::clone(&seen);
    let policy = TestPolicy::new("p").review(move |_, plan, result, _| {
        counter.set(plan.steps.len());
        assert!(result["interfaces"].to_string().contains("bwp"), "{result}");
        Ok(wharfinger_wasm::Verdict::Allow)
    });
    world.engine.policies.insert("p", policy);
    let plugin = "p".to_owned();
    world.settings.policies = vec![PolicyConf { plugin, config: Map::new(), advisory: false }];
    let call = call_of(&with_features(&rates()), "c1", NETNS[0]);
    let dry = world.with(|host| dry::dry(host, &call.conf, "c1", "eth0")).unwrap();
    assert!(dry.plan.to_string().contains("bwp"), "{}", dry.plan);
    let success = world.add(&call).unwrap();
    let ifb = success.interfaces.iter().find(|it| it.name.starts_with("bwp")).unwrap();
    assert!(world.kernel.link(HOST_COOKIE, &ifb.name).is_some());
    assert_eq!(seen.get(), steps(&world).len(), "policies see all of it");
    let again = Attach { prev_result: Some(success.clone()), ..call.clone() };
    world.with(|host| check::check(host, &again)).unwrap();
    world.kernel.delete_link(HOST_COOKIE, &ifb.name);
    let drift = world.with(|host| check::check(host, &again)).unwrap_err();
    assert_eq!(told(&drift).0, code::DRIFT);
    assert!(told(&drift).1.contains("bwp"), "{drift}");
    world.del(&call).unwrap();
    world.assert_empty();
}

/// Deletes, and tells which of the addresses were another's.
fn given_on(world: &World, call: &Attach) -> Vec<String> {
    world.del(call).unwrap();
    let cleared = world.kernel.cleared().pop().unwrap();
    assert!(!cleared.addresses.is_empty());
    cleared.given_on.iter().map(ToString::to_string).collect()
}

/// What lets an address through other people's filters has nobody's name on it.
#[test]
fn a_late_del_leaves_what_lets_an_address_through_to_who_has_it_now() {
    let world = World::new();
    let mut conf = bridge("10.1.0.2", "10.1.0.2");
    conf["features"] = json!({ "firewall": {} });
    let mut dead = call_of(&conf, "c1", NETNS[0]);
    dead.prev_result = Some(world.add(&dead).unwrap());
    world.kernel.remove_netns(NETNS[0]);
    let living = call_of(&conf, "c2", NETNS[1]);
    world.add(&living).unwrap();
    assert_eq!(given_on(&world, &dead), ["10.1.0.2"]);
    world.del(&living).unwrap();
    assert_eq!(given_on(&world, &dead), [""; 0]);
}

/// Where others give the addresses, the plan alone tells who has which.
#[test]
fn a_late_del_behind_another_plugin_leaves_them_too_but_its_own() {
    let world = World::new();
    made_by_another(&world);
    let living = behind(&json!({ "firewall": {} }));
    world.add(&living).unwrap();
    let of = |container: &str| {
        let mut call = living.clone();
        container.clone_into(&mut call.id.container);
        "firewall".clone_into(&mut call.conf.called);
        call
    };
    assert_eq!(given_on(&world, &of("c9")), ["10.9.0.5"]);
    assert_eq!(given_on(&world, &of("c1")), [""; 0]);
}

/// Killed at any step of driver and features: the next DEL leaves nothing.
#[test]
fn pain_a1_a_kill_between_driver_and_features_leaves_nothing() {
    for number in 0..64 {
        let world = World::new();
        let call = call_of(&with_features(&rates()), "c1", NETNS[0]);
        world.kernel.crash_at(number, Crash::Panic);
        let killed = catch_unwind(AssertUnwindSafe(|| world.add(&call))).is_err();
        world.del(&call).unwrap();
        world.assert_empty();
        if !killed {
            assert!(number > 10);
            return;
        }
    }
    panic!("never ran to the end");
}

#[test]
fn behind_another_plugin_they_are_on_what_its_result_names() {
    let world = World::new();
    made_by_another(&world);
    let call = behind(&rates());
    let success = world.add(&call).unwrap();
    assert_eq!(success.ips, previous().ips, "passed on");
    assert_eq!(success.interfaces.len(), 3, "and what was added");
    assert_eq!(world.kernel.traffic_of(HOST_COOKIE, "vethx").len(), 1);
    let again = Attach { prev_result: Some(success.clone()), ..call.clone() };
    world.with(|host| check::check(host, &again)).unwrap();
    // Asked twice, the second replaces the first.
    assert_eq!(world.add(&call).unwrap(), success);
    let node = Node { path: Vec::new(), conf: call.conf.clone() };
    let valid = [ValidAttachment { container: "c1".into(), ifname: "eth0".into() }];
    world.with(|host| gc::gc(host, &node, &valid)).unwrap();
    world.with(|host| check::check(host, &again)).unwrap();
    let bare = Attach { prev_result: None, netns: None, ..call.clone() };
    world.del(&bare).unwrap();
    world.assert_empty();
    assert!(world.kernel.link(HOST_COOKIE, "vethx").is_some(), "the link is another's");
    assert!(world.kernel.traffic_of(HOST_COOKIE, "vethx").is_empty());
    world.del(&bare).unwrap();
    world.add(&call).unwrap();
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
    world.assert_empty();
}

/// A DEL that comes with another configuration, or none, undoes what the ADD did.
#[test]
fn pain_a10_behind_others_a_del_needs_no_more_than_the_name() {
    let mut more = rates();
    more["tuning"] = json!({ "promisc": true });
    for conf in [
        json!({ "cniVersion": "1.1.0", "name": "pods" }),
        json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" }),
        behind(&more).conf.raw.into(),
    ] {
        let world = World::new();
        made_by_another(&world);
        world.add(&behind(&rates())).unwrap();
        world.del(&call_of(&conf, "c1", "")).unwrap();
        world.assert_empty();
    }
}

#[test]
fn a_check_behind_others_of_what_was_never_added_says_so() {
    let world = World::new();
    made_by_another(&world);
    let error = world.with(|host| check::check(host, &behind(&rates()))).unwrap_err();
    assert_eq!(told(&error).0, code::UNKNOWN_CONTAINER);
}

/// Each entry of a list has its own record, whatever stands around it.
#[test]
fn entries_of_one_list_are_told_apart() {
    let world = World::new();
    made_by_another(&world);
    let (first, second) = (behind(&rates()), behind(&json!({ "tuning": { "allmulti": true } })));
    world.add(&first).unwrap();
    world.add(&second).unwrap();
    let ids = world.with(|host| host.ledger.list(None)).unwrap();
    let ids: Vec<String> = ids.into_iter().map(|entry| entry.record.id.ifname).collect();
    assert_eq!(ids, ["eth0:chained:bandwidth", "eth0:chained:tuning"]);
    world.del(&second).unwrap();
    assert!(steps(&world).iter().any(|step| step.contains("bwp")), "the other's is there");
    world.del(&first).unwrap();
    world.assert_empty();
}

/// An entry that was behind others makes the interface by the time of the DEL, and the other way
/// round.
#[test]
fn pain_a10_a_del_after_an_entry_gained_or_lost_its_driver_leaves_nothing() {
    let world = World::new();
    made_by_another(&world);
    world.add(&behind(&rates())).unwrap();
    world.del(&call_of(&with_features(&rates()), "c1", NETNS[0])).unwrap();
    world.assert_empty();
    let world = World::new();
    let prev_result = Some(world.add(&call_of(&mapped(8080), "c1", NETNS[0])).unwrap());
    world.del(&Attach { prev_result, ..behind(&rates()) }).unwrap();
    world.assert_empty();
}

/// Under a reference plugin's name no entry becomes another's.
#[test]
fn what_a_reference_name_made_is_not_undone_by_an_entry_behind_it() {
    let world = World::new();
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["type"] = json!("bridge");
    let mut call = call_of(&conf, "c1", NETNS[0]);
    call.conf.called = "bridge".to_owned();
    let prev_result = Some(world.add(&call).unwrap());
    world.del(&Attach { prev_result, ..behind(&rates()) }).unwrap();
    assert_eq!(world.addresses(&call.id).len(), 1, "it is there");
    world.del(&call).unwrap();
    world.assert_empty();
}

/// Behind another plugin `loopback` is called with that one's interface.
#[test]
fn the_del_of_a_loopback_behind_an_interface_is_about_lo() {
    let world = World::new();
    let (eth0, lo) = (call_of(&bridge("10.1.0.2", "10.1.0.9"), "c1", NETNS[0]), lo());
    world.add(&eth0).unwrap();
    world.add(&lo).unwrap();
    world.del(&lo).unwrap();
    assert_eq!(world.addresses(&eth0.id).len(), 1, "the interface is there");
    world.del(&eth0).unwrap();
    world.assert_empty();
}

fn lo() -> Attach {
    let conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": "loopback",
    });
    call_of(&conf, "c1", NETNS[0])
}

#[test]
fn the_key_of_an_entry_follows_from_the_call_alone() {
    let conf = |conf: Value| call_of(&conf, "c1", "").conf;
    let key = |it: Value| chain::key(&behind(&rates()).id, &conf(it)).ifname;
    let ours = |more: Value| {
        let mut conf = json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" });
        merge(&mut conf, &more);
        conf
    };
    assert_eq!(key(bridge("10.1.0.2", "10.1.0.9")), "eth0");
    assert_eq!(
        key(ours(json!({ "features": { "Tuning": {}, "firewall": {} } }))),
        "eth0:chained:firewall+tuning"
    );
    assert_eq!(
        key(ours(json!({ "policies": [{ "plugin": "/x/y.wasm" }] }))),
        "eth0:chained:-x-y.wasm"
    );
    assert_eq!(key(ours(json!({ "delegate": { "type": "macvlan" } }))), "eth0:wrapped:macvlan");
    let mut called = conf(json!({ "cniVersion": "1.1.0", "name": "pods", "type": "portmap" }));
    called.called = "portmap".to_owned();
    assert_eq!(chain::key(&behind(&rates()).id, &called).ifname, "eth0:portmap");
    assert_eq!(chain::interface("eth0:wrapped:macvlan"), "eth0");
    assert_eq!(chain::interface("eth0"), "eth0");
}

fn merge(base: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
}

#[test]
fn around_another_plugin_they_are_on_what_it_made() {
    let world = World::new();
    made_by_another(&world);
    world.delegate_answer.replace(Some(previous().render(Version::V1_1_0).unwrap()));
    let conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger",
        "delegate": { "type": "macvlan" }, "features": rates()
    });
    let call = call_of(&conf, "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.interfaces.len(), 3);
    assert_eq!(world.kernel.traffic_of(HOST_COOKIE, "vethx").len(), 1);
    // Their failure deletes what the plugin made.
    world.del(&call).unwrap();
    world.delegated.take();
    world.kernel.fail_at(0);
    world.add(&call).unwrap_err();
    assert_eq!(world.delegated.take(), ["macvlan ADD", "macvlan DEL"]);
    world.assert_empty();
}

#[test]
fn pain_f6_a_port_of_the_host_has_one_owner_who_is_named() {
    let world = World::new();
    world.add(&call_of(&mapped(8080), "c1", NETNS[0])).unwrap();
    let second = call_of(&mapped(8080), "c2", NETNS[1]);
    let (code, text) = told(&world.add(&second).unwrap_err());
    assert_eq!(code, code::CONFLICT);
    assert!(text.contains("tcp port 8080"), "{text}");
    assert!(text.contains("pods/c1/eth0"), "{text}");
    assert!(text.contains("wharfinger del pods --container c1 --ifname eth0"), "{text}");
    assert!(world.addresses(&second.id).is_empty());
    world.add(&call_of(&mapped(8081), "c3", NETNS[2])).unwrap();
    world.del(&call_of(&mapped(8080), "c1", NETNS[0])).unwrap();
    world.add(&second).unwrap();
}

/// Its owner died without a DEL: it is not kept for the dead.
#[test]
fn pain_f6_a_port_of_the_dead_is_free() {
    let world = World::new();
    world.add(&call_of(&mapped(8080), "c1", NETNS[0])).unwrap();
    world.kernel.remove_netns(NETNS[0]);
    world.add(&call_of(&mapped(8080), "c2", NETNS[1])).unwrap();
}

/// An ADD that was killed is done anew, with its port.
#[test]
fn pain_c1_a_port_of_an_add_that_was_killed_is_its_own() {
    let world = World::new();
    let call = call_of(&mapped(8080), "c1", NETNS[0]);
    world.kernel.crash_at(2, Crash::Panic);
    catch_unwind(AssertUnwindSafe(|| world.add(&call))).unwrap_err();
    world.add(&call).unwrap();
    world.del(&call).unwrap();
    world.add(&call_of(&mapped(8080), "c2", NETNS[1])).unwrap();
}

#[test]
fn pain_f3_reload_makes_the_rules_of_the_book_and_says_of_how_many() {
    let world = World::new();
    world.add(&call_of(&mapped(8080), "c1", NETNS[0])).unwrap();
    world.add(&call_of(&mapped(8081), "c2", NETNS[1])).unwrap();
    let before = (world.kernel.masquerades(), world.kernel.filter());
    assert!(!before.1.is_empty());
    world.kernel.flush_filter();
    assert!(world.kernel.filter().is_empty());
    assert_eq!(world.with(reload::reload).unwrap(), 2);
    assert_eq!(world.with(reload::reload).unwrap(), 2, "and once more");
    assert_eq!((world.kernel.masquerades(), world.kernel.filter()), before);
}

/// What `sbr` routes by source is not in the main table at all where our own driver makes the
/// routes, and a CHECK misses nothing there.
#[test]
fn routes_by_source_of_our_own_entry_check_and_go() {
    let world = World::new();
    let features = json!({ "sbr": {}, "tuning": { "mtu": 1400, "promisc": true } });
    let mut conf = with_features(&features);
    conf["isDefaultGateway"] = json!(true);
    let call = call_of(&conf, "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    let routes = world.kernel.routes_of(100);
    assert!(!routes.is_empty());
    assert!(routes.iter().all(|route| route.table == Some(100)), "{routes:?}");
    assert_eq!(world.kernel.rules_of(100).len(), 1);
    assert_eq!(world.kernel.link(100, "eth0").unwrap().mtu, 1400);
    let again = Attach { prev_result: Some(success), ..call.clone() };
    world.with(|host| check::check(host, &again)).unwrap();
    world.del(&call).unwrap();
    assert!(world.kernel.rules_of(100).is_empty());
    world.assert_empty();
}

/// Two at once would choose the same table: one waits for the other.
#[test]
fn interfaces_of_one_container_choose_their_tables_one_after_the_other() {
    let world = World::new();
    let [network, container, ifname] = ["netns:", "100", "routing"].map(str::to_owned);
    let locked = wharfinger_cni::AttachmentId { network, container, ifname };
    let hold = world.machine.locks.borrow_mut().insert(locked.clone());
    assert!(hold);
    let by_source = call_of(&with_features(&json!({ "sbr": {} })), "c1", NETNS[0]);
    let error = world.add(&by_source).unwrap_err();
    assert_eq!(told(&error).0, code::TRY_AGAIN, "{error}");
    world.add(&call_of(&with_features(&json!({})), "c1", NETNS[0])).unwrap();
    world.machine.locks.borrow_mut().remove(&locked);
    world.add(&call_of(&with_features(&json!({ "sbr": {} })), "c2", NETNS[1])).unwrap();
    assert!(world.machine.locks.borrow().is_empty(), "and lets the next one");
}

/// The reference plugin's list of parameters counts for us, too.
#[test]
fn parameters_that_are_not_on_the_list_are_refused_before_anything_is_done() {
    let world = World::new();
    let call = |key: &str| {
        let features = json!({ "tuning": { "sysctl": { key: "1" } } });
        call_of(&with_features(&features), "c1", NETNS[0])
    };
    let (number, text) = told(&world.add(&call("net.unix.max_dgram_qlen")).unwrap_err());
    assert_eq!(number, code::INVALID_CONFIG);
    assert!(text.contains("net.unix.max_dgram_qlen") && text.contains("allowlist.conf"), "{text}");
    world.assert_empty();
    world.add(&call("net.core.somaxconn")).unwrap();
    assert_eq!(world.kernel.sysctl(100, "net/core/somaxconn").as_deref(), Some("1"));
}
