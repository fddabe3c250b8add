//! The verbs over a machine in memory.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod world;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use wharfinger_attach::dry::{self, Unwell};
use wharfinger_attach::{Error, GcMode, add, check, gc};
use wharfinger_cni::{Node, Success, ValidAttachment, code};
use wharfinger_kernel::mem::Crash;
use wharfinger_wasm::Reason;
use world::{NETNS, World, bridge, call, call_of};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn code_of(error: &Error) -> u32 {
    error.to_cni("pods").code
}

#[test]
fn an_add_gives_an_address_and_its_del_leaves_nothing() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.ips.len(), 1);
    assert_eq!(success.ips[0].interface, Some(2), "the container's link comes third");
    assert_eq!(success.interfaces[2].sandbox, NETNS[0]);
    assert_eq!(world.addresses(&call.id), vec![success.ips[0].address.addr()]);
    assert_eq!(world.kernel.masquerades().len(), 1);
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn req_22_req_23_a_second_add_is_an_error_and_harms_nothing() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    let before = (world.addresses(&call.id), world.kernel.leftovers());
    let error = world.add(&call).unwrap_err();
    assert_eq!(code_of(&error), code::EXISTS);
    let told = error.to_cni("pods").msg;
    assert!(told.contains("pods/c1/eth0") && told.contains("since 1970-01-01T00:00:00Z"), "{told}");
    assert_eq!((world.addresses(&call.id), world.kernel.leftovers()), before);
}

#[test]
fn req_22_a_foreign_interface_is_an_error_before_any_address_is_taken() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    let eth0 = wharfinger_plan::LinkRef::container("eth0");
    let foreign = wharfinger_kernel::LinkFacts::new(eth0, "dummy");
    world.kernel.add_link(100, foreign);
    let error = world.add(&call).unwrap_err();
    assert_eq!(code_of(&error), code::EXISTS);
    world.assert_empty();
}

/// Killed at any step of ADD: the next ADD has the same address, and its DEL leaves nothing.
#[test]
fn pain_c1_an_add_killed_at_any_step_is_done_anew() {
    for steps in 0..32 {
        let world = World::new();
        let call = call("c1", NETNS[0]);
        world.kernel.crash_at(steps, Crash::Panic);
        let killed = catch_unwind(AssertUnwindSafe(|| world.add(&call))).is_err();
        if !killed {
            assert!(steps > 5, "the plan has steps");
            return;
        }
        let held = world.addresses(&call.id);
        assert_eq!(held.len(), 1, "journalled before the kernel was touched");
        let success = world.add(&call).unwrap();
        assert_eq!(success.ips[0].address.addr(), held[0], "after {steps} steps");
        world.del(&call).unwrap();
        world.assert_empty();
    }
    panic!("never ran to the end");
}

/// Killed at any step of ADD: the next DEL leaves nothing.
#[test]
fn pain_a1_an_add_killed_at_any_step_is_undone_by_del() {
    for steps in 0..32 {
        let world = World::new();
        let call = call("c1", NETNS[0]);
        world.kernel.crash_at(steps, Crash::Panic);
        let killed = catch_unwind(AssertUnwindSafe(|| world.add(&call))).is_err();
        world.del(&call).unwrap();
        world.assert_empty();
        if !killed {
            return;
        }
    }
    panic!("never ran to the end");
}

/// Killed at any request of DEL: the next DEL leaves nothing.
#[test]
fn pain_c3_a_del_killed_half_way_is_finished_by_the_next() {
    for requests in 0..8 {
        let world = World::new();
        let call = call("c1", NETNS[0]);
        world.add(&call).unwrap();
        world.kernel.crash_undo_at(requests);
        let _ = catch_unwind(AssertUnwindSafe(|| world.del(&call)));
        world.del(&call).unwrap();
        world.assert_empty();
    }
}

