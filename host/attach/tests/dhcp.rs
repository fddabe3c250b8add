//! Addresses by DHCP: in which order things happen, and what is left when one of them fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::path::Path;

use serde_json::{Value, json};
use wharfinger_attach::dhcp::keep::{self, Told};
use wharfinger_attach::dry::{self, Unwell};
use wharfinger_attach::{Error, check};
use wharfinger_cni::Attach;
use wharfinger_dhcp::{Lease, Route, Times};
use world::{NETNS, TestPolicy, World, call_of};

fn lease(address: &str) -> Lease {
    Lease {
        address: format!("{address}/24").parse().unwrap(),
        server: "10.9.0.1".parse().unwrap(),
        hardware: Some([2, 0, 0, 0, 0, 1]),
        routers: vec!["10.9.0.1".parse().unwrap()],
        routes: vec![Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            via: Some("10.9.0.1".parse().unwrap()),
        }],
        dns: vec!["10.9.0.53".parse().unwrap()],
        domain: Some("lan".to_owned()),
        search: Vec::new(),
        times: Some(Times { renew: 1000, rebind: 1500, end: 2000 }),
    }
}

fn conf(ipam: &Value) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "driver": "bridge",
        "bridge": "cni0", "ipMasq": true, "ipam": ipam,
    })
}

fn call(container: &str, netns: &str) -> Attach {
    call_of(&conf(&json!({ "type": "dhcp" })), container, netns)
}

/// A machine on whose network a server gives this address.
fn served(address: &str) -> World {
    let world = World::new();
    world.server.gives.replace(Some(lease(address)));
    world
}

fn told(world: &World) -> Vec<String> {
    std::mem::take(&mut *world.server.told.borrow_mut())
}

fn addresses(world: &World, path: &str) -> Vec<String> {
    use wharfinger_kernel::{AtPath, Kernel};
    let AtPath::Netns(netns) = world.kernel.netns(Path::new(path)).unwrap() else { panic!() };
    let wanted = [wharfinger_plan::LinkRef::container("eth0")];
    let found = world.kernel.links(&wanted, Some(&netns)).unwrap();
    found.into_iter().flatten().flat_map(|link| link.addresses).map(|a| a.to_string()).collect()
}

#[test]
fn the_link_is_there_and_up_before_a_server_is_asked_and_until_it_was_told() {
    let world = served("10.9.0.50");
    let call = call("a", NETNS[0]);
    let result = world.add(&call).unwrap();
    assert_eq!(told(&world), ["obtain container:eth0 up true", "wake "]);
    assert_eq!(result.ips[0].address.to_string(), "10.9.0.50/24");
    assert_eq!(result.ips[0].gateway, Some("10.9.0.1".parse().unwrap()));
    assert_eq!(result.interfaces.len(), 3);
    assert!(result.interfaces.iter().all(|interface| !interface.mac.is_empty()));
    assert_eq!(result.dns.nameservers, ["10.9.0.53"]);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.50/24"]);
    assert_eq!(world.addresses(&call.id), ["10.9.0.50".parse::<std::net::IpAddr>().unwrap()]);
    world.with(|host| check::check(host, &call)).unwrap();
    assert!(told(&world).is_empty(), "CHECK asks nobody");
    world.del(&call).unwrap();
    assert_eq!(told(&world), ["release 10.9.0.50/24"]);
    world.assert_empty();
}

#[test]
fn without_an_answer_nothing_is_left() {
    let world = World::new();
    let error = world.add(&call("a", NETNS[0])).unwrap_err();
    assert!(error.to_string().contains("no DHCP server answered within 25 s"), "{error}");
    assert_eq!(error.to_cni("pods").code, 11);
    world.assert_empty();
}

