//! What every book must do, run on the cluster's book of one node whose store is a real API server, with
//! either kind of a node's own book.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../../../ledger/tests/common/mod.rs"]
mod common;

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use common::Shared;
use wharfinger_kube::{Access, Book, Kube, Settings, version_of};
use wharfinger_kube_lab::Lab;
use wharfinger_ledger::MemLedger;

const WAIT: Duration = Duration::from_secs(20);
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kubernetes/crds.yaml");

/// The suite's tests, for any kind of book.
macro_rules! each {
    ($($(#[$doc:meta])* fn $name:ident<$kind:ident>() $body:block)*) => {
        $($(#[$doc])* fn $name<$kind: Kind>() $body)*
        pub(crate) fn all<K: Kind>() -> Vec<(&'static str, fn())> {
            vec![$((stringify!($name), $name::<K> as fn())),*]
        }
    };
}

#[path = "../../../ledger/tests/cases/giving.rs"]
mod giving;
#[path = "../../../ledger/tests/cases/lasting.rs"]
mod lasting;

/// Where the API server is that the tests of this process share.
static KUBECONFIG: Mutex<Option<PathBuf>> = Mutex::new(None);

/// One is what is there, begun anew.
impl Shared for Book {
    fn fresh() -> Self {
        let access = Access::Kubeconfig(KUBECONFIG.lock().unwrap().clone().unwrap());
        let kube = Kube::new(Settings { access, timeout: Duration::from_secs(10) }).unwrap();
        for kind in ["pools", "blocks", "claims", "notes"] {
            let all = format!("/apis/wharfinger.dev/v1alpha1/{kind}");
            for object in kube.list(&all, "", WAIT).unwrap().items {
                let name = object["metadata"]["name"].as_str().unwrap();
                let version = version_of(&object).unwrap();
                kube.delete(&format!("{all}/{name}"), version, WAIT).unwrap();
            }
        }
        Self::new(kube)
    }
}

/// All of them on this server; each that fails has said why by itself.
fn run(all: Vec<(&'static str, fn())>) {
    let failed: Vec<&str> = all
        .into_iter()
        .filter(|(_, test)| catch_unwind(test).is_err())
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
#[ignore = "needs Kubernetes' programs: ring kubernetes"]
fn the_suite_on_the_api_server() {
    let lab = Lab::api().unwrap();
    lab.kubectl(&["apply", "-f", CRDS]).unwrap();
    lab.kubectl(&["wait", "--for=condition=Established", "crd", "--all"]).unwrap();
    *KUBECONFIG.lock().unwrap() = Some(lab.admin());
    run(giving::all::<common::Cluster<Book>>());
    run(lasting::all::<common::Cluster<Book>>());
    run(giving::all::<common::ClusterOnDisk<Book>>());
    run(lasting::all::<common::ClusterOnDisk<Book>>());
    what_a_block_says_can_be_waited_for(&lab);
}

/// By `kubectl wait`, which goes by conditions; since when one holds is when it became so.
fn what_a_block_says_can_be_waited_for(lab: &Lab) {
    const NOW: u64 = 1_700_000_000;
    let node = common::join(MemLedger::new(), &Book::fresh(), "n1", 4);
    let block = "blocks/bridgex3acni0.40a000000";
    let wait = |is: &str| {
        let words = ["wait", &format!("--for=condition=Full={is}"), block, "--timeout=20s"];
        lab.kubectl(&words).unwrap();
        let said = lab.get(&[block]).unwrap();
        said["status"]["conditions"][0]["lastTransitionTime"].as_str().unwrap().to_owned()
    };
    let add = |name: &str, now: u64| {
        let pool = [common::range("10.0.0.0-10.0.0.3")];
        common::add_from(&node, &common::id(name), &pool, now).unwrap();
    };
    add("a", NOW);
    assert_eq!(wait("False"), "2023-11-14T22:13:20Z");
    (0..2).for_each(|n| add(&format!("b{n}"), NOW + 10));
    assert_eq!(wait("False"), "2023-11-14T22:13:20Z", "it is as it was");
    add("c", NOW + 20);
    assert_eq!(wait("True"), "2023-11-14T22:13:40Z");
    let said = lab.kubectl(&["describe", block]).unwrap();
    assert!(said.contains("4 of 4 addresses are held"), "{said}");
    common::del(&node, &common::id("a"), NOW + 30, Duration::ZERO);
    assert_eq!(wait("False"), "2023-11-14T22:13:50Z");
}
