//! Policies: who is asked, what a refusal leaves, what a failure comes to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use serde_json::{Value, json};
use wharfinger_attach::{Error, PolicyConf, add, check, dry, gc, lint};
use wharfinger_cni::{Attach, Node, Success, Version, code};
use wharfinger_kernel::mem::Crash;
use wharfinger_ledger::{Ledger, Owner, Scope};
use wharfinger_wasm::{NoPod, Pod, PodFacts, Reason, Verdict};
use world::{NETNS, TestPolicy, World, bridge, call_of, trapped};

fn world(policies: Vec<(&'static str, TestPolicy)>) -> World {
    let mut world = World::new();
    world.engine.policies = policies.into_iter().collect();
    world
}

/// A bridge network with these policies.
fn with_policies(policies: &Value) -> Value {
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["policies"] = policies.clone();
    conf
}

fn call(policies: &Value) -> Attach {
    call_of(&with_policies(policies), "c1", NETNS[0])
}

fn mandatory(plugin: &str) -> PolicyConf {
    PolicyConf { plugin: plugin.into(), config: serde_json::Map::new(), advisory: false }
}

fn told(error: &Error) -> (u32, String) {
    let cni = error.to_cni("pods");
    (cni.code, cni.msg)
}

fn failed(error: wharfinger_wasm::BookError) -> wharfinger_wasm::Error {
    wharfinger_wasm::Error::Book(error)
}

/// All entries of a store.
fn entries(world: &World, owner: &Owner) -> Vec<(String, String)> {
    let id = call(&json!([])).id;
    let scope = Scope { id, domain: "host".into(), now: 0 };
    world.ledger.session(scope).unwrap().store_scan(owner, "", None, 99).unwrap()
}

/// A policy that counts what it lets in, for as long as that is attached, up to `most`.
fn quota(name: &str, most: u64) -> TestPolicy {
    TestPolicy::new(name).admit(move |request, book| {
        if book.store_count("pod/").map_err(failed)? >= most {
            return Ok(Verdict::Deny(format!("quota of {most} is used up")));
        }
        let key = format!("pod/{}", request.attachment.id.container);
        book.store_put(&key, "1", true).map_err(failed)?;
        Ok(Verdict::Allow)
    })
}

#[test]
fn a_refusal_names_policy_and_reason_and_leaves_nothing() {
    let world = world(vec![("no", TestPolicy::denies("no", "not on a Sunday"))]);
    let error = world.add(&call(&json!([{ "plugin": "no" }]))).unwrap_err();
    let (code, msg) = told(&error);
    assert_eq!(code, code::DENIED);
    assert!(msg.contains("policy no@sha256:no: not on a Sunday"), "{msg}");
    world.assert_empty();
    assert_eq!(*world.heard.0.borrow(), ["no@sha256:no admit", "Denied(\"not on a Sunday\")"]);
}

#[test]
fn policies_are_asked_in_order_the_nodes_first_and_none_removes_them() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let noting = |name: &'static str| {
        let (first, second) = (Rc::clone(&order), Rc::clone(&order));
        let policy = TestPolicy::new(name)
            .admit(move |_, _| {
                first.borrow_mut().push(format!("{name} admit"));
                Ok(Verdict::Allow)
            })
            .review(move |_, plan, result, _| {
                assert!(!plan.steps.is_empty());
                assert!(result["ips"][0]["address"].is_string());
                second.borrow_mut().push(format!("{name} review"));
                Ok(Verdict::Allow)
            });
        (name, policy)
    };
    let mut world = world(vec![noting("a"), noting("b"), noting("node")]);
    world.settings.policies = vec![mandatory("node")];
    world.add(&call(&json!([{ "plugin": "b" }, { "plugin": "a" }]))).unwrap();
    let all = ["node admit", "b admit", "a admit", "node review", "b review", "a review"];
    assert_eq!(*order.borrow(), all);
    order.borrow_mut().clear();
    world.add(&call_of(&with_policies(&Value::Null), "c2", NETNS[1])).unwrap();
    assert_eq!(*order.borrow(), ["node admit", "node review"], "a conflist that names none");
}

