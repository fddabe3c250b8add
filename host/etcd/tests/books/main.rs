//! What every book must do, run on the cluster's book of one node whose store is a real etcd, with
//! either kind of a node's own book.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../../../ledger/tests/common/mod.rs"]
mod common;

use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::Shared;
use wharfinger_etcd::{Etcd, Settings};
use wharfinger_etcd_server::Cluster as Members;

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

/// Where the members are that the tests of this process share.
static ENDPOINTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static PREFIXES: AtomicU64 = AtomicU64::new(0);

/// Each is a store of its own, by its prefix.
impl Shared for Etcd {
    fn fresh() -> Self {
        Self::new(Settings {
            endpoints: ENDPOINTS.lock().unwrap().clone(),
            prefix: format!("book-{}", PREFIXES.fetch_add(1, Ordering::Relaxed)),
            ca: None,
            cert: None,
            key: None,
            user: None,
            password_file: None,
            timeout: Duration::from_secs(5),
        })
        .unwrap()
    }
}

/// All of them on these members; each that fails has said why by itself.
fn run(all: Vec<(&'static str, fn())>) {
    let failed: Vec<&str> = all
        .into_iter()
        .filter(|(_, test)| catch_unwind(test).is_err())
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
#[ignore = "needs etcd: ring cluster"]
fn the_suite_on_etcd() {
    let members = Members::three().unwrap();
    *ENDPOINTS.lock().unwrap() = members.endpoints();
    run(giving::all::<common::Cluster<Etcd>>());
    run(lasting::all::<common::Cluster<Etcd>>());
    run(giving::all::<common::ClusterOnDisk<Etcd>>());
    run(lasting::all::<common::ClusterOnDisk<Etcd>>());
}
