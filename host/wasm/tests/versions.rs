//! Components of every released version and both worlds: kept ones, as they were built then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::path::Path;

use support::{MemBook, guest, ipam, node, request};
use wharfinger_plan::Plan;
use wharfinger_wasm::{
    Error, Grants, Ipam, Limits, NoPod, ObjectMeta, Plugin, PodFacts, Policy, PolicyRequest,
    Sources, Verdict, World, describe,
};

fn kept(path: &str) -> Vec<u8> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    std::fs::read(corpus.join(path)).unwrap()
}

fn loaded(path: &str) -> Plugin {
    Plugin::compiled("kept", &kept(path), &Limits::default(), &Grants::default()).unwrap()
}

fn asked(config: &str) -> PolicyRequest {
    let sources =
        Sources { network: "{}".into(), runtime: "{}".into(), pod: r#"{"CNI_ARGS":{}}"#.into() };
    PolicyRequest {
        attachment: request("{}", &[]).attachment,
        config: config.to_owned(),
        network_config: "{}".to_owned(),
        written: sources,
    }
}

#[test]
fn pain_h1_a_policy_of_each_version_is_called() {
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        let plugin = loaded(&format!("{version}/rust-policy.wasm"));
        assert_eq!((plugin.world(), plugin.version()), (World::Policy, version));
        let policy = plugin.policy().unwrap();
        assert_eq!(policy.validate(&node(), "{}").unwrap()[0].pointer, "/mtu");
        let (asked, mut book) = (asked(r#"{"mtu":1400}"#), MemBook::default());
        let verdict = policy.admit(&node(), &asked, &mut book).unwrap();
        let Verdict::Amend(patch) = verdict else { panic!("{verdict:?}") };
        assert_eq!(patch.get("mtu").unwrap(), 1400);
        assert_eq!(book.lines.len(), 1);
        let verdict = policy.review(&node(), &asked, &Plan::default(), "{}", &mut book).unwrap();
        assert_eq!(verdict, Verdict::Allow);
    }
}

/// Of a policy that denies with what the host says of the pod.
fn said_of_pod(grants: &Grants, book: &mut MemBook) -> Result<Verdict, Error> {
    let wasm = kept("0.3.0/rust-policy.wasm");
    let plugin = Plugin::compiled("kept", &wasm, &Limits::default(), grants).unwrap();
    plugin.policy().unwrap().admit(&node(), &asked(r#"{"mtu":1400,"pod":1}"#), book)
}

#[test]
fn pain_h2_what_the_api_says_of_the_pod_is_told_by_a_grant_alone() {
    let labels = |name: &str, value: &str| ObjectMeta {
        labels: [(name.to_owned(), value.to_owned())].into(),
        ..ObjectMeta::default()
    };
    let (of_pod, of_namespace) = (labels("app", "web"), labels("env", "prod"));
    let known = PodFacts { of_pod, of_namespace, ..PodFacts::default() };
    let mut book = MemBook { pod: Some(Ok(known)), ..MemBook::default() };
    let granted = Grants { pod: true, ..Grants::default() };
    let verdict = said_of_pod(&granted, &mut book).unwrap();
    assert_eq!(verdict, Verdict::Deny("app=web env=prod".to_owned()));
    // Without it the plugin runs, and is ended where it asks; the lines that would grant it are said.
    match said_of_pod(&Grants::default(), &mut book).unwrap_err() {
        Error::Refused { import, grant, .. } => {
            assert_eq!(import, "workload.pod");
            assert_eq!(grant, "[plugins.kept]\npod = true");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_kubernetes_a_plugin_gets_an_answer_and_no_trap() {
    let granted = Grants { pod: true, ..Grants::default() };
    for (pod, wanted) in [
        (None, "not there: there is no Kubernetes here"),
        (Some(NoPod::Stale("gone".to_owned())), "stale: gone"),
        (Some(NoPod::Unreachable("away".to_owned())), "unreachable: away"),
    ] {
        let mut book = MemBook { pod: pod.map(Err), ..MemBook::default() };
        let verdict = said_of_pod(&granted, &mut book).unwrap();
        assert_eq!(verdict, Verdict::Deny(wanted.to_owned()));
    }
}

#[test]
fn pain_h1_an_ipam_plugin_of_the_first_version_is_called() {
    let plugin = loaded("0.1.0/rust-ipam.wasm");
    assert_eq!((plugin.world(), plugin.version()), (World::Ipam, "0.1.0"));
    let plugin = plugin.ipam().unwrap();
    let config = r#"{"ranges": [[{"subnet": "10.1.0.0/24"}]]}"#;
    let lease = plugin.allocate(&node(), &request(config, &[]), &mut MemBook::default()).unwrap();
    assert_eq!(lease.addresses[0].address.to_string(), "10.1.0.2/24");
    assert!(!plugin.remote());
}

#[test]
fn pain_h4_a_policy_is_no_ipam_plugin() {
    let said = loaded("0.1.0/rust-policy.wasm").ipam().err().unwrap();
    assert!(matches!(said, Error::Unloadable { .. }), "{said:?}");
    assert!(said.to_string().contains("it is a policy"), "{said}");
    let said = loaded("0.1.0/rust-ipam.wasm").policy().err().unwrap().to_string();
    assert!(said.contains("it is an IPAM plugin"), "{said}");
}

#[test]
fn a_component_is_described_from_its_bytes() {
    let policy = describe(&kept("0.2.0/rust-policy.wasm")).unwrap();
    assert_eq!((policy.world, policy.version.as_deref()), (Some(World::Policy), Some("0.2.0")));
    assert_eq!(policy.misfit, None);
    let store = policy.imports.iter().find(|i| i.name.contains("/store@")).unwrap();
    assert_eq!(store.meaning, "keeps entries in a small store of its own");
    assert!(store.functions.contains(&"count".to_owned()), "{:?}", store.functions);
    assert_eq!(store.grant, None);
    assert!(!policy.metadata.producers.is_empty());
    let asks = describe(&kept("0.3.0/rust-policy.wasm")).unwrap();
    let pod = asks.imports.iter().find(|i| i.name.contains("/workload@")).unwrap();
    let grant = format!("[plugins.\"{}\"]\npod = true", asks.digest);
    assert_eq!(pod.grant.as_ref(), Some(&grant), "{pod:?}");
    let asks = describe(&guest("tests/hostile-wasi")).unwrap();
    let http = asks.imports.iter().find(|i| i.name.contains("outgoing-handler")).unwrap();
    assert!(http.grant.as_ref().unwrap().contains(&asks.digest), "{http:?}");
    let said = describe(b"\0asm\x01\0\0\0").unwrap_err().to_string();
    assert!(said.contains("core module"), "{said}");
    assert!(describe(b"nothing").is_err());
}

/// A component that imports one function, and exports an empty interface.
fn wrong(import: &str, export: &str) -> Vec<u8> {
    use wasm_encoder::{
        Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
        ComponentInstanceSection, ComponentTypeRef, ComponentTypeSection, InstanceType,
    };
    let mut instance = InstanceType::new();
    instance.ty().function().params([] as [(&str, wasm_encoder::ComponentValType); 0]).result(None);
    instance.export("take-all", ComponentTypeRef::Func(0));
    let mut types = ComponentTypeSection::new();
    types.instance(&instance);
    let mut imports = ComponentImportSection::new();
    imports.import(import, ComponentTypeRef::Instance(0));
    let mut instances = ComponentInstanceSection::new();
    instances.export_items([] as [(&str, ComponentExportKind, u32); 0]);
    let mut exports = ComponentExportSection::new();
    exports.export(export, ComponentExportKind::Instance, 1, None);
    let mut component = Component::new();
    component.section(&types).section(&imports).section(&instances).section(&exports);
    component.finish()
}

#[test]
fn pain_h4_loading_and_describing_say_the_same_about_what_does_not_fit() {
    for (import, export, wanted) in [
        (
            "wharfinger:plugin/ledger@0.4.0",
            "wharfinger:plugin/ipam@0.2.0",
            "wanted wharfinger:plugin/ledger@0.4.0; offered",
        ),
        (
            "wharfinger:plugin/ledger@0.2.0",
            "wharfinger:plugin/ipam@0.2.0",
            "it imports take-all of wharfinger:plugin/ledger@0.2.0; offered take, take-free",
        ),
        (
            "wharfinger:plugin/ledger@0.2.0",
            "wharfinger:plugin/policy@0.2.0",
            "which is for IPAM plugins: a policy has store, logger, node and workload",
        ),
        ("acme:x/y@1.0.0", "wharfinger:plugin/ipam@0.4.0", "wanted wharfinger:plugin/ipam@0.4.0"),
        (
            "wharfinger:plugin/workload@0.2.0",
            "wharfinger:plugin/policy@0.2.0",
            "wanted wharfinger:plugin/workload@0.2.0; offered wharfinger:plugin/workload@0.3.0;",
        ),
    ] {
        let wasm = wrong(import, export);
        let said = Plugin::compiled("x", &wasm, &Limits::default(), &Grants::default());
        let said = said.err().unwrap().to_string();
        assert!(said.contains(wanted), "{said}");
        let misfit = describe(&wasm).unwrap().misfit.unwrap();
        assert!(said.ends_with(&misfit), "{said} / {misfit}");
    }
}

#[test]
fn pain_h13_a_trap_does_not_spoil_the_next_call() {
    let plugin = ipam("hostile", &guest("tests/hostile"), &Limits::default());
    for _ in 0..3 {
        let trapped = plugin.allocate(&node(), &request("trap", &[]), &mut MemBook::default());
        assert!(matches!(trapped, Err(Error::Trapped { .. })), "{trapped:?}");
        plugin.allocate(&node(), &request("good", &[]), &mut MemBook::default()).unwrap();
    }
}

#[test]
fn pain_d7_the_stores_quota_has_its_own_error() {
    let plugin = ipam("hostile", &guest("tests/hostile"), &Limits::default());
    for what in ["store-over-quota", "store-over-in-parts"] {
        match plugin.allocate(&node(), &request(what, &[]), &mut MemBook::default()) {
            Err(Error::Limit { setting: "limits.store", allowed, .. }) => {
                assert_eq!(&*allowed, "1 MiB");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// What the child of the test below does.
#[test]
#[ignore = "needs a parent: run by pain_h11"]
fn within_little_address_space() {
    let limits = Limits { stack: 512 << 10, ..Limits::default() };
    let kept = kept("0.1.0/rust-ipam.wasm");
    let plugin = Plugin::compiled("kept", &kept, &limits, &Grants::default()).unwrap();
    let plugin = plugin.ipam().unwrap();
    let config = r#"{"ranges": [[{"subnet": "10.1.0.0/24"}]]}"#;
    plugin.allocate(&node(), &request(config, &[]), &mut MemBook::default()).unwrap();
}

#[test]
fn pain_h11_half_a_gigabyte_of_address_space_is_enough() {
    let program = std::env::current_exe().unwrap();
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -v 524288 && exec \"$0\" --ignored --exact within_little_address_space",
        ])
        .arg(program)
        .env("RUST_TEST_THREADS", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && said.contains("1 passed"), "{said}");
}