/// A call for the pod `team-a/web-0`.
fn of_pod(policies: &Value) -> Attach {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let args = vec![
        pair("K8S_POD_NAMESPACE", "team-a"),
        pair("K8S_POD_NAME", "web-0"),
        pair("K8S_POD_UID", "u-1"),
    ];
    Attach { args, ..call(policies) }
}

#[test]
fn what_the_api_says_of_the_pod_reaches_a_policy_that_asks() {
    let told = Rc::new(RefCell::new(Vec::new()));
    let (first, second) = (Rc::clone(&told), Rc::clone(&told));
    let asks = TestPolicy::new("asks")
        .admit(move |_, book| {
            first.borrow_mut().push(book.pod().map_err(failed)?);
            Ok(Verdict::Allow)
        })
        .review(move |_, _, _, book| {
            second.borrow_mut().push(book.pod().map_err(failed)?);
            Ok(Verdict::Allow)
        });
    let world = world(vec![("asks", asks), ("quiet", TestPolicy::new("quiet"))]);
    world.add(&call_of(&with_policies(&json!([{ "plugin": "quiet" }])), "c2", NETNS[1])).unwrap();
    assert!(world.machine.asked.borrow().is_empty(), "nobody wanted it");

    let known = PodFacts { name: "web-0".to_owned(), ..PodFacts::default() };
    *world.machine.pod.borrow_mut() = Some(known.clone());
    world.add(&of_pod(&json!([{ "plugin": "asks" }]))).unwrap();
    assert_eq!(*told.borrow(), [Ok(known.clone()), Ok(known)]);
    let pod = Pod {
        namespace: "team-a".to_owned(),
        name: "web-0".to_owned(),
        uid: Some("u-1".to_owned()),
    };
    assert_eq!(*world.machine.asked.borrow(), [pod.clone(), pod]);
}

#[test]
fn of_what_is_no_pods_attachment_the_api_is_not_asked() {
    let asks = TestPolicy::new("asks").admit(|_, book| match book.pod().map_err(failed)? {
        Err(NoPod::NotThere(why)) => Ok(Verdict::Deny(why)),
        other => panic!("{other:?}"),
    });
    let world = world(vec![("asks", asks)]);
    let error = world.add(&call(&json!([{ "plugin": "asks" }]))).unwrap_err();
    assert!(told(&error).1.contains("it is no pod's attachment"), "{error}");
    assert!(world.machine.asked.borrow().is_empty());
}

#[test]
fn a_later_policy_sees_what_an_earlier_one_left() {
    let seen = TestPolicy::new("seen").admit(|request, _| {
        let conf: Value = serde_json::from_str(&request.network_config).unwrap();
        let network: Value = serde_json::from_str(&request.written.network).unwrap();
        assert_eq!((&conf["mtu"], &network["mtu"]), (&json!(1400), &json!(1400)));
        Ok(Verdict::Allow)
    });
    let world =
        world(vec![("mtu", TestPolicy::amends("mtu", &json!({ "mtu": 1400 }))), ("seen", seen)]);
    let call = call(&json!([{ "plugin": "mtu" }, { "plugin": "seen" }]));
    world.add(&call).unwrap();
    assert_eq!(world.kernel.link(100, "eth0").unwrap().mtu, 1400);
    let record = world.ledger.get(&call.id).unwrap().unwrap().record;
    assert_eq!(record.conf["network"]["mtu"], 1400, "a DEL works with what was done");
    assert_eq!(world.heard.0.borrow()[1], "Amended([\"/mtu\"])");
    world.del(&call).unwrap();
    world.assert_empty();
}