#[test]
fn req_26_a_failing_step_undoes_the_add_and_frees_the_address_at_once() {
    for step in 0..6 {
        let world = World::new();
        let call = call_of(&bridge("10.1.0.5", "10.1.0.5"), "c1", NETNS[0]);
        world.kernel.fail_at(step);
        let error = world.add(&call).unwrap_err();
        assert_eq!(code_of(&error), code::KERNEL, "{error}");
        world.assert_empty();
        // Not even resting: it was never in use.
        assert_eq!(world.add(&call).unwrap().ips[0].address.addr(), ip("10.1.0.5"));
    }
}

#[test]
fn a_reply_that_nobody_got_is_undone() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.with(|host| {
        let added = add::add(host, &call).unwrap();
        add::finish(host, &call, &added, false).unwrap();
    });
    assert_eq!(world.detached(), ["c1: nobody heard the reply of its ADD"]);
    world.assert_empty();
}

#[test]
fn pain_a2_req_34_a_del_without_the_namespace_frees_everything() {
    for path in ["", "/run/netns/gone"] {
        let world = World::new();
        let mut call = call("c1", NETNS[0]);
        world.add(&call).unwrap();
        world.kernel.remove_netns(NETNS[0]);
        call.netns = (!path.is_empty()).then(|| path.into());
        world.del(&call).unwrap();
        world.assert_empty();
    }
}

#[test]
fn pain_c3_req_33_a_del_is_repeated_and_comes_before_any_add() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.del(&call).unwrap();
    world.add(&call).unwrap();
    for _ in 0..3 {
        world.del(&call).unwrap();
    }
    world.assert_empty();
}

#[test]
fn a_del_leaves_a_namespace_alone_that_took_the_path() {
    let world = World::new();
    let first = call("c1", NETNS[0]);
    world.add(&first).unwrap();
    world.kernel.add_netns(NETNS[0], 900);
    let second = call("c2", NETNS[0]);
    world.add(&second).unwrap();
    world.del(&first).unwrap();
    assert!(world.kernel.link(900, "eth0").is_some(), "the second container's link stands");
    world.del(&second).unwrap();
    world.assert_empty();
}

#[test]
fn pain_a10_a_del_needs_no_more_than_the_name() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    let bare =
        call_of(&json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger" }), "c1", "");
    world.del(&bare).unwrap();
    world.assert_empty();
}

#[test]
fn a_del_whose_undo_fails_says_so_and_the_next_one_finishes() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    let plan = world.with(|host| host.ledger.get(&call.id)).unwrap().unwrap().record.plan;
    let owned = plan.steps.iter().rposition(|s| s.owner == wharfinger_plan::Owner::Attachment);
    world.kernel.fail_undo_at(owned.unwrap());
    let error = world.del(&call).unwrap_err();
    assert_eq!(code_of(&error), code::KERNEL);
    assert_eq!(world.addresses(&call.id).len(), 1, "what is not undone is not free");
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn pain_a1_a_full_range_gives_what_belongs_to_the_dead() {
    let world = World::new();
    let one = |container, netns| call_of(&bridge("10.1.0.5", "10.1.0.5"), container, netns);
    world.add(&one("c1", NETNS[0])).unwrap();
    let error = world.add(&one("c2", NETNS[1])).unwrap_err();
    assert_eq!(code_of(&error), code::EXHAUSTED, "the first one lives");
    world.kernel.remove_netns(NETNS[0]);
    let success = world.add(&one("c2", NETNS[1])).unwrap();
    assert_eq!(success.ips[0].address.addr(), ip("10.1.0.5"));
    assert!(world.addresses(&one("c1", "").id).is_empty());
    assert_eq!(world.detached(), ["c1: it is proven dead"]);
}

#[test]
fn pain_a5_an_address_asked_for_by_name_names_its_holder_until_that_is_dead() {
    let world = World::new();
    let asks = |container: &str, netns: &str| {
        let mut call = call(container, netns);
        call.args = vec![("IP".into(), "10.1.0.7".into())];
        call
    };
    world.add(&asks("c1", NETNS[0])).unwrap();
    let error = world.add(&asks("c2", NETNS[1])).unwrap_err();
    assert_eq!(code_of(&error), code::CONFLICT);
    let told = error.to_cni("pods").details;
    assert!(told.contains("wharfinger del pods --container c1 --ifname eth0"), "{told}");
    world.kernel.remove_netns(NETNS[0]);
    assert_eq!(world.add(&asks("c2", NETNS[1])).unwrap().ips[0].address.addr(), ip("10.1.0.7"));
}