#[test]
fn a_lease_that_policies_refuse_is_given_back() {
    let mut world = served("10.9.0.50");
    let sees = TestPolicy::new("sees").review(|_, _, result, _| {
        let address = result["ips"][0]["address"].as_str().unwrap_or_default().to_owned();
        Ok(wharfinger_wasm::Verdict::Deny(format!("not {address}")))
    });
    world.engine.policies.insert("sees", sees);
    let mut conf = conf(&json!({ "type": "dhcp" }));
    conf["policies"] = json!([{ "plugin": "sees" }]);
    let error = world.add(&call_of(&conf, "a", NETNS[0])).unwrap_err();
    assert!(error.to_string().contains("not 10.9.0.50/24"), "{error}");
    assert_eq!(told(&world), ["obtain container:eth0 up true", "release 10.9.0.50/24"]);
    world.assert_empty();
}

#[test]
fn an_address_that_somebody_holds_is_declined() {
    let world = served("10.9.0.50");
    let first = call("a", NETNS[0]);
    world.add(&first).unwrap();
    let _ = told(&world);
    let error = world.add(&call("b", NETNS[1])).unwrap_err();
    assert!(matches!(error, Error::LeaseTaken { .. }), "{error}");
    assert!(error.to_string().contains("pods/a/eth0"), "{error}");
    assert_eq!(told(&world), ["obtain container:eth0 up true", "decline 10.9.0.50/24"]);
    world.with(|host| check::check(host, &first)).unwrap();
    world.del(&first).unwrap();
    world.assert_empty();
}

#[test]
fn a_link_without_a_server_behind_it_is_refused() {
    let world = served("10.9.0.50");
    let mut conf = conf(&json!({ "type": "dhcp" }));
    conf["driver"] = "ptp".into();
    let error = world.add(&call_of(&conf, "a", NETNS[0])).unwrap_err();
    assert_eq!(error.to_cni("pods").code, 7);
    assert!(error.to_string().contains("/ipam/type"), "{error}");
    assert!(told(&world).is_empty());
}

#[test]
fn keys_are_the_reference_plugins_and_wrong_ones_are_named() {
    for (ipam, place) in [
        (json!({ "provide": [{ "option": "ntp", "value": "x" }] }), "/ipam/provide/0/option"),
        (json!({ "provide": [{ "value": "x" }] }), "/ipam/provide/0/option"),
        (json!({ "provide": [{ "option": "53", "value": "x" }] }), "/ipam/provide/0/option"),
        (json!({ "provide": [{ "option": "12", "value": "x".repeat(256) }] }), "provide/0/value"),
        (json!({ "request": [{ "option": "300" }] }), "/ipam/request/0/option"),
        (json!({ "request": [{ "skipDefault": "yes" }] }), "/ipam/request/0/skipDefault"),
    ] {
        let world = served("10.9.0.50");
        let mut all = ipam.clone();
        all["type"] = "dhcp".into();
        let error = world.add(&call_of(&conf(&all), "a", NETNS[0])).unwrap_err();
        assert!(error.to_string().contains(place), "{ipam}: {error}");
        assert_eq!(error.to_cni("pods").code, 7);
        world.assert_empty();
    }
}

#[test]
fn priority_is_the_metric_and_a_route_without_a_router_is_on_the_link() {
    let world = World::new();
    let mut given = lease("10.9.0.50");
    given.routes.push(Route { destination: "172.16.0.0/16".parse().unwrap(), via: None });
    world.server.gives.replace(Some(given));
    let ipam = json!({ "type": "wharfinger", "plugin": "dhcp", "priority": 77,
        "daemonSocketPath": "/run/x.sock" });
    let result = world.add(&call_of(&conf(&ipam), "a", NETNS[0])).unwrap();
    assert!(result.routes.iter().all(|route| route.priority == Some(77)));
    assert_eq!((result.routes[0].scope, result.routes[0].gw), (Some(253), None));
    assert_eq!(told(&world).last().unwrap(), "wake /run/x.sock");
}