#[test]
fn what_a_policy_makes_of_the_configuration_is_read_as_if_a_person_had_written_it() {
    let world = world(vec![("mtu", TestPolicy::amends("mtu", &json!({ "mtu": 3 })))]);
    let (code, msg) = told(&world.add(&call(&json!([{ "plugin": "mtu" }]))).unwrap_err());
    assert_eq!(code, code::INVALID_CONFIG);
    assert!(msg.contains("policy mtu@sha256:mtu changed /mtu: "), "{msg}");
    assert!(msg.contains("68 to 65535"), "{msg}");
    world.assert_empty();
}

#[test]
fn pain_h13_a_failure_refuses_and_of_an_advisory_policy_is_noted_and_passed() {
    let odd = || {
        TestPolicy::new("odd").admit(|_, book| {
            book.store_put("seen", "1", false).map_err(failed)?;
            Err(trapped("admit"))
        })
    };
    let world = world(vec![("odd", odd())]);
    let (code, msg) = told(&world.add(&call(&json!([{ "plugin": "odd" }]))).unwrap_err());
    assert_eq!(code, code::PLUGIN);
    assert!(msg.contains("odd@sha256:odd: admit: the plugin trapped"), "{msg}");
    world.assert_empty();
    world.heard.0.borrow_mut().clear();
    let advisory = call(&json!([{ "plugin": "odd", "onError": "allow" }]));
    world.add(&advisory).unwrap();
    let heard = world.heard.0.borrow();
    assert!(heard[1].contains("passed: true") && heard[1].contains("trapped"), "{heard:?}");
    let owner = Owner::of_network("pods", "odd");
    assert!(entries(&world, &owner).is_empty(), "what it wrote before is forgotten");
}

#[test]
fn pain_d7_a_limit_that_a_policy_met_is_named_with_its_setting() {
    let slow = TestPolicy::new("slow").admit(|_, _| {
        Err(wharfinger_wasm::Error::Limit {
            plugin: "slow@sha256:slow".into(),
            call: "admit",
            limit: "deadline",
            allowed: "1 s".into(),
            setting: "limits.deadline",
            place: Box::default(),
        })
    });
    let world = world(vec![("slow", slow)]);
    let (code, msg) = told(&world.add(&call(&json!([{ "plugin": "slow" }]))).unwrap_err());
    assert_eq!(code, code::LIMIT);
    assert!(msg.contains("slow@sha256:slow: admit: deadline of 1 s"), "{msg}");
    assert!(msg.contains("limits.deadline"), "{msg}");
    world.assert_empty();
}

#[test]
fn pain_h15_a_call_without_its_grant_names_the_lines_that_grant_it() {
    let reaches = TestPolicy::new("reaches").admit(|_, _| {
        Err(wharfinger_wasm::Error::Refused {
            plugin: "reaches@sha256:reaches".into(),
            call: "admit",
            import: "wasi:http/outgoing-handler handle".into(),
            grant: "[[plugins.reaches.http]]".into(),
        })
    });
    let world = world(vec![("reaches", reaches)]);
    let error = world.add(&call(&json!([{ "plugin": "reaches" }]))).unwrap_err().to_cni("pods");
    assert_eq!(error.code, code::PLUGIN);
    assert!(error.msg.contains("wasi:http/outgoing-handler"), "{error}");
    assert!(error.details.contains("[[plugins.reaches.http]]"), "{}", error.details);
    world.assert_empty();
}

#[test]
fn a_refusal_of_an_advisory_policy_counts() {
    let world = world(vec![("no", TestPolicy::denies("no", "never"))]);
    let advisory = call(&json!([{ "plugin": "no", "onError": "allow" }]));
    assert_eq!(told(&world.add(&advisory).unwrap_err()).0, code::DENIED);
}

#[test]
fn a_policy_that_is_not_there_is_a_failure_too() {
    let world = world(vec![]);
    let (code, msg) = told(&world.add(&call(&json!([{ "plugin": "gone" }]))).unwrap_err());
    assert_eq!(code, code::PLUGIN);
    assert!(msg.contains("plugin gone: ") && msg.contains("(at /policies/0)"), "{msg}");
    world.add(&call(&json!([{ "plugin": "gone", "onError": "allow" }]))).unwrap();
}