#[test]
fn pain_b9_a_resting_address_is_given_when_asked_for_by_name() {
    let world = World::new();
    let mut call = call("c1", NETNS[0]);
    let first = world.add(&call).unwrap().ips[0].address.addr();
    world.del(&call).unwrap();
    call.id.container = "c2".into();
    assert_ne!(world.add(&call).unwrap().ips[0].address.addr(), first, "it rests");
    world.del(&call).unwrap();
    call.id.container = "c3".into();
    call.args = vec![("IP".into(), first.to_string())];
    assert_eq!(world.add(&call).unwrap().ips[0].address.addr(), first);
}

/// Each failure of a component has its code, and leaves nothing.
#[test]
fn pain_d5_each_reason_of_a_component_has_its_code() {
    for (reason, code) in [
        (Reason::InvalidConfig, code::INVALID_CONFIG),
        (Reason::Exhausted, code::EXHAUSTED),
        (Reason::Conflict, code::CONFLICT),
        (Reason::TryAgain, code::TRY_AGAIN),
        (Reason::Other, code::PLUGIN),
    ] {
        let world = World::new();
        world.engine.fails.replace(Some((reason, "because".into())));
        let error = world.add(&call("c1", NETNS[0])).unwrap_err();
        let told = error.to_cni("pods");
        assert_eq!(told.code, code, "{reason:?}");
        for word in ["pods", "pool@sha256:00", "allocate", "because"] {
            assert!(told.msg.contains(word), "{word} in {}", told.msg);
        }
        world.assert_empty();
    }
}

#[test]
fn pain_d5_exhaustion_counts() {
    let world = World::new();
    let one = |container, netns| call_of(&bridge("10.1.0.5", "10.1.0.5"), container, netns);
    world.add(&one("c1", NETNS[0])).unwrap();
    let told = world.add(&one("c2", NETNS[1])).unwrap_err().to_cni("pods");
    assert!(told.msg.contains("1 addresses: 1 held, 0 resting"), "{}", told.msg);
}

fn node() -> Node {
    Node { path: Vec::new(), conf: call("x", "").conf }
}

fn valid(container: &str) -> ValidAttachment {
    ValidAttachment { container: container.into(), ifname: "eth0".into() }
}

#[test]
fn pain_a8_req_54_gc_undoes_what_is_not_listed_and_nothing_of_other_networks() {
    let world = World::new();
    let mut other = bridge("10.2.0.2", "10.2.0.9");
    other["name"] = json!("other");
    other["bridge"] = json!("cni1");
    let other = call_of(&other, "c3", NETNS[2]);
    world.add(&call("c1", NETNS[0])).unwrap();
    world.add(&call("c2", NETNS[1])).unwrap();
    world.add(&other).unwrap();
    world.with(|host| gc::gc(host, &node(), &[valid("c1")])).unwrap();
    assert_eq!(world.addresses(&call("c1", "").id).len(), 1);
    assert!(world.addresses(&call("c2", "").id).is_empty());
    assert_eq!(world.addresses(&other.id).len(), 1);
    assert_eq!(world.detached(), ["c2: GC did not list it"]);
    world.with(|host| gc::gc(host, &node(), &[])).unwrap();
    world.del(&other).unwrap();
    assert_eq!(world.detached().len(), 2, "a DEL is its own event");
    world.assert_empty();
}

#[test]
fn pain_b1_gc_leaves_alone_what_somebody_works_on() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    world.with(|host| {
        let hold = host.node.try_lock(&call.id).unwrap();
        gc::gc(host, &node(), &[]).unwrap();
        drop(hold);
    });
    assert_eq!(world.addresses(&call.id).len(), 1);
}