#[test]
fn one_that_was_killed_while_it_asked_is_undone() {
    let world = World::new();
    world.server.dies.set(true);
    let call = call("a", NETNS[0]);
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.add(&call)));
    assert!(killed.is_err());
    assert!(!world.kernel.leftovers().is_empty(), "the link was made");
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn an_add_after_one_that_was_killed_begins_anew() {
    let world = served("10.9.0.50");
    world.server.dies.set(true);
    let call = call("a", NETNS[0]);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.add(&call)));
    world.server.dies.set(false);
    world.add(&call).unwrap();
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn status_says_where_nobody_renews() {
    let world = served("10.9.0.50");
    world.server.alone.set(true);
    let call = call("a", NETNS[0]);
    let status = |world: &World| world.with(|host| dry::status(host, &call.conf, &[]));
    assert!(
        matches!(status(&world), Err(Unwell::NotAvailable(e)) if e.to_string().contains("nobody"))
    );
    world.add(&call).unwrap();
    assert!(matches!(status(&world), Err(Unwell::Impaired(_))));
    world.server.alone.set(false);
    assert!(status(&world).is_ok());
}

/// What whoever renews leases does about one.
#[test]
fn a_lease_goes_on_ends_and_is_replaced() {
    let world = served("10.9.0.50");
    let call = call("a", NETNS[0]);
    world.add(&call).unwrap();
    let all = world.with(keep::leases).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].lease, Some(lease("10.9.0.50")));
    let tell = |lease: &Lease| world.with(|host| keep::bound(host, &call.id, lease, Path::new("")));

    let mut longer = lease("10.9.0.50");
    longer.times = Some(Times { renew: 3000, rebind: 3500, end: 4000 });
    assert_eq!(tell(&longer).unwrap(), Told::Done);
    assert_eq!(world.with(keep::leases).unwrap()[0].lease, Some(longer));
    world.server.now.set(3999);
    world.with(|host| check::check(host, &call)).unwrap();
    world.server.now.set(4000);
    let over = world.with(|host| check::check(host, &call)).unwrap_err();
    assert!(over.to_string().contains("lease of 10.9.0.50/24 has ended"), "{over}");

    let lost = || world.with(|host| keep::lost(host, &call.id, Path::new(""))).unwrap();
    assert_eq!(lost(), Told::Done);
    assert_eq!(lost(), Told::Done, "twice is as good as once");
    assert!(addresses(&world, NETNS[0]).is_empty());
    assert!(world.addresses(&call.id).is_empty());
    let none = world.with(|host| check::check(host, &call)).unwrap_err();
    assert!(none.to_string().contains("has no DHCP lease any more"), "{none}");
    world.del(&call).unwrap();
    world.assert_empty();
    assert_eq!(lost(), Told::Gone);
}

/// Another address in the place of one, with an end between them and without.
#[test]
fn a_lease_of_another_address_takes_its_place() {
    let world = served("10.9.0.50");
    let call = call("a", NETNS[0]);
    world.add(&call).unwrap();
    let tell = |lease: &Lease| world.with(|host| keep::bound(host, &call.id, lease, Path::new("")));
    world.with(|host| keep::lost(host, &call.id, Path::new(""))).unwrap();
    let mut other = lease("10.9.0.77");
    other.times = None;
    assert_eq!(tell(&other).unwrap(), Told::Done);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.77/24"]);
    assert_eq!(world.addresses(&call.id), ["10.9.0.77".parse::<std::net::IpAddr>().unwrap()]);
    world.with(|host| check::check(host, &call)).unwrap();
    // Without an end between them.
    assert_eq!(tell(&lease("10.9.0.78")).unwrap(), Told::Done);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.78/24"]);
    world.server.now.set(0);
    let _ = told(&world);
    world.del(&call).unwrap();
    assert_eq!(told(&world), ["release 10.9.0.78/24"]);
    world.assert_empty();
    assert_eq!(tell(&other).unwrap(), Told::Gone);
}

/// The book was lost: what it knows again are the links and, by the runtime's word, the call.
fn forgotten(address: &str) -> (World, Attach) {
    let mut world = served(address);
    let call = call("a", NETNS[0]);
    let prev_result = Some(world.add(&call).unwrap());
    let call = Attach { prev_result, ..call };
    world.lose_the_book_but(std::slice::from_ref(&call));
    let _ = told(&world);
    (world, call)
}