#[test]
fn a_policy_that_is_written_wrong_is_told_by_its_pointer() {
    let world = world(vec![("no", TestPolicy::new("no"))]);
    for (policies, pointer) in [
        (json!([{ "plugin": "no", "onEror": "allow" }]), "/policies/0/onEror"),
        (json!([{ "plugin": "no", "onError": "maybe" }]), "/policies/0/onError"),
        (json!([{ "plugin": "no" }, { "config": {} }]), "/policies/1/plugin"),
        (json!([{ "plugin": "no", "config": "x" }]), "/policies/0/config"),
        (json!({ "plugin": "no" }), "/policies"),
        (json!(["no"]), "/policies/0"),
    ] {
        let (code, msg) = told(&world.add(&call(&policies)).unwrap_err());
        assert_eq!(code, code::INVALID_CONFIG);
        assert!(msg.contains(&format!("at {pointer}:")), "{msg}");
    }
    let mut conf = bridge("10.1.0.2", "10.1.0.9");
    conf["ipam"]["policies"] = json!([{ "plugin": "no" }]);
    let (_, msg) = told(&world.add(&call_of(&conf, "c1", NETNS[0])).unwrap_err());
    assert!(msg.contains("at /ipam/policies:"), "they would not be heard there: {msg}");
}

#[test]
fn problems_of_a_policys_configuration_are_told_by_status_and_add() {
    let picky = TestPolicy::new("picky").problem("/most", "a number").admit(|_, _| {
        Err(wharfinger_wasm::Error::Failed {
            plugin: "picky@sha256:picky".into(),
            call: "admit",
            reason: Reason::InvalidConfig,
            message: "/most: a number".into(),
            detail: None,
        })
    });
    let mut world = world(vec![("picky", picky)]);
    let call = call(&json!([{ "plugin": "picky" }]));
    let status = |world: &World| {
        let unwell = world.with(|host| dry::status(host, &call.conf, &[])).err().unwrap();
        match unwell {
            dry::Unwell::NotAvailable(error) | dry::Unwell::Impaired(error) => error.to_string(),
        }
    };
    assert_eq!(status(&world), "/policies/0/config/most: a number");
    let (code, msg) = told(&world.add(&call).unwrap_err());
    assert_eq!(code, code::INVALID_CONFIG);
    assert!(msg.contains("/policies/0/config/most: a number"), "{msg}");
    let advisory = json!([{ "plugin": "picky", "onError": "allow" }]);
    let advisory = call_of(&with_policies(&advisory), "c1", NETNS[0]);
    world.with(|host| dry::status(host, &advisory.conf, &[])).map_err(|_| "unwell").unwrap();
    world.add(&advisory).unwrap();
    world.settings.policies = vec![mandatory("picky")];
    assert!(status(&world).starts_with("the node's policies/0/config/most: a number"));
}

#[test]
fn who_wrote_what_is_kept_apart() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let into = Rc::clone(&seen);
    let policy = TestPolicy::new("see").admit(move |request, _| {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let written = &request.written;
        *into.borrow_mut() =
            vec![json(&written.network), json(&written.runtime), json(&written.pod)];
        Ok(Verdict::Allow)
    });
    let world = world(vec![("see", policy)]);
    let mut conf = with_policies(&json!([{ "plugin": "see", "config": { "a": 1 } }]));
    conf["RuntimeConfig"] = json!({
        "portMappings": [{ "hostPort": 80, "containerPort": 80 }],
        "io.kubernetes.cri.pod-annotations": { "team": "blue" },
    });
    conf["ARGS"] = json!({ "cni": { "ips": ["10.1.0.7"], "labels": [] }, "other": 1 });
    let mut call = call_of(&conf, "c1", NETNS[0]);
    call.args = vec![("IgnoreUnknown".into(), "1".into()), ("team".into(), "red".into())];
    world.add(&call).unwrap();
    let seen = seen.borrow();
    let mut network = conf.clone();
    network.as_object_mut().unwrap().retain(|key, _| key != "RuntimeConfig" && key != "ARGS");
    assert_eq!(seen[0], network);
    assert_eq!(seen[1], json!({ "portMappings": [{ "hostPort": 80, "containerPort": 80 }] }));
    assert_eq!(
        seen[2],
        json!({
            "CNI_ARGS": { "IgnoreUnknown": "1", "team": "red" },
            "args": { "ips": ["10.1.0.7"], "labels": [] },
            "annotations": { "team": "blue" },
        })
    );
}