#[test]
fn pain_a9_with_dead_only_a_living_namespace_vetoes_gc() {
    let mut world = World::new();
    world.settings.gc = GcMode::DeadOnly;
    world.add(&call("c1", NETNS[0])).unwrap();
    world.add(&call("c2", NETNS[1])).unwrap();
    world.kernel.remove_netns(NETNS[1]);
    world.with(|host| gc::gc(host, &node(), &[])).unwrap();
    assert_eq!(world.addresses(&call("c1", "").id).len(), 1);
    assert!(world.addresses(&call("c2", "").id).is_empty());
}

#[test]
fn pain_a9_with_dead_only_a_link_that_no_record_knows_is_somebody_elses() {
    let mut world = World::new();
    world.settings.gc = GcMode::DeadOnly;
    world.add(&call("c1", NETNS[0])).unwrap();
    world.ledger = wharfinger_ledger::MemLedger::new();
    world.with(|host| gc::gc(host, &node(), &[])).unwrap();
    assert!(world.kernel.link(100, "eth0").is_some(), "another's book may have it");
}

#[test]
fn pain_c7_gc_stops_at_its_deadline_and_says_what_is_left() {
    let world = World::new();
    world.add(&call("c1", NETNS[0])).unwrap();
    world.machine.late.set(true);
    let error = world.with(|host| gc::gc(host, &node(), &[])).unwrap_err();
    assert_eq!(code_of(&error), code::TRY_AGAIN);
    assert!(error.to_string().contains("1 attachments"), "{error}");
    world.machine.late.set(false);
    world.with(|host| gc::gc(host, &node(), &[])).unwrap();
    world.assert_empty();
}

#[test]
fn req_55_gc_goes_on_after_an_error_and_reports_it() {
    let world = World::new();
    world.add(&call("c1", NETNS[0])).unwrap();
    world.add(&call("c2", NETNS[1])).unwrap();
    let plan = world.with(|host| host.ledger.get(&call("c1", "").id)).unwrap().unwrap().record.plan;
    let owned = plan.steps.iter().rposition(|s| s.owner == wharfinger_plan::Owner::Attachment);
    world.kernel.fail_undo_at(owned.unwrap());
    world.with(|host| gc::gc(host, &node(), &[])).unwrap_err();
    let left = world.with(|host| host.ledger.list(None)).unwrap();
    assert_eq!(left.len(), 1, "one failed, the other was freed");
    world.with(|host| gc::gc(host, &node(), &[])).unwrap();
    world.assert_empty();
}

#[test]
fn gc_finds_what_the_kernel_has_and_no_record_knows() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    world.add(&call).unwrap();
    let entry = world.with(|host| host.ledger.get(&call.id)).unwrap().unwrap();
    let release =
        world.with(|host| host.ledger.release(&call.id, entry.seq, 0, std::time::Duration::ZERO));
    release.unwrap();
    assert!(!world.kernel.leftovers().is_empty());
    world.with(|host| gc::gc(host, &node(), &[])).unwrap();
    assert_eq!(world.detached(), ["c1: GC did not list it"]);
    world.assert_empty();
}

fn checked(world: &World, call: &wharfinger_cni::Attach, previous: Success) -> Result<(), Error> {
    let call = wharfinger_cni::Attach { prev_result: Some(previous), ..call.clone() };
    world.with(|host| check::check(host, &call))
}

#[test]
fn req_43_req_44_check_names_each_drift() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    checked(&world, &call, success.clone()).unwrap();
    world.kernel.delete_masquerade(success.ips[0].address.addr());
    world.kernel.change_link(100, "eth0", |link| link.mtu = 1400);
    world.kernel.change_link(100, "eth0", |link| link.addresses.clear());
    let error = checked(&world, &call, success).unwrap_err();
    assert_eq!(code_of(&error), code::DRIFT);
    let told = error.to_string();
    assert!(told.contains("masquerade"), "{told}");
    assert!(told.contains("10.1.0."), "{told}");
}