#[test]
fn a_lease_that_was_forgotten_is_asked_for_again_and_nothing_else_changes() {
    let (world, call) = forgotten("10.9.0.50");
    let all = world.with(keep::leases).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0].lease, all[0].had), (&None, Some("10.9.0.50".parse().unwrap())));
    world.with(|host| check::check(host, &call)).unwrap();
    let before = world.with(|host| host.ledger.get(&call.id)).unwrap().unwrap().record;
    let given = lease("10.9.0.50");
    let bound = |lease| world.with(|host| keep::bound(host, &call.id, lease, Path::new("")));
    assert_eq!(bound(&given).unwrap(), Told::Done);
    let after = world.with(|host| host.ledger.get(&call.id)).unwrap().unwrap().record;
    assert_eq!((after.plan, after.addresses), (before.plan, before.addresses));
    let all = world.with(keep::leases).unwrap();
    assert_eq!((&all[0].lease, all[0].had), (&Some(given), None));
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.50/24"]);
    world.del(&call).unwrap();
    assert_eq!(told(&world), ["release 10.9.0.50/24"]);
    world.assert_empty();
}

#[test]
fn a_forgotten_lease_that_the_server_refuses_takes_its_address_along() {
    let (world, call) = forgotten("10.9.0.50");
    let lost = || world.with(|host| keep::lost(host, &call.id, Path::new(""))).unwrap();
    assert_eq!((lost(), lost()), (Told::Done, Told::Done));
    assert!(addresses(&world, NETNS[0]).is_empty());
    assert!(world.kernel.link(100, "eth0").is_some(), "the interface stays");
    assert!(world.addresses(&call.id).is_empty());
    assert_eq!(world.with(keep::leases).unwrap()[0].had, None);
    world.with(|host| check::check(host, &call)).unwrap_err();
    let other = lease("10.9.0.77");
    let bound = world.with(|host| keep::bound(host, &call.id, &other, Path::new("")));
    assert_eq!(bound.unwrap(), Told::Done);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.77/24"]);
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn a_forgotten_lease_that_became_another_address_gives_the_first_up() {
    let (world, call) = forgotten("10.9.0.50");
    let other = lease("10.9.0.77");
    let bound = world.with(|host| keep::bound(host, &call.id, &other, Path::new("")));
    assert_eq!(bound.unwrap(), Told::Done);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.77/24"]);
    assert_eq!(world.addresses(&call.id), ["10.9.0.77".parse::<std::net::IpAddr>().unwrap()]);
    world.del(&call).unwrap();
    world.assert_empty();
}

/// That the runtime kept it does not make it ours: another plugin may have the name.
#[test]
fn under_a_reference_name_only_what_the_kernel_has_is_ours() {
    let mut world = served("10.9.0.50");
    let mut conf = conf(&json!({ "type": "dhcp" }));
    conf["type"] = json!("bridge");
    let mut call = call_of(&conf, "a", NETNS[0]);
    "bridge".clone_into(&mut call.conf.called);
    let prev_result = Some(world.add(&call).unwrap());
    let ours = Attach { prev_result, ..call };
    let mut theirs = ours.clone();
    "b".clone_into(&mut theirs.id.container);
    world.lose_the_book_but(&[ours.clone(), theirs.clone()]);
    let all = world.with(keep::leases).unwrap();
    assert_eq!(all.iter().map(|kept| &kept.id).collect::<Vec<_>>(), [&ours.id]);
    world.del(&ours).unwrap();
    world.assert_empty();
}

#[test]
fn nothing_is_done_about_an_attachment_that_somebody_works_on() {
    let world = served("10.9.0.50");
    let call = call("a", NETNS[0]);
    world.add(&call).unwrap();
    let busy = world.with(|host| {
        let _hold = host.node.try_lock(&call.id).unwrap().unwrap();
        keep::lost(host, &call.id, Path::new("")).unwrap()
    });
    assert_eq!(busy, Told::Busy);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.50/24"]);
}

/// An ADD whose process is killed once its reply is out.
fn killed_after_its_reply(world: &World, call: &Attach) {
    world.with(|host| drop(wharfinger_attach::add::add(host, call).unwrap()));
}

#[test]
fn a_lease_whose_add_was_killed_after_its_reply_is_looked_after() {
    let world = served("10.9.0.50");
    let call = call("a", NETNS[0]);
    killed_after_its_reply(&world, &call);
    assert_eq!(world.with(keep::leases).unwrap()[0].lease, Some(lease("10.9.0.50")));
    let tell = |lease: &Lease| world.with(|host| keep::bound(host, &call.id, lease, Path::new("")));
    let mut longer = lease("10.9.0.50");
    longer.times = Some(Times { renew: 3000, rebind: 3500, end: 4000 });
    assert_eq!(tell(&longer).unwrap(), Told::Done);
    assert_eq!(world.with(keep::leases).unwrap()[0].lease, Some(longer));
    let lost = || world.with(|host| keep::lost(host, &call.id, Path::new(""))).unwrap();
    assert_eq!((lost(), lost()), (Told::Done, Told::Done));
    assert!(addresses(&world, NETNS[0]).is_empty());
    assert_eq!(world.with(keep::leases).unwrap().len(), 1, "another is asked for");
    assert_eq!(tell(&lease("10.9.0.77")).unwrap(), Told::Done);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.77/24"]);
    let _ = told(&world);
    world.del(&call).unwrap();
    assert_eq!(told(&world), ["release 10.9.0.77/24"]);
    world.assert_empty();
}

#[test]
fn an_add_that_still_asks_is_left_to_ask() {
    let world = World::new();
    world.server.dies.set(true);
    let call = call("a", NETNS[0]);
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.add(&call)));
    assert!(world.with(|host| host.ledger.get(&call.id)).unwrap().is_some());
    assert!(world.with(keep::leases).unwrap().is_empty());
    let lost = world.with(|host| keep::lost(host, &call.id, Path::new("")));
    assert_eq!(lost.unwrap(), Told::Gone);
}