#[test]
fn a_review_refuses_with_the_plan_in_hand_and_leaves_nothing() {
    let policy = TestPolicy::new("late").admit(|_, book| {
        book.store_put("a", "1", true).map_err(failed)?;
        book.store_put("b", "1", false).map_err(failed)?;
        Ok(Verdict::Allow)
    });
    let policy = policy.review(|_, _, _, _| Ok(Verdict::Deny("on second thought".into())));
    let world = world(vec![("late", policy)]);
    let (code, msg) = told(&world.add(&call(&json!([{ "plugin": "late" }]))).unwrap_err());
    assert_eq!(code, code::DENIED);
    assert!(msg.contains("on second thought"), "{msg}");
    world.assert_empty();
    assert!(entries(&world, &Owner::of_network("pods", "late")).is_empty());
}

#[test]
fn a_review_may_change_name_servers_and_nothing_else() {
    let amending = |patch: Value| {
        let policy = TestPolicy::new("dns")
            .review(move |_, _, _, _| Ok(Verdict::Amend(patch.as_object().unwrap().clone())));
        world(vec![("dns", policy)])
    };
    let policies = json!([{ "plugin": "dns" }]);
    let world = amending(json!({ "DNS": { "nameservers": ["10.0.0.53"] } }));
    let success = world.add(&call(&policies)).unwrap();
    assert_eq!(success.dns.nameservers, ["10.0.0.53"]);
    for key in ["ips", "routes", "interfaces", "cniVersion", "sandbox"] {
        let world = amending(json!({ key: [] }));
        let (code, msg) = told(&world.add(&call(&policies)).unwrap_err());
        assert_eq!(code, code::DENIED);
        assert!(msg.contains(&format!("may not change /{key}")), "{msg}");
        world.assert_empty();
    }
}

/// The count and the entry are of one session with the address.
#[test]
fn a_quota_counts_attachments_while_they_live() {
    let mut world = world(vec![("quota", quota("quota", 2))]);
    world.settings.policies = vec![mandatory("quota")];
    let conf = bridge("10.1.0.2", "10.1.0.9");
    let calls: Vec<_> =
        ["a", "b", "c"].iter().zip(NETNS).map(|(c, n)| call_of(&conf, c, n)).collect();
    world.add(&calls[0]).unwrap();
    world.add(&calls[1]).unwrap();
    assert_eq!(told(&world.add(&calls[2]).unwrap_err()).0, code::DENIED);
    world.del(&calls[0]).unwrap();
    world.add(&calls[2]).unwrap();
    // The node's own store is one for all networks.
    assert_eq!(entries(&world, &Owner::of_node("quota")).len(), 2);
    world.del(&calls[1]).unwrap();
    let node = Node { path: Vec::new(), conf: calls[0].conf.clone() };
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
    assert!(entries(&world, &Owner::of_node("quota")).is_empty());
}