#[test]
fn req_42_what_a_later_plugin_changed_is_no_drift() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    let mut success = world.add(&call).unwrap();
    world.kernel.change_link(100, "eth0", |link| {
        link.mtu = 1400;
        link.mac = "02:00:00:00:00:99".parse().ok();
    });
    success.interfaces[2].mtu = Some(1400);
    success.interfaces[2].mac = "02:00:00:00:00:99".into();
    checked(&world, &call, success).unwrap();
}

#[test]
fn check_of_what_was_never_attached_says_so() {
    let world = World::new();
    let error = checked(&world, &call("c1", NETNS[0]), Success::default()).unwrap_err();
    assert_eq!(code_of(&error), code::UNKNOWN_CONTAINER);
}

#[test]
fn check_finds_another_namespace_at_the_path() {
    let world = World::new();
    let call = call("c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    world.kernel.add_netns(NETNS[0], 900);
    let error = checked(&world, &call, success).unwrap_err();
    assert_eq!(code_of(&error), code::DRIFT);
}

fn status(world: &World, conf: &Value) -> Result<(), Unwell> {
    let call = call_of(conf, "x", "");
    world.with(|host| dry::status(host, &call.conf, &call.path))
}

#[test]
fn pain_d9_req_50_status_says_why_an_add_would_fail() {
    let world = World::new();
    let mut conf = bridge("10.1.0.5", "10.1.0.5");
    assert!(status(&world, &conf).is_ok());
    world.add(&call_of(&conf, "c1", NETNS[0])).unwrap();
    match status(&world, &conf) {
        Err(Unwell::NotAvailable(error)) => assert_eq!(code_of(&error), code::EXHAUSTED),
        _ => panic!("an exhausted range is not well"),
    }
    conf["ipam"]["statusWhenFull"] = json!("ok");
    assert!(status(&world, &conf).is_ok());
    world.kernel.set_missing(vec!["bridge".into()]);
    match status(&world, &bridge("10.1.0.2", "10.1.0.9")) {
        Err(Unwell::NotAvailable(error)) => assert!(error.to_string().contains("bridge")),
        _ => panic!("a missing feature is not well"),
    }
    let behind = |features: serde_json::Value| json!({ "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "features": features });
    let shaped = behind(json!({ "bandwidth": { "ingressRate": 1000, "ingressBurst": 1000 } }));
    assert!(matches!(status(&world, &shaped), Err(Unwell::NotAvailable(_))));
    let mut around = behind(json!({ "firewall": {} }));
    around["delegate"] = json!({ "type": "macvlan" });
    assert!(matches!(status(&world, &around), Err(Unwell::NotAvailable(_))));
    assert!(status(&world, &behind(json!({}))).is_ok(), "nothing is needed for nothing");
}

#[test]
fn req_49_status_tells_impaired_containers_apart() {
    let world = World::new();
    let conf = bridge("10.1.0.2", "10.1.0.9");
    world.add(&call_of(&conf, "c1", NETNS[0])).unwrap();
    assert!(status(&world, &conf).is_ok());
    world.kernel.set_sysctl(wharfinger_kernel::mem::HOST_COOKIE, "net/ipv4/ip_forward", "0");
    let Err(Unwell::Impaired(error)) = status(&world, &conf) else { panic!("it is well") };
    assert!(error.to_string().starts_with("what its attachments share is not as it was made: "));
    assert!(
        error.hint().is_some_and(|hint| hint.starts_with("the next ADD")),
        "{:?}",
        error.hint()
    );
    // As it says.
    world.add(&call_of(&conf, "c2", NETNS[1])).unwrap();
    assert!(status(&world, &conf).is_ok());
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new();
    let conf = call("x", "").conf;
    let dry = world.with(|host| dry::dry(host, &conf, "c1", "eth0")).unwrap();
    assert!(dry.plan.to_string().contains("link cni0 type bridge"));
    assert_eq!(dry.lease.ips.len(), 1);
    world.assert_empty();
}

fn deputised() -> Value {
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["ipam"] = json!({ "type": "other-ipam", "subnet": "10.9.0.0/16" });
    conf
}

#[test]
fn req_66_an_executable_is_asked_on_every_verb() {
    let world = World::new();
    let answer = json!({ "cniVersion": "1.1.0", "ips": [{ "address": "10.9.0.5/16" }] });
    world.delegate_answer.replace(Some(answer));
    let call = call_of(&deputised(), "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert_eq!(success.ips[0].address.to_string(), "10.9.0.5/16");
    assert!(world.addresses(&call.id).is_empty(), "its book, not ours");
    checked(&world, &call, success).unwrap();
    world
        .with(|host| {
            gc::gc(host, &Node { path: Vec::new(), conf: call.conf.clone() }, &[valid("c1")])
        })
        .unwrap();
    world.del(&call).unwrap();
    let verbs = ["ADD", "CHECK", "GC", "DEL"].map(|verb| format!("other-ipam {verb}"));
    assert_eq!(*world.delegated.borrow(), verbs);
    world.assert_empty();
}

#[test]
fn req_52_status_asks_an_executable_and_does_not_guess_its_answer() {
    let world = World::new();
    assert!(status(&world, &deputised()).is_ok());
    assert_eq!(*world.delegated.borrow(), ["other-ipam STATUS"]);
    let conf = call_of(&deputised(), "c1", "").conf;
    let error = world.with(|host| dry::dry(host, &conf, "c1", "eth0")).err().unwrap();
    assert!(error.to_string().contains("other-ipam"), "{error}");
}

/// An answer of which follow more steps than there are before it.
fn long_answer() -> Value {
    let route = |n: u8| json!({ "dst": format!("10.{n}.0.0/16"), "gw": "10.9.0.1" });
    let routes: Vec<Value> = (100..110).map(route).collect();
    json!({ "cniVersion": "1.1.0", "ips": [{ "address": "10.9.0.5/16" }], "routes": routes })
}

#[test]
fn pain_c1_an_executable_is_released_before_it_is_asked_anew() {
    let world = World::new();
    world.delegate_answer.replace(Some(long_answer()));
    let call = call_of(&deputised(), "c1", NETNS[0]);
    world.kernel.crash_at(10, Crash::Panic);
    catch_unwind(AssertUnwindSafe(|| world.add(&call))).unwrap_err();
    world.add(&call).unwrap();
    let verbs = ["ADD", "DEL", "ADD"].map(|verb| format!("other-ipam {verb}"));
    assert_eq!(*world.delegated.borrow(), verbs);
}

#[test]
fn req_62_a_failed_add_gives_back_what_an_executable_allocated() {
    let world = World::new();
    world.delegate_answer.replace(Some(long_answer()));
    world.kernel.fail_at(10);
    world.add(&call_of(&deputised(), "c1", NETNS[0])).unwrap_err();
    assert_eq!(*world.delegated.borrow(), ["other-ipam ADD", "other-ipam DEL"]);
    world.assert_empty();
}

#[test]
fn an_executable_is_not_asked_where_its_link_cannot_be_made() {
    let world = World::new();
    world.kernel.fail_at(0);
    world.add(&call_of(&deputised(), "c1", NETNS[0])).unwrap_err();
    assert!(world.delegated.borrow().is_empty());
    world.assert_empty();
}

#[test]
fn an_executable_that_is_not_there_leaves_nothing() {
    let world = World::new();
    world.delegate_missing.set(true);
    let error = world.add(&call_of(&deputised(), "c1", NETNS[0])).unwrap_err();
    assert!(error.to_string().contains("other-ipam"), "{error}");
    world.assert_empty();
    world.del(&call_of(&deputised(), "c1", NETNS[0])).unwrap();
}

#[test]
fn an_executable_that_was_run_and_is_gone_keeps_its_attachment() {
    for lost in [false, true] {
        let mut world = World::new();
        world.delegate_answer.replace(Some(long_answer()));
        let call = call_of(&deputised(), "c1", NETNS[0]);
        world.add(&call).unwrap();
        if lost {
            world.lose_the_book();
        }
        world.delegate_missing.set(true);
        let error = world.del(&call).unwrap_err();
        assert!(error.to_string().contains("other-ipam"), "{lost}: {error}");
        world.delegate_missing.set(false);
        world.del(&call).unwrap();
        world.assert_empty();
    }
}

#[test]
fn req_71_an_executable_without_addresses_is_refused_and_released() {
    let world = World::new();
    world.delegate_answer.replace(Some(json!({ "cniVersion": "1.1.0" })));
    world.add(&call_of(&deputised(), "c1", NETNS[0])).unwrap_err();
    assert_eq!(*world.delegated.borrow(), ["other-ipam ADD", "other-ipam DEL"]);
    world.assert_empty();
}

#[test]
fn req_70_req_72_as_the_ipam_of_another_plugin_only_the_address_is_ours() {
    let world = World::new();
    let conf = json!({
        "cniVersion": "1.0.0", "name": "pods", "type": "bridge", "isGateway": true,
        "ipam": { "type": "wharfinger", "plugin": "pool", "first": "10.1.0.2", "last": "10.1.0.9" }
    });
    let call = call_of(&conf, "c1", NETNS[0]);
    let success = world.add(&call).unwrap();
    assert!(success.interfaces.is_empty(), "req 67: abbreviated");
    assert_eq!(success.ips[0].interface, None);
    assert!(world.kernel.leftovers().is_empty());
    assert_eq!(world.addresses(&call.id).len(), 1);
    let again = world.add(&call).unwrap();
    assert_eq!(again.ips, success.ips, "asked twice, it answers the same");
    let eth0 = wharfinger_plan::LinkRef::container("eth0");
    let mut used = wharfinger_kernel::LinkFacts {
        addresses: vec![success.ips[0].address],
        up: true,
        ..wharfinger_kernel::LinkFacts::new(eth0, "veth")
    };
    world.kernel.add_link(100, used.clone());
    assert_eq!(code_of(&world.add(&call).unwrap_err()), code::EXISTS, "req 70: it is in use");
    world.kernel.delete_link(100, "eth0");
    used.addresses.clear();
    world.kernel.add_link(100, used);
    checked(&world, &call, success).unwrap();
    world.del(&call).unwrap();
    world.assert_empty();
}

/// Ranges that are said to be several nodes' are refused where each would give out the same.
#[test]
fn pain_b5_ranges_of_several_nodes_are_refused_by_one_nodes_book() {
    let world = World::new();
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["ipam"]["shared"] = json!(true);
    let told = world.add(&call_of(&conf, "c1", NETNS[0])).unwrap_err().to_cni("pods");
    assert_eq!(told.code, code::INVALID_CONFIG);
    assert!(told.msg.contains("/ipam/shared") && told.msg.contains("each node"), "{}", told.msg);
    assert!(status(&world, &conf).is_err(), "and STATUS says so before any ADD");
    conf["ipam"]["shared"] = json!(false);
    world.add(&call_of(&conf, "c1", NETNS[0])).unwrap();
}

#[test]
fn an_unknown_component_is_named_with_its_pointer() {
    let world = World::new();
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["ipam"] = json!({ "type": "wharfinger", "plugin": "nobody" });
    let told = world.add(&call_of(&conf, "c1", NETNS[0])).unwrap_err().to_cni("pods");
    assert_eq!(told.code, code::INVALID_CONFIG);
    assert!(told.msg.contains("/ipam/plugin"), "{}", told.msg);
}

#[test]
fn pain_b8_overlapping_networks_are_refused_unless_their_domains_differ() {
    let world = World::new();
    world.add(&call("c1", NETNS[0])).unwrap();
    let mut other = bridge("10.1.0.5", "10.1.0.20");
    other["name"] = json!("other");
    let error = world.add(&call_of(&other, "c2", NETNS[1])).unwrap_err();
    assert_eq!(code_of(&error), code::INVALID_CONFIG);
    assert!(error.to_string().contains("pods"), "{error}");
    other["ipam"]["domain"] = json!("elsewhere");
    world.add(&call_of(&other, "c2", NETNS[1])).unwrap();
}