#[test]
fn another_lease_that_cannot_be_used_is_given_back_and_the_interface_waits() {
    let world = served("10.9.0.50");
    let (one, two) = (call("a", NETNS[0]), call("b", NETNS[1]));
    world.add(&one).unwrap();
    world.server.gives.replace(Some(lease("10.9.0.51")));
    world.add(&two).unwrap();
    let _ = told(&world);
    let taken = world.with(|host| keep::bound(host, &two.id, &lease("10.9.0.50"), Path::new("")));
    assert!(matches!(taken, Err(Error::LeaseTaken { .. })), "{taken:?}");
    assert_eq!(told(&world), ["release 10.9.0.50/24"]);
    assert!(addresses(&world, NETNS[1]).is_empty());
    assert!(world.with(keep::leases).unwrap().iter().any(|kept| kept.lease.is_none()));
    world.del(&two).unwrap();
    world.del(&one).unwrap();
    world.assert_empty();
}

/// An executable such as the reference `dhcp` needs the link, at ADD and at DEL.
#[test]
fn an_executable_that_gives_addresses_finds_the_link_there() {
    let world = World::new();
    world.delegate_answer.replace(Some(json!({
        "cniVersion": "1.1.0", "ips": [{ "address": "10.9.0.60/24" }],
    })));
    let call = call_of(&conf(&json!({ "type": "theirs" })), "a", NETNS[0]);
    let result = world.add(&call).unwrap();
    assert_eq!(result.interfaces.len(), 3);
    assert_eq!(addresses(&world, NETNS[0]), ["10.9.0.60/24"]);
    world.del(&call).unwrap();
    assert_eq!(*world.delegated.borrow(), ["theirs ADD", "theirs DEL"]);
    assert_eq!(*world.delegate_saw_link.borrow(), [true, true]);
    world.assert_empty();
    world.delegate_missing.set(true);
    assert!(world.add(&call).is_err());
    world.assert_empty();
}