/// An ADD that crashed is tried again: what it had entered does not count against it.
#[test]
fn a_quota_does_not_count_the_same_attachment_twice() {
    let mut world = world(vec![("quota", quota("quota", 1))]);
    world.settings.policies = vec![mandatory("quota")];
    let call = call_of(&bridge("10.1.0.2", "10.1.0.9"), "c1", NETNS[0]);
    let crashed = world.with(|host| add::add(host, &call)).unwrap();
    drop(crashed);
    let first = world.addresses(&call.id);
    world.kernel.delete_link(100, "eth0");
    world.add(&call).unwrap();
    assert_eq!(world.addresses(&call.id), first, "the address stays the attachment's");
    assert_eq!(entries(&world, &Owner::of_node("quota")).len(), 1);
}

#[test]
fn a_kernel_that_refuses_takes_the_policies_entries_back() {
    let world = world(vec![("quota", quota("quota", 1))]);
    let call = call(&json!([{ "plugin": "quota" }]));
    for step in 0..64 {
        world.kernel.fail_at(step);
        if world.add(&call).is_ok() {
            assert!(step > 3, "a plan has steps");
            return;
        }
        world.del(&call).unwrap();
        world.assert_empty();
        assert!(entries(&world, &Owner::of_network("pods", "quota")).is_empty());
    }
    panic!("it never came to an end");
}

/// The process ends at any step of the kernel's: what is left goes with the next DEL, and an ADD
/// that comes instead is not counted beside it.
#[test]
fn a_crash_at_any_step_leaves_nothing_that_counts() {
    for steps in 0..12 {
        for how in [Crash::Error, Crash::Panic] {
            for retry in [false, true] {
                crashed(steps, how, retry);
            }
        }
    }
}

fn crashed(steps: usize, how: Crash, retry: bool) {
    let world = world(vec![("quota", quota("quota", 1))]);
    let owner = Owner::of_network("pods", "quota");
    let call = call(&json!([{ "plugin": "quota" }]));
    world.kernel.crash_at(steps, how);
    let ended = catch_unwind(AssertUnwindSafe(|| world.with(|host| add::add(host, &call).err())));
    if retry && matches!(ended, Err(_) | Ok(Some(_))) {
        world.add(&call).unwrap_or_else(|error| panic!("after {steps} steps: {error}"));
        assert_eq!(entries(&world, &owner).len(), 1);
    }
    world.del(&call).unwrap();
    world.assert_empty();
    assert!(entries(&world, &owner).is_empty(), "after {steps} steps");
}

/// Another plugin's IPAM.
fn foreign(policies: &Value) -> Value {
    json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "macvlan", "master": "eth0",
        "policies": [{ "plugin": "not-ours" }],
        "ipam": {
            "type": "wharfinger", "plugin": "pool", "first": "10.1.0.2", "last": "10.1.0.9",
            "policies": policies
        }
    })
}

#[test]
fn as_the_ipam_of_another_policies_stand_in_the_ipam_object() {
    let policy = TestPolicy::new("see").review(|_, plan, result, _| {
        assert!(plan.steps.is_empty());
        assert_eq!(result["ips"][0]["address"], "10.1.0.2/16");
        Ok(Verdict::Allow)
    });
    let world = world(vec![("see", policy), ("no", TestPolicy::denies("no", "never"))]);
    world.add(&call_of(&foreign(&json!([{ "plugin": "see" }])), "c1", NETNS[0])).unwrap();
    let refused = call_of(&foreign(&json!([{ "plugin": "no" }])), "c2", NETNS[1]);
    assert_eq!(told(&world.add(&refused).unwrap_err()).0, code::DENIED);
    assert_eq!(world.with(|host| host.ledger.list(None)).unwrap().len(), 1);
}

/// A bridge whose addresses an executable gives.
fn delegated(policies: &Value) -> Value {
    let mut conf = with_policies(policies);
    conf["ipam"] = json!({ "type": "other-ipam" });
    conf
}

fn answering(world: &World) {
    let answer = json!({ "cniVersion": "1.1.0", "ips": [{ "address": "10.9.0.5/16" }] });
    world.delegate_answer.replace(Some(answer));
}

#[test]
fn an_executable_runs_after_it_was_admitted_with_what_policies_made_of_its_configuration() {
    let world = world(vec![
        ("no", TestPolicy::denies("no", "never")),
        ("mtu", TestPolicy::amends("mtu", &json!({ "mtu": 1400 }))),
        ("quota", quota("quota", 1)),
    ]);
    answering(&world);
    let refused = call_of(&delegated(&json!([{ "plugin": "no" }])), "c1", NETNS[0]);
    assert_eq!(told(&world.add(&refused).unwrap_err()).0, code::DENIED);
    assert!(world.delegated.borrow().is_empty(), "it never ran");
    world.assert_empty();
    let conf = delegated(&json!([{ "plugin": "mtu" }, { "plugin": "quota" }]));
    let call = call_of(&conf, "c1", NETNS[0]);
    world.add(&call).unwrap();
    assert_eq!(*world.delegated.borrow(), ["other-ipam ADD"]);
    assert_eq!(world.delegate_config.borrow().as_ref().unwrap()["mtu"], 1400);
    assert_eq!(entries(&world, &Owner::of_network("pods", "quota")).len(), 1);
    world.del(&call).unwrap();
    world.assert_empty();
    assert!(entries(&world, &Owner::of_network("pods", "quota")).is_empty());
}

#[test]
fn what_an_executable_gave_is_given_back_where_a_review_refuses() {
    let policy = TestPolicy::new("late").admit(|_, book| {
        book.store_put("b", "1", false).map_err(failed)?;
        Ok(Verdict::Allow)
    });
    let policy = policy.review(|_, _, result, _| {
        Ok(Verdict::Deny(format!("not {}", result["ips"][0]["address"])))
    });
    let world = world(vec![("late", policy)]);
    answering(&world);
    let call = call_of(&delegated(&json!([{ "plugin": "late" }])), "c1", NETNS[0]);
    let (code, msg) = told(&world.add(&call).unwrap_err());
    assert_eq!(code, code::DENIED);
    assert!(msg.contains("10.9.0.5"), "{msg}");
    assert_eq!(*world.delegated.borrow(), ["other-ipam ADD", "other-ipam DEL"]);
    world.assert_empty();
    assert!(entries(&world, &Owner::of_network("pods", "late")).is_empty());
}

/// Our type without a driver: behind another plugin.
fn chained(policies: &Value, container: &str) -> Attach {
    let conf = json!({
        "cniVersion": "1.1.0", "name": "pods", "type": "wharfinger", "policies": policies
    });
    let previous = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{ "name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": NETNS[0] }],
        "ips": [{ "address": "10.9.0.5/16", "interface": 0 }],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dns": { "nameservers": ["10.0.0.53"] },
    });
    let previous = Success::parse(Version::V1_1_0, &previous).unwrap();
    Attach { prev_result: Some(previous), ..call_of(&conf, container, NETNS[0]) }
}

#[test]
fn behind_others_policies_decide_and_the_result_is_passed_through() {
    let world =
        world(vec![("quota", quota("quota", 1)), ("no", TestPolicy::denies("no", "never"))]);
    let call = chained(&json!([{ "plugin": "quota" }]), "c1");
    assert_eq!(world.add(&call).unwrap(), call.prev_result.clone().unwrap());
    assert_eq!(world.kernel.leftovers(), Vec::<String>::new());
    world.with(|host| check::check(host, &call)).unwrap();
    world.with(|host| dry::status(host, &call.conf, &[])).map_err(|_| "unwell").unwrap();
    let owner = Owner::of_network("pods", "quota");
    assert_eq!(entries(&world, &owner).len(), 1);
    let second = chained(&json!([{ "plugin": "quota" }]), "c2");
    assert_eq!(told(&world.add(&second).unwrap_err()).0, code::DENIED);
    world.add(&call).unwrap();
    world.del(&second).unwrap();
    world.del(&call).unwrap();
    world.del(&call).unwrap();
    world.assert_empty();
    assert!(entries(&world, &owner).is_empty());
    let refused = chained(&json!([{ "plugin": "no" }]), "c3");
    assert_eq!(told(&world.add(&refused).unwrap_err()).0, code::DENIED);
    let alone = Attach { prev_result: None, ..refused };
    let (code, msg) = told(&world.add(&alone).unwrap_err());
    assert_eq!(code, code::INVALID_CONFIG);
    assert!(msg.contains("prevResult"), "{msg}");
}

#[test]
fn behind_an_entry_of_our_own_both_stand_by_themselves() {
    let world = world(vec![("quota", quota("quota", 9))]);
    let main = call_of(&bridge("10.1.0.2", "10.1.0.9"), "c1", NETNS[0]);
    let success = world.add(&main).unwrap();
    let behind = Attach {
        prev_result: Some(success.clone()),
        ..chained(&json!([{ "plugin": "quota" }]), "c1")
    };
    assert_eq!(world.add(&behind).unwrap(), success);
    // A runtime's list names the interface: neither is collected.
    let valid = [wharfinger_cni::ValidAttachment { container: "c1".into(), ifname: "eth0".into() }];
    let node = Node { path: Vec::new(), conf: main.conf.clone() };
    world.with(|host| gc::gc(host, &node, &valid)).unwrap();
    world.del(&behind).unwrap();
    assert!(world.kernel.link(100, "eth0").is_some(), "the interface is the other entry's");
    world.del(&main).unwrap();
    world.assert_empty();
    // And a GC that lists nothing collects both.
    let success = world.add(&main).unwrap();
    world.add(&Attach { prev_result: Some(success), ..behind }).unwrap();
    world.with(|host| gc::gc(host, &node, &[])).unwrap();
    world.assert_empty();
}

#[test]
fn explain_asks_policies_and_writes_nothing() {
    let world = world(vec![
        ("mtu", TestPolicy::amends("mtu", &json!({ "mtu": 1400 }))),
        ("quota", quota("quota", 1)),
        ("no", TestPolicy::denies("no", "never")),
    ]);
    let conf = call(&json!([{ "plugin": "mtu" }, { "plugin": "quota" }])).conf;
    let dry = world.with(|host| dry::dry(host, &conf, "c", "eth0")).unwrap();
    assert!(format!("{:?}", dry.plan).contains("1400"));
    assert!(entries(&world, &Owner::of_network("pods", "quota")).is_empty());
    let refused = call(&json!([{ "plugin": "no" }])).conf;
    world.with(|host| dry::dry(host, &refused, "c", "eth0")).err().unwrap();
    // STATUS is about nobody: who would be refused then says nothing.
    world.with(|host| dry::status(host, &refused, &[])).map_err(|_| "unwell").unwrap();
}

#[test]
fn lint_says_what_components_find_in_their_own_parts() {
    let world = world(vec![("p", TestPolicy::new("p").problem("/limit", "must be a number"))]);
    let lint = |conf: &Value| {
        let conf = call_of(conf, "c1", NETNS[0]).conf;
        world.with(|host| lint::lint(host, &conf, &[]))
    };
    let good = with_policies(&json!([]));
    lint(&good).unwrap();
    let error = lint(&with_policies(&json!([{ "plugin": "p" }]))).unwrap_err();
    assert!(told(&error).1.contains("/policies/0/config/limit: must be a number"), "{error}");
    // One that only says so when it is asked; what is held by others is for the ADD to tell.
    let fails = |reason, message: &str| {
        *world.engine.fails.borrow_mut() = Some((reason, message.to_owned()));
    };
    fails(Reason::InvalidConfig, "/ranges: no ranges");
    let error = lint(&good).unwrap_err();
    assert!(told(&error).1.contains("/ipam/ranges: no ranges"), "{error}");
    fails(Reason::Exhausted, "no address is free");
    lint(&good).unwrap();
    assert!(world.ledger.list(None).unwrap().is_empty(), "nothing is written down");
}
